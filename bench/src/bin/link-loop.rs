//! The bare loop under every link-based snapshot: the directories of FROM made again in TO, every file hard-linked.
//!
//! One `getdents64` stream, one `mkdirat` and two `openat` a directory, one `linkat` a file; no stat, no metadata, no
//! order, no check. No program that makes N links can take less time than this.
#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use linksnap_bench::fault::{Fault, join};
use linksnap_bench::listing::{Listing, Order, open_directory};
use linksnap_bench::queue::{Queue, drain};
use linksnap_bench::rate::Rate;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, linkat, mkdirat, syncfs};

/// Make TO a tree of hard links to the files of FROM, and say how long it took
#[derive(Parser)]
struct Arguments {
    /// An existing directory
    from: PathBuf,
    /// A directory on the same filesystem that does not exist yet
    to: PathBuf,
    /// Directories at work at a time
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
    /// In which order the files of a directory are linked
    #[arg(long, value_enum, default_value_t = Order::Readdir)]
    order: Order,
    /// End with syncfs; its time is in `seconds` and is also given alone
    #[arg(long)]
    sync: bool,
}

#[derive(Default)]
struct Worker {
    listing: Listing,
    links: u64,
    directories: u64,
}

/// The two roots and what is done alike everywhere below them.
struct Trees {
    from: OwnedFd,
    to: OwnedFd,
    order: Order,
}

fn main() -> Result<(), Fault> {
    let arguments = Arguments::parse();
    let start = Instant::now();
    mkdirat(CWD, &arguments.to, Mode::from_raw_mode(0o755)).map_err(Fault::of("mkdirat", &arguments.to))?;
    let trees = Trees {
        from: open_directory(CWD, &arguments.from)?,
        to: open_directory(CWD, &arguments.to)?,
        order: arguments.order,
    };
    let workers = drain(PathBuf::from("."), arguments.threads, |worker: &mut Worker, path, queue| {
        link_directory(&trees, worker, &path, queue)
    })?;
    let before_sync = Instant::now();
    if arguments.sync {
        syncfs(&trees.to).map_err(Fault::of("syncfs", &arguments.to))?;
    }
    let rate = Rate {
        unit: "links",
        count: workers.iter().map(|worker| worker.links).sum(),
        directories: workers.iter().map(|worker| worker.directories).sum(),
        elapsed: start.elapsed(),
    };
    println!("{rate} sync_seconds {:.3}", before_sync.elapsed().as_secs_f64());
    Ok(())
}

fn link_directory(
    trees: &Trees,
    worker: &mut Worker,
    path: &Path,
    queue: &Queue<PathBuf>,
) -> Result<(), Fault> {
    let from = open_directory(&trees.from, path)?;
    let to = open_directory(&trees.to, path)?;
    worker.directories += 1;
    worker.listing.read(&from, path, trees.order)?;
    for entry in worker.listing.entries() {
        let name = entry.name;
        if entry.kind == FileType::Directory {
            mkdirat(&to, name, Mode::from_raw_mode(0o755)).map_err(Fault::of_entry("mkdirat", path, name))?;
            queue.push(join(path, name));
        } else {
            linkat(&from, name, &to, name, AtFlags::empty())
                .map_err(Fault::of_entry("linkat", path, name))?;
            worker.links += 1;
        }
    }
    Ok(())
}

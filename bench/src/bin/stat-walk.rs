//! The bare walk under every "nothing has changed": one `statx` of every entry of a tree.
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
use rustix::fs::{AtFlags, CWD, FileType, StatxFlags, statx};

/// Call statx on every entry below DIR, and say how long it took
#[derive(Parser)]
struct Arguments {
    /// The root of the tree; not counted itself
    dir: PathBuf,
    /// Directories at work at a time
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
    /// In which order the entries of a directory are statted
    #[arg(long, value_enum, default_value_t = Order::Readdir)]
    order: Order,
}

#[derive(Default)]
struct Worker {
    listing: Listing,
    entries: u64,
    directories: u64,
    bytes: u64,
}

fn main() -> Result<(), Fault> {
    let arguments = Arguments::parse();
    let start = Instant::now();
    let root = open_directory(CWD, &arguments.dir)?;
    let workers = drain(PathBuf::from("."), arguments.threads, |worker: &mut Worker, path, queue| {
        stat_directory(&root, arguments.order, worker, &path, queue)
    })?;
    let rate = Rate {
        unit: "entries",
        count: workers.iter().map(|worker| worker.entries).sum(),
        directories: workers.iter().map(|worker| worker.directories).sum(),
        elapsed: start.elapsed(),
    };
    println!("{rate} bytes {}", workers.iter().map(|worker| worker.bytes).sum::<u64>());
    Ok(())
}

fn stat_directory(
    root: &OwnedFd,
    order: Order,
    worker: &mut Worker,
    path: &Path,
    queue: &Queue<PathBuf>,
) -> Result<(), Fault> {
    let directory = open_directory(root, path)?;
    worker.directories += 1;
    worker.listing.read(&directory, path, order)?;
    for entry in worker.listing.entries() {
        let stat = statx(&directory, entry.name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
            .map_err(Fault::of_entry("statx", path, entry.name))?;
        worker.entries += 1;
        if entry.kind == FileType::Directory {
            queue.push(join(path, entry.name));
        } else {
            worker.bytes += stat.stx_size;
        }
    }
    Ok(())
}

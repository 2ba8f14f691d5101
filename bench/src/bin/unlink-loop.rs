//! The bare delete under every prune: one `unlinkat` a file by several threads, then the empty directories.
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
use rustix::fs::{AtFlags, CWD, FileType, unlinkat};

/// Delete DIR and everything below it, and say how long it took
#[derive(Parser)]
struct Arguments {
    /// The tree to delete; asks nothing
    dir: PathBuf,
    /// Directories at work at a time
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
    /// In which order the files of a directory are unlinked
    #[arg(long, value_enum, default_value_t = Order::Readdir)]
    order: Order,
}

#[derive(Default)]
struct Worker {
    listing: Listing,
    unlinks: u64,
    emptied: Vec<PathBuf>,
}

fn main() -> Result<(), Fault> {
    let arguments = Arguments::parse();
    let start = Instant::now();
    let root = open_directory(CWD, &arguments.dir)?;
    let workers = drain(PathBuf::new(), arguments.threads, |worker: &mut Worker, path, queue| {
        unlink_directory(&root, arguments.order, worker, path, queue)
    })?;
    let unlinks = workers.iter().map(|worker| worker.unlinks).sum();
    let mut emptied: Vec<PathBuf> = workers.into_iter().flat_map(|worker| worker.emptied).collect();
    // A path sorts before every path below it.
    emptied.sort_unstable();
    for path in emptied.iter().rev() {
        remove_directory(&root, path, &arguments.dir)?;
    }
    let rate =
        Rate { unit: "unlinks", count: unlinks, directories: emptied.len() as u64, elapsed: start.elapsed() };
    println!("{rate}");
    Ok(())
}

fn unlink_directory(
    root: &OwnedFd,
    order: Order,
    worker: &mut Worker,
    path: PathBuf,
    queue: &Queue<PathBuf>,
) -> Result<(), Fault> {
    let directory = open_directory(root, &Path::new(".").join(&path))?;
    worker.listing.read(&directory, &path, order)?;
    for entry in worker.listing.entries() {
        if entry.kind == FileType::Directory {
            queue.push(join(&path, entry.name));
        } else {
            unlinkat(&directory, entry.name, AtFlags::empty())
                .map_err(Fault::of_entry("unlinkat", &path, entry.name))?;
            worker.unlinks += 1;
        }
    }
    worker.emptied.push(path);
    Ok(())
}

/// The empty path is the root itself, which is removed by the name it was given.
fn remove_directory(root: &OwnedFd, path: &Path, root_path: &Path) -> Result<(), Fault> {
    if path.as_os_str().is_empty() {
        unlinkat(CWD, root_path, AtFlags::REMOVEDIR).map_err(Fault::of("unlinkat", root_path))
    } else {
        unlinkat(root, path, AtFlags::REMOVEDIR).map_err(Fault::of("unlinkat", path))
    }
}

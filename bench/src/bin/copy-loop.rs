//! The bare work under every run in which some files have changed: all entries of FROM are statted, and the files that
//! are newer than a stamp take the place of those in TO.
//!
//! One `statx` an entry; for a newer file one `unlinkat`, an exclusive new file, its bytes, mode and time; `syncfs` at the
//! end. Nothing is compared or checked, no name is linked that another tree of a history would have otherwise, and
//! nothing is remembered. No program that copies what has changed into a tree that is there can take less time than this.
#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::ffi::CStr;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use linksnap_bench::fault::{Fault, join};
use linksnap_bench::listing::{Listing, Order, open_directory};
use linksnap_bench::queue::{Queue, drain};
use linksnap_bench::rate::Rate;
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags, Timespec, Timestamps, fchmod, futimens, openat,
    statx, syncfs, unlinkat,
};
use rustix::io::Errno;

/// Stat all of FROM, copy what is newer than STAMP over what is in TO, sync, and say how long it took
#[derive(Parser)]
struct Arguments {
    /// An existing directory
    from: PathBuf,
    /// A directory that has all directories of FROM
    to: PathBuf,
    /// A file: what was modified after it is copied
    stamp: PathBuf,
    /// Directories at work at a time
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
}

#[derive(Default)]
struct Worker {
    listing: Listing,
    entries: u64,
    directories: u64,
    copied: u64,
}

struct Trees {
    from: OwnedFd,
    to: OwnedFd,
    stamp: (i64, u32),
}

fn main() -> Result<(), Fault> {
    let arguments = Arguments::parse();
    let start = Instant::now();
    let stamp = statx(CWD, &arguments.stamp, AtFlags::empty(), StatxFlags::BASIC_STATS)
        .map_err(Fault::of("statx", &arguments.stamp))?;
    let trees = Trees {
        from: open_directory(CWD, &arguments.from)?,
        to: open_directory(CWD, &arguments.to)?,
        stamp: modified(&stamp),
    };
    let workers = drain(PathBuf::from("."), arguments.threads, |worker: &mut Worker, path, queue| {
        copy_directory(&trees, worker, &path, queue)
    })?;
    let before_sync = Instant::now();
    syncfs(&trees.to).map_err(Fault::of("syncfs", &arguments.to))?;
    let rate = Rate {
        unit: "entries",
        count: workers.iter().map(|worker| worker.entries).sum(),
        directories: workers.iter().map(|worker| worker.directories).sum(),
        elapsed: start.elapsed(),
    };
    let copied: u64 = workers.iter().map(|worker| worker.copied).sum();
    println!("{rate} copied {copied} sync_seconds {:.3}", before_sync.elapsed().as_secs_f64());
    Ok(())
}

fn modified(stat: &Statx) -> (i64, u32) {
    (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec)
}

fn copy_directory(
    trees: &Trees,
    worker: &mut Worker,
    path: &Path,
    queue: &Queue<PathBuf>,
) -> Result<(), Fault> {
    let from = open_directory(&trees.from, path)?;
    let mut to = None;
    worker.directories += 1;
    worker.listing.read(&from, path, Order::Readdir)?;
    for entry in worker.listing.entries() {
        let name = entry.name;
        let stat = statx(&from, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
            .map_err(Fault::of_entry("statx", path, name))?;
        worker.entries += 1;
        if entry.kind == FileType::Directory {
            queue.push(join(path, name));
        } else if entry.kind == FileType::RegularFile && modified(&stat) > trees.stamp {
            if to.is_none() {
                to = Some(open_directory(&trees.to, path)?);
            }
            copy_file(&from, to.as_ref(), name, &stat).map_err(Fault::of_entry("copy", path, name))?;
            worker.copied += 1;
        }
    }
    Ok(())
}

fn copy_file(from: &OwnedFd, to: Option<&OwnedFd>, name: &CStr, stat: &Statx) -> Result<(), Errno> {
    let Some(to) = to else { return Ok(()) };
    match unlinkat(to, name, AtFlags::empty()) {
        Err(error) if error != Errno::NOENT => return Err(error),
        _ => {}
    }
    let source = openat(from, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let made = openat(to, name, flags, Mode::RUSR | Mode::WUSR)?;
    let mut made = File::from(made);
    std::io::copy(&mut File::from(source), &mut made)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    fchmod(&made, Mode::from_raw_mode(u32::from(stat.stx_mode) & 0o7777))?;
    let (tv_sec, nanoseconds) = modified(stat);
    let time = Timespec { tv_sec, tv_nsec: nanoseconds.into() };
    futimens(&made, &Timestamps { last_access: time, last_modification: time })
}

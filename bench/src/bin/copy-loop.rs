//! The bare work under every run in which some files have changed: all entries of FROM are statted, the files that are
//! newer than a stamp take the place of those in TO, and those that changed since TO was made are linked from BASIS.
//!
//! One `statx` an entry; for a newer file an exclusive new one that has the mode from the start (where there is one,
//! `unlinkat` before), its bytes by `read` and `write`, its time; for one that changed since TO `unlinkat` and `linkat`;
//! `syncfs` at the end. `copy_file_range` is not used: on XFS and btrfs it shares the source's blocks, and then there is no
//! copy. Nothing is compared or checked, and nothing is remembered: which files those are is told by two stamps. It hands
//! everything to the disk at its end; who writes while it copies can be faster where the disk decides.
#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::cell::OnceCell;
use std::ffi::CStr;
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
    AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags, Timespec, Timestamps, fchmod, futimens, linkat,
    openat, statx, syncfs, unlinkat,
};
use rustix::io::{Errno, read, write};
use rustix::process::umask;

/// In bytes.
const BUFFER: usize = 256 << 10;

/// Stat all of FROM, copy what is newer than STAMP over what is in TO, sync, and say how long it took
#[derive(Parser)]
struct Arguments {
    /// An existing directory
    from: PathBuf,
    /// A directory that has all directories of FROM
    to: PathBuf,
    /// A file: what was modified after it is copied
    stamp: PathBuf,
    /// The tree that TO becomes the successor of
    #[arg(long, requires = "since")]
    basis: Option<PathBuf>,
    /// A file: what was modified after it, but not after STAMP, is linked from BASIS
    #[arg(long, requires = "basis")]
    since: Option<PathBuf>,
    /// What was changed in any way after a stamp counts as newer, its attributes included (ctime)
    #[arg(long)]
    attributes: bool,
    /// Directories at work at a time
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
}

struct Worker {
    listing: Listing,
    buffer: Vec<u8>,
    entries: u64,
    directories: u64,
    copied: u64,
    linked: u64,
}

impl Default for Worker {
    fn default() -> Self {
        let listing = Listing::default();
        Self { listing, buffer: vec![0; BUFFER], entries: 0, directories: 0, copied: 0, linked: 0 }
    }
}

type Time = (i64, u32);

struct Trees {
    from: OwnedFd,
    to: OwnedFd,
    attributes: bool,
    stamp: Time,
    basis: Option<(OwnedFd, Time)>,
}

/// One directory in each of the trees; the later two are opened when they are first needed.
struct Place<'a> {
    trees: &'a Trees,
    path: &'a Path,
    from: OwnedFd,
    to: OnceCell<OwnedFd>,
    basis: OnceCell<OwnedFd>,
}

fn main() -> Result<(), Fault> {
    let arguments = Arguments::parse();
    let start = Instant::now();
    umask(Mode::empty());
    let basis = match (&arguments.basis, &arguments.since) {
        (Some(basis), Some(since)) => Some((open_directory(CWD, basis)?, modified_at(since)?)),
        _ => None,
    };
    let trees = Trees {
        from: open_directory(CWD, &arguments.from)?,
        to: open_directory(CWD, &arguments.to)?,
        attributes: arguments.attributes,
        stamp: modified_at(&arguments.stamp)?,
        basis,
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
    let linked: u64 = workers.iter().map(|worker| worker.linked).sum();
    println!(
        "{rate} copied {copied} linked {linked} sync_seconds {:.3}",
        before_sync.elapsed().as_secs_f64()
    );
    Ok(())
}

fn modified(stat: &Statx) -> Time {
    (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec)
}

fn modified_at(path: &Path) -> Result<Time, Fault> {
    let stat =
        statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS).map_err(Fault::of("statx", path))?;
    Ok(modified(&stat))
}

fn copy_directory(
    trees: &Trees,
    worker: &mut Worker,
    path: &Path,
    queue: &Queue<PathBuf>,
) -> Result<(), Fault> {
    let from = open_directory(&trees.from, path)?;
    worker.directories += 1;
    worker.listing.read(&from, path, Order::Readdir)?;
    let place = Place { trees, path, from, to: OnceCell::new(), basis: OnceCell::new() };
    for entry in worker.listing.entries() {
        let name = entry.name;
        let stat = statx(&place.from, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
            .map_err(Fault::of_entry("statx", path, name))?;
        worker.entries += 1;
        if entry.kind == FileType::Directory {
            queue.push(join(path, name));
        } else if entry.kind == FileType::RegularFile {
            match place
                .renew(name, &stat, &mut worker.buffer)
                .map_err(Fault::of_entry("renew", path, name))?
            {
                Renewed::Copied => worker.copied += 1,
                Renewed::Linked => worker.linked += 1,
                Renewed::Kept => {}
            }
        }
    }
    Ok(())
}

enum Renewed {
    Copied,
    Linked,
    Kept,
}

impl Place<'_> {
    fn renew(&self, name: &CStr, stat: &Statx, buffer: &mut [u8]) -> Result<Renewed, Errno> {
        if self.changed(stat) > self.trees.stamp {
            copy_file((&self.from, self.within(&self.to, &self.trees.to)?), name, stat, buffer)?;
            return Ok(Renewed::Copied);
        }
        match &self.trees.basis {
            Some((basis, since)) if self.changed(stat) > *since => {
                let to = self.within(&self.to, &self.trees.to)?;
                remove(to, name)?;
                linkat(self.within(&self.basis, basis)?, name, to, name, AtFlags::empty())?;
                Ok(Renewed::Linked)
            }
            _ => Ok(Renewed::Kept),
        }
    }

    fn changed(&self, stat: &Statx) -> Time {
        if self.trees.attributes { (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec) } else { modified(stat) }
    }

    /// This place in the tree whose root is `root`.
    fn within<'a>(&self, cell: &'a OnceCell<OwnedFd>, root: &OwnedFd) -> Result<&'a OwnedFd, Errno> {
        if let Some(directory) = cell.get() {
            return Ok(directory);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = openat(root, self.path, flags, Mode::empty())?;
        Ok(cell.get_or_init(|| directory))
    }
}

fn remove(directory: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

fn copy_file(
    (from, to): (&OwnedFd, &OwnedFd),
    name: &CStr,
    stat: &Statx,
    buffer: &mut [u8],
) -> Result<(), Errno> {
    let source = openat(from, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let mode = Mode::from_raw_mode(u32::from(stat.stx_mode) & 0o7777);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let made = match openat(to, name, flags, mode) {
        Err(Errno::EXIST) => {
            remove(to, name)?;
            openat(to, name, flags, mode)?
        }
        made => made?,
    };
    let mut left = stat.stx_size;
    while left > 0 {
        let count = read(&source, &mut *buffer)?;
        if count == 0 {
            break;
        }
        write_all(&made, &buffer[..count])?;
        left = left.saturating_sub(count as u64);
    }
    // What is written to loses these.
    if mode.intersects(Mode::SUID | Mode::SGID) {
        fchmod(&made, mode)?;
    }
    let (tv_sec, nanoseconds) = modified(stat);
    let time = Timespec { tv_sec, tv_nsec: nanoseconds.into() };
    futimens(&made, &Timestamps { last_access: time, last_modification: time })
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        bytes = &bytes[write(file, bytes)?..];
    }
    Ok(())
}

//! Makes the tree that everything is measured on, or changes a share of it. The same arguments, the same tree.
#![expect(clippy::print_stdout, reason = "the counts are what this program is for")]

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use clap::Parser;
use linksnap_bench::fault::{Fault, join};
use linksnap_bench::layout::{Change, Shape, Sizes, change};
use linksnap_bench::listing::{Listing, Order, open_directory};
use linksnap_bench::random::Random;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, statat};
use rustix::io::{Errno, write};

/// Make DIR a tree of files of log-normal size with incompressible bytes, no two alike; or change a share of it
#[derive(Parser)]
struct Arguments {
    /// The tree: must not exist, or must exist with --touch-fraction
    dir: PathBuf,
    /// How many files
    #[arg(long, default_value_t = 200_000)]
    files: usize,
    /// How many directories below DIR, in three levels
    #[arg(long, default_value_t = 2_000)]
    directories: usize,
    /// Another seed, another tree (or another choice and other bytes with --touch-fraction)
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Median size of a file in bytes
    #[arg(long, default_value_t = 3000.0)]
    median: f64,
    /// Deviation of the logarithm of the size
    #[arg(long, default_value_t = 1.5)]
    sigma: f64,
    /// Rewrite about this share of the files of an existing DIR in place, half of them with another size
    #[arg(long, value_name = "SHARE")]
    touch_fraction: Option<f64>,
}

#[derive(Default)]
struct Counts {
    files: u64,
    directories: u64,
    bytes: u64,
}

fn main() -> Result<(), Fault> {
    let arguments = Arguments::parse();
    let counts = match arguments.touch_fraction {
        Some(fraction) => touch_tree(&arguments.dir, arguments.seed, fraction)?,
        None => make_tree(&arguments)?,
    };
    println!("files {} directories {} bytes {}", counts.files, counts.directories, counts.bytes);
    Ok(())
}

fn make_tree(arguments: &Arguments) -> Result<Counts, Fault> {
    let shape = Shape {
        files: arguments.files,
        directories: arguments.directories,
        sizes: Sizes { median: arguments.median, sigma: arguments.sigma },
        seed: arguments.seed,
    };
    let mode = Mode::from_raw_mode(0o755);
    mkdirat(CWD, &arguments.dir, mode).map_err(Fault::of("mkdirat", &arguments.dir))?;
    let root = open_directory(CWD, &arguments.dir)?;
    let mut directories = shape.directories();
    for path in &directories {
        mkdirat(&root, path, mode).map_err(Fault::of("mkdirat", path))?;
    }
    let mut counts = Counts { directories: directories.len() as u64, ..Counts::default() };
    if directories.is_empty() {
        directories.push(PathBuf::from("."));
    }
    for (path, numbers) in directories.iter().zip(shape.spread()) {
        let directory = open_directory(&root, path)?;
        for number in numbers {
            let file = shape.file(number);
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let new = openat(&directory, &file.name, flags, Mode::from_raw_mode(0o644))
                .map_err(Fault::of("openat", &path.join(&file.name)))?;
            fill(&new, file.bytes, file.content).map_err(Fault::of("write", &path.join(&file.name)))?;
            counts.files += 1;
            counts.bytes += file.bytes;
        }
    }
    Ok(counts)
}

/// Depth first and by name, so that the choice does not hang on the order of the filesystem.
fn touch_tree(dir: &Path, seed: u64, fraction: f64) -> Result<Counts, Fault> {
    let root = open_directory(CWD, dir)?;
    let mut counts = Counts::default();
    let mut files_seen = 0;
    let mut waiting = vec![PathBuf::from(".")];
    let mut listing = Listing::default();
    while let Some(path) = waiting.pop() {
        let directory = open_directory(&root, &path)?;
        listing.read(&directory, &path, Order::Name)?;
        let files_before = counts.files;
        for entry in listing.entries() {
            if entry.kind == FileType::Directory {
                waiting.push(join(&path, entry.name));
            } else if entry.kind == FileType::RegularFile {
                let at = join(&path, entry.name);
                let stat = statat(&directory, entry.name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(Fault::of("statat", &at))?;
                if let Some(change) = change(seed, files_seen, stat.st_size.unsigned_abs(), fraction) {
                    counts.bytes += change.bytes;
                    counts.files += 1;
                    rewrite(&directory, &at, entry.name, change)?;
                }
                files_seen += 1;
            }
        }
        counts.directories += u64::from(counts.files > files_before);
    }
    Ok(counts)
}

/// Truncates and writes: every name of the inode sees the new bytes, as with a careless editor.
fn rewrite(directory: &OwnedFd, at: &Path, name: &CStr, change: Change) -> Result<(), Fault> {
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty()).map_err(Fault::of("openat", at))?;
    fill(&file, change.bytes, change.content).map_err(Fault::of("write", at))
}

fn fill(file: &OwnedFd, bytes: u64, mut content: Random) -> Result<(), Errno> {
    let mut buffer = [0_u8; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        content.fill(&mut buffer[..length]);
        let mut unwritten = &buffer[..length];
        while !unwritten.is_empty() {
            unwritten = &unwritten[write(file, unwritten)?..];
        }
        left -= length as u64;
    }
    Ok(())
}

//! The entries of one directory by plain `getdents64`, in the order asked for.
//!
//! The buffers are kept from directory to directory: names lie end to end in one allocation.

use std::ffi::CStr;
use std::path::Path;

use clap::ValueEnum;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, openat, statat};

use crate::fault::{Fault, join};

/// Room for one `getdents64`: some 1,000 short names a call.
const GETDENTS_BYTES: usize = 32 * 1024;

/// In which order the entries of a directory are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// As the filesystem gives them (on ext4: by the hash of the name).
    Readdir,
    /// By inode number: along the inode table.
    Inode,
    /// By the bytes of the name.
    Name,
}

/// One name in a directory.
#[derive(Clone, Copy)]
pub struct Entry<'listing> {
    /// The name, never `.` or `..`.
    pub name: &'listing CStr,
    /// The kind of the inode, never unknown.
    pub kind: FileType,
}

/// The entries of the directory read last.
#[derive(Default)]
pub struct Listing {
    names: Vec<u8>,
    rows: Vec<Row>,
    getdents: Vec<u8>,
}

struct Row {
    inode: u64,
    kind: FileType,
    start: usize,
    end: usize,
}

impl Listing {
    /// Replaces the listing by the entries of `directory`; `path` is for errors only.
    pub fn read(&mut self, directory: &OwnedFd, path: &Path, order: Order) -> Result<(), Fault> {
        self.names.clear();
        self.rows.clear();
        self.getdents.clear();
        self.getdents.reserve(GETDENTS_BYTES);
        let mut entries = RawDir::new(directory, self.getdents.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(Fault::of("getdents64", path))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => kind_by_stat(directory, path, name)?,
                known => known,
            };
            let start = self.names.len();
            self.names.extend_from_slice(name.to_bytes_with_nul());
            self.rows.push(Row { inode: entry.ino(), kind, start, end: self.names.len() });
        }
        match order {
            Order::Readdir => {}
            Order::Inode => self.rows.sort_unstable_by_key(|row| row.inode),
            Order::Name => {
                let names = &self.names;
                self.rows.sort_unstable_by(|a, b| names[a.start..a.end].cmp(&names[b.start..b.end]));
            }
        }
        Ok(())
    }

    /// The entries, in the order they were asked for.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.rows.iter().map(|row| Entry {
            name: CStr::from_bytes_with_nul(&self.names[row.start..row.end])
                .expect("a name is stored with the one NUL it came with"),
            kind: row.kind,
        })
    }
}

fn kind_by_stat(directory: &OwnedFd, path: &Path, name: &CStr) -> Result<FileType, Fault> {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|source| Fault {
        op: "newfstatat",
        path: join(path, name),
        source,
    })?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

/// Opens the directory `path` below `root` for reading; the last name is not followed if it is a symlink.
pub fn open_directory(root: impl AsFd, path: &Path) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(root, path, flags, Mode::empty()).map_err(Fault::of("openat", path))
}

//! A plain full copy of a tree: the oracle that model tests compare snapshots with.
//!
//! It keeps everything that a [`Listing`](crate::listing::Listing) sees, hard links included, except inode numbers;
//! holes become zeros. It is as simple as it can be, because it must be right, not fast.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags};

use crate::place::{self, Parents, Place};

/// Copies the directory `from` and all below it to `to`, which must not exist yet or be an empty directory without
/// extended attributes. Needs root for foreign owners and for devices. Panics if something cannot be copied.
pub fn copy_tree(from: &Path, to: &Path) {
    let mut copy = Copy { from, to, first_names: HashMap::new() };
    make_root(to).unwrap_or_else(|error| panic!("cannot make {to:?}: {error}"));
    let mut directories = vec![PathBuf::new()];
    let mut next = 0;
    while let Some(path) = directories.get(next).cloned() {
        let below = copy.copy_children(&path);
        directories.extend(below.unwrap_or_else(|error| panic!("cannot copy {path:?}: {error}")));
        next += 1;
    }
    // Children first: each child that is made moves its parent's mtime.
    for path in directories.iter().rev() {
        let done = copy.keep_directory_metadata(path);
        done.unwrap_or_else(|error| panic!("cannot keep the metadata of {path:?}: {error}"));
    }
}

struct Copy<'a> {
    from: &'a Path,
    to: &'a Path,
    /// Where the first name of an inode was copied to, by device and inode number.
    first_names: HashMap<(u64, u64), PathBuf>,
}

impl Copy<'_> {
    /// Copies all children of `path` but makes directories only empty; these it returns.
    fn copy_children(&mut self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut directories = Vec::new();
        let to = Place::find(self.to, path, Parents::Need)?;
        for child in Place::find(self.from, path, Parents::Need)?.children()? {
            let path = path.join(child.name());
            let new = to.child(child.name())?;
            if child.found()? == Some(FileType::Directory) {
                new.ensure_directory()?;
                directories.push(path);
            } else {
                self.copy_leaf(&child, &new, path)?;
            }
        }
        Ok(directories)
    }

    fn copy_leaf(&mut self, old: &Place, new: &Place, path: PathBuf) -> io::Result<()> {
        let stat = old.stat()?;
        let id = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.first_names.get(&id) {
            return Place::find(self.to, first, Parents::Need)?.link_to(new);
        }
        self.first_names.insert(id, path);
        match place::file_type(&stat) {
            FileType::RegularFile => copy_bytes(old, new)?,
            FileType::Symlink => new.make_symlink(&old.target()?)?,
            kind => new.make_node(kind, stat.st_rdev)?,
        }
        keep_metadata(old, new)
    }

    fn keep_directory_metadata(&self, path: &Path) -> io::Result<()> {
        let old = Place::find(self.from, path, Parents::Need)?;
        keep_metadata(&old, &Place::find(self.to, path, Parents::Need)?)
    }
}

fn make_root(to: &Path) -> io::Result<()> {
    let name = to.file_name().unwrap_or(OsStr::new("."));
    let parent = match to.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    Place::find(parent, Path::new(name), Parents::Need)?.ensure_directory()
}

fn copy_bytes(old: &Place, new: &Place) -> io::Result<()> {
    let mut from = old.open_file(OFlags::RDONLY)?;
    let mut to = new.open_file(OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
    io::copy(&mut from, &mut to)?;
    Ok(())
}

/// The order matters: chown takes away set-id bits and capabilities, and all of it may move the mtime of a directory.
fn keep_metadata(old: &Place, new: &Place) -> io::Result<()> {
    let stat = old.stat()?;
    new.set_owner(stat.st_uid, stat.st_gid)?;
    if place::file_type(&stat) != FileType::Symlink {
        new.set_mode(place::mode_bits(&stat))?;
    }
    for (name, value) in old.xattrs()? {
        new.set_xattr(&name, &value)?;
    }
    new.set_mtime(place::mtime(&stat))
}

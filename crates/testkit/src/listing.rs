//! A full listing of a tree, and the differences between two of them.
//!
//! A listing is read through `lstat` and its like: nothing below the root is followed. It holds all that a snapshot
//! promises to keep, and the inode numbers, which say what is shared.
//!
//! **Invariant:** two listings without differences stand for trees that no program can tell apart by names, bytes or
//! metadata. Access times, change times, and the places of holes in files are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, Stat};

use crate::place::{self, Place, Xattrs};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl Kind {
    fn of(kind: FileType) -> Kind {
        match kind {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            FileType::CharacterDevice => Kind::CharDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::Unknown => panic!("lstat names a type that Linux does not have"),
        }
    }
}

/// One name in a tree, with all its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The twelve permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The length in bytes, of a regular file only.
    pub size: Option<u64>,
    /// The modification time: seconds and nanoseconds since 1970.
    pub mtime: (i64, u32),
    /// The device number, 0 for what is no device.
    pub rdev: u64,
    /// The target, of a symbolic link only.
    pub target: Option<OsString>,
    /// All extended attributes, access control lists among them.
    pub xattrs: BTreeMap<OsString, Vec<u8>>,
    /// The BLAKE3 hash of the bytes, of a regular file only; `None` if we may not read it.
    pub content: Option<blake3::Hash>,
    /// The device number of the filesystem.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
    /// How many names the inode has, in the tree or outside.
    pub nlink: u64,
}

/// What [`Listing::diff`] compares besides names, bytes and metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compare {
    /// The same names must be hard links of each other in both trees.
    pub hard_links: bool,
    /// Every name, directories and the root included, must have the same inode number in both: the two are the same
    /// tree, untouched.
    pub inodes: bool,
}

impl Compare {
    /// Names, bytes, metadata and hard-link groups: the promise of a copy.
    pub const COPY: Compare = Compare { hard_links: true, inodes: false };
    /// All of it, inode numbers too: the promise of a tree that nobody touched.
    pub const UNTOUCHED: Compare = Compare { hard_links: true, inodes: true };
}

/// The entries of a tree by their path from the root, which itself is the empty path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    entries: BTreeMap<PathBuf, Entry>,
}

impl Listing {
    /// Lists the directory `root` and all below it. Panics if something cannot be listed; a file that cannot be opened
    /// has no `content`.
    pub fn read(root: &Path) -> Listing {
        let mut listing = Listing::default();
        let mut directories = vec![PathBuf::new()];
        while let Some(path) = directories.pop() {
            listing
                .read_directory(root, &path, &mut directories)
                .unwrap_or_else(|error| panic!("cannot list {path:?} in {root:?}: {error}"));
        }
        listing
    }

    fn read_directory(&mut self, root: &Path, path: &Path, below: &mut Vec<PathBuf>) -> io::Result<()> {
        let directory = Place::find(root, path, place::Parents::Need)?;
        self.entries.insert(path.to_path_buf(), read_entry(&directory)?);
        for child in directory.children()? {
            let path = path.join(child.name());
            let entry = read_entry(&child)?;
            if entry.kind == Kind::Directory {
                below.push(path.clone());
            }
            self.entries.insert(path, entry);
        }
        Ok(())
    }

    /// The entry at `path`, if there is one.
    pub fn get(&self, path: impl AsRef<Path>) -> Option<&Entry> {
        self.entries.get(path.as_ref())
    }

    /// The inode number of `path`. Panics if there is no such entry.
    pub fn inode(&self, path: impl AsRef<Path>) -> u64 {
        let path = path.as_ref();
        let entry = self.get(path);
        entry.unwrap_or_else(|| panic!("no {path:?} in the listing")).inode
    }

    /// All paths and entries, parents before their children.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_path(), entry))
    }

    /// The sub-tree at `path`, as if read with `path` as its root; empty if there is none.
    pub fn below(&self, path: impl AsRef<Path>) -> Listing {
        let rebased = |(full, entry): (&PathBuf, &Entry)| {
            let rest = full.strip_prefix(path.as_ref()).ok()?;
            Some((rest.to_path_buf(), entry.clone()))
        };
        Listing { entries: self.entries.iter().filter_map(rebased).collect() }
    }

    /// This listing less `path` and all below it.
    pub fn without(&self, path: impl AsRef<Path>) -> Listing {
        let mut entries = self.entries.clone();
        entries.retain(|full, _| !full.starts_with(path.as_ref()));
        Listing { entries }
    }

    /// The paths, directories left out, that are the same inode here and in `other`.
    pub fn shared_with(&self, other: &Listing) -> BTreeSet<PathBuf> {
        let shared = |path: &Path, entry: &Entry| {
            let twin = other.get(path).map(|twin| (twin.device, twin.inode));
            entry.kind != Kind::Directory && twin == Some((entry.device, entry.inode))
        };
        self.iter().filter(|(path, entry)| shared(path, entry)).map(|(path, _)| path.to_path_buf()).collect()
    }

    /// The groups of two or more names in this tree that are hard links of each other.
    pub fn hard_links(&self) -> BTreeSet<BTreeSet<PathBuf>> {
        let mut groups: BTreeMap<(u64, u64), BTreeSet<PathBuf>> = BTreeMap::new();
        for (path, entry) in self.iter().filter(|(_, e)| e.kind != Kind::Directory) {
            let group = groups.entry((entry.device, entry.inode)).or_default();
            group.insert(path.to_path_buf());
        }
        groups.into_values().filter(|names| names.len() > 1).collect()
    }

    /// What differs from `other`, a line each, for people to read; empty if nothing does. Link counts and the sizes of
    /// directories are never compared.
    pub fn diff(&self, other: &Listing, what: Compare) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, entry) in self.iter() {
            match other.get(path) {
                None => lines.push(format!("{path:?}: only in the left ({:?})", entry.kind)),
                Some(twin) => diff_entry(path, entry, twin, what, &mut lines),
            }
        }
        for (path, entry) in other.iter().filter(|(path, _)| self.get(path).is_none()) {
            lines.push(format!("{path:?}: only in the right ({:?})", entry.kind));
        }
        if what.hard_links {
            let (left, right) = (self.hard_links(), other.hard_links());
            let only = |side, group| format!("hard links of each other only in the {side}: {group:?}");
            lines.extend(left.difference(&right).map(|group| only("left", group)));
            lines.extend(right.difference(&left).map(|group| only("right", group)));
        }
        lines
    }
}

fn read_entry(place: &Place) -> io::Result<Entry> {
    let stat = place.stat()?;
    let kind = Kind::of(place::file_type(&stat));
    let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
    let size = u64::try_from(stat.st_size).expect("a size is not negative");
    Ok(Entry {
        kind,
        mode: place::mode_bits(&stat),
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: (kind == Kind::File).then_some(size),
        mtime: place::mtime(&stat),
        rdev: if is_device { stat.st_rdev } else { 0 },
        target: (kind == Kind::Symlink).then(|| place.target()).transpose()?,
        xattrs: readable(place.xattrs())?.unwrap_or_default(),
        content: if kind == Kind::File { hash(place)? } else { None },
        device: stat.st_dev,
        inode: stat.st_ino,
        nlink: link_count(&stat),
    })
}

fn hash(place: &Place) -> io::Result<Option<blake3::Hash>> {
    let Some(file) = readable(place.open_file(OFlags::RDONLY))? else {
        return Ok(None);
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(Some(hasher.finalize()))
}

#[allow(clippy::useless_conversion, reason = "not everywhere is the count an u64 already")]
fn link_count(stat: &Stat) -> u64 {
    stat.st_nlink.into()
}

/// Makes a refusal a value.
fn readable<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        result => result.map(Some),
    }
}

fn diff_entry(path: &Path, left: &Entry, right: &Entry, what: Compare, lines: &mut Vec<String>) {
    fn field<T: PartialEq + Debug>(name: &str, left: &T, right: &T) -> Option<String> {
        (left != right).then(|| format!("{name} {left:?} is not {right:?}"))
    }
    if left.kind != right.kind {
        lines.push(format!("{path:?}: {:?} is not {:?}", left.kind, right.kind));
        return;
    }
    let octal = |entry: &Entry| format!("{:04o}", entry.mode);
    let fields = [
        (left.mode != right.mode).then(|| format!("mode {} is not {}", octal(left), octal(right))),
        field("uid", &left.uid, &right.uid),
        field("gid", &left.gid, &right.gid),
        field("size", &left.size, &right.size),
        field("mtime", &left.mtime, &right.mtime),
        field("rdev", &left.rdev, &right.rdev),
        field("target", &left.target, &right.target),
        field("content", &left.content, &right.content),
        diff_xattrs(&left.xattrs, &right.xattrs),
        (what.inodes).then(|| field("inode", &left.inode, &right.inode)).flatten(),
    ];
    lines.extend(fields.into_iter().flatten().map(|field| format!("{path:?}: {field}")));
}

fn diff_xattrs(left: &Xattrs, right: &Xattrs) -> Option<String> {
    let mut differing: BTreeMap<_, _> = left.iter().collect();
    differing.retain(|name, value| right.get(*name) != Some(value));
    let mut others: BTreeMap<_, _> = right.iter().collect();
    others.retain(|name, value| left.get(*name) != Some(value));
    let same = differing.is_empty() && others.is_empty();
    (!same).then(|| format!("xattrs {differing:?} are not {others:?}"))
}

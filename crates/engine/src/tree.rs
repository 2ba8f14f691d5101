//! Who yields entries and opens files: the one seam to where a source lives.

use linksnap_inode::content::Bytes;
use linksnap_inode::{DirFd, Fault, Names, RegularFile, Stat, Xattrs};

/// A tree to be read. Nothing in it is ever written.
pub trait Tree: Sync {
    /// Its directories.
    type Dir: TreeDir;

    /// Opens the directory at `path`, relative to the root; no symbolic link is followed.
    fn open(&self, path: &[u8]) -> Result<Self::Dir, Fault>;
}

/// An open directory of a tree.
pub trait TreeDir {
    /// Its files.
    type File: TreeFile;

    /// Metadata of the directory itself.
    fn stat(&self) -> Result<Stat, Fault>;
    /// All names.
    fn names(&self) -> Result<Names, Fault>;
    /// Metadata of an entry, of a symbolic link its own.
    fn stat_entry(&self, name: &[u8]) -> Result<Stat, Fault>;
    /// Opens a regular file; never waits for anything else.
    fn open_file(&self, name: &[u8]) -> Result<Self::File, Fault>;
    /// The text of a symbolic link.
    fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Fault>;
    /// Extended attributes of an entry; `None`: of the directory itself.
    fn xattrs(&self, name: Option<&[u8]>) -> Result<Xattrs, Fault>;
    /// The directory on this machine, if it is on this machine.
    fn local(&self) -> Option<&DirFd>;
}

/// An open file of a tree.
pub trait TreeFile: Bytes {
    /// Metadata of the file as it is now.
    fn stat(&self) -> Result<Stat, Fault>;
    /// Its extended attributes.
    fn xattrs(&self) -> Result<Xattrs, Fault>;
}

/// A tree on this machine.
#[derive(Debug)]
pub struct LocalTree {
    root: DirFd,
}

impl LocalTree {
    /// The tree below an open directory.
    #[must_use]
    pub fn new(root: DirFd) -> Self {
        Self { root }
    }

    /// The directory that all paths begin at.
    #[must_use]
    pub fn root(&self) -> &DirFd {
        &self.root
    }
}

impl Tree for LocalTree {
    type Dir = DirFd;

    fn open(&self, path: &[u8]) -> Result<DirFd, Fault> {
        self.root.open_beneath(path)
    }
}

impl TreeDir for DirFd {
    type File = RegularFile;

    fn stat(&self) -> Result<Stat, Fault> {
        Self::stat(self)
    }

    fn names(&self) -> Result<Names, Fault> {
        Self::names(self)
    }

    fn stat_entry(&self, name: &[u8]) -> Result<Stat, Fault> {
        Self::stat_entry(self, name)
    }

    fn open_file(&self, name: &[u8]) -> Result<RegularFile, Fault> {
        Self::open_file(self, name)
    }

    fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Fault> {
        Self::read_link(self, name)
    }

    fn xattrs(&self, name: Option<&[u8]>) -> Result<Xattrs, Fault> {
        match name {
            Some(name) => Xattrs::read_entry(self, name),
            None => Xattrs::read(self),
        }
    }

    fn local(&self) -> Option<&DirFd> {
        Some(self)
    }
}

impl TreeFile for RegularFile {
    fn stat(&self) -> Result<Stat, Fault> {
        Self::stat(self)
    }

    fn xattrs(&self) -> Result<Xattrs, Fault> {
        Xattrs::read(self)
    }
}

//! What a path is to be: as the catalog recorded it of the source, which may be more than the snapshot could hold.

use linksnap_catalog::{CatalogError, Reader, Version};
use linksnap_inode::content::{Bytes, Extent};
use linksnap_inode::{ContentHash, DirFd, Fault, Names, RegularFile, Stat, Timestamp, Xattrs};

use super::owners::Owners;
use crate::tree::{TreeDir, TreeFile};

/// All that an entry is to be; its content is in the snapshot.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Kind, attributes, owner as mapped, size; what tells inodes apart means nothing here.
    pub stat: Stat,
    /// Extended attributes, the owners in ACLs mapped.
    pub xattrs: Xattrs,
    /// Text of a symbolic link.
    pub target: Option<Box<[u8]>>,
    /// Hash of a file's bytes, if anyone has witnessed them.
    pub hash: Option<ContentHash>,
}

impl Wanted {
    pub fn new(reader: &Reader, version: &Version, owners: &Owners) -> Result<Self, CatalogError> {
        let xattrs = version.xattrs.map(|id| reader.xattrs(id)).transpose()?.unwrap_or_default();
        Ok(Self {
            stat: stat_of(version, owners),
            xattrs: owners.of_xattrs(xattrs),
            target: version.target.clone(),
            hash: version.hash,
        })
    }

    /// The attributes with those of the stored inode that only the disk knows.
    pub fn over(&self, stored: &Stat) -> Stat {
        let Stat { size, blocks, inode, device, .. } = *stored;
        Stat { size, blocks, inode, device, ..self.stat }
    }
}

fn stat_of(version: &Version, owners: &Owners) -> Stat {
    Stat {
        kind: version.kind,
        mode: version.mode,
        uid: owners.user(version.uid),
        gid: owners.group(version.gid),
        size: version.size,
        blocks: 0,
        mtime: version.mtime,
        ctime: Timestamp::default(),
        inode: version.stored_inode,
        device: 0,
        links: 1,
        rdev: version.rdev,
        mount_root: false,
    }
}

/// A directory of the snapshot, one entry of which is seen as it was in the source.
#[derive(Debug)]
pub(super) struct Recorded<'a> {
    pub dir: &'a DirFd,
    pub wanted: &'a Wanted,
}

/// A stored file with the attributes that it had in the source.
#[derive(Debug)]
pub(super) struct RecordedFile<'a> {
    file: RegularFile,
    wanted: &'a Wanted,
}

impl<'a> TreeDir for Recorded<'a> {
    type File = RecordedFile<'a>;

    fn stat(&self) -> Result<Stat, Fault> {
        self.dir.stat()
    }

    fn names(&self) -> Result<Names, Fault> {
        self.dir.names()
    }

    fn stat_entry(&self, name: &[u8]) -> Result<Stat, Fault> {
        Ok(self.wanted.over(&self.dir.stat_entry(name)?))
    }

    fn open_file(&self, name: &[u8]) -> Result<RecordedFile<'a>, Fault> {
        Ok(RecordedFile { file: self.dir.open_file(name)?, wanted: self.wanted })
    }

    fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Fault> {
        match &self.wanted.target {
            Some(target) => Ok(target.to_vec()),
            None => self.dir.read_link(name),
        }
    }

    fn xattrs(&self, _name: Option<&[u8]>) -> Result<Xattrs, Fault> {
        Ok(self.wanted.xattrs.clone())
    }

    fn local(&self) -> Option<&DirFd> {
        Some(self.dir)
    }
}

impl Bytes for RecordedFile<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Fault> {
        self.file.read_at(buffer, offset)
    }

    fn next_extent(&self, offset: u64) -> Result<Extent, Fault> {
        self.file.next_extent(offset)
    }
}

impl TreeFile for RecordedFile<'_> {
    /// A run that links the stored inode meanwhile changes its ctime: that is no change of content.
    fn stat(&self) -> Result<Stat, Fault> {
        let stored = self.file.stat()?;
        Ok(Stat { kind: stored.kind, ..self.wanted.over(&stored) })
    }

    fn xattrs(&self) -> Result<Xattrs, Fault> {
        Ok(self.wanted.xattrs.clone())
    }
}

//! One state of one path.

use linksnap_inode::{ContentHash, Kind, Timestamp};

use crate::snapshots::SnapshotId;

/// A path that is or was a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DirId(pub i64);

impl DirId {
    /// The root of every snapshot: it stands for the source machine's `/`.
    pub const ROOT: Self = Self(1);
}

/// A set of extended attributes, stored once however many inodes have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct XattrsId(pub i64);

/// One state of one path, valid for the snapshots `[first, last)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The first snapshot that has it.
    pub first: SnapshotId,
    /// The first snapshot that has it no more; `None` while it is current.
    pub last: Option<SnapshotId>,
    /// Kind of inode.
    pub kind: Kind,
    /// The twelve permission bits.
    pub mode: u16,
    /// Owner in the source.
    pub uid: u32,
    /// Group in the source.
    pub gid: u32,
    /// Size in bytes of a file's content or a symbolic link's text, else 0.
    pub size: u64,
    /// Bytes of `size` that are holes: no disk holds them.
    pub holes: u64,
    /// Modification time.
    pub mtime: Timestamp,
    /// Device number of a device node, else 0.
    pub rdev: u64,
    /// The inode in the repository that holds it; 0 for directories, which every snapshot has its own of.
    pub stored_inode: u64,
    /// Hash of a file's bytes.
    pub hash: Option<ContentHash>,
    /// Text of a symbolic link.
    pub target: Option<Box<[u8]>>,
    /// Extended attributes, if there are any.
    pub xattrs: Option<XattrsId>,
    /// Of a directory: its identity, under which its entries are filed.
    pub child: Option<DirId>,
    /// The owner or an extended attribute could not be stored: it is recorded here only.
    pub partial: bool,
    /// The hash is of the stored bytes as they were found when the catalog was rebuilt: nobody saw them copied. A run
    /// that finds the same bytes in the source is such a witness.
    pub unwitnessed: bool,
    /// The inode has other versions, under other names in other snapshots: the file was moved, or renamed.
    pub shared: bool,
    /// How much of it the snapshots hold.
    pub holding: Holding,
    /// What the source looked like.
    pub seen: Seen,
}

impl Version {
    /// The kind of the inode by which the repository holds it.
    #[must_use]
    pub fn stored_kind(&self) -> Kind {
        if self.holding == Holding::StandIn { Kind::File } else { self.kind }
    }

    /// Seen from a snapshot that has this version: does `newer`, a later one, not have it any more? Always so
    /// if there is no later one.
    #[must_use]
    pub fn is_newest_before(&self, newer: Option<SnapshotId>) -> bool {
        match (newer, self.last) {
            (None, _) => true,
            (Some(newer), Some(last)) => last <= newer,
            (Some(_), None) => false,
        }
    }
}

/// How much of an entry snapshots hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Holding {
    /// All of it.
    #[default]
    Whole,
    /// Of a directory: only some of its entries. It is a mount point that was not entered, or something in it was left
    /// out or could not be read. What else it held nobody knows.
    Partly,
    /// Of a directory: only what leads to the sources.
    OnTheWay,
    /// Of a device: an empty file stands in its place, for only root can make devices.
    StandIn,
}

/// What was observed of the source when this version was last found unchanged. Only used to tell quickly
/// that nothing has changed; renewed in place, for it says nothing about what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Inode number in the source.
    pub inode: u64,
    /// Inode change time in the source.
    pub ctime: Timestamp,
    /// The most names the source inode was ever seen to have: above 1, the stored inode may stand under
    /// several names of one snapshot.
    pub links: u32,
    /// The times were too young to prove that nothing changes unseen: read it again in the next run.
    pub racy: bool,
    /// The file changed each time it was read.
    pub changed_while_read: bool,
}

/// Kinds as `find -printf %y` writes them.
pub(crate) fn kind_letter(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "f",
        Kind::Directory => "d",
        Kind::Symlink => "l",
        Kind::Fifo => "p",
        Kind::Socket => "s",
        Kind::CharDevice => "c",
        Kind::BlockDevice => "b",
    }
}

pub(crate) fn kind_of_letter(letter: &[u8]) -> Option<Kind> {
    Some(match letter {
        b"f" => Kind::File,
        b"d" => Kind::Directory,
        b"l" => Kind::Symlink,
        b"p" => Kind::Fifo,
        b"s" => Kind::Socket,
        b"c" => Kind::CharDevice,
        b"b" => Kind::BlockDevice,
        _ => return None,
    })
}

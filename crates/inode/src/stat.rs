//! What the inode says: kind, times and the rest of `statx(2)` that linksnap stores or compares.

use rustix::fs::{FileType, Statx, StatxFlags};

use crate::fault::{Errno, Fault};

/// The kind of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl Kind {
    /// The kind for a directory entry's type; `None` where the filesystem does not tell (`DT_UNKNOWN`).
    #[must_use]
    pub fn of(file_type: FileType) -> Option<Self> {
        Some(match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::BlockDevice => Self::BlockDevice,
            _ => return None,
        })
    }

    /// The kind as rustix names it.
    #[must_use]
    pub fn file_type(self) -> FileType {
        match self {
            Self::File => FileType::RegularFile,
            Self::Directory => FileType::Directory,
            Self::Symlink => FileType::Symlink,
            Self::Fifo => FileType::Fifo,
            Self::Socket => FileType::Socket,
            Self::CharDevice => FileType::CharacterDevice,
            Self::BlockDevice => FileType::BlockDevice,
        }
    }

    /// Is it a fifo, a socket or a device?
    #[must_use]
    pub fn is_special(self) -> bool {
        !matches!(self, Self::File | Self::Directory | Self::Symlink)
    }
}

/// A point in time as filesystems keep it: whole seconds since 1970 (may be negative) and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds after that second, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// This time less a number of whole seconds.
    #[must_use]
    pub fn earlier_by(self, seconds: i64) -> Self {
        Self { seconds: self.seconds.saturating_sub(seconds), ..self }
    }

    /// Is it between 1901 and 2038, so that every filesystem can keep it? ext4 ends in 2446, XFS in 2486 or 2038.
    #[must_use]
    pub fn fits_everywhere(self) -> bool {
        i32::try_from(self.seconds).is_ok()
    }

    pub(crate) fn to_timespec(self) -> rustix::fs::Timespec {
        rustix::fs::Timespec { tv_sec: self.seconds, tv_nsec: i64::from(self.nanoseconds) }
    }
}

/// An inode's metadata, from `statx(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The kind of inode.
    pub kind: Kind,
    /// The twelve permission bits, setuid, setgid and sticky among them.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes; for directories what the filesystem likes to say.
    pub size: u64,
    /// Blocks in use, in units of 512 bytes.
    pub blocks: u64,
    /// Time of the last change of content.
    pub mtime: Timestamp,
    /// Time of the last change of the inode.
    pub ctime: Timestamp,
    /// Inode number.
    pub inode: u64,
    /// Device of the filesystem, major and minor packed as in `makedev(3)`.
    pub device: u64,
    /// Number of names.
    pub links: u32,
    /// Device number of a device node, else 0.
    pub rdev: u64,
    /// Is this the root of a mount (`STATX_ATTR_MOUNT_ROOT`)?
    pub mount_root: bool,
}

impl Stat {
    /// What `statx` is asked for.
    pub(crate) const MASK: StatxFlags = StatxFlags::BASIC_STATS;

    pub(crate) fn from_statx(statx: &Statx, op: &'static str) -> Result<Self, Fault> {
        let raw = u32::from(statx.stx_mode);
        let kind = Kind::of(FileType::from_raw_mode(raw)).ok_or(Fault::new(op, Errno::NOTSUP))?;
        Ok(Self {
            kind,
            mode: statx.stx_mode & 0o7777,
            uid: statx.stx_uid,
            gid: statx.stx_gid,
            size: statx.stx_size,
            blocks: statx.stx_blocks,
            mtime: timestamp(&statx.stx_mtime),
            ctime: timestamp(&statx.stx_ctime),
            inode: statx.stx_ino,
            device: rustix::fs::makedev(statx.stx_dev_major, statx.stx_dev_minor),
            links: statx.stx_nlink,
            rdev: rustix::fs::makedev(statx.stx_rdev_major, statx.stx_rdev_minor),
            mount_root: statx.stx_attributes.contains(rustix::fs::StatxAttributes::MOUNT_ROOT),
        })
    }

    /// Do fewer blocks hold this file than its size needs, so that it has holes?
    #[must_use]
    pub fn has_holes(&self) -> bool {
        self.kind == Kind::File && self.blocks.saturating_mul(512) < self.size
    }

    /// What tells one inode from another on a running machine.
    #[must_use]
    pub fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

pub(crate) fn timestamp(time: &rustix::fs::StatxTimestamp) -> Timestamp {
    Timestamp { seconds: time.tv_sec, nanoseconds: time.tv_nsec }
}

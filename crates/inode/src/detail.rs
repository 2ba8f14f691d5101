//! All that the kernel tells of one inode: for showing it to people. What is compared by the thousand is in
//! [`Stat`].

use rustix::fs::{AtFlags, OFlags, StatxFlags};

use crate::fault::{Fault, Op};
use crate::handle::Handle;
use crate::stat::{Kind, Stat, Timestamp, timestamp};

/// An inode's metadata, from `statx(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail {
    /// What every inode has.
    pub stat: Stat,
    /// Time of the last access, as far as the mount keeps it.
    pub accessed: Timestamp,
    /// When it was made, where the filesystem keeps that.
    pub born: Option<Timestamp>,
    /// What to read and write at once, in bytes.
    pub io_bytes: u32,
    /// Those of the flags that `statx` knows.
    pub flags: Flags,
    /// Is something mounted here at the first visit (`autofs(5)`)?
    pub mounts_on_visit: bool,
    /// The number of the mount it was reached by, as in `/proc/self/mountinfo` (since Linux 5.8).
    pub mount: Option<u64>,
}

impl Handle {
    /// All that `statx` tells.
    pub fn detail(&self) -> Result<Detail, Fault> {
        let op = "read the attributes of";
        let mask = Stat::MASK | StatxFlags::BTIME | StatxFlags::MNT_ID;
        let statx = rustix::fs::statx(&self.fd, c"", AtFlags::EMPTY_PATH, mask).op(op)?;
        let known = StatxFlags::from_bits_retain(statx.stx_mask);
        let attributes = statx.stx_attributes;
        Ok(Detail {
            stat: Stat::from_statx(&statx, op)?,
            accessed: timestamp(&statx.stx_atime),
            born: known.contains(StatxFlags::BTIME).then(|| timestamp(&statx.stx_btime)),
            io_bytes: statx.stx_blksize,
            flags: Flags::of_attributes(attributes.bits()),
            mounts_on_visit: attributes.contains(rustix::fs::StatxAttributes::AUTOMOUNT),
            mount: known.contains(StatxFlags::MNT_ID).then_some(statx.stx_mnt_id),
        })
    }

    /// All flags, as `lsattr(1)` has them (`FS_IOC_GETFLAGS`, `ioctl_iflags(2)`). `None` where there are none to be had:
    /// not of symbolic links and special files, not on every filesystem, and not of what may not be read.
    #[must_use]
    pub fn flags(&self) -> Option<Flags> {
        let more = match self.stat().ok()?.kind {
            Kind::File => OFlags::empty(),
            Kind::Directory => OFlags::DIRECTORY,
            _ => return None,
        };
        let fd = self.reopen(more).ok()?;
        Some(Flags { bits: rustix::fs::ioctl_getflags(&fd).ok()?.bits() })
    }
}

/// What `chattr(1)` can say of an inode, and what the filesystem says by the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    bits: u32,
}

/// One of [`Flags`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    bit: u32,
    /// Its letter in `lsattr(1)`.
    pub letter: char,
    /// A word for it.
    pub word: &'static str,
}

/// It cannot be changed, removed, renamed or linked (`FS_IMMUTABLE_FL`).
const IMMUTABLE: u32 = 0x10;
/// It can be written at its end only, and not be removed, renamed or linked (`FS_APPEND_FL`).
const APPEND: u32 = 0x20;

/// `FS_…_FL` of `linux/fs.h`, in the order of `lsattr`.
const FLAGS: &[Flag] = &[
    flag(0x0000_0001, 's', "secure-deletion"),
    flag(0x0000_0002, 'u', "undeletable"),
    flag(0x0000_0008, 'S', "synchronous"),
    flag(0x0001_0000, 'D', "synchronous-directory"),
    flag(IMMUTABLE, 'i', "immutable"),
    flag(APPEND, 'a', "append-only"),
    flag(0x0000_0040, 'd', "no-dump"),
    flag(0x0000_0080, 'A', "no-access-times"),
    flag(0x0000_0004, 'c', "compressed"),
    flag(0x0000_0800, 'E', "encrypted"),
    flag(0x0000_4000, 'j', "data-journal"),
    flag(0x0000_1000, 'I', "indexed-directory"),
    flag(0x0000_8000, 't', "no-tail"),
    flag(0x0002_0000, 'T', "top-directory"),
    flag(0x0008_0000, 'e', "extents"),
    flag(0x0080_0000, 'C', "no-copy-on-write"),
    flag(0x0200_0000, 'x', "direct-access"),
    flag(0x4000_0000, 'F', "case-folding"),
    flag(0x1000_0000, 'N', "inline-data"),
    flag(0x2000_0000, 'P', "project-inherited"),
    flag(0x0010_0000, 'V', "verity"),
    flag(0x0000_0400, 'm', "not-compressed"),
];

const fn flag(bit: u32, letter: char, word: &'static str) -> Flag {
    Flag { bit, letter, word }
}

impl Flags {
    /// The bits of `stx_attributes` are those of `FS_IOC_GETFLAGS`, as far as both know them (`statx(2)`).
    fn of_attributes(attributes: u64) -> Self {
        const SAME: u64 = 0x0010_0874;
        Self { bits: u32::try_from(attributes & SAME).unwrap_or(0) }
    }

    /// The ones that are set, in the order of `lsattr`.
    pub fn iter(self) -> impl Iterator<Item = &'static Flag> {
        FLAGS.iter().filter(move |flag| self.bits & flag.bit != 0)
    }

    /// Nobody may change, remove, rename or link it.
    #[must_use]
    pub fn is_immutable(self) -> bool {
        self.bits & IMMUTABLE != 0
    }

    /// Nobody may remove, rename or link it, or write anywhere but at its end.
    #[must_use]
    pub fn is_append_only(self) -> bool {
        self.bits & APPEND != 0
    }

    /// The word for what keeps the inode from being linked or removed; `None` if nothing does.
    #[must_use]
    pub fn barrier(self) -> Option<&'static str> {
        match (self.is_immutable(), self.is_append_only()) {
            (true, _) => Some("immutable"),
            (_, true) => Some("append-only"),
            _ => None,
        }
    }
}

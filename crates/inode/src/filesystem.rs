//! What kind of filesystem a directory is on, and what may be relied on there.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, StatFs, StatxFlags};

use crate::dir::DirFd;
use crate::fault::{Errno, Fault, Op};
use crate::file::RegularFile;
use crate::stat::Timestamp;
use crate::xattr::Xattrs;

/// A filesystem as `statfs(2)` describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filesystem {
    magic: u64,
    /// Size of a block in bytes: what a file takes is a multiple of it.
    pub block: u64,
    /// Free bytes for unprivileged users.
    pub free_bytes: u64,
    /// Bytes that hold nothing, those that only root may use among them.
    pub unused_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
    /// Free inodes; 0 of 0 where they are made as needed (btrfs).
    pub free_inodes: u64,
    /// All inodes.
    pub total_inodes: u64,
}

/// Magic numbers of `statfs(2)` and `linux/magic.h` with the names people use.
const KINDS: &[(u64, &str, Nature)] = &[
    (0xEF53, "ext4", Nature::Disk { links: Some(65_000) }),
    (0x5846_5342, "xfs", Nature::Disk { links: None }),
    (0x9123_683E, "btrfs", Nature::Disk { links: Some(65_535) }),
    (0xF2F5_2010, "f2fs", Nature::Disk { links: None }),
    (0xCA45_1A4E, "bcachefs", Nature::Disk { links: None }),
    (0x2FC1_2FC1, "zfs", Nature::Disk { links: None }),
    (0x0102_1994, "tmpfs", Nature::Disk { links: None }),
    (0x8584_58F6, "ramfs", Nature::Disk { links: None }),
    (0x794C_7630, "overlay", Nature::NoBarrier),
    (0x6573_5546, "fuse", Nature::NoBarrier),
    (0x6969, "nfs", Nature::NoBarrier),
    (0xFF53_4D42, "cifs", Nature::NoBarrier),
    (0xFE53_4D42, "smb3", Nature::NoBarrier),
    (0x517B, "smb", Nature::NoBarrier),
    (0x00C3_6400, "ceph", Nature::NoBarrier),
    (0x0102_1997, "9p", Nature::NoBarrier),
    (0x4D44, "vfat", Nature::NoLinks),
    (0x2011_BAB0, "exfat", Nature::NoLinks),
    (0x9660, "iso9660", Nature::NoLinks),
    (0x7371_7368, "squashfs", Nature::NoLinks),
    (0x9FA0, "proc", Nature::Pseudo),
    (0x6265_6572, "sysfs", Nature::Pseudo),
    (0x0027_E0EB, "cgroup", Nature::Pseudo),
    (0x6367_7270, "cgroup2", Nature::Pseudo),
    (0x6462_6720, "debugfs", Nature::Pseudo),
    (0x7472_6163, "tracefs", Nature::Pseudo),
    (0x7363_6673, "securityfs", Nature::Pseudo),
    (0xCAFE_4A11, "bpf", Nature::Pseudo),
    (0x6265_6570, "configfs", Nature::Pseudo),
    (0x6165_676C, "pstore", Nature::Pseudo),
    (0x1980_0202, "mqueue", Nature::Pseudo),
    (0x9584_58F6, "hugetlbfs", Nature::Pseudo),
    (0x1CD1, "devpts", Nature::Pseudo),
    (0x6E73_6673, "nsfs", Nature::Pseudo),
    (0xDE5E_81E4, "efivarfs", Nature::Pseudo),
    (0x6573_5543, "fusectl", Nature::Pseudo),
    (0x4249_4E4D, "binfmt_misc", Nature::Pseudo),
    (0xF97C_FF8C, "selinuxfs", Nature::Pseudo),
    (0x0187, "autofs", Nature::Pseudo),
    (0x6759_6969, "rpc_pipefs", Nature::Pseudo),
];

/// What a filesystem is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Hard links, atomic renames and a `syncfs` that is a barrier. `links`: most names of one inode, where
    /// a limit is known.
    Disk {
        /// Most names that one inode can have.
        links: Option<u32>,
    },
    /// Links may work, but `syncfs` promises nothing about the disk, or renames differ.
    NoBarrier,
    /// No hard links.
    NoLinks,
    /// Not files but the kernel talking.
    Pseudo,
    /// Not in the table.
    Unknown,
}

impl Filesystem {
    /// The filesystem that an open file or directory is on.
    pub fn of(file: impl AsFd) -> Result<Self, Fault> {
        rustix::fs::fstatfs(file).map(|statfs| Self::from_statfs(&statfs)).op("ask the filesystem of")
    }

    /// The filesystem that a path is on, symbolic links followed. Nothing is opened, so that the right to search the
    /// directories on the way is enough.
    pub fn at(path: &Path) -> Result<Self, Fault> {
        rustix::fs::statfs(path).map(|statfs| Self::from_statfs(&statfs)).op("ask the filesystem of")
    }

    fn from_statfs(statfs: &StatFs) -> Self {
        let block = u64::try_from(statfs.f_bsize).unwrap_or(0);
        // What is counted in; FUSE says something else than the size it likes to be read in.
        let unit = u64::try_from(statfs.f_frsize).ok().filter(|unit| *unit > 0).unwrap_or(block);
        Self {
            // The kernel's magic numbers have 32 bits; the field is wider and signed on some machines.
            magic: u64::from_ne_bytes(statfs.f_type.to_ne_bytes()) & 0xFFFF_FFFF,
            block,
            free_bytes: statfs.f_bavail.saturating_mul(unit),
            unused_bytes: statfs.f_bfree.saturating_mul(unit),
            total_bytes: statfs.f_blocks.saturating_mul(unit),
            free_inodes: statfs.f_ffree,
            total_inodes: statfs.f_files,
        }
    }

    fn row(&self) -> Option<&'static (u64, &'static str, Nature)> {
        KINDS.iter().find(|(magic, ..)| *magic == self.magic)
    }

    /// Its usual name; the magic number in hexadecimal where it has none here.
    #[must_use]
    pub fn name(&self) -> String {
        self.row().map_or_else(|| format!("0x{:x}", self.magic), |(_, name, _)| (*name).to_owned())
    }

    /// What it is good for.
    #[must_use]
    pub fn nature(&self) -> Nature {
        self.row().map_or(Nature::Unknown, |(.., nature)| *nature)
    }

    /// Does a byte of content always take a byte of its room? Some compress, or share what is equal; of others nobody
    /// knows what they do.
    #[must_use]
    pub fn stores_every_byte(&self) -> bool {
        matches!(self.name().as_str(), "ext4" | "xfs" | "tmpfs")
    }

    /// Does renaming become durable only with `syncfs`, not with `fsync` of the directories?
    fn renames_need_full_sync(&self) -> bool {
        self.name() == "btrfs"
    }
}

/// Makes renames between two directories durable: `fsync(2)` of both, and where that does not promise it (btrfs) the
/// whole filesystem.
pub fn sync_renames(from: &DirFd, to: &DirFd) -> Result<(), Fault> {
    if Filesystem::of(to)?.renames_need_full_sync() {
        return to.sync_filesystem();
    }
    to.sync()?;
    from.sync()
}

/// What trying things out in a directory has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate finding")]
pub struct Abilities {
    /// A file can have two names.
    pub hard_links: bool,
    /// A symbolic link can have two names.
    pub symlink_links: bool,
    /// `renameat2` with `RENAME_NOREPLACE`.
    pub rename_noreplace: bool,
    /// Directory reads give the inode numbers that `stat` gives.
    pub true_inode_numbers: bool,
    /// Extended attributes of users.
    pub xattrs: bool,
    /// Owner changes (needs root).
    pub owners: bool,
    /// Symbolic links.
    pub symlinks: bool,
    /// POSIX ACLs.
    pub acls: bool,
    /// Are names that differ in case different names?
    pub case_sensitive: bool,
    /// Can files share their blocks (`FICLONE`)?
    pub reflinks: bool,
    /// The smallest difference of two times, in nanoseconds.
    pub time_step: u64,
}

impl Abilities {
    /// What is assumed of a filesystem on which nothing was tried.
    pub const ASSUMED: Self = Self {
        hard_links: true,
        symlink_links: true,
        rename_noreplace: true,
        true_inode_numbers: true,
        xattrs: true,
        owners: true,
        symlinks: true,
        acls: true,
        case_sensitive: true,
        reflinks: true,
        time_step: 1,
    };

    /// The directory in which things are tried out, and which a probe that died leaves behind.
    pub const PROBE: &[u8] = b".linksnap-probe";

    /// Tries each ability out in `dir` with files of its own, which are removed again.
    pub fn probe(dir: &DirFd) -> Result<Self, Fault> {
        let name = Self::PROBE;
        match dir.make_dir(name) {
            Ok(()) => {}
            Err(fault) if fault.is(Errno::EXIST) => clear_probe(dir, name)?,
            Err(fault) => return Err(fault),
        }
        let result = dir.open_dir(name).and_then(|inside| probe_in(&inside));
        clear(dir, name)?;
        result
    }
}

fn clear_probe(dir: &DirFd, name: &[u8]) -> Result<(), Fault> {
    clear(dir, name)?;
    dir.make_dir(name)
}

fn clear(dir: &DirFd, name: &[u8]) -> Result<(), Fault> {
    let inside = dir.open_dir(name)?;
    for entry in inside.names()?.iter() {
        inside.unlink(entry.bytes)?;
    }
    dir.remove_dir(name)
}

fn probe_in(dir: &DirFd) -> Result<Abilities, Fault> {
    let file = dir.create_file(b"a")?;
    let hard_links = dir.link(b"a", dir, b"b").is_ok();
    let symlinks = dir.make_symlink(b"s", b"target").is_ok();
    let xattrs: Xattrs = [(b"user.linksnap".to_vec(), b"1".to_vec())].into_iter().collect();
    let inode = file.stat()?.inode;
    let rename_noreplace = dir.rename_noreplace(b"a", dir, b"c").is_ok();
    let names = dir.names()?;
    let is_true = |name: crate::Name<'_>| name.bytes == b"c" && name.inode == inode && name.kind.is_some();
    Ok(Abilities {
        hard_links,
        symlinks,
        symlink_links: symlinks && dir.link(b"s", dir, b"t").is_ok(),
        rename_noreplace,
        true_inode_numbers: names.iter().any(is_true),
        case_sensitive: [b"A", b"C"].iter().all(|name| is_missing(dir.stat_entry(*name))),
        reflinks: can_share_blocks(dir, &file),
        xattrs: xattrs.write(&file).is_ok(),
        acls: some_acl().write(&file).is_ok(),
        // Whoever is no root can give a file to himself, and may be called nobody.
        owners: crate::limits::is_root() && file.set_owner(Some(65_534), Some(65_534)).is_ok(),
        time_step: time_step(&file)?,
    })
}

fn is_missing<T>(found: Result<T, Fault>) -> bool {
    found.is_err_and(|fault| fault.is(Errno::NOENT))
}

/// A file with other permissions for one user than for the owner, as `acl(5)` is stored in `linux/posix_acl_xattr.h`:
/// version, and for each entry tag, permissions and id.
fn some_acl() -> Xattrs {
    const NOBODY: u32 = 65_534;
    const NO_ID: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] =
        [(0x01, 6, NO_ID), (0x02, 4, NOBODY), (0x04, 4, NO_ID), (0x10, 4, NO_ID), (0x20, 0, NO_ID)];
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        value.extend(tag.to_le_bytes().into_iter().chain(permissions.to_le_bytes()).chain(id.to_le_bytes()));
    }
    [(b"system.posix_acl_access".to_vec(), value)].into_iter().collect()
}

/// Clones a block (`FICLONE`, `ioctl_ficlone(2)`).
fn can_share_blocks(dir: &DirFd, file: &RegularFile) -> bool {
    let cloned = file.write_at(&[1; 4096], 0).and_then(|()| dir.create_file(b"r"));
    cloned.is_ok_and(|clone| rustix::fs::ioctl_ficlone(&clone, file).is_ok())
}

/// An odd second with nine digits behind it: what comes back tells how fine the clock is.
fn time_step(file: &RegularFile) -> Result<u64, Fault> {
    const STEPS: [u64; 5] = [1, 100, 1_000, 1_000_000, 10_000_000];
    const SECOND: u64 = 1_000_000_000;
    let time = Timestamp { seconds: 1_000_000_001, nanoseconds: 123_456_789 };
    let kept = file.set_mtime(time).and_then(|()| file.stat())?.mtime;
    let rounded = |step: u64| u64::from(time.nanoseconds) / step * step == u64::from(kept.nanoseconds);
    Ok(match STEPS.into_iter().find(|step| rounded(*step)) {
        Some(step) if kept.seconds == time.seconds => step,
        _ if kept.seconds == time.seconds => SECOND,
        _ => 2 * SECOND,
    })
}

/// What tells one directory from all others, on this machine and on others, as long as its filesystem lives: its inode
/// number, and when it was made there (`statx(2)`, `STATX_BTIME`). Neither mounting elsewhere nor copying the filesystem
/// block by block changes it; a copy of the files has another. A device number says nothing after the next start of the
/// machine, and not every filesystem tells its UUID (`f_fsid` of XFS is a device number).
///
/// `None` where it does not mean that: on network and stacked filesystems, and where nobody knows when a file was made.
pub fn home(dir: &DirFd) -> Result<Option<String>, Fault> {
    if !matches!(Filesystem::of(dir)?.nature(), Nature::Disk { .. }) {
        return Ok(None);
    }
    let mask = StatxFlags::INO | StatxFlags::BTIME;
    let statx = rustix::fs::statx(dir, c"", AtFlags::EMPTY_PATH, mask).op("read the attributes of")?;
    let known = StatxFlags::from_bits_retain(statx.stx_mask).contains(mask);
    let born = statx.stx_btime;
    Ok(known.then(|| format!("inode {}, made {}.{:09}", statx.stx_ino, born.tv_sec, born.tv_nsec)))
}

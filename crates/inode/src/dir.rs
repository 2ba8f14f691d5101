//! Directories as file descriptors: every access to a tree starts from one of these.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    Access, AtFlags, Gid, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, SeekFrom, StatxFlags, Timestamps,
    Uid,
};

use crate::fault::{Errno, Fault, Op};
use crate::file::RegularFile;
use crate::names::Names;
use crate::stat::{Kind, Stat, Timestamp};

const OPEN_DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Without waiting for a fifo or a device that came in a file's place.
const OPEN_FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// The longest path handed to the kernel at once; longer ones are walked in pieces (`PATH_MAX` is 4,096).
const LONGEST_STEP: usize = 4000;

/// What is done with a symbolic link at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// The link itself is meant.
    AsItIs,
    /// What it leads to is meant.
    Followed,
}

/// An open directory.
#[derive(Debug)]
pub struct DirFd {
    fd: OwnedFd,
}

impl AsFd for DirFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl DirFd {
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Opens a directory by an ambient path, following symbolic links: only for the roots that a user names.
    pub fn open_root(path: &Path) -> Result<Self, Fault> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).op("open directory")?;
        Ok(Self { fd })
    }

    /// Opens the sub-directory `name`, which must not be a symbolic link.
    pub fn open_dir(&self, name: &[u8]) -> Result<Self, Fault> {
        let op = "open directory";
        let open = |flags| rustix::fs::openat(&self.fd, name, flags, Mode::empty());
        // Reading a source must not change its access times; only the owner or root may ask for that.
        let fd = match open(OPEN_DIRECTORY | OFlags::NOATIME) {
            Err(Errno::PERM) => open(OPEN_DIRECTORY),
            other => other,
        };
        Ok(Self { fd: fd.op(op)? })
    }

    /// Opens the directory at `path` below this one: no symbolic link is followed on the way and nothing
    /// outside is reached (`openat2(2)` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`). The empty path is
    /// this directory itself. The path may be longer than `PATH_MAX`.
    pub fn open_beneath(&self, path: &[u8]) -> Result<Self, Fault> {
        self.open_steps(path, ResolveFlags::empty())
    }

    /// As [`open_beneath`](Self::open_beneath), but fails with `EXDEV` instead of entering what is mounted on the way
    /// (`RESOLVE_NO_XDEV`): for trees of our own.
    pub fn open_within(&self, path: &[u8]) -> Result<Self, Fault> {
        self.open_steps(path, ResolveFlags::NO_XDEV)
    }

    fn open_steps(&self, path: &[u8], more: ResolveFlags) -> Result<Self, Fault> {
        if path.is_empty() {
            return self.reopen();
        }
        let mut reached: Option<Self> = None;
        for step in steps(path) {
            let from = reached.as_ref().unwrap_or(self);
            let next = from.open_step(step, more)?;
            reached = Some(next);
        }
        reached.ok_or(Fault::new("open directory", Errno::INVAL))
    }

    fn open_step(&self, path: &[u8], more: ResolveFlags) -> Result<Self, Fault> {
        let op = "open directory";
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | more;
        let mut flags = OPEN_DIRECTORY | OFlags::NOATIME;
        loop {
            match rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                Ok(fd) => return Ok(Self { fd }),
                // A rename anywhere on the system raced with the lookup: `openat2(2)` says to try again.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::PERM) if flags.contains(OFlags::NOATIME) => {
                    flags.remove(OFlags::NOATIME);
                }
                Err(errno) => return Err(Fault::new(op, errno)),
            }
        }
    }

    /// Another descriptor of this directory with a reading position of its own.
    pub fn reopen(&self) -> Result<Self, Fault> {
        self.open_dir(b".")
    }

    /// Reads all names from the start, in the filesystem's order.
    pub fn names(&self) -> Result<Names, Fault> {
        let op = "read directory";
        rustix::fs::seek(&self.fd, SeekFrom::Start(0)).op(op)?;
        let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
        let mut entries = RawDir::new(&self.fd, &mut buffer);
        let mut names = Names::with_usual_room();
        while let Some(entry) = entries.next() {
            let entry = entry.op(op)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name, entry.ino(), Kind::of(entry.file_type()));
            }
        }
        Ok(names)
    }

    /// The same, sorted by name.
    pub fn sorted_names(&self) -> Result<Names, Fault> {
        let mut names = self.names()?;
        names.sort_by_name();
        Ok(names)
    }

    /// The metadata of the directory itself.
    pub fn stat(&self) -> Result<Stat, Fault> {
        let op = "read the attributes of";
        let statx = rustix::fs::statx(&self.fd, c"", AtFlags::EMPTY_PATH, Stat::MASK).op(op)?;
        Stat::from_statx(&statx, op)
    }

    /// The metadata of the entry `name`; of a symbolic link its own. Never triggers an automount.
    pub fn stat_entry(&self, name: &[u8]) -> Result<Stat, Fault> {
        let op = "read the attributes of";
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let statx = rustix::fs::statx(&self.fd, name, flags, Stat::MASK).op(op)?;
        Stat::from_statx(&statx, op)
    }

    /// The metadata of what `path`, seen from this directory, leads to: symbolic links are followed as the kernel does.
    /// Only looks: what it leads to is not opened.
    pub fn stat_target(&self, path: &[u8]) -> Result<Stat, Fault> {
        let op = "follow";
        let statx = rustix::fs::statx(&self.fd, path, AtFlags::NO_AUTOMOUNT, Stat::MASK).op(op)?;
        Stat::from_statx(&statx, op)
    }

    /// The path of this directory as the kernel knows it: absolute, and without a symbolic link on the way (`/proc/self/fd`,
    /// `proc_pid_fd(5)`). `ENOENT` if the directory was removed, `EXDEV` if it is outside the root of this process.
    pub fn real_path(&self) -> Result<Vec<u8>, Fault> {
        real_path(&self.fd)
    }

    /// Where `path`, seen from this directory, leads, symbolic links followed: the real path of what is there, as
    /// [`real_path`](Self::real_path) tells it. It is not opened for reading.
    pub fn real_target(&self, path: &[u8]) -> Result<Vec<u8>, Fault> {
        let fd = rustix::fs::openat(&self.fd, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        real_path(fd.op("follow")?)
    }

    /// The metadata of what `path` leads to for a process that has this directory as its root (`chroot(2)`): absolute
    /// symbolic links and `..` stay within it (`openat2(2)`, `RESOLVE_IN_ROOT`).
    pub fn stat_in_root(&self, path: &[u8]) -> Result<Stat, Fault> {
        let op = "follow";
        let fd = self.open_in_root(path, OFlags::PATH).op(op)?;
        let statx = rustix::fs::statx(&fd, c"", AtFlags::EMPTY_PATH, Stat::MASK).op(op)?;
        Stat::from_statx(&statx, op)
    }

    /// Opens the directory at `path` as a process would that has this directory as its root.
    pub fn open_dir_in_root(&self, path: &[u8]) -> Result<Self, Fault> {
        let fd = self.open_in_root(path, OFlags::RDONLY | OFlags::DIRECTORY);
        Ok(Self { fd: fd.op("open directory")? })
    }

    fn open_in_root(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// Which mount `path`, seen from this directory, is on ([`Mount::id`](crate::mounts::Mount::id); `statx(2)`,
    /// `STATX_MNT_ID`, Linux 5.8); the empty path is this directory itself.
    pub fn mount_of(&self, path: &[u8], last: Last) -> Result<u64, Fault> {
        let op = "find the mount of";
        let flags = AtFlags::NO_AUTOMOUNT | AtFlags::EMPTY_PATH;
        let flags = match last {
            Last::AsItIs => flags | AtFlags::SYMLINK_NOFOLLOW,
            Last::Followed => flags,
        };
        let statx = rustix::fs::statx(&self.fd, path, flags, StatxFlags::MNT_ID).op(op)?;
        match StatxFlags::from_bits_retain(statx.stx_mask).contains(StatxFlags::MNT_ID) {
            true => Ok(statx.stx_mnt_id),
            false => Err(Fault::new(op, Errno::NOSYS)),
        }
    }

    /// Opens the file `name` for reading, without following a symbolic link and without waiting for a fifo or
    /// device. What was opened is for the caller to look at: another kind may have come in its place.
    pub fn open_file(&self, name: &[u8]) -> Result<RegularFile, Fault> {
        let op = "open";
        let open = |flags| rustix::fs::openat(&self.fd, name, flags, Mode::empty());
        let fd = match open(OPEN_FILE | OFlags::NOATIME) {
            Err(Errno::PERM) => open(OPEN_FILE),
            other => other,
        };
        Ok(RegularFile::from_fd(fd.op(op)?))
    }

    /// Opens the file at `path` below this directory for reading, as [`open_file`](Self::open_file) does, without following
    /// a symbolic link on the way or entering what is mounted there (`openat2(2)`, as [`open_within`](Self::open_within)):
    /// for many files in the order of their inodes, where each is in another directory.
    pub fn open_file_within(&self, path: &[u8]) -> Result<RegularFile, Fault> {
        if path.len() > LONGEST_STEP {
            let (parent, name) = crate::path::split(path);
            return self.open_within(parent)?.open_file(name);
        }
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        let mut flags = OPEN_FILE | OFlags::NOATIME;
        loop {
            match rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                Ok(fd) => return Ok(RegularFile::from_fd(fd)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::PERM) if flags.contains(OFlags::NOATIME) => flags.remove(OFlags::NOATIME),
                Err(errno) => return Err(Fault::new("open", errno)),
            }
        }
    }

    /// Opens for writing what the magic link `name` of `/proc/PID/fd` leads to, without waiting for anything: the very
    /// inode, whether it has a name or not (`proc_pid_fd(5)`). What was opened is for the caller to look at.
    pub fn open_target_to_write(&self, name: &[u8]) -> Result<RegularFile, Fault> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty());
        Ok(RegularFile::from_fd(fd.op("open for writing")?))
    }

    /// Creates the regular file `name`, mode 0600, which must not exist; open for writing.
    pub fn create_file(&self, name: &[u8]) -> Result<RegularFile, Fault> {
        let flags = OFlags::RDWR
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::NOATIME
            | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR);
        Ok(RegularFile::from_fd(fd.op("create")?))
    }

    /// An `O_PATH` descriptor of any entry: it names the inode and opens nothing.
    pub(crate) fn open_path(&self, name: &[u8]) -> Result<OwnedFd, Fault> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::empty()).op("open")
    }

    /// Makes the directory `name`, mode 0700.
    pub fn make_dir(&self, name: &[u8]) -> Result<(), Fault> {
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU).op("make directory")
    }

    /// Makes the symbolic link `name` with the text `target`.
    pub fn make_symlink(&self, name: &[u8], target: &[u8]) -> Result<(), Fault> {
        rustix::fs::symlinkat(target, &self.fd, name).op("make symbolic link")
    }

    /// Makes a fifo, socket or device node, mode 0600.
    pub fn make_node(&self, name: &[u8], kind: Kind, rdev: u64) -> Result<(), Fault> {
        rustix::fs::mknodat(&self.fd, name, kind.file_type(), Mode::RUSR | Mode::WUSR, rdev)
            .op("make special file")
    }

    /// Gives the owner of the sub-directory `name` all rights to it. It need not be open to him; a symbolic link is not
    /// followed.
    pub fn unlock_entry(&self, name: &[u8]) -> Result<(), Fault> {
        let op = "set the mode of";
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).op(op)?;
        rustix::fs::chmodat(rustix::fs::CWD, magic_link(&fd), Mode::RWXU, AtFlags::empty()).op(op)
    }

    /// May this process make and remove names here, as far as rights go (`faccessat2(2)`, with effective ids)?
    #[must_use]
    pub fn may_change_names(&self) -> bool {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::accessat(&self.fd, c".", access, AtFlags::EACCESS).is_ok()
    }

    /// May this process read and write the entry `name`, as far as rights go? A symbolic link is not followed.
    #[must_use]
    pub fn may_read_and_write(&self, name: &[u8]) -> bool {
        let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::accessat(&self.fd, name, Access::READ_OK | Access::WRITE_OK, flags).is_ok()
    }

    /// The text of the symbolic link `name`.
    pub fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Fault> {
        let text =
            rustix::fs::readlinkat(&self.fd, name, Vec::with_capacity(256)).op("read symbolic link")?;
        Ok(text.into_bytes())
    }

    /// Gives the inode of `name` the further name `new_name` in `to`; symbolic links are linked, not followed.
    pub fn link(&self, name: &[u8], to: &Self, new_name: &[u8]) -> Result<(), Fault> {
        rustix::fs::linkat(&self.fd, name, &to.fd, new_name, AtFlags::empty()).op("link")
    }

    /// Renames `name` to `new_name` in `to`, replacing what is there.
    pub fn rename(&self, name: &[u8], to: &Self, new_name: &[u8]) -> Result<(), Fault> {
        rustix::fs::renameat(&self.fd, name, &to.fd, new_name).op("rename")
    }

    /// Renames `name` to `new_name` in `to`; fails with `EEXIST` if that exists (`renameat2(2)`).
    pub fn rename_noreplace(&self, name: &[u8], to: &Self, new_name: &[u8]) -> Result<(), Fault> {
        rustix::fs::renameat_with(&self.fd, name, &to.fd, new_name, RenameFlags::NOREPLACE).op("rename")
    }

    /// Exchanges what `name` and `other` in the same directory stand for, at once (`renameat2(2)`, `RENAME_EXCHANGE`);
    /// `EINVAL` where the filesystem cannot.
    pub fn exchange(&self, name: &[u8], other: &[u8]) -> Result<(), Fault> {
        self.exchange_with(name, self, other)
    }

    /// Exchanges what `name` here and `other` in `to` stand for, as [`exchange`](Self::exchange) does.
    pub fn exchange_with(&self, name: &[u8], to: &Self, other: &[u8]) -> Result<(), Fault> {
        rustix::fs::renameat_with(&self.fd, name, &to.fd, other, RenameFlags::EXCHANGE).op("exchange")
    }

    /// Removes the name of anything but a directory.
    pub fn unlink(&self, name: &[u8]) -> Result<(), Fault> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()).op("remove")
    }

    /// Removes the empty directory `name`.
    pub fn remove_dir(&self, name: &[u8]) -> Result<(), Fault> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR).op("remove directory")
    }

    /// Sets owner and group of the directory itself; `None` leaves one as it is.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Fault> {
        rustix::fs::fchown(&self.fd, uid.map(Uid::from_raw), gid.map(Gid::from_raw)).op("set the owner of")
    }

    /// Sets the mode of the directory itself.
    pub fn set_mode(&self, mode: u16) -> Result<(), Fault> {
        rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(u32::from(mode))).op("set the mode of")
    }

    /// Sets the modification time of the directory itself.
    pub fn set_mtime(&self, mtime: Timestamp) -> Result<(), Fault> {
        rustix::fs::futimens(&self.fd, &only_mtime(mtime)).op("set the time of")
    }

    /// Forces the directory to disk (`fsync(2)`).
    pub fn sync(&self) -> Result<(), Fault> {
        rustix::fs::fsync(&self.fd).op("sync directory")
    }

    /// Forces the whole filesystem of this directory to disk and reports write errors since this
    /// descriptor was opened (`syncfs(2)`, error reporting since Linux 5.8).
    pub fn sync_filesystem(&self) -> Result<(), Fault> {
        rustix::fs::syncfs(&self.fd).op("sync the filesystem of")
    }
}

pub(crate) fn only_mtime(mtime: Timestamp) -> Timestamps {
    let omit = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    Timestamps { last_access: omit, last_modification: mtime.to_timespec() }
}

fn real_path(fd: impl AsFd) -> Result<Vec<u8>, Fault> {
    let op = "ask the path of";
    let statx = rustix::fs::statx(&fd, c"", AtFlags::EMPTY_PATH, Stat::MASK).op(op)?;
    // The kernel adds " (deleted)" to such a path, which could as well be a name.
    if statx.stx_nlink == 0 {
        return Err(Fault::new(op, Errno::NOENT));
    }
    let path = rustix::fs::readlink(magic_link(&fd), Vec::with_capacity(256)).op(op)?.into_bytes();
    if path.starts_with(b"/") { Ok(path) } else { Err(Fault::new(op, Errno::XDEV)) }
}

/// Cuts a relative path into pieces that the kernel takes.
fn steps(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = path;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if rest.len() <= LONGEST_STEP {
            return Some(std::mem::take(&mut rest));
        }
        let cut = rest[..LONGEST_STEP].iter().rposition(|byte| *byte == b'/')?;
        let step = &rest[..cut];
        rest = &rest[cut + 1..];
        Some(step)
    })
}

/// A path that leads to the very inode of an open descriptor, of a symbolic link to the link itself: for what an
/// `O_PATH` descriptor cannot be asked (`symlink(7)`, magic links).
pub(crate) fn magic_link(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// The bytes of a path, as the kernel sees them.
#[must_use]
pub fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

//! Inodes held without being opened: looked at, stepped into, or opened later, and always the same one, whatever becomes
//! of its names meanwhile (`open(2)`, `O_PATH`).

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};

use crate::dir::{DirFd, magic_link};
use crate::fault::{Errno, Fault, Op};
use crate::file::RegularFile;
use crate::filesystem::Filesystem;
use crate::stat::{Kind, Stat};
use crate::xattr::Xattrs;

/// The flag of `statfs(2)` for a mount on which no symbolic link is followed (`ST_NOSYMFOLLOW`, `linux/statfs.h`).
const NO_SYMLINKS: u64 = 0x2000;

/// Any inode, held by an `O_PATH` descriptor. Reading a fifo or a device is not begun by holding it.
#[derive(Debug)]
pub struct Handle {
    pub(crate) fd: OwnedFd,
}

impl Handle {
    /// Takes hold of what a path leads to, symbolic links on the way followed, one at its end not.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).op("find")?;
        Ok(Self { fd })
    }

    /// Takes hold of the entry `name` of this directory, and of a symbolic link itself. `EACCES` says that this directory
    /// may not be searched.
    pub fn step(&self, name: &[u8]) -> Result<Self, Fault> {
        self.step_with(name, OFlags::NOFOLLOW)
    }

    /// As [`step`](Self::step), for a directory that something is mounted on at the first visit (`autofs(5)`): the mounted
    /// one.
    pub fn step_mounting(&self, name: &[u8]) -> Result<Self, Fault> {
        self.step_with(name, OFlags::NOFOLLOW | OFlags::DIRECTORY)
    }

    /// Takes hold of what the entry `name` leads to: the kernel follows links.
    pub fn follow(&self, name: &[u8]) -> Result<Self, Fault> {
        self.step_with(name, OFlags::empty())
    }

    fn step_with(&self, name: &[u8], flags: OFlags) -> Result<Self, Fault> {
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).op("find")?;
        Ok(Self { fd })
    }

    /// Is the link `name` of `/proc` one that leads to an inode whatever its text says (`symlink(7)`, magic links)?
    pub fn is_magic(&self, name: &[u8]) -> Result<bool, Fault> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let plain = ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.fd, name, flags, Mode::empty(), plain) {
            // A loop of plain links is none to the kernel either way.
            Err(Errno::LOOP) => Ok(!self.follow(name).is_err_and(|fault| fault.is(Errno::LOOP))),
            _ => Ok(false),
        }
    }

    /// The metadata.
    pub fn stat(&self) -> Result<Stat, Fault> {
        let op = "read the attributes of";
        let statx = rustix::fs::statx(&self.fd, c"", AtFlags::EMPTY_PATH, Stat::MASK).op(op)?;
        Stat::from_statx(&statx, op)
    }

    /// The text of this symbolic link.
    pub fn read_link(&self) -> Result<Vec<u8>, Fault> {
        let text = rustix::fs::readlinkat(&self.fd, c"", Vec::with_capacity(256)).op("read symbolic link")?;
        Ok(text.into_bytes())
    }

    /// Its extended attributes; of a symbolic link its own.
    pub fn xattrs(&self) -> Result<Xattrs, Fault> {
        Xattrs::read_held(&self.fd)
    }

    /// The filesystem it is on.
    pub fn filesystem(&self) -> Result<Filesystem, Fault> {
        Filesystem::of(&self.fd)
    }

    /// Is it on a mount on which no symbolic link is followed (`mount(2)`, `MS_NOSYMFOLLOW`)?
    pub fn refuses_symlinks(&self) -> Result<bool, Fault> {
        let found = rustix::fs::fstatvfs(&self.fd).op("ask the filesystem of")?;
        Ok(found.f_flag.bits() & NO_SYMLINKS != 0)
    }

    /// Opens it for reading, if it is a regular file: this inode, even if its name is another's by now. `EINVAL` if it is
    /// something else.
    pub fn open_file(&self) -> Result<RegularFile, Fault> {
        let op = "open";
        if self.stat()?.kind != Kind::File {
            return Err(Fault::new(op, Errno::INVAL));
        }
        Ok(RegularFile::from_fd(self.reopen(OFlags::empty()).op(op)?))
    }

    /// Opens it as a directory to be read. `ENOTDIR` if it is none.
    pub fn open_dir(&self) -> Result<DirFd, Fault> {
        let fd = self.reopen(OFlags::DIRECTORY).op("open directory")?;
        Ok(DirFd::from_fd(fd))
    }

    /// Looking must not change its access time; only the owner or root may ask for that.
    pub(crate) fn reopen(&self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = |flags| rustix::fs::openat(CWD, magic_link(&self.fd), flags, Mode::empty());
        match open(flags | OFlags::NOATIME) {
            Err(Errno::PERM) => open(flags),
            other => other,
        }
    }

    /// The path that the kernel knows it by now, absolute; `None` if it has none any more, or none that this process can
    /// reach.
    #[must_use]
    pub fn path(&self) -> Option<Vec<u8>> {
        let path = std::fs::read_link(magic_link(&self.fd)).ok()?.into_os_string().into_vec();
        // What was removed has a remark behind its path: only what is found there again counts.
        let again = Self::open(crate::path::as_path(&path)).and_then(|again| again.stat());
        let is_there =
            again.is_ok_and(|again| self.stat().is_ok_and(|own| own.identity() == again.identity()));
        (path.starts_with(b"/") && is_there).then_some(path)
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl DirFd {
    /// Takes hold of the entry `name`, and of a symbolic link itself.
    pub fn look_at(&self, name: &[u8]) -> Result<Handle, Fault> {
        Ok(Handle { fd: self.open_path(name)? })
    }
}

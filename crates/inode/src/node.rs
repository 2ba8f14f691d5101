//! New entries that cannot be opened, symbolic links and special files, held while they get their attributes.
//!
//! By its name such an entry could only be found again: whoever else may write the directory may have put another in its
//! place meanwhile, a link to a file of root's for instance, which `chmod(2)` would follow.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid};

use crate::dir::{DirFd, magic_link, only_mtime};
use crate::fault::{Errno, Fault, Op};
use crate::stat::{Kind, Stat, Timestamp};
use crate::xattr::Xattrs;

/// An entry, held by an `O_PATH` descriptor (`open(2)`).
#[derive(Debug)]
pub struct Node {
    fd: OwnedFd,
    made: Stat,
}

impl DirFd {
    /// Takes hold of the entry `name` of that kind, which the caller has just made. Fails with `ESTALE` if what is there is
    /// of another kind, or has other names: then it is somebody else's.
    pub fn hold(&self, name: &[u8], kind: Kind) -> Result<Node, Fault> {
        let op = "find what was just made:";
        let fd = self.open_path(name)?;
        let made = stat_of(&fd, op)?;
        if (made.kind, made.links) == (kind, 1) {
            Ok(Node { fd, made })
        } else {
            Err(Fault::new(op, Errno::STALE))
        }
    }
}

impl Node {
    /// What it was like when it was taken hold of.
    #[must_use]
    pub fn made(&self) -> &Stat {
        &self.made
    }

    /// What it is like now.
    pub fn stat(&self) -> Result<Stat, Fault> {
        stat_of(&self.fd, "read the attributes of")
    }

    /// Sets owner and group; `None` leaves one as it is.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Fault> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        rustix::fs::chownat(&self.fd, c"", uid, gid, AtFlags::EMPTY_PATH).op("set the owner of")
    }

    /// Sets the twelve permission bits. A symbolic link has none (`EOPNOTSUPP`).
    pub fn set_mode(&self, mode: u16) -> Result<(), Fault> {
        let mode = Mode::from_raw_mode(u32::from(mode));
        rustix::fs::chmodat(CWD, magic_link(&self.fd), mode, AtFlags::empty()).op("set the mode of")
    }

    /// Gives it these extended attributes; it has none so far.
    pub fn set_xattrs(&self, xattrs: &Xattrs) -> Result<(), Fault> {
        xattrs.write_new(&magic_link(&self.fd))
    }

    /// Sets the modification time and leaves the access time alone.
    pub fn set_mtime(&self, mtime: Timestamp) -> Result<(), Fault> {
        let times = only_mtime(mtime);
        rustix::fs::utimensat(CWD, magic_link(&self.fd), &times, AtFlags::empty()).op("set the time of")
    }
}

fn stat_of(fd: &OwnedFd, op: &'static str) -> Result<Stat, Fault> {
    Stat::from_statx(&rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, Stat::MASK).op(op)?, op)
}

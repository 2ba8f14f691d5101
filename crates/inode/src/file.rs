//! Regular files by descriptor: positioned reads and writes, holes, attributes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, SeekFrom, Uid};

use crate::content::{Bytes, Extent};
use crate::dir::only_mtime;
use crate::fault::{Errno, Fault, Op};
use crate::stat::{Stat, Timestamp};

/// A file is read whole in pieces: its size is not known before, and says nothing in `/proc`.
const PIECE: usize = 16 * 1024;

/// An open regular file.
#[derive(Debug)]
pub struct RegularFile {
    fd: OwnedFd,
}

impl AsFd for RegularFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl RegularFile {
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// The metadata of the open file.
    pub fn stat(&self) -> Result<Stat, Fault> {
        let op = "read the attributes of";
        let statx = rustix::fs::statx(&self.fd, c"", AtFlags::EMPTY_PATH, Stat::MASK).op(op)?;
        Stat::from_statx(&statx, op)
    }

    /// Reads the whole file, which may have at most `limit` bytes (`EFBIG`).
    pub fn read_all(&self, limit: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        let mut piece = [0; PIECE];
        while bytes.len() <= limit {
            match self.read_at(&mut piece, bytes.len() as u64)? {
                0 => return Ok(bytes),
                count => bytes.extend_from_slice(&piece[..count]),
            }
        }
        Err(Fault::new("read", Errno::FBIG))
    }

    /// Writes all of `bytes` at `offset`.
    pub fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> Result<(), Fault> {
        let op = "write";
        while !bytes.is_empty() {
            match rustix::io::pwrite(&self.fd, bytes, offset) {
                Ok(0) => return Err(Fault::new(op, Errno::IO)),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Fault::new(op, errno)),
            }
        }
        Ok(())
    }

    /// Sets the size; what is new is a hole.
    pub fn set_size(&self, size: u64) -> Result<(), Fault> {
        rustix::fs::ftruncate(&self.fd, size).op("set the size of")
    }

    /// Sets owner and group; `None` leaves one as it is.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Fault> {
        rustix::fs::fchown(&self.fd, uid.map(Uid::from_raw), gid.map(Gid::from_raw)).op("set the owner of")
    }

    /// Sets the twelve permission bits.
    pub fn set_mode(&self, mode: u16) -> Result<(), Fault> {
        rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(u32::from(mode))).op("set the mode of")
    }

    /// Sets the modification time and leaves the access time alone.
    pub fn set_mtime(&self, mtime: Timestamp) -> Result<(), Fault> {
        rustix::fs::futimens(&self.fd, &only_mtime(mtime)).op("set the time of")
    }

    /// Takes blocks for the first `size` bytes, whatever is written later (`fallocate(2)`); where the filesystem cannot
    /// promise that, zeros are written.
    pub fn allocate(&self, size: u64) -> Result<(), Fault> {
        match rustix::fs::fallocate(&self.fd, rustix::fs::FallocateFlags::empty(), 0, size) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                let zeros = [0_u8; 64 * 1024];
                let mut at = 0;
                while at < size {
                    self.write_at(&zeros, at)?;
                    at += zeros.len() as u64;
                }
                Ok(())
            }
            other => other.op("allocate"),
        }
    }

    /// Makes the content of this empty file that of `old`, sharing its blocks until one of the two is written
    /// (`FICLONE`, `ioctl_ficlonerange(2)`). Both are on one filesystem that can do so: ext4 cannot.
    pub fn clone_from(&self, old: &Self) -> Result<(), Fault> {
        rustix::fs::ioctl_ficlone(&self.fd, &old.fd).op("clone")
    }

    /// Makes `length` bytes from `offset` on a hole (`FALLOC_FL_PUNCH_HOLE`, `fallocate(2)`); the size stays.
    pub fn punch(&self, offset: u64, length: u64) -> Result<(), Fault> {
        let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&self.fd, flags, offset, length).op("make a hole in")
    }

    /// Has the kernel begin to write a stretch to disk, without waiting for it (`posix_fadvise(2)`,
    /// `POSIX_FADV_DONTNEED`); a wish, no promise.
    pub fn begin_writing(&self, offset: u64, length: u64) {
        let length = std::num::NonZeroU64::new(length);
        rustix::fs::fadvise(&self.fd, offset, length, rustix::fs::Advice::DontNeed).ok();
    }

    /// Forces the file to disk (`fsync(2)`).
    pub fn sync(&self) -> Result<(), Fault> {
        rustix::fs::fsync(&self.fd).op("sync")
    }
}

impl Bytes for RegularFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Fault> {
        loop {
            match rustix::io::pread(&self.fd, &mut *buffer, offset) {
                Err(Errno::INTR) => {}
                other => return other.op("read"),
            }
        }
    }

    fn next_extent(&self, offset: u64) -> Result<Extent, Fault> {
        let op = "look for holes in";
        let start = match rustix::fs::seek(&self.fd, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(Errno::NXIO) => {
                let size = rustix::fs::seek(&self.fd, SeekFrom::End(0)).op(op)?;
                return Ok(Extent::HoleTo(size));
            }
            Err(errno) => return Err(Fault::new(op, errno)),
        };
        let end = rustix::fs::seek(&self.fd, SeekFrom::Hole(start)).op(op)?;
        Ok(Extent::Data { start, end })
    }
}

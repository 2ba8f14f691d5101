//! Advisory locks that die with their process (`flock(2)`).

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::content::Bytes;
use crate::dir::DirFd;
use crate::fault::{Errno, Fault, Op};
use crate::file::RegularFile;

/// A file that we have locked; dropped, it is free again.
#[derive(Debug)]
#[must_use = "the lock is free as soon as this is dropped"]
pub struct Lock {
    file: RegularFile,
}

impl Drop for Lock {
    /// A child that another thread is just starting has the descriptor, too, until its `execve(2)`: closing ours would
    /// leave the lock with it for a moment.
    fn drop(&mut self) {
        rustix::fs::flock(&self.file, FlockOperation::Unlock).ok();
    }
}

/// What came of trying to lock.
#[derive(Debug)]
pub enum Attempt {
    /// The lock is held now.
    Locked(Lock),
    /// Another process holds it; what it wrote into the lock file.
    HeldBy(String),
}

impl Lock {
    /// Locks all of `file` against programs that ask for such locks, too (`LOCK_EX`); none if one of them has it. On a
    /// filesystem without such locks it counts as locked, for nobody else can lock it either.
    pub fn try_on(file: RegularFile) -> Result<Option<Self>, Fault> {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Some(Self { file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(Fault::new("lock", errno)),
        }
    }

    /// What is locked.
    #[must_use]
    pub fn file(&self) -> &RegularFile {
        &self.file
    }

    /// Tries to lock the file `name` in `dir`, which is made if missing, and writes `holder` into it.
    pub fn try_acquire(dir: &DirFd, name: &[u8], holder: &str) -> Result<Attempt, Fault> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR).op("open")?;
        let locked = rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive);
        let file = RegularFile::from_fd(fd);
        match locked {
            Ok(()) => {
                file.set_size(0)?;
                file.write_at(holder.as_bytes(), 0)?;
                Ok(Attempt::Locked(Self { file }))
            }
            Err(Errno::WOULDBLOCK) => {
                let mut text = [0; 1024];
                let length = file.read_at(&mut text, 0)?;
                Ok(Attempt::HeldBy(String::from_utf8_lossy(&text[..length]).trim().to_owned()))
            }
            Err(errno) => Err(Fault::new("lock", errno)),
        }
    }
}

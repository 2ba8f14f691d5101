//! Failures of system calls: the operation and the error number, and later the path.

use std::path::{Path, PathBuf};

pub use rustix::io::Errno;

/// A system call that failed, before anyone has said on which path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a fault is lost unless it is reported or handled"]
pub struct Fault {
    /// What was tried, as a verb phrase: "open directory", "link".
    pub op: &'static str,
    /// The error number, see `errno(3)`.
    pub errno: Errno,
}

impl Fault {
    /// A fault of the operation `op` with the error number `errno`.
    pub const fn new(op: &'static str, errno: Errno) -> Self {
        Self { op, errno }
    }

    /// This fault with the path it happened on.
    #[must_use]
    pub fn at(self, path: impl AsRef<Path>) -> FsError {
        FsError { op: self.op, path: path.as_ref().to_path_buf(), source: self.errno.into() }
    }

    /// Is the error number `errno`?
    #[must_use]
    pub fn is(self, errno: Errno) -> bool {
        self.errno == errno
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot {}: {}", self.op, std::io::Error::from(self.errno))
    }
}

impl std::error::Error for Fault {}

/// A system call that failed on a known path: the leaf of every error chain of linksnap.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {}", path.display())]
pub struct FsError {
    /// What was tried, as a verb phrase.
    pub op: &'static str,
    /// The path it was tried on.
    pub path: PathBuf,
    /// What the kernel answered.
    pub source: std::io::Error,
}

impl FsError {
    /// Did the kernel answer with this error number?
    #[must_use]
    pub fn is(&self, errno: Errno) -> bool {
        self.source.raw_os_error() == Some(errno.raw_os_error())
    }
}

/// Turns what rustix answers into a [`Fault`] of the operation `op`.
pub(crate) trait Op<T> {
    fn op(self, op: &'static str) -> Result<T, Fault>;
}

impl<T> Op<T> for rustix::io::Result<T> {
    fn op(self, op: &'static str) -> Result<T, Fault> {
        self.map_err(|errno| Fault::new(op, errno))
    }
}

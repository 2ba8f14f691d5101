//! The one error of the floor: a system call that failed, and on what. Every binary stops at the first.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// A failed system call.
#[derive(Debug, thiserror::Error)]
#[error("{op} {path:?}: {source}")]
pub struct Fault {
    /// The system call or what was tried.
    pub op: &'static str,
    /// The path it was tried on, as far as it is known there.
    pub path: PathBuf,
    /// What the kernel said.
    pub source: Errno,
}

impl Fault {
    /// Turns the error of `op` on `path` into a [`Fault`]; made for `map_err`.
    pub fn of(op: &'static str, path: &Path) -> impl FnOnce(Errno) -> Self {
        move |source| Self { op, path: path.to_owned(), source }
    }

    /// Like [`Fault::of`], for an entry of the directory `parent`.
    pub fn of_entry(op: &'static str, parent: &Path, name: &CStr) -> impl FnOnce(Errno) -> Self {
        move |source| Self { op, path: join(parent, name), source }
    }
}

/// The path of the entry `name` of `parent`; names are bytes.
#[must_use]
pub fn join(parent: &Path, name: &CStr) -> PathBuf {
    parent.join(std::ffi::OsStr::from_bytes(name.to_bytes()))
}

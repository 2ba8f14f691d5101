//! Trees for tests: built by hand ([`TreeBuilder`]), by a list of [`Edit`]s, or by chance ([`arb_edits`]).

mod aim;
mod arbitrary;
mod edit;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use crate::tree::arbitrary::arb_edits;
pub use crate::tree::edit::{Content, Edit, apply, try_apply};

/// Builds a tree step by step; paths are relative to the root. Each step makes missing parents, as [`Edit`] says, and
/// panics if it fails.
///
/// ```
/// use linksnap_testkit::tree::TreeBuilder;
///
/// let root = tempfile::tempdir().unwrap();
/// TreeBuilder::new(root.path())
///     .file("a/b", "bytes")
///     .mode("a/b", 0o600)
///     .symlink("l", "a/b")
///     .hard_link("a/b", "c")
///     .mtime("a", 1_700_000_000, 5);
/// ```
#[derive(Debug)]
pub struct TreeBuilder {
    root: PathBuf,
}

impl TreeBuilder {
    /// Starts at the directory `root`, which is made, with its parents, if it is missing.
    pub fn new(root: impl Into<PathBuf>) -> TreeBuilder {
        let root = root.into();
        let made = std::fs::DirBuilder::new().recursive(true).create(&root);
        made.unwrap_or_else(|error| panic!("cannot make {root:?}: {error}"));
        TreeBuilder { root }
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Does one edit; for what has no method of its own.
    #[expect(clippy::needless_pass_by_value, reason = "a step reads best with the edit written in it")]
    pub fn edit(self, edit: Edit) -> TreeBuilder {
        let done = try_apply(&self.root, &edit);
        done.unwrap_or_else(|error| panic!("{edit:?} in {:?}: {error}", self.root));
        self
    }

    /// Makes or rewrites a file.
    pub fn file(self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> TreeBuilder {
        let content = Content::Bytes(content.into());
        let path = path.into();
        self.edit(Edit::Write { path, content })
    }

    /// Makes a file of `size` bytes that is a hole but for its last byte.
    pub fn sparse(self, path: impl Into<PathBuf>, size: u64) -> TreeBuilder {
        let path = path.into();
        self.edit(Edit::Sparse { path, size })
    }

    /// Makes a directory.
    pub fn dir(self, path: impl Into<PathBuf>) -> TreeBuilder {
        let path = path.into();
        self.edit(Edit::Directory { path })
    }

    /// Makes a symbolic link.
    pub fn symlink(self, path: impl Into<PathBuf>, target: impl Into<OsString>) -> TreeBuilder {
        let (path, target) = (path.into(), target.into());
        self.edit(Edit::Symlink { path, target })
    }

    /// Makes a named pipe.
    pub fn fifo(self, path: impl Into<PathBuf>) -> TreeBuilder {
        let path = path.into();
        self.edit(Edit::Fifo { path })
    }

    /// Makes a socket that nobody listens on.
    pub fn socket(self, path: impl Into<PathBuf>) -> TreeBuilder {
        let path = path.into();
        self.edit(Edit::Socket { path })
    }

    /// Makes a character device; needs root.
    pub fn char_device(self, path: impl Into<PathBuf>, major: u32, minor: u32) -> TreeBuilder {
        let path = path.into();
        self.edit(Edit::CharDevice { path, major, minor })
    }

    /// Gives `existing` the second name `path`.
    pub fn hard_link(self, existing: impl Into<PathBuf>, path: impl Into<PathBuf>) -> TreeBuilder {
        let (existing, path) = (existing.into(), path.into());
        self.edit(Edit::HardLink { existing, path })
    }

    /// Sets the twelve permission bits.
    pub fn mode(self, path: impl Into<PathBuf>, mode: u32) -> TreeBuilder {
        let path = path.into();
        self.edit(Edit::Mode { path, mode })
    }

    /// Sets owner and group; needs root.
    pub fn owner(self, path: impl Into<PathBuf>, uid: u32, gid: u32) -> TreeBuilder {
        let path = path.into();
        self.edit(Edit::Owner { path, uid, gid })
    }

    /// Sets the modification time, since 1970. Steps that come after may move that of a directory again.
    pub fn mtime(self, path: impl Into<PathBuf>, seconds: i64, nanoseconds: u32) -> TreeBuilder {
        let (path, mtime) = (path.into(), (seconds, nanoseconds));
        self.edit(Edit::Mtime { path, mtime })
    }

    /// Sets an extended attribute.
    pub fn xattr(
        self,
        path: impl Into<PathBuf>,
        name: impl Into<OsString>,
        value: impl Into<Vec<u8>>,
    ) -> TreeBuilder {
        let (path, name, value) = (path.into(), name.into(), value.into());
        self.edit(Edit::SetXattr { path, name, value })
    }

    /// Renames; what is at `to` goes away.
    pub fn rename(self, from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> TreeBuilder {
        let (from, to) = (from.into(), to.into());
        self.edit(Edit::Rename { from, to })
    }

    /// Deletes with all that is below; what is not there is an error.
    pub fn delete(self, path: impl Into<PathBuf>) -> TreeBuilder {
        let path = path.into();
        self.edit(Edit::Delete { path })
    }
}

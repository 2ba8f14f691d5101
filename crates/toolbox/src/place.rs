//! A name in a directory, from a path that a user typed.

use std::path::{Path, PathBuf};

use linksnap_inode::path::{above, as_path, split};
use linksnap_inode::{DirFd, Errno, Fault, FsError, Stat, dir};

/// A name in an open directory. The name may be that of nothing.
///
/// The directory is found as the kernel finds it, symbolic links on the way followed; the name itself is never followed.
#[derive(Debug)]
pub struct Place {
    /// The directory.
    pub dir: DirFd,
    /// The name in it; `.` where the path ends in a directory without a name of its own: `/`, `.`, `..`.
    pub name: Vec<u8>,
    /// The path as it was typed.
    pub path: PathBuf,
}

impl Place {
    /// Finds the directory of `path`. A slash at the end is not counted: `link/` is the name `link`.
    ///
    /// # Errors
    /// If that directory cannot be opened.
    pub fn find(path: &Path) -> Result<Self, FsError> {
        let Some(name) = path.file_name() else {
            let dir = DirFd::open_root(path).map_err(|fault| fault.at(path))?;
            return Ok(Self { dir, name: b".".to_vec(), path: path.to_path_buf() });
        };
        let parent = above(path);
        let dir = DirFd::open_root(parent).map_err(|fault| fault.at(parent))?;
        Ok(Self { dir, name: dir::path_bytes(Path::new(name)).to_vec(), path: path.to_path_buf() })
    }

    /// Finds the directory of an absolute path without following any symbolic link: for paths that were real when they were
    /// written down.
    ///
    /// # Errors
    /// If that directory cannot be opened; `EINVAL` if the path is not absolute or has no name at its end.
    pub fn find_real(path: &Path) -> Result<Self, FsError> {
        let bad = || Fault::new("find", Errno::INVAL).at(path);
        let below = dir::path_bytes(path).strip_prefix(b"/").ok_or_else(bad)?;
        let (parent, name) = split(below);
        if matches!(name, b"" | b"." | b"..") {
            return Err(bad());
        }
        let root = DirFd::open_root(Path::new("/")).map_err(|fault| fault.at("/"))?;
        let dir = root.open_beneath(parent).map_err(|fault| fault.at(above(path)))?;
        Ok(Self { dir, name: name.to_vec(), path: path.to_path_buf() })
    }

    /// What is there; of a symbolic link the link itself.
    ///
    /// # Errors
    /// `ENOENT` if there is nothing.
    pub fn stat(&self) -> Result<Stat, FsError> {
        self.dir.stat_entry(&self.name).map_err(|fault| fault.at(&self.path))
    }

    /// The path of another name in the same directory.
    #[must_use]
    pub fn beside(&self, name: &[u8]) -> PathBuf {
        above(&self.path).join(as_path(name))
    }
}

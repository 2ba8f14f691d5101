//! Paths in trees: bytes relative to the tree's root, parts joined by `/`, the root itself empty.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::{DirFd, Errno, FsError};

/// `name` in the directory `path`.
#[must_use]
pub fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(path.len() + 1 + name.len());
    joined.extend_from_slice(path);
    if !path.is_empty() && !name.is_empty() {
        joined.push(b'/');
    }
    joined.extend_from_slice(name);
    joined
}

/// The directory a path is in and its name there; the root has no name.
#[must_use]
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// The path as seen from `/`, for people.
#[must_use]
pub fn absolute(path: &[u8]) -> Vec<u8> {
    let mut absolute = Vec::with_capacity(path.len() + 1);
    absolute.push(b'/');
    absolute.extend_from_slice(path);
    absolute
}

/// The path relative to `/` of what a user wrote: leading, doubled and trailing slashes and `.` dropped;
/// `None` if it has `..`, which has no meaning without a disk to ask.
#[must_use]
pub fn relative(written: &[u8]) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(written.len());
    for part in parts(written).filter(|part| *part != b".") {
        if part == b".." {
            return None;
        }
        path = join(&path, part);
    }
    Some(path)
}

/// The parts of a path.
pub fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
}

/// What comes of `path` below `ancestor`: empty if they are the same, `None` if it is elsewhere.
#[must_use]
pub fn below<'a>(path: &'a [u8], ancestor: &[u8]) -> Option<&'a [u8]> {
    if ancestor.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(ancestor)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") }
}

/// Bytes as a path of the standard library.
#[must_use]
pub fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// `path`, relative to a root, as a path below `root`.
#[must_use]
pub fn under(root: &Path, path: &[u8]) -> PathBuf {
    // Joined with nothing, a path would get a slash at its end.
    if path.is_empty() { root.to_path_buf() } else { root.join(as_path(path)) }
}

/// The directory that a path of the standard library is in.
#[must_use]
pub fn above(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new("."))
}

/// Opens a directory that a user names, or the nearest one above it that is there.
pub fn nearest_existing(path: &Path) -> Result<DirFd, FsError> {
    match DirFd::open_root(path) {
        Err(fault) if fault.is(Errno::NOENT) => nearest_existing(above(path)),
        other => other.map_err(|fault| fault.at(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_paths_become_relative() {
        assert_eq!(relative(b"/etc//ssh/./x/").as_deref(), Some(b"etc/ssh/x".as_slice()));
        assert_eq!(relative(b"/").as_deref(), Some(b"".as_slice()));
        assert_eq!(relative(b"/a/../b"), None);
    }

    #[test]
    fn below_wants_whole_parts() {
        assert_eq!(below(b"a/b", b"a"), Some(b"b".as_slice()));
        assert_eq!(below(b"ab", b"a"), None);
        assert_eq!(below(b"a", b"a"), Some(b"".as_slice()));
        assert_eq!(below(b"a", b""), Some(b"a".as_slice()));
    }
}

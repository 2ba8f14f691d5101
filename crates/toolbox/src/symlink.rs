//! Symbolic links as a walk meets them, and where their text leads by the letter.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use linksnap_inode::path::{join, parts, split, under};
use linksnap_inode::{DirFd, FsError, Kind};

use crate::walk::{Visit, Walked};

/// A symbolic link below one of the roots of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symlink {
    /// Which of the roots it is below.
    pub root: usize,
    /// Its path below that root; empty if the root itself is the link.
    pub path: Vec<u8>,
    /// Device and inode number of the directory it is in.
    pub dir: (u64, u64),
    /// What it says.
    pub text: Vec<u8>,
}

impl Symlink {
    /// Its path as the user knows it: the root as it was typed, and what is below.
    #[must_use]
    pub fn shown(&self, roots: &[PathBuf]) -> PathBuf {
        under(&roots[self.root], &self.path)
    }

    /// The last part of its text; `None` where that is no name.
    #[must_use]
    pub fn wanted_name(&self) -> Option<&[u8]> {
        parts(&self.text).last().filter(|name| !matches!(*name, b"." | b".."))
    }

    /// Is its text an absolute path?
    #[must_use]
    pub fn is_absolute(&self) -> bool {
        self.text.starts_with(b"/")
    }
}

/// What a search for symbolic links has covered.
#[derive(Debug)]
pub struct Coverage {
    /// The real path of each root; `None` where it is no directory.
    pub real_roots: Vec<Option<Vec<u8>>>,
    /// Directories that were looked through.
    pub directories: u64,
    /// Names in them.
    pub names: u64,
    /// What could not be read.
    pub problems: Vec<FsError>,
    /// Directories not entered because something is mounted there.
    pub mounts_left_out: u64,
}

impl Coverage {
    /// Of a walk from roots with these real paths; beside it the visitors, one a thread.
    pub(crate) fn of<V>(walked: Walked<V>, real_roots: Vec<Option<Vec<u8>>>) -> (Self, Vec<V>) {
        let Walked { visitors, problems, directories, names, mounts_left_out } = walked;
        (Self { real_roots, directories, names, problems, mounts_left_out }, visitors)
    }
}

/// Which directories were looked at, where one root may be below another.
#[derive(Debug)]
pub struct Seen(Option<Mutex<HashSet<(u64, u64)>>>);

impl Seen {
    /// None so far. One root alone has every directory once, so nothing is remembered.
    #[must_use]
    pub fn none(roots: &[PathBuf]) -> Self {
        Self((roots.len() > 1).then(Mutex::default))
    }

    /// Is this the first time that this directory is looked at? From now on it was.
    pub fn is_first(&self, dir: &DirFd) -> bool {
        let Some(seen) = &self.0 else { return true };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        dir.stat().is_ok_and(|stat| seen.insert(stat.identity()))
    }
}

/// The names of symbolic links in a directory that a walk visits, by their inode numbers: near to the order on disk.
#[must_use]
pub fn names<'a>(visit: &'a Visit<'_>) -> Vec<&'a [u8]> {
    let is_symlink = |name: &[u8], kind: Option<Kind>| match kind {
        Some(kind) => kind == Kind::Symlink,
        None => visit.dir.stat_entry(name).is_ok_and(|stat| stat.kind == Kind::Symlink),
    };
    let all = visit.names.iter().filter(|name| is_symlink(name.bytes, name.kind));
    let mut links: Vec<_> = all.map(|name| (name.inode, name.bytes)).collect();
    links.sort_unstable();
    links.into_iter().map(|(_, name)| name).collect()
}

/// The real path of each root that is a directory (see [`DirFd::real_path`]).
#[must_use]
pub fn real_roots(roots: &[PathBuf]) -> Vec<Option<Vec<u8>>> {
    let real = |root: &Path| DirFd::open_root(root).and_then(|root| root.real_path()).ok();
    roots.iter().map(|root| real(root)).collect()
}

/// The real path of what is at `path` below a root with the real path `root`, if no symbolic link is on the way.
#[must_use]
pub fn real_below(root: &[u8], path: &[u8]) -> Vec<u8> {
    match (root, path) {
        (_, b"") => root.to_vec(),
        (b"/", path) => [b"/", path].concat(),
        _ => join(root, path),
    }
}

/// The real path of the directory that the link at `path` below the root is in.
#[must_use]
pub fn real_dir(root: &[u8], path: &[u8]) -> Vec<u8> {
    real_below(root, split(path).0)
}

/// Where `text`, in a link in the directory with the real path `dir`, leads, as an absolute path without `.` and `..`.
/// Symbolic links on the way are not resolved, so that they can change their minds later; a `..` behind one cannot be
/// told by the letter, and the answer is `None`. `any` may be any directory: only absolute paths are asked of it.
#[must_use]
pub fn by_the_letter(any: &DirFd, dir: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let from = if text.starts_with(b"/") { b"".as_slice() } else { dir };
    let mut way: Vec<&[u8]> = parts(from).collect();
    // So many parts are known to be directories.
    let mut known = way.len();
    for part in parts(text) {
        match part {
            b"." => {}
            b".." => {
                if way.len() > known && !is_directory(any, &way) {
                    return None;
                }
                way.pop();
                known = known.min(way.len());
            }
            name => way.push(name),
        }
    }
    Some(absolute(&way))
}

fn is_directory(any: &DirFd, way: &[&[u8]]) -> bool {
    any.stat_entry(&absolute(way)).is_ok_and(|stat| stat.kind == Kind::Directory)
}

fn absolute(way: &[&[u8]]) -> Vec<u8> {
    [b"/".as_slice(), &way.join(&b'/')].concat()
}

/// Is `path` the directory `root` or below it? Both are absolute.
#[must_use]
pub fn is_below(path: &[u8], root: &[u8]) -> bool {
    match root {
        b"/" => true,
        _ => linksnap_inode::path::below(path, root).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::{by_the_letter, is_below, real_dir};
    use linksnap_inode::DirFd;

    #[test]
    fn texts_lead_where_the_kernel_goes() {
        let top = tempfile::tempdir().unwrap();
        let dir = DirFd::open_root(top.path()).unwrap();
        dir.make_dir(b"sub").unwrap();
        dir.make_symlink(b"link", b"/usr/share").unwrap();
        let real = String::from_utf8(dir.real_path().unwrap()).unwrap();
        let above = real.rsplit_once('/').unwrap().0;
        let table = [
            ("a", Some(format!("{real}/a"))),
            ("./a//b/.", Some(format!("{real}/a/b"))),
            ("../a", Some(format!("{above}/a"))),
            ("sub/../a", Some(format!("{real}/a"))),
            ("link/a", Some(format!("{real}/link/a"))),
            // Not what it seems: that is /usr/a.
            ("link/../a", None),
            ("missing/../a", None),
            ("/../../usr/./x/", Some("/usr/x".to_owned())),
            ("/", Some("/".to_owned())),
            ("../../../../../../../../../..", Some("/".to_owned())),
        ];
        for (text, wanted) in table {
            let found = by_the_letter(&dir, real.as_bytes(), text.as_bytes());
            assert_eq!(found.map(|path| String::from_utf8(path).unwrap()), wanted, "{text}");
        }
    }

    #[test]
    fn the_root_directory_is_no_special_case() {
        assert_eq!(real_dir(b"/", b"etc/link"), b"/etc");
        assert_eq!(real_dir(b"/", b"link"), b"/");
        assert_eq!(real_dir(b"/srv", b"link"), b"/srv");
        assert!(is_below(b"/etc", b"/") && is_below(b"/a/b", b"/a") && !is_below(b"/ab", b"/a"));
    }
}

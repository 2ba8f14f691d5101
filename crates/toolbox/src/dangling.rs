//! Symbolic links that lead nowhere, and why.
//!
//! A link is *dangling* when the kernel cannot follow it: one `statx(2)` a link tells, and the error number is the
//! reason. Whether a link that works leads through an absolute path out of the root, so that it works only as long as
//! nobody moves the tree or makes it the root of a container, is asked for by [`Scope::Leaving`].
//!
//! **Invariant:** names that are no symbolic links cost no system call, where the filesystem tells kinds (`d_type`).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use linksnap_inode::dir::path_bytes;
use linksnap_inode::path::{above, join, parts, split};
use linksnap_inode::{DirFd, Errno, Fault, FsError, Kind};

use crate::place::Place;
use crate::symlink::{self, Coverage, Seen, Symlink};
use crate::walk::{self, Mounts, Visit, Watch};

/// Which links are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Those that the kernel cannot follow.
    #[default]
    Broken,
    /// Those too that lead out of the root through an absolute path.
    Leaving,
}

/// Why a link leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is nothing (`ENOENT`).
    Missing,
    /// It leads in a circle, or through more than 40 links (`ELOOP`).
    Loop,
    /// What would have to be a directory is none (`ENOTDIR`).
    NotADirectory,
    /// This process may not go there (`EACCES`): nobody knows what is behind.
    NoPermission,
    /// A name in it is longer than any can be there (`ENAMETOOLONG`).
    TooLong,
    /// It works, but through an absolute path that leaves the root.
    LeavesRoot,
    /// The kernel has another reason: nobody knows what is behind.
    Unreachable(Errno),
}

impl Reason {
    /// Is it certain that there is nothing?
    #[must_use]
    pub fn is_certain(self) -> bool {
        matches!(self, Self::Missing | Self::Loop | Self::NotADirectory | Self::TooLong)
    }

    fn of(fault: Fault) -> Self {
        match fault.errno {
            Errno::NOENT => Self::Missing,
            Errno::LOOP => Self::Loop,
            Errno::NOTDIR => Self::NotADirectory,
            Errno::ACCESS => Self::NoPermission,
            Errno::NAMETOOLONG => Self::TooLong,
            other => Self::Unreachable(other),
        }
    }
}

/// The part of a link's text at which the way ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The text up to and with it: the first part that is missing or too long, the part that is no directory or lets
    /// nobody in.
    pub at: Vec<u8>,
    /// Is it a symbolic link that leads nowhere itself?
    pub is_link: bool,
}

/// A link that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The link.
    pub link: Symlink,
    /// Why it was found.
    pub reason: Reason,
    /// Where the way ends; `None` where there is no such place: in a circle.
    pub stop: Option<Stop>,
    /// Is its text an absolute path to something outside its root?
    pub leaves_root: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Dangling {
    /// By root, as they were given, and by the bytes of the path.
    pub findings: Vec<Finding>,
    /// Symbolic links that were looked at.
    pub links: u64,
    /// Where was looked.
    pub coverage: Coverage,
}

#[derive(Default)]
struct Found {
    links: u64,
    findings: Vec<Finding>,
}

/// Looks at all symbolic links below `roots`. A root that is a symbolic link is followed if it leads to a directory, and
/// is looked at itself if it leads nowhere.
#[must_use]
pub fn find(roots: &[PathBuf], scope: Scope, mounts: Mounts, watch: &dyn Watch) -> Dangling {
    let real_roots = symlink::real_roots(roots);
    let mut found = Found::default();
    let mut problems = Vec::new();
    let (mut trees, mut numbers) = (Vec::new(), Vec::new());
    for (number, root) in roots.iter().enumerate() {
        match what_is(root, number, &mut found) {
            Ok(true) => {
                trees.push(root.clone());
                numbers.push(number);
            }
            Ok(false) => {}
            Err(problem) => problems.push(problem),
        }
    }
    let seen = Seen::none(roots);
    let visit = |found: &mut Found, visit: &Visit<'_>| -> Result<(), std::convert::Infallible> {
        if !seen.is_first(visit.dir) {
            return Ok(());
        }
        let number = numbers[visit.root];
        found.look(visit, number, real_roots[number].as_deref(), scope);
        Ok(())
    };
    let Ok(walked) = walk::walk(&trees, mounts, watch, Found::default, visit);
    let (mut coverage, visitors) = Coverage::of(walked, real_roots);
    coverage.problems.splice(0..0, problems);
    for one in visitors {
        found.links += one.links;
        found.findings.extend(one.findings);
    }
    Dangling { findings: in_order(found.findings, roots), links: found.links, coverage }
}

/// Sorted, and none twice where one root is below another.
fn in_order(mut findings: Vec<Finding>, roots: &[PathBuf]) -> Vec<Finding> {
    findings.sort_unstable_by(|a, b| (a.link.root, &a.link.path).cmp(&(b.link.root, &b.link.path)));
    if roots.len() > 1 {
        let mut seen = HashSet::new();
        findings.retain(|one| seen.insert((one.link.dir, name(&roots[one.link.root], &one.link.path))));
    }
    findings
}

/// The name of a link in its directory; that of the root, if it is the root.
fn name(root: &Path, path: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        path_bytes(root.file_name().unwrap_or_default().as_ref()).to_vec()
    } else {
        split(path).1.to_vec()
    }
}

/// Is this root a tree to walk through? If it is a link that leads nowhere, that is found here.
fn what_is(root: &Path, number: usize, found: &mut Found) -> Result<bool, FsError> {
    if DirFd::open_root(root).is_ok() {
        return Ok(true);
    }
    let place = Place::find(root)?;
    let stat = place.stat()?;
    if stat.kind != Kind::Symlink {
        // A directory that cannot be opened is a problem of the walk.
        return Ok(stat.kind == Kind::Directory);
    }
    match place.dir.stat_target(&place.name) {
        Ok(target) => Ok(target.kind == Kind::Directory),
        Err(fault) => {
            let dir = place.dir.stat().map_err(|fault| fault.at(above(root)))?.identity();
            let text = place.dir.read_link(&place.name).map_err(|fault| fault.at(root))?;
            found.links += 1;
            let link = Symlink { root: number, path: Vec::new(), dir, text };
            found.findings.push(Finding::new(&place.dir, link, Reason::of(fault), false));
            Ok(false)
        }
    }
}

impl Found {
    fn look(&mut self, visit: &Visit<'_>, root: usize, real: Option<&[u8]>, scope: Scope) {
        let names = symlink::names(visit);
        self.links += names.len() as u64;
        let mut dir = None;
        for name in names {
            let fault = visit.dir.stat_target(name).err();
            if fault.is_none() && scope == Scope::Broken {
                continue;
            }
            // Gone meanwhile, or something else: then it leads nowhere no more.
            let Ok(text) = visit.dir.read_link(name) else { continue };
            let leaves = real.is_some_and(|root| leaves(&text, root));
            let reason = match fault {
                Some(fault) => Reason::of(fault),
                None if leaves => Reason::LeavesRoot,
                None => continue,
            };
            if dir.is_none() {
                dir = visit.dir.stat().ok().map(|stat| stat.identity());
            }
            let Some(dir) = dir else { continue };
            let link = Symlink { root, path: join(visit.path, name), dir, text };
            self.findings.push(Finding::new(visit.dir, link, reason, leaves));
        }
    }
}

/// Is it an absolute path out of the tree with the real path `root`? By the letter: a way back through another link is
/// none that would last.
fn leaves(text: &[u8], root: &[u8]) -> bool {
    if !text.starts_with(b"/") {
        return false;
    }
    let mut way = Vec::new();
    for part in parts(text) {
        match part {
            b"." => {}
            b".." => drop(way.pop()),
            name => way.push(name),
        }
    }
    !symlink::is_below(&[b"/", way.join(&b'/').as_slice()].concat(), root)
}

impl Finding {
    fn new(dir: &DirFd, link: Symlink, reason: Reason, leaves_root: bool) -> Self {
        let stop = stop(dir, &link.text, reason);
        Self { link, reason, stop, leaves_root }
    }
}

/// Where on the way that `text` tells, from `dir`, the kernel stops.
fn stop(dir: &DirFd, text: &[u8], reason: Reason) -> Option<Stop> {
    if matches!(reason, Reason::Loop | Reason::LeavesRoot) {
        return None;
    }
    let ends = ends(text);
    let reached = |end: &usize| dir.stat_target(&text[..*end]).is_ok();
    let failed = ends.partition_point(reached);
    let at = match reason {
        // The last that is there is to blame; if there is none, it is the link's own directory.
        Reason::NotADirectory | Reason::NoPermission => ends.get(failed.checked_sub(1)?),
        _ => ends.get(failed),
    };
    let at = text[..*at?].to_vec();
    let is_link = dir.stat_entry(&at).is_ok_and(|stat| stat.kind == Kind::Symlink);
    Some(Stop { is_link: is_link && !matches!(reason, Reason::NotADirectory | Reason::NoPermission), at })
}

/// Where the parts of a text end, each as the number of bytes up to there.
fn ends(text: &[u8]) -> Vec<usize> {
    let ends_here = |at: &usize| text[*at - 1] != b'/' && text.get(*at).is_none_or(|next| *next == b'/');
    (1..=text.len()).filter(ends_here).collect()
}

#[cfg(test)]
mod tests {
    use super::{ends, leaves};

    #[test]
    fn parts_end_before_slashes() {
        assert_eq!(ends(b"a/bc//d"), [1, 4, 7]);
        assert_eq!(ends(b"/a/"), [2]);
        assert_eq!(ends(b"///"), [] as [usize; 0]);
    }

    #[test]
    fn absolute_paths_are_compared_part_by_part() {
        let table = [
            ("/srv/www/a", "/srv/www", false),
            ("//srv/./www/a", "/srv/www", false),
            ("/srv/www", "/srv/www", false),
            ("/srv/www/../mail", "/srv/www", true),
            ("/etc/../srv/www", "/srv/www", false),
            ("/srv/www2/a", "/srv/www", true),
            ("/etc", "/srv/www", true),
            ("../../etc", "/srv/www", false),
            ("/etc", "/", false),
        ];
        for (text, root, wanted) in table {
            assert_eq!(leaves(text.as_bytes(), root.as_bytes()), wanted, "{text}");
        }
    }
}

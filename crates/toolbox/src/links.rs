//! The census of symbolic links below some roots: what kinds there are, and how many of each.

use std::path::{Path, PathBuf};

use linksnap_inode::path::join;
use linksnap_inode::{DirFd, Fault, FsError};

use crate::relative::relative;
use crate::symlink::{self, Coverage, Seen, Symlink, by_the_letter, is_below, real_below};
use crate::walk::{self, Mounts, Visit, Watch};

/// What a symbolic link can be. Each is absolute or relative; the others go with either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// Its text is an absolute path.
    Absolute,
    /// Its text is relative to its directory.
    Relative,
    /// The kernel cannot follow it.
    Dangling,
    /// Its text leads out of the root that it was found below.
    Leaving,
    /// What it leads to is on another filesystem than the link.
    Crossing,
    /// A shorter text of the same manner leads to the same.
    Longer,
}

impl LinkKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Absolute, Self::Relative, Self::Dangling, Self::Leaving, Self::Crossing, Self::Longer];
}

/// Several kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u8);

impl Kinds {
    /// Is this kind among them?
    #[must_use]
    pub fn has(self, kind: LinkKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// Is any of `others` among them?
    #[must_use]
    pub fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// The kinds, in the order of [`LinkKind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = LinkKind> {
        LinkKind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

impl FromIterator<LinkKind> for Kinds {
    fn from_iter<I: IntoIterator<Item = LinkKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | 1 << kind as u8))
    }
}

/// A link of the census.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The link.
    pub link: Symlink,
    /// What it is.
    pub kinds: Kinds,
    /// Device and inode number of what it leads to; `None` if it leads nowhere.
    pub leads_to: Option<(u64, u64)>,
    /// Where its text leads by the letter, see [`by_the_letter`].
    pub target: Option<Vec<u8>>,
    /// The shortest text of the same manner, if that is shorter than its own.
    pub shortest: Option<Vec<u8>>,
}

/// How many links there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All of them.
    pub links: u64,
    of_kind: [u64; LinkKind::ALL.len()],
}

impl Counts {
    /// The links of this kind.
    #[must_use]
    pub fn of(&self, kind: LinkKind) -> u64 {
        self.of_kind[kind as usize]
    }

    fn add(&mut self, kinds: Kinds) {
        self.links += 1;
        kinds.iter().for_each(|kind| self.of_kind[kind as usize] += 1);
    }

    fn add_all(&mut self, other: &Self) {
        self.links += other.links;
        LinkKind::ALL.iter().for_each(|kind| self.of_kind[*kind as usize] += other.of(*kind));
    }
}

/// What was counted.
#[derive(Debug)]
pub struct Census {
    /// How many.
    pub counts: Counts,
    /// The links of the kinds that were asked for, by root, and by the bytes of the path.
    pub listed: Vec<Counted>,
    /// Where was looked.
    pub coverage: Coverage,
}

/// Counts the symbolic links below `roots`, each once where one root is below another, and lists those that are of one of the kinds `listed`.
#[must_use]
pub fn census(roots: &[PathBuf], listed: Kinds, mounts: Mounts, watch: &dyn Watch) -> Census {
    let real_roots = symlink::real_roots(roots);
    let seen = Seen::none(roots);
    let visit = |census: &mut Tally, visit: &Visit<'_>| -> Result<(), std::convert::Infallible> {
        if let Some(root) = real_roots[visit.root].as_ref().filter(|_| seen.is_first(visit.dir)) {
            // What is gone meanwhile is not counted.
            let _gone = census.look(visit, root, listed);
        }
        Ok(())
    };
    let Ok(walked) = walk::walk(roots, mounts, watch, Tally::default, visit);
    let mut all = Tally::default();
    let (coverage, visitors) = Coverage::of(walked, real_roots);
    for tally in visitors {
        all.counts.add_all(&tally.counts);
        all.listed.extend(tally.listed);
    }
    all.listed.sort_unstable_by(|a, b| (a.link.root, &a.link.path).cmp(&(b.link.root, &b.link.path)));
    Census { counts: all.counts, listed: all.listed, coverage }
}

#[derive(Default)]
struct Tally {
    counts: Counts,
    listed: Vec<Counted>,
}

impl Tally {
    fn look(&mut self, visit: &Visit<'_>, root: &[u8], listed: Kinds) -> Result<(), Fault> {
        let names = symlink::names(visit);
        if names.is_empty() {
            return Ok(());
        }
        let around = Around {
            dir: visit.dir,
            identity: visit.dir.stat()?.identity(),
            real: real_below(root, visit.path),
            root,
        };
        for name in names {
            let Ok(text) = visit.dir.read_link(name) else { continue };
            let link = Symlink { root: visit.root, path: join(visit.path, name), dir: around.identity, text };
            let counted = around.look(name, link);
            self.counts.add(counted.kinds);
            if counted.kinds.meets(listed) {
                self.listed.push(counted);
            }
        }
        Ok(())
    }
}

/// The directory that a link is in.
struct Around<'a> {
    dir: &'a DirFd,
    identity: (u64, u64),
    real: Vec<u8>,
    /// The real path of the root.
    root: &'a [u8],
}

impl Around<'_> {
    fn look(&self, name: &[u8], link: Symlink) -> Counted {
        let leads_to = self.dir.stat_target(name).ok().map(|stat| stat.identity());
        let target = by_the_letter(self.dir, &self.real, &link.text);
        let shortest = leads_to.and_then(|there| self.shorter(&link, target.as_deref()?, there));
        let is_crossing = leads_to.is_some_and(|(device, _)| device != self.identity.0);
        let kinds = [
            (LinkKind::Absolute, link.is_absolute()),
            (LinkKind::Relative, !link.is_absolute()),
            (LinkKind::Dangling, leads_to.is_none()),
            (LinkKind::Leaving, self.leaves(name, target.as_deref())),
            (LinkKind::Crossing, is_crossing),
            (LinkKind::Longer, shortest.is_some()),
        ];
        let kinds = kinds.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind).collect();
        Counted { link, kinds, leads_to, target, shortest }
    }

    /// A shorter text that leads to the same.
    fn shorter(&self, link: &Symlink, target: &[u8], there: (u64, u64)) -> Option<Vec<u8>> {
        let text = if link.is_absolute() { target.to_vec() } else { relative(&self.real, target) };
        let is_shorter = text.len() < link.text.len();
        let found = || self.dir.stat_target(&text).ok().map(|stat| stat.identity());
        (is_shorter && found() == Some(there)).then_some(text)
    }

    /// Is what its text says outside the root? If that is a way through another link, what is really there counts.
    fn leaves(&self, name: &[u8], target: Option<&[u8]>) -> bool {
        let is_outside = |path: &[u8]| !is_below(path, self.root);
        target.is_none_or(is_outside)
            && match self.dir.real_target(name) {
                Ok(real) => is_outside(&real),
                Err(_) => target.is_some(),
            }
    }
}

/// What `text`, in a link in the directory with the real path `dir`, leads to: device and inode number.
pub(crate) fn leads(any: &DirFd, dir: &[u8], text: &[u8]) -> Option<(u64, u64)> {
    let path = if text.starts_with(b"/") { text.to_vec() } else { real_below(dir, text) };
    any.stat_target(&path).ok().map(|stat| stat.identity())
}

/// The root directory of this process, to ask absolute paths of.
pub(crate) fn root_directory() -> Result<DirFd, FsError> {
    DirFd::open_root(Path::new("/")).map_err(|fault| fault.at("/"))
}

#[cfg(test)]
mod tests {
    use super::{Counts, Kinds, LinkKind};

    #[test]
    fn kinds_are_kept_apart() {
        let kinds: Kinds = [LinkKind::Longer, LinkKind::Absolute].into_iter().collect();
        assert_eq!(kinds.iter().collect::<Vec<_>>(), [LinkKind::Absolute, LinkKind::Longer]);
        assert!(kinds.meets([LinkKind::Absolute].into_iter().collect()));
        assert!(!kinds.meets([LinkKind::Relative].into_iter().collect()));
        let mut counts = Counts::default();
        counts.add(kinds);
        counts.add_all(&counts.clone());
        assert_eq!((counts.links, counts.of(LinkKind::Longer), counts.of(LinkKind::Dangling)), (2, 2, 0));
    }
}

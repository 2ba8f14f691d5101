//! Names that a command left behind which was killed between two steps ([`is_temporary`]): what they are, and taking away
//! those by which nothing can be lost.
//!
//! **Invariant:** what is taken away is a further name of a file that has one of its own, which was seen at that moment;
//! and it is not so young that the command that made it could still be at work.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::path::PathBuf;

use linksnap_inode::path::{join, split, under};
use linksnap_inode::{DirFd, Fault, Kind, Name, Stat};

use crate::swap::{self, Expected, SwapError, is_temporary};
use crate::symlink::Seen;
use crate::walk::{self, Mounts, Visit, Watch};

/// A command that is at work has a name of this kind for seconds. This many let it wait for a slow disk, too.
const AT_WORK_SECONDS: i64 = 3600;

/// Such a name of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Where it is.
    pub at: At,
    /// What to do about it.
    pub advice: Advice,
    identity: (u64, u64),
}

/// A place below one of several roots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Which root.
    pub root: usize,
    /// The path below it.
    pub path: Vec<u8>,
}

impl At {
    /// Its path, with the root as it was typed.
    #[must_use]
    pub fn shown(&self, roots: &[PathBuf]) -> PathBuf {
        under(&roots[self.root], &self.path)
    }

    /// The directory that it is in; no link is followed on the way from the root.
    fn dir(&self, roots: &[PathBuf]) -> Result<DirFd, Fault> {
        DirFd::open_root(&roots[self.root])?.open_beneath(split(&self.path).0)
    }

    fn name(&self) -> &[u8] {
        split(&self.path).1
    }
}

/// What to do about a name that was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// It can go: its file is here, too.
    Remove(At),
    /// It is too young to be sure that nobody is at work.
    Wait,
    /// No other name of its file is below the roots: nobody knows whether it is needed.
    Keep,
}

/// Files with such names below `roots`; `now` are the seconds since 1970. Walks twice, so it is for when there are some.
#[must_use]
pub fn find(roots: &[PathBuf], mounts: Mounts, now: i64, watch: &dyn Watch) -> Vec<Leftover> {
    let left = files(roots, mounts, watch, &|name| is_temporary(name.bytes));
    let inodes: HashSet<u64> = left.values().map(|stat| stat.inode).collect();
    let is_other = |name: &Name<'_>| inodes.contains(&name.inode) && !is_temporary(name.bytes);
    let others = files(roots, mounts, watch, &is_other);
    let others: HashMap<_, _> = others.into_iter().map(|(at, stat)| (stat.identity(), at)).rev().collect();
    let leftover = |(at, stat): (At, Stat)| {
        // Whatever is done with one of its names sets the time of change.
        let is_young = stat.ctime.seconds > now.saturating_sub(AT_WORK_SECONDS);
        let advice = match others.get(&stat.identity()) {
            _ if is_young => Advice::Wait,
            Some(other) => Advice::Remove(other.clone()),
            None => Advice::Keep,
        };
        Leftover { at, advice, identity: stat.identity() }
    };
    left.into_iter().map(leftover).collect()
}

/// The files that have one of these names.
fn files(
    roots: &[PathBuf],
    mounts: Mounts,
    watch: &dyn Watch,
    is_meant: &(dyn Fn(&Name<'_>) -> bool + Sync),
) -> BTreeMap<At, Stat> {
    let seen = Seen::none(roots);
    let visit = |found: &mut Vec<(At, Stat)>, visit: &Visit<'_>| -> Result<(), Infallible> {
        if !seen.is_first(visit.dir) {
            return Ok(());
        }
        for name in visit.names.iter().filter(|name| is_meant(name)) {
            let stat = visit.dir.stat_entry(name.bytes).ok().filter(|stat| stat.kind == Kind::File);
            let at = || At { root: visit.root, path: join(visit.path, name.bytes) };
            found.extend(stat.map(|stat| (at(), stat)));
        }
        Ok(())
    };
    let Ok(walked) = walk::walk(roots, mounts, watch, Vec::new, visit);
    walked.visitors.into_iter().flatten().collect()
}

/// Takes away one that can go.
///
/// # Errors
/// [`SwapError::Changed`] if it, or the other name of its file, is no longer what it was; nothing is changed then.
pub fn remove(roots: &[PathBuf], leftover: &Leftover) -> Result<(), SwapError> {
    let Advice::Remove(other) = &leftover.advice else { return Err(SwapError::Changed) };
    let stat = other.dir(roots).and_then(|dir| dir.stat_entry(other.name()));
    if !stat.is_ok_and(|stat| stat.identity() == leftover.identity) {
        return Err(SwapError::Changed);
    }
    let dir = leftover.at.dir(roots)?;
    swap::remove(&dir, leftover.at.name(), &Expected::Inode(leftover.identity))
}

//! Spread: which directories hold how many inodes and bytes.
//!
//! **Invariant:** an inode is counted once, whatever names it has: in the directory whose path comes first among those
//! that have a name of it. So the answer does not depend on which thread came first.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use linksnap_inode::path::{as_path, split};
use linksnap_inode::{FsError, Kind, Stat, mounts};

use crate::walk::{self, Mounts, Visit, Walked, Watch};

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts {
    /// Inodes.
    pub inodes: u64,
    /// Bytes on the disk, in whole blocks.
    pub disk_bytes: u64,
    /// Sum of the sizes of files and symbolic links.
    pub apparent_bytes: u64,
}

impl Amounts {
    fn of(stat: &Stat) -> Self {
        let has_size = matches!(stat.kind, Kind::File | Kind::Symlink);
        Self {
            inodes: 1,
            disk_bytes: stat.blocks.saturating_mul(512),
            apparent_bytes: if has_size { stat.size } else { 0 },
        }
    }

    fn add(&mut self, other: Self) {
        self.inodes += other.inodes;
        self.disk_bytes = self.disk_bytes.saturating_add(other.disk_bytes);
        self.apparent_bytes = self.apparent_bytes.saturating_add(other.apparent_bytes);
    }

    fn measure(&self, by: By) -> u64 {
        match by {
            By::Inodes => self.inodes,
            By::DiskBytes => self.disk_bytes,
            By::ApparentBytes => self.apparent_bytes,
        }
    }
}

/// What directories are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// [`Amounts::inodes`].
    Inodes,
    /// [`Amounts::disk_bytes`].
    DiskBytes,
    /// [`Amounts::apparent_bytes`].
    ApparentBytes,
}

/// What of a directory counts for its rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All that is in it and below.
    All,
    /// Only itself and what is directly in it.
    Own,
}

/// One directory: 72 bytes and its name, for trees with millions of them.
#[derive(Debug)]
struct Dir {
    number: u64,
    above: u64,
    root: usize,
    name: Box<[u8]>,
    own: Amounts,
}

/// What some trees hold.
#[derive(Debug)]
pub struct Spread {
    roots: Vec<PathBuf>,
    /// By their numbers, which begin with 1.
    dirs: Vec<Dir>,
    all: Vec<Amounts>,
    /// Directories that could not be read.
    pub problems: Vec<FsError>,
    /// Directories that are not counted because something is mounted there.
    pub mounts_left_out: u64,
}

/// A directory with what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its path.
    pub path: PathBuf,
    /// Itself and what is directly in it.
    pub own: Amounts,
    /// That, and all that is below.
    pub all: Amounts,
}

/// Counts what is below `roots`; what is mounted there is left out, and a root that is below another is not counted twice.
#[must_use]
pub fn spread(roots: &[PathBuf], watch: &dyn Watch) -> Spread {
    let roots = outermost(roots);
    let shared = Shared::default();
    let visit = |tally: &mut Tally, visit: &Visit<'_>| -> Result<(), Infallible> {
        tally.visit(visit, &shared);
        Ok(())
    };
    let walked = walk::walk(&roots, Mounts::Stay, watch, Tally::default, visit);
    let Ok(Walked { visitors, problems, mounts_left_out, .. }) = walked;
    let mut dirs: Vec<Dir> = Vec::new();
    visitors.into_iter().for_each(|mut tally| dirs.append(&mut tally.dirs));
    dirs.sort_unstable_by_key(|dir| dir.number);
    shared.settle(&mut dirs);
    Spread { all: sums(&dirs), roots, dirs, problems, mounts_left_out }
}

/// Without what is named twice, or lies below another root on the same mount.
fn outermost(roots: &[PathBuf]) -> Vec<PathBuf> {
    let real = |root: &PathBuf| {
        let path = std::fs::canonicalize(root).ok()?;
        mounts::at(&path).ok().map(|mount| (path, mount))
    };
    let found: Vec<_> = roots.iter().map(real).collect();
    let is_inside = |at: usize| {
        let Some((path, mount)) = &found[at] else { return false };
        found.iter().enumerate().any(|(other, outer)| match outer {
            Some((outer, its)) if its == mount && other != at => {
                path.starts_with(outer) && (path != outer || other < at)
            }
            _ => false,
        })
    };
    (0..roots.len()).filter(|at| !is_inside(*at)).map(|at| roots[at].clone()).collect()
}

/// With all that is below. A directory's number is higher than that of the one it is in.
fn sums(dirs: &[Dir]) -> Vec<Amounts> {
    let mut all: Vec<Amounts> = dirs.iter().map(|dir| dir.own).collect();
    for at in (0..dirs.len()).rev() {
        let sum = all[at];
        if let Some(above) = place(dirs[at].above) {
            all[above].add(sum);
        }
    }
    all
}

/// Where the directory of that number is in the list.
fn place(number: u64) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

impl Spread {
    /// The roots that were counted.
    #[must_use]
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// All that the roots hold.
    #[must_use]
    pub fn total(&self) -> Amounts {
        let mut total = Amounts::default();
        let tops = self.dirs.iter().zip(&self.all).filter(|(dir, _)| dir.above == 0);
        tops.for_each(|(_, all)| total.add(*all));
        total
    }

    /// How many directories were read.
    #[must_use]
    pub fn directories(&self) -> u64 {
        self.dirs.len() as u64
    }

    /// The first `count` directories of the ranking; among equals those that are further up, then by path.
    #[must_use]
    pub fn top(&self, by: By, share: Share, count: usize) -> Vec<Holder> {
        let measure = |at: usize| match share {
            Share::All => self.all[at].measure(by),
            Share::Own => self.dirs[at].own.measure(by),
        };
        let mut places: Vec<usize> = (0..self.dirs.len()).collect();
        let rank = |at: &usize| Reverse(measure(*at));
        if count < places.len() {
            // Those that are equal to the last of them come along, so that their paths can decide.
            let (_, last, _) = places.select_nth_unstable_by_key(count, rank);
            let least = measure(*last);
            places.retain(|at| measure(*at) >= least && measure(*at) > 0);
        }
        let mut holders: Vec<Holder> = places.into_iter().map(|at| self.holder(at)).collect();
        holders.sort_by_cached_key(|one| {
            let measured = match share {
                Share::All => one.all.measure(by),
                Share::Own => one.own.measure(by),
            };
            (Reverse(measured), one.path.components().count(), one.path.clone())
        });
        holders.truncate(count);
        holders
    }

    fn holder(&self, at: usize) -> Holder {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut dir = &self.dirs[at];
        while let Some(above) = place(dir.above) {
            names.push(&dir.name);
            dir = &self.dirs[above];
        }
        let mut path = self.roots[dir.root].clone();
        names.iter().rev().for_each(|name| path.push(as_path(name)));
        Holder { path, own: self.dirs[at].own, all: self.all[at] }
    }
}

/// The directories that one thread has seen.
#[derive(Default)]
struct Tally {
    dirs: Vec<Dir>,
}

impl Tally {
    fn visit(&mut self, visit: &Visit<'_>, shared: &Shared) {
        // What is gone by now is not there to be counted.
        let mut own = visit.dir.stat().map(|stat| Amounts::of(&stat)).unwrap_or_default();
        let mut order: Vec<(u64, usize)> = Vec::with_capacity(visit.names.len());
        let names = visit.names.iter().enumerate().filter(|(_, name)| name.kind != Some(Kind::Directory));
        order.extend(names.map(|(at, name)| (name.inode, at)));
        // Near to the order in which inodes are on the disk.
        order.sort_unstable();
        let mut path: Option<Arc<[u8]>> = None;
        for (_, at) in order {
            match visit.dir.stat_entry(visit.names.get(at).bytes) {
                Ok(stat) if stat.kind == Kind::Directory => {}
                Ok(stat) if stat.links > 1 => {
                    let path = path.get_or_insert_with(|| visit.path.into());
                    shared.add(&stat, (visit.root, path), visit.number);
                }
                Ok(stat) => own.add(Amounts::of(&stat)),
                Err(_) => {}
            }
        }
        let name = split(visit.path).1.into();
        self.dirs.push(Dir { number: visit.number, above: visit.above, root: visit.root, name, own });
    }
}

/// Inodes with several names, in parts so that threads seldom wait for each other.
#[derive(Default)]
struct Shared {
    parts: [Mutex<HashMap<(u64, u64), Owner>>; 16],
}

/// The first directory, by its path, that has a name of an inode.
struct Owner {
    path: (usize, Arc<[u8]>),
    dir: u64,
    amounts: Amounts,
}

impl Shared {
    fn add(&self, stat: &Stat, (root, path): (usize, &Arc<[u8]>), dir: u64) {
        let part = usize::try_from(stat.inode % 16).unwrap_or_default();
        let mut part = self.parts[part].lock().unwrap_or_else(PoisonError::into_inner);
        let owner = || Owner { path: (root, Arc::clone(path)), dir, amounts: Amounts::of(stat) };
        let known = part.entry(stat.identity()).or_insert_with(owner);
        if (root, path) < (known.path.0, &known.path.1) {
            (known.path, known.dir) = ((root, Arc::clone(path)), dir);
        }
    }

    fn settle(self, dirs: &mut [Dir]) {
        for part in self.parts {
            for owner in part.into_inner().unwrap_or_else(PoisonError::into_inner).into_values() {
                if let Some(dir) = place(owner.dir).and_then(|at| dirs.get_mut(at)) {
                    dir.own.add(owner.amounts);
                }
            }
        }
    }
}

//! Scan: from an open source directory to its [`Listing`], with what the rules leave out left out.

use linksnap_inode::filesystem::{Filesystem, Nature};
use linksnap_inode::path;
use linksnap_inode::{Errno, Fault, Kind, Names, Stat};

use crate::exclude::Rules;
use crate::listing::Listing;
use crate::report::{Problem, ProblemKind};
use crate::source::{Place, Sources};
use crate::tree::TreeDir;

/// What decides which entries count: the same for a whole run.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The sources.
    pub sources: &'a Sources,
    /// The rules.
    pub rules: &'a Rules,
    /// What to do at the border of a filesystem.
    pub mounts: Mounts,
    /// The repository's own directory, which is left out of every source.
    pub repository: Option<Stat>,
}

/// What to do where another filesystem begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounts {
    /// Keep the mount point, empty.
    Stay,
    /// Enter it, unless it holds no files but the kernel talking.
    Cross,
}

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scanned {
    /// The entries that count.
    pub listing: Listing,
    /// How many were left out by rules.
    pub excluded: u64,
    /// What could not be looked at, or was left out unexpectedly.
    pub problems: Vec<Problem>,
}

impl Scanned {
    /// Is nothing left out?
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.excluded == 0 && self.problems.is_empty()
    }
}

/// Lists the directory `path`. An error is one of the directory as a whole.
pub fn scan<D: TreeDir>(dir: &D, path: &[u8], place: Place, scope: &Scope<'_>) -> Result<Scanned, Fault> {
    let mut scanned = Scanned::default();
    let names = counting_names(dir, path, place, scope, &mut scanned)?;
    scanned.listing = Listing::with_room_for(&names);
    for name in names.iter() {
        match dir.stat_entry(name.bytes) {
            Ok(stat) => keep(name.bytes, stat, path, scope, &mut scanned),
            Err(fault) => scanned.problems.push(lost(path, name.bytes, fault)),
        }
    }
    scanned.listing.sort();
    Ok(scanned)
}

/// The names that count, in the order of their inodes: near to their order on disk.
fn counting_names<D: TreeDir>(
    dir: &D,
    path: &[u8],
    place: Place,
    scope: &Scope<'_>,
    scanned: &mut Scanned,
) -> Result<Names, Fault> {
    let forced = scope.sources.names_in(path);
    if place == Place::OnTheWay {
        return Ok(forced.into_iter().map(|name| (name, 0, None)).collect());
    }
    let mut names = dir.names()?;
    let before = names.len();
    if let Some(marker) = dir.local().and_then(|local| scope.rules.marker_in(local, &names)) {
        names.retain(|name| name.bytes == marker || forced.contains(&name.bytes));
    }
    if !scope.rules.are_trivial() {
        names.retain(|name| {
            let is_dir = name.kind == Some(Kind::Directory);
            forced.contains(&name.bytes) || scope.rules.excludes_name(path, name.bytes, is_dir).is_none()
        });
    }
    scanned.excluded += (before - names.len()) as u64;
    names.sort_by_inode();
    Ok(names)
}

fn keep(name: &[u8], stat: Stat, path: &[u8], scope: &Scope<'_>, scanned: &mut Scanned) {
    let is_repository = |own: Stat| own.identity() == stat.identity();
    if stat.kind == Kind::Directory && scope.repository.is_some_and(is_repository) {
        scanned.problems.push(Problem {
            kind: ProblemKind::LeftOut,
            path: path::absolute(&path::join(path, name)),
            message: "the repository itself lies in the source: left out".to_owned(),
        });
        return;
    }
    let forced = || scope.sources.contains(&path::join(path, name));
    if scope.rules.excludes_stat(&stat).is_some() && !forced() {
        scanned.excluded += 1;
        return;
    }
    scanned.listing.add(name, stat);
}

/// Where the entries of the directory `path` stand, whose metadata is `stat`, seen from its parent's place;
/// `None` if it is kept as an empty directory, because another filesystem begins there.
pub fn place_of<D: TreeDir>(
    dir: &D,
    path: &[u8],
    stat: &Stat,
    parent: Place,
    scope: &Scope<'_>,
) -> Result<Option<Place>, Fault> {
    if scope.sources.contains(path) {
        return Ok(Some(Place::Inside { device: stat.device }));
    }
    let Place::Inside { device } = parent else { return Ok(Some(Place::OnTheWay)) };
    if stat.device == device {
        return Ok(Some(parent));
    }
    let pseudo = match dir.local() {
        Some(local) => Filesystem::of(local)?.nature() == Nature::Pseudo,
        None => false,
    };
    if scope.mounts == Mounts::Cross && !pseudo {
        return Ok(Some(Place::Inside { device: stat.device }));
    }
    // A source may still lie deeper, beyond the border.
    let leads_on = !scope.sources.names_in(path).is_empty();
    Ok(leads_on.then_some(Place::OnTheWay))
}

/// The problem of an entry that could not be read, or the warning that it vanished.
#[must_use]
pub fn lost(dir: &[u8], name: &[u8], fault: Fault) -> Problem {
    let vanished = fault.is(Errno::NOENT) || fault.is(Errno::STALE);
    let (kind, message) = if vanished {
        (ProblemKind::Vanished, "vanished while the run was at work".to_owned())
    } else {
        (ProblemKind::Unreadable, format!("{fault}; it is not in this snapshot"))
    };
    Problem { kind, path: path::absolute(&path::join(dir, name)), message }
}

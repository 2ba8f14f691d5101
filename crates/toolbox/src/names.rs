//! Names: every name of one inode, below some directories or on all of its filesystem that can be seen.
//!
//! A directory's listing says the inode number of each name, so only what has the right number is looked at. Where a
//! filesystem lists other numbers than `stat(2)` tells (stacked ones), every name is.
//!
//! **Invariant:** a name is told once, whatever mounts lead to it, so that the names can be compared with the link count.

use std::collections::HashSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use linksnap_inode::dir::path_bytes;
use linksnap_inode::filesystem::{Filesystem, Nature};
use linksnap_inode::mounts::{self, Mount};
use linksnap_inode::path::{as_path, join, under};
use linksnap_inode::{DirFd, Fault, FsError, Kind, Last, Stat};

use crate::Place;
use crate::walk::{self, Mounts, Visit, Walked, Watch};

/// An inode number of btrfs: that of the root of every subvolume (`BTRFS_FIRST_FREE_OBJECTID`).
const SUBVOLUME: u64 = 256;

/// The inode that is looked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its device, as `stat(2)` tells it.
    pub device: u64,
    /// Its number.
    pub inode: u64,
    /// What it says of itself; `None` if only its number is known.
    pub stat: Option<Stat>,
    /// What its filesystem is good for: on pseudo filesystems nothing is found.
    pub nature: Nature,
    numbers: Numbers,
    /// The mount that it was found on.
    mount: u64,
    /// Of a directory its only name.
    only: Option<PathBuf>,
}

/// What the inode numbers in listings are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// They are those of `stat(2)`.
    True,
    /// They are others.
    Other,
}

impl Wanted {
    /// The inode that has the name `path`; of a symbolic link the link's own.
    ///
    /// # Errors
    /// If there is none.
    pub fn at(path: &Path) -> Result<Self, FsError> {
        let place = Place::find(path)?;
        let stat = place.stat()?;
        let mount = place.dir.mount_of(&place.name, Last::AsItIs).map_err(|fault| fault.at(path))?;
        let numbers = numbers_in(&place, &stat);
        let only = match stat.kind {
            Kind::Directory if !stat.mount_root => std::fs::canonicalize(path).ok(),
            _ => None,
        };
        let nature = Filesystem::of(&place.dir).map_err(|fault| fault.at(path))?.nature();
        Ok(Self { device: stat.device, inode: stat.inode, stat: Some(stat), nature, numbers, mount, only })
    }

    /// The inode of that number on the filesystem of the directory `on`.
    ///
    /// # Errors
    /// If `on` is no directory that can be opened.
    pub fn numbered(inode: u64, on: &Path) -> Result<Self, FsError> {
        let at = |fault: Fault| fault.at(on);
        let dir = DirFd::open_root(on).map_err(at)?;
        let device = dir.stat().map_err(at)?.device;
        let filesystem = Filesystem::of(&dir).map_err(at)?;
        let numbers = match filesystem.name().as_str() {
            "overlay" => Numbers::Other,
            _ => Numbers::True,
        };
        let mount = dir.mount_of(b"", Last::AsItIs).map_err(at)?;
        Ok(Self { device, inode, stat: None, nature: filesystem.nature(), numbers, mount, only: None })
    }

    fn is(&self, stat: &Stat) -> bool {
        stat.identity() == (self.device, self.inode)
    }
}

/// Compares what the listing says of the name with what the inode says. A mount point's number is that of what it
/// covers: nothing can be learned from it.
fn numbers_in(place: &Place, stat: &Stat) -> Numbers {
    let names = place.dir.names();
    let listed =
        names.ok().and_then(|names| names.iter().find(|name| name.bytes == place.name).map(|n| n.inode));
    match listed {
        Some(listed) if listed != stat.inode && !stat.mount_root => Numbers::Other,
        _ => Numbers::True,
    }
}

/// Where an inode's names are looked for.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The directories; none if nothing of the filesystem is below those that were named.
    pub roots: Vec<PathBuf>,
    /// How much of the filesystem they are.
    pub reach: Reach,
    /// The mount the inode was found on, as far as the table tells.
    pub mount: Option<Mount>,
    /// Where the inode itself, not a name of it, is mounted.
    points: Vec<PathBuf>,
}

/// How much of a filesystem is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All of it.
    Whole,
    /// All that is mounted where this process can see it; the top of the filesystem is not.
    Mounted,
    /// What is below the directories that were named.
    Below,
}

impl Ground {
    /// All of the inode's filesystem that can be seen.
    ///
    /// # Errors
    /// Where the table of mounts cannot be read.
    pub fn whole(wanted: &Wanted) -> Result<Self, FsError> {
        let (mut mounts, mount) = mounts_with(wanted)?;
        mounts.sort_by_key(|one| (one.root.len(), one.id != wanted.mount, one.point.len()));
        let mut chosen: Vec<&Mount> = Vec::new();
        for one in mounts.iter().filter(|one| is_directory(one)) {
            if !chosen.iter().any(|other| is_below(&one.root, &other.root)) {
                chosen.push(one);
            }
        }
        let reach = match chosen.as_slice() {
            [only] if is_top(only, wanted) => Reach::Whole,
            _ => Reach::Mounted,
        };
        let roots = chosen.iter().map(|one| as_path(&one.point).to_path_buf()).collect();
        Ok(Self { roots, reach, points: points(&mounts, wanted), mount })
    }

    /// What is below `roots` of the inode's filesystem, wherever it is mounted there.
    ///
    /// # Errors
    /// If one of them is no directory that can be opened, or the table of mounts cannot be read.
    pub fn below(wanted: &Wanted, roots: &[PathBuf]) -> Result<Self, FsError> {
        let (mounts, mount) = mounts_with(wanted)?;
        let mut ground =
            Self { roots: Vec::new(), reach: Reach::Below, points: points(&mounts, wanted), mount };
        let mut tops = Vec::new();
        for root in roots {
            let at = |fault: Fault| fault.at(root);
            let own = DirFd::open_root(root).and_then(|dir| dir.mount_of(b"", Last::AsItIs)).map_err(at)?;
            if mounts.iter().any(|one| one.id == own) {
                ground.roots.push(root.clone());
            }
            tops.push(std::fs::canonicalize(root).unwrap_or_else(|_| root.clone()));
        }
        let is_inside = |point: &[u8], top: &PathBuf| {
            let top = path_bytes(top);
            point.len() > top.len() && is_below(point, top)
        };
        let inside = mounts.iter().filter(|one| is_directory(one));
        let inside = inside.filter(|one| tops.iter().any(|top| is_inside(&one.point, top)));
        ground.roots.extend(inside.map(|one| as_path(&one.point).to_path_buf()));
        ground.points.retain(|point| tops.iter().any(|top| point.starts_with(top)));
        Ok(ground)
    }
}

/// The mounts of the inode's filesystem that nothing hides, and the one that it was found on.
fn mounts_with(wanted: &Wanted) -> Result<(Vec<Mount>, Option<Mount>), FsError> {
    let mut all = mounts::all()?;
    let own = all.iter().find(|one| one.id == wanted.mount).cloned();
    all.retain(|one| own.as_ref().is_some_and(|own| one.device == own.device) && one.is_visible());
    Ok((all, own))
}

/// By its path, since who may go through a directory need not be able to open it.
fn stat_point(mount: &Mount) -> Option<Stat> {
    DirFd::open_root(Path::new("/")).and_then(|root| root.stat_entry(&mount.point)).ok()
}

fn is_directory(mount: &Mount) -> bool {
    stat_point(mount).is_some_and(|stat| stat.kind == Kind::Directory)
}

/// Is nothing of what the inode can have names in above this mount? Names cannot leave a subvolume of btrfs.
fn is_top(mount: &Mount, wanted: &Wanted) -> bool {
    let is_own_subvolume = || {
        let top = stat_point(mount);
        mount.kind == "btrfs" && top.is_some_and(|top| top.identity() == (wanted.device, SUBVOLUME))
    };
    mount.root == b"/" || is_own_subvolume()
}

fn points(mounts: &[Mount], wanted: &Wanted) -> Vec<PathBuf> {
    let is_it = |one: &&Mount| stat_point(one).is_some_and(|stat| wanted.is(&stat));
    mounts.iter().filter(is_it).map(|one| as_path(&one.point).to_path_buf()).collect()
}

/// Is the absolute path `path` that of `top`, or below it?
fn is_below(path: &[u8], top: &[u8]) -> bool {
    match path.strip_prefix(top) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"/") || top.ends_with(b"/"),
        None => false,
    }
}

/// When to stop looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When there are as many names as the link count says.
    AllFound,
    /// When everything was looked through.
    End,
}

/// What was found.
#[derive(Debug)]
pub struct Names {
    /// The names, sorted.
    pub paths: Vec<PathBuf>,
    /// Where the inode itself is mounted: no names that the link count counts.
    pub mounted_at: Vec<PathBuf>,
    /// What the inode says of itself; `None` if nothing was found of an inode that only its number was known of.
    pub stat: Option<Stat>,
    /// Directories that could not be read.
    pub problems: Vec<FsError>,
    /// Directories read.
    pub directories: u64,
    /// Names read.
    pub names: u64,
    /// Directories that something is mounted on: what they hold cannot be seen.
    pub covered: u64,
}

impl Names {
    fn nothing(wanted: &Wanted, ground: &Ground) -> Self {
        Self {
            paths: Vec::new(),
            mounted_at: ground.points.clone(),
            stat: wanted.stat,
            problems: Vec::new(),
            directories: 0,
            names: 0,
            covered: 0,
        }
    }

    /// How many names there are by the link count. Of a directory that says something else: it has one name, or none
    /// that can be seen if it is mounted.
    #[must_use]
    pub fn links(&self) -> Option<u64> {
        self.stat.map(|stat| links(&stat))
    }

    /// How many names were not found.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.links().unwrap_or_default().saturating_sub(self.paths.len() as u64)
    }
}

fn links(stat: &Stat) -> u64 {
    match stat.kind {
        Kind::Directory => u64::from(!stat.mount_root),
        _ => u64::from(stat.links),
    }
}

struct Search<'a> {
    wanted: &'a Wanted,
    until: Until,
    watch: &'a dyn Watch,
    is_enough: AtomicBool,
    hits: Mutex<Hits>,
}

#[derive(Default)]
struct Hits {
    /// Directory and name.
    entries: HashSet<((u64, u64), Vec<u8>)>,
    paths: Vec<PathBuf>,
    stat: Option<Stat>,
}

impl Watch for Search<'_> {
    fn seen(&self, directories: u64, names: u64) {
        self.watch.seen(directories, names);
    }

    fn is_stopped(&self) -> bool {
        self.is_enough.load(Ordering::Relaxed) || self.watch.is_stopped()
    }
}

/// Looks for the names of an inode. What cannot be read is a problem of the report.
#[must_use]
pub fn names(wanted: &Wanted, ground: &Ground, until: Until, watch: &dyn Watch) -> Names {
    if let (Some(only), Reach::Whole | Reach::Mounted) = (&wanted.only, ground.reach) {
        return Names { paths: vec![only.clone()], ..Names::nothing(wanted, ground) };
    }
    let search = Search { wanted, until, watch, is_enough: AtomicBool::new(false), hits: Mutex::default() };
    let visit = |(): &mut (), visit: &Visit<'_>| -> Result<(), Infallible> {
        search.look(&ground.roots[visit.root], visit);
        Ok(())
    };
    let walked = walk::walk(&ground.roots, Mounts::Stay, &search, || (), visit);
    let Ok(Walked { problems, directories, names, mounts_left_out, .. }) = walked;
    let hits = search.hits.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut paths = hits.paths;
    paths.sort();
    let stat = hits.stat.or(wanted.stat);
    let covered = mounts_left_out;
    Names { paths, stat, problems, directories, names, covered, ..Names::nothing(wanted, ground) }
}

impl Search<'_> {
    fn look(&self, root: &Path, visit: &Visit<'_>) {
        let fits = |inode: u64| self.wanted.numbers == Numbers::Other || inode == self.wanted.inode;
        for name in visit.names.iter().filter(|name| fits(name.inode)) {
            // What is gone by now has no name there any more.
            if let (Ok(stat), Ok(dir)) = (visit.dir.stat_entry(name.bytes), visit.dir.stat())
                && self.wanted.is(&stat)
                && !(stat.mount_root && stat.device != dir.device)
            {
                self.add(dir.identity(), name.bytes, under(root, &join(visit.path, name.bytes)), stat);
            }
        }
    }

    fn add(&self, dir: (u64, u64), name: &[u8], path: PathBuf, stat: Stat) {
        let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        if !hits.entries.insert((dir, name.to_vec())) {
            return;
        }
        hits.paths.push(path);
        hits.stat = Some(stat);
        if self.until == Until::AllFound && hits.paths.len() as u64 >= links(&stat) {
            self.is_enough.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn below_wants_whole_parts() {
        let table: &[(&[u8], &[u8], bool)] = &[
            (b"/a/b", b"/a", true),
            (b"/a", b"/a", true),
            (b"/ab", b"/a", false),
            (b"/a", b"/", true),
            (b"/", b"/a", false),
        ];
        for (path, top, wanted) in table {
            assert_eq!(is_below(path, top), *wanted, "{path:?} {top:?}");
        }
    }
}

//! Deleted: files that have no name any more, but are still held by processes, and so keep their blocks.
//!
//! Read from `/proc` (`proc_pid_fd(5)`, `proc_pid_maps(5)`). That a file is deleted is asked of the inode (a link count
//! of 0), not of the words ` (deleted)`, which may be a part of a name. Files in memory that never had a name (memfd,
//! System V segments, shared anonymous memory) are only counted.
//!
//! **Invariant:** what is truncated is the very inode that the plan says, is no one else's file by then, has no name, and
//! is mapped by no process that can be seen.

mod truncation;

use std::collections::{BTreeMap, BTreeSet};

use linksnap_inode::mounts::{self, Mount};
use linksnap_inode::path::as_path;
use linksnap_inode::{Fault, FsError, Stat};

use crate::process::{self, Identity, Link, Mapping, ProcessDir};

pub use self::truncation::{Next, Target, TruncateError, Truncation, plan, truncate};
pub use crate::process::{Hold, Others, Process, Unit};

/// What the kernel puts behind the path of a name that is gone.
const GONE: &[u8] = b" (deleted)";
/// How the names of files begin that the kernel makes for memory.
const MEMORY: [&[u8]; 7] =
    [b"/memfd:", b"/SYSV", b"/dev/zero", b"/[aio]", b"/anon_hugepage", b"/dmabuf:", b"/drm mm object"];

/// A file without a name.
#[derive(Debug, Clone)]
pub struct File {
    /// Device and inode number.
    pub identity: Identity,
    /// Its last path, as the process that holds it sees it.
    pub path: Vec<u8>,
    /// What the inode says; `None` of a mapped file that only root may ask about.
    pub stat: Option<Stat>,
    /// The mount that it was opened on, if this process sees it.
    pub mount: Option<Mount>,
    /// Who holds it.
    pub holders: Vec<Holder>,
}

impl File {
    /// The bytes that its end would free.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.stat.map_or(0, |stat| stat.blocks.saturating_mul(512))
    }

    /// When it was deleted.
    #[must_use]
    pub fn gone(&self) -> Option<Gone> {
        // Both taking the name away and writing set the ctime; only writing sets the mtime.
        self.stat.map(|stat| match stat.ctime > stat.mtime {
            true => Gone::At(stat.ctime.seconds),
            false => Gone::NotAfter(stat.ctime.seconds),
        })
    }
}

/// When a file lost its last name, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Then.
    At(i64),
    /// Then or before: it was written since.
    NotAfter(i64),
}

/// A process that holds a file, and how.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The process.
    pub process: Process,
    /// How, each way once.
    pub holds: Vec<Hold>,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Deleted {
    /// The files, those with most bytes on the disk first.
    pub files: Vec<File>,
    /// Files in memory that were left out.
    pub memory_files: u64,
    /// Processes that were looked into.
    pub seen: u64,
    /// Processes that this one may not look into.
    pub unseen: u64,
    /// Whether processes of others are listed at all.
    pub others: Others,
}

struct Search {
    mounts: Vec<Mount>,
    files: BTreeMap<Identity, File>,
    memory: BTreeSet<Identity>,
}

/// Looks into all processes.
///
/// # Errors
/// Where `/proc` is not mounted.
pub fn deleted() -> Result<Deleted, FsError> {
    let booted = process::booted();
    let mut search = Search { mounts: mounts::all()?, files: BTreeMap::new(), memory: BTreeSet::new() };
    let look = |process: &ProcessDir| {
        let mut found = Vec::new();
        let looked = look(process, &mut found);
        if !found.is_empty()
            && let Some(process) = Process::of(process, booted)
        {
            found.into_iter().for_each(|one| search.add(&process, one));
        }
        looked
    };
    let pass = process::each(look).map_err(|fault| fault.at("/proc"))?;
    let mut files: Vec<File> = search.files.into_values().collect();
    files.sort_by(|a, b| (b.disk_bytes(), &a.path).cmp(&(a.disk_bytes(), &b.path)));
    let memory_files = search.memory.len() as u64;
    let others = Others::of(&search.mounts);
    Ok(Deleted { files, memory_files, seen: pass.seen, unseen: pass.unseen, others })
}

/// Something without a name that a process holds.
struct Found {
    identity: Identity,
    path: Vec<u8>,
    stat: Option<Stat>,
    mount: Option<u64>,
    hold: Hold,
}

impl Search {
    fn add(&mut self, process: &Process, found: Found) {
        if MEMORY.iter().any(|memory| found.path.starts_with(memory)) {
            self.memory.insert(found.identity);
            return;
        }
        let mount = self.mounts.iter().find(|one| Some(one.id) == found.mount);
        let mount = mount.or_else(|| self.mounts.iter().find(|one| one.device == found.identity.0));
        let Found { identity, mut path, stat, hold, .. } = found;
        if path.ends_with(GONE) {
            path.truncate(path.len() - GONE.len());
        }
        let new = || File { identity, path, stat, mount: mount.cloned(), holders: Vec::new() };
        let file = self.files.entry(identity).or_insert_with(new);
        file.stat = file.stat.or(stat);
        let at = file.holders.iter().position(|one| one.process.pid == process.pid).unwrap_or_else(|| {
            file.holders.push(Holder { process: process.clone(), holds: Vec::new() });
            file.holders.len() - 1
        });
        let holds = &mut file.holders[at].holds;
        if !holds.contains(&hold) {
            holds.push(hold);
            holds.sort();
        }
    }
}

fn look(process: &ProcessDir, found: &mut Vec<Found>) -> Result<(), Fault> {
    for (number, file) in process.open_files()? {
        found.extend(nameless(&file, Hold::Open(number)));
    }
    let places = process.places().into_iter().filter_map(|(hold, place)| nameless(&place, hold));
    let places: Vec<Found> = places.collect();
    let program = places.iter().find(|one| one.hold == Hold::Program).map(|one| one.identity);
    found.extend(places);
    let mut known = BTreeSet::new();
    let is_gone = |one: &Mapping<'_>| one.path.starts_with(b"/") && one.path.ends_with(GONE);
    for mapping in Mapping::all(&process.maps()?).filter(is_gone) {
        if known.insert(mapping.identity) {
            // That a program that runs is mapped goes without saying.
            let mapped = nameless_mapped(process, &mapping);
            found.extend(mapped.filter(|one| Some(one.identity) != program));
        }
    }
    Ok(())
}

/// What a link leads to, if that has no name.
fn nameless(link: &Link<'_>, hold: Hold) -> Option<Found> {
    let path = link.path().ok().filter(|path| path.starts_with(b"/"))?;
    let stat = link.stat().ok().filter(|stat| stat.links == 0)?;
    Some(Found { identity: stat.identity(), path, stat: Some(stat), mount: link.mount().ok(), hold })
}

/// A file that is mapped, if it has no name.
fn nameless_mapped(process: &ProcessDir, mapping: &Mapping<'_>) -> Option<Found> {
    let link = process.mapped(mapping);
    let stat = link.stat().ok();
    // Only root may follow these: the words must do, unless a file is called so.
    let has_name = stat.map_or_else(|| is_called(mapping), |stat| stat.links > 0);
    let identity = stat.map_or(mapping.identity, |stat| stat.identity());
    let (path, mount) = (mapping.path.to_vec(), link.mount().ok());
    (!has_name).then_some(Found { identity, path, stat, mount, hold: Hold::Mapped })
}

/// Is there a file whose name ends in these very words?
fn is_called(mapping: &Mapping<'_>) -> bool {
    let stat = crate::Place::find(as_path(mapping.path)).and_then(|place| place.stat());
    stat.is_ok_and(|stat| stat.inode == mapping.identity.1)
}

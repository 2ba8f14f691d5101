//! Du: what each snapshot holds, adds and holds alone, from the catalog; and the proof of it on the disk.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use linksnap_catalog::{Accounts, CatalogError, DirId, Growth, Held, Reader, Snapshot, SnapshotId};
use linksnap_inode::path;
use linksnap_inode::pool::{self, Queue};
use linksnap_inode::{DirFd, Fault, Kind, Name, Stat};

use crate::job::{Job, JobError};
use crate::layout;
use crate::monitor::{Monitor, Progress, Wish};
use crate::report::Class;
use crate::stages::begin::{self, BeginError};
use crate::stages::prune;
use crate::stages::retire;

/// A job's snapshots and what they hold.
#[derive(Debug)]
pub struct Usage {
    /// The published snapshots in the order in which they were made.
    pub snapshots: Vec<SnapshotUsage>,
    /// All that they hold.
    pub total: Held,
    accounts: Accounts,
}

/// What one snapshot holds.
#[derive(Debug)]
pub struct SnapshotUsage {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What it has that no older one has.
    pub added: Held,
    /// What it alone has: what deleting it frees.
    pub alone: Held,
    /// All that it has.
    pub held: Held,
}

impl Usage {
    /// What is free when all of these are deleted.
    #[must_use]
    pub fn freed_by(&self, doomed: &[SnapshotId]) -> Held {
        self.accounts.freed_by(doomed)
    }
}

/// Adds up what the job's snapshots hold.
pub fn du(job: &Job) -> Result<Usage, JobError> {
    let snapshots = job.snapshots()?;
    let accounts = prune::read_accounts(job)?;
    let of = |snapshot: Snapshot| SnapshotUsage {
        added: accounts.added(snapshot.id),
        alone: accounts.alone(snapshot.id),
        held: accounts.held(snapshot.id),
        snapshot,
    };
    let snapshots = snapshots.into_iter().map(of).collect();
    Ok(Usage { snapshots, total: accounts.total(), accounts })
}

/// How the job grew and shrank, run by run.
pub fn history(job: &Job) -> Result<Vec<Growth>, JobError> {
    job.catalog()?.growth().map_err(|source| job.catalog_error(source))
}

/// What was counted on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// What the catalog said there was at the same time.
    pub claimed: Held,
    /// Inodes that the snapshots hold, directories among them.
    pub inodes: u64,
    /// Sum of the sizes of their files in bytes, holes counted.
    pub apparent_bytes: u64,
    /// Bytes that the filesystem has given to those files (`st_blocks`).
    pub disk_bytes: u64,
    /// Directories of what the next run builds upon: in no snapshot.
    pub other_directories: u64,
    /// Names of the snapshots' inodes that must be somewhere else, at least so many.
    pub outside_names: u64,
    /// Directories that could not be read, with the reason.
    pub unreadable: Vec<(Vec<u8>, String)>,
}

/// Why the disk could not be counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// The job cannot be locked.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// The job cannot be read.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The watcher wanted it.
    #[error("interrupted")]
    Interrupted,
}

impl CountError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Begin(error) => error.class(),
            Self::Job(error) => error.class(),
            Self::Interrupted => Class::Interrupted,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Begin(error) => error.hint(),
            Self::Job(error) => error.hint(),
            Self::Interrupted => None,
        }
    }
}

/// Counts what the snapshots hold on the disk, without the catalog's word for it.
///
/// An inode with N names is counted by an Nth at each of them: whatever there is, nothing of it has to be remembered.
/// So the names in the job's own directory count as well, if they are further ones of a snapshot's inodes; whether
/// they are, the catalog knows.
pub fn count(job: &Job, (holder, now): (&str, i64), monitor: &dyn Monitor) -> Result<Counted, CountError> {
    let _begun = begin::begin(job, holder, now, monitor)?;
    // What is being deleted would only confuse: it goes first.
    drop(retire::empty_trash(job, monitor).map_err(JobError::from)?);
    let mut roots = Vec::new();
    let mut counted = Counted::default();
    for snapshot in job.snapshots()? {
        match job.dir().open_dir(snapshot.name.as_bytes()) {
            Ok(dir) => roots.push(Root { dir, name: snapshot.name.into_bytes(), owner: Owner::Snapshot }),
            Err(fault) => counted.unreadable.push((snapshot.name.into_bytes(), fault.to_string())),
        }
    }
    let staging = job.workshop().open_dir(layout::STAGING).ok();
    for (dir, name) in [(retire::peek_scaffold(job), layout::RETIRED), (staging, layout::STAGING)] {
        roots.extend(dir.map(|dir| Root { dir, name: name.to_vec(), owner: Owner::Nobody }));
    }
    let progress = Progress::default();
    let tally = Mutex::new((counted, BTreeMap::new()));
    let counting = Counting { job, monitor, progress, tally, strangers: Mutex::default() };
    for root in &roots {
        counting.tree(root)?;
    }
    let Counting { tally, strangers, .. } = counting;
    let (mut counted, mut names) = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (found, stat) in strangers.into_inner().unwrap_or_else(PoisonError::into_inner).into_values() {
        // One that has all its names there is in no snapshot.
        if found < u64::from(stat.links) {
            names.entry(u64::from(stat.links)).or_default().add(&stat, found);
        }
    }
    for (links, sums) in names {
        counted.inodes += sums.names / links;
        counted.apparent_bytes = counted.apparent_bytes.saturating_add(sums.bytes / links);
        counted.disk_bytes += sums.disk_bytes / links;
        counted.outside_names += (links - sums.names % links) % links;
    }
    let accounts = prune::read_accounts(job)?;
    counted.claimed = accounts.total();
    Ok(counted)
}

/// A tree to be counted.
struct Root {
    dir: DirFd,
    name: Vec<u8>,
    owner: Owner,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Snapshot,
    /// Only further names of a snapshot's inodes count.
    Nobody,
}

/// Of all names whose inodes have so many.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    names: u64,
    bytes: u64,
    disk_bytes: u64,
}

struct Counting<'a> {
    job: &'a Job,
    monitor: &'a dyn Monitor,
    progress: Progress,
    tally: Mutex<(Counted, BTreeMap<u64, Sums>)>,
    /// Inodes with several names that stand where the catalog does not know them, as a new hard link does that an
    /// interrupted run had made: how many names, and all that is to be counted of one.
    strangers: Mutex<HashMap<u64, (u64, Stat)>>,
}

impl Sums {
    fn add(&mut self, stat: &Stat, names: u64) {
        self.names += names;
        if stat.kind == Kind::File {
            self.bytes = self.bytes.saturating_add(stat.size.saturating_mul(names));
            self.disk_bytes += stat.blocks * 512 * names;
        }
    }
}

impl Counting<'_> {
    fn tree(&self, root: &Root) -> Result<(), CountError> {
        pool::run(
            pool::usual_threads(),
            (Vec::new(), Some(DirId::ROOT)),
            || Ok(self.job.catalog()?),
            |reader, (path, id), queue| self.directory(root, reader, (&path, id), queue),
        )
        .map(drop)
    }

    fn directory(
        &self,
        root: &Root,
        reader: &Reader,
        (path, id): (&[u8], Option<DirId>),
        queue: &Queue<(Vec<u8>, Option<DirId>)>,
    ) -> Result<(), CountError> {
        if self.monitor.wish() == Wish::Stop {
            return Err(CountError::Interrupted);
        }
        self.progress.enter(path);
        let known = match (root.owner, id) {
            (Owner::Nobody, Some(id)) => self.ask(reader.inodes_in(id))?,
            _ => Vec::new(),
        };
        let counts =
            |name: &Name<'_>| root.owner == Owner::Snapshot || known.binary_search(&name.inode).is_ok();
        let mut below = Vec::new();
        let mut sums: BTreeMap<u64, Sums> = BTreeMap::new();
        let read = root.dir.open_within(path).and_then(|dir| {
            for name in dir.names()?.iter() {
                if name.kind == Some(Kind::Directory) {
                    below.push(name.bytes.to_vec());
                } else {
                    let stat = dir.stat_entry(name.bytes)?;
                    if counts(&name) {
                        sums.entry(u64::from(stat.links)).or_default().add(&stat, 1);
                    } else if stat.links > 1 {
                        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
                        strangers.entry(stat.inode).or_insert((0, stat)).0 += 1;
                    }
                }
            }
            Ok(())
        });
        self.note(root, path, read, &sums);
        let mut tasks = Vec::with_capacity(below.len());
        for name in below {
            let child = match (root.owner, id) {
                (Owner::Nobody, Some(id)) => self.ask(reader.child(id, &name))?,
                _ => None,
            };
            tasks.push((path::join(path, &name), child));
        }
        queue.extend(tasks);
        Ok(())
    }

    fn note(&self, root: &Root, path: &[u8], read: Result<(), Fault>, sums: &BTreeMap<u64, Sums>) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let (counted, all) = &mut *tally;
        match root.owner {
            Owner::Snapshot => counted.inodes += 1,
            Owner::Nobody => counted.other_directories += 1,
        }
        if let Err(fault) = read {
            counted.unreadable.push((path::join(&root.name, path), fault.to_string()));
        }
        let mut names = 0;
        for (links, sums) in sums {
            let of = all.entry(*links).or_default();
            of.names += sums.names;
            of.bytes = of.bytes.saturating_add(sums.bytes);
            of.disk_bytes += sums.disk_bytes;
            names += sums.names;
        }
        drop(tally);
        self.progress.add_files(names);
        self.progress.add_directory();
        self.monitor.progress(&self.progress);
    }

    fn ask<T>(&self, answer: Result<T, CatalogError>) -> Result<T, JobError> {
        answer.map_err(|source| self.job.catalog_error(source))
    }
}

//! Reindex: makes a new catalog of the published trees, when the one there is lost or cannot be used.
//!
//! The new one is built beside the old, checked, and swapped in by rename; the old one is kept aside. No snapshot is
//! touched, and nothing is deleted. What no tree tells is taken from the old catalog and from its copy, as far as they
//! can be read: pins, tags, notes, problems, and what was deleted.

mod remembered;

use std::path::PathBuf;

use linksnap_catalog::{CatalogError, Reader, SnapshotId, Totals, Writer};
use linksnap_inode::lock::Lock;
use linksnap_inode::{Errno, Fault, FsError, limits};

use crate::job::{Job, JobError, JobName};
use crate::layout;
use crate::monitor::Monitor;
use crate::report::{Class, Collected, Problem, ProblemKind, Problems};
use crate::snapshot::SnapshotName;
use crate::stages::index::{Index, IndexError, Indexed, Published};
use crate::verbs::reindex::remembered::Memory;

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct ReindexSummary {
    /// Snapshots taken in; in a dry run those that would be.
    pub snapshots: u64,
    /// What was read.
    pub indexed: Indexed,
    /// Snapshots whose pins, tags, notes and problems an earlier catalog still knew.
    pub remembered: u64,
    /// Of those: snapshots that are pinned.
    pub pinned: u64,
    /// Where the old catalog is now, if there was one.
    pub kept: Option<PathBuf>,
    /// What could not be read.
    pub problems: Collected,
}

/// Why the catalog is what it was.
#[derive(Debug, thiserror::Error)]
pub enum ReindexError {
    /// The job cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The new catalog cannot be written.
    #[error("no new catalog of the job {job} could be made")]
    Catalog {
        /// The job.
        job: JobName,
        /// Why.
        source: CatalogError,
    },
    /// The new catalog breaks its own rules.
    #[error("the new catalog of the job {job} is not sound: {what}")]
    Unsound {
        /// The job.
        job: JobName,
        /// What is wrong with it.
        what: String,
    },
    /// The watcher wanted it.
    #[error("interrupted: the catalog is what it was")]
    Interrupted,
}

impl ReindexError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Job(error) => error.class(),
            Self::Catalog { .. } | Self::Unsound { .. } => Class::Failed,
            Self::Interrupted => Class::Interrupted,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Job(error) => return error.hint(),
            Self::Catalog { .. } => {
                "the catalog needs room on the repository's disk: `df -h`, `df -i`".to_owned()
            }
            Self::Unsound { .. } => {
                "something else writes into the repository, or this is a fault of linksnap".to_owned()
            }
            Self::Interrupted => return None,
        })
    }
}

impl From<FsError> for ReindexError {
    fn from(error: FsError) -> Self {
        Self::Job(error.into())
    }
}

/// Says what there is to make a catalog of. Writes nothing and takes no lock.
pub fn preview(job: &Job) -> Result<ReindexSummary, ReindexError> {
    let names = job.snapshot_names()?;
    let memory = Memory::read(job)?;
    Ok(ReindexSummary {
        snapshots: names.len() as u64,
        remembered: memory.count(&names),
        pinned: memory.pinned(&names),
        ..ReindexSummary::default()
    })
}

/// Makes a new catalog. `holder` is for others to read in the lock: process, host, command.
pub fn reindex(job: &Job, holder: &str, monitor: &dyn Monitor) -> Result<ReindexSummary, ReindexError> {
    let lock = job.lock(holder)?;
    limits::raise_open_files();
    let names = job.snapshot_names()?;
    let memory = Memory::read(job)?;
    clear_new(job)?;
    let work = Work { job, monitor, memory: &memory, problems: Problems::default() };
    match work.build(&names).and_then(|indexed| Ok((indexed, work.swap(&lock)?))) {
        Ok((indexed, kept)) => Ok(ReindexSummary {
            snapshots: names.len() as u64,
            indexed,
            remembered: memory.count(&names),
            pinned: memory.pinned(&names),
            kept,
            problems: work.problems.take(),
        }),
        Err(error) => {
            clear_new(job)?;
            Err(error)
        }
    }
}

struct Work<'a> {
    job: &'a Job,
    monitor: &'a dyn Monitor,
    memory: &'a Memory,
    problems: Problems,
}

impl Work<'_> {
    fn build(&self, names: &[SnapshotName]) -> Result<Indexed, ReindexError> {
        let home = self.job.workshop().stat().map_err(|fault| fault.at(self.job.path()))?;
        let mut writer = self.ask(Writer::open(&self.path()))?;
        self.ask(writer.set_home(home.inode))?;
        let mut index = Index::new(&mut writer, self.monitor, &self.problems);
        for name in names {
            self.take(&mut index, name)?;
        }
        let indexed = index.indexed();
        self.ask(writer.keep_growth(self.memory.growth()))?;
        self.ask(writer.settle_links())?;
        self.ask(writer.close())?;
        self.check()?;
        Ok(indexed)
    }

    fn take(&self, index: &mut Index<'_>, name: &SnapshotName) -> Result<(), ReindexError> {
        let root = match self.job.dir().open_dir(name.as_str().as_bytes()) {
            Ok(root) => root,
            Err(fault) => {
                let path = linksnap_inode::dir::path_bytes(&self.job.path().join(name.as_str())).to_vec();
                let problem = Problem { kind: ProblemKind::Unreadable, path, message: fault.to_string() };
                self.problems.add(self.monitor, problem);
                return Ok(());
            }
        };
        let time = name.seconds().unwrap_or_default();
        let before = self.ask(Reader::open(&self.path()))?;
        let id = self.ask(index.writer.begin_snapshot(time))?;
        let tree = Published { root: &root, name: name.as_str(), id, before: &before };
        let totals = index.take(&tree).map_err(|error| match error {
            IndexError::Catalog(source) => self.failed(source),
            IndexError::Interrupted => ReindexError::Interrupted,
        })?;
        drop(before);
        self.ask(self.finish(index.writer, (id, name, time), totals))
    }

    fn finish(
        &self,
        writer: &mut Writer,
        (id, name, time): (SnapshotId, &SnapshotName, i64),
        totals: Totals,
    ) -> Result<(), CatalogError> {
        let added = writer.begun_by(id)?;
        let totals =
            Totals { added_bytes: added.bytes, added_inodes: added.inodes + totals.directories, ..totals };
        let Some(known) = self.memory.of(name) else {
            writer.stage(id, (name.as_str(), time), &totals, &[])?;
            return writer.publish(id);
        };
        let was = &known.snapshot;
        let totals = Totals { problems: was.totals.problems, warnings: was.totals.warnings, ..totals };
        writer.tag(id, &was.tags)?;
        if was.pinned || !was.note.is_empty() {
            writer.pin(id, was.pinned_until, Some(&was.note))?;
        }
        if !was.pinned {
            writer.unpin(id)?;
        }
        writer.stage(id, (name.as_str(), time), &totals, &known.problems)?;
        writer.publish(id)
    }

    /// Looks at the new catalog with other eyes before it takes the old one's place.
    fn check(&self) -> Result<(), ReindexError> {
        let reader = self.ask(Reader::open(&self.path()))?;
        match self.ask(reader.faults())?.into_iter().next() {
            Some(what) => Err(ReindexError::Unsound { job: self.job.name().clone(), what }),
            None => Ok(()),
        }
    }

    /// Puts the new catalog in the place of the old one, which is kept aside with its log. Whoever dies in between
    /// leaves no catalog, or the new one: never one with the log of another. The lock is still held.
    fn swap(&self, _lock: &Lock) -> Result<Option<PathBuf>, ReindexError> {
        let job = self.job;
        let workshop = job.workshop();
        let at = |name: &str, fault: Fault| fault.at(job.workshop_path(name.as_bytes()));
        for log in layout::LOGS {
            // What only reading has left.
            remove(job, &format!("{}{log}", layout::NEW_CATALOG))?;
        }
        let new = layout::NEW_CATALOG;
        workshop.open_file(new.as_bytes()).and_then(|file| file.sync()).map_err(|fault| at(new, fault))?;
        let aside = free_name(job)?;
        let kept = set_aside(job, layout::CATALOG, &aside)?;
        for log in layout::LOGS {
            set_aside(job, &format!("{}{log}", layout::CATALOG), &format!("{aside}{log}"))?;
        }
        workshop.sync().map_err(|fault| at(&aside, fault))?;
        workshop
            .rename_noreplace(new.as_bytes(), workshop, layout::CATALOG.as_bytes())
            .and_then(|()| workshop.sync())
            .map_err(|fault| at(layout::CATALOG, fault))?;
        Ok(kept.then(|| job.workshop_path(aside.as_bytes())))
    }

    fn path(&self) -> PathBuf {
        self.job.workshop_path(layout::NEW_CATALOG.as_bytes())
    }

    fn failed(&self, source: CatalogError) -> ReindexError {
        ReindexError::Catalog { job: self.job.name().clone(), source }
    }

    fn ask<T>(&self, answer: Result<T, CatalogError>) -> Result<T, ReindexError> {
        answer.map_err(|source| self.failed(source))
    }
}

/// Removes what an earlier reindex had begun.
fn clear_new(job: &Job) -> Result<(), FsError> {
    for end in ["", "-journal"].iter().chain(&layout::LOGS) {
        remove(job, &format!("{}{end}", layout::NEW_CATALOG))?;
    }
    Ok(())
}

fn remove(job: &Job, name: &str) -> Result<(), FsError> {
    match job.workshop().unlink(name.as_bytes()) {
        Err(fault) if !fault.is(Errno::NOENT) => Err(fault.at(job.workshop_path(name.as_bytes()))),
        _ => Ok(()),
    }
}

/// A name for the old catalog that nothing bears yet: nothing kept aside before is overwritten.
fn free_name(job: &Job) -> Result<String, FsError> {
    let mut number = 1_u64;
    loop {
        let name = match number {
            1 => layout::OLD_CATALOG.to_owned(),
            number => format!("{}.{number}", layout::OLD_CATALOG),
        };
        match job.workshop().stat_entry(name.as_bytes()) {
            Err(fault) if fault.is(Errno::NOENT) => return Ok(name),
            Err(fault) => return Err(fault.at(job.workshop_path(name.as_bytes()))),
            Ok(_) => number += 1,
        }
    }
}

/// Renames a file of the workshop; says whether it was there.
fn set_aside(job: &Job, name: &str, aside: &str) -> Result<bool, FsError> {
    let workshop = job.workshop();
    match workshop.rename_noreplace(name.as_bytes(), workshop, aside.as_bytes()) {
        Ok(()) => Ok(true),
        Err(fault) if fault.is(Errno::NOENT) => Ok(false),
        Err(fault) => Err(fault.at(job.workshop_path(name.as_bytes()))),
    }
}

//! What an old catalog, or the copy of it, still tells of the snapshots.

use linksnap_catalog::{CatalogError, Growth, PathProblem, Reader, Snapshot};

use crate::job::{Job, JobError};
use crate::layout;
use crate::snapshot::SnapshotName;

/// What is remembered of one snapshot.
#[derive(Debug)]
pub struct Remembered {
    /// Its row.
    pub snapshot: Snapshot,
    /// Its problems.
    pub problems: Vec<PathProblem>,
}

/// All that is remembered.
#[derive(Debug, Default)]
pub struct Memory {
    snapshots: Vec<Remembered>,
    growth: Vec<Growth>,
}

impl Memory {
    /// Asks the catalog first; then a new one that is done, if a reindex died while it swapped the two; then the copy,
    /// which is older. What cannot be read is not remembered. A catalog of a newer linksnap is no damage: that is an
    /// error.
    pub fn read(job: &Job) -> Result<Self, JobError> {
        let mut memory = Self::default();
        for name in [layout::CATALOG, layout::NEW_CATALOG, layout::CATALOG_COPY] {
            if let Err(error @ CatalogError::Newer { .. }) = memory.ask(job, name) {
                return Err(job.catalog_error(error));
            }
        }
        Ok(memory)
    }

    fn ask(&mut self, job: &Job, name: &str) -> Result<(), CatalogError> {
        let is_there = job.workshop().stat_entry(name.as_bytes()).is_ok_and(|stat| stat.size > 0);
        if !is_there {
            return Ok(());
        }
        let reader = Reader::open(&job.workshop_path(name.as_bytes()))?;
        let here = job.workshop().stat().map(|stat| stat.inode).ok();
        if reader.home()? != here {
            // That of another job, whose snapshots may have the same names.
            return Ok(());
        }
        if self.growth.is_empty() {
            self.growth = reader.growth().unwrap_or_default();
        }
        for snapshot in reader.snapshots()? {
            if self.find(&snapshot.name).is_none() {
                let problems = reader.problems(snapshot.id).unwrap_or_default();
                self.snapshots.push(Remembered { snapshot, problems });
            }
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<&Remembered> {
        self.snapshots.iter().find(|one| one.snapshot.name == name)
    }

    /// What is remembered of this snapshot.
    pub fn of(&self, name: &SnapshotName) -> Option<&Remembered> {
        self.find(name.as_str())
    }

    /// How the repository grew.
    pub fn growth(&self) -> &[Growth] {
        &self.growth
    }

    /// Of how many of these snapshots anything is remembered.
    pub fn count(&self, names: &[SnapshotName]) -> u64 {
        names.iter().filter(|name| self.of(name).is_some()).count() as u64
    }

    /// How many of these are pinned.
    pub fn pinned(&self, names: &[SnapshotName]) -> u64 {
        names.iter().filter(|name| self.of(name).is_some_and(|one| one.snapshot.pinned)).count() as u64
    }
}

//! Prune: retention by hand, and what it would do.

use linksnap_catalog::{Freed, Snapshot};

use crate::job::{Job, JobError};
use crate::monitor::Monitor;
use crate::report::{Class, Problem};
use crate::stages::begin::{self, BeginError};
use crate::stages::prune::{self, Plan};
use crate::stages::retire::{self, Fate};

pub use crate::stages::prune::{PruneError as DecideError, Retention};

/// How a job is pruned.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// What is to be kept.
    pub retention: Retention,
    /// What becomes of the newest tree that is retired.
    pub fate: Fate,
    /// Seconds since 1970.
    pub now: i64,
    /// Who holds the lock, for others to read: process, host, command.
    pub holder: String,
}

/// What was decided and done.
#[derive(Debug)]
pub struct PruneSummary {
    /// The decisions.
    pub plan: Plan,
    /// What the dropped ones free, the directories of a tree that stays as scaffold included.
    pub freed: Freed,
    /// What is to be said of the trash.
    pub notice: Option<Problem>,
}

/// Why nothing, or not all, was done.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The job cannot be written.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// The rules cannot be followed.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl PruneError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Begin(error) => error.class(),
            Self::Decide(error) => error.class(),
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Begin(error) => error.hint(),
            Self::Decide(error) => error.hint(),
        }
    }
}

/// Says what pruning would do now. Writes nothing and takes no lock.
pub fn preview(job: &Job, retention: &Retention, now: i64) -> Result<PruneSummary, PruneError> {
    let published = job.snapshots().map_err(DecideError::from)?;
    let plan = prune::decide(job, &published, retention, now)?;
    let freed = frees(job, &plan.retained.dropped_ids())?;
    Ok(PruneSummary { plan, freed, notice: None })
}

/// Follows the rules, and empties the trash until all is gone or the watcher wants to stop.
pub fn prune(job: &Job, options: &PruneOptions, monitor: &dyn Monitor) -> Result<PruneSummary, PruneError> {
    let mut begun = begin::begin(job, &options.holder, options.now, monitor)?;
    let failed = |error: JobError| PruneError::from(DecideError::from(error));
    let published: Vec<Snapshot> = job.snapshots().map_err(failed)?;
    let retention = prune::settle_room(job, &options.retention, monitor).map_err(failed)?;
    let mut plan = prune::decide(job, &published, &retention, options.now)?;
    let freed = prune::follow(job, &mut begun.writer, &mut plan, options.fate, options.now, monitor)
        .map_err(|error| failed(error.of(job)))?;
    let notice = retire::empty_trash(job, monitor).map_err(|error| failed(error.into()))?;
    Ok(PruneSummary { plan, freed, notice })
}

fn frees(job: &Job, doomed: &[linksnap_catalog::SnapshotId]) -> Result<Freed, PruneError> {
    if doomed.is_empty() {
        return Ok(Freed::default());
    }
    let accounts = prune::read_accounts(job).map_err(DecideError::from)?;
    let held = accounts.freed_by(doomed);
    Ok(Freed { inodes: held.inodes, bytes: held.bytes })
}

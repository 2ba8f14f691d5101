//! Delete: takes snapshots out of the history by hand, for good.

use linksnap_catalog::{Freed, Held, Snapshot, SnapshotId};

use crate::job::{Job, JobError};
use crate::monitor::Monitor;
use crate::report::{Class, Problem};
use crate::stages::begin::{self, BeginError};
use crate::stages::prune;
use crate::stages::retire::{self, Fate};

pub use crate::stages::retire::Stuck;

/// How snapshots are deleted.
#[derive(Debug, Clone)]
pub struct DeleteOptions {
    /// Seconds since 1970.
    pub now: i64,
    /// Who holds the lock, for others to read: process, host, command.
    pub holder: String,
}

/// What was done.
#[derive(Debug)]
pub struct DeleteSummary {
    /// What is free now.
    pub freed: Freed,
    /// Snapshots that should have gone and cannot.
    pub stuck: Vec<Stuck>,
    /// What is to be said of the trash.
    pub notice: Option<Problem>,
}

/// Why nothing was deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The job cannot be written.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// Somebody wants it kept.
    #[error("the snapshot {name} is pinned{}", if note.is_empty() { String::new() } else { format!(" ({note})") })]
    Pinned {
        /// Job and snapshot, as users write them.
        name: String,
        /// What was noted.
        note: String,
    },
    /// The job's catalog or directory failed.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl DeleteError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Begin(error) => error.class(),
            Self::Pinned { .. } => Class::Guard,
            Self::Job(error) => error.class(),
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Begin(error) => error.hint(),
            Self::Pinned { name, .. } => Some(format!("`linksnap unpin {name}` first, if it may go")),
            Self::Job(error) => error.hint(),
        }
    }
}

/// Says what deleting all of these would free, or why they may not go. Writes nothing and takes no lock.
pub fn preview(job: &Job, doomed: &[Snapshot], now: i64) -> Result<Held, DeleteError> {
    refuse_pinned(job, doomed, now)?;
    let accounts = prune::read_accounts(job)?;
    let ids: Vec<SnapshotId> = doomed.iter().map(|one| one.id).collect();
    Ok(accounts.freed_by(&ids))
}

/// Deletes them: at once out of the history, and then from the disk, until all is gone or the watcher wants to stop.
pub fn delete(
    job: &Job,
    doomed: &[Snapshot],
    options: &DeleteOptions,
    monitor: &dyn Monitor,
) -> Result<DeleteSummary, DeleteError> {
    let mut begun = begin::begin(job, &options.holder, options.now, monitor)?;
    // As they are now that nobody else can change them.
    let mut published = job.snapshots()?;
    published.retain(|one| doomed.iter().any(|other| other.id == one.id));
    refuse_pinned(job, &published, options.now)?;
    let retired = retire::retire(job, &mut begun.writer, &published, Fate::Trash, options.now, monitor)
        .map_err(|error| error.of(job))?;
    let notice = retire::empty_trash(job, monitor).map_err(JobError::from)?;
    Ok(DeleteSummary { freed: retired.freed, stuck: retired.stuck, notice })
}

fn refuse_pinned(job: &Job, doomed: &[Snapshot], now: i64) -> Result<(), DeleteError> {
    match doomed.iter().find(|one| one.is_pinned_at(now)) {
        Some(one) => {
            Err(DeleteError::Pinned { name: format!("{}/{}", job.name(), one.name), note: one.note.clone() })
        }
        None => Ok(()),
    }
}

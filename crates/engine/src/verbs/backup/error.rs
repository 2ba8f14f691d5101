//! Why there is no new snapshot, and what to do about it.

use std::path::PathBuf;

use linksnap_inode::{Errno, FsError};

use super::Shortage;
use crate::exclude::RuleError;
use crate::job::{JobError, JobName, REINDEX_HINT};
use crate::report::Class;
use crate::source::SourceError;
use crate::stages::begin::BeginError;
use crate::stages::publish::PublishError;
use crate::stages::run::RunError;

/// Why there is no new snapshot.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A source cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A rule means nothing.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A source is empty, and was not.
    #[error("the source {} is empty, but the snapshot {basis} has entries of it", path.display())]
    Emptied {
        /// The source.
        path: PathBuf,
        /// The newest snapshot.
        basis: String,
    },
    /// The job cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The run ended before all was built.
    #[error("the job {job} was not backed up")]
    Run {
        /// The job.
        job: JobName,
        /// Why.
        source: RunError,
    },
    /// There is no room for what every snapshot needs.
    #[error(
        "the job {job} was not backed up: {needed} directories like those of {basis} need as many inodes. {}",
        shortage.scarce
    )]
    NoInodes {
        /// The job.
        job: JobName,
        /// The newest snapshot.
        basis: String,
        /// How many inodes its directories have.
        needed: u64,
        /// How many there are, and what would make more.
        shortage: Shortage,
    },
    /// There was no room.
    #[error("the job {job} was not backed up: {}", shortage.scarce)]
    NoRoom {
        /// The job.
        job: JobName,
        /// What was missing.
        shortage: Shortage,
        /// What failed for it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// All was built, but not published.
    #[error("the snapshot of the job {job} was not published")]
    Publish {
        /// The job.
        job: JobName,
        /// Why.
        source: PublishError,
    },
    /// The job cannot be written.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// The watcher wanted it.
    #[error("interrupted: nothing was published; the next run goes on from here")]
    Interrupted,
}

impl BackupError {
    /// Of a run of this job that ended so.
    pub(super) fn of_run(job: &JobName, source: RunError) -> Self {
        match source {
            RunError::Interrupted => Self::Interrupted,
            source => Self::Run { job: job.clone(), source },
        }
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Source(SourceError::NotAbsolute { .. } | SourceError::None) | Self::Rule(_) => Class::Usage,
            Self::Source(SourceError::Fs(_)) => Class::Failed,
            Self::Source(_) | Self::Emptied { .. } | Self::NoInodes { .. } => Class::Guard,
            Self::Job(error) => error.class(),
            Self::Begin(error) => error.class(),
            Self::Run { .. } | Self::Publish { .. } | Self::NoRoom { .. } => Class::Failed,
            Self::Interrupted => Class::Interrupted,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::Emptied { .. } => Some(
                "is its disk mounted? Nothing was backed up, and no snapshot was touched. If it is meant to be empty, \
                 run once with --accept-change"
                    .to_owned(),
            ),
            Self::NoRoom { job, shortage, .. } => Some(shortage.hint(job.as_str())),
            Self::NoInodes { job, shortage, .. } => {
                let hint = shortage.hint(job.as_str());
                Some(format!("{hint}. If the source has far fewer directories by now: --accept-change"))
            }
            Self::Job(error) => error.hint(),
            Self::Begin(error) => error.hint(),
            Self::Rule(_) => Some("patterns are written as in .gitignore".to_owned()),
            Self::Run { source: RunError::Staging(error), .. } => Some(disk_hint(error)),
            Self::Publish { source: PublishError::Fs(error) | PublishError::Sync(error), .. } => {
                Some(disk_hint(error))
            }
            Self::Run { source: RunError::Catalog(error), .. } if !error.may_lack_room() => {
                Some(format!("nothing was published; {REINDEX_HINT}"))
            }
            Self::Run { source: RunError::Invalid { .. }, .. } => Some(
                "something else writes into the repository, or the disk does not keep what it is \
                 given: look into the kernel's log"
                    .to_owned(),
            ),
            Self::Run { .. } | Self::Publish { .. } => {
                Some("nothing was published; earlier snapshots are untouched".to_owned())
            }
            Self::Interrupted => None,
        }
    }
}

fn disk_hint(error: &FsError) -> String {
    let what = if error.is(Errno::ACCESS) || error.is(Errno::PERM) || error.is(Errno::EXIST) {
        "something in the repository is in the way: look at the path named"
    } else if error.is(Errno::XDEV) {
        "a filesystem is mounted inside the repository, at the path named: unmount it"
    } else {
        "look into the kernel's log for errors of the repository's disk"
    };
    format!("{what}; nothing was published, and earlier snapshots are untouched")
}

//! Begin: what every writing command does first: it takes the job's lock, opens the catalog, and finishes what an
//! earlier command had left.

use linksnap_catalog::{CatalogError, State, Writer};
use linksnap_inode::lock::Lock;
use linksnap_inode::{DirFd, limits};

use crate::job::{Job, JobError, JobName};
use crate::layout;
use crate::monitor::{Monitor, Phase};
use crate::report::Class;
use crate::stages::publish::PublishError;
use crate::stages::rebind;
use crate::stages::recover::{self, Recovered};
use crate::stages::reserve;
use crate::stages::retire;

/// A job that is ours to write.
#[derive(Debug)]
pub struct Begun {
    /// Its catalog.
    pub writer: Writer,
    /// Opened before the first write: `syncfs` of it reports every lost write since.
    pub sync: DirFd,
    /// What was found and done.
    pub recovered: Recovered,
    /// Free again when dropped.
    pub lock: Lock,
}

/// Why a job cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// It cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// What an interrupted run had left could not be finished.
    #[error("the last run of the job {job} could not be finished")]
    Recover {
        /// The job.
        job: JobName,
        /// Why.
        source: PublishError,
    },
}

impl BeginError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Job(error) => error.class(),
            Self::Recover { .. } => Class::Failed,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Job(error) => error.hint(),
            Self::Recover { .. } => {
                Some("nothing was published or deleted; earlier snapshots are untouched".to_owned())
            }
        }
    }
}

/// Locks the job as `holder`, for others to read, and recovers. `now` is in seconds since 1970.
pub fn begin(job: &Job, holder: &str, now: i64, monitor: &dyn Monitor) -> Result<Begun, BeginError> {
    job.refuse_moved()?;
    let lock = job.lock(holder)?;
    limits::raise_open_files();
    let sync = job.dir().reopen().map_err(|fault| JobError::from(fault.at(job.path())))?;
    refuse_lost_catalog(job)?;
    let mut writer = open_catalog(job).map_err(|source| job.catalog_error(source))?;
    let unknown = unknown_snapshots(job, &writer)?;
    monitor.reached(Phase::Recover);
    let failed = |source| BeginError::Recover { job: job.name().clone(), source };
    let mut recovered = recover::finish_staged(job, &mut writer, &sync, monitor).map_err(failed)?;
    recovered.unknown = unknown;
    recovered.mounted = retire::drop_mounted(job).map_err(JobError::from)?;
    drop_without_basis(job, &writer)?;
    recover::forget_without_staging(job, &mut writer).map_err(failed)?;
    retire::finish(job, &mut writer, now).map_err(|error| error.of(job))?;
    recovered.rebound = rebind::rebind(job, &mut writer).map_err(failed)?;
    Ok(Begun { writer, sync, recovered, lock })
}

/// Opens the catalog. SQLite needs a few blocks for that: on a full disk those of the reserve.
fn open_catalog(job: &Job) -> Result<Writer, CatalogError> {
    let workshop = job.workshop();
    match Writer::open(&job.catalog_path()) {
        Err(error) if error.may_lack_room() && reserve::give_up(workshop) => {
            Writer::open(&job.catalog_path())
        }
        Ok(writer) => {
            reserve::keep(workshop);
            Ok(writer)
        }
        failed => failed,
    }
}

/// If somebody has taken the newest snapshot away, inode numbers say nothing any more, for they are given out again:
/// what was being built upon it, and the scaffold, are dropped.
fn drop_without_basis(job: &Job, writer: &Writer) -> Result<(), JobError> {
    let snapshots = writer.snapshots().map_err(|source| job.catalog_error(source))?;
    let newest = snapshots.iter().rfind(|one| one.state == State::Published);
    if newest.is_some_and(|newest| job.dir().open_dir(newest.name.as_bytes()).is_err()) {
        recover::drop_staging(job).map_err(|fault| fault.at(job.workshop_path(layout::STAGING)))?;
        retire::drop_scaffold(job)?;
    }
    Ok(())
}

/// Snapshots without a catalog: nothing could be linked to them, and they would be forgotten.
fn refuse_lost_catalog(job: &Job) -> Result<(), JobError> {
    if job.has_lost_catalog()? {
        return Err(JobError::NoCatalog { path: job.catalog_path() });
    }
    Ok(())
}

/// The snapshots on disk that the catalog does not know. If it knows none of them, it is that of another job.
fn unknown_snapshots(job: &Job, writer: &Writer) -> Result<Vec<String>, JobError> {
    let known = writer.snapshots().map_err(|source| job.catalog_error(source))?;
    let names: Vec<String> = job.snapshot_names()?.iter().map(|name| name.as_str().to_owned()).collect();
    let is_known = |name: &String| known.iter().any(|one| one.name == *name);
    if !names.is_empty() && !names.iter().any(is_known) {
        return Err(JobError::ForeignCatalog { path: job.catalog_path() });
    }
    Ok(names.into_iter().filter(|name| !is_known(name)).collect())
}

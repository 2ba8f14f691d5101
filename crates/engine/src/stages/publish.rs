//! Publish: the one commit point. `docs/decisions/0001-sync-before-staged.md` says why in this order.
//!
//! 1. `syncfs`: what was built is on disk.
//! 2. The catalog, with the snapshot in state `staged`, is committed: from here on the run can be finished
//!    by another process.
//! 3. `syncfs` again, then the rename to the final name and `fsync` of both directories.
//! 4. `latest` is swapped, and the catalog says `published`.

use linksnap_catalog::{CatalogError, PathProblem, SnapshotId, Totals, Writer};
use linksnap_inode::filesystem;
use linksnap_inode::{DirFd, Errno, Fault, FsError};

use crate::job::Job;
use crate::layout;
use crate::monitor::{Monitor, Phase};
use crate::snapshot::{CLOCK_SLACK, SnapshotName};
use crate::stages::remove;

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The disk did not take the data: final, for the kernel reports a lost write only once.
    #[error("the data of the new snapshot could not be written to disk")]
    Sync(#[source] FsError),
    /// The filesystem failed otherwise.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The catalog failed.
    #[error("the catalog cannot be written")]
    Catalog(#[from] CatalogError),
    /// The clock is nowhere.
    #[error("no snapshot can be named after the time {0}")]
    Time(i64),
}

/// What is to be published.
#[derive(Debug)]
pub struct Staged<'a> {
    /// The snapshot.
    pub id: SnapshotId,
    /// The name it is to bear.
    pub name: &'a SnapshotName,
    /// What it holds.
    pub totals: &'a Totals,
    /// Its problems.
    pub problems: &'a [PathProblem],
}

/// A name for a snapshot of this time that no snapshot has yet: the second itself or the next free one, after all others
/// if these are only a little ahead of the clock, as they are after several runs within a second: the newest has the
/// last name.
pub fn free_name(job: &Job, taken: &[String], seconds: i64) -> Result<SnapshotName, PublishError> {
    let newest = taken.iter().filter_map(|name| SnapshotName::parse(name)?.seconds()).max();
    let is_near = |newest: &i64| (seconds..=seconds.saturating_add(CLOCK_SLACK)).contains(newest);
    let mut second = newest.filter(is_near).map_or(seconds, |newest| newest + 1);
    loop {
        let name = SnapshotName::at(second).ok_or(PublishError::Time(second))?;
        let on_disk = match job.dir().stat_entry(name.as_str().as_bytes()) {
            Ok(_) => true,
            Err(fault) if fault.is(Errno::NOENT) => false,
            Err(fault) => return Err(fault.at(job.path().join(name.as_str())).into()),
        };
        if !on_disk && !taken.iter().any(|taken| taken == name.as_str()) {
            return Ok(name);
        }
        second += 1;
    }
}

/// Publishes what was built and validated in staging. `sync` was opened before the first write: it reports
/// every write error since.
pub fn publish(
    job: &Job,
    writer: &mut Writer,
    sync: &DirFd,
    staged: &Staged<'_>,
    monitor: &dyn Monitor,
) -> Result<(), PublishError> {
    monitor.reached(Phase::Sync);
    sync_all(job, sync)?;
    monitor.reached(Phase::Stage);
    let time = staged.name.seconds().unwrap_or_default();
    writer.stage(staged.id, (staged.name.as_str(), time), staged.totals, staged.problems)?;
    finish_staged(job, writer, sync, (staged.id, staged.name), monitor)
}

/// Publishes a staged snapshot whose tree is still in staging.
pub fn finish_staged(
    job: &Job,
    writer: &mut Writer,
    sync: &DirFd,
    (id, name): (SnapshotId, &SnapshotName),
    monitor: &dyn Monitor,
) -> Result<(), PublishError> {
    monitor.reached(Phase::SyncStaged);
    sync_all(job, sync)?;
    monitor.reached(Phase::Rename);
    let final_path = job.path().join(name.as_str());
    rename(job, name).map_err(|fault| fault.at(&final_path))?;
    finish_renamed(job, writer, (id, name), monitor)
}

/// Finishes a staged snapshot that bears its name already.
pub fn finish_renamed(
    job: &Job,
    writer: &mut Writer,
    (id, name): (SnapshotId, &SnapshotName),
    monitor: &dyn Monitor,
) -> Result<(), PublishError> {
    monitor.reached(Phase::SyncRename);
    // A failure here is not taken back: the name stands, and the next run finishes what is left.
    filesystem::sync_renames(job.workshop(), job.dir()).map_err(|fault| fault.at(job.path()))?;
    monitor.reached(Phase::Latest);
    point_latest(job, name.as_str().as_bytes()).map_err(|fault| fault.at(job.path().join("latest")))?;
    monitor.reached(Phase::Publish);
    writer.publish(id)?;
    monitor.reached(Phase::Done);
    Ok(())
}

/// Gives staging its name. A directory moves only if its owner may write in it (`rename(2)`), which the
/// source's root may forbid; root may always.
fn rename(job: &Job, name: &SnapshotName) -> Result<(), Fault> {
    let staging = job.workshop().open_dir(layout::STAGING)?;
    let mode = remove::unlock(&staging)?;
    let renamed = job.workshop().rename_noreplace(layout::STAGING, job.dir(), name.as_str().as_bytes());
    if mode & 0o700 != 0o700 {
        staging.set_mode(mode)?;
    }
    renamed
}

fn sync_all(job: &Job, sync: &DirFd) -> Result<(), PublishError> {
    sync.sync_filesystem().map_err(|fault| PublishError::Sync(fault.at(job.path())))
}

/// Swaps `latest`, and syncs that.
pub fn point_latest(job: &Job, name: &[u8]) -> Result<(), Fault> {
    match job.workshop().unlink(layout::NEW_LATEST) {
        Err(fault) if !fault.is(Errno::NOENT) => return Err(fault),
        _ => {}
    }
    job.workshop().make_symlink(layout::NEW_LATEST, name)?;
    job.workshop().rename(layout::NEW_LATEST, job.dir(), layout::LATEST)?;
    job.dir().sync()
}

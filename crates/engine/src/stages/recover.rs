//! Recover: what every writing command does first with what an earlier one left.

use linksnap_catalog::{Snapshot, State, Writer};
use linksnap_inode::{DirFd, Errno, Fault};

use crate::job::Job;
use crate::layout;
use crate::monitor::Monitor;
use crate::snapshot::SnapshotName;
use crate::stages::publish::{self, PublishError};
use crate::stages::remove;

/// What was found and done.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The name of a snapshot that was staged and is published now.
    pub published: Option<String>,
    /// The name of a staged snapshot whose tree is nowhere: somebody removed it. Its rows are taken back.
    pub lost: Option<String>,
}

/// Finishes a staged snapshot, if there is one.
///
/// A `staged` row is written only when everything it speaks of is on disk, so neither the row nor the tree
/// needs to be doubted, not even after a power cut.
pub fn finish_staged(
    job: &Job,
    writer: &mut Writer,
    sync: &DirFd,
    monitor: &dyn Monitor,
) -> Result<Recovered, PublishError> {
    let mut recovered = Recovered::default();
    let snapshots = writer.snapshots()?;
    for snapshot in snapshots.into_iter().filter(|snapshot| snapshot.state == State::Staged) {
        finish_one(job, writer, sync, snapshot, monitor, &mut recovered)?;
    }
    Ok(recovered)
}

fn finish_one(
    job: &Job,
    writer: &mut Writer,
    sync: &DirFd,
    snapshot: Snapshot,
    monitor: &dyn Monitor,
    recovered: &mut Recovered,
) -> Result<(), PublishError> {
    let name = SnapshotName::parse(&snapshot.name).ok_or(PublishError::Time(snapshot.time))?;
    let exists = |dir: &DirFd, name: &[u8]| match dir.stat_entry(name) {
        Ok(_) => Ok(true),
        Err(fault) if fault.is(Errno::NOENT) => Ok(false),
        Err(fault) => Err(fault),
    };
    let at = |fault: Fault| fault.at(job.path());
    if exists(job.dir(), name.as_str().as_bytes()).map_err(at)? {
        publish::finish_renamed(job, writer, (snapshot.id, &name), monitor)?;
        recovered.published = Some(snapshot.name);
    } else if exists(job.workshop(), layout::STAGING).map_err(at)? {
        publish::finish_staged(job, writer, sync, (snapshot.id, &name), monitor)?;
        recovered.published = Some(snapshot.name);
    } else {
        writer.forget_unpublished(snapshot.id)?;
        recovered.lost = Some(snapshot.name);
    }
    Ok(())
}

/// Opens the trash, which is made if missing.
pub fn open_trash(job: &Job) -> Result<DirFd, Fault> {
    match job.workshop().make_dir(layout::TRASH) {
        Err(fault) if !fault.is(Errno::EXIST) => return Err(fault),
        _ => {}
    }
    job.workshop().open_dir(layout::TRASH)
}

/// Drops staging: nothing of it can be trusted.
pub fn drop_staging(job: &Job) -> Result<(), Fault> {
    let trash = open_trash(job)?;
    match remove::set_aside(job.workshop(), layout::STAGING, &trash) {
        Err(fault) if !fault.is(Errno::NOENT) => Err(fault),
        _ => Ok(()),
    }
}

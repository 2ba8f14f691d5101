//! Recover: what every writing command does first with what an earlier one left.

use linksnap_catalog::{Snapshot, State, Writer};
use linksnap_inode::{DirFd, Errno, Fault, Kind};

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
    /// Where something is mounted in the trees that a run builds upon, which are dropped.
    pub mounted: Vec<Vec<u8>>,
    /// Directories called like snapshots that the catalog does not know.
    pub unknown: Vec<String>,
    /// The job was copied from elsewhere: which inode holds what was looked up anew.
    pub rebound: bool,
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
    let at = |fault: Fault| fault.at(job.path());
    let in_staging = kind_of(job.workshop(), layout::STAGING).map_err(at)? == Some(Kind::Directory);
    let bears_name = kind_of(job.dir(), name.as_str().as_bytes()).map_err(at)?;
    match (in_staging, bears_name) {
        (true, None) => publish::finish_staged(job, writer, sync, (snapshot.id, &name), monitor)?,
        (true, Some(_)) => {
            // The rename takes staging away: what bears the name is somebody else's.
            let taken: Vec<String> = writer.snapshots()?.into_iter().map(|one| one.name).collect();
            let name = publish::free_name(job, &taken, snapshot.time)?;
            writer.rename(snapshot.id, (name.as_str(), name.seconds().unwrap_or_default()))?;
            publish::finish_staged(job, writer, sync, (snapshot.id, &name), monitor)?;
            recovered.published = Some(name.as_str().to_owned());
            return Ok(());
        }
        (false, Some(Kind::Directory)) => {
            publish::finish_renamed(job, writer, (snapshot.id, &name), monitor)?;
        }
        (false, _) => {
            writer.forget_unpublished(snapshot.id)?;
            recovered.lost = Some(snapshot.name);
            return Ok(());
        }
    }
    recovered.published = Some(snapshot.name);
    Ok(())
}

/// Forgets an unfinished snapshot whose staging tree is gone: its checkpoints vouch for inodes that are no
/// more, and their numbers are given out again.
pub fn forget_without_staging(job: &Job, writer: &mut Writer) -> Result<(), PublishError> {
    let there = kind_of(job.workshop(), layout::STAGING).map_err(|fault| fault.at(job.path()))?;
    if there == Some(Kind::Directory) {
        return Ok(());
    }
    for snapshot in writer.snapshots()?.into_iter().filter(|one| one.state == State::Building) {
        writer.forget_unpublished(snapshot.id)?;
    }
    Ok(())
}

/// What a name in a directory stands for, if for anything.
fn kind_of(dir: &DirFd, name: &[u8]) -> Result<Option<Kind>, Fault> {
    match dir.stat_entry(name) {
        Ok(stat) => Ok(Some(stat.kind)),
        Err(fault) if fault.is(Errno::NOENT) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Opens the trash, which is made if missing. What is mounted on it is not ours to empty.
pub fn open_trash(job: &Job) -> Result<DirFd, Fault> {
    let make = || match job.workshop().make_dir(layout::TRASH) {
        Err(fault) if !fault.is(Errno::EXIST) => Err(fault),
        _ => Ok(()),
    };
    make()?;
    match job.workshop().open_within(layout::TRASH) {
        // Somebody has put something else there.
        Err(fault) if fault.is(Errno::NOTDIR) || fault.is(Errno::LOOP) => {
            job.workshop().unlink(layout::TRASH)?;
            make()?;
            job.workshop().open_within(layout::TRASH)
        }
        other => other,
    }
}

/// Drops staging: nothing of it can be trusted.
pub fn drop_staging(job: &Job) -> Result<(), Fault> {
    let trash = open_trash(job)?;
    match remove::set_aside(job.workshop(), layout::STAGING, &trash) {
        Err(fault) if !fault.is(Errno::NOENT) => Err(fault),
        _ => Ok(()),
    }
}

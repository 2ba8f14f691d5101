//! Prune: retention in deed. Asks [`retain`] what is to go, the accounts how much that frees
//! where that matters, and has [`retire`] follow.

use jiff::tz::TimeZone;
use linksnap_catalog::{Accounts, Freed, Reader, Snapshot, SnapshotId, Writer};
use linksnap_inode::filesystem::Filesystem;
use linksnap_inode::{DirFd, Fault};

use crate::job::{Job, JobError};
use crate::monitor::Monitor;
use crate::policy::{Headroom, Policy};
use crate::report::Class;
use crate::stages::recover;
use crate::stages::retain::{self, Clock, Decision, Refusal, Retained, Room, Shortfall};
use crate::stages::retire::{self, Fate, RetireError, Stuck};

/// What is to be kept, and how it is decided.
#[derive(Debug, Clone)]
pub struct Retention {
    /// The rules.
    pub policy: Policy,
    /// What more goes if there is little room.
    pub headroom: Headroom,
    /// Whose calendar the rules mean.
    pub zone: TimeZone,
    /// Is the clock to be doubted?
    pub clock: Clock,
}

/// What is to become of each snapshot.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The decisions.
    pub retained: Retained,
    /// The room that is missing even so.
    pub shortfall: Option<Shortfall>,
    /// Snapshots that are to go and cannot: known when that was tried.
    pub stuck: Vec<Stuck>,
}

impl Plan {
    /// What goes.
    pub fn dropped(&self) -> impl Iterator<Item = &Decision> {
        let is_stuck = |name: &str| self.stuck.iter().any(|stuck| stuck.name == name);
        self.retained.dropped().filter(move |decision| !is_stuck(&decision.name))
    }
}

/// Why retention did not do its deed.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Nobody can have meant these rules.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The job cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl PruneError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Refused(refusal) => refusal.class(),
            Self::Job(error) => error.class(),
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => refusal.hint(),
            Self::Job(error) => error.hint(),
        }
    }
}

/// Decides about the published snapshots. `now` is in seconds since 1970. Nothing is written.
pub fn decide(
    job: &Job,
    published: &[Snapshot],
    retention: &Retention,
    now: i64,
) -> Result<Plan, PruneError> {
    // A snapshot that somebody has removed must not count: what is there would be dropped for it.
    let names = job.dir().names().map_err(|fault| JobError::from(fault.at(job.path())))?;
    let there: Vec<Snapshot> =
        published.iter().filter(|one| names.contains(one.name.as_bytes())).cloned().collect();
    let mut retained = retain::retain(&there, &retention.policy, now, &retention.zone, retention.clock)?;
    let mut accounts: Option<Accounts> = None;
    let mut failed = None;
    let mut frees = |doomed: &[SnapshotId]| {
        if accounts.is_none() && failed.is_none() {
            match read_accounts(job) {
                Ok(read) => accounts = Some(read),
                Err(error) => failed = Some(error),
            }
        }
        let held = accounts.as_ref().map(|accounts| accounts.freed_by(doomed)).unwrap_or_default();
        Freed { bytes: held.block_bytes, inodes: held.inodes }
    };
    let room = room_of(job.dir()).map_err(|fault| JobError::from(fault.at(job.path())))?;
    let shortfall = retain::make_room(&mut retained, &retention.headroom, room, &mut frees);
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(Plan { retained, shortfall, stuck: Vec::new() }),
    }
}

/// Before it is decided how much must go for want of room: what has gone already is freed. If that could not be
/// finished, nobody knows how much room there is, and none is asked for now.
pub fn settle_room(job: &Job, retention: &Retention, monitor: &dyn Monitor) -> Result<Retention, JobError> {
    let mut settled = retention.clone();
    if settled.headroom.is_empty() {
        return Ok(settled);
    }
    let left = retire::empty_trash(job, monitor)?;
    let trash = recover::open_trash(job).and_then(|trash| trash.names());
    let is_empty = trash.is_ok_and(|names| names.is_empty());
    // Some filesystems count what was freed only then.
    let is_settled = is_empty && left.is_none() && job.dir().sync_filesystem().is_ok();
    if !is_settled {
        settled.headroom = Headroom::default();
    }
    Ok(settled)
}

/// What the snapshots hold, in blocks of the repository's filesystem.
pub fn read_accounts(job: &Job) -> Result<Accounts, JobError> {
    let filesystem = Filesystem::of(job.dir()).map_err(|fault| fault.at(job.path()))?;
    let accounts = Reader::open(&job.catalog_path()).and_then(|reader| reader.accounts(filesystem.block));
    accounts.map_err(|source| job.catalog_error(source))
}

fn room_of(dir: &DirFd) -> Result<Room, Fault> {
    let Filesystem { free_bytes, total_bytes, free_inodes, total_inodes, .. } = Filesystem::of(dir)?;
    Ok(Room { free_bytes, total_bytes, free_inodes, total_inodes })
}

/// Retires what the plan drops, and notes in it what is stuck; says what the others free. The trash is not emptied.
pub fn follow(
    job: &Job,
    writer: &mut Writer,
    plan: &mut Plan,
    fate: Fate,
    now: i64,
    monitor: &dyn Monitor,
) -> Result<Freed, RetireError> {
    let mut doomed = writer.snapshots()?;
    let ids = plan.retained.dropped_ids();
    doomed.retain(|one| ids.contains(&one.id));
    let retired = retire::retire(job, writer, &doomed, fate, now, monitor)?;
    plan.stuck = retired.stuck;
    Ok(retired.freed)
}

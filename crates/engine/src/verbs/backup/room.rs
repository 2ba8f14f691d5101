//! Room: what is known of it before a run, what was missing when one failed, and how much is left after one.

use linksnap_catalog::{Freed, Held, Reader, Snapshot, State};
use linksnap_inode::filesystem::Filesystem;
use linksnap_inode::{Errno, FsError};

use super::{BackupError, Recipe, Upheaval};
use crate::forecast::Forecast;
use crate::job::Job;
use crate::layout;
use crate::report::Bytes;
use crate::stages::prune::{self, Retention};
use crate::stages::publish::PublishError;
use crate::stages::retire;
use crate::stages::run::RunError;

/// What was missing on the repository's filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// Of what there was too little.
    pub scarce: Scarce,
    /// What would make some.
    pub remedy: Remedy,
}

/// What would make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The job's own rules would free this if they were followed now.
    Prune(Freed),
    /// Deleting snapshots; the job has no rules, they would free nothing, or nobody can tell.
    Delete,
    /// Nothing in this job, which has no snapshot yet.
    Elsewhere,
}

/// Of what there is too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scarce {
    /// Bytes.
    Bytes {
        /// How many are free.
        free: u64,
        /// How many there are in all.
        total: u64,
    },
    /// Inodes.
    Inodes {
        /// How many are free.
        free: u64,
        /// How many there are in all.
        total: u64,
    },
    /// What a quota allows: nobody but its administrator is told how much that is.
    Quota,
}

impl std::fmt::Display for Scarce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes { free, total } => {
                let (free, total) = (Bytes(*free), Bytes(*total));
                write!(
                    f,
                    "the repository's disk ran full: without what did not fit, {free} of {total} are free"
                )
            }
            Self::Inodes { free, total } => {
                write!(f, "the repository's disk has too few inodes: {free} of {total} are free")
            }
            Self::Quota => f.write_str("the quota on the repository's disk is used up"),
        }
    }
}

impl Shortage {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self, job: &str) -> String {
        let what = match self.remedy {
            Remedy::Prune(Freed { bytes, inodes }) => format!(
                "`linksnap prune {job}` would free {} and {inodes} inodes by the job's rules (`linksnap du --if-pruned` \
                 tells it for others)",
                Bytes(bytes),
            ),
            Remedy::Elsewhere => {
                return "the job has no snapshot yet that could be deleted (`linksnap du` tells of other jobs, `df -h` and \
                        `df -i` of the disk): leave out what is not needed (`exclude`), or use a larger disk. Nothing was published, and the next run goes on from here"
                    .to_owned();
            }
            Remedy::Delete => "`linksnap du` says what deleting each snapshot would free, `linksnap du --if-pruned` with rules \
                     what those would; `df -h` and `df -i` show bytes and inodes"
                .to_owned(),
        };
        format!(
            "{what}. Nothing was published, earlier snapshots are untouched, and the next run goes on from here"
        )
    }
}

impl Recipe<'_> {
    /// Before anything is built: a snapshot needs an inode for every directory, unless a scaffold has them. How much else
    /// it needs nobody knows before the source is read. What lies in the trash makes room on the way.
    pub(super) fn refuse_without_room(&self, snapshots: &[Snapshot]) -> Result<(), BackupError> {
        let published = snapshots.iter().rfind(|one| one.state == State::Published);
        let (Some(basis), false) = (published, self.options.upheaval == Upheaval::Accept) else {
            return Ok(());
        };
        let Ok(Filesystem { free_inodes, total_inodes, .. }) = Filesystem::of(self.job.dir()) else {
            return Ok(());
        };
        let needed = basis.totals.directories;
        if total_inodes == 0 || free_inodes >= needed || self.has_directories() {
            return Ok(());
        }
        Err(BackupError::NoInodes {
            job: self.job.name().clone(),
            basis: basis.name.clone(),
            needed,
            shortage: Shortage {
                scarce: Scarce::Inodes { free: free_inodes, total: total_inodes },
                remedy: self.remedy(),
            },
        })
    }

    /// Is there something to build upon, or to delete on the way?
    fn has_directories(&self) -> bool {
        let workshop = self.job.workshop();
        let trash = workshop.open_within(layout::TRASH).and_then(|trash| trash.names());
        workshop.stat_entry(layout::STAGING).is_ok()
            || retire::peek_scaffold(&self.job).is_some()
            || trash.is_ok_and(|names| !names.is_empty())
    }

    /// If the run failed for want of room: says of what, and what would make some.
    pub(super) fn explain(&self, error: BackupError) -> BackupError {
        let job = self.job.name().clone();
        let Some(scarce) = scarce(&self.job, &error) else { return error };
        let shortage = Shortage { scarce, remedy: self.remedy() };
        match error {
            BackupError::Run { source, .. } => {
                BackupError::NoRoom { job, shortage, source: Box::new(source) }
            }
            BackupError::Publish { source, .. } => {
                BackupError::NoRoom { job, shortage, source: Box::new(source) }
            }
            error => error,
        }
    }

    fn remedy(&self) -> Remedy {
        let published = Reader::open(&self.job.catalog_path()).and_then(|reader| reader.published());
        let Ok(published) = published else { return Remedy::Delete };
        if published.is_empty() {
            return Remedy::Elsewhere;
        }
        let retention = self.options.retention.as_ref();
        let freed = retention.and_then(|rules| if_pruned(&self.job, &published, rules, self.options.now));
        freed.filter(|freed| freed.bytes > 0 || freed.inodes > 0).map_or(Remedy::Delete, Remedy::Prune)
    }

    /// How many more snapshots fit, by what this one has added.
    pub(super) fn forecast(&self, added: &Held, directories: u64) -> Option<Forecast> {
        let filesystem = Filesystem::of(self.job.dir()).ok()?;
        Some(Forecast::new(&filesystem, added.bytes, added.inodes + directories))
    }
}

fn if_pruned(job: &Job, published: &[Snapshot], retention: &Retention, now: i64) -> Option<Freed> {
    let doomed = prune::decide(job, published, retention, now).ok()?.retained.dropped_ids();
    let held = prune::read_accounts(job).ok()?.freed_by(&doomed);
    Some(Freed { bytes: held.bytes, inodes: held.inodes })
}

/// Of what there was too little, if that is why it failed.
fn scarce(job: &Job, error: &BackupError) -> Option<Scarce> {
    let of_fs = |error: &FsError| (error.is(Errno::NOSPC), error.is(Errno::DQUOT));
    let (is_full, is_quota) = match error {
        BackupError::Run { source: RunError::Staging(error), .. }
        | BackupError::Publish { source: PublishError::Fs(error) | PublishError::Sync(error), .. } => {
            of_fs(error)
        }
        BackupError::Run { source: RunError::Catalog(error), .. }
        | BackupError::Publish { source: PublishError::Catalog(error), .. } => (error.may_lack_room(), false),
        _ => return None,
    };
    if is_quota {
        return Some(Scarce::Quota);
    }
    let filesystem = Filesystem::of(job.dir()).ok().filter(|_| is_full)?;
    let Filesystem { block, free_bytes, total_bytes, free_inodes, total_inodes, .. } = filesystem;
    // The catalog has given a few inodes back since. Where no block is left, XFS says that there are none, either.
    const FEW: u64 = 16;
    let few_blocks = FEW * block;
    if total_inodes > 0 && free_inodes < FEW && free_bytes >= few_blocks {
        return Some(Scarce::Inodes { free: free_inodes, total: total_inodes });
    }
    // SQLite says the same of a failing disk: only a disk that is full is one.
    let is_from_catalog = matches!(
        error,
        BackupError::Run { source: RunError::Catalog(_), .. }
            | BackupError::Publish { source: PublishError::Catalog(_), .. }
    );
    (!is_from_catalog || free_bytes < few_blocks)
        .then_some(Scarce::Bytes { free: free_bytes, total: total_bytes })
}

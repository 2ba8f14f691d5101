//! Restore: from a snapshot back to a tree.
//!
//! Two passes: the plan is made and checked first, so that nothing is written if anything is in the way.

mod deed;
mod plan;

use std::path::PathBuf;

use linksnap_catalog::{CatalogError, Snapshot};
use linksnap_inode::{DirFd, Errno, FsError, limits};

use crate::job::{Job, JobError};
use crate::monitor::{Monitor, Progress};
use crate::path;
use crate::report::{Class, Collected, Problem, ProblemKind, Problems};
use crate::sandbox::{self, Ground};
use crate::source::{SourceError, Sources};
use crate::verbs::restore::plan::Plan;

/// What to restore, and where.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// Paths as the source had them; none: everything.
    pub paths: Vec<Vec<u8>>,
    /// The directory under which they appear with their full paths; it is made if missing.
    pub target: PathBuf,
    /// What to do with what is there.
    pub existing: Existing,
}

/// What to do with what is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuse, and write nothing at all.
    Refuse,
    /// Replace it, each name in one step.
    Overwrite,
}

/// One step of the plan, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreStep {
    /// The path below the target.
    pub path: PathBuf,
    /// `create`, `replace` or `enter` (a directory that is there already).
    pub action: &'static str,
    /// Bytes of content.
    pub bytes: u64,
}

/// What was restored.
#[derive(Debug, Clone, Default)]
pub struct RestoreSummary {
    /// Names of regular files.
    pub files: u64,
    /// Directories made.
    pub directories: u64,
    /// Names of symbolic links.
    pub symlinks: u64,
    /// Names of fifos, sockets and devices.
    pub specials: u64,
    /// How many of these replaced something.
    pub replaced: u64,
    /// Sum of the sizes of the files.
    pub bytes: u64,
    /// Problems.
    pub problems: Collected,
}

/// Why nothing was restored, or not all.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The job or its catalog cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A path means nothing.
    #[error(transparent)]
    Path(#[from] SourceError),
    /// The snapshot does not have the path.
    #[error("the snapshot {snapshot} does not have {}", String::from_utf8_lossy(path))]
    NotThere {
        /// The snapshot.
        snapshot: String,
        /// The path, absolute.
        path: Vec<u8>,
    },
    /// Something is in the way.
    #[error("{} of the names to be restored exist already, the first is {}", count, first.display())]
    InTheWay {
        /// How many.
        count: u64,
        /// The first of them.
        first: PathBuf,
    },
    /// The target is in the repository.
    #[error("the target {} is inside the repository", target.display())]
    InsideRepository {
        /// The target.
        target: PathBuf,
    },
    /// The filesystem failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The watcher wanted it.
    #[error("interrupted: not everything was restored")]
    Interrupted,
}

impl RestoreError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Job(error) => error.class(),
            Self::Path(_) => Class::Usage,
            Self::NotThere { .. } | Self::Fs(_) => Class::Failed,
            Self::InTheWay { .. } | Self::InsideRepository { .. } => Class::Guard,
            Self::Interrupted => Class::Interrupted,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Job(error) => return error.hint(),
            Self::Path(error) => return error.hint(),
            Self::NotThere { .. } => {
                "paths are written as in the source: `linksnap ls` shows them".to_owned()
            }
            Self::InTheWay { .. } => {
                "nothing was written: name an empty target, or replace what is there with --overwrite"
                    .to_owned()
            }
            Self::InsideRepository { .. } => "restore to another place".to_owned(),
            Self::Fs(error) if error.is(Errno::NOSPC) => "the target's disk is full".to_owned(),
            Self::Fs(_) | Self::Interrupted => return None,
        })
    }
}

/// Restores a snapshot, or some paths of it.
pub fn restore(
    job: &Job,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<RestoreSummary, RestoreError> {
    let planned = preview(job, snapshot, options, &mut |_| {}, monitor)?;
    if planned.replaced > 0 && options.existing == Existing::Refuse {
        return Err(first_in_the_way(job, snapshot, options, planned.replaced, monitor));
    }
    limits::raise_open_files();
    let target = deed::open_target(&options.target)?;
    sandbox::narrow(&[Ground::Tree(&target), Ground::Catalog(job.workshop())]);
    let paths = selection(options)?;
    let problems = Problems::default();
    let progress = Progress::default();
    let deed = deed::Deed::new(job, snapshot, &paths, &target, options, (monitor, &problems, &progress))?;
    let mut summary = deed.run()?;
    target.sync_filesystem().map_err(|fault| fault.at(&options.target))?;
    if !deed.is_still_there() {
        let path = linksnap_inode::dir::path_bytes(&job.path().join(&snapshot.name)).to_vec();
        let message =
            "it was deleted while it was being restored: what was restored may be incomplete".to_owned();
        problems.add(monitor, Problem { kind: ProblemKind::NotKept, path, message });
    }
    summary.problems = problems.take();
    Ok(summary)
}

/// Tells what would be restored, and what of it exists already; writes nothing.
pub fn preview(
    job: &Job,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    step: &mut dyn FnMut(&RestoreStep),
    monitor: &dyn Monitor,
) -> Result<RestoreSummary, RestoreError> {
    let paths = selection(options)?;
    let reader = job.catalog()?;
    for path in paths.paths() {
        let found = crate::verbs::ls::find(&reader, snapshot, path);
        if found.map_err(|source| job.catalog_error(source))?.is_none() {
            let path = path::absolute(path);
            return Err(RestoreError::NotThere { snapshot: snapshot.name.clone(), path });
        }
    }
    let target = match DirFd::open_root(&options.target) {
        Ok(target) => Some(target),
        Err(fault) if fault.is(Errno::NOENT) => None,
        Err(fault) => return Err(fault.at(&options.target).into()),
    };
    refuse_repository(job, &path::nearest_existing(&options.target)?, options)?;
    Plan { job, reader: &reader, snapshot, paths: &paths, target, options, monitor }.tell(step)
}

fn first_in_the_way(
    job: &Job,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    count: u64,
    monitor: &dyn Monitor,
) -> RestoreError {
    let mut first = None;
    let told = preview(
        job,
        snapshot,
        options,
        &mut |step| {
            if step.action == "replace" && first.is_none() {
                first = Some(step.path.clone());
            }
        },
        monitor,
    );
    match told {
        Ok(_) => RestoreError::InTheWay { count, first: first.unwrap_or_default() },
        Err(error) => error,
    }
}

fn selection(options: &RestoreOptions) -> Result<Sources, SourceError> {
    let written: Vec<PathBuf> = if options.paths.is_empty() {
        vec![PathBuf::from("/")]
    } else {
        let absolute = |path: &Vec<u8>| match path.first() {
            Some(b'/') => path.clone(),
            _ => path::absolute(path),
        };
        options.paths.iter().map(|path| path::as_path(&absolute(path)).to_path_buf()).collect()
    };
    Sources::new(&written)
}

/// Climbs from the target to the root: no directory on the way may be the repository's job.
fn refuse_repository(job: &Job, target: &DirFd, options: &RestoreOptions) -> Result<(), RestoreError> {
    let at = |fault: linksnap_inode::Fault| fault.at(&options.target);
    let repository = job.dir().open_dir(b"..").and_then(|dir| dir.stat()).map_err(at)?;
    let mut dir = target.reopen().map_err(at)?;
    let mut stat = dir.stat().map_err(at)?;
    loop {
        if stat.identity() == repository.identity() {
            return Err(RestoreError::InsideRepository { target: options.target.clone() });
        }
        dir = dir.open_dir(b"..").map_err(at)?;
        let above = dir.stat().map_err(at)?;
        if above.identity() == stat.identity() {
            return Ok(());
        }
        stat = above;
    }
}

fn catalog_error(job: &Job, source: CatalogError) -> RestoreError {
    job.catalog_error(source).into()
}

//! Restore: from a snapshot back to a tree, somewhere else or where it came from.
//!
//! Two passes: the plan is made and checked first, so that nothing is written if anything is in the way. Then every
//! inode is made whole before it gets its name, and what it replaces is set aside until all is done and on disk.
//!
//! **Invariant:** an inode of the target that has several names, and so may be a snapshot's, is replaced, not changed.

mod ahead;
mod deed;
mod end;
mod entry;
mod judge;
mod owners;
mod plan;
mod room;
mod scene;
mod station;
mod wanted;

use std::path::{Path, PathBuf};

use linksnap_catalog::{CatalogError, Snapshot, Version};
use linksnap_inode::path;
use linksnap_inode::{DirFd, Errno, FsError, Kind, limits};

pub use crate::verbs::restore::owners::{Accounts, Ownership};
pub use crate::verbs::restore::room::{Needed, NoRoom, refuse_without_room};

use crate::job::{Job, JobError};
use crate::monitor::{Monitor, Progress};
use crate::report::{Class, Collected, Problem, ProblemKind, Problems};
use crate::sandbox::{self, Ground};
use crate::source::{SourceError, Sources};
use crate::verbs::restore::deed::Restore;
use crate::verbs::restore::plan::{Closeness, Plan};
use crate::verbs::restore::scene::Scene;

/// What to restore, and where.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// Paths as the source had them; none: everything.
    pub paths: Vec<Vec<u8>>,
    /// The directory under which they appear with their full paths; it is made if missing.
    pub target: PathBuf,
    /// What to do with what is there.
    pub existing: Existing,
    /// What to do with names that the snapshot does not have.
    pub extra: Extra,
    /// To whom what is restored belongs.
    pub ownership: Ownership,
}

/// What to do with what is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuse, and write nothing at all.
    Refuse,
    /// Leave alone what is right, set the attributes of what only differs in these, replace what else differs. What
    /// is replaced is set aside until all is done.
    Overwrite,
}

/// What to do with names in a restored directory that the snapshot does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Leave them.
    Stay,
    /// Remove them, but only where all of the directory was backed up: else they may have been left out.
    Go,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Makes what is not there.
    Create,
    /// Makes what is to be there in place of what is.
    Replace,
    /// Sets mode, owner, time or extended attributes.
    Attributes,
    /// Removes what the snapshot does not have.
    Remove,
}

impl Deed {
    /// One word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Attributes => "attributes",
            Self::Remove => "remove",
        }
    }

    fn of(need: judge::Need) -> Option<Self> {
        match need {
            judge::Need::Nothing => None,
            judge::Need::Attributes => Some(Self::Attributes),
            judge::Need::Create => Some(Self::Create),
            judge::Need::Replace => Some(Self::Replace),
        }
    }
}

/// One step of the plan, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreStep {
    /// The path in the target.
    pub path: PathBuf,
    /// What is done.
    pub deed: Deed,
    /// Bytes of content that are written.
    pub bytes: u64,
}

/// What was restored.
#[derive(Debug, Clone, Default)]
pub struct RestoreSummary {
    /// Names of regular files that were made.
    pub files: u64,
    /// Directories made.
    pub directories: u64,
    /// Names of symbolic links that were made.
    pub symlinks: u64,
    /// Names of fifos, sockets and devices that were made.
    pub specials: u64,
    /// How many of these replaced something.
    pub replaced: u64,
    /// Names that had only attributes set.
    pub attributes: u64,
    /// Names that the snapshot does not have and that were removed, each with all below it.
    pub removed: u64,
    /// Names that the snapshot does not have and that stay, though such are to be removed: not all of their directory
    /// was backed up, or something is mounted there.
    pub kept: u64,
    /// Names, those of directories left out, that are what they should be.
    pub unchanged: u64,
    /// Sum of the sizes of the files that were made.
    pub bytes: u64,
    /// What that takes of the target's filesystem, as far as the plan knew.
    pub needed: Needed,
    /// Problems.
    pub problems: Collected,
}

impl RestoreSummary {
    /// Is there anything to do?
    #[must_use]
    pub fn does_anything(&self) -> bool {
        self.files + self.directories + self.symlinks + self.specials + self.attributes + self.removed > 0
    }

    fn count(&mut self, version: &Version, deed: Deed) {
        match deed {
            Deed::Attributes => self.attributes += 1,
            Deed::Remove => self.removed += 1,
            Deed::Create | Deed::Replace => {
                self.replaced += u64::from(deed == Deed::Replace);
                self.count_made(version);
            }
        }
    }

    fn count_made(&mut self, version: &Version) {
        match version.kind {
            Kind::File => {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(version.size);
            }
            Kind::Directory => self.directories += 1,
            Kind::Symlink => self.symlinks += 1,
            _ => self.specials += 1,
        }
    }
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
    /// Something on the way is no directory.
    #[error("{}, which leads to what is to be restored, is no directory", path.display())]
    NoDirectory {
        /// What is on the way.
        path: PathBuf,
    },
    /// What is to be restored does not fit.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// An earlier restore did not come to its end.
    #[error("an earlier restore did not end: {}", place.display())]
    Leftover {
        /// What it left.
        place: PathBuf,
        /// What it had replaced or removed, if there is any.
        old: Option<PathBuf>,
    },
    /// The restore did not come to its end, and has set something aside.
    #[error("the restore did not end; what it has replaced or removed so far is kept in {}", old.iter().map(|old| old.display().to_string()).collect::<Vec<_>>().join(", "))]
    SetAside {
        /// Where that is.
        old: Vec<PathBuf>,
        /// Why it did not end.
        source: Box<RestoreError>,
    },
    /// Whose names the numbers of owners are is not known.
    #[error("the snapshot {snapshot} has no /etc/{file}: the names of its owners are not known")]
    NoNames {
        /// The snapshot.
        snapshot: String,
        /// `passwd` or `group`.
        file: &'static str,
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
            Self::InTheWay { .. }
            | Self::InsideRepository { .. }
            | Self::NoRoom(_)
            | Self::NoDirectory { .. }
            | Self::Leftover { .. } => Class::Guard,
            Self::NoNames { .. } => Class::Usage,
            Self::SetAside { source, .. } => source.class(),
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
            Self::NoRoom(_) => "nothing was written: name the paths that are needed most, or another target; what is replaced \
                                makes no room, because it is kept until all is done"
                .to_owned(),
            Self::NoDirectory { .. } => {
                "links are never followed: restore to another place, or remove what is there".to_owned()
            }
            Self::NoNames { .. } => "restore owners by number: --owner numeric".to_owned(),
            Self::Leftover { place, old: None } => {
                format!("if none is at work there, nothing of value is in it: rm -r {}", quoted(place))
            }
            Self::Leftover { place, old: Some(old) } => {
                format!("if none is at work there: {}", way_back(place, old))
            }
            Self::SetAside { old, .. } => {
                let ways = old.iter().filter_map(|old| Some(way_back(old.parent()?, old)));
                ways.collect::<Vec<_>>().join("; ")
            }
            Self::Fs(error) if error.is(Errno::NOSPC) => "the target's disk is full".to_owned(),
            Self::Fs(_) | Self::Interrupted => return None,
        })
    }
}

/// How what was set aside comes back, or goes.
fn way_back(place: &Path, old: &Path) -> String {
    let home = place.parent().unwrap_or(place);
    let (all, home, place) = (quoted(&old.join(".")), quoted(home), quoted(place));
    format!(
        "what it had replaced or removed comes back with `cp -a --remove-destination {all} {home}`; if it is not \
         wanted back, `rm -r {place}`. Then restore again"
    )
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Restores a snapshot, or some paths of it.
pub fn restore(
    job: &Job,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<RestoreSummary, RestoreError> {
    let planned = plan(job, snapshot, options, Closeness::Names, &mut |_| {}, monitor)?;
    match options.existing {
        Existing::Refuse if planned.replaced > 0 => {
            return Err(first_in_the_way(job, snapshot, options, planned.replaced, monitor));
        }
        Existing::Refuse => refuse_without_room(options, &planned)?,
        // Seen from the names alone, all that is there would be replaced.
        Existing::Overwrite => {}
    }
    carry_out(job, snapshot, options, monitor)
}

/// Tells what would be restored, and what of it exists already; writes nothing.
pub fn preview(
    job: &Job,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    step: &mut dyn FnMut(&RestoreStep),
    monitor: &dyn Monitor,
) -> Result<RestoreSummary, RestoreError> {
    let closeness = match options.existing {
        Existing::Refuse => Closeness::Names,
        Existing::Overwrite => Closeness::Content,
    };
    plan(job, snapshot, options, closeness, step, monitor)
}

/// Restores what a [`preview`] has shown, without looking first whether anything is in the way.
pub fn carry_out(
    job: &Job,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<RestoreSummary, RestoreError> {
    limits::raise_open_files();
    let scene = Scene::new(job, snapshot, options, monitor)?;
    let (target, made) = deed::open_target(&options.target)?;
    sandbox::narrow(&[Ground::Tree(&target), Ground::Catalog(job.workshop())]);
    let (problems, progress) = (Problems::default(), Progress::default());
    let restore = Restore::new(&scene, &target, &problems, &progress);
    let done = restore.run(made).and_then(|()| restore.sync());
    if let Err(error) = done {
        return Err(restore.give_up(error));
    }
    restore.clear_stations();
    if !job.bears_name(&scene.root, &snapshot.name) {
        let path = linksnap_inode::dir::path_bytes(&job.path().join(&snapshot.name)).to_vec();
        let message =
            "it was deleted while it was being restored: what was restored may be incomplete".to_owned();
        problems.add(monitor, Problem { kind: ProblemKind::NotKept, path, message });
    }
    let mut summary = restore.into_summary();
    summary.problems = problems.take();
    Ok(summary)
}

fn plan(
    job: &Job,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    closeness: Closeness,
    step: &mut dyn FnMut(&RestoreStep),
    monitor: &dyn Monitor,
) -> Result<RestoreSummary, RestoreError> {
    let reader = job.catalog()?;
    let paths = selection(options)?;
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
    let scene = Scene::new(job, snapshot, options, monitor)?;
    let progress = Progress::default();
    Plan { scene: &scene, reader: &reader, target, closeness, progress: &progress }.tell(step)
}

fn first_in_the_way(
    job: &Job,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    count: u64,
    monitor: &dyn Monitor,
) -> RestoreError {
    let mut first = None;
    let mut step = |step: &RestoreStep| {
        if step.deed == Deed::Replace && first.is_none() {
            first = Some(step.path.clone());
        }
    };
    match plan(job, snapshot, options, Closeness::Names, &mut step, monitor) {
        Ok(_) => RestoreError::InTheWay { count, first: first.unwrap_or_default() },
        Err(error) => error,
    }
}

/// What an earlier restore left in the directory `home`.
fn leftover(home: &Path, dir: &DirFd) -> RestoreError {
    let place = home.join(path::as_path(station::NAME));
    let has_old = dir.open_dir(station::NAME).is_ok_and(|left| left.stat_entry(station::OLD).is_ok());
    let old = has_old.then(|| place.join(path::as_path(station::OLD)));
    RestoreError::Leftover { place, old }
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

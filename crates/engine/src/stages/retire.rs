//! Retire: takes dropped snapshots out of the history. What only they held is freed at once; the newest of them stays,
//! less that, as the scaffold of the next run; the others are trash.
//!
//! 1. `latest` points away from what goes.
//! 2. The snapshots are renamed into the trash, and that is synced: instant, and nothing under a snapshot's name is
//!    ever half deleted.
//! 3. The catalog forgets them.
//! 4. What only they held is removed from the tree that is to be the scaffold, which leaves the trash again.
//! 5. The trash is emptied, whenever there is time.
//!
//! **Invariant:** whoever dies on the way leaves trash; between 2 and 3 also a snapshot that the catalog still knows,
//! which [`finish`] completes before anything else is done.
//!
//! **Invariant:** no name in the scaffold is the last one of its inode: the catalog's accounts are the disk's.

use std::path::Path;

use crossbeam_channel::{Receiver, Sender, bounded};
use linksnap_catalog::{CatalogError, Freed, Snapshot, SnapshotId, State, Writer};
use linksnap_inode::filesystem;
use linksnap_inode::path;
use linksnap_inode::pool;
use linksnap_inode::{DirFd, Errno, Fault, FsError, Kind, Name, Names, mounts};

use crate::job::{Job, JobError};
use crate::layout;
use crate::monitor::{Monitor, Phase, Progress, Wish};
use crate::report::{Problem, ProblemKind};
use crate::stages::publish;
use crate::stages::recover;
use crate::stages::remove::{self, Hurry};
use crate::stages::reserve;

/// Why snapshots could not be retired, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// The filesystem failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The catalog failed.
    #[error("the catalog cannot be written")]
    Catalog(#[from] CatalogError),
}

impl RetireError {
    /// The error as one of the job it happened to.
    #[must_use]
    pub fn of(self, job: &Job) -> JobError {
        match self {
            Self::Fs(error) => error.into(),
            Self::Catalog(source) => job.catalog_error(source),
        }
    }
}

/// What becomes of the tree of the newest snapshot that is retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is the scaffold of the next run, unless there is a newer one.
    Scaffold,
    /// It is trash.
    Trash,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Retired {
    /// What is free once the trash is empty.
    pub freed: Freed,
    /// Snapshots that could not be moved, and stay.
    pub stuck: Vec<Stuck>,
}

/// A snapshot that should have gone and cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Its name.
    pub name: String,
    /// Why.
    pub problem: Problem,
}

/// Retires published snapshots. The trash is not emptied. `now` is in seconds since 1970.
///
/// # Errors
/// Those of job and catalog; and if none of the snapshots can be moved, what hinders the first.
pub fn retire(
    job: &Job,
    writer: &mut Writer,
    doomed: &[Snapshot],
    fate: Fate,
    now: i64,
    monitor: &dyn Monitor,
) -> Result<Retired, RetireError> {
    if doomed.is_empty() {
        return Ok(Retired::default());
    }
    monitor.reached(Phase::Retire);
    let trash = recover::open_trash(job).map_err(|fault| fault.at(trash_path(job)))?;
    let published = step_aside(job, writer, doomed)?;
    let Moved { ids, newest, stuck } = move_all(job, doomed, &trash)?;
    if !stuck.is_empty() {
        point_latest(job, published.iter().rfind(|one| !ids.contains(&one.id)))?;
    }
    let mut scaffold = newest.filter(|_| fate == Fate::Scaffold);
    if let Some(other) = take_from_retired(job, &trash)? {
        // Names of snapshots sort by time.
        scaffold = scaffold.filter(|own| own.0 > other.0).or(Some(other));
    }
    monitor.reached(Phase::SyncRetired);
    filesystem::sync_renames(job.dir(), &trash).map_err(|fault| fault.at(job.path()))?;
    monitor.reached(Phase::Forget);
    let freed = delete(job, writer, &ids, now, &trash)?;
    monitor.reached(Phase::Release);
    release_staging(job, writer, &trash)?;
    if let Some((name, in_trash)) = scaffold {
        match trash.open_within(&in_trash) {
            Ok(tree) => {
                release(job, writer, &tree, &trash)?;
                monitor.reached(Phase::KeepScaffold);
                keep_scaffold(job, &trash, (&name, &in_trash))?;
            }
            // Whoever likes may remove trash; and what bore the name may never have been a tree.
            Err(fault) if is_elsewhere(fault) => {}
            Err(fault) => return Err(at(job, &in_trash, fault).into()),
        }
    }
    writer.forget_gone()?;
    Ok(Retired { freed, stuck })
}

/// Doomed snapshots, out of the history.
struct Moved {
    ids: Vec<SnapshotId>,
    /// The newest that was there: its name, and its name in the trash.
    newest: Option<(String, Vec<u8>)>,
    stuck: Vec<Stuck>,
}

/// Moves snapshots into the trash; one that cannot be moved is left alone, unless it is all of them.
fn move_all(job: &Job, doomed: &[Snapshot], trash: &DirFd) -> Result<Moved, FsError> {
    let mut moved = Moved { ids: Vec::new(), newest: None, stuck: Vec::new() };
    let mut first = None;
    for snapshot in doomed {
        match into_trash((job.dir(), job.path()), &snapshot.name, trash) {
            Ok(in_trash) => {
                moved.ids.push(snapshot.id);
                let in_trash = in_trash.map(|in_trash| (snapshot.name.clone(), in_trash));
                // Names of snapshots sort by time.
                moved.newest = moved.newest.max(in_trash);
            }
            Err(error) if is_of_it_alone(&error) => {
                moved.stuck.push(stuck(job, snapshot, &error));
                first = first.or(Some(error));
            }
            Err(error) => return Err(error),
        }
    }
    match first {
        Some(error) if moved.ids.is_empty() => Err(error),
        _ => Ok(moved),
    }
}

/// Does the error say something of this one directory, not of the filesystem? Something is mounted on it, or it is
/// immutable or another user's (`rename(2)`).
fn is_of_it_alone(error: &FsError) -> bool {
    [Errno::BUSY, Errno::PERM, Errno::ACCESS, Errno::XDEV].into_iter().any(|errno| error.is(errno))
}

fn stuck(job: &Job, snapshot: &Snapshot, error: &FsError) -> Stuck {
    let path = linksnap_inode::dir::path_bytes(&job.path().join(&snapshot.name)).to_vec();
    let message = format!("this snapshot cannot be moved out of the history, and stays: {}", error.source);
    let problem = Problem { kind: ProblemKind::Retention, path, message };
    Stuck { name: snapshot.name.clone(), problem }
}

/// Completes what an earlier run had begun: a snapshot that lies in the trash is forgotten, and `latest` points to the
/// newest.
pub fn finish(job: &Job, writer: &mut Writer, now: i64) -> Result<(), RetireError> {
    let names = job.dir().names().map_err(|fault| fault.at(job.path()))?;
    let mut published = writer.snapshots()?;
    published.retain(|one| one.state == State::Published);
    let missing: Vec<&Snapshot> =
        published.iter().filter(|one| !names.contains(one.name.as_bytes())).collect();
    if !missing.is_empty() {
        let trash = recover::open_trash(job).map_err(|fault| fault.at(trash_path(job)))?;
        let doomed = trash.names().map_err(|fault| fault.at(trash_path(job)))?;
        let is_doomed = |one: &&&Snapshot| {
            let of_it = |name: &[u8]| {
                let rest = name.strip_prefix(one.name.as_bytes());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
            };
            doomed.iter().any(|name| of_it(name.bytes))
        };
        let gone: Vec<&&Snapshot> = missing.iter().filter(is_doomed).collect();
        let ids: Vec<SnapshotId> = gone.iter().map(|one| one.id).collect();
        forget_unfinished_upon(job, writer, &ids)?;
        if !ids.is_empty() {
            // It may hold what goes, and nothing of it has been released.
            drop_scaffold(job)?;
            filesystem::sync_renames(job.dir(), &trash).map_err(|fault| fault.at(job.path()))?;
            delete(job, writer, &ids, now, &trash)?;
        }
    }
    if writer.has_gone()? {
        release_staging(job, writer, &recover::open_trash(job).map_err(|fault| fault.at(trash_path(job)))?)?;
        writer.forget_gone()?;
    }
    let newest = published.iter().rfind(|one| names.contains(one.name.as_bytes()));
    let latest = job.dir().read_link(layout::LATEST).ok();
    match newest {
        // Something else may stand there; whoever publishes will say so.
        Some(newest) if latest.as_deref() != Some(newest.name.as_bytes()) => {
            drop(point_latest(job, Some(newest)));
        }
        _ => {}
    }
    Ok(())
}

/// Lets the catalog forget snapshots. If there is no room even for that, what lies in the trash goes first, but for
/// the roots of the trees, which tell [`finish`] what is to be forgotten.
fn delete(
    job: &Job,
    writer: &mut Writer,
    ids: &[SnapshotId],
    now: i64,
    trash: &DirFd,
) -> Result<Freed, RetireError> {
    match writer.delete(ids, now) {
        Err(error) if error.may_lack_room() => {
            remove::empty_trees(trash, &|_| false).map_err(|fault| fault.at(trash_path(job)))?;
            Ok(writer.delete(ids, now)?)
        }
        other => Ok(other?),
    }
}

/// Opens the retired tree that the next run would build upon.
#[must_use]
pub fn peek_scaffold(job: &Job) -> Option<DirFd> {
    let retired = job.workshop().open_within(layout::RETIRED).ok()?;
    let names = retired.names().ok()?;
    retired.open_dir(newest_in(&names)?).ok()
}

fn newest_in(retired: &Names) -> Option<&[u8]> {
    retired.iter().filter(may_be_tree).map(|name| name.bytes).max()
}

/// Anything else has been put there by somebody.
fn may_be_tree(name: &Name<'_>) -> bool {
    matches!(name.kind, Some(Kind::Directory) | None)
}

/// Moves the retired tree, if there is one, to where the next snapshot is built; says whether there was one. Other
/// things in `retired` are trash.
pub fn take_scaffold(job: &Job) -> Result<bool, FsError> {
    let Some(retired) = open_retired(job)? else { return Ok(false) };
    let names = retired.names().map_err(|fault| fault.at(retired_path(job)))?;
    let Some(newest) = newest_in(&names) else {
        drop_scaffold(job)?;
        return Ok(false);
    };
    remove::unlock(&retired.open_dir(newest).map_err(|fault| fault.at(retired_path(job)))?)
        .and_then(|_| retired.rename_noreplace(newest, job.workshop(), layout::STAGING))
        .map_err(|fault| fault.at(retired_path(job).join(path::as_path(newest))))?;
    drop_scaffold(job)?;
    Ok(true)
}

/// Drops what is in `retired`: it is trash.
pub fn drop_scaffold(job: &Job) -> Result<(), FsError> {
    let Some(retired) = open_retired(job)? else { return Ok(()) };
    let at = |fault: Fault| fault.at(retired_path(job));
    let trash = recover::open_trash(job).map_err(at)?;
    for name in retired.names().map_err(at)?.iter() {
        remove::discard(&retired, name.bytes, name.kind, &trash).map_err(at)?;
    }
    Ok(())
}

/// Is anything mounted inside the trees that a run builds upon? Then they cannot be put right, and are dropped whole;
/// returns the mount points.
pub fn drop_mounted(job: &Job) -> Result<Vec<Vec<u8>>, FsError> {
    let trees = [layout::STAGING, layout::RETIRED];
    let trees = trees.into_iter().filter_map(|name| job.workshop().open_within(name).ok());
    let mounted: Vec<Vec<u8>> = trees.flat_map(|tree| mounts::below(&tree)).collect();
    if mounted.is_empty() {
        return Ok(mounted);
    }
    recover::drop_staging(job).map_err(|fault| fault.at(job.workshop_path(layout::STAGING)))?;
    drop_scaffold(job)?;
    Ok(mounted)
}

/// Empties the trash with threads that stand back behind all others, until all is gone or the watcher wants to stop.
/// Returns what is to be said of what is left.
pub fn empty_trash(job: &Job, monitor: &dyn Monitor) -> Result<Option<Problem>, FsError> {
    let path = trash_path(job);
    let trash = recover::open_trash(job).map_err(|fault| fault.at(&path))?;
    let progress = Progress::default();
    let watch = |names: u64| {
        progress.add_files(names);
        monitor.progress(&progress);
        monitor.wish() == Wish::Stop
    };
    monitor.reached(Phase::EmptyTrash);
    let emptied = remove::empty(&trash, Hurry::StandBack(pool::usual_threads()), &watch)
        .map_err(|fault| fault.at(&path))?;
    reserve::keep(job.workshop());
    Ok(emptied.notice(&path))
}

/// Before the newest snapshot goes: `latest` points to the one that is the newest then, and what was being built upon
/// it is dropped. Returns all that are published.
fn step_aside(job: &Job, writer: &mut Writer, doomed: &[Snapshot]) -> Result<Vec<Snapshot>, RetireError> {
    let ids: Vec<SnapshotId> = doomed.iter().map(|one| one.id).collect();
    let mut published = writer.snapshots()?;
    published.retain(|one| one.state == State::Published);
    if published.last().is_some_and(|newest| ids.contains(&newest.id)) {
        forget_unfinished_upon(job, writer, &ids)?;
        point_latest(job, published.iter().rfind(|one| !ids.contains(&one.id)))?;
    }
    Ok(published)
}

/// A snapshot that is being built upon one that goes has no basis any more.
fn forget_unfinished_upon(job: &Job, writer: &mut Writer, doomed: &[SnapshotId]) -> Result<(), RetireError> {
    let all = writer.snapshots()?;
    let newest = all.iter().rfind(|one| one.state == State::Published);
    let is_upon = newest.is_some_and(|one| doomed.contains(&one.id));
    if is_upon && let Some(unfinished) = all.iter().find(|one| one.state == State::Building) {
        recover::drop_staging(job).map_err(|fault| fault.at(job.workshop_path(layout::STAGING)))?;
        writer.forget_unpublished(unfinished.id)?;
    }
    Ok(())
}

fn point_latest(job: &Job, newest: Option<&Snapshot>) -> Result<(), RetireError> {
    let pointed = match newest {
        Some(newest) => publish::point_latest(job, newest.name.as_bytes()),
        None => match job.dir().unlink(layout::LATEST) {
            Err(fault) if !fault.is(Errno::NOENT) => Err(fault),
            _ => job.dir().sync(),
        },
    };
    Ok(pointed.map_err(|fault| fault.at(job.path().join("latest")))?)
}

/// Moves a tree called like a snapshot into the trash; returns its name there. `None`: it is not there, somebody has
/// removed it.
fn into_trash((from, path): (&DirFd, &Path), name: &str, trash: &DirFd) -> Result<Option<Vec<u8>>, FsError> {
    let called = |number: u64| match number {
        0 => name.as_bytes().to_vec(),
        number => format!("{name}.{number}").into_bytes(),
    };
    match remove::set_aside_as(from, name.as_bytes(), trash, called) {
        Ok(in_trash) => Ok(Some(in_trash)),
        // Only if it is not for want of the trash.
        Err(fault) if fault.is(Errno::NOENT) && from.stat_entry(name.as_bytes()).is_err() => Ok(None),
        Err(fault) => Err(fault.at(path.join(name))),
    }
}

/// Takes the scaffold there is into the trash, where it is safe to work on: its snapshot's name, and its name there.
fn take_from_retired(job: &Job, trash: &DirFd) -> Result<Option<(String, Vec<u8>)>, FsError> {
    let Some(retired) = open_retired(job)? else { return Ok(None) };
    let names = retired.names().map_err(|fault| fault.at(retired_path(job)))?;
    let mut taken = None;
    for name in names.iter() {
        match std::str::from_utf8(name.bytes) {
            Ok(text) if may_be_tree(&name) => {
                let in_trash = into_trash((&retired, &retired_path(job)), text, trash)?;
                taken = in_trash.map(|in_trash| (text.to_owned(), in_trash)).max(taken);
            }
            _ => remove::discard(&retired, name.bytes, name.kind, trash)
                .map_err(|fault| fault.at(retired_path(job)))?,
        }
    }
    Ok(taken)
}

/// What an interrupted run was building upon may be a retired tree, in which it has not come to all.
fn release_staging(job: &Job, writer: &Writer, trash: &DirFd) -> Result<(), RetireError> {
    match job.workshop().open_within(layout::STAGING) {
        Ok(staging) => release(job, writer, &staging, trash),
        // Not there, or nothing that a run would build upon.
        Err(_) => Ok(()),
    }
}

/// So many names are handed to a worker at most.
const MOST_AT_ONCE: usize = 1000;

/// Names in one directory that only deleted snapshots had, with the inodes that stood there.
#[derive(Default)]
struct Gone {
    directory: Vec<u8>,
    names: Vec<(Vec<u8>, Option<u64>)>,
}

/// Removes from a tree what only deleted snapshots had: directory by directory, several at a time, for freeing inodes
/// takes longer than reading what goes.
fn release(job: &Job, writer: &Writer, tree: &DirFd, trash: &DirFd) -> Result<(), RetireError> {
    let (sender, receiver) = bounded::<Gone>(64);
    std::thread::scope(|scope| {
        let work = |receiver: Receiver<Gone>| {
            move || receiver.iter().try_for_each(|gone| release_in(job, tree, trash, &gone))
        };
        let workers: Vec<_> =
            (0..pool::usual_threads()).map(|_| scope.spawn(work(receiver.clone()))).collect();
        drop(receiver);
        let told = tell_gone(writer, &sender);
        drop(sender);
        let panicked = || Err(Fault::new("release", Errno::IO).at(trash_path(job)));
        let released = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| panicked()));
        released.collect::<Result<(), FsError>>()?;
        told.map_err(RetireError::from)
    })
}

/// Tells the workers what goes, until there is no more, or none of them is left.
fn tell_gone(writer: &Writer, workers: &Sender<Gone>) -> Result<(), CatalogError> {
    let mut gone = Gone::default();
    writer.gone_names(|directory, name, inode| {
        if directory != gone.directory || gone.names.len() >= MOST_AT_ONCE {
            let whole =
                std::mem::replace(&mut gone, Gone { directory: directory.to_vec(), names: Vec::new() });
            workers.send(whole).ok();
        }
        gone.names.push((name.to_vec(), inode));
        Ok::<(), CatalogError>(())
    })?;
    workers.send(gone).ok();
    Ok(())
}

fn release_in(job: &Job, tree: &DirFd, trash: &DirFd, gone: &Gone) -> Result<(), FsError> {
    let Gone { directory, names } = gone;
    if names.is_empty() {
        return Ok(());
    }
    let dir = match tree.open_within(directory) {
        Ok(dir) => dir,
        Err(fault) if is_elsewhere(fault) => return Ok(()),
        Err(fault) => return Err(at(job, directory, fault)),
    };
    remove::unlock(&dir).map_err(|fault| at(job, directory, fault))?;
    for (name, inode) in names {
        // Another inode under that name is somebody else's: a checkpoint may vouch for it.
        let is_it = |inode: u64| dir.stat_entry(name).is_ok_and(|stat| stat.inode == inode);
        if inode.is_none_or(is_it) {
            let gone = remove::discard(&dir, name, None, trash);
            gone.map_err(|fault| at(job, &path::join(directory, name), fault))?;
        }
    }
    Ok(())
}

/// What is not there, or no directory, or under something that is mounted there needs no freeing.
fn is_elsewhere(fault: Fault) -> bool {
    [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::XDEV].into_iter().any(|errno| fault.is(errno))
}

fn keep_scaffold(job: &Job, trash: &DirFd, (name, in_trash): (&str, &[u8])) -> Result<(), FsError> {
    let at = |fault: Fault| fault.at(retired_path(job));
    match job.workshop().make_dir(layout::RETIRED) {
        Err(fault) if !fault.is(Errno::EXIST) => return Err(at(fault)),
        _ => {}
    }
    let retired = job.workshop().open_within(layout::RETIRED).map_err(at)?;
    match trash.rename_noreplace(in_trash, &retired, name.as_bytes()) {
        // Whoever likes may remove trash.
        Err(fault) if fault.is(Errno::NOENT) => Ok(()),
        other => other.map_err(at),
    }
}

fn open_retired(job: &Job) -> Result<Option<DirFd>, FsError> {
    match job.workshop().open_within(layout::RETIRED) {
        Ok(retired) => Ok(Some(retired)),
        Err(fault) if fault.is(Errno::NOENT) => Ok(None),
        // Somebody has put something else there.
        Err(fault) if fault.is(Errno::NOTDIR) || fault.is(Errno::LOOP) => {
            job.workshop().unlink(layout::RETIRED).map_err(|fault| fault.at(retired_path(job)))?;
            Ok(None)
        }
        Err(fault) => Err(fault.at(retired_path(job))),
    }
}

fn trash_path(job: &Job) -> std::path::PathBuf {
    job.workshop_path(layout::TRASH)
}

fn retired_path(job: &Job) -> std::path::PathBuf {
    job.workshop_path(layout::RETIRED)
}

fn at(job: &Job, below_trash: &[u8], fault: Fault) -> FsError {
    fault.at(path::under(&trash_path(job), below_trash))
}

//! The deed of a restore: directories in parallel, every inode made whole before it gets its name.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use linksnap_catalog::{DirId, NewVersion, Reader, Row, Snapshot, Version};
use linksnap_inode::content::Buffer;
use linksnap_inode::{DirFd, Errno, Fault, Kind, Stat, Xattrs};

use super::plan::{count, is_inside, is_wanted};
use super::{Existing, RestoreError, RestoreOptions, RestoreSummary, catalog_error};
use crate::job::Job;
use crate::monitor::{Monitor, Progress, Wish};
use crate::path;
use crate::pool::{self, Queue};
use crate::report::{Problem, ProblemKind, Problems};
use crate::source::Sources;
use crate::stages::groups::{Groups, Stored, Turn};
use crate::stages::store::{self, Lacks, StoreError, Tools};

/// The name that a replacement has until it is whole.
const UNFINISHED: &str = ".linksnap-restoring";

pub(super) struct Deed<'a> {
    job: &'a Job,
    snapshot: &'a Snapshot,
    root: DirFd,
    paths: &'a Sources,
    target: &'a DirFd,
    options: &'a RestoreOptions,
    monitor: &'a dyn Monitor,
    problems: &'a Problems,
    progress: &'a Progress,
    told_of_owners: AtomicBool,
    groups: Groups,
    summary: Mutex<RestoreSummary>,
}

/// A directory to be restored.
struct Task {
    path: Vec<u8>,
    id: DirId,
    inside: bool,
    /// Are its own attributes set? Not those of directories that were there and only lead to what is
    /// restored.
    dress: bool,
}

impl<'a> Deed<'a> {
    pub fn new(
        job: &'a Job,
        snapshot: &'a Snapshot,
        paths: &'a Sources,
        target: &'a DirFd,
        options: &'a RestoreOptions,
        (monitor, problems, progress): (&'a dyn Monitor, &'a Problems, &'a Progress),
    ) -> Result<Self, RestoreError> {
        let root = job.dir().open_dir(snapshot.name.as_bytes());
        let root = root.map_err(|fault| fault.at(job.path().join(&snapshot.name)))?;
        Ok(Self {
            job,
            snapshot,
            root,
            paths,
            target,
            options,
            monitor,
            problems,
            progress,
            told_of_owners: AtomicBool::new(false),
            groups: Groups::default(),
            summary: Mutex::default(),
        })
    }

    /// Does the snapshot still bear its name? If not, its tree may have been emptied under the reader.
    pub fn is_still_there(&self) -> bool {
        self.job.bears_name(&self.root, &self.snapshot.name)
    }

    pub fn run(&self) -> Result<RestoreSummary, RestoreError> {
        let inside = is_inside(self.paths, b"", false);
        let first = Task { path: Vec::new(), id: DirId::ROOT, inside, dress: false };
        let start = || Ok((self.job.catalog()?, Buffer::default()));
        pool::run(pool::usual_threads(), first, start, |(reader, buffer), task, queue| {
            self.directory(reader, buffer, &task, queue)
        })?;
        Ok(self.summary.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn directory(
        &self,
        reader: &Reader,
        buffer: &mut Buffer,
        task: &Task,
        queue: &Queue<Task>,
    ) -> Result<(), RestoreError> {
        self.progress.enter(&task.path);
        let from = match self.root.open_beneath(&task.path) {
            Ok(from) => from,
            Err(fault) => {
                self.problem(ProblemKind::Damage, &task.path, format!("not restored: {fault}"));
                return Ok(());
            }
        };
        let to = self.target.open_beneath(&task.path).map_err(|fault| self.at(&task.path, fault))?;
        let rows = reader.as_of(task.id, self.snapshot.id);
        let rows = rows.map_err(|source| catalog_error(self.job, source))?;
        let mut children = Vec::new();
        for row in rows.iter().filter(|row| is_wanted(self.paths, &task.path, row.name, task.inside)) {
            if self.monitor.wish() == Wish::Stop {
                return Err(RestoreError::Interrupted);
            }
            match row.version.child {
                Some(id) => children.extend(self.enter(task, &to, row, id)?),
                None => self.leaf(task, (&from, &to), row, buffer)?,
            }
        }
        if task.dress {
            self.dress(task, &from, &to)?;
        }
        queue.extend(children);
        self.progress.add_directory();
        self.monitor.progress(self.progress);
        Ok(())
    }

    /// Makes a directory, unless it is there.
    fn enter(&self, task: &Task, to: &DirFd, row: Row<'_>, id: DirId) -> Result<Option<Task>, RestoreError> {
        let path = path::join(&task.path, row.name);
        let made = match to.make_dir(row.name) {
            Ok(()) => true,
            Err(fault) if fault.is(Errno::EXIST) => false,
            Err(fault) => return Err(self.at(&path, fault)),
        };
        if made {
            self.count(row.version, false);
        } else if to.stat_entry(row.name).is_ok_and(|stat| stat.kind != Kind::Directory) {
            if self.options.existing == Existing::Refuse {
                self.problem(ProblemKind::NotKept, &path, "something else is there".to_owned());
                return Ok(None);
            }
            to.unlink(row.name)
                .and_then(|()| to.make_dir(row.name))
                .map_err(|fault| self.at(&path, fault))?;
            self.count(row.version, true);
        }
        let inside = is_inside(self.paths, &path, task.inside);
        Ok(Some(Task { path, id, inside, dress: made || inside }))
    }

    fn dress(&self, task: &Task, from: &DirFd, to: &DirFd) -> Result<(), RestoreError> {
        let stat = from.stat().map_err(|fault| self.at(&task.path, fault))?;
        let xattrs = Xattrs::read(from).map_err(|fault| self.at(&task.path, fault))?;
        let lacks = store::dress_directory(to, &stat, &xattrs);
        self.report_lacks(&task.path, lacks.map_err(|fault| self.at(&task.path, fault))?);
        Ok(())
    }

    fn leaf(
        &self,
        task: &Task,
        (from, to): (&DirFd, &DirFd),
        row: Row<'_>,
        buffer: &mut Buffer,
    ) -> Result<(), RestoreError> {
        let path = path::join(&task.path, row.name);
        let stat = match from.stat_entry(row.name) {
            Ok(stat) => stat,
            Err(fault) => {
                self.problem(ProblemKind::Damage, &path, format!("not restored: {fault}"));
                return Ok(());
            }
        };
        let replaces = to.stat_entry(row.name).is_ok();
        if replaces && self.options.existing == Existing::Refuse {
            self.problem(ProblemKind::NotKept, &path, "something else is there".to_owned());
            return Ok(());
        }
        if self.make(task, (from, to), (row, &stat), replaces, buffer)? {
            self.count(row.version, replaces);
        }
        Ok(())
    }

    /// Makes the entry; false if there is nothing to make it from.
    fn make(
        &self,
        task: &Task,
        (from, to): (&DirFd, &DirFd),
        (row, stat): (Row<'_>, &Stat),
        replaces: bool,
        buffer: &mut Buffer,
    ) -> Result<bool, RestoreError> {
        let path = path::join(&task.path, row.name);
        let put = |make: &mut dyn FnMut(&[u8]) -> Result<bool, RestoreError>| {
            self.put(to, (row.name, &path), replaces, make)
        };
        let mut store = |name: &[u8]| self.store(task, (from, to), (row, stat), name, buffer);
        if row.version.seen.links <= 1 {
            return put(&mut store);
        }
        match self.groups.join(stat.identity()) {
            Turn::First => {
                let made = put(&mut store);
                let xattrs = Xattrs::default();
                let version = Arc::new(NewVersion { version: row.version.clone(), xattrs });
                let stored = Stored { dir: task.path.clone(), name: row.name.to_vec(), version };
                self.groups.settle(stat.identity(), matches!(made, Ok(true)).then_some(stored));
                made
            }
            Turn::Member(stored) => put(&mut |name| {
                let dir = self.target.open_beneath(&stored.dir);
                match dir.and_then(|dir| dir.link(&stored.name, to, name)) {
                    Ok(()) => Ok(true),
                    Err(fault) if fault.is(Errno::MLINK) => store(name),
                    Err(fault) => Err(self.at(&path, fault)),
                }
            }),
        }
    }

    /// Lets `make` make the entry under its name, or, if that exists, under another and swaps it in.
    fn put(
        &self,
        to: &DirFd,
        (name, path): (&[u8], &[u8]),
        replaces: bool,
        make: &mut dyn FnMut(&[u8]) -> Result<bool, RestoreError>,
    ) -> Result<bool, RestoreError> {
        if !replaces {
            return make(name);
        }
        let unfinished = UNFINISHED.as_bytes();
        // A restore that died may have left one.
        match to.unlink(unfinished) {
            Err(fault) if !fault.is(Errno::NOENT) => return Err(self.at(path, fault)),
            _ => {}
        }
        if !make(unfinished)? {
            return Ok(false);
        }
        let swapped = to.rename(unfinished, to, name);
        // Still there if the rename failed, and if both names were the same inode's (`rename(2)`).
        match to.unlink(unfinished) {
            Err(fault) if !fault.is(Errno::NOENT) => return Err(self.at(path, fault)),
            _ => {}
        }
        if let Err(fault) = swapped {
            self.problem(ProblemKind::NotKept, path, format!("not replaced: {fault}"));
        }
        Ok(swapped.is_ok())
    }

    fn store(
        &self,
        task: &Task,
        (from, to): (&DirFd, &DirFd),
        (row, stat): (Row<'_>, &Stat),
        name: &[u8],
        buffer: &mut Buffer,
    ) -> Result<bool, RestoreError> {
        let path = path::join(&task.path, row.name);
        let watch = &mut |count| self.watch(count);
        let mut tools = Tools { buffer, watch, old: None };
        let stored = match store::store(from, (row.name, stat), to, name, &mut tools) {
            Ok(stored) => stored,
            Err(StoreError::Stopped) => return Err(RestoreError::Interrupted),
            Err(StoreError::Target(fault)) => return Err(self.at(&path, fault)),
            Err(StoreError::Source(fault)) => {
                self.problem(ProblemKind::Damage, &path, format!("not restored: {fault}"));
                return Ok(false);
            }
        };
        self.report_lacks(&path, stored.lacks);
        if row.version.hash.is_some() && stored.hash != row.version.hash {
            let message = "restored, but its bytes are not what was backed up: the hash differs";
            self.problem(ProblemKind::Damage, &path, message.to_owned());
        }
        Ok(true)
    }

    fn report_lacks(&self, path: &[u8], lacks: Lacks) {
        if let Some(fault) = lacks.xattr {
            self.problem(ProblemKind::NotKept, path, fault.to_string());
        }
        if lacks.owner && !self.told_of_owners.swap(true, Ordering::Relaxed) {
            let message = "only root can give files to other owners: this and all that follow are yours";
            self.problem(ProblemKind::NotKept, path, message.to_owned());
        }
    }

    fn watch(&self, count: u64) -> bool {
        self.progress.add_bytes(count);
        self.monitor.progress(self.progress);
        self.monitor.wish() == Wish::Stop
    }

    fn count(&self, version: &Version, replaced: bool) {
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut summary, version);
        summary.replaced += u64::from(replaced);
        self.progress.add_files(u64::from(version.kind != Kind::Directory));
    }

    fn problem(&self, kind: ProblemKind, path: &[u8], message: String) {
        let place = path::under(&self.options.target, path);
        let path = linksnap_inode::dir::path_bytes(&place).to_vec();
        self.problems.add(self.monitor, Problem { kind, path, message });
    }

    fn at(&self, path: &[u8], fault: Fault) -> RestoreError {
        fault.at(path::under(&self.options.target, path)).into()
    }
}

/// Opens the target, which is made with all that leads to it if missing.
pub(super) fn open_target(path: &Path) -> Result<DirFd, RestoreError> {
    match DirFd::open_root(path) {
        Err(fault) if fault.is(Errno::NOENT) => {}
        other => return Ok(other.map_err(|fault| fault.at(path))?),
    }
    let above = open_target(path::above(path))?;
    let name = path.file_name().map(std::os::unix::ffi::OsStrExt::as_bytes).unwrap_or_default();
    let made = above.make_dir(name).and_then(|()| above.open_dir(name));
    Ok(made.map_err(|fault| fault.at(path))?)
}

//! The deed of a restore: directories in parallel, every inode made whole before it gets its name.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use linksnap_catalog::{DirId, Holding, Reader, Row, Rows, Version};
use linksnap_inode::content::Buffer;
use linksnap_inode::path;
use linksnap_inode::pool::{self, Queue};
use linksnap_inode::{DirFd, Errno, Fault, Kind, Xattrs};

use super::ahead::{self, Ahead};
use super::judge::{Bonds, look, same_attributes};
use super::plan::{dresses, is_foreign};
use super::scene::Scene;
use super::station::{Post, Station};
use super::wanted::Wanted;
use super::{Deed, Existing, RestoreError, RestoreSummary, catalog_error};
use crate::monitor::{Progress, Wish};
use crate::report::{Problem, ProblemKind, Problems};
use crate::stages::run::TIME_NOT_KEPT;
use crate::stages::store::{self, Lacks};
use crate::stages::{apply, remove};

pub(super) struct Restore<'a> {
    pub scene: &'a Scene<'a>,
    pub target: &'a DirFd,
    problems: &'a Problems,
    progress: &'a Progress,
    told: Told,
    pub bonds: Bonds,
    pub stations: Mutex<Vec<Arc<Station>>>,
    /// A directory on each filesystem that was come to, by device.
    pub filesystems: Mutex<BTreeMap<u64, Vec<u8>>>,
    summary: Mutex<RestoreSummary>,
}

/// What is said once, for it is true of all that follows.
#[derive(Debug, Default)]
pub(super) struct Told {
    owners: AtomicBool,
    devices: AtomicBool,
}

/// A directory to be restored.
pub(super) struct Task {
    pub path: Vec<u8>,
    id: DirId,
    own: Option<Version>,
    inside: bool,
    /// The identity of the directory if this restore has made it: nobody else can be in it.
    pub made: Option<(u64, u64)>,
    /// Where a station can be, for what is in here.
    post: Arc<Post>,
}

/// What a worker has.
pub(super) struct Hands<'a> {
    pub reader: Reader,
    pub buffer: Buffer,
    pub ahead: Ahead<'a>,
}

/// The directory being restored.
pub(super) struct Here<'t> {
    pub task: &'t Task,
    pub from: DirFd,
    pub to: DirFd,
    /// The filesystem that it is on.
    pub device: u64,
    post: RefCell<Arc<Post>>,
}

impl Here<'_> {
    pub fn path(&self, name: &[u8]) -> Vec<u8> {
        path::join(&self.task.path, name)
    }
}

impl<'a> Restore<'a> {
    pub fn new(
        scene: &'a Scene<'a>,
        target: &'a DirFd,
        problems: &'a Problems,
        progress: &'a Progress,
    ) -> Self {
        Self {
            scene,
            target,
            problems,
            progress,
            told: Told::default(),
            bonds: Bonds::default(),
            stations: Mutex::default(),
            filesystems: Mutex::default(),
            summary: Mutex::default(),
        }
    }

    pub fn into_summary(self) -> RestoreSummary {
        self.summary.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Restore<'_> {
    pub fn run(&self, made: bool) -> Result<(), RestoreError> {
        let reader = self.scene.job.catalog()?;
        let stat = self.target.stat().map_err(|fault| self.scene.at(b"", fault))?;
        let first = Task {
            path: Vec::new(),
            id: DirId::ROOT,
            own: self.scene.root_version(&reader)?,
            inside: self.scene.is_inside(b"", false),
            made: made.then(|| stat.identity()),
            post: Post::at(b""),
        };
        ahead::beside(self.scene, |ahead| {
            let start = || {
                Ok(Hands {
                    reader: self.scene.job.catalog()?,
                    buffer: Buffer::default(),
                    ahead: ahead.clone(),
                })
            };
            let work = |hands: &mut Hands<'_>, task, queue: &_| self.directory(hands, &task, queue);
            pool::run(pool::usual_threads(), first, start, work).map(drop)
        })
    }

    fn directory(&self, hands: &mut Hands<'_>, task: &Task, queue: &Queue<Task>) -> Result<(), RestoreError> {
        self.progress.enter(&task.path);
        let from = match self.scene.root.open_beneath(&task.path) {
            Ok(from) => from,
            Err(fault) => {
                self.problem(ProblemKind::Damage, &task.path, format!("not restored: {fault}"));
                return Ok(());
            }
        };
        let (to, device) = match self.open_target(task) {
            Ok(opened) => opened,
            Err(fault) => return self.not_kept(&task.path, fault),
        };
        let rows = self.scene.rows(&hands.reader, task.id)?;
        if task.made.is_none() && is_foreign(&to, task.inside, rows.is_empty()) {
            return Ok(());
        }
        let here = Here { task, from, to, device, post: RefCell::new(Arc::clone(&task.post)) };
        let dress = self.prepare(&here, hands)?;
        let mut children = Vec::new();
        for row in rows.iter().filter(|row| self.scene.is_wanted(&task.path, row.name, task.inside)) {
            if self.scene.monitor.wish() == Wish::Stop {
                return Err(RestoreError::Interrupted);
            }
            match row.version.child {
                Some(id) => children.extend(self.enter(&here, row, id)?),
                None => self.leaf(&here, row, hands)?,
            }
        }
        if task.inside && task.made.is_none() {
            self.remove_extras(&here, &rows)?;
        }
        if let Some(wanted) = dress {
            self.dress(&here, &wanted)?;
        }
        queue.extend(children);
        self.progress.add_directory();
        self.scene.monitor.progress(self.progress);
        Ok(())
    }

    /// Opens the directory; says on which device it is.
    fn open_target(&self, task: &Task) -> Result<(DirFd, u64), Fault> {
        let to = match self.target.open_beneath(&task.path) {
            Err(fault) if fault.is(Errno::ACCESS) && task.inside => {
                let (parent, name) = path::split(&task.path);
                self.target.open_beneath(parent)?.unlock_entry(name)?;
                self.target.open_beneath(&task.path)?
            }
            opened => opened?,
        };
        let stat = to.stat()?;
        match task.made {
            // Somebody has put another directory in its place.
            Some(made) if made != stat.identity() => return Err(Fault::new("open directory", Errno::STALE)),
            // An ACL that it inherited is not to be inherited on.
            Some(_) => apply::open_up(&to)?,
            None if task.inside => {
                self.lock_filesystems().entry(stat.device).or_insert_with(|| task.path.clone());
            }
            None => {}
        }
        Ok((to, stat.device))
    }

    pub fn lock_filesystems(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Vec<u8>>> {
        self.filesystems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a directory ready to be worked in; returns what it is to be like in the end.
    fn prepare(&self, here: &Here<'_>, hands: &Hands<'_>) -> Result<Option<Wanted>, RestoreError> {
        let task = here.task;
        let own = task.own.as_ref().filter(|own| dresses(own, task.inside, task.made.is_some()));
        let Some(own) = own else { return Ok(None) };
        let wanted = self.wanted(&hands.reader, own)?;
        if task.made.is_none() {
            let dressed = self.is_dressed(&here.to, &wanted);
            if !dressed.map_err(|fault| self.scene.at(&task.path, fault))? {
                self.count(own, Deed::Attributes);
            }
            if let Err(fault) = remove::unlock(&here.to) {
                self.not_kept(&task.path, fault)?;
            }
        }
        Ok(Some(wanted))
    }

    fn is_dressed(&self, dir: &DirFd, wanted: &Wanted) -> Result<bool, Fault> {
        Ok(same_attributes(&dir.stat()?, &wanted.stat) && Xattrs::read(dir)? == wanted.xattrs)
    }

    fn dress(&self, here: &Here<'_>, wanted: &Wanted) -> Result<(), RestoreError> {
        let path = &here.task.path;
        match self.is_dressed(&here.to, wanted) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(fault) => return self.not_kept(path, fault),
        }
        match store::dress_directory(&here.to, &wanted.stat, &wanted.xattrs) {
            // That the directories above a user's own are not his is no news.
            Ok(lacks) => {
                let is_own = here.task.own.as_ref().is_some_and(|own| own.holding != Holding::OnTheWay);
                self.report_lacks(path, Lacks { owner: lacks.owner && is_own, ..lacks });
                Ok(())
            }
            Err(fault) => self.not_kept(path, fault),
        }
    }

    /// Makes a directory, unless it is there.
    fn enter(&self, here: &Here<'_>, row: Row<'_>, id: DirId) -> Result<Option<Task>, RestoreError> {
        let path = here.path(row.name);
        let inside = self.scene.is_inside(&path, here.task.inside);
        let task =
            |made, post| Task { path: path.clone(), id, own: Some(row.version.clone()), inside, made, post };
        match look(&here.to, row.name) {
            Ok(Some(there)) if there.kind == Kind::Directory => {
                if self.scene.is_repository(&there) {
                    let message = "the repository is here: it is left as it is".to_owned();
                    self.problem(ProblemKind::NotKept, &path, message);
                    return Ok(None);
                }
                // What only led to the sources is nobody's to set things aside in, and two jobs would meet there.
                let leads = here.task.own.as_ref().is_some_and(|own| own.holding == Holding::OnTheWay);
                let inherits = here.task.inside && !leads && !there.mount_root;
                let post = if inherits { Arc::clone(&here.post.borrow()) } else { Post::at(&path) };
                Ok(Some(task(None, post)))
            }
            Ok(Some(_)) if self.scene.options.existing == Existing::Refuse => {
                self.problem(ProblemKind::NotKept, &path, "something else is there".to_owned());
                Ok(None)
            }
            Ok(Some(_)) if !inside => Err(RestoreError::NoDirectory { path: self.scene.path_of(&path) }),
            Ok(found) => {
                let made = match self.make_dir(here, row.name, found.is_some()) {
                    Ok(made) => made,
                    Err(fault) => return self.not_kept(&path, fault).map(|()| None),
                };
                self.count(row.version, if found.is_some() { Deed::Replace } else { Deed::Create });
                Ok(Some(task(Some(made), Arc::clone(&here.post.borrow()))))
            }
            Err(fault) => self.not_kept(&path, fault).map(|()| None),
        }
    }

    fn make_dir(&self, here: &Here<'_>, name: &[u8], replaces: bool) -> Result<(u64, u64), Fault> {
        if replaces {
            let station = self.station(here)?;
            station.set_aside((self.target, &here.task.path, &here.to), name)?;
        }
        here.to.make_dir(name)?;
        Ok(here.to.stat_entry(name)?.identity())
    }

    /// The station for this directory: that of those above it, or, if none can be made there, its own.
    pub fn station(&self, here: &Here<'_>) -> Result<Arc<Station>, Fault> {
        let post = Arc::clone(&here.post.borrow());
        let made = match post.station(self.target) {
            Err(fault) if matches!(fault.errno, Errno::ACCESS | Errno::PERM | Errno::ROFS) => {
                let own = Post::at(&here.task.path);
                here.post.replace(Arc::clone(&own));
                own.station(self.target)
            }
            made => made,
        };
        let (station, is_new) = made?;
        if is_new {
            self.stations.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&station));
        }
        Ok(station)
    }

    /// Sets aside what the snapshot does not have, if that is wanted.
    fn remove_extras(&self, here: &Here<'_>, rows: &Rows) -> Result<(), RestoreError> {
        let extras = match self.scene.extras(&here.to, here.task.own.as_ref(), rows) {
            Ok(extras) => extras,
            Err(fault) => return self.not_kept(&here.task.path, fault),
        };
        self.lock_summary().kept += extras.kept;
        for extra in extras.doomed {
            let place =
                |station: Arc<Station>| station.set_aside((self.target, &here.task.path, &here.to), &extra);
            match self.station(here).and_then(place) {
                Ok(()) => self.lock_summary().removed += 1,
                Err(fault) if fault.is(Errno::NOENT) => {}
                Err(fault) => self.not_kept(&here.path(&extra), fault)?,
            }
        }
        Ok(())
    }

    pub fn wanted(&self, reader: &Reader, version: &Version) -> Result<Wanted, RestoreError> {
        let wanted = Wanted::new(reader, version, &self.scene.owners);
        wanted.map_err(|source| catalog_error(self.scene.job, source))
    }

    /// A fault of the target: a full or failing disk ends the restore, anything else is a problem of the path.
    pub fn not_kept(&self, path: &[u8], fault: Fault) -> Result<(), RestoreError> {
        if matches!(fault.errno, Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::ROFS) {
            return Err(self.scene.at(path, fault));
        }
        self.problem(ProblemKind::NotKept, path, format!("not restored: {fault}"));
        Ok(())
    }

    pub fn report_lacks(&self, path: &[u8], lacks: Lacks) {
        if let Some(fault) = lacks.xattr {
            self.problem(ProblemKind::NotKept, path, fault.to_string());
        }
        if lacks.time {
            self.problem(ProblemKind::NotKept, path, TIME_NOT_KEPT.to_owned());
        }
        if lacks.owner && !self.told.owners.swap(true, Ordering::Relaxed) {
            let message = "only root can give files to other owners: this and all that follow are yours";
            self.problem(ProblemKind::NotKept, path, message.to_owned());
        }
    }

    pub fn report_device(&self, path: &[u8]) {
        if !self.told.devices.swap(true, Ordering::Relaxed) {
            let message = "only root can make devices: neither this nor any that follow are restored";
            self.problem(ProblemKind::NotKept, path, message.to_owned());
        }
    }

    pub fn watch(&self, count: u64) -> bool {
        self.progress.add_bytes(count);
        self.scene.monitor.progress(self.progress);
        self.scene.monitor.wish() == Wish::Stop
    }

    fn lock_summary(&self) -> std::sync::MutexGuard<'_, RestoreSummary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn count(&self, version: &Version, deed: Deed) {
        self.lock_summary().count(version, deed);
        self.progress.add_files(u64::from(version.kind != Kind::Directory));
    }

    pub fn count_unchanged(&self) {
        self.lock_summary().unchanged += 1;
        self.progress.add_files(1);
    }

    pub fn problem(&self, kind: ProblemKind, path: &[u8], message: String) {
        self.problem_at(kind, &self.scene.path_of(path), message);
    }

    pub fn problem_at(&self, kind: ProblemKind, place: &Path, message: String) {
        let path = linksnap_inode::dir::path_bytes(place).to_vec();
        self.problems.add(self.scene.monitor, Problem { kind, path, message });
    }
}

/// Opens the target, which is made with all that leads to it if missing; says whether it was made.
pub(super) fn open_target(path: &Path) -> Result<(DirFd, bool), RestoreError> {
    match DirFd::open_root(path) {
        Err(fault) if fault.is(Errno::NOENT) => {}
        other => return Ok((other.map_err(|fault| fault.at(path))?, false)),
    }
    let (above, _) = open_target(path::above(path))?;
    let name = path.file_name().map(std::os::unix::ffi::OsStrExt::as_bytes).unwrap_or_default();
    let made = above.make_dir(name).and_then(|()| above.open_dir(name));
    Ok((made.map_err(|fault| fault.at(path))?, true))
}

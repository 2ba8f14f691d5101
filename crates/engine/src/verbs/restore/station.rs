//! Stations: directories of the restore's own in the target, in which new inodes are made whole before they get their
//! names, and in which what they replace waits until all is done.
//!
//! A station belongs to whoever restores, and nobody else may enter it: what is made in it cannot be swapped for
//! something else. It stands in the first directory that was there already on the way down, and again wherever another
//! filesystem begins, for names can be moved only within one.
//!
//! **Invariant:** what was set aside is in the station, under the path that it had, until the restore has ended well.

use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use linksnap_inode::path;
use linksnap_inode::{DirFd, Errno, Fault, Kind, Stat, Xattrs};

use crate::stages::remove::{self, Hurry};
use crate::stages::{apply, store};

/// A station's name.
pub(super) const NAME: &[u8] = b".linksnap-restore";
/// In a station: what was replaced or removed.
pub(super) const OLD: &[u8] = b"old";
/// In a station: what is being made.
const NEW: &[u8] = b"new";

/// A place for a station, which is made when it is first needed.
#[derive(Debug)]
pub(super) struct Post {
    /// The directory that it stands in, relative to the target.
    path: Vec<u8>,
    made: Mutex<Option<Result<Arc<Station>, Fault>>>,
}

impl Post {
    pub fn at(path: &[u8]) -> Arc<Self> {
        Arc::new(Self { path: path.to_vec(), made: Mutex::default() })
    }

    /// The station, and whether it was made just now.
    pub fn station(&self, target: &DirFd) -> Result<(Arc<Station>, bool), Fault> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.as_ref() {
            return made.clone().map(|station| (station, false));
        }
        let station = Station::make(target, &self.path).map(Arc::new);
        *made = Some(station.clone());
        station.map(|station| (station, true))
    }
}

/// A directory for what comes and what goes.
#[derive(Debug)]
pub(super) struct Station {
    path: Vec<u8>,
    dir: DirFd,
    new: DirFd,
    next: AtomicU64,
    holds_old: AtomicBool,
}

/// What did not go as it came with a station.
#[derive(Debug)]
pub(super) struct Left {
    /// Relative to the target.
    pub path: Vec<u8>,
    pub what: &'static str,
    pub fault: Fault,
}

/// What is wrong with something left in a station.
const NOT_REMOVED: &str = "replaced, but it cannot be removed";

/// How something was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aside {
    /// It has a second name in the station, and its own still.
    Linked,
    /// It is in the station only.
    Moved,
}

impl Station {
    fn make(target: &DirFd, path: &[u8]) -> Result<Self, Fault> {
        let home = target.open_beneath(path)?;
        let before = home.stat()?;
        home.make_dir(NAME)?;
        let made = home.open_dir(NAME).and_then(|dir| {
            let new = furnish(&dir).and_then(|new| keep_time(&home, &before).map(|()| new));
            if new.is_err() {
                let _in_vain = dir.remove_dir(NEW);
            }
            new.map(|new| (dir, new))
        });
        if made.is_err() {
            // Nobody has used it, and nobody would clear it away. What cannot go now, the next restore tells of.
            let _in_vain = home.remove_dir(NAME);
            let _in_vain = keep_time(&home, &before);
        }
        let (dir, new) = made?;
        Ok(Self { path: path.to_vec(), dir, new, next: AtomicU64::new(0), holds_old: AtomicBool::new(false) })
    }

    /// Where new inodes are made.
    pub fn new_dir(&self) -> &DirFd {
        &self.new
    }

    /// A free name there.
    pub fn new_name(&self) -> Vec<u8> {
        self.next.fetch_add(1, Ordering::Relaxed).to_string().into_bytes()
    }

    /// Was anything set aside?
    pub fn holds_old(&self) -> bool {
        self.holds_old.load(Ordering::Relaxed)
    }

    /// Where what was set aside is, relative to the target.
    pub fn old_path(&self) -> Vec<u8> {
        path::join(&path::join(&self.path, NAME), OLD)
    }

    /// The path of the station, relative to the target.
    pub fn own_path(&self) -> Vec<u8> {
        path::join(&self.path, NAME)
    }

    /// Gives what was made under `made` its name in `to`, where nothing is of that name.
    pub fn place(&self, made: &[u8], to: &DirFd, name: &[u8]) -> Result<(), Fault> {
        match self.new.rename_noreplace(made, to, name) {
            // Not every filesystem can (`renameat2(2)`).
            Err(fault) if fault.is(Errno::INVAL) && !exists(to, name) => self.new.rename(made, to, name),
            other => other,
        }
    }

    /// Gives what was made under `made` the name in the directory `path` of what is there, which is set aside first.
    pub fn replace(
        &self,
        made: &[u8],
        (target, path, to): (&DirFd, &[u8], &DirFd),
        (name, there): (&[u8], Kind),
    ) -> Result<(), Fault> {
        let old = self.old_dir(target, path)?;
        let aside = self.take(to, (name, there), &old)?;
        let placed = self.new.rename(made, to, name);
        if placed.is_err() && aside == Aside::Moved {
            old.rename(name, to, name)?;
        }
        placed
    }

    /// Takes `name` out of the directory `path`.
    pub fn set_aside(&self, (target, path, to): (&DirFd, &[u8], &DirFd), name: &[u8]) -> Result<(), Fault> {
        let old = self.old_dir(target, path)?;
        rename(to, name, &old)
    }

    /// Where a link can be made, the name is never without an inode.
    fn take(&self, to: &DirFd, (name, there): (&[u8], Kind), old: &DirFd) -> Result<Aside, Fault> {
        if there != Kind::Directory && to.link(name, old, name).is_ok() {
            return Ok(Aside::Linked);
        }
        rename(to, name, old).map(|()| Aside::Moved)
    }

    /// The directory in which the names of the directory `path` are set aside: the same path below `old`, each part
    /// with the attributes of its model, so that all can be copied back as it is.
    fn old_dir(&self, target: &DirFd, path: &[u8]) -> Result<DirFd, Fault> {
        let (mut dir, is_new) = open_or_make(&self.dir, OLD)?;
        self.holds_old.store(true, Ordering::Relaxed);
        let mut model = self.path.clone();
        if is_new {
            dress_as(&dir, target, &model)?;
        }
        for part in path::parts(path::below(path, &self.path).unwrap_or_default()) {
            model = path::join(&model, part);
            let (next, is_new) = open_or_make(&dir, part)?;
            if is_new {
                dress_as(&next, target, &model)?;
            }
            dir = next;
        }
        Ok(dir)
    }

    /// Removes the station with all that is in it.
    pub fn remove(&self, target: &DirFd) -> Result<(), Left> {
        let at = |path: &[u8], what| {
            let path = path.to_vec();
            move |fault| Left { path, what, fault }
        };
        let home = target.open_beneath(&self.path).map_err(at(&self.own_path(), NOT_REMOVED))?;
        let before = home.stat().map_err(at(&self.own_path(), NOT_REMOVED))?;
        let emptied =
            remove::empty(&self.dir, Hurry::Now, &|_| false).map_err(at(&self.own_path(), NOT_REMOVED))?;
        if let Some((below, fault)) = emptied.left {
            let path = path::join(&self.own_path(), below.as_os_str().as_bytes());
            return Err(Left { path, what: NOT_REMOVED, fault });
        }
        home.remove_dir(NAME).map_err(at(&self.own_path(), NOT_REMOVED))?;
        keep_time(&home, &before).map_err(at(&self.path, "restored, but its time of change cannot be set"))
    }

    /// Forces all that was done on this filesystem to disk.
    pub fn sync(&self) -> Result<(), Fault> {
        self.dir.sync_filesystem()
    }
}

fn exists(dir: &DirFd, name: &[u8]) -> bool {
    dir.stat_entry(name).is_ok()
}

fn rename(from: &DirFd, name: &[u8], to: &DirFd) -> Result<(), Fault> {
    match from.rename_noreplace(name, to, name) {
        Err(fault) if fault.is(Errno::INVAL) && !exists(to, name) => from.rename(name, to, name),
        other => other,
    }
}

fn open_or_make(dir: &DirFd, name: &[u8]) -> Result<(DirFd, bool), Fault> {
    let is_new = match dir.make_dir(name) {
        Ok(()) => true,
        Err(fault) if fault.is(Errno::EXIST) => false,
        Err(fault) => return Err(fault),
    };
    Ok((dir.open_dir(name)?, is_new))
}

/// What cannot be had of the model is of no matter: it is a convenience for whoever copies it back.
fn dress_as(dir: &DirFd, target: &DirFd, model: &[u8]) -> Result<(), Fault> {
    let model = target.open_beneath(model)?;
    let stat = model.stat()?;
    let xattrs = Xattrs::read(&model).unwrap_or_default();
    // We have to go on working in it.
    let stat = Stat { mode: stat.mode | 0o700, ..stat };
    let _in_vain = store::dress_directory(dir, &stat, &xattrs);
    Ok(())
}

/// Makes what is in a station.
fn furnish(dir: &DirFd) -> Result<DirFd, Fault> {
    // What is made in it must not inherit an ACL.
    apply::open_up(dir)?;
    dir.make_dir(NEW)?;
    dir.open_dir(NEW)
}

/// That a station comes and goes is nothing that happened to the directory. Only its owner may say so (`utimensat(2)`).
fn keep_time(dir: &DirFd, before: &Stat) -> Result<(), Fault> {
    match dir.set_mtime(before.mtime) {
        Err(fault) if fault.is(Errno::PERM) => Ok(()),
        set => set,
    }
}

//! The plan of a restore: what would be made, changed and removed, and what is in the way. Writes nothing.

use std::collections::HashSet;

use linksnap_catalog::{DirId, Holding, Reader, Row, Rows, Version};
use linksnap_inode::content::Buffer;
use linksnap_inode::path;
use linksnap_inode::{DirFd, Fault, Kind, Stat, Xattrs};

use super::judge::{Bond, Bonds, Need, Reading, look, same_attributes};
use super::scene::Scene;
use super::wanted::Wanted;
use super::{Deed, Existing, RestoreError, RestoreStep, RestoreSummary, catalog_error, station};
use crate::monitor::{Progress, Wish};
use crate::stages::store::STOPPED;

/// How closely a plan looks at what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closeness {
    /// Only whether something is there.
    Names,
    /// Also whether it is what is to be restored, which may mean to read it.
    Content,
}

pub(super) struct Plan<'a> {
    pub scene: &'a Scene<'a>,
    pub reader: &'a Reader,
    pub target: Option<DirFd>,
    pub closeness: Closeness,
    pub progress: &'a Progress,
}

/// A directory to be looked at.
struct Task {
    path: Vec<u8>,
    id: DirId,
    own: Option<Version>,
    inside: bool,
    exists: bool,
}

type Tell<'t> = &'t mut dyn FnMut(&RestoreStep);

impl Plan<'_> {
    pub fn tell(&self, step: Tell<'_>) -> Result<RestoreSummary, RestoreError> {
        let scene = self.scene;
        let mut teller = Teller {
            plan: self,
            step,
            summary: RestoreSummary::default(),
            bonds: Bonds::default(),
            made: HashSet::new(),
        };
        let mut buffer = Buffer::default();
        let mut waiting = vec![Task {
            path: Vec::new(),
            id: DirId::ROOT,
            own: scene.root_version(self.reader)?,
            inside: scene.is_inside(b"", false),
            exists: self.target.is_some(),
        }];
        while let Some(task) = waiting.pop() {
            if scene.monitor.wish() == Wish::Stop {
                return Err(RestoreError::Interrupted);
            }
            self.progress.enter(&task.path);
            teller.directory(&task, &mut buffer, &mut waiting)?;
            self.progress.add_directory();
            scene.monitor.progress(self.progress);
        }
        Ok(teller.summary)
    }

    fn open(&self, task: &Task) -> Result<Option<DirFd>, RestoreError> {
        let Some(root) = self.target.as_ref().filter(|_| task.exists) else { return Ok(None) };
        let opened = root.open_beneath(&task.path);
        Ok(Some(opened.map_err(|fault| self.scene.at(&task.path, fault))?))
    }

    fn wanted(&self, version: &Version) -> Result<Wanted, RestoreError> {
        let wanted = Wanted::new(self.reader, version, &self.scene.owners);
        wanted.map_err(|source| catalog_error(self.scene.job, source))
    }

    fn watch(&self, count: u64) -> bool {
        self.progress.add_bytes(count);
        self.scene.monitor.progress(self.progress);
        self.scene.monitor.wish() == Wish::Stop
    }
}

struct Teller<'p, 't> {
    plan: &'p Plan<'p>,
    step: Tell<'t>,
    summary: RestoreSummary,
    bonds: Bonds,
    /// Inodes of the snapshot that are made anew and may have further names.
    made: HashSet<u64>,
}

impl Teller<'_, '_> {
    fn directory(
        &mut self,
        task: &Task,
        buffer: &mut Buffer,
        waiting: &mut Vec<Task>,
    ) -> Result<(), RestoreError> {
        let scene = self.plan.scene;
        let there = self.plan.open(task)?;
        let rows = scene.rows(self.plan.reader, task.id)?;
        if let Some(dir) = &there {
            if is_foreign(dir, task.inside, rows.is_empty()) {
                return Ok(());
            }
            self.own(task, dir)?;
        }
        for row in rows.iter().filter(|row| scene.is_wanted(&task.path, row.name, task.inside)) {
            let path = path::join(&task.path, row.name);
            let found = match &there {
                Some(dir) => look(dir, row.name).map_err(|fault| scene.at(&path, fault))?,
                None => None,
            };
            let Some(id) = row.version.child else {
                let at = there.as_ref().zip(found.as_ref());
                self.leaf((&path, row), at, buffer)?;
                continue;
            };
            let exists = found.is_some_and(|stat| stat.kind == Kind::Directory);
            let inside = scene.is_inside(&path, task.inside);
            if found.is_some() && !exists && !inside && scene.options.existing == Existing::Overwrite {
                return Err(RestoreError::NoDirectory { path: scene.path_of(&path) });
            }
            if !exists {
                self.add(&path, row.version, if found.is_some() { Deed::Replace } else { Deed::Create });
            }
            waiting.push(Task { path, id, own: Some(row.version.clone()), inside, exists });
        }
        match there.filter(|_| task.inside) {
            Some(dir) => self.extras(task, &dir, &rows),
            None => Ok(()),
        }
    }

    /// The attributes of a directory that is there.
    fn own(&mut self, task: &Task, dir: &DirFd) -> Result<(), RestoreError> {
        let at = |fault: Fault| self.plan.scene.at(&task.path, fault);
        if look(dir, station::NAME).map_err(at)?.is_some() {
            return Err(super::leftover(&self.plan.scene.path_of(&task.path), dir));
        }
        let Some(own) = task.own.as_ref().filter(|own| dresses(own, task.inside, false)) else {
            return Ok(());
        };
        let wanted = self.plan.wanted(own)?;
        let is = dir.stat().map_err(at)?;
        let same = same_attributes(&is, &wanted.stat) && Xattrs::read(dir).map_err(at)? == wanted.xattrs;
        if !same {
            self.add(&task.path, own, Deed::Attributes);
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        (path, row): (&[u8], Row<'_>),
        there: Option<(&DirFd, &Stat)>,
        buffer: &mut Buffer,
    ) -> Result<(), RestoreError> {
        let need = match there {
            None => Need::Create,
            Some(_) if self.plan.closeness == Closeness::Names => Need::Replace,
            Some((dir, stat)) => {
                let wanted = self.plan.wanted(row.version)?;
                let watch = |count| self.plan.watch(count);
                let mut reading = Reading { buffer, watch: &watch };
                let there = Some((dir, row.name, stat));
                let decided = self.bonds.decide(there, (&wanted, row.version, stat.device), &mut reading);
                let (need, bond) = decided.map_err(|fault| match fault {
                    STOPPED => RestoreError::Interrupted,
                    fault => self.plan.scene.at(path, fault),
                })?;
                if let Bond::First = bond {
                    // What is to be made anew has no number yet, and none is 0.
                    let stays = matches!(need, Need::Nothing | Need::Attributes);
                    let inode = if stays { stat.inode } else { 0 };
                    self.bonds.settle((row.version, stat.device), (b"", b""), Some(inode));
                }
                need
            }
        };
        match Deed::of(need) {
            Some(deed) => self.add(path, row.version, deed),
            None => self.summary.unchanged += 1,
        }
        Ok(())
    }

    fn extras(&mut self, task: &Task, dir: &DirFd, rows: &Rows) -> Result<(), RestoreError> {
        let extras = self.plan.scene.extras(dir, task.own.as_ref(), rows);
        let extras = extras.map_err(|fault| self.plan.scene.at(&task.path, fault))?;
        self.summary.kept += extras.kept;
        for extra in extras.doomed {
            self.summary.removed += 1;
            let path = self.plan.scene.path_of(&path::join(&task.path, &extra));
            (self.step)(&RestoreStep { path, deed: Deed::Remove, bytes: 0 });
        }
        Ok(())
    }

    fn add(&mut self, path: &[u8], version: &Version, deed: Deed) {
        self.summary.count(version, deed);
        let is_made = matches!(deed, Deed::Create | Deed::Replace);
        if is_made && (!Bonds::has_others(version) || self.made.insert(version.stored_inode)) {
            self.summary.needed.add(version);
        }
        let bytes = if is_made && version.kind == Kind::File { version.size } else { 0 };
        (self.step)(&RestoreStep { path: self.plan.scene.path_of(path), deed, bytes });
    }
}

/// Does a directory get its attributes? Not if it was there already and only leads to what is restored, or led to
/// what was backed up.
pub(super) fn dresses(own: &Version, inside: bool, made: bool) -> bool {
    made || (inside && own.holding != Holding::OnTheWay)
}

/// Is something mounted on a directory that was empty in the snapshot, most likely for the same reason? Then it is
/// left alone.
pub(super) fn is_foreign(dir: &DirFd, inside: bool, is_empty: bool) -> bool {
    inside && is_empty && dir.stat().is_ok_and(|stat| stat.mount_root)
}

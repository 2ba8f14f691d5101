//! Moved: looks up what the basis has under other paths of a file that would be copied: it, or a directory above it,
//! may have been renamed. What may be done with what is found is for [`plan::moved`] to say.
//!
//! Asks the catalog, and the source whether the old path is still the same file: then nothing was moved, but two
//! filesystems have an inode of that number, as an image and its copy do.

use linksnap_catalog::{CatalogError, DirId, Placed, Reader, SnapshotId, Version};
use linksnap_inode::{DirFd, Errno, Fault, Stat};

use crate::stages::plan::{self, Action, Elsewhere, Step};
use crate::tree::{Tree, TreeDir};

/// What a file was before it was moved.
#[derive(Debug)]
pub struct Moved {
    /// `Link` or `Reuse`.
    pub action: Action,
    /// The directory that it was in.
    pub directory: DirId,
    /// Its name there.
    pub name: Box<[u8]>,
    /// What the basis has of it.
    pub version: Version,
}

/// Where files of one directory were before: mostly in one other.
#[derive(Debug)]
pub struct Whence<D> {
    old: Option<Old<D>>,
}

impl<D> Default for Whence<D> {
    fn default() -> Self {
        Self { old: None }
    }
}

/// The directory that was looked into last.
#[derive(Debug)]
struct Old<D> {
    id: DirId,
    path: Vec<u8>,
    /// Its inode number in the source when its own version was recorded.
    source_inode: Option<u64>,
    source: Result<D, Fault>,
    basis: Option<Result<DirFd, Fault>>,
}

impl<D: TreeDir> Whence<D> {
    /// Finds what the step's file was in the snapshot before `building`; `own_inode` is that of the directory in the
    /// source that it is in now.
    pub fn find<T: Tree<Dir = D>>(
        &mut self,
        (reader, tree): (&Reader, &T),
        step: &Step<'_>,
        own_inode: u64,
        building: SnapshotId,
    ) -> Result<Option<Moved>, CatalogError> {
        let Some(stat) = step.source.filter(|_| step.may_have_moved()) else { return Ok(None) };
        for Placed { directory, name, version } in reader.seen_as(stat.inode)? {
            // What only staging has cannot be linked from the basis.
            if version.first >= building || plan::moved(stat, &version, Elsewhere::Anywhere).is_none() {
                continue;
            }
            let old = self.turn_to((reader, tree), directory)?;
            let elsewhere = if *name == *step.name && old.source_inode == Some(own_inode) {
                Elsewhere::SameDirectory
            } else {
                Elsewhere::Anywhere
            };
            let Some(action) = plan::moved(stat, &version, elsewhere) else { continue };
            if !old.still_has(&name, stat) {
                return Ok(Some(Moved { action, directory, name, version }));
            }
        }
        Ok(None)
    }

    fn turn_to<T: Tree<Dir = D>>(
        &mut self,
        (reader, tree): (&Reader, &T),
        id: DirId,
    ) -> Result<&Old<D>, CatalogError> {
        let old = match self.old.take().filter(|old| old.id == id) {
            Some(old) => old,
            None => {
                let (path, own) = reader.directory(id)?;
                let (source_inode, source) = (own.map(|own| own.seen.inode), tree.open(&path));
                Old { id, path, source_inode, source, basis: None }
            }
        };
        Ok(self.old.insert(old))
    }

    /// The path of the directory that was looked into last, relative to the root of all trees.
    pub fn path(&self) -> &[u8] {
        self.old.as_ref().map_or(b"", |old| &old.path)
    }

    /// The directory in which `moved` was found, in the basis.
    pub fn in_basis(&mut self, root: &DirFd, moved: &Moved) -> Result<&DirFd, Fault> {
        let old = self.old.as_mut().filter(|old| old.id == moved.directory);
        let old = old.ok_or(Fault::new("open directory", Errno::NOENT))?;
        let opened = old.basis.get_or_insert_with(|| root.open_within(&old.path));
        opened.as_ref().map_err(|fault| *fault)
    }
}

impl<D: TreeDir> Old<D> {
    /// Is that inode number still under its old name? Taken to be so if nobody can say.
    fn still_has(&self, name: &[u8], stat: &Stat) -> bool {
        let there = match &self.source {
            Ok(dir) => dir.stat_entry(name).map(|there| there.inode == stat.inode),
            Err(fault) => Err(*fault),
        };
        // What leads there can have become something else, a link perhaps to where it is now.
        let is_gone = |fault: Fault| matches!(fault.errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP);
        there.unwrap_or_else(|fault| !is_gone(fault))
    }
}

//! Edits that need something are turned towards something that is there.
//!
//! Drawn blindly, three of four hard links would have nothing to link. So each edit is drawn with a number, and the
//! number chooses among what the edits before it should have left. What they should have left is only reckoned, and
//! roughly: an edit that misses is skipped when it is applied.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use proptest::sample::Index;

use crate::tree::edit::Edit;

/// Turns each edit that needs what is not there; the others stay.
pub(super) fn aim(edits: Vec<(Edit, Index)>) -> Vec<Edit> {
    let mut reckoned = Reckoned::default();
    edits
        .into_iter()
        .map(|(mut edit, number)| {
            reckoned.turn(&mut edit, &number);
            reckoned.apply(&edit);
            edit
        })
        .collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    File,
    Directory,
    Other,
}

/// What should be there: things by path, and which of them bear which attribute.
#[derive(Default)]
struct Reckoned {
    things: BTreeMap<PathBuf, Thing>,
    attributes: BTreeMap<PathBuf, OsString>,
}

impl Reckoned {
    fn turn(&self, edit: &mut Edit, number: &Index) {
        match edit {
            Edit::Rewrite { path } | Edit::RewriteKeepingMtime { path } => {
                self.turn_path(path, number, |thing| *thing == Thing::File);
            }
            Edit::SetXattr { path, .. } => {
                self.turn_path(path, number, |thing| *thing != Thing::Other);
            }
            Edit::HardLink { existing, .. } => {
                self.turn_path(existing, number, |thing| *thing != Thing::Directory);
            }
            Edit::Mode { path, .. }
            | Edit::Owner { path, .. }
            | Edit::Mtime { path, .. }
            | Edit::Rename { from: path, .. }
            | Edit::Delete { path } => self.turn_path(path, number, |_| true),
            Edit::RemoveXattr { path, name } => self.turn_attribute(path, name, number),
            _ => {}
        }
    }

    fn turn_path(&self, path: &mut PathBuf, number: &Index, fits: impl Fn(&Thing) -> bool) {
        if self.things.get(path).is_some_and(&fits) {
            return;
        }
        let fitting = self.things.iter().filter(|(_, thing)| fits(thing));
        let fitting: Vec<&PathBuf> = fitting.map(|(path, _)| path).collect();
        if !fitting.is_empty() {
            path.clone_from(fitting[number.index(fitting.len())]);
        }
    }

    fn turn_attribute(&self, path: &mut PathBuf, name: &mut OsString, number: &Index) {
        let attributes: Vec<(&PathBuf, &OsString)> = self.attributes.iter().collect();
        if !attributes.is_empty() {
            let (new_path, new_name) = attributes[number.index(attributes.len())];
            path.clone_from(new_path);
            name.clone_from(new_name);
        }
    }

    fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Write { path, .. } | Edit::Replace { path, .. } | Edit::Sparse { path, .. } => {
                self.put(path, Thing::File);
            }
            Edit::Directory { path } => self.put(path, Thing::Directory),
            Edit::Symlink { path, .. }
            | Edit::Fifo { path }
            | Edit::Socket { path }
            | Edit::CharDevice { path, .. }
            | Edit::BlockDevice { path, .. } => self.put(path, Thing::Other),
            Edit::HardLink { existing, path } if !existing.starts_with(path) => {
                if let Some(thing) = self.things.get(existing).cloned() {
                    self.put(path, thing);
                }
            }
            Edit::Rename { from, to } if !from.starts_with(to) && !to.starts_with(from) => {
                self.rename(from, to);
            }
            Edit::Delete { path } => self.remove(path),
            Edit::SetXattr { path, name, .. } => {
                self.attributes.insert(path.clone(), name.clone());
            }
            Edit::RemoveXattr { path, .. } => {
                self.attributes.remove(path);
            }
            _ => {}
        }
    }

    fn put(&mut self, path: &Path, thing: Thing) {
        let parents = || path.ancestors().skip(1);
        let is_blocked = |parent| {
            let found = self.things.get(parent);
            found.is_some_and(|thing| *thing != Thing::Directory)
        };
        if parents().any(is_blocked) {
            return;
        }
        if self.things.get(path) != Some(&thing) {
            self.remove(path);
        }
        for parent in parents().filter(|parent| *parent != Path::new("")) {
            self.things.insert(parent.to_path_buf(), Thing::Directory);
        }
        self.things.insert(path.to_path_buf(), thing);
    }

    fn remove(&mut self, path: &Path) {
        self.things.retain(|other, _| !other.starts_with(path));
        self.attributes.retain(|other, _| !other.starts_with(path));
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let moved: Vec<(PathBuf, Thing)> = self
            .things
            .iter()
            .filter_map(|(path, thing)| Some((path.strip_prefix(from).ok()?, thing)))
            .map(|(rest, thing)| (to.components().chain(rest.components()).collect(), thing.clone()))
            .collect();
        self.remove(from);
        for (path, thing) in moved {
            self.put(&path, thing);
        }
    }
}

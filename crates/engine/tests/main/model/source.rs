//! The source at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use linksnap_testkit::listing::{Entry, Kind, Listing};

/// The source at one moment.
pub struct Source {
    pub listing: Listing,
    /// The change times of all that is no directory.
    changed: BTreeMap<PathBuf, (i64, i64)>,
}

impl Source {
    pub fn read(root: &Path) -> Self {
        let listing = Listing::read(root);
        let leaves = listing.iter().filter(|(_, entry)| entry.kind != Kind::Directory);
        let changed = leaves.map(|(path, _)| {
            let stat = std::fs::symlink_metadata(root.join(path)).expect("it was there just now");
            (path.to_path_buf(), (stat.ctime(), stat.ctime_nsec()))
        });
        let changed = changed.collect();
        Self { listing, changed }
    }

    /// Is there nothing but the directory itself?
    pub fn is_empty(&self) -> bool {
        self.listing.iter().count() == 1
    }

    /// The names that share an inode with `path`, itself among them.
    fn group(&self, path: &Path) -> BTreeSet<&Path> {
        let inode = self.listing.inode(path);
        let is_name = |(_, entry): &(&Path, &Entry)| entry.kind != Kind::Directory && entry.inode == inode;
        self.listing.iter().filter(is_name).map(|(path, _)| path).collect()
    }

    /// The names whose inode nobody has touched since `before`, all names of it included.
    pub fn untouched_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a Path> {
        let touched = |path: &Path| {
            let inode = before.listing.get(path).map(|entry| entry.inode);
            inode != Some(self.listing.inode(path))
                || before.changed.get(path) != self.changed.get(path)
                || before.group(path) != self.group(path)
        };
        self.changed.keys().map(PathBuf::as_path).filter(move |path| !touched(path))
    }

    /// How many of the entries that are no directories have a name that `other` knows nothing of.
    pub fn missing_in(&self, other: &Self) -> u64 {
        self.changed.keys().filter(|path| other.listing.get(path).is_none()).count() as u64
    }
}

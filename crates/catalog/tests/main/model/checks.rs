//! Everything that can be asked of the catalog, compared with the model.

use std::collections::{BTreeMap, BTreeSet};

use linksnap_catalog::{CatalogError, DirId, Event, Reader, Rows, Seen, SnapshotId, Version, XattrsId};
use linksnap_inode::Xattrs;

use super::{BLOCK, Model, Stored, Tree, fingerprint, join, paths_of};

impl Model {
    /// Compares everything that can be asked.
    pub fn assert_same(&self) {
        let reader = self.shelf.reader();
        let none: Vec<String> = Vec::new();
        assert_eq!(reader.faults().expect("checked"), none);
        for (id, tree) in &self.published {
            let mut found = read(&reader, |directory| reader.as_of(directory, *id));
            // What was seen of the source is renewed in place.
            found.values_mut().for_each(|(version, _)| version.seen = Seen::default());
            assert_eq!(differences(&found, &self.expected(tree, |_| Seen::default())), [""; 0], "{id:?}");
        }
        let newest = self.published.last().map(|(_, tree)| tree);
        let seen = |stored: &Stored| self.seen(stored);
        let current = self.building.as_ref().or(newest);
        let current = current.map(|tree| self.expected(tree, seen)).unwrap_or_default();
        let found = read(&reader, |directory| reader.current(directory));
        assert_eq!(differences(&found, &current), [""; 0], "what is current");
        let trees = || self.published.iter().map(|(_, tree)| tree).chain(&self.building);
        let versions: BTreeSet<(&String, u64)> =
            trees().flatten().map(|(path, stored)| (path, stored.serial)).collect();
        assert_eq!(reader.count_versions().expect("counted"), versions.len() as u64, "versions");
        self.assert_fingerprints(&reader);
        self.assert_accounts(&reader);
        assert_eq!(reader.growth().expect("growth"), self.growth);
        let made: i64 = self.growth.iter().map(|one| one.event.sign() * one.inodes.cast_signed()).sum();
        let all = (0..self.published.len()).collect();
        assert_eq!(made, self.freed_by(&all).inodes.cast_signed(), "growth does not add up");
        self.assert_nothing_is_left(&reader);
    }

    fn expected(&self, tree: &Tree<Stored>, seen: impl Fn(&Stored) -> Seen) -> Found {
        let entry = |(path, stored): (&String, &Stored)| {
            let version = Version { seen: seen(stored), ..stored.version(None) };
            (path.clone(), (version, stored.xattrs()))
        };
        tree.iter().map(entry).collect()
    }

    /// No fingerprint speaks of versions that are not current.
    fn assert_fingerprints(&self, reader: &Reader) {
        let Some(current) = self.building.as_ref().or(self.published.last().map(|(_, tree)| tree)) else {
            return assert_eq!(self.shelf.count("fingerprint"), 0);
        };
        let mut seen = 0;
        for path in self
            .published
            .iter()
            .map(|(_, tree)| tree)
            .chain(&self.building)
            .flat_map(paths_of)
            .collect::<BTreeSet<_>>()
        {
            let id = directory(reader, path).expect("known");
            if let Some(hash) = reader.fingerprint(id).expect("read") {
                assert_eq!(Some(hash), fingerprint(current, path), "of {path:?}");
                seen += 1;
            }
        }
        assert_eq!(self.shelf.count("fingerprint"), seen, "fingerprints of nothing");
    }

    fn assert_accounts(&self, reader: &Reader) {
        let accounts = reader.accounts(BLOCK).expect("accounts");
        let places = || 0..self.published.len();
        assert_eq!(accounts.total(), self.freed_by(&places().collect()), "in all");
        for (at, (id, tree)) in self.published.iter().enumerate() {
            assert_eq!(accounts.alone(*id), self.freed_by(&[at].into()), "alone");
            let directories = tree.values().filter(|stored| stored.is_directory()).count() as u64;
            let held = self.held_by(&[tree]);
            assert_eq!(accounts.held(*id), self.sum(held.values().copied(), directories), "held");
            let older: Vec<&Tree<Stored>> = self.published[..at].iter().map(|(_, tree)| tree).collect();
            let older = self.held_by(&older);
            let added = held.into_iter().filter(|(inode, _)| !older.contains_key(inode));
            assert_eq!(accounts.added(*id), self.sum(added.map(|(_, thing)| thing), directories), "added");
        }
        for set in 0..1_u32 << self.published.len().min(6) {
            let doomed: BTreeSet<usize> = places().filter(|at| *at < 6 && set & (1 << at) != 0).collect();
            let ids: Vec<SnapshotId> = doomed.iter().map(|at| self.published[*at].0).collect();
            assert_eq!(accounts.freed_by(&ids), self.freed_by(&doomed), "freed by {ids:?}");
        }
    }

    /// Directories and extended attributes that somebody has are known, and no others.
    fn assert_nothing_is_left(&self, reader: &Reader) {
        let trees = || self.published.iter().map(|(_, tree)| tree).chain(&self.building);
        let mut known: BTreeSet<&String> = BTreeSet::new();
        let mut attributes: BTreeSet<u8> = BTreeSet::new();
        for (path, stored) in trees().flatten() {
            attributes.extend(stored.thing.xattr);
            if stored.is_directory() && !path.is_empty() {
                assert!(directory(reader, path).is_some(), "{path} is not known");
                known.insert(path);
            }
        }
        if !self.was_given_up {
            assert_eq!(self.shelf.count("directory"), known.len() as u64 + 1, "{known:?}");
            assert_eq!(self.shelf.count("xattrs"), attributes.len() as u64, "{attributes:?}");
        }
    }
}

trait Sign {
    fn sign(self) -> i64;
}

impl Sign for Event {
    fn sign(self) -> i64 {
        match self {
            Self::Snapshot => 1,
            Self::Deletion => -1,
        }
    }
}

/// What is read and compared of an entry: its version, less what only the catalog knows, and its attributes.
type Found = BTreeMap<String, (Version, Xattrs)>;

fn differences(found: &Found, wanted: &Found) -> Vec<String> {
    let paths: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    let differs = paths.into_iter().filter(|path| found.get(*path) != wanted.get(*path));
    differs.map(|path| format!("{path}: {:?} is not {:?}", found.get(path), wanted.get(path))).collect()
}

/// All that can be reached from the root.
fn read(reader: &Reader, rows_of: impl Fn(DirId) -> Result<Rows, CatalogError>) -> Found {
    let mut found = Found::new();
    let mut waiting = vec![(String::new(), DirId(0))];
    while let Some((path, id)) = waiting.pop() {
        for row in rows_of(id).expect("rows").iter() {
            let path = join(&path, &String::from_utf8_lossy(row.name));
            waiting.extend(row.version.child.map(|child| (path.clone(), child)));
            let known = |id: XattrsId| reader.xattrs(id).expect("known");
            let xattrs = row.version.xattrs.map(known).unwrap_or_default();
            let version = Version {
                first: SnapshotId(0),
                last: None,
                xattrs: None,
                child: None,
                // It stays with those from whom a file was moved in a snapshot that there is no more.
                shared: false,
                ..row.version.clone()
            };
            found.insert(path, (version, xattrs));
        }
    }
    found
}

pub fn directory(reader: &Reader, path: &str) -> Option<DirId> {
    let mut names = path.split('/').filter(|name| !name.is_empty());
    names.try_fold(DirId::ROOT, |parent, name| reader.child(parent, name.as_bytes()).expect("read"))
}

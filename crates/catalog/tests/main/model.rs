//! A catalog as simple as can be: a full tree for each snapshot, and every question answered by going through all of
//! them. Beside it the real one, told what a run would tell it.

mod checks;

use std::collections::{BTreeMap, BTreeSet};

use linksnap_catalog::{
    Change, DirId, DirectoryChanges, Event, Freed, Growth, Held, NewVersion, Reader, Seen, SnapshotId, State,
    Totals, Version,
};
use linksnap_inode::{ContentHash, Kind, Xattrs};

use self::checks::directory;
use crate::shelf::{Shelf, file};

/// The size of a block in these tests.
const BLOCK: u64 = 4096;

/// One state of one thing in the source. Names of the same inode have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    pub kind: Kind,
    /// Tells it from every other state of every other inode.
    pub state: u64,
    pub size: u64,
    pub holes: u64,
    pub xattr: Option<u8>,
}

/// What a snapshot has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stored {
    thing: Thing,
    inode: u64,
    /// Tells this version of a path from all others.
    serial: u64,
}

type Tree<T> = BTreeMap<String, T>;

/// What the source is, what was taken of it, and the catalog that was told so.
pub struct Model {
    shelf: Shelf,
    pub source: Tree<Thing>,
    published: Vec<(SnapshotId, Tree<Stored>)>,
    /// What checkpoints of an unfinished snapshot vouch for.
    building: Option<Tree<Stored>>,
    /// The most names that were ever seen of the source inode, for each version.
    links: BTreeMap<u64, u32>,
    growth: Vec<Growth>,
    last_number: u64,
    /// Was something stored that no snapshot ever had?
    was_given_up: bool,
}

impl Model {
    pub fn new() -> Self {
        let shelf = Shelf::new();
        drop(shelf.writer());
        let mut model = Self {
            shelf,
            source: Tree::new(),
            published: Vec::new(),
            building: None,
            links: BTreeMap::new(),
            growth: Vec::new(),
            last_number: 0,
            was_given_up: false,
        };
        let root = model.directory(None);
        model.source.insert(String::new(), root);
        model
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub fn directory(&mut self, xattr: Option<u8>) -> Thing {
        Thing { kind: Kind::Directory, state: self.number(), size: 0, holes: 0, xattr }
    }

    pub fn leaf(&mut self, kind: Kind, (size, holes): (u64, u64), xattr: Option<u8>) -> Thing {
        let holes = if kind == Kind::File { holes } else { 0 };
        Thing { kind, state: self.number(), size, holes, xattr }
    }

    pub fn snapshots(&self) -> usize {
        self.published.len()
    }

    /// A run that ends with a checkpoint, but not with a snapshot.
    pub fn interrupt(&mut self) {
        let mut writer = self.shelf.writer();
        self.shelf.second += 1;
        let id = writer.begin_snapshot(self.shelf.second).expect("begun");
        let tree = self.store();
        writer.apply(id, &self.changes(&tree)).expect("applied");
        writer.commit().expect("a checkpoint");
        self.was_given_up |= self.building.is_some();
        self.building = Some(tree);
    }

    /// A run that ends with a snapshot.
    pub fn publish(&mut self) {
        let mut writer = self.shelf.writer();
        self.shelf.second += 1;
        let id = writer.begin_snapshot(self.shelf.second).expect("begun");
        let tree = self.store();
        writer.apply(id, &self.changes(&tree)).expect("applied");
        let mut added = self.held_by(&[&tree]);
        let older: Vec<&Tree<Stored>> = self.published.iter().map(|(_, tree)| tree).collect();
        added.retain(|inode, _| !self.held_by(&older).contains_key(inode));
        let begun = writer.begun_by(id).expect("added up");
        let Held { inodes, bytes, .. } = self.sum(added.into_values(), 0);
        assert_eq!((begun.inodes, begun.bytes), (inodes, bytes), "begun by the new snapshot");
        let count = |kind| tree.values().filter(|stored| stored.thing.kind == kind).count() as u64;
        let files = tree.values().filter(|stored| stored.thing.kind == Kind::File);
        let totals = Totals {
            files: count(Kind::File),
            directories: count(Kind::Directory),
            symlinks: count(Kind::Symlink),
            source_bytes: files.map(|stored| stored.thing.size).sum(),
            added_bytes: bytes,
            added_inodes: inodes + count(Kind::Directory),
            ..Totals::default()
        };
        self.shelf.publish(&mut writer, id, &totals);
        self.growth.push(Growth {
            time: self.shelf.second,
            event: Event::Snapshot,
            snapshot: self.shelf.name(),
            files: totals.files,
            source_bytes: totals.source_bytes,
            inodes: totals.added_inodes,
            bytes,
        });
        self.was_given_up |= self.building.take().is_some();
        self.published.push((id, tree));
    }

    /// What a snapshot of the source would be: what has not changed is what the basis or a checkpoint has, all names of
    /// an inode are one, and numbers of inodes that nobody has are given out again.
    fn store(&mut self) -> Tree<Stored> {
        let source = self.source.clone();
        let basis = self.published.last().map(|(_, tree)| tree.clone()).unwrap_or_default();
        let checkpoint = self.building.clone().unwrap_or_default();
        let trees = self.published.iter().map(|(_, tree)| tree).chain(&self.building);
        let mut taken: BTreeSet<u64> = trees.flat_map(Tree::values).map(|stored| stored.inode).collect();
        let mut tree: Tree<Stored> = Tree::new();
        for (path, thing) in &source {
            let is_same = |stored: &&Stored| stored.thing == *thing;
            let known = checkpoint.get(path).filter(is_same).or(basis.get(path).filter(is_same));
            let first = tree.values().find(is_same).filter(|_| thing.kind != Kind::Directory);
            let names = source.values().filter(|other| *other == thing).count();
            let is_single = |stored: &Stored| names == 1 && self.links[&stored.serial] == 1;
            let moved = basis
                .values()
                .find(|stored| thing.kind == Kind::File && stored.thing == *thing && is_single(stored));
            let inode = match (first, known.or(moved)) {
                _ if thing.kind == Kind::Directory => 0,
                (Some(stored), _) | (None, Some(stored)) => stored.inode,
                (None, None) => (1..).find(|number| taken.insert(*number)).expect("a free number"),
            };
            let links = u32::try_from(names).expect("few");
            let known = known.filter(|stored| stored.inode == inode).copied();
            let stored = known.unwrap_or_else(|| Stored { thing: *thing, inode, serial: self.number() });
            let most = self.links.entry(stored.serial).or_default();
            *most = links.max(*most);
            tree.insert(path.clone(), stored);
        }
        tree
    }

    /// What a run would tell the catalog that makes it hold `tree`.
    fn changes(&self, tree: &Tree<Stored>) -> DirectoryChanges {
        let reader = self.shelf.reader();
        let none = Tree::new();
        let basis = self.published.last().map_or(&none, |(_, tree)| tree);
        let current = self.building.as_ref().unwrap_or(basis);
        let mut last = reader.last_directory().expect("a number").0;
        let mut ids = BTreeMap::from([(None, DirId(0)), (Some(String::new()), DirId::ROOT)]);
        let mut changes = DirectoryChanges::default();
        let paths: BTreeSet<&String> = tree.keys().chain(basis.keys()).chain(current.keys()).collect();
        for path in paths {
            let (parent, name) = split(path);
            let parent = ids[&parent];
            let (old, now, new) = (basis.get(path), current.get(path), tree.get(path));
            let is_directory = [old, now, new].into_iter().flatten().any(Stored::is_directory);
            if is_directory && !path.is_empty() {
                let known = reader.child(parent, name.as_bytes()).expect("read");
                let id = known.unwrap_or_else(|| {
                    last += 1;
                    changes.new_directories.push((DirId(last), parent, name.as_bytes().into()));
                    DirId(last)
                });
                ids.insert(Some(path.clone()), id);
            }
            let mut add_in = |directory: DirId, name: &str, change| {
                changes.changes.push((directory, name.as_bytes().into(), change));
            };
            let serial = |stored: Option<&Stored>| stored.map(|stored| stored.serial);
            match new {
                None if now.is_some() => add_in(parent, name, Change::Gone),
                None => {}
                Some(new) if serial(now) == Some(new.serial) => {
                    add_in(parent, name, Change::Seen(self.seen(new)));
                }
                Some(new) if serial(old) == Some(new.serial) => {
                    add_in(parent, name, Change::Restored);
                    add_in(parent, name, Change::Seen(self.seen(new)));
                }
                Some(new) => {
                    let from = self.moved_from(&reader, path, new);
                    if let Some((parent, name, first)) = from {
                        add_in(parent, name, Change::Shared(first));
                    }
                    let child = ids.get(&Some(path.clone())).filter(|_| new.is_directory());
                    let version = Box::new(NewVersion {
                        version: Version {
                            seen: self.seen(new),
                            shared: from.is_some(),
                            ..new.version(child.copied())
                        },
                        xattrs: new.xattrs(),
                    });
                    let replaces = now.is_some();
                    let change = if replaces { Change::Replace(version) } else { Change::Add(version) };
                    add_in(parent, name, change);
                }
            }
        }
        let directories = paths_of(tree).into_iter().chain(paths_of(basis)).chain(paths_of(current));
        for path in directories.collect::<BTreeSet<_>>() {
            changes.fingerprints.push((ids[&Some(path.clone())], fingerprint(tree, path)));
        }
        changes
    }

    /// Where the newest snapshot has the inode that this version of a path is stored as, and since when, if the version
    /// is of a file that was moved.
    fn moved_from(&self, reader: &Reader, path: &str, new: &Stored) -> Option<(DirId, &str, SnapshotId)> {
        let (id, basis) = self.published.last()?;
        let is_single = |stored: &Stored| self.links[&stored.serial] == 1;
        let is_it = |(from, old): &(&String, &Stored)| {
            *from != path && old.inode == new.inode && is_single(old) && is_single(new)
        };
        let (from, _) = basis.iter().filter(|_| !new.is_directory()).find(is_it)?;
        let (parent, name) = split(from);
        let parent = directory(reader, &parent.expect("not the root")).expect("known");
        let rows = reader.as_of(parent, *id).expect("rows");
        let first = rows.find(name.as_bytes()).expect("the version that was moved").version.first;
        Some((parent, name, first))
    }

    /// Deletes the snapshots at these places, as many as there are, and compares what is said of that.
    pub fn delete(&mut self, doomed: &BTreeSet<usize>) {
        let ids: Vec<SnapshotId> =
            doomed.iter().filter_map(|at| self.published.get(*at)).map(|(id, _)| *id).collect();
        let newest = self.published.last().map(|(id, _)| *id);
        let mut writer = self.shelf.writer();
        if newest.is_some_and(|newest| ids.contains(&newest)) && self.building.take().is_some() {
            let all = self.shelf.reader().snapshots().expect("snapshots");
            let unfinished = all.iter().find(|one| one.state == State::Building).expect("one");
            writer.forget_unpublished(unfinished.id).expect("forgotten");
            self.was_given_up = true;
        }
        let foretold = self.shelf.reader().accounts(BLOCK).expect("accounts").freed_by(&ids);
        self.shelf.second += 1;
        let freed = writer.delete(&ids, self.shelf.second).expect("deleted");
        assert_eq!((freed.inodes, freed.bytes), (foretold.inodes, foretold.bytes), "not what was foretold");
        let mut total = Freed::default();
        let mut gone = Vec::new();
        for id in &ids {
            let at = self.published.iter().position(|(other, _)| other == id).expect("there");
            let freed = self.freed_by(&[at].into());
            let (_, tree) = self.published.remove(at);
            total.inodes += freed.inodes;
            total.bytes += freed.bytes;
            self.growth.push(self.deletion(*id, &tree, freed));
            gone.push(tree);
        }
        assert_eq!(freed, total, "freed in all");
        if let Some(newest) = gone.last() {
            self.assert_gone(&writer, newest, gone.len());
        }
    }

    fn deletion(&self, id: SnapshotId, tree: &Tree<Stored>, freed: Held) -> Growth {
        let files = tree.values().filter(|stored| stored.thing.kind == Kind::File);
        Growth {
            time: self.shelf.second,
            event: Event::Deletion,
            snapshot: self.name_of(id),
            files: files.clone().count() as u64,
            source_bytes: files.map(|stored| stored.thing.size).sum(),
            inodes: freed.inodes,
            bytes: freed.bytes,
        }
    }

    fn name_of(&self, id: SnapshotId) -> String {
        // In the order in which they were made, which is that of their numbers.
        let made = self.growth.iter().filter(|growth| growth.event == Event::Snapshot);
        let mut ids: Vec<SnapshotId> = self.published.iter().map(|(id, _)| *id).collect();
        let deleted: BTreeSet<&String> = self
            .growth
            .iter()
            .filter(|growth| growth.event == Event::Deletion)
            .map(|growth| &growth.snapshot)
            .collect();
        ids.push(id);
        ids.sort();
        let at = ids.iter().position(|other| *other == id).expect("just added");
        let left: Vec<&Growth> = made.filter(|growth| !deleted.contains(&growth.snapshot)).collect();
        left[at].snapshot.clone()
    }

    /// In the tree of the newest of the deleted, when all names are removed that are said to be gone, only inodes are
    /// left that other snapshots have; if it alone was deleted, all of those.
    fn assert_gone(&self, writer: &linksnap_catalog::Writer, newest: &Tree<Stored>, deleted: usize) {
        let mut left = newest.clone();
        let visit = |directory: &[u8], name: &[u8], _: Option<u64>| {
            let path = join(&String::from_utf8_lossy(directory), &String::from_utf8_lossy(name));
            left.retain(|other, _| *other != path && !other.starts_with(&format!("{path}/")));
            Ok::<(), linksnap_catalog::CatalogError>(())
        };
        writer.gone_names(visit).expect("read");
        let trees: Vec<&Tree<Stored>> = self.published.iter().map(|(_, tree)| tree).collect();
        let held = self.held_by(&trees);
        let is_leaf = |stored: &&Stored| !stored.is_directory();
        for stored in left.values().filter(is_leaf) {
            assert!(held.contains_key(&stored.inode), "{stored:?} is the last name of its inode");
        }
        if deleted == 1 {
            let stays = |(path, stored): &(&String, &Stored)| {
                !stored.is_directory()
                    && trees
                        .iter()
                        .any(|tree| tree.get(*path).is_some_and(|other| other.serial == stored.serial))
            };
            let wanted: Vec<&String> = newest.iter().filter(stays).map(|(path, _)| path).collect();
            let left: Vec<&String> =
                left.iter().filter(|(_, stored)| !stored.is_directory()).map(|(path, _)| path).collect();
            assert_eq!(left, wanted, "what is left of the deleted tree");
        }
    }

    fn seen(&self, stored: &Stored) -> Seen {
        Seen { inode: stored.thing.state, links: self.links[&stored.serial], ..Seen::default() }
    }

    /// What inodes these trees hold.
    fn held_by(&self, trees: &[&Tree<Stored>]) -> BTreeMap<u64, Thing> {
        let all = trees.iter().flat_map(|tree| tree.values());
        all.filter(|stored| !stored.is_directory()).map(|stored| (stored.inode, stored.thing)).collect()
    }

    fn sum(&self, held: impl IntoIterator<Item = Thing>, directories: u64) -> Held {
        let mut sum = Held { inodes: directories, ..Held::default() };
        for thing in held {
            sum.inodes += 1;
            if thing.kind == Kind::File {
                let bytes = thing.size - thing.holes;
                sum.bytes += bytes;
                sum.apparent_bytes += thing.size;
                sum.block_bytes += bytes.div_ceil(BLOCK) * BLOCK;
            }
        }
        sum
    }

    /// What those at these places hold and none of the others.
    fn freed_by(&self, doomed: &BTreeSet<usize>) -> Held {
        let part = |of: bool| -> Vec<&Tree<Stored>> {
            let all = self.published.iter().enumerate();
            all.filter(|(at, _)| doomed.contains(at) == of).map(|(_, (_, tree))| tree).collect()
        };
        let (going, staying) = (part(true), self.held_by(&part(false)));
        let directories = going.iter().flat_map(|tree| tree.values()).filter(|stored| stored.is_directory());
        let directories = directories.count() as u64;
        let held = self.held_by(&going).into_iter().filter(|(inode, _)| !staying.contains_key(inode));
        self.sum(held.map(|(_, thing)| thing), directories)
    }
}

impl Stored {
    fn is_directory(&self) -> bool {
        self.thing.kind == Kind::Directory
    }

    fn xattrs(&self) -> Xattrs {
        self.thing.xattr.map(|value| (b"user.x".to_vec(), vec![value])).into_iter().collect()
    }

    fn version(&self, child: Option<DirId>) -> Version {
        let is_file = self.thing.kind == Kind::File;
        Version {
            kind: self.thing.kind,
            size: self.thing.size,
            holes: self.thing.holes,
            hash: is_file.then(|| ContentHash::of(&self.thing.state.to_le_bytes())),
            target: (self.thing.kind == Kind::Symlink).then(|| Box::from(*b"target")),
            child,
            seen: Seen::default(),
            ..file(self.inode)
        }
    }
}

/// The directory that a path is in, and its name there. The root stands in nothing.
fn split(path: &str) -> (Option<String>, &str) {
    match path.rsplit_once('/') {
        Some((parent, name)) => (Some(parent.to_owned()), name),
        None if path.is_empty() => (None, path),
        None => (Some(String::new()), path),
    }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

fn paths_of(tree: &Tree<Stored>) -> Vec<&String> {
    tree.iter().filter(|(_, stored)| stored.is_directory()).map(|(path, _)| path).collect()
}

/// One hash over what is in a directory; none if it is not there.
fn fingerprint(tree: &Tree<Stored>, path: &str) -> Option<ContentHash> {
    tree.get(path).filter(|stored| stored.is_directory())?;
    let is_in = |other: &String| !other.is_empty() && split(other).0.as_deref() == Some(path);
    let entries: Vec<_> = tree.iter().filter(|(other, _)| is_in(other)).collect();
    Some(ContentHash::of(format!("{entries:?}").as_bytes()))
}

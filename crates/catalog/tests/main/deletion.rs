//! Deleting snapshots: the others are as before, what goes is what they do not have, and nothing is left of it.

use std::collections::BTreeSet;

use linksnap_catalog::{
    CatalogError, Change, DirId, DirectoryChanges, Freed, NewVersion, SnapshotId, Totals, Version,
};
use linksnap_inode::{ContentHash, Kind};
use linksnap_testkit::cases;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::{Index, select};

use crate::model::Model;
use crate::shelf::{Shelf, file};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Edit(Vec<Edit>),
    Publish,
    Interrupt,
    /// The snapshots at these places, as many as there are.
    Delete(BTreeSet<usize>),
    DeleteAll,
}

/// What happens to the source.
#[derive(Clone, Debug)]
enum Edit {
    Leaf {
        path: String,
        kind: Kind,
        size: u64,
        holes: u64,
        xattr: Option<u8>,
    },
    Directory {
        path: String,
        xattr: Option<u8>,
    },
    /// A further name of something that is there.
    Link {
        of: Index,
        path: String,
    },
    /// All names of something are of new content.
    Change {
        of: Index,
        size: u64,
    },
    /// It gets another name.
    Move {
        of: Index,
        path: String,
    },
    Delete {
        of: Index,
    },
}

fn arb_path() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", "c"]), 1..=3).prop_map(|names| names.join("/"))
}

fn arb_edit() -> impl Strategy<Value = Edit> {
    use proptest::prelude::any;
    let kind = prop_oneof![4 => Just(Kind::File), 1 => Just(Kind::Symlink), 1 => Just(Kind::Fifo)];
    let xattr = || option::weighted(0.3, 0..3_u8);
    let size = || prop_oneof![Just(0_u64), 1..5000_u64];
    prop_oneof![
        4 => (arb_path(), kind, size(), 0..=100_u64, xattr()).prop_map(|(path, kind, size, percent, xattr)| {
            Edit::Leaf { path, kind, size, holes: size * percent / 100, xattr }
        }),
        2 => (arb_path(), xattr()).prop_map(|(path, xattr)| Edit::Directory { path, xattr }),
        4 => (any::<Index>(), arb_path()).prop_map(|(of, path)| Edit::Link { of, path }),
        1 => (any::<Index>(), size()).prop_map(|(of, size)| Edit::Change { of, size }),
        4 => (any::<Index>(), arb_path()).prop_map(|(of, path)| Edit::Move { of, path }),
        2 => any::<Index>().prop_map(|of| Edit::Delete { of }),
    ]
}

fn arb_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => vec(arb_edit(), 0..6).prop_map(Step::Edit),
        5 => Just(Step::Publish),
        1 => Just(Step::Interrupt),
        4 => btree_set(0..7_usize, 1..4).prop_map(Step::Delete),
        1 => Just(Step::DeleteAll),
    ];
    (vec(arb_edit(), 1..12), vec(step, 1..24)).prop_map(|(first, mut steps)| {
        steps.insert(0, Step::Edit(first));
        steps
    })
}

impl Model {
    fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Leaf { path, kind, size, holes, xattr } => {
                let thing = self.leaf(*kind, (*size, *holes), *xattr);
                self.make_room(path);
                self.source.insert(path.clone(), thing);
            }
            Edit::Directory { path, xattr } => {
                if self.source.get(path).is_none_or(|thing| thing.kind != Kind::Directory) {
                    self.make_room(path);
                }
                let thing = self.directory(*xattr);
                self.source.insert(path.clone(), thing);
            }
            Edit::Link { of, path } => {
                let Some(existing) = self.leaf_at(of) else { return };
                if existing != *path && !existing.starts_with(&format!("{path}/")) {
                    let thing = self.source[&existing];
                    self.make_room(path);
                    if self.source.contains_key(&existing) {
                        self.source.insert(path.clone(), thing);
                    }
                }
            }
            Edit::Change { of, size } => {
                let Some(path) = self.leaf_at(of) else { return };
                let old = self.source[&path];
                let new = self.leaf(old.kind, (*size, 0), old.xattr);
                self.source.values_mut().filter(|thing| **thing == old).for_each(|thing| *thing = new);
            }
            Edit::Move { of, path } => {
                let Some(existing) = self.leaf_at(of) else { return };
                if existing != *path && !existing.starts_with(&format!("{path}/")) {
                    let thing = self.source[&existing];
                    self.remove(&existing);
                    self.make_room(path);
                    self.source.insert(path.clone(), thing);
                }
            }
            Edit::Delete { of } => {
                let paths: Vec<String> = self.source.keys().skip(1).cloned().collect();
                if !paths.is_empty() {
                    self.remove(&paths[of.index(paths.len())]);
                }
            }
        }
    }

    fn leaf_at(&self, of: &Index) -> Option<String> {
        let leaves = self.source.iter().filter(|(_, thing)| thing.kind != Kind::Directory);
        let leaves: Vec<&String> = leaves.map(|(path, _)| path).collect();
        (!leaves.is_empty()).then(|| leaves[of.index(leaves.len())].clone())
    }

    fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        self.source.retain(|other, _| other != path && !other.starts_with(&below));
    }

    /// Nothing stands at the path, and above it are directories.
    fn make_room(&mut self, path: &str) {
        self.remove(path);
        for (at, _) in path.match_indices('/') {
            let above = &path[..at];
            if self.source.get(above).is_none_or(|thing| thing.kind != Kind::Directory) {
                self.remove(above);
                let thing = self.directory(None);
                self.source.insert(above.to_owned(), thing);
            }
        }
    }

    fn go(&mut self, step: &Step) {
        match step {
            Step::Edit(edits) => edits.iter().for_each(|edit| self.edit(edit)),
            Step::Publish => self.publish(),
            Step::Interrupt => self.interrupt(),
            Step::Delete(places) => self.delete(places),
            Step::DeleteAll => self.delete(&(0..self.snapshots()).collect()),
        }
        self.assert_same();
    }
}

#[test]
fn deleting_any_snapshots_in_any_order_leaves_the_others_as_they_were() {
    let history = |steps: Vec<Step>| {
        let mut model = Model::new();
        steps.iter().for_each(|step| model.go(step));
        Ok(())
    };
    cases::runner(64).run(&arb_steps(), history).unwrap_or_else(|found| panic!("{found}"));
}

fn new(version: Version, xattr: &[u8]) -> Box<NewVersion> {
    let xattrs = Some((b"user.x".to_vec(), xattr.to_vec())).into_iter().collect();
    Box::new(NewVersion { version, xattrs })
}

fn directory(child: i64) -> Version {
    let child = Some(DirId(child));
    Version { kind: Kind::Directory, size: 0, holes: 0, stored_inode: 0, hash: None, child, ..file(0) }
}

/// A run that was given up leaves directories and attributes that no snapshot ever had.
#[test]
fn what_a_run_that_was_given_up_had_begun_is_forgotten_with_it() {
    let mut shelf = Shelf::new();
    shelf.snapshot(vec![("a", Change::Add(new(file(1), b"kept")))]);
    let mut writer = shelf.writer();
    let building = writer.begin_snapshot(9).expect("begun");
    let named = |name: &str| Box::from(name.as_bytes());
    let changes = DirectoryChanges {
        new_directories: vec![(DirId(2), DirId::ROOT, named("d"))],
        changes: vec![
            (DirId::ROOT, named("d"), Change::Add(new(directory(2), b"of a directory"))),
            (DirId(2), named("b"), Change::Add(new(file(2), b"of a file"))),
        ],
        fingerprints: vec![(DirId(2), Some(ContentHash::of(b"")))],
    };
    writer.apply(building, &changes).expect("applied");
    writer.commit().expect("a checkpoint");
    writer.forget_unpublished(building).expect("forgotten");
    let left = ["version", "directory", "xattrs", "fingerprint", "snapshot"].map(|table| shelf.count(table));
    assert_eq!(left, [1, 1, 1, 0, 1]);
}

#[test]
fn only_published_snapshots_are_deleted() {
    let mut shelf = Shelf::new();
    let one = shelf.snapshot(vec![("a", Change::Add(new(file(1), b"")))]);
    let mut writer = shelf.writer();
    let building = shelf.build(&mut writer, vec![("a", Change::Gone)]);
    writer.commit().expect("a checkpoint");
    writer.end().expect("nothing more");
    let freed = writer.delete(&[building, SnapshotId(77)], 5).expect("nothing to delete");
    assert_eq!(freed, Freed::default());
    assert_eq!(shelf.names(one).len(), 1);
    assert_eq!(shelf.reader().snapshots().expect("snapshots").len(), 2);
    assert_eq!(shelf.reader().growth().expect("growth").len(), 1);
}

/// The cases that the histories above are full of, once in plain words.
#[test]
fn deleting_the_newest_makes_the_one_before_current_again() {
    let mut shelf = Shelf::new();
    let one =
        shelf.snapshot(vec![("a", Change::Add(new(file(1), b"1"))), ("b", Change::Add(new(file(2), b"2")))]);
    let two = shelf.snapshot(vec![("a", Change::Replace(new(file(3), b"3"))), ("b", Change::Gone)]);
    let mut writer = shelf.writer();
    let freed = writer.delete(&[two], 5).expect("deleted");
    assert_eq!(freed, Freed { inodes: 1, bytes: 2 });
    assert_eq!(shelf.names(one), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    assert!(shelf.reader().current(DirId::ROOT).expect("rows").iter().all(|row| row.version.last.is_none()));
    assert_eq!((shelf.count("version"), shelf.count("xattrs")), (2, 2));
    // Its number is not given out again.
    assert!(shelf.snapshot(vec![("c", Change::Add(new(file(4), b"")))]) > two);
}

#[test]
fn numbers_of_directories_that_went_mean_nothing_any_more() {
    let mut shelf = Shelf::new();
    shelf.snapshot(vec![("a", Change::Add(new(file(1), b"")))]);
    let mut writer = shelf.writer();
    for (round, name) in ["first", "second"].into_iter().enumerate() {
        let id = writer.begin_snapshot(9).expect("begun");
        let known = shelf.reader().last_directory().expect("a number");
        assert_eq!(known, DirId::ROOT, "round {round}");
        let named = |name: &str| Box::from(name.as_bytes());
        let changes = DirectoryChanges {
            new_directories: vec![(DirId(2), DirId::ROOT, named(name))],
            changes: vec![
                (DirId::ROOT, named(name), Change::Add(new(directory(2), b""))),
                (DirId(2), named("below"), Change::Add(new(file(2), b""))),
            ],
            ..DirectoryChanges::default()
        };
        writer.apply(id, &changes).expect("applied");
        shelf.second += 1;
        shelf.publish(&mut writer, id, &Totals::default());
        writer.delete(&[id], 9).expect("deleted");
        let mut gone = Vec::new();
        let visit = |directory: &[u8], name: &[u8], _: Option<u64>| {
            gone.push((directory.to_vec(), name.to_vec()));
            Ok::<(), CatalogError>(())
        };
        writer.gone_names(visit).expect("read");
        assert_eq!(gone, [(Vec::new(), name.as_bytes().to_vec())]);
    }
}

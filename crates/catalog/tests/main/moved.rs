//! Files that go from one name to another: how they are found by what was seen of the source, and how the inode that is
//! in two versions is accounted for.

use linksnap_catalog::{Change, DirId, DirectoryChanges, Freed, Held, NewVersion, Placed, Seen, Version};
use linksnap_inode::{Kind, Xattrs};

use crate::shelf::{Shelf, file};

const BLOCK: u64 = 512;

/// A file of three bytes, one of them a hole, seen as an inode of the source that has one name.
fn seen_as(source_inode: u64, stored_inode: u64) -> Version {
    Version { seen: Seen { inode: source_inode, links: 1, ..Seen::default() }, ..file(stored_inode) }
}

fn new(version: Version) -> Box<NewVersion> {
    Box::new(NewVersion { version, xattrs: Xattrs::default() })
}

/// `old` is stored as inode 7 and seen as 70; in the second snapshot it is `new`.
fn moved() -> Shelf {
    let mut shelf = Shelf::new();
    let one = shelf.snapshot(vec![("old", Change::Add(new(seen_as(70, 7))))]);
    shelf.snapshot(vec![
        ("new", Change::Add(new(Version { shared: true, ..seen_as(70, 7) }))),
        ("old", Change::Shared(one)),
        ("old", Change::Gone),
    ]);
    shelf
}

#[test]
fn current_files_are_found_by_the_inode_that_was_seen() {
    let mut shelf = Shelf::new();
    let other = Version { kind: Kind::Fifo, hash: None, ..seen_as(u64::MAX, 9) };
    shelf.snapshot(vec![
        ("a", Change::Add(new(seen_as(u64::MAX, 7)))),
        ("b", Change::Add(new(seen_as(1, 8)))),
        ("c", Change::Add(new(other))),
    ]);
    let found = shelf.reader().seen_as(u64::MAX).expect("read");
    assert!(matches!(&found[..], [Placed { directory: DirId::ROOT, name, version }]
        if **name == *b"a" && version.stored_inode == 7));
    shelf.snapshot(vec![("a", Change::Gone), ("b", Change::Seen(Seen { inode: 3, ..Seen::default() }))]);
    let reader = shelf.reader();
    let found = |inode| reader.seen_as(inode).expect("read").len();
    assert_eq!((found(u64::MAX), found(1), found(3), found(4)), (0, 0, 1, 0));
}

#[test]
fn a_directory_has_a_path_and_a_version_of_its_own() {
    let mut shelf = Shelf::new();
    let directory = |child| Version {
        kind: Kind::Directory,
        hash: None,
        child: Some(DirId(child)),
        ..seen_as(child.unsigned_abs() * 10, 0)
    };
    let mut writer = shelf.writer();
    let id = shelf.build(&mut writer, vec![("d", Change::Add(new(directory(2))))]);
    let named = |name: &str| Box::from(name.as_bytes());
    let changes = DirectoryChanges {
        new_directories: vec![(DirId(2), DirId::ROOT, named("d")), (DirId(3), DirId(2), named("e"))],
        changes: vec![(DirId(2), named("e"), Change::Add(new(directory(3))))],
        ..DirectoryChanges::default()
    };
    writer.apply(id, &changes).expect("applied");
    writer.commit().expect("committed");
    let reader = shelf.reader();
    let found = |id| {
        let (path, own) = reader.directory(DirId(id)).expect("read");
        (String::from_utf8(path).expect("text"), own.map(|own| own.seen.inode))
    };
    assert_eq!(found(2), ("d".to_owned(), Some(20)));
    assert_eq!(found(3), ("d/e".to_owned(), Some(30)));
    assert_eq!((found(1).1, found(9).1), (None, None));
}

#[test]
fn an_inode_in_two_versions_is_counted_once_and_freed_with_the_last() {
    let shelf = moved();
    let reader = shelf.reader();
    let ids: Vec<_> = reader.published().expect("snapshots").iter().map(|one| one.id).collect();
    let accounts = reader.accounts(BLOCK).expect("accounts");
    let inode = Held { inodes: 1, bytes: 2, apparent_bytes: 3, block_bytes: BLOCK };
    assert_eq!(accounts.total(), inode);
    assert_eq!((accounts.added(ids[0]), accounts.added(ids[1])), (inode, Held::default()));
    assert_eq!((accounts.alone(ids[0]), accounts.alone(ids[1])), (Held::default(), Held::default()));
    assert_eq!(accounts.freed_by(&ids), inode);
    drop(reader);
    let mut writer = shelf.writer();
    assert_eq!(writer.delete(&ids[..1], 9).expect("deleted"), Freed { inodes: 0, bytes: 0 });
    assert_eq!(writer.delete(&ids[1..], 9).expect("deleted"), Freed { inodes: 1, bytes: 2 });
}

#[test]
fn an_unfinished_snapshot_begins_nothing_with_a_moved_file() {
    let mut shelf = Shelf::new();
    let one = shelf.snapshot(vec![("old", Change::Add(new(seen_as(70, 7))))]);
    let mut writer = shelf.writer();
    let changes = vec![
        ("old", Change::Gone),
        ("old", Change::Shared(one)),
        ("new", Change::Add(new(Version { shared: true, ..seen_as(70, 7) }))),
        ("other", Change::Add(new(seen_as(80, 8)))),
    ];
    let two = shelf.build(&mut writer, changes);
    let begun = writer.begun_by(two).expect("added up");
    assert_eq!((begun.inodes, begun.bytes), (1, 2));
    writer.commit().expect("a checkpoint");
    writer.forget_unpublished(two).expect("forgotten");
    let rows = shelf.reader().current(DirId::ROOT).expect("rows");
    let left: Vec<_> = rows.iter().map(|row| (row.name.to_vec(), row.version.shared)).collect();
    assert_eq!(left, [(b"old".to_vec(), true)]);
    assert_eq!(shelf.reader().accounts(BLOCK).expect("accounts").total().inodes, 1);
}

/// `reindex` writes how many names an inode has in all trees together.
#[test]
fn names_in_one_snapshot_and_names_in_turn_are_told_apart() {
    let mut shelf = Shelf::new();
    let named = |inode| Version { seen: Seen { links: 4, ..Seen::default() }, ..file(inode) };
    shelf.snapshot(vec![
        ("alone", Change::Add(new(named(1)))),
        ("old", Change::Add(new(named(2)))),
        ("one", Change::Add(new(named(3)))),
    ]);
    shelf.snapshot(vec![
        ("old", Change::Gone),
        ("new", Change::Add(new(named(2)))),
        ("two", Change::Add(new(named(3)))),
    ]);
    shelf.snapshot(vec![("new", Change::Gone), ("old", Change::Add(new(named(2))))]);
    let writer = shelf.writer();
    writer.settle_links().expect("settled");
    drop(writer);
    let rows = shelf.reader().current(DirId::ROOT).expect("rows");
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (String::from_utf8_lossy(row.name).into_owned(), row.version.seen.links, row.version.shared)
        })
        .collect();
    let wanted = [("alone", 1, false), ("old", 1, true), ("one", 4, false), ("two", 4, false)];
    assert_eq!(told, wanted.map(|(name, links, shared)| (name.to_owned(), links, shared)));
    assert_eq!(shelf.reader().accounts(BLOCK).expect("accounts").total().inodes, 3);
}

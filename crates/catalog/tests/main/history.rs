//! The catalog's way with time: what a snapshot has, whatever came later.

use linksnap_catalog::{Change, DirId, NewVersion, Reader, State, Totals, Version, Writer};
use linksnap_inode::Xattrs;

use crate::shelf::{Shelf, file};

fn new(inode: u64) -> Box<NewVersion> {
    Box::new(NewVersion { version: file(inode), xattrs: Xattrs::default() })
}

fn pairs(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(name, inode)| ((*name).to_owned(), *inode)).collect()
}

#[test]
fn every_snapshot_keeps_what_it_had() {
    let mut shelf = Shelf::new();
    let one = shelf.snapshot(vec![("a", Change::Add(new(1))), ("b", Change::Add(new(2)))]);
    let two = shelf.snapshot(vec![("a", Change::Replace(new(3))), ("c", Change::Add(new(4)))]);
    let three = shelf.snapshot(vec![("b", Change::Gone)]);
    let four = shelf.snapshot(vec![("b", Change::Add(new(5)))]);
    assert_eq!(shelf.names(one), pairs(&[("a", 1), ("b", 2)]));
    assert_eq!(shelf.names(two), pairs(&[("a", 3), ("b", 2), ("c", 4)]));
    assert_eq!(shelf.names(three), pairs(&[("a", 3), ("c", 4)]));
    assert_eq!(shelf.names(four), pairs(&[("a", 3), ("b", 5), ("c", 4)]));
    assert_eq!(shelf.reader().faults().expect("checked"), Vec::<String>::new());
}

#[test]
fn what_is_written_is_read_again() {
    let mut shelf = Shelf::new();
    let xattrs: Xattrs = [(b"user.x".to_vec(), b"y".to_vec())].into_iter().collect();
    let made = Box::new(NewVersion { version: file(u64::MAX), xattrs: xattrs.clone() });
    let id = shelf.snapshot(vec![("a", Change::Add(made))]);
    let reader = shelf.reader();
    let rows = reader.as_of(DirId::ROOT, id).expect("rows");
    let found = rows.find(b"a").expect("there").version.clone();
    assert_eq!(reader.xattrs(found.xattrs.expect("has some")).expect("known"), xattrs);
    assert_eq!(found, Version { first: id, xattrs: found.xattrs, ..file(u64::MAX) });
}

#[test]
fn an_unchanged_snapshot_writes_no_version() {
    let mut shelf = Shelf::new();
    shelf.snapshot(vec![("a", Change::Add(new(1)))]);
    let before = shelf.reader().count_versions().expect("counted");
    let again = shelf.snapshot(vec![]);
    assert_eq!(shelf.reader().count_versions().expect("counted"), before);
    assert_eq!(shelf.names(again), pairs(&[("a", 1)]));
}

#[test]
fn an_unfinished_snapshot_changes_nothing_that_is_published() {
    let mut shelf = Shelf::new();
    let one = shelf.snapshot(vec![("a", Change::Add(new(1))), ("b", Change::Add(new(2)))]);
    let mut writer = Writer::open(&shelf.path()).expect("a catalog");
    let building = shelf.build(
        &mut writer,
        vec![("a", Change::Replace(new(9))), ("b", Change::Gone), ("c", Change::Add(new(8)))],
    );
    writer.commit().expect("a checkpoint");
    drop(writer);
    assert_eq!(shelf.names(one), pairs(&[("a", 1), ("b", 2)]));
    let both = shelf.reader().current_and_ended_by(DirId::ROOT, building).expect("rows");
    let both: Vec<_> = both
        .iter()
        .map(|row| (row.name[0], row.version.stored_inode, row.version.first == building))
        .collect();
    assert_eq!(both, [(b'a', 1, false), (b'a', 9, true), (b'b', 2, false), (b'c', 8, true)]);
    // Taken up again, the source is as it was at first.
    let mut writer = Writer::open(&shelf.path()).expect("a catalog");
    let resumed =
        shelf.build(&mut writer, vec![("a", Change::Restored), ("b", Change::Restored), ("c", Change::Gone)]);
    assert_eq!(resumed, building);
    writer.stage(resumed, ("again", 9), &Totals::default(), &[]).expect("staged");
    assert_eq!(shelf.names(resumed), pairs(&[("a", 1), ("b", 2)]));
    assert_eq!(shelf.reader().count_versions().expect("counted"), 2);
}

#[test]
fn forgetting_an_unpublished_snapshot_brings_back_what_it_ended() {
    let mut shelf = Shelf::new();
    let one = shelf.snapshot(vec![("a", Change::Add(new(1)))]);
    let mut writer = Writer::open(&shelf.path()).expect("a catalog");
    let building = shelf.build(&mut writer, vec![("a", Change::Replace(new(9)))]);
    writer.commit().expect("a checkpoint");
    writer.roll_back().expect("rolled back");
    writer.forget_unpublished(building).expect("forgotten");
    drop(writer);
    assert_eq!(shelf.names(one), pairs(&[("a", 1)]));
    let states: Vec<State> =
        shelf.reader().snapshots().expect("listed").into_iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Published]);
}

#[test]
fn a_lost_transaction_leaves_no_trace() {
    let mut shelf = Shelf::new();
    let one = shelf.snapshot(vec![("a", Change::Add(new(1)))]);
    let mut writer = Writer::open(&shelf.path()).expect("a catalog");
    shelf.build(&mut writer, vec![("a", Change::Gone)]);
    drop(writer);
    assert_eq!(shelf.names(one), pairs(&[("a", 1)]));
    assert_eq!(shelf.reader().snapshots().expect("listed").len(), 1);
}

#[test]
fn broken_rules_are_found() {
    let mut shelf = Shelf::new();
    shelf.snapshot(vec![("a", Change::Add(new(1)))]);
    let raw = rusqlite::Connection::open(shelf.path()).expect("open");
    raw.execute("UPDATE version SET kind = 'd'", ()).expect("sabotaged");
    drop(raw);
    assert_eq!(shelf.reader().faults().expect("checked"), ["1 versions miss what their kind needs"]);
}

#[test]
fn a_newer_format_is_refused() {
    let mut shelf = Shelf::new();
    shelf.snapshot(vec![]);
    let raw = rusqlite::Connection::open(shelf.path()).expect("open");
    raw.pragma_update(None, "user_version", 99).expect("sabotaged");
    drop(raw);
    let error = Reader::open(&shelf.path()).expect_err("newer");
    assert!(error.to_string().contains("format 99"), "{error}");
}

#[test]
fn a_pin_holds_until_its_time_and_its_note_stays() {
    let mut shelf = Shelf::new();
    let one = shelf.snapshot(vec![]);
    let two = shelf.snapshot(vec![]);
    let find = |shelf: &Shelf| shelf.reader().published().expect("snapshots")[0].clone();
    let mut writer = shelf.writer();
    writer.pin(one, None, Some("before the move")).expect("pinned");
    assert!(find(&shelf).is_pinned_at(i64::MAX));
    writer.pin(one, Some(100), None).expect("pinned");
    let pinned = find(&shelf);
    assert_eq!((pinned.note.as_str(), pinned.pinned_until), ("before the move", Some(100)));
    assert_eq!((pinned.is_pinned_at(99), pinned.is_pinned_at(100)), (true, false));
    writer.pin(one, None, Some("")).expect("pinned");
    assert_eq!((find(&shelf).note.as_str(), find(&shelf).pinned_until), ("", None));
    writer.pin(one, Some(100), Some("again")).expect("pinned");
    writer.unpin(one).expect("unpinned");
    let free = find(&shelf);
    assert_eq!((free.pinned, free.pinned_until, free.note.as_str()), (false, None, "again"));
    assert!(!shelf.reader().published().expect("snapshots").iter().any(|one| one.id == two && one.pinned));
}

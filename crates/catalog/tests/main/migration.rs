//! Catalogs of older formats: brought up to date by whoever writes first, and readable before.

use linksnap_catalog::{DirId, Event, Freed, Growth, Held, Reader, SnapshotId, Writer};

use crate::shelf::Shelf;

/// The dump (`sqlite3 catalog.db .dump`) of a catalog of format 1 with three snapshots of a small tree, as linksnap
/// left it: one of two links to a file goes, a directory goes, and two new links come.
const FORMAT_1: &str = include_str!("format1.sql");

/// Of the files, each of the newest content once.
const SPARSE: u64 = 100_004;

fn old_shelf() -> Shelf {
    let shelf = Shelf::new();
    shelf.raw().execute_batch(FORMAT_1).expect("loaded");
    shelf
}

fn names(reader: &Reader, path: &[&str], snapshot: i64) -> Vec<String> {
    let child = |parent, name: &&str| reader.child(parent, name.as_bytes()).expect("read").expect("known");
    let directory = path.iter().fold(DirId::ROOT, child);
    let rows = reader.as_of(directory, SnapshotId(snapshot)).expect("rows");
    rows.iter().map(|row| String::from_utf8_lossy(row.name).into_owned()).collect()
}

const SOURCE: [&str; 3] = ["tmp", "v1", "src"];

fn assert_trees(reader: &Reader) {
    assert_eq!(names(reader, &SOURCE, 1), ["link", "old", "one", "sparse", "uno"]);
    assert_eq!(names(reader, &SOURCE, 2), ["link", "one", "sparse", "two", "uno"]);
    assert_eq!(names(reader, &SOURCE, 3), ["link", "one", "sparse", "two", "zwei"]);
    assert_eq!(names(reader, &["tmp", "v1", "src", "old", "deep"], 1), ["gone"]);
    assert_eq!(reader.faults().expect("checked"), [""; 0]);
}

#[test]
fn a_catalog_of_format_1_is_brought_up_to_date() {
    let shelf = old_shelf();
    drop(shelf.writer());
    let reader = shelf.reader();
    assert_trees(&reader);
    let snapshots = reader.published().expect("snapshots");
    let told: Vec<_> =
        snapshots.iter().map(|one| (one.pinned, one.pinned_until, one.totals.added_inodes)).collect();
    // Six directories and four inodes, then four and one, and again.
    assert_eq!(told, [(false, None, 10), (false, None, 5), (false, None, 5)]);
    let made = |time, snapshot: &str, source_bytes, (inodes, bytes)| Growth {
        time,
        event: Event::Snapshot,
        snapshot: snapshot.to_owned(),
        files: 4,
        source_bytes,
        inodes,
        bytes,
    };
    let growth = [
        made(1_775_613_600, "2026-04-08T020000Z", 100_017, (10, 1709)),
        made(1_775_700_000, "2026-04-09T020000Z", 100_016, (5, 4)),
        made(1_775_786_400, "2026-04-10T020000Z", 100_020, (5, 6)),
    ];
    assert_eq!(reader.growth().expect("growth"), growth);
}

#[test]
fn snapshots_of_format_1_are_accounted_and_deleted_like_others() {
    let shelf = old_shelf();
    let mut writer = shelf.writer();
    let accounts = shelf.reader().accounts(4096).expect("accounts");
    // That `sparse` has holes was not recorded.
    let bytes = 4 + 5 + SPARSE + 4 + 6;
    let total = Held { inodes: 14 + 6, bytes, apparent_bytes: bytes, block_bytes: 4 * 4096 + 102_400 };
    assert_eq!(accounts.total(), total);
    assert_eq!(writer.delete(&[SnapshotId(1)], 7).expect("deleted"), Freed { inodes: 6 + 1, bytes: 5 });
    assert_eq!(shelf.reader().child(DirId(4), b"old").expect("read"), None);
    // The link to `one` goes, but not the inode.
    assert_eq!(writer.delete(&[SnapshotId(2)], 8).expect("deleted"), Freed { inodes: 4 + 1, bytes: 4 });
    assert_eq!(names(&shelf.reader(), &SOURCE, 3), ["link", "one", "sparse", "two", "zwei"]);
    let freed = Freed { inodes: 4 + 4, bytes: 4 + SPARSE + 6 };
    assert_eq!(writer.delete(&[SnapshotId(3)], 9).expect("deleted"), freed);
    assert_eq!((shelf.count("version"), shelf.count("directory"), shelf.count("xattrs")), (0, 1, 0));
    assert_eq!(shelf.reader().faults().expect("checked"), [""; 0]);
}

#[test]
fn a_catalog_of_format_1_can_be_read_as_it_is() {
    let shelf = old_shelf();
    let reader = Reader::open(&shelf.path()).expect("a catalog");
    assert_eq!(reader.published().expect("snapshots").len(), 3);
    assert_trees(&reader);
}

#[test]
fn bringing_up_to_date_changes_nothing_twice() {
    let shelf = old_shelf();
    drop(shelf.writer());
    let growth = shelf.reader().growth().expect("growth");
    drop(Writer::open(&shelf.path()).expect("a catalog"));
    assert_eq!(shelf.reader().growth().expect("growth"), growth);
    let version: i64 =
        shelf.raw().pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
    assert!(version > 1);
}

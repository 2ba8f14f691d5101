//! Under which names an inode stands.

use linksnap_catalog::{Change, NewVersion, SnapshotId};
use linksnap_inode::Xattrs;

use crate::shelf::{Shelf, file};

fn add(inode: u64) -> Change {
    Change::Add(Box::new(NewVersion { version: file(inode), xattrs: Xattrs::default() }))
}

#[test]
fn an_inode_has_its_names_of_all_snapshots() {
    let mut shelf = Shelf::new();
    let one = shelf.snapshot(vec![("a", add(7)), ("b", add(7)), ("c", add(8))]);
    let two = shelf.snapshot(vec![("b", Change::Gone)]);
    let names = |inode| {
        let names = shelf.reader().names_of(inode).expect("names");
        let name = |one: linksnap_catalog::StoredName| {
            (String::from_utf8(one.path).expect("text"), one.first, one.last)
        };
        names.into_iter().map(name).collect::<Vec<_>>()
    };
    let of = |name: &str, first: SnapshotId, last| (name.to_owned(), first, last);
    assert_eq!(names(7), [of("a", one, None), of("b", one, Some(two))]);
    assert_eq!(names(8), [of("c", one, None)]);
    assert_eq!(names(9), []);
}

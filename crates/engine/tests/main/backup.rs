//! What a run makes of trees of every kind.

use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{rsync, skip, skip_unless};

use crate::kitchen::Kitchen;

/// A tree with everything that an ordinary test may make.
pub fn some_of_everything(kitchen: &Kitchen) -> TreeBuilder {
    let mut tree = TreeBuilder::new(&kitchen.source)
        .file("a/one", b"one")
        .file("a/two", b"two, longer")
        .file("a/empty", b"")
        .file("b/deep/er/file", b"deep")
        .hard_link("a/two", "b/also-two")
        .symlink("a/link", "one")
        .symlink("a/dangling", "/nowhere/at/all")
        .fifo("b/fifo")
        .socket("b/socket")
        .sparse("b/sparse", 10_000_000)
        .mode("a/one", 0o4751)
        .mode("b/deep", 0o1777)
        .mtime("a/one", -5_000_000, 123_456_789)
        .mtime("a/empty", 5_000_000_000, 1)
        .xattr("a/one", "user.note", b"value")
        .xattr("a", "user.dir", b"d");
    if skip::is_root() {
        tree = tree.owner("a/two", 1234, 5678).owner("a/link", 77, 88).char_device("b/null", 1, 3);
    }
    tree
}

#[test]
fn a_first_snapshot_is_a_full_copy() {
    let mut kitchen = Kitchen::new();
    drop(some_of_everything(&kitchen));
    let before = Listing::read(&kitchen.source);
    let summary = kitchen.backup();
    assert_eq!(summary.problems.list, []);
    assert_eq!(before.diff(&kitchen.listing(&summary), Compare::COPY), Vec::<String>::new());
    assert_eq!(before.diff(&Listing::read(&kitchen.source), Compare::UNTOUCHED), Vec::<String>::new());
    kitchen.assert_sound();
}

#[test]
fn rsync_finds_no_difference() {
    skip_unless!(skip::has_tool("rsync"), "rsync is missing");
    let mut kitchen = Kitchen::new();
    drop(some_of_everything(&kitchen));
    for _ in 0..2 {
        let summary = kitchen.backup();
        assert_eq!(rsync::differences(&kitchen.source, &kitchen.in_snapshot(&summary.path)), [""; 0]);
    }
}

#[test]
fn unchanged_entries_are_linked_and_changed_ones_are_not() {
    let mut kitchen = Kitchen::new();
    let tree = some_of_everything(&kitchen);
    let first = kitchen.backup();
    let first_listing = kitchen.listing(&first);
    drop(tree.file("a/two", b"TWO, LONGER").file("new", b"new").delete("a/dangling"));
    let second = kitchen.backup();
    let second_listing = kitchen.listing(&second);
    assert_eq!(Listing::read(&kitchen.source).diff(&second_listing, Compare::COPY), Vec::<String>::new());
    assert_eq!(first_listing.diff(&kitchen.listing(&first), Compare::UNTOUCHED), Vec::<String>::new());
    for same in ["a/one", "a/empty", "a/link", "b/fifo", "b/socket", "b/sparse", "b/deep/er/file"] {
        assert_eq!(first_listing.inode(same), second_listing.inode(same), "{same}");
    }
    assert_ne!(first_listing.inode("a/two"), second_listing.inode("a/two"));
    kitchen.assert_sound();
}

#[test]
fn a_restored_tree_is_the_source_again() {
    let mut kitchen = Kitchen::new();
    drop(some_of_everything(&kitchen));
    drop(kitchen.backup());
    let target = tempfile::tempdir().expect("a target");
    let restored = kitchen.restore("latest", target.path());
    assert_eq!(restored.problems.list, []);
    let there = Listing::read(&kitchen.in_snapshot(target.path()));
    assert_eq!(Listing::read(&kitchen.source).diff(&there, Compare::COPY), Vec::<String>::new());
}

#[test]
fn acls_capabilities_and_labels_are_kept() {
    skip_unless!(skip::is_root(), "capabilities can be set by root only");
    skip_unless!(skip::has_tool("setfacl"), "setfacl is missing");
    let mut kitchen = Kitchen::new();
    let capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let tree = TreeBuilder::new(&kitchen.source)
        .file("d/ping", b"program")
        .owner("d/ping", 1234, 1234)
        .xattr("d/ping", "security.capability", capability)
        .symlink("d/link", "ping")
        .xattr("d/ping", "trusted.note", b"t");
    let set = |options: &[&str]| {
        let called =
            std::process::Command::new("setfacl").args(options).arg(kitchen.source.join("d")).status();
        assert!(called.is_ok_and(|status| status.success()));
    };
    set(&["-m", "u:1234:rwx,g:5678:r"]);
    set(&["-d", "-m", "u:1234:rwx"]);
    drop(tree.file("d/inherits", b"x"));
    for round in 0..2 {
        let summary = kitchen.backup();
        assert_eq!(summary.problems.list, []);
        let there = kitchen.listing(&summary);
        assert_eq!(Listing::read(&kitchen.source).diff(&there, Compare::COPY), [""; 0], "round {round}");
        // A directory that hands down an ACL must not hand it down to what is made in it.
        drop(TreeBuilder::new(&kitchen.source).file(format!("plain-{round}"), b"y"));
    }
    kitchen.assert_sound();
    let target = tempfile::tempdir().expect("a target");
    assert_eq!(kitchen.restore("latest", target.path()).problems.list, []);
    let latest = Listing::read(&kitchen.in_snapshot(&kitchen.repository.join("job/latest")));
    let there = Listing::read(&kitchen.in_snapshot(target.path()));
    assert_eq!(latest.diff(&there, Compare::COPY), [""; 0]);
}

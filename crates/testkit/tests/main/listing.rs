//! A listing notices every kind of difference, and no other.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use linksnap_testkit::listing::{Compare, Kind, Listing};
use linksnap_testkit::naive;
use linksnap_testkit::skip::is_root;
use linksnap_testkit::skip_unless;
use linksnap_testkit::tree::{Content, Edit, TreeBuilder, try_apply};
use tempfile::TempDir;

fn sample(root: &Path) -> TreeBuilder {
    TreeBuilder::new(root)
        .file("file", "bytes")
        .file("dir/twin", "twin")
        .hard_link("dir/twin", "other")
        .symlink("link", "file")
        .fifo("fifo")
        .socket("socket")
        .file(OsStr::from_bytes(b"\xff\n"), "odd name")
        .mtime("file", -1, 999_999_999)
        .mtime("link", 4_102_444_800, 1)
        .mtime("dir", 1_700_000_000, 0)
        .mtime("", 1_700_000_000, 0)
}

fn two_samples() -> (TempDir, PathBuf, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let (left, right) = (home.path().join("left"), home.path().join("right"));
    sample(&left);
    naive::copy_tree(&left, &right);
    (home, left, right)
}

fn path(path: &str) -> PathBuf {
    PathBuf::from(path)
}

/// The differences after `edits` of a copy, the mtime of a directory put back after each.
fn noticed(edits: &[Edit]) -> Vec<String> {
    let (_home, left, right) = two_samples();
    for edit in edits {
        try_apply(&right, edit).unwrap();
        TreeBuilder::new(&right).mtime("dir", 1_700_000_000, 0).mtime("", 1_700_000_000, 0);
    }
    Listing::read(&left).diff(&Listing::read(&right), Compare::COPY)
}

#[test]
fn a_copy_has_no_differences() {
    assert_eq!(noticed(&[]), [""; 0]);
}

#[test]
fn each_difference_of_an_entry_is_noticed_alone() {
    let keep = |path: &str, mtime| Edit::Mtime { path: path.into(), mtime };
    let bytes = |bytes: &[u8]| Content::Bytes(bytes.to_vec());
    let same_size = Edit::RewriteKeepingMtime { path: path("file") };
    let write = Edit::Write { path: path("file"), content: bytes(b"") };
    let mode = Edit::Mode { path: path("file"), mode: 0o4644 };
    let (name, value) = ("user.x".into(), b"1".to_vec());
    let xattr = Edit::SetXattr { path: path("file"), name, value };
    let symlink = Edit::Symlink { path: path("link"), target: "fil".into() };
    let delete = Edit::Delete { path: path("fifo") };
    let directory = Edit::Directory { path: path("new") };
    let fifo = Edit::Fifo { path: path("socket") };
    let old = (-1, 999_999_999);
    let cases: [(Vec<Edit>, &[&str]); 9] = [
        (vec![same_size], &["\"file\": content"]),
        (vec![write, keep("file", old)], &["\"file\": size", "\"file\": content"]),
        (vec![mode], &["\"file\": mode 0644 is not 4644"]),
        (vec![xattr], &["\"file\": xattrs {} are not {\"user.x\": [49]}"]),
        (vec![keep("file", (-1, 999_999_998))], &["\"file\": mtime"]),
        (vec![symlink, keep("link", (4_102_444_800, 1))], &["\"link\": target"]),
        (vec![delete], &["\"fifo\": only in the left"]),
        (vec![directory], &["\"new\": only in the right"]),
        (vec![fifo], &["\"socket\": Socket is not Fifo"]),
    ];
    for (edits, expected) in cases {
        let lines = noticed(&edits);
        let matches = lines.len() == expected.len()
            && lines.iter().zip(expected).all(|(line, start)| line.starts_with(start));
        assert!(matches, "{edits:?}: {lines:?}, not {expected:?}");
    }
}

#[test]
fn owners_and_device_numbers_are_noticed() {
    skip_unless!(is_root(), "needs root");
    let (home, left, right) = two_samples();
    TreeBuilder::new(&left).char_device("null", 1, 3).mtime("null", 0, 0);
    TreeBuilder::new(&right).char_device("null", 1, 5).mtime("null", 0, 0).owner("file", 1, 2);
    TreeBuilder::new(home.path()).mtime("left", 0, 0).mtime("right", 0, 0);
    let lines = Listing::read(&left).diff(&Listing::read(&right), Compare::default());
    let expected = ["\"file\": uid 0 is not 1", "\"file\": gid 0 is not 2", "\"null\": rdev"];
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().zip(expected).all(|(line, start)| line.starts_with(start)), "{lines:?}");
}

#[test]
fn hard_link_groups_are_compared_if_asked() {
    let (_home, left, right) = two_samples();
    let content = Content::Bytes(b"twin".to_vec());
    let replace = Edit::Replace { path: path("other"), content };
    try_apply(&right, &replace).unwrap();
    let mtime = Listing::read(&left).get("other").unwrap().mtime;
    TreeBuilder::new(&right).mtime("other", mtime.0, mtime.1).mtime("", 1_700_000_000, 0);
    let (left, right) = (Listing::read(&left), Listing::read(&right));
    assert_eq!(left.diff(&right, Compare::default()), [""; 0]);
    assert_eq!(left.diff(&right, Compare::COPY).len(), 1);
    assert_eq!(right.diff(&left, Compare::COPY).len(), 1);
}

#[test]
fn inode_numbers_are_compared_if_asked() {
    let (_home, left, right) = two_samples();
    let before = Listing::read(&left);
    assert_eq!(before.diff(&Listing::read(&left), Compare::UNTOUCHED), [""; 0]);
    assert!(!before.diff(&Listing::read(&right), Compare::UNTOUCHED).is_empty());
    let content = Content::Bytes(b"bytes".to_vec());
    try_apply(&left, &Edit::Replace { path: path("file"), content }).unwrap();
    TreeBuilder::new(&left).mtime("file", -1, 999_999_999).mtime("", 1_700_000_000, 0);
    let after = Listing::read(&left);
    assert_eq!(before.diff(&after, Compare::COPY), [""; 0]);
    assert_eq!(before.diff(&after, Compare::UNTOUCHED).len(), 1);
    assert_eq!(before.shared_with(&after).len(), before.shared_with(&before).len() - 1);
}

#[test]
fn a_sub_tree_is_listed_as_its_own_root() {
    let (_home, left, _right) = two_samples();
    let listing = Listing::read(&left);
    let below = listing.below("dir");
    assert_eq!(below, Listing::read(&left.join("dir")));
    assert_eq!(below.inode("twin"), listing.inode("other"));
    assert_eq!(below.get("").unwrap().kind, Kind::Directory);
    assert!(listing.without("dir").get("dir/twin").is_none());
    assert!(listing.without("dir").get("other").is_some());
}

#[test]
fn paths_longer_than_the_system_allows_are_listed_and_copied() {
    let home = tempfile::tempdir().unwrap();
    let (from, to) = (home.path().join("from"), home.path().join("to"));
    let deep = PathBuf::from_iter(std::iter::repeat_n("d".repeat(200), 30));
    TreeBuilder::new(&from).file(deep.join("file"), "x");
    naive::copy_tree(&from, &to);
    let listing = Listing::read(&from);
    assert_eq!(listing.iter().count(), 32);
    assert_eq!(listing.diff(&Listing::read(&to), Compare::COPY), [""; 0]);
    TreeBuilder::new(&from).delete("d".repeat(200));
}

//! Random edits stay in their tree, and a naive copy of what they leave is the same to us and to rsync.

use linksnap_testkit::cases;
use linksnap_testkit::listing::{Compare, Kind, Listing};
use linksnap_testkit::skip::{has_tool, is_root};
use linksnap_testkit::tree::{Content, Edit, TreeBuilder, apply, arb_edits, try_apply};
use linksnap_testkit::{naive, rsync, skip_unless};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

#[test]
fn a_naive_copy_is_the_same_to_a_listing_and_to_rsync() {
    let with_rsync = has_tool("rsync");
    let copy_is_same = |edits: Vec<Edit>| {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        TreeBuilder::new(&from);
        apply(&from, &edits);
        naive::copy_tree(&from, &to);
        let differences = Listing::read(&from).diff(&Listing::read(&to), Compare::COPY);
        assert_eq!(differences, [""; 0]);
        if with_rsync {
            assert_eq!(rsync::differences(&from, &to), [""; 0]);
        }
        Ok(())
    };
    cases::runner(64).run(&arb_edits(60), copy_is_same).unwrap();
    skip_unless!(with_rsync, "rsync is not installed");
}

#[test]
fn edits_never_leave_their_root() {
    let stays_inside = |edits: Vec<Edit>| {
        let home = tempfile::tempdir().unwrap();
        TreeBuilder::new(home.path()).file("a", "outside").dir("root/inside");
        let before = Listing::read(home.path()).without("root");
        apply(&home.path().join("root/inside"), &edits);
        let after = Listing::read(home.path()).without("root");
        assert_eq!(before.diff(&after, Compare::UNTOUCHED), [""; 0]);
        Ok(())
    };
    cases::runner(64).run(&arb_edits(60), stays_inside).unwrap();
}

/// If edits hardly ever met, model tests would test little.
#[test]
fn random_edits_leave_trees_with_all_kinds_and_with_links() {
    let mut runner = TestRunner::deterministic();
    let mut kinds = std::collections::BTreeSet::new();
    let (mut groups, mut attributes, mut done, mut all) = (0, 0, 0, 0);
    for _ in 0..40 {
        let edits = arb_edits(60).new_tree(&mut runner).unwrap().current();
        let home = tempfile::tempdir().unwrap();
        all += edits.len();
        let try_one = |edit: &&Edit| try_apply(home.path(), edit).is_ok();
        done += edits.iter().filter(try_one).count();
        let listing = Listing::read(home.path());
        kinds.extend(listing.iter().map(|(_, entry)| entry.kind));
        groups += listing.hard_links().len();
        attributes += listing.iter().filter(|(_, e)| !e.xattrs.is_empty()).count();
    }
    assert_eq!(kinds.len(), if is_root() { 7 } else { 5 }, "{kinds:?}");
    assert!(groups > 20, "only {groups} hard-link groups");
    assert!(attributes > 20, "only {attributes} entries with attributes");
    assert!(done * 4 > all * 3, "only {done} of {all} edits were possible");
}

#[test]
fn making_takes_away_what_bore_the_name() {
    let home = tempfile::tempdir().unwrap();
    TreeBuilder::new(home.path()).file("a/b/c", "x").symlink("a", "..").dir("a").file("a", "file").fifo("a");
    assert_eq!(Listing::read(home.path()).get("a").unwrap().kind, Kind::Fifo);
}

#[test]
fn a_write_changes_all_names_of_the_file_and_a_replacement_one() {
    let home = tempfile::tempdir().unwrap();
    let content = || Content::Bytes(b"new".to_vec());
    let tree = TreeBuilder::new(home.path()).file("a", "old").hard_link("a", "b").file("a", "now");
    let listing = Listing::read(home.path());
    assert_eq!(listing.get("a").unwrap().content, listing.get("b").unwrap().content);
    tree.edit(Edit::Replace { path: "a".into(), content: content() });
    let after = Listing::read(home.path());
    assert_eq!(after.inode("b"), listing.inode("b"));
    assert_ne!(after.inode("a"), after.inode("b"));
    assert_eq!(after.get("a").unwrap().content, Some(blake3::hash(b"new")));
}

#[test]
fn a_name_below_itself_is_refused() {
    let home = tempfile::tempdir().unwrap();
    TreeBuilder::new(home.path()).file("a/b", "x");
    let before = Listing::read(home.path());
    let path = |path: &str| path.into();
    let refused = [
        Edit::Rename { from: path("a"), to: path("a/b/c") },
        Edit::Rename { from: path("a/b"), to: path("a") },
        Edit::HardLink { existing: path("a/b"), path: path("a") },
        Edit::Delete { path: path("") },
        Edit::Delete { path: path("../a") },
        Edit::Fifo { path: path("") },
    ];
    for edit in refused {
        assert!(try_apply(home.path(), &edit).is_err(), "{edit:?}");
    }
    assert_eq!(before.diff(&Listing::read(home.path()), Compare::UNTOUCHED), [""; 0]);
}

#[test]
fn rsync_notices_a_nanosecond_and_a_byte() {
    skip_unless!(has_tool("rsync"), "rsync is not installed");
    let home = tempfile::tempdir().unwrap();
    let (from, to) = (home.path().join("from"), home.path().join("to"));
    let tree = TreeBuilder::new(&from).file("a", "x").file("b", "y").mtime("a", 5, 5);
    naive::copy_tree(&from, &to);
    tree.mtime("a", 5, 6).edit(Edit::RewriteKeepingMtime { path: "b".into() });
    assert_eq!(rsync::differences(&from, &to).len(), 2);
}

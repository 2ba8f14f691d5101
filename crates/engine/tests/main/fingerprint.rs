//! Directories that need no look at their versions: when that is, and that it is never so when it must not be.

use std::io::ErrorKind;
use std::path::Path;

use linksnap_engine::Silent;
use linksnap_engine::stages::fingerprint;
use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup::{BackupSummary, Thoroughness};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::tree::{Edit, TreeBuilder, apply};
use linksnap_testkit::{or_skip, skip, skip_unless};

use crate::kill::{Chance, plenty, some_edit};
use crate::kitchen::Kitchen;

/// How many directories have a fingerprint; all of them are true.
fn true_fingerprints(kitchen: &Kitchen) -> u64 {
    let checked = fingerprint::check(&kitchen.job().catalog().expect("a catalog")).expect("read");
    assert_eq!(checked.wrong, 0);
    checked.right
}

/// A kitchen in its steady state, in which no directory's turn comes to be looked at whole.
fn steady() -> Kitchen {
    let mut kitchen = Kitchen::new();
    kitchen.keep_last(2);
    settled(kitchen)
}

/// One that keeps everything: each run begins with nothing.
fn growing() -> Kitchen {
    settled(Kitchen::new())
}

fn settled(mut kitchen: Kitchen) -> Kitchen {
    plenty(&kitchen);
    kitchen.options.validate = Thoroughness::Share(u32::MAX);
    for _ in 0..3 {
        drop(kitchen.backup());
    }
    kitchen.age();
    drop(kitchen.backup());
    assert!(true_fingerprints(&kitchen) > 5);
    kitchen
}

fn run(kitchen: &mut Kitchen) -> BackupSummary {
    let source = Listing::read(&kitchen.source);
    let summary = kitchen.backup();
    assert_eq!(summary.problems.list, []);
    assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
    true_fingerprints(kitchen);
    kitchen.assert_sound();
    kitchen.assert_accounts();
    summary
}

#[test]
fn unchanged_directories_need_no_look_at_their_versions() {
    let mut kitchen = steady();
    let counts = run(&mut kitchen).counts;
    // Those of the source's own tree in which nothing has several names, and the many.
    assert!(counts.kept_directories >= 9, "{counts:?}");
    assert_eq!(counts.unchanged, counts.files + counts.symlinks + counts.specials);
    assert_eq!((counts.copied_files, counts.linked_entries), (0, 0));
}

#[test]
fn unchanged_directories_are_linked_without_a_look_at_their_versions() {
    let mut kitchen = growing();
    let counts = run(&mut kitchen).counts;
    assert!(counts.kept_directories >= 9, "{counts:?}");
    assert_eq!(counts.unchanged, counts.files + counts.symlinks + counts.specials);
    // Of a file with several names only the first is linked from the snapshot before.
    assert_eq!((counts.copied_files, counts.made_inodes, counts.kept_entries), (0, 0, 0));
}

#[test]
fn what_cannot_be_linked_ends_the_short_way_and_not_the_run() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 64, &[]));
    let mut kitchen = settled(Kitchen::in_dir(&disk.path()));
    let before = run(&mut kitchen);
    // The last of a directory has as many names as ext4 allows (`EXT4_LINK_MAX`).
    let directory = kitchen.in_snapshot(&before.path).join("many/3");
    let names = std::fs::read_dir(&directory).expect("readable");
    let last = names.map(|name| name.expect("readable").path()).max().expect("some");
    std::fs::create_dir(disk.path().join("names")).expect("a directory");
    let names =
        (0..65_000).map(|number| std::fs::hard_link(&last, disk.path().join(format!("names/{number}"))));
    let refused: Vec<_> = names.filter_map(Result::err).map(|error| error.kind()).collect();
    assert!(refused.len() < 100 && refused.contains(&ErrorKind::TooManyLinks), "{} refused", refused.len());
    let counts = kitchen.backup().counts;
    std::fs::remove_dir_all(disk.path().join("names")).expect("removed");
    assert_eq!((counts.copied_files, counts.made_inodes), (1, 1));
    // What the short way had linked before it ended is in its place. The names came and went above the source, and other
    // tests at work change /tmp.
    let less = before.counts.kept_directories - counts.kept_directories;
    assert!((2..=4).contains(&less), "{less}");
    assert!(counts.kept_entries > 0, "{counts:?}");
    let counts = run(&mut kitchen).counts;
    assert_eq!((counts.copied_files, counts.made_inodes), (0, 0));
}

#[test]
fn what_is_linked_the_short_way_inherits_no_acl() {
    skip_unless!(skip::has_tool("setfacl"), "setfacl is missing");
    let set = |options: &[&str], path: &Path| {
        let called = std::process::Command::new("setfacl").args(options).arg(path).status();
        assert!(called.is_ok_and(|status| status.success()));
    };
    let mut kitchen = Kitchen::new();
    kitchen.options.validate = Thoroughness::Share(u32::MAX);
    let empty = TreeBuilder::new(&kitchen.source).dir("d");
    set(&["-d", "-m", "u:1234:rwx"], &kitchen.source.join("d"));
    drop(kitchen.backup());
    drop(empty.file("d/c/f", "secret").mode("d/c/f", 0o640));
    set(&["-b", "-R"], &kitchen.source.join("d/c"));
    drop(run(&mut kitchen));
    kitchen.age();
    drop(run(&mut kitchen));
    // The first snapshot becomes the scaffold, in which the directory with the ACL is empty.
    let keep = u32::try_from(kitchen.snapshots().len() - 1).expect("few");
    drop(kitchen.try_prune(keep, Fate::Scaffold, &Silent).expect("pruned"));
    kitchen.tick();
    drop(TreeBuilder::new(&kitchen.source).file("d/c/f", "other"));
    let counts = run(&mut kitchen).counts;
    assert_eq!(counts.copied_files, 1);
    assert!(counts.kept_directories > 0, "{counts:?}");
}

#[test]
fn a_basis_that_is_not_what_it_was_is_not_linked_the_short_way() {
    // Not in /tmp, which other tests at work change: directories above the source count as well.
    let own = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let mut kitchen = settled(Kitchen::in_dir(&own.path().canonicalize().expect("it is there")));
    let before = run(&mut kitchen);
    let basis = kitchen.in_snapshot(&before.path);
    let bytes = std::fs::read(basis.join("many/3/3")).expect("readable");
    // The same file by all that can be seen of it, but another inode.
    drop(TreeBuilder::new(&basis).delete("many/3/3").file("many/3/3", bytes));
    std::fs::copy(basis.join("many/4/4"), basis.join("many/4/more")).expect("a name more");
    let summary = kitchen.backup();
    assert!(!summary.problems.list.is_empty(), "nothing was said");
    let less = before.counts.kept_directories - summary.counts.kept_directories;
    assert!((2..=3).contains(&less), "{less}");
    let source = Listing::read(&kitchen.source);
    assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
}

#[test]
fn one_change_costs_a_look_at_one_directory() {
    let mut kitchen = steady();
    let before = run(&mut kitchen).counts.kept_directories;
    kitchen.tick();
    drop(TreeBuilder::new(&kitchen.source).file("many/3/3", b"other"));
    let summary = run(&mut kitchen);
    // Other tests at work change /tmp, which leads to the source.
    let kept = summary.counts.kept_directories;
    assert!((before - 1).abs_diff(kept) <= 1, "{kept} of {before}");
    assert_eq!(summary.counts.copied_files, 1);
}

#[test]
fn a_directory_that_comes_back_starts_anew() {
    let mut kitchen = steady();
    let outside = tempfile::tempdir_in(kitchen.source.parent().expect("a base")).expect("a place");
    let away = outside.path().join("away");
    for _ in 0..3 {
        // All inodes and their times stay as they are: nothing but the catalog knows that it was gone.
        std::fs::rename(kitchen.source.join("many/3"), &away).expect("moved away");
        drop(run(&mut kitchen));
        std::fs::rename(&away, kitchen.source.join("many/3")).expect("moved back");
        drop(run(&mut kitchen));
        drop(run(&mut kitchen));
    }
}

#[test]
fn a_deleted_newest_snapshot_leaves_no_fingerprints() {
    let mut kitchen = steady();
    drop(TreeBuilder::new(&kitchen.source).file("many/3/3", b"other"));
    drop(run(&mut kitchen));
    drop(kitchen.delete(&["latest"]));
    assert_eq!(true_fingerprints(&kitchen), 0);
    drop(run(&mut kitchen));
}

#[test]
fn random_changes_are_never_missed() {
    random_changes(steady(), 7);
}

#[test]
fn random_changes_are_never_missed_by_a_run_that_begins_with_nothing() {
    random_changes(growing(), 8);
}

fn random_changes(mut kitchen: Kitchen, seed: u64) {
    let mut chance = Chance(seed);
    let mut kept = 0;
    for round in 0..60 {
        let edits: Vec<Edit> = (0..chance.below(4)).map(|_| some_edit(&mut chance)).collect();
        apply(&kitchen.source, &edits);
        if chance.below(4) == 0 {
            kitchen.age();
        } else {
            kitchen.tick();
        }
        let retired = kitchen.workshop().join("retired");
        let scaffold = std::fs::read_dir(&retired).ok().and_then(|mut trees| trees.next());
        if let (5, Some(scaffold)) = (round % 9, scaffold) {
            // What stands in the scaffold is nobody's promise.
            let tree = scaffold.expect("readable").path();
            apply(&kitchen.in_snapshot(&tree), &[some_edit(&mut chance)]);
        }
        kept += run(&mut kitchen).counts.kept_directories;
    }
    assert!(kept > 100, "only {kept} directories were told by their fingerprint");
}

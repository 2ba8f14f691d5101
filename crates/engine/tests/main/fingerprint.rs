//! Directories that need no look at their versions: when that is, and that it is never so when it must not be.

use linksnap_engine::stages::fingerprint;
use linksnap_engine::verbs::backup::{BackupSummary, Thoroughness};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::{Edit, TreeBuilder, apply};

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
    plenty(&kitchen);
    kitchen.options.validate = Thoroughness::Share(u32::MAX);
    kitchen.keep_last(2);
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
    let mut chance = Chance(7);
    let mut kitchen = steady();
    let mut kept = 0;
    for round in 0..60 {
        let edits: Vec<Edit> = (0..chance.below(4)).map(|_| some_edit(&mut chance)).collect();
        apply(&kitchen.source, &edits);
        if chance.below(4) == 0 {
            kitchen.age();
        } else {
            kitchen.tick();
        }
        if round % 9 == 5 {
            // What stands in the scaffold is nobody's promise.
            let retired = kitchen.workshop().join("retired");
            let tree =
                std::fs::read_dir(&retired).expect("a scaffold").next().expect("one").expect("readable");
            apply(&kitchen.in_snapshot(&tree.path()), &[some_edit(&mut chance)]);
        }
        kept += run(&mut kitchen).counts.kept_directories;
    }
    assert!(kept > 100, "only {kept} directories were told by their fingerprint");
}

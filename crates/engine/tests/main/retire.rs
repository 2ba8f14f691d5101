//! Snapshots that go: what that frees, what stays as it is, and the tree that the next run builds upon.

use linksnap_engine::verbs::backup::{Recycle, Scaffold};
use linksnap_engine::{Monitor, Wish};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::TreeBuilder;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backup::some_of_everything;
use crate::claims::total;
use crate::kitchen::Kitchen;
use crate::ledger::names_in;

/// Four snapshots; each differs from the one before in some file, some directory and some link.
fn history(kitchen: &mut Kitchen) {
    drop(some_of_everything(kitchen).file("only/first/file", b"gone soon").hard_link("a/one", "b/uno"));
    drop(kitchen.backup());
    kitchen.age();
    drop(
        TreeBuilder::new(&kitchen.source)
            .delete("only")
            .file("a/two", b"another two")
            .file("new/second", b"two"),
    );
    drop(kitchen.backup());
    kitchen.age();
    drop(TreeBuilder::new(&kitchen.source).delete("b/uno").file("b/uno", b"no link any more").delete("new"));
    drop(kitchen.backup());
    kitchen.age();
    drop(TreeBuilder::new(&kitchen.source).mode("a/one", 0o600).file("new/fourth", b"four"));
    drop(kitchen.backup());
    kitchen.age();
}

#[test]
fn deleting_frees_what_the_catalog_says() {
    let sets: [&[&str]; 7] = [
        &["oldest"],
        &["latest~1"],
        &["latest~2"],
        &["latest"],
        &["oldest", "latest~2"],
        &["latest", "latest~1"],
        &["oldest", "latest~1", "latest"],
    ];
    for set in sets {
        let mut kitchen = Kitchen::new();
        history(&mut kitchen);
        let before = kitchen.held();
        let freed = kitchen.delete(set).freed;
        let after = kitchen.held();
        let (had, has) = (total(&before), total(&after));
        assert_eq!((freed.inodes, freed.bytes), (had.0 - has.0, had.1 - has.1), "{set:?}");
        kitchen.assert_claims();
        kitchen.assert_accounts();
        kitchen.assert_sound();
        kitchen.assert_tidy();
        // The next run links to what is the newest now.
        let summary = kitchen.backup();
        assert_eq!(summary.problems.list, [], "{set:?}");
        let stored = kitchen.listing(&summary);
        assert_eq!(Listing::read(&kitchen.source).diff(&stored, Compare::COPY), [""; 0], "{set:?}");
        if set != ["latest", "latest~1"] && !set.contains(&"latest") {
            assert_eq!(summary.counts.copied_files, 0, "{set:?}");
        }
        kitchen.assert_accounts();
        kitchen.assert_sound();
    }
}

#[test]
fn all_can_be_deleted() {
    let mut kitchen = Kitchen::new();
    history(&mut kitchen);
    let freed = kitchen.delete(&["oldest", "latest", "latest~1", "latest~2"]).freed;
    assert!(freed.inodes > 20);
    assert_eq!(names_in(&kitchen.job_dir()), [".linksnap"]);
    assert_eq!(kitchen.job().catalog().expect("a catalog").count_versions().expect("counted"), 0);
    let summary = kitchen.backup();
    assert_eq!(summary.basis, None);
    kitchen.assert_sound();
    kitchen.assert_accounts();
}

#[test]
fn a_retired_snapshot_is_built_upon() {
    let mut kitchen = Kitchen::new();
    history(&mut kitchen);
    kitchen.keep_last(3);
    let summary = kitchen.backup();
    let pruned = summary.pruned.expect("retention");
    assert_eq!(pruned.plan.retained.dropped().count(), 2);
    assert_eq!(names_in(&kitchen.workshop().join("retired")).len(), 1);
    kitchen.assert_accounts();
    kitchen.age();
    for _ in 0..3 {
        let listing = Listing::read(&kitchen.source);
        let summary = kitchen.backup();
        assert_eq!(summary.scaffold, Scaffold::Recycled);
        let counts = summary.counts;
        let leaves = counts.files + counts.symlinks + counts.specials;
        assert_eq!((counts.copied_files, counts.unchanged), (0, leaves));
        assert!(counts.kept_entries > counts.linked_entries, "{counts:?}");
        assert_eq!(listing.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
        assert_eq!(kitchen.job().snapshots().expect("snapshots").len(), 3);
        kitchen.assert_accounts();
        kitchen.assert_sound();
        kitchen.assert_tidy();
    }
    // In the end all that is there is right already.
    let summary = kitchen.backup();
    assert_eq!(summary.counts.linked_entries, 0);
}

#[test]
fn without_recycling_nothing_is_kept() {
    let mut kitchen = Kitchen::new();
    history(&mut kitchen);
    kitchen.keep_last(2);
    kitchen.options.recycle = Recycle::Never;
    for _ in 0..3 {
        assert_eq!(kitchen.backup().scaffold, Scaffold::Empty);
        assert_eq!(names_in(&kitchen.workshop().join("retired")), [""; 0]);
        kitchen.assert_accounts();
    }
    kitchen.assert_sound();
}

/// What is not there must not count: for it the snapshots that are would be dropped.
#[test]
fn snapshots_that_somebody_removed_do_not_count() {
    let mut kitchen = Kitchen::new();
    history(&mut kitchen);
    let named = kitchen.named();
    for name in &named[2..] {
        std::fs::remove_dir_all(kitchen.job_dir().join(name)).expect("removed");
    }
    kitchen.keep_last(3);
    let summary = kitchen.backup();
    assert_eq!(kitchen.named(), [&named[..2], &[summary.snapshot.expect("a snapshot").to_string()]].concat());
}

/// Wherever a run is stopped while it forgets what is gone: the next one finds the rest.
#[test]
fn a_run_that_is_stopped_while_it_forgets_leaves_nothing_behind() {
    for stop_at in 0..40 {
        let mut kitchen = Kitchen::new();
        // Something stays: an empty source would be refused.
        let mut tree = TreeBuilder::new(&kitchen.source).file("stays", "s");
        for number in 0..8 {
            tree = tree.file(format!("gone/{number}/deep/file"), format!("{number}"));
        }
        drop(tree);
        drop(kitchen.backup());
        kitchen.age();
        drop(TreeBuilder::new(&kitchen.source).delete("gone"));
        let asked = AtomicU64::new(0);
        let stopped = kitchen.try_backup(&StopAt(stop_at, asked)).is_err();
        let summary = if stopped { kitchen.backup() } else { continue };
        assert_eq!(summary.problems.list, [], "{stop_at}");
        drop(TreeBuilder::new(&kitchen.source).file("gone/0/deep/file", "back"));
        let summary = kitchen.backup();
        assert_eq!(summary.problems.list, [], "{stop_at}");
        kitchen.assert_sound();
        kitchen.assert_accounts();
    }
}

struct StopAt(u64, AtomicU64);

impl Monitor for StopAt {
    fn wish(&self) -> Wish {
        if self.1.fetch_add(1, Ordering::Relaxed) >= self.0 { Wish::Stop } else { Wish::Checkpoint }
    }
}

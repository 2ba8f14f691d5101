//! Guards: sources that are gone, empty or mostly changed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use linksnap_engine::report::Class;
use linksnap_engine::stages::guard::FEWEST;
use linksnap_engine::verbs::backup::{self, BackupSummary, Scaffold, Upheaval};
use linksnap_engine::verbs::pin::Pin;
use linksnap_engine::{Monitor, ProblemKind, Silent, Wish};
use linksnap_testkit::tree::TreeBuilder;

use crate::kitchen::Kitchen;
use crate::ledger::Ledger;

/// Many files in a few directories.
fn fill(root: &Path, directories: usize, of: usize) {
    rewrite(root, directories, of, "as ever");
}

/// Writes the first so many files of each directory.
fn rewrite(root: &Path, directories: usize, count: usize, text: &str) {
    let mut tree = TreeBuilder::new(root);
    for directory in 0..directories {
        for number in 0..count {
            tree = tree.file(format!("{directory}/{number}"), text);
        }
    }
}

fn suspects(summary: &BackupSummary) -> Vec<PathBuf> {
    let of_kind = summary.problems.list.iter().filter(|problem| problem.kind == ProblemKind::MassChange);
    of_kind.map(|problem| PathBuf::from(OsStr::from_bytes(&problem.path))).collect()
}

/// Everything below a directory goes, the directory stays: as when a disk is not mounted.
fn empty(root: &Path) {
    let mut tree = TreeBuilder::new(root);
    for entry in std::fs::read_dir(root).expect("a directory") {
        tree = tree.delete(entry.expect("an entry").file_name());
    }
}

#[test]
fn a_source_that_is_empty_and_was_not_is_refused() {
    let mut kitchen = Kitchen::new();
    let mut ledger = Ledger::default();
    drop(TreeBuilder::new(&kitchen.source).file("only", "one"));
    let summary = kitchen.backup();
    ledger.check_success(&kitchen, &summary);
    empty(&kitchen.source);
    for round in 0..2 {
        let error = kitchen.try_backup(&Silent).expect_err("refused");
        assert_eq!(error.class(), Class::Guard);
        let source = kitchen.source.display().to_string();
        assert!(error.to_string().contains(&source), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("--accept-change")), "{:?}", error.hint());
        assert_eq!((ledger.check(&kitchen), kitchen.snapshots().len()), (vec![], 1), "{round}");
        // What a new ext4 has is nothing.
        drop(TreeBuilder::new(&kitchen.source).dir("lost+found"));
    }
    let refused =
        backup::preview(Some(&kitchen.open()), &Kitchen::job_name(), &kitchen.options, &mut |_| {}, &Silent);
    assert_eq!(refused.expect_err("refused as well").class(), Class::Guard);
    kitchen.options.upheaval = Upheaval::Accept;
    let summary = kitchen.backup();
    assert_eq!((summary.counts.removed, &summary.problems.list[..]), (1, &[][..]));
    // It was empty before: nothing to wonder about.
    kitchen.options.upheaval = Upheaval::Doubt;
    drop(kitchen.backup());
    kitchen.assert_sound();
}

#[test]
fn a_source_that_never_had_anything_may_be_empty() {
    let mut kitchen = Kitchen::new();
    drop(kitchen.backup());
    drop(kitchen.backup());
    let other = kitchen.source.with_file_name("other");
    drop(TreeBuilder::new(&other).file("file", "1"));
    kitchen.options.sources.push(other);
    drop(kitchen.backup());
    assert_eq!(kitchen.snapshots().len(), 3);
}

#[test]
fn one_empty_source_of_several_is_refused() {
    let mut kitchen = Kitchen::new();
    let other = kitchen.source.with_file_name("other");
    fill(&kitchen.source, 2, 200);
    drop(TreeBuilder::new(&other).file("deep/file", "1"));
    kitchen.options.sources.push(other.clone());
    drop(kitchen.backup());
    drop(TreeBuilder::new(&other).delete("deep"));
    // What is usual for a change is not usual for an empty source.
    for upheaval in [Upheaval::Doubt, Upheaval::Usual] {
        kitchen.options.upheaval = upheaval;
        let error = kitchen.try_backup(&Silent).expect_err("refused");
        assert_eq!((error.class(), kitchen.snapshots().len()), (Class::Guard, 1));
    }
}

#[test]
fn a_missing_source_is_refused_and_left_out_if_that_is_accepted() {
    let mut kitchen = Kitchen::new();
    let other = kitchen.source.with_file_name("other");
    fill(&kitchen.source, 2, 10);
    fill(&other, 2, 10);
    kitchen.options.sources.push(other.clone());
    drop(kitchen.backup());
    drop(TreeBuilder::new(other.parent().expect("a parent")).delete("other"));
    let error = kitchen.try_backup(&Silent).expect_err("refused");
    assert_eq!((error.class(), kitchen.snapshots().len()), (Class::Guard, 1));
    assert!(error.hint().is_some_and(|hint| hint.contains("--accept-change")), "{:?}", error.hint());
    kitchen.options.upheaval = Upheaval::Accept;
    let summary = kitchen.backup();
    assert_eq!((summary.counts.files, summary.counts.removed), (20, 20));
    let said: Vec<ProblemKind> = summary.problems.list.iter().map(|problem| problem.kind).collect();
    assert_eq!((said, summary.problems.problems), (vec![ProblemKind::LeftOut], 0));
    // Nothing of nothing is no snapshot.
    kitchen.options.sources = vec![other];
    let error = kitchen.try_backup(&Silent).expect_err("refused");
    assert_eq!((error.class(), kitchen.snapshots().len()), (Class::Guard, 2));
}

#[test]
fn a_mass_change_is_published_and_the_snapshot_before_is_held() {
    let gone = |kitchen: &Kitchen| {
        drop(TreeBuilder::new(&kitchen.source).delete("0").delete("1").delete("2"));
    };
    let rewritten = |kitchen: &Kitchen| rewrite(&kitchen.source, 5, 26, "ransom");
    let touched = |kitchen: &Kitchen| {
        let mut tree = TreeBuilder::new(&kitchen.source);
        for number in 0..130 {
            tree = tree.mode(format!("{}/{}", number / 26, number % 26), 0o600);
        }
    };
    let deeds: [&dyn Fn(&Kitchen); 3] = [&gone, &rewritten, &touched];
    for (number, deed) in deeds.into_iter().enumerate() {
        let mut kitchen = Kitchen::new();
        let mut ledger = Ledger::default();
        fill(&kitchen.source, 5, 50);
        kitchen.keep_last(1);
        drop(kitchen.backup());
        kitchen.age();
        let before = kitchen.backup();
        ledger.check_success(&kitchen, &before);
        let held = kitchen.snapshots().last().map(|one| one.name.clone());
        kitchen.age();
        deed(&kitchen);
        let summary = kitchen.backup();
        assert_eq!(suspects(&summary), [kitchen.source.as_path()], "{number}");
        assert_eq!((&summary.pinned, summary.problems.problems), (&held, 1), "{number}");
        assert!(summary.pruned.is_none(), "retention holds in this run");
        let snapshots = kitchen.snapshots();
        assert_eq!(snapshots.len(), 2, "the one before is there, whatever the rules say");
        assert!(snapshots[0].pinned && snapshots[0].pinned_until.is_none(), "{snapshots:?}");
        assert!(snapshots[0].note.contains("pinned by itself"), "{snapshots:?}");
        // Retention goes on with the next run, and leaves what is pinned.
        kitchen.age();
        let quiet = kitchen.backup();
        assert_eq!((&quiet.pinned, suspects(&quiet)), (&None, vec![]), "{number}");
        let names: Vec<String> = kitchen.snapshots().into_iter().map(|one| one.name).collect();
        assert_eq!(names.len(), 2 + usize::from(names.contains(&summary_name(&summary))), "{number}");
        assert!(names.contains(held.as_ref().expect("a name")), "{number}");
        ledger.check(&kitchen);
        kitchen.assert_sound();
        kitchen.assert_accounts();
    }
}

fn summary_name(summary: &BackupSummary) -> String {
    summary.snapshot.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn moving_everything_is_no_mass_change() {
    let mut kitchen = Kitchen::new();
    fill(&kitchen.source.join("old"), 3, 50);
    drop(kitchen.backup());
    std::fs::rename(kitchen.source.join("old"), kitchen.source.join("new")).expect("renamed");
    let moved = kitchen.backup();
    assert_eq!((suspects(&moved), moved.counts.moved), (vec![], 150));
}

#[test]
fn moved_files_hide_no_mass_change() {
    let rename = |kitchen: &Kitchen, from: &str, to: &str| {
        std::fs::rename(kitchen.source.join(from), kitchen.source.join(to)).expect("renamed");
    };
    // All are overwritten by what had other names.
    let overwritten = |kitchen: &Kitchen| {
        for number in 0..150 {
            rename(kitchen, &format!("other/0/{number}"), &format!("data/0/{number}"));
        }
        drop(TreeBuilder::new(&kitchen.source).delete("data/1"));
    };
    // As many come from another source as are gone.
    let replaced = |kitchen: &Kitchen| {
        drop(TreeBuilder::new(&kitchen.source).delete("data/0").delete("data/1"));
        rename(kitchen, "other/0", "data/new");
    };
    let deeds: [&dyn Fn(&Kitchen); 2] = [&overwritten, &replaced];
    for (number, deed) in deeds.into_iter().enumerate() {
        let mut kitchen = Kitchen::new();
        for (directory, count) in [("data", 2), ("other", 1)] {
            fill(&kitchen.source.join(directory), count, 150);
        }
        fill(&kitchen.source.join("other/more"), 4, 150);
        kitchen.options.sources = ["data", "other"].map(|name| kitchen.source.join(name)).into();
        drop(kitchen.backup());
        kitchen.age();
        deed(&kitchen);
        let summary = kitchen.backup();
        assert_eq!(summary.counts.moved, 150, "{number}");
        assert_eq!(suspects(&summary), [kitchen.source.join("data").as_path()], "{number}");
    }
}

#[test]
fn half_is_not_more_than_half_and_a_handful_is_no_mass() {
    let few = usize::try_from(FEWEST).expect("few") - 1;
    for (of, changed) in [(250, 125), (few, few)] {
        let mut kitchen = Kitchen::new();
        fill(&kitchen.source, 1, of);
        drop(kitchen.backup());
        kitchen.age();
        rewrite(&kitchen.source, 1, changed, "other");
        let summary = kitchen.backup();
        assert_eq!((summary.counts.changed, summary.pinned), (changed as u64, None), "{changed} of {of}");
        assert_eq!(summary.problems.list, []);
    }
}

#[test]
fn every_source_is_judged_by_itself() {
    let mut kitchen = Kitchen::new();
    let other = kitchen.source.with_file_name("other");
    // Another filesystem may lie between: a source in a source.
    let inner = kitchen.source.join("inner");
    fill(&kitchen.source, 4, 100);
    fill(&other, 1, 150);
    fill(&inner, 1, 150);
    kitchen.options.sources.extend([other.clone(), inner.clone()]);
    drop(kitchen.backup());
    kitchen.age();
    rewrite(&other, 1, 100, "other");
    rewrite(&inner, 1, 101, "other");
    let summary = kitchen.backup();
    assert_eq!(suspects(&summary), [other, inner]);
    assert_eq!(kitchen.snapshots().iter().filter(|one| one.pinned).count(), 1);
}

#[test]
fn a_mass_change_that_is_meant_or_usual_holds_nothing() {
    for upheaval in [Upheaval::Usual, Upheaval::Accept] {
        let mut kitchen = Kitchen::new();
        kitchen.keep_last(1);
        fill(&kitchen.source, 1, 150);
        drop(kitchen.backup());
        kitchen.age();
        rewrite(&kitchen.source, 1, 150, "other");
        kitchen.options.upheaval = upheaval;
        let summary = kitchen.backup();
        assert_eq!(
            (summary.counts.changed, summary.pinned, &summary.problems.list[..]),
            (150, None, &[][..])
        );
        assert_eq!(kitchen.snapshots().len(), 1, "pruned as ever");
    }
}

#[test]
fn a_pin_and_a_note_of_somebody_stay() {
    let mut kitchen = Kitchen::new();
    fill(&kitchen.source, 1, 150);
    drop(kitchen.backup());
    let until = Some(kitchen.options.now + 1000);
    kitchen.pin("latest", &Pin::Set { until, note: Some("before the move".to_owned()) });
    kitchen.age();
    rewrite(&kitchen.source, 1, 150, "other");
    drop(kitchen.backup());
    let held = &kitchen.snapshots()[0];
    assert_eq!((held.pinned, held.pinned_until), (true, None));
    assert!(held.note.starts_with("before the move; pinned by itself"), "{}", held.note);
}

/// Wants a checkpoint when it is asked so often, and stops soon after.
struct Interrupter {
    asked: AtomicU64,
    checkpoint: u64,
}

impl Monitor for Interrupter {
    fn wish(&self) -> Wish {
        match self.asked.fetch_add(1, Ordering::Relaxed) {
            asked if asked == self.checkpoint => Wish::Checkpoint,
            asked if asked >= self.checkpoint + 3 => Wish::Stop,
            _ => Wish::GoOn,
        }
    }
}

#[test]
fn what_an_interrupted_run_found_gone_counts_as_well() {
    let mut interrupted = 0;
    for checkpoint in (0..).step_by(7) {
        let mut kitchen = Kitchen::new();
        kitchen.options.threads = Some(1);
        fill(&kitchen.source, 6, 50);
        drop(kitchen.backup());
        kitchen.age();
        drop(TreeBuilder::new(&kitchen.source).delete("0").delete("1").delete("2").delete("3"));
        let first = kitchen.try_backup(&Interrupter { asked: AtomicU64::new(0), checkpoint });
        if let Ok(summary) = first {
            assert_eq!(suspects(&summary).len(), 1, "{checkpoint}: it was not interrupted");
            break;
        }
        interrupted += 1;
        let summary = kitchen.backup();
        assert_eq!(summary.scaffold, Scaffold::Interrupted);
        assert_eq!(suspects(&summary).len(), 1, "{checkpoint}: {:?}", summary.counts);
        assert!(kitchen.snapshots()[0].pinned, "{checkpoint}");
    }
    assert!(interrupted > 5, "{interrupted}");
}

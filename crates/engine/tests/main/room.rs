//! Disks with too little room: what is said, what is left, and that the next run goes on.

use std::path::Path;
use std::process::Command;

use linksnap_catalog::Freed;
use linksnap_engine::Silent;
use linksnap_engine::report::Class;
use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup::{BackupError, Remedy, Scarce, Shortage, Upheaval};
use linksnap_engine::verbs::restore::{Existing, Extra, RestoreOptions};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{or_skip, skip_unless};

use crate::faults::whole_chain;
use crate::kitchen::Kitchen;
use crate::ledger::{Ledger, names_in};

/// A source here, a repository on a small disk.
fn kitchen(disk: &LoopFs, sources: &tempfile::TempDir) -> Kitchen {
    let base = std::fs::canonicalize(sources.path()).expect("it is there");
    Kitchen::across(&base, &disk.path())
}

fn directories(root: &Path, first: usize, count: usize, files: usize) {
    let mut tree = TreeBuilder::new(root);
    for directory in first..first + count {
        tree = tree.dir(directory.to_string());
        for file in 0..files {
            tree = tree.file(format!("{directory}/{file}"), format!("{directory} {file}"));
        }
    }
}

fn shortage(error: &BackupError) -> &Shortage {
    match error {
        BackupError::NoRoom { shortage, .. } => shortage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_disk_without_inodes_is_named_and_the_next_run_goes_on() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 32, &["-N", "256"]));
    let sources = tempfile::tempdir().expect("a directory");
    let mut kitchen = kitchen(&disk, &sources);
    let mut ledger = Ledger::default();
    kitchen.keep_last(1);
    directories(&kitchen.source, 0, 5, 10);
    let summary = kitchen.backup();
    ledger.check_success(&kitchen, &summary);
    kitchen.age();
    directories(&kitchen.source, 100, 20, 20);
    let error = kitchen.try_backup(&Silent).expect_err("no inodes");
    assert_eq!(error.class(), Class::Failed);
    let Shortage { scarce, remedy } = shortage(&error);
    assert!(matches!(scarce, Scarce::Inodes { free: ..16, total: 256 }), "{scarce:?}");
    // Its only snapshot is kept by the rules: pruning would be of no use.
    assert_eq!(*remedy, Remedy::Delete);
    let chain = whole_chain(&error);
    assert!(
        chain.contains("too few inodes: ")
            && chain.contains(" of 256 are free")
            && chain.contains("No space left on device"),
        "{chain}"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("linksnap du")), "{:?}", error.hint());
    assert_eq!(ledger.check(&kitchen), [""; 0]);
    let mut tree = TreeBuilder::new(&kitchen.source);
    for directory in 105..120 {
        tree = tree.delete(directory.to_string());
    }
    drop(tree);
    kitchen.options.retention = None;
    let summary = kitchen.try_backup(&Silent).unwrap_or_else(|error| panic!("{}", whole_chain(&error)));
    assert_eq!(summary.problems.list, []);
    ledger.check_success(&kitchen, &summary);
    let forecast = summary.forecast.expect("known");
    assert!(forecast.by_inodes().is_some_and(|fit| fit < 3), "{forecast:?}");
    assert!(forecast.by_bytes() > forecast.by_inodes(), "{forecast:?}");
}

#[test]
fn what_pruning_would_free_is_said() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 32, &[]));
    let sources = tempfile::tempdir().expect("a directory");
    let mut kitchen = kitchen(&disk, &sources);
    for number in 0..3_u8 {
        drop(TreeBuilder::new(&kitchen.source).file("data", vec![number; 4 << 20]));
        drop(kitchen.backup());
        kitchen.age();
    }
    kitchen.keep_last(2);
    drop(TreeBuilder::new(&kitchen.source).file("more", vec![9; 16 << 20]));
    let error = kitchen.try_backup(&Silent).expect_err("a full disk");
    let Shortage { scarce, remedy } = shortage(&error);
    assert!(matches!(scarce, Scarce::Bytes { .. }), "{scarce:?}");
    assert!(matches!(remedy, Remedy::Prune(Freed { bytes: 4_194_304, .. })), "{remedy:?}");
    let hint = error.hint().expect("a hint");
    assert!(hint.contains("`linksnap prune job` would free 4.0 MiB and"), "{hint}");
    drop(kitchen.delete(&["oldest", "latest~1"]));
    drop(kitchen.backup());
    kitchen.assert_sound();
}

#[test]
fn a_snapshot_whose_directories_cannot_fit_is_refused_before_anything_is_made() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 32, &["-N", "512"]));
    let sources = tempfile::tempdir().expect("a directory");
    let mut kitchen = kitchen(&disk, &sources);
    let mut ledger = Ledger::default();
    directories(&kitchen.source, 0, 300, 0);
    let summary = kitchen.backup();
    ledger.check_success(&kitchen, &summary);
    kitchen.age();
    let error = kitchen.try_backup(&Silent).expect_err("refused");
    assert_eq!(error.class(), Class::Guard);
    let BackupError::NoInodes { needed, shortage, .. } = &error else { panic!("{error:?}") };
    let Scarce::Inodes { free, total: 512 } = &shortage.scarce else { panic!("{shortage:?}") };
    assert_eq!(*needed, summary.counts.directories);
    assert!(free < needed, "{error}");
    assert!(error.to_string().contains(&format!("{needed} directories")), "{error}");
    assert_eq!(ledger.check(&kitchen), [""; 0]);
    assert!(!names_in(&kitchen.workshop()).contains(&"staging".to_owned()), "nothing was begun");
    // It may be known that most of them are gone.
    let mut tree = TreeBuilder::new(&kitchen.source);
    for directory in 100..300 {
        tree = tree.delete(directory.to_string());
    }
    drop(tree);
    assert_eq!(kitchen.try_backup(&Silent).expect_err("refused").class(), Class::Guard);
    kitchen.options.upheaval = Upheaval::Accept;
    let summary = kitchen.backup();
    ledger.check_success(&kitchen, &summary);
    kitchen.options.upheaval = Upheaval::Doubt;
    // With a scaffold the directories are there.
    drop(kitchen.try_prune(1, Fate::Scaffold, &Silent).expect("pruned"));
    drop(kitchen.backup());
    kitchen.assert_sound();
}

#[test]
fn a_quota_that_is_used_up_is_named_and_the_next_run_goes_on() {
    let disk = or_skip!(LoopFs::create(FsKind::Btrfs, 256, &[]));
    let limited = disk.path().join("limited");
    let btrfs = |args: &[&str]| {
        Command::new("btrfs").args(args).arg(&limited).output().is_ok_and(|done| done.status.success())
    };
    let is_limited =
        btrfs(&["subvolume", "create"]) && btrfs(&["quota", "enable"]) && btrfs(&["qgroup", "limit", "16M"]);
    skip_unless!(is_limited, "btrfs has no quotas here");
    let sources = tempfile::tempdir().expect("a directory");
    let base = std::fs::canonicalize(sources.path()).expect("it is there");
    let mut kitchen = Kitchen::across(&base, &limited);
    let mut ledger = Ledger::default();
    drop(TreeBuilder::new(&kitchen.source).file("small", "s"));
    let summary = kitchen.backup();
    ledger.check_success(&kitchen, &summary);
    drop(TreeBuilder::new(&kitchen.source).file("large", vec![1; 24 << 20]));
    let error = kitchen.try_backup(&Silent).expect_err("the quota");
    assert_eq!((shortage(&error).scarce, error.class()), (Scarce::Quota, Class::Failed), "{error:?}");
    assert!(error.to_string().contains("quota"), "{error}");
    assert_eq!(ledger.check(&kitchen), [""; 0]);
    assert!(btrfs(&["qgroup", "limit", "128M"]));
    let summary = kitchen.backup();
    ledger.check_success(&kitchen, &summary);
}

#[test]
fn a_first_snapshot_that_does_not_fit_is_not_told_to_delete_others() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 32, &[]));
    let sources = tempfile::tempdir().expect("a directory");
    let mut kitchen = kitchen(&disk, &sources);
    kitchen.keep_last(1);
    drop(TreeBuilder::new(&kitchen.source).file("large", vec![1; 40 << 20]));
    let error = kitchen.try_backup(&Silent).expect_err("a full disk");
    assert_eq!(shortage(&error).remedy, Remedy::Elsewhere);
    let hint = error.hint().expect("a hint");
    assert!(hint.contains("leave out") && !hint.contains("prune"), "{hint}");
}

/// The latest snapshot does not fit on a small disk: nothing is written, and the numbers are told.
fn refused(kitchen: &Kitchen, disk: &LoopFs, said: &str) {
    let target = disk.path().join("restored");
    let options = RestoreOptions {
        target: target.clone(),
        existing: Existing::Refuse,
        ..kitchen.in_place(Extra::Stay)
    };
    let error = kitchen.try_restore("latest", &options, &Silent).expect_err("no room");
    assert_eq!(error.class(), Class::Guard);
    assert!(error.to_string().contains(said), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("nothing was written")));
    assert!(!target.exists());
}

#[test]
fn a_restore_that_cannot_fit_is_refused_before_anything_is_written() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 32, &["-N", "256"]));
    let mut kitchen = Kitchen::new();
    let half = 20 << 20;
    drop(TreeBuilder::new(&kitchen.source).file("one", vec![1; half]).file("two", vec![2; half]));
    kitchen.backup();
    refused(&kitchen, &disk, "40.0 MiB are needed");

    drop(TreeBuilder::new(&kitchen.source).delete("two"));
    directories(&kitchen.source, 0, 10, 30);
    kitchen.backup();
    refused(&kitchen, &disk, "inodes are needed");
}

#[test]
fn holes_and_further_names_need_no_room() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 32, &[]));
    let mut kitchen = Kitchen::new();
    let mut tree = TreeBuilder::new(&kitchen.source).sparse("sparse", 1 << 40).file("one", vec![1; 20 << 20]);
    for number in 0..300 {
        tree = tree.hard_link("one", number.to_string());
    }
    kitchen.backup();
    let summary = kitchen.restore("latest", &disk.path().join("restored"));
    assert_eq!((summary.files, summary.problems.problems), (302, 0));
}

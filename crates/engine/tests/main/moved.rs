//! Files and directories that are moved or renamed: their inodes go along, and only theirs.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use linksnap_engine::report::ProblemKind;
use linksnap_engine::stages::fingerprint;
use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup::{self, BackupSummary, PlannedStep};
use linksnap_engine::verbs::reindex;
use linksnap_engine::{Monitor, Progress, Silent};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::or_skip;
use linksnap_testkit::tree::{Edit, TreeBuilder, apply};

use crate::kill::{Chance, plenty};
use crate::kitchen::Kitchen;
use crate::stopper::AfterCheckpoint;

/// Notes how many bytes were read.
#[derive(Default)]
struct Reading(AtomicU64);

impl Monitor for Reading {
    fn progress(&self, progress: &Progress) {
        self.0.store(progress.bytes(), Ordering::Relaxed);
    }
}

/// A kitchen with some files, whose catalog trusts what it saw.
fn kitchen() -> Kitchen {
    let mut kitchen = Kitchen::new();
    let mut tree = TreeBuilder::new(&kitchen.source);
    for number in 0..10 {
        tree = tree.file(format!("d/{number}"), format!("content {number}"));
    }
    drop(tree.file("d/sub/deep", b"deep").file("d/empty", b"").symlink("d/link", "0").file("log", b"one\n"));
    drop(run(&mut kitchen));
    kitchen
}

/// Files with content in the directory `d` of [`kitchen`].
const FILES: u64 = 11;

/// A run after which the snapshot is the source, and the catalog right; how many bytes it read is the second value.
fn read_in_run(kitchen: &mut Kitchen) -> (BackupSummary, u64) {
    let source = Listing::read(&kitchen.source);
    let reading = Reading::default();
    let summary = kitchen.try_backup(&reading).expect("a snapshot");
    assert_eq!(summary.problems.list, []);
    assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
    let counts = summary.counts;
    let all = counts.added + counts.changed + counts.unchanged + counts.reused;
    assert_eq!(all, counts.files + counts.symlinks + counts.specials, "{counts:?}");
    assert_right(kitchen);
    kitchen.age();
    (summary, reading.0.into_inner())
}

fn run(kitchen: &mut Kitchen) -> BackupSummary {
    read_in_run(kitchen).0
}

fn assert_right(kitchen: &Kitchen) {
    let reader = kitchen.job().catalog().expect("a catalog");
    assert_eq!(fingerprint::check(&reader).expect("read").wrong, 0);
    kitchen.assert_sound();
    kitchen.assert_accounts();
    kitchen.assert_claims();
}

fn rename(kitchen: &Kitchen, from: &str, to: &str) {
    let edit = Edit::Rename { from: from.into(), to: to.into() };
    linksnap_testkit::tree::try_apply(&kitchen.source, &edit).expect("renamed");
}

/// The inode under a path of the newest snapshot.
fn stored(kitchen: &Kitchen, path: &str) -> u64 {
    let latest = kitchen.job_dir().join("latest");
    fs::symlink_metadata(kitchen.in_snapshot(&latest).join(path)).expect("it is there").ino()
}

#[test]
fn a_renamed_directory_is_linked_unread() {
    let mut kitchen = kitchen();
    let before = stored(&kitchen, "d/sub/deep");
    rename(&kitchen, "d", "e");
    let (summary, bytes) = read_in_run(&mut kitchen);
    let counts = summary.counts;
    assert_eq!((counts.moved, counts.reused, bytes), (FILES, FILES, 0));
    // The empty file and the symbolic link are made anew.
    assert_eq!((counts.added, counts.copied_bytes, counts.made_inodes), (2, 0, 2));
    assert_eq!((counts.linked_entries, counts.removed), (FILES + 1, FILES + 2));
    assert_eq!(stored(&kitchen, "e/sub/deep"), before);
    let next = run(&mut kitchen).counts;
    assert_eq!((next.reused, next.copied_files, next.made_inodes), (0, 0, 0));
}

#[test]
fn a_renamed_file_is_read_and_linked() {
    let mut kitchen = kitchen();
    let before = stored(&kitchen, "d/3");
    rename(&kitchen, "d/3", "d/three");
    let (summary, bytes) = read_in_run(&mut kitchen);
    assert_eq!((summary.counts.moved, summary.counts.made_inodes, bytes), (1, 0, 9));
    assert_eq!(stored(&kitchen, "d/three"), before);
}

#[test]
fn a_file_that_goes_from_place_to_place_stays_one_inode() {
    let mut kitchen = kitchen();
    let before = stored(&kitchen, "log");
    for (from, to) in [("log", "d/a"), ("d/a", "b"), ("b", "new/c"), ("new/c", "b"), ("b", "log")] {
        rename(&kitchen, from, to);
        assert_eq!(run(&mut kitchen).counts.moved, 1, "{from} to {to}");
        assert_eq!(stored(&kitchen, to), before);
    }
    let reader = kitchen.job().catalog().expect("a catalog");
    assert_eq!(reader.names_of(before).expect("read").len(), 6);
}

#[test]
fn logs_that_are_rotated_are_not_copied() {
    let mut kitchen = kitchen();
    for round in 1..=4_u8 {
        for number in (1..round).rev() {
            rename(&kitchen, &format!("log.{number}"), &format!("log.{}", number + 1));
        }
        rename(&kitchen, "log", "log.1");
        drop(TreeBuilder::new(&kitchen.source).file("log", vec![b'x'; usize::from(round)]));
        let counts = run(&mut kitchen).counts;
        assert_eq!((counts.moved, counts.copied_files, counts.changed), (u64::from(round), 1, 1));
    }
    assert_eq!(run(&mut kitchen).counts.made_inodes, 0);
}

#[test]
fn a_directory_moved_into_another_and_between_sources_is_not_copied() {
    let mut kitchen = kitchen();
    let base = kitchen.source.clone();
    rename(&kitchen, "d", "one/inner");
    fs::create_dir(base.join("two")).expect("a directory");
    assert_eq!(run(&mut kitchen).counts.moved, FILES);
    kitchen.options.sources = vec![base.join("one"), base.join("two")];
    fs::remove_file(base.join("log")).expect("removed");
    drop(run(&mut kitchen));
    rename(&kitchen, "one/inner/sub", "two/sub");
    rename(&kitchen, "one/inner/4", "two/4");
    assert_eq!(run(&mut kitchen).counts.moved, 2);
}

#[test]
fn files_that_change_places_keep_their_own_bytes() {
    let mut kitchen = kitchen();
    let same_times = |tree: TreeBuilder| tree.mtime("d/1", 1_700_000_000, 5).mtime("d/2", 1_700_000_000, 5);
    drop(same_times(TreeBuilder::new(&kitchen.source)));
    drop(run(&mut kitchen));
    for _ in 0..2 {
        rename(&kitchen, "d/1", "between");
        rename(&kitchen, "d/2", "d/1");
        rename(&kitchen, "between", "d/2");
        drop(run(&mut kitchen));
    }
}

#[test]
fn what_changes_on_its_way_is_copied() {
    let mut kitchen = kitchen();
    drop(TreeBuilder::new(&kitchen.source).file("d/x", b"has attributes").xattr("d/x", "user.x", b"old"));
    drop(run(&mut kitchen));
    let tree = TreeBuilder::new(&kitchen.source)
        // Of the same size and time: only reading tells.
        .edit(Edit::RewriteKeepingMtime { path: "d/1".into() })
        .mode("d/2", 0o600)
        .file("d/3", b"content 3 and more")
        .mtime("d/4", 1_700_000_000, 5)
        .owner("d/5", 17, 18)
        .xattr("d/x", "user.x", b"new");
    let names = ["1", "2", "3", "4", "5", "x"];
    drop(names.iter().fold(tree, |tree, name| tree.rename(format!("d/{name}"), format!("e/{name}"))));
    let counts = run(&mut kitchen).counts;
    assert_eq!((counts.moved, counts.copied_files, counts.made_inodes), (0, 6, 6));
}

#[test]
fn what_changes_in_a_renamed_directory_is_copied() {
    let mut kitchen = kitchen();
    rename(&kitchen, "d", "e");
    drop(TreeBuilder::new(&kitchen.source).edit(Edit::RewriteKeepingMtime { path: "e/1".into() }));
    let counts = run(&mut kitchen).counts;
    assert_eq!((counts.moved, counts.copied_files), (FILES - 1, 2));
}

/// The inode under the old name and the moved one claim the same stored inode, whichever comes first.
#[test]
fn a_copy_left_in_the_old_place_is_a_file_of_its_own() {
    for (from, to) in [("d/1", "d/x"), ("d/1", "d/0x"), ("d/1", "a"), ("log", "d/log")] {
        let mut kitchen = kitchen();
        let mtime = fs::metadata(kitchen.source.join(from)).expect("it is there");
        let content = fs::read(kitchen.source.join(from)).expect("read");
        rename(&kitchen, from, to);
        let nanoseconds = u32::try_from(mtime.mtime_nsec()).expect("a part of a second");
        drop(TreeBuilder::new(&kitchen.source).file(from, content).mtime(from, mtime.mtime(), nanoseconds));
        let counts = run(&mut kitchen).counts;
        assert_eq!((counts.reused, counts.made_inodes), (1, 1), "{from} to {to}");
        assert_ne!(stored(&kitchen, from), stored(&kitchen, to));
        assert_eq!(run(&mut kitchen).counts.made_inodes, 0);
        kitchen.assert_restores();
    }
}

#[test]
fn a_moved_file_that_gets_further_names_is_one_group() {
    let mut kitchen = kitchen();
    rename(&kitchen, "d/1", "moved");
    drop(run(&mut kitchen));
    drop(TreeBuilder::new(&kitchen.source).hard_link("moved", "named").hard_link("moved", "d/third"));
    assert_eq!(run(&mut kitchen).counts.made_inodes, 0);
    kitchen.assert_restores();
    // Names of a group are stored anew under other paths.
    drop(TreeBuilder::new(&kitchen.source).rename("moved", "e/moved").delete("named").rename("d/third", "f"));
    drop(run(&mut kitchen));
    drop(kitchen.delete(&["latest~2"]));
    drop(run(&mut kitchen));
    kitchen.assert_restores();
}

/// Two filesystems made alike have inodes of the same numbers: that they were seen is not yet a move.
#[test]
fn the_same_number_on_another_filesystem_is_another_file() {
    let disks = [(); 2].map(|()| LoopFs::create(FsKind::Ext4, 16, &[]));
    let [one, two] = disks;
    let (one, two) = (or_skip!(one), or_skip!(two));
    let mut kitchen = Kitchen::new();
    let fill = |disk: &LoopFs| {
        let tree = TreeBuilder::new(disk.path()).file("file", b"the same").file("other", b"same, too");
        drop(tree.mtime("file", 1_700_000_000, 5).mtime("other", 1_700_000_000, 5));
        fs::metadata(disk.path().join("file")).expect("it is there").ino()
    };
    assert_eq!(fill(&one), fill(&two));
    kitchen.options.one_file_system = false;
    kitchen.options.sources = vec![one.path()];
    drop(kitchen.backup());
    kitchen.age();
    kitchen.options.sources.push(two.path());
    let stored = |summary: &BackupSummary, disk: &LoopFs| {
        let path = disk.path().join("file");
        let path = summary.path.join(path.strip_prefix("/").expect("absolute"));
        fs::metadata(path).expect("it is there").ino()
    };
    let both = kitchen.backup();
    assert_eq!((both.problems.list.clone(), both.counts.moved), (vec![], 0));
    assert_ne!(stored(&both, &one), stored(&both, &two));
    assert_right(&kitchen);
    kitchen.age();
    // One of two that the number was seen of.
    fs::create_dir(one.path().join("in")).expect("a directory");
    fs::rename(one.path().join("file"), one.path().join("in/file")).expect("renamed");
    let moved = kitchen.backup();
    assert_eq!((moved.counts.moved, moved.counts.made_inodes), (1, 0));
    assert_ne!(stored(&moved, &two), stored(&both, &one));
    assert_right(&kitchen);
}

#[test]
fn snapshots_with_the_old_and_the_new_name_are_deleted_in_any_order() {
    let deletions: [&[&str]; 6] = [
        &["latest~2"],
        &["latest"],
        &["latest~1"],
        &["latest~2", "latest~1"],
        &["latest", "latest~1"],
        &["latest", "latest~2"],
    ];
    for doomed in deletions {
        let mut kitchen = kitchen();
        rename(&kitchen, "d", "e");
        drop(run(&mut kitchen));
        rename(&kitchen, "e/1", "f/one");
        drop(run(&mut kitchen));
        drop(kitchen.delete(doomed));
        assert_right(&kitchen);
        let counts = run(&mut kitchen).counts;
        assert!(counts.moved > 0 || counts.made_inodes == 0, "{doomed:?}: {counts:?}");
        assert_eq!(counts.copied_bytes, 0, "{doomed:?}");
    }
}

#[test]
fn directories_move_over_retired_trees() {
    let mut kitchen = kitchen();
    kitchen.keep_last(2);
    for round in 0..8 {
        let names = ["d", "e", "f"];
        rename(&kitchen, names[round % 3], names[(round + 1) % 3]);
        let counts = run(&mut kitchen).counts;
        assert_eq!((counts.moved, counts.copied_bytes), (FILES, 0), "{counts:?}");
        if round % 3 == 1 {
            let counts = run(&mut kitchen).counts;
            assert_eq!((counts.reused, counts.made_inodes), (0, 0));
        }
        if round == 5 {
            drop(kitchen.try_prune(1, Fate::Scaffold, &Silent).expect("pruned"));
        }
    }
}

#[test]
fn a_resumed_run_is_right_whatever_moved_meanwhile() {
    for after in 1..14 {
        let mut kitchen = kitchen();
        kitchen.options.threads = Some(1);
        rename(&kitchen, "d", "a");
        rename(&kitchen, "log", "z/log");
        drop(TreeBuilder::new(&kitchen.source).file("log", b"one\n"));
        drop(kitchen.try_backup(&AfterCheckpoint::new(after)));
        rename(&kitchen, "a/1", "y/one");
        rename(&kitchen, "a/2", "d/2");
        rename(&kitchen, "z/log", "b/log");
        if after % 2 == 0 {
            kitchen.age();
        }
        drop(run(&mut kitchen));
        assert_eq!(run(&mut kitchen).counts.made_inodes, 0);
    }
}

/// Renames a file of the source when it has been stored under its old name.
struct Renamer {
    stored: PathBuf,
    from: PathBuf,
    to: PathBuf,
}

impl Monitor for Renamer {
    fn progress(&self, _: &Progress) {
        if self.stored.exists() && self.from.exists() {
            fs::rename(&self.from, &self.to).expect("renamed");
        }
    }
}

#[test]
fn a_file_renamed_between_two_looks_is_two_files_again_when_there_are_two() {
    let mut kitchen = Kitchen::new();
    kitchen.options.threads = Some(1);
    drop(TreeBuilder::new(&kitchen.source).file("a/file", "content").file("b/other", "x"));
    drop(run(&mut kitchen));
    let [from, to] = ["a/file", "b/file"].map(|path| kitchen.source.join(path));
    let stored = kitchen.in_snapshot(&kitchen.workshop().join("staging")).join("a/file");
    let summary = kitchen.try_backup(&Renamer { stored, from: from.clone(), to: to.clone() });
    let snapshot = kitchen.in_snapshot(&summary.expect("a snapshot").path);
    let inode = |path: &str| fs::metadata(snapshot.join(path)).expect("it is there").ino();
    assert_eq!(inode("a/file"), inode("b/file"), "as the run saw it");
    kitchen.age();
    let copied = std::process::Command::new("cp").arg("-p").args([&to, &from]).status();
    assert!(copied.is_ok_and(|status| status.success()));
    for _ in 0..2 {
        let summary = run(&mut kitchen);
        let snapshot = kitchen.in_snapshot(&summary.path);
        let inode = |path: &str| fs::metadata(snapshot.join(path)).expect("it is there").ino();
        assert_ne!(inode("a/file"), inode("b/file"), "two files, two inodes");
    }
}

#[test]
fn a_new_catalog_knows_what_was_moved() {
    let mut kitchen = kitchen();
    rename(&kitchen, "d", "e");
    drop(run(&mut kitchen));
    drop(reindex::reindex(&kitchen.job(), "a test", &Silent).expect("a new catalog"));
    kitchen.assert_accounts();
    assert_eq!(run(&mut kitchen).counts.made_inodes, 0);
    rename(&kitchen, "e", "d");
    let counts = run(&mut kitchen).counts;
    assert_eq!((counts.moved, counts.copied_bytes), (FILES, 0));
}

#[test]
fn what_the_basis_has_lost_is_copied_and_what_was_changed_in_it_is_told() {
    let mut kitchen = kitchen();
    let basis = kitchen.in_snapshot(&kitchen.job_dir().join("latest"));
    fs::remove_file(basis.join("d/1")).expect("sabotaged");
    fs::remove_file(basis.join("d/2")).expect("sabotaged");
    fs::write(basis.join("d/2"), b"content 2").expect("sabotaged");
    let mode = fs::Permissions::from_mode(0o666);
    fs::set_permissions(basis.join("d/3"), mode).expect("sabotaged");
    rename(&kitchen, "d", "e");
    let summary = kitchen.backup();
    assert_eq!(Listing::read(&kitchen.source).diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
    // Those three, one that is empty and one that is a symbolic link.
    assert_eq!(summary.counts.made_inodes, 3 + 2);
    let told: Vec<_> =
        summary.problems.list.iter().map(|problem| (problem.kind, &problem.path[..])).collect();
    let path = |name: &str| kitchen.source.join(name).into_os_string().into_vec();
    let (two, three) = (path("e/2"), path("e/3"));
    assert_eq!(told, [(ProblemKind::Damage, &two[..]), (ProblemKind::Damage, &three[..])]);
}

#[test]
fn a_dry_run_says_what_was_moved() {
    let mut kitchen = kitchen();
    rename(&kitchen, "d", "e");
    rename(&kitchen, "log", "log.1");
    let mut steps = Vec::new();
    let mut note = |step: &PlannedStep| steps.push(step.clone());
    let (repository, job) = (kitchen.open(), Kitchen::job_name());
    let planned =
        backup::preview(Some(&repository), &job, &kitchen.options, &mut note, &Silent).expect("a plan");
    let moved: Vec<_> = steps.iter().filter(|step| step.reason == "moved from elsewhere").collect();
    assert_eq!(moved.len() as u64, FILES + 1);
    let of = |name: &str| {
        let path = kitchen.source.join(name);
        moved.iter().find(|step| Path::new(std::str::from_utf8(&step.path).expect("text")) == path)
    };
    assert_eq!(of("e/1").map(|step| (step.action, step.bytes)), Some(("link", 0)));
    assert_eq!(of("log.1").map(|step| (step.action, step.bytes)), Some(("reuse", 4)));
    let done = run(&mut kitchen).counts;
    assert_eq!((planned.counts.moved, planned.counts.reused), (done.moved, done.reused));
    assert_eq!((planned.counts.added, planned.counts.copied_bytes), (done.added, done.copied_bytes));
}

#[test]
fn random_moves_are_right() {
    let mut chance = Chance(11);
    let mut kitchen = Kitchen::new();
    plenty(&kitchen);
    kitchen.keep_last(4);
    drop(run(&mut kitchen));
    let mut moved = 0;
    for _ in 0..25 {
        for _ in 0..=chance.below(4) {
            let paths: Vec<_> =
                Listing::read(&kitchen.source).iter().map(|(path, _)| path.to_path_buf()).collect();
            let mut some =
                || paths[usize::try_from(chance.below(paths.len() as u64)).expect("small")].clone();
            let (from, to) = (some(), some());
            let to = if chance.below(2) == 0 { to } else { to.with_extension("x") };
            apply(&kitchen.source, &[Edit::Rename { from, to }]);
        }
        moved += run(&mut kitchen).counts.moved;
    }
    assert!(moved > 20, "only {moved} files were moved");
    kitchen.assert_restores();
}

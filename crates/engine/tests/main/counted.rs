//! What a run costs, in things done, not in seconds.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use linksnap_engine::verbs::backup::{BackupError, BackupSummary, Scaffold, Thoroughness};
use linksnap_engine::{Monitor, Phase, Progress, Silent, Wish};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::{Content, Edit, TreeBuilder};
use linksnap_testkit::{crash, skip, skip_unless};

use crate::kitchen::Kitchen;
use crate::marginal;
use crate::trace::{Call, count, is_trial, traced};

/// Directories of the tree, its root among them.
const DIRECTORIES: u64 = 22;
/// Entries of the tree that are no directories.
const ENTRIES: u64 = 20 * 12 + 3;

/// A tree of some entries of all kinds, whose last directory is empty.
fn some_tree(source: &Path) {
    let mut tree = TreeBuilder::new(source);
    for number in 0..20 {
        for file in 0..10 {
            tree = tree.file(format!("d{number:02}/{file}"), format!("{number} {file}"));
        }
        tree = tree.symlink(format!("d{number:02}/link"), "0");
        tree = tree.file(format!("d{number:02}/long"), vec![b'x'; 200_000]);
    }
    drop(tree.fifo("fifo").hard_link("d00/0", "first").hard_link("d01/link", "link").dir("z"));
}

/// A kitchen with that tree, backed up so long ago that all of it is trusted.
fn old_kitchen(mut kitchen: Kitchen) -> (Kitchen, BackupSummary) {
    some_tree(&kitchen.source);
    let first = kitchen.backup();
    assert_eq!(first.problems.list, []);
    kitchen.age();
    (kitchen, first)
}

fn assert_same_tree(kitchen: &Kitchen, one: &BackupSummary, other: &BackupSummary) {
    let (one, other) = (kitchen.listing(one), kitchen.listing(other));
    assert_eq!(one.diff(&other, Compare::COPY), [""; 0]);
    assert_eq!(one.shared_with(&other).len() as u64, ENTRIES);
}

fn count_versions(kitchen: &Kitchen) -> u64 {
    kitchen.job().catalog().expect("the catalog").count_versions().expect("a count")
}

/// Directories above the source: other tests at work move the times of `/tmp`.
fn above(kitchen: &Kitchen) -> u64 {
    kitchen.source.components().count() as u64 - 1
}

#[test]
fn an_unchanged_tree_costs_one_link_for_each_entry() {
    let (mut kitchen, first) = old_kitchen(Kitchen::new());
    let versions = count_versions(&kitchen);
    for _ in 0..2 {
        let watcher = Watcher::default();
        let next = kitchen.try_backup(&watcher).expect("a snapshot");
        let counts = next.counts;
        assert_eq!((counts.linked_entries, counts.kept_entries), (ENTRIES, 0));
        assert_eq!((counts.copied_files, counts.copied_bytes, counts.reused), (0, 0, 0));
        assert_eq!((counts.added, counts.changed, counts.removed, counts.unchanged), (0, 0, 0, ENTRIES));
        assert_eq!(watcher.bytes.load(Ordering::Relaxed), 0, "something was read");
        assert_eq!(kitchen.begun_versions(), 0);
        assert!(next.version_rows <= 2 * above(&kitchen));
        assert_same_tree(&kitchen, &first, &next);
    }
    assert!(count_versions(&kitchen) <= versions + 2 * above(&kitchen));
}

#[test]
fn a_change_costs_what_changed() {
    let (mut kitchen, _) = old_kitchen(Kitchen::new());
    let changed = TreeBuilder::new(&kitchen.source).file("d03/5", b"other").file("d04/new", b"12345");
    drop(changed.delete("d05/7").mode("d06/long", 0o600));
    let next = kitchen.backup();
    let counts = next.counts;
    assert_eq!((counts.copied_files, counts.copied_bytes), (3, 10 + 200_000));
    // One went away, one came, and two were replaced.
    assert_eq!(counts.linked_entries, ENTRIES - 3);
    assert_eq!((counts.added, counts.removed), (1, 1));
    // Beside these three, the directories whose times moved.
    assert_eq!(kitchen.begun_versions(), 3 + 2);
}

#[test]
fn what_is_too_young_to_be_trusted_is_read_but_neither_copied_nor_recorded() {
    let mut kitchen = Kitchen::new();
    some_tree(&kitchen.source);
    let first = kitchen.backup();
    let versions = count_versions(&kitchen);
    let watcher = Watcher::default();
    let next = kitchen.try_backup(&watcher).expect("a snapshot");
    assert_eq!((next.counts.copied_files, next.counts.linked_entries), (0, ENTRIES));
    assert_eq!((next.counts.reused, kitchen.begun_versions()), (ENTRIES, 0));
    assert!(count_versions(&kitchen) <= versions + 2 * above(&kitchen));
    assert!(watcher.bytes.load(Ordering::Relaxed) >= 20 * 200_000);
    assert_same_tree(&kitchen, &first, &next);
}

/// Counts bytes read; has a checkpoint made when so many directories are done, and stops the run when that is done.
#[derive(Default)]
struct Watcher {
    stop_after_directories: Option<u64>,
    directories: AtomicU64,
    bytes: AtomicU64,
    asked: AtomicBool,
    vouched: AtomicBool,
}

impl Monitor for Watcher {
    fn progress(&self, progress: &Progress) {
        self.directories.store(progress.directories(), Ordering::Relaxed);
        self.bytes.store(progress.bytes(), Ordering::Relaxed);
    }

    fn wish(&self) -> Wish {
        let done = self.directories.load(Ordering::Relaxed);
        if self.stop_after_directories.is_none_or(|most| done < most) {
            return Wish::GoOn;
        }
        if !self.asked.swap(true, Ordering::Relaxed) {
            return Wish::Checkpoint;
        }
        while !self.vouched.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        Wish::Stop
    }

    /// The commit follows, whatever anybody wishes then.
    fn reached(&self, phase: Phase) {
        self.vouched.fetch_or(phase == Phase::CheckpointCommit, Ordering::Relaxed);
    }
}

/// A kitchen in which a run was stopped when nothing was left to build but the empty directory at the end.
fn interrupted_kitchen() -> Kitchen {
    let mut kitchen = Kitchen::new();
    some_tree(&kitchen.source);
    stop_before_the_last(&mut kitchen);
    kitchen
}

fn stop_before_the_last(kitchen: &mut Kitchen) {
    // One thread takes the directories in their order.
    kitchen.options.threads = Some(1);
    let last = above(kitchen) + DIRECTORIES - 1;
    let watcher = Watcher { stop_after_directories: Some(last), ..Watcher::default() };
    let stopped = kitchen.try_backup(&watcher);
    assert!(matches!(stopped, Err(BackupError::Interrupted)), "{stopped:?}");
}

#[test]
fn what_an_interrupted_run_vouches_for_is_kept() {
    let mut kitchen = interrupted_kitchen();
    let staging = Listing::read(&kitchen.in_snapshot(&kitchen.job().workshop_path(b"staging")));
    let resumed = kitchen.backup();
    let counts = resumed.counts;
    assert_eq!(resumed.scaffold, Scaffold::Interrupted);
    assert_eq!((counts.kept_entries, counts.linked_entries, counts.copied_files), (ENTRIES, 0, 0));
    assert_eq!(kitchen.listing(&resumed).shared_with(&staging).len() as u64, ENTRIES);
    assert_eq!(Listing::read(&kitchen.source).diff(&kitchen.listing(&resumed), Compare::COPY), [""; 0]);
    kitchen.assert_sound();
}

#[test]
fn what_an_interrupted_run_vouches_for_is_not_even_read_when_it_is_old_enough() {
    let mut kitchen = interrupted_kitchen();
    kitchen.age();
    let watcher = Watcher::default();
    let resumed = kitchen.try_backup(&watcher).expect("a snapshot");
    assert_eq!((resumed.counts.kept_entries, resumed.counts.copied_files), (ENTRIES, 0));
    assert_eq!(watcher.bytes.load(Ordering::Relaxed), 0, "something was read");
    kitchen.assert_sound();
}

/// A complete scaffold of linked entries: nothing is linked again, whether it was vouched for or not.
#[test]
fn a_run_that_died_before_the_last_sync_is_kept_whole_by_the_next() {
    let own = tempfile::tempdir().expect("a temporary directory");
    let (mut kitchen, first) = old_kitchen(Kitchen::in_dir(own.path()));
    let died = child(own.path(), "die").status().expect("the child runs");
    assert!(crash::was_killed(died));
    let next = kitchen.backup();
    let counts = next.counts;
    assert_eq!((counts.kept_entries, counts.linked_entries, counts.copied_files), (ENTRIES, 0, 0));
    assert_same_tree(&kitchen, &first, &next);
    kitchen.assert_sound();
}

/// Where the child finds the kitchen.
const BASE: &str = "LINKSNAP_TEST_BASE";
/// What the child is to do: `die` before the last sync, `keep` the last two snapshots, `weigh` what it allocates, or none
/// of these.
const DEED: &str = "LINKSNAP_TEST_DEED";
/// When.
const NOW: &str = "LINKSNAP_TEST_NOW";

pub fn child(base: &Path, deed: &str) -> Command {
    crash::child("counted::child_entry", &[(BASE, base.as_os_str()), (DEED, OsStr::new(deed))])
}

#[test]
#[ignore = "run as a child by the tests here"]
#[expect(clippy::disallowed_methods, reason = "so a child is told what to do")]
fn child_entry() {
    let Some(base) = std::env::var_os(BASE) else { return };
    let mut kitchen = Kitchen::in_dir(Path::new(&base));
    kitchen.options.validate = Thoroughness::Share(u32::MAX);
    match std::env::var(DEED).as_deref() {
        Ok("die") => drop(kitchen.try_backup(&Mortal)),
        Ok("keep") => {
            kitchen.keep_last(2);
            kitchen.options.now = std::env::var(NOW).expect("set").parse().expect("a number");
            drop(kitchen.try_backup(&Silent).expect("a snapshot"));
        }
        Ok("weigh") => marginal::weigh(&mut kitchen),
        _ => drop(kitchen.try_backup(&Silent).expect("a snapshot")),
    }
}

/// Dies when all is built.
struct Mortal;

impl Monitor for Mortal {
    fn reached(&self, phase: Phase) {
        if phase == Phase::Sync {
            crash::die();
        }
    }
}

/// Runs a backup under strace(1) and returns the calls that it made.
fn traced_backup(base: &Path) -> Option<Vec<Call>> {
    traced(base, &child(base, "live"))
}

#[test]
fn an_unchanged_tree_costs_one_stat_and_one_link_for_each_entry_and_none_in_the_basis() {
    skip_unless!(skip::has_tool("strace"), "strace is missing");
    let own = tempfile::tempdir().expect("a temporary directory");
    let base = std::fs::canonicalize(own.path()).expect("it is there");
    let (kitchen, first) = old_kitchen(Kitchen::in_dir(&base));
    let calls = traced_backup(&base);
    skip_unless!(calls.is_some(), "strace may not trace here");
    let calls = calls.expect("just looked");
    let published = kitchen.snapshots();
    assert_eq!(published.len(), 2, "the traced run published nothing");

    let stat_like = |call: &Call| call.name.contains("stat") && !call.name.contains("statfs");
    let in_tree = |call: &Call, root: &Path| call.rest.contains(root.to_str().expect("plain bytes"));
    let links = count(&calls, |call| call.name == "linkat" && !is_trial(call));
    assert_eq!(links, ENTRIES);
    let in_source = |call: &Call| in_tree(call, &kitchen.source) && !in_tree(call, &kitchen.repository);
    let stats = count(&calls, |call| stat_like(call) && in_source(call));
    let most = ENTRIES + 4 * DIRECTORIES;
    assert!((ENTRIES..=most).contains(&stats), "{stats} stats in the source, at most {most} are wanted");

    // Of the basis only its directories are opened, to link from.
    let in_basis = |call: &Call| in_tree(call, &first.path);
    let allowed = ["openat", "openat2", "linkat", "fcntl", "close"];
    let strange: Vec<String> = (calls.iter().filter(|call| in_basis(call)))
        .filter(|call| !allowed.contains(&call.name.as_str()))
        .map(|call| format!("{}({}", call.name, call.rest))
        .collect();
    assert_eq!(strange, [""; 0]);
    let is_open = |call: &Call| call.name.starts_with("open");
    let opened = count(&calls, |call| in_basis(call) && is_open(call));
    assert!(opened <= DIRECTORIES + above(&kitchen), "{opened} opened in the basis");

    // No file of the source was opened, and none was made.
    let of_file = |call: &Call| is_open(call) && !call.rest.contains("O_DIRECTORY");
    assert_eq!(count(&calls, |call| of_file(call) && in_source(call)), 0);
    let staging = kitchen.job().workshop_path(b"staging");
    assert_eq!(count(&calls, |call| of_file(call) && in_tree(call, &staging)), 0);
    let stats = count(&calls, |call| stat_like(call) && in_tree(call, &staging));
    assert!(stats <= 3 * (DIRECTORIES + above(&kitchen)), "{stats} stats in staging");
}

/// Filesystems give the number of an inode that is gone to the next one. What a checkpoint vouches for must not be taken
/// for what a later run, which died, has put in its place under the same number.
#[test]
fn a_number_used_twice_vouches_for_nothing() {
    let mut kitchen = interrupted_kitchen();
    let set =
        |content: &[u8]| drop(TreeBuilder::new(&kitchen.source).file("d03/5", content).mtime("d03/5", 1, 0));
    set(b"AAAA");
    let last = above(&kitchen) + DIRECTORIES - 1;
    let watcher = Watcher { stop_after_directories: Some(last), ..Watcher::default() };
    let source = kitchen.source.clone();
    let set = |content: &[u8]| drop(TreeBuilder::new(&source).file("d03/5", content).mtime("d03/5", 1, 0));
    assert!(kitchen.try_backup(&watcher).is_err());
    set(b"BBBB");
    let base = kitchen.source.parent().expect("a parent").to_path_buf();
    assert!(crash::was_killed(child(&base, "die").status().expect("the child runs")));
    set(b"AAAA");
    let resumed = kitchen.backup();
    assert_eq!(Listing::read(&kitchen.source).diff(&kitchen.listing(&resumed), Compare::COPY), [""; 0]);
    kitchen.assert_sound();
}

/// A kitchen that keeps two snapshots, so long ago that all is trusted, with a scaffold of the same tree.
fn steady_kitchen(kitchen: Kitchen) -> Kitchen {
    let (mut kitchen, _) = old_kitchen(kitchen);
    kitchen.options.validate = Thoroughness::Share(u32::MAX);
    kitchen.keep_last(2);
    for _ in 0..3 {
        drop(kitchen.backup());
        kitchen.age();
    }
    kitchen
}

#[test]
fn an_unchanged_tree_costs_nothing_in_its_steady_state() {
    let mut kitchen = steady_kitchen(Kitchen::new());
    for _ in 0..3 {
        let watcher = Watcher::default();
        let next = kitchen.try_backup(&watcher).expect("a snapshot");
        let counts = next.counts;
        assert_eq!(next.scaffold, Scaffold::Recycled);
        assert_eq!((counts.kept_entries, counts.unchanged), (ENTRIES, ENTRIES));
        assert_eq!((counts.linked_entries, counts.made_inodes, counts.reused), (0, 0, 0));
        assert_eq!(watcher.bytes.load(Ordering::Relaxed), 0, "something was read");
        assert!(next.version_rows <= 2 * above(&kitchen), "{}", next.version_rows);
        let pruned = next.pruned.expect("retention");
        assert_eq!(pruned.plan.retained.dropped().count(), 1);
        // Its directories: all else is the others' as well.
        assert!(pruned.freed.inodes <= DIRECTORIES + above(&kitchen), "{:?}", pruned.freed);
        assert_eq!(pruned.freed.bytes, 0);
    }
    kitchen.assert_claims();
    kitchen.assert_accounts();
}

/// Each run links what the two before it have made, and takes away what stood in their place.
#[test]
fn a_change_costs_what_changed_in_the_steady_state_too() {
    for changed in [1_u64, 7, 50] {
        let mut kitchen = steady_kitchen(Kitchen::new());
        for round in 0..6_u64 {
            for number in 0..changed {
                let file = round * changed + number;
                let path = format!("d{:02}/{}", file / 10 % 20, file % 10);
                // Of the two with further names one is enough: they would change together.
                drop(TreeBuilder::new(&kitchen.source).edit(Edit::Replace {
                    path: path.into(),
                    content: Content::Bytes(format!("round {round}").into_bytes()),
                }));
            }
            kitchen.age();
            let next = kitchen.backup();
            let counts = next.counts;
            assert_eq!((counts.copied_files, next.scaffold), (changed, Scaffold::Recycled), "{counts:?}");
            assert!(counts.linked_entries <= 3 * changed, "{changed} changed: {counts:?}");
            assert!(counts.kept_entries >= ENTRIES - 4 * changed, "{changed} changed: {counts:?}");
            let most = 4 * changed + 2 * above(&kitchen) + 2 * DIRECTORIES;
            assert!(next.version_rows <= most, "{changed} changed: {} rows", next.version_rows);
        }
        kitchen.assert_claims();
    }
}

#[test]
fn no_entry_is_touched_in_the_steady_state() {
    skip_unless!(skip::has_tool("strace"), "strace is missing");
    let own = tempfile::tempdir().expect("a temporary directory");
    let base = std::fs::canonicalize(own.path()).expect("it is there");
    let kitchen = steady_kitchen(Kitchen::in_dir(&base));
    let mut child = child(&base, "keep");
    child.env(NOW, kitchen.options.now.to_string());
    let calls = traced(&base, &child);
    skip_unless!(calls.is_some(), "strace may not trace here");
    let calls = calls.expect("just looked");
    assert_eq!(kitchen.named().len(), 2);
    let repository = kitchen.repository.to_str().expect("plain bytes");
    let in_repository = |call: &Call| call.rest.contains(repository) && !is_trial(call);
    let of = |name: &str| count(&calls, |call| call.name == name && in_repository(call));
    assert_eq!(of("linkat"), 0);
    // `latest`, the clock, and the like.
    assert!(of("unlinkat") <= 8, "{} removed", of("unlinkat"));
    assert!(of("renameat2") <= 6, "{} renamed", of("renameat2"));
    let tree = kitchen.source.strip_prefix("/").expect("absolute").to_str().expect("plain bytes");
    let stat_like = |call: &Call| call.name.contains("stat") && !call.name.contains("statfs");
    let most = 3 * (DIRECTORIES + above(&kitchen));
    let stats = count(&calls, |call| stat_like(call) && in_repository(call) && call.rest.contains(tree));
    assert!(stats <= most, "{stats} stats of {ENTRIES} entries in the repository");
    // No file of either side was opened.
    let of_file = |call: &Call| call.name.starts_with("open") && !call.rest.contains("O_DIRECTORY");
    assert_eq!(count(&calls, |call| of_file(call) && call.rest.contains(tree)), 0);
}

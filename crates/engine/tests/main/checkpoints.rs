//! When checkpoints are made, and when not.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use linksnap_engine::verbs::backup::BackupError;
use linksnap_engine::verbs::restore::{Existing, Extra, RestoreError, RestoreOptions};
use linksnap_engine::{Monitor, Phase, Progress, Wish};
use linksnap_inode::Errno;
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::or_skip;
use linksnap_testkit::tree::TreeBuilder;

use crate::kitchen::Kitchen;

const MIB: u64 = 1 << 20;

/// Notes how many bytes were read at the sync of each checkpoint; stops the run after so many of them.
struct Watcher {
    volume: u64,
    stop_after: usize,
    bytes: AtomicU64,
    syncs: Mutex<Vec<u64>>,
    stopped_at: Mutex<Option<usize>>,
}

impl Watcher {
    fn new(volume: u64, stop_after: usize) -> Self {
        let (bytes, syncs, stopped_at) = (AtomicU64::new(0), Mutex::default(), Mutex::default());
        Self { volume, stop_after, bytes, syncs, stopped_at }
    }

    fn syncs(&self) -> Vec<u64> {
        self.syncs.lock().expect("no panic").clone()
    }
}

impl Monitor for Watcher {
    fn progress(&self, progress: &Progress) {
        self.bytes.store(progress.bytes(), Ordering::Relaxed);
    }

    fn reached(&self, phase: Phase) {
        if phase == Phase::CheckpointSync {
            self.syncs.lock().expect("no panic").push(self.bytes.load(Ordering::Relaxed));
        }
    }

    fn checkpoint_bytes(&self) -> u64 {
        self.volume
    }

    fn wish(&self) -> Wish {
        let syncs = self.syncs().len();
        if syncs < self.stop_after {
            return Wish::GoOn;
        }
        self.stopped_at.lock().expect("no panic").get_or_insert(syncs);
        Wish::Stop
    }
}

/// A sync writes all that waits, whatever it vouches for: in the middle of a file as well.
#[test]
fn nothing_is_copied_far_ahead_of_the_disk() {
    let mut kitchen = Kitchen::new();
    let tree = TreeBuilder::new(&kitchen.source).file("huge", vec![1; 40 << 20]);
    drop((0..200).fold(tree, |tree, number| tree.file(format!("small/{number}"), vec![2; 50_000])));
    let volume = 4 * MIB;
    let watcher = Watcher::new(volume, usize::MAX);
    drop(kitchen.try_backup(&watcher).expect("a snapshot"));
    let syncs = watcher.syncs();
    assert!(syncs.len() >= 9, "{syncs:?}");
    // One that is being made, one that is filling, and what each of the workers has just read.
    let ahead = syncs.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(ahead.is_some_and(|ahead| ahead <= 2 * volume + 8 * MIB), "{syncs:?}");
    kitchen.assert_sound();
}

fn options(kitchen: &Kitchen, target: &Path) -> RestoreOptions {
    let target = target.to_path_buf();
    RestoreOptions { target, existing: Existing::Refuse, ..kitchen.in_place(Extra::Stay) }
}

#[test]
fn nothing_is_restored_far_ahead_of_the_disk() {
    let mut kitchen = Kitchen::new();
    let tree = TreeBuilder::new(&kitchen.source).file("huge", vec![1; 40 << 20]);
    drop((0..200).fold(tree, |tree, number| tree.file(format!("small/{number}"), vec![2; 50_000])));
    drop(kitchen.backup());
    let volume = 4 * MIB;
    let watcher = Watcher::new(volume, usize::MAX);
    let target = tempfile::tempdir().expect("a target");
    let restored = kitchen.try_restore("latest", &options(&kitchen, target.path()), &watcher);
    assert_eq!(restored.expect("restored").bytes, (40 << 20) + 200 * 50_000);
    let syncs = watcher.syncs();
    assert!(syncs.len() >= 9, "{syncs:?}");
    let ahead = syncs.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(ahead.is_some_and(|ahead| ahead <= 2 * volume + 8 * MIB), "{syncs:?}");
}

/// Takes a disk's power when it is first to be synced.
struct Cut<'a>(&'a LoopFs);

impl Monitor for Cut<'_> {
    fn reached(&self, phase: Phase) {
        if phase == Phase::CheckpointSync {
            self.0.shutdown();
        }
    }

    fn checkpoint_bytes(&self) -> u64 {
        MIB
    }
}

#[test]
fn a_disk_that_fails_while_it_is_written_ends_the_restore() {
    let mut kitchen = Kitchen::new();
    let tree = TreeBuilder::new(&kitchen.source);
    drop((0..300).fold(tree, |tree, number| tree.file(format!("{}/{number}", number % 7), vec![2; 50_000])));
    drop(kitchen.backup());
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 64, &[]));
    let restored = kitchen.try_restore("latest", &options(&kitchen, &disk.path()), &Cut(&disk));
    assert!(matches!(&restored, Err(RestoreError::Fs(error)) if error.is(Errno::IO)), "{restored:?}");
    kitchen.assert_sound();
}

#[test]
fn a_run_that_is_to_stop_begins_no_sync() {
    let mut kitchen = Kitchen::new();
    let tree = TreeBuilder::new(&kitchen.source);
    drop((0..300).fold(tree, |tree, number| tree.file(format!("{}/{number}", number % 7), vec![2; 50_000])));
    let watcher = Watcher::new(MIB, 3);
    let stopped = kitchen.try_backup(&watcher);
    assert!(matches!(stopped, Err(BackupError::Interrupted)), "{stopped:?}");
    let at = watcher.stopped_at.lock().expect("no panic").expect("it was asked");
    // One may have been called for already when the first worker asked, and be begun before it was back.
    assert!(watcher.syncs().len() <= at + 1, "{:?} {at}", watcher.syncs());
    let resumed = kitchen.backup();
    assert!(resumed.counts.kept_entries > 0, "what was vouched for is kept");
    kitchen.assert_sound();
}

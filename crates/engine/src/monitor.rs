//! The one seam to whoever watches a verb at work.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::report::Problem;

/// Watches a verb. All methods may be called from several threads at once.
pub trait Monitor: Sync {
    /// Called for every directory and every few megabytes; must be quick.
    fn progress(&self, _progress: &Progress) {}

    /// A path has a problem, or deserves a warning. It will be in the report as well.
    fn problem(&self, _problem: &Problem) {}

    /// A phase begins. Nothing of the phase has been done yet: a process that dies here leaves exactly the
    /// state between two steps of the commit protocol.
    fn reached(&self, _phase: Phase) {}

    /// After so many bytes copied a checkpoint is due, whatever the clock says: the disk is at work while the rest is
    /// being copied, the last sync is short, and so is one that an interruption waits for. A watcher can measure how
    /// long that is, from [`Phase::CheckpointSync`] to [`Phase::CheckpointCommit`].
    fn checkpoint_bytes(&self) -> u64 {
        64 << 20
    }

    /// What the watcher wants. Asked between two files, so that a checkpoint can be due after a time that
    /// only the watcher measures, and a signal can end the run in order.
    fn wish(&self) -> Wish {
        Wish::GoOn
    }
}

/// What a watcher may want of a running verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing special.
    GoOn,
    /// Sync and record what is done so far; answered with `GoOn` until it is due again.
    Checkpoint,
    /// End soon, keep what can be kept.
    Stop,
}

/// The named points of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Looking for what an earlier run left.
    Recover,
    /// Reading the source, building staging.
    Build,
    /// Before a retired tree becomes what the run builds upon.
    Recycle,
    /// Before the sync of a checkpoint.
    CheckpointSync,
    /// Before the catalog commit of a checkpoint.
    CheckpointCommit,
    /// All is built: before the bytes are forced to disk.
    Sync,
    /// Before the catalog commit that marks the snapshot as staged.
    Stage,
    /// Before the sync that ends with everything, catalog included, on disk.
    SyncStaged,
    /// Before the rename that gives staging its name.
    Rename,
    /// Before the directories of the rename are synced.
    SyncRename,
    /// Before `latest` is swapped.
    Latest,
    /// Before the catalog calls the snapshot published.
    Publish,
    /// All is published; before retention.
    Done,
    /// Before `latest` is pointed away from the snapshots that are retired, and they are renamed into the trash.
    Retire,
    /// Before the directories of those renames are synced.
    SyncRetired,
    /// Before the catalog forgets them.
    Forget,
    /// Before what only they held is removed from the tree that is to be the scaffold.
    Release,
    /// Before that tree leaves the trash again.
    KeepScaffold,
    /// Before the trash is emptied.
    EmptyTrash,
}

impl Phase {
    /// The phases in which snapshots are retired, in their order.
    pub const RETIRING: [Self; 6] =
        [Self::Retire, Self::SyncRetired, Self::Forget, Self::Release, Self::KeepScaffold, Self::EmptyTrash];

    /// The phases of every run, in their order.
    pub const ALL: [Self; 12] = [
        Self::Recover,
        Self::Build,
        Self::CheckpointSync,
        Self::CheckpointCommit,
        Self::Sync,
        Self::Stage,
        Self::SyncStaged,
        Self::Rename,
        Self::SyncRename,
        Self::Latest,
        Self::Publish,
        Self::Done,
    ];
}

/// Counters of a running verb.
#[derive(Debug, Default)]
pub struct Progress {
    files: AtomicU64,
    directories: AtomicU64,
    bytes: AtomicU64,
    directory: Mutex<Vec<u8>>,
}

impl Progress {
    /// Entries other than directories dealt with so far.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Directories finished so far.
    #[must_use]
    pub fn directories(&self) -> u64 {
        self.directories.load(Ordering::Relaxed)
    }

    /// Bytes of content read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The directory that was entered last: a path relative to the tree's root.
    #[must_use]
    pub fn directory(&self) -> Vec<u8> {
        self.directory.lock().map(|path| path.clone()).unwrap_or_default()
    }

    pub(crate) fn enter(&self, path: &[u8]) {
        if let Ok(mut directory) = self.directory.lock() {
            directory.clear();
            directory.extend_from_slice(path);
        }
    }

    pub(crate) fn add_files(&self, count: u64) {
        self.files.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn add_directory(&self) {
        self.directories.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }
}

/// A monitor that wants nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {}

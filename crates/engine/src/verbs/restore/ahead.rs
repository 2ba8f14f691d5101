//! Writing ahead: what was restored goes to the disk while the rest is being copied.
//!
//! So the last sync is short, and so is one that an interruption waits for. **Invariant:** what was copied and is not on
//! disk is at most what two syncs may hold, the one at work and the one that is filling.

use std::sync::mpsc::{Receiver, Sender, channel};

use linksnap_inode::{DirFd, Fault};

use super::RestoreError;
use super::scene::Scene;
use crate::monitor::{Monitor, Phase};
use crate::stages::checkpoint::{Checkpoints, Maker};

/// What the workers know of it.
#[derive(Debug, Clone)]
pub(super) struct Ahead<'a> {
    volumes: &'a Checkpoints,
    calls: Sender<DirFd>,
}

impl Ahead<'_> {
    /// Counts bytes copied to the filesystem of `dir`, and calls for a sync if one is due: as soon as the last one is made.
    /// Says whether syncing has failed, and nothing more need be copied.
    pub fn has_failed(&self, bytes: u64, dir: &DirFd, monitor: &dyn Monitor) -> bool {
        self.volumes.add(bytes);
        let volume = monitor.checkpoint_bytes();
        if !self.volumes.is_due(volume) || !self.volumes.claim(volume) {
            return false;
        }
        // Without a descriptor to spare, all is synced in the end.
        let is_heard = dir.reopen().map(|dir| self.calls.send(dir).is_ok());
        if is_heard != Ok(true) {
            self.volumes.made();
        }
        is_heard == Ok(false)
    }
}

/// Lets `work` be done with a thread beside it that syncs what it calls for.
pub(super) fn beside<T>(
    scene: &Scene<'_>,
    work: impl FnOnce(&Ahead<'_>) -> Result<T, RestoreError>,
) -> Result<T, RestoreError> {
    let volumes = Checkpoints::default();
    let (calls, called) = channel();
    std::thread::scope(|scope| {
        let syncing = scope.spawn(|| sync_what_is_called_for(called, &volumes, scene.monitor));
        let ahead = Ahead { volumes: &volumes, calls };
        let done = work(&ahead);
        drop(ahead);
        let synced = syncing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        synced.map_err(|fault| scene.at(b"", fault))?;
        done
    })
}

fn sync_what_is_called_for(
    called: Receiver<DirFd>,
    volumes: &Checkpoints,
    monitor: &dyn Monitor,
) -> Result<(), Fault> {
    // The only receiver is gone before this: who calls when nobody listens learns of it, and none waits for ever.
    let _maker = Maker(volumes);
    for dir in called {
        monitor.reached(Phase::CheckpointSync);
        dir.sync_filesystem()?;
        monitor.reached(Phase::CheckpointCommit);
        volumes.made();
    }
    Ok(())
}

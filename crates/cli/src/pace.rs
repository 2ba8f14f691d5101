//! How much may be copied between two checkpoints, so that a signal need not wait long for a sync.
//!
//! A `syncfs` cannot be interrupted: who ends a run waits for the one at work. How long it takes depends on the disk. So the
//! first checkpoint comes early, and the volume between two follows what the last one took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use linksnap_engine::Phase;

/// How long one sync is meant to take.
const AIM: Duration = Duration::from_millis(200);

/// In bytes. Below the least, catalog commits would cost more than the copying; above the most, a fast disk has nothing to
/// do while the run goes on.
const FIRST: u64 = 32 << 20;
const LEAST: u64 = 16 << 20;
const MOST: u64 = 256 << 20;

/// The volume between two checkpoints, as the last ones would have it.
pub struct Pace {
    volume: AtomicU64,
    syncing: Mutex<Option<Instant>>,
}

impl Pace {
    pub fn new() -> Self {
        Self { volume: AtomicU64::new(FIRST), syncing: Mutex::new(None) }
    }

    /// In bytes.
    pub fn volume(&self) -> u64 {
        self.volume.load(Ordering::Relaxed)
    }

    /// Takes the time of the sync of a checkpoint, which is all between two phases.
    pub fn reached(&self, phase: Phase) {
        let mut syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        match (phase, syncing.take()) {
            (Phase::CheckpointSync, _) => *syncing = Some(Instant::now()),
            (Phase::CheckpointCommit, Some(began)) => {
                self.volume.store(next(self.volume(), began.elapsed()), Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

/// The volume that would have taken as long as meant; at most twice what it was, since a sync may be quick by chance.
fn next(volume: u64, took: Duration) -> u64 {
    let meant = u128::from(volume) * AIM.as_micros() / took.as_micros().max(1);
    u64::try_from(meant).unwrap_or(u64::MAX).min(volume * 2).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::{AIM, Duration, FIRST, LEAST, MOST, next};

    #[test]
    fn the_volume_follows_the_disk() {
        let table = [
            (FIRST, AIM, FIRST),
            (FIRST, AIM * 2, FIRST / 2),
            (FIRST, AIM / 2, FIRST * 2),
            (FIRST, AIM / 100, FIRST * 2),
            (MOST, AIM / 2, MOST),
            (FIRST, AIM * 1000, LEAST),
            (LEAST, Duration::ZERO, LEAST * 2),
        ];
        for (volume, took, wanted) in table {
            assert_eq!(next(volume, took), wanted, "{volume} in {took:?}");
        }
    }
}

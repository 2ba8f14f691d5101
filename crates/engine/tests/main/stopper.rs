//! Runs that are stopped in order.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use linksnap_engine::{Monitor, Phase, Wish};

/// Wants a checkpoint when it is asked for the n-th time, and the end when that is made: what was done by then is vouched
/// for, a little more is not.
pub struct AfterCheckpoint {
    at: u64,
    asked: AtomicU64,
    vouched: AtomicBool,
}

impl AfterCheckpoint {
    pub fn new(at: u64) -> Self {
        Self { at, asked: AtomicU64::new(0), vouched: AtomicBool::new(false) }
    }
}

impl Monitor for AfterCheckpoint {
    fn wish(&self) -> Wish {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        if asked <= self.at {
            return if asked == self.at { Wish::Checkpoint } else { Wish::GoOn };
        }
        // So that not much more is done until then. Not for ever: who was told of the checkpoint may be asking.
        for _ in 0..20 {
            if self.vouched.load(Ordering::Relaxed) {
                return Wish::Stop;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Wish::GoOn
    }

    /// The commit follows, whatever anybody wishes then.
    fn reached(&self, phase: Phase) {
        self.vouched.fetch_or(phase == Phase::CheckpointCommit, Ordering::Relaxed);
    }
}

//! When a checkpoint is due, and who calls for it.
//!
//! **Invariant:** what was copied and is not on disk is at most what two checkpoints may hold: one that is being made, and
//! one that is filling. Who would begin a third waits. So no sync takes much longer than the one before, be it of many
//! small files or of a part of a huge one, and a signal does not wait for minutes of writing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The checkpoints of a run.
#[derive(Debug, Default)]
pub struct Checkpoints {
    /// Bytes copied since the last one was called for.
    copied: AtomicU64,
    /// The watcher wants one.
    wanted: AtomicBool,
    being_made: Mutex<bool>,
    made: Condvar,
}

impl Checkpoints {
    /// Counts bytes copied.
    pub fn add(&self, bytes: u64) {
        self.copied.fetch_add(bytes, Ordering::Relaxed);
    }

    /// One is due, however little was copied.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Is one due, if there is to be one every `volume` bytes?
    pub fn is_due(&self, volume: u64) -> bool {
        self.wanted.load(Ordering::Relaxed) || self.copied.load(Ordering::Relaxed) >= volume
    }

    /// Waits until the last one is made, and says whether the caller has to call for the next. If not, another has.
    pub fn claim(&self, volume: u64) -> bool {
        let mut being_made = self.lock();
        while *being_made && self.is_due(volume) {
            being_made = self.made.wait(being_made).unwrap_or_else(PoisonError::into_inner);
        }
        if !self.is_due(volume) {
            return false;
        }
        self.copied.store(0, Ordering::Relaxed);
        self.wanted.store(false, Ordering::Relaxed);
        *being_made = true;
        true
    }

    /// The one that was called for is made, or nobody will make it.
    pub fn made(&self) {
        *self.lock() = false;
        self.made.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.being_made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that nobody waits for a writer that is gone.
#[derive(Debug)]
pub struct Maker<'a>(pub &'a Checkpoints);

impl Drop for Maker<'_> {
    fn drop(&mut self) {
        self.0.made();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_called_for_at_a_time() {
        let checkpoints = Checkpoints::default();
        assert!(!checkpoints.is_due(10) && !checkpoints.claim(10));
        checkpoints.add(4);
        checkpoints.add(6);
        assert!(checkpoints.is_due(10) && checkpoints.claim(10));
        assert!(!checkpoints.is_due(10), "it was called for");
        checkpoints.want();
        let claimed = std::thread::scope(|scope| {
            let claims = [(); 3].map(|()| scope.spawn(|| checkpoints.claim(10)));
            assert!(claims.iter().all(|claim| !claim.is_finished()), "the first is still being made");
            checkpoints.made();
            // Whoever has it makes it; the others go on.
            claims.map(|claim| claim.join().expect("no panic")).iter().filter(|claimed| **claimed).count()
        });
        assert_eq!(claimed, 1);
    }

    #[test]
    fn nobody_waits_for_a_writer_that_is_gone() {
        let checkpoints = Checkpoints::default();
        checkpoints.want();
        assert!(checkpoints.claim(1));
        checkpoints.want();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| checkpoints.claim(1));
            drop(Maker(&checkpoints));
            assert!(waiting.join().expect("no panic"));
        });
    }
}

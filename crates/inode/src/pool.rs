//! Many directories at once: a last-in-first-out list of work and threads that share it.
//!
//! Last in, first out keeps the list short (the siblings along one path), so that memory does not grow
//! with the tree.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Work to be shared.
#[derive(Debug)]
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    stopped: AtomicBool,
}

#[derive(Debug)]
struct State<T> {
    waiting: Vec<T>,
    unfinished: usize,
}

impl<T> Queue<T> {
    fn new(first: T) -> Self {
        let state = Mutex::new(State { waiting: vec![first], unfinished: 1 });
        Self { state, changed: Condvar::new(), stopped: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work; the last added is done first.
    pub fn extend(&self, work: impl IntoIterator<Item = T>) {
        let mut state = self.lock();
        let before = state.waiting.len();
        state.waiting.extend(work);
        let added = state.waiting.len() - before;
        state.unfinished += added;
        drop(state);
        if added > 0 {
            self.changed.notify_all();
        }
    }

    /// No more work is handed out.
    pub fn stop(&self) {
        // Under the lock: a thread between its last look and its wait would miss the call, and sleep for ever.
        let state = self.lock();
        self.stopped.store(true, Ordering::Relaxed);
        drop(state);
        self.changed.notify_all();
    }

    /// Was it stopped? To be asked in long pieces of work.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if self.is_stopped() || state.unfinished == 0 {
                return None;
            }
            if let Some(work) = state.waiting.pop() {
                return Some(work);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finish_one(&self) {
        let mut state = self.lock();
        state.unfinished -= 1;
        if state.unfinished == 0 {
            self.changed.notify_all();
        }
    }
}

/// Wakes the other threads when one of them dies: its work will never be finished.
struct StopsOnPanic<'a, T>(&'a Queue<T>);

impl<T> Drop for StopsOnPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

/// Does `first` and all that comes of it on `threads` threads. `start` makes what a thread needs for itself, which is
/// returned at the end; `work` does one piece and may add more to the queue. The first error stops all and is returned.
pub fn run<T: Send, W: Send, E: Send>(
    threads: usize,
    first: T,
    start: impl Fn() -> Result<W, E> + Sync,
    work: impl Fn(&mut W, T, &Queue<T>) -> Result<(), E> + Sync,
) -> Result<Vec<W>, E> {
    let queue = Queue::new(first);
    let one_thread = || {
        let _stops = StopsOnPanic(&queue);
        let done = start().and_then(|mut own| {
            while let Some(piece) = queue.take() {
                work(&mut own, piece, &queue)?;
                queue.finish_one();
            }
            Ok(own)
        });
        done.inspect_err(|_| queue.stop())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(one_thread)).collect();
        let mine = one_thread();
        let joined = others
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        std::iter::once(mine).chain(joined).collect()
    })
}

/// How many threads to use when nobody says: as many as processors, from 2 to 8. More only make disks seek.
#[must_use]
pub fn usual_threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn all_work_is_done_once() {
        let done = AtomicUsize::new(0);
        let result = run(
            3,
            10_usize,
            || Ok::<(), ()>(()),
            |(), depth, queue| {
                done.fetch_add(1, Ordering::Relaxed);
                if depth > 0 {
                    queue.extend([depth - 1, depth - 1]);
                }
                Ok(())
            },
        );
        assert_eq!((result, done.into_inner()), (Ok(vec![(); 3]), (1 << 11) - 1));
    }

    #[test]
    fn the_first_error_stops_all() {
        let result = run(
            2,
            0_u32,
            || Ok(()),
            |(), number, queue| {
                queue.extend([number + 1, number + 2]);
                if number > 20 { Err(number) } else { Ok(()) }
            },
        );
        assert!(result.is_err());
    }

    #[test]
    fn a_stop_wakes_all_whenever_it_comes() {
        for _ in 0..2_000 {
            let result = run(3, (), || Ok(()), |(), (), _| Err(()));
            assert_eq!(result, Err(()));
        }
    }

    #[test]
    fn a_panic_ends_all_threads() {
        let work =
            |(): &mut (), (), _: &Queue<()>| -> Result<(), ()> { std::panic::resume_unwind(Box::new(())) };
        let done = std::panic::catch_unwind(|| run(2, (), || Ok(()), work));
        assert!(done.is_err());
    }
}

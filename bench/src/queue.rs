//! A last-in-first-out work list that its own workers fill: depth first, so that few directories wait at a time.
//!
//! **Invariant:** [`drain`] returns when the list is empty and no worker is busy, or when one worker has failed.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Work that waits, shared by the workers of one [`drain`].
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: Vec<T>,
    busy: usize,
    stopped: bool,
}

impl<T> Queue<T> {
    /// Adds one piece of work.
    pub fn push(&self, work: T) {
        self.lock().waiting.push(work);
        self.changed.notify_one();
    }

    fn starting_with(first: T) -> Self {
        let state = State { waiting: vec![first], busy: 0, stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits for work; `None` when there will be no more.
    fn take(&self) -> Option<(T, Busy<'_, T>)> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(work) = state.waiting.pop() {
                state.busy += 1;
                return Some((work, Busy { queue: self }));
            }
            if state.busy == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker at work; dropped also when the worker panics, so that the others do not wait for it.
struct Busy<'queue, T> {
    queue: &'queue Queue<T>,
}

impl<T> Drop for Busy<'_, T> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.busy -= 1;
        if state.busy == 0 && state.waiting.is_empty() {
            self.queue.changed.notify_all();
        }
    }
}

/// Does `first` and all work that comes of it on `threads` threads, each with its own `Bench` (buffers and counts), and
/// returns the benches; or the first failure, after which no new work is begun.
pub fn drain<T, Bench, Failure>(
    first: T,
    threads: NonZeroUsize,
    work: impl Fn(&mut Bench, T, &Queue<T>) -> Result<(), Failure> + Sync,
) -> Result<Vec<Bench>, Failure>
where
    T: Send,
    Bench: Default + Send,
    Failure: Send,
{
    let queue = Queue::starting_with(first);
    let worker = || {
        let mut bench = Bench::default();
        while let Some((piece, _busy)) = queue.take() {
            work(&mut bench, piece, &queue).inspect_err(|_| queue.stop())?;
        }
        Ok(bench)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.get()).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREADS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

    #[test]
    fn work_that_comes_of_work_is_done_once() {
        let counts = drain(10_u32, THREADS, |done: &mut u32, level, queue| {
            *done += 1;
            for _ in 0..2 {
                if level > 0 {
                    queue.push(level - 1);
                }
            }
            Ok::<(), ()>(())
        });
        assert_eq!(counts.map(|counts| counts.iter().sum()), Ok(2_u32.pow(11) - 1));
    }

    #[test]
    fn the_first_failure_ends_an_endless_list() {
        let result = drain(0_u32, THREADS, |_: &mut (), number, queue| {
            queue.push(number + 1);
            if number == 1000 { Err(number) } else { Ok(()) }
        });
        assert_eq!(result.err(), Some(1000));
    }
}

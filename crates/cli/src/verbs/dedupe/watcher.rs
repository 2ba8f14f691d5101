//! Watches a search for equal files, and what is done about them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use linksnap_toolbox::Watch;
use linksnap_toolbox::dedupe::{Observe, Progress};
use serde::Serialize;

use crate::display::Form;
use crate::failure::Failure;
use crate::output::Output;
use crate::size::{self, counted};
use crate::walking::Walking;

/// Shows how far it is, and passes on signals.
pub struct Watcher<'a> {
    walking: Walking<'a>,
    /// The most that was told so far: of large files only bytes are told on the way.
    done: AtomicU64,
    of: AtomicU64,
}

impl<'a> Watcher<'a> {
    /// From now on a signal ends the work in order.
    ///
    /// # Errors
    /// If signals cannot be listened to.
    pub fn start(output: &'a Output) -> Result<Self, Failure> {
        let walking = Walking::start(output, "looking for equal files", Form::Lines)?;
        Ok(Self { walking, done: AtomicU64::new(0), of: AtomicU64::new(0) })
    }

    /// How long it has been watching.
    pub fn elapsed(&self) -> Duration {
        self.walking.elapsed()
    }

    /// The search is over.
    ///
    /// # Errors
    /// If a signal has ended it: nothing is known then.
    pub fn end(&self) -> Result<(), Failure> {
        self.walking.end()
    }

    /// All is over: takes the progress line away.
    pub fn end_of_all(&self) {
        self.walking.display.end();
    }

    fn show(&self, phase: &'static str, Progress { done, of, bytes }: Progress) {
        if of > 0 {
            self.done.store(done, Ordering::Relaxed);
            self.of.store(of, Ordering::Relaxed);
        }
        if !self.walking.display.is_due() {
            return;
        }
        let (done, of) = (self.done.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed));
        let line = || {
            let of = counted(of, "file", "files");
            format!("{phase}: {} of {of}, {} read", size::count(done), size::bytes(bytes))
        };
        let elapsed_seconds = self.elapsed().as_secs_f64();
        let json = || ProgressLine { r#type: "progress", phase, done, of, bytes, elapsed_seconds };
        self.walking.display.show(self.walking.output, "", line, json);
    }
}

impl Watch for Watcher<'_> {
    fn seen(&self, directories: u64, names: u64) {
        self.walking.seen(directories, names);
    }

    fn is_stopped(&self) -> bool {
        self.walking.is_stopped()
    }
}

impl Observe for Watcher<'_> {
    fn read(&self, progress: Progress) {
        self.show("reading", progress);
    }

    fn linked(&self, progress: Progress) {
        self.show("comparing and linking", progress);
    }
}

#[derive(Serialize)]
struct ProgressLine {
    r#type: &'static str,
    phase: &'static str,
    done: u64,
    of: u64,
    bytes: u64,
    elapsed_seconds: f64,
}

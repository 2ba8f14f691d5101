//! Watches a search for equal files, and what is done about them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use linksnap_toolbox::Watch;
use linksnap_toolbox::dedupe::{Observe, Progress};
use serde::Serialize;

use crate::display::{Display, Form};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::signals;
use crate::size::{self, counted};

/// Shows how far it is, and passes on signals.
pub struct Watcher<'a> {
    output: &'a Output,
    display: Display,
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
        signals::listen()?;
        let display = Display::new(output, Instant::now(), Form::Lines);
        display.say("looking for files");
        Ok(Self { output, display, done: AtomicU64::new(0), of: AtomicU64::new(0) })
    }

    /// How long it has been watching.
    pub fn elapsed(&self) -> Duration {
        self.display.elapsed()
    }

    /// The search is over.
    ///
    /// # Errors
    /// If a signal has ended it: nothing is known then.
    pub fn end(&self) -> Result<(), Failure> {
        self.display.end();
        match signals::caught() {
            None => Ok(()),
            Some(signal) => {
                let message = "interrupted while looking for equal files: nothing was changed";
                Err(Failure::new(Exit::Interrupted(signal), message))
            }
        }
    }

    /// All is over: takes the progress line away.
    pub fn end_of_all(&self) {
        self.display.end();
    }

    fn show(&self, phase: &'static str, Progress { done, of, bytes }: Progress) {
        if of > 0 {
            self.done.store(done, Ordering::Relaxed);
            self.of.store(of, Ordering::Relaxed);
        }
        if !self.display.is_due() {
            return;
        }
        let (done, of) = (self.done.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed));
        let line = || {
            let of = counted(of, "file", "files");
            format!("{phase}: {} of {of}, {} read", size::count(done), size::bytes(bytes))
        };
        let elapsed_seconds = self.elapsed().as_secs_f64();
        let json = || ProgressLine { r#type: "progress", phase, done, of, bytes, elapsed_seconds };
        self.display.show(self.output, "", line, json);
    }
}

impl Watch for Watcher<'_> {
    fn seen(&self, directories: u64, names: u64) {
        if !self.display.is_due() {
            return;
        }
        let line = || {
            let (names, directories) =
                (counted(names, "name", "names"), counted(directories, "directory", "directories"));
            format!("looking for files: {names} in {directories}")
        };
        let elapsed_seconds = self.elapsed().as_secs_f64();
        let json = || WalkLine {
            r#type: "progress",
            phase: "looking for files",
            directories,
            names,
            elapsed_seconds,
        };
        self.display.show(self.output, "", line, json);
    }

    fn is_stopped(&self) -> bool {
        signals::caught().is_some()
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
struct WalkLine {
    r#type: &'static str,
    phase: &'static str,
    directories: u64,
    names: u64,
    elapsed_seconds: f64,
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

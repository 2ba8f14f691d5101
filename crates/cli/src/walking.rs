//! Watches a tool of the workshop at its walk: shows how far it is, and passes on signals.

use std::time::{Duration, Instant};

use linksnap_toolbox::Watch;
use serde::Serialize;

use crate::display::{Display, Form};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::signals;
use crate::size::counted;

/// The watcher of all tools that walk.
pub struct Walking<'a> {
    /// Where it is shown.
    pub output: &'a Output,
    /// How.
    pub display: Display,
    /// What is being done, in words.
    what: &'static str,
}

impl<'a> Walking<'a> {
    /// Watches a walk; `what` is being done, "looking for links". From now on a signal ends the walk in order.
    ///
    /// # Errors
    /// If signals cannot be listened to.
    pub fn start(output: &'a Output, what: &'static str, form: Form) -> Result<Self, Failure> {
        signals::listen()?;
        let display = Display::new(output, Instant::now(), form);
        display.say(what);
        Ok(Self { output, display, what })
    }

    /// How long it has been watching.
    pub fn elapsed(&self) -> Duration {
        self.display.elapsed()
    }

    /// The walk is over: takes the progress line away.
    ///
    /// # Errors
    /// If a signal has ended it: what was found is then not all there is.
    pub fn end(&self) -> Result<(), Failure> {
        self.display.end();
        match signals::caught() {
            None => Ok(()),
            Some(signal) => {
                let message = format!("interrupted while {}: nothing was changed", self.what);
                Err(Failure::new(Exit::Interrupted(signal), message))
            }
        }
    }
}

impl Watch for Walking<'_> {
    fn seen(&self, directories: u64, names: u64) {
        if !self.display.is_due() {
            return;
        }
        let line = || {
            let (names, directories) =
                (counted(names, "name", "names"), counted(directories, "directory", "directories"));
            format!("{}: {names} in {directories}", self.what)
        };
        let json = || ProgressLine {
            r#type: "progress",
            phase: self.what,
            directories,
            names,
            elapsed_seconds: self.elapsed().as_secs_f64(),
        };
        self.display.show(self.output, "", line, json);
    }

    fn is_stopped(&self) -> bool {
        signals::caught().is_some()
    }
}

#[derive(Serialize)]
struct ProgressLine {
    r#type: &'static str,
    phase: &'static str,
    directories: u64,
    names: u64,
    elapsed_seconds: f64,
}

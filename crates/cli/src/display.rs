//! How progress is shown: a line that is drawn again and again, a line now and then, or JSON lines; and when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::output::Output;
use crate::size;

/// What a verb prints where JSON is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines with a type each: progress can be among them.
    Lines,
    /// One document: progress would spoil it.
    Document,
}

/// Where progress is shown.
pub struct Display {
    started: Instant,
    show: Show,
    next: Due,
}

enum Show {
    /// A line on the terminal that is drawn again and again.
    Bar(ProgressBar),
    /// A line now and then.
    Lines,
    /// JSON lines on standard output.
    Json,
    Nothing,
}

impl Display {
    /// As the user wants it, for a verb that began at `started`.
    pub fn new(output: &Output, started: Instant, form: Form) -> Self {
        let show = match () {
            () if !output.shows_progress() => Show::Nothing,
            () if output.is_json() && form == Form::Lines => Show::Json,
            () if output.is_json() => Show::Nothing,
            () if output.is_terminal() => Show::Bar(bar()),
            () => Show::Lines,
        };
        // The first line after the first interval: short runs say nothing on the way.
        Self { started, next: Due::first_after(interval(&show)), show }
    }

    /// How long it has been since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Is there something to be shown now? Of several threads one is told so.
    pub fn is_due(&self) -> bool {
        !matches!(self.show, Show::Nothing) && self.next.is_now(self.elapsed(), interval(&self.show))
    }

    /// Shows `line`; where lines are shown now and then, after `whose` and the time it took so far; as JSON `json`.
    pub fn show<J: Serialize>(
        &self,
        output: &Output,
        whose: &str,
        line: impl FnOnce() -> String,
        json: impl FnOnce() -> J,
    ) {
        match &self.show {
            Show::Bar(bar) => bar.set_message(line()),
            Show::Lines => {
                let elapsed = size::duration(self.elapsed());
                output.remark(&format!("{whose}{elapsed}: {}", line()));
            }
            Show::Json => output.json(&json()),
            Show::Nothing => {}
        }
    }

    /// What is being done now: shown at once where a line is drawn again and again.
    pub fn say(&self, words: &'static str) {
        if let Show::Bar(bar) = &self.show {
            bar.set_message(words);
        }
    }

    /// Prints, with the progress line out of the way.
    pub fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.show {
            Show::Bar(bar) => bar.suspend(print),
            Show::Lines | Show::Json | Show::Nothing => print(),
        }
    }

    /// Takes the progress line away.
    pub fn end(&self) {
        if let Show::Bar(bar) = &self.show {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.end();
    }
}

/// Something that is to be done every so often, by one thread of several.
pub struct Due {
    /// Milliseconds since the beginning.
    next: AtomicU64,
}

impl Due {
    /// For the first time when so much has passed.
    pub fn first_after(interval: Duration) -> Self {
        Self { next: AtomicU64::new(millis(interval)) }
    }

    /// Is it due now that so much has passed? Then it is again after `interval`, and only one thread is told so.
    pub fn is_now(&self, elapsed: Duration, interval: Duration) -> bool {
        let elapsed = millis(elapsed);
        let due = self.next.load(Ordering::Relaxed);
        let again = elapsed + millis(interval);
        elapsed >= due && self.next.compare_exchange(due, again, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn interval(show: &Show) -> Duration {
    match show {
        Show::Bar(_) => Duration::from_millis(100),
        Show::Json => Duration::from_secs(1),
        Show::Lines | Show::Nothing => Duration::from_secs(30),
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    // A sync can take minutes without a word: the line shows that the program is alive.
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Due;
    use std::time::Duration;

    #[test]
    fn it_is_due_once_in_each_interval() {
        let interval = Duration::from_millis(100);
        let due = Due::first_after(interval);
        let told = [0, 99, 100, 101, 150, 199, 200, 450, 549, 550].map(|at| {
            let elapsed = Duration::from_millis(at);
            due.is_now(elapsed, interval)
        });
        assert_eq!(told, [false, false, true, false, false, false, true, true, false, true]);
    }
}

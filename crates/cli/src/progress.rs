//! Watches a verb at work: shows how far it is, says its problems, passes on signals, and says when a checkpoint is due.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use linksnap_engine::{Monitor, Phase, Problem, ProblemKind, Progress, Wish};
use serde::Serialize;

use crate::output::{Output, Verbosity};
use crate::pace::Pace;
use crate::{escape, signals, size};

/// How often a run records what it has done so far.
const CHECKPOINT: Duration = Duration::from_secs(60);

/// The monitor of all verbs.
pub struct Watcher<'a> {
    output: &'a Output,
    job: String,
    started: Instant,
    show: Show,
    /// Milliseconds since `started` at which the next is due.
    next_sight: AtomicU64,
    next_checkpoint: AtomicU64,
    pace: Pace,
    now: Mutex<Now>,
}

/// How progress is shown.
enum Show {
    /// A line on the terminal that is drawn again and again.
    Bar(ProgressBar),
    /// A line now and then.
    Lines,
    /// JSON lines on standard output.
    Json,
    Nothing,
}

/// What was seen last.
struct Now {
    phase: &'static str,
    /// What is counted: one, many.
    counts: (&'static str, &'static str),
    bytes: u64,
    at: Instant,
    /// Bytes a second.
    rate: u64,
}

impl<'a> Watcher<'a> {
    /// Watches a verb on `job`, which begins with the phase `phase`.
    pub fn new(output: &'a Output, job: &str, phase: &'static str) -> Self {
        let started = Instant::now();
        let show = match () {
            () if !output.shows_progress() => Show::Nothing,
            () if output.is_json() => Show::Json,
            () if output.is_terminal() => Show::Bar(bar()),
            () => Show::Lines,
        };
        let watcher = Self {
            output,
            job: job.to_owned(),
            started,
            next_sight: AtomicU64::new(0),
            next_checkpoint: AtomicU64::new(millis(CHECKPOINT)),
            pace: Pace::new(),
            now: Mutex::new(Now { phase, counts: FILES, bytes: 0, at: started, rate: 0 }),
            show,
        };
        // The first line after the first interval: short runs say nothing on the way.
        watcher.next_sight.store(millis(watcher.interval()), Ordering::Relaxed);
        watcher
    }

    /// How long it has been watching.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Prints, with the progress line out of the way.
    pub fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.show {
            Show::Bar(bar) => bar.suspend(print),
            Show::Lines | Show::Json | Show::Nothing => print(),
        }
    }

    /// Takes the progress line away; called before the summary.
    pub fn end(&self) {
        if let Show::Bar(bar) = &self.show {
            bar.finish_and_clear();
        }
    }

    fn interval(&self) -> Duration {
        match self.show {
            Show::Bar(_) => Duration::from_millis(100),
            Show::Json => Duration::from_secs(1),
            Show::Lines | Show::Nothing => Duration::from_secs(30),
        }
    }

    /// Is what `next` stands for due? Then it is again after `interval`, and only one thread is told so.
    fn is_due(&self, next: &AtomicU64, interval: Duration) -> bool {
        let elapsed = millis(self.started.elapsed());
        let due = next.load(Ordering::Relaxed);
        elapsed >= due
            && next
                .compare_exchange(due, elapsed + millis(interval), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn show(&self, progress: &Progress) {
        let directory = [b"/".as_slice(), &progress.directory()].concat();
        let (phase, counts, rate) = self.look(progress.bytes());
        let (files, bytes) = (progress.files(), progress.bytes());
        let sight = Sight { phase, counts, files, bytes, rate, directory: &directory };
        match &self.show {
            Show::Bar(bar) => bar.set_message(sight.line()),
            Show::Lines => {
                let elapsed = size::duration(self.started.elapsed());
                self.output.remark(&format!("job {}, {elapsed}: {}", self.job, sight.line()));
            }
            Show::Json => self.output.json(&ProgressLine {
                r#type: "progress",
                job: &self.job,
                phase,
                files: progress.files(),
                directories: progress.directories(),
                bytes: progress.bytes(),
                bytes_per_second: rate,
                directory: String::from_utf8_lossy(&directory),
                elapsed_seconds: self.started.elapsed().as_secs_f64(),
            }),
            Show::Nothing => {}
        }
    }

    /// The phase, what it counts, and the rate, smoothed over the last seconds.
    fn look(&self, bytes: u64) -> (&'static str, (&'static str, &'static str), u64) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.at.elapsed();
        if passed >= Duration::from_secs(1) {
            let latest = u128::from(bytes.saturating_sub(now.bytes)) * 1000 / passed.as_millis().max(1);
            let latest = u64::try_from(latest).unwrap_or(u64::MAX);
            now.rate = if now.rate == 0 { latest } else { now.rate / 4 * 3 + latest / 4 };
            now.bytes = bytes;
            now.at = Instant::now();
        }
        (now.phase, now.counts, now.rate)
    }
}

impl Monitor for Watcher<'_> {
    fn progress(&self, progress: &Progress) {
        if !matches!(self.show, Show::Nothing) && self.is_due(&self.next_sight, self.interval()) {
            self.show(progress);
        }
    }

    fn problem(&self, problem: &Problem) {
        // On a busy machine files vanish all the time; the summary counts them.
        let is_noise = problem.kind == ProblemKind::Vanished
            && self.output.verbosity() < Verbosity::Steps
            && !self.output.is_json();
        if !is_noise {
            self.aside(|| self.output.problem(&self.job, problem));
        }
    }

    fn reached(&self, phase: Phase) {
        self.pace.reached(phase);
        let words = words(phase);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.phase = words;
        now.counts = if phase == Phase::EmptyTrash { NAMES } else { FILES };
        drop(now);
        if let Show::Bar(bar) = &self.show {
            bar.set_message(words);
        }
    }

    fn checkpoint_bytes(&self) -> u64 {
        self.pace.volume()
    }

    fn wish(&self) -> Wish {
        if signals::caught().is_some() {
            Wish::Stop
        } else if self.is_due(&self.next_checkpoint, CHECKPOINT) {
            Wish::Checkpoint
        } else {
            Wish::GoOn
        }
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        self.end();
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

/// What is being done, in words.
fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Recover => "looking for an interrupted run",
        Phase::Recycle | Phase::Build => "reading",
        Phase::CheckpointSync | Phase::CheckpointCommit => "checkpoint",
        Phase::Sync | Phase::SyncStaged | Phase::SyncRename => "syncing to disk",
        Phase::Stage => "recording",
        Phase::Rename | Phase::Latest | Phase::Publish => "publishing",
        Phase::Done => "done",
        Phase::Retire | Phase::SyncRetired | Phase::Forget | Phase::Release | Phase::KeepScaffold => {
            "dropping snapshots"
        }
        Phase::EmptyTrash => "emptying the trash",
    }
}

const FILES: (&str, &str) = ("file", "files");
/// Directories count as well.
const NAMES: (&str, &str) = ("name", "names");

/// How far it is, at one moment.
struct Sight<'a> {
    phase: &'static str,
    counts: (&'static str, &'static str),
    files: u64,
    bytes: u64,
    rate: u64,
    directory: &'a [u8],
}

impl Sight<'_> {
    fn line(&self) -> String {
        let (one, many) = self.counts;
        let mut line = format!("{}: {}", self.phase, size::counted(self.files, one, many));
        if self.bytes > 0 {
            line.push_str(&format!(", {} read", size::bytes(self.bytes)));
        }
        if self.rate > 0 {
            line.push_str(&format!(" ({}/s)", size::bytes(self.rate)));
        }
        if self.counts == FILES {
            line.push_str(&format!(", {}", escape::for_terminal(self.directory)));
        }
        line
    }
}

#[derive(Serialize)]
struct ProgressLine<'a> {
    r#type: &'static str,
    job: &'a str,
    phase: &'static str,
    files: u64,
    directories: u64,
    bytes: u64,
    bytes_per_second: u64,
    directory: Cow<'a, str>,
    elapsed_seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::{FILES, NAMES, Sight};

    #[test]
    fn a_line_says_how_much_how_fast_and_where() {
        let sight = Sight {
            phase: "reading",
            counts: FILES,
            files: 48_211,
            bytes: 3 << 20,
            rate: 1 << 20,
            directory: b"/srv/\x1b[2J",
        };
        let wanted = r"reading: 48,211 files, 3.0 MiB read (1.0 MiB/s), /srv/\x1b[2J";
        assert_eq!(sight.line(), wanted);
    }

    #[test]
    fn the_trash_has_names_and_no_place() {
        let phase = "emptying the trash";
        let sight = Sight { phase, counts: NAMES, files: 3_412, bytes: 0, rate: 0, directory: b"/" };
        assert_eq!(sight.line(), "emptying the trash: 3,412 names");
    }
}

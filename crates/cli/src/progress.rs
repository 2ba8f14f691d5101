//! Watches a verb at work: shows how far it is, says its problems, passes on signals, and says when a checkpoint is due.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use linksnap_engine::{Monitor, Phase, Problem, ProblemKind, Progress, Wish};
use serde::Serialize;

use crate::display::{Display, Due, Form};
use crate::output::{Output, Verbosity};
use crate::pace::Pace;
use crate::{escape, signals, size};

/// How often a run records what it has done so far.
const CHECKPOINT: Duration = Duration::from_secs(60);

/// The monitor of all verbs.
pub struct Watcher<'a> {
    output: &'a Output,
    job: String,
    display: Display,
    checkpoint: Due,
    pace: Pace,
    now: Mutex<Now>,
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
        Self {
            output,
            job: job.to_owned(),
            display: Display::new(output, started, Form::Lines),
            checkpoint: Due::first_after(CHECKPOINT),
            pace: Pace::new(),
            now: Mutex::new(Now { phase, counts: FILES, bytes: 0, at: started, rate: 0 }),
        }
    }

    /// How long it has been watching.
    pub fn elapsed(&self) -> Duration {
        self.display.elapsed()
    }

    /// Prints, with the progress line out of the way.
    pub fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        self.display.aside(print)
    }

    /// Takes the progress line away; called before the summary.
    pub fn end(&self) {
        self.display.end();
    }

    fn show(&self, progress: &Progress) {
        let directory = [b"/".as_slice(), &progress.directory()].concat();
        let (phase, counts, rate) = self.look(progress.bytes());
        let (files, bytes) = (progress.files(), progress.bytes());
        let sight = Sight { phase, counts, files, bytes, rate, directory: &directory };
        let line = || ProgressLine {
            r#type: "progress",
            job: &self.job,
            phase,
            files: progress.files(),
            directories: progress.directories(),
            bytes: progress.bytes(),
            bytes_per_second: rate,
            directory: String::from_utf8_lossy(&directory),
            elapsed_seconds: self.display.elapsed().as_secs_f64(),
        };
        self.display.show(self.output, &format!("job {}, ", self.job), || sight.line(), line);
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
        if self.display.is_due() {
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
        let Some(words) = words(phase) else { return };
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.phase = words;
        now.counts = if phase == Phase::EmptyTrash { NAMES } else { FILES };
        drop(now);
        self.display.say(words);
    }

    fn checkpoint_bytes(&self) -> u64 {
        self.pace.volume()
    }

    fn wish(&self) -> Wish {
        if signals::caught().is_some() {
            Wish::Stop
        } else if self.checkpoint.is_now(self.display.elapsed(), CHECKPOINT) {
            Wish::Checkpoint
        } else {
            Wish::GoOn
        }
    }
}

/// What is being done, in words; none for what is done beside it.
fn words(phase: Phase) -> Option<&'static str> {
    Some(match phase {
        Phase::Recover => "looking for an interrupted run",
        Phase::Recycle | Phase::Build => "reading",
        Phase::CheckpointSync | Phase::CheckpointCommit => return None,
        Phase::Sync | Phase::SyncStaged | Phase::SyncRename => "syncing to disk",
        Phase::Stage => "recording",
        Phase::Rename | Phase::Latest | Phase::Publish => "publishing",
        Phase::Done => "done",
        Phase::Retire | Phase::SyncRetired | Phase::Forget | Phase::Release | Phase::KeepScaffold => {
            "dropping snapshots"
        }
        Phase::EmptyTrash => "emptying the trash",
    })
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

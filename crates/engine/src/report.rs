//! What a verb has to say about single paths: data, not failure.

use std::sync::Mutex;

use crate::monitor::Monitor;

/// Something about one path that the user must know, or may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What class of thing it is.
    pub kind: ProblemKind,
    /// The path in the source (or in the snapshot), absolute, as bytes.
    pub path: Vec<u8>,
    /// What happened, in words, with the cause.
    pub message: String,
}

/// Classes of problems and warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// It could not be read: it is not in the snapshot.
    Unreadable,
    /// It changed each time it was read: what is stored may be torn.
    ChangedWhileRead,
    /// Stored bytes or attributes are not what the catalog says.
    Damage,
    /// It could not be stored or restored whole: an attribute is missing.
    NotKept,
    /// It went away while the run was at work.
    Vanished,
    /// It was left out on purpose, and the user may not expect that.
    LeftOut,
    /// Anything else that is only a warning.
    Notice,
    /// Retention did not do, or not wholly, what its rules want.
    Retention,
    /// Most of a source is gone or changed.
    MassChange,
}

impl ProblemKind {
    /// One word (with hyphens) for catalog and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::ChangedWhileRead => "changed-while-read",
            Self::Damage => "damage",
            Self::NotKept => "not-kept",
            Self::Vanished => "vanished",
            Self::LeftOut => "left-out",
            Self::Notice => "notice",
            Self::Retention => "retention",
            Self::MassChange => "mass-change",
        }
    }

    /// Is it only a warning, which leaves the exit code alone?
    #[must_use]
    pub fn is_warning(self) -> bool {
        matches!(self, Self::Vanished | Self::LeftOut | Self::Notice)
    }
}

/// How many problems are kept in memory and in the catalog; beyond that they are only counted (and shown to
/// the monitor).
pub const KEPT_PROBLEMS: usize = 10_000;

impl Collected {
    /// Adds what came up after the collection.
    pub fn add(&mut self, problem: Option<Problem>) {
        self.warnings += u64::from(problem.as_ref().is_some_and(|problem| problem.kind.is_warning()));
        self.problems += u64::from(problem.as_ref().is_some_and(|problem| !problem.kind.is_warning()));
        self.list.extend(problem);
    }
}

/// Collects problems from all threads.
#[derive(Debug, Default)]
pub struct Problems {
    inner: Mutex<Collected>,
}

/// The problems of a verb.
#[derive(Debug, Default, Clone)]
pub struct Collected {
    /// The first [`KEPT_PROBLEMS`] of them.
    pub list: Vec<Problem>,
    /// How many problems there were.
    pub problems: u64,
    /// How many warnings there were.
    pub warnings: u64,
}

impl Problems {
    /// Tells the monitor and remembers.
    pub fn add(&self, monitor: &dyn Monitor, problem: Problem) {
        monitor.problem(&problem);
        let mut inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if problem.kind.is_warning() {
            inner.warnings += 1;
        } else {
            inner.problems += 1;
        }
        if inner.list.len() < KEPT_PROBLEMS {
            inner.list.push(problem);
        }
    }

    /// All that was collected, sorted by path.
    #[must_use]
    pub fn take(&self) -> Collected {
        let mut inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut collected = std::mem::take(&mut *inner);
        collected.list.sort_by(|a, b| a.path.cmp(&b.path));
        collected
    }
}

/// A number of bytes as people read it: `512 B`, `3.2 MiB`; powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
        let mut amount = self.0 as f64 / 1024.0;
        let mut unit = 0;
        // 1023.95 would be shown as 1024.0.
        while amount >= 1023.95 && unit + 1 < UNITS.len() {
            amount /= 1024.0;
            unit += 1;
        }
        write!(f, "{amount:.1} {}", UNITS[unit])
    }
}

/// Classes of failure: each has an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It failed; nothing was published or changed.
    Failed,
    /// What was asked for makes no sense.
    Usage,
    /// There is no repository where one should be.
    NoRepository,
    /// Another process is at work.
    Locked,
    /// A guard refused.
    Guard,
    /// A signal ended it.
    Interrupted,
}

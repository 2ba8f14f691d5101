//! Whether the clock can be right, from what the snapshots say of it.

use linksnap_catalog::Snapshot;

use crate::snapshot::CLOCK_SLACK;

/// A jump forward is longer than this, in seconds: 60 days …
const LONG_GAP: i64 = 60 * 24 * 60 * 60;
/// … and than so many times the usual time between two snapshots …
const UNUSUAL: i64 = 20;
/// … which is known if there are so many others.
const FEWEST_GAPS: usize = 4;
/// The gaps before so many of the newest snapshots are looked at.
const NEWEST: usize = 3;

/// Whether to look for signs of a wrong clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Drop nothing if there is one.
    Doubt,
    /// The user vouches for it.
    Trust,
}

/// Why nothing may be dropped now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// A snapshot is of a time that is to come.
    Future {
        /// Its name.
        name: String,
        /// By how much, in seconds.
        ahead_seconds: i64,
    },
    /// The newest snapshot is of a time before that of one made earlier.
    Back {
        /// The newest one's name.
        newest: String,
        /// The name of what was made before it.
        earlier: String,
    },
    /// A snapshot comes much later after the one before it than is usual.
    Forward {
        /// Its name.
        name: String,
        /// How much later, in seconds.
        gap_seconds: i64,
        /// What is usual, in seconds.
        usual_seconds: i64,
    },
}

impl Hold {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Future { name, ahead_seconds } => {
                format!("the clock looks wrong: {name} is {} in the future", duration(*ahead_seconds))
            }
            Self::Back { newest, earlier } => {
                format!("the clock looks wrong: the newest snapshot {newest} was made after {earlier}")
            }
            Self::Forward { name, gap_seconds, usual_seconds } => format!(
                "the clock looks wrong: {name} comes {} after the snapshot before it; usual is {}",
                duration(*gap_seconds),
                duration(*usual_seconds),
            ),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Future { .. } => {
                "set the clock right; or, if it is right now, delete the snapshot".to_owned()
            }
            Self::Back { .. } => {
                "set the clock right; or, if it is right now, delete what is of the future".to_owned()
            }
            Self::Forward { .. } => {
                format!("set the clock right; if it is, all goes on after {NEWEST} more snapshots")
            }
        }
    }
}

/// A sign that the clock is wrong, if there is one.
pub fn doubt(snapshots: &[Snapshot], now: i64) -> Option<Hold> {
    let newest = snapshots.iter().max_by_key(|snapshot| snapshot.id)?;
    let latest = snapshots.iter().max_by_key(|snapshot| (snapshot.time, snapshot.id))?;
    if latest.time > now.saturating_add(CLOCK_SLACK) {
        let ahead_seconds = latest.time.saturating_sub(now);
        return Some(Hold::Future { name: latest.name.clone(), ahead_seconds });
    }
    if newest.time < latest.time {
        return Some(Hold::Back { newest: newest.name.clone(), earlier: latest.name.clone() });
    }
    jump(snapshots)
}

/// A jump forward before one of the newest snapshots.
fn jump(snapshots: &[Snapshot]) -> Option<Hold> {
    let mut snapshots: Vec<&Snapshot> = snapshots.iter().collect();
    snapshots.sort_by_key(|snapshot| (snapshot.time, snapshot.id));
    let gaps: Vec<i64> = snapshots.windows(2).map(|two| two[1].time.saturating_sub(two[0].time)).collect();
    (0..gaps.len()).rev().take(NEWEST).find_map(|at| {
        let others: Vec<i64> = [&gaps[..at], &gaps[at + 1..]].concat();
        let usual_seconds = median(others).filter(|_| gaps.len() > FEWEST_GAPS)?;
        let gap_seconds = gaps[at];
        let is_jump = gap_seconds > LONG_GAP && gap_seconds > usual_seconds.saturating_mul(UNUSUAL);
        let name = snapshots[at + 1].name.clone();
        is_jump.then_some(Hold::Forward { name, gap_seconds, usual_seconds })
    })
}

/// The one in the middle; the smaller of the two if there are two.
pub fn median(mut numbers: Vec<i64>) -> Option<i64> {
    numbers.sort_unstable();
    numbers.get(numbers.len().checked_sub(1)? / 2).copied()
}

/// Roughly: `3 days`, `5 hours`.
fn duration(seconds: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute")];
    let (unit, word) = UNITS.into_iter().find(|(unit, _)| seconds >= *unit).unwrap_or((1, "second"));
    let number = seconds / unit;
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

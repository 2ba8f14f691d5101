//! What the policy will keep, if backups go on as they did.

use jiff::tz::TimeZone;
use linksnap_catalog::{Snapshot, SnapshotId, State, Totals};

use crate::policy::Policy;
use crate::report::Class;
use crate::snapshot::SnapshotName;
use crate::stages::retain::candidate::{Candidate, sorted};
use crate::stages::retain::clock::median;
use crate::stages::retain::reason::Keeper;
use crate::stages::retain::{Decision, Reason, Refusal, Verdict, judge};

/// No more runs than these are simulated.
pub const MOST_STEPS: usize = 100_000;
/// Nor are more snapshots judged in all of them together.
const MOST_JUDGED: usize = 100_000_000;
/// The usual time between two snapshots is that between so many of the newest.
const RECENT: usize = 20;

/// How it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    /// The time from one run to the next, in seconds.
    pub interval_seconds: i64,
    /// How many snapshots will be made.
    pub made: usize,
    /// What will be there, the oldest first.
    pub remaining: Vec<Remaining>,
    /// What is there now and will be gone, the oldest first.
    pub gone: Vec<Gone>,
}

/// A snapshot that will be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remaining {
    /// Why it will be: always to be kept.
    pub decision: Decision,
    /// Whether it is there now.
    pub origin: Origin,
}

/// Whether a snapshot is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is.
    Real,
    /// It would be made.
    Simulated,
}

/// A snapshot that will be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Its number.
    pub id: SnapshotId,
    /// Its name.
    pub name: String,
    /// When it will go: seconds since 1970.
    pub at: i64,
}

/// Why nothing can be said about what will be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulationError {
    /// There are fewer than two snapshots.
    #[error("there are too few snapshots to tell how often backups are made")]
    NoInterval,
    /// It would take too long.
    #[error("with a backup every {interval_seconds} seconds these are too many to simulate")]
    TooMany {
        /// The time from one run to the next.
        interval_seconds: i64,
    },
    /// The policy keeps nothing.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl SimulationError {
    /// How the program is to end.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::NoInterval => Class::Failed,
            Self::TooMany { .. } => Class::Usage,
            Self::Refused(refusal) => refusal.class(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoInterval => Some("make at least two at different times".to_owned()),
            Self::TooMany { .. } => Some("ask for a shorter time".to_owned()),
            Self::Refused(refusal) => refusal.hint(),
        }
    }
}

/// Follows the policy to the time `until`, as if from `now` on a snapshot without problems were made as often
/// as lately, and the policy followed after each. If none is due until then, the policy is followed now.
/// The clock is taken to be right.
pub fn simulate(
    snapshots: &[Snapshot],
    policy: &Policy,
    now: i64,
    until: i64,
    zone: &TimeZone,
) -> Result<Simulation, SimulationError> {
    let schedule = Schedule::new(snapshots, now, until)?;
    let mut all = snapshots.to_vec();
    let mut course = Course::new(snapshots, policy, zone);
    for step in 0..schedule.steps {
        let made = schedule.snapshot(step);
        let time = made.time;
        course.standing.push(Candidate::new(all.len(), &made, zone));
        all.push(made);
        // Without rules everything stays: the reasons of the end are enough.
        if !policy.is_empty() || step + 1 == schedule.steps {
            course.follow(time)?;
        }
        if course.judged > MOST_JUDGED {
            return Err(SimulationError::TooMany { interval_seconds: schedule.interval });
        }
    }
    if schedule.steps == 0 {
        course.follow(now)?;
    }
    Ok(course.end(&all, snapshots.len(), &schedule))
}

/// When runs are due.
struct Schedule {
    interval: i64,
    first: i64,
    first_id: i64,
    steps: usize,
}

impl Schedule {
    fn new(snapshots: &[Snapshot], now: i64, until: i64) -> Result<Self, SimulationError> {
        let mut times: Vec<i64> = snapshots.iter().map(|snapshot| snapshot.time).collect();
        times.sort_unstable();
        let recent = &times[times.len().saturating_sub(RECENT)..];
        let gaps = recent.windows(2).map(|two| two[1].saturating_sub(two[0]));
        let interval = median(gaps.collect()).filter(|gap| *gap > 0).ok_or(SimulationError::NoInterval)?;
        let newest = times[times.len() - 1];
        let missed = now.saturating_sub(newest).max(0) / interval;
        let first = newest.saturating_add(interval.saturating_mul(missed + 1));
        let steps = if until < first { 0 } else { until.saturating_sub(first) / interval + 1 };
        let steps = usize::try_from(steps).ok().filter(|steps| *steps <= MOST_STEPS);
        let steps = steps.ok_or(SimulationError::TooMany { interval_seconds: interval })?;
        let first_id = snapshots.iter().map(|snapshot| snapshot.id.0).max().unwrap_or(0) + 1;
        Ok(Self { interval, first, first_id, steps })
    }

    fn snapshot(&self, step: usize) -> Snapshot {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let time = self.first.saturating_add(self.interval.saturating_mul(step));
        Snapshot {
            id: SnapshotId(self.first_id.saturating_add(step)),
            name: SnapshotName::at(time).map(|name| name.to_string()).unwrap_or_default(),
            state: State::Published,
            time,
            totals: Totals::default(),
            pinned: false,
            pinned_until: None,
            tags: String::new(),
            note: String::new(),
        }
    }
}

/// The history as it goes on.
struct Course<'a> {
    policy: &'a Policy,
    zone: &'a TimeZone,
    standing: Vec<Candidate>,
    /// What keeps whom, as of the last time the policy was followed.
    keepers: Vec<(usize, Keeper)>,
    /// Who went when.
    gone: Vec<(usize, i64)>,
    /// How many were judged so far.
    judged: usize,
}

impl<'a> Course<'a> {
    fn new(snapshots: &[Snapshot], policy: &'a Policy, zone: &'a TimeZone) -> Self {
        let candidates = snapshots.iter().enumerate();
        Self {
            policy,
            zone,
            standing: sorted(candidates.map(|(at, snapshot)| Candidate::new(at, snapshot, zone))),
            keepers: Vec::new(),
            gone: Vec::new(),
            judged: 0,
        }
    }

    fn follow(&mut self, now: i64) -> Result<(), Refusal> {
        let Self { policy, zone, standing, keepers, gone, judged } = self;
        let mut stays = vec![false; standing.len()];
        keepers.clear();
        judge(standing, policy, now, zone, &mut |place, keeper| {
            stays[place] = true;
            keepers.push((standing[place].at, keeper));
        })?;
        *judged += standing.len();
        let mut stays = stays.into_iter();
        standing.retain(|candidate| {
            let stays = stays.next().unwrap_or(true);
            if !stays {
                gone.push((candidate.at, now));
            }
            stays
        });
        Ok(())
    }

    fn end(self, all: &[Snapshot], real: usize, schedule: &Schedule) -> Simulation {
        let mut reasons: Vec<Vec<Reason>> = vec![Vec::new(); all.len()];
        for (at, keeper) in self.keepers {
            reasons[at].push(keeper.reason(self.policy, &all[at], self.zone));
        }
        let remaining = self.standing.iter().map(|candidate| {
            let Snapshot { id, name, time, .. } = &all[candidate.at];
            let verdict = Verdict::Keep(std::mem::take(&mut reasons[candidate.at]));
            let decision = Decision { id: *id, name: name.clone(), time: *time, verdict };
            let origin = if candidate.at < real { Origin::Real } else { Origin::Simulated };
            Remaining { decision, origin }
        });
        let remaining = remaining.collect();
        let mut gone: Vec<(usize, i64)> = self.gone.into_iter().filter(|(at, _)| *at < real).collect();
        gone.sort_unstable();
        let gone =
            gone.into_iter().map(|(at, when)| Gone { id: all[at].id, name: all[at].name.clone(), at: when });
        Simulation {
            interval_seconds: schedule.interval,
            made: schedule.steps,
            remaining,
            gone: gone.collect(),
        }
    }
}

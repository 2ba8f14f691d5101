//! Retain: which snapshots stay and which go, and every reason.
//!
//! Pure: no clock, no disk, no environment. The rules mean what they mean to restic. What restic does not
//! have: snapshots with problems fill a bucket only while no good one can; pins; and some are never dropped.
//!
//! **Invariant:** the newest snapshot, the newest good one and pinned ones are never dropped; nothing is
//! dropped while the clock looks wrong, nor by a policy that would leave nothing else.

mod candidate;
mod clock;
mod reason;
mod room;
mod rules;
mod simulate;

use jiff::tz::TimeZone;
use linksnap_catalog::{Snapshot, SnapshotId};

use crate::policy::Policy;
use crate::report::Class;

pub use clock::{Clock, Hold};
pub use reason::{Cause, Place, Quality, Reason};
pub use room::{Room, Shortfall, make_room};
pub use simulate::{Gone, MOST_STEPS, Origin, Remaining, Simulation, SimulationError, simulate};

use candidate::{Candidate, sorted};
use reason::Keeper;

/// What is to become of each snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// One for each snapshot, in the order in which they were given.
    pub decisions: Vec<Decision>,
    /// Why nothing may be dropped now; then nothing is.
    pub hold: Option<Hold>,
}

/// What is to become of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The snapshot.
    pub id: SnapshotId,
    /// Its name.
    pub name: String,
    /// When its run began: seconds since 1970, UTC.
    pub time: i64,
    /// What is to become of it.
    pub verdict: Verdict,
}

/// Whether a snapshot stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays, for each of these reasons; there is at least one.
    Keep(Vec<Reason>),
    /// It goes.
    Drop(Cause),
}

/// Nobody can have meant this policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy (keep {}) would drop every snapshot of the job, and is not followed", words.join(", "))]
pub struct Refusal {
    /// The policy's rules in words.
    pub words: Vec<String>,
}

impl Refusal {
    /// How the program is to end.
    #[must_use]
    pub fn class(&self) -> Class {
        Class::Guard
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(
            "nothing was dropped; add a rule that keeps something, such as the last 3, or pin a snapshot"
                .into(),
        )
    }
}

impl Retained {
    /// What goes, in the order given.
    pub fn dropped(&self) -> impl DoubleEndedIterator<Item = &Decision> {
        self.decisions.iter().filter(|decision| !decision.is_kept())
    }

    /// What stays, in the order given.
    pub fn kept(&self) -> impl DoubleEndedIterator<Item = &Decision> {
        self.decisions.iter().filter(|decision| decision.is_kept())
    }

    /// The numbers of what goes, in the order given.
    #[must_use]
    pub fn dropped_ids(&self) -> Vec<SnapshotId> {
        self.dropped().map(|decision| decision.id).collect()
    }
}

impl Decision {
    /// Does it stay?
    #[must_use]
    pub fn is_kept(&self) -> bool {
        matches!(self.verdict, Verdict::Keep(_))
    }

    /// Must it stay, whatever the rules say and however little room there is?
    #[must_use]
    pub fn is_protected(&self) -> bool {
        match &self.verdict {
            Verdict::Keep(reasons) => reasons.iter().any(Reason::protects),
            Verdict::Drop(_) => false,
        }
    }

    /// Why, one by one.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        match &self.verdict {
            Verdict::Keep(reasons) => reasons.iter().map(Reason::words).collect(),
            Verdict::Drop(cause) => vec![cause.words().to_owned()],
        }
    }
}

/// Decides about published snapshots, given in the order in which they were made. `now` is in seconds since
/// 1970; the calendar is that of `zone`.
pub fn retain(
    snapshots: &[Snapshot],
    policy: &Policy,
    now: i64,
    zone: &TimeZone,
    clock: Clock,
) -> Result<Retained, Refusal> {
    let hold = match clock {
        Clock::Doubt => clock::doubt(snapshots, now),
        Clock::Trust => None,
    };
    let candidates =
        sorted(snapshots.iter().enumerate().map(|(at, snapshot)| Candidate::new(at, snapshot, zone)));
    let mut reasons: Vec<Vec<Reason>> = vec![Vec::new(); snapshots.len()];
    judge(&candidates, policy, now, zone, &mut |at, keeper| {
        reasons[candidates[at].at].push(keeper.reason(policy, &snapshots[candidates[at].at], zone));
    })?;
    let decisions = snapshots.iter().zip(reasons).map(|(snapshot, mut reasons)| {
        if reasons.is_empty() && hold.is_some() {
            reasons.push(Reason::ClockLooksWrong);
        }
        Decision {
            id: snapshot.id,
            name: snapshot.name.clone(),
            time: snapshot.time,
            verdict: if reasons.is_empty() { Verdict::Drop(Cause::NoRule) } else { Verdict::Keep(reasons) },
        }
    });
    Ok(Retained { decisions: decisions.collect(), hold })
}

/// Tells `keep` everything that keeps one of the candidates, by its place among them. They are sorted.
fn judge(
    candidates: &[Candidate],
    policy: &Policy,
    now: i64,
    zone: &TimeZone,
    keep: &mut dyn FnMut(usize, Keeper),
) -> Result<(), Refusal> {
    let mut keeps_something = candidates.is_empty();
    {
        let mut keep = |at, keeper| {
            keeps_something = true;
            keep(at, keeper);
        };
        rules::follow(candidates, policy, now, zone, &mut keep);
        let pinned = candidates.iter().enumerate().filter(|(_, candidate)| candidate.is_pinned_at(now));
        pinned.for_each(|(at, _)| keep(at, Keeper::Pin));
    }
    if !keeps_something {
        return Err(Refusal { words: policy.words() });
    }
    let newest = |is_meant: fn(&Candidate) -> bool| {
        let meant = candidates.iter().enumerate().filter(|(_, candidate)| is_meant(candidate));
        meant.max_by_key(|(_, candidate)| candidate.id).map(|(at, _)| at)
    };
    if let Some(at) = newest(|_| true) {
        keep(at, Keeper::Newest);
    }
    if let Some(at) = newest(|candidate| candidate.is_good) {
        keep(at, Keeper::NewestGood);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! A snapshot as the rules see it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use linksnap_catalog::{Snapshot, SnapshotId};

use crate::policy::Bucket;

/// What the rules ask of a snapshot, worked out once.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its place among what was given.
    pub at: usize,
    pub id: SnapshotId,
    /// Seconds since 1970, UTC.
    pub time: i64,
    /// It has no problem.
    pub is_good: bool,
    pub tags: Vec<String>,
    pin: Pin,
    calendar: Calendar,
}

#[derive(Debug, Clone, Copy)]
enum Pin {
    None,
    Until(i64),
    ForEver,
}

/// Numbers of the hour, day, … that a time is in. They grow with the time, and two times have the same number
/// if they are in the same hour, day, …
#[derive(Debug, Clone, Copy)]
struct Calendar {
    hour: i64,
    day: i64,
    month: i64,
    year: i64,
}

impl Candidate {
    pub fn new(at: usize, snapshot: &Snapshot, zone: &TimeZone) -> Self {
        Self {
            at,
            id: snapshot.id,
            time: snapshot.time,
            is_good: snapshot.totals.problems == 0,
            tags: tags(&snapshot.tags).map(str::to_owned).collect(),
            pin: match (snapshot.pinned, snapshot.pinned_until) {
                (false, _) => Pin::None,
                (true, Some(until)) => Pin::Until(until),
                (true, None) => Pin::ForEver,
            },
            calendar: Calendar::new(snapshot.time, zone),
        }
    }

    /// Does a pin hold at the time `now`?
    pub fn is_pinned_at(&self, now: i64) -> bool {
        match self.pin {
            Pin::None => false,
            Pin::Until(until) => now < until,
            Pin::ForEver => true,
        }
    }

    /// Are both in the same bucket?
    pub fn shares(&self, other: &Self, bucket: Bucket) -> bool {
        self.calendar.number(bucket).is_some_and(|number| other.calendar.number(bucket) == Some(number))
    }
}

/// By time, and what has the same time by number.
pub fn sorted(candidates: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = candidates.collect();
    candidates.sort_by_key(|candidate| (candidate.time, candidate.id));
    candidates
}

/// The time as the calendar has it; what is beyond the calendar is its end.
pub fn timestamp(time: i64) -> Timestamp {
    Timestamp::from_second(time).unwrap_or(if time < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// The tags of a snapshot.
fn tags(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty())
}

impl Calendar {
    fn new(time: i64, zone: &TimeZone) -> Self {
        const DAY: i64 = 24 * 60 * 60;
        let timestamp = timestamp(time);
        let offset = zone.to_offset(timestamp);
        let date = offset.to_datetime(timestamp).date();
        let local = timestamp.as_second() + i64::from(offset.seconds());
        Self {
            // When a clock hour begins: what two real hours call 02:00 begins at two times.
            hour: timestamp.as_second() - local.rem_euclid(60 * 60),
            day: local.div_euclid(DAY),
            month: i64::from(date.year()) * 12 + i64::from(date.month()),
            year: i64::from(date.year()),
        }
    }

    fn number(&self, bucket: Bucket) -> Option<i64> {
        match bucket {
            Bucket::Snapshot => None,
            Bucket::Hour => Some(self.hour),
            Bucket::Day => Some(self.day),
            // 1970 began on a Thursday.
            Bucket::Week => Some((self.day + 3).div_euclid(7)),
            Bucket::Month => Some(self.month),
            Bucket::Year => Some(self.year),
        }
    }
}

//! Retention in tables, in properties, and in bad nights.

mod calendar;
mod clock;
mod property;
mod room;
mod simulation;
mod table;

use jiff::tz::TimeZone;
use linksnap_catalog::{Snapshot, SnapshotId, State, Totals};

use crate::policy::{Bucket, Policy, Rule};
use crate::snapshot::SnapshotName;
use crate::stages::retain::{Clock, Retained, retain};

/// Seconds since 1970 of a time as names have it.
fn time(name: &str) -> i64 {
    SnapshotName::parse(name).unwrap_or_else(|| panic!("{name} is no name")).seconds().unwrap()
}

fn name(time: i64) -> String {
    SnapshotName::at(time).unwrap().to_string()
}

/// A snapshot without problems, tags or pin.
fn snapshot(id: i64, time: i64) -> Snapshot {
    Snapshot {
        id: SnapshotId(id),
        name: name(time),
        state: State::Published,
        time,
        totals: Totals::default(),
        pinned: false,
        pinned_until: None,
        tags: String::new(),
        note: String::new(),
    }
}

/// Good snapshots of these times.
fn good(times: impl IntoIterator<Item = i64>) -> Vec<Snapshot> {
    (1..).zip(times).map(|(id, time)| snapshot(id, time)).collect()
}

/// Reads `last=3 within-daily=2d tag=a,b`.
fn policy(text: &str) -> Policy {
    Policy::new(text.split_whitespace().map(|rule| {
        let (key, value) = rule.split_once('=').unwrap();
        let bucket = |word: &str| Bucket::ALL.into_iter().find(|bucket| bucket.word() == word).unwrap();
        match key.strip_prefix("within") {
            _ if key == "tag" => Rule::Tagged(value.parse().unwrap()),
            None => Rule::Count { bucket: bucket(key), count: value.parse().unwrap() },
            Some("") => Rule::Within { bucket: Bucket::Snapshot, period: value.parse().unwrap() },
            Some(word) => Rule::Within { bucket: bucket(&word[1..]), period: value.parse().unwrap() },
        }
    }))
}

/// Europe/Berlin and America/New_York as they have been since 2007: tests read no files of the system.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn new_york() -> TimeZone {
    TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap()
}

/// What a policy keeps of snapshots long after, whatever the clock looks like.
fn kept(snapshots: &[Snapshot], rules: &str, zone: &TimeZone) -> Vec<String> {
    names(&retain(snapshots, &policy(rules), i64::MAX, zone, Clock::Trust).unwrap())
}

fn names(retained: &Retained) -> Vec<String> {
    retained.kept().map(|decision| decision.name.clone()).collect()
}

/// How many are kept for a reason that begins so.
fn count(retained: &Retained, reason: &str) -> usize {
    let kept = retained.decisions.iter();
    kept.filter(|decision| decision.words().iter().any(|words| words == reason)).count()
}

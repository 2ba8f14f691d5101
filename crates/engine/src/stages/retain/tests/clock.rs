//! Clocks that jump.

use jiff::tz::TimeZone;
use linksnap_catalog::Snapshot;

use super::{good, policy, time};
use crate::stages::retain::{Clock, Hold, Retained, retain};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// Hourly snapshots, with the last ones at other times.
fn hourly_then(others: &[i64]) -> Vec<Snapshot> {
    let start = time("2026-04-08T000000Z");
    good((0..48).map(|hour| start + hour * HOUR).chain(others.iter().map(|&after| start + 47 * HOUR + after)))
}

fn run(snapshots: &[Snapshot], now: i64, clock: Clock) -> Retained {
    retain(snapshots, &policy("last=2"), now, &TimeZone::UTC, clock).unwrap()
}

/// With `now` when the last was made.
fn hold(snapshots: &[Snapshot]) -> Option<Hold> {
    let now = snapshots.last().unwrap().time;
    let held = run(snapshots, now, Clock::Doubt);
    assert_eq!(held.dropped().count(), if held.hold.is_some() { 0 } else { snapshots.len() - 2 });
    let trusted = run(snapshots, now, Clock::Trust);
    assert_eq!(trusted.hold, None);
    assert!(trusted.dropped().count() >= snapshots.len() - 3);
    held.hold
}

#[test]
fn a_clock_that_goes_right_holds_nothing() {
    assert_eq!(hold(&hourly_then(&[])), None);
    assert_eq!(hold(&hourly_then(&[0, 0, 7, HOUR, 40 * DAY])), None);
}

#[test]
fn a_clock_that_jumped_back_holds_everything() {
    for back in [1, HOUR, 365 * DAY] {
        let jumped = hourly_then(&[-back]);
        let Some(hold) = hold(&jumped) else { panic!("{back}") };
        let last = &jumped[47];
        assert!(
            matches!(&hold, Hold::Future { .. } | Hold::Back { .. }) && hold.words().contains(&last.name),
            "{hold:?}"
        );
    }
    // As long as the time of the last one before the jump has not come again …
    assert!(hold(&hourly_then(&[-4 * HOUR, -3 * HOUR])).is_some());
    assert!(hold(&hourly_then(&[-4 * HOUR, 0])).is_none(), "… and then no longer");
}

#[test]
fn what_was_made_by_a_clock_ahead_is_seen_by_one_set_right() {
    let ahead = hourly_then(&[365 * DAY]);
    let real = ahead[47].time + HOUR;
    let held = run(&ahead, real, Clock::Doubt);
    let wanted = Hold::Future { name: ahead[48].name.clone(), ahead_seconds: 365 * DAY - HOUR };
    assert_eq!(held.hold, Some(wanted));
    assert_eq!(
        held.hold.as_ref().unwrap().words(),
        "the clock looks wrong: 2027-04-09T230000Z is 364 days in the future"
    );
    assert_eq!(held.decisions[0].words(), ["the clock looks wrong"]);
    assert_eq!(held.decisions[47].words(), ["last snapshot"]);
    let slightly = hourly_then(&[60]);
    assert_eq!(run(&slightly, slightly[47].time, Clock::Doubt).hold, None, "a minute is nothing");
    assert!(run(&slightly, slightly[47].time - 1, Clock::Doubt).hold.is_some());
}

#[test]
fn the_next_run_after_a_jump_back_sees_it_too() {
    let jumped = hourly_then(&[10 * 365 * DAY, HOUR, 2 * HOUR]);
    let now = jumped.last().unwrap().time;
    assert!(matches!(run(&jumped, now, Clock::Doubt).hold, Some(Hold::Future { .. })));
    // Even when now is beyond it, the order tells.
    let later = run(&jumped, now + 11 * 365 * DAY, Clock::Doubt);
    let wanted = Hold::Back { newest: jumped[50].name.clone(), earlier: jumped[48].name.clone() };
    assert_eq!(later.hold, Some(wanted));
}

#[test]
fn a_clock_that_jumped_ahead_holds_everything_until_it_proves_right() {
    let ten_years = 10 * 365 * DAY;
    let jumped = hourly_then(&[ten_years]);
    let wanted = Hold::Forward { name: jumped[48].name.clone(), gap_seconds: ten_years, usual_seconds: HOUR };
    assert_eq!(hold(&jumped), Some(wanted.clone()));
    assert_eq!(
        wanted.words(),
        "the clock looks wrong: 2036-04-06T230000Z comes 3650 days after the snapshot before it; \
         usual is 1 hour"
    );
    assert_eq!(hold(&hourly_then(&[ten_years, ten_years + HOUR, ten_years + 2 * HOUR])), Some(wanted));
    let after = hourly_then(&[ten_years, ten_years + 1, ten_years + HOUR, ten_years + 2 * HOUR]);
    assert_eq!(hold(&after), None, "three more have been made");
}

#[test]
fn long_gaps_are_nothing_to_rare_or_few_snapshots() {
    assert_eq!(hold(&hourly_then(&[60 * DAY])), None, "no longer than 60 days");
    assert!(hold(&hourly_then(&[60 * DAY + 1])).is_some());
    let weekly: Vec<i64> = (0..9).map(|week| week * 7 * DAY).collect();
    let then = |after: i64| good(weekly.iter().copied().chain([weekly[8] + after]));
    assert_eq!(hold(&then(140 * DAY)), None, "no longer than 20 times what is usual");
    assert!(hold(&then(140 * DAY + 1)).is_some());
    assert_eq!(hold(&good([0, HOUR, 2 * HOUR, 3 * HOUR, 900 * DAY])), None, "three others tell nothing");
    assert!(hold(&good([0, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 900 * DAY])).is_some());
}

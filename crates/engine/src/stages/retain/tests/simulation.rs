//! What will be, if backups go on.

use jiff::tz::TimeZone;

use super::{berlin, good, name, policy, snapshot, time};
use crate::stages::retain::{Clock, MOST_STEPS, Origin, Simulation, SimulationError, retain, simulate};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

fn daily(number: i64) -> Vec<linksnap_catalog::Snapshot> {
    let start = time("2026-04-01T020000Z");
    good((0..number).map(|day| start + day * DAY))
}

/// Lines of what is there at the end, real ones marked with an `r`, then of what is gone.
fn shown(simulation: &Simulation) -> Vec<String> {
    let remaining = simulation.remaining.iter().map(|remaining| {
        let mark = if remaining.origin == Origin::Real { "r" } else { "s" };
        format!("{mark} {} {}", &remaining.decision.name[..10], remaining.decision.words().join("; "))
    });
    let gone =
        simulation.gone.iter().map(|gone| format!("- {} on {}", &gone.name[..10], &name(gone.at)[..10]));
    remaining.chain(gone).collect()
}

#[test]
fn the_policy_is_followed_after_each_run() {
    let snapshots = daily(5);
    let now = snapshots[4].time + HOUR;
    let simulation =
        simulate(&snapshots, &policy("daily=3 monthly=2"), now, now + 27 * DAY, &TimeZone::UTC).unwrap();
    assert_eq!((simulation.interval_seconds, simulation.made), (DAY, 27));
    assert_eq!(
        shown(&simulation),
        [
            "s 2026-04-30 daily snapshot; monthly snapshot",
            "s 2026-05-01 daily snapshot",
            "s 2026-05-02 daily snapshot; monthly snapshot; newest snapshot; newest good snapshot",
            "- 2026-04-01 on 2026-05-01",
            "- 2026-04-02 on 2026-04-06",
            "- 2026-04-03 on 2026-04-06",
            "- 2026-04-04 on 2026-04-07",
            "- 2026-04-05 on 2026-04-08",
        ]
    );
}

#[test]
fn pins_end_and_problems_give_way_in_time() {
    let mut snapshots = daily(4);
    snapshots[0].pinned = true;
    snapshots[1].pinned = true;
    snapshots[1].pinned_until = Some(time("2026-04-20T000000Z"));
    snapshots[3].totals.problems = 3;
    let now = snapshots[3].time;
    let simulation = simulate(&snapshots, &policy("last=2"), now, now + 30 * DAY, &TimeZone::UTC).unwrap();
    assert_eq!(
        shown(&simulation),
        [
            "r 2026-04-01 pinned",
            "s 2026-05-03 last snapshot",
            "s 2026-05-04 last snapshot; newest snapshot; newest good snapshot",
            "- 2026-04-02 on 2026-04-20",
            "- 2026-04-03 on 2026-04-06",
            "- 2026-04-04 on 2026-04-05",
        ]
    );
}

#[test]
fn the_usual_time_between_runs_is_that_of_the_newest() {
    let start = time("2026-04-01T000000Z");
    // Weekly for long, then hourly with one long pause.
    let weekly = (0..50).map(|week| start + week * 7 * DAY);
    let hourly = (0..25).map(|hour| start + 350 * DAY + hour * HOUR + if hour > 20 { 3 * DAY } else { 0 });
    let snapshots = good(weekly.chain(hourly));
    let now = snapshots[74].time;
    let simulation = simulate(&snapshots, &policy(""), now, now + DAY, &berlin()).unwrap();
    assert_eq!((simulation.interval_seconds, simulation.made), (HOUR, 24));
    assert_eq!(simulation.remaining.len(), 75 + 24);
    assert_eq!(simulation.remaining[0].decision.words(), ["no rules"]);
}

#[test]
fn runs_that_were_missed_are_not_made_up_for() {
    let snapshots = daily(3);
    let now = snapshots[2].time + 10 * DAY + HOUR;
    let simulation = simulate(&snapshots, &policy("last=9"), now, now + 2 * DAY, &TimeZone::UTC).unwrap();
    let names: Vec<&str> =
        simulation.remaining.iter().map(|remaining| &remaining.decision.name[..10]).collect();
    assert_eq!(names, ["2026-04-01", "2026-04-02", "2026-04-03", "2026-04-14", "2026-04-15"]);
}

#[test]
fn if_no_run_is_due_the_policy_is_followed_now() {
    let snapshots = daily(4);
    let now = snapshots[3].time + HOUR;
    let simulation = simulate(&snapshots, &policy("last=2"), now, now, &TimeZone::UTC).unwrap();
    let real = retain(&snapshots, &policy("last=2"), now, &TimeZone::UTC, Clock::Doubt).unwrap();
    assert_eq!(simulation.made, 0);
    let gone: Vec<_> = simulation.gone.iter().map(|gone| gone.id).collect();
    assert_eq!(gone, real.dropped_ids());
    assert!(simulation.remaining.iter().map(|remaining| &remaining.decision).eq(real.kept()));
}

#[test]
fn what_cannot_be_simulated_is_told() {
    let run = |snapshots: &[_], rules: &str, days: i64| {
        let now = snapshots.last().map_or(0, |last: &linksnap_catalog::Snapshot| last.time);
        simulate(snapshots, &policy(rules), now, now + days * DAY, &TimeZone::UTC)
            .map(|simulation| simulation.made)
    };
    assert_eq!(run(&[], "last=1", 9), Err(SimulationError::NoInterval));
    assert_eq!(run(&daily(1), "last=1", 9), Err(SimulationError::NoInterval));
    assert_eq!(run(&[snapshot(1, 5), snapshot(2, 5)], "last=1", 9), Err(SimulationError::NoInterval));
    assert!(matches!(run(&daily(2), "tag=a", 9), Err(SimulationError::Refused(_))));
    let most = i64::try_from(MOST_STEPS).unwrap();
    assert_eq!(run(&daily(2), "last=1", most), Ok(MOST_STEPS));
    let too_many = Err(SimulationError::TooMany { interval_seconds: DAY });
    assert_eq!(run(&daily(2), "last=1", most + 1), too_many);
    assert_eq!(simulate(&daily(2), &policy("last=1"), 0, i64::MAX, &TimeZone::UTC).map(|s| s.made), too_many);
}

#[test]
fn a_year_of_hours_comes_out_as_the_policy_says() {
    let start = time("2026-01-01T000000Z");
    let snapshots = good([start, start + HOUR]);
    let rules = policy("within=2d hourly=24 daily=14 weekly=8 monthly=24 yearly=5");
    let simulation = simulate(&snapshots, &rules, start + HOUR, start + 365 * DAY, &berlin()).unwrap();
    assert_eq!(simulation.made, 365 * 24 - 1);
    // Following the policy every hour leaves what following it once at the end leaves.
    let all = good((0..=365 * 24).map(|hour| start + hour * HOUR));
    let once = retain(&all, &rules, start + 365 * DAY, &berlin(), Clock::Doubt).unwrap();
    let names: Vec<&str> =
        simulation.remaining.iter().map(|remaining| remaining.decision.name.as_str()).collect();
    assert_eq!(names, once.kept().map(|decision| decision.name.as_str()).collect::<Vec<_>>());
}

//! Policies as tables: one line a snapshot, with what is known of it, the verdict and every reason.

use jiff::tz::TimeZone;
use linksnap_catalog::Snapshot;

use super::{policy, snapshot, time};
use crate::report::Class;
use crate::stages::retain::{Clock, Retained, retain};

/// Reads the snapshots from the first column of a table: a name, then `bad`, `pin`, `pin=UNTIL`, `tags=A,B`.
fn snapshots(table: &str) -> Vec<Snapshot> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = (1..).zip(lines.map(|line| line.split('|').next().unwrap()));
    lines.map(|(id, line)| one(id, line)).collect()
}

fn one(id: i64, line: &str) -> Snapshot {
    let (name, marks) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let mut snapshot = snapshot(id, time(name));
    for mark in marks.split_whitespace() {
        match mark.split_once('=') {
            None if mark == "bad" => snapshot.totals.problems = 1,
            None if mark == "pin" => snapshot.pinned = true,
            Some(("pin", until)) => {
                snapshot.pinned = true;
                snapshot.pinned_until = Some(time(until));
            }
            Some(("tags", tags)) => snapshot.tags = tags.to_owned(),
            _ => panic!("what is {mark}?"),
        }
    }
    snapshot
}

/// The table with the verdicts and reasons that came out.
fn filled(table: &str, retained: &Retained) -> String {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.zip(&retained.decisions).map(|(line, decision)| {
        let verdict = if decision.is_kept() { "keep" } else { "drop" };
        let left = line.split('|').next().unwrap().trim_end();
        format!("{left} | {verdict} | {}\n", decision.words().join("; "))
    });
    lines.collect()
}

/// Compares the table with what comes out, a while after the last snapshot.
#[track_caller]
fn check(rules: &str, table: &str) {
    let snapshots = snapshots(table);
    let now = snapshots.iter().map(|snapshot| snapshot.time).max().unwrap() + 60;
    let retained = retain(&snapshots, &policy(rules), now, &TimeZone::UTC, Clock::Doubt).unwrap();
    let wanted: String = table
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            format!("{}\n", cells.join(" | "))
        })
        .collect();
    let filled = filled(table, &retained);
    assert_eq!(filled, wanted, "with {rules}, there came out:\n{filled}");
}

#[test]
fn without_rules_all_are_kept() {
    check(
        "",
        "
        2026-04-01T020000Z bad | keep | no rules
        2026-04-02T020000Z     | keep | no rules; newest snapshot; newest good snapshot
        ",
    );
}

#[test]
fn the_last_are_kept() {
    check(
        "last=2",
        "
        2026-04-01T020000Z | drop | no rule keeps it
        2026-04-02T020000Z | drop | no rule keeps it
        2026-04-02T030000Z | keep | last snapshot
        2026-04-02T040000Z | keep | last snapshot; newest snapshot; newest good snapshot
        ",
    );
}

#[test]
fn the_newest_of_each_day_is_kept_and_the_oldest_of_all_while_days_are_left() {
    check(
        "daily=4",
        "
        2026-04-01T020000Z | keep | oldest daily snapshot
        2026-04-01T140000Z | drop | no rule keeps it
        2026-04-01T230000Z | keep | daily snapshot
        2026-04-03T020000Z | drop | no rule keeps it
        2026-04-03T235959Z | keep | daily snapshot
        2026-04-04T000000Z | keep | daily snapshot; newest snapshot; newest good snapshot
        ",
    );
    check(
        "daily=3",
        "
        2026-04-01T020000Z | drop | no rule keeps it
        2026-04-01T140000Z | drop | no rule keeps it
        2026-04-01T230000Z | keep | daily snapshot
        2026-04-03T020000Z | drop | no rule keeps it
        2026-04-03T235959Z | keep | daily snapshot
        2026-04-04T000000Z | keep | daily snapshot; newest snapshot; newest good snapshot
        ",
    );
}

#[test]
fn rules_are_blind_to_each_other_and_every_reason_is_told() {
    check(
        "last=1 hourly=2 daily=2 weekly=2 monthly=unlimited yearly=1",
        "
        2025-12-31T120000Z | keep | monthly snapshot
        2026-02-28T230000Z | keep | monthly snapshot
        2026-03-29T120000Z | drop | no rule keeps it
        2026-03-31T120000Z | keep | monthly snapshot
        2026-04-12T230000Z | keep | daily snapshot; weekly snapshot
        2026-04-13T010500Z | drop | no rule keeps it
        2026-04-13T013000Z | keep | hourly snapshot
        2026-04-13T020000Z | keep | last snapshot; hourly snapshot; daily snapshot; weekly snapshot; monthly snapshot; yearly snapshot; newest snapshot; newest good snapshot
        ",
    );
}

#[test]
fn weeks_begin_on_monday_and_do_not_end_with_the_year() {
    check(
        "weekly=3",
        "
        2026-12-20T120000Z | keep | weekly snapshot
        2026-12-21T120000Z | drop | no rule keeps it
        2026-12-27T120000Z | keep | weekly snapshot
        2026-12-28T120000Z | drop | no rule keeps it
        2026-12-31T120000Z | drop | no rule keeps it
        2027-01-03T120000Z | keep | weekly snapshot; newest snapshot; newest good snapshot
        ",
    );
}

#[test]
fn within_counts_back_from_the_newest_and_leaves_out_the_border() {
    check(
        "within=2d within-daily=3d",
        "
        2026-04-05T120000Z | drop | no rule keeps it
        2026-04-05T120001Z | drop | no rule keeps it
        2026-04-05T230000Z | keep | daily within 3d
        2026-04-06T110000Z | drop | no rule keeps it
        2026-04-06T120000Z | drop | no rule keeps it
        2026-04-06T120001Z | keep | within 2d; daily within 3d
        2026-04-08T110000Z | keep | within 2d
        2026-04-08T120000Z | keep | within 2d; daily within 3d; newest snapshot; newest good snapshot
        ",
    );
    check(
        "within-monthly=1y",
        "
        2026-01-10T120000Z | keep | oldest monthly within 1y
        2026-01-20T120000Z | drop | no rule keeps it
        2026-01-30T120000Z | keep | monthly within 1y
        2026-04-08T120000Z | keep | monthly within 1y; newest snapshot; newest good snapshot
        ",
    );
}

#[test]
fn tags_and_pins_keep() {
    check(
        "daily=1 tag=release tag=a,b",
        "
        2026-04-01T020000Z tags=b,a,c             | keep | has tags a,b
        2026-04-02T020000Z tags=a                 | drop | no rule keeps it
        2026-04-03T020000Z tags=releases          | drop | no rule keeps it
        2026-04-04T020000Z tags=a,release,b bad   | keep | has tags release; has tags a,b
        2026-04-05T020000Z pin                    | keep | pinned
        2026-04-06T020000Z pin=2026-04-08T020100Z | drop | no rule keeps it
        2026-04-07T020000Z pin=2026-04-08T020101Z | keep | pinned until 2026-04-08 02:01
        2026-04-08T020000Z                        | keep | daily snapshot; newest snapshot; newest good snapshot
        ",
    );
}

#[test]
fn a_good_snapshot_stands_for_its_day_before_one_with_problems() {
    check(
        "daily=3",
        "
        2026-04-05T020000Z     | drop | no rule keeps it
        2026-04-06T020000Z     | keep | daily snapshot
        2026-04-06T140000Z bad | drop | no rule keeps it
        2026-04-07T020000Z     | drop | no rule keeps it
        2026-04-07T140000Z     | keep | daily snapshot
        2026-04-07T230000Z bad | drop | no rule keeps it
        2026-04-08T020000Z     | keep | daily snapshot; newest snapshot; newest good snapshot
        ",
    );
}

#[test]
fn a_day_with_problems_only_gets_a_place_that_good_ones_leave() {
    check(
        "daily=3",
        "
        2026-04-03T020000Z     | keep | daily snapshot
        2026-04-04T020000Z bad | drop | no rule keeps it
        2026-04-05T020000Z bad | drop | no rule keeps it
        2026-04-05T140000Z bad | keep | daily snapshot, with problems
        2026-04-06T020000Z     | keep | daily snapshot; newest snapshot; newest good snapshot
        ",
    );
    check(
        "daily=9",
        "
        2026-04-02T020000Z bad | keep | oldest daily snapshot, with problems
        2026-04-02T140000Z bad | keep | daily snapshot, with problems
        2026-04-03T020000Z     | keep | daily snapshot
        2026-04-03T140000Z bad | drop | no rule keeps it
        2026-04-06T020000Z     | keep | daily snapshot; newest snapshot; newest good snapshot
        ",
    );
    check(
        "yearly=5",
        "
        2026-01-01T020000Z bad | drop | no rule keeps it
        2026-01-02T020000Z     | keep | oldest yearly snapshot
        2026-02-02T020000Z     | drop | no rule keeps it
        2026-04-06T020000Z     | keep | yearly snapshot; newest snapshot; newest good snapshot
        ",
    );
    check(
        "last=3",
        "
        2026-04-02T020000Z     | keep | last snapshot
        2026-04-03T020000Z bad | drop | no rule keeps it
        2026-04-04T020000Z bad | keep | last snapshot, with problems
        2026-04-05T020000Z     | keep | last snapshot; newest snapshot; newest good snapshot
        ",
    );
}

#[test]
fn what_was_made_since_the_last_good_one_does_not_give_way_to_it() {
    check(
        "last=1 daily=2",
        "
        2026-04-03T020000Z     | drop | no rule keeps it
        2026-04-04T020000Z     | keep | daily snapshot
        2026-04-05T020000Z     | keep | last snapshot; daily snapshot; newest good snapshot
        2026-04-05T140000Z bad | drop | no rule keeps it
        2026-04-06T020000Z bad | drop | no rule keeps it
        2026-04-06T140000Z bad | keep | daily snapshot, with problems, no good one since
        2026-04-07T020000Z bad | drop | no rule keeps it
        2026-04-07T140000Z bad | keep | last snapshot, with problems, no good one since; daily snapshot, with problems, no good one since; newest snapshot
        ",
    );
    check(
        "within-daily=2d",
        "
        2026-04-05T150000Z     | drop | no rule keeps it
        2026-04-06T120000Z     | drop | no rule keeps it
        2026-04-06T150000Z bad | drop | no rule keeps it
        2026-04-07T130000Z     | keep | daily within 2d; newest good snapshot
        2026-04-07T140000Z bad | drop | no rule keeps it
        2026-04-07T150000Z bad | keep | daily within 2d, with problems, no good one since
        2026-04-08T140000Z bad | keep | daily within 2d, with problems, no good one since; newest snapshot
        ",
    );
}

#[test]
fn if_none_ever_was_good_they_are_as_good_as_any() {
    check(
        "last=1 daily=3",
        "
        2026-04-05T020000Z bad | keep | oldest daily snapshot, with problems
        2026-04-05T140000Z bad | keep | daily snapshot, with problems
        2026-04-06T020000Z bad | drop | no rule keeps it
        2026-04-06T140000Z bad | keep | last snapshot, with problems; daily snapshot, with problems; newest snapshot
        ",
    );
}

#[test]
fn a_policy_that_keeps_nothing_is_refused() {
    let nothing = policy("tag=release");
    let snapshots = snapshots("2026-04-05T020000Z tags=a\n2026-04-06T020000Z");
    let now = time("2026-04-06T020000Z");
    let refusal = retain(&snapshots, &nothing, now, &TimeZone::UTC, Clock::Doubt).unwrap_err();
    assert_eq!(refusal.class(), Class::Guard);
    assert_eq!(
        refusal.to_string(),
        "the policy (keep those with the tag release) would drop every snapshot of the job, and is not followed"
    );
    assert!(refusal.hint().is_some());
    assert!(retain(&[], &nothing, now, &TimeZone::UTC, Clock::Doubt).unwrap().decisions.is_empty());
    let mut pinned = snapshots;
    pinned[0].pinned = true;
    let retained = retain(&pinned, &nothing, now, &TimeZone::UTC, Clock::Doubt).unwrap();
    assert_eq!(retained.dropped().count(), 0, "the pinned and the newest");
}

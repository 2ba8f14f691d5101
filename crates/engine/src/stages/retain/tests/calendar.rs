//! Hours that are there twice or not at all, leap days, zones of half an hour, and a year of hours.

use std::time::{Duration, Instant};

use jiff::tz::{Offset, TimeZone};

use super::{berlin, count, good, kept, name, new_york, policy, time};
use crate::policy::Bucket;
use crate::stages::retain::{Clock, retain};

const HOUR: i64 = 60 * 60;

/// Snapshots every half an hour of the local day around `noon`.
fn half_hours(noon: &str) -> Vec<i64> {
    let noon = time(noon);
    (-40..40).map(|half| noon + half * HOUR / 2).collect()
}

/// How many hours the night's day had that are kept, and which is kept of the day.
fn night(zone: &TimeZone, noon: &str) -> (usize, Vec<String>) {
    let snapshots = good(half_hours(noon));
    let day = zone.to_datetime(jiff::Timestamp::from_second(time(noon)).unwrap()).date();
    let of_the_day =
        |seconds: i64| zone.to_datetime(jiff::Timestamp::from_second(seconds).unwrap()).date() == day;
    let hourly = kept(&snapshots, "hourly=1000", zone);
    let hours = hourly.iter().filter(|name| of_the_day(time(name))).count();
    let daily = kept(&snapshots, "daily=1000", zone);
    (hours, daily.into_iter().filter(|name| of_the_day(time(name))).collect())
}

#[test]
fn the_day_on_which_summer_time_ends_has_25_hours() {
    let (hours, daily) = night(&berlin(), "2026-10-25T110000Z");
    assert_eq!((hours, daily), (25, vec!["2026-10-25T223000Z".to_owned()]));
    let (hours, daily) = night(&new_york(), "2026-11-01T170000Z");
    assert_eq!((hours, daily), (25, vec!["2026-11-02T043000Z".to_owned()]));
}

#[test]
fn the_day_on_which_summer_time_begins_has_23_hours() {
    let (hours, daily) = night(&berlin(), "2026-03-29T100000Z");
    assert_eq!((hours, daily), (23, vec!["2026-03-29T213000Z".to_owned()]));
    let (hours, daily) = night(&new_york(), "2026-03-08T160000Z");
    assert_eq!((hours, daily), (23, vec!["2026-03-09T033000Z".to_owned()]));
}

#[test]
fn the_hour_that_is_there_twice_is_two() {
    // 02:00, 02:30, and again 02:00, 02:30 by the clocks of Berlin; then of New York (there it is 01:00).
    for (zone, first) in [(berlin(), "2026-10-25T000000Z"), (new_york(), "2026-11-01T050000Z")] {
        let times: Vec<i64> = (0..4).map(|half| time(first) + half * HOUR / 2).collect();
        let snapshots = good(times.iter().copied());
        assert_eq!(kept(&snapshots, "hourly=2", &zone), [name(times[1]), name(times[3])]);
    }
}

#[test]
fn a_week_with_a_change_of_clocks_is_a_week() {
    // Sunday noon to Sunday noon, the clocks between them changing.
    let snapshots = good([
        time("2026-10-18T100000Z"),
        time("2026-10-18T215959Z"),
        time("2026-10-18T220000Z"),
        time("2026-10-25T225959Z"),
        time("2026-10-25T230000Z"),
    ]);
    let wanted = ["2026-10-18T215959Z", "2026-10-25T225959Z", "2026-10-25T230000Z"];
    assert_eq!(kept(&snapshots, "weekly=3", &berlin()), wanted);
    // A day within ends at the same hour of the clock: 25 hours before.
    let snapshots = good(["2026-10-24T220000Z", "2026-10-24T220001Z", "2026-10-25T230000Z"].map(time));
    assert_eq!(kept(&snapshots, "within=1d", &berlin()), ["2026-10-24T220001Z", "2026-10-25T230000Z"]);
    assert_eq!(kept(&snapshots, "within=24h", &berlin()), ["2026-10-25T230000Z"]);
}

#[test]
fn hours_begin_where_the_zone_says() {
    // India is 5:30 ahead: its hours begin at half past.
    let india = TimeZone::fixed(Offset::from_seconds(5 * 3600 + 1800).unwrap());
    let snapshots = good(["2026-04-08T022959Z", "2026-04-08T023000Z", "2026-04-08T032959Z"].map(time));
    assert_eq!(kept(&snapshots, "hourly=2", &india), ["2026-04-08T022959Z", "2026-04-08T032959Z"]);
    assert_eq!(kept(&snapshots, "hourly=2", &TimeZone::UTC), ["2026-04-08T023000Z", "2026-04-08T032959Z"]);
    // Lord Howe Island puts its clocks by half an hour: the half hour that is there twice is in two hours.
    let lord_howe = TimeZone::posix("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0").unwrap();
    let snapshots = good(["2026-04-04T144500Z", "2026-04-04T151500Z", "2026-04-04T153500Z"].map(time));
    assert_eq!(kept(&snapshots, "hourly=9", &lord_howe).len(), 3, "01:45, 01:45 again, 02:05");
}

#[test]
fn days_begin_where_the_zone_says() {
    let snapshots = good(["2026-04-07T215959Z", "2026-04-07T220000Z", "2026-04-08T035959Z"].map(time));
    assert_eq!(kept(&snapshots, "daily=2", &berlin()), ["2026-04-07T215959Z", "2026-04-08T035959Z"]);
    assert_eq!(kept(&snapshots, "daily=2", &TimeZone::UTC), ["2026-04-07T220000Z", "2026-04-08T035959Z"]);
    let all = kept(&snapshots, "daily=1", &new_york());
    assert_eq!(all, ["2026-04-08T035959Z"], "23:59:59 there");
}

#[test]
fn a_leap_day_is_a_day_of_its_month_and_year() {
    let noon = |date: &str| time(&format!("{date}T120000Z"));
    let dates = ["2027-02-28", "2027-03-01", "2028-02-28", "2028-02-29", "2028-03-01", "2028-12-31"];
    let snapshots = good(dates.map(noon));
    let kept = |rules: &str| -> Vec<String> {
        kept(&snapshots, rules, &TimeZone::UTC).iter().map(|name| name[..10].to_owned()).collect()
    };
    assert_eq!(kept("daily=4"), ["2028-02-28", "2028-02-29", "2028-03-01", "2028-12-31"]);
    assert_eq!(kept("monthly=3"), ["2028-02-29", "2028-03-01", "2028-12-31"]);
    assert_eq!(kept("yearly=2"), ["2027-03-01", "2028-12-31"]);
    let to_leap_day = good(dates[..4].iter().map(|date| noon(date)));
    let within = super::kept(&to_leap_day, "within=1y", &TimeZone::UTC);
    assert_eq!(within.len(), 3, "the 28th of February a year before is the border");
}

#[test]
fn a_year_of_hours_leaves_what_the_policy_says() {
    let start = time("2025-12-31T230000Z");
    let hours = 365 * 24;
    let snapshots = good((0..hours).map(|hour| start + hour * HOUR));
    let now = start + hours * HOUR;
    let rules = policy("last=3 within=2d hourly=24 daily=14 weekly=8 monthly=24 yearly=5");
    let retained = retain(&snapshots, &rules, now, &berlin(), Clock::Doubt).unwrap();
    let counts = Bucket::ALL.map(|bucket| count(&retained, &format!("{} snapshot", bucket.word())));
    assert_eq!(counts, [3, 24, 14, 8, 12, 1], "a year has no more months and years");
    assert_eq!(count(&retained, "within 2d"), 48);
    assert_eq!(count(&retained, "oldest monthly snapshot"), 1);
    assert_eq!(
        retained.kept().count(),
        48 + 12 + 6 + 10 + 1,
        "days, weeks, months and the oldest beyond two days"
    );
    let newest_of_october = "2026-10-31T220000Z";
    assert!(retained.kept().any(|decision| decision.name == newest_of_october), "23:00 in Berlin");
}

#[test]
fn a_thousand_snapshots_take_no_time() {
    let start = time("2025-01-01T000000Z");
    let snapshots = good((0..1000).map(|number| start + number * 7 * HOUR));
    let rules =
        policy("last=9 within=2d hourly=24 daily=99 weekly=99 monthly=24 yearly=5 within-daily=1y tag=a");
    let began = Instant::now();
    let retained = retain(&snapshots, &rules, i64::MAX, &berlin(), Clock::Doubt).unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(retained.dropped().count() > 500);
}

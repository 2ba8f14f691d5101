//! How policies are written, what they are called, and how long their periods are.

use jiff::tz::TimeZone;

use crate::policy::{Bucket, Count, Percent, Period, Policy, Rule, Share, TagSet};
use crate::snapshot::SnapshotName;

fn period(text: &str) -> Period {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn periods_are_read_as_restic_and_as_people_write_them() {
    let table = [
        ("2y5m7d3h", "2 years 5 months 7 days 3 hours"),
        ("1y 6mo", "1year6months"),
        ("2w", "2 weeks"),
        (" 36h ", "36 hour"),
        ("2d", "1d 1 day"),
        ("99999999999999999999y", "99999999999999999998y 1y"),
    ];
    for (short, long) in table {
        let before = |text: &str| period(text).before(1_775_613_600, &TimeZone::UTC);
        assert_eq!(before(short), before(long), "{short}");
        assert_eq!(period(short).to_string(), short.trim());
    }
}

#[test]
fn what_is_no_period_is_explained() {
    for wrong in ["", " ", "soon", "-2d", "2", "d", "0d", "0y0h", "2d-1h", "1.5d", "90min", "2 d 3", "2D"] {
        let error = wrong.parse::<Period>().expect_err(wrong).to_string();
        assert!(error.contains(&format!("{wrong:?} is no span of time")), "{error}");
        assert!(error.contains("m (months)"), "{error}");
    }
}

#[test]
fn periods_are_counted_in_the_calendar_and_hours_as_they_pass() {
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let table = [
        // Summer time began on the 29th of March: a day before noon is noon, 24 hours before is 11:00.
        ("2026-03-29T100000Z", "1d", "2026-03-28T110000Z"),
        ("2026-03-29T100000Z", "24h", "2026-03-28T100000Z"),
        ("2026-03-29T100000Z", "1w", "2026-03-22T110000Z"),
        ("2026-03-29T100000Z", "1d1h", "2026-03-28T100000Z"),
        ("2028-02-29T120000Z", "1y", "2027-02-28T120000Z"),
        ("2028-03-31T100000Z", "1m", "2028-02-29T110000Z"),
        ("2026-04-08T000000Z", "99999999999999999999y", "-9999-01-02T015959Z"),
        ("2026-04-08T000000Z", "99999999999999999999h", "-9999-01-02T015959Z"),
    ];
    for (end, span, start) in table {
        let end = SnapshotName::parse(end).unwrap().seconds().unwrap();
        let before = period(span).before(end, &berlin);
        assert_eq!(SnapshotName::at(before).unwrap().as_str(), start, "{span}");
    }
    assert!(period("1h").before(i64::MIN, &berlin) < 0);
    assert!(period("1h").before(i64::MAX, &berlin) > 0);
}

#[test]
fn counts_are_numbers_or_all() {
    for (text, wanted) in [
        ("7", Some(Count::Number(7))),
        ("0", Some(Count::Number(0))),
        ("-1", Some(Count::All)),
        ("unlimited", Some(Count::All)),
        ("-2", None),
        ("many", None),
        ("", None),
        ("4294967296", None),
    ] {
        assert_eq!(text.parse::<Count>().ok(), wanted, "{text}");
    }
    let error = Count::of_number(-2).unwrap_err().to_string();
    assert_eq!(error, "-2 is no count: write a number like 7, or \"unlimited\" (or -1) for all");
}

#[test]
fn a_rule_that_counts_to_nothing_is_no_rule() {
    let rule = |count| Rule::Count { bucket: Bucket::Day, count };
    assert!(Policy::new([rule(Count::Number(0))]).is_empty());
    assert_eq!(Policy::new([rule(Count::Number(0)), rule(Count::All)]).rules(), [rule(Count::All)]);
}

#[test]
fn rules_are_explained_one_by_one() {
    let count = |bucket, count| Rule::Count { bucket, count };
    let policy = Policy::new([
        count(Bucket::Snapshot, Count::Number(1)),
        count(Bucket::Snapshot, Count::Number(3)),
        count(Bucket::Snapshot, Count::All),
        count(Bucket::Hour, Count::Number(24)),
        count(Bucket::Year, Count::All),
        Rule::Within { bucket: Bucket::Snapshot, period: period("2d") },
        Rule::Within { bucket: Bucket::Day, period: period("1y 6mo") },
        Rule::Tagged("release".parse().unwrap()),
        Rule::Tagged("a, b".parse().unwrap()),
    ]);
    assert_eq!(
        policy.words(),
        [
            "the last one",
            "the last 3",
            "all",
            "24 hourly",
            "all yearly",
            "all of the last 2d",
            "daily ones of the last 1y 6mo",
            "those with the tag release",
            "those with the tags a and b",
        ]
    );
}

#[test]
fn all_tags_of_a_set_must_be_there() {
    let set: TagSet = "a, b".parse().unwrap();
    assert_eq!(set.to_string(), "a,b");
    assert!(set.is_within(&["c", "b", "a"]));
    assert!(!set.is_within(&["a"]));
    for wrong in ["", ",", "a,", " , a"] {
        assert!(wrong.parse::<TagSet>().is_err(), "{wrong}");
    }
}

#[test]
fn shares_are_percentages_or_amounts() {
    for (text, shown, of_a_thousand) in [
        ("10%", "10%", 100),
        (" 2.5 %", "2.5%", 25),
        ("0.05%", "0.05%", 0),
        ("99.99%", "99.99%", 999),
        ("010.10%", "10.1%", 101),
    ] {
        let percent: Percent = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(percent.to_string(), shown);
        assert_eq!(Share::Percent(percent).of(1000), of_a_thousand, "{text}");
    }
    assert_eq!(Share::Percent("50%".parse().unwrap()).of(u64::MAX), u64::MAX / 2);
    assert_eq!(Share::Amount(7).of(3), 7);
    for wrong in ["", "%", "10", "0%", "0.00%", "100%", "1000%", "-1%", "+1%", "1.%", ".5%", "1.234%", "1,5%"]
    {
        assert!(wrong.parse::<Percent>().is_err(), "{wrong}");
    }
}

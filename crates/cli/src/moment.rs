//! Moments as people write them: a day, a date and time, or a span from now.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use linksnap_engine::policy::Period;

/// A moment, not yet in any time zone.
#[derive(Debug, Clone)]
pub enum Moment {
    /// The end of a day.
    Day(Date),
    /// By the clock on the wall.
    Local(DateTime),
    /// One that says its own zone.
    Exact(Timestamp),
}

/// When something ends.
#[derive(Debug, Clone)]
pub enum End {
    /// Then.
    At(Moment),
    /// So long from now.
    After(Period),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let day = || Date::strptime("%Y-%m-%d", text).ok().map(Self::Day);
        let exact = || text.parse().ok().map(Self::Exact);
        let local = || text.parse().ok().map(Self::Local);
        day().or_else(exact).or_else(local).ok_or_else(|| {
            "no date: write it like 2026-04-08, 2026-04-08T02:00, or 2026-04-08T02:00:00Z".to_owned()
        })
    }
}

impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = || text.parse().ok().map(Self::After);
        text.parse().ok().map(Self::At).or_else(span).ok_or_else(|| {
            "neither a date nor a span of time: write it like 2026-04-08, 2026-04-08T02:00, 90d or 1y"
                .to_owned()
        })
    }
}

impl Moment {
    /// In seconds since 1970. A day means its end: the beginning of the day after.
    pub fn seconds(&self, zone: &TimeZone) -> i64 {
        let last = || Zoned::new(Timestamp::MAX, zone.clone());
        let zoned = match self {
            Self::Exact(time) => return time.as_second(),
            Self::Local(time) => time.to_zoned(zone.clone()),
            Self::Day(day) => day.tomorrow().and_then(|next| next.to_zoned(zone.clone())),
        };
        zoned.unwrap_or_else(|_| last()).timestamp().as_second()
    }
}

impl End {
    /// In seconds since 1970.
    pub fn seconds(&self, now: i64, zone: &TimeZone) -> i64 {
        match self {
            Self::At(moment) => moment.seconds(zone),
            Self::After(period) => period.after(now, zone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Moment};
    use jiff::Timestamp;
    use jiff::tz::{Offset, TimeZone};

    fn zone() -> TimeZone {
        TimeZone::fixed(Offset::constant(2))
    }

    fn time(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn a_moment_is_a_day_a_local_time_or_an_exact_one() {
        let table = [
            ("2026-04-08", "2026-04-08T22:00:00Z"),
            ("2026-12-31", "2026-12-31T22:00:00Z"),
            ("2026-04-08T02:00", "2026-04-08T00:00:00Z"),
            ("2026-04-08 02:00:30", "2026-04-08T00:00:30Z"),
            ("2026-04-08T02:00:00Z", "2026-04-08T02:00:00Z"),
            ("2026-04-08T02:00:00-05:00", "2026-04-08T07:00:00Z"),
        ];
        for (text, wanted) in table {
            assert_eq!(text.parse::<Moment>().unwrap().seconds(&zone()), time(wanted), "{text}");
        }
        for wrong in ["", "today", "2026-02-30", "08.04.2026", "90d"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_end_may_be_a_span_from_now() {
        let now = time("2026-04-08T02:00:00Z");
        let table = [
            ("90d", "2026-07-07T02:00:00Z"),
            ("36h", "2026-04-09T14:00:00Z"),
            ("1y", "2027-04-08T02:00:00Z"),
            ("1mo", "2026-05-08T02:00:00Z"),
            ("2026-04-08", "2026-04-08T22:00:00Z"),
        ];
        for (text, wanted) in table {
            assert_eq!(text.parse::<End>().unwrap().seconds(now, &zone()), time(wanted), "{text}");
        }
        let far = "99999y".parse::<End>().unwrap().seconds(now, &zone());
        assert_eq!(far, Timestamp::MAX.as_second());
        assert!("soon".parse::<End>().is_err());
    }
}

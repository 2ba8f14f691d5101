//! Spans of calendar time, as retention has them.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A span that is longer than nothing, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    text: String,
    amounts: Amounts,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amounts {
    years: i64,
    months: i64,
    weeks: i64,
    days: i64,
    hours: i64,
}

/// Not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no span of time: write it like \"2d\", \"36h\" or \"1y 6mo\", in \
     y(ears), mo or m (months), w(eeks), d(ays) and h(ours)"
)]
pub struct PeriodError(String);

impl Period {
    /// The time that is so long before `time`, both in seconds since 1970. Years, months, weeks and days
    /// are counted in the calendar of `zone`, hours as they pass.
    #[must_use]
    pub fn before(&self, time: i64, zone: &TimeZone) -> i64 {
        let end = if time < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let time = Timestamp::from_second(time).unwrap_or(end).to_zoned(zone.clone());
        time.saturating_sub(self.amounts.span()).timestamp().as_second()
    }

    /// The first moment at which `time` lies so long back, both in seconds since 1970: the end of what a rule `within`
    /// keeps of a snapshot made then. Adding the span is not its inverse: a month before 30 and 31 March is 28 February.
    #[must_use]
    pub fn after(&self, time: i64, zone: &TimeZone) -> i64 {
        let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let (mut low, mut high) = (time.clamp(first, last), last);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.before(middle, zone) >= time {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

impl Amounts {
    /// What is more than a calendar has room for is as good as its whole length.
    fn span(&self) -> Span {
        Span::new()
            .years(self.years.min(19_998))
            .months(self.months.min(239_976))
            .weeks(self.weeks.min(1_043_497))
            .days(self.days.min(7_304_484))
            .hours(self.hours.min(175_307_616))
    }

    fn unit(&mut self, unit: &str) -> Option<&mut i64> {
        match unit {
            "y" | "year" | "years" => Some(&mut self.years),
            "m" | "mo" | "month" | "months" => Some(&mut self.months),
            "w" | "week" | "weeks" => Some(&mut self.weeks),
            "d" | "day" | "days" => Some(&mut self.days),
            "h" | "hour" | "hours" => Some(&mut self.hours),
            _ => None,
        }
    }

    /// Reads `2y5m7d3h` or `1 year 6 months`.
    fn parse(text: &str) -> Option<Self> {
        let mut amounts = Self::default();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            let after = after.trim_start();
            let (unit, after) =
                after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
            let amount = amounts.unit(unit)?;
            // Digits that are too many for a number are too many for the calendar as well.
            let number = if number.is_empty() { None } else { Some(number.parse().unwrap_or(i64::MAX)) };
            *amount = amount.saturating_add(number?);
            rest = after.trim_start();
        }
        (amounts != Self::default()).then_some(amounts)
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let amounts = Amounts::parse(text).ok_or_else(|| PeriodError(text.to_owned()))?;
        Ok(Self { text: text.trim().to_owned(), amounts })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

//! What is to be kept: the rules of retention as values. Followed in [`crate::stages::retain`].
//!
//! The rules mean what they mean to restic. Nothing here knows a snapshot, a clock or a time zone.

mod headroom;
mod period;

use std::fmt;
use std::str::FromStr;

pub use headroom::{DEFAULT_MIN, Headroom, Percent, PercentError, Share};
pub use period::{Period, PeriodError};

/// The rules, in the order in which they are explained. A snapshot stays if one of them keeps it; without
/// any, all stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The newest of each of so many buckets: `last`, `hourly`, `daily` …
    Count {
        /// Which buckets.
        bucket: Bucket,
        /// How many of them.
        count: Count,
    },
    /// The newest of each bucket of the time before the newest snapshot: `within`, `within-hourly` …
    Within {
        /// Which buckets.
        bucket: Bucket,
        /// How far back.
        period: Period,
    },
    /// Those that have all of these tags.
    Tagged(TagSet),
}

/// What snapshots are put into; of each bucket one is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Each snapshot is its own.
    Snapshot,
    /// An hour; the one that is there twice when summer time ends is two.
    Hour,
    /// A day of the calendar.
    Day,
    /// A week from Monday to Sunday.
    Week,
    /// A month of the calendar.
    Month,
    /// A year of the calendar.
    Year,
}

/// How many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// So many; a rule with 0 is as good as absent.
    Number(u32),
    /// However many there are: `unlimited` or `-1`.
    All,
}

/// Tags that a snapshot must have, all of them; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSet(Vec<String>);

/// Not a count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no count: write a number like 7, or \"unlimited\" (or -1) for all")]
pub struct CountError(String);

/// Not a set of tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} lacks a tag: write one like \"release\", or several with commas between, of which all must be there"
)]
pub struct TagError(String);

impl Policy {
    /// The policy of these rules; those that count to 0 are as good as absent.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().filter(|rule| !rule.is_void()).collect() }
    }

    /// The rules; none counts to 0.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Is there no rule, so that everything is kept?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules in words, one by one.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.rules.iter().map(Rule::words).collect()
    }
}

impl Rule {
    fn is_void(&self) -> bool {
        matches!(self, Self::Count { count: Count::Number(0), .. })
    }

    /// What it keeps, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Count { bucket: Bucket::Snapshot, count: Count::All } => "all".to_owned(),
            Self::Count { bucket: Bucket::Snapshot, count: Count::Number(1) } => "the last one".to_owned(),
            Self::Count { bucket: Bucket::Snapshot, count } => format!("the last {count}"),
            Self::Count { bucket, count } => format!("{count} {}", bucket.word()),
            Self::Within { bucket: Bucket::Snapshot, period } => format!("all of the last {period}"),
            Self::Within { bucket, period } => format!("{} ones of the last {period}", bucket.word()),
            Self::Tagged(tags) => match tags.0.as_slice() {
                [tag] => format!("those with the tag {tag}"),
                tags => format!("those with the tags {}", tags.join(" and ")),
            },
        }
    }
}

impl Bucket {
    /// All of them, from the shortest.
    pub const ALL: [Self; 6] = [Self::Snapshot, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// What the newest one in it is: `last`, `hourly`, `daily` …
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Snapshot => "last",
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }
}

impl Count {
    /// The count for a number; -1 is all.
    pub fn of_number(number: i64) -> Result<Self, CountError> {
        match u32::try_from(number) {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if number == -1 => Ok(Self::All),
            Err(_) => Err(CountError(number.to_string())),
        }
    }

    /// The most that it lets through.
    #[must_use]
    pub fn limit(self) -> usize {
        match self {
            Self::Number(number) => usize::try_from(number).unwrap_or(usize::MAX),
            Self::All => usize::MAX,
        }
    }
}

impl FromStr for Count {
    type Err = CountError;

    fn from_str(text: &str) -> Result<Self, CountError> {
        match text.trim() {
            "unlimited" => Ok(Self::All),
            number => number
                .parse()
                .ok()
                .and_then(|number| Self::of_number(number).ok())
                .ok_or_else(|| CountError(format!("{text:?}"))),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

impl TagSet {
    /// Are all of them among `tags`?
    #[must_use]
    pub fn is_within(&self, tags: &[&str]) -> bool {
        self.0.iter().all(|tag| tags.contains(&tag.as_str()))
    }
}

impl FromStr for TagSet {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let tags: Vec<String> = text.split(',').map(|tag| tag.trim().to_owned()).collect();
        match tags.iter().any(String::is_empty) {
            true => Err(TagError(text.to_owned())),
            false => Ok(Self(tags)),
        }
    }
}

impl fmt::Display for TagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

#[cfg(test)]
mod tests;

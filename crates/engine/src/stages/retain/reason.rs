//! Why a snapshot stays or goes.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use linksnap_catalog::Snapshot;

use crate::policy::{Bucket, Period, Policy, Rule, TagSet};
use crate::stages::retain::candidate::timestamp;

/// Why a snapshot stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// There are no rules.
    NoRules,
    /// It stands for one of a number of buckets.
    Count {
        /// Which.
        bucket: Bucket,
        /// Which one of its bucket it is.
        place: Place,
        /// With or without problems.
        quality: Quality,
    },
    /// It stands for a bucket of the time before the newest snapshot.
    Within {
        /// Which bucket.
        bucket: Bucket,
        /// How far back.
        period: Period,
        /// Which one of its bucket it is.
        place: Place,
        /// With or without problems.
        quality: Quality,
    },
    /// It has these tags.
    Tagged(TagSet),
    /// It is pinned.
    Pinned {
        /// Until when, in the time zone of the rules; `None`: for ever.
        until: Option<DateTime>,
    },
    /// It is the newest.
    Newest,
    /// It is the newest without problems.
    NewestGood,
    /// Nothing is dropped now.
    ClockLooksWrong,
}

/// Which one of its bucket is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The newest.
    Newest,
    /// The oldest of all: kept while there are not enough others, so that history is as long as can be.
    Oldest,
}

/// Why a snapshot may stand for its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// It has no problems.
    Good,
    /// Its bucket has no good one, and good ones left it a place.
    Problems,
    /// No good one has been made since, so it need not give way to one.
    NoGoodSince,
}

/// Why a snapshot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No rule keeps it.
    NoRule,
    /// More space is wanted.
    ToFreeSpace,
    /// More inodes are wanted.
    ToFreeInodes,
}

impl Reason {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::NoRules => "no rules".to_owned(),
            Self::Count { bucket, place, quality } => {
                format!("{}{} snapshot{}", place.words(), bucket.word(), quality.words())
            }
            Self::Within { bucket: Bucket::Snapshot, period, .. } => format!("within {period}"),
            Self::Within { bucket, period, place, quality } => {
                format!("{}{} within {period}{}", place.words(), bucket.word(), quality.words())
            }
            Self::Tagged(tags) => format!("has tags {tags}"),
            Self::Pinned { until: None } => "pinned".to_owned(),
            Self::Pinned { until: Some(until) } => {
                format!("pinned until {}", until.strftime("%Y-%m-%d %H:%M"))
            }
            Self::Newest => "newest snapshot".to_owned(),
            Self::NewestGood => "newest good snapshot".to_owned(),
            Self::ClockLooksWrong => "the clock looks wrong".to_owned(),
        }
    }

    /// Does it hold whatever the rules say, and however little room there is?
    #[must_use]
    pub fn protects(&self) -> bool {
        matches!(self, Self::Pinned { .. } | Self::Newest | Self::NewestGood | Self::ClockLooksWrong)
    }
}

impl Place {
    fn words(self) -> &'static str {
        match self {
            Self::Newest => "",
            Self::Oldest => "oldest ",
        }
    }
}

impl Quality {
    fn words(self) -> &'static str {
        match self {
            Self::Good => "",
            Self::Problems => ", with problems",
            Self::NoGoodSince => ", with problems, no good one since",
        }
    }
}

impl Cause {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NoRule => "no rule keeps it",
            Self::ToFreeSpace => "to free space",
            Self::ToFreeInodes => "to free inodes",
        }
    }
}

/// What keeps a snapshot, as long as nobody wants it in words.
#[derive(Debug, Clone, Copy)]
pub enum Keeper {
    /// There are no rules.
    NoRules,
    /// The rule of this number.
    Rule(usize, Place, Quality),
    /// A pin.
    Pin,
    /// Being the newest.
    Newest,
    /// Being the newest good one.
    NewestGood,
}

impl Keeper {
    /// The reason, said of `snapshot`.
    pub fn reason(self, policy: &Policy, snapshot: &Snapshot, zone: &TimeZone) -> Reason {
        match self {
            Self::NoRules => Reason::NoRules,
            Self::Rule(number, place, quality) => match policy.rules()[number].clone() {
                Rule::Count { bucket, .. } => Reason::Count { bucket, place, quality },
                Rule::Within { bucket, period } => Reason::Within { bucket, period, place, quality },
                Rule::Tagged(tags) => Reason::Tagged(tags),
            },
            Self::Pin => Reason::Pinned {
                until: snapshot.pinned_until.map(|until| zone.to_datetime(timestamp(until))),
            },
            Self::Newest => Reason::Newest,
            Self::NewestGood => Reason::NewestGood,
        }
    }
}

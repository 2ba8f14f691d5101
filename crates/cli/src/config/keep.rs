//! `keep`: what retention is to keep and how much room it is to leave. Read, checked and explained here.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use linksnap_engine::policy::{Bucket, Count, DEFAULT_MIN, Headroom, Period, Policy, Rule, Share, TagSet};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::size;

/// `keep = { last = 3, daily = 7, within = "2d", free-space = "10%" }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep {
    /// What stays.
    pub policy: Policy,
    /// What goes beyond that when room is short.
    pub headroom: Headroom,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    last: Option<Text<Count>>,
    hourly: Option<Text<Count>>,
    daily: Option<Text<Count>>,
    weekly: Option<Text<Count>>,
    monthly: Option<Text<Count>>,
    yearly: Option<Text<Count>>,
    within: Option<Text<Period>>,
    within_hourly: Option<Text<Period>>,
    within_daily: Option<Text<Period>>,
    within_weekly: Option<Text<Period>>,
    within_monthly: Option<Text<Period>>,
    within_yearly: Option<Text<Period>>,
    #[serde(default)]
    tag: Tags,
    free_space: Option<Text<Space>>,
    free_inodes: Option<Text<Inodes>>,
    min: Option<u32>,
}

impl Table {
    fn policy(self) -> Policy {
        let counts = [self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly];
        let periods = [
            self.within,
            self.within_hourly,
            self.within_daily,
            self.within_weekly,
            self.within_monthly,
            self.within_yearly,
        ];
        let counts = Bucket::ALL.into_iter().zip(counts);
        let counts =
            counts.filter_map(|(bucket, count)| count.map(|Text(count)| Rule::Count { bucket, count }));
        let periods = Bucket::ALL.into_iter().zip(periods);
        let periods =
            periods.filter_map(|(bucket, period)| period.map(|Text(period)| Rule::Within { bucket, period }));
        Policy::new(counts.chain(periods).chain(self.tag.0.into_iter().map(Rule::Tagged)))
    }

    fn headroom(&self) -> Headroom {
        Headroom {
            free_space: self.free_space.as_ref().map(|Text(Space(share))| *share),
            free_inodes: self.free_inodes.as_ref().map(|Text(Inodes(share))| *share),
            min: self.min.unwrap_or(DEFAULT_MIN),
        }
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        let headroom = table.headroom();
        if table.min.is_some() && headroom.is_empty() {
            return Err(D::Error::custom(
                "min says how many snapshots free-space and free-inodes must leave, and neither is here",
            ));
        }
        let policy = table.policy();
        if policy.is_empty() && headroom.is_empty() {
            return Err(D::Error::custom(
                "this keeps nothing: say how many, as in keep = { last = 3, daily = 7 }",
            ));
        }
        Ok(Self { policy, headroom })
    }
}

impl Keep {
    /// The rules in words, one by one.
    pub fn words(&self) -> Vec<String> {
        match self.policy.is_empty() {
            true => vec!["all snapshots".to_owned()],
            false => self.policy.words(),
        }
    }

    /// The room to leave in words, one by one.
    pub fn room_words(&self) -> Vec<String> {
        let Headroom { free_space, free_inodes, .. } = self.headroom;
        let space = free_space.map(|share| match share {
            Share::Percent(percent) => format!("{percent} of the space"),
            Share::Amount(bytes) => size::bytes(bytes),
        });
        let inodes = free_inodes.map(|share| match share {
            Share::Percent(percent) => format!("{percent} of the inodes"),
            Share::Amount(number) => size::counted(number, "inode", "inodes"),
        });
        space.into_iter().chain(inodes).collect()
    }
}

/// Free space as users write it: `10%` or `50GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space(pub Share);

/// Free inodes as users write them: `5%` or `100000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inodes(pub Share);

impl FromStr for Space {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        share(text, |text| size::parse(text).ok())
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no amount of space: write it like \"10%\" or \"50GiB\""))
    }
}

impl FromStr for Inodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        share(text, |text| text.trim().parse().ok())
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no number of inodes: write it like \"5%\" or \"100000\""))
    }
}

fn share(text: &str, amount: impl FnOnce(&str) -> Option<u64>) -> Option<Share> {
    match text.trim_end().ends_with('%') {
        true => text.parse().ok().map(Share::Percent),
        false => amount(text).filter(|amount| *amount > 0).map(Share::Amount),
    }
}

/// What is read from text, as `FromStr` has it; a bare number is as good as one in quotes.
#[derive(Debug)]
pub struct Text<T>(pub T);

/// Sets of tags: `"a,b"` is one, `["a", "b"]` is two.
#[derive(Default)]
struct Tags(Vec<TagSet>);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData)).map(Self)
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a tag or a list of tags")]
        enum Written {
            One(String),
            Several(Vec<String>),
        }
        let written = match Written::deserialize(deserializer)? {
            Written::One(tags) => vec![tags],
            Written::Several(sets) => sets,
        };
        let sets: Result<_, _> = written.iter().map(|tags| tags.parse()).collect();
        sets.map(Self).map_err(D::Error::custom)
    }
}

struct Reader<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

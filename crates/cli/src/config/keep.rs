//! What retention is to keep. Read, checked and explained here; followed when retention runs.

use jiff::{Span, Timestamp};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// `keep = { last = 3, daily = 7, within = "2d" }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep {
    /// How many of each kind, and for how long, in the order in which they are explained.
    rules: Vec<Rule>,
}

/// One rule of `keep`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Count { key: &'static str, number: u32 },
    Within { key: &'static str, period: Period },
    Tag(String),
}

/// A span of calendar time that is longer than nothing, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Period(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    last: Option<u32>,
    hourly: Option<u32>,
    daily: Option<u32>,
    weekly: Option<u32>,
    monthly: Option<u32>,
    yearly: Option<u32>,
    within: Option<Period>,
    within_hourly: Option<Period>,
    within_daily: Option<Period>,
    within_weekly: Option<Period>,
    within_monthly: Option<Period>,
    within_yearly: Option<Period>,
    #[serde(default)]
    tag: Tags,
}

#[derive(Default, Deserialize)]
#[serde(untagged, expecting = "expected a tag or a list of tags")]
enum Tags {
    #[default]
    None,
    One(String),
    Several(Vec<String>),
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        let counts = [
            ("last", table.last),
            ("hourly", table.hourly),
            ("daily", table.daily),
            ("weekly", table.weekly),
            ("monthly", table.monthly),
            ("yearly", table.yearly),
        ];
        let periods = [
            ("within", table.within),
            ("within-hourly", table.within_hourly),
            ("within-daily", table.within_daily),
            ("within-weekly", table.within_weekly),
            ("within-monthly", table.within_monthly),
            ("within-yearly", table.within_yearly),
        ];
        let tags = match table.tag {
            Tags::None => Vec::new(),
            Tags::One(tag) => vec![tag],
            Tags::Several(tags) => tags,
        };
        let counts = counts.into_iter().filter_map(|(key, number)| {
            number.filter(|number| *number > 0).map(|number| Rule::Count { key, number })
        });
        let periods =
            periods.into_iter().filter_map(|(key, period)| period.map(|period| Rule::Within { key, period }));
        let rules: Vec<Rule> = counts.chain(periods).chain(tags.into_iter().map(Rule::Tag)).collect();
        if rules.is_empty() {
            return Err(D::Error::custom(
                "this keeps nothing: say how many, as in keep = { last = 3, daily = 7 }",
            ));
        }
        Ok(Self { rules })
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_long = |span: Span| {
            // Months have a length only in a calendar: any will do to see that it is not nothing.
            let start = Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
            start.checked_add(span).is_ok_and(|end| end > start)
        };
        match text.parse::<Span>() {
            Ok(span) if is_long(span) => Ok(Self(text)),
            _ => Err(D::Error::custom(format!(
                "{text:?} is no span of time: write it like \"2d\", \"36h\" or \"1y 6mo\""
            ))),
        }
    }
}

impl Keep {
    /// The rules in words, one by one.
    pub fn words(&self) -> Vec<String> {
        self.rules.iter().map(Rule::words).collect()
    }
}

impl Rule {
    fn words(&self) -> String {
        match self {
            Self::Count { key: "last", number: 1 } => "the last one".to_owned(),
            Self::Count { key: "last", number } => format!("the last {number}"),
            Self::Count { key, number } => format!("{number} {key}"),
            Self::Within { key: "within", period } => format!("all of the last {}", period.0),
            Self::Within { key, period } => {
                format!("{} ones of the last {}", key.trim_start_matches("within-"), period.0)
            }
            Self::Tag(tag) => format!("those with the tag {tag}"),
        }
    }
}

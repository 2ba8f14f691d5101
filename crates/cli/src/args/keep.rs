//! What to keep, and how much room to leave: `--keep-…` and `--free-…`.

use clap::Args;
use jiff::tz::TimeZone;
use linksnap_engine::policy::{Bucket, Count, Headroom, Period, Policy, Rule, TagSet};

use crate::config::keep::{Inodes, Space};
use crate::zone;

/// Rules in place of the configured ones, and the rest of what retention needs to know.
#[derive(Debug, Args)]
pub struct KeepArgs {
    #[command(flatten)]
    counts: Counts,
    #[command(flatten)]
    periods: Periods,
    /// Keep snapshots that have all of these tags (a,b); can be given several times
    #[arg(long, value_name = "TAGS", help_heading = KEEP)]
    keep_tag: Vec<TagSet>,
    #[command(flatten)]
    room: Room,
    /// Count hours, days, weeks … in this time zone (Europe/Berlin) [default: the configured one, else the system's]
    #[arg(long, value_name = "ZONE", value_parser = zone::parse, help_heading = KEEP)]
    pub timezone: Option<TimeZone>,
}

const KEEP: &str = "What to keep";
const ROOM: &str = "How much room to leave";

#[derive(Debug, Args)]
#[command(next_help_heading = KEEP)]
struct Counts {
    /// Keep the newest N; like all these numbers it can be "unlimited"
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_last: Option<Count>,
    /// Keep the newest of each of N hours
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_hourly: Option<Count>,
    /// Keep the newest of each of N days
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_daily: Option<Count>,
    /// Keep the newest of each of N weeks
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_weekly: Option<Count>,
    /// Keep the newest of each of N months
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_monthly: Option<Count>,
    /// Keep the newest of each of N years
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    keep_yearly: Option<Count>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = KEEP)]
struct Periods {
    /// Keep all that are less than so much older than the newest
    #[arg(long, value_name = "SPAN")]
    keep_within: Option<Period>,
    /// Of that time keep the newest of each hour
    #[arg(long, value_name = "SPAN")]
    keep_within_hourly: Option<Period>,
    /// Of that time keep the newest of each day
    #[arg(long, value_name = "SPAN")]
    keep_within_daily: Option<Period>,
    /// Of that time keep the newest of each week
    #[arg(long, value_name = "SPAN")]
    keep_within_weekly: Option<Period>,
    /// Of that time keep the newest of each month
    #[arg(long, value_name = "SPAN")]
    keep_within_monthly: Option<Period>,
    /// Of that time keep the newest of each year
    #[arg(long, value_name = "SPAN")]
    keep_within_yearly: Option<Period>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = ROOM)]
struct Room {
    /// Drop more, the oldest first, while less is free (10%, 50GiB)
    #[arg(long, value_name = "SHARE|SIZE")]
    free_space: Option<Space>,
    /// Drop more, the oldest first, while fewer inodes are free (5%, 100000)
    #[arg(long, value_name = "SHARE|N")]
    free_inodes: Option<Inodes>,
    /// But leave so many snapshots [default: the configured number, else 3]
    #[arg(long, value_name = "N")]
    min: Option<u32>,
}

impl KeepArgs {
    /// The rules; `None` if none was given.
    pub fn policy(&self) -> Option<Policy> {
        let Counts { keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly } =
            self.counts;
        let counts = [keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly];
        let periods = &self.periods;
        let periods = [
            &periods.keep_within,
            &periods.keep_within_hourly,
            &periods.keep_within_daily,
            &periods.keep_within_weekly,
            &periods.keep_within_monthly,
            &periods.keep_within_yearly,
        ];
        let counts = Bucket::ALL.into_iter().zip(counts);
        let counts = counts.filter_map(|(bucket, count)| Some(Rule::Count { bucket, count: count? }));
        let periods = Bucket::ALL.into_iter().zip(periods);
        let periods =
            periods.filter_map(|(bucket, period)| Some(Rule::Within { bucket, period: period.clone()? }));
        let tags = self.keep_tag.iter().cloned().map(Rule::Tagged);
        let rules: Vec<Rule> = counts.chain(periods).chain(tags).collect();
        (!rules.is_empty()).then(|| Policy::new(rules))
    }

    /// Is there a rule, or anything said of room?
    pub fn says_anything(&self) -> bool {
        self.policy().is_some() || self.says_room()
    }

    /// Is anything said of room?
    pub fn says_room(&self) -> bool {
        let Room { free_space, free_inodes, min } = &self.room;
        free_space.is_some() || free_inodes.is_some() || min.is_some()
    }

    /// The room to leave: what is said here, else what `configured` says.
    pub fn headroom(&self, configured: Headroom) -> Headroom {
        Headroom {
            free_space: self.room.free_space.map(|space| space.0).or(configured.free_space),
            free_inodes: self.room.free_inodes.map(|inodes| inodes.0).or(configured.free_inodes),
            min: self.room.min.unwrap_or(configured.min),
        }
    }
}

//! How much of the filesystem is to stay free.

use std::fmt;
use std::str::FromStr;

/// The room that is to be free after retention, and how few snapshots may be left for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom {
    /// Bytes.
    pub free_space: Option<Share>,
    /// Inodes; filesystems that make them as needed have no limit to keep away from.
    pub free_inodes: Option<Share>,
    /// No snapshot is dropped for room if fewer than these would be left.
    pub min: u32,
}

/// What [`Headroom::min`] is if nobody says: a disk that something else fills costs old history, but not all.
pub const DEFAULT_MIN: u32 = 3;

/// So much of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Of all that there is.
    Percent(Percent),
    /// In bytes or inodes.
    Amount(u64),
}

/// More than 0 % and less than 100 %, exact to two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent {
    hundredths: u32,
}

/// Not a percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no share: write it like \"10%\" or \"2.5%\", more than 0 % and less than 100 %")]
pub struct PercentError(String);

impl Default for Headroom {
    fn default() -> Self {
        Self { free_space: None, free_inodes: None, min: DEFAULT_MIN }
    }
}

impl Headroom {
    /// Is no room asked for?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.free_space.is_none() && self.free_inodes.is_none()
    }
}

impl Share {
    /// How much it is of `total`.
    #[must_use]
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Amount(amount) => amount,
            Self::Percent(percent) => {
                let share = u128::from(total) * u128::from(percent.hundredths) / 10_000;
                u64::try_from(share).unwrap_or(total)
            }
        }
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, PercentError> {
        hundredths(text)
            .filter(|hundredths| (1..10_000).contains(hundredths))
            .map(|hundredths| Self { hundredths })
            .ok_or_else(|| PercentError(text.to_owned()))
    }
}

fn hundredths(text: &str) -> Option<u32> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || decimals.len() > 2 {
        return None;
    }
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(format!("{decimals:0<2}").parse().ok()?)
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.hundredths / 100, self.hundredths % 100);
        match decimals {
            0 => write!(f, "{whole}%"),
            _ if decimals.is_multiple_of(10) => write!(f, "{whole}.{}%", decimals / 10),
            _ => write!(f, "{whole}.{decimals:02}%"),
        }
    }
}

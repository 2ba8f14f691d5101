//! Names of snapshots, and how people say which one they mean.

use jiff::tz::TimeZone;

/// How far the clock may be behind a snapshot without anybody caring, in seconds: several runs within a second get
/// names ahead of it.
pub const CLOCK_SLACK: i64 = 60;

/// A snapshot's name: `YYYY-MM-DDTHHMMSSZ`, UTC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName(String);

const FORMAT: &str = "%Y-%m-%dT%H%M%SZ";

impl SnapshotName {
    /// The name for a time in seconds since 1970; `None` outside the years -9999 to 9999.
    #[must_use]
    pub fn at(seconds: i64) -> Option<Self> {
        let time = jiff::Timestamp::from_second(seconds).ok()?;
        Some(Self(time.strftime(FORMAT).to_string()))
    }

    /// The name, if `text` is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = Self(text.to_owned());
        (SnapshotName::at(name.seconds()?)? == name).then_some(name)
    }

    /// Its time in seconds since 1970.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        let civil = jiff::civil::DateTime::strptime(FORMAT, &self.0).ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a user names a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// `latest`, `latest~2`: the newest, or so many before it.
    Latest {
        /// How many before the newest.
        back: usize,
    },
    /// `oldest`.
    Oldest,
    /// A name or the beginning of one.
    Prefix(String),
}

/// Why a selector names no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// There is none.
    #[error("the job has no published snapshot")]
    NoSnapshots,
    /// None fits.
    #[error("no snapshot is called {wanted}")]
    NotFound {
        /// What was asked for.
        wanted: String,
    },
    /// More than one fits.
    #[error("{wanted} could be {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// The first few that fit.
        candidates: Vec<String>,
    },
}

impl Selector {
    /// Reads what a user wrote.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == "oldest" {
            return Self::Oldest;
        }
        if text == "latest" {
            return Self::Latest { back: 0 };
        }
        match text.strip_prefix("latest~").map(str::parse) {
            Some(Ok(back)) => Self::Latest { back },
            _ => Self::Prefix(text.to_owned()),
        }
    }

    /// Which of `names` is meant. They are in the order in which they were made.
    pub fn select<'a>(&self, names: &[&'a str]) -> Result<&'a str, SelectError> {
        let none = |wanted: String| SelectError::NotFound { wanted };
        match self {
            _ if names.is_empty() => Err(SelectError::NoSnapshots),
            Self::Oldest => Ok(names[0]),
            Self::Latest { back } => names
                .len()
                .checked_sub(back.saturating_add(1))
                .map(|at| names[at])
                .ok_or_else(|| none(format!("latest~{back} ({} snapshots)", names.len()))),
            Self::Prefix(prefix) => {
                let fitting: Vec<&str> =
                    names.iter().copied().filter(|name| name.starts_with(prefix.as_str())).collect();
                match fitting.as_slice() {
                    [] => Err(none(prefix.clone())),
                    [one] => Ok(one),
                    many => Err(SelectError::Ambiguous {
                        wanted: prefix.clone(),
                        candidates: many.iter().take(5).map(ToString::to_string).collect(),
                    }),
                }
            }
        }
    }
}

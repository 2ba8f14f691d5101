//! How a binary says what it did: `links 200000 directories 2000 seconds 1.234 links_per_second 162075`.

use std::fmt;
use std::time::Duration;

/// A count of work and the time it took.
pub struct Rate {
    /// What was counted, in the plural.
    pub unit: &'static str,
    /// How much of it.
    pub count: u64,
    /// Directories on the way.
    pub directories: u64,
    /// Wall-clock time.
    pub elapsed: Duration,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unit, count, directories, .. } = self;
        let seconds = self.elapsed.as_secs_f64();
        let per_second = *count as f64 / seconds;
        write!(
            f,
            "{unit} {count} directories {directories} seconds {seconds:.3} {unit}_per_second {per_second:.0}"
        )
    }
}

//! Time zones: whose days are meant. The only place that asks the system for its own.

use jiff::tz::TimeZone;

/// The system's.
pub fn system() -> TimeZone {
    TimeZone::system()
}

/// Reads a name like `Europe/Berlin`.
pub fn parse(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| {
        format!(
            "{text:?} is no time zone that this system knows: write it like \"Europe/Berlin\" or \"UTC\" (if that \
             is right, is tzdata installed?)"
        )
    })
}

/// The name, for headings.
pub fn name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("local")
}

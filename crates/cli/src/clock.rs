//! The only clock: the system's, or `LINKSNAP_NOW` for tests and what-if.

use std::ffi::OsStr;

use jiff::Timestamp;

use crate::failure::Failure;

/// The variable that sets the clock.
const VARIABLE: &str = "LINKSNAP_NOW";

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is")]
pub fn now() -> Result<i64, Failure> {
    match std::env::var_os(VARIABLE) {
        None => Ok(Timestamp::now().as_second()),
        Some(value) => parse(&value),
    }
}

fn parse(value: &OsStr) -> Result<i64, Failure> {
    let time = value.to_str().and_then(|text| text.parse::<Timestamp>().ok());
    time.map(Timestamp::as_second).ok_or_else(|| {
        Failure::usage(format!("{VARIABLE} is no time: {}", value.display()))
            .hint("write it like 2026-04-08T02:00:00Z, or unset it")
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_time_needs_a_zone() {
        assert_eq!(parse("2026-04-08T02:00:00Z".as_ref()).unwrap(), 1_775_613_600);
        assert_eq!(parse("2026-04-08T04:00:00+02:00".as_ref()).unwrap(), 1_775_613_600);
        for wrong in ["", "2026-04-08", "2026-04-08T02:00:00", "now"] {
            assert!(parse(wrong.as_ref()).is_err(), "{wrong}");
        }
    }
}

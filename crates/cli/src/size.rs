//! Amounts as people write and read them: bytes, counts, durations.

use std::time::Duration;

use linksnap_engine::report::Bytes;

/// Reads `8GiB`, `1.5 TiB`, `500M`, `4096`. K, M, G, T, P alone and with `iB` are powers of 1024, with `B` of 1000.
pub fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let complaint = || format!("{text:?} is no size: write it like \"8GiB\", \"500M\" or \"4096\"");
    let factor = factor(unit.trim()).ok_or_else(complaint)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(complaint);
    }
    let number: f64 = number.parse().map_err(|_| complaint())?;
    #[expect(clippy::cast_precision_loss, reason = "a size with a fraction is meant roughly")]
    let bytes = number * factor as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and u64::MAX, and the fraction of a byte may go"
    )]
    if bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(complaint()) }
}

fn factor(unit: &str) -> Option<u64> {
    let lower = unit.to_ascii_lowercase();
    if lower.is_empty() || lower == "b" {
        return Some(1);
    }
    let power = u32::try_from("kmgtp".find(lower.chars().next()?)?).ok()? + 1;
    match &lower[1..] {
        "" | "i" | "ib" => Some(1024_u64.pow(power)),
        "b" => Some(1000_u64.pow(power)),
        _ => None,
    }
}

/// `512 B`, `3.2 MiB`: three digits or so, powers of 1024.
pub fn bytes(count: u64) -> String {
    Bytes(count).to_string()
}

/// `48,211`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `48,211 files`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `1.2 GiB, 3,412 inodes`.
pub fn held(bytes_held: u64, inodes: u64) -> String {
    format!("{}, {}", bytes(bytes_held), counted(inodes, "inode", "inodes"))
}

/// `0.4 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `1 day`, `6 hours`, `1 hour 30 minutes`: the two largest units of a span in seconds.
pub fn span(seconds: i64) -> String {
    const UNITS: [(u64, &str, &str); 4] = [
        (86_400, "day", "days"),
        (3600, "hour", "hours"),
        (60, "minute", "minutes"),
        (1, "second", "seconds"),
    ];
    let mut rest = seconds.unsigned_abs();
    let mut parts = Vec::new();
    for (unit, one, many) in UNITS {
        if rest >= unit && parts.len() < 2 {
            parts.push(counted(rest / unit, one, many));
            rest %= unit;
        }
    }
    if parts.is_empty() { "0 seconds".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, counted, duration, held, parse, span};
    use std::time::Duration;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let table = [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("512B", Some(512)),
            ("1k", Some(1024)),
            ("1KiB", Some(1024)),
            ("1kb", Some(1000)),
            ("500M", Some(500 << 20)),
            ("8GiB", Some(8 << 30)),
            (" 8 GiB ", Some(8 << 30)),
            ("1.5T", Some(3 << 39)),
            ("0.5KiB", Some(512)),
            ("", None),
            ("GiB", None),
            ("8 GiBi", None),
            ("8X", None),
            ("-1", None),
            ("1.2.3M", None),
            ("1e9", None),
            ("99999999999999G", None),
            ("99999999999999.5G", None),
        ];
        for (text, wanted) in table {
            assert_eq!(parse(text).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn bytes_are_shown_in_three_digits_or_so() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (3_355_443, "3.2 MiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (2_040_109_466, "1.9 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (count, wanted) in table {
            assert_eq!(bytes(count), wanted);
        }
    }

    #[test]
    fn counts_have_commas_and_their_plural() {
        for (number, wanted) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), wanted);
        }
        assert_eq!(counted(1, "file", "files"), "1 file");
        assert_eq!(counted(0, "file", "files"), "0 files");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (seconds, wanted) in [(4.21, "4.2 s"), (200.9, "3 min 20 s"), (7_512.0, "2 h 5 min")] {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), wanted);
        }
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let table = [
            (0, "0 seconds"),
            (3600, "1 hour"),
            (5400, "1 hour 30 minutes"),
            (86_400, "1 day"),
            (7 * 86_400 + 61, "7 days 1 minute"),
        ];
        for (seconds, wanted) in table {
            assert_eq!(span(seconds), wanted);
        }
    }

    #[test]
    fn what_is_held_are_bytes_and_inodes() {
        assert_eq!(held(5 << 10, 1), "5.0 KiB, 1 inode");
    }
}

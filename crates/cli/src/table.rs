//! Tables without lines around them, and times for people.

use comfy_table::{CellAlignment, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::zone;

/// Rows below headings, columns apart by two spaces. Headings that begin with `>` are of columns of numbers.
pub fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headings.iter().map(|heading| heading.trim_start_matches('>')));
    for (index, heading) in headings.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    for row in rows {
        table.add_row(row);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// In the zone of the reader; the bare number for a time that no calendar has.
pub fn local_time(seconds: i64) -> String {
    time_in(&zone::system(), seconds)
}

/// In a zone; the bare number for a time that no calendar has.
pub fn time_in(zone: &TimeZone, seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => format!("@{seconds}"),
    }
}

/// RFC 3339 in UTC, with what it has of nanoseconds.
pub fn exact_time(seconds: i64, nanoseconds: u32) -> String {
    let nanoseconds = i32::try_from(nanoseconds).unwrap_or(0);
    match Timestamp::new(seconds, nanoseconds) {
        Ok(time) => time.to_string(),
        Err(_) => format!("@{seconds}.{nanoseconds:09}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{exact_time, table};

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["longer".to_owned(), "1,000".to_owned()]];
        assert_eq!(table(&["name", ">count"], rows), ["name    count", "a           1", "longer  1,000"]);
    }

    #[test]
    fn times_before_1970_have_their_nanoseconds_after_the_second() {
        assert_eq!(exact_time(-1, 500_000_000), "1969-12-31T23:59:59.5Z");
        assert_eq!(exact_time(i64::MAX, 7), "@9223372036854775807.000000007");
    }
}

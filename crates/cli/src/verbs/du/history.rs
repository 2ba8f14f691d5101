//! How a job grew and shrank, by days of the local time zone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use linksnap_catalog::{Event, Growth};
use linksnap_engine::job::Job;
use linksnap_engine::verbs::du as engine;
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::size::{self, count};
use crate::{chart, several, table, zone};

/// How wide the bar of the day is on which most was added.
const WIDTH: u32 = 24;

/// Shows it.
pub fn history(jobs: &[Job], output: &Output) -> Result<Exit, Failure> {
    let zone = zone::system();
    let mut documents = Vec::new();
    let exit = several::each(
        jobs,
        |job| job.name().as_str(),
        output,
        |job| {
            let days = days(&engine::history(job)?, &zone);
            match output.is_json() {
                true => documents.push(Document { job: job.name().as_str(), days }),
                false => print(job, &days, output),
            }
            Ok(Exit::Done)
        },
    )?;
    if output.is_json() {
        output.json(&documents);
    }
    Ok(exit)
}

fn print(job: &Job, days: &[Day], output: &Output) {
    output.line(format!("job {}", job.name()));
    if days.is_empty() {
        return output.line("nothing has happened yet");
    }
    let most = days.iter().map(|day| day.added_bytes).max().unwrap_or(0);
    let rows = days.iter().map(|day| {
        vec![
            day.day.clone(),
            day.files.map_or_else(|| "-".to_owned(), count),
            size::bytes(day.added_bytes),
            count(day.added_inodes),
            size::bytes(day.freed_bytes),
            count(day.freed_inodes),
            size::bytes(day.total_bytes),
            count(day.total_inodes),
            chart::bar(day.added_bytes, most, WIDTH),
        ]
    });
    let headings =
        ["day", ">files", ">added", ">inodes", ">freed", ">inodes", ">total", ">inodes", "bytes added"];
    table::table(&headings, rows).iter().for_each(|line| output.line(line));
}

/// What happened on one day, and what there was at its end.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Day {
    day: String,
    /// Of the last snapshot of that day.
    files: Option<u64>,
    added_bytes: u64,
    added_inodes: u64,
    freed_bytes: u64,
    freed_inodes: u64,
    total_bytes: u64,
    total_inodes: u64,
}

#[derive(Serialize)]
struct Document<'a> {
    job: &'a str,
    days: Vec<Day>,
}

/// The days on which something happened.
fn days(growth: &[Growth], zone: &TimeZone) -> Vec<Day> {
    let mut events: BTreeMap<Date, Vec<&Growth>> = BTreeMap::new();
    for event in growth {
        let end = if event.time < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let time = Timestamp::from_second(event.time).unwrap_or(end);
        events.entry(zone.to_datetime(time).date()).or_default().push(event);
    }
    let (mut total_bytes, mut total_inodes) = (0_u64, 0_u64);
    let mut days = Vec::new();
    for (day, events) in events {
        let sum = |event: Event, of: fn(&Growth) -> u64| -> u64 {
            events.iter().filter(|one| one.event == event).fold(0, |sum, one| sum.saturating_add(of(one)))
        };
        let (added_bytes, added_inodes) =
            (sum(Event::Snapshot, |one| one.bytes), sum(Event::Snapshot, |one| one.inodes));
        let (freed_bytes, freed_inodes) =
            (sum(Event::Deletion, |one| one.bytes), sum(Event::Deletion, |one| one.inodes));
        total_bytes = total_bytes.saturating_add(added_bytes).saturating_sub(freed_bytes);
        total_inodes = total_inodes.saturating_add(added_inodes).saturating_sub(freed_inodes);
        let last = events.iter().rfind(|one| one.event == Event::Snapshot);
        days.push(Day {
            day: day.to_string(),
            files: last.map(|one| one.files),
            added_bytes,
            added_inodes,
            freed_bytes,
            freed_inodes,
            total_bytes,
            total_inodes,
        });
    }
    days
}

#[cfg(test)]
mod tests {
    use super::{Day, Event, Growth, TimeZone, days};
    use jiff::Timestamp;
    use jiff::tz::Offset;

    fn event(time: &str, event: Event, files: u64, bytes: u64) -> Growth {
        let time = time.parse::<Timestamp>().unwrap().as_second();
        Growth { time, event, snapshot: String::new(), files, source_bytes: 0, inodes: bytes / 10, bytes }
    }

    #[test]
    fn events_are_summed_up_by_local_days() {
        let zone = TimeZone::fixed(Offset::constant(2));
        let growth = [
            event("2026-04-08T02:00:00Z", Event::Snapshot, 5, 100),
            event("2026-04-08T21:59:59Z", Event::Snapshot, 6, 20),
            event("2026-04-08T22:00:00Z", Event::Deletion, 5, 30),
        ];
        let day = |day: &str, files, added: u64, freed: u64, total: u64| Day {
            day: day.to_owned(),
            files,
            added_bytes: added,
            added_inodes: added / 10,
            freed_bytes: freed,
            freed_inodes: freed / 10,
            total_bytes: total,
            total_inodes: total / 10,
        };
        let wanted = [day("2026-04-08", Some(6), 120, 0, 120), day("2026-04-09", None, 0, 30, 90)];
        assert_eq!(days(&growth, &zone), wanted);
        assert_eq!(days(&[], &zone), []);
    }
}

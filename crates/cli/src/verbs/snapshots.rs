//! `snapshots`: what there is.

use std::os::unix::ffi::OsStrExt;

use linksnap_catalog::{Snapshot, State};
use linksnap_engine::Repository;
use linksnap_engine::job::Job;
use serde::Serialize;

use crate::args::{Global, SnapshotsArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{self, JsonPath};
use crate::output::Output;
use crate::size::{self, count, counted};
use crate::{clock, locate, sandbox, table};

/// Lists the snapshots of the jobs that were named, else of all.
pub fn snapshots(args: &SnapshotsArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let now = clock::now()?;
    let repository = locate::repository(global)?;
    sandbox::reading(&repository, output, || list(&repository, &args.jobs, now, global, output))
}

fn list(
    repository: &Repository,
    jobs: &[String],
    now: i64,
    global: &Global,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut all = Vec::new();
    let mut worst = Exit::Done;
    for job in locate::jobs(repository, global, jobs)? {
        // One job whose catalog cannot be read hides only its own snapshots.
        match job.snapshots() {
            Ok(snapshots) => all.push((job, snapshots)),
            Err(error) => {
                let failure = Failure::from(error).of_job(job.name().as_str());
                output.failure(&failure);
                worst = worst.worse(failure.exit);
            }
        }
    }
    if output.is_json() {
        output.json(&elements(&all, now));
    } else {
        print(&all, (worst, now), output);
    }
    Ok(worst)
}

fn print(all: &[(Job, Vec<Snapshot>)], (worst, now): (Exit, i64), output: &Output) {
    let flat: Vec<(&Job, &Snapshot)> = all
        .iter()
        .flat_map(|(job, snapshots)| snapshots.iter().map(move |snapshot| (job, snapshot)))
        .collect();
    if flat.is_empty() {
        if worst == Exit::Done {
            output.report("no snapshots");
        }
        return;
    }
    let columns = columns(&flat);
    let headings: Vec<&str> = columns.iter().map(|column| column.heading()).collect();
    let rows = flat.iter().map(|(job, snapshot)| {
        columns.iter().map(|column| column.cell(job, snapshot, now, output)).collect()
    });
    table::table(&headings, rows).into_iter().for_each(|line| output.line(line));
    output.report(counted(flat.len() as u64, "snapshot", "snapshots"));
}

/// What is said of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Job,
    Name,
    Time,
    Files,
    Size,
    Added,
    Problems,
    Pinned,
    Tags,
    Note,
}

/// Those of every list, and those that have something to say.
fn columns(all: &[(&Job, &Snapshot)]) -> Vec<Column> {
    let mut columns = vec![
        Column::Job,
        Column::Name,
        Column::Time,
        Column::Files,
        Column::Size,
        Column::Added,
        Column::Problems,
    ];
    let any = |says: fn(&Snapshot) -> bool| all.iter().any(|(_, snapshot)| says(snapshot));
    let some = [
        (Column::Pinned, any(|snapshot| snapshot.pinned)),
        (Column::Tags, any(|snapshot| !snapshot.tags.is_empty())),
        (Column::Note, any(|snapshot| !snapshot.note.is_empty())),
    ];
    columns.extend(some.into_iter().filter(|(_, any)| *any).map(|(column, _)| column));
    columns
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Name => "snapshot",
            Self::Time => "time",
            Self::Files => ">files",
            Self::Size => ">size",
            Self::Added => ">added",
            Self::Problems => ">problems",
            Self::Pinned => "pinned",
            Self::Tags => "tags",
            Self::Note => "note",
        }
    }

    fn cell(self, job: &Job, snapshot: &Snapshot, now: i64, output: &Output) -> String {
        let totals = &snapshot.totals;
        match self {
            Self::Job => job.name().as_str().to_owned(),
            Self::Name if snapshot.state == State::Published => snapshot.name.clone(),
            Self::Name => format!("{} ({})", snapshot.name, snapshot.state.word()),
            Self::Time => table::local_time(snapshot.time),
            Self::Files => count(totals.files),
            Self::Size => size::bytes(totals.source_bytes),
            Self::Added => size::bytes(totals.added_bytes),
            Self::Problems if totals.problems == 0 => "-".to_owned(),
            Self::Problems => count(totals.problems),
            Self::Pinned => pin(snapshot, now),
            Self::Tags => output.words(&snapshot.tags),
            Self::Note => output.words(&snapshot.note),
        }
    }
}

fn pin(snapshot: &Snapshot, now: i64) -> String {
    match (snapshot.pinned, snapshot.pinned_until) {
        (false, _) => String::new(),
        (true, None) => "yes".to_owned(),
        (true, Some(until)) if now < until => format!("until {}", table::local_time(until)),
        (true, Some(until)) => format!("no more since {}", table::local_time(until)),
    }
}

fn elements(all: &[(Job, Vec<Snapshot>)], now: i64) -> Vec<Element<'_>> {
    all.iter()
        .flat_map(|(job, snapshots)| snapshots.iter().map(move |snapshot| Element::new(job, snapshot, now)))
        .collect()
}

#[derive(Serialize)]
struct Element<'a> {
    job: &'a str,
    name: &'a str,
    #[serde(flatten)]
    path: JsonPath,
    time: String,
    state: &'static str,
    files: u64,
    directories: u64,
    symlinks: u64,
    specials: u64,
    bytes: u64,
    added_bytes: u64,
    problems: u64,
    warnings: u64,
    /// Does the pin hold now?
    pinned: bool,
    pinned_until: Option<String>,
    tags: Vec<&'a str>,
    note: &'a str,
}

impl<'a> Element<'a> {
    fn new(job: &'a Job, snapshot: &'a Snapshot, now: i64) -> Self {
        let totals = &snapshot.totals;
        Self {
            job: job.name().as_str(),
            name: &snapshot.name,
            path: JsonPath::new(job.path().join(&snapshot.name).as_os_str().as_bytes()),
            time: json::time(snapshot.time),
            state: snapshot.state.word(),
            files: totals.files,
            directories: totals.directories,
            symlinks: totals.symlinks,
            specials: totals.specials,
            bytes: totals.source_bytes,
            added_bytes: totals.added_bytes,
            problems: totals.problems,
            warnings: totals.warnings,
            pinned: snapshot.is_pinned_at(now),
            pinned_until: snapshot.pinned_until.filter(|_| snapshot.pinned).map(json::time),
            tags: snapshot.tags.split(',').filter(|tag| !tag.is_empty()).collect(),
            note: &snapshot.note,
        }
    }
}

//! `snapshots`: what there is.

use std::os::unix::ffi::OsStrExt;

use linksnap_catalog::{Snapshot, State};
use linksnap_engine::job::Job;
use serde::Serialize;

use crate::args::{Global, SnapshotsArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{self, JsonPath};
use crate::output::Output;
use crate::size::{self, count, counted};
use crate::{locate, table};

/// Lists the snapshots of the jobs that were named, else of all.
pub fn snapshots(args: &SnapshotsArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let repository = locate::repository(global)?;
    let mut all = Vec::new();
    let mut worst = Exit::Done;
    for job in locate::jobs(&repository, global, &args.jobs)? {
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
        output.json(&elements(&all));
    } else {
        print(&all, worst, output);
    }
    Ok(worst)
}

fn print(all: &[(Job, Vec<Snapshot>)], worst: Exit, output: &Output) {
    let total: usize = all.iter().map(|(_, snapshots)| snapshots.len()).sum();
    if total == 0 {
        if worst == Exit::Done {
            output.report("no snapshots");
        }
        return;
    }
    let headings = ["job", "snapshot", "time", ">files", ">size", ">added", ">problems"];
    let rows = all.iter().flat_map(|(job, snapshots)| snapshots.iter().map(|snapshot| row(job, snapshot)));
    table::table(&headings, rows).into_iter().for_each(|line| output.line(line));
    output.report(counted(total as u64, "snapshot", "snapshots"));
}

fn row(job: &Job, snapshot: &Snapshot) -> Vec<String> {
    let totals = &snapshot.totals;
    let problems = match totals.problems {
        0 => "-".to_owned(),
        some => count(some),
    };
    let mut name = snapshot.name.clone();
    if snapshot.state != State::Published {
        name = format!("{name} ({})", snapshot.state.word());
    }
    if snapshot.pinned {
        name.push_str(" (pinned)");
    }
    vec![
        job.name().as_str().to_owned(),
        name,
        table::local_time(snapshot.time),
        count(totals.files),
        size::bytes(totals.source_bytes),
        size::bytes(totals.added_bytes),
        problems,
    ]
}

fn elements(all: &[(Job, Vec<Snapshot>)]) -> Vec<Element<'_>> {
    all.iter()
        .flat_map(|(job, snapshots)| snapshots.iter().map(|snapshot| Element::new(job, snapshot)))
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
    pinned: bool,
    tags: Vec<&'a str>,
    note: &'a str,
}

impl<'a> Element<'a> {
    fn new(job: &'a Job, snapshot: &'a Snapshot) -> Self {
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
            pinned: snapshot.pinned,
            tags: snapshot.tags.split(',').filter(|tag| !tag.is_empty()).collect(),
            note: &snapshot.note,
        }
    }
}

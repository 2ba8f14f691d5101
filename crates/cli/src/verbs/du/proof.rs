//! `du --verify`: what is on the disk, counted, beside what the catalog says.

use linksnap_engine::job::Job;
use linksnap_engine::verbs::du::{self as engine, Counted};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::JsonPath;
use crate::output::Output;
use crate::progress::Watcher;
use crate::size::{self, count, counted};
use crate::{clock, environment, several, signals, table};

/// How many unreadable directories are named.
const SHOWN: usize = 20;

/// Counts and compares, job by job.
pub fn proof(jobs: &[Job], output: &Output) -> Result<Exit, Failure> {
    let now = clock::now()?;
    let holder = environment::holder("du", now);
    signals::listen()?;
    several::each(
        jobs,
        |job| job.name().as_str(),
        output,
        |job| {
            let watcher = Watcher::new(output, job.name().as_str(), "counting");
            let counted = engine::count(job, (&holder, now), &watcher)?;
            watcher.end();
            let agrees = agrees(&counted);
            match output.is_json() {
                true => output.json(&Line::new(job, &counted, watcher.elapsed().as_secs_f64())),
                false => print(job, &counted, output),
            }
            Ok(if agrees { Exit::Done } else { Exit::Damage })
        },
    )
}

fn agrees(counted: &Counted) -> bool {
    let Counted { claimed, inodes, apparent_bytes, .. } = counted;
    claimed.inodes == *inodes && claimed.apparent_bytes == *apparent_bytes && counted.unreadable.is_empty()
}

fn print(job: &Job, found: &Counted, output: &Output) {
    let job = job.name();
    if agrees(found) {
        let what = size::held(found.apparent_bytes, found.inodes);
        output.line(format!("job {job}: the disk agrees: {what}, counting holes in files"));
    } else {
        output.line(format!("job {job}: the disk DISAGREES with the catalog"));
        let claimed = &found.claimed;
        let rows = [
            ("inodes", claimed.inodes, found.inodes),
            ("bytes, holes counted", claimed.apparent_bytes, found.apparent_bytes),
        ];
        let rows = rows.map(|(what, claimed, found)| vec![what.to_owned(), count(claimed), count(found)]);
        let lines = table::table(&["", ">catalog", ">disk"], rows);
        lines.iter().for_each(|line| output.line(format!("  {line}")));
    }
    output.line(format!("  the filesystem has given {} to these files", size::bytes(found.disk_bytes)));
    if found.other_directories > 0 {
        let others = counted(found.other_directories, "directory is", "directories are");
        output.line(format!("  {others} there besides, for the next run to build upon"));
    }
    if found.outside_names > 0 {
        let names = counted(found.outside_names, "name", "names");
        output.line(format!("  at least {names} of these inodes must be outside the snapshots"));
    }
    if !found.unreadable.is_empty() {
        output.line(format!(
            "  {} not be read:",
            counted(found.unreadable.len() as u64, "path could", "paths could")
        ));
        for (path, reason) in found.unreadable.iter().take(SHOWN) {
            output.line([b"    ", output.name(path).as_slice(), b": ", reason.as_bytes()].concat());
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    job: &'a str,
    agrees: bool,
    catalog_inodes: u64,
    catalog_apparent_bytes: u64,
    inodes: u64,
    apparent_bytes: u64,
    disk_bytes: u64,
    other_directories: u64,
    outside_names: u64,
    unreadable: Vec<Unreadable<'a>>,
    elapsed_seconds: f64,
}

#[derive(Serialize)]
struct Unreadable<'a> {
    #[serde(flatten)]
    path: JsonPath,
    reason: &'a str,
}

impl<'a> Line<'a> {
    fn new(job: &'a Job, counted: &'a Counted, elapsed_seconds: f64) -> Self {
        let unreadable =
            counted.unreadable.iter().map(|(path, reason)| Unreadable { path: JsonPath::new(path), reason });
        Self {
            r#type: "summary",
            job: job.name().as_str(),
            agrees: agrees(counted),
            catalog_inodes: counted.claimed.inodes,
            catalog_apparent_bytes: counted.claimed.apparent_bytes,
            inodes: counted.inodes,
            apparent_bytes: counted.apparent_bytes,
            disk_bytes: counted.disk_bytes,
            other_directories: counted.other_directories,
            outside_names: counted.outside_names,
            unreadable: unreadable.collect(),
            elapsed_seconds,
        }
    }
}

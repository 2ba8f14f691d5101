//! What each snapshot holds, adds, and holds alone.

use linksnap_catalog::Snapshot;
use linksnap_engine::job::Job;
use linksnap_engine::verbs::du::{self as engine, SnapshotUsage, Usage};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::size::{self, count, counted};
use crate::summary::held::Amounts;
use crate::{json, several, table};

/// Says it of the snapshots named, else of all of the job.
pub fn held(all: &[(Job, Vec<Snapshot>)], output: &Output) -> Result<Exit, Failure> {
    let mut documents = Vec::new();
    let exit = several::each(
        all,
        |(job, _)| job.name().as_str(),
        output,
        |(job, snapshots)| {
            let usage = engine::du(job)?;
            let is_meant = |one: &&SnapshotUsage| {
                snapshots.is_empty() || snapshots.iter().any(|named| named.id == one.snapshot.id)
            };
            let meant: Vec<&SnapshotUsage> = usage.snapshots.iter().filter(is_meant).collect();
            if output.is_json() {
                documents.push(Document::new(job, &usage, &meant));
            } else {
                print(job, &usage, &meant, output);
            }
            Ok(Exit::Done)
        },
    )?;
    if output.is_json() {
        output.json(&documents);
    }
    Ok(exit)
}

fn print(job: &Job, usage: &Usage, meant: &[&SnapshotUsage], output: &Output) {
    let rows = meant.iter().map(|one| {
        vec![
            one.snapshot.name.clone(),
            count(one.snapshot.totals.files),
            size::bytes(one.held.bytes),
            size::bytes(one.added.bytes),
            count(one.added.inodes),
            size::bytes(one.alone.bytes),
            count(one.alone.inodes),
        ]
    });
    let headings = ["snapshot", ">files", ">size", ">added", ">inodes", ">alone", ">inodes"];
    let all = counted(usage.snapshots.len() as u64, "snapshot", "snapshots");
    let total = size::held(usage.total.bytes, usage.total.inodes);
    output.line(format!("job {}: {all}, {total}", job.name()));
    if !meant.is_empty() {
        table::table(&headings, rows).iter().for_each(|line| output.line(line));
    }
}

#[derive(Serialize)]
struct Document {
    job: String,
    snapshots: Vec<Element>,
    total: Amounts,
}

#[derive(Serialize)]
struct Element {
    name: String,
    time: String,
    files: u64,
    held: Amounts,
    added: Amounts,
    alone: Amounts,
}

impl Document {
    fn new(job: &Job, usage: &Usage, meant: &[&SnapshotUsage]) -> Self {
        let element = |one: &&SnapshotUsage| Element {
            name: one.snapshot.name.clone(),
            time: json::time(one.snapshot.time),
            files: one.snapshot.totals.files,
            held: one.held.into(),
            added: one.added.into(),
            alone: one.alone.into(),
        };
        Self {
            job: job.name().as_str().to_owned(),
            snapshots: meant.iter().map(element).collect(),
            total: usage.total.into(),
        }
    }
}

//! What would be free if some snapshots were deleted, or if retention had its way.

use linksnap_catalog::{Held, SnapshotId};
use linksnap_engine::Repository;
use linksnap_engine::job::Job;
use linksnap_engine::stages::retain::Clock;
use linksnap_engine::verbs::{du as engine, prune};
use serde::Serialize;

use crate::args::{DuArgs, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::retention::{self, Subject};
use crate::size::{self, count, counted};
use crate::summary::held::Amounts;
use crate::{clock, locate, sandbox, several};

/// If all of these were deleted.
pub fn if_deleted(
    repository: &Repository,
    texts: &[String],
    global: &Global,
    output: &Output,
) -> Result<Exit, Failure> {
    let found = locate::snapshots(repository, global, texts)?;
    let mut documents = Vec::new();
    let exit = several::each(
        &found,
        |(job, _)| job.name().as_str(),
        output,
        |(job, snapshots)| {
            let doomed = snapshots.iter().map(|one| (one.id, one.name.clone())).collect();
            documents.push(Document::new(job, doomed)?);
            Ok(Exit::Done)
        },
    )?;
    say("deleting", &documents, output);
    Ok(exit)
}

/// If each job were pruned.
pub fn if_pruned(args: &DuArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let now = clock::now()?;
    let subjects = retention::subjects(&args.what, &args.keep, global, output)?;
    let jobs: Vec<&Job> = subjects.iter().map(|subject| &subject.job).collect();
    sandbox::catalogs(&jobs, output, || pruned(&subjects, now, output))
}

fn pruned(subjects: &[Subject], now: i64, output: &Output) -> Result<Exit, Failure> {
    let mut documents = Vec::new();
    let exit = several::each(
        subjects,
        |subject| subject.job.name().as_str(),
        output,
        |subject| {
            let plan = prune::preview(&subject.job, &subject.keeping.retention(Clock::Doubt), now)?.plan;
            let doomed =
                plan.retained.dropped().map(|decision| (decision.id, decision.name.clone())).collect();
            documents.push(Document::new(&subject.job, doomed)?);
            Ok(plan.retained.hold.map_or(Exit::Done, |hold| {
                output.failure(&Failure::new(Exit::Guard, hold.words()).hint(hold.hint()));
                Exit::Guard
            }))
        },
    )?;
    say("pruning", &documents, output);
    Ok(exit)
}

fn say(deed: &str, documents: &[Document], output: &Output) {
    if output.is_json() {
        return output.json(&documents);
    }
    for document in documents {
        let Document { job, snapshots, of, held, .. } = document;
        let which = format!("{} of {}", count(snapshots.len() as u64), counted(*of, "snapshot", "snapshots"));
        let freed = size::held(held.bytes, held.inodes);
        output.line(format!("{deed} {which} of job {job} would free {freed}"));
        snapshots.iter().for_each(|name| output.line(format!("  {name}")));
    }
}

#[derive(Serialize)]
struct Document {
    job: String,
    snapshots: Vec<String>,
    #[serde(skip)]
    of: u64,
    freed: Amounts,
    #[serde(skip)]
    held: Held,
}

impl Document {
    fn new(job: &Job, doomed: Vec<(SnapshotId, String)>) -> Result<Self, Failure> {
        let usage = engine::du(job)?;
        let (ids, names): (Vec<_>, Vec<_>) = doomed.into_iter().unzip();
        let held = usage.freed_by(&ids);
        Ok(Self {
            job: job.name().as_str().to_owned(),
            snapshots: names,
            of: usage.snapshots.len() as u64,
            freed: held.into(),
            held,
        })
    }
}

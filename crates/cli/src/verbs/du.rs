//! `du`: what snapshots hold, what deleting them would free, how that came about, and whether the disk agrees.

mod freed;
mod held;
mod history;
mod proof;

use linksnap_catalog::Snapshot;
use linksnap_engine::job::Job;
use linksnap_engine::{JobName, Repository};

use crate::args::{DuArgs, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::{locate, sandbox};

/// Answers what is asked.
pub fn du(args: &DuArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let question = &args.question;
    if !question.if_pruned && args.keep.says_anything() {
        return Err(Failure::usage("rules are of use only with --if-pruned")
            .hint("`linksnap du --if-pruned` says what they would free"));
    }
    if question.if_pruned {
        return freed::if_pruned(args, global, output);
    }
    let repository = locate::repository(global)?;
    if question.verify {
        // Takes the lock, and tidies up as every writing command does first.
        let found = jobs(&repository, &args.what, global)?;
        return sandbox::writing(found.iter().map(Job::dir), output, || proof::proof(&found, output));
    }
    sandbox::reading(&repository, output, || {
        if !question.if_deleted.is_empty() {
            return freed::if_deleted(&repository, &question.if_deleted, global, output);
        }
        match question.history {
            true => history::history(&jobs(&repository, &args.what, global)?, output),
            false => held::held(&named(&repository, &args.what, global)?, output),
        }
    })
}

/// The jobs that were named, else all.
fn jobs(repository: &Repository, what: &[String], global: &Global) -> Result<Vec<Job>, Failure> {
    let found = named(repository, what, global)?;
    if let Some((job, snapshots)) = found.iter().find(|(_, snapshots)| !snapshots.is_empty()) {
        let message = format!("{}/{} is a snapshot, but this is about jobs", job.name(), snapshots[0].name);
        return Err(Failure::usage(message).hint(format!("name the job: {}", job.name())));
    }
    Ok(found.into_iter().map(|(job, _)| job).collect())
}

/// Jobs, each with the snapshots that were named; without any, all of them are meant.
fn named(
    repository: &Repository,
    what: &[String],
    global: &Global,
) -> Result<Vec<(Job, Vec<Snapshot>)>, Failure> {
    if what.is_empty() {
        let jobs = locate::jobs(repository, global, &[])?;
        return Ok(jobs.into_iter().map(|job| (job, Vec::new())).collect());
    }
    let mut found = Vec::new();
    for text in what {
        match JobName::parse(text).ok().map(|name| Job::find(repository, &name)).transpose()?.flatten() {
            Some(job) => locate::add(&mut found, job, None),
            None => {
                let (job, snapshot) = locate::snapshot(repository, global, text)?;
                locate::add(&mut found, job, Some(snapshot));
            }
        }
    }
    Ok(found)
}

//! `verify`: compares what is stored with what was recorded, job by job.

use linksnap_catalog::Snapshot;
use linksnap_engine::job::Job;
use linksnap_engine::verbs::verify::{self as engine, VerifyOptions};

use crate::args::{Global, VerifyArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate;
use crate::output::Output;
use crate::progress::Watcher;
use crate::signals;
use crate::summary::verify::Verified;
use crate::verbs::backup::listen;

/// Verifies what was named, else everything.
pub fn verify(args: &VerifyArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let repository = locate::repository(global)?;
    let mut wanted: Vec<(Job, Vec<Snapshot>)> = Vec::new();
    for text in &args.snapshots {
        let (job, snapshot) = locate::snapshot(&repository, global, text)?;
        match wanted.iter_mut().find(|(other, _)| other.name() == job.name()) {
            Some((_, snapshots)) => snapshots.push(snapshot),
            None => wanted.push((job, vec![snapshot])),
        }
    }
    if wanted.is_empty() {
        let jobs = locate::jobs(&repository, global, &[])?;
        wanted.extend(jobs.into_iter().map(|job| (job, Vec::new())));
    }
    listen()?;
    let mut worst = Exit::Done;
    for (job, snapshots) in wanted {
        let exit = one(&job, snapshots, args, output).unwrap_or_else(|failure| {
            let failure = failure.of_job(job.name().as_str());
            output.failure(&failure);
            failure.exit
        });
        worst = worst.worse(exit);
        if signals::caught().is_some() {
            break;
        }
    }
    Ok(worst)
}

fn one(job: &Job, snapshots: Vec<Snapshot>, args: &VerifyArgs, output: &Output) -> Result<Exit, Failure> {
    let content = !args.structure;
    let options = VerifyOptions { snapshots, content, threads: None };
    let watcher = Watcher::new(output, job.name().as_str(), "verifying");
    let summary = engine::verify(job, &options, &watcher)?;
    watcher.end();
    let elapsed = watcher.elapsed();
    let verified = Verified { job: job.name().as_str(), content, summary: &summary, elapsed };
    if output.is_json() {
        verified.json(output);
    } else {
        verified.lines(output).into_iter().for_each(|line| output.report(line));
    }
    Ok(if summary.problems.problems > 0 { Exit::Damage } else { Exit::Done })
}

//! `verify`: compares what is stored with what was recorded, job by job.

use linksnap_catalog::Snapshot;
use linksnap_engine::Repository;
use linksnap_engine::job::Job;
use linksnap_engine::verbs::verify::{self as engine, VerifyOptions};

use crate::args::{Global, VerifyArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate;
use crate::output::Output;
use crate::progress::Watcher;
use crate::signals::listen;
use crate::summary::verify::Verified;
use crate::{sandbox, several};

/// Verifies what was named, else everything.
pub fn verify(args: &VerifyArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let repository = locate::repository(global)?;
    listen()?;
    sandbox::reading(&repository, output, || all(&repository, args, global, output))
}

fn all(
    repository: &Repository,
    args: &VerifyArgs,
    global: &Global,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut wanted = locate::snapshots(repository, global, &args.snapshots)?;
    if wanted.is_empty() {
        let jobs = locate::jobs(repository, global, &[])?;
        wanted.extend(jobs.into_iter().map(|job| (job, Vec::new())));
    }
    several::each(
        &wanted,
        |(job, _)| job.name().as_str(),
        output,
        |(job, snapshots)| one(job, snapshots.clone(), args, output),
    )
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

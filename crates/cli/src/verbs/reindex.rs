//! `reindex`: makes a new catalog from the snapshots.

use linksnap_engine::job::Job;
use linksnap_engine::verbs::reindex::{self as engine};

use crate::args::{Global, ReindexArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Watcher;
use crate::signals::listen;
use crate::summary::reindex::Reindexed;
use crate::{clock, environment, locate, sandbox, several};

/// Rebuilds the catalogs of the jobs that were named, else of the only one.
pub fn reindex(args: &ReindexArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let repository = locate::repository(global)?;
    let jobs = locate::jobs(&repository, global, &args.jobs)?;
    if let ([one, _, ..], [], None) = (jobs.as_slice(), args.jobs.as_slice(), &global.job) {
        let message = "the repository has several jobs, and most catalogs need no reindex";
        let hint = format!("name the job: `linksnap reindex {}`", one.name());
        return Err(Failure::usage(message).hint(hint));
    }
    listen()?;
    let all = || several::each(&jobs, |job| job.name().as_str(), output, |job| one(job, args, output));
    sandbox::writing(jobs.iter().map(Job::dir), output, all)
}

fn one(job: &Job, args: &ReindexArgs, output: &Output) -> Result<Exit, Failure> {
    let watcher = Watcher::new(output, job.name().as_str(), "reading");
    let summary = if args.dry_run {
        engine::preview(job)?
    } else {
        engine::reindex(job, &environment::holder("reindex", clock::now()?), &watcher)?
    };
    watcher.end();
    let done = Reindexed {
        job: job.name().as_str(),
        dry_run: args.dry_run,
        summary: &summary,
        elapsed: watcher.elapsed(),
    };
    if output.is_json() {
        done.json(output);
    } else {
        done.lines(output).into_iter().for_each(|line| output.report(line));
    }
    Ok(if summary.problems.problems > 0 { Exit::Problems } else { Exit::Done })
}

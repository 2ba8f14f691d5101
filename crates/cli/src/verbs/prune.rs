//! `prune`: retention by hand; what it would do now; and what would be there one day.

use linksnap_engine::job::Job;
use linksnap_engine::stages::retain::{Clock, simulate};
use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::prune::{self as engine, PruneOptions, PruneSummary};

use crate::args::{Global, PruneArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::patience::patiently;
use crate::progress::Watcher;
use crate::retention::{self, Keeping, Subject};
use crate::summary::prune::Pruned;
use crate::summary::simulation::Simulated;
use crate::{clock, environment, sandbox, several, signals, table};

/// Prunes the jobs that were named, else the configured ones.
pub fn prune(args: &PruneArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let now = clock::now()?;
    let subjects = retention::subjects(&args.jobs, &args.keep, global, output)?;
    signals::listen()?;
    let all = || {
        several::each(
            &subjects,
            |subject| subject.job.name().as_str(),
            output,
            |subject| match until(args, &subject.keeping, now)? {
                Some(until) => foresee(subject, (now, until), output),
                None => patiently(args.patience.wait, output, || one(subject, args, output)),
            },
        )
    };
    // Which of them go is decided under the lock.
    let listed = |subject: &Subject| subject.job.snapshots().unwrap_or_default();
    let list = || subjects.iter().map(|subject| (&subject.job, listed(subject))).collect::<Vec<_>>();
    let jobs: Vec<&Job> = subjects.iter().map(|subject| &subject.job).collect();
    let doomed = sandbox::catalogs(&jobs, output, list);
    sandbox::removing(&doomed, output, all)
}

/// The time that the user wants to look at, if it is not now.
fn until(args: &PruneArgs, keeping: &Keeping, now: i64) -> Result<Option<i64>, Failure> {
    let zone = &keeping.zone;
    let until = match (&args.at, &args.simulate) {
        (Some(at), _) => at.seconds(zone),
        (None, Some(span)) => span.after(now, zone),
        (None, None) => return Ok(None),
    };
    if until < now {
        let message = format!("{} is over", table::time_in(zone, until));
        return Err(Failure::usage(message).hint("name a time that is to come"));
    }
    Ok(Some(until))
}

fn foresee(subject: &Subject, (now, until): (i64, i64), output: &Output) -> Result<Exit, Failure> {
    let Subject { job, keeping, .. } = subject;
    let simulation = simulate(&job.snapshots()?, &keeping.keep.policy, now, until, &keeping.zone)?;
    let simulated = Simulated { job: job.name().as_str(), keeping, until, simulation: &simulation };
    match output.is_json() {
        true => simulated.json(output),
        false => simulated.print(output),
    }
    Ok(Exit::Done)
}

fn one(subject: &Subject, args: &PruneArgs, output: &Output) -> Result<Exit, Failure> {
    // As of now: while waiting, others may have made snapshots, which are not of the future.
    let now = clock::now()?;
    let Subject { job, keeping, recycle } = subject;
    let clock = if args.trust_clock { Clock::Trust } else { Clock::Doubt };
    let retention = keeping.retention(clock);
    let watcher = Watcher::new(output, job.name().as_str(), "starting");
    let summary = match args.dry_run {
        true => engine::preview(job, &retention, now)?,
        false => {
            let fate = if *recycle && !args.no_recycle { Fate::Scaffold } else { Fate::Trash };
            let holder = environment::holder("prune", now);
            engine::prune(job, &PruneOptions { retention, fate, now, holder }, &watcher)?
        }
    };
    watcher.end();
    let stuck = summary.plan.stuck.iter().map(|stuck| &stuck.problem);
    stuck.chain(&summary.notice).for_each(|problem| output.problem(job.name().as_str(), problem));
    let elapsed = watcher.elapsed();
    let pruned =
        Pruned { job: job.name().as_str(), keeping, dry_run: args.dry_run, summary: &summary, elapsed };
    match output.is_json() {
        true => pruned.json(output),
        false => pruned.print(output),
    }
    end(job, &summary, args, output)
}

/// How it ended, all printed.
fn end(job: &Job, summary: &PruneSummary, args: &PruneArgs, output: &Output) -> Result<Exit, Failure> {
    if let Some(signal) = signals::caught().filter(|_| !args.dry_run) {
        output.remark(&format!(
            "job {}: interrupted; what is left in its trash is deleted by the next run or prune",
            job.name()
        ));
        return Ok(Exit::Interrupted(signal));
    }
    if let Some(hold) = &summary.plan.retained.hold {
        let hint = format!("{}; --trust-clock drops all the same", hold.hint());
        return Err(Failure::new(Exit::Guard, hold.words()).hint(hint));
    }
    match &summary.plan.shortfall {
        Some(shortfall) => {
            let failure = Failure::new(Exit::Guard, shortfall.to_string());
            Err(match shortfall.hint() {
                Some(hint) => failure.hint(hint),
                None => failure,
            })
        }
        None if summary.plan.stuck.is_empty() => Ok(Exit::Done),
        None => Ok(Exit::Problems),
    }
}

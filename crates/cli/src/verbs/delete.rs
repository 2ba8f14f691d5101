//! `delete`: takes snapshots out of the history by hand. Tells first what that frees, and asks.

use linksnap_catalog::{Held, Snapshot, SnapshotId};
use linksnap_engine::Repository;
use linksnap_engine::job::Job;
use linksnap_engine::verbs::delete::{self as engine, DeleteOptions, DeleteSummary};
use serde::Serialize;

use crate::args::{DeleteArgs, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::patience::patiently;
use crate::progress::Watcher;
use crate::size::{self, count, counted};
use crate::{clock, environment, locate, sandbox, several, signals, table};

/// Deletes what was named.
pub fn delete(args: &DeleteArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let now = clock::now()?;
    let repository = locate::repository(global)?;
    let all = match sandbox::reading(&repository, output, || choose(&repository, now, args, global, output))?
    {
        Choice::Delete(all) => all,
        Choice::Leave(exit) => return Ok(exit),
    };
    signals::listen()?;
    let doomed: Vec<_> = all.iter().map(|one| (&one.job, one.snapshots.clone())).collect();
    sandbox::removing(&doomed, output, || {
        several::each(
            &all,
            |one| one.job.name().as_str(),
            output,
            |one| patiently(args.patience.wait, output, || one.delete(now, output)),
        )
    })
}

/// What is to be done.
enum Choice {
    /// Delete these.
    Delete(Vec<Doomed>),
    /// Nothing: it was only asked, or the answer was no.
    Leave(Exit),
}

/// Says what would be freed, and asks. Writes nothing.
fn choose(
    repository: &Repository,
    now: i64,
    args: &DeleteArgs,
    global: &Global,
    output: &Output,
) -> Result<Choice, Failure> {
    let found = locate::snapshots(repository, global, &args.snapshots)?;
    // All of them before the first goes.
    let all = found
        .into_iter()
        .map(|(job, doomed)| Doomed::new(job, doomed, now))
        .collect::<Result<Vec<_>, _>>()?;
    if !output.is_json() {
        all.iter().flat_map(|one| one.lines(args.dry_run)).for_each(|line| output.report(line));
    }
    if args.dry_run {
        if output.is_json() {
            all.iter().for_each(|one| output.json(&one.line(None)));
        }
        return Ok(Choice::Leave(Exit::Done));
    }
    if !args.yes && !is_confirmed(&all, output)? {
        output.remark("nothing is deleted");
        return Ok(Choice::Leave(Exit::Failed));
    }
    Ok(Choice::Delete(all))
}

/// Asks; where there is nobody to ask, that is a failure.
fn is_confirmed(all: &[Doomed], output: &Output) -> Result<bool, Failure> {
    let number: usize = all.iter().map(|one| one.snapshots.len()).sum();
    let what = counted(number as u64, "snapshot", "snapshots");
    let of = match all {
        [one] => format!("job {}", one.job.name()),
        several => counted(several.len() as u64, "job", "jobs"),
    };
    let (bytes, inodes) =
        all.iter().fold((0, 0), |(bytes, inodes), one| (bytes + one.frees.bytes, inodes + one.frees.inodes));
    let question = format!("delete {what} of {of} for good, and free {}?", size::held(bytes, inodes));
    output.confirms(&question).ok_or_else(|| {
        Failure::usage("nothing is deleted: there is no terminal to ask at")
            .hint("say --yes to delete without being asked; -n only shows what would be freed")
    })
}

/// Snapshots of one job that are to be deleted.
struct Doomed {
    job: Job,
    snapshots: Vec<Snapshot>,
    /// How many snapshots the job has.
    of: usize,
    /// The newest that stays.
    latest: Option<String>,
    takes_newest: bool,
    frees: Held,
}

impl Doomed {
    fn new(job: Job, snapshots: Vec<Snapshot>, now: i64) -> Result<Self, Failure> {
        let frees = engine::preview(&job, &snapshots, now)?;
        let goes = |id: SnapshotId| snapshots.iter().any(|one| one.id == id);
        let published = job.snapshots()?;
        let takes_newest = published.last().is_some_and(|newest| goes(newest.id));
        let latest = published.iter().rfind(|one| !goes(one.id)).map(|one| one.name.clone());
        Ok(Self { of: published.len(), latest, takes_newest, frees, snapshots, job })
    }

    fn lines(&self, dry_run: bool) -> Vec<String> {
        let prefix = if dry_run { "dry run: " } else { "" };
        let mut lines = vec![format!(
            "{prefix}deleting {} of {} of job {} frees {}",
            count(self.snapshots.len() as u64),
            counted(self.of as u64, "snapshot", "snapshots"),
            self.job.name(),
            size::held(self.frees.bytes, self.frees.inodes),
        )];
        let times =
            self.snapshots.iter().map(|one| format!("  {}  {}", one.name, table::local_time(one.time)));
        lines.extend(times);
        match (&self.latest, self.takes_newest) {
            (None, _) => lines.push("  the job has no other: the next backup copies everything".to_owned()),
            (Some(latest), true) => {
                lines.push(format!("  the newest is among them: latest will point to {latest}"));
            }
            (Some(_), false) => {}
        }
        lines
    }

    fn delete(&self, now: i64, output: &Output) -> Result<Exit, Failure> {
        let name = self.job.name().as_str();
        let watcher = Watcher::new(output, name, "starting");
        let options = DeleteOptions { now, holder: environment::holder("delete", now) };
        let summary = engine::delete(&self.job, &self.snapshots, &options, &watcher)?;
        watcher.end();
        let stuck = summary.stuck.iter().map(|stuck| &stuck.problem);
        stuck.chain(&summary.notice).for_each(|problem| output.problem(name, problem));
        if output.is_json() {
            output.json(&self.line(Some((&summary, watcher.elapsed().as_secs_f64()))));
        } else {
            output.report(format!(
                "deleted {} of job {name} in {}: {} freed",
                counted((self.snapshots.len() - summary.stuck.len()) as u64, "snapshot", "snapshots"),
                size::duration(watcher.elapsed()),
                size::held(summary.freed.bytes, summary.freed.inodes),
            ));
        }
        match signals::caught() {
            None if summary.stuck.is_empty() => Ok(Exit::Done),
            None => Ok(Exit::Problems),
            Some(signal) => {
                output.remark("interrupted; what is left in the trash is deleted by the next run or prune");
                Ok(Exit::Interrupted(signal))
            }
        }
    }

    fn names(&self, done: Option<&DeleteSummary>) -> Vec<&str> {
        let is_stuck =
            |name: &str| done.is_some_and(|done| done.stuck.iter().any(|stuck| stuck.name == name));
        self.snapshots.iter().map(|one| one.name.as_str()).filter(|name| !is_stuck(name)).collect()
    }

    fn line(&self, done: Option<(&DeleteSummary, f64)>) -> Line<'_> {
        let freed = done.map(|(summary, _)| (summary.freed.bytes, summary.freed.inodes));
        let (freed_bytes, freed_inodes) = freed.unwrap_or((self.frees.bytes, self.frees.inodes));
        Line {
            r#type: "summary",
            job: self.job.name().as_str(),
            dry_run: done.is_none(),
            deleted: self.names(done.map(|(summary, _)| summary)),
            latest: self.latest.as_deref(),
            freed_bytes,
            freed_inodes,
            freed_block_bytes: self.frees.block_bytes,
            elapsed_seconds: done.map_or(0.0, |(_, elapsed)| elapsed),
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    job: &'a str,
    dry_run: bool,
    deleted: Vec<&'a str>,
    /// The newest that stays.
    latest: Option<&'a str>,
    freed_bytes: u64,
    freed_inodes: u64,
    freed_block_bytes: u64,
    elapsed_seconds: f64,
}

//! `restore`: brings back a snapshot, or some of its paths, in a directory or where they came from. In place it tells
//! first what is to be done, and asks.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use linksnap_catalog::Snapshot;
use linksnap_engine::Repository;
use linksnap_engine::job::Job;
use linksnap_engine::verbs::restore::{
    self as engine, Accounts, Existing, Extra, Ownership, RestoreOptions, RestoreStep, RestoreSummary,
};

use crate::args::{Global, OwnerArg, RestoreArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Watcher;
use crate::signals::listen;
use crate::size::{count, counted};
use crate::summary::{restore::Restored, step::Step};
use crate::{locate, sandbox};

/// As many steps are shown before it is asked; `-n` shows all.
const SHOWN: u64 = 30;

/// Restores, or says what would be restored.
pub fn restore(args: &RestoreArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let repository = locate::repository(global)?;
    let options = options(args)?;
    let target = options.target.clone();
    let deed = || bring(&repository, options, args, global, output);
    match args.dry_run {
        true => sandbox::reading(&repository, output, deed),
        false => sandbox::restoring(&repository, &target, output, deed),
    }
}

fn bring(
    repository: &Repository,
    options: RestoreOptions,
    args: &RestoreArgs,
    global: &Global,
    output: &Output,
) -> Result<Exit, Failure> {
    let (job, snapshot) = locate::snapshot(repository, global, &args.snapshot)?;
    let call = Call { args, output, job, snapshot, options };
    listen()?;
    if args.dry_run {
        return call.dry_run();
    }
    // Programs that say --yes get one summary, and no plan.
    if args.in_place && !(args.yes && output.is_json()) {
        if !call.shows_plan()? {
            return Ok(Exit::Done);
        }
        if !args.yes && !call.is_confirmed()? {
            output.remark("nothing is restored");
            return Ok(Exit::Failed);
        }
    }
    call.carry_out()
}

fn options(args: &RestoreArgs) -> Result<RestoreOptions, Failure> {
    let target = match &args.target {
        Some(target) => std::path::absolute(target)
            .map_err(|error| Failure::usage("cannot use the target").because(&error))?,
        None => PathBuf::from("/"),
    };
    let ownership = match args.owner {
        OwnerArg::Numeric => Ownership::Numeric,
        OwnerArg::Name => Ownership::ByName(accounts()?),
    };
    Ok(RestoreOptions {
        paths: args.paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
        target,
        existing: if args.overwrite || args.in_place { Existing::Overwrite } else { Existing::Refuse },
        extra: if args.delete { Extra::Go } else { Extra::Stay },
        ownership,
    })
}

/// Who is who on this machine.
fn accounts() -> Result<Accounts, Failure> {
    let read = |path: &str| {
        std::fs::read(Path::new(path))
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot read {path}")).because(&error))
    };
    Ok(Accounts { users: read("/etc/passwd")?, groups: read("/etc/group")? })
}

/// One call of `restore`.
struct Call<'a> {
    args: &'a RestoreArgs,
    output: &'a Output,
    job: Job,
    snapshot: Snapshot,
    options: RestoreOptions,
}

impl Call<'_> {
    fn watcher(&self, doing: &'static str) -> Watcher<'_> {
        Watcher::new(self.output, self.job.name().as_str(), doing)
    }

    fn dry_run(&self) -> Result<Exit, Failure> {
        let watcher = self.watcher("comparing");
        let mut step = |step: &RestoreStep| self.show(step, &watcher);
        let planned = engine::preview(&self.job, &self.snapshot, &self.options, &mut step, &watcher)?;
        watcher.end();
        self.report(&planned, true, &watcher);
        if self.options.existing == Existing::Refuse && planned.replaced > 0 {
            let names = counted(planned.replaced, "name exists", "names exist");
            let message = format!("{names} already: without --dry-run this would be refused");
            return Err(Failure::new(Exit::Guard, message)
                .hint("name an empty target, or replace what is there with --overwrite"));
        }
        engine::refuse_without_room(&self.options, &planned)?;
        Ok(Exit::Done)
    }

    /// Tells what is to be done; is it anything?
    fn shows_plan(&self) -> Result<bool, Failure> {
        let watcher = self.watcher("comparing");
        let mut steps = 0;
        let mut step = |step: &RestoreStep| {
            steps += 1;
            if steps <= SHOWN {
                self.show(step, &watcher);
            }
        };
        let planned = engine::preview(&self.job, &self.snapshot, &self.options, &mut step, &watcher)?;
        watcher.end();
        if steps > SHOWN {
            self.output.report(format!("… and {} more steps (-n shows all)", count(steps - SHOWN)));
        }
        self.report(&planned, true, &watcher);
        engine::refuse_without_room(&self.options, &planned)?;
        Ok(planned.does_anything())
    }

    /// Asks; where there is nobody to ask, that is a failure.
    fn is_confirmed(&self) -> Result<bool, Failure> {
        let question = format!("restore {}/{} in place?", self.job.name(), self.snapshot.name);
        self.output.confirms(&question).ok_or_else(|| {
            Failure::usage("nothing is restored: there is no terminal to ask at")
                .hint("say --yes to restore without being asked; -n only shows what would be done")
        })
    }

    fn carry_out(&self) -> Result<Exit, Failure> {
        let watcher = self.watcher("restoring");
        let looks_first = !self.args.in_place || self.args.yes && self.output.is_json();
        let restore = if looks_first { engine::restore } else { engine::carry_out };
        let summary = restore(&self.job, &self.snapshot, &self.options, &watcher)?;
        watcher.end();
        self.report(&summary, false, &watcher);
        Ok(if summary.problems.problems > 0 { Exit::Problems } else { Exit::Done })
    }

    fn show(&self, step: &RestoreStep, watcher: &Watcher<'_>) {
        let path = step.path.as_os_str().as_bytes();
        let step = Step { action: step.deed.word(), path, reason: None, bytes: step.bytes };
        watcher.aside(|| step.show(self.output));
    }

    fn report(&self, summary: &RestoreSummary, dry_run: bool, watcher: &Watcher<'_>) {
        let restored = Restored {
            job: self.job.name().as_str(),
            snapshot: &self.snapshot.name,
            target: &self.options.target,
            dry_run,
            summary,
            elapsed: watcher.elapsed(),
        };
        if self.output.is_json() {
            restored.json(self.output);
        } else {
            restored.lines(self.output).into_iter().for_each(|line| self.output.report(line));
        }
    }
}

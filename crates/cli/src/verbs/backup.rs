//! `backup`: runs jobs one after another, and says what came of each.

use linksnap_engine::repository::RepositoryError;
use linksnap_engine::stages::retain::Clock;
use linksnap_engine::verbs::backup::{
    self as engine, BackupError, BackupOptions, BackupSummary, PlannedStep, Recycle, Upheaval,
};
use linksnap_engine::{Repository, Rules};

use crate::args::{BackupArgs, Global};
use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Verbosity};
use crate::patience::patiently;
use crate::progress::Watcher;
use crate::retention::Keeping;
use crate::summary::backup::Backed;
use crate::summary::step::Step;
use crate::target::{self, Target};
use crate::verbs::init;
use crate::{clock, environment, locate, sandbox, several, signals};

/// Runs what was asked for; the worst exit code wins.
pub fn backup(args: &BackupArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let config = Config::find(global.config.as_deref())?;
    let targets = targets(args, global, config.as_ref())?;
    let repository = open(args, global, config.as_ref(), output)?;
    if repository.is_none() {
        output.remark("dry run: the repository would be made, and everything copied into it");
    }
    signals::listen()?;
    several::each(
        &targets,
        |target| target.job.as_str(),
        output,
        |target| patiently(args.patience.wait, output, || run(target, args, repository.as_ref(), output)),
    )
}

fn targets(args: &BackupArgs, global: &Global, config: Option<&Config>) -> Result<Vec<Target>, Failure> {
    let mut targets = target::decide(&args.what, global.job.as_deref(), config)?;
    for target in &mut targets {
        target.add(&args.rules);
        target.settings.validate = args.validate.unwrap_or(target.settings.validate);
        // Before the first job runs, not when it is the last one's turn.
        Rules::new(&target.settings.rules).map_err(|error| Failure::usage(error.to_string()))?;
    }
    Ok(targets)
}

/// The repository; `None` if a dry run would have to make it.
fn open(
    args: &BackupArgs,
    global: &Global,
    config: Option<&Config>,
    output: &Output,
) -> Result<Option<Repository>, Failure> {
    let path = locate::repository_path(global, config)?;
    match Repository::open(&path) {
        Ok(repository) => {
            locate::expect(&repository, global, config)?;
            Ok(Some(repository))
        }
        // A new one has a UUID that nobody knows yet: where one is expected, its disk is not there.
        Err(error) if locate::expecting(global, config).is_some() => Err(error.into()),
        Err(RepositoryError::Missing { .. } | RepositoryError::NotOne { .. })
            if args.init && args.dry_run =>
        {
            Ok(None)
        }
        Err(RepositoryError::Missing { .. } | RepositoryError::NotOne { .. }) if args.init => {
            let (repository, findings) = init::create(&path, &args.durability, output)?;
            if !output.is_json() {
                init::say(&repository, &findings, output);
            }
            Ok(Some(repository))
        }
        Err(error) => Err(error.into()),
    }
}

fn run(
    target: &Target,
    args: &BackupArgs,
    repository: Option<&Repository>,
    output: &Output,
) -> Result<Exit, Failure> {
    let now = clock::now()?;
    let settings = &target.settings;
    let keeping = Keeping::configured(settings).filter(|_| !args.no_prune);
    let options = BackupOptions {
        sources: target.sources.clone(),
        rules: settings.rules.clone(),
        one_file_system: settings.one_file_system,
        validate: settings.validate,
        now,
        threads: None,
        recycle: if settings.recycle { Recycle::Always } else { Recycle::Never },
        retention: keeping.as_ref().map(|keeping| keeping.retention(Clock::Doubt)),
        upheaval: if args.accept_change { Upheaval::Accept } else { settings.upheaval },
        tags: args.tag.clone(),
        holder: environment::holder("backup", now),
    };
    let watcher = Watcher::new(output, target.job.as_str(), "starting");
    let summary = match repository.filter(|_| !args.dry_run) {
        Some(repository) => confined_run(repository, target, &options, (&watcher, output))?,
        None => {
            let mut step = |step: &PlannedStep| show(step, output, &watcher);
            sandbox::writing(repository.map(Repository::dir), output, || {
                engine::preview(repository, &target.job, &options, &mut step, &watcher)
            })?
        }
    };
    watcher.end();
    let backed = Backed {
        job: target.job.as_str(),
        summary: &summary,
        keeping: keeping.as_ref(),
        elapsed: watcher.elapsed(),
    };
    if output.is_json() {
        backed.json(output);
    } else {
        backed.lines(output).into_iter().for_each(|line| output.report(line));
    }
    Ok(exit(&summary))
}

/// Confined twice, one after the other: the rules that spare the building time can only be made once its trees are there.
fn confined_run(
    repository: &Repository,
    target: &Target,
    options: &BackupOptions,
    (watcher, output): (&Watcher<'_>, &Output),
) -> Result<BackupSummary, BackupError> {
    let whole = repository.dir();
    let prepare = || engine::prepare(repository, &target.job, options, watcher);
    let mut prepared = sandbox::writing([whole], output, prepare)?;
    let trunks = prepared.take_trunks();
    sandbox::writing(trunks.iter().chain([whole]), output, || prepared.run())
}

fn exit(summary: &BackupSummary) -> Exit {
    if summary.problems.problems > 0 { Exit::Problems } else { Exit::Done }
}

/// What would be done to one entry. What stays as it is is shown only to those who want every step.
fn show(step: &PlannedStep, output: &Output, watcher: &Watcher<'_>) {
    let nothing_new = matches!(step.action, "keep" | "link" | "enter");
    let wanted = if nothing_new { Verbosity::EveryStep } else { Verbosity::Steps };
    if output.verbosity() < wanted {
        return;
    }
    let step = Step { action: step.action, path: &step.path, reason: Some(step.reason), bytes: step.bytes };
    watcher.aside(|| step.show(output));
}

//! `restore`: copies a snapshot, or some of its paths, to a directory.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use linksnap_engine::Repository;
use linksnap_engine::verbs::restore::{self as engine, Existing, RestoreOptions, RestoreStep};

use crate::args::{Global, RestoreArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Watcher;
use crate::signals::listen;
use crate::size::counted;
use crate::summary::{restore::Restored, step::Step};
use crate::{locate, sandbox};

/// Restores, or says what would be restored.
pub fn restore(args: &RestoreArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let repository = locate::repository(global)?;
    let target = std::path::absolute(&args.target)
        .map_err(|error| Failure::usage("cannot use the target").because(&error))?;
    let deed = || bring(&repository, &target, args, global, output);
    match args.dry_run {
        true => sandbox::reading(&repository, output, deed),
        false => sandbox::restoring(&repository, &target, output, deed),
    }
}

fn bring(
    repository: &Repository,
    target: &Path,
    args: &RestoreArgs,
    global: &Global,
    output: &Output,
) -> Result<Exit, Failure> {
    let (job, snapshot) = locate::snapshot(repository, global, &args.snapshot)?;
    let options = RestoreOptions {
        paths: args.paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
        target: target.to_path_buf(),
        existing: if args.overwrite { Existing::Overwrite } else { Existing::Refuse },
    };
    listen()?;
    let watcher = Watcher::new(output, job.name().as_str(), "restoring");
    let summary = if args.dry_run {
        engine::preview(&job, &snapshot, &options, &mut |step| show(step, output, &watcher), &watcher)?
    } else {
        engine::restore(&job, &snapshot, &options, &watcher)?
    };
    watcher.end();
    let restored = Restored {
        job: job.name().as_str(),
        snapshot: &snapshot.name,
        target: &options.target,
        dry_run: args.dry_run,
        summary: &summary,
        elapsed: watcher.elapsed(),
    };
    if output.is_json() {
        restored.json(output);
    } else {
        restored.lines(output).into_iter().for_each(|line| output.report(line));
    }
    if args.dry_run && !args.overwrite && summary.replaced > 0 {
        let names = counted(summary.replaced, "name exists", "names exist");
        let message = format!("{names} already: without --dry-run this would be refused");
        return Err(Failure::new(Exit::Guard, message)
            .hint("name an empty target, or replace what is there with --overwrite"));
    }
    Ok(if summary.problems.problems > 0 { Exit::Problems } else { Exit::Done })
}

fn show(step: &RestoreStep, output: &Output, watcher: &Watcher<'_>) {
    let step =
        Step { action: step.action, path: step.path.as_os_str().as_bytes(), reason: None, bytes: step.bytes };
    watcher.aside(|| step.show(output));
}

//! `dedupe`: equal files become one.

mod json;
mod leftovers;
mod watcher;
mod words;

use std::path::{Path, PathBuf};

use linksnap_inode::dir::path_bytes;
use linksnap_toolbox::dedupe::{
    self as tool, DeedError, Ignore, Left, Options, Plan, PlanError, Report, Share,
};
use linksnap_toolbox::journal::Journal;
use linksnap_toolbox::leftovers::{self as leftover, Leftover};
use linksnap_toolbox::walk::Mounts;

use crate::args::DedupeArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Verbosity};
use crate::verbs::dedupe::leftovers::Swept;
use crate::verbs::dedupe::watcher::Watcher;
use crate::{clock, relinking, sandbox, signals};

/// Smaller than a block of nearly every filesystem: there is nothing to share.
const LEAST_TO_SHARE: u64 = 4096;

/// An empty file has no content that it could have in common with others.
const LEAST_TO_LINK: u64 = 1;

/// Finds equal files, shows what is to become of them, and does that.
pub fn dedupe(args: &DedupeArgs, output: &Output) -> Result<Exit, Failure> {
    let options = options(args)?;
    let undo = match options.share {
        Share::Links => Some(relinking::undo_file(&args.deed, "dedupe")?),
        Share::Blocks => None,
    };
    let watcher = Watcher::start(output)?;
    let found = sandbox::looking(output, || look(args, &options, &watcher));
    let (plan, left_behind) = found.map_err(refused)?;
    watcher.end()?;
    plan.problems.iter().for_each(|problem| output.fault(problem));
    tell(&plan.left, output);
    leftovers::tell(&left_behind, &args.roots, output);
    show(&plan, args, output);
    // Whether others write to the files, only a process can see that is not confined: Landlock forbids looking at those
    // that are not confined as well.
    let report = match wish(&plan, args, output)? {
        Wish::Deed => Some(carry_out(&plan, undo.as_deref(), &watcher, output)?),
        Wish::Plan => None,
        Wish::Nothing => {
            output.remark("nothing is changed");
            return Ok(Exit::Failed);
        }
    };
    watcher.end_of_all();
    let is_wanted = report.is_some() || plan.groups.is_empty() && args.deed.yes && !args.deed.dry_run;
    let swept =
        if is_wanted { leftovers::sweep(&left_behind, &args.roots, output) } else { Swept::default() };
    end(&plan, report.as_ref(), swept, undo, args, &watcher, output)
}

/// The plan, and what commands that were killed have left behind.
fn look(
    args: &DedupeArgs,
    options: &Options,
    watcher: &Watcher<'_>,
) -> Result<(Plan, Vec<Leftover>), PlanError> {
    let plan = tool::plan(&args.roots, options, watcher)?;
    let left_behind = match plan.omitted.leftovers {
        0 => Vec::new(),
        _ => leftover::find(&args.roots, Mounts::Stay, options.now, watcher),
    };
    Ok((plan, left_behind))
}

fn options(args: &DedupeArgs) -> Result<Options, Failure> {
    let ignore = &args.ignore;
    let ignore = Ignore {
        times: ignore.ignore_times || ignore.content,
        mode: ignore.ignore_mode || ignore.content,
        owner: ignore.ignore_owner || ignore.content,
        xattrs: ignore.ignore_xattrs || ignore.content,
    };
    let (share, least_size) = match args.reflink {
        true => (Share::Blocks, LEAST_TO_SHARE),
        false => (Share::Links, LEAST_TO_LINK),
    };
    if args.reflink && args.deed.undo.is_some() {
        return Err(Failure::usage("--undo is of no use with --reflink")
            .hint("files that share blocks stay what they are: there is nothing to take back"));
    }
    Ok(Options { share, ignore, least_size: args.min_size.unwrap_or(least_size), now: clock::now()? })
}

fn refused(error: PlanError) -> Failure {
    let message = error.to_string();
    match error {
        PlanError::Fs(error) => {
            let failure = Failure::new(Exit::Failed, message);
            failure.because(&error.source).hint("name directories: what is below them is looked through")
        }
        PlanError::Repository { .. } => Failure::new(Exit::Guard, message).hint(
            "name directories without repositories in them; unchanged files of snapshots are links already",
        ),
        PlanError::Unable { share: Share::Blocks, .. } => {
            Failure::new(Exit::Failed, message).hint("without --reflink equal files are made hard links")
        }
        PlanError::Unable { .. } => Failure::new(Exit::Failed, message),
    }
}

fn tell(left: &[Left], output: &Output) {
    left.iter().for_each(|left| output.trouble(path_bytes(&left.path), &left.why.to_string()));
}

/// With --yes the plan is not asked for.
fn show(plan: &Plan, args: &DedupeArgs, output: &Output) {
    if output.is_json() {
        return plan.groups.iter().for_each(|group| output.json(&json::GroupLine::new(plan, group)));
    }
    let is_asked_for = !args.deed.yes || args.deed.dry_run || output.verbosity() >= Verbosity::Steps;
    if is_asked_for && output.verbosity() > Verbosity::Quiet {
        plan.groups.iter().for_each(|group| words::group(plan, group, output));
    }
    words::notes(plan, output).iter().for_each(|note| output.remark(note));
    output.remark(&words::plan(plan));
}

/// What the user wants after having seen the plan.
enum Wish {
    /// It is to be done.
    Deed,
    /// To have seen it, or there is nothing to be done.
    Plan,
    /// That was not what was wanted.
    Nothing,
}

fn wish(plan: &Plan, args: &DedupeArgs, output: &Output) -> Result<Wish, Failure> {
    if plan.groups.is_empty() || args.deed.dry_run {
        return Ok(Wish::Plan);
    }
    if args.deed.yes {
        return Ok(Wish::Deed);
    }
    match output.confirms(&words::question(plan)) {
        Some(true) => Ok(Wish::Deed),
        Some(false) => Ok(Wish::Nothing),
        None => Err(Failure::new(Exit::Guard, "nothing is changed: there is no terminal to ask at")
            .hint("say --yes to do what is listed; -n only lists it")),
    }
}

fn carry_out(
    plan: &Plan,
    undo: Option<&Path>,
    watcher: &Watcher<'_>,
    output: &Output,
) -> Result<Report, Failure> {
    let unwritable = |undo: &Path| {
        Failure::new(Exit::Failed, format!("cannot write the undo file {}", undo.display()))
            .hint("name another one with --undo FILE; without it nothing is changed")
    };
    let mut journal = match undo {
        Some(undo) => Some(Journal::create(undo).map_err(|error| unwritable(undo).because(&error))?),
        None => None,
    };
    let report = tool::deed(plan, journal.as_mut(), watcher).map_err(|error| match (&error, undo) {
        (DeedError::Journal(fault), Some(undo)) => unwritable(undo).because(fault),
        _ => Failure::new(Exit::Failed, "cannot see who has files open").because(&error),
    })?;
    watcher.end_of_all();
    tell(&report.left, output);
    Ok(report)
}

/// How it ended, all printed.
fn end(
    plan: &Plan,
    report: Option<&Report>,
    swept: Swept,
    undo: Option<PathBuf>,
    args: &DedupeArgs,
    watcher: &Watcher<'_>,
    output: &Output,
) -> Result<Exit, Failure> {
    let undo = undo.filter(|_| report.is_some_and(|report| report.replaced_names > 0));
    if output.is_json() {
        let undo = undo.as_deref().map(path_bytes);
        output.json(&json::Summary::new(
            plan,
            report,
            swept.removed,
            args.deed.dry_run,
            undo,
            watcher.elapsed(),
        ));
    } else if let Some(report) = report {
        output.report(words::report(plan, report, undo.as_deref(), watcher.elapsed(), output));
        if report.unseen_processes > 0 {
            output.remark(&words::unseen(report.unseen_processes));
        }
    }
    let left = plan.left.len() + plan.problems.len() + report.map_or(0, |report| report.left.len());
    let left = left as u64 + swept.left;
    Ok(match signals::caught() {
        Some(signal) => Exit::Interrupted(signal),
        None if left > 0 => Exit::Problems,
        None => Exit::Done,
    })
}

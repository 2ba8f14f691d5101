//! `links --to-relative`, `--to-absolute`, `--shorten`: a plan to be read, and what becomes of it.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use linksnap_toolbox::convert::{self as tool, Conversion, Converted, Keeper, Proposal, Reach};
use serde::Serialize;

use crate::args::LinksArgs;
use crate::display::Form;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Verbosity};
use crate::relinking::{self, Done, Work};
use crate::size::counted;
use crate::symlinks::{JsonLink, JsonPlan, Planned};
use crate::walking::Walking;
use crate::{sandbox, signals};

/// The conversion that the arguments ask for.
pub fn asked(args: &LinksArgs) -> Option<Conversion> {
    let reach = if args.leaving { Reach::Anywhere } else { Reach::Inside };
    let asked = &args.conversion;
    match () {
        () if asked.to_relative => Some(Conversion::ToRelative(reach)),
        () if asked.to_absolute => Some(Conversion::ToAbsolute),
        () if asked.shorten => Some(Conversion::Shorten),
        () => None,
    }
}

/// Plans other texts, and does it if that is wanted.
pub fn convert(args: &LinksArgs, conversion: Conversion, output: &Output) -> Result<Exit, Failure> {
    let undo = relinking::undo_file(&args.deed, "links")?;
    let grounds = match args.deed.dry_run {
        true => Vec::new(),
        false => relinking::grounds(&args.roots, &undo),
    };
    sandbox::writing(&grounds, output, || plan_and_do(args, conversion, undo, output))
}

fn plan_and_do(
    args: &LinksArgs,
    conversion: Conversion,
    undo: PathBuf,
    output: &Output,
) -> Result<Exit, Failure> {
    let walking = Walking::start(output, "looking at symbolic links", Form::Lines)?;
    let census = super::take(args, conversion.concerns(), &walking)?;
    census.coverage.problems.iter().for_each(|problem| output.fault(problem));
    let problems = census.coverage.problems.len() as u64;
    let plan = tool::plan(census, conversion)
        .map_err(|error| Failure::new(Exit::Failed, "cannot plan").because(&error))?;
    plan.iter().for_each(|one| show(one, &args.roots, output));
    let steps = plan.iter().filter_map(Converted::step).collect();
    let mut work = Work { roots: &args.roots, steps, undo };
    let planned = work.steps.len() as u64;
    if !output.is_json() {
        output.remark(&in_words(&plan, planned));
    }
    let wanted = work.is_wanted(&args.deed, output);
    let done = if wanted { Some(work.carry_out(output)?) } else { None };
    match done {
        _ if output.is_json() => {
            let undo = done.map(|_| work.undo.display().to_string());
            let done = done.unwrap_or_default();
            output.json(&Summary { r#type: "summary", planned, problems, changed: wanted, done, undo });
        }
        Some(done) => output.report(done.words(&work.undo, output)),
        None => {}
    }
    Ok(match (done, signals::caught()) {
        (Some(_), Some(signal)) => Exit::Interrupted(signal),
        (Some(done), None) if done.refused > 0 => Exit::Problems,
        (None, _) if planned > 0 && !args.deed.dry_run => Exit::Failed,
        _ if problems > 0 => Exit::Problems,
        _ => Exit::Done,
    })
}

/// How many links are to be changed, and what keeps the others.
fn in_words(plan: &[Converted], planned: u64) -> String {
    let all = counted(plan.len() as u64, "link", "links");
    let reasons = [
        (Proposal::Dangling, "lead nowhere"),
        (Proposal::Leaving, "lead out of the root (--leaving changes them too)"),
        (Proposal::Kept(Keeper::Alternatives), "belong to update-alternatives"),
        (Proposal::Kept(Keeper::Systemd), "belong to systemd"),
        (Proposal::Unclear, "go back behind another link"),
    ];
    let number = |proposal: &Proposal| plan.iter().filter(|one| one.proposal == *proposal).count();
    let left = reasons.iter().map(|(proposal, words)| (number(proposal), words));
    let left: Vec<String> =
        left.filter(|(number, _)| *number > 0).map(|(number, words)| format!("{number} {words}")).collect();
    let why = if left.is_empty() { String::new() } else { format!("; left alone: {}", left.join(", ")) };
    format!("plan: {planned} of {all} to be changed{why}")
}

fn show(one: &Converted, roots: &[PathBuf], output: &Output) {
    if output.is_json() {
        return output.json(&line(one, roots));
    }
    let path = one.counted.link.shown(roots);
    let (path, old) = (output.name(path.as_os_str().as_bytes()), output.name(&one.counted.link.text));
    let line = |parts: &[&[u8]]| output.line(parts.concat());
    match &one.proposal {
        Proposal::Text(text) => relinking::show_retarget(&path, &old, &output.name(text), output),
        // There can be many, and nothing is wrong with them.
        _ if output.verbosity() < Verbosity::Steps => {}
        other => line(&[b"leave    ", &path, b" -> ", &old, b": ", reason(other).as_bytes()]),
    }
}

fn reason(proposal: &Proposal) -> &'static str {
    match proposal {
        Proposal::Text(_) => "",
        Proposal::Dangling => "leads nowhere",
        Proposal::Leaving => "leads out of the root",
        Proposal::Kept(Keeper::Alternatives) => "belongs to update-alternatives, which compares the text",
        Proposal::Kept(Keeper::Systemd) => "belongs to systemd, which compares the text",
        Proposal::Unclear => "goes back behind another link, so no plain path leads to the same",
    }
}

/// The line of a link, as [`Planned`] has it.
fn line(one: &Converted, roots: &[PathBuf]) -> JsonPlan {
    let planned = match &one.proposal {
        Proposal::Text(text) => Planned::Retarget(text),
        Proposal::Dangling => Planned::Leave("dangling"),
        Proposal::Leaving => Planned::Leave("leaving"),
        Proposal::Kept(Keeper::Alternatives) => Planned::Leave("alternative"),
        Proposal::Kept(Keeper::Systemd) => Planned::Leave("systemd"),
        Proposal::Unclear => Planned::Leave("unclear"),
    };
    JsonPlan::new(JsonLink::new("conversion", &one.counted.link, roots), &planned)
}

#[derive(Serialize)]
struct Summary {
    r#type: &'static str,
    planned: u64,
    problems: u64,
    /// Was the plan carried out?
    changed: bool,
    #[serde(flatten)]
    done: Done,
    /// The undo file, if there is one.
    undo: Option<String>,
}

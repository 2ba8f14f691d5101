//! `dangling --fix`: a plan to be read, and what becomes of it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use linksnap_toolbox::relink::Deed;
use linksnap_toolbox::repair::{self, Candidate, Index, Proposal, Remedy, Repair};
use serde::Serialize;

use crate::args::{DanglingArgs, RemedyArg};
use crate::display::Form;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::JsonPath;
use crate::output::Output;
use crate::relinking::{self, Done, Work};
use crate::size::counted;
use crate::symlinks::{JsonLink, JsonPlan, Planned};
use crate::walking::Walking;
use crate::{sandbox, signals};

/// So many of the things that a link could lead to are shown.
const SHOWN: usize = 5;

/// Plans repairs, and does them if that is wanted.
pub fn fix(args: &DanglingArgs, output: &Output) -> Result<Exit, Failure> {
    if !args.search.is_empty() && !args.fix.contains(&RemedyArg::Search) {
        return Err(Failure::usage("--search is of use only for --fix=search"));
    }
    let undo = relinking::undo_file(&args.deed, "dangling")?;
    let grounds = match args.deed.dry_run {
        true => Vec::new(),
        false => relinking::grounds(&args.roots, &undo),
    };
    sandbox::writing(&grounds, output, || plan_and_do(args, undo, output))
}

fn plan_and_do(args: &DanglingArgs, undo: PathBuf, output: &Output) -> Result<Exit, Failure> {
    let (repairs, problems) = plan(args, output)?;
    repairs.iter().for_each(|one| show(one, &args.roots, output));
    // What leads through a link that is repaired needs no repair itself: those come last.
    let (through, others): (Vec<&Repair>, Vec<&Repair>) =
        repairs.iter().partition(|one| one.finding.stop.as_ref().is_some_and(|stop| stop.is_link));
    let steps = others.into_iter().chain(through).filter_map(Repair::step).collect();
    let mut work = Work { roots: &args.roots, steps, undo };
    let planned = work.steps.len() as u64;
    if !output.is_json() {
        output.remark(&in_words(repairs.len() as u64, planned));
    }
    let done = match work.is_wanted(&args.deed, output) {
        true => Some(work.carry_out(output)?),
        false => None,
    };
    match done {
        _ if output.is_json() => output.json(&Summary::new(&repairs, planned, problems, done, &work.undo)),
        Some(done) => output.report(done.words(&work.undo, output)),
        None => {}
    }
    if let (Some(_), Some(signal)) = (done, signals::caught()) {
        return Ok(Exit::Interrupted(signal));
    }
    let repaired = done.map_or(0, |done| done.retargeted + done.removed + done.mended);
    Ok(match () {
        () if done.is_some_and(|done| done.refused > 0) => Exit::Problems,
        () if repaired < repairs.len() as u64 => Exit::Failed,
        () if problems > 0 => Exit::Problems,
        () => Exit::Done,
    })
}

/// The plan, and how much could not be read.
fn plan(args: &DanglingArgs, output: &Output) -> Result<(Vec<Repair>, u64), Failure> {
    let remedies: Vec<Remedy> = args.fix.iter().map(|how| (*how).into()).collect();
    let walking = Walking::start(output, "looking for links that lead nowhere", Form::Lines)?;
    let found = super::find(args, &walking)?;
    found.coverage.problems.iter().for_each(|problem| output.fault(problem));
    let mut problems = found.coverage.problems.len() as u64;
    let index = if remedies.contains(&Remedy::Search) && !found.findings.is_empty() {
        let walking = Walking::start(output, "looking for what they could lead to", Form::Lines)?;
        let places = if args.search.is_empty() { &args.roots } else { &args.search };
        let index = Index::search(places, &found, super::mounts(args), &walking);
        walking.end()?;
        index
    } else {
        Index::default()
    };
    index.problems.iter().for_each(|problem| output.fault(problem));
    problems += index.problems.len() as u64;
    let repairs = repair::plan(found, &remedies, &index)
        .map_err(|error| Failure::new(Exit::Failed, "cannot plan").because(&error))?;
    Ok((repairs, problems))
}

impl From<RemedyArg> for Remedy {
    fn from(how: RemedyArg) -> Self {
        match how {
            RemedyArg::Search => Self::Search,
            RemedyArg::Relative => Self::Relative,
            RemedyArg::Remove => Self::Remove,
        }
    }
}

fn in_words(found: u64, planned: u64) -> String {
    match (found, planned) {
        (0, _) => "no symbolic link leads nowhere".to_owned(),
        (_, 0) => format!("nothing to be done about {}", counted(found, "link", "links")),
        _ => format!("plan: {planned} of {} to be changed", counted(found, "link", "links")),
    }
}

fn show(repair: &Repair, roots: &[PathBuf], output: &Output) {
    if output.is_json() {
        return output.json(&RepairLine::new(repair, roots));
    }
    let path = repair.finding.link.shown(roots);
    let (path, old) = (output.name(path.as_os_str().as_bytes()), output.name(&repair.finding.link.text));
    let line = |parts: &[&[u8]]| output.line(parts.concat());
    match &repair.proposal {
        Proposal::Do(Deed::Retarget { text, .. }) => {
            relinking::show_retarget(&path, &old, &output.name(text), output);
        }
        Proposal::Do(Deed::Remove) => line(&[b"remove   ", &path, b" -> ", &old]),
        other => {
            line(&[b"leave    ", &path, b" -> ", &old, b": ", reason(other, repair, output).as_slice()]);
            if let Proposal::Ambiguous { candidates, count } = other {
                show_candidates(candidates, *count, output);
            }
        }
    }
}

fn show_candidates(candidates: &[Candidate], count: usize, output: &Output) {
    for one in candidates.iter().take(SHOWN) {
        let agreeing = match one.agreeing_parts {
            0 | 1 => String::new(),
            parts => format!("  (the last {parts} parts of its path agree)"),
        };
        output.line([b"      or ".as_slice(), &output.name(&one.path), agreeing.as_bytes()].concat());
    }
    if let more @ 1.. = count.saturating_sub(SHOWN) {
        output.line(format!("      or {}", counted(more as u64, "another", "others")));
    }
}

fn reason(proposal: &Proposal, repair: &Repair, output: &Output) -> Vec<u8> {
    match proposal {
        Proposal::Do(_) => Vec::new(),
        Proposal::Ambiguous { count, .. } => {
            let name = repair.finding.link.wanted_name().unwrap_or_default();
            [format!("{count} things are called ").as_bytes(), &output.name(name)].concat()
        }
        Proposal::Strangers(path) => {
            [b"what could be meant belongs to somebody else: ".as_slice(), &output.name(path)].concat()
        }
        Proposal::Nothing => b"nothing found that it could lead to".to_vec(),
        Proposal::Uncertain => {
            [&super::reason_in_words(&repair.finding, output), b"; there may be something".as_slice()]
                .concat()
        }
        Proposal::Alternative => b"belongs to update-alternatives".to_vec(),
    }
}

#[derive(Serialize)]
struct RepairLine {
    #[serde(flatten)]
    plan: JsonPlan,
    reason: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<CandidateElement>,
}

#[derive(Serialize)]
struct CandidateElement {
    #[serde(flatten)]
    path: JsonPath,
    agreeing_parts: usize,
}

impl RepairLine {
    fn new(repair: &Repair, roots: &[PathBuf]) -> Self {
        let planned = match &repair.proposal {
            Proposal::Do(Deed::Retarget { text, .. }) => Planned::Retarget(text),
            Proposal::Do(Deed::Remove) => Planned::Remove,
            Proposal::Ambiguous { .. } => Planned::Leave("ambiguous"),
            Proposal::Strangers(_) => Planned::Leave("strangers"),
            Proposal::Nothing => Planned::Leave("nothing-found"),
            Proposal::Uncertain => Planned::Leave("uncertain"),
            Proposal::Alternative => Planned::Leave("alternative"),
        };
        let candidates = match &repair.proposal {
            Proposal::Ambiguous { candidates, .. } => candidates.as_slice(),
            _ => &[],
        };
        let element = |one: &Candidate| CandidateElement {
            path: JsonPath::new(&one.path),
            agreeing_parts: one.agreeing_parts,
        };
        Self {
            plan: JsonPlan::new(JsonLink::new("repair", &repair.finding.link, roots), &planned),
            reason: super::reason_word(repair.finding.reason),
            candidates: candidates.iter().map(element).collect(),
        }
    }
}

#[derive(Serialize)]
struct Summary {
    r#type: &'static str,
    dangling: u64,
    planned: u64,
    problems: u64,
    /// Was the plan carried out?
    changed: bool,
    #[serde(flatten)]
    done: Done,
    /// The undo file, if there is one.
    undo: Option<String>,
}

impl Summary {
    fn new(repairs: &[Repair], planned: u64, problems: u64, done: Option<Done>, undo: &Path) -> Self {
        Self {
            r#type: "summary",
            dangling: repairs.len() as u64,
            planned,
            problems,
            changed: done.is_some(),
            done: done.unwrap_or_default(),
            undo: done.map(|_| undo.display().to_string()),
        }
    }
}

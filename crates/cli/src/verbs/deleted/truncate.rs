//! `deleted --truncate`: shows what would be made empty, asks, and does it.

use linksnap_toolbox::deleted::{self as tool, Deleted, Next, TruncateError, Truncation};
use serde::Serialize;

use super::path;
use crate::args::DeletedArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::JsonPath;
use crate::output::Output;
use crate::size::{bytes, count, counted};

/// Decides about all before the first is touched.
pub fn truncate(args: &DeletedArgs, found: &Deleted, output: &Output) -> Result<Exit, Failure> {
    let mut plans: Vec<Truncation> = Vec::new();
    for target in &args.truncate {
        let plan = tool::plan(*target, found).map_err(|error| failure(&error))?;
        if plans.iter().all(|other| other.file.identity != plan.file.identity) {
            plans.push(plan);
        }
    }
    if !output.is_json() {
        plans.iter().for_each(|plan| output.report(describe(plan, args, output)));
    }
    if args.dry_run {
        if output.is_json() {
            let all: Vec<Line> = plans.iter().map(|plan| Line::new(plan, None)).collect();
            output.json(&all);
        }
        return Ok(Exit::Done);
    }
    if !args.yes && !is_confirmed(&plans, output)? {
        output.remark("nothing is truncated");
        return Ok(Exit::Failed);
    }
    deed(&plans, output)
}

fn deed(plans: &[Truncation], output: &Output) -> Result<Exit, Failure> {
    let mut lines = Vec::new();
    let mut done = Ok(Exit::Done);
    for plan in plans {
        match tool::truncate(plan) {
            Ok(freed) if output.is_json() => lines.push(Line::new(plan, Some(freed))),
            Ok(freed) => output.report(format!("truncated {}: {} freed", plan.target, bytes(freed))),
            Err(error) => {
                done = Err(failure(&error));
                break;
            }
        }
    }
    // What was done is told, whatever came after it.
    if output.is_json() {
        output.json(&lines);
    }
    done
}

fn describe(plan: &Truncation, args: &DeletedArgs, output: &Output) -> String {
    let prefix = if args.dry_run { "dry run: " } else { "" };
    let others = plan.file.holders.iter().filter(|one| one.process.pid != plan.target.pid).count() as u64;
    let command = plan.file.holders.iter().find(|one| one.process.pid == plan.target.pid);
    let command = command.map_or_else(String::new, |one| super::process(one, output));
    let mut text = format!(
        "{prefix}truncating {} frees {}: {}, held by {command}",
        plan.target,
        bytes(plan.file.disk_bytes()),
        path(&plan.file, output),
    );
    if others > 0 {
        text.push_str(&format!(" and {}", counted(others, "other process", "other processes")));
    }
    if let Next::At(position) = plan.next {
        text.push_str(&format!(
            "\n  it goes on at byte {}: what is before will be a hole, which takes no room",
            count(position)
        ));
    }
    text
}

fn is_confirmed(plans: &[Truncation], output: &Output) -> Result<bool, Failure> {
    let what = counted(plans.len() as u64, "file", "files");
    let question = format!("make {what} empty? What is in there is lost, and the process is not told.");
    output.confirms(&question).ok_or_else(|| {
        Failure::usage("nothing is truncated: there is no terminal to ask at")
            .hint("say --yes to truncate without being asked; -n only shows what would be freed")
    })
}

fn failure(error: &TruncateError) -> Failure {
    let (exit, hint) = match error {
        TruncateError::Nothing(_) => (Exit::Failed, "`linksnap deleted` shows what there is"),
        TruncateError::Forbidden(_) => (Exit::Failed, "try it as root"),
        TruncateError::NotDeleted(..) => {
            (Exit::Guard, "only deleted files are made empty: `linksnap deleted` shows them")
        }
        TruncateError::Mapped { .. } => (Exit::Guard, "restart the process instead"),
        TruncateError::Changed(_) => (Exit::Guard, "nothing was changed; look again: linksnap deleted"),
        TruncateError::Fs(error) => {
            return Failure::new(Exit::Failed, error.to_string()).because(error).hint(
                "the process has it open already: its rights say nothing about who else may open it. Try it as root",
            );
        }
    };
    Failure::new(exit, error.to_string()).hint(hint)
}

#[derive(Serialize)]
struct Line {
    pid: u32,
    fd: u32,
    #[serde(flatten)]
    path: JsonPath,
    dry_run: bool,
    bytes: u64,
    freed_bytes: Option<u64>,
}

impl Line {
    fn new(plan: &Truncation, freed: Option<u64>) -> Self {
        Self {
            pid: plan.target.pid,
            fd: plan.target.fd,
            path: JsonPath::new(&plan.file.path),
            dry_run: freed.is_none(),
            bytes: plan.file.disk_bytes(),
            freed_bytes: freed,
        }
    }
}

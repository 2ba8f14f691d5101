//! What `dedupe` says to people.

use std::path::Path;
use std::time::Duration;

use linksnap_inode::dir::path_bytes;
use linksnap_inode::limits::is_root;
use linksnap_toolbox::dedupe::{File, Group, Plan, Reason, Report, Share};

use crate::output::{Output, Verbosity};
use crate::size::{self, count, counted};

/// What stays, and what becomes it.
pub fn group(plan: &Plan, group: &Group, output: &Output) {
    let name = |at| output.name(path_bytes(&plan.path(at)));
    let verb: &[u8] = match plan.share() {
        Share::Links => b"link ",
        Share::Blocks => b"share ",
    };
    let reason = reason(group);
    output.report([b"keep ", &*name(group.survivor.names[0]), b"  (", reason.as_bytes(), b")"].concat());
    for loser in &group.losers {
        let mut remark = frees(loser);
        for at in &loser.names {
            output.report([verb, &name(*at), b"  (", remark.as_bytes(), b")"].concat());
            "the same file".clone_into(&mut remark);
        }
    }
}

fn reason(group: &Group) -> String {
    match group.reason {
        Reason::MostLinks => format!("has most names: {}", count(group.survivor.stat.links.into())),
        Reason::Oldest => "the oldest".to_owned(),
        Reason::FirstPath => "the first by path".to_owned(),
        Reason::LinkLimit => "the one before can have no more names".to_owned(),
    }
}

fn frees(loser: &File) -> String {
    match u64::from(loser.names_elsewhere()) {
        0 => format!("frees {}", size::bytes(loser.stat.blocks * 512)),
        names => format!("frees nothing: {} elsewhere", counted(names, "name", "names")),
    }
}

/// What is not in the plan, and why.
pub fn notes(plan: &Plan, output: &Output) -> Vec<String> {
    let omitted = &plan.omitted;
    let files = |number| counted(number, "file", "files");
    let all = [
        (
            omitted.other_attributes,
            format!(
                "{} of the same size as others not compared: mode, owner or time differ (-p, -o, -t ignore that)",
                files(omitted.other_attributes)
            ),
        ),
        (
            omitted.other_xattrs,
            format!(
                "{} left for other extended attributes (--ignore-xattrs links them, too)",
                counted(omitted.other_xattrs, "equal file", "equal files")
            ),
        ),
        (
            omitted.names_elsewhere,
            format!(
                "{} left: names elsewhere would be parted from those here",
                counted(omitted.names_elsewhere, "equal file", "equal files")
            ),
        ),
        (omitted.mounts, format!("{} left out", counted(omitted.mounts, "mount", "mounts"))),
    ];
    let mut notes: Vec<String> =
        all.into_iter().filter(|(number, _)| *number > 0).map(|(_, note)| note).collect();
    if omitted.tiny > 0 && output.verbosity() >= Verbosity::Steps {
        notes.push(format!("{} below the least size left alone", files(omitted.tiny)));
    }
    notes
}

/// What is planned.
pub fn plan(plan: &Plan) -> String {
    let (files, directories) =
        (counted(plan.files, "file", "files"), counted(plan.directories_visited, "directory", "directories"));
    if plan.groups.is_empty() {
        return format!("nothing to be done about {files} in {directories}");
    }
    let (losers, others) = (count(plan.losers()), counted(plan.groups.len() as u64, "other", "others"));
    match plan.share() {
        Share::Links => format!(
            "plan: {losers} of {files} become names of {others}, which frees {}",
            size::held(plan.freed_bytes(), plan.freed_inodes())
        ),
        Share::Blocks => format!(
            "plan: {losers} of {files} share the blocks of {others}, which frees {}, less what they share already",
            size::bytes(plan.freed_bytes())
        ),
    }
}

/// Is it to be done?
pub fn question(plan: &Plan) -> String {
    match plan.share() {
        Share::Links => format!("link {}?", counted(plan.losers(), "file", "files")),
        Share::Blocks => format!("let {} share blocks?", counted(plan.losers(), "file", "files")),
    }
}

/// What was done.
pub fn report(
    plan: &Plan,
    report: &Report,
    undo: Option<&Path>,
    elapsed: Duration,
    output: &Output,
) -> String {
    let names = counted(report.replaced_names, "name", "names");
    let mut words = match plan.share() {
        Share::Links => {
            format!("linked {names}: {} freed", size::held(report.freed_bytes, report.freed_inodes))
        }
        Share::Blocks => {
            format!("{names} share blocks: {} freed, less what was shared", size::bytes(report.freed_bytes))
        }
    };
    if !report.left.is_empty() {
        words.push_str(&format!(", {} left alone", counted(report.left.len() as u64, "name", "names")));
    }
    words.push_str(&format!(" in {}", size::duration(elapsed)));
    if let Some(undo) = undo {
        let undo = output.words(&undo.to_string_lossy());
        words.push_str(&format!("; `linksnap undo {undo}` takes it back"));
    }
    words
}

/// Who could not be asked.
pub fn unseen(processes: u64) -> String {
    let processes = counted(processes, "process", "processes");
    let who = if is_root() { "" } else { " (root may)" };
    format!("{processes} could not be looked at{who}: whether these files are being written is not known")
}

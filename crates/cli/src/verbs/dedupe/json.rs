//! What `dedupe` says to programs.

use std::time::Duration;

use linksnap_inode::dir::path_bytes;
use linksnap_toolbox::dedupe::{File, Group, NameAt, Plan, Reason, Report, Share};
use serde::Serialize;

use crate::json::JsonPath;

/// What stays, and what becomes it.
#[derive(Serialize)]
pub struct GroupLine {
    r#type: &'static str,
    /// Of each file, in bytes.
    size: u64,
    /// What stays.
    survivor: FileElement,
    /// Why: `most-links`, `oldest`, `first-path` or `link-limit`.
    reason: &'static str,
    freed_bytes: u64,
    /// What becomes it, or shares its blocks.
    files: Vec<FileElement>,
}

#[derive(Serialize)]
struct FileElement {
    inode: u64,
    links: u32,
    names_elsewhere: u32,
    block_bytes: u64,
    names: Vec<JsonPath>,
}

impl GroupLine {
    pub fn new(plan: &Plan, group: &Group) -> Self {
        Self {
            r#type: "group",
            size: group.survivor.stat.size,
            survivor: FileElement::new(plan, &group.survivor),
            reason: match group.reason {
                Reason::MostLinks => "most-links",
                Reason::Oldest => "oldest",
                Reason::FirstPath => "first-path",
                Reason::LinkLimit => "link-limit",
            },
            freed_bytes: group.freed_bytes(),
            files: group.losers.iter().map(|loser| FileElement::new(plan, loser)).collect(),
        }
    }
}

impl FileElement {
    fn new(plan: &Plan, file: &File) -> Self {
        let path = |name: &NameAt| JsonPath::new(path_bytes(&plan.path(*name)));
        Self {
            inode: file.stat.inode,
            links: file.stat.links,
            names_elsewhere: file.names_elsewhere(),
            block_bytes: file.stat.blocks * 512,
            names: file.names.iter().map(path).collect(),
        }
    }
}

/// All in all.
#[derive(Serialize)]
pub struct Summary {
    r#type: &'static str,
    dry_run: bool,
    /// `links` or `blocks`.
    share: &'static str,
    directories: u64,
    files: u64,
    names: u64,
    read_bytes: u64,
    groups: u64,
    planned_files: u64,
    planned_bytes: u64,
    planned_inodes: u64,
    replaced_names: u64,
    freed_bytes: u64,
    freed_inodes: u64,
    /// Names left alone.
    left: u64,
    /// Directories and files that could not be read.
    problems: u64,
    other_attributes: u64,
    other_xattrs: u64,
    names_elsewhere: u64,
    below_least_size: u64,
    mounts_left_out: u64,
    leftovers: u64,
    removed_leftovers: u64,
    unseen_processes: u64,
    undo: Option<JsonPath>,
    elapsed_seconds: f64,
}

impl Summary {
    pub fn new(
        plan: &Plan,
        report: Option<&Report>,
        removed_leftovers: u64,
        dry_run: bool,
        undo: Option<&[u8]>,
        elapsed: Duration,
    ) -> Self {
        let done = |count: fn(&Report) -> u64| report.map_or(0, count);
        Self {
            r#type: "summary",
            dry_run,
            share: match plan.share() {
                Share::Links => "links",
                Share::Blocks => "blocks",
            },
            directories: plan.directories_visited,
            files: plan.files,
            names: plan.files_names,
            read_bytes: plan.read_bytes,
            groups: plan.groups.len() as u64,
            planned_files: plan.losers(),
            planned_bytes: plan.freed_bytes(),
            planned_inodes: plan.freed_inodes(),
            replaced_names: done(|report| report.replaced_names),
            freed_bytes: done(|report| report.freed_bytes),
            freed_inodes: done(|report| report.freed_inodes),
            left: plan.left.len() as u64 + done(|report| report.left.len() as u64),
            problems: plan.problems.len() as u64,
            other_attributes: plan.omitted.other_attributes,
            other_xattrs: plan.omitted.other_xattrs,
            names_elsewhere: plan.omitted.names_elsewhere,
            below_least_size: plan.omitted.tiny,
            mounts_left_out: plan.omitted.mounts,
            leftovers: plan.omitted.leftovers,
            removed_leftovers,
            unseen_processes: done(|report| report.unseen_processes),
            undo: undo.map(JsonPath::new),
            elapsed_seconds: elapsed.as_secs_f64(),
        }
    }
}

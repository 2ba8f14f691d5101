//! What came of a reindex of one job: in plain words, and as a JSON line.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use linksnap_engine::verbs::reindex::ReindexSummary;
use serde::Serialize;

use crate::output::Output;
use crate::size::{self, count, counted};
use crate::summary::problems;

/// What was rebuilt.
pub struct Reindexed<'a> {
    /// The job.
    pub job: &'a str,
    /// Was nothing done?
    pub dry_run: bool,
    /// What the engine says.
    pub summary: &'a ReindexSummary,
    /// How long it took.
    pub elapsed: Duration,
}

impl Reindexed<'_> {
    /// The summary for people.
    pub fn lines(&self, output: &Output) -> Vec<Vec<u8>> {
        let summary = self.summary;
        let snapshots = counted(summary.snapshots, "snapshot", "snapshots");
        let mut lines: Vec<Vec<u8>> = vec![
            match self.dry_run {
                true => format!("dry run: the new catalog of job {} would be made of {snapshots}", self.job),
                false => format!("job {}: a new catalog of {snapshots}", self.job),
            }
            .into_bytes(),
        ];
        if !self.dry_run {
            let indexed = &summary.indexed;
            let read = format!(
                "  {}; read {}, {}, in {}",
                counted(indexed.entries, "entry", "entries"),
                counted(indexed.inodes, "inode", "inodes"),
                size::bytes(indexed.bytes),
                size::duration(self.elapsed),
            );
            lines.push(read.into_bytes());
        }
        lines.push(self.remembered().into_bytes());
        if let Some(kept) = &summary.kept {
            let mut line = b"  the old catalog is ".to_vec();
            line.extend(output.name(kept.as_os_str().as_bytes()));
            lines.push(line);
        }
        lines.extend(problems::lines(&summary.problems, output));
        lines
    }

    fn remembered(&self) -> String {
        let summary = self.summary;
        let lost = summary.snapshots.saturating_sub(summary.remembered);
        match (summary.remembered, lost) {
            (_, 0) => format!("  pins, tags, notes and problems are kept; {} pinned", count(summary.pinned)),
            (0, _) => {
                "  pins, tags, notes and problems are lost: pin again what must not be dropped".to_owned()
            }
            (_, lost) => format!(
                "  pins, tags, notes and problems of {} are lost: pin again what must not be dropped; {} pinned",
                counted(lost, "snapshot", "snapshots"),
                count(summary.pinned),
            ),
        }
    }

    /// The summary for programs.
    pub fn json(&self, output: &Output) {
        let summary = self.summary;
        output.json(&Line {
            r#type: "summary",
            job: self.job,
            dry_run: self.dry_run,
            snapshots: summary.snapshots,
            entries: summary.indexed.entries,
            inodes: summary.indexed.inodes,
            bytes: summary.indexed.bytes,
            remembered: summary.remembered,
            pinned: summary.pinned,
            kept: summary.kept.as_ref().map(|kept| kept.to_string_lossy().into_owned()),
            problems: summary.problems.problems,
            warnings: summary.problems.warnings,
            elapsed_seconds: self.elapsed.as_secs_f64(),
        });
    }
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    job: &'a str,
    dry_run: bool,
    snapshots: u64,
    entries: u64,
    inodes: u64,
    bytes: u64,
    remembered: u64,
    pinned: u64,
    kept: Option<String>,
    problems: u64,
    warnings: u64,
    elapsed_seconds: f64,
}

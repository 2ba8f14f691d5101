//! What came of a verification of one job: in plain words, and as a JSON line.

use std::time::Duration;

use linksnap_engine::verbs::verify::VerifySummary;
use serde::Serialize;

use crate::output::Output;
use crate::size::{self, count, counted};
use crate::summary::problems;

/// What was verified and what was found.
pub struct Verified<'a> {
    /// The job.
    pub job: &'a str,
    /// Was every byte read?
    pub content: bool,
    /// What the engine says.
    pub summary: &'a VerifySummary,
    /// How long it took.
    pub elapsed: Duration,
}

impl Verified<'_> {
    /// The summary for people.
    pub fn lines(&self, output: &Output) -> Vec<Vec<u8>> {
        let summary = self.summary;
        let verdict = match summary.problems.problems {
            0 => "all is as it was recorded".to_owned(),
            damage => {
                format!("DAMAGE: {}", counted(damage, "finding", "findings") + " of what is not as recorded")
            }
        };
        let mut lines = vec![format!(
            "job {}: {}, {}: {verdict}",
            self.job,
            counted(summary.snapshots, "snapshot", "snapshots"),
            counted(summary.entries, "entry", "entries"),
        )];
        let read = counted(summary.inodes, "inode", "inodes");
        let elapsed = size::duration(self.elapsed);
        lines.push(match self.content {
            true => format!("  read {read}, {}, in {elapsed}", size::bytes(summary.bytes)),
            false => {
                format!("  checked names, inodes and attributes, but no content, in {elapsed}")
            }
        });
        if summary.unwitnessed > 0 {
            let files = count(summary.unwitnessed);
            lines.push(format!("  {files} without a hash from their backup: that of a reindex, or none"));
        }
        let mut lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        lines.extend(problems::lines(&summary.problems, output));
        lines
    }

    /// The summary for programs.
    pub fn json(&self, output: &Output) {
        output.json(&Line {
            r#type: "summary",
            job: self.job,
            content: self.content,
            snapshots: self.summary.snapshots,
            entries: self.summary.entries,
            inodes: self.summary.inodes,
            bytes: self.summary.bytes,
            unwitnessed: self.summary.unwitnessed,
            problems: self.summary.problems.problems,
            warnings: self.summary.problems.warnings,
            elapsed_seconds: self.elapsed.as_secs_f64(),
        });
    }
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    job: &'a str,
    content: bool,
    snapshots: u64,
    entries: u64,
    inodes: u64,
    bytes: u64,
    unwitnessed: u64,
    problems: u64,
    warnings: u64,
    elapsed_seconds: f64,
}

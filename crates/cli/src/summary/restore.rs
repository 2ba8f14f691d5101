//! What came of a restore: in plain words, and as a JSON line.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use linksnap_engine::verbs::restore::RestoreSummary;
use serde::Serialize;

use crate::json::JsonPath;
use crate::output::Output;
use crate::size::{self, counted};
use crate::summary::problems;

/// What was restored, where to, and whether only as a trial.
pub struct Restored<'a> {
    /// The job.
    pub job: &'a str,
    /// The snapshot.
    pub snapshot: &'a str,
    /// Where to.
    pub target: &'a Path,
    /// Was nothing changed?
    pub dry_run: bool,
    /// What the engine says.
    pub summary: &'a RestoreSummary,
    /// How long it took.
    pub elapsed: Duration,
}

impl Restored<'_> {
    /// The summary for people.
    pub fn lines(&self, output: &Output) -> Vec<Vec<u8>> {
        let summary = self.summary;
        let verb = if self.dry_run { "would restore" } else { "restored" };
        let mut first = format!(
            "{verb} {}, {}, {} of {}/{}",
            counted(summary.files, "file", "files"),
            counted(summary.directories, "directory", "directories"),
            size::bytes(summary.bytes),
            self.job,
            self.snapshot,
        );
        let links = summary.symlinks + summary.specials;
        if links > 0 {
            let others = counted(links, "symbolic link or special file", "symbolic links and special files");
            first.push_str(&format!(", and {others}"));
        }
        let mut second = b"  ".to_vec();
        if self.target == Path::new("/") {
            second.extend(b"in place,");
        } else {
            second.extend(b"to ");
            second.extend(output.name(self.target.as_os_str().as_bytes()));
        }
        second.extend(format!(" in {}", size::duration(self.elapsed)).into_bytes());
        if summary.replaced > 0 {
            second.extend(format!("; {} replaced", size::count(summary.replaced)).into_bytes());
        }
        let mut lines = vec![first.into_bytes(), second];
        lines.extend(self.others().map(String::into_bytes));
        lines.extend(problems::lines(&summary.problems, output));
        lines
    }

    /// What was done to what was there, if anything was.
    fn others(&self) -> Option<String> {
        let summary = self.summary;
        let would = if self.dry_run { "would be " } else { "" };
        let mut parts = Vec::new();
        let mut part = |number: u64, what: String| {
            if number > 0 {
                parts.push(format!("{} {what}", counted(number, "name", "names")));
            }
        };
        part(summary.attributes, format!("{would}given only other attributes"));
        part(summary.removed, format!("{would}removed"));
        part(summary.unchanged, "unchanged".to_owned());
        let stay = "not in the snapshot, but not removed (not all of their directory was backed up, or they are mounted)";
        part(summary.kept, stay.to_owned());
        (!parts.is_empty()).then(|| format!("  {}", parts.join(", ")))
    }

    /// The summary for programs.
    pub fn json(&self, output: &Output) {
        output.json(&Line {
            r#type: "summary",
            job: self.job,
            snapshot: self.snapshot,
            dry_run: self.dry_run,
            path: JsonPath::new(self.target.as_os_str().as_bytes()),
            files: self.summary.files,
            directories: self.summary.directories,
            symlinks: self.summary.symlinks,
            specials: self.summary.specials,
            replaced: self.summary.replaced,
            attributes: self.summary.attributes,
            removed: self.summary.removed,
            kept: self.summary.kept,
            unchanged: self.summary.unchanged,
            bytes: self.summary.bytes,
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
    snapshot: &'a str,
    dry_run: bool,
    #[serde(flatten)]
    path: JsonPath,
    files: u64,
    directories: u64,
    symlinks: u64,
    specials: u64,
    replaced: u64,
    attributes: u64,
    removed: u64,
    kept: u64,
    unchanged: u64,
    bytes: u64,
    problems: u64,
    warnings: u64,
    elapsed_seconds: f64,
}

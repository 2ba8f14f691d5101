//! What came of a backup: in plain words, and as a JSON line.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use linksnap_engine::SnapshotName;
use linksnap_engine::forecast::Forecast;
use linksnap_engine::stages::prune::Plan;
use linksnap_engine::stages::run::Counts;
use linksnap_engine::verbs::backup::{BackupSummary, Scaffold};
use serde::Serialize;

use crate::json::JsonPath;
use crate::output::{Output, Verbosity};
use crate::retention::Keeping;
use crate::size::{self, count, counted};
use crate::summary::{decisions, problems};

/// What came of a run.
pub struct Backed<'a> {
    /// The job.
    pub job: &'a str,
    /// What the engine says.
    pub summary: &'a BackupSummary,
    /// What was to be kept.
    pub keeping: Option<&'a Keeping>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Backed<'_> {
    /// The summary for people.
    pub fn lines(&self, output: &Output) -> Vec<Vec<u8>> {
        let summary = self.summary;
        let mut lines: Vec<Vec<u8>> = Vec::new();
        if let Some(recovered) = &summary.recovered {
            let line = format!("finished the snapshot {recovered} that an interrupted run had left");
            lines.push(line.into_bytes());
        }
        let mut words = words(self.job, summary);
        words.extend(self.pruned(output));
        words.extend(room(summary));
        if output.verbosity() >= Verbosity::Steps {
            let gained = summary.gained.iter();
            words.extend(gained.map(|words| format!("  the repository's filesystem has changed: {words}")));
        }
        lines.extend(words.into_iter().map(String::into_bytes));
        let mut end = format!("  in {}", size::duration(self.elapsed)).into_bytes();
        if summary.snapshot.is_some() {
            end.extend(b": ");
            end.extend(output.name(summary.path.as_os_str().as_bytes()));
        }
        lines.push(end);
        lines.extend(problems::lines(&summary.problems, output));
        lines
    }

    /// What retention did: in one line, or to those who want it, of every snapshot.
    fn pruned(&self, output: &Output) -> Vec<String> {
        let (Some(pruned), Some(keeping)) = (&self.summary.pruned, self.keeping) else {
            return Vec::new();
        };
        let retained = &pruned.plan.retained;
        let dropped: Vec<&str> = names(&pruned.plan).collect();
        let mut lines = Vec::new();
        if !dropped.is_empty() {
            lines.push(format!(
                "  pruned {} (frees {}): {}",
                counted(dropped.len() as u64, "snapshot", "snapshots"),
                size::held(pruned.freed.bytes, pruned.freed.inodes),
                some(&dropped),
            ));
        }
        if output.verbosity() >= Verbosity::Steps {
            let table = decisions::table(&retained.decisions, &keeping.zone, output);
            lines.extend(table.into_iter().map(|line| format!("    {line}")));
        }
        lines
    }

    /// The summary for programs.
    pub fn json(&self, output: &Output) {
        output.json(&Line::new(self.job, self.summary, self.elapsed));
    }
}

/// The names, if they are not too many for a line.
fn some(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {} more", names[..SHOWN].join(", "), count(more as u64)),
    }
}

fn words(job: &str, summary: &BackupSummary) -> Vec<String> {
    let first = if summary.basis.is_none() { "first " } else { "" };
    let mut lines = vec![match &summary.snapshot {
        Some(snapshot) => format!("{first}snapshot {snapshot} of job {job}"),
        None => format!("dry run: the {first}snapshot of job {job} would have"),
    }];
    match (summary.scaffold, &summary.snapshot) {
        (Scaffold::Interrupted, _) => {
            lines.push("  went on where an interrupted run had stopped".to_owned());
        }
        (Scaffold::Recycled, Some(_)) => lines.push("  built upon a dropped snapshot".to_owned()),
        (Scaffold::Recycled, None) | (Scaffold::Empty, _) => {}
    }
    lines.push(match summary.basis {
        None => format!("  {}", contents(&summary.counts)),
        Some(_) => changes(&summary.counts),
    });
    lines.push(copies(summary));
    let counts = &summary.counts;
    lines.extend(shared(counts));
    if counts.excluded > 0 {
        let what = counted(counts.excluded, "entry", "entries");
        lines.push(format!("  {what} left out by the rules"));
    }
    lines
}

fn contents(counts: &Counts) -> String {
    let mut parts =
        vec![counted(counts.files, "file", "files"), counted(counts.directories, "directory", "directories")];
    if counts.symlinks > 0 {
        parts.push(counted(counts.symlinks, "symbolic link", "symbolic links"));
    }
    if counts.specials > 0 {
        parts.push(counted(counts.specials, "special file", "special files"));
    }
    parts.join(", ")
}

/// What was read and found to be as before counts as unchanged here: that is what people ask.
fn changes(counts: &Counts) -> String {
    let unchanged = counts.unchanged + counts.reused;
    let mut line = format!(
        "  new {}, changed {}, removed {}, unchanged {} (linked {}",
        count(counts.added),
        count(counts.changed),
        count(counts.removed),
        count(unchanged),
        count(counts.linked_entries),
    );
    if counts.kept_entries > 0 {
        line.push_str(&format!(", kept {}", count(counts.kept_entries)));
    }
    line.push(')');
    line
}

fn copies(summary: &BackupSummary) -> String {
    let counts = &summary.counts;
    let files = counted(counts.copied_files, "file", "files");
    let copied = size::bytes(counts.copied_bytes);
    let source = size::bytes(counts.source_bytes);
    let others = [
        (counts.reused - counts.moved, "linked after reading", "to read first"),
        (counts.moved, "moved and linked", "moved, to link"),
    ];
    let is_done = summary.snapshot.is_some();
    let mut line = format!("  {} {files}, {copied} of {source}", if is_done { "copied" } else { "to copy:" });
    for (number, done, planned) in others.into_iter().filter(|(number, ..)| *number > 0) {
        line.push_str(&format!("; {} {}", count(number), if is_done { done } else { planned }));
    }
    line
}

/// What changed attributes cost, and what was shared with older versions instead of copied.
fn shared(counts: &Counts) -> Vec<String> {
    let mut lines = Vec::new();
    if counts.attribute_changes > 0 {
        let files = counted(counts.attribute_changes, "file", "files");
        let copied = size::bytes(counts.attribute_bytes);
        lines.push(format!("  of {files} only attributes changed, which cost {copied} of that"));
    }
    if counts.cloned_files > 0 {
        let files = counted(counts.cloned_files, "file", "files");
        let shared = size::bytes(counts.cloned_bytes);
        lines.push(format!("  not copied but shared with older versions: {shared} of {files}"));
    }
    lines
}

/// Room for fewer snapshots than these is worth a line: a month of daily ones.
const LITTLE_ROOM: u64 = 30;

/// How many more snapshots like this one fit, if they are few. A first snapshot is like no other.
fn room(summary: &BackupSummary) -> Option<String> {
    let forecast = summary.forecast.filter(|_| summary.basis.is_some())?;
    let fit = forecast.snapshots().filter(|fit| *fit < LITTLE_ROOM)?;
    let free = match forecast.free_inodes {
        Some(inodes) => format!(
            "{} and {} are free",
            size::bytes(forecast.free_bytes),
            counted(inodes, "inode", "inodes")
        ),
        None => format!("{} are free", size::bytes(forecast.free_bytes)),
    };
    Some(format!("  room for {} like this one: {free}", counted(fit, "more snapshot", "more snapshots")))
}

/// Fields are only ever added.
#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    job: &'a str,
    dry_run: bool,
    snapshot: Option<&'a str>,
    #[serde(flatten)]
    path: JsonPath,
    basis: Option<&'a str>,
    scaffold: &'static str,
    recovered: Option<&'a str>,
    pinned: Option<&'a str>,
    files: u64,
    directories: u64,
    symlinks: u64,
    specials: u64,
    added: u64,
    changed: u64,
    unchanged: u64,
    reused: u64,
    moved: u64,
    removed: u64,
    excluded: u64,
    kept_entries: u64,
    linked_entries: u64,
    copied_files: u64,
    copied_bytes: u64,
    cloned_files: u64,
    cloned_bytes: u64,
    attribute_changes: u64,
    attribute_bytes: u64,
    source_bytes: u64,
    problems: u64,
    warnings: u64,
    pruned: Vec<&'a str>,
    freed_bytes: u64,
    freed_inodes: u64,
    free_bytes: Option<u64>,
    free_inodes: Option<u64>,
    /// How many more snapshots fit that add as much as this one.
    room_for_snapshots: Option<u64>,
    room_for_snapshots_by_bytes: Option<u64>,
    room_for_snapshots_by_inodes: Option<u64>,
    elapsed_seconds: f64,
}

impl<'a> Line<'a> {
    fn new(job: &'a str, summary: &'a BackupSummary, elapsed: Duration) -> Self {
        let counts = &summary.counts;
        let pruned = summary.pruned.as_ref();
        let forecast = summary.forecast.as_ref();
        let freed = pruned.map(|pruned| pruned.freed).unwrap_or_default();
        Self {
            r#type: "summary",
            job,
            dry_run: summary.snapshot.is_none(),
            snapshot: summary.snapshot.as_ref().map(SnapshotName::as_str),
            path: JsonPath::new(summary.path.as_os_str().as_bytes()),
            basis: summary.basis.as_deref(),
            scaffold: summary.scaffold.word(),
            recovered: summary.recovered.as_deref(),
            pinned: summary.pinned.as_deref(),
            files: counts.files,
            directories: counts.directories,
            symlinks: counts.symlinks,
            specials: counts.specials,
            added: counts.added,
            changed: counts.changed,
            unchanged: counts.unchanged,
            reused: counts.reused,
            moved: counts.moved,
            removed: counts.removed,
            excluded: counts.excluded,
            kept_entries: counts.kept_entries,
            linked_entries: counts.linked_entries,
            copied_files: counts.copied_files,
            copied_bytes: counts.copied_bytes,
            cloned_files: counts.cloned_files,
            cloned_bytes: counts.cloned_bytes,
            attribute_changes: counts.attribute_changes,
            attribute_bytes: counts.attribute_bytes,
            source_bytes: counts.source_bytes,
            problems: summary.problems.problems,
            warnings: summary.problems.warnings,
            pruned: pruned.iter().flat_map(|pruned| names(&pruned.plan)).collect(),
            freed_bytes: freed.bytes,
            freed_inodes: freed.inodes,
            free_bytes: forecast.map(|forecast| forecast.free_bytes),
            free_inodes: forecast.and_then(|forecast| forecast.free_inodes),
            room_for_snapshots: forecast.and_then(Forecast::snapshots),
            room_for_snapshots_by_bytes: forecast.and_then(Forecast::by_bytes),
            room_for_snapshots_by_inodes: forecast.and_then(Forecast::by_inodes),
            elapsed_seconds: elapsed.as_secs_f64(),
        }
    }
}

/// What goes.
fn names(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.dropped().map(|decision| decision.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::{BackupSummary, Counts, Forecast, Scaffold, room, some, words};
    use linksnap_engine::SnapshotName;

    fn summary(basis: Option<&str>, counts: Counts) -> BackupSummary {
        BackupSummary {
            snapshot: SnapshotName::parse("2026-04-08T020000Z"),
            path: "/backup/web1/2026-04-08T020000Z".into(),
            basis: basis.map(str::to_owned),
            scaffold: Scaffold::Empty,
            pruned: None,
            recovered: None,
            pinned: None,
            gained: Vec::new(),
            forecast: None,
            counts,
            version_rows: 0,
            problems: Default::default(),
        }
    }

    #[test]
    fn a_run_says_what_changed() {
        let counts = Counts {
            added: 12,
            changed: 3,
            removed: 1,
            unchanged: 48_209,
            reused: 2,
            linked_entries: 48_000,
            kept_entries: 211,
            copied_files: 15,
            copied_bytes: 3_355_443,
            source_bytes: 2_040_109_466,
            ..Counts::default()
        };
        let mut summary = summary(Some("2026-04-07T020000Z"), counts);
        assert_eq!(
            words("web1", &summary),
            [
                "snapshot 2026-04-08T020000Z of job web1",
                "  new 12, changed 3, removed 1, unchanged 48,211 (linked 48,000, kept 211)",
                "  copied 15 files, 3.2 MiB of 1.9 GiB; 2 linked after reading",
            ]
        );
        summary.snapshot = None;
        let dry = words("web1", &summary);
        assert_eq!(dry[0], "dry run: the snapshot of job web1 would have");
        assert_eq!(dry[2], "  to copy: 15 files, 3.2 MiB of 1.9 GiB; 2 to read first");
    }

    #[test]
    fn a_first_run_says_what_there_is() {
        let counts = Counts {
            files: 1,
            directories: 2,
            symlinks: 3,
            copied_files: 1,
            copied_bytes: 5,
            source_bytes: 5,
            excluded: 1,
            ..Counts::default()
        };
        let mut summary = summary(None, counts);
        summary.scaffold = Scaffold::Interrupted;
        assert_eq!(
            words("web1", &summary),
            [
                "first snapshot 2026-04-08T020000Z of job web1",
                "  went on where an interrupted run had stopped",
                "  1 file, 2 directories, 3 symbolic links",
                "  copied 1 file, 5 B of 5 B",
                "  1 entry left out by the rules",
            ]
        );
    }

    #[test]
    fn what_was_moved_is_said() {
        let counts = Counts { removed: 2000, reused: 2003, moved: 2000, unchanged: 7, ..Counts::default() };
        let mut summary = summary(Some("2026-04-07T020000Z"), counts);
        let done = words("web1", &summary);
        assert_eq!(done[1], "  new 0, changed 0, removed 2,000, unchanged 2,010 (linked 0)");
        assert_eq!(done[2], "  copied 0 files, 0 B of 0 B; 3 linked after reading; 2,000 moved and linked");
        summary.snapshot = None;
        let planned = "  to copy: 0 files, 0 B of 0 B; 3 to read first; 2,000 moved, to link";
        assert!(words("web1", &summary).iter().any(|line| line == planned), "{:?}", words("web1", &summary));
    }

    #[test]
    fn what_attributes_cost_is_said() {
        let counts = Counts {
            changed: 2,
            copied_files: 1,
            copied_bytes: 4096,
            cloned_files: 1,
            cloned_bytes: 1 << 20,
            attribute_changes: 1,
            attribute_bytes: 1024,
            source_bytes: 2 << 20,
            ..Counts::default()
        };
        assert_eq!(
            words("web1", &summary(Some("2026-04-07T020000Z"), counts))[2..],
            [
                "  copied 1 file, 4.0 KiB of 2.0 MiB",
                "  of 1 file only attributes changed, which cost 1.0 KiB of that",
                "  not copied but shared with older versions: 1.0 MiB of 1 file",
            ]
        );
    }

    #[test]
    fn little_room_is_said_and_much_is_not() {
        let mut summary = summary(Some("2026-04-07T020000Z"), Counts::default());
        let forecast =
            Forecast { free_bytes: 4096, free_inodes: Some(1_200), bytes_each: 100, inodes_each: 400 };
        let mut said = |forecast| {
            summary.forecast = forecast;
            room(&summary)
        };
        let wanted = "  room for 3 more snapshots like this one: 4.0 KiB and 1,200 inodes are free";
        assert_eq!(said(Some(forecast)).as_deref(), Some(wanted));
        let one = Forecast { free_inodes: None, bytes_each: 4000, ..forecast };
        let wanted = "  room for 1 more snapshot like this one: 4.0 KiB are free";
        assert_eq!(said(Some(one)).as_deref(), Some(wanted));
        assert_eq!(said(Some(Forecast { inodes_each: 40, bytes_each: 136, ..forecast })), None);
        assert_eq!(said(None), None);
        summary.forecast = Some(forecast);
        summary.basis = None;
        assert_eq!(room(&summary), None, "of a first one");
    }

    #[test]
    fn many_names_are_not_all_said() {
        assert_eq!(some(&["a", "b"]), "a, b");
        assert_eq!(some(&["a", "b", "c", "d", "e"]), "a, b, c, d, e");
        assert_eq!(some(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
    }
}

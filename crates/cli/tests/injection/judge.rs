//! What must be true after a fault, and after the command that follows it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use linksnap_testkit::listing::{Compare, Listing};
use serde_json::Value;

use crate::deed::{Deed, Kind};
use crate::scene::{Links, Scene, change_times};
use crate::strace::{Blow, Fault, was_killed};

type Times = BTreeMap<PathBuf, (u64, i64, i64)>;

/// What there was before the fault.
pub struct Before {
    source: Listing,
    source_times: Times,
    snapshots: BTreeMap<String, (Listing, Times)>,
    links: Links,
    doomed: BTreeSet<String>,
}

impl Before {
    pub fn take(scene: &Scene, deed: &Deed) -> Self {
        let links = if deed.leaves_the_scene_alone() { Links::Stay } else { Links::Come };
        let names = scene.snapshots();
        let seen = |name: &String| {
            let path = scene.snapshot_path(name);
            (name.clone(), (Listing::read(&path), change_times(&path, links)))
        };
        let snapshots: BTreeMap<_, _> = names.iter().map(seen).collect();
        Self {
            source: Listing::read(&scene.source()),
            source_times: change_times(&scene.source(), Links::Stay),
            snapshots,
            links,
            doomed: names.into_iter().take(deed.doomed).collect(),
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// With this code.
    Code(i32),
    /// By the fault.
    Killed,
}

/// What is wrong right after the fault.
pub fn judge(
    scene: &Scene,
    deed: &Deed,
    before: &Before,
    (fault, output): (&Fault, &Output),
    (struck, reference): (&[String], &[Value]),
) -> Vec<String> {
    let mut wrong = Vec::new();
    let end = match output.status.code() {
        _ if fault.blow == Blow::Kill && was_killed(output) => End::Killed,
        Some(code) if [0, 1, 2, 3, 4, 10, 12].contains(&code) => End::Code(code),
        other => return vec![format!("it hung, panicked or ended otherwise than it may: {other:?}")],
    };
    if String::from_utf8_lossy(&output.stderr).contains("panicked") {
        wrong.push("it panicked".to_owned());
    }
    let is_silent = output.stderr.is_empty() && result(scene, &output.stdout).is_empty();
    if matches!(end, End::Code(code) if code != 0) && is_silent {
        wrong.push("it failed without a word".to_owned());
    }
    if let (End::Code(0), true) = (end, is_lost_sync(struck) && problems(&output.stdout).is_empty()) {
        wrong.push("a sync that failed was called done".to_owned());
    }
    if before.source_times != change_times(&scene.source(), Links::Stay) {
        wrong.push("the source was changed".to_owned());
    }
    wrong.extend(history(scene, before));
    wrong.extend(latest(scene));
    match deed.kind {
        Kind::Backup => wrong.extend(backup(scene, before, end, (fault, output))),
        Kind::Drop if end == End::Code(0) => wrong.extend(still_there(scene, before)),
        Kind::Restore => wrong.extend(restored(scene, deed, before, end, (fault, output))),
        // Where no hole can be found all is read, and that is counted.
        Kind::Read if fault.blow == Blow::Error("EINVAL") => {}
        Kind::Read if end == End::Code(0) && result(scene, &output.stdout) != reference => {
            wrong.push(format!("it called another result done than {reference:#?}"));
        }
        _ => {}
    }
    wrong
}

/// Did a sync fail that somebody relied on? A catalog that cannot be opened or committed is tried once more, with the
/// reserve given up; SQLite folds its log into the file another time, and syncs the directory as a precaution.
fn is_lost_sync(struck: &[String]) -> bool {
    let is_sync = |line: &&String| ["fsync(", "fdatasync(", "syncfs("].iter().any(|call| line.contains(call));
    let is_tried_again = |line: &String| {
        let places = ["/catalog.db-journal>", "/catalog.db-wal>", "/catalog.db>", "/.linksnap>"];
        line.contains("fsync(") && places.iter().any(|place| line.contains(place))
    };
    struck.iter().filter(is_sync).any(|line| !is_tried_again(line))
}

/// What is wrong when all goes well again.
pub fn aftermath(scene: &Scene, deed: &Deed, before: &Before, fault: &Fault) -> Vec<String> {
    let mut wrong = Vec::new();
    let true_copy = |copy: Option<Listing>| match is_for_good(fault) {
        true => Vec::new(),
        false => differences(&before.source, copy.as_ref(), Compare::COPY),
    };
    let mut run = |args: &[&str]| {
        let output = scene.output(deed.day + 1, args);
        if !output.status.success() {
            wrong.push(format!("afterwards {args:?} fails: {output:?}"));
        }
        output
    };
    match deed.kind {
        Kind::Read => return wrong,
        Kind::Init if scene.base.join("repo/linksnap.toml").exists() => {}
        Kind::Init => drop(run(deed.args)),
        Kind::Restore => {
            // The newest snapshot is what the source is.
            let mut args = deed.args.to_vec();
            args.push("--overwrite");
            args.dedup();
            // What was set aside is for people to look at; then they do as they are told.
            for station in stations(&target(scene, deed)) {
                let refused = scene.output(deed.day + 1, &args);
                let said = String::from_utf8_lossy(&refused.stderr).into_owned();
                if refused.status.code() != Some(12)
                    || !said.contains(&format!("rm -r {}", station.display()))
                {
                    return vec![format!("what is left in {} is not told of: {said}", station.display())];
                }
                fs::remove_dir_all(&station).expect("as the hint says");
            }
            drop(run(&args));
            wrong.extend(true_copy(scene.copy_in(&target(scene, deed))));
            return wrong;
        }
        Kind::Drop => {
            let listed = run(&["snapshots", "--json"]).stdout;
            let listed = String::from_utf8_lossy(&listed).into_owned();
            let left: Vec<String> = before
                .doomed
                .iter()
                .filter(|name| listed.contains(*name))
                .map(|name| format!("demo/{name}"))
                .collect();
            if !left.is_empty() {
                let mut args = vec!["delete", "--yes"];
                args.extend(left.iter().map(String::as_str));
                drop(run(&args));
            }
        }
        Kind::Note => drop(run(deed.args)),
        Kind::Backup => {}
    }
    drop(run(&["backup", "--job", "demo", "source"]));
    drop(run(&["verify"]));
    drop(run(&["du", "--verify"]));
    if deed.kind == Kind::Drop {
        wrong.extend(still_there(scene, before));
    }
    wrong.extend(history(scene, before));
    let newest = scene.snapshots().pop().unwrap_or_default();
    wrong.extend(true_copy(scene.copy_in(&scene.snapshot_path(&newest))));
    wrong.extend(latest(scene));
    wrong.extend(leftovers(scene));
    wrong.into_iter().map(|line| format!("afterwards: {line}")).collect()
}

/// Snapshots of before that are neither untouched nor rightly gone.
fn history(scene: &Scene, before: &Before) -> Vec<String> {
    let mut wrong = Vec::new();
    let names = scene.snapshots();
    for (name, (listing, times)) in &before.snapshots {
        let path = scene.snapshot_path(name);
        if !names.contains(name) {
            if !before.doomed.contains(name) {
                wrong.push(format!("the snapshot {name} is gone"));
            }
            continue;
        }
        let differences = listing.diff(&Listing::read(&path), Compare::UNTOUCHED);
        wrong.extend(differences.into_iter().map(|line| format!("the snapshot {name} was changed: {line}")));
        let now = change_times(&path, before.links);
        let changed = times.iter().filter(|(path, time)| now.get(*path) != Some(time));
        wrong.extend(
            changed.map(|(path, _)| format!("{} of the snapshot {name} was touched", path.display())),
        );
    }
    wrong
}

fn latest(scene: &Scene) -> Option<String> {
    let target = fs::read_link(scene.base.join("repo/demo/latest")).ok()?;
    let target = target.to_string_lossy().into_owned();
    // Whoever deletes all snapshots takes `latest` away last.
    let names = scene.snapshots();
    (!names.is_empty() && !names.contains(&target))
        .then(|| format!("latest points to {target}, not to one of {names:?}"))
}

fn still_there(scene: &Scene, before: &Before) -> Vec<String> {
    let names = scene.snapshots();
    let left = before.doomed.iter().filter(|name| names.contains(name));
    left.map(|name| format!("the snapshot {name} should be gone")).collect()
}

fn backup(scene: &Scene, before: &Before, end: End, (fault, output): (&Fault, &Output)) -> Vec<String> {
    let names = scene.snapshots();
    let new: Vec<&String> = names.iter().filter(|name| !before.snapshots.contains_key(*name)).collect();
    let gone = before.snapshots.keys().any(|name| !names.contains(name));
    let done = matches!(end, End::Code(0 | 3));
    match new[..] {
        [] if done => vec!["done, but there is no new snapshot".to_owned()],
        [] if gone => vec!["an old snapshot went before there was a new one".to_owned()],
        [] => Vec::new(),
        [name] => {
            let stored = scene.copy_in(&scene.snapshot_path(name));
            if end == End::Code(3) || is_for_root_only(fault) {
                return unexplained(&before.source, stored, &problems_below(output, &scene.source()));
            }
            let mut wrong = differences(&before.source, stored.as_ref(), links(fault));
            if let (End::Code(10 | 12), true) = (end, wrong.is_empty()) {
                wrong.push("refused, and yet there is a new snapshot".to_owned());
            }
            wrong
        }
        _ => vec![format!("one run made the snapshots {new:?}")],
    }
}

fn target(scene: &Scene, deed: &Deed) -> PathBuf {
    let at = deed.args.iter().position(|arg| *arg == "--target").expect("a restore");
    scene.base.join(deed.args[at + 1])
}

/// An inode that has as many names as it can have is copied once more.
fn links(fault: &Fault) -> Compare {
    if fault.blow == Blow::Error("EMLINK") { Compare::default() } else { Compare::COPY }
}

/// What a filesystem or a user cannot set is told once and recorded; the inode is not made anew each night.
fn is_for_good(fault: &Fault) -> bool {
    let refused = ["ENOSPC", "EOPNOTSUPP", "EPERM"].iter().any(|error| fault.blow == Blow::Error(error));
    is_for_root_only(fault) || (fault.call.ends_with("setxattr") && refused)
}

/// Who may not give files away, or make devices, is told so by a warning: what stands in for them is right by design.
fn is_for_root_only(fault: &Fault) -> bool {
    (fault.call.starts_with("fchown") || fault.call == "mknodat") && fault.blow == Blow::Error("EPERM")
}

fn restored(
    scene: &Scene,
    deed: &Deed,
    before: &Before,
    end: End,
    (fault, output): (&Fault, &Output),
) -> Vec<String> {
    let target = target(scene, deed);
    let copy = scene.copy_in(&target);
    match end {
        End::Code(0) if !is_for_root_only(fault) => differences(&before.source, copy.as_ref(), links(fault)),
        End::Code(0 | 3 | 4) => {
            let root = target.join(scene.source().strip_prefix("/").expect("absolute"));
            unexplained(&before.source, copy, &problems_below(output, &root))
        }
        _ => Vec::new(),
    }
}

fn differences(source: &Listing, copy: Option<&Listing>, what: Compare) -> Vec<String> {
    let Some(copy) = copy else { return vec!["there is no copy of the source".to_owned()] };
    let lines = source.diff(copy, what);
    lines.into_iter().map(|line| format!("no true copy: {line}")).collect()
}

/// Differences that no problem speaks of.
fn unexplained(source: &Listing, copy: Option<Listing>, problems: &[PathBuf]) -> Vec<String> {
    let is_root = problems.iter().any(|path| path.as_os_str().is_empty());
    let (mut source, mut copy) = (source.clone(), copy.unwrap_or_default());
    if is_root {
        return Vec::new();
    }
    for path in problems {
        (source, copy) = (source.without(path), copy.without(path));
    }
    let what = if problems.is_empty() { Compare::COPY } else { Compare::default() };
    let lines = source.diff(&copy, what);
    lines.into_iter().map(|line| format!("no problem was told of this: {line}")).collect()
}

/// The paths of problems and warnings, as JSON lines tell them.
fn problems(stdout: &[u8]) -> Vec<PathBuf> {
    let is_problem = |value: &&Value| value["type"] == "problem";
    let path = |value: &Value| value["path"].as_str().map(PathBuf::from);
    values(&String::from_utf8_lossy(stdout)).iter().filter(is_problem).filter_map(path).collect()
}

/// Those at or below a root, relative to it; of one above it, the root.
fn problems_below(output: &Output, root: &Path) -> Vec<PathBuf> {
    let relative = |path: &PathBuf| match path.strip_prefix(root) {
        Ok(below) => Some(below.to_path_buf()),
        Err(_) if root.starts_with(path) => Some(PathBuf::new()),
        Err(_) => None,
    };
    problems(&output.stdout).iter().filter_map(relative).collect()
}

/// What a program reads from standard output, less what is never the same twice.
pub fn result(scene: &Scene, stdout: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(stdout).replace(&*scene.base.to_string_lossy(), "BASE");
    let mut values = values(&text);
    for value in &mut values {
        if let Some(fields) = value.as_object_mut() {
            fields.remove("elapsed_seconds");
        }
    }
    values.retain(|value| value["type"] != "progress");
    values
}

fn values(text: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(text).into_iter::<Value>().map_while(Result::ok).collect()
}

/// What should not lie about when nobody is at work.
fn leftovers(scene: &Scene) -> Vec<String> {
    let workshop = scene.base.join("repo/demo/.linksnap");
    let trash = fs::read_dir(workshop.join("trash")).map(Iterator::count).unwrap_or_default();
    let mut wrong = Vec::new();
    if trash > 0 {
        wrong.push(format!("{trash} trees are left in the trash"));
    }
    for name in [&b"staging"[..], b"latest.new", b"clock"] {
        let path = workshop.join(OsStr::from_bytes(name));
        if path.symlink_metadata().is_ok() {
            wrong.push(format!("{} is left", path.display()));
        }
    }
    wrong
}

/// Where a restore that did not end has left what it was at work on.
fn stations(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|name| name == ".linksnap-restore") {
            found.push(path);
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(stations(&path));
        }
    }
    found
}

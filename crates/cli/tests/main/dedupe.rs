//! `dedupe`.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use crate::stage::{Called, Stage};

/// Years before the stage's time.
const THEN: u64 = 1_700_000_000;

/// A file of long ago.
fn write(stage: &Stage, path: impl AsRef<std::path::Path>, content: impl AsRef<[u8]>) {
    stage.write(&path, content);
    let time = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(THEN));
    File::open(stage.path(&path)).unwrap().set_times(time).unwrap();
}

/// Two large files that are equal, one with a second name, and two small ones.
fn stage() -> Stage {
    let stage = Stage::new();
    let large = vec![b'x'; 100_000];
    for path in ["source/a", "source/sub/b", "source/sub/c"] {
        write(&stage, path, &large);
    }
    fs::hard_link(stage.path("source/sub/b"), stage.path("source/z")).unwrap();
    write(&stage, "source/small", "1");
    write(&stage, "source/sub/small", "1");
    write(&stage, "source/sub/other", "2");
    stage
}

fn inode(stage: &Stage, path: &str) -> u64 {
    fs::symlink_metadata(stage.path(path)).unwrap().ino()
}

/// A plan in words, where blocks have 4 KiB.
const PLAN: &str = "\
keep source/sub/b  (has most names: 2)
link source/a  (frees 100.0 KiB)
link source/sub/c  (frees 100.0 KiB)
keep source/small  (the first by path)
link source/sub/small  (frees 4.0 KiB)
";

/// Filesystems differ in how much a file takes.
fn has_usual_blocks(stage: &Stage) -> bool {
    let blocks = |path: &str| fs::metadata(stage.path(path)).unwrap().blocks();
    (blocks("source/a"), blocks("source/small")) == (200, 8)
}

#[test]
fn what_is_planned_is_shown_and_done_only_if_that_is_said() {
    let stage = stage();
    let before = stage.listing("source");
    let shown = stage.call(["dedupe", "source"]).exited(12).said(&["no terminal", "hint: say --yes"]);
    let planned = stage
        .call(["dedupe", "-n", "source"])
        .succeeded()
        .said(&["plan: 3 of 6 files become names of 2 others"]);
    if has_usual_blocks(&stage) {
        assert_eq!((shown.text(), planned.text()), (PLAN.to_owned(), PLAN.to_owned()));
    }
    assert_eq!(stage.listing("source"), before);
    assert_eq!(fs::read_dir(stage.path("")).unwrap().count(), 1, "no undo file");

    let done = stage.call(["dedupe", "source", "--yes"]).succeeded();
    assert!(done.text().starts_with("linked 3 names: "), "{done:?}");
    let undo = "linksnap-dedupe-2026-04-08T020000Z.undo";
    assert!(done.text().ends_with(&format!("; `linksnap undo {undo}` takes it back\n")), "{done:?}");
    assert_eq!(inode(&stage, "source/a"), inode(&stage, "source/z"));
    assert_eq!(inode(&stage, "source/small"), inode(&stage, "source/sub/small"));
    stage
        .call(["dedupe", "source", "--yes"])
        .succeeded()
        .said(&["nothing to be done about 3 files in 2 directories"]);

    stage.call(["undo", undo, "--yes"]).succeeded();
    assert_ne!(inode(&stage, "source/a"), inode(&stage, "source/z"));
    assert_eq!(inode(&stage, "source/sub/b"), inode(&stage, "source/z"));
    let without_inodes = |listing: Vec<(std::path::PathBuf, u64, i64, i64, u64)>| {
        let files = listing.into_iter().filter(|(path, ..)| path.is_file());
        files
            .map(|(path, _, seconds, nanoseconds, size)| (path, seconds, nanoseconds, size))
            .collect::<Vec<_>>()
    };
    assert_eq!(without_inodes(stage.listing("source")), without_inodes(before));
}

#[test]
fn programs_get_groups_and_a_summary() {
    let stage = stage();
    stage.write("source/x\u{1b}", "");
    let name = OsStr::from_bytes(b"source/\xff");
    write(&stage, name, "pair");
    write(&stage, "source/a pair", "pair");
    let called = stage.call(["dedupe", "-n", "--json", "source"]).succeeded();
    let text = called.text();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["group", "group", "group", "summary"]);
    let first = &lines[0];
    assert_eq!((&first["size"], &first["reason"]), (&json!(100_000), &json!("most-links")));
    assert_eq!(first["survivor"]["names"], json!([{"path": "source/sub/b"}, {"path": "source/z"}]));
    assert_eq!(first["survivor"]["inode"], inode(&stage, "source/z"));
    assert_eq!(first["files"].as_array().unwrap().len(), 2);
    let odd = &lines[1]["files"][0]["names"][0];
    assert_eq!(odd, &json!({"path": "source/\u{fffd}", "path_b64": "c291cmNlL/8="}));
    let summary = &lines[3];
    for (field, value) in [
        ("files", 8),
        ("names", 9),
        ("groups", 3),
        ("planned_files", 4),
        ("planned_inodes", 4),
        ("below_least_size", 1),
    ] {
        assert_eq!(summary[field], value, "{field}: {summary}");
    }
    assert_eq!((&summary["dry_run"], &summary["undo"]), (&json!(true), &json!(null)));

    let summary = stage
        .call(["dedupe", "--json", "--yes", "--undo", "file", "source"])
        .succeeded()
        .json_line("summary");
    assert_eq!((&summary["replaced_names"], &summary["undo"]), (&json!(4), &json!({"path": "file"})));
    assert_eq!(summary["freed_bytes"], summary["planned_bytes"]);
}

#[test]
fn attributes_and_sizes_are_loosened_by_options() {
    let stage = stage();
    stage.write("source/sub/late", "1");
    let planned = |options: &[&str]| {
        let args = ["dedupe", "-n", "--json", "source"].iter().chain(options);
        stage.call(args).succeeded().json_line("summary")["planned_files"].as_u64().unwrap()
    };
    assert_eq!(planned(&[]), 3);
    for options in [&["-t"][..], &["--ignore-times"], &["-c"], &["--content"], &["-pot", "--ignore-xattrs"]] {
        assert_eq!(planned(options), 4, "{options:?}");
    }
    assert_eq!(planned(&["-po", "--ignore-xattrs"]), 3);
    assert_eq!(planned(&["--min-size", "2"]), 2);
    assert_eq!(planned(&["-s", "1MiB"]), 0);
    stage
        .call(["dedupe", "-n", "source"])
        .succeeded()
        .said(&["1 file of the same size as others not compared"]);
}

#[test]
fn repositories_are_refused() {
    let stage = Stage::with_snapshot();
    let before = stage.listing("repo");
    for root in [".", "repo", "repo/demo", "repo/demo/latest", "repo/demo/latest/"] {
        stage.call(["dedupe", root, "--yes"]).exited(12).said(&["repo/demo has snapshots in it", "hint: "]);
    }
    assert_eq!(stage.listing("repo"), before);
}

#[test]
fn what_is_wrong_is_told_with_its_cause() {
    let stage = stage();
    stage.call(["dedupe"]).exited(2);
    stage.call(["dedupe", "nowhere"]).exited(1).said(&["nowhere", "No such file", "hint: name directories"]);
    stage.call(["dedupe", "source/a"]).exited(1).said(&["Not a directory"]);
    stage.call(["dedupe", "source", "--reflink", "--undo", "file"]).exited(2).said(&["nothing to take back"]);
    stage.write("there", "");
    stage.call(["dedupe", "source", "--yes", "--undo", "there"]).exited(1).said(&[
        "there",
        "File exists",
        "hint: ",
    ]);
    assert_ne!(inode(&stage, "source/a"), inode(&stage, "source/z"));
}

#[test]
fn what_is_being_written_is_left_with_a_problem() {
    let stage = stage();
    let written = "2023-11-14T22:13:25Z";
    let young = stage.call_at(written, ["dedupe", "--yes", "source"]).exited(3);
    assert!(young.stderr.contains("problem: source/a: was written only a moment ago"), "{young:?}");
    assert_ne!(inode(&stage, "source/a"), inode(&stage, "source/z"));

    let open = File::options().append(true).open(stage.path("source/a")).unwrap();
    let called = stage.call(["dedupe", "--yes", "source"]).exited(3);
    let problem = "problem: source/a: a process has it, or the file it was to be linked to, open for writing";
    assert!(called.stderr.contains(problem), "{called:?}");
    assert!(called.text().contains("linked 2 names: "), "{called:?}");
    assert!(called.text().contains(", 1 name left alone"), "{called:?}");
    assert_ne!(inode(&stage, "source/a"), inode(&stage, "source/z"));
    drop(open);
    let quiet = stage.call(["dedupe", "--yes", "-q", "source", "--undo", "second"]).succeeded();
    assert_eq!((quiet.text(), quiet.stderr), (String::new(), String::new()));
    assert_eq!(inode(&stage, "source/a"), inode(&stage, "source/z"));
}

/// At a terminal that `script` makes, with this answer.
fn at_a_terminal(stage: &Stage, answer: &str) -> Called {
    let binary = env!("CARGO_BIN_EXE_linksnap");
    let mut child = Command::new("script")
        .args(["-qec", &format!("{binary} dedupe source"), "/dev/null"])
        .env("LINKSNAP_NOW", crate::stage::NOW)
        .current_dir(stage.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(answer.as_bytes()).unwrap();
    Called::of(child.wait_with_output().unwrap())
}

#[test]
fn at_a_terminal_only_a_plain_yes_links() {
    let stage = stage();
    for no in ["n\n", "\n", "yesterday\n"] {
        let text = at_a_terminal(&stage, no).exited(1).text();
        assert!(text.contains("keep source/sub/b") && text.contains("link 3 files? [y/N] "), "{text}");
        assert!(text.contains("nothing is changed"), "{text}");
    }
    assert_ne!(inode(&stage, "source/a"), inode(&stage, "source/z"));
    at_a_terminal(&stage, "y\n").succeeded();
    assert_eq!(inode(&stage, "source/a"), inode(&stage, "source/z"));
}

#[test]
fn what_a_killed_command_has_left_behind_goes_where_nothing_can_be_lost() {
    let stage = Stage::new();
    stage.write("source/a", "content");
    let (superfluous, only) = (format!(".linksnap-{:032x}", 1), format!(".linksnap-{:032x}", 2));
    fs::hard_link(stage.path("source/a"), stage.path("source").join(&superfluous)).unwrap();
    stage.write(format!("source/{only}"), "the only name");
    let left = stage.path("source").join(&only).metadata().unwrap().ctime();
    let now = |later: i64| jiff::Timestamp::from_second(left + later).unwrap().to_string();
    // It may be at work.
    let young = stage.call_at(&now(0), ["dedupe", "--yes", "source"]).succeeded();
    assert_eq!(young.stderr.matches("a command is at work there").count(), 2, "{young:?}");
    let shown = stage.call_at(&now(7200), ["dedupe", "-n", "source"]).succeeded();
    let shown =
        shown.said(&["is a further name of source/a: --yes removes it", "is the only name of its file here"]);
    assert!(shown.stderr.contains(&format!("rm source/{only}")), "{shown:?}");
    assert!(stage.path("source").join(&superfluous).exists());
    let json = stage.call_at(&now(7200), ["dedupe", "--json", "--yes", "source"]).succeeded();
    assert_eq!(json.json_line("summary")["removed_leftovers"], 1);
    assert_eq!(json.json_line("leftover")["same_as"]["path"], "source/a");
    assert!(!stage.path("source").join(&superfluous).exists());
    assert_eq!(fs::read(stage.path("source").join(&only)).unwrap(), b"the only name");
    assert_eq!(fs::read(stage.path("source/a")).unwrap(), b"content");
}

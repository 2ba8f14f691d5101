//! `delete`: what it tells beforehand, whom it asks, and what is left.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use crate::stage::{Called, NAME, Stage};

const NAMES: [&str; 3] = [NAME, "2026-04-09T020000Z", "2026-04-10T020000Z"];
const AFTER: &str = "2026-04-11T00:00:00Z";

/// With three snapshots; a file is new in each.
fn stage() -> Stage {
    let stage = Stage::with_snapshot();
    stage.write("source/second", "two");
    stage.backup("2026-04-09T02:00:00Z").succeeded();
    stage.write("source/third", "three");
    fs::remove_file(stage.path("source/second")).unwrap();
    stage.backup("2026-04-10T02:00:00Z").succeeded();
    stage
}

fn delete(stage: &Stage, args: &[&str]) -> Called {
    stage.call_at(AFTER, [&["delete"], args].concat())
}

fn latest(stage: &Stage) -> String {
    fs::read_link(stage.path("repo/demo/latest")).unwrap().into_os_string().into_string().unwrap()
}

#[test]
fn without_a_terminal_nothing_is_deleted_unless_told_so() {
    let stage = stage();
    let called = delete(&stage, &["oldest"]).exited(2).said(&["nothing is deleted", "hint: ", "--yes"]);
    assert!(called.text().starts_with("deleting 1 of 3 snapshots of job demo frees 0 B, "), "{called:?}");
    assert_eq!(stage.snapshots(), NAMES);
    let (inodes, bytes) = stage.held();
    let called = delete(&stage, &["oldest", "--yes"]).succeeded();
    let (after_inodes, after_bytes) = stage.held();
    let freed = format!("{} B, {} inodes", bytes - after_bytes, inodes - after_inodes);
    let text = called.text();
    assert!(text.contains(&format!("frees {freed}\n")), "{freed}: {text}");
    assert!(
        text.contains("\ndeleted 1 snapshot of job demo in ") && text.contains(&format!(": {freed} freed\n"))
    );
    assert_eq!(stage.snapshots(), NAMES[1..]);
    assert_eq!(fs::read_dir(stage.path("repo/demo/.linksnap/trash")).unwrap().count(), 0);
    stage.call(["verify"]).succeeded();
}

#[test]
fn a_dry_run_only_shows() {
    let stage = stage();
    let before = stage.listing("repo");
    let text = delete(&stage, &["-n", "2026-04-09", "demo/2026-04-09", "latest~1"]).succeeded().text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("dry run: deleting 1 of 3 snapshots of job demo frees 3 B, "), "{text}");
    assert_eq!(lines[1..], ["  2026-04-09T020000Z  2026-04-09 02:00:00"], "named three times, deleted once");
    let summary = delete(&stage, &["-n", "--json", "2026-04-09"]).succeeded().json_line("summary");
    assert_eq!(summary["dry_run"], true);
    assert_eq!(summary["deleted"], serde_json::json!(["2026-04-09T020000Z"]));
    assert_eq!(summary["freed_bytes"], 3);
    assert_eq!(summary["latest"], NAMES[2]);
    assert_eq!(stage.listing("repo"), before);
}

#[test]
fn names_that_nothing_has_delete_nothing() {
    let stage = stage();
    delete(&stage, &["--yes"]).exited(2);
    for wrong in ["2020", "2026-04", "latest~9", "nobody/latest"] {
        delete(&stage, &["--yes", "oldest", wrong]).exited(2).said(&["hint: "]);
    }
    assert_eq!(stage.snapshots(), NAMES);
}

#[test]
fn when_the_newest_goes_the_next_run_links_to_the_one_before() {
    let stage = stage();
    let text = delete(&stage, &["latest", "--yes"]).succeeded().text();
    let said = format!("\n  the newest is among them: latest will point to {}\n", NAMES[1]);
    assert!(text.contains(&said), "{text}");
    assert_eq!(latest(&stage), NAMES[1]);
    let summary = stage
        .call_at(AFTER, ["backup", "--json", "--job", "demo", "source"])
        .succeeded()
        .json_line("summary");
    assert_eq!(summary["basis"], NAMES[1]);
    assert_eq!(summary["copied_files"], 1, "only what the deleted one alone had");
    let inode = |name: &str| stage.in_snapshot(name, "sub/b.txt").metadata().unwrap().ino();
    assert_eq!(inode(NAMES[1]), inode("2026-04-11T000000Z"));
    assert_eq!(latest(&stage), "2026-04-11T000000Z");
    stage.call(["verify"]).succeeded();
}

#[test]
fn all_of_a_job_can_go_and_it_begins_anew() {
    let stage = stage();
    let (inodes, bytes) = stage.held();
    let called = delete(&stage, &["--yes", "--json", "oldest", "latest~1", "latest"]).succeeded();
    let summary = called.json_line("summary");
    assert_eq!(summary["deleted"].as_array().unwrap().len(), 3);
    assert_eq!((&summary["freed_inodes"], &summary["freed_bytes"]), (&inodes.into(), &bytes.into()));
    assert!(summary["latest"].is_null());
    assert!(stage.snapshots().is_empty());
    assert!(stage.path("repo/demo/latest").symlink_metadata().is_err());
    assert_eq!(stage.call(["snapshots"]).succeeded().text(), "no snapshots\n");
    let text = stage.backup(AFTER).succeeded().text();
    assert!(text.starts_with("first snapshot "), "{text}");
    stage.call(["verify"]).succeeded();
    let text = delete(&stage, &["-n", "latest"]).succeeded().text();
    assert!(text.ends_with("  the job has no other: the next backup copies everything\n"), "{text}");
}

#[test]
fn several_jobs_are_told_of_before_the_first_goes() {
    let stage = stage();
    stage.call_at(AFTER, ["backup", "--job", "other", "source"]).succeeded();
    delete(&stage, &["latest", "--yes"]).exited(2).said(&["several jobs"]);
    stage.call_at(AFTER, ["pin", "other/latest"]).succeeded();
    delete(&stage, &["demo/latest", "other/latest", "--yes"]).exited(12).said(&["other/"]);
    assert_eq!(stage.snapshots(), NAMES, "not even the one that is not pinned");
    stage.call_at(AFTER, ["unpin", "other/latest"]).succeeded();
    let text = delete(&stage, &["demo/latest", "other/latest", "demo/oldest", "--yes"]).succeeded().text();
    assert!(
        text.contains("deleted 2 snapshots of job demo in ")
            && text.contains("deleted 1 snapshot of job other")
    );
    assert_eq!(stage.snapshots(), NAMES[1..2]);
}

/// Deletes at a terminal that `script` makes, with this answer.
fn at_a_terminal(stage: &Stage, answer: &str) -> Called {
    let binary = env!("CARGO_BIN_EXE_linksnap");
    let mut child = Command::new("script")
        .args(["-qec", &format!("{binary} delete oldest"), "/dev/null"])
        .env("TZ", "UTC")
        .env("LINKSNAP_REPO", stage.path("repo"))
        .env("LINKSNAP_NOW", AFTER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), answer.as_bytes()).unwrap();
    Called::of(child.wait_with_output().unwrap())
}

#[test]
fn at_a_terminal_only_a_plain_yes_deletes() {
    let stage = stage();
    for no in ["n\n", "\n", "yesterday\n"] {
        let called = at_a_terminal(&stage, no).exited(1);
        let text = called.text();
        assert!(text.contains("delete 1 snapshot of job demo for good, and free 0 B, "), "{text}");
        assert!(text.contains("? [y/N] ") && text.contains("nothing is deleted"), "{text}");
    }
    assert_eq!(stage.snapshots(), NAMES);
    at_a_terminal(&stage, "y\n").succeeded();
    assert_eq!(stage.snapshots(), NAMES[1..]);
}

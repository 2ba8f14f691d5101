//! `restore`: whole, in part, and never over something without being told so.

use std::fs;
use std::path::PathBuf;

use crate::stage::Stage;

fn restored(stage: &Stage, target: &str, below: &str) -> PathBuf {
    let source = stage.path("source").join(below);
    stage.path(target).join(source.strip_prefix("/").unwrap())
}

#[test]
fn a_snapshot_is_restored_with_its_paths() {
    let stage = Stage::with_snapshot();
    let called = stage.call(["restore", "latest", "--target", "out"]).succeeded();
    assert!(called.text().starts_with("restored 2 files, "), "{called:?}");
    assert_eq!(fs::read(restored(&stage, "out", "a.txt")).unwrap(), b"alpha");
    assert_eq!(fs::read(restored(&stage, "out", "sub/b.txt")).unwrap(), b"beta");
    assert!(restored(&stage, "out", "link").is_symlink());
}

#[test]
fn some_paths_alone_are_restored() {
    let stage = Stage::with_snapshot();
    let path = stage.path("source/sub");
    let args = ["restore", "latest", path.to_str().unwrap(), "--target", "out", "--json"];
    let summary = stage.call(args).succeeded().json_line("summary");
    assert_eq!(summary["files"], 1);
    assert_eq!(summary["bytes"], 4);
    assert!(restored(&stage, "out", "sub/b.txt").is_file());
    assert!(!restored(&stage, "out", "a.txt").exists());
    let args = ["restore", "latest", "/no/such/path", "--target", "out"];
    stage.call(args).exited(1).said(&["/no/such/path", "hint:"]);
}

#[test]
fn what_is_in_the_way_is_replaced_only_on_demand() {
    let stage = Stage::with_snapshot();
    let there = restored(&stage, "out", "a.txt");
    fs::create_dir_all(there.parent().unwrap()).unwrap();
    fs::write(&there, "precious").unwrap();
    let before = stage.listing("out");
    stage.call(["restore", "latest", "--target", "out"]).exited(12).said(&["a.txt", "--overwrite"]);
    assert_eq!(stage.listing("out"), before, "nothing at all was written");
    stage.call(["restore", "latest", "--target", "out", "-n"]).exited(12).said(&["--overwrite"]);
    stage.call(["restore", "latest", "--target", "out", "--overwrite"]).succeeded();
    assert_eq!(fs::read(there).unwrap(), b"alpha");
}

#[test]
fn what_a_restore_that_died_left_is_no_obstacle() {
    let stage = Stage::with_snapshot();
    stage.call(["restore", "latest", "--target", "out"]).succeeded();
    fs::write(restored(&stage, "out", ".linksnap-restoring"), "half of it").unwrap();
    fs::write(restored(&stage, "out", "a.txt"), "half").unwrap();
    stage.call(["restore", "latest", "--target", "out", "--overwrite"]).succeeded();
    assert_eq!(fs::read(restored(&stage, "out", "a.txt")).unwrap(), b"alpha");
    assert!(!restored(&stage, "out", ".linksnap-restoring").exists());
}

#[test]
fn a_dry_run_says_every_step_and_writes_nothing() {
    let stage = Stage::with_snapshot();
    let text = stage.call(["restore", "latest", "--target", "out", "-n"]).succeeded().text();
    let step = format!("create  {}", restored(&stage, "out", "sub/b.txt").display());
    assert!(text.lines().any(|line| line == step), "{text}");
    assert!(text.contains("would restore 2 files"), "{text}");
    assert!(!stage.path("out").exists());
}

#[test]
fn nothing_is_restored_into_the_repository() {
    let stage = Stage::with_snapshot();
    stage.call(["restore", "latest", "--target", "repo/demo/out"]).exited(12).said(&["repository"]);
    let left = fs::read_dir(stage.path("repo/demo/out")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}

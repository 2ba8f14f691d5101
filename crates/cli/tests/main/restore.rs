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

fn change(stage: &Stage) {
    fs::write(stage.path("source/a.txt"), "changed").unwrap();
    fs::write(stage.path("source/extra"), "not in the snapshot").unwrap();
    fs::remove_file(stage.path("source/link")).unwrap();
}

#[test]
fn in_place_it_shows_the_plan_and_asks() {
    let stage = Stage::with_snapshot();
    change(&stage);
    let before = stage.listing("source");
    let called = stage.call(["restore", "latest", "--in-place"]);
    let called = called.exited(2).said(&["no terminal", "--yes"]);
    let text = called.text();
    for (action, path) in [("replace", "source/a.txt"), ("create ", "source/link")] {
        let step = format!("{action} {}", stage.path(path).display());
        assert!(text.lines().any(|line| line == step), "{step}: {text}");
    }
    assert_eq!(stage.listing("source"), before, "nothing at all was written");
    stage.call(["restore", "latest", "--in-place", "--yes"]).succeeded();
    assert_eq!(fs::read(stage.path("source/a.txt")).unwrap(), b"alpha");
    assert!(stage.path("source/link").is_symlink());
    assert!(stage.path("source/extra").exists());
    assert!(!stage.path("source/.linksnap-restore").exists());
    let text = stage.call(["restore", "latest", "--in-place"]).succeeded().text();
    assert!(text.contains("would restore 0 files"), "there is nothing to ask: {text}");
    assert!(text.contains("in place"), "{text}");
}

#[test]
fn names_that_the_snapshot_does_not_have_go_only_on_demand() {
    let stage = Stage::with_snapshot();
    change(&stage);
    let step = format!("remove  {}", stage.path("source/extra").display());
    for (options, is_planned) in [(&["--in-place"][..], false), (&["--in-place", "--delete"], true)] {
        let args = [&["restore", "latest", "-n"], options].concat();
        let text = stage.call(args).succeeded().text();
        assert_eq!(text.lines().any(|line| line == step), is_planned, "{text}");
    }
    let args = ["restore", "latest", "--in-place", "--delete", "--yes", "--json"];
    let summary = stage.call(args).succeeded().json_line("summary");
    let counts =
        ["files", "symlinks", "replaced", "removed", "attributes", "kept"].map(|name| summary[name].clone());
    assert_eq!(
        counts.map(|count| count.as_u64().unwrap()),
        [1, 1, 1, 1, 1, summary["kept"].as_u64().unwrap()]
    );
    assert!(!stage.path("source/extra").exists());
    assert!(stage.path("repo").exists(), "what is beside the source stays");
}

#[test]
fn what_an_earlier_restore_left_is_said_with_the_way_back() {
    let stage = Stage::with_snapshot();
    change(&stage);
    fs::create_dir_all(stage.path("source/.linksnap-restore/old")).unwrap();
    for options in [&["--in-place", "--yes"][..], &["--in-place", "-n"]] {
        let called = stage.call([&["restore", "latest"], options].concat());
        called.exited(12).said(&[
            "earlier restore",
            ".linksnap-restore",
            "cp -a --remove-destination",
            "rm -r",
        ]);
    }
    assert_eq!(fs::read(stage.path("source/a.txt")).unwrap(), b"changed");
}

#[test]
fn arguments_that_contradict_each_other_are_refused() {
    let stage = Stage::with_snapshot();
    let table: &[&[&str]] = &[
        &["restore", "latest", "--in-place", "--target", "out"],
        &["restore", "latest", "--target", "out", "--delete"],
        &["restore", "latest", "--target", "out", "--owner", "both"],
    ];
    for args in table {
        stage.call(*args).exited(2);
    }
    // Nothing here has /etc/passwd.
    let args = ["restore", "latest", "--target", "out", "--owner", "name"];
    stage.call(args).exited(2).said(&["etc/passwd", "--owner numeric"]);
    assert!(!stage.path("out").exists());
}

//! Wrong usage, missing repositories, the clock: each with its code, and with what to do.

use std::fs::File;

use crate::stage::{NAME, NOW, Stage};

#[test]
fn no_repository_is_code_10_and_says_how_to_make_one() {
    let stage = Stage::new();
    for verb in [&["snapshots"][..], &["ls"], &["backup", "./source"], &["verify"]] {
        stage.call(verb).exited(10).said(&["repo", "hint:", "linksnap init --repo"]);
    }
    std::fs::create_dir(stage.path("repo")).unwrap();
    stage.call(["snapshots"]).exited(10).said(&["no linksnap repository"]);
}

#[test]
fn a_repository_is_made_once_and_only_in_an_empty_directory() {
    let stage = Stage::new();
    let made = stage.call(["init", "--degraded"]).succeeded();
    assert!(made.text().starts_with("made the repository "), "{made:?}");
    stage.call(["init", "--degraded"]).exited(12).said(&["repository already", "hint:"]);
    let full = stage.path("source");
    stage.write("source/file", "");
    let args = ["init", "--degraded", "--repo", full.to_str().unwrap()];
    stage.call(args).exited(12).said(&["not empty", "hint:"]);
}

#[test]
fn init_says_in_json_what_it_found() {
    let stage = Stage::new();
    let json = stage.call(["init", "--degraded", "--json"]).succeeded().json();
    assert_eq!(json["path"], stage.path("repo").to_str().unwrap());
    assert_eq!(json["uuid"].as_str().unwrap().len(), 36);
    assert!(json["findings"].as_array().is_some_and(|findings| !findings.is_empty()));
}

#[test]
fn what_an_init_that_died_left_is_no_obstacle_but_a_readme_of_others_is() {
    let stage = Stage::new();
    stage.init();
    let readme = std::fs::read(stage.path("repo/README.txt")).unwrap();
    std::fs::remove_dir_all(stage.path("repo")).unwrap();
    stage.write("repo/README.txt", &readme[..readme.len() / 2]);
    stage.write("repo/linksnap.toml.new", "# A link");
    stage.write("repo/.linksnap-probe/a", "");
    stage.init();
    assert_eq!(std::fs::read(stage.path("repo/README.txt")).unwrap(), readme);
    assert!(!stage.path("repo/linksnap.toml.new").exists() && !stage.path("repo/.linksnap-probe").exists());
    for text in ["What I keep here", &format!("{} and more", String::from_utf8_lossy(&readme))] {
        stage.write("other/README.txt", text);
        let other = stage.path("other");
        let args = ["init", "--degraded", "--repo", other.to_str().unwrap()];
        stage.call(args).exited(12).said(&["not empty"]);
        assert_eq!(std::fs::read_to_string(other.join("README.txt")).unwrap(), text);
    }
}

#[test]
fn a_dry_init_makes_nothing() {
    let stage = Stage::new();
    let text = stage.call(["init", "--degraded", "-n"]).succeeded().text();
    assert!(text.contains("would make the repository"), "{text}");
    assert!(!stage.path("repo").exists());
    stage.init();
    stage.call(["init", "--degraded", "-n"]).exited(12);
}

#[test]
fn wrong_arguments_are_code_2() {
    let stage = Stage::new();
    let table: &[&[&str]] = &[
        &[],
        &["snap"],
        &["ls", "--lnog"],
        &["restore", "latest"],
        &["backup", "--validate", "0", "source"],
        &["backup", "--exclude-larger-than", "huge", "source"],
        &["snapshots", "-q", "-v"],
    ];
    for args in table {
        stage.call(*args).exited(2);
    }
}

#[test]
fn names_that_nothing_has_are_code_2_with_a_hint() {
    let stage = Stage::with_snapshot();
    let table: &[&[&str]] = &[
        &["backup", "nobody"],
        &["snapshots", "nobody"],
        &["ls", "nobody/latest"],
        &["ls", "2020"],
        &["ls", "latest~7"],
        &["ls", "latest", "relative"],
        &["jobs", "check"],
    ];
    for args in table {
        stage.call(*args).exited(2).said(&["error: ", "hint: "]);
    }
    stage.call(["snapshots", "a/b"]).exited(2).said(&["a/b"]);
    stage.call(["backup", "--exclude", "a{b", "source"]).exited(2).said(&["a{b"]);
}

#[test]
fn without_a_repository_named_it_says_how_to_name_one() {
    let stage = Stage::new();
    let output = stage.command(["snapshots"]).env_remove("LINKSNAP_REPO").output().unwrap();
    crate::stage::Called::of(output).exited(2).said(&["--repo", "LINKSNAP_REPO"]);
}

#[test]
fn the_clock_can_be_set_and_must_make_sense() {
    let stage = Stage::with_snapshot();
    assert!(stage.path("repo/demo").join(NAME).is_dir());
    for wrong in ["soon", "", "2026-04-08"] {
        stage
            .call_at(wrong, ["backup", "--job", "demo", "source"])
            .exited(2)
            .said(&["LINKSNAP_NOW", "2026-04-08T02:00:00Z"]);
    }
}

#[test]
fn errors_are_json_lines_on_standard_error_for_programs() {
    let stage = Stage::new();
    for (args, code) in [(&["snapshots", "--json"][..], 10), (&["--json", "snap"], 2)] {
        let called = stage.call(args).exited(code);
        assert!(called.stdout.is_empty(), "{called:?}");
        let error: serde_json::Value = serde_json::from_str(&called.stderr).unwrap();
        assert_eq!(error["type"], "error");
        assert_eq!(error["code"], code);
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_locked_job_is_code_11_and_the_holder_is_named() {
    let stage = Stage::with_snapshot();
    let lock = File::options().read(true).write(true).open(stage.path("repo/demo/.linksnap/lock"));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    stage.backup("2026-04-08T03:00:00Z").exited(11).said(&["demo", "hint:"]);
    drop(lock);
    stage.backup("2026-04-08T03:00:00Z").succeeded();
}

#[test]
fn a_source_that_is_not_there_is_refused_and_nothing_is_published() {
    let stage = Stage::with_snapshot();
    let before = stage.listing("repo/demo");
    let args = ["backup", "--job", "demo", "source", "missing"];
    stage.call_at(NOW, args).exited(12).said(&["missing", "hint:"]);
    assert_eq!(stage.listing("repo/demo"), before);
}

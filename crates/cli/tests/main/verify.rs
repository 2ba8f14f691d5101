//! `verify`: silence about what is sound, code 4 for what is not.

use std::fs::{self, File};
use std::io::Write;

use crate::stage::{NAME, Stage};

/// Changes a byte of a stored file and puts its times back, as a failing disk does.
fn damage(stage: &Stage) {
    let path = stage.in_snapshot(NAME, "a.txt");
    let modified = path.metadata().unwrap().modified().unwrap();
    let mut file = File::options().write(true).open(&path).unwrap();
    file.write_all(b"ALPHA").unwrap();
    file.set_modified(modified).unwrap();
}

#[test]
fn what_is_sound_is_verified() {
    let stage = Stage::with_snapshot();
    stage.backup("2026-04-09T02:00:00Z").succeeded();
    let text = stage.call(["verify"]).succeeded().text();
    assert!(text.contains("job demo: 2 snapshots, "), "{text}");
    assert!(text.contains("all is as it was recorded"), "{text}");
    let summary = stage.call(["verify", "--json", "latest"]).succeeded().json_line("summary");
    assert_eq!(summary["snapshots"], 1);
    assert_eq!(summary["bytes"], 9);
    assert_eq!(summary["problems"], 0);
}

#[test]
fn a_changed_byte_is_damage_and_is_named() {
    let stage = Stage::with_snapshot();
    damage(&stage);
    let called = stage.call(["verify"]).exited(4);
    assert!(called.text().contains("DAMAGE: 1 finding"), "{called:?}");
    called.said(&["problem: ", "a.txt"]);
    let called = stage.call(["verify", "--json"]).exited(4);
    let problem = called.json_line("problem");
    assert_eq!(problem["kind"], "damage");
    assert!(problem["path"].as_str().unwrap().ends_with("a.txt"), "{problem}");
}

#[test]
fn the_structure_alone_says_nothing_of_bytes() {
    let stage = Stage::with_snapshot();
    damage(&stage);
    let summary = stage.call(["verify", "--structure", "--json"]).succeeded().json_line("summary");
    assert_eq!(summary["bytes"], 0);
    assert_eq!(summary["content"], false);
    fs::remove_file(stage.in_snapshot(NAME, "a.txt")).unwrap();
    stage.call(["verify", "--structure"]).exited(4).said(&["a.txt"]);
}

#[test]
fn all_jobs_are_verified_and_the_worst_code_wins() {
    let stage = Stage::with_snapshot();
    stage.call(["backup", "--job", "other", "source"]).succeeded();
    damage(&stage);
    let text = stage.call(["verify"]).exited(4).text();
    assert!(text.contains("job demo: ") && text.contains("job other: "), "{text}");
    stage.call(["verify", "--job", "other"]).succeeded();
    stage.call(["verify", "other/latest", "demo/latest"]).exited(4);
}

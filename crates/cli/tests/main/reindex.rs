//! `reindex`: a lost catalog comes back, and every command that misses it says so.

use std::fs;

use crate::stage::{NAME, Stage};

#[test]
fn a_lost_catalog_is_named_and_rebuilt() {
    let stage = Stage::with_snapshot();
    let catalog = stage.path("repo/demo/.linksnap/catalog.db");
    fs::remove_file(&catalog).unwrap();
    for command in [&["ls"][..], &["verify"], &["du"], &["snapshots"], &["backup", "--job", "demo", "source"]]
    {
        stage.call(command.iter().copied()).exited(1).said(&["linksnap reindex"]);
    }
    let text = stage.call(["reindex", "-n"]).succeeded().text();
    assert!(text.contains("dry run") && !catalog.exists(), "{text}");
    let text = stage.call(["reindex"]).succeeded().text();
    assert!(text.contains("job demo: a new catalog of 1 snapshot\n"), "{text}");
    assert!(text.contains("0 pinned"), "of the copy: {text}");
    assert!(stage.call(["snapshots"]).succeeded().text().contains(NAME));
    let text = stage.call(["verify"]).succeeded().text();
    assert!(text.contains("2 without a hash from their backup: that of a reindex, or none"), "{text}");
    let text = stage.backup("2026-04-09T02:00:00Z").succeeded().text();
    assert!(text.contains("copied 0 files"), "{text}");
}

#[test]
fn the_old_catalog_is_kept_and_lost_pins_are_said() {
    let stage = Stage::with_snapshot();
    stage.call(["pin", "latest"]).succeeded();
    fs::write(stage.path("repo/demo/.linksnap/catalog.db"), "no catalog").unwrap();
    fs::remove_file(stage.path("repo/demo/.linksnap/catalog.copy")).unwrap();
    let text = stage.call(["reindex"]).succeeded().text();
    assert!(text.contains("pins, tags, notes and problems are lost"), "{text}");
    assert!(text.contains("catalog.old"), "{text}");
    let summary = stage.call(["reindex", "demo", "--json"]).succeeded().json_line("summary");
    assert_eq!((&summary["snapshots"], &summary["remembered"]), (&1.into(), &1.into()));
    assert!(summary["kept"].as_str().unwrap().ends_with("catalog.old.2"), "{summary}");
}

#[test]
fn one_of_several_jobs_has_to_be_named() {
    let stage = Stage::with_snapshot();
    stage.call(["backup", "--job", "other", "source"]).succeeded();
    stage.call(["reindex"]).exited(2).said(&["several jobs", "linksnap reindex demo"]);
    stage.call(["reindex", "--job", "other"]).succeeded();
}

//! `du`: what it counts is what is on the disk.

use std::fs;

use crate::stage::{NAME, Stage};

const NAMES: [&str; 3] = [NAME, "2026-04-09T020000Z", "2026-04-10T020000Z"];
const AFTER: &str = "2026-04-11T00:00:00Z";

/// With three snapshots of a tree with links inside.
fn stage() -> Stage {
    let stage = Stage::with_snapshot();
    fs::hard_link(stage.path("source/a.txt"), stage.path("source/again")).unwrap();
    stage.write("source/second", "two");
    stage.backup("2026-04-09T02:00:00Z").succeeded();
    stage.write("source/third", "three");
    fs::remove_file(stage.path("source/second")).unwrap();
    stage.backup("2026-04-10T02:00:00Z").succeeded();
    stage
}

fn du(stage: &Stage, args: &[&str]) -> serde_json::Value {
    stage.call_at(AFTER, [&["du", "--json"], args].concat()).succeeded().json()
}

#[test]
fn every_snapshot_says_what_it_holds_adds_and_has_alone() {
    let stage = stage();
    let (inodes, bytes) = stage.held();
    let json = du(&stage, &[]);
    let job = &json[0];
    assert_eq!(job["job"], "demo");
    assert_eq!((&job["total"]["inodes"], &job["total"]["bytes"]), (&inodes.into(), &bytes.into()));
    let all = job["snapshots"].as_array().unwrap();
    let bytes = |what: &str| all.iter().map(|one| one[what]["bytes"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(bytes("held"), [9, 12, 14]);
    // A second name changes the ctime of a.txt, but its inode stays the same.
    assert_eq!(bytes("added"), [9, 3, 5]);
    assert_eq!(bytes("alone"), [0, 3, 5]);
    let added: u64 = all.iter().map(|one| one["added"]["inodes"].as_u64().unwrap()).sum();
    assert_eq!(added, inodes);
    for (one, name) in all.iter().zip(NAMES) {
        assert_eq!(one["name"], name);
        assert_eq!(one["files"], if name == NAME { 2 } else { 4 });
        assert!(one["held"]["block_bytes"].as_u64() >= one["held"]["bytes"].as_u64(), "{one}");
    }
    let text = stage.call(["du"]).succeeded().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("job demo: 3 snapshots, 17 B, {inodes} inodes"));
    let columns: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(columns, ["snapshot", "files", "size", "added", "inodes", "alone", "inodes"]);
    assert!(lines[3].starts_with("2026-04-09T020000Z      4  12 B    3 B "), "{text}");
}

#[test]
fn jobs_and_snapshots_can_be_named() {
    let stage = stage();
    stage.call(["backup", "--job", "other", "source"]).succeeded();
    assert_eq!(du(&stage, &[]).as_array().unwrap().len(), 2);
    assert_eq!(du(&stage, &["--job", "other"])[0]["job"], "other");
    let named = du(&stage, &["other", "demo/2026-04-09", "demo/latest", "demo/latest"]);
    assert_eq!(named[0]["job"], "other");
    assert_eq!(named[0]["snapshots"].as_array().unwrap().len(), 1);
    assert_eq!(named[1]["snapshots"].as_array().unwrap().len(), 2);
    assert_eq!(named[1]["snapshots"][0]["name"], NAMES[1]);
    for wrong in [&["du", "nobody"][..], &["du", "demo/2020"], &["du", "latest"]] {
        stage.call(wrong).exited(2).said(&["hint: "]);
    }
    for wrong in [
        &["du", "--verify", "--history"][..],
        &["du", "--keep-last", "1"],
        &["du", "--verify", "demo/latest"],
        &["du", "demo", "--if-deleted", "demo/latest"],
    ] {
        stage.call(wrong).exited(2);
    }
}

#[test]
fn what_deleting_would_free_is_what_it_frees() {
    let sets: [&[&str]; 5] = [
        &["oldest"],
        &["2026-04-09"],
        &["latest"],
        &["oldest", "2026-04-09"],
        &["oldest", "2026-04-09", "latest"],
    ];
    for set in sets {
        let stage = stage();
        let (inodes, bytes) = stage.held();
        let json = du(&stage, &[&["--if-deleted"], set].concat());
        assert_eq!(json[0]["snapshots"].as_array().unwrap().len(), set.len());
        let freed = &json[0]["freed"];
        let text = stage.call_at(AFTER, [&["du", "--if-deleted"], set].concat()).succeeded().text();
        stage.call_at(AFTER, [&["delete", "--yes"], set].concat()).succeeded();
        let (after_inodes, after_bytes) = stage.held();
        assert_eq!(freed["inodes"], inodes - after_inodes, "{set:?}");
        assert_eq!(freed["bytes"], bytes - after_bytes, "{set:?}");
        let said = format!(
            "deleting {} of 3 snapshots of job demo would free {} B, {} inodes\n",
            set.len(),
            bytes - after_bytes,
            inodes - after_inodes
        );
        assert!(text.starts_with(&said), "{said}{text}");
        stage.call_at(AFTER, ["du", "--verify"]).succeeded();
    }
}

#[test]
fn what_pruning_would_free_is_what_it_frees() {
    let stage = stage();
    let json = du(&stage, &["--if-pruned", "--keep-last", "1"]);
    assert_eq!(json[0]["snapshots"], serde_json::json!(NAMES[..2]));
    let args = ["prune", "--json", "--keep-last", "1"];
    let pruned = stage.call_at(AFTER, args).succeeded().json_line("summary");
    assert_eq!(json[0]["freed"]["bytes"], pruned["freed_bytes"]);
    assert_eq!(json[0]["freed"]["inodes"], pruned["freed_inodes"]);
    let text = stage.call_at(AFTER, ["du", "demo", "--if-pruned", "--keep-last", "1"]).succeeded().text();
    assert_eq!(text, "pruning 0 of 1 snapshot of job demo would free 0 B, 0 inodes\n");
    let early = "2026-01-01T00:00:00Z";
    stage
        .call_at(early, ["du", "--if-pruned", "--keep-last", "1"])
        .exited(12)
        .said(&["the clock looks wrong"]);
}

#[test]
fn the_disk_agrees_after_whatever_was_done() {
    let stage = stage();
    let agrees = || {
        let summary = stage.call_at(AFTER, ["du", "--verify", "--json"]).succeeded().json_line("summary");
        let (inodes, bytes) = stage.held();
        assert_eq!(summary["agrees"], true);
        assert_eq!(
            (&summary["inodes"], &summary["apparent_bytes"]),
            (&inodes.into(), &bytes.into()),
            "{summary}"
        );
        assert_eq!(summary["catalog_inodes"], summary["inodes"]);
        summary
    };
    assert_eq!(agrees()["other_directories"], 0);
    stage.call_at(AFTER, ["prune", "--keep-last", "2"]).succeeded();
    let with_scaffold = agrees();
    assert!(with_scaffold["other_directories"].as_u64().unwrap() > 0, "{with_scaffold}");
    let text = stage.call_at(AFTER, ["du", "--verify", "demo"]).succeeded().text();
    assert!(text.starts_with("job demo: the disk agrees: 17 B, "), "{text}");
    assert!(text.contains("for the next run to build upon\n"), "{text}");
    stage.backup("2026-04-11T02:00:00Z").succeeded();
    agrees();
}

/// What somebody does to snapshots by hand.
type Deed = fn(&Stage);

#[test]
fn what_somebody_adds_or_removes_is_found() {
    let cases: [(&str, Deed); 4] = [
        ("a file more", |stage| stage.write("repo/demo/latest/more", "four")),
        ("a file less", |stage| fs::remove_file(stage.in_snapshot(NAMES[1], "second")).unwrap()),
        ("a longer file", |stage| fs::write(stage.in_snapshot(NAMES[1], "second"), "longer").unwrap()),
        ("a link from outside", |stage| {
            fs::hard_link(stage.in_snapshot(NAMES[1], "second"), stage.path("repo/outside")).unwrap();
        }),
    ];
    for (what, deed) in cases {
        let stage = stage();
        deed(&stage);
        let called = stage.call_at(AFTER, ["du", "--verify"]).exited(4);
        let text = called.text();
        assert!(text.contains("the disk DISAGREES with the catalog"), "{what}: {text}");
        assert!(text.contains("\n  inodes"), "{what}: {text}");
        let outside = "\n  at least 1 name of these inodes must be outside the snapshots\n";
        assert_eq!(text.contains(outside), what == "a link from outside", "{what}: {text}");
        let summary = stage.call_at(AFTER, ["du", "--verify", "--json"]).exited(4).json_line("summary");
        assert_eq!(summary["agrees"], false, "{what}");
        assert_ne!(
            (&summary["inodes"], &summary["apparent_bytes"]),
            (&summary["catalog_inodes"], &summary["catalog_apparent_bytes"]),
            "{what}"
        );
    }
}

#[test]
fn history_goes_by_days_of_the_local_time_zone() {
    let stage = stage();
    stage.write("source/big", vec![b'x'; 30_000]);
    stage.backup("2026-04-10T23:00:00Z").succeeded();
    stage.call_at(AFTER, ["delete", "2026-04-09", "--yes"]).succeeded();
    let json = du(&stage, &["--history"]);
    let days = json[0]["days"].as_array().unwrap();
    let field = |name: &str| days.iter().map(|day| day[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("day"), ["2026-04-08", "2026-04-09", "2026-04-10", "2026-04-11"]);
    assert_eq!(field("added_bytes"), [9, 3, 30_005, 0]);
    assert_eq!(field("freed_bytes"), [0, 0, 0, 3]);
    assert_eq!(field("total_bytes"), [9, 12, 30_017, 30_014]);
    assert_eq!(field("files"), [2.into(), 4.into(), 5.into(), serde_json::Value::Null]);
    let (inodes, bytes) = stage.held();
    assert_eq!((&days[3]["total_inodes"], &days[3]["total_bytes"]), (&inodes.into(), &bytes.into()));
    let text = stage.call(["du", "demo", "--history"]).succeeded().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "job demo");
    assert!(lines[1].ends_with("bytes added"), "{text}");
    assert!(lines[2].ends_with("  ▏") && lines[4].ends_with("  ████████████████████████"), "{text}");
    let mut berlin = stage.command(["du", "--history", "--json"]);
    let berlin = crate::stage::Called::of(berlin.env("TZ", "UTC-2").output().unwrap()).succeeded().json();
    assert_eq!(berlin[0]["days"][3]["added_bytes"], 30_000, "at one o'clock of the next day");
}

#[test]
fn a_job_without_snapshots_holds_nothing() {
    let stage = stage();
    stage.call_at(AFTER, ["delete", "--yes", "oldest", "latest~1", "latest"]).succeeded();
    assert_eq!(stage.call(["du"]).succeeded().text(), "job demo: 0 snapshots, 0 B, 0 inodes\n");
    let text = stage.call(["du", "--verify"]).succeeded().text();
    assert!(text.starts_with("job demo: the disk agrees: 0 B, 0 inodes"), "{text}");
}

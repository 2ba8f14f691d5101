//! Retention: what it says, what it does, and what it refuses; by `prune` and after a backup.

use std::fs::{self, File};

use crate::stage::Stage;

/// Twice a day for three days.
const TIMES: [&str; 6] = [
    "2026-04-01T02:00:00Z",
    "2026-04-01T22:30:00Z",
    "2026-04-02T02:00:00Z",
    "2026-04-02T22:30:00Z",
    "2026-04-03T02:00:00Z",
    "2026-04-03T22:30:00Z",
];
const AFTER: &str = "2026-04-04T01:00:00Z";

/// With a snapshot of each of these times; a file of five bytes changes before each.
fn stage(times: &[&str]) -> Stage {
    let stage = Stage::new();
    stage.write("source/same", "the same");
    stage.init();
    for (number, now) in times.iter().enumerate() {
        stage.write("source/other", format!("{number:5}"));
        stage.backup(now).succeeded();
    }
    stage
}

fn configure(stage: &Stage, text: &str) {
    let source = stage.path("source");
    let text = format!("[defaults]\n{text}\n[job.demo]\nsources = [\"{}\"]\n", source.display());
    stage.write(".config/linksnap/config.toml", text);
}

fn names(value: &serde_json::Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn the_table_has_every_snapshot_with_every_reason() {
    let stage = stage(&TIMES);
    let before = stage.listing("repo");
    let args = ["prune", "-n", "--keep-last", "2", "--keep-daily", "2", "--keep-monthly", "1"];
    let text = stage.call_at(AFTER, args).succeeded().text();
    // Directories count, and how deep the stage lies is not ours to say.
    let (table, verdict) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(
        table,
        "\
job demo keeps the last 2, 2 daily, 1 monthly
snapshot            time (UTC)                 why
2026-04-01T020000Z  2026-04-01 02:00:00  drop  no rule keeps it
2026-04-01T223000Z  2026-04-01 22:30:00  drop  no rule keeps it
2026-04-02T020000Z  2026-04-02 02:00:00  drop  no rule keeps it
2026-04-02T223000Z  2026-04-02 22:30:00  keep  daily snapshot
2026-04-03T020000Z  2026-04-03 02:00:00  keep  last snapshot
2026-04-03T223000Z  2026-04-03 22:30:00  keep  last snapshot, daily snapshot, monthly snapshot, newest snapshot, \
newest good snapshot"
    );
    assert!(verdict.starts_with("dry run: 3 of 6 snapshots would be dropped, which frees 15 B, "), "{text}");
    assert_eq!(stage.listing("repo"), before);
}

#[test]
fn what_no_rule_keeps_is_dropped_and_said() {
    let stage = stage(&TIMES);
    let (inodes, bytes) = stage.held();
    let called = stage.call_at(AFTER, ["prune", "demo", "--keep-last", "4"]).succeeded();
    let text = called.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "job demo keeps the last 4",
            "  drop 2026-04-01T020000Z  (no rule keeps it)",
            "  drop 2026-04-01T223000Z  (no rule keeps it)",
        ]
    );
    let (after_inodes, after_bytes) = stage.held();
    let (freed_bytes, freed_inodes) = (bytes - after_bytes, inodes - after_inodes);
    assert_eq!(freed_bytes, 10);
    let freed = format!("dropped 2 of 6 snapshots, which frees 10 B, {freed_inodes} inodes, in ");
    assert!(lines[3].starts_with(&freed), "{text}");
    assert_eq!(stage.snapshots().len(), 4);
    let again = stage.call_at(AFTER, ["prune", "--job", "demo", "--keep-last", "4"]).succeeded().text();
    assert_eq!(again, "job demo keeps the last 4\nnothing is dropped: all 4 snapshots stay\n");
    stage.call(["verify"]).succeeded();
}

#[test]
fn json_has_all_decisions() {
    let stage = stage(&TIMES);
    let args = ["prune", "--json", "--keep-within", "1d", "--keep-within-weekly", "1y"];
    let summary = stage.call_at(AFTER, args).succeeded().json_line("summary");
    assert_eq!(summary["job"], "demo");
    assert_eq!(summary["dry_run"], false);
    assert_eq!(names(&summary["keep"]), ["all of the last 1d", "weekly ones of the last 1y"]);
    // The oldest of all stands for the only week, as long as there is no other.
    let dropped = ["2026-04-01T223000Z", "2026-04-02T020000Z", "2026-04-02T223000Z"];
    assert_eq!(names(&summary["dropped"]), dropped);
    assert_eq!(summary["freed_bytes"], 15);
    assert!(summary["hold"].is_null());
    let decisions = summary["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 6);
    assert_eq!(decisions[4]["snapshot"], "2026-04-03T020000Z");
    assert_eq!(decisions[4]["time"], "2026-04-03T02:00:00Z");
    assert_eq!(decisions[4]["keep"], true);
    assert_eq!(names(&decisions[4]["reasons"]), ["within 1d"]);
    assert_eq!(decisions[3]["keep"], false);
    assert_eq!(names(&decisions[3]["reasons"]), ["no rule keeps it"]);
    for field in ["freed_inodes", "missing_bytes", "missing_inodes", "timezone", "elapsed_seconds"] {
        assert!(summary.get(field).is_some(), "{field}: {summary}");
    }
}

#[test]
fn rules_come_from_the_configuration_and_count_days_of_its_time_zone() {
    let stage = stage(&TIMES);
    configure(&stage, "keep = { daily = 2 }\ntimezone = \"Europe/Berlin\"");
    let kept = |args: &[&str]| {
        let summary = stage.call_at(AFTER, [&["prune", "-n", "--json"], args].concat()).succeeded();
        let summary = summary.json_line("summary");
        let decisions = summary["decisions"].as_array().unwrap().clone();
        let kept = decisions.into_iter().filter(|one| one["keep"] == true);
        kept.map(|one| one["snapshot"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // 22:30 in UTC is half past midnight of the next day in Berlin.
    assert_eq!(kept(&[]), ["2026-04-03T020000Z", "2026-04-03T223000Z"]);
    assert_eq!(kept(&["--timezone", "UTC"]), ["2026-04-02T223000Z", "2026-04-03T223000Z"]);
    assert_eq!(kept(&["--keep-last", "1"]), ["2026-04-03T223000Z"], "in place of the configured rules");
    let text = stage.call_at(AFTER, ["prune", "-n"]).succeeded().text();
    assert!(text.contains("time (Europe/Berlin)") && text.contains("2026-04-04 00:30:00   keep"), "{text}");
    stage.call_at(AFTER, ["prune"]).succeeded();
    assert_eq!(stage.snapshots().len(), 2);
}

#[test]
fn without_rules_nothing_is_done_and_that_is_wrong_usage() {
    let stage = stage(&TIMES[..2]);
    for args in [&["prune"][..], &["prune", "demo"], &["prune", "-n"], &["du", "--if-pruned"]] {
        stage.call_at(AFTER, args).exited(2).said(&[
            "error: nothing says which snapshots",
            "hint: ",
            "--keep-last",
        ]);
    }
    configure(&stage, "");
    stage.call_at(AFTER, ["prune"]).exited(2).said(&["job demo has no rules", "hint: "]);
    assert_eq!(stage.snapshots().len(), 2);
}

#[test]
fn wrong_rules_are_wrong_usage() {
    let stage = stage(&TIMES[..2]);
    let table: &[&[&str]] = &[
        &["--keep-last", "some"],
        &["--keep-daily", "-2"],
        &["--keep-within", "90min"],
        &["--keep-tag", "a,"],
        &["--timezone", "Europe/Atlantis", "--keep-last", "1"],
        &["--free-space", "much"],
        &["--free-inodes", "5GiB"],
        &["--min", "3"],
        &["--keep-last", "1", "--min", "3"],
        &["--at", "2027-01-01", "--keep-last", "1"],
        &["--simulate", "9d", "--keep-last", "1"],
        &["-n", "--at", "2027-01-01", "--simulate", "9d", "--keep-last", "1"],
        &["-n", "--at", "soon", "--keep-last", "1"],
        &["-n", "--at", "2026-04-02", "--keep-last", "1"],
        &["nobody", "--keep-last", "1"],
    ];
    for args in table {
        stage.call_at(AFTER, [&["prune"], *args].concat()).exited(2).said(&["error: "]);
    }
    assert_eq!(stage.snapshots().len(), 2);
}

#[test]
fn all_can_be_kept_in_words_and_in_numbers() {
    let stage = stage(&TIMES[..3]);
    for args in [&["--keep-last", "unlimited"][..], &["--keep-last", "-1"], &["--keep-last", "0"]] {
        let text = stage.call_at(AFTER, [&["prune"], args].concat()).succeeded().text();
        assert!(text.ends_with("nothing is dropped: all 3 snapshots stay\n"), "{args:?}: {text}");
    }
    // A rule that counts to 0 is as good as absent, and without rules all are kept.
    let text = stage.call_at(AFTER, ["prune", "--keep-last", "0"]).succeeded().text();
    assert!(text.starts_with("job demo keeps all snapshots\n"), "{text}");
}

#[test]
fn rules_that_keep_nothing_are_refused() {
    let stage = stage(&TIMES);
    for args in [&["prune", "--keep-tag", "nosuch"][..], &["prune", "-n", "--keep-tag", "nosuch"]] {
        stage.call_at(AFTER, args).exited(12).said(&["would drop every snapshot", "nosuch", "hint: "]);
    }
    assert_eq!(stage.snapshots().len(), 6);
}

#[test]
fn a_clock_that_looks_wrong_holds_everything() {
    let stage = stage(&TIMES);
    let early = "2026-03-01T00:00:00Z";
    for args in [&["prune", "-n", "--keep-last", "1"][..], &["prune", "--keep-last", "1"]] {
        let called = stage.call_at(early, args).exited(12);
        assert!(called.text().ends_with("nothing is dropped: all 6 snapshots stay\n"), "{called:?}");
        called.said(&["the clock looks wrong", "hint: ", "--trust-clock"]);
    }
    let summary =
        stage.call_at(early, ["prune", "--json", "--keep-last", "1"]).exited(12).json_line("summary");
    assert!(summary["hold"].as_str().unwrap().contains("in the future"), "{summary}");
    assert_eq!(stage.snapshots().len(), 6);
    stage.call_at(early, ["prune", "--keep-last", "1", "--trust-clock"]).succeeded();
    assert_eq!(stage.snapshots(), ["2026-04-03T223000Z"]);
}

#[test]
fn too_little_room_drops_down_to_the_floor_and_is_told() {
    let stage = stage(&TIMES);
    let args = ["--free-space", "8000P", "--min", "2"];
    let called = stage.call_at(AFTER, [&["prune", "-n"], &args[..]].concat()).exited(12);
    assert!(called.text().contains("drop  to free space"), "{called:?}");
    assert_eq!(stage.snapshots().len(), 6);
    configure(&stage, "keep = { last = 5, free-space = \"8000P\" }");
    let called = stage.call_at(AFTER, ["prune", "--min", "2"]).exited(12);
    let text = called.text();
    assert!(
        text.starts_with("job demo keeps the last 5; drops the oldest of those while less than "),
        "{text}"
    );
    assert!(text.contains("\n  drop 2026-04-01T020000Z  (no rule keeps it)\n"), "{text}");
    assert!(text.contains("\n  drop 2026-04-02T223000Z  (to free space)\n"), "{text}");
    called.said(&["not enough room is free", "2 are left", "hint: "]);
    assert_eq!(stage.snapshots(), ["2026-04-03T020000Z", "2026-04-03T223000Z"]);
    let summary = stage.call_at(AFTER, ["prune", "--json"]).exited(12).json_line("summary");
    assert!(summary["missing_bytes"].as_u64().unwrap() > 0, "{summary}");
}

#[test]
fn one_job_that_fails_stops_no_other() {
    let stage = stage(&TIMES);
    for now in &TIMES {
        stage.call_at(now, ["backup", "--job", "other", "source"]).succeeded();
    }
    let lock = File::options().read(true).write(true).open(stage.path("repo/demo/.linksnap/lock")).unwrap();
    lock.lock().unwrap();
    let called = stage.call_at(AFTER, ["prune", "--keep-last", "1"]).exited(11);
    assert!(called.text().contains("job other keeps the last one"), "{called:?}");
    called.said(&["job demo: another process is at work"]);
    assert_eq!(stage.snapshots().len(), 6);
    let json = stage.call(["snapshots", "--json", "other"]).succeeded().json();
    assert_eq!(json.as_array().unwrap().len(), 1);
}

#[test]
fn configured_jobs_without_snapshots_or_rules_are_passed_over() {
    let stage = stage(&TIMES);
    let source = stage.path("source");
    let text = format!(
        "[job.demo]\nsources = [\"{0}\"]\nkeep = {{ last = 1 }}\n[job.new]\nsources = [\"{0}\"]\nkeep = {{ last = 1 }}\n",
        source.display()
    );
    stage.write(".config/linksnap/config.toml", text);
    stage.call_at(AFTER, ["prune"]).succeeded().said(&["job new has no snapshots yet"]);
    assert_eq!(stage.snapshots().len(), 1);
    stage.call_at(AFTER, ["prune", "new"]).exited(2).said(&["no job new"]);
}

#[test]
fn what_will_be_is_simulated() {
    let stage = stage(&TIMES[..0]);
    stage.backups(["2026-04-01T02:00:00Z", "2026-04-02T02:00:00Z", "2026-04-03T02:00:00Z"]);
    let before = stage.listing("repo");
    let rules = ["--keep-last", "2", "--keep-monthly", "2"];
    let wanted = "\
job demo keeps the last 2, 2 monthly
at 2026-05-03 00:00:00 (UTC), with a backup every 1 day, 29 snapshots more would have been made
snapshot            time (UTC)                    why it is kept
2026-04-30T020000Z  2026-04-30 02:00:00  to come  monthly snapshot
2026-05-01T020000Z  2026-05-01 02:00:00  to come  last snapshot
2026-05-02T020000Z  2026-05-02 02:00:00  to come  last snapshot, monthly snapshot, newest snapshot, newest good \
snapshot

dropped until then  when
2026-04-01T020000Z  2026-05-01 02:00:00
2026-04-02T020000Z  2026-04-04 02:00:00
2026-04-03T020000Z  2026-04-05 02:00:00
3 snapshots would be kept then, 0 of them there now; 3 that are there now are dropped
";
    let at = |args: &[&str]| stage.call_at(AFTER, [&["prune", "-n"], args, &rules[..]].concat()).succeeded();
    let text = at(&["--at", "2026-05-02"]).text();
    // The oldest of all stands for April as well, until there are two months.
    assert_eq!(text, wanted, "{text}");
    let span = at(&["--simulate", "29d"]).text();
    assert!(span.contains("at 2026-05-03 01:00:00 (UTC), with a backup every 1 day, 29 snapshots"), "{span}");
    let json = at(&["--simulate", "12h", "--json"]).json_line("simulation");
    assert_eq!(json["until"], "2026-04-04T13:00:00Z");
    assert_eq!(json["interval_seconds"], 86_400);
    assert_eq!(json["made"], 1);
    let remaining = json["remaining"].as_array().unwrap();
    let simulated: Vec<bool> = remaining.iter().map(|one| one["simulated"] == true).collect();
    assert_eq!(simulated, [false, false, true], "{json}");
    assert_eq!(
        json["gone"],
        serde_json::json!([{"snapshot": "2026-04-02T020000Z", "time": "2026-04-04T02:00:00Z"}])
    );
    assert_eq!(stage.listing("repo"), before);
}

#[test]
fn a_single_snapshot_tells_no_interval() {
    let stage = Stage::with_snapshot();
    let args = ["prune", "-n", "--simulate", "90d", "--keep-last", "1"];
    stage.call_at("2026-04-09T00:00:00Z", args).exited(1).said(&["too few snapshots", "hint: "]);
}

#[test]
fn a_backup_follows_the_rules_of_its_job_and_says_so() {
    let stage = stage(&TIMES);
    configure(&stage, "keep = { last = 4 }");
    let text = stage.call_at(AFTER, ["backup", "--no-prune"]).succeeded().text();
    assert!(!text.contains("pruned"), "{text}");
    assert_eq!(stage.snapshots().len(), 7);
    let (inodes, bytes) = stage.held();
    let text = stage.call_at("2026-04-04T02:00:00Z", ["backup"]).succeeded().text();
    let (after_inodes, after_bytes) = stage.held();
    assert_eq!((bytes - after_bytes, stage.snapshots().len()), (20, 4));
    // The new snapshot has brought its directories, and no file.
    let directories = inodes - after_inodes;
    assert_eq!(directories % 3, 1, "3 less of each directory, and 4 files: {directories}");
    let freed = (directories - 4) / 3 * 4 + 4;
    let wanted = format!(
        "  pruned 4 snapshots (frees 20 B, {freed} inodes): 2026-04-01T020000Z, 2026-04-01T223000Z, \
         2026-04-02T020000Z, 2026-04-02T223000Z"
    );
    assert!(text.lines().any(|line| line == wanted), "{wanted}: {text}");
    let text = stage.call_at("2026-04-04T03:00:00Z", ["backup", "-v"]).succeeded().text();
    assert!(text.contains("\n  built upon a dropped snapshot\n"), "{text}");
    assert!(
        text.contains("\n    2026-04-03T020000Z  2026-04-03 02:00:00  drop  no rule keeps it\n"),
        "{text}"
    );
    let summary =
        stage.call_at("2026-04-04T04:00:00Z", ["backup", "--json"]).succeeded().json_line("summary");
    assert_eq!(names(&summary["pruned"]), ["2026-04-03T223000Z"]);
    assert_eq!(summary["freed_bytes"], 0);
    assert!(summary["freed_inodes"].as_u64().unwrap() > 0);
    assert_eq!(summary["scaffold"], "recycled");
    stage.call(["verify"]).succeeded();
}

#[test]
fn retention_that_cannot_be_followed_is_a_problem_of_the_backup() {
    let stage = stage(&TIMES);
    configure(&stage, "keep = { tag = \"nosuch\" }");
    let called = stage.call_at(AFTER, ["backup"]).exited(3);
    assert!(called.text().contains("would drop every snapshot"), "{called:?}");
    assert_eq!(stage.snapshots().len(), 7, "but it is published");
    let problem = stage.call_at("2026-04-04T02:00:00Z", ["backup", "--json"]).exited(3).json_line("problem");
    assert_eq!(problem["kind"], "retention");
}

#[test]
fn without_recycling_nothing_is_left_of_dropped_snapshots() {
    let retired =
        |stage: &Stage| fs::read_dir(stage.path("repo/demo/.linksnap/retired")).map_or(0, Iterator::count);
    let left = |stage: &Stage| {
        retired(stage) + fs::read_dir(stage.path("repo/demo/.linksnap/trash")).unwrap().count()
    };
    let with = stage(&TIMES);
    with.call_at(AFTER, ["prune", "--keep-last", "1"]).succeeded();
    assert_eq!((retired(&with), left(&with)), (1, 1));
    let flag = stage(&TIMES);
    flag.call_at(AFTER, ["prune", "--keep-last", "1", "--no-recycle"]).succeeded();
    assert_eq!(left(&flag), 0);
    let configured = stage(&TIMES);
    configure(&configured, "keep = { last = 1 }\nrecycle = false");
    configured.call_at(AFTER, ["prune"]).succeeded();
    assert_eq!(left(&configured), 0);
    configured.write("source/other", "changed");
    configured.call_at("2026-04-04T02:00:00Z", ["backup"]).succeeded();
    assert_eq!((left(&configured), configured.snapshots().len()), (0, 1));
    let args = ["backup", "--json"];
    let summary = configured.call_at("2026-04-04T03:00:00Z", args).succeeded().json_line("summary");
    assert_eq!(summary["scaffold"], "empty");
}

#[test]
fn tagged_snapshots_can_be_kept() {
    let stage = Stage::new();
    stage.write("source/file", "x");
    stage.init();
    let tagged = ["backup", "--job", "demo", "source", "--tag", "release", "--tag", "v1"];
    stage.call_at(TIMES[0], tagged).succeeded();
    stage.call_at(TIMES[1], ["backup", "--job", "demo", "source", "--tag", "release"]).succeeded();
    stage.backups([TIMES[2], TIMES[3]]);
    for bad in ["a,b", "a b", ""] {
        let args = ["backup", "--job", "demo", "source", "--tag", bad];
        stage.call_at(TIMES[4], args).exited(2).said(&["commas and blanks"]);
    }
    let json = stage.call(["snapshots", "--json"]).succeeded().json();
    assert_eq!(names(&json[0]["tags"]), ["release", "v1"]);
    let text = stage.call(["snapshots"]).succeeded().text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("tags") && lines[1].ends_with("release,v1"), "{text}");
    let args = ["prune", "--keep-last", "1", "--keep-tag", "release,v1"];
    stage.call_at(AFTER, args).succeeded();
    assert_eq!(stage.snapshots(), ["2026-04-01T020000Z", "2026-04-02T223000Z"]);
}

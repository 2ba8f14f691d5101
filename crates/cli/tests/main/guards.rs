//! Guards as a user meets them: codes, words, and the way out.

use crate::stage::{Called, NAME, Stage};

/// A stage with many files and a snapshot of them.
fn many() -> Stage {
    let stage = Stage::new();
    for number in 0..150 {
        stage.write(format!("source/{number}"), "as ever");
    }
    stage.init();
    stage.backup(crate::stage::NOW).succeeded();
    stage
}

#[test]
fn an_empty_source_is_refused_and_the_way_out_is_said() {
    let stage = Stage::with_snapshot();
    std::fs::remove_dir_all(stage.path("source")).unwrap();
    let refused = stage.backup("2026-04-09T02:00:00Z").exited(12);
    refused.said(&["is not there", "is its disk mounted?", "--accept-change"]);
    std::fs::create_dir(stage.path("source")).unwrap();
    let refused = stage.backup("2026-04-09T02:00:00Z").exited(12);
    refused.said(&["is empty, but the snapshot 2026-04-08T020000Z has entries", "--accept-change"]);
    assert_eq!(stage.snapshots(), [NAME]);
    let line = ["backup", "--job", "demo", "source", "--accept-change"];
    stage.call_at("2026-04-09T02:00:00Z", line).succeeded();
    stage.backup("2026-04-10T02:00:00Z").succeeded();
    assert_eq!(stage.snapshots().len(), 3);
}

#[test]
fn a_mass_change_is_exit_3_with_the_way_out() {
    let stage = many();
    let source = stage.path("source");
    let text = format!("[job.demo]\nsources = [\"{}\"]\nkeep = {{ last = 1 }}\n", source.display());
    stage.write(".config/linksnap/config.toml", text.clone());
    (0..100).for_each(|number| std::fs::remove_file(source.join(number.to_string())).unwrap());
    let called = stage.call_at("2026-04-09T02:00:00Z", ["backup", "--json"]).exited(3);
    let summary = called.json_line("summary");
    assert_eq!((&summary["pinned"], &summary["pruned"]), (&NAME.into(), &serde_json::json!([])));
    let problem = called.json_line("problem");
    assert_eq!(problem["kind"], "mass-change");
    assert_eq!(problem["path"], source.to_str().unwrap());
    let message = problem["message"].as_str().unwrap();
    assert!(
        message.starts_with("100 of 150 entries of the snapshot 2026-04-08T020000Z are gone"),
        "{message}"
    );
    assert!(message.contains(&format!("`linksnap unpin demo/{NAME}`")), "{message}");
    let list = stage.call(["snapshots"]).succeeded().text();
    assert!(list.contains("pinned by itself"), "{list}");
    // The way out that was said.
    stage.call(["unpin", &format!("demo/{NAME}")]).succeeded();
    stage.call_at("2026-04-10T02:00:00Z", ["backup"]).succeeded();
    assert_eq!(stage.snapshots(), ["2026-04-10T020000Z"]);
    // A job of which it is usual says so in its configuration.
    stage.write(".config/linksnap/config.toml", format!("{text}mass-change = \"usual\"\n"));
    for number in 0..150 {
        stage.write(format!("source/{number}"), "all of it is new");
    }
    stage.call_at("2026-04-11T02:00:00Z", ["backup"]).succeeded();
    let explained = stage.call(["jobs", "check"]).succeeded().text();
    assert!(explained.contains("takes it for usual that most of a source is gone or changed"), "{explained}");
    for number in 0..150 {
        stage.write(format!("source/{number}"), "new once more");
    }
    stage.write(".config/linksnap/config.toml", text);
    stage.call_at("2026-04-12T02:00:00Z", ["backup", "--accept-change"]).succeeded();
}

/// A configuration that names repository, job and what else is given.
fn configure(stage: &Stage, more: &str) {
    let (repository, source) = (stage.path("repo"), stage.path("source"));
    let text = format!(
        "repository = \"{}\"\n{more}\n[job.demo]\nsources = [\"{}\"]\n",
        repository.display(),
        source.display()
    );
    stage.write(".config/linksnap/config.toml", text);
}

/// The repository is the configured one, not one that was named.
fn configured(stage: &Stage, args: &[&str]) -> Called {
    Called::of(stage.command(args).env_remove("LINKSNAP_REPO").output().unwrap())
}

fn uuid(stage: &Stage) -> String {
    let marker = std::fs::read_to_string(stage.path("repo/linksnap.toml")).unwrap();
    let line = marker.lines().find(|line| line.starts_with("uuid")).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

#[test]
fn a_disk_that_is_not_mounted_is_exit_10_and_nothing_is_written() {
    let stage = Stage::with_snapshot();
    configure(&stage, "");
    std::fs::rename(stage.path("repo"), stage.path("unmounted")).unwrap();
    let backups: [&[&str]; 2] = [&["backup"], &["prune", "--keep-last", "1"]];
    for args in backups {
        configured(&stage, args).exited(10).said(&["there is no directory", "is the disk mounted?"]);
    }
    // The mount point is there, and nothing in it.
    std::fs::create_dir(stage.path("repo")).unwrap();
    for args in backups {
        configured(&stage, args).exited(10).said(&["no linksnap repository", "is the disk mounted?"]);
    }
    // Who says which repository is meant gets no new one by accident.
    configure(&stage, "repository-uuid = \"00000000-0000-4000-8000-000000000000\"");
    configured(&stage, &["backup", "--init", "--degraded"]).exited(10).said(&["is the disk mounted?"]);
    assert_eq!(std::fs::read_dir(stage.path("repo")).unwrap().count(), 0);
}

#[test]
fn another_disk_is_exit_10_and_nothing_is_written() {
    let stage = Stage::with_snapshot();
    configure(&stage, &format!("repository-uuid = \"{}\"", uuid(&stage)));
    configured(&stage, &["backup"]).succeeded();
    // Under the mount point there is a repository as well, made when nothing was mounted.
    std::fs::rename(stage.path("repo"), stage.path("unmounted")).unwrap();
    stage.init();
    let before = stage.listing("repo");
    let calls: [&[&str]; 6] = [
        &["backup"],
        &["backup", "-n"],
        &["prune", "--keep-last", "1"],
        &["snapshots"],
        &["restore", "latest", "--target", "restored"],
        &["init", "--moved"],
    ];
    for args in calls {
        let called = configured(&stage, args).exited(10);
        called.said(&["holds another repository", &uuid(&stage), "Is the right disk mounted?"]);
    }
    let explained = configured(&stage, &["jobs", "check"]).text();
    assert!(explained.contains("holds another repository"), "{explained}");
    assert_eq!(stage.listing("repo"), before);
    // Disks that are used in turns.
    let known = [uuid(&stage), "00000000-0000-4000-8000-000000000000".to_owned()];
    configure(&stage, &format!("repository-uuid = {known:?}"));
    configured(&stage, &["backup"]).succeeded();
    for wrong in ["\"here\"", "[]", "7"] {
        configure(&stage, &format!("repository-uuid = {wrong}"));
        configured(&stage, &["backup"]).exited(2).said(&["config.toml:2"]);
    }
}

#[test]
fn a_copy_of_a_repository_is_exit_10_until_that_is_accepted() {
    let stage = Stage::with_snapshot();
    std::fs::rename(stage.path("repo"), stage.path("original")).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([stage.path("original"), stage.path("repo")])
        .status();
    assert!(copied.unwrap().success());
    let marker = std::fs::read_to_string(stage.path("repo/linksnap.toml")).unwrap();
    if !marker.contains("home = ") {
        return; // A filesystem that does not tell one directory from another.
    }
    let before = stage.listing("repo");
    let calls: [&[&str]; 5] = [
        &["backup", "--job", "demo", "source"],
        &["backup", "--job", "new", "source"],
        &["prune", "--job", "demo", "--keep-last", "1"],
        &["pin", "latest"],
        &["delete", "--yes", "latest"],
    ];
    for args in calls {
        stage.call(args).exited(10).said(&[
            "is a copy",
            "Is the right disk mounted?",
            "linksnap init --moved --repo",
        ]);
    }
    assert_eq!(stage.listing("repo"), before);
    // Whoever restores wants to restore.
    stage.call(["restore", "latest", "--target", "restored"]).succeeded();
    stage.call(["verify"]).succeeded();
    let said = stage.call(["init", "--moved"]).succeeded().text();
    assert!(said.contains("accepted where it is") && said.contains("hard links"), "{said}");
    let accepted = std::fs::read_to_string(stage.path("repo/linksnap.toml")).unwrap();
    assert_ne!(accepted, marker);
    stage.backup("2026-04-09T02:00:00Z").succeeded();
    stage.call(["verify"]).succeeded();
    // The original knows nothing of it, and a rename on the same filesystem is no move.
    std::fs::rename(stage.path("repo"), stage.path("copy")).unwrap();
    std::fs::rename(stage.path("original"), stage.path("repo")).unwrap();
    stage.backup("2026-04-09T03:00:00Z").succeeded();
}

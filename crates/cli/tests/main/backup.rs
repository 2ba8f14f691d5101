//! What `backup` does and says.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use linksnap_testkit::program;

use crate::stage::{Called, NAME, NOW, Stage};

const LATER: &str = "2026-04-09T02:00:00Z";
const LATER_NAME: &str = "2026-04-09T020000Z";

#[test]
fn the_first_run_says_what_it_took_and_where_it_is() {
    let stage = Stage::new();
    stage.write("source/a", "12345");
    stage.write("source/b", "678");
    let text = stage.call(["backup", "--init", "--degraded", "--job", "demo", "source"]).succeeded().text();
    for part in [
        "made the repository",
        &format!("first snapshot {NAME} of job demo"),
        "2 files",
        "copied 2 files, 8 B of 8 B",
        &stage.path("repo/demo").join(NAME).to_string_lossy(),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(fs::read(stage.in_snapshot(NAME, "a")).unwrap(), b"12345");
    assert_eq!(fs::read_link(stage.path("repo/demo/latest")).unwrap().to_str(), Some(NAME));
}

#[test]
fn the_next_run_counts_changes_and_links_the_rest() {
    let stage = Stage::with_snapshot();
    stage.write("source/new", "new");
    stage.write("source/a.txt", "changed");
    fs::remove_file(stage.path("source/link")).unwrap();
    let text = stage.backup(LATER).succeeded().text();
    // How many changed depends on others: the directories above count, and /tmp is not ours alone.
    assert!(text.contains("new 1, changed ") && text.contains(", removed 1, "), "{text}");
    assert!(text.contains("copied 2 files, 10 B"), "{text}");
    let inode = |name| stage.in_snapshot(name, "sub/b.txt").metadata().unwrap().ino();
    assert_eq!(inode(NAME), inode(LATER_NAME));
}

#[test]
fn the_json_summary_has_its_fields() {
    let stage = Stage::with_snapshot();
    let summary = stage
        .call_at(LATER, ["backup", "--json", "--job", "demo", "source"])
        .succeeded()
        .json_line("summary");
    let fields = [
        "type",
        "job",
        "snapshot",
        "path",
        "basis",
        "scaffold",
        "files",
        "directories",
        "symlinks",
        "specials",
        "added",
        "changed",
        "unchanged",
        "reused",
        "moved",
        "removed",
        "kept_entries",
        "linked_entries",
        "copied_files",
        "copied_bytes",
        "cloned_files",
        "cloned_bytes",
        "attribute_changes",
        "attribute_bytes",
        "source_bytes",
        "problems",
        "warnings",
        "pruned",
        "elapsed_seconds",
    ];
    for field in fields {
        assert!(summary.get(field).is_some(), "{field}: {summary}");
    }
    assert_eq!(summary["snapshot"], LATER_NAME);
    assert_eq!(summary["basis"], NAME);
    assert_eq!(summary["scaffold"], "empty");
    assert_eq!(summary["copied_files"], 0);
    assert_eq!(summary["files"], 2);
}

#[test]
fn a_dry_run_writes_nothing() {
    let stage = Stage::with_snapshot();
    stage.write("source/new", "new");
    let before = stage.listing("repo");
    let text = stage.call_at(LATER, ["backup", "-n", "--job", "demo", "source"]).succeeded().text();
    assert!(text.contains("dry run") && text.contains("new 1, "), "{text}");
    assert!(!text.contains("source/new"), "steps only with -v: {text}");
    let text = stage.call_at(LATER, ["backup", "-nv", "--job", "demo", "source"]).succeeded().text();
    let step = format!("copy    {}  (new)", stage.path("source/new").display());
    assert!(text.lines().any(|line| line == step), "{text}");
    assert_eq!(stage.listing("repo"), before);
}

#[test]
fn a_dry_run_makes_no_repository() {
    let stage = Stage::new();
    stage.call(["backup", "-n", "--init", "--job", "demo", "source"]).succeeded();
    assert!(!stage.path("repo").exists());
}

#[test]
fn without_a_name_the_job_is_the_host() {
    let stage = Stage::new();
    stage.init();
    let summary = stage.call(["backup", "--json", "./source"]);
    if summary.code == Some(2) {
        // The host has a name that no job can have: then that is said.
        summary.said(&["--job"]);
        return;
    }
    let job = summary.succeeded().json_line("summary")["job"].as_str().unwrap().to_owned();
    assert!(stage.path("repo").join(job).join("latest").is_dir());
}

#[test]
fn several_sources_files_and_links_are_taken_as_they_are_named() {
    let stage = Stage::new();
    stage.write("source/a/one", "1");
    stage.write("source/b/two", "2");
    stage.write("source/b/other", "3");
    symlink("a", stage.path("source/link")).unwrap();
    stage.init();
    let args = ["backup", "--job", "demo", "source/a", "source/b/two", "source/link", "source/./a/"];
    stage.call(args).succeeded();
    assert!(stage.in_snapshot(NAME, "a/one").is_file());
    assert!(stage.in_snapshot(NAME, "b/two").is_file());
    assert!(!stage.in_snapshot(NAME, "b/other").exists());
    assert!(stage.in_snapshot(NAME, "link").is_symlink(), "not what it leads to");
}

#[test]
fn rules_of_the_command_line_leave_out() {
    let stage = Stage::new();
    stage.write("source/keep", "1");
    stage.write("source/x.tmp", "1");
    stage.write("source/large", vec![0; 2048]);
    stage.write("source/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55");
    stage.write("source/cache/x", "1");
    stage.write("source/no/.nobackup", "");
    stage.write("source/no/x", "1");
    stage.init();
    let args = [
        "backup",
        "--job",
        "demo",
        "source",
        "--exclude",
        "*.tmp",
        "--exclude-larger-than",
        "1K",
        "--exclude-caches",
        "--exclude-if-present",
        ".nobackup",
    ];
    let text = stage.call(args).succeeded().text();
    assert!(text.contains("left out by the rules"), "{text}");
    assert!(stage.in_snapshot(NAME, "keep").is_file());
    for gone in ["x.tmp", "large", "cache/x", "no/x"] {
        assert!(!stage.in_snapshot(NAME, gone).exists(), "{gone}");
    }
}

#[test]
fn quiet_says_nothing_when_all_is_well() {
    let stage = Stage::with_snapshot();
    let called = stage.call_at(LATER, ["backup", "-q", "--job", "demo", "source"]).succeeded();
    assert_eq!((called.text().as_str(), called.stderr.as_str()), ("", ""));
}

#[test]
fn an_unreadable_file_is_a_problem_that_is_said_twice_and_code_3() {
    let stage = Stage::new();
    stage.write("source/good", "1");
    stage.write("source/bad", "2");
    // Root reads everything: so this runs as nobody, on a stage that is nobody's, with a copy of the binary that nobody
    // can reach.
    let nobody = 65534;
    let is_root = stage.path("source").metadata().unwrap().uid() == 0;
    if is_root {
        std::os::unix::fs::chown(stage.path(""), Some(nobody), Some(nobody)).unwrap();
        std::os::unix::fs::chown(stage.path("source"), Some(nobody), Some(nobody)).unwrap();
    }
    let set_mode = |path: &str, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(stage.path(path), mode).unwrap();
    };
    set_mode("source/bad", 0o000);
    program::install(env!("CARGO_BIN_EXE_linksnap"), stage.path("linksnap"));
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(stage.path("linksnap"));
        command.args(args).env_clear().env("LINKSNAP_NOW", NOW).current_dir(stage.path(""));
        if is_root {
            std::os::unix::process::CommandExt::uid(&mut command, nobody);
            std::os::unix::process::CommandExt::gid(&mut command, nobody);
        }
        Called::of(command.output().unwrap())
    };
    let args = ["backup", "--init", "--degraded", "--repo", "repo", "--job", "demo", "source"];
    let called = run(&args).exited(3);
    let bad = stage.path("source/bad");
    let bad = bad.to_str().unwrap();
    assert!(called.stderr.contains(&format!("problem: {bad}: ")), "{called:?}");
    let text = called.text();
    assert!(text.contains("  1 problem:\n") && text.contains(&format!("    {bad}: ")), "{text}");
    assert!(stage.in_snapshot(NAME, "good").is_file(), "one bad file is no failed night");
    let json = run(&["snapshots", "--json", "--repo", "repo"]).succeeded().json();
    assert_eq!(json[0]["problems"], 1);
}

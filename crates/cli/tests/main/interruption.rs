//! Signals: the run ends in order, and the next one goes on.

use std::process::{Command, Stdio};

use crate::stage::{Called, Stage};

/// Backs up many files, and sends a signal once files are being copied.
fn interrupted(stage: &Stage, signal: &str) -> Called {
    for number in 0..4000 {
        stage.write(format!("source/{}/{number}", number % 50), number.to_string());
    }
    stage.init();
    // The sources lie some directories deep: when the first is in staging, the run has begun, and is far from its end.
    let staging = stage.path("repo/demo/.linksnap/staging");
    let has_begun = || std::fs::read_dir(&staging).map_or(0, Iterator::count) > 0;
    signalled(stage.command(["backup", "--job", "demo", "source"]), signal, has_begun)
}

/// Sends a signal once the command has begun.
fn signalled(mut command: Command, signal: &str, has_begun: impl Fn() -> bool) -> Called {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !has_begun() {
        std::thread::yield_now();
    }
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", child.id())).status();
    assert!(sent.unwrap().success());
    Called::of(child.wait_with_output().unwrap())
}

#[test]
fn a_signal_ends_the_run_in_order_and_the_next_run_finishes() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let stage = Stage::new();
        interrupted(&stage, signal).exited(code).said(&["interrupted"]);
        assert!(!stage.path("repo/demo/latest").exists(), "nothing half-made is published");
        let text = stage.backup("2026-04-08T03:00:00Z").succeeded().text();
        assert!(text.contains("went on where an interrupted run had stopped"), "{text}");
        assert!(text.contains("4,000 files"), "{text}");
        stage.call(["verify"]).succeeded();
    }
}

#[test]
fn a_signal_while_trash_is_emptied_leaves_the_rest_to_the_next_run() {
    let deeds: [&[&str]; 2] =
        [&["prune", "--keep-last", "1"], &["delete", "--yes", "oldest", "latest~3", "latest~2", "latest~1"]];
    for (deed, (signal, code)) in deeds.into_iter().zip([("INT", 130), ("TERM", 143)]) {
        let stage = Stage::new();
        for number in 0..3000 {
            stage.write(format!("source/{}/{number}", number % 50), number.to_string());
        }
        stage.init();
        for day in 4..9 {
            stage.backup(&format!("2026-04-0{day}T01:00:00Z")).succeeded();
        }
        // Out of the history, but thousands of names are still to go.
        let oldest = stage.path("repo/demo/2026-04-04T010000Z");
        let called = signalled(stage.command(deed), signal, || !oldest.exists());
        called.exited(code).said(&["interrupted; ", "deleted by the next run or prune"]);
        assert_eq!(stage.snapshots(), ["2026-04-08T010000Z"]);
        stage.backup("2026-04-08T03:00:00Z").succeeded();
        assert_eq!(std::fs::read_dir(stage.path("repo/demo/.linksnap/trash")).unwrap().count(), 0);
        stage.call(["du", "--verify"]).succeeded();
        stage.call(["verify"]).succeeded();
    }
}

#[test]
fn a_signal_after_the_snapshot_is_published_is_no_failure() {
    let stage = Stage::new();
    for number in 0..3000 {
        stage.write(format!("source/{}/{number}", number % 50), number.to_string());
    }
    let source = stage.path("source");
    let text = format!("[job.demo]\nsources = [\"{}\"]\nkeep = {{ last = 1 }}\n", source.display());
    stage.write(".config/linksnap/config.toml", text);
    stage.init();
    for day in 4..8 {
        let now = format!("2026-04-0{day}T01:00:00Z");
        stage.call_at(&now, ["backup", "--no-prune"]).succeeded();
    }
    let oldest = stage.path("repo/demo/2026-04-04T010000Z");
    let text = signalled(stage.command(["backup"]), "INT", || !oldest.exists()).succeeded().text();
    assert!(text.contains("pruned 4 snapshots"), "{text}");
    assert_eq!(stage.snapshots(), [crate::stage::NAME]);
    stage.backup("2026-04-08T03:00:00Z").succeeded();
    stage.call(["du", "--verify"]).succeeded();
}

#[test]
fn a_signal_ends_the_copying_of_one_huge_file() {
    const MIB: usize = 1 << 20;
    let stage = Stage::new();
    let mut huge = std::fs::File::create(stage.path("source/huge")).unwrap();
    let piece = vec![7; MIB];
    (0..512).for_each(|_| std::io::Write::write_all(&mut huge, &piece).unwrap());
    drop(huge);
    stage.init();
    let staged =
        stage.path("repo/demo/.linksnap/staging").join(stage.path("source/huge").strip_prefix("/").unwrap());
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let has_begun = || staged.metadata().is_ok_and(|stat| stat.len() > 8 * MIB as u64);
        let command = stage.command(["backup", "--job", "demo", "source"]);
        signalled(command, signal, has_begun).exited(code).said(&["interrupted"]);
        assert!(!staged.exists(), "a file is whole or not there");
        assert_eq!(stage.snapshots(), [""; 0]);
    }
}

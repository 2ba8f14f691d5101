//! Signals: the run ends in order, and the next one goes on.

use std::process::{Command, Stdio};

use crate::stage::{Called, Stage};

/// Backs up many files, and sends a signal once files are being copied.
fn interrupted(stage: &Stage, signal: &str) -> Called {
    for number in 0..4000 {
        stage.write(format!("source/{}/{number}", number % 50), number.to_string());
    }
    stage.init();
    let mut command = stage.command(["backup", "--job", "demo", "source"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The sources lie some directories deep: when the first is in staging, the run has begun, and is far from its end.
    let staging = stage.path("repo/demo/.linksnap/staging");
    while std::fs::read_dir(&staging).map_or(0, Iterator::count) == 0 {
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

//! Readers that go away, and outputs that cannot be written.

use std::fs::File;
use std::process::Stdio;

use crate::stage::{Called, NAME, Stage};

/// Runs the binary with a standard output that nobody reads.
fn unread(stage: &Stage, args: &[&str]) -> Called {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Called::of(stage.command(args).stdout(writer).output().unwrap())
}

#[test]
fn a_closed_pipe_is_success() {
    let stage = Stage::with_snapshot();
    for args in [&["ls"][..], &["ls", "--json"], &["snapshots"], &["--help"], &["jobs", "list"], &["verify"]]
    {
        let called = unread(&stage, args).succeeded();
        assert_eq!(called.stderr, "", "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_backup() {
    let stage = Stage::new();
    stage.write("source/a", "a");
    stage.init();
    unread(&stage, &["backup", "--json", "--job", "demo", "source"]).succeeded();
    assert!(stage.in_snapshot(NAME, "a").is_file());
}

#[test]
fn a_closed_standard_error_is_nobodys_concern() {
    let stage = Stage::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = stage.command(["snapshots"]).stderr(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(10));
}

#[test]
fn a_result_that_cannot_be_written_is_a_problem() {
    let stage = Stage::with_snapshot();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = stage.command(["ls"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    Called::of(output).exited(3).said(&["standard output", "No space left"]);
}

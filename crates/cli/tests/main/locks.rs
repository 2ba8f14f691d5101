//! Locks: one command at a time writes to a job, others wait if they are told to, readers never do.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::stage::{Called, Stage};

/// Somebody at work on the job `demo`.
fn hold(stage: &Stage) -> File {
    let lock = File::options().read(true).write(true).open(stage.path("repo/demo/.linksnap/lock")).unwrap();
    lock.lock().unwrap();
    lock
}

const WRITERS: [&[&str]; 5] = [
    &["backup", "--job", "demo", "source"],
    &["prune", "--job", "demo", "--keep-last", "3"],
    &["pin", "latest"],
    &["unpin", "latest"],
    &["delete", "--yes", "oldest"],
];

#[test]
fn a_second_writer_is_refused_at_once_and_readers_never_wait() {
    let stage = Stage::with_snapshot();
    stage.backup("2026-04-08T03:00:00Z").succeeded();
    let before = stage.snapshots();
    let lock = hold(&stage);
    for writer in WRITERS {
        stage
            .call(writer)
            .exited(11)
            .said(&["another process is at work on the job demo: linksnap backup, process", "--wait"]);
        let no_time = [writer, &["--wait", "0"]].concat();
        stage.call(no_time).exited(11);
    }
    for reader in [&["snapshots"][..], &["ls", "latest"], &["verify"], &["du"], &["jobs", "list"]] {
        stage.call(reader).succeeded();
    }
    stage.call(["restore", "latest", "--target", "restored"]).succeeded();
    // A dry run reads.
    stage.call(["backup", "-n", "--job", "demo", "source"]).succeeded();
    // Another job of the same repository is no concern of this one.
    stage.call(["backup", "--job", "other", "source"]).succeeded();
    assert_eq!(stage.snapshots(), before);
    drop(lock);
    stage.call(WRITERS[0]).succeeded();
}

#[test]
fn a_writer_that_may_wait_goes_on_when_the_job_is_free() {
    let stage = Stage::with_snapshot();
    for hour in 3..5 {
        stage.backup(&format!("2026-04-08T0{hour}:00:00Z")).succeeded();
    }
    for writer in WRITERS {
        let lock = hold(&stage);
        let mut command = stage.command([writer, &["--wait", "10m"]].concat());
        command.env("LINKSNAP_NOW", "2026-04-08T06:00:00Z").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.contains("at work on the job demo") && line.contains("waiting"), "{line}");
        drop(lock);
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), rest.as_str()), (Some(0), ""), "{writer:?}");
    }
}

#[test]
fn waiting_ends() {
    let stage = Stage::with_snapshot();
    let _lock = hold(&stage);
    stage
        .call([WRITERS[0], &["--wait", "1s"]].concat())
        .exited(11)
        .said(&["waiting", "error: another process"]);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut command = stage.command([WRITERS[0], &["--wait", "10m"]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 1];
        child.stderr.as_mut().unwrap().read_exact(&mut first).unwrap();
        let kill = format!("kill -{signal} {}", child.id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        Called::of(child.wait_with_output().unwrap()).exited(code).said(&["nothing was done"]);
    }
    assert_eq!(stage.snapshots().len(), 1);
}

#[test]
fn a_lock_dies_with_its_process() {
    let stage = Stage::new();
    for number in 0..4000 {
        stage.write(format!("source/{}/{number}", number % 50), number.to_string());
    }
    stage.init();
    let mut child = stage.command(WRITERS[0]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let staging = stage.path("repo/demo/.linksnap/staging");
    while std::fs::read_dir(&staging).map_or(0, Iterator::count) == 0 {
        std::thread::yield_now();
    }
    stage.call(WRITERS[0]).exited(11).said(&[&format!("process {}", child.id())]);
    child.kill().unwrap();
    child.wait().unwrap();
    stage.backup("2026-04-08T03:00:00Z").succeeded();
    assert_eq!(stage.snapshots().len(), 1);
}

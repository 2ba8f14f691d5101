//! Verbs are confined to what they are about.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use linksnap_testkit::{needs_kernel, skip_unless};

use crate::stage::{Called, NAME, Stage};

/// A job whose catalog somebody has replaced by a link to a file outside the repository; that file's directory.
fn with_catalog_outside() -> (Stage, PathBuf) {
    let stage = Stage::with_snapshot();
    stage.write("source/a.txt", "other");
    stage.backup("2026-04-09T02:00:00Z").succeeded();
    stage.write("source/a.txt", "another");
    let outside = stage.path("outside");
    fs::create_dir(&outside).unwrap();
    let catalog = stage.path("repo/demo/.linksnap/catalog.db");
    fs::rename(&catalog, outside.join("catalog.db")).unwrap();
    symlink(outside.join("catalog.db"), catalog).unwrap();
    (stage, outside)
}

fn calls(stage: &Stage, verbs: &[&[&str]], code: i32) {
    for verb in verbs {
        let outside = || {
            let bytes = fs::read(stage.path("outside/catalog.db")).unwrap();
            (stage.listing("outside"), bytes)
        };
        let before = outside();
        let called = stage.call_at("2026-04-10T02:00:00Z", *verb);
        assert!(before == outside(), "{verb:?} wrote outside: {called:?}");
        called.exited(code);
    }
}

#[test]
fn no_writing_verb_writes_outside_the_repository() {
    needs_kernel!(has_landlock(), "Landlock");
    let (stage, _) = with_catalog_outside();
    let verbs: &[&[&str]] = &[
        &["backup", "--job", "demo", "source"],
        &["prune", "demo", "--keep-last", "1"],
        &["delete", NAME, "--yes"],
        &["pin", NAME],
        &["unpin", NAME],
        &["du", "--verify"],
    ];
    calls(&stage, verbs, 1);
    assert_eq!(stage.snapshots().len(), 2, "nothing is deleted because a catalog cannot be written");
}

#[test]
fn no_reading_verb_writes_outside_the_catalogs() {
    needs_kernel!(has_landlock(), "Landlock");
    let (stage, _) = with_catalog_outside();
    // If it were missing, everything beside it could be written until it is made.
    fs::create_dir(stage.path("there")).unwrap();
    let verbs: &[&[&str]] = &[
        &["snapshots"],
        &["ls"],
        &["verify"],
        &["du"],
        &["du", "--history"],
        &["du", "--if-deleted", NAME],
        &["du", "--if-pruned", "--keep-last", "1"],
        &["prune", "demo", "--keep-last", "1", "-n"],
        &["delete", NAME, "-n"],
        &["pin", NAME, "-n"],
        &["restore", "latest", "--target", "there"],
        &["restore", "latest", "--target", "elsewhere", "-n"],
        &["backup", "--job", "demo", "source", "-n"],
    ];
    calls(&stage, verbs, 0);
    assert!(fs::read_dir(stage.path("there")).unwrap().count() > 0 && !stage.path("elsewhere").exists());
}

#[test]
fn what_holds_is_said_to_those_who_ask() {
    needs_kernel!(has_landlock(), "Landlock");
    let stage = Stage::with_snapshot();
    let said = "confined: nothing can be written elsewhere";
    let called = stage.call(["-v", "verify"]).succeeded().said(&[said]);
    assert_eq!(called.stderr.matches("confined").count(), 1);
    assert_eq!(stage.call(["verify"]).succeeded().stderr.matches("confined").count(), 0);
}

#[test]
fn a_kernel_without_landlock_is_said_and_no_obstacle() {
    skip_unless!(linksnap_testkit::skip::has_tool("strace"), "needs strace");
    let stage = Stage::with_snapshot();
    stage.write("source/new", "new");
    for errno in ["ENOSYS", "EOPNOTSUPP"] {
        let verb = ["backup", "--job", "demo", "source"];
        without_landlock(&stage, errno, &verb).succeeded().said(&["not confined", "Landlock"]);
        let quiet = without_landlock(&stage, errno, &["verify", "-q"]).succeeded();
        assert!(!quiet.stderr.contains("confined"), "{quiet:?}");
    }
    stage.call(["verify"]).succeeded();
}

/// Calls the binary on a kernel that answers so to whoever asks for Landlock.
fn without_landlock(stage: &Stage, errno: &str, args: &[&str]) -> Called {
    let plain = stage.command(args);
    let inject = format!("inject=landlock_create_ruleset:error={errno}");
    let log = stage.path("strace.log");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-e", "trace=landlock_create_ruleset", "-e", &inject, "-o"]).arg(log);
    traced.arg(plain.get_program()).args(plain.get_args()).current_dir(plain.get_current_dir().unwrap());
    traced.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    // The clock is that of the next day: the snapshots of before have names already.
    let own = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
    traced
        .envs(own)
        .env("LINKSNAP_NOW", if errno == "ENOSYS" { "2026-04-11T02:00:00Z" } else { "2026-04-12T02:00:00Z" });
    Called::of(traced.output().unwrap())
}

/// The control: what the kernel refuses here, it allows without a sandbox.
fn has_landlock() -> bool {
    let stage = Stage::with_snapshot();
    stage.call(["-v", "snapshots"]).stderr.contains("confined: nothing")
}

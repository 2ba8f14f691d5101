//! `deleted`: what is shown of files without a name, and truncating them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use linksnap_testkit::program;
use linksnap_testkit::skip::is_root;
use linksnap_testkit::skip_unless;

use crate::stage::{Called, Stage};

/// A shell that has deleted files which it holds, and waits; it is ended when dropped.
struct Holder(Child);

impl Holder {
    fn new(stage: &Stage, script: &str) -> Self {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{script}\necho ready; read wait")).current_dir(stage.path(""));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }

    fn target(&self, fd: u32) -> String {
        format!("{}:{fd}", self.0.id())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // The test may be failing already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn holding(stage: &Stage) -> Holder {
    Holder::new(stage, "exec 5>big.log 6>named; head -c 200000 /dev/zero >&5; rm big.log")
}

/// The files that a process holds.
fn files(stage: &Stage, holder: &Holder) -> Vec<serde_json::Value> {
    let json = stage.call(["deleted", "--json"]).succeeded().json();
    let is_its = |file: &&serde_json::Value| {
        file["holders"].as_array().unwrap().iter().any(|one| one["pid"] == holder.0.id())
    };
    json["files"].as_array().unwrap().iter().filter(is_its).cloned().collect()
}

#[test]
fn a_deleted_file_is_shown_with_who_holds_it_and_what_frees_it() {
    let stage = Stage::new();
    let holder = holding(&stage);
    let text = stage.call(["deleted"]).succeeded().text();
    let path = stage.path("big.log").display().to_string();
    let line = text.lines().find(|line| line.ends_with(&path)).unwrap_or_else(|| panic!("{text}"));
    let fields: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(fields[2], format!("sh[{}]", holder.0.id()));
    assert_eq!(fields[3], "5");
    assert!(text.starts_with(" ") || text.starts_with("size"), "{text}");
    assert!(text.contains("\nto free them:\n"), "{text}");
    assert!(!text.contains("named"), "{text}");
    let file = &files(&stage, &holder)[0];
    assert_eq!(
        (&file["path"], &file["size"], &file["kind"]),
        (&path.into(), &200_000.into(), &"file".into())
    );
    assert!(file["bytes"].as_u64().unwrap() >= 200_000, "{file}");
    assert_eq!(
        (&file["holders"][0]["fds"], &file["holders"][0]["command"]),
        (&serde_json::json!([5]), &"sh".into())
    );
    assert_ne!(file["deleted"].is_null(), file["deleted_before"].is_null(), "{file}");
}

#[test]
fn truncating_is_shown_asked_for_and_done() {
    let stage = Stage::new();
    let holder = holding(&stage);
    let target = holder.target(5);
    let size = || files(&stage, &holder)[0]["size"].as_u64().unwrap();
    let text = stage.call(["deleted", "--truncate", &target, "-n"]).succeeded().text();
    assert!(text.starts_with(&format!("dry run: truncating {target} frees ")), "{text}");
    assert!(text.contains("big.log, held by sh["), "{text}");
    assert!(text.contains("\n  it goes on at byte 200,000: what is before will be a hole"), "{text}");
    stage.call(["deleted", "--truncate", &target]).exited(2).said(&["no terminal to ask at", "--yes"]);
    assert_eq!(size(), 200_000);
    let text =
        stage.call(["deleted", "--truncate", &target, "--truncate", &target, "--yes"]).succeeded().text();
    assert_eq!(text.matches("truncated ").count(), 1, "{text}");
    assert_eq!(size(), 0);
    let json = stage.call(["deleted", "--truncate", &target, "--yes", "--json"]).succeeded().json();
    assert_eq!((&json[0]["fd"], &json[0]["freed_bytes"]), (&5.into(), &0.into()));
}

#[test]
fn what_has_a_name_is_refused_and_nothing_else_is_touched_then() {
    let stage = Stage::new();
    let holder = holding(&stage);
    let (good, named) = (holder.target(5), holder.target(6));
    stage
        .call(["deleted", "--truncate", &good, "--truncate", &named, "--yes"])
        .exited(12)
        .said(&["is not a deleted file: it has a name", "hint: "]);
    assert_eq!(files(&stage, &holder)[0]["size"], 200_000);
    stage.call(["deleted", "--truncate", &holder.target(77), "--yes"]).exited(1).said(&["nothing open"]);
    for wrong in ["812", "812:", ":7", "a:b", "-1:2"] {
        stage.call(["deleted", &format!("--truncate={wrong}")]).exited(2).said(&["like 812:7"]);
    }
    stage.call(["deleted", "--yes"]).exited(2);
}

/// The program where an ordinary user gets to.
fn program_for_everybody() -> tempfile::TempDir {
    let everybody: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let elsewhere = tempfile::Builder::new().permissions(everybody).tempdir().unwrap();
    program::install(env!("CARGO_BIN_EXE_linksnap"), elsewhere.path().join("linksnap"));
    elsewhere
}

#[test]
fn an_ordinary_user_is_told_what_he_cannot_see() {
    skip_unless!(is_root(), "becoming another user needs root");
    let stage = Stage::new();
    let holder = holding(&stage);
    // The program may lie where only root gets to.
    let elsewhere = program_for_everybody();
    let program = elsewhere.path().join("linksnap");
    let run = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).env_clear().current_dir("/").uid(65_534).gid(65_534);
        Called::of(command.output().unwrap())
    };
    let called =
        run(&["deleted"]).succeeded().said(&["of other users could not be looked into; run as root"]);
    assert!(!called.text().contains("big.log"), "{called:?}");
    let json = run(&["deleted", "--json"]).succeeded().json();
    assert!(json["unseen_processes"].as_u64().unwrap() >= 1 && json["processes_hidden"] == false, "{json}");
    let program = program.to_str().unwrap();
    let text = run(&["inode", program]).succeeded().text();
    assert!(text.contains("of other users could not be looked into; run as root"), "{text}");
    let json = run(&["inode", "--json", program]).succeeded().json();
    assert!(json[0]["removal"]["unseen_processes"].as_u64().unwrap() >= 1, "{json}");
    run(&["deleted", "--truncate", &holder.target(5), "--yes"])
        .exited(1)
        .said(&["belongs to somebody else", "as root"]);
    assert_eq!(files(&stage, &holder)[0]["size"], 200_000);
}

#[test]
fn processes_that_can_be_listed_and_not_looked_into_are_not_taken_for_seen() {
    skip_unless!(is_root(), "giving up a capability needs root");
    let stage = Stage::new();
    let holder = holding(&stage);
    // Root in a container: it may list what others have open, but not follow those links.
    let run = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args([
            "--bounding-set=-sys_ptrace",
            "--inh-caps=-sys_ptrace",
            env!("CARGO_BIN_EXE_linksnap"),
        ]);
        Called::of(command.args(args).env_clear().env("PATH", "/usr/bin:/bin").output().unwrap())
    };
    assert!(std::fs::read_dir(format!("/proc/{}/fd", holder.0.id())).is_ok());
    let called = run(&["deleted"]).succeeded().said(&["could not be looked into, not even by root here"]);
    assert!(!called.text().contains("big.log"), "{called:?}");
    let json = run(&["deleted", "--json"]).succeeded().json();
    assert!(json["unseen_processes"].as_u64().unwrap() >= 1, "{json}");
    let named = stage.path("named");
    let text = run(&["inode", named.to_str().unwrap()]).succeeded().text();
    assert!(text.contains("could not be looked into, not even by root here"), "{text}");
    run(&["deleted", "--truncate", &holder.target(5), "--yes"]).exited(1);
    assert_eq!(files(&stage, &holder)[0]["size"], 200_000);
}

#[test]
fn processes_that_are_hidden_are_told_of() {
    skip_unless!(is_root(), "mounting /proc needs root");
    let elsewhere = program_for_everybody();
    let program = elsewhere.path().join("linksnap").display().to_string();
    let run = |args: &str| {
        let mount = "mount -t proc -o hidepid=invisible proc /proc";
        let become_user = "exec setpriv --reuid=65534 --regid=65534 --clear-groups";
        let script = format!("{mount} && {become_user} {program} {args}");
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", &script])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        Called::of(command.output().unwrap())
    };
    let hidden = "processes of other users are hidden in /proc here (hidepid); run as root";
    run("deleted").succeeded().said(&[hidden]);
    assert_eq!(run("deleted --json").succeeded().json()["processes_hidden"], true);
    let text = run(&format!("inode {program}")).succeeded().text();
    assert!(text.contains(hidden), "{text}");
    let json = run(&format!("inode --json {program}")).succeeded().json();
    assert_eq!(json[0]["removal"]["processes_hidden"], true);
}

#[test]
fn evil_names_are_harmless() {
    let stage = Stage::new();
    let _holder = Holder::new(&stage, "exec 5>\"$(printf 'a\\nhint: \\033[2J')\"; rm a*");
    let text = stage.call(["deleted"]).succeeded().text();
    assert!(text.contains(r"a\nhint: "), "{text:?}");
    assert!(!text.contains("\nhint: "), "{text:?}");
}

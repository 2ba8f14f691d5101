//! `ln`: what it makes, what it asks, and what it says.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use linksnap_testkit::skip::has_tool;
use linksnap_testkit::skip_unless;

use crate::stage::{Called, Stage};

fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("file", "content");
    stage.write("other", "other");
    stage.write("releases/2/index.html", "x");
    symlink("releases/1", stage.path("current")).unwrap();
    stage
}

fn text_of(stage: &Stage, link: &str) -> PathBuf {
    fs::read_link(stage.path(link)).unwrap()
}

/// Runs `ln` with a terminal, on which `answer` is typed.
fn at_a_terminal(stage: &Stage, args: &str, answer: &str) -> Called {
    let mut command = Command::new("script");
    let line = format!("{} ln --color=never {args}", env!("CARGO_BIN_EXE_linksnap"));
    command.args(["-qefc", &line, "/dev/null"]).current_dir(stage.path("")).env_clear();
    command.env("TERM", "xterm").env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), answer.as_bytes()).unwrap();
    Called::of(child.wait_with_output().unwrap())
}

#[test]
fn links_are_made_and_said() {
    let stage = stage();
    let call = |args: &[&str]| stage.call([&["ln"], args].concat()).succeeded().text();
    assert_eq!(call(&["file", "hard"]), "hard is now a name of file\n");
    assert_eq!(fs::metadata(stage.path("hard")).unwrap().nlink(), 2);
    assert_eq!(call(&["-s", "file", "soft"]), "soft is now a link to file\n");
    assert_eq!(call(&["--relative", "file", "releases/2/up"]), "releases/2/up is now a link to ../../file\n");
    assert_eq!(text_of(&stage, "releases/2/up").to_str(), Some("../../file"));
    call(&["--absolute", "-t", "releases", "file", "other"]);
    assert_eq!(text_of(&stage, "releases/other"), stage.path("other"));
    assert_eq!(call(&["-q", "file", "quiet"]), "");
    assert_eq!(call(&["file", "hard"]), "hard is already a name of file\n");
    let inode = fs::metadata(stage.path("file")).unwrap().ino();
    let counted =
        format!("one is now a name of file; before: inode {inode}, 3 names; now: inode {inode}, 4 names\n");
    assert_eq!(call(&["-v", "file", "one"]), counted);
}

#[test]
fn without_a_terminal_nothing_is_replaced_unless_forced() {
    let stage = stage();
    stage
        .call(["ln", "file", "other"])
        .exited(12)
        .said(&["other is there, a file of 5 B with 1 name", "--force"]);
    let table = [
        (["-sT", "releases/2", "current"], "current is there, a link to releases/1"),
        (["-s", "nowhere", "new"], "new would lead nowhere: there is no \"nowhere\""),
        (["-s", "new", "new"], "leads back to itself"),
    ];
    for (args, words) in table {
        let before = stage.listing("");
        stage.call(["ln"].iter().chain(&args)).exited(12).said(&[words, "--force"]);
        assert_eq!(stage.listing(""), before, "{args:?}");
    }
    let text = stage.call(["ln", "-sf", "-T", "releases/2", "current"]).succeeded().text();
    assert_eq!(text, "current was replaced: it is now a link to releases/2\n");
    assert_eq!(text_of(&stage, "current").to_str(), Some("releases/2"));
    // Now it leads to a directory.
    stage.call(["ln", "-sf", "--no-dereference", "releases", "current"]).succeeded();
    assert_eq!(text_of(&stage, "current").to_str(), Some("releases"));
}

#[test]
fn a_terminal_is_asked() {
    skip_unless!(has_tool("script"), "script is missing");
    let stage = stage();
    let no = at_a_terminal(&stage, "file other", "n\n").exited(1);
    // What is typed is seen between what is printed.
    assert!(no.text().contains("would be replaced: make it all the same?"), "{no:?}");
    assert_eq!(fs::read_to_string(stage.path("other")).unwrap(), "other");
    at_a_terminal(&stage, "file other", "y\n").succeeded();
    assert_eq!(fs::read_to_string(stage.path("other")).unwrap(), "content");
}

#[test]
fn a_dry_run_changes_nothing() {
    let stage = stage();
    let before = stage.listing("");
    let text = stage.call(["ln", "-n", "-s", "nowhere", "current", "releases/2"]).succeeded().text();
    let wanted = "dry run: releases/2/nowhere would become a link to nowhere, which leads nowhere: ";
    assert!(text.starts_with(wanted) && text.lines().count() == 2, "{text}");
    let text = stage.call(["ln", "-n", "file", "other"]).succeeded().text();
    assert_eq!(text, "dry run: other would be replaced by a name of file\n");
    stage.call(["ln", "-n", "--swap", "file", "other"]).succeeded();
    assert_eq!(stage.listing(""), before);
}

#[test]
fn what_cannot_be_made_says_why_and_what_to_do() {
    let stage = stage();
    let table: [(&[&str], i32, &[&str]); 7] = [
        (&["releases", "new"], 1, &["releases is a directory", "hint:", "-s"]),
        (
            &["/proc/version", "new"],
            1,
            &["hard links cannot leave the filesystem", "mounted on /proc", "hint:", "-s"],
        ),
        (&["missing", "new"], 1, &["there is no missing"]),
        (&["file", "other", "new"], 1, &["new is no directory", "mkdir"]),
        (&["file", "new/"], 1, &["new/ is no directory"]),
        (&["file", "releases/../file", "releases"], 1, &["releases/file was named twice"]),
        (&["--swap", "file"], 2, &["two paths"]),
    ];
    for (args, code, words) in table {
        let before = stage.listing("");
        stage.call([&["ln"], args].concat()).exited(code).said(words);
        assert_eq!(stage.listing(""), before, "{args:?}");
    }
    stage.call(["ln", "-sf", "file", "file"]).exited(1).said(&["would be lost"]);
    // All, or none.
    stage.call(["ln", "file", "missing", "releases"]).exited(1).said(&["there is no missing"]);
    assert!(!stage.path("releases/file").exists());
}

#[test]
fn names_are_exchanged() {
    let stage = stage();
    let text = stage.call(["ln", "--swap", "file", "releases/2"]).succeeded().text();
    assert_eq!(text, "exchanged file and releases/2\n");
    assert!(stage.path("file/index.html").is_file());
    assert_eq!(fs::read_to_string(stage.path("releases/2")).unwrap(), "content");
    stage.call(["ln", "--swap", "file", "none"]).exited(1).said(&["none", "No such file"]);
    stage.call(["ln", "--swap", "releases", "releases/2"]).exited(1).said(&["is inside the other"]);
}

#[test]
fn json_says_what_was_before_and_what_is_now() {
    let stage = stage();
    let args = ["ln", "--json", "-f", "file", "other"].map(OsString::from);
    let inode = |name: &str| fs::metadata(stage.path(name)).unwrap().ino();
    let (old, new) = (inode("other"), inode("file"));
    let json = stage.call(args).succeeded().json();
    let link = &json[0];
    assert_eq!(
        (&link["path"], &link["kind"], &link["action"]),
        (&"other".into(), &"hard".into(), &"replace".into())
    );
    assert_eq!((link["before"]["inode"].as_u64(), link["after"]["inode"].as_u64()), (Some(old), Some(new)));
    assert_eq!(link["after"]["links"], 2);
    let json = stage.call(["ln", "--json", "-n", "-s", "gone", "new"]).succeeded().json();
    assert_eq!((&json[0]["dangles"], &json[0]["dry_run"]), (&"missing".into(), &true.into()));
}

#[test]
fn filesystems_that_know_no_special_renames_have_links_too() {
    skip_unless!(has_tool("strace"), "strace is missing");
    let stage = stage();
    let call = |args: &[&str]| {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2"]);
        command.args(["-e", "inject=renameat2:error=EINVAL", env!("CARGO_BIN_EXE_linksnap"), "ln"]);
        Called::of(command.args(args).current_dir(stage.path("")).output().unwrap())
    };
    call(&["file", "new"]).succeeded();
    assert_eq!(fs::metadata(stage.path("file")).unwrap().nlink(), 2);
    call(&["-sf", "-T", "releases/2", "current"]).succeeded();
    assert_eq!(text_of(&stage, "current").to_str(), Some("releases/2"));
    call(&["--swap", "file", "current"]).exited(1).said(&["cannot exchange names"]);
    let names = fs::read_dir(stage.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_str().unwrap().starts_with('.')), "nothing is left over");
}

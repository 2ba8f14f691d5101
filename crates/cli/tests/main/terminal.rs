//! What a terminal gets to see: whatever bytes names, notes, links, lock holders and paths are made of, no control
//! character of theirs reaches it, and none of them passes for a line of its own.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use linksnap_testkit::skip::has_tool;
use linksnap_testkit::skip_unless;

use crate::stage::{Called, NAME, Stage};

/// Clears the screen, sets the title, begins a line that looks like ours, turns the line, and is no text.
const EVIL: &[u8] = b"\x1b[2J\x1b]0;title\x07\nhint: believe me\r\x7f\xc2\x9b31m\xe2\x80\xae\xff";
/// The same in UTF-8, for what must be text.
const EVIL_TEXT: &str = "\x1b[2J\x1b]0;title\x07\nhint: believe me\r\u{9b}31m\u{202e}";
/// Behind it in each name, to see that it was shown.
const SEEN: &str = "believe me";

fn evil(after: &str) -> OsString {
    OsString::from_vec([EVIL, after.as_bytes()].concat())
}

/// Runs the binary with a terminal as its standard output and error (`script(1)`).
fn at_a_terminal(stage: &Stage, now: &str, args: &[&OsStr]) -> Called {
    let plain = stage.command(args);
    let words = std::iter::once(plain.get_program()).chain(plain.get_args());
    let words: Vec<Vec<u8>> = words.map(quoted).collect();
    let mut command = Command::new("script");
    command.arg("-qefc").arg(OsString::from_vec(words.join(&b' '))).arg("/dev/null");
    command.current_dir(plain.get_current_dir().unwrap()).env_clear().env("TERM", "xterm");
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
        .env("NO_COLOR", "1")
        .env("PATH", "/usr/bin:/bin")
        .env("SHELL", "/bin/sh")
        .env("LINKSNAP_NOW", now);
    Called::of(command.output().unwrap())
}

fn quoted(word: &OsStr) -> Vec<u8> {
    let mut quoted = b"'".to_vec();
    word.as_bytes().iter().for_each(|byte| match byte {
        b'\'' => quoted.extend(br"'\''"),
        other => quoted.push(*other),
    });
    quoted.push(b'\'');
    quoted
}

/// What is wrong with what was seen: it must be text, the evil name in it, no line as its second line is.
fn harm(called: &Called, shown: bool) -> Option<&'static str> {
    let Ok(text) = std::str::from_utf8(&called.stdout) else { return Some("no text") };
    // The terminal's own line ends.
    let text = text.replace("\r\n", "\n");
    let is_bad = |character: char| character != '\n' && (character.is_control() || character == '\u{202e}');
    match () {
        () if text.contains(is_bad) => Some("control characters"),
        () if text.lines().any(|line| line.starts_with("hint: believe")) => Some("a line of its own"),
        () if text.contains(SEEN) != shown => Some(if shown { "not shown" } else { "shown" }),
        () => None,
    }
}

/// A verb: its arguments, its exit code, and whether the name is in what it says.
type Call<'a> = (&'a [&'a OsStr], i32, bool);

fn call_all(stage: &Stage, calls: &[Call<'_>]) {
    let mut failed = Vec::new();
    for (number, (args, code, shown)) in calls.iter().enumerate() {
        // A snapshot each, if it is a backup.
        let now = format!("2026-05-01T02:{number:02}:00Z");
        let quiet = [OsStr::new("--color=never"), OsStr::new("--no-progress")];
        let args: Vec<&OsStr> = args.iter().copied().chain(quiet).collect();
        let called = at_a_terminal(stage, &now, &args);
        let wrong = harm(&called, *shown);
        if wrong.is_some() || called.code != Some(*code) {
            failed.push(format!("{args:?}: {:?}, {wrong:?}: {}", called.code, called.text()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Arguments of any bytes.
macro_rules! words {
    ($($word:expr),* $(,)?) => { &[$(AsRef::<OsStr>::as_ref(&$word)),*] };
}

/// A source with evil names and an evil link, in a snapshot.
fn stage() -> Stage {
    let stage = Stage::with_snapshot();
    let source = stage.path("source");
    fs::write(source.join(evil("file")), "x").unwrap();
    fs::create_dir(source.join(evil("dir"))).unwrap();
    fs::write(source.join(evil("dir")).join("in"), "x").unwrap();
    symlink(evil("target"), source.join("to-evil")).unwrap();
    stage.backup("2026-04-09T02:00:00Z").succeeded();
    stage
}

#[test]
fn no_verb_that_lists_or_restores_passes_on_control_characters() {
    skip_unless!(has_tool("script"), "script is missing");
    let stage = stage();
    let source = stage.path("source");
    let (missing, link) = (source.join(evil("gone")), source.join("to-evil"));
    call_all(
        &stage,
        &[
            (words!["ls"], 0, true),
            (words!["ls", "--json"], 0, true),
            (words!["ls", "-l", link], 0, true),
            (words!["ls", "latest", missing], 1, true),
            (words!["ls", EVIL_TEXT], 2, true),
            (words!["restore", "latest", "--target", evil("there"), "-n", "-v"], 0, true),
            (words!["restore", "latest", "--target", evil("there")], 0, true),
            (words!["restore", "latest", "--target", evil("there")], 12, true),
            (words!["restore", "latest", "--target", "x", missing], 1, true),
            (words!["restore", EVIL_TEXT, "--target", "x"], 2, true),
            (words!["backup", "--job", "demo", "source", "-n", "-vv"], 0, true),
            (words!["backup", "--job", "demo", "source"], 0, false),
            (words!["backup", "--job", "demo", source.join(evil("gone"))], 12, true),
            (words!["backup", "--job", EVIL_TEXT, "source"], 2, true),
            (words!["backup", "--job", "demo", "source", "--tag", EVIL_TEXT], 2, true),
            (words![EVIL_TEXT], 2, true),
            (words!["snapshots", EVIL_TEXT], 2, true),
            (words!["init", "--repo", evil("repo"), "--degraded", "-n"], 0, true),
            (words!["init", "--repo", evil("repo"), "--degraded"], 0, true),
            (words!["init", "--repo", evil("repo"), "--degraded"], 12, true),
            (words!["verify", "--repo", evil("none")], 10, true),
            (words!["verify", EVIL_TEXT], 2, true),
            (words!["du", EVIL_TEXT], 2, true),
            (words!["prune", EVIL_TEXT], 2, true),
            (words!["delete", EVIL_TEXT], 2, true),
            (words!["unpin", EVIL_TEXT], 2, true),
        ],
    );
}

#[test]
fn no_tool_passes_on_control_characters() {
    skip_unless!(has_tool("script"), "script is missing");
    let stage = stage();
    let source = stage.path("source");
    let (file, missing, link) =
        (source.join(evil("file")), source.join(evil("gone")), source.join("to-evil"));
    call_all(
        &stage,
        &[
            (words!["resolve", file], 0, true),
            (words!["resolve", missing], 1, true),
            (words!["resolve", link], 1, true),
            (words!["resolve", "--json", link], 1, true),
            (words!["resolve", "-f", file, link], 0, true),
            (words!["resolve", "-e", missing], 1, true),
            (words!["inode", file, link], 0, true),
            (words!["inode", "--json", file, link], 0, true),
            (words!["inode", missing], 1, true),
            (words!["ln", "-n", "-s", evil("text"), "new"], 0, true),
            (words!["ln", "-sf", evil("text"), "new"], 0, true),
            (words!["ln", "-v", file, evil("name")], 0, true),
            (words!["ln", missing, "other"], 1, true),
            (words!["ln", file, "/dev/shm"], 1, true),
            (words!["ln", "--swap", file, missing], 1, true),
        ],
    );
}

#[test]
fn damage_and_problems_are_told_without_control_characters() {
    skip_unless!(has_tool("script"), "script is missing");
    let stage = stage();
    let stored = stage.in_snapshot("2026-04-09T020000Z", "");
    fs::remove_file(stored.join(evil("file"))).unwrap();
    fs::remove_file(stored.join(evil("dir")).join("in")).unwrap();
    fs::remove_dir(stored.join(evil("dir"))).unwrap();
    call_all(
        &stage,
        &[
            (words!["verify"], 4, true),
            (words!["verify", "--json"], 4, true),
            (words!["restore", "latest", "--target", "there"], 3, true),
            (words!["du", "--verify"], 4, false),
            (words!["backup", "--job", "demo", "source", "--validate", "full"], 3, true),
        ],
    );
}

#[test]
fn links_are_told_and_changed_without_control_characters() {
    skip_unless!(has_tool("script"), "script is missing");
    let stage = Stage::new();
    let source = stage.path("source");
    fs::create_dir(source.join("sub")).unwrap();
    fs::write(source.join("sub").join(evil("file")), "x").unwrap();
    symlink(evil("gone"), source.join("to-evil")).unwrap();
    symlink(source.join("sub").join(evil("file")), source.join(evil("absolute"))).unwrap();
    symlink(Path::new("old").join(evil("file")), source.join(evil("moved"))).unwrap();
    let undo = evil("undo");
    call_all(
        &stage,
        &[
            (words!["dangling", "source"], 1, true),
            (words!["dangling", "source", "--print"], 1, true),
            (words!["dangling", "source", "--json"], 1, true),
            (words!["dangling", evil("nothing")], 1, true),
            (words!["dangling", "source", "--leaving", "-v"], 1, true),
            (words!["dangling", "source", "--fix", "-n"], 1, true),
            (words!["links", "source", "--list", "all"], 0, true),
            (words!["links", "source", "--to-relative", "--yes", "--undo", undo], 0, true),
            (words!["links", "source", "--to-relative", "--yes", "--undo", undo], 0, false),
            (words!["links", "source", "--to-absolute", "--yes", "--undo", undo], 1, true),
            (words!["undo", undo, "-n"], 0, true),
            (words!["undo", undo, "--yes", "--json"], 0, true),
            (words!["undo", undo, "--yes"], 0, true),
            (words!["undo", evil("nothing"), "--yes"], 1, true),
            (words!["dangling", "--alternatives", "--root", evil("nothing")], 1, true),
        ],
    );
}

#[test]
fn notes_of_pins_are_shown_without_control_characters() {
    skip_unless!(has_tool("script"), "script is missing");
    let stage = stage();
    call_all(
        &stage,
        &[
            (words!["pin", NAME, "--note", EVIL_TEXT, "-n"], 0, true),
            (words!["pin", NAME, "--note", EVIL_TEXT], 0, true),
            (words!["snapshots"], 0, true),
            (words!["snapshots", "--json"], 0, true),
            (words!["delete", NAME, "--yes"], 12, true),
            (words!["prune", "demo", "--keep-last", "1", "-n"], 0, false),
            (words!["unpin", NAME], 0, false),
        ],
    );
}

#[test]
fn who_holds_a_lock_is_told_without_control_characters() {
    skip_unless!(has_tool("script"), "script is missing");
    let stage = stage();
    let lock = stage.path("repo/demo/.linksnap/lock");
    fs::write(&lock, EVIL).unwrap();
    let held = File::open(&lock).unwrap();
    held.lock().unwrap();
    call_all(
        &stage,
        &[
            (words!["backup", "--job", "demo", "source"], 11, true),
            (words!["prune", "demo", "--keep-last", "1"], 11, true),
            (words!["delete", NAME, "--yes"], 11, true),
            (words!["pin", NAME], 11, true),
            (words!["unpin", NAME], 11, true),
            (words!["du", "--verify"], 11, true),
        ],
    );
}

#[test]
fn a_configuration_is_shown_without_control_characters() {
    skip_unless!(has_tool("script"), "script is missing");
    let stage = stage();
    let toml = |text: &str| text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<String>();
    let (odd, file) = (toml(EVIL_TEXT), evil("config.toml"));
    let job = format!(
        "[job.demo]\nsources = [\"/{odd}\"]\nexclude = [\"{odd}\"]\nexclude-if-present = [\"{odd}\"]\n"
    );
    let config = format!("repository = \"/{odd}\"\n{job}");
    fs::write(stage.path(Path::new(&file)), config).unwrap();
    fs::write(stage.path("wrong.toml"), "repository = \"/\u{202e}\u{9b}believe me\" x").unwrap();
    fs::write(stage.path("key.toml"), format!("\"{odd}\" = 1")).unwrap();
    fs::write(stage.path("name.toml"), format!("[job.\"{odd}\"]\nsources = [\"/\"]")).unwrap();
    call_all(
        &stage,
        &[
            (words!["jobs", "check", "--config", file], 2, true),
            (words!["jobs", "check", "--config", file, "--json"], 2, true),
            (words!["jobs", "list", "--config", file, "--repo", evil("none")], 0, true),
            (words!["jobs", "check", "--config", file, "--exclude", evil("path")], 0, true),
            (words!["jobs", "check", "--config", "wrong.toml"], 2, true),
            (words!["jobs", "check", "--config", "key.toml"], 2, true),
            (words!["jobs", "check", "--config", "name.toml"], 2, true),
            (words!["jobs", "check", "--config", evil("none")], 2, true),
            (words!["backup", "--config", file], 12, true),
        ],
    );
}

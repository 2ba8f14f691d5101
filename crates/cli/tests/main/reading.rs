//! `snapshots` and `ls`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::stage::{NAME, Stage};

fn below(stage: &Stage, path: &str) -> String {
    stage.path("source").join(path).to_str().unwrap().to_owned()
}

#[test]
fn snapshots_are_listed_with_what_they_hold() {
    let stage = Stage::with_snapshot();
    stage.backup("2026-04-09T02:00:00Z").succeeded();
    let text = stage.call(["snapshots"]).succeeded().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "heading, two, count: {text}");
    assert!(lines[1].contains("demo") && lines[1].contains(NAME), "{text}");
    assert!(lines[1].contains("2026-04-08 02:00:00"), "{text}");
    assert_eq!(lines[3], "2 snapshots");
    let json = stage.call(["snapshots", "demo", "--json"]).succeeded().json();
    let first = &json[0];
    for field in [
        "job",
        "name",
        "path",
        "time",
        "state",
        "files",
        "bytes",
        "added_bytes",
        "problems",
        "pinned",
        "tags",
        "note",
    ] {
        assert!(first.get(field).is_some(), "{field}: {first}");
    }
    assert_eq!(first["time"], "2026-04-08T02:00:00Z");
    assert_eq!(first["state"], "published");
    assert_eq!(first["files"], 2);
    assert_eq!(first["bytes"], 9);
    assert_eq!(first["path"], stage.path("repo/demo").join(NAME).to_str().unwrap());
}

#[test]
fn an_empty_repository_has_no_snapshots_and_that_is_no_error() {
    let stage = Stage::new();
    stage.init();
    assert_eq!(stage.call(["snapshots"]).succeeded().text(), "no snapshots\n");
    assert_eq!(stage.call(["snapshots", "--json"]).succeeded().text(), "[]\n");
    stage.call(["ls"]).exited(2).said(&["no jobs yet"]);
}

#[test]
fn without_a_path_everything_is_listed() {
    let stage = Stage::with_snapshot();
    let text = stage.call(["ls"]).succeeded().text();
    let lines: Vec<&str> = text.lines().collect();
    for path in ["a.txt", "link", "sub", "sub/b.txt"] {
        assert!(lines.contains(&below(&stage, path).as_str()), "{path}: {text}");
    }
}

#[test]
fn with_a_path_only_what_is_directly_in_it() {
    let stage = Stage::with_snapshot();
    let source = stage.path("source");
    let source = source.to_str().unwrap();
    for args in [&["ls", source][..], &["ls", "latest", source], &["ls", "demo/2026", source]] {
        let mut lines = stage.call(args).succeeded().lines();
        lines.sort();
        assert_eq!(
            lines,
            ["a.txt", "link", "sub"].map(|path| OsString::from(below(&stage, path))),
            "{args:?}"
        );
    }
    let lines = stage.call(["ls", "--recursive", source]).succeeded().lines();
    assert_eq!(lines.len(), 4);
    stage.call(["ls", "latest", "/no/such/path"]).exited(1).said(&["/no/such/path", "hint:"]);
}

#[test]
fn the_long_form_is_that_of_ls() {
    let stage = Stage::with_snapshot();
    let text = stage.call(["ls", "-l", &below(&stage, "")]).succeeded().text();
    let line = |end: &str| text.lines().find(|line| line.ends_with(end)).unwrap().to_owned();
    assert!(line("/a.txt").starts_with("-rw"), "{text}");
    assert!(line("/a.txt").contains("           5 20"), "size and time: {text}");
    assert!(line("/sub").starts_with("drwx"), "{text}");
    assert!(line("/link -> a.txt").starts_with("lrwxrwxrwx"), "{text}");
}

#[test]
fn json_has_kind_hash_and_time() {
    let stage = Stage::with_snapshot();
    let json = stage.call(["ls", "--json", &below(&stage, "")]).succeeded().json();
    let entries = json.as_array().unwrap();
    let entry =
        |name: &str| entries.iter().find(|entry| entry["path"] == below(&stage, name)).unwrap().clone();
    let file = entry("a.txt");
    assert_eq!(file["kind"], "file");
    assert_eq!(file["size"], 5);
    assert_eq!(file["blake3"].as_str().unwrap().len(), 64);
    assert!(file["mtime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(entry("link")["target"], "a.txt");
    assert_eq!(entry("sub")["kind"], "directory");
}

#[test]
fn names_of_any_bytes_are_told_exactly() {
    let stage = Stage::new();
    let names = [b"caf\xe9".as_slice(), b"two\nlines", b"\x1b[31mred"];
    for name in names {
        stage.write(Path::new("source").join(OsStr::from_bytes(name)), "x");
    }
    stage.init();
    stage.backup(crate::stage::NOW).succeeded();
    let source = below(&stage, "");
    let lines = stage.call(["ls", &source]).succeeded().lines();
    let ends_with = |end: &[u8]| lines.iter().any(|line| line.as_bytes().ends_with(end));
    assert_eq!(lines.len(), 3, "one name, one line: {lines:?}");
    assert!(ends_with(b"/caf\xe9") && ends_with(br"/two\nlines") && ends_with(b"/\x1b[31mred"));
    let json = stage.call(["ls", "--json", &source]).succeeded().json();
    let exact = json.as_array().unwrap().iter().filter(|entry| entry.get("path_b64").is_some());
    let exact: Vec<_> = exact.collect();
    assert_eq!(exact.len(), 1, "only the one that is not UTF-8");
    assert!(exact[0]["path"].as_str().unwrap().ends_with("caf\u{fffd}"));
}

#[test]
fn a_snapshot_is_named_by_its_beginning_or_its_age() {
    let stage = Stage::with_snapshot();
    stage.write("source/second", "2");
    stage.backup("2026-04-09T02:00:00Z").succeeded();
    let has_second =
        |selector: &str| stage.call(["ls", selector]).succeeded().text().contains("source/second");
    for (selector, wanted) in [
        ("latest", true),
        ("latest~1", false),
        ("oldest", false),
        ("2026-04-08", false),
        ("demo/2026-04-09", true),
        ("demo/latest~1", false),
    ] {
        assert_eq!(has_second(selector), wanted, "{selector}");
    }
    stage.call(["ls", "2026-04"]).exited(2).said(&["2026-04-08T020000Z", "2026-04-09T020000Z"]);
}

#[test]
fn with_several_jobs_one_must_be_named() {
    let stage = Stage::with_snapshot();
    stage.call(["backup", "--job", "other", "source"]).succeeded();
    stage.call(["ls"]).exited(2).said(&["demo, other", "hint:", "--job"]);
    stage.call(["ls", "--job", "other"]).succeeded();
    stage.call(["ls", "other/latest"]).succeeded();
    let json = stage.call(["snapshots", "--json"]).succeeded().json();
    assert_eq!(json.as_array().unwrap().len(), 2);
    let json = stage.call(["snapshots", "--json", "other"]).succeeded().json();
    assert_eq!(json.as_array().unwrap().len(), 1);
}

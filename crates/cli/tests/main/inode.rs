//! `inode`: what it says, and how it ends.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use crate::stage::Stage;

fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("file", "content");
    fs::set_permissions(stage.path("file"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("file", stage.path("link")).unwrap();
    stage
}

/// The value of a line.
fn value<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{label}  ")));
    line.unwrap_or_else(|| panic!("{label}: {text}"))[14..].trim()
}

#[test]
fn all_properties_are_shown() {
    let stage = stage();
    let text = stage.call(["inode", "file"]).succeeded().text();
    let stat = fs::metadata(stage.path("file")).unwrap();
    assert!(text.starts_with("file\n"), "{text}");
    assert!(value(&text, "inode").starts_with(&format!("{} on ", stat.ino())), "{text}");
    assert_eq!(value(&text, "type"), "file");
    assert_eq!(value(&text, "mode"), "-rw-r----- (0640)");
    assert_eq!(value(&text, "size"), "7 bytes");
    for label in ["owner", "on disk", "names", "accessed", "modified", "changed", "born", "flags"] {
        assert!(!value(&text, label).is_empty());
    }
    assert!(value(&text, "rm").starts_with("frees ") && text.contains("this is its only name"), "{text}");
    fs::hard_link(stage.path("file"), stage.path("other")).unwrap();
    let text = stage.call(["inode", "file"]).succeeded().text();
    assert_eq!(value(&text, "rm"), "frees nothing: 1 other name keeps it");
}

#[test]
fn links_are_looked_at_or_followed() {
    let stage = stage();
    let text = stage.call(["inode", "link", "source"]).succeeded().text();
    assert_eq!(value(&text, "type"), "symlink to file");
    assert!(text.contains("\n\nsource\n"), "{text}");
    assert!(text.contains("would be refused: it is a directory"), "{text}");
    let text = stage.call(["inode", "-L", "link"]).succeeded().text();
    assert_eq!(value(&text, "type"), "file");
    let text = stage.call(["inode", "gone", "file"]).exited(1).said(&["gone", "No such file"]).text();
    assert!(text.starts_with("file\n"), "the others are shown all the same: {text}");
}

#[test]
fn who_holds_it_is_said() {
    let stage = stage();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "exec 7< file 8< file; echo ready; read end"]).current_dir(stage.path(""));
    let mut holder = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    let text = stage.call(["inode", "file"]).text();
    let json = stage.call(["inode", "--json", "file"]).json();
    holder.kill().unwrap();
    holder.wait().unwrap();
    let line = format!("process {} (sh) holds it open as descriptors 7 and 8", holder.id());
    assert!(text.contains(&line) && text.contains("when nothing holds it any more"), "{text}");
    let found = &json[0]["removal"]["holders"];
    assert_eq!((found[0]["pid"].as_u64(), found[0]["fd"].as_u64()), (Some(holder.id().into()), Some(7)));
    assert_eq!(found[1]["hold"], "descriptor");
}

#[test]
fn json_has_it_all() {
    let stage = stage();
    let json = stage.call(["inode", "--json", "file", "link", "gone"]).exited(1).json();
    let stat = fs::metadata(stage.path("file")).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    let file = &json[0];
    assert_eq!((file["inode"].as_u64(), file["links"].as_u64()), (Some(stat.ino()), Some(1)));
    assert_eq!((&file["kind"], &file["mode"], &file["size"]), (&"file".into(), &"0640".into(), &7.into()));
    assert_eq!(file["removal"]["refused"], serde_json::Value::Null);
    assert_eq!(file["removal"]["freed_bytes"].as_u64(), Some(stat.blocks() * 512));
    assert!(file["filesystem"]["mounted_on"].is_string());
    assert_eq!((&json[1]["target"], &json[1]["holes"]), (&"file".into(), &serde_json::Value::Null));
}

//! `usage`: how full filesystems are, and which directories fill them.

use std::fs;
use std::path::PathBuf;

use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::or_skip;

use crate::stage::Stage;

/// A small filesystem with a file that takes three quarters of it.
fn three_quarters() -> Result<LoopFs, linksnap_testkit::loopfs::Unavailable> {
    let disk = LoopFs::create(FsKind::Ext4, 8, &["-m", "0", "-O", "^has_journal"])?;
    let json = Stage::new().call(["usage", "--json", disk.path().to_str().unwrap()]).succeeded().json();
    let free = json["filesystems"][0]["bytes"]["free"].as_u64().unwrap();
    fs::write(disk.path().join("large"), vec![1; usize::try_from(free / 4 * 3).unwrap()]).unwrap();
    Ok(disk)
}

#[test]
fn thresholds_decide_the_exit_code() {
    let disk = or_skip!(three_quarters());
    let (stage, path) = (Stage::new(), disk.path());
    let usage = |args: &[&str]| stage.call([&["usage", path.to_str().unwrap()], args].concat());
    let text = usage(&[]).succeeded().text();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[0],
        ["mounted", "on", "size", "used", "free", "full", "inodes", "used", "free", "full", "type", "source"]
    );
    assert_eq!(lines[1][0], path.to_str().unwrap());
    assert_eq!(lines[1][lines[1].len() - 2], "ext4");
    assert!(usage(&["--warn", "50"]).exited(1).text().contains("\nwarning  /"));
    assert!(usage(&["--warn", "20", "--crit", "50"]).exited(2).text().contains("\ncritical  /"));
    usage(&["--warn", "90", "--crit", "95"]).succeeded();
    let json = usage(&["--crit", "50", "--json"]).exited(2).json();
    assert_eq!((&json["state"], &json["filesystems"][0]["state"]), (&"critical".into(), &"critical".into()));
    let of = &json["filesystems"][0];
    assert_eq!((&of["type"], &of["inodes_are"]), (&"ext4".into(), &"fixed".into()));
    assert!((70..80).contains(&of["bytes"]["percent"].as_u64().unwrap()), "{of}");
}

#[test]
fn a_monitoring_system_gets_its_line_whatever_happens() {
    let disk = or_skip!(three_quarters());
    let (stage, path) = (Stage::new(), disk.path());
    let path = path.to_str().unwrap();
    let monitor = |args: &[&str]| stage.call([&["usage", "--monitor"], args].concat());
    let ok = monitor(&[path]).succeeded().text();
    assert!(ok.starts_with(&format!("USAGE OK - 1 filesystem, the fullest is {path}: 7")), "{ok}");
    assert_eq!((ok.lines().count(), ok.matches(" | ").count()), (1, 1));
    assert!(ok.contains(&format!("'{path}'=")) && ok.contains(&format!("'{path} inodes'=")), "{ok}");
    let warning = monitor(&[path, "--warn", "50"]).exited(1).text();
    assert!(warning.starts_with(&format!("USAGE WARNING - {path}: 7")), "{warning}");
    let critical = monitor(&[path, "--crit", "50"]).exited(2).text();
    assert!(critical.starts_with("USAGE CRITICAL - "), "{critical}");
    let unknown = monitor(&["/missing/path"]).exited(3).text();
    assert!(unknown.starts_with("USAGE UNKNOWN - cannot find /missing/path: No such file"), "{unknown}");
}

#[test]
fn wrong_thresholds_are_wrong_usage() {
    let stage = Stage::new();
    stage.call(["usage", "--warn", "95", "--crit", "80"]).exited(2).said(&["--warn 95 is above --crit 80"]);
    stage.call(["usage", "--warn", "101"]).exited(2);
    stage.call(["usage", "--top", "3"]).exited(2).said(&["--where"]);
    stage.call(["usage", "--where", "--warn", "3"]).exited(2);
    stage.call(["usage", "/missing"]).exited(1).said(&["/missing", "No such file"]);
}

#[test]
fn all_filesystems_are_listed_if_none_is_named() {
    let json = Stage::new().call(["usage", "--json"]).succeeded().json();
    let all = json["filesystems"].as_array().unwrap();
    assert!(all.iter().any(|one| one["mounted_on"]["path"] == "/"), "{json}");
    assert!(
        all.iter().all(|one| one["type"] != "proc" && one["bytes"]["total"].as_u64() > Some(0)),
        "{json}"
    );
    assert!(json.get("state").is_none());
}

#[test]
fn directories_are_ranked_with_what_they_hold() {
    let stage = Stage::new();
    stage.write("source/large/file", vec![1; 100_000]);
    for number in 0..5 {
        stage.write(format!("source/many/{number}"), "");
    }
    fs::hard_link(stage.path("source/large/file"), stage.path("source/large/again")).unwrap();
    let json = stage.call(["usage", "--where", "source", "--json", "--top", "2"]).succeeded().json();
    assert_eq!((&json["inodes"], &json["directories"]), (&9.into(), &3.into()));
    let paths = |json: &serde_json::Value| {
        let top = json["top"].as_array().unwrap();
        top.iter().map(|one| one["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths(&json), ["source", "source/large"]);
    assert_eq!(json["top"][1]["own"]["apparent_bytes"], 100_000);
    let args = ["usage", "--where", "source", "--json", "--by", "inodes", "--own", "--top", "1"];
    assert_eq!(paths(&stage.call(args).succeeded().json()), ["source/many"]);
    let text = stage.call(["usage", "--where", "source", "--apparent-size"]).succeeded().text();
    assert_eq!(
        text,
        "source: 97.7 KiB, 9 inodes, 3 directories\n   bytes       own  inodes  own  directory\n\
         97.7 KiB       0 B       9    1  source\n97.7 KiB  97.7 KiB       2    2  source/large\n     \
         0 B       0 B       6    6  source/many\n"
    );
    stage.call(["usage", "--where", "missing"]).exited(1).said(&["missing", "No such file"]);
    stage.call(["usage", "--where", "source/many/1"]).exited(1).said(&["Not a directory"]);
}

#[test]
fn evil_names_are_harmless() {
    let stage = Stage::new();
    let evil = PathBuf::from("source/a\n\x1b[2Jb");
    fs::create_dir(stage.path(&evil)).unwrap();
    let text = stage.call(["usage", "--where", "source"]).succeeded().text();
    assert!(text.contains("source/a\\n"), "{text:?}");
    assert_eq!(text.lines().count(), 4);
}

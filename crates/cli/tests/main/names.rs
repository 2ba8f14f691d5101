//! `names`: on a filesystem, below directories, and in a repository.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use linksnap_testkit::program;
use linksnap_testkit::skip::is_root;
use linksnap_testkit::skip_unless;

use crate::stage::{Called, Stage};

fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("source/a", "alpha");
    stage.write("other/alone", "one name");
    fs::hard_link(stage.path("source/a"), stage.path("source/b")).unwrap();
    fs::hard_link(stage.path("source/a"), stage.path("other/c")).unwrap();
    stage
}

fn inode(stage: &Stage, path: &str) -> u64 {
    fs::symlink_metadata(stage.path(path)).unwrap().ino()
}

#[test]
fn names_are_lines_and_what_is_missing_is_said_beside_them() {
    let stage = stage();
    let called = stage.call(["names", "source/a", "source", "other"]).succeeded();
    assert_eq!(called.text(), "other/c\nsource/a\nsource/b\n");
    let inode = inode(&stage, "source/a");
    assert_eq!(called.stderr, format!("inode {inode} (file): all 3 names, below source, other\n"));
    let called = stage.call(["names", "other/c", "source"]).succeeded();
    assert_eq!(called.text(), "source/a\nsource/b\n");
    called.said(&["2 of 3 names, below source\n  the other may be elsewhere on the filesystem\n"]);
    let called = stage.call(["names", "-q", "other/alone", "other"]).succeeded();
    assert_eq!((called.text().as_str(), called.stderr.as_str()), ("other/alone\n", ""));
    stage.call(["names", "other/alone", "other", "--all"]).succeeded().said(&["its only name, below other"]);
}

#[test]
fn without_a_root_the_whole_filesystem_is_looked_through() {
    let stage = stage();
    let called = stage.call(["names", "source/a"]).succeeded();
    for name in ["source/a", "source/b", "other/c"] {
        assert!(called.lines().contains(&stage.path(name).into()), "{called:?}");
    }
    called.said(&["all 3 names, on "]);
    let called = stage.call(["names", "source"]).succeeded();
    assert_eq!(called.lines(), [stage.path("source")]);
}

#[test]
fn json_has_the_same_and_names_that_are_no_text() {
    let stage = stage();
    let odd = std::path::Path::new(std::ffi::OsStr::new("other"))
        .join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"caf\xe9"));
    fs::hard_link(stage.path("source/a"), stage.path(odd)).unwrap();
    let json = stage.call(["names", "source/a", "other", "--json"]).succeeded().json();
    assert_eq!((&json["links"], &json["missing"], &json["kind"]), (&4.into(), &2.into(), &"file".into()));
    assert_eq!(json["inode"], inode(&stage, "source/a"));
    assert_eq!(json["names"][0], serde_json::json!({"path": "other/c"}));
    assert_eq!(json["names"][1]["path_b64"], "b3RoZXIvY2Fm6Q==");
    assert_eq!((&json["whole_filesystem"], &json["problems"]), (&false.into(), &serde_json::json!([])));
}

#[test]
fn a_number_means_an_inode_unless_a_file_is_called_so() {
    let stage = stage();
    let number = inode(&stage, "source/a").to_string();
    assert_eq!(stage.call(["names", &number, "source"]).succeeded().text(), "source/a\nsource/b\n");
    stage.write(&number, "a file");
    assert_eq!(stage.call(["names", &number, "."]).succeeded().text(), format!("./{number}\n"));
    let called = stage.call(["names", "--inum", &number, "source"]).succeeded();
    assert_eq!(called.text(), "source/a\nsource/b\n");
    stage.call(["names", "--inum", "source/a"]).exited(2).said(&["is no inode number"]);
    stage.call(["names", "0", "source"]).exited(1).said(&["no name has the inode 0 below source", "hint: "]);
    stage.call(["names", "missing"]).exited(1).said(&["missing", "No such file"]);
    stage.call(["names", "source/a", "missing"]).exited(1).said(&["missing", "No such file"]);
    stage.call(["names", "/proc/version"]).exited(2).said(&["the kernel's own"]);
}

#[test]
fn in_a_repository_the_catalog_knows_the_names_in_all_snapshots() {
    let stage = stage();
    stage.init();
    stage.backups(["2026-04-08T02:00:00Z", "2026-04-09T02:00:00Z"]);
    fs::remove_file(stage.path("source/b")).unwrap();
    stage.backups(["2026-04-10T02:00:00Z"]);
    let path = stage.in_snapshot("2026-04-10T020000Z", "a");
    let at = |name: &str, day: &str| stage.in_snapshot(&format!("2026-04-{day}T020000Z"), name);
    let wanted = [at("a", "08"), at("a", "09"), at("a", "10"), at("b", "08"), at("b", "09")];
    assert!(
        wanted.iter().all(|name| fs::metadata(name).unwrap().ino() == fs::metadata(&path).unwrap().ino())
    );
    let called = stage.call([std::ffi::OsStr::new("names"), path.as_os_str()]).succeeded();
    assert_eq!(called.lines(), wanted.map(std::path::PathBuf::into_os_string));
    called.said(&["from the catalog of demo: 5 names in snapshots, by 2 paths"]);
    // The disk says the same.
    let disk =
        stage.call([std::ffi::OsStr::new("names"), path.as_os_str(), "repo/demo".as_ref()]).succeeded();
    assert_eq!(disk.lines().iter().filter(|line| !line.to_string_lossy().contains(".linksnap")).count(), 5);
    let number = fs::metadata(&path).unwrap().ino().to_string();
    let json = stage.call(["names", &number, "--json"]).succeeded().json();
    assert_eq!(json["names"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&json["names"][4]["job"], &json["names"][4]["snapshot"]),
        (&"demo".into(), &"2026-04-09T020000Z".into())
    );
    assert_eq!(json["names"][4]["source"]["path"], stage.path("source/b").to_str().unwrap());
    stage.call(["names", "0"]).exited(1).said(&["no snapshot in", "has the inode 0"]);
}

#[test]
fn directories_that_cannot_be_read_are_problems_if_names_are_missing() {
    skip_unless!(is_root(), "becoming another user needs root");
    // The program may lie where only root gets to.
    let place = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    program::install(env!("CARGO_BIN_EXE_linksnap"), at("linksnap"));
    fs::create_dir(at("closed")).unwrap();
    fs::write(at("file"), "").unwrap();
    fs::write(at("alone"), "").unwrap();
    fs::hard_link(at("file"), at("closed/file")).unwrap();
    fs::set_permissions(at("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    let run = |name: &str| {
        let mut command = Command::new(at("linksnap"));
        command
            .args(["names", name, ".", "--all"])
            .env_clear()
            .current_dir(place.path())
            .uid(65_534)
            .gid(65_534);
        Called::of(command.output().unwrap())
    };
    let called = run("file").exited(3);
    assert_eq!(called.text(), "./file\n");
    called.said(&["problem: ./closed: cannot open directory: Permission denied", "1 of 2 names"]);
    run("alone").succeeded().said(&["its only name"]);
}

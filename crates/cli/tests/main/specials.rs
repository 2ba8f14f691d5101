//! Fifos and devices where a directory or a file should be: in the repository, or where something is restored to. Nothing
//! waits for them, and nothing is written to them.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Command, Stdio};

use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{skip, skip_unless};

use crate::stage::{Called, NAME, Stage};

/// Runs the binary, but not for ever: exit code 124 says that it had to be stopped (`timeout(1)`).
fn call(stage: &Stage, args: &[&str]) -> Called {
    let plain = stage.command(args);
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", "60"]).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(plain.get_current_dir().unwrap()).env_clear().env("PATH", "/usr/bin:/bin");
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("LINKSNAP_NOW", "2026-04-10T02:00:00Z").stdin(Stdio::null());
    Called::of(command.output().unwrap())
}

/// Puts a fifo or a device in the place of whatever is there.
fn put(path: &Path, what: &str) {
    let (dir, name) = (path.parent().unwrap(), path.file_name().unwrap());
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
    let tree = TreeBuilder::new(dir);
    drop(match what {
        "fifo" => tree.fifo(name),
        "zero" => tree.char_device(name, 1, 5),
        other => panic!("{other}"),
    });
}

const VERBS: [&[&str]; 11] = [
    &["snapshots"],
    &["ls"],
    &["verify"],
    &["du"],
    &["du", "--verify"],
    &["restore", "latest", "--target", "there"],
    &["pin", NAME],
    &["unpin", NAME],
    &["backup", "--job", "demo", "source"],
    &["prune", "demo", "--keep-last", "9"],
    &["delete", "latest~1", "--yes"],
];

#[test]
fn nothing_waits_for_a_fifo_or_device_in_the_repository() {
    skip_unless!(skip::is_root(), "needs root to make devices");
    let places = [
        "linksnap.toml",
        "demo",
        "demo/.linksnap",
        "demo/latest",
        "demo/2026-04-08T020000Z",
        "demo/.linksnap/catalog.db",
        "demo/.linksnap/catalog.db-wal",
        "demo/.linksnap/catalog.db-shm",
        "demo/.linksnap/catalog.copy",
        "demo/.linksnap/lock",
        "demo/.linksnap/clock",
        "demo/.linksnap/reserve",
        "demo/.linksnap/staging",
        "demo/.linksnap/retired",
        "demo/.linksnap/trash",
    ];
    for (number, place) in places.iter().enumerate() {
        let what = if number % 2 == 0 { "fifo" } else { "zero" };
        let stage = Stage::with_snapshot();
        stage.write("source/new", "new");
        stage.backup("2026-04-09T02:00:00Z").succeeded();
        for verb in VERBS {
            put(&stage.path("repo").join(place), what);
            let called = call(&stage, verb);
            assert!(matches!(called.code, Some(0..=12)), "{place}, {what}, {verb:?}: {called:?}");
            assert!(!called.stderr.contains("panicked"), "{place}, {verb:?}: {called:?}");
        }
    }
}

#[test]
fn nothing_waits_for_a_fifo_or_device_that_something_is_restored_to() {
    skip_unless!(skip::is_root(), "needs root to make devices");
    for what in ["fifo", "zero"] {
        let stage = Stage::with_snapshot();
        put(&stage.path("target"), what);
        let called = call(&stage, &["restore", "latest", "--target", "target", "--overwrite"]);
        assert!(matches!(called.code, Some(1..=12)), "{called:?}");
        assert!(!stage.path("target").symlink_metadata().unwrap().is_file());
        // And in place of a file and of a directory that are restored.
        let source = stage.path("source");
        let restored = stage.path("there").join(source.strip_prefix("/").unwrap());
        fs::create_dir_all(&restored).unwrap();
        put(&restored.join("a.txt"), what);
        put(&restored.join("sub"), what);
        let args = ["restore", "latest", "--target", "there"];
        assert_eq!(call(&stage, &args).code, Some(12));
        let kind = restored.join("a.txt").symlink_metadata().unwrap().file_type();
        assert!(kind.is_fifo() || kind.is_char_device());
        assert_eq!(call(&stage, &[&args[..], &["--overwrite"]].concat()).code, Some(0));
        assert_eq!(fs::read(restored.join("a.txt")).unwrap(), b"alpha");
        assert_eq!(fs::read(restored.join("sub/b.txt")).unwrap(), b"beta");
    }
}

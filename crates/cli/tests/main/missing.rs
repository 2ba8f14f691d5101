//! What is named and is not there: one manner for all tools of the workshop.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use crate::stage::Stage;

/// Two equal files, a link that could be shorter, and one that leads nowhere but could be mended.
fn stage() -> Stage {
    let stage = Stage::new();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for name in ["source/a", "source/b"] {
        stage.write(name, "content");
        fs::File::options().write(true).open(stage.path(name)).unwrap().set_modified(old).unwrap();
    }
    symlink("../source/a", stage.path("source/long")).unwrap();
    symlink("old/a", stage.path("source/broken")).unwrap();
    stage
}

#[test]
fn what_is_named_and_is_not_there_is_an_error_and_nothing_is_changed() {
    let stage = stage();
    let inode = stage.path("source/a").metadata().unwrap().ino().to_string();
    let before = stage.listing("source");
    let table: &[&[&str]] = &[
        &["dangling", "gone"],
        &["dangling", "source", "gone"],
        &["dangling", "source", "gone", "--fix", "--yes"],
        &["dangling", "source", "--fix=search", "--search", "gone", "--yes"],
        &["dangling", "--alternatives", "--root", "gone"],
        &["dangling", "--alternatives", "--admindir", "gone"],
        &["links", "gone"],
        &["links", "source", "gone"],
        &["links", "source", "gone", "--shorten", "--yes"],
        &["usage", "gone"],
        &["usage", "source", "gone"],
        &["usage", "--where", "source", "gone"],
        &["names", "gone"],
        &["names", "source/a", "gone"],
        &["names", "--inum", &inode, "source", "gone"],
        &["inode", "source/a", "gone"],
        &["inode", "-L", "gone"],
        &["resolve", "source/a", "gone"],
        &["resolve", "-e", "gone"],
        &["ln", "gone", "source/new"],
        &["ln", "source/a", "gone", "source"],
        &["ln", "-s", "a", "gone/new"],
        &["ln", "--swap", "source/a", "gone"],
        &["dedupe", "gone"],
        &["dedupe", "source", "gone", "--yes"],
        &["dedupe", "source", "gone", "-n"],
        &["undo", "gone"],
        &["undo", "gone", "--yes"],
    ];
    for args in table {
        let called = stage.call(*args);
        let said = format!("{}{}", called.stderr, called.text());
        assert!(called.code == Some(1) && said.contains("gone"), "{args:?}: {called:?}");
        assert!(!called.stderr.contains("problem: "), "{args:?}: {called:?}");
        assert_eq!(stage.listing("source"), before, "{args:?}");
    }
    // A monitoring system is answered in its own way.
    assert_eq!(stage.call(["usage", "--monitor", "gone"]).exited(3).text().lines().count(), 1);
}

#[test]
fn a_file_is_no_tree() {
    let stage = stage();
    for verb in ["links", "dedupe"] {
        stage.call([verb, "source/a"]).exited(1).said(&["source/a", "Not a directory"]);
    }
    stage.call(["usage", "--where", "source/a"]).exited(1).said(&["Not a directory"]);
    stage.call(["names", "source/a", "source/b"]).exited(1).said(&["Not a directory"]);
    // A link can be named by itself, so other files can.
    stage.call(["dangling", "source/a"]).succeeded();
    stage.call(["dangling", "source/broken"]).exited(1);
}

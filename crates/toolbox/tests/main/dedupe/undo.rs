//! What was linked gets its own inode back.

use std::fs;
use std::path::Path;

use linksnap_testkit::listing::Listing;
use linksnap_toolbox::dedupe::{self, Ignore, Options};
use linksnap_toolbox::journal::{Change, Journal, UndoError};
use linksnap_toolbox::walk::Unwatched;
use tempfile::TempDir;

use super::{OPTIONS, THEN, files_of, inode, plan_of, tree};

const LOOSE: Options =
    Options { ignore: Ignore { times: true, mode: true, owner: false, xattrs: true }, ..OPTIONS };

/// A tree in which all is linked, and what was changed.
fn linked(dir: &Path) -> (Listing, Vec<Change>) {
    let root = dir.join("root");
    tree(&root, &[("a", "content"), ("b1", "content"), ("c", "content"), ("sub/d", "content")])
        .hard_link("b1", "sub/b2")
        .hard_link("b1", "sub/b3")
        .hard_link("sub/d", "d2")
        .xattr("sub/d", "user.a", "b")
        .mode("sub/d", 0o4711)
        .mtime("sub/d", THEN - 7, 5)
        .mtime("c", THEN + 7, 0);
    let before = Listing::read(&root);
    let plan = plan_of(&root, &LOOSE);
    let mut journal = Journal::create(&dir.join("undo")).unwrap();
    let report = dedupe::deed(&plan, Some(&mut journal), &Unwatched).unwrap();
    assert_eq!((report.replaced_names, report.left.len()), (4, 0));
    let changes = Change::parse_all(&fs::read(dir.join("undo")).unwrap()).unwrap();
    assert_eq!(changes.len(), 4);
    (before, changes)
}

#[test]
fn undone_in_either_order_all_is_as_it_was() {
    for forward in [true, false] {
        let dir = TempDir::new().unwrap();
        let (before, mut changes) = linked(dir.path());
        let root = dir.path().join("root");
        assert_eq!(inode(root.join("a")), inode(root.join("sub/d")));
        if !forward {
            changes.reverse();
        }
        for change in &changes {
            change.undo().unwrap();
            assert!(matches!(change.undo(), Err(UndoError::Nothing)));
        }
        let after = Listing::read(&root);
        assert_eq!(files_of(&after), files_of(&before), "forward {forward}");
        assert_eq!(after.hard_links(), before.hard_links(), "forward {forward}");
    }
}

#[test]
fn what_has_changed_since_is_not_undone() {
    let dir = TempDir::new().unwrap();
    let (_, changes) = linked(dir.path());
    let survivor = dir.path().join("root/b1");
    let path = |change: &Change| String::from_utf8(change.path().bytes().unwrap()).unwrap();
    // Another file by now.
    let replaced = path(&changes[0]);
    fs::remove_file(&replaced).unwrap();
    fs::write(&replaced, "new").unwrap();
    assert!(matches!(changes[0].undo(), Err(UndoError::Changed)));
    assert_eq!(fs::read_to_string(&replaced).unwrap(), "new");
    // Written to through any of its names.
    fs::write(&survivor, "changed").unwrap();
    for change in &changes[1..] {
        assert!(matches!(change.undo(), Err(UndoError::Changed)));
        assert_eq!(inode(path(change)), inode(&survivor));
    }
}

#[test]
fn a_journal_can_be_read_again() {
    let dir = TempDir::new().unwrap();
    let (_, changes) = linked(dir.path());
    let text = fs::read_to_string(dir.path().join("undo")).unwrap();
    let first = text.lines().next().unwrap();
    assert!(first.starts_with(r#"{"did":"share","path":"/"#), "{first}");
    assert_eq!(serde_json::from_str::<Change>(first).unwrap(), changes[0]);
    let foreign = first.replacen("\"size\"", "\"sise\"", 1);
    assert_eq!(Change::parse_all(format!("{foreign}\n").as_bytes()), Err(1));
}

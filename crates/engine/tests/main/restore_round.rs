//! There and back: what is restored elsewhere is what the source was, whatever it held.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_engine::verbs::backup::Upheaval;
use linksnap_engine::verbs::restore::{Extra, RestoreOptions};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::tree::{TreeBuilder, apply, arb_edits};
use linksnap_testkit::{cases, rsync, skip, skip_unless};

use crate::kitchen::Kitchen;

/// A version 2 capability set (`linux/capability.h`).
pub const CAPABILITY: &[u8] =
    b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";

/// A tree with every kind and attribute that Linux has; needs root.
pub fn every_kind(root: &Path) {
    let odd = |bytes: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()));
    // As deep as rsync and cp can go.
    let deep: PathBuf = (0..30).map(|level| format!("level-{level}-{}", "x".repeat(80))).collect();
    let tree = TreeBuilder::new(root)
        .file("files/plain", "plain")
        .file("files/empty", "")
        .file("files/setuid", "s")
        .file("files/closed", "nobody may read this")
        .sparse("files/sparse", 50_000_000)
        .file("files/label", "l")
        .file("files/capable", "c")
        .file(deep.join("file"), "deep")
        .file(odd(b"names/new\nline"), "1")
        .file(odd(b"names/\x1b[31mred"), "2")
        .file(odd(b"names/\xff\xfe not utf-8"), "3")
        .file(odd(&[b"names/".as_slice(), &[b'n'; 255]].concat()), "4")
        .file("names/-rf", "5")
        .file("names/Case", "6")
        .file("names/case", "7")
        .file("groups/a/one", "of three")
        .hard_link("groups/a/one", "groups/b/two")
        .hard_link("groups/a/one", "groups/three")
        .symlink("links/to", "../files/plain")
        .symlink("links/dangling", "/no/where")
        .symlink("links/loop", "loop")
        .symlink("links/long", "t".repeat(1000))
        .hard_link("links/to", "links/again")
        .fifo("specials/fifo")
        .hard_link("specials/fifo", "specials/fifo-again")
        .socket("specials/socket")
        .char_device("specials/null", 1, 3)
        .char_device("specials/whiteout", 0, 0)
        .char_device("specials/large", 511, 200_000)
        .file("closed/file", "in a directory that nobody may enter")
        .dir("empty");
    let tree = tree
        .owner("files/setuid", 1234, 5678)
        .owner("links/to", 77, 88)
        .owner("specials/fifo", 4_000_000_000, 4_000_000_001)
        .mode("files/setuid", 0o6755)
        .mode("files/closed", 0)
        .mode("specials/null", 0o666)
        .mode("empty", 0o3777)
        .xattr("files/label", "user.note", "value")
        .xattr("files/label", "user.empty", "")
        .xattr("files/label", "trusted.note", "t")
        .xattr("files/label", "security.other", "label")
        .xattr("files/capable", "security.capability", CAPABILITY)
        .xattr("links/dangling", "trusted.note", "of a link")
        .xattr("specials/fifo", "trusted.note", "of a fifo")
        .xattr("empty", "user.note", "of a directory");
    let mut setfacl = Command::new("setfacl");
    setfacl.args(["-m", "u:1234:rwx,g:5678:r,d:u:1234:rwx"]).arg(root.join("groups"));
    assert!(setfacl.status().is_ok_and(|status| status.success()), "setfacl");
    drop(
        tree.file("groups/inherits", "an ACL")
            .mtime("files/plain", -5_000_000, 123_456_789)
            .mtime("files/empty", 5_000_000_000, 1)
            .mtime("specials/fifo", -1, 999_999_999)
            .mtime("links/dangling", 4_000_000_000, 7)
            .mtime("groups", -77, 5)
            .mode("closed", 0)
            .mode("files", 0),
    );
}

fn needs() -> bool {
    skip::is_root() && skip::has_tool("setfacl") && skip::has_tool("rsync")
}

#[test]
fn every_kind_comes_back_elsewhere() {
    skip_unless!(needs(), "needs root, setfacl and rsync");
    let mut kitchen = Kitchen::new();
    every_kind(&kitchen.source);
    let source = Listing::read(&kitchen.source);
    assert_eq!(kitchen.backup().problems.list, []);
    let target = tempfile::tempdir().expect("a target");
    let summary = kitchen.restore("latest", target.path());
    assert_eq!(summary.problems.list, []);
    let restored = kitchen.in_snapshot(target.path());
    assert_eq!(source.diff(&Listing::read(&restored), Compare::COPY), [""; 0]);
    assert_eq!(rsync::differences(&kitchen.source, &restored), [""; 0]);
    let blocks = fs::metadata(restored.join("files/sparse")).expect("it is there").blocks();
    assert!(blocks < 1000, "{blocks} blocks");
    kitchen.assert_sound();
}

/// From each kind of filesystem to each, and once more over what is there.
#[test]
fn every_kind_comes_back_on_every_filesystem() {
    skip_unless!(needs(), "needs root, setfacl and rsync");
    let disks = [FsKind::Ext4, FsKind::Xfs, FsKind::Btrfs].map(|kind| LoopFs::create(kind, 200, &[]));
    for from in &disks {
        let from = match from {
            Ok(disk) => disk.path(),
            Err(reason) => return skip::announce(linksnap_testkit::test_name!(), reason),
        };
        let mut kitchen = Kitchen::in_dir(&from);
        every_kind(&kitchen.source);
        assert_eq!(kitchen.backup().problems.list, []);
        for to in disks.iter().flatten() {
            let target = tempfile::tempdir_in(to.path()).expect("a target");
            assert_eq!(kitchen.restore("latest", target.path()).problems.list, []);
            let restored = kitchen.in_snapshot(target.path());
            assert_eq!(differences(&kitchen.source, &restored), [""; 0]);
            drop(
                TreeBuilder::new(&restored)
                    .file("files/plain", "other")
                    .mode("files/label", 0o600)
                    .delete("specials"),
            );
            let options =
                RestoreOptions { target: target.path().to_path_buf(), ..kitchen.in_place(Extra::Go) };
            let again = kitchen.try_restore("latest", &options, &linksnap_engine::Silent).expect("restored");
            assert_eq!((again.replaced, again.problems.list), (1, Vec::new()));
            assert_eq!(differences(&kitchen.source, &restored), [""; 0]);
        }
    }
}

/// XFS shows ACLs as extended attributes as well, others do not.
fn differences(src: &Path, dst: &Path) -> Vec<String> {
    let mut lines = rsync::differences(src, dst);
    lines.retain(|line| ![".d........x groups/", ".f........x groups/inherits"].contains(&line.as_str()));
    lines
}

/// A target whose directories hand down an ACL, and one that is there in part.
#[test]
fn a_target_hands_nothing_down() {
    skip_unless!(needs(), "needs root, setfacl and rsync");
    let mut kitchen = Kitchen::new();
    every_kind(&kitchen.source);
    drop(kitchen.backup());
    for existing in ["", "files", "groups/a"] {
        let target = tempfile::tempdir().expect("a target");
        let restored = kitchen.in_snapshot(target.path());
        fs::create_dir_all(restored.join(existing)).expect("made");
        let mut setfacl = Command::new("setfacl");
        setfacl.args(["-R", "-m", "d:u:4321:rwx,d:g:8765:rx,g:7:rwx"]).arg(target.path());
        assert!(setfacl.status().is_ok_and(|status| status.success()), "setfacl");
        assert_eq!(kitchen.restore("latest", target.path()).problems.list, []);
        assert_eq!(rsync::differences(&kitchen.source, &restored), [""; 0], "{existing}");
        assert!(!restored.join(".linksnap-restore").exists());
    }
}

#[test]
fn every_kind_comes_back_in_place_after_anything() {
    skip_unless!(needs(), "needs root, setfacl and rsync");
    let mut kitchen = Kitchen::new();
    every_kind(&kitchen.source);
    let source = Listing::read(&kitchen.source);
    drop(kitchen.backup());
    let changed = TreeBuilder::new(&kitchen.source)
        .file("files/plain", "PLAIN")
        .delete("files/empty")
        .mode("files/setuid", 0o755)
        .file("files/sparse", "small")
        .xattr("files/label", "user.note", "other")
        .xattr("files/closed", "user.new", "x")
        .owner("files/capable", 1, 1)
        .delete("groups/b/two")
        .file("groups/b/two", "of three")
        .hard_link("files/label", "groups/strange")
        .delete("specials/null")
        .char_device("specials/null", 1, 5)
        .delete("specials/socket")
        .dir("specials/socket/is/a/directory")
        .delete("empty")
        .symlink("empty", "/etc")
        .delete("links")
        .file("links", "is a file")
        .file("new/directory/file", "new");
    drop(changed.mtime("specials/fifo", 5, 5));
    let options = kitchen.in_place(Extra::Go);
    let (_, planned) = kitchen.plan_restore("latest", &options);
    let summary = kitchen.try_restore("latest", &options, &linksnap_engine::Silent).expect("restored");
    assert_eq!(summary.problems.list, []);
    let counts = |it: &linksnap_engine::verbs::restore::RestoreSummary| {
        [it.files, it.directories, it.symlinks, it.specials, it.replaced, it.removed, it.unchanged, it.bytes]
    };
    assert_eq!(counts(&planned), counts(&summary));
    let there = Listing::read(&kitchen.source);
    assert_eq!(source.diff(&there, Compare::COPY), [""; 0]);
    let latest = kitchen.in_snapshot(&kitchen.repository.join("job/latest"));
    assert_eq!(rsync::differences(&latest, &kitchen.source), [""; 0]);
    assert!(fs::symlink_metadata("/etc").expect("untouched").is_dir());
    kitchen.assert_sound();
}

#[test]
fn paths_longer_than_the_kernel_takes_come_back() {
    let mut kitchen = Kitchen::new();
    let deep: PathBuf = (0..90).map(|level| format!("level-{level}-{}", "x".repeat(80))).collect();
    let tree =
        TreeBuilder::new(&kitchen.source).file(deep.join("file"), "deep").symlink("long", "t".repeat(4095));
    let source = Listing::read(&kitchen.source);
    drop(kitchen.backup());
    let target = tempfile::tempdir().expect("a target");
    assert_eq!(kitchen.restore("latest", target.path()).problems.list, []);
    let restored = Listing::read(&kitchen.in_snapshot(target.path()));
    assert_eq!(source.diff(&restored, Compare::COPY), [""; 0]);
    drop(tree.file(deep.join("file"), "other").file(deep.join("extra"), "more"));
    let options = kitchen.in_place(Extra::Go);
    let summary = kitchen.try_restore("latest", &options, &linksnap_engine::Silent).expect("restored");
    assert_eq!((summary.replaced, summary.removed), (1, 1));
    assert_eq!(source.diff(&Listing::read(&kitchen.source), Compare::COPY), [""; 0]);
}

#[test]
fn random_trees_become_each_other() {
    let edits = (arb_edits(30), arb_edits(30));
    let ran = cases::runner(40).run(&edits, |(first, then)| {
        let mut kitchen = Kitchen::new();
        // A tree of which nothing is left is a tree, too.
        kitchen.options.upheaval = Upheaval::Accept;
        apply(&kitchen.source, &first);
        let before = Listing::read(&kitchen.source);
        assert_eq!(kitchen.backup().problems.list, []);
        apply(&kitchen.source, &then);
        let after = Listing::read(&kitchen.source);
        assert_eq!(kitchen.backup().problems.list, []);
        let mut wanted = [("oldest", &before), ("latest", &after), ("oldest", &before)].into_iter();
        wanted.try_for_each(|(selector, wanted)| {
            let options = kitchen.in_place(Extra::Go);
            let summary =
                kitchen.try_restore(selector, &options, &linksnap_engine::Silent).expect("restored");
            assert_eq!(summary.problems.list, []);
            let there = Listing::read(&kitchen.source);
            assert_eq!(wanted.diff(&there, Compare::COPY), [""; 0], "{selector}");
            // Once more there is nothing left to do.
            assert_eq!(kitchen.plan_restore(selector, &options).0, []);
            Ok::<(), proptest::test_runner::TestCaseError>(())
        })?;
        kitchen.assert_sound();
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_restored_root_has_the_attributes_of_the_root() {
    let mut kitchen = Kitchen::new();
    drop(TreeBuilder::new(&kitchen.source).file("file", "f"));
    drop(kitchen.backup());
    let own = tempfile::tempdir().expect("a directory");
    let target = own.path().join("made/for/it");
    drop(kitchen.restore("latest", &target));
    let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o7777;
    assert_eq!(mode(&target), mode(Path::new("/")));
    let there = own.path().join("there");
    drop(TreeBuilder::new(&there).mode("", 0o700));
    drop(kitchen.restore("latest", &there));
    assert_eq!(mode(&there), 0o700, "what only leads to sources is left as it is");
}

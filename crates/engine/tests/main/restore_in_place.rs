//! Restoring where it came from: what is right stays, what goes is set aside, and what others hold is left alone.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_engine::report::Class;
use linksnap_engine::verbs::restore::{Deed, Existing, Extra, RestoreError, RestoreOptions};
use linksnap_engine::{Monitor, ProblemKind, Progress, Silent, Wish};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::{Content, Edit, TreeBuilder, apply};
use linksnap_testkit::{loopfs, skip, skip_unless};

use crate::kitchen::Kitchen;
use crate::ledger::Ledger;

/// A source with a snapshot, so old that all of it is trusted.
fn with_snapshot() -> Kitchen {
    let mut kitchen = Kitchen::new();
    let tree = TreeBuilder::new(&kitchen.source)
        .file("a/one", "one")
        .file("a/two", "two")
        .file("b/three", "three")
        .hard_link("a/one", "b/one-again")
        .symlink("a/link", "one");
    drop(tree);
    kitchen.age();
    assert_eq!(kitchen.backup().problems.list, []);
    kitchen.age();
    kitchen
}

/// The steps of a plan: what, and where below the source.
fn steps(kitchen: &Kitchen, options: &RestoreOptions) -> Vec<(Deed, PathBuf)> {
    let (steps, _) = kitchen.plan_restore("latest", options);
    let below = |path: &Path| path.strip_prefix(&kitchen.source).expect("in the source").to_path_buf();
    let mut steps: Vec<_> = steps.iter().map(|step| (step.deed, below(&step.path))).collect();
    steps.sort_by(|a, b| a.1.cmp(&b.1));
    steps
}

/// Counts the bytes that are read.
#[derive(Default)]
struct Reads(std::sync::atomic::AtomicU64);

impl Monitor for Reads {
    fn progress(&self, progress: &Progress) {
        self.0.fetch_max(progress.bytes(), std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn what_nobody_touched_is_neither_read_nor_touched() {
    let kitchen = with_snapshot();
    let before = Listing::read(&kitchen.source);
    let ctime =
        |path: &str| fs::metadata(kitchen.source.join(path)).map(|it| (it.ctime(), it.ctime_nsec())).ok();
    let times = [ctime("a"), ctime("a/one"), ctime("")];
    let options = kitchen.in_place(Extra::Go);
    let reads = Reads::default();
    let summary = kitchen.try_restore("latest", &options, &reads).expect("restored");
    assert!(!summary.does_anything());
    assert_eq!((summary.unchanged, reads.0.into_inner()), (5, 0));
    assert_eq!(before.diff(&Listing::read(&kitchen.source), Compare::UNTOUCHED), [""; 0]);
    assert_eq!(times, [ctime("a"), ctime("a/one"), ctime("")]);
}

#[test]
fn the_plan_says_what_is_done_and_nothing_else_is() {
    let kitchen = with_snapshot();
    let tree = TreeBuilder::new(&kitchen.source)
        .file("a/two", "TWO!")
        .mode("b/three", 0o600)
        .file("a/extra", "new")
        .delete("a/link")
        .mode("a", 0o700);
    drop(tree);
    let stays = Listing::read(&kitchen.source).inode("b/three");
    let options = kitchen.in_place(Extra::Go);
    let planned = steps(&kitchen, &options);
    let expected = [
        (Deed::Attributes, "a"),
        (Deed::Remove, "a/extra"),
        (Deed::Create, "a/link"),
        (Deed::Replace, "a/two"),
        (Deed::Attributes, "b/three"),
    ];
    assert_eq!(planned, expected.map(|(deed, path)| (deed, PathBuf::from(path))));
    let summary = kitchen.try_restore("latest", &options, &Silent).expect("restored");
    let counts = [summary.files, summary.symlinks, summary.replaced, summary.attributes, summary.removed];
    assert_eq!((counts, summary.unchanged), ([1, 1, 1, 2, 1], 2));
    assert_eq!(Listing::read(&kitchen.source).inode("b/three"), stays);
    assert_eq!(steps(&kitchen, &options), []);
    assert!(!kitchen.source.join(".linksnap-restore").exists());
}

#[test]
fn without_delete_nothing_is_removed() {
    let kitchen = with_snapshot();
    drop(TreeBuilder::new(&kitchen.source).file("a/extra", "new").file("new/file", "new"));
    let summary = kitchen.try_restore("latest", &kitchen.in_place(Extra::Stay), &Silent).expect("restored");
    assert_eq!((summary.removed, summary.kept), (0, 0));
    assert!(kitchen.source.join("a/extra").exists() && kitchen.source.join("new/file").exists());
}

/// Same size and time, other bytes: only reading tells.
#[test]
fn silent_changes_are_found() {
    let kitchen = with_snapshot();
    apply(&kitchen.source, &[Edit::RewriteKeepingMtime { path: "a/two".into() }]);
    let options = kitchen.in_place(Extra::Stay);
    assert_eq!(steps(&kitchen, &options), [(Deed::Replace, PathBuf::from("a/two"))]);
    drop(kitchen.try_restore("latest", &options, &Silent).expect("restored"));
    assert_eq!(fs::read(kitchen.source.join("a/two")).expect("readable"), b"two");
}

/// A name outside what is restored holds the same inode: it may be a snapshot's.
#[test]
fn an_inode_with_names_elsewhere_is_replaced_and_not_changed() {
    let kitchen = with_snapshot();
    let elsewhere = tempfile::tempdir_in(kitchen.source.parent().expect("a parent")).expect("a directory");
    fs::hard_link(kitchen.source.join("b/three"), elsewhere.path().join("other")).expect("linked");
    drop(TreeBuilder::new(&kitchen.source).mode("b/three", 0o600).xattr("b/three", "user.new", "x"));
    let before = Listing::read(elsewhere.path());
    let options = kitchen.in_place(Extra::Go);
    assert_eq!(steps(&kitchen, &options), [(Deed::Replace, PathBuf::from("b/three"))]);
    drop(kitchen.try_restore("latest", &options, &Silent).expect("restored"));
    let after = Listing::read(elsewhere.path());
    assert_eq!(before.diff(&after, Compare::UNTOUCHED), [""; 0]);
    assert_ne!(after.inode("other"), Listing::read(&kitchen.source).inode("b/three"));
    assert_eq!(fs::metadata(kitchen.source.join("b/three")).expect("it is there").mode() & 0o777, 0o644);
}

/// The target is made of links to one snapshot; another is restored over it.
#[test]
fn a_target_of_links_to_a_snapshot_leaves_the_snapshot_alone() {
    skip_unless!(skip::is_root(), "links to the inodes of others");
    let mut kitchen = Kitchen::new();
    let mut ledger = Ledger::default();
    crate::restore_round::every_kind(&kitchen.source);
    let old = Listing::read(&kitchen.source);
    let first = kitchen.backup();
    ledger.check_success(&kitchen, &first);
    let tree = TreeBuilder::new(&kitchen.source)
        .owner("files/plain", 5, 5)
        .mode("files/capable", 0o700)
        .mtime("specials/socket", 3, 3)
        .xattr("files/label", "user.note", "changed")
        .owner("links/to", 1, 1)
        .file("names/case", "8");
    drop(tree);
    let second = kitchen.backup();
    ledger.check_success(&kitchen, &second);
    fs::remove_dir_all(&kitchen.source).expect("removed");
    let copied =
        Command::new("cp").arg("-al").arg(kitchen.in_snapshot(&second.path)).arg(&kitchen.source).status();
    assert!(copied.is_ok_and(|status| status.success()));
    let summary = kitchen.try_restore("oldest", &kitchen.in_place(Extra::Go), &Silent).expect("restored");
    assert_eq!(summary.problems.list, []);
    assert_eq!(old.diff(&Listing::read(&kitchen.source), Compare::COPY), [""; 0]);
    drop(ledger.check(&kitchen));
    kitchen.assert_sound();
}

#[test]
fn groups_of_names_come_back_however_they_were_mixed() {
    let kitchen = with_snapshot();
    let source = Listing::read(&kitchen.source);
    let mixed = [
        vec![("a/one", "a/two"), ("a/one", "b/three")],
        vec![("b/three", "b/one-again")],
        vec![("a/two", "a/one"), ("b/three", "b/one-again")],
        vec![("a/one", "c/outside")],
    ];
    for links in mixed {
        let edits = links.iter().map(|(existing, path)| {
            let (existing, path) = (PathBuf::from(existing), PathBuf::from(path));
            Edit::HardLink { existing, path }
        });
        apply(&kitchen.source, &edits.collect::<Vec<_>>());
        let summary = kitchen.try_restore("latest", &kitchen.in_place(Extra::Go), &Silent).expect("restored");
        assert_eq!(summary.problems.list, []);
        assert_eq!(source.diff(&Listing::read(&kitchen.source), Compare::COPY), [""; 0], "{links:?}");
    }
    // Names of equal bytes and attributes that are one inode, and are to be two.
    let same = Edit::Write { path: "b/three".into(), content: Content::Bytes(b"two".to_vec()) };
    apply(&kitchen.source, &[same, Edit::Mtime { path: "b/three".into(), mtime: (9, 9) }]);
    apply(&kitchen.source, &[Edit::Mtime { path: "a/two".into(), mtime: (9, 9) }]);
    let mut kitchen = kitchen;
    drop(kitchen.backup());
    let source = Listing::read(&kitchen.source);
    apply(&kitchen.source, &[Edit::HardLink { existing: "a/two".into(), path: "b/three".into() }]);
    apply(&kitchen.source, &[Edit::Mtime { path: "b".into(), mtime: (5, 5) }]);
    let summary = kitchen.try_restore("latest", &kitchen.in_place(Extra::Go), &Silent).expect("restored");
    assert_eq!(summary.replaced, 1);
    assert_eq!(source.diff(&Listing::read(&kitchen.source), Compare::COPY), [""; 0]);
}

#[test]
fn directories_that_lead_to_what_is_restored_stay_as_they_are() {
    let kitchen = with_snapshot();
    let above = kitchen.source.parent().expect("a parent").to_path_buf();
    let tree = TreeBuilder::new(&kitchen.source).mode("a", 0o711).delete("a/two").file("a/extra", "x");
    drop(tree.mtime("a", 7, 7));
    let options = RestoreOptions {
        paths: vec![kitchen.source.join("a/two").into_os_string().into_encoded_bytes()],
        ..kitchen.in_place(Extra::Go)
    };
    drop(kitchen.try_restore("latest", &options, &Silent).expect("restored"));
    let a = fs::metadata(kitchen.source.join("a")).expect("it is there");
    assert_eq!(a.mode() & 0o7777, 0o711);
    assert!(kitchen.source.join("a/extra").exists());
    // Everything: what was on the way to the source when it was backed up keeps all that it has.
    let (mode, mtime) = fs::metadata(&above).map(|it| (it.mode(), it.mtime())).expect("it is there");
    let all = RestoreOptions { paths: Vec::new(), ..kitchen.in_place(Extra::Go) };
    // Fails here, before anything is done, if the plan has a step outside the source.
    let planned = steps(&kitchen, &all);
    assert!(planned.iter().all(|(_, path)| path.starts_with("a")), "{planned:?}");
    let summary = kitchen.try_restore("latest", &all, &Silent).expect("restored");
    assert_eq!(summary.removed, 1);
    assert!(summary.kept > 0, "the neighbours of the source stay");
    let after = fs::metadata(&above).map(|it| (it.mode(), it.mtime())).expect("it is there");
    assert_eq!((mode, mtime), after);
}

/// What a run left out, or could not read, is not in the snapshot, and not to be removed for that.
#[test]
fn nothing_is_removed_where_something_was_left_out() {
    let mut kitchen = Kitchen::new();
    kitchen.options.rules.exclude = vec!["*.cache".to_owned()];
    drop(TreeBuilder::new(&kitchen.source).file("a/in", "1").file("a/x.cache", "2").file("b/in", "3"));
    drop(kitchen.backup());
    drop(TreeBuilder::new(&kitchen.source).file("a/new", "4").file("b/new", "5"));
    let summary = kitchen.try_restore("latest", &kitchen.in_place(Extra::Go), &Silent).expect("restored");
    assert_eq!((summary.removed, summary.kept), (1, 2));
    for (path, stays) in [("a/x.cache", true), ("a/new", true), ("b/new", false)] {
        assert_eq!(kitchen.source.join(path).exists(), stays, "{path}");
    }
}

#[test]
fn what_is_mounted_is_neither_removed_nor_moved() {
    skip_unless!(skip::is_root(), "mounts something");
    let kitchen = with_snapshot();
    let tree = TreeBuilder::new(&kitchen.source).dir("new/mounted").delete("a/link").dir("a/link/mounted");
    drop(tree);
    let mount = |path: &str| {
        let place = kitchen.source.join(path);
        let done = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&place).status();
        assert!(done.is_ok_and(|status| status.success()));
        fs::write(place.join("precious"), "p").expect("written");
        place
    };
    let mounted = [mount("new/mounted"), mount("a/link/mounted")];
    let restored = kitchen.try_restore("latest", &kitchen.in_place(Extra::Go), &Silent);
    let there = mounted.clone().map(|place| place.join("precious").exists());
    mounted.iter().for_each(|place| loopfs::unmount(place));
    let summary = restored.expect("restored");
    assert_eq!(there, [true, true]);
    assert_eq!((summary.removed, summary.kept), (0, 1));
    let kinds: Vec<ProblemKind> = summary.problems.list.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::NotKept], "{:?}", summary.problems.list);
}

/// No hard link leaves a filesystem (`link(2)`, EXDEV): the file comes back, and that it stands alone is told.
#[test]
fn a_hard_link_across_a_mount_point_is_a_file_of_its_own_and_that_is_told() {
    skip_unless!(skip::is_root(), "mounts something");
    let mut kitchen = Kitchen::new();
    let tree = TreeBuilder::new(&kitchen.source).file("a/one", "bytes").hard_link("a/one", "b/two");
    drop(tree.hard_link("a/one", "a/three"));
    drop(kitchen.backup());
    drop(TreeBuilder::new(&kitchen.source).delete("a").delete("b/two"));
    let place = kitchen.source.join("b");
    let done = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&place).status();
    assert!(done.is_ok_and(|status| status.success()));
    let restored = kitchen.try_restore("latest", &kitchen.in_place(Extra::Stay), &Silent);
    let listing = Listing::read(&kitchen.source);
    let bytes = ["a/one", "a/three", "b/two"].map(|path| fs::read(kitchen.source.join(path)).ok());
    loopfs::unmount(&place);
    let summary = restored.expect("restored");
    assert_eq!(bytes, [(); 3].map(|()| Some(b"bytes".to_vec())));
    assert_eq!(listing.hard_links(), [["a/one", "a/three"].map(PathBuf::from).into()].into());
    let [problem] = &summary.problems.list[..] else { panic!("{:?}", summary.problems.list) };
    let message = String::from_utf8_lossy(&problem.path).into_owned() + ": " + &problem.message;
    assert_eq!(problem.kind, ProblemKind::NotKept);
    assert!(
        message.contains(": a file of its own, not a hard link of ") && message.contains("b/two"),
        "{message}"
    );
}

#[test]
fn the_repository_is_not_removed() {
    let own = tempfile::tempdir().expect("a directory");
    let base = fs::canonicalize(own.path()).expect("it is there");
    let mut kitchen = Kitchen::in_dir(&base);
    drop(TreeBuilder::new(&kitchen.source).file("in", "1"));
    drop(kitchen.backup());
    // Moved into the source after the run.
    let moved = kitchen.source.join("new/place");
    fs::create_dir(kitchen.source.join("new")).expect("made");
    fs::rename(&kitchen.repository, &moved).expect("moved");
    kitchen.repository = moved;
    let summary = kitchen.try_restore("latest", &kitchen.in_place(Extra::Go), &Silent).expect("restored");
    assert_eq!((summary.removed, summary.kept), (0, 1));
    kitchen.assert_sound();
}

#[test]
fn damaged_bytes_replace_nothing() {
    let kitchen = with_snapshot();
    drop(TreeBuilder::new(&kitchen.source).file("a/two", "newer").delete("b/three"));
    let stored = kitchen.in_snapshot(&kitchen.job_dir().join("latest"));
    apply(&stored, &["a/two", "b/three"].map(|path| Edit::RewriteKeepingMtime { path: path.into() }));
    let summary = kitchen.try_restore("latest", &kitchen.in_place(Extra::Go), &Silent).expect("restored");
    let kinds: Vec<ProblemKind> = summary.problems.list.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::Damage, ProblemKind::Damage], "{:?}", summary.problems.list);
    assert_eq!(fs::read(kitchen.source.join("a/two")).expect("readable"), b"newer");
    assert!(kitchen.source.join("b/three").exists(), "better than nothing");
    assert!(!kitchen.source.join(".linksnap-restore").exists());
}

#[test]
fn attributes_are_those_that_were_recorded() {
    let kitchen = with_snapshot();
    let source = Listing::read(&kitchen.source);
    let stored = kitchen.in_snapshot(&kitchen.job_dir().join("latest"));
    apply(
        &stored,
        &[Edit::Mode { path: "a/two".into(), mode: 0o777 }, Edit::Mode { path: "b".into(), mode: 0o777 }],
    );
    let target = tempfile::tempdir().expect("a target");
    assert_eq!(kitchen.restore("latest", target.path()).problems.list, []);
    assert_eq!(source.diff(&Listing::read(&kitchen.in_snapshot(target.path())), Compare::COPY), [""; 0]);
}

#[test]
fn a_link_on_the_way_is_not_followed() {
    let kitchen = with_snapshot();
    let elsewhere = tempfile::tempdir().expect("a directory");
    drop(TreeBuilder::new(elsewhere.path()).file("two", "precious"));
    let before = Listing::read(elsewhere.path());
    drop(TreeBuilder::new(&kitchen.source).delete("a").symlink("a", elsewhere.path()));
    let options = RestoreOptions {
        paths: vec![kitchen.source.join("a/two").into_os_string().into_encoded_bytes()],
        ..kitchen.in_place(Extra::Stay)
    };
    let error = kitchen.try_restore("latest", &options, &Silent).expect_err("refused");
    assert!(matches!(error, RestoreError::NoDirectory { .. }), "{error:?}");
    assert_eq!(error.class(), Class::Guard);
    assert_eq!(before.diff(&Listing::read(elsewhere.path()), Compare::UNTOUCHED), [""; 0]);
    // The directory itself is meant: it comes back, and what the link led to stays.
    let summary = kitchen.try_restore("latest", &kitchen.in_place(Extra::Stay), &Silent).expect("restored");
    assert_eq!(summary.problems.list, []);
    assert!(fs::symlink_metadata(kitchen.source.join("a")).expect("it is there").is_dir());
    assert_eq!(before.diff(&Listing::read(elsewhere.path()), Compare::UNTOUCHED), [""; 0]);
}

/// Wants to stop when so many bytes have been read.
struct StopsAfter(u64, std::sync::atomic::AtomicU64);

impl Monitor for StopsAfter {
    fn progress(&self, progress: &Progress) {
        self.1.fetch_max(progress.bytes(), std::sync::atomic::Ordering::Relaxed);
    }

    fn wish(&self) -> Wish {
        if self.1.load(std::sync::atomic::Ordering::Relaxed) > self.0 { Wish::Stop } else { Wish::GoOn }
    }
}

#[test]
fn an_interrupted_restore_says_where_the_old_is_and_the_next_one_does_too() {
    let mut kitchen = Kitchen::new();
    let numbers = 0..30;
    let tree = |text: &str| {
        numbers.clone().fold(TreeBuilder::new(&kitchen.source), |tree, number| {
            tree.file(format!("{}/{number}", number % 3), format!("{text} {number}"))
        })
    };
    drop(tree("old"));
    drop(kitchen.backup());
    let numbers = 0..30;
    drop(numbers.fold(TreeBuilder::new(&kitchen.source), |tree, number| {
        tree.file(format!("{}/{number}", number % 3), format!("newer {number}"))
    }));
    let before = Listing::read(&kitchen.source);
    // All of it: the directories that lead there are not what is restored.
    let options = RestoreOptions { paths: Vec::new(), ..kitchen.in_place(Extra::Stay) };
    let error =
        kitchen.try_restore("latest", &options, &StopsAfter(60, Default::default())).expect_err("stopped");
    let RestoreError::SetAside { old, .. } = &error else { panic!("{error:?}") };
    assert_eq!(error.class(), Class::Interrupted);
    assert_eq!(old, &[kitchen.source.join(".linksnap-restore/old")]);
    let again = kitchen.try_restore("latest", &options, &Silent).expect_err("refused");
    assert_eq!(again.class(), Class::Guard);
    let hint = again.hint().expect("a hint");
    assert!(hint.contains("cp -a --remove-destination"), "{hint}");
    // The hint is a command that can be run.
    let command = hint.split('`').nth(1).expect("a command");
    assert!(Command::new("sh").args(["-c", command]).status().is_ok_and(|status| status.success()));
    fs::remove_dir_all(kitchen.source.join(".linksnap-restore")).expect("removed");
    let there = Listing::read(&kitchen.source);
    for (path, entry) in before.iter() {
        let now = there.get(path).expect("still there");
        assert_eq!((entry.kind, entry.content, entry.mode), (now.kind, now.content, now.mode), "{path:?}");
    }
    assert_eq!(Existing::Overwrite, options.existing);
    drop(kitchen.try_restore("latest", &options, &Silent).expect("restored"));
    assert_eq!(fs::read(kitchen.source.join("0/0")).expect("readable"), b"old 0");
}

//! What somebody did to the tree that a run builds upon: the snapshot is what it would be without, nothing outside is
//! touched, and no published snapshot either.
//!
//! All is done to names and directories of the scaffold, not to files: what stands under their names there is what the
//! published snapshots have. A write into one of those is a write into history, and a case of its own.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use linksnap_engine::ProblemKind;
use linksnap_engine::stages::run::Counts;
use linksnap_engine::verbs::backup::{BackupError, BackupSummary, Scaffold, Thoroughness};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::skip;
use linksnap_testkit::tree::{Content, Edit, TreeBuilder, apply};

use crate::kill::{Chance, plenty, some_edit};
use crate::kitchen::Kitchen;
use crate::ledger::{Ledger, names_in};
use crate::recover::{sabotages, unshared};
use crate::stopper::AfterCheckpoint;

/// Version 2; user::rwx, user:1:rwx, group::r-x, mask::rwx, other::r-x, each as tag, permissions, id (acl(5)).
const ACCESS_LIST: &[u8] = b"\x02\0\0\0\
    \x01\0\x07\0\xff\xff\xff\xff\x02\0\x07\0\x01\0\0\0\x04\0\x05\0\xff\xff\xff\xff\
    \x10\0\x07\0\xff\xff\xff\xff\x20\0\x05\0\xff\xff\xff\xff";

/// A kitchen that keeps two snapshots and has a scaffold; a place outside; and what was seen of both.
struct Scene {
    kitchen: Kitchen,
    ledger: Ledger,
    outside: tempfile::TempDir,
    untouched: Listing,
    changes: u32,
}

impl Scene {
    fn new() -> Self {
        let mut kitchen = Kitchen::new();
        plenty(&kitchen);
        kitchen.keep_last(2);
        let outside = tempfile::tempdir().expect("a directory");
        drop(
            TreeBuilder::new(outside.path())
                .file("many/0/0", "the content of 0")
                .file("many/0/8", "outside")
                .file("one", "outside"),
        );
        let untouched = Listing::read(outside.path());
        let mut scene = Self { kitchen, ledger: Ledger::default(), outside, untouched, changes: 0 };
        for _ in 0..3 {
            scene.change();
            scene.run("before");
        }
        assert!(scene.scaffold().join("many/0/0").exists());
        scene
    }

    fn retired(&self) -> PathBuf {
        self.kitchen.workshop().join("retired")
    }

    /// The scaffold under its name.
    fn tree(&self) -> PathBuf {
        let names = names_in(&self.retired());
        assert_eq!(names.len(), 1, "{names:?}");
        self.retired().join(&names[0])
    }

    /// What the scaffold has of the source.
    fn scaffold(&self) -> PathBuf {
        self.kitchen.in_snapshot(&self.tree())
    }

    /// A little of the source changes, and all else is old.
    fn change(&mut self) {
        self.kitchen.age();
        self.changes += 1;
        let number = self.changes;
        drop(
            TreeBuilder::new(&self.kitchen.source)
                .file("many/2/2", format!("version {number}"))
                .file(format!("many/3/new-{number}"), "new"),
        );
    }

    /// A run, whose snapshot is what it should be: of the source, and of the inodes of the snapshot before.
    fn run(&mut self, what: &str) -> BackupSummary {
        let latest = self.kitchen.job_dir().join("latest");
        let before = latest.exists().then(|| Listing::read(&self.kitchen.in_snapshot(&latest)));
        let summary = self.kitchen.try_backup(&linksnap_engine::Silent);
        let summary = summary.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(summary.problems.list, [], "{what}");
        self.ledger.let_go(&self.kitchen);
        self.ledger.check_success(&self.kitchen, &summary);
        // What checkpoints vouch for counts as changed, whatever the snapshot before has.
        if let Some(before) = before.filter(|_| summary.scaffold != Scaffold::Interrupted) {
            let shared = self.kitchen.listing(&summary).shared_with(&before).len() as u64;
            let Counts { unchanged, reused, moved, .. } = summary.counts;
            assert_eq!(shared, unchanged + reused - moved, "{what}");
        }
        let after = Listing::read(self.outside.path());
        assert_eq!(self.untouched.diff(&after, Compare::UNTOUCHED), [""; 0], "{what}");
        for (path, entry) in self.untouched.iter() {
            assert_eq!(
                after.get(path).map(|after| after.nlink),
                Some(entry.nlink),
                "{what}: names of {path:?}"
            );
        }
        self.kitchen.assert_claims();
        self.kitchen.assert_accounts();
        summary
    }

    /// Stops a run after a checkpoint, when it is asked for the n-th time what it wants; says whether it came to that.
    fn interrupt(&mut self, at: u64) -> bool {
        let stopper = AfterCheckpoint::new(at);
        match self.kitchen.try_backup(&stopper) {
            Err(BackupError::Interrupted) => true,
            Err(error) => panic!("{error:?}"),
            Ok(_) => {
                self.ledger.let_go(&self.kitchen);
                self.ledger.check(&self.kitchen);
                false
            }
        }
    }

    /// Sabotage, and then two runs; the first of them says on what it was built.
    fn survives(&mut self, what: &str, deed: impl Fn(&Scene)) -> Scaffold {
        self.change();
        deed(self);
        let scaffold = self.run(what).scaffold;
        self.change();
        self.run(&format!("after {what}"));
        scaffold
    }
}

#[test]
fn a_scaffold_may_be_altered_in_any_way() {
    let mut scene = Scene::new();
    for (what, edits) in sabotages(scene.outside.path()) {
        let edits = unshared(edits);
        let scaffold = scene.survives(what, |scene| apply(&scene.scaffold(), &edits));
        assert_eq!(scaffold, Scaffold::Recycled, "{what}");
    }
}

#[test]
fn directories_of_a_scaffold_may_have_attributes_of_any_kind() {
    let mut scene = Scene::new();
    let paths = ["", "many", "many/0", "a", "many/3"];
    let set = |path: &str, name: &str, value: &[u8]| Edit::SetXattr {
        path: path.into(),
        name: name.into(),
        value: value.to_vec(),
    };
    let mut edits = Vec::new();
    for path in paths {
        edits.push(set(path, "user.sabotage", b"x"));
        // What is made in such a directory inherits it.
        edits.push(set(path, "system.posix_acl_default", ACCESS_LIST));
        edits.push(set(path, "system.posix_acl_access", ACCESS_LIST));
        edits.push(Edit::Mode { path: path.into(), mode: 0o2777 });
        edits.push(Edit::Mtime { path: path.into(), mtime: (7, 7) });
        edits.push(Edit::Owner { path: path.into(), uid: 7, gid: 7 });
    }
    edits.push(Edit::RemoveXattr { path: "a".into(), name: "user.dir".into() });
    let scaffold = scene.survives("attributes", |scene| {
        apply(&scene.scaffold(), &edits);
        // Of the tree's own root as well.
        apply(&scene.tree(), &edits[..6]);
        let found = Listing::read(&scene.scaffold());
        let xattrs = &found.get("many/0").expect("a directory").xattrs;
        assert!(xattrs.len() == 3, "{xattrs:?}");
    });
    assert_eq!(scaffold, Scaffold::Recycled);
}

#[test]
fn foreign_links_in_a_scaffold_lose_their_names_there_only() {
    let mut scene = Scene::new();
    scene.survives("foreign links", |scene| {
        let scaffold = scene.scaffold();
        let link = |from: &str, to: &str| {
            let to = scaffold.join(to);
            if to.exists() {
                std::fs::remove_file(&to).expect("removed");
            }
            std::fs::hard_link(scene.outside.path().join(from), to).expect("a link");
        };
        // Of the same bytes and name, under a wrong name, where a new file is to be, and where none is.
        link("many/0/0", "many/0/0");
        link("many/0/8", "many/1/1");
        link("one", "a/one");
        link("one", "many/2/2");
        link("one", &format!("many/3/new-{}", scene.changes));
        link("one", "nobody's");
        let links = std::fs::metadata(scene.outside.path().join("one")).expect("there").nlink();
        assert_eq!(links, 5);
    });
}

#[test]
fn names_in_a_scaffold_may_stand_for_other_files_of_the_history() {
    let mut scene = Scene::new();
    scene.survives("links within", |scene| {
        let latest = scene.kitchen.in_snapshot(&scene.kitchen.job_dir().join("latest"));
        for (from, to) in
            [("many/0/0", "many/0/8"), ("many/1/9", "a/one"), ("a/one", "many/9"), ("b/fifo", "a/empty")]
        {
            let to = scene.scaffold().join(to);
            if std::fs::symlink_metadata(&to).is_ok() {
                std::fs::remove_file(&to).expect("removed");
            }
            std::fs::hard_link(latest.join(from), to).expect("a link");
        }
    });
}

/// What may stand where a directory should be.
fn impostors(outside: &Path) -> Vec<(&'static str, Edit)> {
    let path = PathBuf::from("impostor");
    vec![
        ("a file", Edit::Write { path: path.clone(), content: Content::Bytes(b"x".to_vec()) }),
        ("a link to outside", Edit::Symlink { path: path.clone(), target: outside.into() }),
        ("a link to nothing", Edit::Symlink { path: path.clone(), target: "nothing".into() }),
        ("a fifo", Edit::Fifo { path: path.clone() }),
        ("a socket", Edit::Socket { path: path.clone() }),
        ("an empty directory", Edit::Directory { path }),
    ]
}

/// Puts the impostor where something else is, or nothing.
fn put(edit: &Edit, at: &Path) {
    let dir = at.parent().expect("a parent");
    let name = PathBuf::from(at.file_name().expect("a name"));
    apply(dir, &[edit.clone(), Edit::Rename { from: "impostor".into(), to: name }]);
    assert!(std::fs::symlink_metadata(at).is_ok());
    assert!(std::fs::symlink_metadata(dir.join("impostor")).is_err());
}

#[test]
fn the_place_of_scaffolds_may_be_anything() {
    for (what, edit) in impostors(tempfile::tempdir().expect("a directory").path()) {
        let mut scene = Scene::new();
        scene.survives(what, |scene| put(&edit, &scene.retired()));
    }
}

#[test]
fn the_trash_may_be_anything() {
    for (what, edit) in impostors(tempfile::tempdir().expect("a directory").path()) {
        let mut scene = Scene::new();
        scene.survives(what, |scene| put(&edit, &scene.kitchen.workshop().join("trash")));
    }
}

#[test]
fn a_scaffold_may_be_anything() {
    for (what, edit) in impostors(tempfile::tempdir().expect("a directory").path()) {
        let mut scene = Scene::new();
        scene.survives(what, |scene| put(&edit, &scene.tree()));
    }
}

#[test]
fn beside_a_scaffold_may_be_anything() {
    for (what, edit) in impostors(tempfile::tempdir().expect("a directory").path()) {
        for name in ["0", "zzz"] {
            let mut scene = Scene::new();
            scene.survives(what, |scene| put(&edit, &scene.retired().join(name)));
            assert_eq!(names_in(&scene.retired()).len(), 1, "{what}");
        }
    }
}

#[test]
fn of_several_trees_in_the_place_of_scaffolds_one_is_taken_and_the_others_are_trash() {
    let names: [&[u8]; 4] = [b"2026-01-01T000000Z", b"2027-01-01T000000Z", b"zzz", b"\xff"];
    for name in names {
        let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name);
        let mut scene = Scene::new();
        scene.survives("another tree", |scene| {
            let copied = std::process::Command::new("cp")
                .args(["-a", "-l"])
                .args([scene.tree(), scene.retired().join(name)])
                .status();
            assert!(copied.is_ok_and(|status| status.success()));
            drop(TreeBuilder::new(scene.retired().join(name)).file("foreign", "x"));
        });
        assert_eq!(names_in(&scene.retired()).len(), 1);
    }
}

/// Files of the scaffold are those of published snapshots: a write into one is seen as the damage that it is, and not
/// linked forward.
#[test]
fn a_write_through_a_scaffold_is_a_write_into_history_and_is_said() {
    let mut scene = Scene::new();
    scene.change();
    let edits = [
        Edit::Write { path: "many/0/0".into(), content: Content::Bytes(b"longer than it was".to_vec()) },
        Edit::Mode { path: "many/1/1".into(), mode: 0o4777 },
        Edit::Mtime { path: "many/0/8".into(), mtime: (5, 5) },
    ];
    apply(&scene.scaffold(), &edits);
    scene.kitchen.options.validate = Thoroughness::Full;
    let summary = scene.kitchen.backup();
    let damaged: Vec<PathBuf> = summary
        .problems
        .list
        .iter()
        .filter(|problem| problem.kind == ProblemKind::Damage)
        .map(|problem| PathBuf::from(String::from_utf8_lossy(&problem.path).into_owned()))
        .collect();
    let source = &scene.kitchen.source;
    assert_eq!(damaged, ["many/0/0", "many/0/8", "many/1/1"].map(|path| source.join(path)));
    let wanted = Listing::read(source);
    assert_eq!(wanted.diff(&scene.kitchen.listing(&summary), Compare::COPY), [""; 0]);
    // And what was copied afresh is what is kept from now on.
    scene.kitchen.age();
    for _ in 0..2 {
        let next = scene.kitchen.backup();
        assert_eq!((next.problems.list.len(), next.counts.copied_files), (0, 0));
    }
    scene.kitchen.assert_sound();
    scene.kitchen.assert_claims();
    scene.kitchen.assert_accounts();
}

/// Something that changes no inode of a file that stands in the scaffold.
fn some_sabotage(chance: &mut Chance, outside: &Path) -> Edit {
    let mut path = || PathBuf::from(format!("many/{}/{}", chance.below(8), chance.below(16)));
    let (path, other) = (path(), path());
    let directory = path.parent().expect("a directory").to_path_buf();
    let content = Content::Bytes(b"sabotage".to_vec());
    match chance.below(13) {
        0 => Edit::Delete { path },
        1 => Edit::Delete { path: directory },
        2 => Edit::Rename { from: path, to: other },
        3 => Edit::Rename { from: directory, to: other.parent().expect("a directory").to_path_buf() },
        4 => Edit::Replace { path, content },
        5 => Edit::HardLink { existing: path, path: other },
        6 => Edit::Symlink { path: directory, target: outside.join("many/0").into() },
        7 => Edit::Symlink { path, target: outside.join("one").into() },
        8 => Edit::Fifo { path },
        9 => Edit::Directory { path: path.join("deep/er") },
        10 => Edit::Mode { path: directory, mode: u32::try_from(chance.below(0o10000)).expect("small") },
        11 => Edit::SetXattr {
            path: directory,
            name: "system.posix_acl_default".into(),
            value: ACCESS_LIST.to_vec(),
        },
        _ => Edit::Replace { path: directory, content },
    }
}

#[test]
fn random_sabotage_is_survived() {
    let mut chance = Chance(11);
    let mut scene = Scene::new();
    let rounds = if skip::is_root() { 80 } else { 20 };
    let mut interrupted = 0;
    for round in 0..rounds {
        let edits: Vec<Edit> = (0..chance.below(5)).map(|_| some_edit(&mut chance)).collect();
        let sabotage: Vec<Edit> =
            (0..1 + chance.below(6)).map(|_| some_sabotage(&mut chance, scene.outside.path())).collect();
        if chance.below(3) > 0 {
            scene.kitchen.age();
        } else {
            scene.kitchen.tick();
        }
        apply(&scene.kitchen.source, &edits);
        let mut tree = scene.scaffold();
        let was_interrupted = chance.below(4) == 0 && scene.interrupt(1 + chance.below(60));
        if was_interrupted {
            tree = scene.kitchen.in_snapshot(&scene.kitchen.workshop().join("staging"));
        }
        apply(&tree, &sabotage);
        scene.kitchen.options.validate = Thoroughness::Share([1, 1000][usize::from(round % 2 == 0)]);
        let summary = scene.run(&format!("round {round}: {sabotage:?} after {edits:?}"));
        let expected = if was_interrupted { Scaffold::Interrupted } else { Scaffold::Recycled };
        assert_eq!(summary.scaffold, expected);
        interrupted += u32::from(was_interrupted);
    }
    assert!(interrupted > rounds / 10, "only {interrupted} runs were interrupted");
}

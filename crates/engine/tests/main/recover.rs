//! What a run makes of what an earlier one left, and of what somebody did to it meanwhile.

use std::os::unix::process::CommandExt;
use std::path::Path;

use linksnap_engine::verbs::backup::{BackupError, BackupSummary, Scaffold};
use linksnap_engine::{Monitor, Phase, ProblemKind, Silent, SnapshotName};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::{Content, Edit, TreeBuilder, apply};
use linksnap_testkit::{crash, skip, skip_unless};

use crate::backup::some_of_everything;
use crate::kill::{Moment, PLENTY, backup_that_dies, plenty};
use crate::kitchen::Kitchen;
use crate::ledger::{Ledger, names_in};
use crate::stopper::AfterCheckpoint;

fn kitchen_with_plenty() -> (Kitchen, Ledger) {
    let kitchen = Kitchen::new();
    plenty(&kitchen);
    (kitchen, Ledger::default())
}

/// Leaves a staging tree whose first part a checkpoint vouches for.
fn interrupt(kitchen: &mut Kitchen, after: u64) {
    let stopped = kitchen.try_backup(&AfterCheckpoint::new(after));
    assert!(matches!(stopped, Err(BackupError::Interrupted)), "{stopped:?}");
}

/// Leaves a complete staging tree with a `staged` row.
fn stage(kitchen: &mut Kitchen) {
    assert!(backup_that_dies(kitchen, Moment::At(Phase::SyncStaged, 1)));
}

fn staging(kitchen: &Kitchen) -> std::path::PathBuf {
    kitchen.in_snapshot(&kitchen.workshop().join("staging"))
}

fn succeed(kitchen: &mut Kitchen, ledger: &mut Ledger) -> BackupSummary {
    let summary = kitchen.try_backup(&Silent).expect("a snapshot");
    ledger.check_success(kitchen, &summary);
    summary
}

#[test]
fn a_staged_tree_is_published() {
    let (mut kitchen, mut ledger) = kitchen_with_plenty();
    stage(&mut kitchen);
    assert_eq!(ledger.check(&kitchen), [""; 0]);
    drop(TreeBuilder::new(&kitchen.source).file("many/1/1", "changed since").delete("many/2"));
    let summary = succeed(&mut kitchen, &mut ledger);
    assert_eq!(kitchen.named().len(), 2);
    assert_eq!(summary.recovered.as_ref(), kitchen.named().first());
    assert_eq!(summary.basis, summary.recovered);
    assert_eq!(summary.counts.copied_files, 1);
}

#[test]
fn a_staged_tree_that_bears_its_name_is_finished() {
    let (mut kitchen, mut ledger) = kitchen_with_plenty();
    assert!(backup_that_dies(&mut kitchen, Moment::At(Phase::SyncRename, 1)));
    assert_eq!(ledger.check(&kitchen).len(), 1);
    assert_eq!(kitchen.job().snapshots().expect("readable"), []);
    let summary = succeed(&mut kitchen, &mut ledger);
    assert_eq!(summary.recovered.as_ref(), kitchen.named().first());
    assert_eq!(summary.counts.copied_files, 0);
}

#[test]
fn a_staged_tree_that_somebody_removed_is_forgotten() {
    let (mut kitchen, mut ledger) = kitchen_with_plenty();
    let first = kitchen.backup();
    ledger.check_success(&kitchen, &first);
    drop(TreeBuilder::new(&kitchen.source).file("many/1/1", "changed").delete("many/2").file("new", ""));
    stage(&mut kitchen);
    drop(TreeBuilder::new(kitchen.workshop()).delete("staging"));
    let summary = succeed(&mut kitchen, &mut ledger);
    assert_eq!(summary.recovered, None);
    let kinds: Vec<ProblemKind> = summary.problems.list.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::Notice]);
    assert_eq!(kitchen.named().len(), 2);
    assert_eq!(summary.counts.copied_files, 2);
}

/// Makes a directory with the name that is about to be given.
struct NameThief<'a> {
    kitchen_job: &'a Path,
    name: String,
}

impl Monitor for NameThief<'_> {
    fn reached(&self, phase: Phase) {
        if phase == Phase::Rename {
            drop(TreeBuilder::new(self.kitchen_job).file(format!("{}/foreign", self.name), "not ours"));
        }
    }
}

#[test]
fn a_name_that_somebody_took_is_not_ours() {
    let (mut kitchen, mut ledger) = kitchen_with_plenty();
    let name = SnapshotName::at(kitchen.options.now + 1).expect("a name").as_str().to_owned();
    let job = kitchen.job_dir();
    let failed = kitchen.try_backup(&NameThief { kitchen_job: &job, name: name.clone() });
    assert!(matches!(failed, Err(BackupError::Publish { .. })), "{failed:?}");
    let summary = kitchen.try_backup(&Silent).expect("a snapshot");
    let recovered = summary.recovered.clone().expect("the staged tree, under another name");
    assert_ne!(recovered, name);
    let foreign = Listing::read(&job.join(&name));
    assert_eq!(foreign.iter().count(), 2, "the foreign directory was touched");
    drop(TreeBuilder::new(&job).delete(&name));
    ledger.check_success(&kitchen, &summary);
    assert_eq!(kitchen.named().len(), 2);
}

#[test]
fn staging_without_a_row_is_a_scaffold_like_any_other() {
    let (mut kitchen, mut ledger) = kitchen_with_plenty();
    let first = kitchen.backup();
    ledger.check_success(&kitchen, &first);
    let outside = tempfile::tempdir().expect("a directory");
    drop(TreeBuilder::new(outside.path()).file("precious", "p").file("many/1/1", "q"));
    let untouched = Listing::read(outside.path());
    drop(
        TreeBuilder::new(staging(&kitchen))
            .file("many/1/1", "the content of 1")
            .file("many/nonsense/of/some/depth", "x")
            .symlink("a", outside.path())
            .symlink("many/2", outside.path().join("many"))
            .dir("many/0/0"),
    );
    let summary = succeed(&mut kitchen, &mut ledger);
    assert_eq!(summary.scaffold, Scaffold::Interrupted);
    assert_eq!(summary.counts.copied_files, 0);
    assert_eq!(untouched.diff(&Listing::read(outside.path()), Compare::UNTOUCHED), [""; 0]);
}

#[test]
fn staging_that_is_no_directory_is_set_aside() {
    let outside = tempfile::tempdir().expect("a directory");
    drop(TreeBuilder::new(outside.path()).file("precious", "p"));
    let untouched = Listing::read(outside.path());
    for make in [0, 1] {
        let (mut kitchen, mut ledger) = kitchen_with_plenty();
        interrupt(&mut kitchen, 10);
        let workshop = TreeBuilder::new(kitchen.workshop()).delete("staging");
        drop(match make {
            0 => workshop.symlink("staging", outside.path()),
            _ => workshop.file("staging", "no tree"),
        });
        drop(succeed(&mut kitchen, &mut ledger));
    }
    assert_eq!(untouched.diff(&Listing::read(outside.path()), Compare::UNTOUCHED), [""; 0]);
}

#[test]
fn trash_is_emptied() {
    let (mut kitchen, mut ledger) = kitchen_with_plenty();
    let outside = tempfile::tempdir().expect("a directory");
    drop(TreeBuilder::new(outside.path()).file("precious", "p"));
    let untouched = Listing::read(outside.path());
    drop(kitchen.backup());
    let deep: std::path::PathBuf = (0..200).map(|_| "d").collect();
    drop(
        TreeBuilder::new(kitchen.workshop().join("trash"))
            .file("0/file", "x")
            .file(Path::new("1").join(deep).join("file"), "x")
            .symlink("0/link", outside.path())
            .symlink("2", outside.path())
            .file("3", "x")
            .mode("0", 0),
    );
    ledger.check(&kitchen);
    drop(succeed(&mut kitchen, &mut ledger));
    assert_eq!(untouched.diff(&Listing::read(outside.path()), Compare::UNTOUCHED), [""; 0]);
}

#[test]
fn an_interrupted_run_goes_on_where_it_stood() {
    let (mut kitchen, mut ledger) = kitchen_with_plenty();
    interrupt(&mut kitchen, 130);
    assert_eq!(ledger.check(&kitchen), [""; 0]);
    let summary = succeed(&mut kitchen, &mut ledger);
    assert_eq!(summary.scaffold, Scaffold::Interrupted);
    assert!(summary.counts.copied_files < PLENTY / 2, "{:?}", summary.counts);
    assert!(summary.counts.kept_entries > PLENTY / 2, "{:?}", summary.counts);
}

/// What checkpoints vouch for of a directory that was not finished is not all of it.
#[test]
fn what_an_interrupted_run_left_is_no_damage() {
    let (mut kitchen, _) = kitchen_with_plenty();
    let summary = kitchen.backup();
    kitchen.age();
    for after in (1..150).step_by(7) {
        let mut tree = TreeBuilder::new(&kitchen.source);
        for number in 0..4 {
            tree = tree.file(format!("wide-{after}/{number}/file"), "new");
        }
        drop(tree);
        interrupt(&mut kitchen, after);
        let found = kitchen.verify().problems.list;
        assert_eq!(found, [], "after {after}");
    }
    drop(summary);
}

/// The same number of other bytes under the old modification time, as a lost write may leave them.
fn spoil(path: &Path) {
    let (root, name) = (path.parent().expect("a parent"), path.file_name().expect("a name"));
    apply(root, &[Edit::RewriteKeepingMtime { path: name.into() }]);
}

#[test]
fn what_a_checkpoint_vouches_for_ends_with_its_staging() {
    let (mut kitchen, mut ledger) = kitchen_with_plenty();
    interrupt(&mut kitchen, 80);
    drop(TreeBuilder::new(kitchen.workshop()).delete("staging"));
    // The same inode numbers are given out again, to files that nobody vouches for.
    assert!(backup_that_dies(&mut kitchen, Moment::At(Phase::CheckpointSync, 1)));
    let staged = Listing::read(&staging(&kitchen));
    for (path, _) in staged.iter().filter(|(_, entry)| entry.size.is_some_and(|size| size < 100)) {
        spoil(&staging(&kitchen).join(path));
    }
    drop(succeed(&mut kitchen, &mut ledger));
}

/// Each of these is done to the staging tree of an interrupted run.
pub fn sabotages(outside: &Path) -> Vec<(&'static str, Vec<Edit>)> {
    let bytes = |text: &str| Content::Bytes(text.as_bytes().to_vec());
    let write = |path: &str, text: &str| Edit::Write { path: path.into(), content: bytes(text) };
    let link = |path: &str, target: &Path| Edit::Symlink { path: path.into(), target: target.into() };
    let rename = |from: &str, to: &str| Edit::Rename { from: from.into(), to: to.into() };
    let delete = |path: &str| Edit::Delete { path: path.into() };
    vec![
        ("modified", vec![write("many/0/0", "longer than it was before")]),
        ("same size", vec![write("many/0/0", "tHE CONTENT OF 0")]),
        ("added", vec![write("many/0/nonsense", ""), write("more/nonsense", ""), write("zzz", "")]),
        ("removed", vec![delete("many/0/0"), delete("many/1"), delete("a")]),
        ("renamed", vec![rename("many/0/0", "many/0/x"), rename("many/1", "many/11")]),
        ("swapped", vec![rename("many/0/0", "x"), rename("many/0/8", "many/0/0"), rename("x", "many/0/8")]),
        (
            "swapped directories",
            vec![rename("many/0", "x"), rename("many/1", "many/0"), rename("x", "many/1")],
        ),
        ("directory is file", vec![write("many/0", "a file"), write("b", "")]),
        ("file is directory", vec![write("many/0/0/below", "x")]),
        ("directory is link", vec![link("many/0", &outside.join("many/0")), link("a", outside)]),
        ("all is a link", vec![link("many", &outside.join("many")), link("b", outside)]),
        ("file is link", vec![link("many/0/0", &outside.join("many/0/0")), link("a/one", Path::new("two"))]),
        ("file is fifo", vec![Edit::Fifo { path: "many/0/0".into() }, Edit::Socket { path: "a/two".into() }]),
        ("mode", vec![Edit::Mode { path: "many/0/0".into(), mode: 0o4777 }]),
        ("directory mode", vec![Edit::Mode { path: "many/0".into(), mode: 0 }]),
        ("owner", vec![Edit::Owner { path: "many/0/0".into(), uid: 7, gid: 7 }]),
        ("time", vec![Edit::Mtime { path: "many/0/0".into(), mtime: (5, 5) }]),
        ("links", vec![Edit::HardLink { existing: "many/0/0".into(), path: "many/0/8".into() }]),
        (
            "attributes of a directory",
            vec![
                Edit::SetXattr { path: "many/0".into(), name: "user.x".into(), value: b"x".to_vec() },
                Edit::Mtime { path: "many/0".into(), mtime: (5, 5) },
            ],
        ),
    ]
}

fn survives_sabotage(on_a_basis: bool) {
    let outside = tempfile::tempdir().expect("a directory");
    drop(TreeBuilder::new(outside.path()).file("many/0/0", "the content of 0").file("one", "outside"));
    let untouched = Listing::read(outside.path());
    for (what, edits) in sabotages(outside.path()) {
        let (mut kitchen, mut ledger) = kitchen_with_plenty();
        if on_a_basis {
            let first = kitchen.backup();
            ledger.check_success(&kitchen, &first);
            kitchen.age();
        }
        interrupt(&mut kitchen, 100);
        assert!(names_in(&staging(&kitchen)).contains(&"many".to_owned()));
        // Not into what the basis shares: that would be an edit of a published snapshot.
        let edits = if on_a_basis { unshared(edits) } else { edits };
        apply(&staging(&kitchen), &edits);
        let summary = kitchen.try_backup(&Silent).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        ledger.check_success(&kitchen, &summary);
        assert_eq!(summary.scaffold, Scaffold::Interrupted);
        assert_eq!(summary.problems.list, [], "{what}");
        let after = Listing::read(outside.path());
        assert_eq!(untouched.diff(&after, Compare::UNTOUCHED), [""; 0], "{what}");
    }
}

/// The edits that change names and directories, not the inodes of files.
pub fn unshared(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.retain(|edit| match edit {
        Edit::Mode { path, .. } | Edit::Owner { path, .. } | Edit::Mtime { path, .. } => {
            path != Path::new("many/0/0")
        }
        _ => true,
    });
    let replaced = |edit| match edit {
        Edit::Write { path, content } => Edit::Replace { path, content },
        other => other,
    };
    edits.into_iter().map(replaced).collect()
}

#[test]
fn a_first_run_survives_sabotage_of_its_staging() {
    survives_sabotage(false);
}

#[test]
fn a_later_run_survives_sabotage_of_its_staging() {
    survives_sabotage(true);
}

const BASE: &str = "LINKSNAP_TEST_USERS_BASE";

/// Nobody's number on Debian.
const NOBODY: u32 = 65_534;

#[test]
fn an_ordinary_user_goes_on_in_directories_that_he_may_not_write() {
    skip_unless!(skip::is_root(), "needs root to become somebody else");
    let base = tempfile::tempdir().expect("a directory");
    let (root, name) = (base.path().parent().expect("a parent"), base.path().file_name().expect("a name"));
    apply(root, &[Edit::Owner { path: name.into(), uid: NOBODY, gid: NOBODY }]);
    let mut child = crash::child("recover::users_entry", &[(BASE, base.path().as_os_str())]);
    let output = child.uid(NOBODY).gid(NOBODY).output().expect("a child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
#[ignore = "run as a child by the test above"]
fn users_entry() {
    let Some(base) = std::env::var_os(BASE) else { return };
    let mut kitchen = Kitchen::in_dir(Path::new(&base));
    kitchen.options.threads = Some(1);
    let mut ledger = Ledger::default();
    let mut tree = TreeBuilder::new(&kitchen.source);
    for number in 0..60 {
        tree = tree.file(format!("{}/locked/in/{}", number % 3, number), format!("{number}"));
    }
    for number in 0..3 {
        tree = tree.mode(format!("{number}/locked/in"), 0o555).mode(format!("{number}/locked"), 0o500);
    }
    for after in [20, 60, 75] {
        interrupt(&mut kitchen, after);
        ledger.check(&kitchen);
    }
    let open = |tree: TreeBuilder, mode| tree.mode("1/locked", mode).mode("1/locked/in", mode);
    tree =
        open(tree, 0o755).file("1/locked/in/1", "changed").delete("1/locked/in/4").file("1/locked/in/x", "");
    tree = open(tree, 0o500).mode("0/locked", 0o755).mode("0/locked/in", 0o755).delete("0");
    let summary = succeed(&mut kitchen, &mut ledger);
    assert_eq!((summary.scaffold, summary.problems.list.len()), (Scaffold::Interrupted, 0));
    drop(tree.mode("2/locked", 0o755).mode("2/locked/in", 0o755));
    drop(succeed(&mut kitchen, &mut ledger));
}

#[test]
fn a_copied_job_goes_on_where_it_was() {
    let mut kitchen = Kitchen::new();
    drop(some_of_everything(&kitchen));
    drop(kitchen.backup());
    drop(TreeBuilder::new(&kitchen.source).file("a/two", b"TWO").delete("a/dangling"));
    drop(kitchen.backup());
    let copy = kitchen.repository.with_file_name("copy");
    let copied = std::process::Command::new("cp").arg("-a").args([&kitchen.repository, &copy]).status();
    assert!(copied.is_ok_and(|status| status.success()));
    kitchen.move_to(copy);
    kitchen.assert_sound();
    let summary = kitchen.backup();
    assert_eq!(summary.problems.problems, 0, "{:?}", summary.problems.list);
    assert_eq!((summary.counts.copied_files, summary.counts.changed), (0, 0));
    kitchen.assert_sound();
    let again = kitchen.backup();
    assert_eq!((again.problems.list, again.counts.copied_files), (Vec::new(), 0));
}

#[test]
fn a_lost_catalog_is_refused() {
    let mut kitchen = Kitchen::new();
    drop(some_of_everything(&kitchen));
    drop(kitchen.backup());
    std::fs::remove_file(kitchen.repository.join("job/.linksnap/catalog.db")).expect("removed");
    let error = kitchen.try_backup(&Silent).expect_err("nothing to go on from");
    assert!(error.to_string().contains("is missing"), "{error}");
    std::fs::copy(
        kitchen.repository.join("job/.linksnap/catalog.copy"),
        kitchen.repository.join("job/.linksnap/catalog.db"),
    )
    .expect("put back");
    assert_eq!(kitchen.backup().counts.copied_files, 0);
    kitchen.assert_sound();
}

#[test]
fn a_snapshot_removed_by_hand_is_no_damage() {
    let mut kitchen = Kitchen::new();
    drop(some_of_everything(&kitchen));
    let first = kitchen.backup();
    drop(kitchen.backup());
    std::fs::remove_dir_all(&first.path).expect("removed");
    assert_eq!(kitchen.verify().problems.problems, 0);
    let third = kitchen.backup();
    std::fs::remove_dir_all(&third.path).expect("removed");
    let fourth = kitchen.backup();
    assert_eq!((fourth.problems.problems, fourth.problems.warnings), (0, 1));
    assert_eq!(kitchen.verify().problems.problems, 0);
}

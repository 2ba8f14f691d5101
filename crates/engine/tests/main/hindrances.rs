//! What stands in the way of deletes and of retention, or is done to them meanwhile: files that nobody can remove, few
//! descriptors, directories that their owner may not write, and people who tidy up.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup::Scaffold;
use linksnap_engine::{Monitor, Phase, ProblemKind, Silent};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::{Edit, TreeBuilder, apply};
use linksnap_testkit::{crash, skip, skip_unless};

use crate::deletes::{assert_all_is_well, history, retired, run, trash};
use crate::kitchen::Kitchen;
use crate::ledger::names_in;

const BASE: &str = "LINKSNAP_TEST_HINDRANCES_BASE";
const DEED: &str = "LINKSNAP_TEST_HINDRANCES_DEED";

#[test]
#[ignore = "run as a child by the tests here"]
fn child_entry() {
    let Some(base) = std::env::var_os(BASE) else { return };
    let mut kitchen = Kitchen::in_dir(Path::new(&base));
    match std::env::var(DEED).expect("set by the parent").as_str() {
        "delete" => {
            let names = kitchen.named();
            let doomed: Vec<&str> = names.iter().skip(1).map(String::as_str).collect();
            assert_eq!(kitchen.delete(&doomed).notice, None);
        }
        "closed" => an_ordinary_users_closed_scaffold(&mut kitchen),
        "user" => an_ordinary_users_life(&mut kitchen),
        other => panic!("{other}"),
    }
}

/// As many descriptors as a login shell gives, and more trees of more levels than that.
#[test]
fn few_descriptors_are_enough_for_many_deep_trees() {
    skip_unless!(skip::has_tool("prlimit"), "prlimit is missing");
    let own = tempfile::tempdir().expect("a directory");
    let base = std::fs::canonicalize(own.path()).expect("it is there");
    let mut kitchen = Kitchen::in_dir(&base);
    let deep: PathBuf = (0..100).map(|_| "d").collect();
    drop(TreeBuilder::new(&kitchen.source).file(deep.join("file"), "deep"));
    for _ in 0..20 {
        drop(kitchen.backup());
    }
    let env = [(BASE, base.as_os_str()), (DEED, OsStr::new("delete"))];
    let child = crash::child("hindrances::child_entry", &env);
    let mut limited = Command::new("prlimit");
    limited.arg("--nofile=1024:1024").arg(child.get_program()).args(child.get_args()).env_clear();
    limited.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = limited.output().expect("a child");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_all_is_well(&kitchen);
}

/// Nobody's number on Debian.
const NOBODY: u32 = 65_534;

#[test]
fn an_ordinary_user_deletes_and_recycles_directories_that_he_may_not_write() {
    skip_unless!(skip::is_root(), "needs root to become somebody else");
    as_nobody("user");
}

#[test]
fn an_ordinary_user_may_have_closed_the_directories_of_his_scaffold() {
    skip_unless!(skip::is_root(), "needs root to become somebody else");
    as_nobody("closed");
}

fn as_nobody(deed: &str) {
    let own = tempfile::tempdir().expect("a directory");
    let base = std::fs::canonicalize(own.path()).expect("it is there");
    let (root, name) = (base.parent().expect("a parent"), base.file_name().expect("a name"));
    apply(root, &[Edit::Owner { path: name.into(), uid: NOBODY, gid: NOBODY }]);
    let env = [(BASE, base.as_os_str()), (DEED, OsStr::new(deed))];
    let output =
        crash::child("hindrances::child_entry", &env).uid(NOBODY).gid(NOBODY).output().expect("a child");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn an_ordinary_users_life(kitchen: &mut Kitchen) {
    let modes = |tree: TreeBuilder, mode: u32| {
        (0..3).fold(tree, |tree, at| tree.mode(format!("{at}/in"), mode).mode(format!("{at}"), mode))
    };
    let mut tree = TreeBuilder::new(&kitchen.source);
    for number in 0..30 {
        tree = tree.file(format!("{}/in/{number}", number % 3), format!("{number}"));
    }
    drop(modes(tree, 0o555));
    kitchen.keep_last(2);
    for round in 0..6 {
        let tree = TreeBuilder::new(&kitchen.source);
        let tree =
            (0..3).fold(tree, |tree, at| tree.mode(format!("{at}"), 0o755).mode(format!("{at}/in"), 0o755));
        let tree = tree
            .file(format!("{}/in/new", round % 3), format!("{round}"))
            .delete(format!("0/in/{}", round * 3));
        drop(modes(tree, [0o500, 0o555, 0o750][round % 3]));
        kitchen.age();
        let source = Listing::read(&kitchen.source);
        let summary = kitchen.backup();
        assert_eq!(summary.problems.problems, 0, "{:?}", summary.problems.list);
        assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
        let recycled = if round < 3 { Scaffold::Empty } else { Scaffold::Recycled };
        assert_eq!(summary.scaffold, recycled);
        kitchen.assert_claims();
        kitchen.assert_accounts();
        kitchen.assert_tidy();
    }
    assert_eq!(kitchen.delete(&["oldest"]).notice, None);
    kitchen.assert_claims();
    kitchen.assert_accounts();
    kitchen.assert_tidy();
    kitchen.assert_sound();
    drop(modes(TreeBuilder::new(&kitchen.source), 0o755));
}

fn an_ordinary_users_closed_scaffold(kitchen: &mut Kitchen) {
    drop(TreeBuilder::new(&kitchen.source).file("0/in/file", "0").file("1/file", "1"));
    kitchen.keep_last(2);
    for _ in 0..3 {
        drop(kitchen.backup());
    }
    let names = retired(kitchen);
    let scaffold = kitchen.in_snapshot(&kitchen.workshop().join("retired").join(&names[0]));
    apply(&scaffold, &["0/in", "0", "1"].map(|path| Edit::Mode { path: path.into(), mode: 0 }));
    let source = Listing::read(&kitchen.source);
    let summary = kitchen.backup();
    assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
}

/// Makes a file or directory one that not even root can change, remove or move; says whether that works here.
pub fn make_immutable(path: &Path) -> bool {
    change_flag("+i", path)
}

pub fn change_flag(flag: &str, path: &Path) -> bool {
    let done = Command::new("chattr").arg(flag).arg(path).output();
    done.is_ok_and(|done| done.status.success())
}

/// Makes all those files ordinary again, wherever they are by now.
fn make_mutable(kitchen: &Kitchen) {
    let found = Command::new("find").arg(&kitchen.repository).args(["-name", "immutable"]).output();
    let found = String::from_utf8(found.expect("find runs").stdout).expect("text");
    for path in found.lines() {
        assert!(change_flag("-i", path.as_ref()), "{path}");
    }
}

#[test]
fn an_immutable_file_in_a_deleted_snapshot_is_a_notice() {
    let mut kitchen = history(3);
    drop(TreeBuilder::new(&kitchen.source).file("dir/immutable", "x"));
    drop(kitchen.backup());
    drop(TreeBuilder::new(&kitchen.source).delete("dir"));
    drop(kitchen.backup());
    let path = kitchen.in_snapshot(&kitchen.job_dir().join(&kitchen.named()[3])).join("dir/immutable");
    skip_unless!(make_immutable(&path), "chattr +i does not work here");
    let summary = kitchen.try_delete(&["latest~1", "oldest"], &Silent).expect("deleted");
    let notice = summary.notice.expect("something is left");
    assert_eq!(notice.kind, ProblemKind::Notice);
    assert!(String::from_utf8_lossy(&notice.path).ends_with("dir/immutable"), "{notice:?}");
    assert_eq!(kitchen.named().len(), 3);
    // All else is gone.
    let left = kitchen.set_aside();
    assert_eq!(left.values().filter(|inode| !inode.is_directory).count(), 1);
    for _ in 0..2 {
        let summary = kitchen.backup();
        let kinds: Vec<ProblemKind> = summary.problems.list.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [ProblemKind::Notice], "{:?}", summary.problems.list);
    }
    make_mutable(&kitchen);
    drop(run(&mut kitchen));
}

/// Retention retires a snapshot, only part of which can be freed.
#[test]
fn an_immutable_file_in_a_retired_snapshot_is_said_and_does_no_harm() {
    let mut kitchen = history(3);
    drop(TreeBuilder::new(&kitchen.source).file("dir/immutable", "x"));
    drop(kitchen.backup());
    drop(TreeBuilder::new(&kitchen.source).delete("dir"));
    drop(kitchen.backup());
    let path = kitchen.in_snapshot(&kitchen.job_dir().join(&kitchen.named()[3])).join("dir/immutable");
    skip_unless!(make_immutable(&path), "chattr +i does not work here");
    kitchen.keep_last(2);
    for round in 0..4 {
        let source = Listing::read(&kitchen.source);
        let summary = kitchen.backup();
        assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
        assert_eq!(kitchen.named().len(), 2, "round {round}");
        let kinds: Vec<ProblemKind> = summary.problems.list.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [ProblemKind::Notice], "round {round}: {:?}", summary.problems.list);
        kitchen.assert_sound();
        kitchen.age();
    }
    make_mutable(&kitchen);
    drop(run(&mut kitchen));
    drop(run(&mut kitchen));
}

/// What cannot be removed does not keep from being removed what can.
#[test]
fn trash_that_stays_does_not_stand_in_the_way_of_other_trash() {
    let mut kitchen = history(2);
    let mut tree = TreeBuilder::new(trash(&kitchen));
    for number in 0..40 {
        tree = tree.file(format!("2025-{number:02}/dir/immutable"), "x");
    }
    drop(tree);
    let stuck = (0..40).map(|number| trash(&kitchen).join(format!("2025-{number:02}/dir/immutable")));
    skip_unless!(stuck.into_iter().all(|path| make_immutable(&path)), "chattr +i does not work here");
    let summary = kitchen.try_delete(&["oldest"], &Silent).expect("deleted");
    assert!(summary.notice.is_some());
    let left = names_in(&trash(&kitchen));
    make_mutable(&kitchen);
    assert_eq!(left.len(), 40, "{left:?}");
    drop(run(&mut kitchen));
}

#[test]
fn snapshots_that_somebody_removed_are_forgotten_by_deleting_them() {
    for doomed in [0, 1, 4] {
        for by_prune in [false, true] {
            let mut kitchen = history(5);
            let named = kitchen.named();
            std::fs::remove_dir_all(kitchen.job_dir().join(&named[doomed])).expect("removed");
            if by_prune {
                // To the rules it is not there, and it is for people to say that the catalog may forget it.
                drop(kitchen.try_prune(2, Fate::Scaffold, &Silent).expect("pruned"));
                drop(kitchen.delete(&[&named[doomed]]));
            } else {
                drop(kitchen.delete(&[&named[doomed]]));
            }
            let latest = std::fs::read_link(kitchen.job_dir().join("latest")).expect("latest");
            assert_eq!(latest.to_str(), kitchen.named().last().map(String::as_str));
            let listed: Vec<String> =
                kitchen.job().snapshots().expect("readable").into_iter().map(|one| one.name).collect();
            assert_eq!(listed, kitchen.named(), "{doomed} {by_prune}");
            kitchen.assert_accounts();
            kitchen.assert_sound();
            let source = Listing::read(&kitchen.source);
            let summary = kitchen.backup();
            assert_eq!(summary.problems.list, []);
            assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
            kitchen.assert_accounts();
            kitchen.assert_sound();
        }
    }
}

/// Removes the trash at some phase.
struct Tidier {
    at: Phase,
    trash: PathBuf,
}

impl Monitor for Tidier {
    fn reached(&self, phase: Phase) {
        if phase == self.at && self.trash.exists() {
            std::fs::remove_dir_all(&self.trash).expect("it is safe to remove at any time");
        }
    }
}

#[test]
fn the_trash_may_be_removed_at_any_time() {
    let phases = Phase::ALL.into_iter().chain(Phase::RETIRING).chain([Phase::Recycle]);
    let mut said = String::new();
    for at in phases {
        let mut kitchen = history(5);
        kitchen.keep_last(3);
        drop(kitchen.backup());
        drop(TreeBuilder::new(&kitchen.source).delete("many/1").file("many/2/2", "other"));
        let tidier = Tidier { at, trash: trash(&kitchen) };
        match kitchen.try_backup(&tidier) {
            Ok(summary) if summary.problems.list.is_empty() => {}
            Ok(summary) => writeln!(said, "{at:?}: {:?}", summary.problems.list).expect("text"),
            Err(error) => writeln!(said, "{at:?}: {error:?}").expect("text"),
        }
        drop(kitchen.backup());
        drop(run(&mut kitchen));
        assert_eq!(kitchen.named().len(), 3, "{at:?}");
        match kitchen.try_delete(&["oldest", "latest"], &tidier) {
            Ok(_) => {}
            Err(error) => writeln!(said, "{at:?}: deleting: {error:?}").expect("text"),
        }
        drop(run(&mut kitchen));
    }
    assert_eq!(said, "");
}

/// What bears a snapshot's name goes, whatever it is, and nothing that it leads to.
#[test]
fn what_somebody_put_in_the_place_of_a_snapshot_is_deleted_in_its_place() {
    let outside = tempfile::tempdir().expect("a directory");
    drop(TreeBuilder::new(outside.path()).file("precious", "p").file("tmp/precious", "q"));
    let untouched = Listing::read(outside.path());
    for (by_prune, is_link) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut kitchen = history(4);
        let oldest = kitchen.named()[0].clone();
        std::fs::remove_dir_all(kitchen.job_dir().join(&oldest)).expect("removed");
        let job = TreeBuilder::new(kitchen.job_dir());
        drop(if is_link { job.symlink(&oldest, outside.path()) } else { job.file(&oldest, "no tree") });
        if by_prune {
            let done = kitchen.try_prune(3, Fate::Scaffold, &Silent).expect("pruned");
            assert_eq!(done.notice, None);
        } else {
            assert_eq!(kitchen.delete(&["oldest"]).notice, None);
        }
        assert_eq!(kitchen.named().len(), 3);
        drop(kitchen.backup());
        kitchen.assert_sound();
        kitchen.assert_accounts();
        kitchen.assert_tidy();
        assert_eq!(untouched.diff(&Listing::read(outside.path()), Compare::UNTOUCHED), [""; 0]);
    }
}

//! What is done to snapshots while somebody else is at work on them, or has just chosen them; and what cannot be done
//! to them.

use std::path::{Path, PathBuf};
use std::sync::Once;

use linksnap_engine::job::JobError;
use linksnap_engine::stages::begin::BeginError;
use linksnap_engine::stages::remove;
use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup::{BackupError, Scaffold};
use linksnap_engine::verbs::delete::{self, DeleteOptions};
use linksnap_engine::verbs::pin::{self, Pin};
use linksnap_engine::verbs::verify::{self, VerifyOptions};
use linksnap_engine::{Monitor, ProblemKind, Progress, Selector, Silent};
use linksnap_inode::{DirFd, Errno};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::skip_unless;
use linksnap_testkit::tree::TreeBuilder;

use crate::deletes::{history, retired, run, trash};
use crate::hindrances::{change_flag, make_immutable};
use crate::kill::{Killer, Moment};
use crate::kitchen::Kitchen;
use crate::ledger::names_in;

/// Does something once, at the first sign of progress.
struct Meanwhile<F: Fn() + Sync> {
    once: Once,
    deed: F,
}

impl<F: Fn() + Sync> Meanwhile<F> {
    fn new(deed: F) -> Self {
        Self { once: Once::new(), deed }
    }
}

impl<F: Fn() + Sync> Monitor for Meanwhile<F> {
    fn progress(&self, _progress: &Progress) {
        self.once.call_once(|| (self.deed)());
    }
}

fn delete(kitchen: &Kitchen, selector: &str) {
    let job = kitchen.job();
    let doomed = job.select(&Selector::parse(selector)).expect("a snapshot");
    let options = DeleteOptions { now: kitchen.options.now, holder: "a test".to_owned() };
    delete::delete(&job, &[doomed], &options, &Silent).expect("deleted");
}

#[test]
fn a_snapshot_deleted_while_it_is_verified_is_no_damage() {
    for (selector, content) in [("latest", true), ("latest", false), ("latest~1", true), ("oldest", true)] {
        let mut kitchen = history(4);
        drop(TreeBuilder::new(&kitchen.source).file("many/1/1", "other").delete("many/2"));
        drop(kitchen.backup());
        let options = VerifyOptions { snapshots: Vec::new(), content, threads: Some(2) };
        let meanwhile = Meanwhile::new(|| delete(&kitchen, selector));
        let found = verify::verify(&kitchen.job(), &options, &meanwhile).expect("verified to the end");
        assert_eq!(found.problems.problems, 0, "{selector}: {:?}", found.problems.list);
        assert_eq!(found.problems.warnings, 1, "{selector}: {:?}", found.problems.list);
        // What the one that went had in common with others has been looked at all the same.
        let after = verify::verify(&kitchen.job(), &options, &Silent).expect("verified to the end");
        assert_eq!(after.problems.list, []);
        assert!(found.inodes >= after.inodes, "{selector}: {} of {}", found.inodes, after.inodes);
    }
}

#[test]
fn damage_is_said_of_a_snapshot_that_bears_its_name() {
    let kitchen = history(3);
    let newest = kitchen.job_dir().join(&kitchen.named()[2]);
    let gone = kitchen.in_snapshot(&newest).join("many/1/1");
    let meanwhile = Meanwhile::new(|| std::fs::remove_file(&gone).expect("it is there"));
    let options = VerifyOptions { snapshots: Vec::new(), content: true, threads: Some(1) };
    let found = verify::verify(&kitchen.job(), &options, &meanwhile).expect("verified to the end");
    // The file and, for its time, the directory.
    assert_eq!((found.problems.problems, found.problems.warnings), (2, 0), "{:?}", found.problems.list);
}

#[test]
fn a_pin_of_a_snapshot_that_is_gone_is_refused_whole() {
    let mut kitchen = history(3);
    let job = kitchen.job();
    let chosen = job.snapshots().expect("snapshots");
    drop(kitchen.delete(&["oldest"]));
    for pin in [Pin::Set { until: None, note: None }, Pin::Clear] {
        let refused = pin::pin(&job, &chosen, &pin, ("a test", kitchen.options.now));
        assert!(matches!(refused, Err(BeginError::Job(JobError::Select(_)))), "{refused:?}");
    }
    assert!(kitchen.snapshots().iter().all(|one| !one.pinned));
}

/// Makes the directories of snapshots such that nobody can move them; says whether that works here.
fn freeze(kitchen: &Kitchen, snapshots: &[usize]) -> Option<Vec<PathBuf>> {
    let named = kitchen.named();
    let paths: Vec<PathBuf> = snapshots.iter().map(|at| kitchen.job_dir().join(&named[*at])).collect();
    paths.iter().all(|path| make_immutable(path)).then_some(paths)
}

fn thaw(paths: &[PathBuf]) {
    paths.iter().for_each(|path| assert!(change_flag("-i", path)));
}

#[test]
fn a_snapshot_that_cannot_be_moved_does_not_keep_the_others() {
    for by_run in [true, false] {
        let mut kitchen = history(5);
        let frozen = freeze(&kitchen, &[1]);
        skip_unless!(frozen.is_some(), "chattr +i does not work here");
        let stays = kitchen.named()[1].clone();
        let problems = if by_run {
            kitchen.keep_last(2);
            kitchen.backup().problems.list
        } else {
            let done = kitchen.try_prune(2, Fate::Scaffold, &Silent).expect("pruned");
            let dropped: Vec<&str> = done.plan.dropped().map(|one| one.name.as_str()).collect();
            assert!(dropped.len() == 2 && !dropped.contains(&stays.as_str()), "{dropped:?}");
            done.plan.stuck.into_iter().map(|stuck| stuck.problem).collect()
        };
        assert_eq!(problems.iter().map(|one| one.kind).collect::<Vec<_>>(), [ProblemKind::Retention]);
        assert!(String::from_utf8_lossy(&problems[0].path).ends_with(&stays), "{problems:?}");
        assert_eq!(kitchen.named().len(), 3);
        assert_eq!(kitchen.named()[0], stays);
        kitchen.assert_sound();
        thaw(&frozen.unwrap_or_default());
        kitchen.keep_last(2);
        drop(run(&mut kitchen));
        assert_eq!(kitchen.named().len(), 2);
    }
}

#[test]
fn the_newest_snapshot_is_still_the_latest_if_it_cannot_be_moved() {
    let mut kitchen = history(4);
    let frozen = freeze(&kitchen, &[3]);
    skip_unless!(frozen.is_some(), "chattr +i does not work here");
    let done = kitchen.try_delete(&["latest", "oldest"], &Silent).expect("one of them");
    assert_eq!(done.stuck.len(), 1);
    let refused = kitchen.try_delete(&["latest"], &Silent);
    assert!(refused.is_err(), "{refused:?}");
    thaw(&frozen.unwrap_or_default());
    assert_eq!(kitchen.named().len(), 3);
    // A run that fails here points away from what it wanted to delete; the next command mends that.
    let refused = kitchen.try_delete(&["latest"], &Silent);
    assert!(refused.is_ok(), "{refused:?}");
    drop(run(&mut kitchen));
}

#[test]
fn the_trash_may_be_removed_under_a_run() {
    let mut kitchen = history(5);
    kitchen.keep_last(3);
    drop(kitchen.backup());
    assert_eq!(retired(&kitchen).len(), 1);
    drop(TreeBuilder::new(&kitchen.source).delete("many/1").delete("many/3").file("many/2/2", "other"));
    let trash = trash(&kitchen);
    let meanwhile = Meanwhile::new(|| drop(std::fs::remove_dir_all(&trash)));
    let source = Listing::read(&kitchen.source);
    let summary = kitchen.try_backup(&meanwhile).expect("a snapshot");
    assert_eq!(summary.scaffold, Scaffold::Recycled);
    assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
    drop(run(&mut kitchen));
}

/// On a full disk the trash is emptied before the catalog forgets: the roots tell what is to be forgotten.
#[test]
fn emptied_trees_stay_as_signs_and_are_enough_to_finish() {
    let mut kitchen = history(4);
    let oldest = kitchen.named()[0].clone();
    let inside = trash(&kitchen);
    drop(TreeBuilder::new(&inside).file("file", "x").file("2025/deep/er/file", "y"));
    std::fs::rename(kitchen.job_dir().join(&oldest), inside.join(&oldest)).expect("renamed");
    let dir = DirFd::open_root(&inside).expect("opened");
    remove::empty_trees(&dir, &|_| false).expect("emptied");
    assert_eq!(names_in(&inside), ["2025".to_owned(), oldest.clone()]);
    assert!(names_in(&inside).iter().all(|name| names_in(&inside.join(name)).is_empty()));
    drop(run(&mut kitchen));
    assert!(kitchen.snapshots().iter().all(|one| one.name != oldest));
    kitchen.assert_tidy();
}

/// The newest snapshot is gone: what was being built upon it is worth nothing, for inode numbers are given out again.
#[test]
fn without_the_newest_snapshot_a_run_starts_from_nothing() {
    for is_recycled in [false, true] {
        let mut kitchen = history(4);
        if is_recycled {
            kitchen.keep_last(2);
            drop(kitchen.backup());
            assert_eq!(retired(&kitchen).len(), 1);
        } else {
            drop(TreeBuilder::new(&kitchen.source).file("many/1/1", "other"));
            let stop = || panic!("this run ends here");
            let killer = Killer::new(Moment::Call(u64::MAX), &stop);
            drop(kitchen.try_backup(&Interrupted { killer }).expect_err("interrupted"));
            assert!(kitchen.workshop().join("staging").exists());
        }
        let newest = kitchen.named().last().cloned().expect("a snapshot");
        std::fs::remove_dir_all(kitchen.job_dir().join(newest)).expect("removed");
        let source = Listing::read(&kitchen.source);
        let summary = kitchen.backup();
        assert_eq!(summary.scaffold, Scaffold::Empty, "{is_recycled}");
        assert_eq!(summary.counts.kept_entries, 0);
        assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
        assert_eq!(kitchen.verify().problems.problems, 0);
    }
}

/// Wants to stop when there has been a checkpoint.
struct Interrupted<'a> {
    killer: Killer<'a>,
}

impl Monitor for Interrupted<'_> {
    fn wish(&self) -> linksnap_engine::monitor::Wish {
        match self.killer.wishes() {
            40.. => linksnap_engine::monitor::Wish::Stop,
            _ => self.killer.wish(),
        }
    }
}

/// A file in what a run builds upon that not even root can remove: this run fails, the next starts from nothing.
#[test]
fn an_immutable_file_in_a_scaffold_ends_one_run() {
    let mut kitchen = history(4);
    kitchen.keep_last(2);
    drop(kitchen.backup());
    let scaffold = kitchen.workshop().join("retired").join(&retired(&kitchen)[0]);
    let file = kitchen.in_snapshot(&scaffold).join("many/1/1");
    drop(TreeBuilder::new(&kitchen.source).file("many/1/1", "it must be replaced"));
    // The flag is the inode's: in the snapshots that share it, it stands as well.
    std::fs::copy(&file, file.with_extension("own")).expect("copied");
    std::fs::rename(file.with_extension("own"), &file).expect("renamed");
    skip_unless!(make_immutable(&file), "chattr +i does not work here");
    let before = kitchen.named();
    let failed = kitchen.try_backup(&Silent).expect_err("it cannot be replaced");
    assert!(matches!(failed, BackupError::Run { .. }), "{failed:?}");
    assert!(failed.hint().is_some_and(|hint| hint.contains("in the way")), "{failed:?}");
    assert_eq!(kitchen.named(), before);
    let source = Listing::read(&kitchen.source);
    let summary = kitchen.backup();
    assert_eq!(summary.scaffold, Scaffold::Empty);
    assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
    let left = walk(&trash(&kitchen)).into_iter().find(|path| path.ends_with("many/1/1"));
    assert!(change_flag("-i", &left.expect("still in the trash")));
    drop(run(&mut kitchen));
    kitchen.assert_tidy();
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_path_buf()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).expect("readable").flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

/// An error that is not of one snapshot alone ends it all.
#[test]
fn without_the_trash_nothing_is_retired() {
    let mut kitchen = history(4);
    let trash = trash(&kitchen);
    drop(std::fs::remove_dir_all(&trash));
    skip_unless!(make_immutable(&kitchen.workshop()), "chattr +i does not work here");
    let failed = kitchen.try_delete(&["oldest"], &Silent);
    assert!(change_flag("-i", &kitchen.workshop()));
    let error = failed.expect_err("there is no place for it");
    assert!(format!("{error:?}").contains(&format!("{}", Errno::PERM.raw_os_error())), "{error:?}");
    assert_eq!(kitchen.named().len(), 4);
    drop(run(&mut kitchen));
}

//! Filesystems mounted inside the repository: nothing of them is touched, that they are in the way is said, and once
//! they are gone all goes on.

use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup::Scaffold;
use linksnap_engine::verbs::du;
use linksnap_engine::{ProblemKind, Silent};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{skip, skip_unless};

use crate::faults::whole_chain;
use crate::kill::plenty;
use crate::kitchen::Kitchen;
use crate::ledger::names_in;

/// What is mounted.
#[derive(Clone, Copy, Debug)]
enum What {
    /// A filesystem of its own.
    Tmpfs,
    /// A directory of the same filesystem.
    Directory,
}

/// A steady state: two snapshots and a scaffold.
fn steady() -> Kitchen {
    let mut kitchen = Kitchen::new();
    plenty(&kitchen);
    kitchen.keep_last(2);
    for number in 0..3 {
        drop(TreeBuilder::new(&kitchen.source).file("many/2/2", format!("version {number}")));
        drop(kitchen.backup());
        kitchen.age();
    }
    drop(TreeBuilder::new(&kitchen.source).file("many/2/2", "changed again").delete("many/4/4"));
    kitchen
}

fn scaffold(kitchen: &Kitchen) -> PathBuf {
    let names = names_in(&kitchen.workshop().join("retired"));
    kitchen.workshop().join("retired").join(&names[0])
}

/// Something mounted with something precious in it. The mount goes where the tree goes that it is in.
struct Precious {
    repository: PathBuf,
    untouched: Listing,
    _elsewhere: tempfile::TempDir,
}

impl Precious {
    fn mount(what: What, at: &Path, kitchen: &Kitchen) -> Option<Self> {
        let elsewhere = tempfile::tempdir().expect("a directory");
        let path = elsewhere.path().to_str().expect("text");
        let options = match what {
            What::Tmpfs => ["-t", "tmpfs", "linksnap-test"].as_slice(),
            What::Directory => &["--bind", path],
        };
        let done = Command::new("mount").args(options).arg(at).output().ok()?;
        if !done.status.success() {
            return None;
        }
        // A run goes by name: what would be removed first is a file, which no failing rename protects.
        let tree = TreeBuilder::new(at).file("!", "x").file("precious", "p");
        drop(tree.file("0/0", "the content of 0").file("dir/file", "f"));
        let untouched = Listing::read(at);
        Some(Self { repository: kitchen.repository.clone(), untouched, _elsewhere: elsewhere })
    }

    /// Ends the mount, and looks first whether all is there.
    fn end(self) {
        let [at] = &mounted_below(&self.repository)[..] else { panic!("not mounted once") };
        let after = Listing::read(Path::new(at));
        assert_eq!(self.untouched.diff(&after, Compare::UNTOUCHED), [""; 0], "at {at}");
    }
}

impl Drop for Precious {
    fn drop(&mut self) {
        unmount_below(&self.repository);
    }
}

fn mounted_below(repository: &Path) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").expect("readable");
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|at| Path::new(at).starts_with(repository)).map(str::to_owned).collect()
}

/// Never panics: the test may be failing already.
fn unmount_below(repository: &Path) {
    for at in mounted_below(repository) {
        drop(Command::new("umount").arg(at).output());
    }
}

fn notices(list: &[linksnap_engine::Problem]) -> Vec<String> {
    list.iter()
        .map(|problem| {
            assert_eq!(problem.kind, ProblemKind::Notice, "{problem:?}");
            format!("{}: {}", String::from_utf8_lossy(&problem.path), problem.message)
        })
        .collect()
}

/// A run whose snapshot is what it should be.
fn run(kitchen: &mut Kitchen, what: &str) -> (Scaffold, Vec<String>) {
    let summary = kitchen.try_backup(&Silent).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let source = Listing::read(&kitchen.source);
    assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0], "{what}");
    (summary.scaffold, notices(&summary.problems.list))
}

/// Once nothing is in the way any more.
fn recovers(kitchen: &mut Kitchen, what: &str) {
    for _ in 0..2 {
        kitchen.age();
        assert_eq!(run(kitchen, what).1, [""; 0]);
    }
    assert_eq!(kitchen.named().len(), 2, "{what}");
    kitchen.assert_tidy();
    kitchen.assert_claims();
    kitchen.assert_accounts();
    kitchen.assert_sound();
}

/// Mounts at a place, runs, and ends the mount; the first run builds upon `expected`, and one of them speaks of it.
fn survives(place: fn(&Kitchen) -> PathBuf, expected: Scaffold) {
    for what in [What::Tmpfs, What::Directory] {
        let mut kitchen = steady();
        let at = place(&kitchen);
        let what_and_where = format!("{what:?} at {at:?}");
        let Some(precious) = Precious::mount(what, &at, &kitchen) else {
            return skip::announce("mounts", "mounting is not allowed here");
        };
        let (scaffold, mut said) = run(&mut kitchen, &what_and_where);
        assert_eq!(scaffold, expected, "{what_and_where}");
        said.extend(run(&mut kitchen, &what_and_where).1);
        assert!(said.iter().any(|said| said.contains("is mounted here")), "{what_and_where}: {said:?}");
        precious.end();
        recovers(&mut kitchen, &what_and_where);
    }
}

/// Mounts over a place that the job needs: commands may refuse to work, and then name it.
fn is_left_alone(place: fn(&Kitchen) -> PathBuf) {
    for what in [What::Tmpfs, What::Directory] {
        let mut kitchen = steady();
        let at = place(&kitchen);
        let what_and_where = format!("{what:?} at {at:?}");
        let Some(precious) = Precious::mount(what, &at, &kitchen) else {
            return skip::announce("mounts", "mounting is not allowed here");
        };
        let named = kitchen.named();
        let kitchen_workshop = &kitchen.workshop();
        let names_it = |error: &dyn std::error::Error| {
            let said = whole_chain(error);
            let place = if at.starts_with(kitchen_workshop) { kitchen_workshop } else { &at };
            assert!(said.contains(place.to_str().expect("text")), "{what_and_where}: {said}");
        };
        match kitchen.try_backup(&Silent) {
            Ok(summary) => {
                let source = Listing::read(&kitchen.source);
                assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
                assert!(!summary.problems.list.is_empty(), "{what_and_where}: nothing was said");
            }
            Err(error) => {
                names_it(&error);
                assert_eq!(kitchen.named(), named, "{what_and_where}");
            }
        }
        for keep in [9, 1] {
            drop(kitchen.try_prune(keep, Fate::Scaffold, &Silent).map_err(|error| names_it(&error)));
        }
        drop(du::count(&kitchen.job(), ("a test", kitchen.options.now), &Silent));
        drop(kitchen.try_delete(&["oldest"], &Silent).map_err(|error| names_it(&error)));
        precious.end();
        recovers(&mut kitchen, &what_and_where);
    }
}

#[test]
fn a_mount_in_the_scaffold_is_left_alone() {
    skip_unless!(skip::is_root(), "needs root");
    survives(|kitchen| kitchen.in_snapshot(&scaffold(kitchen)).join("many"), Scaffold::Empty);
}

#[test]
fn a_mount_on_the_scaffold_is_left_alone() {
    skip_unless!(skip::is_root(), "needs root");
    is_left_alone(scaffold);
}

#[test]
fn a_mount_on_the_place_of_scaffolds_is_left_alone() {
    skip_unless!(skip::is_root(), "needs root");
    is_left_alone(|kitchen| kitchen.workshop().join("retired"));
}

#[test]
fn a_mount_on_the_trash_is_left_alone() {
    skip_unless!(skip::is_root(), "needs root");
    is_left_alone(|kitchen| kitchen.workshop().join("trash"));
}

#[test]
fn a_mount_on_something_in_the_trash_is_left_alone() {
    skip_unless!(skip::is_root(), "needs root");
    is_left_alone(|kitchen| {
        drop(TreeBuilder::new(kitchen.workshop()).file("trash/old/file", "x"));
        kitchen.workshop().join("trash/old")
    });
}

#[test]
fn a_mount_on_staging_is_left_alone() {
    skip_unless!(skip::is_root(), "needs root");
    is_left_alone(|kitchen| {
        drop(TreeBuilder::new(kitchen.workshop()).dir("staging"));
        kitchen.workshop().join("staging")
    });
}

#[test]
fn a_mount_on_a_snapshot_is_left_alone() {
    skip_unless!(skip::is_root(), "needs root");
    is_left_alone(|kitchen| kitchen.job_dir().join(&kitchen.named()[0]));
}

#[test]
fn a_mount_in_the_trash_is_left_alone() {
    skip_unless!(skip::is_root(), "needs root");
    survives(
        |kitchen| {
            drop(TreeBuilder::new(kitchen.workshop()).file("trash/old/deep/er/file", "x"));
            kitchen.workshop().join("trash/old/deep")
        },
        Scaffold::Recycled,
    );
}

#[test]
fn a_mount_in_a_snapshot_that_is_retired_is_left_alone() {
    skip_unless!(skip::is_root(), "needs root");
    survives(
        |kitchen| kitchen.in_snapshot(&kitchen.job_dir().join(&kitchen.named()[0])).join("many/0"),
        Scaffold::Recycled,
    );
}

/// Deleting works to its end around it, and says where it stands.
#[test]
fn a_mount_in_a_snapshot_that_is_deleted_is_left_alone() {
    skip_unless!(skip::is_root(), "needs root");
    for what in [What::Tmpfs, What::Directory] {
        let mut kitchen = steady();
        let at = kitchen.in_snapshot(&kitchen.job_dir().join(&kitchen.named()[0])).join("many/0");
        let Some(precious) = Precious::mount(what, &at, &kitchen) else {
            return skip::announce("mounts", "mounting is not allowed here");
        };
        let summary = kitchen.try_delete(&["oldest"], &Silent).expect("deleted");
        assert_eq!(kitchen.named().len(), 1);
        let said = notices(summary.notice.as_slice());
        assert!(said[0].contains("many/0") && said[0].contains("stay in the trash"), "{said:?}");
        // A file under which something is mounted stands in the way as a directory does.
        kitchen.assert_sound();
        precious.end();
        recovers(&mut kitchen, "deleted");
    }
}

#[test]
fn a_file_mounted_over_a_file_is_left_alone() {
    skip_unless!(skip::is_root(), "needs root");
    let mut kitchen = steady();
    let elsewhere = tempfile::tempdir().expect("a directory");
    drop(TreeBuilder::new(elsewhere.path()).file("precious", "p"));
    let path = elsewhere.path().join("precious");
    let at = kitchen.in_snapshot(&scaffold(&kitchen)).join("many/0/0");
    let mounted = Command::new("mount").arg("--bind").args([&path, &at]).output();
    skip_unless!(mounted.is_ok_and(|done| done.status.success()), "mounting is not allowed here");
    let (scaffold, said) = run(&mut kitchen, "a file");
    assert_eq!(scaffold, Scaffold::Empty);
    assert!(said.iter().any(|said| said.contains("is mounted here")), "{said:?}");
    run(&mut kitchen, "a file");
    assert_eq!(std::fs::read(&path).expect("still there"), b"p");
    unmount_below(&kitchen.repository);
    assert_eq!(mounted_below(&kitchen.repository), [""; 0]);
    recovers(&mut kitchen, "a file");
}

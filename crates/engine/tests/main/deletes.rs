//! Deletes and retention in all the states that a job can be in, and among all that somebody may have done to it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use linksnap_engine::report::Class;
use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup::{self, BackupError, BackupSummary, Recycle, Scaffold, Upheaval};
use linksnap_engine::verbs::delete::{self, DeleteError, DeleteOptions};
use linksnap_engine::verbs::pin::{self, Pin};
use linksnap_engine::verbs::{du, prune};
use linksnap_engine::{Monitor, Phase, Selector, Silent, Wish};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::or_skip;
use linksnap_testkit::tree::TreeBuilder;

use crate::backup::some_of_everything;
use crate::claims::{inodes_below, total};
use crate::kill::plenty;
use crate::kitchen::Kitchen;
use crate::ledger::names_in;
use crate::stopper::AfterCheckpoint;

/// Wants to stop when it is asked for the n-th time.
pub struct Stopper {
    at: u64,
    asked: AtomicU64,
}

impl Stopper {
    pub fn new(at: u64) -> Self {
        Self { at, asked: AtomicU64::new(0) }
    }
}

impl Monitor for Stopper {
    fn wish(&self) -> Wish {
        if self.asked.fetch_add(1, Ordering::Relaxed) + 1 >= self.at { Wish::Stop } else { Wish::GoOn }
    }
}

/// So many snapshots, each of which has a file that only it has, and one that the one before has as well.
pub fn history(snapshots: u32) -> Kitchen {
    let mut kitchen = Kitchen::new();
    plenty(&kitchen);
    for number in 0..snapshots {
        let mut tree = TreeBuilder::new(&kitchen.source)
            .file("changing", format!("version {number}"))
            .file(format!("pairs/{number}"), "in two snapshots")
            .file(format!("many/{}/changed", number % 8), format!("{number}"));
        if number >= 2 {
            tree = tree.delete(format!("pairs/{}", number - 2));
        }
        drop(tree);
        drop(kitchen.backup());
        kitchen.age();
    }
    kitchen
}

/// A run whose snapshot is what it should be; then all that is on the disk is what the catalog says.
pub fn run(kitchen: &mut Kitchen) -> BackupSummary {
    let source = Listing::read(&kitchen.source);
    let summary = kitchen.backup();
    assert_eq!(summary.problems.list, []);
    assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
    assert_all_is_well(kitchen);
    summary
}

pub fn assert_all_is_well(kitchen: &Kitchen) {
    kitchen.assert_claims();
    kitchen.assert_accounts();
    kitchen.assert_sound();
    kitchen.assert_tidy();
    let published: Vec<String> =
        kitchen.job().snapshots().expect("readable").into_iter().map(|one| one.name).collect();
    assert_eq!(published, kitchen.named());
}

pub fn trash(kitchen: &Kitchen) -> PathBuf {
    kitchen.workshop().join("trash")
}

pub fn retired(kitchen: &Kitchen) -> Vec<String> {
    names_in(&kitchen.workshop().join("retired"))
}

#[test]
fn a_delete_that_is_stopped_goes_on_with_the_next_command() {
    for command in 0..5 {
        let mut kitchen = history(6);
        let named = kitchen.named();
        let stopped = kitchen.try_delete(&["oldest", "latest~3", "latest"], &Stopper::new(5));
        assert_eq!(stopped.expect("deleted").notice, None);
        let left = inodes_below(&trash(&kitchen)).len();
        assert!(left > 10, "only {left} inodes are left: it was hardly stopped");
        // Out of the history they are at once.
        assert_eq!(kitchen.named(), [&named[1..2], &named[3..5]].concat());
        let more = kitchen.try_prune(9, Fate::Scaffold, &Stopper::new(1));
        assert_eq!(more.expect("nothing to prune").notice, None);
        let less = inodes_below(&trash(&kitchen)).len();
        assert!((2..=left).contains(&less), "{less} are left of {left}");
        match command {
            0 => drop(kitchen.delete(&["oldest"])),
            1 => drop(kitchen.try_prune(9, Fate::Scaffold, &Silent).expect("nothing to prune")),
            2 => drop(du::count(&kitchen.job(), ("a test", 0), &Silent).expect("counted")),
            3 => drop(run(&mut kitchen)),
            _ => {
                kitchen.keep_last(2);
                drop(kitchen.backup());
            }
        }
        assert_all_is_well(&kitchen);
    }
}

/// Wants to stop when it is asked for the n-th time what it wants of the emptying.
struct StopsEmptying {
    at: u64,
    asked: AtomicU64,
    is_emptying: AtomicBool,
}

impl Monitor for StopsEmptying {
    fn reached(&self, phase: Phase) {
        self.is_emptying.fetch_or(phase == Phase::EmptyTrash, Ordering::Relaxed);
    }

    fn wish(&self) -> Wish {
        let counts = self.is_emptying.load(Ordering::Relaxed);
        let asked = self.asked.fetch_add(u64::from(counts), Ordering::Relaxed) + 1;
        if counts && asked >= self.at { Wish::Stop } else { Wish::GoOn }
    }
}

#[test]
fn a_run_that_is_stopped_while_it_empties_the_trash_is_a_success() {
    let mut kitchen = history(6);
    kitchen.keep_last(1);
    let stopper = StopsEmptying { at: 5, asked: AtomicU64::new(0), is_emptying: AtomicBool::new(false) };
    let summary = kitchen.try_backup(&stopper).expect("a snapshot");
    assert_eq!(summary.problems.list, []);
    assert!(!names_in(&trash(&kitchen)).is_empty());
    assert_eq!(kitchen.named().len(), 1);
    drop(run(&mut kitchen));
}

const ODD: [&[u8]; 7] = [b"\xff\xfe", b"new\nline", b" ", b"-rf", b"\x1b[31m", b"caf\xe9", b"*"];

#[test]
fn trees_of_any_depth_and_any_names_go_in_one_pass() {
    let mut kitchen = Kitchen::new();
    let deep: PathBuf = (0..300).map(|_| "d").collect();
    let mut tree = TreeBuilder::new(&kitchen.source)
        .file(deep.join("file"), "deep")
        .file(deep.parent().expect("less deep").join("beside"), "deep")
        .file("shallow", "s");
    for name in ODD {
        let name = Path::new(OsStr::from_bytes(name));
        tree = tree.file(name.join(name).join(name), "odd").symlink(name.join("link"), name);
    }
    drop(tree);
    for number in 0..20 {
        drop(TreeBuilder::new(&kitchen.source).file(deep.join(format!("{number}")), "one more"));
        drop(kitchen.backup());
    }
    let before = total(&kitchen.held());
    let selectors: Vec<String> = (1..20).map(|back| format!("latest~{back}")).collect();
    let selectors: Vec<&str> = selectors.iter().map(String::as_str).collect();
    let freed = kitchen.delete(&selectors).freed;
    assert_eq!(freed.inodes, before.0 - total(&kitchen.held()).0);
    drop(run(&mut kitchen));
    kitchen.keep_last(1);
    for number in 0..3 {
        drop(TreeBuilder::new(&kitchen.source).file(deep.join(format!("again-{number}")), "one more"));
        drop(run(&mut kitchen));
    }
}

#[test]
fn a_scaffold_that_is_not_wanted_any_more_goes() {
    let mut kitchen = history(5);
    kitchen.keep_last(3);
    drop(run(&mut kitchen));
    assert_eq!(retired(&kitchen).len(), 1);
    kitchen.options.recycle = Recycle::Never;
    for _ in 0..2 {
        let summary = run(&mut kitchen);
        assert_eq!((summary.scaffold, summary.counts.kept_entries), (Scaffold::Empty, 0));
        assert_eq!(retired(&kitchen), [""; 0]);
    }
    kitchen.options.recycle = Recycle::Always;
    assert_eq!(run(&mut kitchen).scaffold, Scaffold::Empty);
    assert_eq!(run(&mut kitchen).scaffold, Scaffold::Recycled);
}

#[test]
fn deleting_frees_what_the_scaffold_holds_as_well() {
    for set in [&["oldest"][..], &["latest"], &["latest~1"], &["oldest", "latest"]] {
        let mut kitchen = history(6);
        kitchen.keep_last(4);
        drop(run(&mut kitchen));
        let mut before = kitchen.held();
        before.extend(kitchen.set_aside());
        let (all, kept) = (before.len(), kitchen.held().len());
        let directories = (all - kept) as u64;
        let freed = kitchen.delete(set).freed;
        let mut after = kitchen.held();
        after.extend(kitchen.set_aside());
        // The directories of the scaffold are nobody's, and may go or stay.
        assert!((before.len() - after.len()) as u64 <= freed.inodes + directories, "{set:?}");
        assert_all_is_well(&kitchen);
        assert_eq!(run(&mut kitchen).scaffold, Scaffold::Recycled, "{set:?}");
    }
}

#[test]
fn all_is_deleted_with_the_scaffold_in_place() {
    let mut kitchen = history(5);
    kitchen.keep_last(2);
    drop(run(&mut kitchen));
    drop(kitchen.delete(&["latest", "oldest"]));
    kitchen.assert_claims();
    kitchen.assert_accounts();
    let left = kitchen.set_aside();
    assert_eq!(left.values().filter(|inode| !inode.is_directory).count(), 0);
    assert_eq!(names_in(&kitchen.job_dir()), [".linksnap"]);
    let summary = run(&mut kitchen);
    assert_eq!((summary.basis, summary.counts.linked_entries), (None, 1), "only the link inside the source");
}

fn interrupt(kitchen: &mut Kitchen, after: u64) {
    let stopped = kitchen.try_backup(&AfterCheckpoint::new(after));
    assert!(matches!(stopped, Err(BackupError::Interrupted)), "{stopped:?}");
}

#[test]
fn a_run_goes_on_where_it_stood_while_a_scaffold_waits() {
    for after in [1, 30, 90] {
        let mut kitchen = history(5);
        drop(TreeBuilder::new(&kitchen.source).delete("many/1").file("many/2/2", "other"));
        interrupt(&mut kitchen, after);
        drop(kitchen.try_prune(3, Fate::Scaffold, &Silent).expect("pruned"));
        assert_eq!((retired(&kitchen).len(), kitchen.workshop().join("staging").exists()), (1, true));
        kitchen.keep_last(4);
        assert_eq!(run(&mut kitchen).scaffold, Scaffold::Interrupted);
        assert_eq!(retired(&kitchen).len(), 1);
        assert_eq!(run(&mut kitchen).scaffold, Scaffold::Recycled);
        // That run has retired another one.
        assert_eq!(run(&mut kitchen).scaffold, Scaffold::Recycled);
    }
}

/// A scaffold becomes the tree that is built: what was not worked through when the run was stopped holds what old
/// snapshots have.
#[test]
fn deleting_frees_what_an_interrupted_run_has_not_come_to() {
    for after in [1, 5, 12, 20] {
        let mut kitchen = history(5);
        kitchen.keep_last(4);
        drop(run(&mut kitchen));
        drop(TreeBuilder::new(&kitchen.source).file("many/2/2", "other"));
        interrupt(&mut kitchen, after);
        let before = kitchen.held();
        drop(kitchen.delete(&["oldest", "latest~2"]));
        let (held, left) = (kitchen.held(), kitchen.set_aside());
        let freed = before.iter().filter(|(inode, of)| !of.is_directory && !held.contains_key(inode));
        let still: Vec<_> = freed.filter(|(inode, _)| left.contains_key(inode)).collect();
        assert_eq!(still, [], "after {after}: said to be free, and still there");
        assert_eq!(run(&mut kitchen).scaffold, Scaffold::Interrupted);
    }
}

#[test]
fn what_an_unfinished_run_has_stored_is_no_snapshots() {
    let mut kitchen = Kitchen::new();
    drop(some_of_everything(&kitchen));
    interrupt(&mut kitchen, 12);
    kitchen.assert_accounts();
    drop(run(&mut kitchen));
    drop(TreeBuilder::new(&kitchen.source).file("a/new", "new"));
    interrupt(&mut kitchen, 14);
    kitchen.assert_accounts();
    drop(run(&mut kitchen));
}

/// As a death leaves it that comes between the first two renames of retiring.
#[test]
fn a_snapshot_in_the_trash_is_retired_with_all_that_a_scaffold_holds_of_it() {
    let mut kitchen = history(6);
    kitchen.keep_last(4);
    drop(run(&mut kitchen));
    assert_eq!(retired(&kitchen).len(), 1);
    let oldest = kitchen.named()[0].clone();
    std::fs::rename(kitchen.job_dir().join(&oldest), trash(&kitchen).join(&oldest)).expect("renamed");
    // Whatever is done next.
    kitchen.pin("latest", &Pin::Clear);
    assert_eq!(kitchen.job().snapshots().expect("readable").len(), 3);
    drop(kitchen.try_prune(9, Fate::Scaffold, &Silent).expect("nothing to prune"));
    assert_all_is_well(&kitchen);
}

#[test]
fn pinned_snapshots_are_not_deleted() {
    let mut kitchen = history(4);
    let (now, named) = (kitchen.options.now, kitchen.named());
    kitchen.pin("oldest", &Pin::Set { until: None, note: Some("for the audit".to_owned()) });
    kitchen.pin(&named[1], &Pin::Set { until: Some(now + 2), note: None });
    for set in [&["oldest"][..], &["latest", "oldest"], &[&named[1], &named[2]]] {
        let refused = kitchen.try_delete(set, &Silent).expect_err("pinned");
        assert!(matches!(refused, DeleteError::Pinned { .. }), "{refused:?}");
        assert_eq!(kitchen.named(), named);
    }
    let refused = kitchen.try_delete(&["oldest"], &Silent).expect_err("pinned").to_string();
    assert!(refused.contains(&named[0]) && refused.contains("for the audit"), "{refused}");
    kitchen.keep_last(1);
    drop(run(&mut kitchen));
    assert_eq!(kitchen.named()[..2], named[..2]);
    // The second pin has run out by then.
    drop(run(&mut kitchen));
    assert_eq!(kitchen.named()[0], named[0]);
    assert_eq!(kitchen.named().len(), 2);
    kitchen.pin("oldest", &Pin::Clear);
    drop(kitchen.delete(&["oldest"]));
    assert_all_is_well(&kitchen);
}

/// What is foretold is what is done.
#[test]
fn previews_tell_what_deleting_and_pruning_free() {
    for (set, keep) in [(&["oldest"][..], 3), (&["latest", "latest~2"], 2), (&["latest"], 1)] {
        let mut kitchen = history(5);
        let job = kitchen.job();
        let now = kitchen.options.now;
        let select = |text: &&str| job.select(&Selector::parse(text)).expect("a snapshot");
        let doomed: Vec<_> = set.iter().map(select).collect();
        let held = delete::preview(&job, &doomed, now).expect("a preview");
        let freed = kitchen.delete(set).freed;
        assert_eq!((freed.inodes, freed.bytes), (held.inodes, held.bytes), "{set:?}");
        kitchen.keep_last(keep);
        let retention = kitchen.options.retention.clone().expect("just set");
        let foretold = prune::preview(&kitchen.job(), &retention, now).expect("a preview");
        assert_all_is_well(&kitchen);
        let done = kitchen.try_prune(keep, Fate::Scaffold, &Silent).expect("pruned");
        assert_eq!(done.freed, foretold.freed, "keep {keep}");
        assert_eq!(done.plan.retained, foretold.plan.retained);
        assert_all_is_well(&kitchen);
    }
}

/// The day on which snapshots are deleted is the day on which the disk is full.
#[test]
fn snapshots_can_be_deleted_on_a_disk_that_is_full() {
    for kind in [FsKind::Ext4, FsKind::Xfs] {
        let fs = or_skip!(LoopFs::create(kind, 320, &[]));
        let sources = tempfile::tempdir().expect("a directory");
        let sources = std::fs::canonicalize(sources.path()).expect("it is there");
        let mut kitchen = Kitchen::across(&sources, &fs.path());
        kitchen.options.upheaval = Upheaval::Usual;
        for round in 0..3_u8 {
            let mut tree = TreeBuilder::new(&kitchen.source);
            for number in 0..200 {
                tree = tree.file(format!("{number}"), vec![round; 20_000]);
            }
            drop(tree);
            drop(kitchen.backup());
        }
        fill(&fs.path());
        let freed = kitchen.delete(&["oldest"]).freed;
        assert_eq!(freed.bytes, 200 * 20_000, "{kind:?}");
        kitchen.assert_tidy();
        kitchen.assert_sound();
        // Large deletions need more than was kept in reserve: the trash makes room for them.
        fill(&fs.path());
        drop(kitchen.delete(&["oldest", "latest"]));
        assert_eq!(kitchen.named().len(), 0, "{kind:?}");
        std::fs::remove_file(fs.path().join("filler")).expect("removed");
        drop(kitchen.backup());
        kitchen.assert_sound();
        kitchen.assert_accounts();
    }
}

/// Leaves not one block.
fn fill(dir: &Path) {
    let file = std::fs::File::options().create(true).append(true).open(dir.join("filler"));
    let Ok(mut file) = file else { return };
    for size in [1 << 20, 4096, 1] {
        while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
    }
    drop(file.sync_all());
}

/// All goes on in a copy, in which no inode has the number that it had.
fn copy_job(kitchen: &mut Kitchen) {
    let copy = kitchen.repository.with_file_name("copy");
    let copied = Command::new("cp").arg("-a").args([&kitchen.repository, &copy]).status();
    assert!(copied.is_ok_and(|status| status.success()));
    kitchen.move_to(copy);
}

#[test]
fn a_copied_job_with_a_scaffold_is_counted_as_it_is() {
    let mut kitchen = history(5);
    kitchen.keep_last(3);
    drop(run(&mut kitchen));
    copy_job(&mut kitchen);
    kitchen.assert_accounts();
}

#[test]
fn a_copied_job_recycles_and_deletes_as_before() {
    for first in 0..3 {
        let mut kitchen = history(5);
        kitchen.keep_last(3);
        drop(run(&mut kitchen));
        copy_job(&mut kitchen);
        match first {
            0 => {
                let summary = kitchen.backup();
                assert_eq!((summary.scaffold, summary.problems.problems), (Scaffold::Recycled, 0));
                assert_eq!(summary.counts.copied_files, 0);
            }
            1 => drop(kitchen.delete(&["oldest"])),
            _ => drop(kitchen.delete(&["latest", "latest~1"])),
        }
        kitchen.assert_claims();
        kitchen.assert_sound();
        kitchen.age();
        let source = Listing::read(&kitchen.source);
        for _ in 0..2 {
            let summary = kitchen.backup();
            assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
            assert_eq!(summary.problems.problems, 0);
        }
        assert_all_is_well(&kitchen);
    }
}

/// Of all that is retired, at once and one after the other.
#[test]
fn the_newest_retired_snapshot_is_the_scaffold() {
    let mut kitchen = history(6);
    let named = kitchen.named();
    kitchen.pin("oldest", &Pin::Set { until: None, note: None });
    drop(kitchen.try_prune(3, Fate::Scaffold, &Silent).expect("pruned"));
    assert_eq!(retired(&kitchen), [named[2].clone()]);
    kitchen.pin("oldest", &Pin::Clear);
    drop(kitchen.try_prune(3, Fate::Scaffold, &Silent).expect("pruned"));
    assert_eq!(retired(&kitchen), [named[2].clone()]);
    assert_all_is_well(&kitchen);
    drop(kitchen.try_prune(2, Fate::Scaffold, &Silent).expect("pruned"));
    assert_eq!(retired(&kitchen), [named[3].clone()]);
    assert_all_is_well(&kitchen);
    assert_eq!(run(&mut kitchen).scaffold, Scaffold::Recycled);
}

/// Deletes, prunes, pins and counts while a run is at work.
struct Rival<'a> {
    kitchen: &'a Kitchen,
    refused: AtomicU64,
}

impl Monitor for Rival<'_> {
    fn reached(&self, phase: Phase) {
        if !matches!(phase, Phase::Build | Phase::Publish | Phase::Forget | Phase::EmptyTrash) {
            return;
        }
        let (job, now) = (self.kitchen.job(), self.kitchen.options.now);
        let oldest = job.select(&Selector::Oldest).expect("a snapshot");
        let options = DeleteOptions { now, holder: "a rival".to_owned() };
        let classes = [
            delete::delete(&job, std::slice::from_ref(&oldest), &options, &Silent)
                .expect_err("locked")
                .class(),
            self.kitchen.try_prune(1, Fate::Scaffold, &Silent).expect_err("locked").class(),
            pin::pin(&job, &[oldest], &Pin::Clear, ("a rival", now)).expect_err("locked").class(),
            du::count(&job, ("a rival", now), &Silent).expect_err("locked").class(),
        ];
        assert_eq!(classes, [Class::Locked; 4], "{phase:?}");
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn two_commands_at_once_are_one_too_many() {
    let mut kitchen = history(4);
    kitchen.keep_last(2);
    kitchen.options.now += 1;
    let rival = Rival { kitchen: &kitchen, refused: AtomicU64::new(0) };
    let summary = backup::backup(&kitchen.open(), &Kitchen::job_name(), &kitchen.options, &rival);
    assert_eq!(summary.expect("a snapshot").problems.list, []);
    assert_eq!(rival.refused.into_inner(), 4);
    assert_all_is_well(&kitchen);
}

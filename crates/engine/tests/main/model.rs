//! Random histories of a source and of the runs over it, against full copies that the test keeps.
//!
//! A history is a list of steps: the source changes, time passes, and runs are made, some of which are stopped or die on
//! the way. After every step each snapshot that was ever complete must be what the source was then, and no inode of an
//! older one may have moved.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use linksnap_catalog::{SnapshotId, State};
use linksnap_engine::verbs::backup::{BackupError, BackupSummary, Thoroughness};
use linksnap_engine::{Monitor, Phase, Wish};
use linksnap_testkit::listing::{Compare, Entry, Kind, Listing};
use linksnap_testkit::tree::{Edit, TreeBuilder, apply, arb_edits};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::kitchen::Kitchen;

/// How many histories are tried; the variable of proptest sets another number.
const CASES: u32 = 48;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// The source changes.
    Edit(Vec<Edit>),
    /// So much time passes that nothing seen so far is too young to be trusted.
    Age,
    /// A run.
    Run(Whims),
}

/// What a run's watcher wants, and how the run looks at what is there.
#[derive(Clone, Debug, Default)]
struct Whims {
    /// It wants the run to end when it is asked for the so manieth time.
    stop_at: Option<u64>,
    /// It wants a checkpoint each time it has been asked so often.
    checkpoint_every: Option<u64>,
    /// The run's process dies at this point.
    die_at: Option<Phase>,
    /// One directory in so many is looked at whole; 1: all.
    one_in: u32,
    threads: usize,
}

fn arb_history() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => arb_edits(12).prop_map(Step::Edit),
        2 => Just(Step::Age),
        3 => arb_whims().prop_map(Step::Run),
        3 => arb_calm().prop_map(Step::Run),
    ];
    (arb_edits(25), vec(step, 1..14), arb_calm()).prop_map(|(first, mut steps, last)| {
        steps.insert(0, Step::Edit(first));
        steps.push(Step::Run(last));
        steps
    })
}

/// A run that nothing disturbs.
fn arb_calm() -> impl Strategy<Value = Whims> {
    (select(vec![1, 16]), 1..=2_usize).prop_map(|(one_in, threads)| Whims {
        one_in,
        threads,
        ..Whims::default()
    })
}

fn arb_whims() -> impl Strategy<Value = Whims> {
    let die_at = option::weighted(0.4, select(Phase::ALL.to_vec()));
    let stop_at = option::weighted(0.6, 0..60_u64);
    let checkpoint_every = option::of(1..15_u64);
    (arb_calm(), stop_at, checkpoint_every, die_at).prop_map(|(calm, stop_at, checkpoint_every, die_at)| {
        Whims { stop_at, checkpoint_every, die_at, ..calm }
    })
}

/// Carries out the whims.
struct Watcher<'a> {
    whims: &'a Whims,
    asked: AtomicU64,
}

impl Monitor for Watcher<'_> {
    fn wish(&self) -> Wish {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if self.whims.stop_at.is_some_and(|at| asked >= at) {
            return Wish::Stop;
        }
        let due = self.whims.checkpoint_every.is_some_and(|every| (asked + 1).is_multiple_of(every));
        if due { Wish::Checkpoint } else { Wish::GoOn }
    }

    /// Unwinding ends the run as a signal would: transactions are rolled back, and nothing is tidied up.
    fn reached(&self, phase: Phase) {
        if self.whims.die_at == Some(phase) {
            resume_unwind(Box::new(phase));
        }
    }
}

/// A snapshot that was promised, and what it must be.
struct Promised {
    id: SnapshotId,
    /// The source when it was taken.
    source: Source,
    /// The tree when it was first found under its name.
    tree: Option<Listing>,
}

/// The source at one moment.
struct Source {
    listing: Listing,
    /// The change times of all that is no directory.
    changed: BTreeMap<PathBuf, (i64, i64)>,
}

impl Source {
    fn read(root: &Path) -> Self {
        let listing = Listing::read(root);
        let leaves = listing.iter().filter(|(_, entry)| entry.kind != Kind::Directory);
        let changed = leaves.map(|(path, _)| {
            let stat = std::fs::symlink_metadata(root.join(path)).expect("it was there just now");
            (path.to_path_buf(), (stat.ctime(), stat.ctime_nsec()))
        });
        let changed = changed.collect();
        Self { listing, changed }
    }

    /// The names that share an inode with `path`, itself among them.
    fn group(&self, path: &Path) -> BTreeSet<&Path> {
        let inode = self.listing.inode(path);
        let is_name = |(_, entry): &(&Path, &Entry)| entry.kind != Kind::Directory && entry.inode == inode;
        self.listing.iter().filter(is_name).map(|(path, _)| path).collect()
    }

    /// The names whose inode nobody has touched since `before`, all names of it included.
    fn untouched_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a Path> {
        let touched = |path: &Path| {
            let inode = before.listing.get(path).map(|entry| entry.inode);
            inode != Some(self.listing.inode(path))
                || before.changed.get(path) != self.changed.get(path)
                || before.group(path) != self.group(path)
        };
        self.changed.keys().map(PathBuf::as_path).filter(move |path| !touched(path))
    }
}

/// What must be so, beside what is.
struct Model {
    kitchen: Kitchen,
    promised: Vec<Promised>,
    /// Has every run since the last snapshot come to its end?
    is_calm: bool,
}

impl Model {
    fn new() -> Self {
        Self { kitchen: Kitchen::new(), promised: Vec::new(), is_calm: true }
    }

    fn go(&mut self, step: &Step) {
        match step {
            Step::Edit(edits) => apply(&self.kitchen.source, edits),
            Step::Age => self.kitchen.age(),
            Step::Run(whims) => self.run(whims),
        }
        self.assert_history();
    }

    fn run(&mut self, whims: &Whims) {
        let source = Source::read(&self.kitchen.source);
        self.kitchen.options.threads = Some(whims.threads);
        self.kitchen.options.validate = match whims.one_in {
            1 => Thoroughness::Full,
            one_in => Thoroughness::Share(one_in),
        };
        let watcher = Watcher { whims, asked: AtomicU64::new(0) };
        let done = catch_unwind(AssertUnwindSafe(|| self.kitchen.try_backup(&watcher)));
        let left = source.listing.diff(&Listing::read(&self.kitchen.source), Compare::UNTOUCHED);
        assert_eq!(left, [""; 0], "the run wrote into its source");
        self.kitchen.tick();
        self.note_promise(source);
        match done {
            Ok(Ok(summary)) => self.assert_published(&summary),
            Ok(Err(error)) => {
                assert!(may_fail(whims, &error), "{error:?}");
                self.is_calm = false;
            }
            Err(death) => {
                assert_eq!(death.downcast_ref(), whims.die_at.as_ref());
                self.is_calm = false;
            }
        }
    }

    /// A snapshot is promised when the catalog calls it staged. A run promises one at most.
    fn note_promise(&mut self, source: Source) {
        let all = self.kitchen.snapshots();
        let complete: Vec<SnapshotId> =
            all.iter().filter(|one| one.state != State::Building).map(|one| one.id).collect();
        let known = self.promised.len();
        let before: Vec<SnapshotId> = self.promised.iter().map(|promised| promised.id).collect();
        assert_eq!(complete[..known.min(complete.len())], before, "a promised snapshot is lost");
        match complete[known..] {
            [] => {}
            [id] => self.promised.push(Promised { id, source, tree: None }),
            _ => panic!("one run made several snapshots"),
        }
    }

    fn assert_published(&mut self, summary: &BackupSummary) {
        assert_eq!(summary.problems.list, []);
        let all = self.kitchen.snapshots();
        assert!(all.iter().all(|one| one.state == State::Published), "{all:?}");
        let name = summary.snapshot.as_ref().expect("not a dry run").as_str();
        assert_eq!(all.last().map(|one| one.name.as_str()), Some(name));
        let latest = std::fs::read_link(self.kitchen.job().path().join("latest")).expect("latest");
        assert_eq!(latest, Path::new(name));
        self.assert_shared(summary);
        self.assert_counted(summary);
        self.is_calm = true;
    }

    /// What nobody has touched is the inode of the snapshot before.
    fn assert_shared(&self, summary: &BackupSummary) {
        let [.., before, now] = &self.promised[..] else { return };
        let older = before.tree.as_ref().map(|tree| tree.inode(""));
        assert!(older.is_some() || !self.is_calm, "a published snapshot was never looked at");
        let before_root = self.kitchen.snapshots()[self.promised.len() - 2].name.clone();
        let before_root = self.kitchen.in_snapshot(&self.kitchen.job().path().join(before_root));
        let (old, new) = (Listing::read(&before_root), self.kitchen.listing(summary));
        for path in now.source.untouched_since(&before.source) {
            assert_eq!(old.inode(path), new.inode(path), "{path:?} was not touched, but copied");
        }
    }

    fn assert_counted(&self, summary: &BackupSummary) {
        let counts = &summary.counts;
        let now = &self.promised.last().expect("just published").source.listing;
        let kinds =
            |kinds: &[Kind]| now.iter().filter(|(_, entry)| kinds.contains(&entry.kind)).count() as u64;
        let above = self.kitchen.source.components().count() as u64 - 1;
        assert_eq!(counts.files, kinds(&[Kind::File]));
        assert_eq!(counts.symlinks, kinds(&[Kind::Symlink]));
        assert_eq!(counts.directories, kinds(&[Kind::Directory]) + above);
        let leaves = counts.files + counts.symlinks + counts.specials;
        assert_eq!(leaves + counts.directories, now.iter().count() as u64 + above);
        assert_eq!(leaves, counts.added + counts.changed + counts.unchanged + counts.reused, "{counts:?}");
        if let ([.., before, _], true) = (&self.promised[..], self.is_calm) {
            let before = &before.source.listing;
            let gone = missing_leaves(before, now);
            let new = missing_leaves(now, before);
            assert_eq!((counts.removed, counts.added), (gone, new), "{counts:?}");
        }
    }

    /// Every complete snapshot is what the source was then, and since it has its name nobody has touched it.
    fn assert_history(&mut self) {
        let Some(job) = (!self.promised.is_empty()).then(|| self.kitchen.job()) else { return };
        let all = self.kitchen.snapshots();
        for (promised, known) in self.promised.iter_mut().zip(&all) {
            let root = self.kitchen.in_snapshot(&job.path().join(&known.name));
            if known.state == State::Staged && !root.exists() {
                continue;
            }
            let now = Listing::read(&root);
            let differing = promised.source.listing.diff(&now, Compare::COPY);
            assert_eq!(differing, [""; 0], "{} is not what the source was", known.name);
            let first = promised.tree.get_or_insert_with(|| now.clone());
            assert_eq!(first.diff(&now, Compare::UNTOUCHED), [""; 0], "{} was touched", known.name);
        }
    }

    fn finish(self) {
        self.kitchen.assert_sound();
        let target = tempfile::tempdir().expect("a target");
        let restored = self.kitchen.restore("latest", target.path());
        assert_eq!(restored.problems.list, []);
        let there = Listing::read(&self.kitchen.in_snapshot(target.path()));
        let source = Listing::read(&self.kitchen.source);
        assert_eq!(source.diff(&there, Compare::COPY), [""; 0], "not restored");
    }
}

/// How many entries of `from`, directories left out, have a name that `other` knows nothing of.
fn missing_leaves(from: &Listing, other: &Listing) -> u64 {
    let leaves = from.iter().filter(|(_, entry)| entry.kind != Kind::Directory);
    leaves.filter(|(path, _)| other.get(path).is_none()).count() as u64
}

/// Only what the watcher wanted may fail. A death in the thread that writes the catalog is an error of the run.
fn may_fail(whims: &Whims, error: &BackupError) -> bool {
    match error {
        BackupError::Interrupted => whims.stop_at.is_some(),
        BackupError::Run { .. } => {
            matches!(whims.die_at, Some(Phase::CheckpointSync | Phase::CheckpointCommit))
        }
        _ => false,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "proptest's own variable, whose default is too much for every day"
)]
fn cases() -> u32 {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(CASES)
}

#[test]
fn every_snapshot_stays_what_the_source_was() {
    // Histories are long, and a run takes its time: shrinking should end before the patience of who waits.
    let config =
        Config { cases: cases(), max_shrink_iters: 2_000, failure_persistence: None, ..Config::default() };
    let history = |steps: Vec<Step>| {
        let mut model = Model::new();
        steps.iter().for_each(|step| model.go(step));
        model.finish();
        Ok(())
    };
    TestRunner::new(config).run(&arb_history(), history).unwrap_or_else(|found| panic!("{found}"));
}

/// More directories than the writer's line takes, so that workers who went on telling it would wait for ever.
#[test]
fn a_run_whose_catalog_cannot_be_written_ends() {
    let mut kitchen = Kitchen::new();
    for number in 0..600 {
        drop(TreeBuilder::new(kitchen.source.join(format!("{number}"))).file("file", b""));
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let whims =
            Whims { checkpoint_every: Some(20), die_at: Some(Phase::CheckpointSync), ..Whims::default() };
        let failed = kitchen.try_backup(&Watcher { whims: &whims, asked: AtomicU64::new(0) });
        assert!(matches!(failed, Err(BackupError::Run { .. })), "{failed:?}");
        // What it had made does not hinder the next one.
        drop(kitchen.backup());
        kitchen.assert_sound();
        sender.send(()).expect("the test waits");
    });
    let patience = std::time::Duration::from_secs(60);
    assert_eq!(receiver.recv_timeout(patience), Ok(()), "the run neither ends nor succeeds");
}

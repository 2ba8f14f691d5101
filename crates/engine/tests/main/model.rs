//! Random histories of a source and of the runs over it, against full copies that the test keeps.
//!
//! A history is a list of steps: the source changes, time passes, runs are made, snapshots are pinned, deleted and
//! pruned; some of these steps are stopped or die on the way. After every step each snapshot that was ever complete, and
//! that nobody had deleted, must be what the source was then, no inode of an older one may have moved, those that are to
//! be gone are gone, and after a step that came to its end the catalog knows of every inode that is in use.

mod book;
mod source;

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup::{BackupError, Recycle};
use linksnap_engine::{Monitor, Phase, Wish};
use linksnap_testkit::cases;
use linksnap_testkit::tree::{Edit, TreeBuilder, arb_edits};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{BoxedStrategy, Just, Strategy, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use self::book::Model;
use crate::kitchen::Kitchen;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// The source changes.
    Edit(Vec<Edit>),
    /// All of the source goes.
    Clear,
    /// So much time passes that nothing seen so far is too young to be trusted.
    Age,
    /// A run.
    Run(Whims),
    /// The snapshots whose bits are set are deleted by hand.
    Delete(u8, Whims),
    /// All but the last so many are pruned.
    Prune(u32, Fate, Whims),
    /// A snapshot is pinned for so many seconds, or for ever if they are none.
    Pin(usize, i64),
    /// A snapshot is unpinned.
    Unpin(usize),
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
    /// So many snapshots are kept.
    keep: Option<u32>,
    recycle: Recycle,
}

fn arb_history() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => arb_edits(12).prop_map(Step::Edit),
        1 => Just(Step::Clear),
        2 => Just(Step::Age),
        3 => arb_whims().prop_map(Step::Run),
        4 => arb_calm().prop_map(Step::Run),
        3 => (1..=u8::MAX, arb_interruption()).prop_map(|(places, whims)| Step::Delete(places, whims)),
        1 => Just(Step::Delete(u8::MAX, Whims::default())),
        1 => (1..5_u32, select(vec![Fate::Scaffold, Fate::Trash]), arb_interruption())
            .prop_map(|(keep, fate, whims)| Step::Prune(keep, fate, whims)),
        1 => (0..8_usize, 0..4_i64).prop_map(|(place, seconds)| Step::Pin(place, seconds)),
        1 => (0..8_usize).prop_map(Step::Unpin),
    ];
    (arb_edits(25), vec(step, 1..18), arb_calm()).prop_map(|(first, mut steps, last)| {
        steps.insert(0, Step::Edit(first));
        steps.push(Step::Run(last));
        steps
    })
}

/// A run that nothing disturbs.
fn arb_calm() -> BoxedStrategy<Whims> {
    let recycle = prop_oneof![5 => Just(Recycle::Always), 1 => Just(Recycle::Never)];
    let keep = option::weighted(0.6, 1..5_u32);
    let calm = (select(vec![1, 16]), 1..=2_usize, keep, recycle);
    calm.prop_map(|(one_in, threads, keep, recycle)| Whims {
        one_in,
        threads,
        keep,
        recycle,
        ..Whims::default()
    })
    .boxed()
}

fn arb_whims() -> impl Strategy<Value = Whims> {
    let phases: Vec<Phase> = Phase::ALL.into_iter().chain(Phase::RETIRING).chain([Phase::Recycle]).collect();
    let die_at = option::weighted(0.4, select(phases));
    let stop_at = option::weighted(0.6, 0..60_u64);
    let checkpoint_every = option::of(1..15_u64);
    (arb_calm(), stop_at, checkpoint_every, die_at).prop_map(|(calm, stop_at, checkpoint_every, die_at)| {
        Whims { stop_at, checkpoint_every, die_at, ..calm }
    })
}

/// Of a command that only takes away.
fn arb_interruption() -> impl Strategy<Value = Whims> {
    let die_at = option::weighted(0.4, select([&[Phase::Recover][..], &Phase::RETIRING].concat()));
    let stop_at = option::weighted(0.2, 0..4_u64);
    (die_at, stop_at).prop_map(|(die_at, stop_at)| Whims { die_at, stop_at, ..Whims::default() })
}

/// Carries out the whims.
struct Watcher<'a> {
    whims: &'a Whims,
    asked: AtomicU64,
}

impl<'a> Watcher<'a> {
    fn new(whims: &'a Whims) -> Self {
        Self { whims, asked: AtomicU64::new(0) }
    }
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

#[test]
fn every_snapshot_stays_what_the_source_was() {
    // Histories are long, and a run takes its time: shrinking should end before the patience of who waits.
    let config = Config { max_shrink_iters: 2_000, ..cases::config(48) };
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
        let failed = kitchen.try_backup(&Watcher::new(&whims));
        assert!(matches!(failed, Err(BackupError::Run { .. })), "{failed:?}");
        // What it had made does not hinder the next one.
        drop(kitchen.backup());
        kitchen.assert_sound();
        sender.send(()).expect("the test waits");
    });
    let patience = std::time::Duration::from_secs(60);
    assert_eq!(receiver.recv_timeout(patience), Ok(()), "the run neither ends nor succeeds");
}

//! SIGKILL at every named point of a run, and at moments that nobody chose: nothing half-made bears a name,
//! what is published stays as it is, and the next run goes on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use linksnap_engine::verbs::backup::{BackupSummary, Scaffold};
use linksnap_engine::{Monitor, Phase, Progress, Silent, Wish};
use linksnap_testkit::crash;
use linksnap_testkit::tree::{Edit, TreeBuilder, apply};

use crate::backup::some_of_everything;
use crate::kitchen::Kitchen;
use crate::ledger::Ledger;

const BASE: &str = "LINKSNAP_TEST_BASE";
const NOW: &str = "LINKSNAP_TEST_NOW";
const MOMENT: &str = "LINKSNAP_TEST_MOMENT";

/// Files of [`plenty`] besides those of [`some_of_everything`].
pub const PLENTY: u64 = 64;

/// When a child dies.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// At a phase, reached for the n-th time.
    At(Phase, u64),
    /// At the n-th call of its monitor.
    Call(u64),
}

impl Moment {
    pub fn to_text(self) -> String {
        match self {
            Self::At(phase, nth) => format!("{phase:?} {nth}"),
            Self::Call(nth) => format!("call {nth}"),
        }
    }

    pub fn parse(text: &str) -> Self {
        let (word, nth) = text.split_once(' ').expect("two words");
        let nth = nth.parse().expect("a number");
        let named = |phase: &Phase| format!("{phase:?}") == word;
        let phases = Phase::ALL.into_iter().chain(Phase::RETIRING).chain([Phase::Recycle]);
        phases.into_iter().find(named).map_or(Self::Call(nth), |phase| Self::At(phase, nth))
    }
}

/// Wants a checkpoint every now and then, and brings the end when its moment has come.
pub struct Killer<'a> {
    moment: Moment,
    end: &'a (dyn Fn() + Sync),
    calls: AtomicU64,
    wishes: AtomicU64,
    arrivals: AtomicU64,
}

impl<'a> Killer<'a> {
    pub fn new(moment: Moment, end: &'a (dyn Fn() + Sync)) -> Self {
        let zero = || AtomicU64::new(0);
        Self { moment, end, calls: zero(), wishes: zero(), arrivals: zero() }
    }

    /// How often it was asked what is wanted.
    pub fn wishes(&self) -> u64 {
        self.wishes.load(Ordering::Relaxed)
    }

    fn called(&self) {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if matches!(self.moment, Moment::Call(nth) if nth == calls) {
            (self.end)();
        }
    }
}

impl Monitor for Killer<'_> {
    fn progress(&self, _progress: &Progress) {
        self.called();
    }

    fn reached(&self, phase: Phase) {
        self.called();
        if let Moment::At(wanted, nth) = self.moment
            && wanted == phase
            && self.arrivals.fetch_add(1, Ordering::Relaxed) + 1 == nth
        {
            (self.end)();
        }
    }

    fn wish(&self) -> Wish {
        self.called();
        let wishes = self.wishes.fetch_add(1, Ordering::Relaxed) + 1;
        if wishes.is_multiple_of(10) { Wish::Checkpoint } else { Wish::GoOn }
    }
}

/// Runs a backup in a child that dies; says whether it lived to see that moment.
pub fn backup_that_dies(kitchen: &mut Kitchen, moment: Moment) -> bool {
    kitchen.options.now += 1;
    let base = kitchen.source.parent().expect("a base");
    let now = kitchen.options.now.to_string();
    let moment = moment.to_text();
    let env = [(BASE, base.as_os_str()), (NOW, OsStr::new(&now)), (MOMENT, OsStr::new(&moment))];
    let output = crash::child("kill::child_entry", &env).output().expect("a child");
    let killed = crash::was_killed(output.status);
    assert!(killed || output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    killed
}

#[test]
#[ignore = "run as a child by the tests below"]
fn child_entry() {
    let Some(base) = std::env::var_os(BASE) else { return };
    let text = |name| std::env::var(name).expect("set by the parent");
    let mut kitchen = Kitchen::in_dir(Path::new(&base));
    kitchen.options.now = text(NOW).parse::<i64>().expect("a number") - 1;
    let die = || crash::die();
    drop(kitchen.try_backup(&Killer::new(Moment::parse(&text(MOMENT)), &die)).expect("a snapshot"));
}

/// A tree that is worth a few checkpoints.
pub fn plenty(kitchen: &Kitchen) {
    let mut tree = some_of_everything(kitchen);
    for number in 0..PLENTY {
        tree = tree.file(format!("many/{}/{number}", number % 8), format!("the content of {number}"));
    }
    drop(tree);
}

fn change(kitchen: &Kitchen) {
    drop(
        TreeBuilder::new(&kitchen.source)
            .file("many/3/3", "something else")
            .file("many/3/more/below", "new")
            .file("a/dangling", "was a link")
            .delete("many/5")
            .symlink("many/5", "3")
            .delete("b/fifo")
            .rename("many/6", "many/moved")
            .mode("a/one", 0o600)
            .hard_link("many/0/0", "many/1/linked"),
    );
}

/// Kills at every phase after `prepare`, and looks what is there and what the next run makes of it.
fn survives_death_at_every_phase(prepare: fn(&mut Kitchen, &mut Ledger)) {
    for phase in Phase::ALL {
        let mut kitchen = Kitchen::new();
        plenty(&kitchen);
        let mut ledger = Ledger::default();
        prepare(&mut kitchen, &mut ledger);
        let nth = if phase == Phase::CheckpointCommit { 2 } else { 1 };
        assert!(backup_that_dies(&mut kitchen, Moment::At(phase, nth)), "{phase:?} is never reached");
        let named = ledger.check(&kitchen).len();
        assert_eq!(named, usize::from(phase >= Phase::SyncRename), "{phase:?}");
        let summary = kitchen.try_backup(&Silent).unwrap_or_else(|error| panic!("{phase:?}: {error:?}"));
        ledger.check_success(&kitchen, &summary);
        assert_continued(phase, &summary);
    }
}

fn assert_continued(phase: Phase, summary: &BackupSummary) {
    let staged = phase >= Phase::SyncStaged && phase < Phase::Done;
    assert_eq!(summary.recovered.is_some(), staged, "{phase:?}");
    let counts = &summary.counts;
    if phase >= Phase::SyncStaged {
        assert_eq!((counts.copied_files, counts.added, counts.removed), (0, 0, 0), "{phase:?}");
        assert_eq!(summary.scaffold, Scaffold::Empty, "{phase:?}");
    } else if phase >= Phase::CheckpointCommit {
        let most = if phase == Phase::CheckpointCommit { counts.files } else { PLENTY / 2 };
        assert_eq!(summary.scaffold, Scaffold::Interrupted, "{phase:?}");
        // Killed before the commit of the first checkpoint, a run leaves nothing that is vouched for.
        let vouched = phase > Phase::CheckpointCommit;
        assert!(counts.kept_entries > 0 || !vouched, "{phase:?}: {counts:?}");
        assert!(counts.copied_files < most, "{phase:?}: {counts:?}");
    }
    assert_eq!(summary.problems.list, [], "{phase:?}");
}

#[test]
fn a_first_run_survives_death_at_every_phase() {
    survives_death_at_every_phase(|_, _| {});
}

#[test]
fn a_run_with_changes_survives_death_at_every_phase() {
    survives_death_at_every_phase(|kitchen, ledger| {
        let summary = kitchen.backup();
        ledger.check_success(kitchen, &summary);
        change(kitchen);
    });
}

#[test]
fn a_resuming_run_survives_death_at_every_phase() {
    survives_death_at_every_phase(|kitchen, ledger| {
        assert!(backup_that_dies(kitchen, Moment::At(Phase::CheckpointSync, 3)));
        ledger.check(kitchen);
        change(kitchen);
    });
}

#[test]
fn a_resuming_run_with_a_basis_survives_death_at_every_phase() {
    survives_death_at_every_phase(|kitchen, ledger| {
        let summary = kitchen.backup();
        ledger.check_success(kitchen, &summary);
        drop(TreeBuilder::new(&kitchen.source).file("many/3/3", "other").file("many/7/new", "new"));
        assert!(backup_that_dies(kitchen, Moment::At(Phase::Sync, 1)));
        ledger.check(kitchen);
        change(kitchen);
    });
}

/// SplitMix64: enough chance for a test, and the same one every time.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Some change at some place.
pub fn some_edit(chance: &mut Chance) -> Edit {
    let mut path = || PathBuf::from(format!("many/{}/{}", chance.below(8), chance.below(16)));
    let (path, other) = (path(), path());
    match chance.below(7) {
        0 => Edit::Delete { path },
        1 => Edit::Rename { from: path, to: other },
        2 => Edit::RewriteKeepingMtime { path },
        3 => Edit::HardLink { existing: path, path: other },
        4 => Edit::Symlink { path, target: "somewhere".into() },
        5 => Edit::Mode { path, mode: 0o600 + u32::try_from(chance.below(64)).expect("small") },
        _ => Edit::Write {
            path: path.join("below"),
            content: linksnap_testkit::tree::Content::Bytes(vec![b'x'; other.as_os_str().len()]),
        },
    }
}

#[test]
fn runs_survive_death_at_any_moment() {
    let mut chance = Chance(2);
    let mut kitchen = Kitchen::new();
    plenty(&kitchen);
    let mut ledger = Ledger::default();
    let mut killed = 0;
    for round in 0..40 {
        let edits: Vec<Edit> = (0..chance.below(6)).map(|_| some_edit(&mut chance)).collect();
        apply(&kitchen.source, &edits);
        let call = 1 + chance.below(230);
        killed += u32::from(backup_that_dies(&mut kitchen, Moment::Call(call)));
        ledger.check(&kitchen);
        if chance.below(3) == 0 {
            let summary = kitchen.try_backup(&Silent);
            let summary = summary.unwrap_or_else(|error| panic!("round {round}, call {call}: {error:?}"));
            ledger.check_success(&kitchen, &summary);
        }
    }
    assert!(killed > 20, "only {killed} runs were killed");
}

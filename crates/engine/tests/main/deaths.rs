//! SIGKILL while snapshots are retired and deleted, at every named point, at system calls one by one, and at moments
//! that nobody chose: what bears a name is whole, what was doomed goes in the end, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use linksnap_engine::job::JobError;
use linksnap_engine::stages::begin::BeginError;
use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup::Recycle;
use linksnap_engine::verbs::du;
use linksnap_engine::verbs::pin::Pin;
use linksnap_engine::{Monitor, Phase, Silent};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::{Edit, TreeBuilder, apply};
use linksnap_testkit::{crash, skip, skip_unless};

use crate::kill::{Chance, Killer, Moment, plenty, some_edit};
use crate::kitchen::Kitchen;
use crate::ledger::names_in;

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A run that keeps so many snapshots.
    Run(u32, Recycle),
    /// Keeps so many.
    Prune(u32, Fate),
    /// Deletes these.
    Delete(Vec<String>),
}

impl Deed {
    pub fn to_text(&self) -> String {
        match self {
            Self::Run(keep, recycle) => format!("run {keep} {recycle:?}"),
            Self::Prune(keep, fate) => format!("prune {keep} {fate:?}"),
            Self::Delete(names) => format!("delete {}", names.join(" ")),
        }
    }

    pub fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split(' ').collect();
        let keep = || words[1].parse().expect("a number");
        match words[0] {
            "run" if words[2] == "Never" => Self::Run(keep(), Recycle::Never),
            "run" => Self::Run(keep(), Recycle::Always),
            "prune" if words[2] == "Trash" => Self::Prune(keep(), Fate::Trash),
            "prune" => Self::Prune(keep(), Fate::Scaffold),
            _ => Self::Delete(words[1..].iter().map(ToString::to_string).collect()),
        }
    }

    pub fn carry_out(&self, kitchen: &mut Kitchen, monitor: &dyn Monitor) -> Result<(), String> {
        let said = |error: &dyn std::error::Error| crate::faults::whole_chain(error);
        match self {
            Self::Run(keep, recycle) => {
                kitchen.keep_last(*keep);
                kitchen.options.recycle = *recycle;
                let summary = kitchen.try_backup(monitor).map_err(|error| said(&error))?;
                match summary.problems.list.as_slice() {
                    [] => Ok(()),
                    problems => Err(format!("{problems:?}")),
                }
            }
            Self::Prune(keep, fate) => {
                kitchen.try_prune(*keep, *fate, monitor).map(drop).map_err(|error| said(&error))
            }
            Self::Delete(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                kitchen.try_delete(&names, monitor).map(drop).map_err(|error| said(&error))
            }
        }
    }

    /// What goes by it, of snapshots in their order.
    pub fn doomed(&self, named: &[String]) -> Vec<String> {
        match self {
            // The new one is kept as well.
            Self::Run(keep, _) => named[..(named.len() + 1).saturating_sub(*keep as usize)].to_vec(),
            Self::Prune(keep, _) => named[..named.len().saturating_sub(*keep as usize)].to_vec(),
            Self::Delete(names) => names.clone(),
        }
    }
}

const BASE: &str = "LINKSNAP_TEST_DEATHS_BASE";
const NOW: &str = "LINKSNAP_TEST_DEATHS_NOW";
const MOMENT: &str = "LINKSNAP_TEST_DEATHS_MOMENT";
const DEED: &str = "LINKSNAP_TEST_DEATHS_DEED";

#[test]
#[ignore = "run as a child by the tests here"]
fn child_entry() {
    let Some(base) = std::env::var_os(BASE) else { return };
    let text = |name| std::env::var(name).expect("set by the parent");
    let mut kitchen = Kitchen::in_dir(Path::new(&base));
    kitchen.options.now = text(NOW).parse().expect("a number");
    let die = || crash::die();
    let killer = Killer::new(Moment::parse(&text(MOMENT)), &die);
    let done = Deed::parse(&text(DEED)).carry_out(&mut kitchen, &killer);
    assert_eq!(done, Ok(()));
}

/// Later than any child lives.
const NEVER: Moment = Moment::Call(u64::MAX);

/// A kitchen, and what was seen of its snapshots.
pub struct Night {
    pub kitchen: Kitchen,
    known: BTreeMap<String, Listing>,
    changes: u32,
}

impl Night {
    pub fn new(kitchen: Kitchen) -> Self {
        plenty(&kitchen);
        Self { kitchen, known: BTreeMap::new(), changes: 0 }
    }

    /// Something changes, with parts that one snapshot has, and two.
    pub fn change(&mut self) {
        self.changes += 1;
        let number = self.changes;
        let mut tree = TreeBuilder::new(&self.kitchen.source)
            .file("changing", format!("version {number}"))
            .file(format!("pairs/{number}/file"), "in two snapshots")
            .hard_link("changing", "also-changing")
            .file(format!("many/{}/changed", number % 8), format!("{number}"));
        if self.kitchen.source.join(format!("pairs/{}", number.wrapping_sub(2))).exists() {
            tree = tree.delete(format!("pairs/{}", number - 2));
        }
        drop(tree);
        self.kitchen.age();
    }

    /// Makes so many snapshots as are missing, and one more, which leaves a scaffold.
    pub fn refill(&mut self, count: u32) {
        if self.kitchen.named().len() < count as usize {
            while self.kitchen.named().len() <= count as usize {
                self.change();
                self.kitchen.options.retention = None;
                drop(self.kitchen.backup());
            }
            drop(self.kitchen.try_prune(count, Fate::Scaffold, &Silent).expect("pruned"));
            assert_eq!(names_in(&self.kitchen.workshop().join("retired")).len(), 1);
            let named = self.kitchen.named();
            self.known.retain(|name, _| named.contains(name));
        }
        self.look();
    }

    /// Remembers what is new.
    pub fn look(&mut self) {
        for name in self.kitchen.named() {
            let tree = || Listing::read(&self.kitchen.job_dir().join(&name));
            self.known.entry(name.clone()).or_insert_with(tree);
        }
    }

    fn child(&mut self, deed: &Deed, moment: Moment) -> Command {
        let base = self.kitchen.source.parent().expect("a base");
        let (now, moment, deed_text) =
            (self.kitchen.options.now.to_string(), moment.to_text(), deed.to_text());
        if matches!(deed, Deed::Run(..)) {
            self.kitchen.options.now += 1;
        }
        let env = [
            (BASE, base.as_os_str()),
            (NOW, OsStr::new(&now)),
            (MOMENT, OsStr::new(&moment)),
            (DEED, OsStr::new(&deed_text)),
        ];
        crash::child("deaths::child_entry", &env)
    }

    /// A command that dies; says whether it lived to see that moment.
    fn dies(&mut self, deed: &Deed, moment: Moment) -> bool {
        let output = self.child(deed, moment).output().expect("a child");
        let killed = crash::was_killed(output.status);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(killed || output.status.success(), "{deed:?} {moment:?}: {said}");
        killed
    }

    /// What bears a name is whole, and untouched since it was first seen; only what was doomed may be gone. Returns
    /// what is.
    pub fn check(&mut self, doomed: &[String], what: &str) -> BTreeSet<String> {
        let named = self.kitchen.named();
        let mut gone = BTreeSet::new();
        for (name, known) in &self.known {
            if named.contains(name) {
                let now = Listing::read(&self.kitchen.job_dir().join(name));
                assert_eq!(known.diff(&now, Compare::UNTOUCHED), [""; 0], "{name}: {what}");
            } else {
                assert!(doomed.contains(name), "{name} is gone: {what}");
                gone.insert(name.clone());
            }
        }
        self.known.retain(|name, _| !gone.contains(name));
        let source = Listing::read(&self.kitchen.source);
        for name in named.iter().filter(|name| !self.known.contains_key(*name)) {
            let now = Listing::read(&self.kitchen.in_snapshot(&self.kitchen.job_dir().join(name)));
            assert_eq!(source.diff(&now, Compare::COPY), [""; 0], "{name} is half made: {what}");
        }
        self.look();
        if let Ok(latest) = std::fs::read_link(self.kitchen.job_dir().join("latest")) {
            let latest = latest.to_str().expect("text");
            assert!(named.iter().any(|name| name == latest), "latest points to {latest}: {what}");
        }
        gone
    }

    /// Some command that nothing disturbs; afterwards there is nothing left to be done.
    pub fn recover(&mut self, how: u64, what: &str) {
        match how % 5 {
            0 => drop(self.kitchen.try_prune(99, Fate::Scaffold, &Silent).expect("nothing to prune")),
            1 => drop(du::count(&self.kitchen.job(), ("a test", 0), &Silent).expect("counted")),
            2 => {
                if !self.kitchen.named().is_empty() {
                    // The one chosen may be forgotten by the very command, which then refuses.
                    let chosen = self.kitchen.try_pin("latest", &Pin::Clear);
                    let is_gone = |error: BeginError| matches!(error, BeginError::Job(JobError::Select(_)));
                    assert!(chosen.map_or_else(is_gone, |()| true), "{what}");
                    self.kitchen.pin("latest", &Pin::Clear);
                }
                drop(self.kitchen.try_prune(99, Fate::Trash, &Silent).expect("nothing to prune"));
            }
            3 => {
                self.kitchen.options.retention = None;
                let summary = self.kitchen.try_backup(&Silent);
                let summary = summary.unwrap_or_else(|error| panic!("{what}: {error:?}"));
                assert_eq!(summary.problems.list, [], "{what}");
            }
            _ => {
                self.kitchen.keep_last(99);
                drop(self.kitchen.try_backup(&Silent).unwrap_or_else(|error| panic!("{what}: {error:?}")));
            }
        }
        self.check(&[], what);
        self.assert_all_is_well(what);
    }

    fn assert_all_is_well(&self, what: &str) {
        let kitchen = &self.kitchen;
        let named = kitchen.named();
        let published: Vec<String> =
            kitchen.job().snapshots().expect("readable").into_iter().map(|one| one.name).collect();
        assert_eq!(published, named, "{what}");
        let latest = std::fs::read_link(kitchen.job_dir().join("latest")).ok();
        assert_eq!(latest.as_deref(), named.last().map(Path::new), "{what}");
        assert_eq!(names_in(&kitchen.workshop().join("trash")), [""; 0], "{what}");
        assert!(names_in(&kitchen.workshop().join("retired")).len() <= 1, "{what}");
        if !kitchen.workshop().join("staging").exists() {
            kitchen.assert_claims();
        }
        kitchen.assert_accounts();
        let found = kitchen.verify().problems;
        assert_eq!((found.problems, found.list), (0, Vec::new()), "{what}");
    }
}

/// Commands of all kinds, for so many snapshots as are there; with several doomed, with the newest, and with all.
pub fn deeds(named: &[String]) -> Vec<Deed> {
    let names = |places: &[usize]| Deed::Delete(places.iter().map(|at| named[*at].clone()).collect());
    vec![
        Deed::Run(5, Recycle::Always),
        Deed::Run(2, Recycle::Always),
        Deed::Run(2, Recycle::Never),
        Deed::Prune(3, Fate::Scaffold),
        Deed::Prune(1, Fate::Trash),
        names(&[0]),
        names(&[2]),
        names(&[4]),
        names(&[1, 3, 4]),
        names(&[0, 1, 2, 3, 4]),
    ]
}

pub const SNAPSHOTS: u32 = 5;

fn dies_at(phase: Phase) {
    let mut night = Night::new(Kitchen::new());
    let mut killed = 0;
    for number in 0..deeds(&["".to_owned(), "".to_owned(), "".to_owned(), "".to_owned(), "".to_owned()]).len()
    {
        for round in 0..2 {
            night.refill(SNAPSHOTS);
            let named = night.kitchen.named();
            let deed = &deeds(&named)[number];
            let what = format!("{deed:?} at {phase:?}");
            if matches!(deed, Deed::Run(..)) {
                night.change();
            }
            let doomed = deed.doomed(&named);
            let has_died = night.dies(deed, Moment::At(phase, 1));
            killed += u32::from(has_died);
            let gone = night.check(&doomed, &what);
            let all: BTreeSet<String> = doomed.into_iter().collect();
            let is_late = !has_died || (phase > Phase::Retire);
            assert_eq!(gone, if is_late { all } else { BTreeSet::new() }, "{what}");
            night.recover(number as u64 + 3 * round, &what);
        }
    }
    // Only runs come to a scaffold.
    assert!(killed >= if phase == Phase::Recycle { 4 } else { 6 }, "only {killed} were killed at {phase:?}");
}

#[test]
fn deaths_before_a_scaffold_is_taken_are_survived() {
    dies_at(Phase::Recycle);
}

#[test]
fn deaths_before_retiring_are_survived() {
    dies_at(Phase::Retire);
}

#[test]
fn deaths_before_the_renames_are_synced_are_survived() {
    dies_at(Phase::SyncRetired);
}

#[test]
fn deaths_before_the_catalog_forgets_are_survived() {
    dies_at(Phase::Forget);
}

#[test]
fn deaths_before_the_release_are_survived() {
    dies_at(Phase::Release);
}

#[test]
fn deaths_before_the_scaffold_is_kept_are_survived() {
    dies_at(Phase::KeepScaffold);
}

#[test]
fn deaths_before_the_trash_is_emptied_are_survived() {
    dies_at(Phase::EmptyTrash);
}

/// A command to which strace(1) does something at the n-th call of one kind that any thread makes. `None`: nobody may
/// trace here.
fn injected(night: &mut Night, deed: &Deed, inject: &str) -> Option<Output> {
    let child = night.child(deed, NEVER);
    let call = inject.split(':').next().expect("a call");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={inject}")]);
    strace.arg(child.get_program()).args(child.get_args()).env_clear();
    strace.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = strace.output().expect("strace runs");
    let is_refused = String::from_utf8_lossy(&output.stderr).contains("ptrace");
    (!is_refused).then_some(output)
}

/// Kills before the n-th call of one kind, for n from 1 on, until one lives: first each, then more and more of them are
/// left out. Returns how many died.
fn dies_at_every(call: &str, deed_of: fn(&[String]) -> Deed) -> u64 {
    let mut night = Night::new(Kitchen::new());
    let mut killed = 0;
    let mut nth = 1;
    loop {
        night.refill(SNAPSHOTS);
        let named = night.kitchen.named();
        let deed = deed_of(&named);
        let what = format!("{deed:?} at {call} number {nth}");
        if matches!(deed, Deed::Run(..)) {
            night.change();
        }
        let Some(output) = injected(&mut night, &deed, &format!("{call}:signal=KILL:when={nth}")) else {
            skip::announce("deaths::dies_at_every", "strace may not trace here");
            return u64::MAX;
        };
        // strace ends as the program did.
        let has_died = crash::was_killed(output.status);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(has_died || output.status.success(), "{what}: {said}");
        night.check(&deed.doomed(&named), &what);
        night.recover(nth, &what);
        if !has_died {
            return killed;
        }
        killed += 1;
        nth += 1 + nth / 6;
    }
}

/// The n-th call of one kind fails, for some n. What happens then is said or mended, and the next command goes on.
fn fails_at_every(call: &str, error: &str, deed_of: fn(&[String]) -> Deed) {
    let mut night = Night::new(Kitchen::new());
    for nth in [1, 2, 3, 4, 5, 7, 10] {
        night.refill(SNAPSHOTS);
        let named = night.kitchen.named();
        let deed = deed_of(&named);
        let what = format!("{deed:?} with {error} at {call} number {nth}");
        if matches!(deed, Deed::Run(..)) {
            night.change();
        }
        if injected(&mut night, &deed, &format!("{call}:error={error}:when={nth}")).is_none() {
            return skip::announce("deaths::fails_at_every", "strace may not trace here");
        }
        night.check(&deed.doomed(&named), &what);
        night.recover(nth, &what);
    }
}

#[test]
fn calls_that_fail_in_a_delete_are_survived() {
    skip_unless!(skip::has_tool("strace"), "strace is missing");
    let newest_and_oldest = |named: &[String]| Deed::Delete(vec![named[0].clone(), named[4].clone()]);
    for (call, error) in [
        ("renameat2", "EIO"),
        ("renameat2", "ENOENT"),
        ("renameat", "ENOSPC"),
        ("unlinkat", "EIO"),
        ("unlinkat", "EBUSY"),
        ("fsync", "EIO"),
        ("openat2", "EMFILE"),
    ] {
        fails_at_every(call, error, newest_and_oldest);
    }
}

#[test]
fn calls_that_fail_in_a_run_with_retention_are_survived() {
    skip_unless!(skip::has_tool("strace"), "strace is missing");
    for (call, error) in [
        ("renameat2", "EIO"),
        ("renameat2", "ENOENT"),
        ("unlinkat", "EACCES"),
        ("linkat", "EIO"),
        ("fsync", "EIO"),
    ] {
        fails_at_every(call, error, |_| Deed::Run(3, Recycle::Always));
    }
}

#[test]
fn deaths_at_any_system_call_of_a_delete_are_survived() {
    skip_unless!(skip::has_tool("strace"), "strace is missing");
    let newest_and_oldest = |named: &[String]| Deed::Delete(vec![named[0].clone(), named[4].clone()]);
    for (call, least) in [("renameat2", 2), ("renameat", 1), ("unlinkat", 6), ("fsync", 4), ("pwrite64", 6)] {
        let killed = dies_at_every(call, newest_and_oldest);
        assert!(killed >= least, "only {killed} deaths at {call}");
    }
}

#[test]
fn deaths_at_any_system_call_of_a_run_with_retention_are_survived() {
    skip_unless!(skip::has_tool("strace"), "strace is missing");
    for (call, least) in [("renameat2", 4), ("unlinkat", 6), ("fsync", 6), ("syncfs", 1), ("linkat", 1)] {
        let killed = dies_at_every(call, |_| Deed::Run(3, Recycle::Always));
        assert!(killed >= least, "only {killed} deaths at {call}");
    }
}

#[test]
fn commands_survive_death_at_any_moment() {
    let mut chance = Chance(5);
    let mut night = Night::new(Kitchen::new());
    let mut killed = 0;
    for round in 0..120 {
        night.refill(3);
        let named = night.kitchen.named();
        let edits: Vec<Edit> = (0..chance.below(5)).map(|_| some_edit(&mut chance)).collect();
        let keep = u32::try_from(1 + chance.below(4)).expect("small");
        let deed = match chance.below(6) {
            0 => Deed::Prune(keep, Fate::Scaffold),
            1 => Deed::Delete(named.iter().filter(|_| chance.below(2) == 0).cloned().collect()),
            2 => Deed::Run(keep, Recycle::Never),
            _ => Deed::Run(keep, Recycle::Always),
        };
        if deed == Deed::Delete(Vec::new()) {
            continue;
        }
        apply(&night.kitchen.source, &edits);
        if chance.below(2) == 0 {
            night.kitchen.age();
        } else {
            night.kitchen.tick();
        }
        let most = if matches!(deed, Deed::Run(..)) { 150 } else { 40 };
        let moment = Moment::Call(1 + chance.below(most));
        let what = format!("round {round}: {deed:?} {moment:?}");
        // A snapshot that another one was deleted for is not doomed, but those of earlier deaths may go now.
        killed += u32::from(night.dies(&deed, moment));
        let doomed = deed.doomed(&named);
        night.check(&doomed, &what);
        if chance.below(2) == 0 {
            night.recover(chance.below(5), &what);
        }
    }
    assert!(killed > 40, "only {killed} were killed");
}

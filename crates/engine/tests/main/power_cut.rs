//! The repository's disk loses power at every named point of a run: what a run has promised is there
//! afterwards, what bears a name is complete, and the next run goes on and trusts nothing that was lost.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_engine::verbs::backup::{BackupSummary, Scaffold};
use linksnap_engine::{Phase, Silent};
use linksnap_testkit::loopfs::{FsKind, LoopFs, Unavailable};
use linksnap_testkit::tree::{Edit, TreeBuilder, apply};
use linksnap_testkit::{crash, or_skip};

use crate::kill::{Chance, Killer, Moment, PLENTY, plenty, some_edit};
use crate::kitchen::Kitchen;
use crate::ledger::Ledger;

/// The signal's number on all machines that Linux runs on but MIPS and PA-RISC.
const SIGBUS: i32 = 7;

const SOURCES: &str = "LINKSNAP_TEST_SOURCES";
const DISK: &str = "LINKSNAP_TEST_DISK";
const NOW: &str = "LINKSNAP_TEST_NOW";
const MOMENT: &str = "LINKSNAP_TEST_MOMENT";

/// What a run says of itself whose disk went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Success,
    Error,
    /// Killed by SIGBUS. SQLite maps the index of its write-ahead log into memory; on XFS without a disk a
    /// write to it is answered by this signal, and no program can make an error of it.
    BusError,
}

impl End {
    /// Runs a child that says how it ended.
    pub fn of_child(child: &mut Command, moment: &str) -> Self {
        let output = child.output().expect("a child");
        let said = String::from_utf8_lossy(&output.stdout);
        match (output.status.success(), output.status.signal()) {
            (true, _) if said.contains("SUCCESS") => Self::Success,
            (true, _) if said.contains("ERROR") => Self::Error,
            (false, Some(SIGBUS)) => Self::BusError,
            _ => panic!("{moment}: {} {said} {}", output.status, String::from_utf8_lossy(&output.stderr)),
        }
    }
}

/// Takes the power of a mounted filesystem away, for good.
pub fn shut_down(disk: &Path) {
    let done = Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(disk).status();
    assert!(done.expect("xfs_io runs").success());
}

#[test]
#[ignore = "run as a child by the tests below"]
fn child_entry() {
    let Some(disk) = std::env::var_os(DISK).map(PathBuf::from) else { return };
    let text = |name| std::env::var(name).expect("set by the parent");
    let mut kitchen = Kitchen::across(Path::new(&text(SOURCES)), &disk);
    kitchen.options.now = text(NOW).parse::<i64>().expect("a number") - 1;
    let shut_down = || shut_down(&disk);
    let done = kitchen.try_backup(&Killer::new(Moment::parse(&text(MOMENT)), &shut_down));
    println!("{}", if done.is_ok() { "SUCCESS" } else { "ERROR" });
}

/// A repository on a disk of its own, and a source elsewhere.
struct Scene {
    disk: LoopFs,
    kitchen: Kitchen,
    ledger: Ledger,
    chance: Chance,
    sources: tempfile::TempDir,
    kind: FsKind,
}

impl Scene {
    fn new(kind: FsKind, disk: LoopFs) -> Self {
        let sources = tempfile::tempdir().expect("a temporary directory");
        let base = std::fs::canonicalize(sources.path()).expect("it is there");
        let kitchen = Kitchen::across(&base, &disk.path());
        plenty(&kitchen);
        Self { disk, kitchen, ledger: Ledger::default(), chance: Chance(3), sources, kind }
    }

    fn change(&mut self, round: usize) {
        let edits: Vec<Edit> = (0..6).map(|_| some_edit(&mut self.chance)).collect();
        apply(&self.kitchen.source, &edits);
        let mut tree = TreeBuilder::new(&self.kitchen.source);
        for number in 0..40 {
            tree = tree.file(format!("new/{}/{number}", number % 5), vec![b'n'; 1000 + number * 100 + round]);
        }
        drop(tree);
    }

    /// A run during which the power goes, in a process of its own.
    fn cut(&mut self, at: Phase, nth: u64) -> End {
        self.kitchen.options.now += 1;
        let moment = Moment::At(at, nth);
        let end = if self.kind == FsKind::Btrfs { self.cut_here(moment) } else { self.cut_in_child(moment) };
        self.disk.remount();
        end
    }

    fn cut_here(&mut self, moment: Moment) -> End {
        self.kitchen.options.now -= 1;
        let shut_down = || self.disk.shutdown();
        match self.kitchen.try_backup(&Killer::new(moment, &shut_down)) {
            Ok(_) => End::Success,
            Err(_) => End::Error,
        }
    }

    fn cut_in_child(&self, moment: Moment) -> End {
        let disk = self.disk.path();
        let (now, moment) = (self.kitchen.options.now.to_string(), moment.to_text());
        let env = [
            (SOURCES, self.sources.path().as_os_str()),
            (DISK, disk.as_os_str()),
            (NOW, OsStr::new(&now)),
            (MOMENT, OsStr::new(&moment)),
        ];
        End::of_child(&mut crash::child("power_cut::child_entry", &env), &moment)
    }

    fn succeed(&mut self) -> BackupSummary {
        let summary = self.kitchen.try_backup(&Silent).expect("a snapshot");
        assert_eq!(summary.problems.list, []);
        self.ledger.check_success(&self.kitchen, &summary);
        summary
    }
}

/// Cuts the power at each of these points in turn; in between, a run succeeds.
fn survives_power_cuts(kind: FsKind, disk: LoopFs, moments: &[(Phase, u64)]) {
    let mut scene = Scene::new(kind, disk);
    for (round, &(phase, nth)) in moments.iter().enumerate() {
        scene.change(round);
        let end = scene.cut(phase, nth);
        let new = scene.ledger.check(&scene.kitchen);
        match kind {
            // Its power seems to stay on.
            FsKind::Btrfs => assert_eq!(end, End::Success, "{phase:?}"),
            FsKind::Ext4 => assert_ne!(end, End::BusError, "{phase:?}"),
            _ => assert_eq!(end == End::Success, phase == Phase::Done, "{phase:?}"),
        }
        match phase {
            Phase::Done => assert_eq!(new.len(), 1, "what was promised is not there"),
            Phase::SyncRename | Phase::Latest | Phase::Publish => {}
            _ => assert_eq!(new.len(), 0, "{phase:?}"),
        }
        scene.succeed();
    }
}

/// Success is promised: power goes at once afterwards.
fn keeps_promises(kind: FsKind, disk: LoopFs) {
    let mut scene = Scene::new(kind, disk);
    for round in 0..3 {
        scene.change(round);
        let summary = scene.kitchen.try_backup(&Silent).expect("a snapshot");
        scene.disk.shutdown();
        scene.disk.remount();
        scene.ledger.check_success(&scene.kitchen, &summary);
    }
}

/// The power goes again and again before a run is done: checkpoints carry it on, and nothing else does.
fn goes_on_through_many_cuts(kind: FsKind, disk: LoopFs) {
    let mut scene = Scene::new(kind, disk);
    scene.change(0);
    for (phase, nth) in BEFORE_STAGED {
        scene.cut(phase, nth);
        assert_eq!(scene.ledger.check(&scene.kitchen), [""; 0]);
        let edits: Vec<Edit> = (0..2).map(|_| some_edit(&mut scene.chance)).collect();
        apply(&scene.kitchen.source, &edits);
    }
    let summary = scene.succeed();
    assert_eq!(summary.scaffold, Scaffold::Interrupted);
    assert!(summary.counts.copied_files < PLENTY / 2, "{:?}", summary.counts);
}

const BEFORE_STAGED: [(Phase, u64); 6] = [
    (Phase::CheckpointSync, 1),
    (Phase::CheckpointCommit, 2),
    (Phase::Stage, 1),
    (Phase::CheckpointSync, 2),
    (Phase::CheckpointCommit, 1),
    (Phase::Sync, 1),
];

fn all_points() -> Vec<(Phase, u64)> {
    let more = [(Phase::CheckpointSync, 3), (Phase::CheckpointCommit, 2), (Phase::CheckpointCommit, 4)];
    Phase::ALL.into_iter().map(|phase| (phase, 1)).chain(more).collect()
}

pub fn ext4() -> Result<LoopFs, Unavailable> {
    LoopFs::create(FsKind::Ext4, 64, &["-I", "256"])
}

pub fn xfs() -> Result<LoopFs, Unavailable> {
    LoopFs::create(FsKind::Xfs, 0, &[])
}

pub fn btrfs() -> Result<LoopFs, Unavailable> {
    LoopFs::create(FsKind::Btrfs, 0, &[])
}

#[test]
fn ext4_survives_power_cuts() {
    survives_power_cuts(FsKind::Ext4, or_skip!(ext4()), &all_points());
}

#[test]
fn xfs_survives_power_cuts() {
    survives_power_cuts(FsKind::Xfs, or_skip!(xfs()), &all_points());
}

#[test]
fn btrfs_survives_power_cuts() {
    let points = [Phase::CheckpointCommit, Phase::Stage, Phase::Rename, Phase::Latest, Phase::Done];
    survives_power_cuts(FsKind::Btrfs, or_skip!(btrfs()), &points.map(|phase| (phase, 1)));
}

#[test]
fn ext4_keeps_promises() {
    keeps_promises(FsKind::Ext4, or_skip!(ext4()));
}

#[test]
fn xfs_keeps_promises() {
    keeps_promises(FsKind::Xfs, or_skip!(xfs()));
}

#[test]
fn btrfs_keeps_promises() {
    keeps_promises(FsKind::Btrfs, or_skip!(btrfs()));
}

#[test]
fn ext4_goes_on_through_many_cuts() {
    goes_on_through_many_cuts(FsKind::Ext4, or_skip!(ext4()));
}

#[test]
fn xfs_goes_on_through_many_cuts() {
    goes_on_through_many_cuts(FsKind::Xfs, or_skip!(xfs()));
}

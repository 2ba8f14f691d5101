//! The repository's disk loses power while snapshots are retired and deleted: what bears a name afterwards is whole,
//! only what was doomed is gone, what was done is done, and the next command goes on.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use linksnap_engine::Phase;
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::{crash, or_skip};

use crate::deaths::{Deed, Night, SNAPSHOTS, deeds};
use crate::kill::{Killer, Moment};
use crate::kitchen::Kitchen;
use crate::power_cut::{End, btrfs, ext4, shut_down, xfs};

const SOURCES: &str = "LINKSNAP_TEST_OUTAGES_SOURCES";
const DISK: &str = "LINKSNAP_TEST_OUTAGES_DISK";
const NOW: &str = "LINKSNAP_TEST_OUTAGES_NOW";
const MOMENT: &str = "LINKSNAP_TEST_OUTAGES_MOMENT";
const DEED: &str = "LINKSNAP_TEST_OUTAGES_DEED";

#[test]
#[ignore = "run as a child by the tests below"]
fn child_entry() {
    let Some(disk) = std::env::var_os(DISK).map(PathBuf::from) else { return };
    let text = |name| std::env::var(name).expect("set by the parent");
    let mut kitchen = Kitchen::across(Path::new(&text(SOURCES)), &disk);
    kitchen.options.now = text(NOW).parse().expect("a number");
    let shut_down = || shut_down(&disk);
    let killer = Killer::new(Moment::parse(&text(MOMENT)), &shut_down);
    let done = Deed::parse(&text(DEED)).carry_out(&mut kitchen, &killer);
    println!("{}", if done.is_ok() { "SUCCESS" } else { "ERROR" });
}

/// A repository on a disk of its own, and a source elsewhere.
struct Scene {
    disk: LoopFs,
    night: Night,
    sources: tempfile::TempDir,
    kind: FsKind,
}

impl Scene {
    fn new(kind: FsKind, disk: LoopFs) -> Self {
        let sources = tempfile::tempdir().expect("a temporary directory");
        let base = std::fs::canonicalize(sources.path()).expect("it is there");
        let night = Night::new(Kitchen::across(&base, &disk.path()));
        Self { disk, night, sources, kind }
    }

    /// A command during which the power goes.
    fn cut(&mut self, deed: &Deed, moment: Moment) -> End {
        let end = if self.kind == FsKind::Btrfs {
            let shut_down = || self.disk.shutdown();
            match deed.carry_out(&mut self.night.kitchen, &Killer::new(moment, &shut_down)) {
                Ok(()) => End::Success,
                Err(_) => End::Error,
            }
        } else {
            self.cut_in_child(deed, moment)
        };
        self.disk.remount();
        end
    }

    fn cut_in_child(&mut self, deed: &Deed, moment: Moment) -> End {
        let disk = self.disk.path();
        let (now, moment, deed_text) =
            (self.night.kitchen.options.now.to_string(), moment.to_text(), deed.to_text());
        if matches!(deed, Deed::Run(..)) {
            self.night.kitchen.options.now += 1;
        }
        let env = [
            (SOURCES, self.sources.path().as_os_str()),
            (DISK, disk.as_os_str()),
            (NOW, OsStr::new(&now)),
            (MOMENT, OsStr::new(&moment)),
            (DEED, OsStr::new(&deed_text)),
        ];
        End::of_child(&mut crash::child("outages::child_entry", &env), &moment)
    }
}

/// Of the commands every third one is cut at each point, others at the next point.
const EVERY: usize = 3;

/// Cuts the power at each of these points, of commands in turn; in between, commands succeed.
fn survives_power_cuts(kind: FsKind, disk: LoopFs, phases: &[Phase]) {
    let mut scene = Scene::new(kind, disk);
    let unnamed = vec![String::new(); SNAPSHOTS as usize];
    for (turn, phase) in phases.iter().enumerate() {
        for number in (turn % EVERY..deeds(&unnamed).len()).step_by(EVERY) {
            scene.night.refill(SNAPSHOTS);
            let named = scene.night.kitchen.named();
            let deed = &deeds(&named)[number];
            let what = format!("{deed:?} at {phase:?}");
            if matches!(deed, Deed::Run(..)) {
                scene.night.change();
            }
            let end = scene.cut(deed, Moment::At(*phase, 1));
            let doomed = deed.doomed(&named);
            let gone = scene.night.check(&doomed, &what);
            match phase {
                // Nothing has begun, or all that counts is done.
                Phase::Recycle if matches!(deed, Deed::Run(..)) => {
                    assert_eq!(gone, BTreeSet::new(), "{what}");
                }
                Phase::Retire => assert_eq!(gone, BTreeSet::new(), "{what}"),
                Phase::Release | Phase::KeepScaffold | Phase::EmptyTrash => {
                    assert_eq!(gone, doomed.into_iter().collect(), "{what}");
                }
                _ => {}
            }
            if matches!(deed, Deed::Run(..)) && *phase != Phase::Recycle {
                assert!(
                    scene.night.kitchen.named().iter().any(|name| *name > named[4]),
                    "{what}: not published"
                );
            }
            assert!(kind != FsKind::Ext4 || end != End::BusError, "{what}");
            scene.night.recover(number as u64, &what);
        }
    }
}

fn phases() -> Vec<Phase> {
    // Only runs come to the first.
    [Phase::Recycle].into_iter().chain(Phase::RETIRING).collect()
}

#[test]
fn ext4_survives_power_cuts_while_retiring() {
    survives_power_cuts(FsKind::Ext4, or_skip!(ext4()), &phases());
}

#[test]
fn xfs_survives_power_cuts_while_retiring() {
    survives_power_cuts(FsKind::Xfs, or_skip!(xfs()), &phases());
}

#[test]
fn btrfs_survives_power_cuts_while_retiring() {
    survives_power_cuts(FsKind::Btrfs, or_skip!(btrfs()), &phases());
}

/// When a command has said that all is done, it is.
fn keeps_promises(kind: FsKind, disk: LoopFs) {
    let mut scene = Scene::new(kind, disk);
    let unnamed = vec![String::new(); SNAPSHOTS as usize];
    for number in 0..deeds(&unnamed).len() {
        scene.night.refill(SNAPSHOTS);
        let named = scene.night.kitchen.named();
        let deed = &deeds(&named)[number];
        let what = format!("after {deed:?}");
        assert_eq!(deed.carry_out(&mut scene.night.kitchen, &linksnap_engine::Silent), Ok(()), "{what}");
        scene.disk.shutdown();
        scene.disk.remount();
        let doomed = deed.doomed(&named);
        assert_eq!(scene.night.check(&doomed, &what), doomed.into_iter().collect(), "{what}");
        scene.night.recover(number as u64, &what);
    }
}

#[test]
fn ext4_keeps_deletes() {
    keeps_promises(FsKind::Ext4, or_skip!(ext4()));
}

#[test]
fn xfs_keeps_deletes() {
    keeps_promises(FsKind::Xfs, or_skip!(xfs()));
}

#[test]
fn btrfs_keeps_deletes() {
    keeps_promises(FsKind::Btrfs, or_skip!(btrfs()));
}

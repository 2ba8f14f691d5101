//! Room: what goes beyond the rules, and where that ends.

use jiff::tz::TimeZone;
use linksnap_catalog::{Freed, Snapshot, SnapshotId};

use super::{good, policy};
use crate::policy::{Headroom, Share};
use crate::stages::retain::{Clock, Retained, Room, Shortfall, make_room, retain};

/// Ten snapshots, one a day.
fn ten() -> Vec<Snapshot> {
    good((0..10).map(|day| day * 24 * 60 * 60))
}

fn retained(snapshots: &[Snapshot], rules: &str) -> Retained {
    retain(snapshots, &policy(rules), i64::MAX, &TimeZone::UTC, Clock::Doubt).unwrap()
}

/// A disk of 1000 bytes and 100 inodes.
const ROOM: Room = Room { free_bytes: 50, total_bytes: 1000, free_inodes: 2, total_inodes: 100 };

/// Each snapshot gives back ten bytes and an inode.
fn ten_each(ids: &[SnapshotId]) -> Freed {
    let number = ids.len() as u64;
    Freed { bytes: 10 * number, inodes: number }
}

fn space(share: &str) -> Headroom {
    Headroom { free_space: Some(Share::Percent(share.parse().unwrap())), ..Headroom::default() }
}

fn inodes(number: u64) -> Headroom {
    Headroom { free_inodes: Some(Share::Amount(number)), ..Headroom::default() }
}

/// What each snapshot's fate is: its reason to go, or nothing.
fn fates(retained: &Retained) -> Vec<String> {
    retained.dropped().map(|decision| format!("{} {}", decision.id.0, decision.words().join("; "))).collect()
}

#[test]
fn enough_room_costs_nothing_and_asks_nothing() {
    for headroom in [Headroom::default(), space("5%"), inodes(2)] {
        let mut retained = retained(&ten(), "");
        let mut unasked = |_: &[SnapshotId]| -> Freed { panic!("nobody needs to know") };
        assert_eq!(make_room(&mut retained, &headroom, ROOM, &mut unasked), None);
        assert_eq!(retained.dropped().count(), 0);
    }
}

#[test]
fn what_the_rules_drop_counts_first() {
    let mut retained = retained(&ten(), "last=6");
    assert_eq!(make_room(&mut retained, &space("9%"), ROOM, &mut ten_each), None);
    assert_eq!(retained.dropped_ids(), [1, 2, 3, 4].map(SnapshotId));
    assert!(fates(&retained).iter().all(|fate| fate.ends_with("no rule keeps it")));
}

#[test]
fn the_oldest_go_until_there_is_room() {
    let mut retained = retained(&ten(), "last=8");
    assert_eq!(make_room(&mut retained, &space("9%"), ROOM, &mut ten_each), None);
    let wanted = ["1 no rule keeps it", "2 no rule keeps it", "3 to free space", "4 to free space"];
    assert_eq!(fates(&retained), wanted);
}

#[test]
fn inodes_are_made_free_as_well() {
    let mut retained = retained(&ten(), "");
    let both = Headroom { free_inodes: inodes(6).free_inodes, ..space("7%") };
    assert_eq!(make_room(&mut retained, &both, ROOM, &mut ten_each), None);
    assert_eq!(
        fates(&retained),
        ["1 to free space", "2 to free space", "3 to free inodes", "4 to free inodes"]
    );
}

#[test]
fn a_filesystem_that_makes_inodes_as_needed_has_enough() {
    let mut retained = retained(&ten(), "");
    let endless = Room { free_inodes: 0, total_inodes: 0, ..ROOM };
    assert_eq!(make_room(&mut retained, &inodes(6), endless, &mut ten_each), None);
    assert_eq!(retained.dropped().count(), 0);
}

#[test]
fn pinned_newest_and_newest_good_ones_stay_and_what_is_missing_is_told() {
    let mut snapshots = ten();
    snapshots[2].pinned = true;
    snapshots[8].totals.problems = 1;
    snapshots[9].totals.problems = 1;
    let mut retained = retained(&snapshots, "");
    let headroom = Headroom { min: 0, ..space("90%") };
    let shortfall = make_room(&mut retained, &headroom, ROOM, &mut ten_each).unwrap();
    assert_eq!(shortfall, Shortfall { missing_bytes: 780, missing_inodes: 0, kept: 3, min: 0 });
    let kept: Vec<i64> = retained.kept().map(|decision| decision.id.0).collect();
    assert_eq!(kept, [3, 8, 10]);
}

#[test]
fn never_fewer_than_the_minimum_are_left() {
    let mut retained = retained(&ten(), "last=9");
    let headroom = Headroom { min: 7, ..space("90%") };
    let shortfall = make_room(&mut retained, &headroom, ROOM, &mut ten_each).unwrap();
    assert_eq!(retained.kept().count(), 7);
    assert_eq!(
        shortfall.to_string(),
        "not enough room is free: 820 B are missing; no more snapshots may be dropped (7 are left, at least \
         7 must be, and pinned, newest and newest good ones stay)"
    );
    let mut few = retain(&ten()[..2], &policy(""), i64::MAX, &TimeZone::UTC, Clock::Doubt).unwrap();
    assert!(make_room(&mut few, &headroom, ROOM, &mut ten_each).is_some());
    assert_eq!(few.dropped().count(), 0);
}

#[test]
fn nothing_goes_while_the_clock_looks_wrong() {
    let mut retained = retain(&ten(), &policy("last=1"), 0, &TimeZone::UTC, Clock::Doubt).unwrap();
    assert!(retained.hold.is_some());
    let shortfall = make_room(&mut retained, &space("9%"), ROOM, &mut ten_each).unwrap();
    assert_eq!((shortfall.missing_bytes, shortfall.kept), (40, 10));
    assert_eq!(retained.dropped().count(), 0);
}

#[test]
fn few_questions_are_asked() {
    let snapshots = good(0..1000);
    let mut retained = retained(&snapshots, "");
    let mut asked = 0;
    let mut frees = |ids: &[SnapshotId]| {
        asked += 1;
        Freed { bytes: ids.len() as u64, inodes: 0 }
    };
    assert_eq!(make_room(&mut retained, &space("55%"), ROOM, &mut frees), None);
    assert_eq!(retained.dropped().count(), 500);
    assert!(asked < 15, "{asked}");
}

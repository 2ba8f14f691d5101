//! The plan as tables, and its invariant on random directories.

use linksnap_catalog::{Holding, Rows, Seen, SnapshotId, Version};
use linksnap_inode::{ContentHash, Kind, Names, Stat, Timestamp};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::{Action, Elsewhere, Reason, Step, moved, plan};
use crate::listing::Listing;

const BASIS: SnapshotId = SnapshotId(4);
const BUILDING: SnapshotId = SnapshotId(5);

fn stat(kind: Kind) -> Stat {
    let time = Timestamp { seconds: 1000, nanoseconds: 5 };
    Stat {
        kind,
        mode: 0o644,
        uid: 1,
        gid: 2,
        size: 10,
        blocks: 8,
        mtime: time,
        ctime: time,
        inode: 77,
        device: 1,
        links: 1,
        rdev: 0,
        mount_root: false,
    }
}

/// What a run records of [`stat`], stored as inode 500.
fn known(kind: Kind) -> Version {
    let stat = stat(kind);
    Version {
        first: BASIS,
        last: None,
        kind,
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        size: stat.size,
        holes: 0,
        mtime: stat.mtime,
        rdev: stat.rdev,
        stored_inode: 500,
        hash: None,
        target: None,
        xattrs: None,
        child: None,
        partial: false,
        unwitnessed: false,
        shared: false,
        holding: Holding::Whole,
        seen: Seen { inode: stat.inode, ctime: stat.ctime, links: 1, ..Seen::default() },
    }
}

fn listing(entries: &[(&str, Stat)]) -> Listing {
    let mut listing = Listing::default();
    for (name, stat) in entries {
        listing.add(name.as_bytes(), *stat);
    }
    listing.sort();
    listing
}

fn rows(entries: &[(&str, Version)]) -> Rows {
    let mut rows = Rows::default();
    for (name, version) in entries {
        rows.add(name.as_bytes(), version.clone());
    }
    rows
}

fn scaffold(entries: &[(&str, u64)]) -> Names {
    entries.iter().map(|(name, inode)| (name.as_bytes(), *inode, Some(Kind::File))).collect()
}

fn only(source: &[Stat], versions: &[Version], inodes: &[u64]) -> (Action, Reason) {
    let named = |stat: &Stat| ("x", *stat);
    let source = listing(&source.iter().map(named).collect::<Vec<_>>());
    let versions: Vec<_> = versions.iter().map(|version| ("x", version.clone())).collect();
    let rows = rows(&versions);
    let inodes: Vec<_> = inodes.iter().map(|inode| ("x", *inode)).collect();
    let scaffold = scaffold(&inodes);
    let steps = plan(&source, &rows, &scaffold, BUILDING);
    assert_eq!(steps.len(), 1);
    (steps[0].action, steps[0].reason)
}

#[test]
fn what_did_not_change_is_kept_or_linked() {
    for kind in [Kind::File, Kind::Symlink, Kind::Fifo] {
        let (source, basis) = ([stat(kind)], [known(kind)]);
        assert_eq!(only(&source, &basis, &[]), (Action::Link, Reason::Unchanged));
        assert_eq!(only(&source, &basis, &[500]), (Action::Keep, Reason::Unchanged));
        assert_eq!(only(&source, &basis, &[501]), (Action::Link, Reason::Unchanged));
    }
}

#[test]
fn what_is_new_is_copied_or_made() {
    assert_eq!(only(&[stat(Kind::File)], &[], &[]), (Action::Copy, Reason::New));
    assert_eq!(only(&[stat(Kind::File)], &[], &[500]), (Action::Copy, Reason::New));
    assert_eq!(only(&[stat(Kind::Symlink)], &[], &[]), (Action::Make, Reason::New));
    assert_eq!(only(&[stat(Kind::Directory)], &[], &[]), (Action::Enter, Reason::New));
}

#[test]
fn every_difference_has_its_reason() {
    let file = stat(Kind::File);
    let other = Timestamp { seconds: 1000, nanoseconds: 6 };
    let table = [
        (Stat { size: 11, ..file }, Action::Copy, Reason::SizeChanged),
        (Stat { mtime: other, ..file }, Action::Copy, Reason::TimeChanged),
        (Stat { mode: 0o4644, ..file }, Action::Copy, Reason::AttributesChanged),
        (Stat { uid: 9, ..file }, Action::Copy, Reason::AttributesChanged),
        (Stat { gid: 9, ..file }, Action::Copy, Reason::AttributesChanged),
        (Stat { ctime: other, ..file }, Action::Reuse, Reason::InodeTouched),
        (Stat { inode: 78, ..file }, Action::Reuse, Reason::OtherInode),
        (Stat { device: 2, ..file }, Action::Link, Reason::Unchanged),
        (Stat { kind: Kind::Symlink, ..file }, Action::Make, Reason::KindChanged),
        (Stat { kind: Kind::Directory, ..file }, Action::Enter, Reason::KindChanged),
    ];
    for (source, action, reason) in table {
        assert_eq!(only(&[source], &[known(Kind::File)], &[]), (action, reason));
    }
}

#[test]
fn young_and_torn_files_are_read_again() {
    let mut version = known(Kind::File);
    version.seen.racy = true;
    assert_eq!(only(&[stat(Kind::File)], &[version], &[500]), (Action::Reuse, Reason::Racy));
    let mut version = known(Kind::File);
    version.seen.changed_while_read = true;
    assert_eq!(only(&[stat(Kind::File)], &[version], &[]), (Action::Reuse, Reason::Racy));
}

#[test]
fn what_the_source_does_not_have_is_removed() {
    assert_eq!(only(&[], &[known(Kind::File)], &[500]), (Action::Remove, Reason::Gone));
    assert_eq!(only(&[], &[known(Kind::File)], &[]), (Action::Remove, Reason::Gone));
    assert_eq!(only(&[], &[], &[500]), (Action::Remove, Reason::Unknown));
}

#[test]
fn what_a_checkpoint_vouches_for_is_kept_but_never_linked() {
    let vouched = Version { first: BUILDING, stored_inode: 600, ..known(Kind::File) };
    let source = [stat(Kind::File)];
    assert_eq!(only(&source, std::slice::from_ref(&vouched), &[600]), (Action::Keep, Reason::Unchanged));
    assert_eq!(only(&source, std::slice::from_ref(&vouched), &[]), (Action::Copy, Reason::NotVouched));
    assert_eq!(only(&source, std::slice::from_ref(&vouched), &[7]), (Action::Copy, Reason::NotVouched));
    let ended = Version { last: Some(BUILDING), ..known(Kind::File) };
    let both = [ended, vouched];
    assert_eq!(only(&source, &both, &[600]), (Action::Keep, Reason::Unchanged));
    assert_eq!(only(&source, &both, &[500]), (Action::Keep, Reason::Unchanged));
    assert_eq!(only(&source, &both, &[]), (Action::Link, Reason::Unchanged));
}

fn some_stat() -> impl Strategy<Value = Stat> {
    (0_u8..3, 76_u64..79, 9_u64..12).prop_map(|(kind, inode, size)| {
        let kind = [Kind::File, Kind::Symlink, Kind::Directory][usize::from(kind)];
        Stat { inode, size, ..stat(kind) }
    })
}

const NAMES: [&str; 6] = ["a", "aa", "b", "ba", "c", "\u{ff}"];

proptest! {
    #[test]
    fn every_name_has_exactly_one_step(
        source in proptest::collection::vec(proptest::option::of(some_stat()), 6),
        versions in proptest::collection::vec((any::<bool>(), any::<bool>(), 499_u64..502), 6),
        inodes in proptest::collection::vec(proptest::option::of(499_u64..502), 6),
    ) {
        let entries: Vec<_> = NAMES.iter().zip(&source).filter_map(|(name, stat)| Some((*name, (*stat)?))).collect();
        let listing = listing(&entries);
        let mut all = Vec::new();
        for (name, (basis, checkpoint, inode)) in NAMES.iter().zip(&versions) {
            let version = Version { stored_inode: *inode, ..known(Kind::File) };
            if *basis {
                let last = checkpoint.then_some(BUILDING);
                all.push((*name, Version { last, ..version.clone() }));
            }
            if *checkpoint {
                all.push((*name, Version { first: BUILDING, stored_inode: inode + 1, ..version }));
            }
        }
        let rows = rows(&all);
        let there: Vec<_> = NAMES.iter().zip(&inodes).filter_map(|(name, inode)| Some((*name, (*inode)?))).collect();
        let names = scaffold(&there);
        let steps = plan(&listing, &rows, &names, BUILDING);
        let mut expected: Vec<&[u8]> = entries.iter().map(|(name, _)| name.as_bytes())
            .chain(all.iter().map(|(name, _)| name.as_bytes()))
            .chain(there.iter().map(|(name, _)| name.as_bytes())).collect();
        expected.sort_unstable();
        expected.dedup();
        prop_assert_eq!(steps.iter().map(|step| step.name).collect::<Vec<_>>(), expected);
        for step in &steps {
            prop_assert_eq!(step.action == Action::Remove, step.source.is_none());
            check_wanted(step)?;
        }
    }
}

fn check_wanted(step: &Step<'_>) -> Result<(), proptest::test_runner::TestCaseError> {
    let wants = matches!(step.action, Action::Keep | Action::Link | Action::Reuse);
    prop_assert_eq!(wants, step.wanted.is_some());
    if step.action == Action::Keep {
        prop_assert!(step.is_in_place());
    }
    if step.action == Action::Link {
        prop_assert!(!step.wants_checkpoint() && !step.is_in_place());
    }
    Ok(())
}

/// What a run records of a file with bytes, which is [`stat`] under another path now.
fn elsewhere() -> Version {
    Version { hash: Some(ContentHash::of(b"bytes")), ..known(Kind::File) }
}

#[test]
fn what_was_moved_with_its_directory_is_linked_and_everything_else_read() {
    let file = stat(Kind::File);
    assert_eq!(moved(&file, &elsewhere(), Elsewhere::SameDirectory), Some(Action::Link));
    assert_eq!(moved(&file, &elsewhere(), Elsewhere::Anywhere), Some(Action::Reuse));
    let late = Timestamp { seconds: 2000, nanoseconds: 5 };
    let renamed = Stat { ctime: late, ..file };
    let racy = Version { seen: Seen { racy: true, ..elsewhere().seen }, ..elsewhere() };
    let torn = Version { seen: Seen { changed_while_read: true, ..elsewhere().seen }, ..elsewhere() };
    for place in [Elsewhere::SameDirectory, Elsewhere::Anywhere] {
        assert_eq!(moved(&renamed, &elsewhere(), place), Some(Action::Reuse));
        assert_eq!(moved(&file, &racy, place), Some(Action::Reuse));
        assert_eq!(moved(&file, &torn, place), Some(Action::Reuse));
    }
}

#[test]
fn what_differs_or_is_not_held_whole_was_not_moved() {
    let file = stat(Kind::File);
    let late = Timestamp { seconds: 2000, nanoseconds: 5 };
    let others = [
        Stat { kind: Kind::Fifo, ..file },
        Stat { size: 11, ..file },
        Stat { mtime: late, ..file },
        Stat { mode: 0o600, ..file },
        Stat { uid: 7, ..file },
        Stat { gid: 7, ..file },
        Stat { inode: 78, ..file },
    ];
    let unfit = [
        Version { partial: true, ..elsewhere() },
        Version { hash: None, ..elsewhere() },
        Version { stored_inode: 0, ..elsewhere() },
        Version { holding: Holding::StandIn, ..elsewhere() },
        Version { seen: Seen { links: 2, ..elsewhere().seen }, ..elsewhere() },
    ];
    for place in [Elsewhere::SameDirectory, Elsewhere::Anywhere] {
        for other in &others {
            assert_eq!(moved(other, &elsewhere(), place), None, "{other:?}");
        }
        for version in &unfit {
            assert_eq!(moved(&file, version, place), None, "{version:?}");
        }
    }
}

#[test]
fn only_what_would_be_copied_is_looked_for_elsewhere() {
    let file = stat(Kind::File);
    let looks = |source: Stat, versions: &[Version]| {
        let source = listing(&[("x", source)]);
        let versions: Vec<_> = versions.iter().map(|version| ("x", version.clone())).collect();
        let rows = rows(&versions);
        let names = Names::default();
        let steps = plan(&source, &rows, &names, BUILDING);
        steps[0].may_have_moved()
    };
    let (unchanged, grown) = (known(Kind::File), Stat { size: 11, ..file });
    assert!(looks(file, &[]));
    // In place of another, as logs are that are rotated.
    assert!(looks(Stat { inode: 78, ..grown }, std::slice::from_ref(&unchanged)));
    // Changed under its own name.
    assert!(!looks(grown, std::slice::from_ref(&unchanged)));
    assert!(!looks(file, std::slice::from_ref(&unchanged)));
    assert!(!looks(Stat { inode: 78, ..file }, &[unchanged]));
    assert!(!looks(Stat { size: 0, ..file }, &[]));
    assert!(!looks(Stat { links: 2, ..file }, &[]));
    assert!(!looks(stat(Kind::Symlink), &[]));
    assert!(!looks(stat(Kind::Directory), &[]));
}

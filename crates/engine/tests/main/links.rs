//! Hard links inside the source: snapshots and restores have exactly the groups that the source has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use linksnap_engine::verbs::backup::BackupSummary;
use linksnap_testkit::listing::{Compare, Kind, Listing};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::or_skip;
use linksnap_testkit::tree::{Content, Edit, TreeBuilder, apply};

use crate::kitchen::Kitchen;

fn assert_is_copy(kitchen: &Kitchen, summary: &BackupSummary) -> Listing {
    assert_eq!(summary.problems.list, []);
    let snapshot = kitchen.listing(summary);
    assert_eq!(Listing::read(&kitchen.source).diff(&snapshot, Compare::COPY), [""; 0]);
    snapshot
}

#[test]
fn groups_reach_over_directories_and_sources() {
    let mut kitchen = Kitchen::new();
    let tree = TreeBuilder::new(&kitchen.source)
        .file("one/a/file", b"shared")
        .hard_link("one/a/file", "one/b/deep/file")
        .hard_link("one/a/file", "two/file")
        .symlink("one/link", "nowhere")
        .hard_link("one/link", "two/link")
        .fifo("two/fifo")
        .hard_link("two/fifo", "one/b/fifo")
        .file("two/equal", b"shared")
        .file("one/equal", b"shared");
    kitchen.options.sources = vec![tree.root().join("one"), tree.root().join("two")];
    let first = kitchen.backup();
    assert_eq!(assert_is_copy(&kitchen, &first).hard_links().len(), 3);
    assert_eq!(first.counts.copied_files, 3);
    kitchen.age();
    let second = kitchen.backup();
    let shared = assert_is_copy(&kitchen, &second).shared_with(&kitchen.listing(&first));
    assert_eq!((shared.len(), second.counts.copied_files, kitchen.begun_versions()), (9, 0, 0));
    kitchen.assert_restores();
    kitchen.assert_sound();
}

#[test]
fn names_in_other_sources_than_ours_make_no_group() {
    let mut kitchen = Kitchen::new();
    drop(TreeBuilder::new(&kitchen.source).file("in/a", b"a").hard_link("in/a", "out/a"));
    kitchen.options.sources = vec![kitchen.source.join("in")];
    for _ in 0..2 {
        let summary = kitchen.backup();
        let snapshot = kitchen.listing(&summary);
        assert_eq!(summary.problems.list, []);
        assert!(snapshot.get("out").is_none());
        assert_eq!(snapshot.hard_links(), BTreeSet::new());
    }
    kitchen.assert_sound();
}

/// Names of a case, in the order of a walk, some in directories of their own.
const NAMES: [&str; 4] = ["a", "b/x", "c", "d/x"];

/// To which inode each of [`NAMES`] belongs; 0: there is no such name.
type Groups = [u8; NAMES.len()];

/// All ways to spread the names over inodes, or to leave them out.
fn all_groups() -> Vec<Groups> {
    let mut all = vec![Vec::new()];
    for _ in NAMES {
        let longer = all.into_iter().flat_map(|groups: Vec<u8>| {
            let next = groups.iter().max().map_or(1, |most| most + 1);
            (0..=next).map(move |group| groups.iter().copied().chain([group]).collect())
        });
        all = longer.collect();
    }
    all.into_iter().map(|groups| groups.try_into().expect("one for each name")).collect()
}

/// Which of the inodes that were there a new group goes on with.
#[derive(Clone, Copy)]
enum Survivor {
    First,
    Last,
}

const SAME_BYTES: &[u8] = b"the same everywhere";

fn new_file(path: &Path) -> [Edit; 2] {
    let (path, content) = (path.to_path_buf(), Content::Bytes(SAME_BYTES.to_vec()));
    // Of equal times too, so that only the inode tells two of them apart.
    [Edit::Write { path: path.clone(), content }, Edit::Mtime { path, mtime: (1_700_000_000, 5) }]
}

/// The edits that turn the names in `dir` from one grouping to another.
fn regroup(dir: &Path, from: Groups, to: Groups, survivor: Survivor) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut taken = BTreeSet::from([0]);
    let most = to.iter().copied().max().unwrap_or(0);
    let inode = |group: u8| dir.join(format!("new{group}"));
    for group in 1..=most {
        let mut names: Vec<usize> = (0..NAMES.len()).filter(|name| to[*name] == group).collect();
        if matches!(survivor, Survivor::Last) {
            names.reverse();
        }
        match names.into_iter().find(|name| taken.insert(from[*name])) {
            Some(name) => edits.push(Edit::HardLink { existing: dir.join(NAMES[name]), path: inode(group) }),
            None => edits.extend(new_file(&inode(group))),
        }
    }
    edits.extend(
        (0..NAMES.len())
            .filter(|name| from[*name] > 0)
            .map(|name| Edit::Delete { path: dir.join(NAMES[name]) }),
    );
    for (name, group) in NAMES.into_iter().zip(to).filter(|(_, group)| *group > 0) {
        edits.push(Edit::HardLink { existing: inode(group), path: dir.join(name) });
    }
    edits.extend((1..=most).map(|group| Edit::Delete { path: inode(group) }));
    edits
}

/// All pairs of ways to group four names, and all pairs of ways to group three of which some may be missing; with a
/// directory for each.
fn all_pairs() -> Vec<(PathBuf, Groups, Groups)> {
    let all = all_groups();
    assert_eq!(all.len(), 52);
    let complete = all.iter().filter(|groups| !groups.contains(&0));
    let short = all.iter().filter(|groups| groups[3] == 0);
    let sets: [Vec<Groups>; 2] = [complete.copied().collect(), short.copied().collect()];
    let mut pairs = Vec::new();
    for (number, set) in sets.iter().enumerate() {
        for (i, from) in set.iter().enumerate() {
            let dir = |j: usize| PathBuf::from(format!("{number}/{i}/{j}"));
            pairs.extend(set.iter().enumerate().map(|(j, to)| (dir(j), *from, *to)));
        }
    }
    pairs
}

/// Every way to group some names becomes every other, all in one run.
fn all_regroupings(survivor: Survivor, is_old: bool) {
    let mut kitchen = Kitchen::new();
    let pairs = all_pairs();
    for (dir, from, _) in &pairs {
        apply(&kitchen.source, &regroup(dir, [0; 4], *from, survivor));
    }
    let first = kitchen.backup();
    let before = assert_is_copy(&kitchen, &first);
    if is_old {
        kitchen.age();
    }
    for (dir, from, to) in pairs.iter().filter(|(_, from, to)| from != to) {
        apply(&kitchen.source, &regroup(dir, *from, *to, survivor));
    }
    let second = kitchen.backup();
    let after = assert_is_copy(&kitchen, &second);
    let shared = before.shared_with(&after);
    for (dir, groups, _) in pairs.iter().filter(|(_, from, to)| from == to) {
        let names = NAMES.iter().zip(groups).filter(|(_, group)| **group > 0);
        for (name, _) in names {
            assert!(shared.contains(&dir.join(name)), "{name} of the unchanged {groups:?} was copied");
        }
    }
    assert_eq!(before.diff(&kitchen.listing(&first), Compare::UNTOUCHED), [""; 0]);
    let third = kitchen.backup();
    let unchanged = assert_is_copy(&kitchen, &third).shared_with(&after).len() as u64;
    assert_eq!((third.counts.copied_files, kitchen.begun_versions(), unchanged), (0, 0, third.counts.files));
    kitchen.assert_restores();
    kitchen.assert_sound();
}

#[test]
fn groups_change_in_all_ways_with_the_first_inode_surviving() {
    all_regroupings(Survivor::First, true);
}

#[test]
fn groups_change_in_all_ways_with_the_last_inode_surviving() {
    all_regroupings(Survivor::Last, true);
}

#[test]
fn groups_too_young_to_be_trusted_change_in_all_ways() {
    all_regroupings(Survivor::First, false);
}

/// ext4 gives an inode 65,000 names: the second run needs 1,000 more than that.
#[test]
fn more_names_than_an_inode_can_have_cost_a_copy_more() {
    const NAMES: u64 = 33_000;
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 128, &[]));
    let mut kitchen = Kitchen::in_dir(&disk.path());
    let mut tree = TreeBuilder::new(&kitchen.source).file("0/0", b"of many names").file("other", b"of one");
    for number in 1..NAMES {
        tree = tree.hard_link("0/0", format!("{}/{number}", number / 1000));
    }
    let source = Listing::read(tree.root());
    let without_groups = Compare::default();
    let mut earlier: Vec<(BackupSummary, Listing)> = Vec::new();
    // Both threads may meet the limit at once, and each make a copy.
    for (is_old, copied_files) in [(true, 2..=2), (true, 1..=2), (false, 1..=2)] {
        let summary = kitchen.backup();
        assert_eq!((summary.problems.list.as_slice(), summary.counts.files), (&[][..], NAMES + 1));
        assert!(copied_files.contains(&summary.counts.copied_files), "{:?}", summary.counts);
        let snapshot = kitchen.listing(&summary);
        assert_eq!(source.diff(&snapshot, without_groups), [""; 0]);
        for (summary, listing) in &earlier {
            assert_eq!(listing.diff(&kitchen.listing(summary), Compare::UNTOUCHED), [""; 0]);
        }
        earlier.push((summary, snapshot));
        if is_old {
            kitchen.age();
        }
    }
    let inodes: BTreeSet<u64> =
        earlier.iter().flat_map(|(_, listing)| inodes_of_the_group(listing)).collect();
    assert!(inodes.len() <= 5, "{} inodes hold 3 × {NAMES} names", inodes.len());
    kitchen.assert_sound();
}

fn inodes_of_the_group(listing: &Listing) -> BTreeSet<u64> {
    let members =
        listing.iter().filter(|(path, entry)| entry.kind == Kind::File && *path != Path::new("other"));
    members.map(|(_, entry)| entry.inode).collect()
}

//! Attribute changes and small changes in large files: never in the old inode, and shared with it where the filesystem
//! can.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use linksnap_engine::stages::run::Counts;
use linksnap_inode::DirFd;
use linksnap_inode::filesystem::Filesystem;
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::loopfs::{FsKind, LoopFs, Unavailable};
use linksnap_testkit::or_skip;
use linksnap_testkit::tree::TreeBuilder;
use tempfile::TempDir;

use crate::kitchen::Kitchen;

const MIB: u64 = 1 << 20;

/// Bytes without a pattern, others for every seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A repository on a filesystem of so many MiB; the source, as usual, is on another one.
fn across(kind: FsKind, mib: u64) -> Result<(LoopFs, TempDir, Kitchen), Unavailable> {
    let disk = LoopFs::create(kind, mib, &[])?;
    let source = tempfile::tempdir().expect("a directory");
    let kitchen = Kitchen::across(source.path(), &disk.path());
    Ok((disk, source, kitchen))
}

fn used_bytes(disk: &Path) -> u64 {
    let dir = DirFd::open_root(disk).expect("a directory");
    dir.sync_filesystem().expect("synced");
    let now = Filesystem::of(&dir).expect("its numbers");
    now.total_bytes - now.free_bytes
}

fn write_at(path: &Path, bytes: &[u8], offset: u64) {
    let file = OpenOptions::new().write(true).open(path).expect("a file");
    file.write_all_at(bytes, offset).expect("written");
}

/// Changes of attributes alone, each on a file of its own.
fn change_attributes(kitchen: &Kitchen) {
    drop(
        TreeBuilder::new(&kitchen.source)
            .mode("mode", 0o640)
            .owner("owner", 1234, 5678)
            .mtime("time", 1_000_000_000, 7)
            .mtime("large-time", 1_000_000_000, 7)
            .xattr("xattr", "user.note", b"new"),
    );
}

fn attribute_changes(kitchen: &mut Kitchen) -> Counts {
    let mut tree = TreeBuilder::new(&kitchen.source).file("large-time", noise(9, 3 << 20));
    for (seed, name) in ["mode", "owner", "time", "xattr", "untouched"].into_iter().enumerate() {
        tree = tree.file(name, noise(seed as u64, 100_000));
    }
    drop(tree);
    let first = kitchen.backup();
    let before = kitchen.listing(&first);
    kitchen.age();
    change_attributes(kitchen);
    let second = kitchen.backup();
    let after = kitchen.listing(&second);
    assert_eq!(before.diff(&kitchen.listing(&first), Compare::UNTOUCHED), [""; 0], "the old inodes stay");
    assert_eq!(Listing::read(&kitchen.source).diff(&after, Compare::COPY), [""; 0]);
    for changed in ["mode", "owner", "time", "xattr", "large-time"] {
        assert_ne!(before.inode(changed), after.inode(changed), "{changed}");
    }
    assert_eq!(before.inode("untouched"), after.inode("untouched"));
    kitchen.assert_sound();
    kitchen.assert_accounts();
    second.counts
}

#[test]
fn an_attribute_only_change_makes_a_new_inode_by_copy() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 64, &[]));
    let counts = attribute_changes(&mut Kitchen::in_dir(&disk.path()));
    let bytes = 400_000 + 3 * MIB;
    assert_eq!((counts.changed, counts.attribute_changes, counts.attribute_bytes), (5, 5, bytes));
    assert_eq!((counts.copied_files, counts.copied_bytes), (5, bytes));
    assert_eq!((counts.cloned_files, counts.cloned_bytes), (0, 0));
}

fn attribute_changes_cost_nothing(kind: FsKind) -> Result<(), Unavailable> {
    let (_disk, _source, mut kitchen) = across(kind, 400)?;
    let counts = attribute_changes(&mut kitchen);
    assert_eq!((counts.changed, counts.attribute_changes, counts.attribute_bytes), (5, 5, 0));
    assert_eq!((counts.copied_files, counts.copied_bytes), (0, 0));
    assert_eq!((counts.cloned_files, counts.cloned_bytes), (5, 400_000 + 3 * MIB));
    Ok(())
}

#[test]
fn an_attribute_only_change_copies_no_bytes_on_xfs() {
    or_skip!(attribute_changes_cost_nothing(FsKind::Xfs));
}

#[test]
fn an_attribute_only_change_copies_no_bytes_on_btrfs() {
    or_skip!(attribute_changes_cost_nothing(FsKind::Btrfs));
}

/// One run after a change of the large file; returns how many bytes it copied and how many the disk lost.
fn change(kitchen: &mut Kitchen, disk: &Path, deed: impl Fn(&Path)) -> (u64, u64) {
    kitchen.age();
    deed(&kitchen.source.join("large"));
    let before = used_bytes(disk);
    let summary = kitchen.backup();
    let after = used_bytes(disk);
    let listing = kitchen.listing(&summary);
    assert_eq!(Listing::read(&kitchen.source).diff(&listing, Compare::COPY), [""; 0]);
    let stat = std::fs::metadata(kitchen.source.join("large")).expect("the source");
    let counts = summary.counts;
    let is_whole = stat.blocks() * 512 >= stat.size();
    assert!(!is_whole || counts.copied_bytes + counts.cloned_bytes == stat.size(), "{counts:?}");
    (counts.copied_bytes, after.saturating_sub(before))
}

/// A file of 256 MiB, appended to and changed in one block.
fn small_changes_cost_little(kind: FsKind) -> Result<(), Unavailable> {
    const SIZE: usize = 256 << 20;
    let (disk, _source, mut kitchen) = across(kind, 700)?;
    std::fs::write(kitchen.source.join("large"), noise(1, SIZE)).expect("written");
    let first = kitchen.backup();
    assert_eq!((first.counts.copied_bytes, first.counts.cloned_files), (SIZE as u64, 0));
    let disk = disk.path();

    let append = |path: &Path| write_at(path, &noise(2, 10_000), SIZE as u64);
    let (copied, used) = change(&mut kitchen, &disk, append);
    assert_eq!(copied, 10_000);
    assert!(used < MIB, "took {used} bytes of the disk");

    let poke = |path: &Path| write_at(path, &noise(3, 100), 100 * MIB + 5000);
    let (copied, used) = change(&mut kitchen, &disk, poke);
    assert_eq!(copied, 4096);
    assert!(used < MIB, "took {used} bytes of the disk");

    let shrink = |path: &Path| {
        OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(200 * MIB + 1)).expect("cut");
    };
    assert_eq!(change(&mut kitchen, &disk, shrink).0, 0, "a file cut short copies nothing");
    kitchen.assert_sound();
    kitchen.assert_accounts();
    Ok(())
}

#[test]
fn small_changes_of_a_large_file_cost_their_blocks_on_xfs() {
    or_skip!(small_changes_cost_little(FsKind::Xfs));
}

#[test]
fn small_changes_of_a_large_file_cost_their_blocks_on_btrfs() {
    or_skip!(small_changes_cost_little(FsKind::Btrfs));
}

/// Of two small files that were written anew, the one with other bytes is copied whole, the other shares all.
fn small_files_share_all_or_nothing(kind: FsKind) -> Result<(), Unavailable> {
    let (_disk, _source, mut kitchen) = across(kind, 400)?;
    for (name, length) in [("changed", 100_000), ("with-hole", 200_000), ("same", 100_000)] {
        std::fs::write(kitchen.source.join(name), noise(1, length)).expect("written");
    }
    punch(&kitchen.source.join("with-hole"), 65_536, 65_536);
    drop(kitchen.backup());
    kitchen.age();
    write_at(&kitchen.source.join("changed"), &noise(2, 100), 50_000);
    write_at(&kitchen.source.join("with-hole"), &noise(2, 100), 150_000);
    write_at(&kitchen.source.join("same"), &noise(1, 100), 0);
    let second = kitchen.backup();
    assert_eq!(Listing::read(&kitchen.source).diff(&kitchen.listing(&second), Compare::COPY), [""; 0]);
    let counts = second.counts;
    assert_eq!((counts.copied_files, counts.copied_bytes), (2, 100_000 + 200_000 - 65_536));
    assert_eq!((counts.cloned_files, counts.cloned_bytes), (1, 100_000));
    kitchen.assert_sound();
    kitchen.assert_accounts();
    Ok(())
}

#[test]
fn small_files_share_all_or_nothing_on_xfs() {
    or_skip!(small_files_share_all_or_nothing(FsKind::Xfs));
}

#[test]
fn small_files_share_all_or_nothing_on_btrfs() {
    or_skip!(small_files_share_all_or_nothing(FsKind::Btrfs));
}

fn data_ranges(path: &Path) -> Vec<(u64, u64)> {
    let file = File::open(path).expect("a file");
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Ok(start) = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(at)) {
        at = rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(start)).expect("an end");
        ranges.push((start, at));
    }
    ranges
}

fn punch(path: &Path, offset: u64, length: u64) {
    let file = OpenOptions::new().write(true).open(path).expect("a file");
    let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&file, flags, offset, length).expect("a hole");
    file.sync_all().expect("synced");
}

/// Holes that come, go, move and lie at the end stay where they are.
fn holes_stay(kind: FsKind) -> Result<(), Unavailable> {
    let disk = LoopFs::create(kind, 400, &[])?;
    let mut kitchen = Kitchen::in_dir(&disk.path());
    let large = kitchen.source.join("large");
    std::fs::write(&large, noise(1, 8 << 20)).expect("written");
    punch(&large, 2 * MIB, MIB);
    drop(kitchen.backup());
    let deeds: [&dyn Fn(&Path); 5] = [
        &|path| punch(path, 4 * MIB, 2 * MIB),
        &|path| write_at(path, &noise(4, 70_000), 2 * MIB + 65_536),
        &|path| write_at(path, &vec![0; 256 << 10], 5 * MIB),
        &|path| write_at(path, b"end", 30 * MIB),
        &|path| {
            OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|file| file.set_len(50 * MIB))
                .expect("longer");
        },
    ];
    for (number, deed) in deeds.into_iter().enumerate() {
        let (copied, _) = change(&mut kitchen, &disk.path(), |path| {
            deed(path);
            File::open(path).and_then(|file| file.sync_all()).expect("synced");
        });
        assert!(copied <= 256 << 10, "deed {number} copied {copied}");
        let stored = kitchen.in_snapshot(&kitchen.repository.join("job/latest")).join("large");
        File::open(&stored).and_then(|file| file.sync_all()).expect("synced");
        let (is, should) = (data_ranges(&stored), data_ranges(&large));
        let begins = |ranges: &[(u64, u64)]| ranges.iter().map(|range| range.0).collect::<Vec<_>>();
        assert_eq!(begins(&is), begins(&should), "deed {number}");
        // XFS gives a file that grows more blocks at its end than it asked for.
        let longer = is.iter().zip(&should).map(|(is, should)| is.1.abs_diff(should.1)).max();
        assert!(longer <= Some(128 << 10), "deed {number}: {is:?}, {should:?}");
    }
    kitchen.assert_sound();
    kitchen.assert_accounts();
    Ok(())
}

#[test]
fn holes_of_a_cloned_file_are_those_of_the_source_on_xfs() {
    or_skip!(holes_stay(FsKind::Xfs));
}

#[test]
fn holes_of_a_cloned_file_are_those_of_the_source_on_btrfs() {
    or_skip!(holes_stay(FsKind::Btrfs));
}

/// Somebody has written in the stored copy: what is cloned from it is still what the source has.
#[test]
fn a_damaged_old_version_does_not_reach_the_new_one() {
    let disk = or_skip!(LoopFs::create(FsKind::Btrfs, 200, &[]));
    let mut kitchen = Kitchen::in_dir(&disk.path());
    let large = kitchen.source.join("large");
    std::fs::write(&large, noise(1, 4 << 20)).expect("written");
    let first = kitchen.backup();
    let stored = kitchen.in_snapshot(&first.path).join("large");
    let time = std::fs::metadata(&stored).and_then(|stat| stat.modified()).expect("a time");
    write_at(&stored, b"damage", MIB);
    File::options().write(true).open(&stored).and_then(|file| file.set_modified(time)).expect("the old time");
    kitchen.age();
    write_at(&large, b"change", 3 * MIB);
    let second = kitchen.backup();
    assert_eq!((second.counts.cloned_files, second.counts.copied_bytes), (1, 2 * 4096));
    assert_eq!(Listing::read(&kitchen.source).diff(&kitchen.listing(&second), Compare::COPY), [""; 0]);
}

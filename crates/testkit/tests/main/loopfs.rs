//! Each filesystem can be made and used, and loses what was not synced when its power goes.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use linksnap_testkit::listing::Listing;
use linksnap_testkit::loopfs::{FsKind, LoopFs, Unavailable};
use linksnap_testkit::or_skip;
use linksnap_testkit::tree::TreeBuilder;

fn write_synced(path: &Path, bytes: &[u8]) {
    let mut file = File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    let directory = File::open(path.parent().unwrap()).unwrap();
    directory.sync_all().unwrap();
}

fn is_mount_point(path: &Path) -> bool {
    let device = |path: &Path| fs::symlink_metadata(path).ok().map(|found| found.dev());
    device(path) != path.parent().and_then(device)
}

fn loses_what_is_not_synced(mut disk: LoopFs) {
    assert!(is_mount_point(&disk.path()));
    write_synced(&disk.path().join("synced"), b"stays");
    write_synced(&disk.path().join("rewritten"), b"old");
    fs::write(disk.path().join("not-synced"), b"goes").unwrap();
    disk.shutdown();
    disk.remount();
    let listing = Listing::read(&disk.path());
    let content = listing.get("synced").unwrap().content;
    assert_eq!(content, Some(blake3::hash(b"stays")));
    assert!(listing.get("rewritten").is_some());
    assert!(listing.get("not-synced").is_none());

    TreeBuilder::new(disk.path()).file("usable", "again");
    disk.unmount();
    assert!(!is_mount_point(&disk.path()));
    disk.remount();
    assert!(Listing::read(&disk.path()).get("usable").is_some());

    let path = disk.path();
    drop(disk);
    assert!(!path.exists());
}

#[test]
fn ext4_loses_what_is_not_synced() {
    loses_what_is_not_synced(or_skip!(LoopFs::create(FsKind::Ext4, 64, &["-I", "256"])));
}

#[test]
fn xfs_loses_what_is_not_synced() {
    loses_what_is_not_synced(or_skip!(LoopFs::create(FsKind::Xfs, 0, &[])));
}

#[test]
fn btrfs_loses_what_is_not_synced() {
    loses_what_is_not_synced(or_skip!(LoopFs::create(FsKind::Btrfs, 0, &[])));
}

/// FAT is rare on servers, and many kernels have none: here only the promise that it works or says why not.
#[test]
fn vfat_is_usable_or_says_why_not() {
    match LoopFs::create(FsKind::Vfat, 16, &[]) {
        Ok(disk) => fs::write(disk.path().join("file"), b"x").unwrap(),
        Err(reason @ Unavailable { .. }) => assert_ne!(reason.to_string(), ""),
    }
}

#[test]
fn a_small_ext4_runs_full() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 2, &["-m", "0"]));
    let full = fs::write(disk.path().join("large"), vec![1; 4 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn a_busy_filesystem_is_unmounted_all_the_same() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 8, &[]));
    let path = disk.path();
    let busy = File::create(path.join("busy")).unwrap();
    drop(disk);
    assert!(!path.exists());
    drop(busy);
}

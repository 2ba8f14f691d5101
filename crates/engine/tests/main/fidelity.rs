//! What a tree can hold, kind by kind and attribute by attribute: in the snapshot, in the next one, and restored.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use linksnap_engine::report::ProblemKind;
use linksnap_engine::verbs::backup::{BackupSummary, Scaffold};
use linksnap_inode::DirFd;
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{or_skip, rsync, skip, skip_unless};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};

use crate::kitchen::Kitchen;

/// Backs up twice, and restores: nothing differs, everything is linked in the second snapshot.
fn assert_kept(kitchen: &mut Kitchen) -> BackupSummary {
    let source = Listing::read(&kitchen.source);
    let first = kitchen.backup();
    assert_eq!(first.problems.list, []);
    assert_eq!(source.diff(&kitchen.listing(&first), Compare::COPY), [""; 0]);
    kitchen.age();
    let second = kitchen.backup();
    let (before, after) = (kitchen.listing(&first), kitchen.listing(&second));
    assert_eq!((second.problems.list.as_slice(), second.counts.made_inodes), (&[][..], 0));
    assert_eq!(source.diff(&after, Compare::COPY), [""; 0]);
    let leaves = first.counts.files + first.counts.symlinks + first.counts.specials;
    assert_eq!(before.shared_with(&after).len() as u64, leaves);
    assert_eq!(source.diff(&Listing::read(&kitchen.source), Compare::UNTOUCHED), [""; 0]);
    kitchen.assert_restores();
    kitchen.assert_sound();
    first
}

fn set_xattr(path: &Path, name: &str, value: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())
}

fn make_device(path: &Path, kind: FileType, (major, minor): (u32, u32)) {
    let number = rustix::fs::makedev(major, minor);
    rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), number).expect("a device");
}

// --- names ---

#[test]
fn names_of_any_bytes_are_kept() {
    let mut kitchen = Kitchen::new();
    let long = [b'\xfe'; 255];
    // Every byte that a name can have, and those that shells, terminals and encodings stumble over.
    let all: Vec<Vec<u8>> = (1..=255_u8).filter(|byte| *byte != b'/').map(|byte| vec![b'b', byte]).collect();
    let special: [&[u8]; 9] =
        [b"\n", b"\x1b[31mred", b"\xff\xfe", b"-rf", b"--", b" ", b"...", b"a\\b", &long];
    let mut tree = TreeBuilder::new(&kitchen.source);
    for name in all.iter().map(Vec::as_slice).chain(special) {
        let name = OsStr::from_bytes(name);
        let below = Path::new("dirs").join(name);
        tree = tree.file(Path::new("files").join(name), name.as_bytes()).file(below.join(name), b"x");
        tree = tree.symlink(Path::new("links").join(name), name);
    }
    drop(tree);
    assert_eq!(assert_kept(&mut kitchen).counts.files, 2 * (254 + 9));
}

#[test]
fn names_that_differ_in_case_only_are_kept() {
    let mut kitchen = Kitchen::new();
    let names = ["name", "Name", "NAME", "stra\u{df}e", "STRASSE", "e\u{301}", "\u{e9}"];
    let mut tree = TreeBuilder::new(&kitchen.source);
    for name in names {
        tree = tree.file(name, name.as_bytes()).dir(format!("{name}.d"));
    }
    drop(tree);
    assert_eq!(assert_kept(&mut kitchen).counts.files, 7);
}

#[test]
fn three_thousand_nested_directories_are_kept() {
    const DEPTH: u64 = 3_000;
    let mut kitchen = Kitchen::new();
    let mut dir = DirFd::open_root(&kitchen.source).expect("the source");
    for depth in 0..DEPTH {
        let name = format!("directory-number-{depth}");
        dir.make_dir(name.as_bytes()).expect("made");
        dir = dir.open_dir(name.as_bytes()).expect("open");
    }
    drop(dir.create_file(b"at-the-end").expect("made"));
    let summary = kitchen.backup();
    assert_eq!((summary.problems.list.as_slice(), summary.counts.files), (&[][..], 1));
    assert!(summary.counts.directories > DEPTH);
    let target = tempfile::tempdir().expect("a target");
    assert_eq!(kitchen.restore("latest", target.path()).problems.list, []);
    for place in [summary.path.as_path(), target.path()] {
        let mut dir = DirFd::open_root(&kitchen.in_snapshot(place)).expect("the top");
        for depth in 0..DEPTH {
            dir = dir.open_dir(format!("directory-number-{depth}").as_bytes()).expect("nested");
        }
        assert!(dir.stat_entry(b"at-the-end").is_ok());
    }
}

/// A directory with so many empty files.
fn wide(names: u64) {
    let mut kitchen = Kitchen::new();
    let dir = DirFd::open_root(&kitchen.source).expect("the source");
    for number in 0..names {
        drop(dir.create_file(format!("file-{number}").as_bytes()).expect("made"));
    }
    let first = kitchen.backup();
    assert_eq!((first.counts.files, first.counts.copied_files), (names, names));
    kitchen.age();
    let second = kitchen.backup();
    assert_eq!((second.counts.linked_entries, second.counts.copied_files), (names, 0));
    kitchen.assert_sound();
}

#[test]
fn a_directory_with_many_entries_is_kept() {
    wide(20_000);
}

#[test]
#[ignore = "takes minutes: a million files"]
fn a_directory_with_a_million_entries_is_kept() {
    wide(1_000_000);
}

// --- kinds ---

#[test]
fn files_of_all_sizes_are_kept() {
    let mut kitchen = Kitchen::new();
    let mut tree = TreeBuilder::new(&kitchen.source);
    let buffer = 256 << 10;
    for size in [0, 1, 511, 512, 4095, 4096, 4097, buffer - 1, buffer, buffer + 1, 5_000_000] {
        let bytes: Vec<u8> = (0..size).map(|at: usize| at.to_le_bytes()[at % 3]).collect();
        tree = tree.file(format!("{size}"), bytes);
    }
    drop(tree);
    drop(assert_kept(&mut kitchen));
}

#[test]
fn symbolic_links_of_all_kinds_are_kept() {
    let mut kitchen = Kitchen::new();
    let tree = TreeBuilder::new(&kitchen.source)
        .symlink("dangling", "nowhere")
        .symlink("absolute", "/etc/passwd")
        .symlink("loop", "loop")
        .symlink("to", "fro")
        .symlink("fro", "to")
        .symlink("above", "../../../..")
        .symlink("bytes", OsStr::from_bytes(b"\xff\n\x1b"))
        .symlink("long", "x".repeat(4_095))
        .mtime("dangling", -1, 999_999_999);
    drop(if skip::is_root() { tree.owner("loop", 70_000, 80_000) } else { tree });
    assert_eq!(assert_kept(&mut kitchen).counts.symlinks, 8);
}

#[test]
fn fifos_sockets_devices_and_whiteouts_are_kept() {
    skip_unless!(skip::is_root(), "devices can be made by root only");
    let mut kitchen = Kitchen::new();
    drop(TreeBuilder::new(&kitchen.source).fifo("fifo").socket("socket").mode("fifo", 0o2000).dir("dev"));
    let at = |name: &str| kitchen.source.join("dev").join(name);
    make_device(&at("null"), FileType::CharacterDevice, (1, 3));
    make_device(&at("disk"), FileType::BlockDevice, (259, 1_048_575));
    make_device(&at("whiteout"), FileType::CharacterDevice, (0, 0));
    make_device(&at("large"), FileType::CharacterDevice, (4095, 70_000));
    drop(TreeBuilder::new(&kitchen.source).hard_link("dev/null", "dev/zero").owner("dev/disk", 5, 6));
    assert_eq!(assert_kept(&mut kitchen).counts.specials, 7);
}

// --- attributes ---

#[test]
fn all_modes_are_kept() {
    let mut kitchen = Kitchen::new();
    let mut tree = TreeBuilder::new(&kitchen.source);
    let modes = [0o0000, 0o0001, 0o0200, 0o0400, 0o1644, 0o2755, 0o4755, 0o6111, 0o7777];
    for mode in modes {
        tree = tree.file(format!("file-{mode:04o}"), b"x").mode(format!("file-{mode:04o}"), mode);
        tree = tree.dir(format!("dir-{mode:04o}")).file(format!("dir-{mode:04o}/inside"), b"y");
    }
    // A closed directory is no hindrance for root only.
    for mode in modes.into_iter().filter(|mode| skip::is_root() || mode & 0o500 == 0o500) {
        tree = tree.mode(format!("dir-{mode:04o}"), mode);
    }
    if skip::is_root() {
        tree = tree.file("owned", b"z").owner("owned", 1234, 5678).mode("owned", 0o6751);
        drop(tree);
        drop(assert_kept(&mut kitchen));
    }
}

#[test]
fn foreign_owners_are_kept() {
    skip_unless!(skip::is_root(), "only root gives files away");
    let mut kitchen = Kitchen::new();
    let mut tree = TreeBuilder::new(&kitchen.source);
    for (uid, gid) in [(1, 0), (0, 1), (65_534, 65_534), (4_000_000_000, 4_294_967_294)] {
        let name = format!("{uid}-{gid}");
        tree = tree.file(&name, b"x").owner(&name, uid, gid).dir(format!("{name}.d"));
        tree = tree.owner(format!("{name}.d"), uid, gid).symlink(format!("{name}.l"), "x");
        tree = tree.owner(format!("{name}.l"), uid, gid);
    }
    drop(tree);
    drop(assert_kept(&mut kitchen));
}

/// Before 1970, after 2038, in nanoseconds.
const TIMES: [(i64, u32); 8] = [
    (0, 0),
    (-1, 999_999_999),
    (-2_000_000_000, 1),
    (1, 1),
    (2_147_483_647, 999_999_999),
    (2_147_483_648, 0),
    (4_294_967_296, 123_456_789),
    (10_000_000_000, 5),
];

#[test]
fn times_before_1970_and_after_2038_are_kept_in_nanoseconds() {
    let mut kitchen = Kitchen::new();
    let mut tree = TreeBuilder::new(&kitchen.source);
    for (number, (seconds, nanoseconds)) in TIMES.into_iter().enumerate() {
        for (kind, name) in
            [("file", format!("f{number}")), ("link", format!("l{number}")), ("fifo", format!("p{number}"))]
        {
            tree = match kind {
                "file" => tree.file(&name, b"x"),
                "link" => tree.symlink(&name, "x"),
                _ => tree.fifo(&name),
            };
            tree = tree.mtime(&name, seconds, nanoseconds);
        }
    }
    for (number, (seconds, nanoseconds)) in TIMES.into_iter().enumerate() {
        tree = tree.dir(format!("d{number}")).mtime(format!("d{number}"), seconds, nanoseconds);
    }
    drop(tree);
    drop(assert_kept(&mut kitchen));
}

const LABEL: &[u8] = b"system_u:object_r:etc_t:s0\0";
const CAPABILITY: &[u8] = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
/// An access list: owner rw, user 1234 r, group r, mask r, others none.
const ACCESS: &[u8] = b"\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\xd2\x04\x00\x00\
    \x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff";

/// Attributes of every namespace, each up to what the filesystem takes.
fn with_xattrs(source: &Path) {
    let tree = TreeBuilder::new(source).dir("x/dir").symlink("x/link", "file").fifo("x/fifo");
    let mut tree = tree.file("x/large", b"large").file("x/many", b"many");
    for name in ["capable", "labelled", "listed", "trusted", "user", "empty", "longest-name"] {
        tree = tree.file(format!("x/{name}"), name.as_bytes());
    }
    drop(tree);
    let set = |name: &str, attribute: &str, value: &[u8]| {
        set_xattr(&source.join("x").join(name), attribute, value).expect("set");
    };
    set("capable", "security.capability", CAPABILITY);
    set("labelled", "security.selinux", LABEL);
    set("link", "security.selinux", LABEL);
    set("fifo", "security.selinux", LABEL);
    set("dir", "security.selinux", LABEL);
    set("link", "trusted.note", b"of the link itself");
    set("fifo", "trusted.note", b"of the fifo itself");
    set("trusted", "trusted.overlay.opaque", b"y");
    set("user", "user.mime_type", b"text/plain");
    set("user", "user.bytes", &[0, 255, 10, 0]);
    set("empty", "user.empty", b"");
    set("listed", "system.posix_acl_access", ACCESS);
    set("dir", "system.posix_acl_access", ACCESS);
    set("dir", "system.posix_acl_default", ACCESS);
    set("longest-name", &format!("user.{}", "n".repeat(250)), b"v");
    let largest = [65_536, 16_000, 8_000, 4_000, 3_900, 3_000]
        .into_iter()
        .find(|size| set_xattr(&source.join("x/large"), "user.large", &vec![b'v'; *size]).is_ok());
    assert!(largest.is_some_and(|size| size >= 3_900), "{largest:?}");
    let full = |number: u32| {
        set_xattr(&source.join("x/many"), &format!("user.attribute-{number}"), &[b'v'; 100]).is_err()
    };
    let many = (0..400).find(|number| full(*number)).unwrap_or(400);
    assert!(many > 20, "only {many}");
}

#[test]
fn extended_attributes_of_every_namespace_are_kept() {
    skip_unless!(skip::is_root(), "only root sets them all");
    let mut kitchen = Kitchen::new();
    with_xattrs(&kitchen.source);
    drop(assert_kept(&mut kitchen));
}

// --- holes ---

/// A file of 1 TiB with three blocks.
fn make_huge(path: &Path) {
    let file = File::create(path).expect("a file");
    file.set_len(1 << 40).expect("a size");
    for (offset, byte) in [(0, b'a'), (1 << 39, b'b'), ((1 << 40) - 4096, b'c')] {
        file.write_all_at(&[byte; 4096], offset).expect("a block");
    }
    file.sync_all().expect("synced");
}

fn huge_costs_three_blocks(kind: FsKind, size: u64) -> Option<String> {
    let disk = match LoopFs::create(kind, 300, &[]) {
        Ok(disk) => disk,
        Err(reason) => return Some(reason.to_string()),
    };
    let mut kitchen = Kitchen::in_dir(&disk.path());
    let path = kitchen.source.join("huge");
    make_huge(&path);
    File::options().write(true).open(&path).and_then(|file| file.set_len(size)).expect("cut");
    let blocks = |path: &Path| fs::metadata(path).expect("there").blocks();
    let summary = kitchen.backup();
    assert!(summary.counts.copied_bytes <= 3 * 65_536, "{:?}", summary.counts);
    let stored = kitchen.in_snapshot(&summary.path).join("huge");
    assert_eq!(fs::metadata(&stored).expect("there").len(), size);
    assert!(blocks(&stored) <= 3 * 128 && blocks(&stored) <= blocks(&path).max(3 * 8), "{}", blocks(&stored));
    for offset in [0, 1 << 39, size - 4096] {
        let mut read = [[0; 4096]; 2];
        for (file, buffer) in [&path, &stored].into_iter().zip(&mut read) {
            File::open(file).and_then(|file| file.read_exact_at(buffer, offset)).expect("read");
        }
        assert_eq!(read[0], read[1], "at {offset}");
    }
    kitchen.assert_accounts();
    None
}

#[test]
fn a_file_of_a_tebibyte_with_three_blocks_costs_three_blocks_on_ext4() {
    or_skip!(huge_costs_three_blocks(FsKind::Ext4, 1 << 40).map_or(Ok(()), Err));
}

#[test]
fn a_file_of_a_tebibyte_with_three_blocks_costs_three_blocks_on_xfs() {
    or_skip!(huge_costs_three_blocks(FsKind::Xfs, 1 << 40).map_or(Ok(()), Err));
}

#[test]
fn a_file_of_a_tebibyte_with_three_blocks_costs_three_blocks_on_btrfs() {
    or_skip!(huge_costs_three_blocks(FsKind::Btrfs, 1 << 40).map_or(Ok(()), Err));
}

// --- all of it, compared by rsync ---

fn every_kind(kitchen: &Kitchen, longest_link: usize) {
    let source = &kitchen.source;
    let mut tree = TreeBuilder::new(source)
        .file("names/-rf", b"x")
        .file(Path::new("names").join(OsStr::from_bytes(b"\xff\n\x1b")), b"y")
        .file(Path::new("names").join("n".repeat(255)), b"z")
        .file("names/Case", b"upper")
        .file("names/case", b"lower")
        .file("kinds/empty", b"")
        .file("kinds/some", vec![7; 300_000])
        .sparse("kinds/sparse", 50_000_000)
        .symlink("kinds/dangling", "nowhere")
        .symlink("kinds/absolute", "/etc/passwd")
        .symlink("kinds/loop", "loop")
        .symlink("kinds/long", "t".repeat(longest_link))
        .fifo("kinds/fifo")
        .socket("kinds/socket")
        .file("groups/a/one", b"group")
        .hard_link("groups/a/one", "groups/b/two")
        .hard_link("groups/a/one", "groups/b/three")
        .hard_link("kinds/fifo", "groups/fifo")
        .hard_link("kinds/dangling", "groups/link");
    for mode in [0o0000, 0o1777, 0o2755, 0o4755, 0o7777] {
        tree = tree.file(format!("modes/{mode:o}"), b"m").owner(format!("modes/{mode:o}"), 1234, 5678);
        tree = tree.mode(format!("modes/{mode:o}"), mode).dir(format!("modes/{mode:o}.d"));
        tree = tree.mode(format!("modes/{mode:o}.d"), mode);
    }
    tree = tree.owner("kinds/dangling", 70_000, 80_000);
    for (number, (seconds, nanoseconds)) in TIMES.into_iter().enumerate() {
        tree =
            tree.file(format!("times/{number}"), b"t").mtime(format!("times/{number}"), seconds, nanoseconds);
    }
    drop(tree);
    make_device(&source.join("kinds/null"), FileType::CharacterDevice, (1, 3));
    make_device(&source.join("kinds/disk"), FileType::BlockDevice, (8, 1));
    make_device(&source.join("kinds/whiteout"), FileType::CharacterDevice, (0, 0));
    with_xattrs(source);
}

fn some_changes(source: &Path) {
    drop(
        TreeBuilder::new(source)
            .file("kinds/some", vec![8; 300_001])
            .mode("modes/0", 0o600)
            .mode("kinds/socket", 0o700)
            .owner("x/capable", 1, 2)
            .xattr("x/user", "user.more", b"m")
            .xattr("x/link", "trusted.note", b"changed")
            .mtime("times/1", -77, 77)
            .mtime("kinds/loop", 77, 77)
            .delete("groups/b/three")
            .file("groups/b/three", b"alone")
            .hard_link("kinds/some", "groups/a/some")
            .rename("kinds/whiteout", "names/whiteout")
            .delete("kinds/fifo")
            .dir("kinds/fifo")
            .delete("modes/7777.d")
            .symlink("modes/7777.d", "instead")
            .sparse("kinds/sparse", 60_000_000)
            .delete("names/case"),
    );
    // chown(2) has taken the capability away.
    set_xattr(&source.join("x/capable"), "security.capability", CAPABILITY).expect("set");
}

fn assert_rsync_finds_nothing(kitchen: &Kitchen, summary: &BackupSummary, when: &str) {
    assert_eq!(summary.problems.list, [], "{when}");
    let snapshot = kitchen.in_snapshot(&summary.path);
    assert_eq!(rsync::differences(&kitchen.source, &snapshot), [""; 0], "{when}");
    assert_eq!(
        Listing::read(&kitchen.source).diff(&Listing::read(&snapshot), Compare::COPY),
        [""; 0],
        "{when}"
    );
}

fn rsync_finds_nothing(kind: FsKind, longest_link: usize) -> Option<String> {
    if !skip::has_tool("rsync") {
        return Some("rsync is missing".to_owned());
    }
    // Small ext4 filesystems have blocks of 1 KiB, and no room for long links.
    let options: &[&str] = if kind == FsKind::Ext4 { &["-b", "4096"] } else { &[] };
    let disk = match LoopFs::create(kind, 300, options) {
        Ok(disk) => disk,
        Err(reason) => return Some(reason.to_string()),
    };
    let mut kitchen = Kitchen::in_dir(&disk.path());
    every_kind(&kitchen, longest_link);
    let first = kitchen.backup();
    assert_rsync_finds_nothing(&kitchen, &first, "first run");
    kitchen.age();
    some_changes(&kitchen.source);
    kitchen.keep_last(1);
    let second = kitchen.backup();
    assert_rsync_finds_nothing(&kitchen, &second, "with changes");
    kitchen.age();
    let third = kitchen.backup();
    assert_eq!(third.scaffold, Scaffold::Recycled);
    assert_rsync_finds_nothing(&kitchen, &third, "recycling");
    kitchen.age();
    drop(
        TreeBuilder::new(&kitchen.source)
            .file("kinds/some", b"less")
            .delete("x/many")
            .mode("modes/1777", 0o711),
    );
    let fourth = kitchen.backup();
    assert_eq!(fourth.scaffold, Scaffold::Recycled);
    assert_rsync_finds_nothing(&kitchen, &fourth, "recycling with changes");
    let target = tempfile::tempdir_in(disk.path()).expect("a target");
    assert_eq!(kitchen.restore("latest", target.path()).problems.list, []);
    assert_eq!(rsync::differences(&kitchen.source, &kitchen.in_snapshot(target.path())), [""; 0], "restored");
    kitchen.assert_sound();
    kitchen.assert_accounts();
    None
}

#[test]
fn rsync_finds_no_difference_in_every_kind_on_ext4() {
    or_skip!(rsync_finds_nothing(FsKind::Ext4, 4_095).map_or(Ok(()), Err));
}

/// XFS takes symbolic links of 1,023 bytes at most.
#[test]
fn rsync_finds_no_difference_in_every_kind_on_xfs() {
    or_skip!(rsync_finds_nothing(FsKind::Xfs, 1_023).map_or(Ok(()), Err));
}

#[test]
fn rsync_finds_no_difference_in_every_kind_on_btrfs() {
    or_skip!(rsync_finds_nothing(FsKind::Btrfs, 4_000).map_or(Ok(()), Err));
}

// --- what the repository's filesystem cannot hold ---

#[test]
fn a_link_longer_than_the_repository_takes_is_one_problem() {
    let disk = or_skip!(LoopFs::create(FsKind::Xfs, 300, &[]));
    let own = tempfile::tempdir().expect("a directory");
    let mut kitchen = Kitchen::across(own.path(), &disk.path());
    drop(TreeBuilder::new(&kitchen.source).symlink("long", "t".repeat(4_000)).file("other", b"x"));
    for _ in 0..2 {
        let summary = kitchen.backup();
        let found: Vec<(ProblemKind, PathBuf)> =
            summary.problems.list.iter().map(|one| (one.kind, OsStr::from_bytes(&one.path).into())).collect();
        assert_eq!(found, [(ProblemKind::Unreadable, kitchen.source.join("long"))]);
        assert_eq!((summary.counts.files, summary.counts.symlinks), (1, 0));
    }
    kitchen.assert_sound();
}

#[test]
fn a_time_that_the_repository_cannot_keep_is_one_problem() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 64, &[]));
    let sources = or_skip!(LoopFs::create(FsKind::Btrfs, 115, &[]));
    let mut kitchen = Kitchen::across(&sources.path(), &disk.path());
    // ext4 ends in 2446.
    drop(
        TreeBuilder::new(&kitchen.source)
            .file("late", b"x")
            .mtime("late", 30_000_000_000, 5)
            .file("other", b"y"),
    );
    for _ in 0..2 {
        let summary = kitchen.backup();
        let kinds: Vec<ProblemKind> = summary.problems.list.iter().map(|one| one.kind).collect();
        assert!(kinds.iter().all(|kind| *kind == ProblemKind::NotKept), "{:?}", summary.problems.list);
        assert_eq!(summary.counts.files, 2);
    }
    kitchen.assert_sound();
}

//! Every name of an inode, with `find -samefile` as the witness.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::skip::has_tool;
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{or_skip, skip_unless};
use linksnap_toolbox::names::{Ground, Names, Reach, Until, Wanted, names};
use linksnap_toolbox::walk::{Unwatched, Watch};
use tempfile::TempDir;

use crate::mounted::Mounted;

fn find(roots: &[&Path], path: &Path) -> Vec<PathBuf> {
    let mut command = Command::new("find");
    let done = command.args(roots).arg("-samefile").arg(path).arg("-print0").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let paths = done.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    let mut paths: Vec<PathBuf> =
        paths.map(|path| std::ffi::OsString::from_vec(path.to_vec()).into()).collect();
    paths.sort();
    paths
}

fn below(path: &Path, roots: &[&Path], until: Until) -> Names {
    let wanted = Wanted::at(path).unwrap();
    let roots: Vec<PathBuf> = roots.iter().map(|root| root.to_path_buf()).collect();
    names(&wanted, &Ground::below(&wanted, &roots).unwrap(), until, &Unwatched)
}

fn everywhere(path: &Path) -> (Names, Reach) {
    let wanted = Wanted::at(path).unwrap();
    let ground = Ground::whole(&wanted).unwrap();
    (names(&wanted, &ground, Until::AllFound, &Unwatched), ground.reach)
}

/// A tree with links of all kinds of inodes that can have several names.
fn tree(root: &Path) -> TreeBuilder {
    TreeBuilder::new(root)
        .file("alone", "one name")
        .file("a/one", "three names")
        .hard_link("a/one", "b/c/two")
        .hard_link("a/one", "a/\u{fffd}three\n")
        .symlink("a/link", "one")
        .hard_link("a/link", "b/link")
        .fifo("pipe")
        .hard_link("pipe", "b/c/pipe")
}

// `find -samefile` opens what it is given, and waits for ever at a pipe.
const ALL: [&str; 5] = ["alone", "a/one", "b/c/two", "a/link", "b/c"];

#[test]
fn the_names_are_those_that_find_tells_on_all_filesystems() {
    skip_unless!(has_tool("find"), "find is not installed");
    for kind in [FsKind::Ext4, FsKind::Xfs, FsKind::Btrfs] {
        let disk = or_skip!(LoopFs::create(kind, 16, &[]));
        let root = disk.path();
        tree(&root);
        for name in ALL {
            let path = root.join(name);
            let (found, reach) = everywhere(&path);
            assert_eq!(found.paths, find(&[&root], &path), "{kind:?} {name}");
            assert_eq!((found.missing(), reach), (0, Reach::Whole), "{kind:?} {name}");
        }
        let (found, _) = everywhere(&root.join("pipe"));
        assert_eq!(found.paths, [root.join("b/c/pipe"), root.join("pipe")], "{kind:?}");
    }
}

#[test]
fn below_a_directory_only_what_is_there_is_told_and_the_rest_is_missing() {
    skip_unless!(has_tool("find"), "find is not installed");
    let dir = TempDir::new().unwrap();
    tree(dir.path());
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let path = a.join("one");
    for roots in [vec![a.as_path()], vec![b.as_path()], vec![a.as_path(), b.as_path()]] {
        let found = below(&path, &roots, Until::End);
        assert_eq!(found.paths, find(&roots, &path));
        assert_eq!(found.paths.len() as u64 + found.missing(), 3);
    }
    // Named twice, it is told once.
    let twice = below(&path, &[dir.path(), &a], Until::End);
    assert_eq!(twice.paths.len(), 3);
}

/// Waits a moment at each directory, so that a thread that was held up after it found something gets to say so before
/// another has looked through all the rest.
struct Slow;

impl Watch for Slow {
    fn is_stopped(&self) -> bool {
        std::thread::sleep(Duration::from_millis(20));
        false
    }
}

#[test]
fn looking_ends_when_all_names_are_found() {
    let dir = TempDir::new().unwrap();
    let mut tree = TreeBuilder::new(dir.path()).file("one", "");
    for number in 0..200 {
        tree = tree.dir(format!("{number}/empty"));
    }
    drop(tree);
    let path = dir.path().join("one");
    let wanted = Wanted::at(&path).unwrap();
    let ground = Ground::below(&wanted, &[dir.path().to_path_buf()]).unwrap();
    let early = names(&wanted, &ground, Until::AllFound, &Slow);
    let late = names(&wanted, &ground, Until::End, &Unwatched);
    assert_eq!((early.paths.len(), late.paths.len()), (1, 1));
    assert_eq!(late.directories, 401);
    assert!(early.directories < late.directories, "{}", early.directories);
}

#[test]
fn a_number_is_as_good_as_a_name() {
    let dir = TempDir::new().unwrap();
    tree(dir.path());
    let inode = fs::symlink_metadata(dir.path().join("a/one")).unwrap().ino();
    let wanted = Wanted::numbered(inode, dir.path()).unwrap();
    let ground = Ground::below(&wanted, &[dir.path().to_path_buf()]).unwrap();
    let found = names(&wanted, &ground, Until::AllFound, &Unwatched);
    assert_eq!((found.paths.len(), found.links()), (3, Some(3)));
    // 0 is no inode of anything.
    let nothing = Wanted::numbered(0, dir.path()).unwrap();
    let found = names(&nothing, &ground, Until::AllFound, &Unwatched);
    assert_eq!((found.paths.len(), found.links()), (0, None));
}

#[test]
fn a_name_is_told_once_whatever_mounts_lead_to_it() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 8, &[]));
    let root = disk.path();
    tree(&root).dir("again").dir("covered").hard_link("a/one", "covered/hidden").file("point", "");
    let (path, text) = (root.join("a/one"), |name: &str| root.join(name).to_str().unwrap().to_owned());
    let _again = or_skip!(Mounted::new(&["--bind", &text("a"), &text("again")]));
    let _covered = or_skip!(Mounted::new(&["-t", "tmpfs", "none", &text("covered")]));
    let _file = or_skip!(Mounted::new(&["--bind", &text("a/one"), &text("point")]));
    let (found, reach) = everywhere(&path);
    assert_eq!(found.paths, [root.join("a/one"), root.join("a/\u{fffd}three\n"), root.join("b/c/two")]);
    assert_eq!((found.missing(), found.covered, reach), (1, 2, Reach::Whole));
    assert_eq!(found.mounted_at, [root.join("point")]);
    // Below a directory on another filesystem, where only a part of this one is mounted.
    let inside = below(&path, &[&root.join("again")], Until::End);
    assert_eq!(inside.paths.len(), 2);
}

#[test]
fn what_is_mounted_below_a_root_is_found_from_there() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 8, &[]));
    tree(&disk.path());
    let above = disk.path();
    let above = above.parent().unwrap();
    let found = below(&disk.path().join("a/one"), &[above], Until::End);
    assert_eq!(found.paths, find(&[above], &disk.path().join("a/one")));
    let elsewhere = TempDir::new().unwrap();
    let wanted = Wanted::at(&disk.path().join("a/one")).unwrap();
    let ground = Ground::below(&wanted, &[elsewhere.path().to_path_buf()]).unwrap();
    assert_eq!(ground.roots.len(), 0, "nothing of that filesystem is there");
}

#[test]
fn a_part_of_a_filesystem_is_told_apart_from_the_whole() {
    let mut disk = or_skip!(LoopFs::create(FsKind::Ext4, 8, &[]));
    tree(&disk.path());
    let elsewhere = TempDir::new().unwrap();
    let point = elsewhere.path().to_str().unwrap();
    let part = or_skip!(Mounted::new(&["--bind", disk.path().join("a").to_str().unwrap(), point]));
    disk.unmount();
    let (found, reach) = everywhere(&elsewhere.path().join("one"));
    assert_eq!((found.paths.len(), found.missing(), reach), (2, 1, Reach::Mounted));
    drop(part);
}

#[test]
fn listings_with_other_numbers_do_not_hide_names() {
    skip_unless!(has_tool("find"), "find is not installed");
    let (lower, upper) =
        (or_skip!(LoopFs::create(FsKind::Ext4, 8, &[])), or_skip!(LoopFs::create(FsKind::Xfs, 0, &[])));
    tree(&lower.path());
    TreeBuilder::new(upper.path()).dir("upper").dir("work").dir("merged");
    let (upper, lower) = (upper.path(), lower.path());
    let of = |name: &str| upper.join(name).to_str().unwrap().to_owned();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.to_str().unwrap(), of("upper"), of("work"));
    let merged = of("merged");
    let _merged = or_skip!(Mounted::new(&["-t", "overlay", "overlay", "-o", &options, &merged]));
    let merged = Path::new(&merged);
    fs::hard_link(merged.join("alone"), merged.join("b/copied-up")).unwrap();
    for name in ["alone", "a/one"] {
        let found = below(&merged.join(name), &[merged], Until::End);
        assert_eq!(found.paths, find(&[merged], &merged.join(name)), "{name}");
    }
}

#[test]
fn a_subvolume_is_all_that_its_inodes_can_have_names_in() {
    let disk = or_skip!(LoopFs::create(FsKind::Btrfs, 0, &[]));
    let made = Command::new("btrfs").args(["subvolume", "create"]).arg(disk.path().join("sub")).output();
    skip_unless!(made.is_ok_and(|made| made.status.success()), "btrfs-progs is not installed");
    tree(&disk.path());
    tree(&disk.path().join("sub"));
    let (found, reach) = everywhere(&disk.path().join("sub/a/one"));
    assert_eq!((found.paths.len(), reach), (3, Reach::Whole));
    assert!(found.paths.iter().all(|path| path.starts_with(disk.path().join("sub"))));
}

#[test]
fn a_root_that_is_gone_meanwhile_is_a_problem() {
    let dir = TempDir::new().unwrap();
    tree(dir.path());
    // A root that is gone between the plan and the walk.
    let wanted = Wanted::at(&dir.path().join("a/one")).unwrap();
    let ground = Ground::below(&wanted, &[dir.path().join("b")]).unwrap();
    fs::rename(dir.path().join("b"), dir.path().join("c")).unwrap();
    let found = names(&wanted, &ground, Until::End, &Unwatched);
    assert_eq!((found.paths.len(), found.problems.len(), found.missing()), (0, 1, 3));
    assert!(Ground::below(&wanted, &[dir.path().join("b")]).is_err());
}

#[test]
fn who_watches_can_stop_it() {
    struct Stopped;
    impl Watch for Stopped {
        fn is_stopped(&self) -> bool {
            true
        }
    }
    let dir = TempDir::new().unwrap();
    tree(dir.path());
    let wanted = Wanted::at(&dir.path().join("a/one")).unwrap();
    let ground = Ground::below(&wanted, &[dir.path().to_path_buf()]).unwrap();
    assert_eq!(names(&wanted, &ground, Until::End, &Stopped).directories, 0);
}

//! Which directories hold what, with `du` and `find` as the witnesses.

use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{or_skip, skip_unless};
use linksnap_toolbox::spread::{Amounts, By, Holder, Share, Spread, spread};
use linksnap_toolbox::walk::Unwatched;
use tempfile::TempDir;

use crate::mounted::Mounted;

/// What `du` says of each directory, with one more argument.
fn du(argument: &str, roots: &[&Path]) -> Vec<(PathBuf, u64)> {
    let done = Command::new("du").args(["-x", argument]).args(roots).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let lines = String::from_utf8(done.stdout).unwrap();
    let line = |line: &str| {
        let (number, path) = line.split_once('\t').unwrap();
        (PathBuf::from(path), number.parse().unwrap())
    };
    let mut found: Vec<_> = lines.lines().map(line).collect();
    found.sort();
    found
}

fn all(roots: &[&Path]) -> Spread {
    spread(&roots.iter().map(|root| root.to_path_buf()).collect::<Vec<_>>(), &Unwatched)
}

fn ranked(found: &Spread, by: By, share: Share) -> Vec<Holder> {
    found.top(by, share, usize::MAX)
}

fn by_path(found: &Spread, of: impl Fn(&Amounts) -> u64) -> Vec<(PathBuf, u64)> {
    let mut paths: Vec<_> =
        ranked(found, By::Inodes, Share::All).iter().map(|one| (one.path.clone(), of(&one.all))).collect();
    paths.sort();
    paths
}

/// Links within one directory: `du` counts others where its own order brings it first.
fn tree(root: &Path) -> TreeBuilder {
    TreeBuilder::new(root)
        .file("large/one", vec![7; 300_000])
        .hard_link("large/one", "large/again")
        .sparse("large/sparse", 1 << 20)
        .file("many/1", "1")
        .file("many/2", "2")
        .file("many/deep/er/3", "3")
        .symlink("many/link", "nowhere")
        .fifo("many/pipe")
        .dir("empty")
}

#[test]
fn every_directory_holds_what_du_says() {
    for kind in [FsKind::Ext4, FsKind::Xfs, FsKind::Btrfs] {
        let disk = or_skip!(LoopFs::create(kind, 16, &[]));
        tree(&disk.path());
        Command::new("sync").arg("-f").arg(disk.path()).status().unwrap();
        let found = all(&[&disk.path()]);
        assert_eq!(by_path(&found, |all| all.inodes), du("--inodes", &[&disk.path()]), "{kind:?}");
        assert_eq!(by_path(&found, |all| all.disk_bytes), du("-B1", &[&disk.path()]), "{kind:?}");
        let apparent = 300_000 + (1 << 20) + 3 + "nowhere".len() as u64;
        assert_eq!(found.total().apparent_bytes, apparent, "{kind:?}");
    }
}

#[test]
fn an_inode_counts_in_the_first_directory_that_has_it_however_often_it_is_asked() {
    let dir = TempDir::new().unwrap();
    let mut tree = TreeBuilder::new(dir.path());
    for number in 0..40 {
        tree = tree.file(format!("z/{number}"), "bytes");
        for other in ["m", "b/c", "n"] {
            tree = tree.hard_link(format!("z/{number}"), format!("{other}/{number}"));
        }
    }
    drop(tree);
    for _ in 0..20 {
        let found = all(&[dir.path()]);
        assert_eq!(found.total().inodes, 40 + 6);
        let first = &found.top(By::Inodes, Share::Own, 1)[0];
        assert_eq!((first.path.clone(), first.own.inodes), (dir.path().join("b/c"), 41));
    }
}

#[test]
fn directories_are_ranked_by_what_is_asked_for() {
    let dir = TempDir::new().unwrap();
    tree(dir.path());
    let found = all(&[dir.path()]);
    let names = |by, share, count| {
        let top = found.top(by, share, count);
        top.iter()
            .map(|one| one.path.strip_prefix(dir.path()).unwrap().display().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(By::Inodes, Share::All, 3), ["", "many", "large"]);
    assert_eq!(names(By::DiskBytes, Share::All, 2), ["", "large"]);
    assert_eq!(names(By::Inodes, Share::Own, 1), ["many"]);
    assert_eq!(names(By::ApparentBytes, Share::Own, 1), ["large"]);
    // Equals: what is further up, then by path.
    assert_eq!(names(By::Inodes, Share::Own, 6), ["many", "large", "many/deep/er", "", "empty", "many/deep"]);
    assert_eq!(found.top(By::Inodes, Share::All, 0), []);
    assert_eq!(found.directories(), 6);
}

#[test]
fn what_is_named_twice_counts_once() {
    let dir = TempDir::new().unwrap();
    tree(dir.path());
    let (many, large) = (dir.path().join("many"), dir.path().join("large"));
    let once = all(&[dir.path()]);
    for roots in [vec![dir.path(), &many], vec![&many, dir.path()], vec![dir.path(), dir.path()]] {
        let found = all(&roots);
        assert_eq!((found.total(), found.roots().len()), (once.total(), 1), "{roots:?}");
    }
    let two = all(&[&many, &large]);
    let (inodes, bytes) = (du("--inodes", &[&many, &large]), du("-B1", &[&many, &large]));
    assert_eq!((by_path(&two, |all| all.inodes), by_path(&two, |all| all.disk_bytes)), (inodes, bytes));
}

#[test]
fn what_is_mounted_below_is_left_out() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 8, &[]));
    tree(&disk.path());
    let point = disk.path().join("empty");
    let _other = or_skip!(Mounted::new(&["-t", "tmpfs", "none", point.to_str().unwrap()]));
    TreeBuilder::new(&point).file("elsewhere", "bytes");
    let found = all(&[&disk.path()]);
    // du counts neither.
    assert_eq!(found.total().inodes, du("--inodes", &[&disk.path()]).iter().map(|one| one.1).max().unwrap());
    assert_eq!(found.mounts_left_out, 1);
    let inside = all(&[&disk.path(), &point]);
    assert_eq!((inside.roots().len(), inside.total().inodes), (2, found.total().inodes + 2));
}

#[test]
fn a_real_tree_holds_what_du_says() {
    let root = Path::new("/usr/share");
    skip_unless!(root.is_dir(), "there is no /usr/share");
    let found = all(&[root]);
    let of = |argument: &str| du(argument, &[root]).into_iter().map(|one| one.1).max().unwrap();
    assert_eq!((found.total().inodes, found.total().disk_bytes), (of("--inodes"), of("-B1")));
}

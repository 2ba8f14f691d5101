//! Bytes and inodes of filesystems, with `df` as the witness.

use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{or_lacking, or_skip};
use linksnap_toolbox::usage::{Inodes, Usage, Which, holding, mounted};
use tempfile::TempDir;

use crate::mounted::Mounted;

/// Numbers of `df --output=FIELDS` for a path.
fn df(fields: &str, path: &Path) -> Vec<u64> {
    let fields = format!("--output={fields}");
    let done = Command::new("df").args(["-B1", &fields]).arg(path).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let numbers = text.lines().nth(1).unwrap().split_whitespace();
    numbers.map(|number| number.trim_end_matches('%').parse().unwrap_or(0)).collect()
}

fn of(path: &Path) -> Usage {
    holding(&[path.to_path_buf()]).unwrap().remove(0)
}

#[test]
fn the_numbers_are_those_of_df() {
    for kind in [FsKind::Ext4, FsKind::Xfs, FsKind::Btrfs] {
        let disk = or_skip!(LoopFs::create(kind, 16, &[]));
        let found = as_df_says(&disk);
        match kind {
            FsKind::Ext4 => assert!(matches!(found, Inodes::Fixed(_))),
            FsKind::Xfs => assert!(matches!(found, Inodes::Growing(_))),
            FsKind::Btrfs | FsKind::Vfat => assert_eq!(found, Inodes::Uncounted),
        }
    }
}

#[test]
fn a_filesystem_without_inodes_has_none_to_count() {
    let disk = or_lacking!(LoopFs::create(FsKind::Vfat, 16, &[]), "FAT");
    assert_eq!(as_df_says(&disk), Inodes::Uncounted);
}

/// Compares all numbers with those of `df`; gives what is said of inodes.
fn as_df_says(disk: &LoopFs) -> Inodes {
    TreeBuilder::new(disk.path()).file("some", vec![1; 100_000]).dir("more");
    Command::new("sync").arg("-f").arg(disk.path()).status().unwrap();
    let found = of(&disk.path());
    let bytes = found.bytes;
    let percent = u64::from(bytes.percent().unwrap());
    let wanted = df("size,used,avail,pcent", &disk.path());
    assert_eq!(vec![bytes.total, bytes.used, bytes.free, percent], wanted);
    let inodes = df("itotal,iused,iavail", &disk.path());
    let amount = found.inodes.amount().map_or(vec![0; 3], |one| vec![one.total, one.used, one.free]);
    assert_eq!(amount, inodes);
    assert_eq!(found.point, disk.path());
    found.inodes
}

#[test]
fn a_filesystem_is_told_once_however_often_it_is_mounted() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 8, &[]));
    TreeBuilder::new(disk.path()).dir("part").dir("a");
    let elsewhere = TempDir::new().unwrap();
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let part = [text(disk.path().join("part")), text(elsewhere.path().to_path_buf())];
    let _part = or_skip!(Mounted::new(&["--bind", &part[0], &part[1]]));
    let (all, _) = mounted(Which::Real).unwrap();
    let points: Vec<&PathBuf> = all.iter().map(|one| &one.point).collect();
    assert!(points.contains(&&disk.path()), "{points:?}");
    assert!(!points.contains(&&elsewhere.path().to_path_buf()), "{points:?}");
    assert!(!points.iter().any(|point| point.starts_with("/proc")), "{points:?}");
    assert!(mounted(Which::All).unwrap().0.iter().any(|one| one.kind == "proc"));
    let named = [disk.path(), disk.path().join("a"), elsewhere.path().to_path_buf(), "/".into()];
    let found = holding(&named).unwrap();
    assert_eq!(found.len(), 2);
    assert!(holding(&[disk.path().join("missing")]).is_err());
}

#[test]
fn a_mount_that_another_hides_is_not_told() {
    let point = TempDir::new().unwrap();
    let text = point.path().to_str().unwrap();
    let _below = or_skip!(Mounted::new(&["-t", "tmpfs", "-o", "size=1m", "hidden", text]));
    let _above = or_skip!(Mounted::new(&["-t", "tmpfs", "-o", "size=2m", "seen", text]));
    let (all, _) = mounted(Which::Real).unwrap();
    let here: Vec<_> = all.iter().filter(|one| one.point == point.path()).collect();
    assert_eq!(here.len(), 1);
    assert_eq!((here[0].source.as_slice(), here[0].bytes.total), (b"seen".as_slice(), 2 << 20));
}

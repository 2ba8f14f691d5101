//! Equal files become one, and nothing else does.

mod races;
mod undo;
mod witnesses;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use linksnap_testkit::listing::{Compare, Entry, Kind, Listing};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::skip::has_tool;
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{or_lacking, or_skip, skip_unless};
use linksnap_toolbox::dedupe::{self, Ignore, LeftReason, Options, Plan, PlanError, Reason, Report, Share};
use linksnap_toolbox::walk::Unwatched;
use tempfile::TempDir;

/// The time of every file that a test makes, long before [`OPTIONS`] say that it is now.
const THEN: i64 = 1_700_000_000;

const OPTIONS: Options = Options {
    share: Share::Links,
    ignore: Ignore { times: false, mode: false, owner: false, xattrs: false },
    least_size: 1,
    now: THEN + 1_000_000,
};

const BLOCKS: Options = Options { share: Share::Blocks, ..OPTIONS };

/// All that can be said of the files of a tree but for what shares an inode with what.
fn files_of(listing: &Listing) -> Vec<String> {
    let files = listing.iter().filter(|(_, entry)| entry.kind != Kind::Directory);
    let words = |(path, entry): (&Path, &Entry)| {
        let Entry { kind, mode, uid, gid, size, mtime, xattrs, content, target, .. } = entry;
        format!("{path:?} {kind:?} {mode:o} {uid} {gid} {size:?} {mtime:?} {xattrs:?} {content:?} {target:?}")
    };
    files.map(words).collect()
}

/// Files with a time long ago.
fn tree(root: &Path, files: &[(&str, &str)]) -> TreeBuilder {
    files.iter().fold(TreeBuilder::new(root), |tree, (path, content)| {
        tree.file(*path, *content).mode(*path, 0o644).mtime(*path, THEN, 0)
    })
}

fn plan_of(root: &Path, options: &Options) -> Plan {
    let plan = dedupe::plan(&[root.to_path_buf()], options, &Unwatched).unwrap();
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    plan
}

fn done(plan: &Plan) -> Report {
    dedupe::deed(plan, None, &Unwatched).unwrap()
}

/// The paths of a plan below the root: survivor, then the names of each loser.
fn paths(plan: &Plan, root: &Path) -> Vec<(PathBuf, Vec<Vec<PathBuf>>)> {
    let below = |name: &dedupe::NameAt| plan.path(*name).strip_prefix(root).unwrap().to_path_buf();
    let names = |file: &dedupe::File| file.names.iter().map(below).collect::<Vec<_>>();
    let group = |group: &dedupe::Group| {
        (below(&group.survivor.names[0]), group.losers.iter().map(names).collect::<Vec<_>>())
    };
    plan.groups.iter().map(group).collect()
}

fn inode(path: impl AsRef<Path>) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

#[test]
fn equal_files_become_one_and_others_stay() {
    let dir = TempDir::new().unwrap();
    let root = dir.path();
    let large = "x".repeat(70_000);
    let other = format!("{}y", "x".repeat(69_999));
    tree(
        root,
        &[
            ("b", &large),
            ("a", &large),
            ("sub/c", &large),
            ("d", &other),
            ("empty", ""),
            ("empty-too", ""),
            ("small", "1"),
            ("sub/small", "1"),
            ("sub/other", "2"),
        ],
    )
    .symlink("link", "a")
    .fifo("fifo");
    let before = Listing::read(root);

    let plan = plan_of(root, &OPTIONS);
    let expected = [
        ("a".into(), vec![vec!["b".into()], vec!["sub/c".into()]]),
        ("small".into(), vec![vec!["sub/small".into()]]),
    ];
    assert_eq!(paths(&plan, root), expected);
    assert_eq!(plan.groups[0].reason, Reason::FirstPath);
    assert_eq!((plan.losers(), plan.freed_inodes(), plan.omitted.tiny), (3, 3, 2));
    assert!(Listing::read(root).diff(&before, Compare::UNTOUCHED).is_empty(), "a plan is no deed");

    let (planned, report) = (plan.freed_bytes(), done(&plan));
    assert_eq!((report.replaced_names, report.freed_inodes, report.freed_bytes), (3, 3, planned));
    assert_eq!(report.left, []);
    let after = Listing::read(root);
    assert_eq!(files_of(&after), files_of(&before));
    assert_eq!(after.inode("a"), before.inode("a"));
    let links: Vec<Vec<String>> = after
        .hard_links()
        .iter()
        .map(|group| group.iter().map(|path| path.display().to_string()).collect())
        .collect();
    assert_eq!(links, [vec!["a", "b", "sub/c"], vec!["small", "sub/small"]]);
    assert_eq!(plan_of(root, &OPTIONS).groups, [], "nothing is left to do");
}

/// Few small files are compared, others hashed: what is equal is the same on both sides of both limits.
#[test]
fn whatever_number_and_size_pairs_are_found() {
    let dir = TempDir::new().unwrap();
    for length in [1, 65_535, 65_536, 65_537] {
        for number in 2..=7 {
            let root = dir.path().join(format!("{number} of {length}"));
            fs::create_dir(&root).unwrap();
            // Two by two they are equal; the others differ from them in the last byte.
            let files: Vec<(String, String)> = (0..number)
                .map(|at| (format!("{at}"), format!("{}{}", "x".repeat(length - 1), at / 2)))
                .collect();
            let files: Vec<(&str, &str)> =
                files.iter().map(|(path, content)| (&**path, &**content)).collect();
            drop(tree(&root, &files));
            let pair = |at: usize| (format!("{at}").into(), vec![vec![format!("{}", at + 1).into()]]);
            let pairs: Vec<(PathBuf, Vec<Vec<PathBuf>>)> = (0..number - 1).step_by(2).map(pair).collect();
            let mut found = paths(&plan_of(&root, &OPTIONS), &root);
            found.sort();
            assert_eq!(found, pairs, "{number} files of {length} bytes");
        }
    }
}

#[test]
fn attributes_must_match_unless_they_are_ignored() {
    skip_unless!(linksnap_testkit::skip::is_root(), "owners are changed");
    let dir = TempDir::new().unwrap();
    type Change = fn(TreeBuilder) -> TreeBuilder;
    let table: [(&str, Change, Ignore); 5] = [
        ("mode", |tree| tree.mode("b", 0o600), Ignore { mode: true, ..OPTIONS.ignore }),
        ("owner", |tree| tree.owner("b", 1, 0).mode("b", 0o644), Ignore { owner: true, ..OPTIONS.ignore }),
        ("group", |tree| tree.owner("b", 0, 1).mode("b", 0o644), Ignore { owner: true, ..OPTIONS.ignore }),
        ("time", |tree| tree.mtime("b", THEN, 1), Ignore { times: true, ..OPTIONS.ignore }),
        ("xattr", |tree| tree.xattr("b", "user.a", "b"), Ignore { xattrs: true, ..OPTIONS.ignore }),
    ];
    for (number, (what, change, ignore)) in table.iter().enumerate() {
        let root = dir.path().join(what);
        fs::create_dir(&root).unwrap();
        change(tree(&root, &[("a", "content"), ("b", "content")]));
        let strict = plan_of(&root, &OPTIONS);
        assert_eq!(strict.groups, [], "{what}");
        assert_eq!(strict.omitted.other_attributes + strict.omitted.other_xattrs, 2, "{what}");
        for (other, (_, _, wrong)) in table.iter().enumerate().filter(|(_, (_, _, wrong))| wrong != ignore) {
            let plan = plan_of(&root, &Options { ignore: *wrong, ..OPTIONS });
            assert_eq!(plan.groups, [], "{number} {other}");
        }
        let report = done(&plan_of(&root, &Options { ignore: *ignore, ..OPTIONS }));
        assert_eq!((report.replaced_names, report.left.len()), (1, 0), "{what}");
        assert_eq!(inode(root.join("a")), inode(root.join("b")));
    }
}

#[test]
fn link_groups_are_merged_in_one_pass_and_count_only_if_all_names_go() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("root");
    tree(&root, &[("a", "content"), ("b1", "content"), ("c1", "content")])
        .hard_link("b1", "b2")
        .hard_link("b1", "sub/b3")
        .hard_link("c1", "c2");
    fs::hard_link(root.join("c1"), dir.path().join("outside")).unwrap();

    let plan = plan_of(&root, &OPTIONS);
    let survivor_and_losers = [("b1".into(), vec![vec!["c1".into(), "c2".into()], vec!["a".into()]])];
    assert_eq!(paths(&plan, &root), survivor_and_losers);
    assert_eq!(plan.groups[0].reason, Reason::FirstPath, "b and c have three names each");
    assert_eq!(plan.groups[0].losers[0].names_elsewhere(), 1);
    let blocks = fs::metadata(root.join("a")).unwrap().blocks() * 512;
    assert_eq!((plan.freed_bytes(), plan.freed_inodes()), (blocks, 1));

    let report = done(&plan);
    assert_eq!((report.replaced_names, report.freed_bytes, report.freed_inodes), (3, blocks, 1));
    assert_eq!(fs::metadata(root.join("a")).unwrap().nlink(), 6);
    assert_eq!(fs::metadata(dir.path().join("outside")).unwrap().nlink(), 1);
}

#[test]
fn what_two_roots_lead_to_is_there_once() {
    let dir = TempDir::new().unwrap();
    tree(dir.path(), &[("sub/a", "content"), ("other/b", "content")]);
    std::os::unix::fs::symlink("sub", dir.path().join("link")).unwrap();
    let roots = ["sub", "link", "other", "sub/../other"].map(|root| dir.path().join(root));
    let plan = dedupe::plan(&roots, &OPTIONS, &Unwatched).unwrap();
    assert_eq!((plan.files, plan.files_names, plan.losers()), (2, 2, 1));
    assert_eq!(done(&plan).replaced_names, 1);
}

#[test]
fn no_inode_gets_more_names_than_ext4_allows() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 32, &[]));
    let root = disk.path().join("many");
    let singles: Vec<String> = (1..=20).map(|number| format!("single{number:02}")).collect();
    let files: Vec<(&str, &str)> = singles.iter().map(|name| (name.as_str(), "x")).collect();
    tree(&root, &[files.as_slice(), &[("0", "x")]].concat());
    for number in 1..64_990 {
        fs::hard_link(root.join("0"), root.join(number.to_string())).unwrap();
    }
    let plan = plan_of(&root, &OPTIONS);
    let sizes: Vec<usize> = plan.groups.iter().map(|group| group.losers.len()).collect();
    assert_eq!((plan.files_names, sizes), (65_010, vec![10, 9]));
    assert_eq!(plan.groups[1].reason, Reason::LinkLimit);
    let report = done(&plan);
    assert_eq!((report.replaced_names, report.left.len()), (19, 0));
    assert_eq!(fs::metadata(root.join("0")).unwrap().nlink(), 65_000);
    assert_eq!(fs::metadata(root.join("single11")).unwrap().nlink(), 10);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 65_010, "no temporary name is left");
    assert_eq!(plan_of(&root, &OPTIONS).groups, [], "and none can be linked further");
}

#[test]
fn many_names_of_one_inode_are_replaced_in_several_steps() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("many");
    tree(&root, &[("a0", "x"), ("b0", "x")]);
    for number in 1..450 {
        fs::hard_link(root.join("a0"), root.join(format!("a{number}"))).unwrap();
        fs::hard_link(root.join("b0"), root.join(format!("b{number}"))).unwrap();
    }
    let report = done(&plan_of(&root, &OPTIONS));
    assert_eq!((report.replaced_names, report.freed_inodes, report.left.len()), (450, 1, 0));
    assert_eq!(fs::metadata(root.join("b449")).unwrap().nlink(), 900);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 900, "no temporary name is left");
}

#[test]
fn programs_that_start_meanwhile_are_no_writers() {
    let dir = TempDir::new().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Between fork and exec a child has all that this process has open.
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::process::Command::new("true").status().unwrap();
                }
            });
        }
        let left: Vec<_> = (0..40)
            .flat_map(|round| {
                let root = dir.path().join(round.to_string());
                let names: Vec<String> = (0..150).map(|number| number.to_string()).collect();
                tree(&root, &names.iter().map(|name| (name.as_str(), "x")).collect::<Vec<_>>());
                done(&plan_of(&root, &OPTIONS)).left
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        assert!(left.is_empty(), "{left:?}");
    });
}

fn sharing_blocks(kind: FsKind) {
    let disk = or_skip!(LoopFs::create(kind, 0, &[]));
    skip_unless!(has_tool("filefrag"), "needs filefrag (e2fsprogs)");
    let root = disk.path().join("tree");
    let content = "some text\n".repeat(20_000);
    tree(&root, &[("a", &content), ("b1", &content), ("c", &content), ("tiny", "x"), ("tiny2", "x")])
        .hard_link("b1", "sub/b2")
        .hard_link("c", "c2")
        .owner("b1", 7, 8)
        .mode("b1", 0o4750)
        .xattr("b1", "user.a", "b")
        .mtime("b1", THEN - 5, 17);
    fs::rename(root.join("c2"), disk.path().join("outside")).unwrap();
    let before = Listing::read(&root);
    let plan = plan_of(&root, &Options { least_size: 4096, ..BLOCKS });
    assert_eq!(plan.omitted.names_elsewhere, 1, "one of b1 and c stays, the other is left or taken");
    let report = done(&plan);
    assert_eq!((report.left, report.freed_inodes), (Vec::new(), 0));
    let after = Listing::read(&root);
    assert_eq!((files_of(&after), after.hard_links()), (files_of(&before), before.hard_links()));
    let is_shared = |name: &str| {
        let told = std::process::Command::new("filefrag").arg("-v").arg(root.join(name)).output().unwrap();
        String::from_utf8_lossy(&told.stdout).contains("shared")
    };
    assert!(is_shared("a") && is_shared("sub/b2") && !is_shared("c"));
}

#[test]
fn on_xfs_files_share_blocks_and_stay_what_they_are() {
    sharing_blocks(FsKind::Xfs);
}

#[test]
fn on_btrfs_files_share_blocks_and_stay_what_they_are() {
    sharing_blocks(FsKind::Btrfs);
}

#[test]
fn filesystems_that_cannot_are_refused() {
    let ext4 = or_skip!(LoopFs::create(FsKind::Ext4, 8, &[]));
    let refused = dedupe::plan(&[ext4.path()], &BLOCKS, &Unwatched);
    assert!(matches!(refused, Err(PlanError::Unable { share: Share::Blocks, .. })), "{refused:?}");
    let fat = or_lacking!(LoopFs::create(FsKind::Vfat, 8, &[]), "FAT");
    let refused = dedupe::plan(&[fat.path()], &OPTIONS, &Unwatched);
    assert!(matches!(refused, Err(PlanError::Unable { share: Share::Links, .. })), "{refused:?}");
}

#[test]
fn files_that_are_just_written_are_left() {
    let dir = TempDir::new().unwrap();
    tree(dir.path(), &[("a", "content"), ("b", "content"), ("c", "content")])
        .mtime("b", THEN + 100, 0)
        .mtime("c", THEN + 100, 0);
    let options = |now| Options { now, ignore: Ignore { times: true, ..OPTIONS.ignore }, ..OPTIONS };
    let plan = plan_of(dir.path(), &options(THEN + 111));
    assert_eq!((plan.losers(), plan.left.len()), (2, 0));
    let plan = plan_of(dir.path(), &options(THEN + 110));
    let left: Vec<_> = plan.left.iter().map(|left| (left.path.clone(), left.why.clone())).collect();
    let young = |name: &str| (dir.path().join(name), LeftReason::Young);
    assert_eq!((plan.losers(), left), (0, vec![young("b"), young("c")]));
}

#[test]
fn repositories_are_refused_from_above_and_from_within() {
    let dir = TempDir::new().unwrap();
    tree(
        dir.path(),
        &[("backup/web1/.linksnap/catalog.db", ""), ("backup/web1/2026/srv/a", "x"), ("b", "x")],
    );
    for root in ["", "backup", "backup/web1", "backup/web1/2026/srv", "backup/web1/.linksnap"] {
        let refused = dedupe::plan(&[dir.path().join(root)], &OPTIONS, &Unwatched);
        match refused {
            Err(PlanError::Repository { job }) => assert!(job.ends_with("backup/web1"), "{root}: {job:?}"),
            other => panic!("{root}: {other:?}"),
        }
    }
    let missing = dedupe::plan(&[dir.path().join("none")], &OPTIONS, &Unwatched);
    assert!(matches!(missing, Err(PlanError::Fs(_))), "{missing:?}");
}

#[test]
fn what_an_interrupted_deed_has_left_is_counted_and_left() {
    let dir = TempDir::new().unwrap();
    let leftover = ".linksnap-0123456789abcdef0123456789abcdef";
    tree(dir.path(), &[("a", "x"), (leftover, "x"), (".linksnap-restore", "x")]);
    let plan = plan_of(dir.path(), &OPTIONS);
    assert_eq!((plan.omitted.leftovers, plan.losers()), (1, 1));
}

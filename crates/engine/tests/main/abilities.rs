//! What filesystems can do, tried out on real ones; and which directory a repository is.

use std::path::Path;
use std::process::Command;

use linksnap_engine::ProblemKind;
use linksnap_engine::repository::{Durability, Home, MarkerFilesystem, Repository};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{needs_kernel, or_skip};

use crate::kitchen::{Kitchen, START};

fn create(at: &Path) -> (Repository, Vec<String>) {
    let made = Repository::create(at, START, Durability::Required);
    let (repository, creation) = made.unwrap_or_else(|error| panic!("{error}"));
    (repository, creation.findings)
}

fn run(tool: &str, args: &[&str], at: &Path) -> bool {
    Command::new(tool).args(args).arg(at).output().is_ok_and(|done| done.status.success())
}

/// What every disk here can do, and what this one can besides.
fn tried(kind: FsKind, name: &str, links: Option<u32>, reflinks: bool) -> Option<LoopFs> {
    let disk = match LoopFs::create(kind, 0, &[]) {
        Ok(disk) => disk,
        Err(reason) => {
            linksnap_testkit::skip::announce("abilities", reason);
            return None;
        }
    };
    let (repository, findings) = create(&disk.path());
    let found = &repository.marker().filesystem;
    let wanted = MarkerFilesystem {
        r#type: name.to_owned(),
        links,
        symlink_links: true,
        xattrs: true,
        owners: true,
        nanoseconds: true,
        acls: Some(true),
        reflinks: Some(reflinks),
        case_sensitive: Some(true),
    };
    assert_eq!(*found, wanted, "{findings:?}");
    let said = findings.join("\n");
    assert!(said.contains(name) && said.contains("hard links and atomic renames work"), "{said}");
    assert_eq!(said.contains("can share"), reflinks, "{said}");
    Some(disk)
}

#[test]
fn abilities_of_ext4_are_found_out() {
    drop(tried(FsKind::Ext4, "ext4", Some(65_000), false));
}

#[test]
fn abilities_of_xfs_are_found_out() {
    drop(tried(FsKind::Xfs, "xfs", None, true));
}

#[test]
fn abilities_of_btrfs_are_found_out() {
    drop(tried(FsKind::Btrfs, "btrfs", Some(65_535), true));
}

#[test]
fn coarse_times_are_found_out() {
    // Inodes of 128 bytes have room for whole seconds only.
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 16, &["-I", "128"]));
    let (repository, findings) = create(&disk.path());
    assert!(!repository.marker().filesystem.nanoseconds);
    assert!(findings.iter().any(|words| words == "times are kept in steps of 1 s only"), "{findings:?}");
}

#[test]
fn a_repository_that_keeps_whole_seconds_works_all_the_same() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 32, &["-I", "128"]));
    let sources = tempfile::tempdir().expect("a directory");
    let base = std::fs::canonicalize(sources.path()).expect("it is there");
    let mut kitchen = Kitchen::across(&base, &disk.path());
    drop(
        TreeBuilder::new(&kitchen.source)
            .file("a/file", "1")
            .file("b/other", "2")
            .symlink("b/link", "other")
            .fifo("p"),
    );
    kitchen.keep_last(2);
    let wanted = Listing::read(&kitchen.source);
    for round in 0..5 {
        kitchen.age();
        let summary = kitchen.backup();
        assert_eq!(summary.problems.list, [], "{round}");
        let linked = summary.counts.unchanged;
        assert_eq!(linked, if round == 0 { 0 } else { 4 }, "{round}");
        kitchen.assert_sound();
    }
    // What comes back has the times that were recorded.
    let target = base.join("target");
    drop(kitchen.restore("latest", &target));
    let restored = Listing::read(&kitchen.in_snapshot(&target));
    assert_eq!(wanted.diff(&restored, Compare::COPY), [""; 0]);
    drop(TreeBuilder::new(&kitchen.source).file("a/file", "3"));
    assert_eq!(kitchen.backup().counts.copied_files, 1);
    kitchen.assert_sound();
}

#[test]
fn names_without_case_are_found_out() {
    let made = LoopFs::create(FsKind::Ext4, 16, &["-O", "casefold"]);
    needs_kernel!(made.is_ok(), "ext4 with case folding");
    let disk = or_skip!(made);
    let directory = disk.path().join("folded");
    drop(TreeBuilder::new(disk.path()).dir("folded"));
    if !run("chattr", &["+F"], &directory) {
        return linksnap_testkit::skip::announce(
            "names_without_case_are_found_out",
            "chattr +F does not work",
        );
    }
    let (repository, findings) = create(&directory);
    assert_eq!(repository.marker().filesystem.case_sensitive, Some(false));
    assert!(findings.iter().any(|words| words.contains("upper and lower case")), "{findings:?}");
}

#[test]
fn what_cannot_be_kept_any_more_is_a_warning_and_what_can_now_is_told() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 16, &[]));
    let sources = tempfile::tempdir().expect("a directory");
    let base = std::fs::canonicalize(sources.path()).expect("it is there");
    let mut kitchen = Kitchen::across(&base, &disk.path());
    drop(TreeBuilder::new(&kitchen.source).file("file", "1"));
    let summary = kitchen.backup();
    assert_eq!((&summary.problems.list[..], &summary.gained[..]), (&[][..], &[][..]));
    let marker = kitchen.repository.join("linksnap.toml");
    let text = std::fs::read_to_string(&marker).expect("a marker");
    for (written, lost, gained) in [
        ("acls = false", 0, 1),
        ("acls = true", 0, 0),
        ("symlink-links = false", 0, 1),
        ("reflinks = true", 1, 0),
    ] {
        let (key, _) = written.split_once(" = ").expect("a key");
        let lines = text.lines().map(|line| if line.starts_with(key) { written } else { line });
        std::fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&marker)
            .and_then(|mut file| {
                std::io::Write::write_all(&mut file, lines.collect::<Vec<_>>().join("\n").as_bytes())
            })
            .expect("written");
        let summary = kitchen.backup();
        assert_eq!((summary.problems.list.len(), summary.gained.len()), (lost, gained), "{written}");
        for problem in summary.problems.list {
            let wanted =
                "the repository's filesystem has changed: copies that share their blocks: not any more";
            assert_eq!((problem.kind, problem.message.as_str()), (ProblemKind::Notice, wanted));
        }
    }
    assert!(!kitchen.workshop().join(".linksnap-probe").exists());
    kitchen.assert_sound();
}

/// A disk that is mounted again, elsewhere, or grown, is the same; a copy of its files is not.
fn is_known_again(mut disk: LoopFs) {
    let inside = disk.path().join("inside");
    for at in [disk.path(), inside.clone()] {
        drop(create(&at));
        assert!(Repository::open(&at).expect("it is there").marker().home.is_some());
    }
    disk.remount();
    let copy = disk.path().join("copy");
    assert!(run("cp", &["-a", inside.to_str().expect("text")], &copy));
    let renamed = disk.path().join("renamed");
    assert!(run("mv", &[inside.to_str().expect("text")], &renamed));
    let home = |at: &Path| Repository::open(at).expect("it is there").home();
    assert_eq!(home(&disk.path()), Home::AsRecorded);
    assert_eq!(home(&renamed), Home::AsRecorded);
    assert_eq!(home(&copy), Home::Elsewhere);
    let (settled, _) = Repository::settle(&copy, Durability::Required).expect("accepted");
    assert_eq!(settled.home(), Home::AsRecorded);
    assert_eq!(settled.marker().uuid, Repository::open(&renamed).expect("it is there").marker().uuid);
}

#[test]
fn a_repository_on_ext4_is_known_again() {
    is_known_again(or_skip!(LoopFs::create(FsKind::Ext4, 16, &[])));
}

#[test]
fn a_repository_on_xfs_is_known_again() {
    is_known_again(or_skip!(LoopFs::create(FsKind::Xfs, 0, &[])));
}

#[test]
fn a_repository_on_btrfs_is_known_again() {
    is_known_again(or_skip!(LoopFs::create(FsKind::Btrfs, 0, &[])));
}

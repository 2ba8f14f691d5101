//! What goes wrong at night: sources that change under the run, sources that cannot be used, full and failing
//! disks, mount points, and somebody's edits in published snapshots.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use linksnap_engine::report::Class;
use linksnap_engine::source::SourceError;
use linksnap_engine::verbs::backup::{self, BackupError, BackupSummary, Scaffold};
use linksnap_engine::verbs::verify::{self, VerifyOptions};
use linksnap_engine::{JobName, Monitor, Phase, ProblemKind, Progress, Silent, Wish};
use linksnap_testkit::listing::{Compare, Kind, Listing};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::tree::{Content, Edit, TreeBuilder, apply};
use linksnap_testkit::{or_skip, skip, skip_unless};
use rustix::fs::FallocateFlags;

use crate::kitchen::Kitchen;
use crate::ledger::Ledger;

fn kinds(summary: &BackupSummary) -> Vec<ProblemKind> {
    summary.problems.list.iter().map(|problem| problem.kind).collect()
}

pub fn paths(summary: &BackupSummary, kind: ProblemKind) -> Vec<PathBuf> {
    let of_kind = summary.problems.list.iter().filter(|problem| problem.kind == kind);
    of_kind.map(|problem| PathBuf::from(OsStr::from_bytes(&problem.path))).collect()
}

pub fn whole_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

// --- sources that change under the run ---

/// Does something to the source when it is asked for the n-th time what it wants: between any two entries.
pub struct Meddler<'a> {
    pub at: u64,
    pub asked: AtomicU64,
    pub deed: &'a (dyn Fn() + Sync),
}

impl Monitor for Meddler<'_> {
    fn wish(&self) -> Wish {
        if self.asked.fetch_add(1, Ordering::Relaxed) + 1 == self.at {
            (self.deed)();
        }
        Wish::GoOn
    }
}

pub const SIZE: usize = 600_000;

pub fn small_tree(source: &Path) {
    drop(
        TreeBuilder::new(source)
            .file("before", "before")
            .file("dir/one", "one")
            .file("dir/sub/deep", vec![b'd'; SIZE])
            .hard_link("dir/one", "dir/sub/one-too")
            .file("dir/two", "two")
            .file("last", "last"),
    );
}

/// Meddles once at every moment of a run. Whatever was taken away or altered, the rest is in the snapshot,
/// which is sound, and the next run has everything.
fn survives_meddling(edits: &[Edit], altered: &[&str], tolerated: &[ProblemKind]) {
    for at in 1.. {
        let mut kitchen = Kitchen::new();
        kitchen.options.threads = Some(1);
        small_tree(&kitchen.source);
        let root = kitchen.source.clone();
        let deed = || apply(&root, edits);
        let meddler = Meddler { at, asked: AtomicU64::new(0), deed: &deed };
        let summary =
            kitchen.try_backup(&meddler).unwrap_or_else(|error| panic!("{edits:?} at {at}: {error:?}"));
        assert!(kinds(&summary).iter().all(|kind| tolerated.contains(kind)), "{at}: {:?}", summary.problems);
        let stored = kitchen.listing(&summary);
        let source = Listing::read(&kitchen.source);
        for path in ["before", "last", "dir/two", "dir/one"] {
            if !altered.iter().any(|altered| Path::new(path).starts_with(altered)) {
                assert_eq!(
                    source.get(path).map(|e| e.content),
                    stored.get(path).map(|e| e.content),
                    "{path}"
                );
            }
        }
        kitchen.assert_sound();
        let was = meddler.asked.into_inner();
        let next = kitchen.backup();
        assert_eq!(next.problems.list, [], "{edits:?} at {at}");
        assert_eq!(source.diff(&kitchen.listing(&next), Compare::COPY), [""; 0], "{edits:?} at {at}");
        kitchen.assert_sound();
        if was < at {
            return;
        }
    }
}

fn delete(path: &str) -> Edit {
    Edit::Delete { path: path.into() }
}

const GONE: &[ProblemKind] = &[ProblemKind::Vanished];
const TURNED: &[ProblemKind] = &[ProblemKind::Vanished, ProblemKind::Unreadable];

#[test]
fn a_file_may_vanish_at_any_moment() {
    survives_meddling(&[delete("dir/one"), delete("last")], &["dir/one", "last"], GONE);
}

#[test]
fn a_directory_may_vanish_at_any_moment() {
    survives_meddling(&[delete("dir")], &["dir"], GONE);
}

#[test]
fn a_directory_may_become_a_file_at_any_moment() {
    let edit = Edit::Write { path: "dir".into(), content: Content::Bytes(b"a file".to_vec()) };
    survives_meddling(&[edit], &["dir"], TURNED);
}

#[test]
fn a_directory_may_become_a_link_at_any_moment() {
    let outside = tempfile::tempdir().expect("a directory");
    drop(TreeBuilder::new(outside.path()).file("one", "SECRET").file("sub/deep", "SECRET"));
    let link = |path: &str| Edit::Symlink { path: path.into(), target: outside.path().into() };
    survives_meddling(&[link("dir")], &["dir"], TURNED);
}

#[test]
fn a_file_may_become_anything_at_any_moment() {
    let link = Edit::Symlink { path: "dir/one".into(), target: "/etc/passwd".into() };
    let directory = Edit::Write { path: "last/below".into(), content: Content::Bytes(b"b".to_vec()) };
    let fifo = Edit::Fifo { path: "dir/two".into() };
    survives_meddling(&[link, directory, fifo], &["dir", "last"], TURNED);
}

/// `/dev/zero` has no end, and reading from other devices is an act.
#[test]
fn a_file_may_become_a_device_at_any_moment() {
    skip_unless!(skip::is_root(), "needs root");
    let zero = |path: &str| Edit::CharDevice { path: path.into(), major: 1, minor: 5 };
    survives_meddling(&[zero("dir/sub/deep"), zero("last")], &["dir", "last"], TURNED);
}

#[test]
fn files_may_be_replaced_and_rewritten_at_any_moment() {
    let content = |byte| Content::Repeated { byte, length: SIZE + 1 };
    let replaced = Edit::Replace { path: "dir/one".into(), content: content(b'r') };
    let grown = Edit::Write { path: "last".into(), content: content(b'g') };
    let shrunk = Edit::Write { path: "dir/sub/deep".into(), content: Content::Bytes(b"short".to_vec()) };
    let same = Edit::RewriteKeepingMtime { path: "dir/two".into() };
    survives_meddling(&[replaced, grown, shrunk, same], &["dir", "last"], &[]);
}

/// Does something each time a piece of a file was read.
struct Disturber<'a> {
    deed: &'a (dyn Fn(u64) + Sync),
    bytes: AtomicU64,
}

impl<'a> Disturber<'a> {
    fn new(deed: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self { deed, bytes: AtomicU64::new(0) }
    }
}

impl Monitor for Disturber<'_> {
    fn progress(&self, progress: &Progress) {
        let bytes = progress.bytes();
        if self.bytes.swap(bytes, Ordering::Relaxed) != bytes {
            (self.deed)(bytes);
        }
    }
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path).expect("it is there");
    file.write_all(bytes).expect("written");
}

#[test]
fn a_log_that_is_written_to_all_the_time_is_stored_and_said() {
    let mut kitchen = Kitchen::new();
    drop(TreeBuilder::new(&kitchen.source).file("log", vec![b'l'; SIZE]).file("other", "o"));
    let log = kitchen.source.join("log");
    // As much as is read each time: who reads to the end of the file never comes to an end.
    let deed = |bytes| {
        if bytes < 50_000_000 {
            append(&log, &vec![b'+'; 300_000]);
        }
    };
    let summary = kitchen.try_backup(&Disturber::new(&deed)).expect("a snapshot");
    assert_eq!(paths(&summary, ProblemKind::ChangedWhileRead), [log]);
    assert_eq!(summary.problems.problems, 1);
    let stored = kitchen.listing(&summary);
    let size = stored.get("log").and_then(|entry| entry.size).expect("the log");
    assert!((SIZE as u64..10_000_000).contains(&size), "{size} bytes: the run ran after the log");
    kitchen.assert_sound();
    let next = kitchen.backup();
    assert_eq!(next.problems.list, []);
    let source = Listing::read(&kitchen.source);
    assert_eq!(source.diff(&kitchen.listing(&next), Compare::COPY), [""; 0]);
}

#[test]
fn a_file_that_changes_once_while_it_is_read_is_read_again() {
    let mut kitchen = Kitchen::new();
    for (number, size) in [10, SIZE as u64, 2 * SIZE as u64].into_iter().enumerate() {
        drop(TreeBuilder::new(&kitchen.source).file("big", vec![b'b'; SIZE]));
        let big = kitchen.source.join("big");
        let once = AtomicBool::new(false);
        let deed = |_| {
            if !once.swap(true, Ordering::Relaxed) {
                let file = OpenOptions::new().write(true).open(&big).expect("it is there");
                file.set_len(size).expect("cut or grown");
            }
        };
        let summary = kitchen.try_backup(&Disturber::new(&deed)).expect("a snapshot");
        assert_eq!(summary.problems.list, [], "{number}");
        let source = Listing::read(&kitchen.source);
        assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
        kitchen.assert_sound();
    }
}

// --- sources ---

fn refusal(kitchen: &mut Kitchen, source: &Path) -> BackupError {
    kitchen.options.sources = vec![source.to_path_buf()];
    let error = kitchen.try_backup(&Silent).expect_err("refused");
    assert_eq!(error.class(), Class::Guard, "{error:?}");
    assert!(error.to_string().contains(&source.display().to_string()), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(kitchen.named(), [""; 0]);
    error
}

#[test]
fn sources_that_cannot_be_are_refused() {
    let mut kitchen = Kitchen::new();
    small_tree(&kitchen.source);
    drop(TreeBuilder::new(&kitchen.source).symlink("link", "dir"));
    let source = kitchen.source.clone();
    let repository = kitchen.repository.clone();
    let mut refused = |path: &Path| match refusal(&mut kitchen, path) {
        BackupError::Source(error) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(&source.join("missing")), SourceError::Missing { .. }));
    assert!(matches!(refused(&source.join("last/below")), SourceError::Missing { .. }));
    assert!(matches!(refused(&repository), SourceError::InsideRepository { .. }));
    assert!(matches!(refused(&repository.join("README.txt")), SourceError::InsideRepository { .. }));
    assert!(matches!(refused(&source.join("link/one")), SourceError::ThroughLink { .. }));
    assert!(matches!(refused(Path::new("/proc")), SourceError::Pseudo { .. }));
    assert!(matches!(refused(Path::new("/proc/version")), SourceError::Pseudo { .. }));
}

#[test]
fn a_repository_in_the_source_is_left_out_and_said() {
    let base = tempfile::tempdir().expect("a directory");
    let base = std::fs::canonicalize(base.path()).expect("it is there");
    let mut kitchen = Kitchen::across(&base, &base.join("source/deep"));
    small_tree(&kitchen.source);
    for _ in 0..2 {
        let summary = kitchen.backup();
        assert_eq!(paths(&summary, ProblemKind::LeftOut), [kitchen.repository.clone()]);
        assert_eq!(summary.problems.problems, 0);
        let stored = kitchen.listing(&summary);
        assert!(stored.get("deep").is_some());
        assert!(stored.get("deep/repository").is_none());
        assert!(stored.get("dir/sub/deep").is_some());
    }
    kitchen.assert_sound();
}

#[test]
fn a_single_file_can_be_a_source() {
    let mut kitchen = Kitchen::new();
    small_tree(&kitchen.source);
    let file = kitchen.source.join("dir/one");
    kitchen.options.sources = vec![file.clone()];
    for _ in 0..2 {
        let summary = kitchen.backup();
        assert_eq!((summary.problems.list.len(), summary.counts.files), (0, 1));
        let stored = kitchen.listing(&summary);
        let source = Listing::read(&kitchen.source);
        assert_eq!(stored.iter().count(), 3);
        assert_eq!(stored.get("dir/one").map(|e| e.content), source.get("dir/one").map(|e| e.content));
    }
    kitchen.assert_sound();
}

#[test]
fn several_sources_share_the_directories_that_lead_to_them() {
    let mut kitchen = Kitchen::new();
    small_tree(&kitchen.source);
    let mut tree = TreeBuilder::new(&kitchen.source)
        .file("way/to/a/file", "a")
        .file("way/to/b/file", "b")
        .file("way/aside", "not in a source")
        .mode("way/to", 0o2750)
        .mode("way", 0o1711)
        .xattr("way", "user.way", "x");
    if skip::is_root() {
        tree = tree.owner("way", 12, 34);
    }
    drop(tree.mtime("way/to", 1_000_000_000, 7).mtime("way", 1_000_000_001, 8));
    let source = kitchen.source.clone();
    let at = |path: &str| source.join(path);
    kitchen.options.sources =
        vec![at("way/to/b"), at("dir"), at("dir/sub"), at("way/to/a/file"), at("dir/sub/deep")];
    for _ in 0..2 {
        let summary = kitchen.backup();
        assert_eq!(summary.problems.list, []);
        let wanted = Listing::read(&source).without("before").without("last").without("way/aside");
        assert_eq!(wanted.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
        let ancestors = Listing::read(&summary.path);
        for path in source.strip_prefix("/").expect("absolute").ancestors().skip(1) {
            let meta = std::os::unix::fs::MetadataExt::mode;
            let real = std::fs::symlink_metadata(Path::new("/").join(path)).expect("it is there");
            assert_eq!(ancestors.get(path).map(|e| e.mode), Some(meta(&real) & 0o7777), "{path:?}");
        }
    }
    kitchen.assert_sound();
}

#[test]
fn names_may_be_any_bytes() {
    let mut kitchen = Kitchen::new();
    let names: [&[u8]; 6] = [b"\xff\xfe", b"new\nline", b" ", b"-rf", b"\x1b[31m", b"caf\xe9"];
    for name in names {
        let name = OsStr::from_bytes(name);
        let below = Path::new("dir").join(name);
        drop(
            TreeBuilder::new(&kitchen.source)
                .file(name, "x")
                .file(below.join(name), "y")
                .symlink(below.join("l"), name),
        );
    }
    kitchen.options.sources.push(kitchen.source.join(OsStr::from_bytes(b"\xff\xfe")));
    let long = "n".repeat(255);
    drop(TreeBuilder::new(&kitchen.source).file(&long, "x"));
    let mut ledger = Ledger::default();
    for _ in 0..2 {
        let summary = kitchen.backup();
        assert_eq!(summary.problems.list, []);
        ledger.check_success(&kitchen, &summary);
    }
}

// --- rules ---

#[test]
fn rules_leave_out_what_they_say() {
    let mut kitchen = Kitchen::new();
    let tag = "Signature: 8a477f597d28d172789f06886806bc55\n# a cache";
    drop(
        TreeBuilder::new(&kitchen.source)
            .file("keep", "k")
            .file("x.tmp", "t")
            .file("dir/y.tmp", "t")
            .file("dir/important.tmp", "t")
            .file("dir/cache/file", "c")
            .file("tagged/CACHEDIR.TAG", tag)
            .file("tagged/file", "c")
            .file("tagged/sub/file", "c")
            .file("untagged/CACHEDIR.TAG", "something else")
            .file("untagged/file", "kept")
            .file("marked/.nobackup", "")
            .file("marked/file", "m")
            .file("large", vec![0; 2001])
            .file("just-so", vec![0; 2000])
            .file("large-dir.tmp/file", "f"),
    );
    let patterns =
        ["*.tmp".to_owned(), "!important.tmp".to_owned(), format!("{}/dir/cache/", kitchen.source.display())];
    kitchen.options.rules.exclude = patterns.to_vec();
    kitchen.options.rules.exclude_if_present = vec![".nobackup".to_owned()];
    kitchen.options.rules.exclude_caches = true;
    kitchen.options.rules.exclude_larger_than = Some(2000);
    let summary = kitchen.backup();
    assert_eq!(summary.problems.list, []);
    let mut wanted = Listing::read(&kitchen.source);
    let out = [
        "x.tmp",
        "dir/y.tmp",
        "dir/cache",
        "tagged/file",
        "tagged/sub",
        "marked/file",
        "large",
        "large-dir.tmp",
    ];
    for path in out {
        wanted = wanted.without(path);
    }
    assert_eq!(wanted.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
    assert_eq!(summary.counts.excluded, out.len() as u64);
    // Rules that change take away and give back.
    kitchen.options.rules.exclude.clear();
    kitchen.options.rules.exclude_larger_than = Some(1000);
    let summary = kitchen.backup();
    let stored = kitchen.listing(&summary);
    assert!(stored.get("x.tmp").is_some() && stored.get("just-so").is_none());
    assert_eq!(summary.counts.removed, 1);
    kitchen.assert_sound();
}

// --- mount points ---

/// A mount that ends with the test.
pub struct Mounted(pub PathBuf);

impl Mounted {
    pub fn new(at: &Path, args: &[&str]) -> Option<Self> {
        let done = Command::new("mount").args(args).arg(at).output().ok()?;
        done.status.success().then(|| Self(at.to_path_buf()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).output());
    }
}

#[test]
fn filesystems_in_the_source_are_crossed_only_if_wanted() {
    skip_unless!(skip::is_root(), "needs root");
    let mut kitchen = Kitchen::new();
    small_tree(&kitchen.source);
    drop(TreeBuilder::new(&kitchen.source).dir("disk").dir("talk").dir("disk2"));
    let at = |path: &str| kitchen.source.join(path);
    let mounted = [
        Mounted::new(&at("disk"), &["-t", "tmpfs", "linksnap-test"]),
        Mounted::new(&at("talk"), &["--bind", "/proc"]),
        Mounted::new(&at("disk2"), &["-t", "tmpfs", "linksnap-test"]),
    ];
    skip_unless!(mounted.iter().all(Option::is_some), "mounting is not allowed here");
    drop(TreeBuilder::new(at("disk")).file("file", "on another disk").mode("", 0o751));
    drop(TreeBuilder::new(at("disk2")).file("a/b", "a source of its own").file("a/c", "c").file("d", "d"));
    kitchen.options.sources.push(at("disk2/a"));

    let summary = kitchen.backup();
    assert_eq!(summary.problems.list, []);
    let stored = kitchen.listing(&summary);
    assert_eq!(stored.get("disk").map(|entry| (entry.kind, entry.mode)), Some((Kind::Directory, 0o751)));
    for path in ["disk/file", "talk/self", "talk/1", "disk2/d"] {
        assert!(stored.get(path).is_none(), "{path}");
    }
    assert!(stored.get("disk2/a/b").is_some());

    kitchen.options.one_file_system = false;
    let summary = kitchen.backup();
    assert_eq!(summary.problems.list, []);
    let stored = kitchen.listing(&summary);
    assert!(stored.get("disk/file").is_some() && stored.get("disk2/d").is_some());
    assert!(stored.get("talk").is_some());
    assert_eq!(stored.below("talk").iter().count(), 1, "a pseudo filesystem was entered");
    kitchen.assert_sound();

    kitchen.options.one_file_system = true;
    let summary = kitchen.backup();
    assert!(kitchen.listing(&summary).get("disk/file").is_none());
    kitchen.assert_sound();
}

// --- full and failing disks ---

#[test]
fn a_full_disk_is_named_and_the_next_run_goes_on() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 48, &["-I", "256"]));
    let sources = tempfile::tempdir().expect("a directory");
    let base = std::fs::canonicalize(sources.path()).expect("it is there");
    let mut kitchen = Kitchen::across(&base, &disk.path());
    let mut ledger = Ledger::default();
    drop(TreeBuilder::new(&kitchen.source).file("small", "s"));
    for round in 0..2 {
        let mut tree = TreeBuilder::new(&kitchen.source);
        for number in 0..12_u8 {
            tree = tree.file(format!("{round}/{number}/data"), vec![number; 4 << 20]);
        }
        let error = kitchen.try_backup(&Silent).expect_err("a full disk");
        assert_eq!(error.class(), Class::Failed);
        assert!(whole_chain(&error).contains("No space left on device"), "{}", whole_chain(&error));
        assert!(error.hint().is_some_and(|hint| hint.contains("df -i")), "{:?}", error.hint());
        assert_eq!(ledger.check(&kitchen), [""; 0]);
        // Of what is stored already something goes, and something else comes: less in all.
        for number in 0..9_u8 {
            tree = tree.delete(format!("{round}/{number}"));
        }
        drop(tree.file(format!("{round}/1/data"), vec![b'n'; 4 << 20]));
        let summary = kitchen.try_backup(&Silent).unwrap_or_else(|error| panic!("{}", whole_chain(&error)));
        assert_eq!(summary.problems.list, []);
        ledger.check_success(&kitchen, &summary);
    }
}

#[test]
fn a_lost_write_publishes_nothing() {
    skip_unless!(skip::is_root(), "needs root");
    let base = tempfile::tempdir().expect("a directory");
    let base = std::fs::canonicalize(base.path()).expect("it is there");
    drop(TreeBuilder::new(&base).dir("thin"));
    // A disk that promises 64 MiB and has 24: writes to it are lost when the kernel comes to write them.
    let Some(_thin) = Mounted::new(&base.join("thin"), &["-t", "tmpfs", "-o", "size=24m", "thin"]) else {
        return skip::announce("faults::a_lost_write_publishes_nothing", "mounting is not allowed here");
    };
    let mkfs = ["-b", "4096", "-O", "^has_journal"];
    let mut disk = or_skip!(LoopFs::create_in(&base.join("thin"), FsKind::Ext4, 64, &mkfs));
    // The tables are at its beginning. A disk that loses its own tables is another matter: who knows what is left.
    let image = OpenOptions::new().write(true).open(disk.image()).expect("an image");
    rustix::fs::fallocate(&image, FallocateFlags::empty(), 0, 8 << 20).expect("room for tables");
    let mut kitchen = Kitchen::across(&base, &disk.path());
    let mut ledger = Ledger::default();
    drop(TreeBuilder::new(&kitchen.source).file("small", "s"));
    let summary = kitchen.backup();
    ledger.check_success(&kitchen, &summary);
    let mut tree = TreeBuilder::new(&kitchen.source);
    for number in 0..10_u8 {
        tree = tree.file(format!("{number}"), vec![number; 4 << 20]);
    }
    drop(tree);
    // The directories are on the disk before the first byte of a file is.
    let sync = || drop(Command::new("sync").arg("-f").arg(disk.path()).status());
    let first = std::sync::Once::new();
    let error = kitchen.try_backup(&Disturber::new(&|_| first.call_once(sync))).expect_err("a lost write");
    assert_eq!(error.class(), Class::Failed);
    assert!(whole_chain(&error).contains("written to disk"), "{}", whole_chain(&error));
    assert_eq!(ledger.check(&kitchen), [""; 0]);
    // The disk is mended: it takes writes again, and of what it has lost nothing is in memory. Of what the failed run
    // wrote nothing is trusted.
    disk.unmount();
    disk.wait_until_gone();
    let mended = Command::new("mount").args(["-o", "remount,size=100m"]).arg(base.join("thin")).status();
    assert!(mended.is_ok_and(|status| status.success()));
    let checked = Command::new("e2fsck").args(["-f", "-n"]).arg(disk.image()).output().expect("e2fsck");
    assert!(checked.status.success(), "more than bytes of files was lost: {checked:?}");
    disk.remount();
    assert_eq!(ledger.check(&kitchen), [""; 0]);
    let summary = kitchen.try_backup(&Silent).unwrap_or_else(|error| panic!("{}", whole_chain(&error)));
    assert_eq!((summary.scaffold, summary.counts.copied_files), (Scaffold::Empty, 10));
    // Not in memory only.
    disk.remount();
    ledger.check_success(&kitchen, &summary);
}

// --- edits in published snapshots ---

#[test]
fn edits_in_a_published_snapshot_are_reported_and_not_linked_forward() {
    let mut kitchen = Kitchen::new();
    small_tree(&kitchen.source);
    drop(
        TreeBuilder::new(&kitchen.source)
            .file("moded", "m")
            .file("replaced", "r")
            .file("removed", "x")
            .symlink("link", "x"),
    );
    let first = kitchen.backup();
    kitchen.age();
    apply(
        &kitchen.in_snapshot(&first.path),
        &[
            Edit::Write { path: "before".into(), content: Content::Bytes(b"longer than before".to_vec()) },
            Edit::Mode { path: "moded".into(), mode: 0o4755 },
            Edit::Replace { path: "replaced".into(), content: Content::Bytes(b"r".to_vec()) },
            delete("removed"),
            delete("link"),
            delete("dir/two"),
            Edit::Mtime { path: "dir/sub/one-too".into(), mtime: (1, 1) },
        ],
    );
    let damaged = Listing::read(&first.path);
    let second = kitchen.backup();
    let wanted = ["before", "dir/one", "dir/two", "link", "moded", "removed", "replaced"];
    let wanted: Vec<PathBuf> = wanted.iter().map(|path| kitchen.source.join(path)).collect();
    assert_eq!(paths(&second, ProblemKind::Damage), wanted);
    let source = Listing::read(&kitchen.source);
    assert_eq!(source.diff(&kitchen.listing(&second), Compare::COPY), [""; 0]);
    assert_eq!(second.counts.copied_files, 6);
    // The damaged snapshot is left as it is, for people to look at.
    assert_eq!(damaged.diff(&Listing::read(&first.path), Compare::UNTOUCHED), [""; 0]);
    // And what was copied afresh is what is linked from now on.
    kitchen.age();
    let third = kitchen.backup();
    assert_eq!(third.problems.list, []);
    assert_eq!(third.counts.copied_files, 0);
    let found = kitchen.verify().problems;
    let in_first = |path: &[u8]| Path::new(OsStr::from_bytes(path)).starts_with(&first.path);
    assert!(found.list.iter().all(|problem| in_first(&problem.path)), "{:?}", found.list);
    assert!(found.problems >= 6, "{:?}", found.list);
}

#[test]
fn a_snapshot_that_is_gone_is_said_and_nothing_is_linked() {
    let mut kitchen = Kitchen::new();
    small_tree(&kitchen.source);
    let first = kitchen.backup();
    drop(TreeBuilder::new(kitchen.job_dir()).delete(first.path.file_name().expect("a name")));
    let second = kitchen.backup();
    assert!(kinds(&second).contains(&ProblemKind::Notice), "{:?}", second.problems);
    let source = Listing::read(&kitchen.source);
    assert_eq!(source.diff(&kitchen.listing(&second), Compare::COPY), [""; 0]);
    let third = kitchen.backup();
    assert_eq!(third.problems.list, []);
    assert_eq!(third.counts.copied_files, 0);
}

#[test]
fn verify_finds_flipped_bytes_that_no_attribute_tells_of() {
    let mut kitchen = Kitchen::new();
    small_tree(&kitchen.source);
    let summary = kitchen.backup();
    let stored = kitchen.in_snapshot(&summary.path);
    apply(&stored, &[Edit::RewriteKeepingMtime { path: "dir/two".into() }]);
    let found = kitchen.verify().problems.list;
    let there: Vec<_> =
        found.iter().map(|one| (one.kind, PathBuf::from(OsStr::from_bytes(&one.path)))).collect();
    assert_eq!(there, [(ProblemKind::Damage, stored.join("dir/two"))]);
    let structure = VerifyOptions { snapshots: Vec::new(), content: false, threads: Some(2) };
    let found = verify::verify(&kitchen.job(), &structure, &Silent).expect("verified").problems;
    assert_eq!(found.problems, 0);
}

// --- locks and names ---

/// Runs another backup while one is at work.
struct Rival<'a> {
    kitchen: &'a Kitchen,
    refused: Mutex<Option<BackupError>>,
}

impl Monitor for Rival<'_> {
    fn reached(&self, phase: Phase) {
        if phase == Phase::Sync {
            let other =
                backup::backup(&self.kitchen.open(), &Kitchen::job_name(), &self.kitchen.options, &Silent);
            *self.refused.lock().expect("not poisoned") = other.err();
        }
    }
}

#[test]
fn two_runs_at_once_are_one_too_many() {
    let kitchen = Kitchen::new();
    small_tree(&kitchen.source);
    let rival = Rival { kitchen: &kitchen, refused: Mutex::new(None) };
    let summary =
        backup::backup(&kitchen.open(), &Kitchen::job_name(), &kitchen.options, &rival).expect("a snapshot");
    let refused = rival.refused.into_inner().expect("not poisoned").expect("an error");
    assert_eq!(refused.class(), Class::Locked);
    assert!(whole_chain(&refused).contains("a test"), "the holder is not named: {refused}");
    Ledger::default().check_success(&kitchen, &summary);
}

#[test]
fn runs_in_the_same_second_have_names_of_their_own() {
    let kitchen = Kitchen::new();
    small_tree(&kitchen.source);
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        let summary = backup::backup(&kitchen.open(), &Kitchen::job_name(), &kitchen.options, &Silent);
        ledger.check_success(&kitchen, &summary.expect("a snapshot"));
    }
    assert_eq!(kitchen.named(), ["2026-04-08T020000Z", "2026-04-08T020001Z", "2026-04-08T020002Z"]);
}

#[test]
fn the_newest_of_several_runs_in_a_second_has_the_last_name() {
    let mut kitchen = Kitchen::new();
    small_tree(&kitchen.source);
    kitchen.keep_last(2);
    // Retention makes the names of the first ones free again.
    for _ in 0..5 {
        let summary = backup::backup(&kitchen.open(), &Kitchen::job_name(), &kitchen.options, &Silent);
        assert_eq!(summary.expect("a snapshot").problems.problems, 0);
    }
    assert_eq!(kitchen.named(), ["2026-04-08T020003Z", "2026-04-08T020004Z"]);
}

#[test]
fn jobs_stand_beside_each_other() {
    let kitchen = Kitchen::new();
    small_tree(&kitchen.source);
    let run = |name: &str| {
        let name = JobName::parse(name).expect("a valid name");
        backup::backup(&kitchen.open(), &name, &kitchen.options, &Silent)
    };
    let longest = "j".repeat(100);
    for name in ["web1", "a.b_c-d", longest.as_str()] {
        let summary = run(name).expect("a snapshot");
        assert_eq!(summary.path.parent(), Some(kitchen.repository.join(name).as_path()));
        assert_eq!(summary.counts.linked_entries, 1, "only the hard link inside the source");
    }
    // What is no directory is no job, and a link to elsewhere is not followed.
    let outside = tempfile::tempdir().expect("a directory");
    drop(TreeBuilder::new(&kitchen.repository).symlink("linked", outside.path()));
    assert_eq!(run("linked").expect_err("refused").class(), Class::Failed);
    assert_eq!(run("README.txt").expect_err("refused").class(), Class::Failed);
    assert_eq!(Listing::read(outside.path()).iter().count(), 1);
}

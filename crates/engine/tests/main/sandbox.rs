//! Threads that are confined: what they cannot do, whatever they try, and that nothing is kept from them that they need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use linksnap_engine::repository::{Durability, Repository};
use linksnap_engine::sandbox::{self, Confinement, Ground, confined};
use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup;
use linksnap_engine::verbs::restore::{self, Existing, Extra, Ownership, RestoreOptions};
use linksnap_engine::verbs::verify::{self, VerifyOptions};
use linksnap_engine::{Monitor, Phase, Progress, Selector, Wish};
use linksnap_inode::DirFd;
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{needs_kernel, or_skip};

use crate::kitchen::{Kitchen, START};

/// A directory that is none of the program's business, and somebody who listens.
struct Outside {
    path: PathBuf,
    tcp: TcpListener,
    abstract_name: SocketAddr,
    _abstract: UnixListener,
}

type Attempt = (&'static str, fn(&Outside, PathBuf) -> io::Result<()>);

/// Ways out. Each gets a path outside where nothing is yet.
const ATTEMPTS: [Attempt; 13] = [
    ("make a file", |_, new| File::create(new).map(drop)),
    ("write to a file", |outside, _| File::options().write(true).open(outside.victim()).map(drop)),
    ("truncate a file", |outside, _| truncate(&outside.victim())),
    ("make a directory", |_, new| fs::create_dir(new)),
    ("make a symbolic link", |_, new| symlink("x", new)),
    ("make a socket", |_, new| UnixListener::bind(new).map(drop)),
    ("link a file", |outside, new| fs::hard_link(outside.victim(), new)),
    ("rename a file", |outside, new| fs::rename(outside.victim(), new)),
    ("remove a file", |outside, _| fs::remove_file(outside.victim())),
    ("remove a directory", |outside, _| fs::remove_dir(outside.path.join("empty"))),
    ("connect to a port", |outside, _| TcpStream::connect(outside.tcp.local_addr()?).map(drop)),
    ("listen at a port", |_, _| TcpListener::bind("127.0.0.1:0").map(drop)),
    ("connect to an abstract socket", |outside, _| {
        UnixStream::connect_addr(&outside.abstract_name).map(drop)
    }),
];

fn truncate(path: &Path) -> io::Result<()> {
    File::options().append(true).open(path)?.set_len(0)
}

impl Outside {
    fn new(path: &Path) -> Self {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("linksnap-test-{}-{}", std::process::id(), path.display());
        let abstract_name = SocketAddr::from_abstract_name(name).expect("a short name");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port of its own");
        let listener = UnixListener::bind_addr(&abstract_name).expect("a name of its own");
        drop(TreeBuilder::new(path).file("victim", "victim").dir("empty"));
        Self { path: path.to_path_buf(), tcp, abstract_name, _abstract: listener }
    }

    fn victim(&self) -> PathBuf {
        self.path.join("victim")
    }
}

/// Tries to get out whenever a verb lets it, on whatever thread that is.
struct Escapee<'a> {
    outside: &'a Outside,
    tried: AtomicU64,
    /// What it could do.
    done: Mutex<BTreeMap<&'static str, u64>>,
}

impl<'a> Escapee<'a> {
    fn new(outside: &'a Outside) -> Self {
        Self { outside, tried: AtomicU64::new(0), done: Mutex::default() }
    }

    fn try_all(&self) {
        let number = self.tried.fetch_add(1, Ordering::Relaxed);
        for (what, attempt) in ATTEMPTS {
            match attempt(self.outside, self.outside.path.join(format!("new{number}"))) {
                Ok(()) => *self.done.lock().expect("no panic").entry(what).or_default() += 1,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }

    #[track_caller]
    fn assert_kept_in(&self) {
        assert_eq!(*self.done.lock().expect("no panic"), BTreeMap::new());
        assert!(self.tried.load(Ordering::Relaxed) > 3, "it was let try");
        let left = Listing::read(&self.outside.path);
        assert_eq!(left.iter().count(), 3, "{left:?}");
        assert_eq!(fs::read(self.outside.victim()).expect("it is there"), b"victim");
    }
}

impl Monitor for Escapee<'_> {
    fn progress(&self, _progress: &Progress) {
        self.try_all();
    }

    fn reached(&self, _phase: Phase) {
        self.try_all();
    }

    fn wish(&self) -> Wish {
        self.try_all();
        Wish::GoOn
    }
}

/// A confined deed; `None` if the kernel cannot confine it in every way.
fn within<R: Send>(grounds: &[Ground<'_>], deed: impl FnOnce() -> R + Send) -> Option<R> {
    let told = Mutex::new(None);
    let tell = |confinement: &Confinement| *told.lock().expect("no panic") = Some(confinement.clone());
    let done = confined(grounds, tell, deed);
    (told.into_inner().expect("no panic") == Some(Confinement::Full)).then_some(done)
}

fn has_landlock() -> bool {
    within(&[], || ()).is_some()
}

fn small_source(kitchen: &Kitchen) {
    let tree = TreeBuilder::new(&kitchen.source).file("a/file", "a").file("a/b/file", vec![b'b'; 100_000]);
    drop(tree.symlink("a/link", "file").fifo("a/fifo").hard_link("a/file", "a/b/too").file("c/d/e/f", "f"));
}

#[test]
fn who_is_not_confined_can_do_all_of_it() {
    for (what, attempt) in ATTEMPTS {
        let own = tempfile::tempdir().expect("a directory");
        let outside = Outside::new(own.path());
        attempt(&outside, outside.path.join("new")).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

#[test]
fn no_verb_gets_out() {
    needs_kernel!(has_landlock(), "Landlock, version 6");
    let own = tempfile::tempdir().expect("a directory");
    let outside = Outside::new(own.path());
    let mut kitchen = Kitchen::new();
    small_source(&kitchen);
    let repository = kitchen.open();
    let ground = [Ground::Tree(repository.dir())];
    for round in 0..3 {
        drop(TreeBuilder::new(&kitchen.source).file("c/d/new", format!("{round}")));
        kitchen.keep_last(2);
        let escapee = Escapee::new(&outside);
        let source = Listing::read(&kitchen.source);
        let summary =
            within(&ground, || kitchen.try_backup(&escapee)).expect("Landlock").expect("a snapshot");
        assert_eq!(summary.problems.list, []);
        assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
        escapee.assert_kept_in();
    }
    let job = kitchen.job();
    let catalog = [Ground::Catalog(job.workshop())];

    let escapee = Escapee::new(&outside);
    let options = VerifyOptions { snapshots: Vec::new(), content: true, threads: Some(2) };
    let found = within(&catalog, || verify::verify(&job, &options, &escapee)).expect("Landlock");
    assert_eq!(found.expect("verified").problems.list, []);
    escapee.assert_kept_in();

    let escapee = Escapee::new(&outside);
    let target = tempfile::tempdir().expect("a directory");
    let target_dir = DirFd::open_root(target.path()).expect("it is there");
    let snapshot = job.select(&Selector::parse("latest")).expect("a snapshot");
    let options = RestoreOptions {
        paths: Vec::new(),
        // What is not there yet is made first; from then on nothing but that can be written.
        target: target.path().join("new/target"),
        existing: Existing::Refuse,
        extra: Extra::Stay,
        ownership: Ownership::Numeric,
    };
    let restored = within(&[catalog[0], Ground::Tree(&target_dir)], || {
        restore::restore(&job, &snapshot, &options, &escapee)
    });
    assert_eq!(restored.expect("Landlock").expect("restored").problems.list, []);
    escapee.assert_kept_in();

    let escapee = Escapee::new(&outside);
    let ground = [Ground::Tree(job.dir())];
    let pruned = within(&ground, || kitchen.try_prune(1, Fate::Scaffold, &escapee)).expect("Landlock");
    assert_eq!(pruned.expect("pruned").plan.dropped().count(), 1);
    escapee.assert_kept_in();
    drop(TreeBuilder::new(&kitchen.source).file("c/d/new", "after"));
    drop(kitchen.backup());

    let escapee = Escapee::new(&outside);
    let deleted = within(&ground, || kitchen.try_delete(&["latest~1"], &escapee)).expect("Landlock");
    assert_eq!(deleted.expect("deleted").stuck, []);
    escapee.assert_kept_in();
    kitchen.assert_sound();
    kitchen.assert_accounts();
}

#[test]
fn a_restore_writes_below_its_target_only() {
    needs_kernel!(has_landlock(), "Landlock, version 6");
    let mut kitchen = Kitchen::new();
    small_source(&kitchen);
    drop(kitchen.backup());
    let job = kitchen.job();
    let snapshot = job.select(&Selector::parse("latest")).expect("a snapshot");
    // The target is missing: at first the thread may write where it is to be made, beside it.
    let base = tempfile::tempdir().expect("a directory");
    let outside = base.path().join("outside");
    fs::create_dir(&outside).expect("a directory");
    let outside = Outside::new(&outside);
    let escapee = LateEscapee(Escapee::new(&outside), base.path().join("target"));
    let dir = DirFd::open_root(base.path()).expect("it is there");
    let options = RestoreOptions {
        paths: Vec::new(),
        target: base.path().join("target"),
        existing: Existing::Refuse,
        extra: Extra::Stay,
        ownership: Ownership::Numeric,
    };
    let restored = within(&[Ground::Tree(&dir), Ground::Catalog(job.workshop())], || {
        restore::restore(&job, &snapshot, &options, &escapee)
    });
    assert_eq!(restored.expect("Landlock").expect("restored").problems.list, []);
    escapee.0.assert_kept_in();
}

/// Tries when the target is there.
struct LateEscapee<'a>(Escapee<'a>, PathBuf);

impl Monitor for LateEscapee<'_> {
    fn progress(&self, _progress: &Progress) {
        if self.1.exists() {
            self.0.try_all();
        }
    }
}

#[test]
fn a_catalog_is_all_that_a_reader_may_write() {
    needs_kernel!(has_landlock(), "Landlock, version 6");
    let mut kitchen = Kitchen::new();
    small_source(&kitchen);
    let summary = kitchen.backup();
    let job = kitchen.job();
    let stored = kitchen.in_snapshot(&summary.path).join("a/file");
    let workshop = job.path().join(".linksnap");
    let refused = within(&[Ground::Catalog(job.workshop())], || {
        fs::write(workshop.join("beside"), "as SQLite does").expect("allowed");
        fs::remove_file(workshop.join("beside")).expect("allowed");
        [
            File::options().write(true).open(&stored).map(drop),
            fs::remove_file(&stored),
            fs::rename(&stored, workshop.join("stolen")),
            fs::hard_link(&stored, workshop.join("linked")),
            fs::rename(job.path().join("latest"), job.path().join("newest")),
            fs::create_dir(workshop.join("directory")),
            fs::remove_dir(workshop.join("trash")),
        ]
    });
    for result in refused.expect("Landlock") {
        let kind = result.expect_err("refused").kind();
        assert!(matches!(kind, ErrorKind::PermissionDenied | ErrorKind::CrossesDevices), "{kind:?}");
    }
    kitchen.assert_sound();
}

#[test]
fn a_new_repository_is_all_that_its_maker_may_write() {
    needs_kernel!(has_landlock(), "Landlock, version 6");
    let base = tempfile::tempdir().expect("a directory");
    let dir = DirFd::open_root(base.path()).expect("it is there");
    let beside = base.path().join("beside");
    let made = within(&[Ground::Tree(&dir)], || {
        let path = base.path().join("new/repository");
        let made = Repository::create(&path, START, Durability::Degraded).map(drop);
        (made, fs::write(&beside, "x").map_err(|error| error.kind()))
    });
    let (made, written) = made.expect("Landlock");
    made.expect("a repository");
    assert_eq!(written, Err(ErrorKind::PermissionDenied));
}

#[test]
fn a_panic_leaves_the_sandbox_and_the_sandbox_ends_with_its_thread() {
    let caught =
        std::panic::catch_unwind(|| confined(&[], |_| (), || std::panic::resume_unwind(Box::new(7))));
    assert_eq!(caught.expect_err("it panics").downcast_ref::<i32>(), Some(&7));
    let own = tempfile::tempdir().expect("a directory");
    fs::write(own.path().join("free"), "again").expect("this thread is free");
}

/// Links, renames, clones and attributes: whatever a run needs of each filesystem.
fn a_life_in_the_sandbox(kind: FsKind, mib: u64) {
    let disk = or_skip!(LoopFs::create(kind, mib, &[]));
    let mut kitchen = Kitchen::in_dir(&disk.path());
    small_source(&kitchen);
    let devices = TreeBuilder::new(&kitchen.source).char_device("null", 1, 3).socket("socket");
    drop(devices.xattr("a/file", "user.x", "y").sparse("hole", 1 << 30).mode("c/d", 0o500).owner("c", 7, 8));
    kitchen.keep_last(2);
    for round in 0..3 {
        drop(
            TreeBuilder::new(&kitchen.source)
                .file("c/d/new", format!("{round}"))
                .mode("a/file", 0o600 + round),
        );
        let repository = kitchen.open();
        let source = Listing::read(&kitchen.source);
        let done = within(&[Ground::Tree(repository.dir())], || kitchen.try_backup(&linksnap_engine::Silent));
        let summary = done.expect("Landlock").expect("a snapshot");
        assert_eq!(summary.problems.list, []);
        assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
    }
    kitchen.assert_sound();
    kitchen.assert_accounts();
}

#[test]
fn a_run_and_a_delete_give_rules_to_where_most_of_their_work_will_be() {
    needs_kernel!(has_landlock(), "Landlock, version 6");
    let mut kitchen = Kitchen::new();
    small_source(&kitchen);
    let first = kitchen.backup();
    kitchen.options.now += 60;
    let repository = kitchen.open();
    let name = Kitchen::job_name();
    let mut prepared = backup::prepare(&repository, &name, &kitchen.options, &linksnap_engine::Silent)
        .expect("everything is there");
    let identities = |trunks: &[DirFd]| -> BTreeSet<(u64, u64)> {
        trunks.iter().map(|trunk| trunk.stat().expect("attributes").identity()).collect()
    };
    let of =
        |path: PathBuf| DirFd::open_root(&path).expect("a directory").stat().expect("attributes").identity();
    let trunks = prepared.take_trunks();
    let [staging, basis] =
        [kitchen.workshop().join("staging"), first.path.clone()].map(|tree| of(kitchen.in_snapshot(&tree)));
    assert!(identities(&trunks).is_superset(&[of(kitchen.workshop()), staging, basis].into()));
    let grounds: Vec<_> = trunks.iter().chain([repository.dir()]).map(Ground::Tree).collect();
    let summary = within(&grounds, || prepared.run()).expect("Landlock").expect("a snapshot");
    assert_eq!((summary.counts.made_inodes, &summary.problems.list[..]), (0, [].as_slice()));

    let (job, doomed) = (kitchen.job(), kitchen.snapshots());
    let trunks = sandbox::trunks(&job, &doomed);
    assert!(identities(&trunks).is_superset(&[basis, of(summary.path.clone())].into()));
}

#[test]
fn ext4_gives_all_that_is_needed() {
    needs_kernel!(has_landlock(), "Landlock, version 6");
    a_life_in_the_sandbox(FsKind::Ext4, 64);
}

#[test]
fn xfs_gives_all_that_is_needed() {
    needs_kernel!(has_landlock(), "Landlock, version 6");
    a_life_in_the_sandbox(FsKind::Xfs, FsKind::Xfs.least_mib());
}

#[test]
fn btrfs_gives_all_that_is_needed() {
    needs_kernel!(has_landlock(), "Landlock, version 6");
    a_life_in_the_sandbox(FsKind::Btrfs, FsKind::Btrfs.least_mib());
}

//! An ordinary user who swaps directories and files for links to what only root may read or write, thousands of times,
//! while root is at work there.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use linksnap_engine::Selector;
use linksnap_engine::Silent;
use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::restore::{self, Existing, Extra, Ownership, RestoreOptions};
use linksnap_testkit::swapper::{self, NOBODY, Swapper};
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{skip, skip_unless};
use tempfile::TempDir;

use crate::kitchen::Kitchen;

const ENTRY: &str = "races::attacker_entry";
/// In every file that only root may read.
const SECRET: &[u8] = b"SECRET-THAT-NO-SNAPSHOT-MAY-HAVE";
/// A name that only root may see.
const HIDDEN: &str = "unheard-of";
const DIRECTORIES: usize = 6;
const FILES: usize = 6;

#[test]
#[ignore = "run as a child by the tests here"]
fn attacker_entry() {
    swapper::work();
}

/// A directory of root's, with the names of the tree that is attacked, and one of the attacker's.
struct Arena {
    own: TempDir,
}

/// All that would betray a touch: path, inode, mode, owner, size, mtime and ctime in ns.
type Traces = Vec<(PathBuf, [i64; 8])>;

impl Arena {
    /// In memory, if there is such a place: what counts is how much happens, not what reaches a disk.
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let own = tempfile::tempdir_in(base).expect("a directory");
        fs::set_permissions(own.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let arena = Self { own };
        fs::DirBuilder::new().mode(0o700).create(arena.vault()).expect("a directory");
        let mut vault = TreeBuilder::new(arena.vault()).file(HIDDEN, SECRET);
        for name in names() {
            vault = vault.file(&name, SECRET).mode(&name, 0o600);
        }
        drop(vault);
        arena
    }

    fn path(&self) -> PathBuf {
        self.own.path().canonicalize().expect("it is there")
    }

    fn vault(&self) -> PathBuf {
        self.path().join("vault")
    }

    /// What is root's, in every detail.
    fn traces(&self) -> Traces {
        let mut traces = Vec::new();
        let mut waiting = vec![self.vault()];
        while let Some(path) = waiting.pop() {
            let stat = path.symlink_metadata().expect("it is there");
            if stat.is_dir() {
                waiting.extend(fs::read_dir(&path).expect("ours").map(|entry| entry.expect("ours").path()));
            }
            let numbers = [stat.ino() as i64, stat.mode().into(), stat.uid().into(), stat.size() as i64];
            let times = [stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec()];
            traces.push((path, [numbers, times].concat().try_into().expect("eight")));
        }
        traces.sort();
        traces
    }

    /// The attacker's tree at `root`: every directory and file has a link beside it that leads to root's.
    fn prepare(&self, root: &Path) {
        fs::create_dir_all(root).expect("a directory");
        let vault = self.vault();
        for directory in 0..DIRECTORIES {
            let directory = root.join(format!("d{directory}"));
            for name in names() {
                let path = directory.join(&name);
                fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
                fs::write(&path, format!("harmless {}", path.display())).expect("written");
                symlink(vault.join(&name), directory.join(format!("{name}.link"))).expect("a link");
            }
            for dir in [directory.clone(), directory.join("sub")] {
                let name = dir.file_name().expect("a name").to_str().expect("plain");
                symlink(&vault, dir.with_file_name(format!("{name}.link"))).expect("a link");
            }
            // What has no content of its own, and what is only there while something is restored over another.
            drop(TreeBuilder::new(&directory).fifo("fifo").char_device("device", 1, 3).symlink("text", "x"));
            for name in ["fifo", "device", "text", ".linksnap-restore"] {
                symlink(vault.join("f0"), directory.join(format!("{name}.link"))).expect("a link");
            }
        }
        symlink(&vault, root.with_extension("link")).expect("a link");
        give_all(root);
    }
}

fn names() -> Vec<String> {
    let of = |dir: &str| (0..FILES).map(|file| format!("{dir}f{file}")).collect::<Vec<_>>();
    [of(""), of("sub/")].concat()
}

/// Gives a tree, and the directory that it is in, to nobody.
fn give_all(root: &Path) {
    let mut waiting = vec![root.parent().expect("a directory").to_path_buf(), root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        std::os::unix::fs::lchown(&path, Some(NOBODY), Some(NOBODY)).expect("root may");
        let is_dir = path.symlink_metadata().expect("it is there").is_dir();
        if is_dir && path.starts_with(root) {
            waiting
                .extend(fs::read_dir(&path).expect("it is there").map(|entry| entry.expect("ours").path()));
        }
    }
}

/// Nothing that only root may know is stored below `path`: neither bytes nor names. How many files were looked at.
fn assert_no_secret(path: &Path) -> usize {
    let mut files = 0;
    let mut waiting = vec![path.to_path_buf()];
    while let Some(path) = waiting.pop() {
        assert_ne!(path.file_name().expect("a name"), HIDDEN, "{}", path.display());
        let stat = path.symlink_metadata().expect("it is there");
        if stat.is_dir() {
            waiting
                .extend(fs::read_dir(&path).expect("it is there").map(|entry| entry.expect("ours").path()));
        } else if stat.is_file() {
            let bytes = fs::read(&path).expect("it is there");
            let has = |wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
            assert!(!has(SECRET) && !has(HIDDEN.as_bytes()), "{}", path.display());
            files += 1;
        }
    }
    files
}

#[test]
fn a_swapped_source_never_leads_to_a_secret() {
    skip_unless!(skip::is_root(), "needs root to become somebody else");
    let arena = Arena::new();
    let home = arena.path().join("home");
    let mut kitchen = Kitchen::across(&home, &arena.path());
    fs::remove_dir(&kitchen.source).expect("empty");
    arena.prepare(&kitchen.source);
    let before = arena.traces();
    let swapper = Swapper::start(ENTRY, &[&home]);
    kitchen.keep_last(4);
    let mut published = 0;
    for _ in 0..40 {
        // The source itself is swapped, too: then there is no run, or nothing of it.
        if let Ok(summary) = kitchen.try_backup(&Silent) {
            assert_no_secret(&summary.path);
            published += 1;
        }
    }
    let swaps = swapper.stop();
    assert_no_secret(&kitchen.repository);
    println!("{swaps} swaps, {published} snapshots");
    assert!(swaps > 5_000 && published > 5, "{swaps} swaps, {published} snapshots");
    assert_eq!(arena.traces(), before);
    kitchen.assert_sound();
}

#[test]
fn a_swapped_target_never_leads_elsewhere() {
    skip_unless!(skip::is_root(), "needs root to become somebody else");
    let arena = Arena::new();
    let mut kitchen = Kitchen::across(&arena.path().join("home"), &arena.path());
    fs::remove_dir(&kitchen.source).expect("empty");
    arena.prepare(&kitchen.source);
    drop(kitchen.backup());
    let target = arena.path().join("mallory/target");
    arena.prepare(&kitchen.in_snapshot(&target));
    let before = arena.traces();
    let (job, mut whole) = (kitchen.job(), 0);
    let snapshot = job.select(&Selector::parse("latest")).expect("a snapshot");
    let paths = vec![linksnap_inode::dir::path_bytes(&kitchen.source).to_vec()];
    let options = RestoreOptions {
        paths,
        target: target.clone(),
        existing: Existing::Overwrite,
        extra: Extra::Stay,
        ownership: Ownership::Numeric,
    };
    let swapper = Swapper::start(ENTRY, &[&target]);
    for _ in 0..60 {
        whole += u32::from(restore::restore(&job, &snapshot, &options, &Silent).is_ok());
        assert_eq!(arena.traces(), before);
    }
    let swaps = swapper.stop();
    println!("{swaps} swaps, {whole} whole restores");
    assert!(swaps > 5_000, "{swaps}");
    assert_no_secret(&target);
    kitchen.assert_sound();
}

#[test]
fn a_swapped_snapshot_never_leads_a_delete_elsewhere() {
    skip_unless!(skip::is_root(), "needs root to become somebody else");
    let arena = Arena::new();
    let mut kitchen = Kitchen::across(&arena.path().join("home"), &arena.path());
    fs::remove_dir(&kitchen.source).expect("empty");
    arena.prepare(&kitchen.source);
    let before = arena.traces();
    drop(kitchen.backup());
    let swapper = Swapper::start(ENTRY, &[&kitchen.repository]);
    let (mut made, mut gone) = (0, 0);
    for round in 0..1000 {
        if round >= 30 && made > 2 && gone > 2 {
            break;
        }
        made += usize::from(kitchen.try_backup(&Silent).is_ok());
        open_up(&kitchen.repository);
        let fate = if round % 2 == 0 { Fate::Scaffold } else { Fate::Trash };
        gone += kitchen.try_prune(2, fate, &Silent).map_or(0, |pruned| pruned.plan.dropped().count());
        if kitchen.named().len() > 1 {
            gone += usize::from(kitchen.try_delete(&["oldest"], &Silent).is_ok());
        }
        assert_eq!(arena.traces(), before, "round {round}");
    }
    let swaps = swapper.stop();
    println!("{swaps} swaps, {made} snapshots, {gone} gone");
    assert!(swaps > 5_000 && made > 2 && gone > 2, "{swaps} swaps, {made} snapshots, {gone} gone");
    assert_no_secret(&kitchen.repository);
    // With him gone, the first run says what he did to the newest snapshot, and makes all of it anew.
    drop(kitchen.backup());
    assert_eq!(kitchen.backup().problems.list, []);
    assert_eq!(arena.traces(), before);
}

/// What an administrator should not do: lets everybody into the repository.
fn open_up(repository: &Path) {
    let job = repository.join("job");
    let workshop = job.join(".linksnap");
    let inner = ["trash", "retired", "staging"].map(|name| workshop.join(name));
    for dir in [repository.to_path_buf(), job, workshop].iter().chain(&inner).filter(|dir| dir.is_dir()) {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("ours");
    }
}

//! A source with everything in it, a repository, and the program.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use linksnap_testkit::listing::Listing;
use linksnap_testkit::skip;
use linksnap_testkit::tree::{Content, Edit, TreeBuilder, try_apply};
use tempfile::TempDir;

/// `source/`, `repo/`, `target/`, and where traces go.
pub struct Scene {
    _own: TempDir,
    pub base: PathBuf,
}

impl Scene {
    /// With a source, an empty repository, and a configuration that keeps two snapshots.
    pub fn new() -> Self {
        let scene = Self::bare();
        scene.run(1, &["init", "--degraded"]);
        scene
    }

    /// Without a repository.
    pub fn bare() -> Self {
        let own = somewhere();
        let base = fs::canonicalize(own.path()).expect("it is there");
        fs::create_dir(base.join("log")).expect("made");
        fs::write(base.join("keep.toml"), "[defaults]\nkeep = { last = 2 }\n").expect("written");
        let scene = Self { _own: own, base };
        scene.furnish();
        scene
    }

    pub fn source(&self) -> PathBuf {
        self.base.join("source")
    }

    fn furnish(&self) {
        let mut tree = TreeBuilder::new(self.source())
            .file("a", "alpha")
            .file("big", vec![b'b'; 300_000])
            .sparse("holes", 400_000)
            .file("dir/one", "one")
            .file("dir/two", "two")
            .file("dir/deep/er/file", "deep")
            .hard_link("dir/one", "dir/deep/one-too")
            .symlink("dir/link", "one")
            .fifo("dir/fifo")
            .socket("socket")
            .dir("empty")
            .file("old/gone", "it goes")
            .xattr("a", "user.colour", "blue")
            .xattr("dir", "user.colour", "green")
            .mode("dir/two", 0o4751)
            .mode("empty", 0o1770);
        if skip::is_root() {
            tree = tree.char_device("zero", 1, 5).owner("dir/two", 12, 34).owner("dir/link", 56, 78);
            tree = tree.owner("empty", 12, 34).mode("dir/two", 0o4751);
        }
        drop(tree);
    }

    /// Changes the source; each round differently.
    pub fn change(&self, round: u8) {
        let content = Content::Bytes(format!("alpha of round {round}").into_bytes());
        let tree = TreeBuilder::new(self.source())
            .edit(Edit::Replace { path: "a".into(), content })
            .file(format!("new/{round}"), vec![round; 5000])
            .file("dir/two", format!("two {round}"))
            .mode("dir/one", 0o600 + u32::from(round % 8))
            .symlink("dir/other-link", format!("{round}"));
        let before = format!("new/{}", round - 1);
        drop(if self.source().join(&before).exists() { tree.delete(before) } else { tree.delete("old") });
    }

    /// A snapshot on each of the first days, the source changed in between.
    pub fn history(&self, days: u8) {
        for day in 1..=days {
            self.run(day, &["backup", "--job", "demo", "source"]);
            if day < days {
                self.change(day);
            }
        }
    }

    /// The program with a bare environment; the clock shows that day of a month.
    pub fn command<A: AsRef<OsStr>>(&self, day: u8, args: &[A]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linksnap"));
        command
            .args(args)
            .env_clear()
            .env("TZ", "UTC")
            .env("HOME", &self.base)
            .env("LINKSNAP_REPO", self.base.join("repo"))
            .env("LINKSNAP_NOW", format!("2026-04-{day:02}T02:00:00Z"))
            .current_dir(&self.base)
            .stdin(Stdio::null());
        command
    }

    pub fn output(&self, day: u8, args: &[&str]) -> Output {
        self.command(day, args).output().expect("the program runs")
    }

    /// Runs the program, which must do its deed.
    #[track_caller]
    pub fn run(&self, day: u8, args: &[&str]) -> Output {
        let output = self.output(day, args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        output
    }

    /// The names of the snapshots on the disk, sorted.
    pub fn snapshots(&self) -> Vec<String> {
        let Ok(names) = fs::read_dir(self.base.join("repo/demo")) else { return Vec::new() };
        let names = names.map(|entry| entry.expect("read").file_name().into_string().expect("plain"));
        let mut names: Vec<String> = names.filter(|name| name.starts_with("20")).collect();
        names.sort();
        names
    }

    pub fn snapshot_path(&self, name: &str) -> PathBuf {
        self.base.join("repo/demo").join(name)
    }

    /// What a snapshot, or the target of a restore, has of the source, if anything.
    pub fn copy_in(&self, tree: &Path) -> Option<Listing> {
        let path = tree.join(self.source().strip_prefix("/").expect("absolute"));
        path.is_dir().then(|| Listing::read(&path))
    }
}

/// In memory, if files there can have attributes: what a sync costs is not the question here, and it is called more
/// than ten thousand times.
fn somewhere() -> TempDir {
    let xattr = Edit::SetXattr { path: "".into(), name: "user.colour".into(), value: b"red".to_vec() };
    let in_memory = tempfile::tempdir_in("/dev/shm").ok();
    let usable = in_memory.filter(|directory| try_apply(directory.path(), &xattr).is_ok());
    usable.unwrap_or_else(|| tempfile::tempdir().expect("a temporary directory"))
}

/// Which entries may have other change times than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Of files: a new name, or one name less, is a change of the inode, but of nothing that it holds.
    Come,
    /// None.
    Stay,
}

/// Inode numbers and change times of all below a path: what no program can put back.
pub fn change_times(root: &Path, links: Links) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let stat = path.symlink_metadata().expect("it is there");
        if stat.is_dir() {
            waiting.extend(fs::read_dir(&path).expect("read").map(|entry| entry.expect("read").path()));
        }
        let counts = stat.is_dir() || links == Links::Stay;
        let time = if counts { (stat.ctime(), stat.ctime_nsec()) } else { (0, 0) };
        found.insert(path, (stat.ino(), time.0, time.1));
    }
    found
}

//! A place of its own for each test: a source, a repository, a clock, and a binary that sees nothing else.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The time of the first run, unless a test says otherwise.
pub const NOW: &str = "2026-04-08T02:00:00Z";
/// The name of a snapshot made then.
pub const NAME: &str = "2026-04-08T020000Z";

/// A temporary directory with `source/` in it; the repository will be `repo/`.
pub struct Stage {
    directory: TempDir,
}

/// What came of a call.
#[derive(Debug)]
pub struct Called {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Stage {
    /// With an empty source.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("source")).unwrap();
        Self { directory }
    }

    /// With a few files, and a first snapshot of them in the job `demo`.
    pub fn with_snapshot() -> Self {
        let stage = Self::new();
        stage.write("source/a.txt", "alpha");
        stage.write("source/sub/b.txt", "beta");
        std::os::unix::fs::symlink("a.txt", stage.path("source/link")).unwrap();
        stage.init();
        stage.backup(NOW).succeeded();
        stage
    }

    /// The absolute path of something on the stage, no symbolic link on the way.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(below)
    }

    /// The path of something in a snapshot of the job `demo` that was taken of this stage.
    pub fn in_snapshot(&self, snapshot: &str, below: &str) -> PathBuf {
        let source = self.path("source").join(below);
        let source = source.strip_prefix("/").unwrap();
        self.path("repo/demo").join(snapshot).join(source)
    }

    /// Writes a file, with its parents.
    pub fn write(&self, below: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Makes the repository. Tests run on any filesystem, so on those that promise nothing too.
    pub fn init(&self) {
        self.call(["init", "--degraded"]).succeeded();
    }

    /// Backs up the source to the job `demo`.
    pub fn backup(&self, now: &str) -> Called {
        self.call_at(now, ["backup", "--job", "demo", "source"])
    }

    /// Runs the binary.
    pub fn call<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Called {
        self.call_at(NOW, args)
    }

    /// Runs the binary at a time.
    pub fn call_at<A: AsRef<OsStr>>(&self, now: &str, args: impl IntoIterator<Item = A>) -> Called {
        Called::of(self.command(args).env("LINKSNAP_NOW", now).output().unwrap())
    }

    /// The binary with a bare environment, the repository of this stage, and the stage as its directory.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linksnap"));
        command
            .args(args)
            .env_clear()
            .env("TZ", "UTC")
            .env("HOME", self.path(""))
            .env("LINKSNAP_REPO", self.path("repo"))
            .env("LINKSNAP_NOW", NOW)
            .current_dir(self.path(""))
            .stdin(Stdio::null());
        command
    }

    /// Backs up the source to the job `demo` at each of these times.
    pub fn backups<'a>(&self, times: impl IntoIterator<Item = &'a str>) {
        times.into_iter().for_each(|now| drop(self.backup(now).succeeded()));
    }

    /// The snapshots of the job `demo` that bear their names, sorted.
    pub fn snapshots(&self) -> Vec<String> {
        let names = fs::read_dir(self.path("repo/demo")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("20")).collect();
        names.sort();
        names
    }

    /// What the snapshots of the job `demo` hold on the disk, each inode once: how many inodes, and how many bytes.
    pub fn held(&self) -> (u64, u64) {
        let mut seen = BTreeSet::new();
        let mut bytes = 0;
        let mut waiting: Vec<PathBuf> =
            self.snapshots().iter().map(|name| self.path("repo/demo").join(name)).collect();
        while let Some(path) = waiting.pop() {
            let stat = path.symlink_metadata().unwrap();
            if stat.is_dir() {
                waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            if seen.insert(stat.ino()) && stat.is_file() {
                bytes += stat.size();
            }
        }
        (seen.len() as u64, bytes)
    }

    /// All below a path with what would betray a change, sorted: to be compared before and after.
    pub fn listing(&self, below: &str) -> Vec<(PathBuf, u64, i64, i64, u64)> {
        let mut listing = Vec::new();
        let mut waiting = vec![self.path(below)];
        while let Some(path) = waiting.pop() {
            let stat = path.symlink_metadata().unwrap();
            if stat.is_dir() {
                waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            // Reading a SQLite database in WAL mode makes and removes a file beside it.
            let time = match path.ends_with(".linksnap") {
                true => (0, 0),
                false => (stat.mtime(), stat.mtime_nsec()),
            };
            listing.push((path, stat.ino(), time.0, time.1, stat.size()));
        }
        listing.sort();
        listing
    }
}

impl Called {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The lines of standard output as bytes.
    pub fn lines(&self) -> Vec<OsString> {
        let lines = self.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| OsStr::from_bytes(line).to_owned()).collect()
    }

    /// Standard output as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON line with that type.
    pub fn json_line(&self, kind: &str) -> serde_json::Value {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.into_iter().find(|line| line["type"] == kind).unwrap_or_else(|| panic!("{self:?}"))
    }

    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    #[track_caller]
    pub fn succeeded(self) -> Self {
        self.exited(0)
    }

    /// Standard error has all these parts.
    #[track_caller]
    pub fn said(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is missing: {self:?}");
        }
        self
    }
}

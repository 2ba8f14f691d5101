//! Trees that nobody made for a test, with rsync as the judge.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_engine::verbs::backup::{BackupSummary, Thoroughness};
use linksnap_testkit::listing::{Compare, Kind, Listing};
use linksnap_testkit::tree::{Content, Edit, TreeBuilder, apply};
use linksnap_testkit::{rsync, skip, skip_unless};

use crate::kitchen::Kitchen;

fn assert_rsync_finds_nothing(kitchen: &Kitchen, summary: &BackupSummary) {
    assert_eq!(summary.problems.list, []);
    let snapshot = kitchen.in_snapshot(&summary.path);
    assert_eq!(rsync::differences(&kitchen.source, &snapshot), [""; 0]);
}

/// Fewer entries make no large tree.
const LARGE: u64 = 50_000;

#[test]
fn a_large_tree_of_this_machine_is_copied_and_then_linked() {
    skip_unless!(skip::has_tool("rsync"), "rsync is missing");
    skip_unless!(skip::is_root(), "others may not read all of /usr, nor keep its owners");
    let source = cheapest_large_tree(Path::new("/usr"));
    skip_unless!(source.is_some(), "/usr has fewer than {LARGE} entries");
    let mut kitchen = Kitchen::new();
    kitchen.source = source.expect("just looked");
    kitchen.options.sources = vec![kitchen.source.clone()];
    kitchen.options.validate = Thoroughness::default();
    let before = Listing::read(&kitchen.source);

    let first = kitchen.backup();
    assert_rsync_finds_nothing(&kitchen, &first);
    let first_listing = kitchen.listing(&first);
    assert_eq!(before.diff(&first_listing, Compare::COPY), [""; 0]);

    let second = kitchen.backup();
    assert_rsync_finds_nothing(&kitchen, &second);
    let second_listing = kitchen.listing(&second);
    let leaves = second_listing.iter().filter(|(_, entry)| entry.kind != Kind::Directory).count();
    let counts = second.counts;
    // Nobody has written into it for two seconds: not a byte was read.
    assert_eq!((counts.linked_entries, counts.copied_files, counts.reused), (leaves as u64, 0, 0));
    assert_eq!(kitchen.begun_versions(), 0);
    assert_eq!(second_listing.shared_with(&first_listing).len(), leaves);

    let untouched = |listing: &Listing, root: &Path| listing.diff(&Listing::read(root), Compare::UNTOUCHED);
    assert_eq!(untouched(&first_listing, &kitchen.in_snapshot(&first.path)), [""; 0]);
    assert_eq!(untouched(&before, &kitchen.source), [""; 0]);
}

/// The directory at most two levels below `top`, or that itself, which is large and has the fewest bytes.
fn cheapest_large_tree(top: &Path) -> Option<PathBuf> {
    let mut candidates = vec![top.to_path_buf()];
    for level in 0..2 {
        let parents =
            candidates.iter().filter(|path| path.components().count() == top.components().count() + level);
        candidates.extend(parents.flat_map(|parent| directories_in(parent)).collect::<Vec<_>>());
    }
    let sized = candidates.into_iter().map(|path| (size_of(&path), path));
    let large = sized.filter(|((entries, _), _)| *entries >= LARGE);
    large.min_by_key(|((_, bytes), _)| *bytes).map(|(_, path)| path)
}

fn directories_in(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Entries and bytes.
fn size_of(path: &Path) -> (u64, u64) {
    let (mut entries, mut bytes) = (0, 0);
    let mut directories = vec![path.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            entries += 1;
            bytes += entry.metadata().map_or(0, |stat| stat.blocks() * 512);
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(entry.path());
            }
        }
    }
    (entries, bytes)
}

/// A directory under git, with nothing of its user's settings.
struct Checkout<'a> {
    directory: &'a Path,
}

impl Checkout<'_> {
    fn git(&self, args: &[&str]) -> String {
        self.git_at(0, args)
    }

    /// With the clock of commits at a number of seconds.
    fn git_at(&self, seconds: u64, args: &[&str]) -> String {
        let date = format!("{} +0000", 1_700_000_000 + seconds);
        let output = Command::new("git")
            .arg("-C")
            .arg(self.directory)
            .args([
                "-c",
                "user.name=A Tester",
                "-c",
                "user.email=tester@example.org",
                "-c",
                "safe.directory=*",
            ])
            .args(["-c", "commit.gpgSign=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"])
            .args(args)
            .env_clear()
            .env("PATH", search_path())
            .env("HOME", self.directory)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .output()
            .expect("git runs");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {complaint}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn commit(&self, number: u64) {
        self.git(&["add", "--all"]);
        self.git_at(number * 3600, &["commit", "--quiet", "--allow-empty", "-m", &format!("the {number}th")]);
    }

    /// All commits of the main line, the oldest first.
    fn history(&self) -> Vec<String> {
        let hashes = self.git(&["rev-list", "--reverse", "--first-parent", "HEAD"]);
        hashes.lines().map(str::to_owned).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has to find the tools of its machine")]
fn search_path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// The sources of a small project, and what happens to them.
fn make_history(checkout: &Checkout<'_>) {
    let mut tree = TreeBuilder::new(checkout.directory);
    checkout.git(&["init", "--quiet", "--initial-branch=main"]);
    for number in 0..200 {
        let text = format!("// file {number}\n").repeat(number % 40 + 1);
        tree = tree.file(format!("src/{}/{number}.rs", number % 7), text);
    }
    drop(
        tree.file("README.md", b"# A project")
            .symlink("latest", "src/0/0.rs")
            .file("tools/run", b"#!/bin/sh"),
    );
    checkout.commit(0);
    let later: [&[Edit]; 6] = [
        &[write("src/1/1.rs", "fn changed() {}"), write("src/new.rs", "fn new() {}")],
        &[rename("src/2", "src/two"), rename("README.md", "docs/README.md")],
        &[delete("src/3"), mode("tools/run", 0o755)],
        // A file becomes a directory, a directory a link, a link a file.
        &[write("src/new.rs/mod.rs", "mod deeper;"), symlink("src/4", "5"), write("latest", "src/0/0.rs")],
        &[rename("src/5", "src/6/5"), mode("tools/run", 0o644), write("empty", "")],
        &[symlink("latest", "src"), delete("docs"), write("src/1/1.rs", "fn changed() {}")],
    ];
    for (number, edits) in later.iter().enumerate() {
        apply(checkout.directory, edits);
        checkout.commit(number as u64 + 1);
    }
}

fn write(path: &str, text: &str) -> Edit {
    Edit::Write { path: path.into(), content: Content::Bytes(text.into()) }
}

fn rename(from: &str, to: &str) -> Edit {
    Edit::Rename { from: from.into(), to: to.into() }
}

fn delete(path: &str) -> Edit {
    Edit::Delete { path: path.into() }
}

fn mode(path: &str, mode: u32) -> Edit {
    Edit::Mode { path: path.into(), mode }
}

fn symlink(path: &str, target: &str) -> Edit {
    Edit::Symlink { path: path.into(), target: target.into() }
}

/// Checks out every commit and backs it up, there and back again.
fn back_up_history(kitchen: &mut Kitchen, commits: &[String]) {
    let directory = kitchen.source.clone();
    let checkout = Checkout { directory: &directory };
    let mut earlier: Vec<(BackupSummary, Listing, Listing)> = Vec::new();
    for commit in commits.iter().chain(commits.iter().rev().step_by(2)) {
        checkout.git(&["checkout", "--quiet", "--force", "--detach", commit]);
        let source = Listing::read(&kitchen.source);
        let summary = kitchen.backup();
        kitchen.age();
        assert_rsync_finds_nothing(kitchen, &summary);
        let snapshot = kitchen.listing(&summary);
        assert_eq!(source.diff(&snapshot, Compare::COPY), [""; 0]);
        if let Some((_, source_before, snapshot_before)) = earlier.last() {
            assert_eq!(
                snapshot.shared_with(snapshot_before),
                unchanged(source_before, &source),
                "at {commit}"
            );
        }
        for (summary, _, snapshot) in &earlier {
            assert_eq!(snapshot.diff(&kitchen.listing(summary), Compare::UNTOUCHED), [""; 0]);
        }
        earlier.push((summary, source, snapshot));
    }
    kitchen.assert_sound();
}

/// The names whose entry is the same in both, bytes, metadata and inode.
fn unchanged(before: &Listing, now: &Listing) -> BTreeSet<PathBuf> {
    let is_same = |path: &Path| {
        let (before, now) = (before.get(path), now.get(path));
        before.is_some_and(|before| before.kind != Kind::Directory) && before == now
    };
    now.iter().map(|(path, _)| path).filter(|path| is_same(path)).map(Path::to_path_buf).collect()
}

#[test]
fn a_git_history_becomes_a_history_of_snapshots() {
    skip_unless!(skip::has_tool("git"), "git is missing");
    skip_unless!(skip::has_tool("rsync"), "rsync is missing");
    let mut kitchen = Kitchen::new();
    let directory = kitchen.source.clone();
    let checkout = Checkout { directory: &directory };
    make_history(&checkout);
    back_up_history(&mut kitchen, &checkout.history());
}

/// How many of the newest commits of this project are backed up.
const NEWEST: usize = 8;

/// Where this project has no history, as in an archive of its sources, the test above has to do.
#[test]
fn the_history_of_this_project_becomes_a_history_of_snapshots() {
    skip_unless!(skip::has_tool("git"), "git is missing");
    skip_unless!(skip::has_tool("rsync"), "rsync is missing");
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (Some(from), true) = (project.to_str(), project.join(".git").exists()) else { return };
    let mut kitchen = Kitchen::new();
    let directory = kitchen.source.clone();
    let checkout = Checkout { directory: &directory };
    checkout.git(&["clone", "--quiet", "--no-hardlinks", from, "."]);
    let commits = checkout.history();
    back_up_history(&mut kitchen, &commits[commits.len().saturating_sub(NEWEST)..]);
}

//! Whatever others do between plan and deed, or in the middle of the deed: nothing is lost.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use linksnap_toolbox::dedupe::{self, LeftReason, Observe, Options, Progress, Report};
use linksnap_toolbox::walk::{Unwatched, Watch};
use tempfile::TempDir;

use super::{BLOCKS, OPTIONS, THEN, inode, plan_of, tree};

/// Does something once, when the first files were compared and not yet replaced.
struct Meddler<F: Fn()>(Mutex<Cell<bool>>, F);

impl<F: Fn()> Watch for Meddler<F> where F: Sync {}

impl<F: Fn() + Sync> Observe for Meddler<F> {
    fn linked(&self, progress: Progress) {
        let first = self.0.lock().unwrap();
        if progress.done == 1 && !first.replace(true) {
            (self.1)();
        }
    }
}

/// When somebody meddles.
#[derive(Clone, Copy, Debug)]
enum When {
    BeforeTheDeed,
    InTheMiddle,
}

/// Plans for `a` and `b`, which are equal; somebody meddles; what the deed left.
fn meddled(when: When, root: &Path, meddle: impl Fn(&Path) + Sync) -> Report {
    tree(root, &[("a", "content"), ("b", "content")]);
    let plan = plan_of(root, &OPTIONS);
    assert_eq!(plan.losers(), 1);
    match when {
        When::BeforeTheDeed => {
            meddle(root);
            dedupe::deed(&plan, None, &Unwatched).unwrap()
        }
        When::InTheMiddle => dedupe::deed(&plan, None, &Meddler(Mutex::default(), || meddle(root))).unwrap(),
    }
}

fn append(path: &Path) {
    File::options().append(true).open(path).unwrap().write_all(b" and more").unwrap();
}

/// Puts another file in its place, as editors do.
fn replace(path: &Path) {
    let new = path.with_extension("new");
    fs::write(&new, "another").unwrap();
    fs::rename(new, path).unwrap();
}

/// The same size, and by `utimensat` the same time: only the bytes differ.
fn overwrite_secretly(path: &Path) {
    File::options().write(true).open(path).unwrap().write_all_at(b"C", 0).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(THEN.unsigned_abs());
    File::open(path).unwrap().set_times(fs::FileTimes::new().set_modified(time)).unwrap();
}

fn chmod(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn what_has_changed_is_left_alone() {
    type Meddle = fn(&Path);
    let table: [(&str, Meddle, &str); 4] = [
        ("appended", append, "content and more"),
        ("replaced", replace, "another"),
        ("chmodded", chmod, "content"),
        ("removed", |path| fs::remove_file(path).unwrap(), ""),
    ];
    for when in [When::BeforeTheDeed, When::InTheMiddle] {
        for (what, meddle, content) in table {
            for (victim, other, why) in
                [("b", "a", LeftReason::Changed), ("a", "b", LeftReason::SurvivorChanged)]
            {
                let dir = TempDir::new().unwrap();
                let report = meddled(when, dir.path(), |root| meddle(&root.join(victim)));
                let case = format!("{what} {victim} {when:?}: {report:?}");
                let left: Vec<_> = report.left.iter().map(|left| (&left.path, &left.why)).collect();
                assert_eq!(left, [(&dir.path().join("b"), &why)], "{case}");
                assert_eq!((report.replaced_names, report.freed_inodes), (0, 0), "{case}");
                assert_eq!(
                    fs::read_to_string(dir.path().join(victim)).unwrap_or_default(),
                    content,
                    "{case}"
                );
                assert_eq!(fs::read_to_string(dir.path().join(other)).unwrap(), "content", "{case}");
                let there = if what == "removed" { 1 } else { 2 };
                assert_eq!(
                    fs::read_dir(dir.path()).unwrap().count(),
                    there,
                    "no temporary name stays: {case}"
                );
            }
        }
    }
}

#[test]
fn bytes_decide_and_not_times() {
    for victim in ["a", "b"] {
        let dir = TempDir::new().unwrap();
        let report = meddled(When::BeforeTheDeed, dir.path(), |root| overwrite_secretly(&root.join(victim)));
        assert_eq!((report.replaced_names, report.left.len()), (0, 1));
        assert_eq!(fs::read_to_string(dir.path().join(victim)).unwrap(), "Content");
    }
}

#[test]
fn what_somebody_could_still_write_to_is_left_alone() {
    for victim in ["a", "b"] {
        let dir = TempDir::new().unwrap();
        tree(dir.path(), &[("a", "content"), ("b", "content")]);
        let plan = plan_of(dir.path(), &OPTIONS);
        let before = (inode(dir.path().join("a")), inode(dir.path().join("b")));
        // A log that is open and only now and then written to.
        let mut open = File::options().append(true).open(dir.path().join(victim)).unwrap();
        let report = dedupe::deed(&plan, None, &Unwatched).unwrap();
        assert_eq!(report.left.iter().map(|left| &left.why).collect::<Vec<_>>(), [&LeftReason::Written]);
        open.write_all(b" and more").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(victim)).unwrap(), "content and more");
        assert_eq!(before, (inode(dir.path().join("a")), inode(dir.path().join("b"))));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}

#[test]
fn who_only_reads_is_in_nobodys_way() {
    let dir = TempDir::new().unwrap();
    tree(dir.path(), &[("a", "content"), ("b", "content")]);
    let plan = plan_of(dir.path(), &OPTIONS);
    let open = File::open(dir.path().join("b")).unwrap();
    assert_eq!(dedupe::deed(&plan, None, &Unwatched).unwrap().replaced_names, 1);
    drop(open);
}

#[test]
fn locked_files_are_left_alone() {
    let dir = TempDir::new().unwrap();
    tree(dir.path(), &[("a", "content"), ("b", "content")]);
    let plan = plan_of(dir.path(), &OPTIONS);
    let open = File::open(dir.path().join("b")).unwrap();
    open.lock().unwrap();
    let report = dedupe::deed(&plan, None, &Unwatched).unwrap();
    assert_eq!(report.left.iter().map(|left| &left.why).collect::<Vec<_>>(), [&LeftReason::Locked]);
}

#[test]
fn sharing_blocks_is_no_less_careful() {
    use linksnap_testkit::loopfs::{FsKind, LoopFs};
    let disk = linksnap_testkit::or_skip!(LoopFs::create(FsKind::Xfs, 0, &[]));
    let root = disk.path().join("tree");
    let options = Options { least_size: 1, ..BLOCKS };
    tree(&root, &[("a", "content"), ("b", "content")]);
    for victim in ["a", "b"] {
        tree(&root, &[("a", "content"), ("b", "content")]);
        let plan = plan_of(&root, &options);
        let inodes = (inode(root.join("a")), inode(root.join("b")));
        let report =
            dedupe::deed(&plan, None, &Meddler(Mutex::default(), || append(&root.join(victim)))).unwrap();
        assert_eq!((report.replaced_names, report.left.len()), (0, 1));
        assert_eq!(fs::read_to_string(root.join(victim)).unwrap(), "content and more");
        assert_eq!(inodes, (inode(root.join("a")), inode(root.join("b"))), "all is put back");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 2);
    }
}

/// Stops when so many were compared.
struct Impatient(u64, AtomicU64);

impl Watch for Impatient {
    fn is_stopped(&self) -> bool {
        self.1.load(Ordering::Relaxed) >= self.0
    }
}

impl Observe for Impatient {
    fn linked(&self, progress: Progress) {
        self.1.store(progress.done, Ordering::Relaxed);
    }
}

#[test]
fn whoever_stops_it_finds_each_file_done_or_untouched() {
    let dir = TempDir::new().unwrap();
    let names: Vec<String> = (0..600).map(|number| format!("{number:03}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    tree(dir.path(), &files);
    let plan = plan_of(dir.path(), &OPTIONS);
    let report = dedupe::deed(&plan, None, &Impatient(250, AtomicU64::new(0))).unwrap();
    assert!(report.stopped);
    assert_eq!((report.replaced_names, report.freed_inodes, report.left.len()), (250, 250, 0));
    assert_eq!(fs::metadata(dir.path().join("000")).unwrap().nlink(), 251);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 600);
}

#[test]
fn names_of_a_file_that_shares_blocks_stay_together() {
    use linksnap_testkit::loopfs::{FsKind, LoopFs};
    let disk = linksnap_testkit::or_skip!(LoopFs::create(FsKind::Xfs, 0, &[]));
    let root = disk.path().join("tree");
    tree(&root, &[("a", "content"), ("b1", "content")])
        .hard_link("a", "a2")
        .hard_link("a", "a3")
        .hard_link("b1", "b2")
        .hard_link("a", "a4")
        .hard_link("b1", "b3");
    let plan = plan_of(&root, &Options { least_size: 1, ..BLOCKS });
    let (old, stayed) = (inode(root.join("b1")), [root.join("b1"), root.join("b3")]);
    let report = dedupe::deed(&plan, None, &Meddler(Mutex::default(), || replace(&root.join("b2")))).unwrap();
    assert_eq!((report.replaced_names, report.left.len()), (0, 3));
    assert_eq!(stayed.map(inode), [old, old]);
    assert_eq!(fs::read_to_string(root.join("b2")).unwrap(), "another");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 7, "no temporary name stays");
}

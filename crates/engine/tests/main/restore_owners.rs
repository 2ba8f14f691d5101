//! To whom things belong: what an ordinary user could not store comes back when root restores, and owners by name.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use linksnap_engine::report::Class;
use linksnap_engine::verbs::restore::{Accounts, Extra, Ownership, RestoreError, RestoreOptions};
use linksnap_engine::{ProblemKind, Silent};
use linksnap_inode::DirFd;
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::{Edit, TreeBuilder, apply};
use linksnap_testkit::{crash, skip, skip_unless};

use crate::kitchen::Kitchen;
use crate::restore_round::CAPABILITY;

const BASE: &str = "LINKSNAP_TEST_OWNERS_BASE";
const DEED: &str = "LINKSNAP_TEST_OWNERS_DEED";
/// Nobody's number on Debian.
const NOBODY: u32 = 65_534;

#[test]
#[ignore = "run as a child by the tests here"]
fn child_entry() {
    let Some(base) = std::env::var_os(BASE) else { return };
    let base = Path::new(&base);
    let deed = std::env::var(DEED).expect("set by the parent");
    if deed == "swap" {
        // Of somebody who may not even look into the repository.
        swap_without_end(&base.join("source"));
    }
    let mut kitchen = Kitchen::in_dir(base);
    match deed.as_str() {
        "backup" => {
            for _ in 0..3 {
                let summary = kitchen.backup();
                let kinds: Vec<ProblemKind> = summary.problems.list.iter().map(|one| one.kind).collect();
                assert!(kinds.iter().all(|kind| kind.is_warning()), "{:?}", summary.problems.list);
                let messages: std::collections::BTreeSet<&str> =
                    summary.problems.list.iter().map(|one| one.message.as_str()).collect();
                assert_eq!(messages.len(), kinds.len(), "each is said once: {:?}", summary.problems.list);
                kitchen.assert_sound();
                kitchen.age();
            }
            kitchen.assert_accounts();
        }
        "restore" => {
            let target = base.join("target");
            let summary = kitchen.restore("latest", &target);
            let kinds: Vec<ProblemKind> = summary.problems.list.iter().map(|one| one.kind).collect();
            assert!(kinds.iter().all(|kind| *kind == ProblemKind::NotKept), "{:?}", summary.problems.list);
            let of =
                |word: &str| summary.problems.list.iter().filter(|one| one.message.contains(word)).count();
            assert_eq!((of("owners"), of("devices")), (1, 1), "{:?}", summary.problems.list);
        }
        other => panic!("{other}"),
    }
}

/// What a hostile user does in a directory of his own while root restores into it.
fn swap_without_end(source: &Path) -> ! {
    let outside = source.with_file_name("outside");
    let swap = |name: &str, away: &str, leads_to: &Path| {
        let (name, away) = (source.join(name), source.join(away));
        if fs::rename(&name, &away).is_ok() {
            // Root may have put back what was moved away, or have taken away what it was in.
            if let Err(error) = std::os::unix::fs::symlink(leads_to, &name) {
                let kind = error.kind();
                assert!(matches!(kind, ErrorKind::AlreadyExists | ErrorKind::NotFound), "{name:?}: {error}");
            }
            let _gone = fs::remove_file(&name);
            let _back = fs::rename(&away, &name);
        }
    };
    loop {
        swap("a", "a.away", &outside);
        swap("a/fifo", "a/fifo.away", &outside.join("secret"));
        swap("a/file", "a/file.away", &outside.join("secret"));
        swap(".linksnap-restore", "station.away", &outside);
        let _moved = fs::rename(source.join("a/dir"), source.join("a/other"));
    }
}

#[test]
fn nothing_outside_is_touched_while_a_user_swaps_what_is_restored() {
    skip_unless!(skip::is_root(), "needs root to become somebody else");
    let (_own, base) = users_place();
    let source = base.join("source");
    drop(TreeBuilder::new(base.join("outside")).file("secret", "s").mode("secret", 0o600).file("file", "f"));
    let tree = TreeBuilder::new(&source).file("a/file", "f").fifo("a/fifo").file("a/dir/file", "g");
    let tree = ["", "a", "a/file", "a/fifo", "a/dir"]
        .into_iter()
        .fold(tree, |tree, path| tree.owner(path, NOBODY, NOBODY));
    drop(tree.mode("a/fifo", 0o666).mode("a/file", 0o666));
    let mut kitchen = Kitchen::in_dir(&base);
    drop(kitchen.backup());
    let outside = Listing::read(&base.join("outside"));
    let env = [(BASE, base.as_os_str()), (DEED, OsStr::new("swap"))];
    let mut child = crash::child("restore_owners::child_entry", &env);
    let mut child = child.uid(NOBODY).gid(NOBODY).spawn().expect("a child");
    let mut done = 0;
    for round in 0..100 {
        // Not by their paths: the other one leads them outside.
        if let Ok(a) = DirFd::open_root(&source).and_then(|root| root.open_dir(b"a")) {
            for name in ["file", "fifo"].iter().take(1 + round % 2) {
                let _gone = a.unlink(name.as_bytes());
            }
        }
        let options = kitchen.in_place(if round % 3 == 0 { Extra::Go } else { Extra::Stay });
        done += u32::from(kitchen.try_restore("latest", &options, &Silent).is_ok());
        for left in [".linksnap-restore", "station.away"] {
            let _gone = fs::remove_dir_all(source.join(left));
        }
    }
    assert!(child.try_wait().expect("a child").is_none(), "it was at it until now");
    child.kill().expect("it was at it until now");
    child.wait().expect("it has ended");
    assert_eq!(outside.diff(&Listing::read(&base.join("outside")), Compare::UNTOUCHED), [""; 0]);
    assert!(done > 0, "not one restore came to its end");
    kitchen.assert_sound();
}

/// A directory that belongs to an ordinary user.
fn users_place() -> (tempfile::TempDir, PathBuf) {
    let own = tempfile::tempdir().expect("a directory");
    let base = fs::canonicalize(own.path()).expect("it is there");
    give_to_nobody(&base);
    (own, base)
}

fn give_to_nobody(path: &Path) {
    let (parent, name) = (path.parent().expect("a parent"), path.file_name().expect("a name"));
    apply(parent, &[Edit::Owner { path: name.into(), uid: NOBODY, gid: NOBODY }]);
}

fn as_nobody(base: &Path, deed: &str) {
    let env = [(BASE, base.as_os_str()), (DEED, OsStr::new(deed))];
    let child = crash::child("restore_owners::child_entry", &env).uid(NOBODY).gid(NOBODY).output();
    let output = child.expect("a child");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn what_a_user_cannot_make(source: &Path) {
    let tree = TreeBuilder::new(source)
        .file("own", "own")
        .file("roots", "r")
        .file("setuid", "s")
        .file("setgid", "g")
        .file("capable", "c")
        .fifo("fifo")
        .symlink("link", "own")
        .char_device("null", 1, 3)
        .char_device("dir/large", 4095, 1_000_000)
        .char_device("whiteout", 0, 0)
        .file("dir/setgid", "d");
    let tree = tree
        .owner("own", NOBODY, NOBODY)
        .owner("setuid", 1234, 5678)
        .owner("setgid", 0, 42)
        .owner("fifo", 7, 8)
        .owner("link", 9, 10)
        .owner("null", 0, 5)
        .owner("dir", 0, 50)
        .mode("roots", 0o644)
        .mode("setuid", 0o4755)
        .mode("setgid", 0o2755)
        .mode("null", 0o666)
        .mode("dir/setgid", 0o6755)
        .mode("dir", 0o3777)
        .xattr("capable", "security.capability", CAPABILITY)
        .xattr("capable", "user.note", "after the one that cannot be set");
    drop(tree.mtime("null", 77, 7).mtime("dir", -77, 7));
}

#[test]
fn what_a_user_could_not_store_comes_back_when_root_restores() {
    skip_unless!(skip::is_root(), "needs root to become somebody else");
    let (_own, base) = users_place();
    let source = base.join("source");
    what_a_user_cannot_make(&source);
    let before = Listing::read(&source);
    as_nobody(&base, "backup");
    assert_eq!(before.diff(&Listing::read(&source), Compare::UNTOUCHED), [""; 0]);
    let kitchen = Kitchen::in_dir(&base);
    let target = tempfile::tempdir().expect("a target");
    let summary = kitchen.restore("latest", target.path());
    assert_eq!(summary.problems.list, []);
    let restored = kitchen.in_snapshot(target.path());
    assert_eq!(before.diff(&Listing::read(&restored), Compare::COPY), [""; 0]);
    // What is stored is harmless: nothing runs as whoever made the snapshot.
    let stored = kitchen.in_snapshot(&kitchen.job_dir().join("latest"));
    for name in ["setuid", "setgid", "dir/setgid"] {
        let stored = fs::metadata(stored.join(name)).expect("it is there");
        assert_eq!((stored.uid(), stored.mode() & 0o6000), (NOBODY, 0), "{name}");
    }
    assert_eq!(fs::metadata(stored.join("capable")).map(|it| it.len()).ok(), Some(1));
    // In place as well.
    drop(
        TreeBuilder::new(&source).mode("setuid", 0o755).delete("null").delete("capable").owner("fifo", 1, 1),
    );
    let summary = kitchen.try_restore("latest", &kitchen.in_place(Extra::Go), &Silent).expect("restored");
    assert_eq!(summary.problems.list, []);
    assert_eq!(before.diff(&Listing::read(&source), Compare::COPY), [""; 0]);
}

#[test]
fn a_user_restores_what_he_may_and_is_told_the_rest_once() {
    skip_unless!(skip::is_root(), "needs root to become somebody else");
    let (_own, base) = users_place();
    let source = base.join("source");
    what_a_user_cannot_make(&source);
    as_nobody(&base, "backup");
    as_nobody(&base, "restore");
    let restored = base.join("target").join(source.strip_prefix("/").expect("absolute"));
    assert_eq!(fs::read(restored.join("roots")).expect("readable"), b"r");
    assert!(!restored.join("null").exists(), "no file stands for a device outside a snapshot");
    let setuid = fs::metadata(restored.join("setuid")).expect("it is there");
    assert_eq!((setuid.uid(), setuid.mode() & 0o6000), (NOBODY, 0));
}

#[test]
fn root_backs_up_after_a_user_and_the_user_after_root() {
    skip_unless!(skip::is_root(), "needs root to become somebody else");
    let (_own, base) = users_place();
    let source = base.join("source");
    what_a_user_cannot_make(&source);
    as_nobody(&base, "backup");
    let mut kitchen = Kitchen::in_dir(&base);
    kitchen.options.now += 1000;
    let summary = kitchen.backup();
    assert_eq!(summary.problems.list, []);
    kitchen.assert_sound();
    kitchen.assert_accounts();
    let target = tempfile::tempdir().expect("a target");
    assert_eq!(kitchen.restore("latest", target.path()).problems.list, []);
    let restored = Listing::read(&kitchen.in_snapshot(target.path()));
    assert_eq!(Listing::read(&source).diff(&restored, Compare::COPY), [""; 0]);
}

fn accounts(users: &str, groups: &str) -> Accounts {
    Accounts { users: users.into(), groups: groups.into() }
}

#[test]
fn owners_go_by_name_if_that_is_wanted() {
    skip_unless!(skip::is_root(), "gives files away");
    // The source stands for a whole system: its names are in its own /etc.
    let own = tempfile::tempdir().expect("a directory");
    let base = fs::canonicalize(own.path()).expect("it is there");
    let mut kitchen = Kitchen::in_dir(&base);
    drop(TreeBuilder::new(&kitchen.source).file("www", "w").owner("www", 1033, 1034));
    drop(kitchen.backup());
    let here = accounts("www:x:2048:2048::/:\n", "www:x:2049:\n");
    let by_name = RestoreOptions {
        ownership: Ownership::ByName(here.clone()),
        target: base.join("out"),
        ..kitchen.in_place(Extra::Stay)
    };
    let error = kitchen.try_restore("latest", &by_name, &Silent).expect_err("nobody knows the names");
    assert!(matches!(error, RestoreError::NoNames { .. }), "{error:?}");
    assert_eq!(error.class(), Class::Usage);
    assert!(!base.join("out").exists());
    kitchen.options.sources.extend(["/etc/passwd".into(), "/etc/group".into()]);
    let known = fs::read_to_string("/etc/passwd").expect("it is there");
    let uid_of = |line: &str| line.split(':').nth(2).and_then(|uid| uid.parse::<u32>().ok());
    let somebody = known.lines().find(|line| uid_of(line).is_some_and(|uid| uid > 0)).expect("somebody");
    let (name, uid) = (somebody.split(':').next().expect("a name"), uid_of(somebody).expect("a number"));
    drop(TreeBuilder::new(&kitchen.source).file("theirs", "t").owner("theirs", uid, 1034));
    drop(kitchen.backup());
    let here = accounts(&format!("{name}:x:{}:1::/:\n", uid + 5000), "");
    let by_name = RestoreOptions { ownership: Ownership::ByName(here), ..by_name };
    let summary = kitchen.try_restore("latest", &by_name, &Silent).expect("restored");
    assert_eq!(summary.problems.list, []);
    let out = kitchen.in_snapshot(&base.join("out"));
    let owner =
        |name: &str| fs::metadata(out.join(name)).map(|it| (it.uid(), it.gid())).expect("it is there");
    assert_eq!((owner("theirs"), owner("www")), ((uid + 5000, 1034), (1033, 1034)));
    // What differs in nothing but the number is right.
    assert!(!kitchen.try_restore("latest", &by_name, &Silent).expect("restored").does_anything());
}

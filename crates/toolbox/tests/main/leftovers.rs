//! What commands that are killed leave behind.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use linksnap_inode::DirFd;
use linksnap_testkit::crash;
use linksnap_toolbox::leftovers::{self, Advice, Leftover};
use linksnap_toolbox::swap::{self, Expected, SwapError};
use linksnap_toolbox::walk::{Mounts, Unwatched};
use tempfile::TempDir;

/// `a` and `b` with the same content; a process that was to make `b` a name of `a` was killed when the new name was made, or
/// exchanged with `b`.
fn killed(at: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    for name in ["a", "b"] {
        fs::write(dir.path().join(name), "content").unwrap();
    }
    fs::create_dir(dir.path().join("sub")).unwrap();
    let env = [("CRASH_IN", dir.path().as_os_str()), ("CRASH_AT", OsStr::new(at))];
    let status = crash::child("leftovers::child_entry", &env).status().unwrap();
    assert!(crash::was_killed(status));
    dir
}

#[test]
#[ignore = "run by its parent test"]
fn child_entry() {
    let Some(dir) = std::env::var_os("CRASH_IN") else { return };
    let at = std::env::var_os("CRASH_AT").unwrap();
    let dir = DirFd::open_root(Path::new(&dir)).unwrap();
    let (expected, _) = Expected::now(&dir, b"b").unwrap();
    let aside = swap::set_aside(&dir, b"b", &expected, |dir, new| {
        dir.link(b"a", dir, new)?;
        if at == "made" {
            crash::die();
        }
        Ok(())
    });
    let _aside = aside.unwrap();
    crash::die();
}

fn roots(dir: &TempDir) -> Vec<PathBuf> {
    vec![dir.path().to_path_buf()]
}

fn found(dir: &TempDir, seconds_later: i64) -> Vec<Leftover> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap() + seconds_later;
    leftovers::find(&roots(dir), Mounts::Stay, now, &Unwatched)
}

fn count(dir: &TempDir) -> usize {
    fs::read_dir(dir.path()).unwrap().count()
}

#[test]
fn a_further_name_of_a_file_that_is_here_can_go() {
    let dir = killed("made");
    let all = found(&dir, 2 * 3600);
    let Advice::Remove(other) = &all[0].advice else { panic!("{all:?}") };
    assert_eq!((all.len(), other.path.as_slice(), count(&dir)), (1, b"a".as_slice(), 4));
    leftovers::remove(&roots(&dir), &all[0]).unwrap();
    assert_eq!(count(&dir), 3);
    for name in ["a", "b"] {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"content");
    }
    assert!(found(&dir, 2 * 3600).is_empty());
}

#[test]
fn the_only_name_of_a_file_stays() {
    let dir = killed("exchanged");
    let all = found(&dir, 2 * 3600);
    assert_eq!((all.len(), &all[0].advice), (1, &Advice::Keep));
    assert!(matches!(leftovers::remove(&roots(&dir), &all[0]), Err(SwapError::Changed)));
    assert_eq!(count(&dir), 4);
}

#[test]
fn who_may_be_at_work_is_left_in_peace() {
    let dir = killed("made");
    let all = found(&dir, 0);
    assert_eq!((all.len(), &all[0].advice), (1, &Advice::Wait));
    assert!(leftovers::remove(&roots(&dir), &all[0]).is_err());
    assert_eq!(count(&dir), 4);
}

#[test]
fn what_has_changed_since_it_was_seen_stays() {
    // The other name is gone, or another file's.
    let dir = killed("made");
    let all = found(&dir, 2 * 3600);
    fs::rename(dir.path().join("a"), dir.path().join("sub/a")).unwrap();
    assert!(leftovers::remove(&roots(&dir), &all[0]).is_err());
    fs::write(dir.path().join("a"), "content").unwrap();
    assert!(matches!(leftovers::remove(&roots(&dir), &all[0]), Err(SwapError::Changed)));
    // What was left behind is something else now.
    let dir = killed("made");
    let all = found(&dir, 2 * 3600);
    let left = all[0].at.shown(&roots(&dir));
    fs::rename(dir.path().join("b"), &left).unwrap();
    assert!(matches!(leftovers::remove(&roots(&dir), &all[0]), Err(SwapError::Changed)));
    assert_eq!(fs::read(left).unwrap(), b"content");
}

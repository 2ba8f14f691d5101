//! Putting one thing in place of another, and undoing it.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use linksnap_inode::{DirFd, Kind};
use linksnap_toolbox::journal::{Change, Journal, Text, UndoError, retarget};
use linksnap_toolbox::swap::{self, Expected, SwapError};
use tempfile::TempDir;

fn text(dir: &TempDir, name: &str) -> String {
    fs::read_link(dir.path().join(name)).unwrap().to_str().unwrap().to_owned()
}

fn names(dir: &TempDir) -> usize {
    fs::read_dir(dir.path()).unwrap().count()
}

fn link(text: &str) -> Expected {
    Expected::Symlink(text.into())
}

#[test]
fn a_link_is_replaced_if_it_is_what_was_expected() {
    let dir = TempDir::new().unwrap();
    symlink("old", dir.path().join("link")).unwrap();
    let fd = DirFd::open_root(dir.path()).unwrap();

    let refused = retarget(&fd, b"link", &link("other"), b"new");
    assert!(matches!(refused, Err(SwapError::Changed)));
    assert_eq!((text(&dir, "link").as_str(), names(&dir)), ("old", 1));

    retarget(&fd, b"link", &link("old"), b"new").unwrap();
    assert_eq!((text(&dir, "link").as_str(), names(&dir)), ("new", 1));
}

#[test]
fn what_is_put_in_place_meanwhile_is_put_back() {
    let dir = TempDir::new().unwrap();
    symlink("old", dir.path().join("link")).unwrap();
    let fd = DirFd::open_root(dir.path()).unwrap();

    let refused = swap::replace(&fd, b"link", &link("old"), |fd, new| {
        // Between the look and the exchange.
        fs::remove_file(dir.path().join("link")).unwrap();
        fs::write(dir.path().join("link"), "a file of somebody else's").unwrap();
        fd.make_symlink(new, b"new")
    });

    assert!(matches!(refused, Err(SwapError::Changed)));
    assert_eq!(fs::read_to_string(dir.path().join("link")).unwrap(), "a file of somebody else's");
    assert_eq!(names(&dir), 1);
}

#[test]
fn changes_are_undone_and_only_once() {
    let dir = TempDir::new().unwrap();
    symlink("old", dir.path().join("link")).unwrap();
    symlink("nowhere", dir.path().join("gone")).unwrap();
    let fd = DirFd::open_root(dir.path()).unwrap();
    let real = dir.path().canonicalize().unwrap();
    let path = |name: &str| Text::of(real.join(name).to_str().unwrap().as_bytes());
    let file = dir.path().join("undo");
    let mut journal = Journal::create(&file).unwrap();
    journal
        .record(&Change::Retarget {
            path: path("link"),
            before: Text::of(b"old"),
            after: Text::of(b"\xffnew"),
        })
        .unwrap();
    retarget(&fd, b"link", &link("old"), b"\xffnew").unwrap();
    let owner = Some((fd.stat().unwrap().uid, fd.stat().unwrap().gid));
    journal.record(&Change::Remove { path: path("gone"), before: Text::of(b"nowhere"), owner }).unwrap();
    swap::remove(&fd, b"gone", &link("nowhere")).unwrap();

    let changes = Change::parse_all(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(changes.len(), 2);
    for change in &changes {
        change.look().unwrap();
        change.undo().unwrap();
        assert!(matches!(change.look(), Err(UndoError::Nothing)));
        assert!(matches!(change.undo(), Err(UndoError::Nothing)));
    }
    assert_eq!((text(&dir, "link"), text(&dir, "gone")), ("old".to_owned(), "nowhere".to_owned()));

    fs::remove_file(dir.path().join("link")).unwrap();
    symlink("third", dir.path().join("link")).unwrap();
    assert!(matches!(changes[0].undo(), Err(UndoError::Changed)));
    assert_eq!(text(&dir, "link"), "third");
}

#[test]
fn undoing_follows_no_link_on_the_way() {
    let dir = TempDir::new().unwrap();
    let real = dir.path().canonicalize().unwrap();
    fs::create_dir(real.join("elsewhere")).unwrap();
    symlink("elsewhere", real.join("was-a-directory")).unwrap();
    let path = Text::of(real.join("was-a-directory/link").to_str().unwrap().as_bytes());
    let change = Change::Remove { path, before: Text::of(b"text"), owner: None };
    assert!(matches!(change.undo(), Err(UndoError::Changed)));
    assert_eq!(fs::read_dir(real.join("elsewhere")).unwrap().count(), 0);
}

#[test]
fn journals_of_before_have_no_owner() {
    let line = b"{\"did\":\"remove\",\"path\":\"/a\",\"before\":\"b\"}\n{\"did\":\"rem";
    let wanted = Change::Remove { path: Text::of(b"/a"), before: Text::of(b"b"), owner: None };
    assert_eq!(Change::parse_all(line), Ok(vec![wanted]));
    assert_eq!(Change::parse_all(b"{}\n"), Err(1));
}

#[test]
fn what_comes_between_two_exchanges_is_not_removed() {
    let dir = TempDir::new().unwrap();
    let fd = DirFd::open_root(dir.path()).unwrap();
    let (at, other) = (dir.path().join("link"), dir.path().join("other"));
    let (stop, put) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut kept = Vec::new();
    std::thread::scope(|scope| {
        // Somebody who puts one file after the other there, as fast as can be.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                fs::write(&other, "theirs").unwrap();
                fs::rename(&other, &at).unwrap();
                put.fetch_add(1, Ordering::Relaxed);
            }
        });
        while put.load(Ordering::Relaxed) < 2_000 {
            let Ok((expected, _)) = Expected::now(&fd, b"link") else { continue };
            match swap::replace(&fd, b"link", &expected, |fd, new| fd.make_symlink(new, b"new")) {
                Ok(()) | Err(SwapError::Changed) => {}
                Err(SwapError::Kept(name)) => kept.push(name),
                Err(SwapError::Fault(fault)) => panic!("{fault}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    // Whatever is left was told, and is a file of theirs; nothing else is left.
    assert!(kept.iter().all(|name| fd.stat_entry(name).is_ok_and(|stat| stat.kind == Kind::File)));
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left = names.filter(|name| swap::is_temporary(name.as_encoded_bytes())).count();
    assert_eq!(left, kept.len());
}

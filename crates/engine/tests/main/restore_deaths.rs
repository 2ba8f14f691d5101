//! Restores that are killed at any moment: nothing is lost, and what was set aside is found.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use linksnap_engine::verbs::restore::{Extra, RestoreError};
use linksnap_engine::{Monitor, Silent, Wish};
use linksnap_testkit::crash;
use linksnap_testkit::listing::{Compare, Kind, Listing};
use linksnap_testkit::tree::TreeBuilder;

use crate::kitchen::Kitchen;

const BASE: &str = "LINKSNAP_TEST_RESTORE_BASE";
const AT: &str = "LINKSNAP_TEST_RESTORE_AT";

/// Dies when it is asked the so-manieth time what is wanted.
struct DiesAt(AtomicU64);

impl Monitor for DiesAt {
    fn wish(&self) -> Wish {
        if self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            crash::die();
        }
        Wish::GoOn
    }
}

#[test]
#[ignore = "run as a child by the tests here"]
fn child_entry() {
    let Some(base) = std::env::var_os(BASE) else { return };
    let at = std::env::var(AT).expect("set by the parent").parse().expect("a number");
    let kitchen = Kitchen::in_dir(Path::new(&base));
    let dies = DiesAt(AtomicU64::new(at));
    let summary = kitchen.try_restore("latest", &kitchen.in_place(Extra::Go), &dies).expect("restored");
    assert_eq!(summary.problems.list, []);
}

fn changed(source: &Path) {
    let tree = TreeBuilder::new(source)
        .file("a/one", "one, changed")
        .file("a/deep/er/two", "two, changed")
        .delete("a/dir")
        .file("a/dir", "was a directory")
        .delete("b/file")
        .file("b/file/is/a", "directory")
        .file("extra/dir/file", "extra")
        .file("b/extra", "extra");
    drop(tree);
}

/// What is lost is neither in its place, nor where it was set aside, nor as it is to be restored.
fn assert_nothing_is_lost(kitchen: &Kitchen, before: &Listing, wanted: &Listing, at: u64) {
    let there = Listing::read(&kitchen.source);
    let old = PathBuf::from(".linksnap-restore/old");
    for (path, entry) in before.iter().filter(|(_, entry)| entry.content.is_some()) {
        let same = |found: Option<&linksnap_testkit::listing::Entry>| {
            found.is_some_and(|found| found.content == entry.content)
        };
        assert!(same(there.get(path)) || same(there.get(old.join(path))), "{at}: {path:?} is lost");
    }
    // What stands under a name is whole, the old or the new; but in a directory that was not there before, which is
    // compared anew by the next restore.
    let was_there = |path: &Path| {
        path.parent().is_none_or(|dir| before.get(dir).is_some_and(|entry| entry.kind == Kind::Directory))
    };
    let in_place = |path: &Path| !path.starts_with(".linksnap-restore") && was_there(path);
    for (path, entry) in there.iter().filter(|(path, _)| in_place(path)) {
        let is = |known: &Listing| known.get(path).is_some_and(|known| known.content == entry.content);
        assert!(entry.content.is_none() || is(before) || is(wanted), "{at}: {path:?} is torn");
    }
}

#[test]
fn a_killed_restore_loses_nothing() {
    let mut deaths = 0;
    for at in 1.. {
        let own = tempfile::tempdir().expect("a directory");
        let base = fs::canonicalize(own.path()).expect("it is there");
        let mut kitchen = Kitchen::in_dir(&base);
        let tree = TreeBuilder::new(&kitchen.source)
            .file("a/one", "one")
            .file("a/deep/er/two", "two")
            .file("a/dir/in", "in")
            .file("b/file", "file")
            .file("b/same", "same")
            .hard_link("a/one", "b/again");
        drop(tree);
        let wanted = Listing::read(&kitchen.source);
        drop(kitchen.backup());
        changed(&kitchen.source);
        let before = Listing::read(&kitchen.source);
        let number = at.to_string();
        let env = [(BASE, base.as_os_str()), (AT, OsStr::new(&number))];
        let status = crash::child("restore_deaths::child_entry", &env).output().expect("a child").status;
        let options = kitchen.in_place(Extra::Go);
        if status.success() {
            assert_eq!(wanted.diff(&Listing::read(&kitchen.source), Compare::COPY), [""; 0]);
            break;
        }
        assert!(crash::was_killed(status), "{at}: {status}");
        deaths += 1;
        assert_nothing_is_lost(&kitchen, &before, &wanted, at);
        match kitchen.try_restore("latest", &options, &Silent) {
            Ok(_) => {}
            Err(RestoreError::Leftover { place, .. }) => {
                assert_eq!(place, kitchen.source.join(".linksnap-restore"));
                fs::remove_dir_all(place).expect("as the hint says");
                drop(kitchen.try_restore("latest", &options, &Silent).expect("restored"));
            }
            Err(error) => panic!("{at}: {error:?}"),
        }
        assert_eq!(wanted.diff(&Listing::read(&kitchen.source), Compare::COPY), [""; 0], "{at}");
        kitchen.assert_sound();
    }
    assert!(deaths > 15, "{deaths} deaths");
}

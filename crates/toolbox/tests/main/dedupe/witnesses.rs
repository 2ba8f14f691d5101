//! Others who find equal files say the same: util-linux's `hardlink`, and plain hashing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_testkit::listing::Listing;
use linksnap_testkit::skip::{has_tool, is_root};
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{cases, rsync, skip_unless};
use linksnap_toolbox::dedupe::{Ignore, Options};
use proptest::prelude::{Strategy, any};
use tempfile::TempDir;

use super::{OPTIONS, THEN, done, files_of, plan_of};

/// What a file is: which directory, content and attributes it has, and which file it is a further link of.
#[derive(Clone, Debug)]
struct Made {
    directory: u8,
    content: u8,
    mode: bool,
    owner: bool,
    time: bool,
    xattr: bool,
    link_of: Option<proptest::sample::Index>,
}

fn made() -> impl Strategy<Value = Made> {
    let rarely = || proptest::bool::weighted(0.2);
    let link = proptest::option::weighted(0.2, any::<proptest::sample::Index>());
    (0..4_u8, 0..7_u8, rarely(), rarely(), rarely(), rarely(), link).prop_map(
        |(directory, content, mode, owner, time, xattr, link_of)| Made {
            directory,
            content,
            mode,
            owner,
            time,
            xattr,
            link_of,
        },
    )
}

/// Contents of equal sizes that differ in their beginnings, in the middle or at the end.
fn content(number: u8) -> Vec<u8> {
    let mut bytes = vec![b'.'; [0, 5, 5, 20_000, 20_000, 300_000, 300_000][usize::from(number)]];
    match number {
        2 | 4 => *bytes.last_mut().unwrap() = b'x',
        6 => bytes[150_000] = b'x',
        _ => {}
    }
    bytes
}

fn make(root: &Path, files: &[Made]) {
    let path = |number: usize, file: &Made| format!("d{}/{number}", file.directory);
    let mut tree = TreeBuilder::new(root);
    for (number, file) in files.iter().enumerate() {
        let path_of_it = path(number, file);
        tree = match &file.link_of {
            Some(of) if number > 0 => {
                let of = of.index(number);
                tree.hard_link(path(of, &files[of]), path_of_it)
            }
            _ => {
                let mut tree = tree.file(&path_of_it, content(file.content));
                if file.owner {
                    tree = tree.owner(&path_of_it, 3, 4);
                }
                if file.xattr {
                    tree = tree.xattr(&path_of_it, "user.a", "b");
                }
                let mode = if file.mode { 0o600 } else { 0o644 };
                tree.mode(&path_of_it, mode).mtime(&path_of_it, THEN + i64::from(file.time), 0)
            }
        };
    }
}

/// What ought to be one file: by all that counts.
fn expected(listing: &Listing, ignore: Ignore) -> BTreeSet<BTreeSet<PathBuf>> {
    let mut sets: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for (path, entry) in listing.iter().filter(|(_, entry)| entry.size.is_some()) {
        let key = match entry.size {
            Some(0) => format!("inode {}", entry.inode),
            _ => format!(
                "{:?} {:?} {:?} {:?} {:?}",
                entry.content,
                (!ignore.mode).then_some(entry.mode),
                (!ignore.owner).then_some((entry.uid, entry.gid)),
                (!ignore.times).then_some(entry.mtime),
                (!ignore.xattrs).then_some(&entry.xattrs),
            ),
        };
        sets.entry(key).or_default().insert(path.to_path_buf());
    }
    sets.into_values().filter(|set| set.len() > 1).collect()
}

fn hardlink(root: &Path, options: &[&str]) {
    let run = Command::new("hardlink").arg("-q").args(options).arg(root).output().unwrap();
    assert!(run.status.success(), "{run:?}");
}

/// Options of `hardlink` and ours that mean the same.
const SAME: [(&[&str], Ignore); 4] = [
    (&["-X"], OPTIONS.ignore),
    (&["-X", "-t"], Ignore { times: true, ..OPTIONS.ignore }),
    (&["-X", "-p", "-o"], Ignore { mode: true, owner: true, ..OPTIONS.ignore }),
    (&["-c"], Ignore::ALL),
];

#[test]
fn hardlink_and_plain_hashing_find_the_same() {
    skip_unless!(is_root(), "owners are changed");
    skip_unless!(has_tool("hardlink"), "hardlink (util-linux) is not installed");
    skip_unless!(has_tool("rsync"), "rsync is not installed");
    let trees = (proptest::collection::vec(made(), 2..30), 0..SAME.len());
    let found = cases::runner(24).run(&trees, |(files, way)| {
        compare(&files, SAME[way]);
        Ok(())
    });
    found.unwrap();
}

fn compare(files: &[Made], (theirs, ignore): (&[&str], Ignore)) {
    let dir = TempDir::new().unwrap();
    let (ours, other, copy) = (dir.path().join("ours"), dir.path().join("other"), dir.path().join("copy"));
    for root in [&ours, &other, &copy] {
        fs::create_dir(root).unwrap();
        make(root, files);
    }
    let before = Listing::read(&ours);
    let plan = plan_of(&ours, &Options { ignore, ..OPTIONS });
    let (losers, freed) = (plan.losers(), plan.freed_bytes());
    let report = done(&plan);
    assert_eq!((report.left.len(), report.freed_inodes, report.freed_bytes), (0, losers, freed));
    let after = Listing::read(&ours);
    assert_eq!(after.hard_links(), expected(&before, ignore));
    if ignore == OPTIONS.ignore {
        assert_eq!(files_of(&after), files_of(&before));
        let told = rsync::differences(&copy, &ours);
        // Directories have a new time, since names in them were replaced.
        let of_files: Vec<_> =
            told.iter().filter(|line| line.get(1..2) == Some("f") && !line.starts_with("hf")).collect();
        assert!(of_files.is_empty(), "{of_files:?}");
    }
    hardlink(&other, theirs);
    assert_eq!(Listing::read(&other).hard_links(), after.hard_links());
}

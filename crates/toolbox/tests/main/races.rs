//! Somebody swaps directories and links for others while links are repaired: nothing outside is touched, nothing is lost.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;

use linksnap_testkit::skip::is_root;
use linksnap_testkit::skip_unless;
use linksnap_testkit::swapper::{self, NOBODY, Swapper};
use linksnap_toolbox::dangling::{self, Scope};
use linksnap_toolbox::journal::{Change, Journal};
use linksnap_toolbox::relink;
use linksnap_toolbox::repair::{self, Index, Remedy, Repair};
use linksnap_toolbox::walk::{Mounts, Unwatched};
use tempfile::TempDir;

const ENTRY: &str = "races::attacker";

#[test]
#[ignore = "run as a child by the test here"]
fn attacker() {
    swapper::work();
}

fn nobodys_dir(path: &Path) {
    fs::create_dir(path).unwrap();
    lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
}

fn nobodys_link(text: impl AsRef<Path>, path: &Path) {
    symlink(text, path).unwrap();
    lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
}

/// The links in a directory with what they say, but for temporary ones.
fn links(dir: &Path) -> Vec<(String, String)> {
    let link = |entry: fs::DirEntry| {
        let text = fs::read_link(entry.path()).ok()?.to_str()?.to_owned();
        Some((entry.file_name().into_string().ok()?, text))
    };
    let mut links: Vec<_> = fs::read_dir(dir).unwrap().flatten().filter_map(link).collect();
    links.sort();
    links
}

#[test]
fn who_swaps_directories_and_links_leads_no_repair_elsewhere() {
    skip_unless!(is_root(), "needs root, to be attacked by somebody else");
    let top = TempDir::new().unwrap();
    let real = top.path().canonicalize().unwrap();
    fs::set_permissions(&real, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (tree, outside) = (real.join("tree"), real.join("outside"));
    nobodys_dir(&tree);
    fs::create_dir(&outside).unwrap();
    // What root would remove there, if he were led there: links of the same names and text. The other names are free, and
    // would be taken by what he takes back.
    for number in 0..4 {
        symlink("gone", outside.join(format!("link{number}"))).unwrap();
    }
    nobodys_dir(&tree.join("dir"));
    nobodys_link(&outside, &tree.join("dir.link"));
    let untouched = links(&outside);
    let roots = [tree.clone()];
    let mut done = 0;
    let attack = Swapper::start(ENTRY, &[&tree]);
    for round in 0..60 {
        for number in 0..8 {
            // Wherever that directory is just now; the other name is a link to outside, where the name is taken.
            for name in ["dir", "dir.link"] {
                let dir = linksnap_inode::DirFd::open_root(&tree).unwrap();
                if let Ok(dir) = dir.open_dir(name.as_bytes()) {
                    let _there_already = dir.make_symlink(format!("link{number}").as_bytes(), b"gone");
                }
            }
        }
        let found = dangling::find(&roots, Scope::Broken, Mounts::Stay, &Unwatched);
        let repairs = repair::plan(found, &[Remedy::Remove], &Index::default()).unwrap();
        let steps: Vec<_> = repairs.iter().filter_map(Repair::step).collect();
        let undo = real.join(format!("undo{round}"));
        let mut journal = Journal::create(&undo).unwrap();
        relink::carry_out(&roots, &steps, &mut journal, &|| false, &mut |_, what| {
            done += u32::from(what.is_ok());
        })
        .unwrap();
        assert_eq!(links(&outside), untouched);
        for change in Change::parse_all(&fs::read(&undo).unwrap()).unwrap().iter().rev() {
            // Undone or not: never elsewhere.
            drop(change.undo());
        }
        assert_eq!(links(&outside), untouched);
    }
    let swaps = attack.stop();
    assert!(done > 0 && swaps > 100, "{done} links removed, {swaps} swaps: that proves nothing");
    assert_eq!(links(&outside), untouched);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 4, "nothing temporary is left outside");
}

//! Which links lead nowhere, and why; on the same trees as `find -xtype l`.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_testkit::cases;
use linksnap_testkit::skip::has_tool;
use linksnap_testkit::skip_unless;
use linksnap_testkit::tree::TreeBuilder;
use linksnap_toolbox::dangling::{self, Dangling, Reason, Scope};
use linksnap_toolbox::walk::{Mounts, Unwatched};
use proptest::prelude::*;
use tempfile::TempDir;

fn find(root: &Path, scope: Scope) -> Dangling {
    dangling::find(&[root.to_path_buf()], scope, Mounts::Stay, &Unwatched)
}

/// What `find -xtype l` prints, sorted by bytes. It names only what is missing, and what has no directory on the way.
fn by_find(root: &Path) -> Vec<Vec<u8>> {
    let output = Command::new("find").arg(root).args(["-xdev", "-xtype", "l", "-print0"]).output().unwrap();
    let mut paths: Vec<_> = output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    paths.retain(|path| !path.is_empty());
    paths.sort();
    paths
}

fn as_find_does(root: &Path) -> Vec<Vec<u8>> {
    let roots = [root.to_path_buf()];
    let found = find(root, Scope::Broken).findings;
    let found = found.iter().filter(|one| matches!(one.reason, Reason::Missing | Reason::NotADirectory));
    let mut paths: Vec<_> = found.map(|one| one.link.shown(&roots).as_os_str().as_bytes().to_vec()).collect();
    paths.sort();
    paths
}

#[test]
fn every_link_that_leads_nowhere_is_found_with_its_reason() {
    let top = TempDir::new().unwrap();
    let tree = TreeBuilder::new(top.path().join("tree"))
        .file("file", "")
        .dir("dir/sub")
        .symlink("good", "file")
        .symlink("dir/up", "../file")
        .symlink("a-gone", "gone")
        .symlink("b-deep", "dir/gone/deeper/still")
        .symlink("c-chain", "a-gone")
        .symlink("d-file", "file/below")
        .symlink("e-self", "e-self")
        .symlink("f-one", "g-other")
        .symlink("g-other", "f-one")
        .symlink("h-long", "x".repeat(300))
        .symlink("i-abs", "/nowhere/at/all")
        .symlink("dir/sub/j", "../../gone/")
        .symlink("dir/sub/k", ".");
    let found = find(tree.root(), Scope::Broken);
    assert!(found.coverage.problems.is_empty());
    assert_eq!((found.links, found.coverage.directories, found.coverage.names), (13, 3, 16));
    let found: Vec<_> = found
        .findings
        .iter()
        .map(|one| {
            let stop = one.stop.as_ref().map(|stop| (str::from_utf8(&stop.at).unwrap(), stop.is_link));
            (str::from_utf8(&one.link.path).unwrap(), one.reason, stop, one.leaves_root)
        })
        .collect();
    let long = "x".repeat(300);
    let wanted = [
        ("a-gone", Reason::Missing, Some(("gone", false)), false),
        ("b-deep", Reason::Missing, Some(("dir/gone", false)), false),
        ("c-chain", Reason::Missing, Some(("a-gone", true)), false),
        ("d-file", Reason::NotADirectory, Some(("file", false)), false),
        ("dir/sub/j", Reason::Missing, Some(("../../gone", false)), false),
        ("e-self", Reason::Loop, None, false),
        ("f-one", Reason::Loop, None, false),
        ("g-other", Reason::Loop, None, false),
        ("h-long", Reason::TooLong, Some((long.as_str(), false)), false),
        ("i-abs", Reason::Missing, Some(("/nowhere", false)), true),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn absolute_links_out_of_the_root_are_found_if_asked_for() {
    let top = TempDir::new().unwrap();
    let root = top.path().canonicalize().unwrap().join("tree");
    let inside = root.join("file");
    let tree = TreeBuilder::new(&root)
        .file("file", "")
        .symlink("in", inside)
        .symlink("out", "/etc")
        .symlink("relative", "../../../../../../../../etc");
    assert_eq!(find(tree.root(), Scope::Broken).findings.len(), 0);
    let found = find(tree.root(), Scope::Leaving).findings;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].link.path.as_slice(), found[0].reason), (b"out".as_slice(), Reason::LeavesRoot));
}

#[test]
fn a_root_can_be_a_link_or_below_another_root() {
    let top = TempDir::new().unwrap();
    TreeBuilder::new(top.path())
        .symlink("sub/gone", "nothing")
        .symlink("to-sub", "sub")
        .symlink("to-file", "file")
        .file("file", "");
    let roots = ["sub/gone", "sub", "to-sub", "to-file", "file", "missing"].map(|name| top.path().join(name));
    let found = dangling::find(&roots, Scope::Broken, Mounts::Stay, &Unwatched);
    let shown: Vec<PathBuf> = found.findings.iter().map(|one| one.link.shown(&roots)).collect();
    assert_eq!(shown, [top.path().join("sub/gone")]);
    assert_eq!(found.coverage.problems.len(), 1, "{:?}", found.coverage.problems);
    assert!(found.coverage.problems[0].path.ends_with("missing"));
}

#[test]
fn on_the_systems_own_trees_the_same_links_are_found_as_by_find() {
    skip_unless!(has_tool("find"), "find is missing");
    for root in ["/etc", "/usr/share", "/usr/lib"].map(Path::new) {
        if root.is_dir() {
            assert!(as_find_does(root) == by_find(root), "{}", root.display());
        }
    }
}

/// A text that leads to one of the few names of the trees below, or nowhere.
fn arb_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![Just("a"), Just("b"), Just("c"), Just(".."), Just("."), Just("")];
    (any::<bool>(), prop::collection::vec(part, 1..4)).prop_map(|(absolute, parts)| {
        let text = parts.join("/");
        match (absolute, text.as_str()) {
            (_, "") => "a".to_owned(),
            (true, text) => format!("/{text}"),
            (false, text) => text.to_owned(),
        }
    })
}

proptest! {
    #![proptest_config(cases::config(64))]
    #[test]
    fn on_any_tree_the_same_links_are_found_as_by_find(
        things in prop::collection::vec((0..3_usize, "[abc](/[abc]){0,2}", arb_text()), 1..24),
    ) {
        let top = TempDir::new().unwrap();
        for (kind, path, text) in things {
            let path = top.path().join(path);
            // What is in the way of a parent, or of the name, stays.
            let _there = fs::create_dir_all(path.parent().unwrap());
            let _there = match kind {
                0 => fs::create_dir(&path),
                1 => fs::File::create_new(&path).map(drop),
                _ => symlink(text, &path),
            };
        }
        prop_assert_eq!(as_find_does(top.path()), by_find(top.path()));
    }
}

/// Something mounted, until it is dropped.
struct Mount(PathBuf);

impl Mount {
    fn of(kind: &str, at: PathBuf) -> Option<Self> {
        let done = Command::new("mount").args(["-t", kind, "linksnap-test"]).arg(&at).output().ok()?;
        done.status.success().then_some(Self(at))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()), "{} is still mounted", self.0.display());
    }
}

#[test]
fn mounts_are_entered_only_if_asked_for_and_the_kernels_own_never() {
    let top = TempDir::new().unwrap();
    let root = top.path().canonicalize().unwrap();
    TreeBuilder::new(&root).dir("disk").dir("proc").symlink("a", "gone");
    let mounts = (Mount::of("tmpfs", root.join("disk")), Mount::of("proc", root.join("proc")));
    let (Some(_disk), Some(_proc)) = &mounts else {
        return linksnap_testkit::skip::announce(linksnap_testkit::test_name!(), "cannot mount");
    };
    symlink("gone", root.join("disk/b")).unwrap();
    let look = |mounts| {
        let found = dangling::find(std::slice::from_ref(&root), Scope::Broken, mounts, &Unwatched);
        let paths: Vec<Vec<u8>> = found.findings.into_iter().map(|one| one.link.path).collect();
        (paths, found.coverage.mounts_left_out, found.coverage.problems.len())
    };
    assert_eq!(look(Mounts::Stay), (vec![b"a".to_vec()], 2, 0));
    assert_eq!(look(Mounts::Cross), (vec![b"a".to_vec(), b"disk/b".to_vec()], 1, 0));
}

//! The census of symbolic links, and other texts for them; on the same trees as `symlinks(8)`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_testkit::cases;
use linksnap_testkit::skip::has_tool;
use linksnap_testkit::skip_unless;
use linksnap_testkit::tree::TreeBuilder;
use linksnap_toolbox::convert::{self, Conversion, Converted, Proposal, Reach};
use linksnap_toolbox::dangling::{self, Scope};
use linksnap_toolbox::journal::{Change, Journal};
use linksnap_toolbox::links::{self, Census, Kinds, LinkKind};
use linksnap_toolbox::relink::{self, Outcome, Refusal, Step};
use linksnap_toolbox::walk::{Mounts, Unwatched};
use proptest::prelude::*;
use tempfile::TempDir;

fn real(top: &TempDir) -> PathBuf {
    top.path().canonicalize().unwrap()
}

fn census(root: &Path, listed: Kinds) -> Census {
    links::census(&[root.to_path_buf()], listed, Mounts::Stay, &Unwatched)
}

fn everything() -> Kinds {
    LinkKind::ALL.into_iter().collect()
}

fn convert(root: &Path, conversion: Conversion) -> Vec<Converted> {
    convert::plan(census(root, conversion.concerns()), conversion).unwrap()
}

fn carry_out(root: &Path, steps: &[Step], undo: &Path) -> Vec<Result<Outcome, Refusal>> {
    let mut journal = Journal::create(undo).unwrap();
    let mut told = Vec::new();
    relink::carry_out(&[root.to_path_buf()], steps, &mut journal, &|| false, &mut |_, what| told.push(what))
        .unwrap();
    told
}

#[test]
fn every_link_is_counted_as_what_it_is() {
    let top = TempDir::new().unwrap();
    let root = real(&top).join("tree");
    let tree = TreeBuilder::new(&root)
        .file("dir/file", "")
        .symlink("dir/a-plain", "file")
        .symlink("dir/b-gone", "gone")
        .symlink("dir/c-up-and-down", "../dir/file")
        .symlink("dir/d-out", "../../elsewhere")
        .symlink("dir/e-absolute", root.join("dir/file"))
        .symlink("dir/f-messy", root.join("dir//./file"))
        .symlink("dir/g-etc", "/proc/version")
        .symlink("dir/h-gone-out", "/nowhere/at/all")
        .symlink("to-dir", "dir")
        .symlink("i-behind-a-link", "to-dir/../dir/file");
    fs::write(root.with_file_name("elsewhere"), "").unwrap();
    let found = census(tree.root(), everything());
    use LinkKind::{Absolute, Crossing, Dangling, Leaving, Longer, Relative};
    let wanted: [(&str, &[LinkKind]); 10] = [
        ("dir/a-plain", &[Relative]),
        ("dir/b-gone", &[Relative, Dangling]),
        ("dir/c-up-and-down", &[Relative, Longer]),
        ("dir/d-out", &[Relative, Leaving]),
        ("dir/e-absolute", &[Absolute]),
        ("dir/f-messy", &[Absolute, Longer]),
        ("dir/g-etc", &[Absolute, Leaving, Crossing]),
        ("dir/h-gone-out", &[Absolute, Dangling, Leaving]),
        ("i-behind-a-link", &[Relative]),
        ("to-dir", &[Relative]),
    ];
    let listed: Vec<(&str, Vec<LinkKind>)> = found
        .listed
        .iter()
        .map(|one| (str::from_utf8(&one.link.path).unwrap(), one.kinds.iter().collect()))
        .collect();
    assert_eq!(listed, wanted.map(|(path, kinds)| (path, kinds.to_vec())));
    assert_eq!(found.counts.links, 10);
    let counts = LinkKind::ALL.map(|kind| found.counts.of(kind));
    assert_eq!(counts, [4, 6, 2, 3, 1, 2]);
    assert_eq!(found.listed[2].shortest.as_deref(), Some(b"file".as_slice()));
    assert_eq!(found.listed[5].shortest.as_deref(), root.join("dir/file").to_str().map(str::as_bytes));
}

#[test]
fn a_tree_seen_through_another_link_is_not_left() {
    let top = TempDir::new().unwrap();
    let root = real(&top).join("real");
    TreeBuilder::new(&root).file("file", "").symlink("link", real(&top).join("other/file"));
    symlink("real", real(&top).join("other")).unwrap();
    for typed in ["real", "other"] {
        let found = census(&real(&top).join(typed), everything());
        assert_eq!(found.listed[0].kinds.iter().collect::<Vec<_>>(), [LinkKind::Absolute], "{typed}");
    }
}

#[test]
fn a_root_below_another_counts_nothing_twice() {
    let top = TempDir::new().unwrap();
    TreeBuilder::new(top.path()).symlink("sub/gone", "nothing").symlink("there", "sub");
    let roots = [top.path().to_path_buf(), top.path().join("sub"), top.path().join("there")];
    let counted = links::census(&roots, everything(), Mounts::Stay, &Unwatched);
    assert_eq!((counted.counts.links, counted.listed.len()), (2, 2));
    let found = dangling::find(&roots, Scope::Broken, Mounts::Stay, &Unwatched);
    assert_eq!((found.links, found.findings.len()), (2, 1));
}

#[test]
fn absolute_links_inside_the_root_become_relative_and_absolute_again() {
    let top = TempDir::new().unwrap();
    let root = real(&top).join("tree");
    TreeBuilder::new(&root)
        .file("a/b/file", "here")
        .symlink("a/link", root.join("a/b/file"))
        .symlink("x/y/link", root.join("current/file"))
        .symlink("current", root.join("a/b"))
        .symlink("out", "/etc/passwd")
        .symlink("gone", root.join("nothing"));
    let plan = convert(&root, Conversion::ToRelative(Reach::Inside));
    let proposals: BTreeMap<_, _> =
        plan.iter().map(|one| (str::from_utf8(&one.counted.link.path).unwrap(), &one.proposal)).collect();
    let text = |text: &str| Proposal::Text(text.into());
    let wanted = BTreeMap::from([
        ("a/link", text("b/file")),
        ("current", text("a/b")),
        ("gone", Proposal::Dangling),
        ("out", Proposal::Leaving),
        // Through the other link still, so that this can lead elsewhere one day.
        ("x/y/link", text("../../current/file")),
    ]);
    assert_eq!(proposals, wanted.iter().map(|(path, proposal)| (*path, proposal)).collect());

    let steps: Vec<Step> = plan.iter().filter_map(Converted::step).collect();
    let told = carry_out(&root, &steps, &root.with_file_name("undo"));
    assert!(told.iter().all(|what| matches!(what, Ok(Outcome::Done))), "{told:?}");
    let moved = root.with_file_name("moved");
    fs::rename(&root, &moved).unwrap();
    assert_eq!(fs::read_to_string(moved.join("x/y/link")).unwrap(), "here");

    let back = convert(&moved, Conversion::ToAbsolute);
    let steps: Vec<Step> = back.iter().filter_map(Converted::step).collect();
    assert_eq!(steps.len(), 3);
    carry_out(&moved, &steps, &root.with_file_name("undo2"));
    assert_eq!(fs::read_link(moved.join("x/y/link")).unwrap(), moved.join("current/file"));
    assert_eq!(fs::read_to_string(moved.join("x/y/link")).unwrap(), "here");
}

#[test]
fn what_a_link_leads_to_must_be_the_same_before_and_after() {
    let top = TempDir::new().unwrap();
    let root = real(&top).join("tree");
    let tree =
        TreeBuilder::new(&root).file("file", "1").file("other", "2").symlink("link", root.join("file"));
    let steps: Vec<Step> =
        convert(&root, Conversion::ToRelative(Reach::Inside)).iter().filter_map(Converted::step).collect();
    tree.rename("other", "file");
    let told = carry_out(&root, &steps, &root.with_file_name("undo"));
    assert!(matches!(told[0], Err(Refusal::Changed)), "{told:?}");
    assert_eq!(fs::read_link(root.join("link")).unwrap(), root.join("file"));
}

/// What `symlinks(8)` says of each link: the first word is its kind.
fn by_symlinks(root: &Path) -> BTreeMap<PathBuf, Vec<String>> {
    let output = Command::new("symlinks").args(["-r", "-s", "-t", "-v"]).arg(root).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut kinds: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let Some((kind, rest)) = line.split_once(':') else { continue };
        let path = rest.trim().split(" -> ").next().unwrap();
        kinds.entry(PathBuf::from(path)).or_default().push(kind.to_owned());
    }
    kinds
}

#[test]
fn the_census_agrees_with_symlinks() {
    skip_unless!(has_tool("symlinks"), "symlinks is missing");
    for root in ["/etc", "/usr/bin", "/usr/lib/x86_64-linux-gnu"]
        .map(Path::new)
        .into_iter()
        .filter(|root| root.is_dir())
    {
        let root = root.canonicalize().unwrap();
        let theirs = by_symlinks(&root);
        let ours = census(&root, everything());
        assert_eq!(ours.listed.len(), theirs.len(), "{}", root.display());
        for one in &ours.listed {
            let path = one.link.shown(std::slice::from_ref(&root));
            let kinds = theirs.get(&path).unwrap_or_else(|| panic!("{}", path.display()));
            let says = |word: &str| kinds.iter().any(|kind| kind == word);
            assert_eq!(one.kinds.has(LinkKind::Dangling), says("dangling"), "{} {kinds:?}", path.display());
            if !says("dangling") {
                let is_absolute = says("absolute") || (says("other_fs") && one.link.is_absolute());
                assert_eq!(one.kinds.has(LinkKind::Absolute), is_absolute, "{} {kinds:?}", path.display());
                assert_eq!(
                    one.kinds.has(LinkKind::Crossing),
                    says("other_fs"),
                    "{} {kinds:?}",
                    path.display()
                );
            }
        }
    }
}

/// Where `readlink -f` says that a link leads.
fn canonical(path: &Path) -> Vec<u8> {
    Command::new("readlink").arg("-f").arg(path).output().unwrap().stdout
}

fn arb_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![3 => Just("a"), 3 => Just("b"), 1 => Just("c"), 2 => Just(".."), 1 => Just(".")];
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(cases::config(48))]
    #[test]
    fn conversions_lead_to_the_same_and_can_be_undone(
        things in prop::collection::vec((0..4_usize, "[abc](/[abc]){0,2}", arb_text()), 1..20),
        which in 0..3_usize,
    ) {
        let top = TempDir::new().unwrap();
        let root = real(&top).join("tree");
        fs::create_dir(&root).unwrap();
        for (kind, path, text) in things {
            let path = root.join(path);
            // What is in the way of a parent, or of the name, stays.
            let _there = fs::create_dir_all(path.parent().unwrap());
            let _there = match kind {
                0 => fs::create_dir(&path),
                1 => fs::File::create_new(&path).map(drop),
                2 => symlink(&text, &path),
                _ => symlink(root.join(&text), &path),
            };
        }
        let every = || census(&root, everything()).listed;
        let texts = || every().into_iter().map(|one| (one.link.path, one.link.text)).collect::<BTreeMap<_, _>>();
        let there = || {
            let inode = |path: &Path| fs::metadata(path).map(|stat| stat.ino()).ok();
            let shown = |one: &links::Counted| one.link.shown(std::slice::from_ref(&root));
            // In a circle readlink(1) may run until memory is full.
            let find = |path: PathBuf| inode(&path).map(|inode| (inode, canonical(&path)));
            every().iter().map(shown).map(find).collect::<Vec<_>>()
        };
        let (before, led) = (texts(), there());
        let conversion =
            [Conversion::ToRelative(Reach::Anywhere), Conversion::ToAbsolute, Conversion::Shorten][which];
        let steps: Vec<Step> = convert(&root, conversion).iter().filter_map(Converted::step).collect();
        let undo = root.with_file_name("undo");
        let told = carry_out(&root, &steps, &undo);
        prop_assert!(told.iter().all(|what| matches!(what, Ok(Outcome::Done))), "{:?}", told);
        prop_assert_eq!(&there(), &led);
        let still = convert(&root, conversion).iter().filter_map(Converted::step).count();
        prop_assert_eq!(still, 0, "what is done is done");
        for change in Change::parse_all(&fs::read(&undo).unwrap()).unwrap().iter().rev() {
            change.undo().unwrap();
        }
        prop_assert_eq!(texts(), before);
    }
}

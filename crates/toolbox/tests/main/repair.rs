//! Repairs of links that lead nowhere: planned, done, undone, and refused where the tree has changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use linksnap_testkit::skip::is_root;
use linksnap_testkit::skip_unless;
use linksnap_testkit::swapper::NOBODY;
use linksnap_testkit::tree::TreeBuilder;
use linksnap_toolbox::dangling::{self, Scope};
use linksnap_toolbox::journal::{Change, Journal};
use linksnap_toolbox::relink::{self, Deed, Outcome, Refusal, Step};
use linksnap_toolbox::repair::{self, Index, Proposal, Remedy, Repair};
use linksnap_toolbox::walk::{Mounts, Unwatched};
use tempfile::TempDir;

/// A tree at a real path.
struct Place {
    _top: TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        let top = TempDir::new().unwrap();
        let root = top.path().canonicalize().unwrap().join("tree");
        fs::create_dir(&root).unwrap();
        Self { _top: top, root }
    }

    fn plan(&self, remedies: &[Remedy], search: &[PathBuf]) -> Vec<Repair> {
        let found = dangling::find(std::slice::from_ref(&self.root), Scope::Broken, Mounts::Stay, &Unwatched);
        let index = Index::search(search, &found, Mounts::Stay, &Unwatched);
        repair::plan(found, remedies, &index).unwrap()
    }

    fn undo_file(&self) -> PathBuf {
        self.root.with_file_name("undo")
    }

    /// What became of each step.
    fn carry_out(&self, steps: &[Step]) -> Vec<(String, Result<Outcome, Refusal>)> {
        let mut journal = Journal::create(&self.undo_file()).unwrap();
        let mut told = Vec::new();
        relink::carry_out(
            std::slice::from_ref(&self.root),
            steps,
            &mut journal,
            &|| false,
            &mut |step, what| {
                told.push((String::from_utf8(step.link.path.clone()).unwrap(), what));
            },
        )
        .unwrap();
        told
    }

    fn text(&self, name: &str) -> String {
        fs::read_link(self.root.join(name)).unwrap().to_str().unwrap().to_owned()
    }

    fn changes(&self) -> Vec<Change> {
        Change::parse_all(&fs::read(self.undo_file()).unwrap()).unwrap()
    }
}

fn steps(repairs: &[Repair]) -> Vec<Step> {
    repairs.iter().filter_map(Repair::step).collect()
}

fn new_text(repair: &Repair) -> Option<&str> {
    match &repair.proposal {
        Proposal::Do(Deed::Retarget { text, .. }) => Some(str::from_utf8(text).unwrap()),
        _ => None,
    }
}

#[test]
fn the_only_thing_of_the_same_name_is_proposed_and_the_link_keeps_its_manner() {
    let place = Place::new();
    TreeBuilder::new(&place.root)
        .file("new/here/only.txt", "")
        .symlink("a-absolute", "/old/place/only.txt")
        .symlink("b/relative", "../old/only.txt")
        .symlink("c-nothing", "old/nobody.txt");
    let repairs = place.plan(&[Remedy::Search], std::slice::from_ref(&place.root));
    let absolute = place.root.join("new/here/only.txt");
    let wanted = [absolute.to_str(), Some("../new/here/only.txt"), None];
    assert_eq!(repairs.iter().map(new_text).collect::<Vec<_>>(), wanted);
    assert_eq!(repairs[2].proposal, Proposal::Nothing);
}

#[test]
fn of_several_the_likeliest_comes_first_and_nothing_is_done() {
    let place = Place::new();
    TreeBuilder::new(&place.root)
        .file("x/logo.png", "1")
        .file("y/img/logo.png", "2")
        .file("z/site/img/logo.png", "3")
        .symlink("link", "/old/site/img/logo.png");
    for remedies in [&[Remedy::Search][..], &[Remedy::Search, Remedy::Remove]] {
        let repairs = place.plan(remedies, std::slice::from_ref(&place.root));
        let Proposal::Ambiguous { candidates, count } = &repairs[0].proposal else { panic!("{repairs:?}") };
        let names: Vec<_> = candidates
            .iter()
            .map(|one| {
                let path = Path::new(str::from_utf8(&one.path).unwrap());
                (path.strip_prefix(&place.root).unwrap().to_str().unwrap(), one.agreeing_parts)
            })
            .collect();
        assert_eq!(names, [("z/site/img/logo.png", 3), ("y/img/logo.png", 2), ("x/logo.png", 1)]);
        assert_eq!((*count, steps(&repairs)), (3, Vec::new()));
    }
}

#[test]
fn what_belongs_to_somebody_else_is_not_trusted() {
    skip_unless!(is_root(), "needs root, to give a file away");
    let place = Place::new();
    TreeBuilder::new(&place.root)
        .file("new/mine", "")
        .file("new/given", "")
        .owner("new/given", NOBODY, NOBODY)
        .symlink("new/to-given", "given")
        .symlink("a", "old/mine")
        .symlink("b", "old/given")
        .symlink("c", "old/to-given");
    symlink("/new/given", place.root.join("d")).unwrap();
    let look = || {
        let remedies = [Remedy::Relative, Remedy::Search, Remedy::Remove];
        let repairs = place.plan(&remedies, &[place.root.join("new")]);
        repairs.iter().map(|one| (new_text(one).is_some(), one.step().is_some())).collect::<Vec<_>>()
    };
    assert_eq!(look(), [(true, true), (false, false), (false, false), (false, false)]);
    std::os::unix::fs::lchown(place.root.join("b"), Some(NOBODY), None).unwrap();
    assert_eq!(look()[1], (true, true), "to its owner's link it may");
}

#[test]
fn names_of_one_file_are_one_candidate() {
    let place = Place::new();
    TreeBuilder::new(&place.root)
        .file("a/b/file", "1")
        .hard_link("a/b/file", "c/file")
        .symlink("link", "gone/b/file");
    let repairs = place.plan(&[Remedy::Search], std::slice::from_ref(&place.root));
    assert_eq!(new_text(&repairs[0]), Some("a/b/file"));
}

#[test]
fn an_absolute_link_into_a_tree_that_was_moved_becomes_relative() {
    let place = Place::new();
    TreeBuilder::new(&place.root)
        .file("releases/2/app", "")
        .file("etc/app.conf", "")
        .file("app", "")
        .symlink("bin/moved", "/srv/old/releases/2/app")
        .symlink("bin/chroot", "/etc/app.conf-is-not-there")
        .symlink("bin/whole", "/etc/app.conf")
        .symlink("bin/weak", "/usr/bin/app");
    let repairs = place.plan(&[Remedy::Relative], &[]);
    let texts: Vec<_> =
        repairs.iter().map(|one| (str::from_utf8(&one.finding.link.path).unwrap(), new_text(one))).collect();
    let wanted = [
        ("bin/chroot", None),
        ("bin/moved", Some("../releases/2/app")),
        // One part that agrees proves nothing.
        ("bin/weak", None),
        ("bin/whole", Some("../etc/app.conf")),
    ];
    assert_eq!(texts, wanted);
}

#[test]
fn repairs_are_done_recorded_and_undone() {
    let place = Place::new();
    TreeBuilder::new(&place.root)
        .file("new/only.txt", "found")
        .symlink("a", "old/only.txt")
        .symlink("b", "old/nobody.txt");
    let repairs = place.plan(&[Remedy::Search, Remedy::Remove], std::slice::from_ref(&place.root));
    let told = place.carry_out(&steps(&repairs));
    assert!(told.iter().all(|(_, what)| matches!(what, Ok(Outcome::Done))), "{told:?}");
    assert_eq!(fs::read_to_string(place.root.join("a")).unwrap(), "found");
    assert!(place.root.join("b").symlink_metadata().is_err());
    assert_eq!(fs::read_dir(&place.root).unwrap().count(), 2, "nothing temporary is left");

    for change in place.changes().iter().rev() {
        change.undo().unwrap();
    }
    assert_eq!((place.text("a"), place.text("b")), ("old/only.txt".to_owned(), "old/nobody.txt".to_owned()));
}

#[test]
fn what_is_replaced_between_plan_and_deed_is_left_alone() {
    let place = Place::new();
    let tree = TreeBuilder::new(&place.root)
        .symlink("another-text", "gone")
        .symlink("dir/in-another-directory", "gone")
        .symlink("is-a-file", "gone")
        .symlink("mended", "gone-no-more")
        .symlink("removed", "gone")
        .symlink("through-a-link/below", "gone")
        .symlink("elsewhere/below", "gone");
    let planned: Vec<Step> = steps(&place.plan(&[Remedy::Remove], &[]));
    assert_eq!(planned.len(), 7);
    tree.delete("another-text")
        .symlink("another-text", "other")
        .rename("dir", "dir.old")
        .symlink("dir/in-another-directory", "gone")
        .delete("is-a-file")
        .file("is-a-file", "mine")
        .file("gone-no-more", "")
        .delete("removed")
        .delete("through-a-link");
    symlink("elsewhere", place.root.join("through-a-link")).unwrap();

    let told = place.carry_out(&planned);

    for (path, what) in &told {
        match path.as_str() {
            "mended" => assert!(matches!(what, Ok(Outcome::Mended)), "{what:?}"),
            "elsewhere/below" => assert!(matches!(what, Ok(Outcome::Done)), "{what:?}"),
            _ => assert!(matches!(what, Err(Refusal::Changed)), "{path}: {what:?}"),
        }
    }
    assert_eq!(told.len(), 7);
    assert_eq!(place.text("another-text"), "other");
    assert_eq!(place.text("dir/in-another-directory"), "gone");
    assert_eq!(fs::read_to_string(place.root.join("is-a-file")).unwrap(), "mine");
    assert_eq!(place.changes().len(), 1, "only what was done is in the journal");
}

#[test]
fn a_target_that_is_replaced_between_plan_and_deed_is_not_linked_to() {
    let place = Place::new();
    let tree =
        TreeBuilder::new(&place.root).file("new/only", "1").file("other", "2").symlink("a", "old/only");
    let planned = steps(&place.plan(&[Remedy::Search], std::slice::from_ref(&place.root)));
    tree.rename("other", "new/only");
    let told = place.carry_out(&planned);
    assert!(matches!(told[0].1, Err(Refusal::Elsewhere)), "{told:?}");
    assert_eq!(place.text("a"), "old/only");
}

#[test]
fn what_a_repair_mends_is_not_removed() {
    let place = Place::new();
    TreeBuilder::new(&place.root)
        .file("new/lib/x", "")
        .symlink("a-through", "current/x")
        .symlink("current", "old/lib");
    let mut planned = steps(
        &place.plan(&[Remedy::Search, Remedy::Remove], &[place.root.join("new/lib"), place.root.clone()]),
    );
    assert_eq!(planned.len(), 2);
    // As if nothing had been found for it.
    planned[0].deed = Deed::Remove;
    planned.reverse();
    let told = place.carry_out(&planned);
    assert!(matches!(told[0], (ref path, Ok(Outcome::Done)) if path == "current"), "{told:?}");
    assert!(matches!(told[1], (ref path, Ok(Outcome::Mended)) if path == "a-through"), "{told:?}");
    assert_eq!(place.text("a-through"), "current/x");
}

#[test]
fn the_alternatives_are_left_to_their_own_tool() {
    for (dir, text, wanted) in [
        ("/etc/alternatives", "/usr/bin/mawk", true),
        ("/usr/bin", "/etc/alternatives/awk", true),
        ("/etc/alternatives.d", "/etc/x", false),
        ("/srv", "x", false),
    ] {
        assert_eq!(repair::is_alternative(dir.as_bytes(), text.as_bytes()), wanted, "{dir} {text}");
    }
}

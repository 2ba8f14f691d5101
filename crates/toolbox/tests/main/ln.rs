//! Links that are made, replaced and refused, with `ln(1)` as a witness.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_testkit::loopfs::{self, FsKind, LoopFs};
use linksnap_testkit::skip::{has_tool, is_root, lacking};
use linksnap_testkit::{or_lacking, or_skip, skip_unless};
use linksnap_toolbox::Place;
use linksnap_toolbox::ln::{
    Destination, LnError, Making, New, Now, Plan, Refusal, Wish, exchange, make, plan, wishes,
};
use linksnap_toolbox::resolve::Why;
use linksnap_toolbox::swap::Expected;
use tempfile::TempDir;

fn tree() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("dir/sub")).unwrap();
    fs::create_dir(dir.path().join("other")).unwrap();
    fs::write(dir.path().join("file"), "file").unwrap();
    fs::write(dir.path().join("second"), "second").unwrap();
    fs::write(dir.path().join("dir/taken"), "taken").unwrap();
    symlink("dir/sub", dir.path().join("way")).unwrap();
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    dir
}

fn wish(dir: &TempDir, target: &str, link: &str) -> Wish {
    Wish { target: dir.path().join(target), link: dir.path().join(link) }
}

fn planned(dir: &TempDir, target: &str, link: &str, making: Making) -> Result<Plan, Refusal> {
    plan(wish(dir, target, link), making)
}

fn text(plan: &Plan) -> &str {
    match &plan.new {
        New::Symbolic(text) => str::from_utf8(text).unwrap(),
        New::Hard(..) => panic!("{plan:?}"),
    }
}

/// Names, kinds, texts and which names share an inode.
fn listing(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut listing = BTreeMap::new();
    let mut first: BTreeMap<u64, PathBuf> = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    let mut all = Vec::new();
    while let Some(path) = waiting.pop() {
        let stat = path.symlink_metadata().unwrap();
        if stat.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            all.push((path, stat));
        }
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    for (path, stat) in all {
        let below = path.strip_prefix(root).unwrap().to_path_buf();
        let shared = first.entry(stat.ino()).or_insert_with(|| below.clone()).clone();
        let what = match fs::read_link(&path) {
            Ok(text) => format!("-> {}", text.display()),
            Err(_) => fs::read_to_string(&path).unwrap(),
        };
        listing.insert(below, format!("{what} {}", shared.display()));
    }
    listing
}

#[test]
fn the_same_links_are_made_as_by_ln() {
    skip_unless!(has_tool("ln"), "ln is missing");
    let table: &[(&[&str], Making, &[&str], Destination)] = &[
        (&[], Making::Hard, &["file", "new"], Destination::Enter),
        (&[], Making::Hard, &["file", "dir"], Destination::Enter),
        (&[], Making::Hard, &["file", "way"], Destination::Enter),
        (&[], Making::Hard, &["file", "second", "dir/sub"], Destination::Enter),
        (&[], Making::Hard, &["dangling", "new"], Destination::Enter),
        (&[], Making::Hard, &["way", "new"], Destination::Enter),
        (&["-f"], Making::Hard, &["file", "dir/taken"], Destination::Enter),
        (&["-f"], Making::Hard, &["file", "second"], Destination::Enter),
        (&["-fn"], Making::Hard, &["file", "way"], Destination::EnterUnlessLink),
        (&["-fT"], Making::Hard, &["file", "way"], Destination::Name),
        (&["-s"], Making::Symbolic, &["file", "new"], Destination::Enter),
        (&["-s"], Making::Symbolic, &["../file", "dir"], Destination::Enter),
        (&["-s"], Making::Symbolic, &["nowhere", "new"], Destination::Enter),
        (&["-s"], Making::Symbolic, &["../file", "../second", "dir"], Destination::Enter),
        (&["-sf"], Making::Symbolic, &["file", "second"], Destination::Enter),
        (&["-sfn"], Making::Symbolic, &["other", "way"], Destination::EnterUnlessLink),
        (&["-sfn"], Making::Symbolic, &["../file", "dir"], Destination::EnterUnlessLink),
        (&["-sf"], Making::Symbolic, &["../../other", "way"], Destination::Enter),
        (&["-sr"], Making::Relative, &["file", "dir/sub/new"], Destination::Enter),
        (&["-sr"], Making::Relative, &["file", "way"], Destination::Enter),
        (&["-sr"], Making::Relative, &["dir/taken", "way/new"], Destination::Enter),
        (&["-sr"], Making::Relative, &["dir/sub", "dir/new"], Destination::Enter),
        (&["-sr"], Making::Relative, &["dir", "dir/sub/new"], Destination::Enter),
        (&["-sr"], Making::Relative, &["way/../taken", "other/new"], Destination::Enter),
        (&["-sr"], Making::Relative, &["missing", "other/new"], Destination::Enter),
    ];
    for (options, making, paths, destination) in table {
        let (ours, theirs) = (tree(), tree());
        let status =
            Command::new("ln").args(*options).args(*paths).current_dir(theirs.path()).status().unwrap();
        assert!(status.success(), "{options:?} {paths:?}");
        let [targets @ .., last] = paths else { unreachable!() };
        // A text is as typed; what is found by a path is below our tree.
        let target = |name: &&str| match making {
            Making::Symbolic => PathBuf::from(name),
            _ => ours.path().join(name),
        };
        let targets: Vec<PathBuf> = targets.iter().map(target).collect();
        for wish in wishes(&targets, &ours.path().join(last), *destination).unwrap() {
            make(&plan(wish, *making).unwrap()).unwrap();
        }
        assert_eq!(listing(ours.path()), listing(theirs.path()), "{options:?} {paths:?}");
    }
}

#[test]
fn texts_are_found_by_the_kernels_order() {
    let dir = tree();
    let plan = |target: &str, link: &str, making| planned(&dir, target, link, making).unwrap();
    assert_eq!(
        text(&plan("file", "way/new", Making::Relative)),
        "../../file",
        "from where the link really is"
    );
    assert_eq!(text(&plan("way/../taken", "new", Making::Relative)), "dir/taken");
    assert_eq!(text(&plan("way", "dir/new", Making::Relative)), "../way", "a link stays one");
    let root = dir.path().canonicalize().unwrap();
    assert_eq!(
        text(&plan("way/../taken", "new", Making::Absolute)),
        root.join("dir/taken").to_str().unwrap()
    );
    for making in [Making::Relative, Making::Absolute] {
        let made = plan("way/../taken", "way/new", making);
        assert!(made.dangles.is_none(), "{made:?}");
        make(&made).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("way/new")).unwrap(), "taken");
        fs::remove_file(dir.path().join("way/new")).unwrap();
    }
}

#[test]
fn links_that_lead_nowhere_or_in_a_circle_are_seen_before() {
    let dir = tree();
    let why = |text: &str, link: &str| {
        let wish = Wish { target: PathBuf::from(text), link: dir.path().join(link) };
        plan(wish, Making::Symbolic).unwrap().dangles.map(|stop| stop.why)
    };
    assert_eq!(why("file", "new"), None);
    assert_eq!(why("file", "dir/new"), Some(Why::Missing), "seen from the link's directory");
    assert_eq!(why("new", "new"), Some(Why::Loop));
    assert_eq!(why("../dir/new", "dir/new"), Some(Why::Loop));
    assert_eq!(why("new", "nowhere"), Some(Why::Missing));
    assert_eq!(why("dangling", "nowhere"), Some(Why::Loop));
    let lost = Wish { target: PathBuf::from("file"), link: dir.path().join("file") };
    assert!(matches!(plan(lost, Making::Symbolic), Err(Refusal::Itself(_))), "its content would be lost");
}

#[test]
fn what_is_there_already_stays() {
    let dir = tree();
    let hard = make(&planned(&dir, "file", "new", Making::Hard).unwrap()).unwrap();
    assert_eq!((hard.before, hard.after.links), (None, 2));
    let again = planned(&dir, "file", "new", Making::Hard).unwrap();
    assert!(matches!(again.now, Now::Same(_)) && !again.is_doubtful(), "{again:?}");
    assert_eq!(make(&again).unwrap().after, hard.after);
    let same = Wish { target: PathBuf::from("dir/sub"), link: dir.path().join("way") };
    assert!(matches!(plan(same, Making::Symbolic).unwrap().now, Now::Same(_)));
}

#[test]
fn refusals_say_why() {
    let dir = tree();
    let refused = |target: &str, link: &str, making| planned(&dir, target, link, making).unwrap_err();
    assert!(matches!(refused("dir", "new", Making::Hard), Refusal::Directory(_)));
    assert!(matches!(refused("way/", "new", Making::Hard), Refusal::Directory(_)), "not the link to it");
    assert!(matches!(refused("file/", "new", Making::Hard), Refusal::Fs(_)));
    assert!(matches!(refused("missing", "new", Making::Hard), Refusal::NoTarget(_)));
    assert!(matches!(refused("file", "dir", Making::Hard), Refusal::InTheWay(_)));
    assert!(matches!(refused("file", "missing/new", Making::Hard), Refusal::Fs(_)));
    let elsewhere = Wish { target: PathBuf::from("/proc/version"), link: dir.path().join("new") };
    let refusal = plan(elsewhere, Making::Hard).unwrap_err();
    assert!(matches!(refusal, Refusal::Elsewhere { .. }));
    assert!(refusal.to_string().contains("proc (proc, mounted on /proc)"), "{refusal}");
    assert!(refusal.hint().unwrap().contains("-s"));
}

#[test]
fn flags_and_limits_are_told_beforehand() {
    skip_unless!(has_tool("chattr"), "chattr is missing");
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 32, &["-N", "64"]));
    let at = |name: &str| disk.path().join(name);
    let refused = |target: &str, link: &str| plan(Wish { target: at(target), link: at(link) }, Making::Hard);
    fs::create_dir(at("closed")).unwrap();
    for file in ["fixed", "grows", "plain", "closed/in"] {
        fs::write(at(file), "").unwrap();
    }
    let chattr = |flag: &str, name: &str| {
        assert!(Command::new("chattr").arg(flag).arg(at(name)).status().unwrap().success());
    };
    for (flag, name, word) in [("+i", "fixed", "immutable"), ("+a", "grows", "append-only")] {
        chattr(flag, name);
        let refusal = refused(name, "new").unwrap_err();
        assert!(refusal.to_string().contains(word), "{refusal}");
        assert!(refused("plain", name).unwrap_err().to_string().contains(word), "neither is it replaced");
        chattr(&flag.replace('+', "-"), name);
    }
    chattr("+i", "closed");
    assert!(matches!(refused("plain", "closed/new"), Err(Refusal::Flagged { .. })));
    chattr("-i", "closed");
    fs::create_dir(at("many")).unwrap();
    for number in 1..65_000 {
        fs::hard_link(at("plain"), at("many").join(number.to_string())).unwrap();
    }
    let refusal = refused("plain", "new").unwrap_err();
    assert!(matches!(refusal, Refusal::TooManyLinks { links: 65_000, .. }), "{refusal}");
    assert!(refusal.to_string().contains("65000 names") && refusal.to_string().contains("ext4"), "{refusal}");
}

#[test]
fn a_filesystem_without_links_is_named() {
    // FAT is rare on servers, and many kernels have none.
    let disk = or_lacking!(LoopFs::create(FsKind::Vfat, 1, &[]), "FAT");
    fs::write(disk.path().join("a"), "").unwrap();
    let wish = Wish { target: disk.path().join("a"), link: disk.path().join("b") };
    let refusal = plan(wish, Making::Hard).unwrap_err();
    assert!(matches!(&refusal, Refusal::NoHardLinks { filesystem, .. } if filesystem == "vfat"), "{refusal}");
}

#[test]
fn a_bind_mount_is_another_filesystem_to_a_link() {
    skip_unless!(is_root(), "needs root to mount");
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 1, &[]));
    fs::create_dir(disk.path().join("bound")).unwrap();
    fs::create_dir(disk.path().join("there")).unwrap();
    fs::write(disk.path().join("a"), "").unwrap();
    let (from, to) = (disk.path().join("there"), disk.path().join("bound"));
    assert!(Command::new("mount").arg("--bind").args([&from, &to]).status().unwrap().success());
    let refusal = plan(Wish { target: disk.path().join("a"), link: to.join("b") }, Making::Hard);
    loopfs::unmount(&to);
    assert!(matches!(refusal, Err(Refusal::Elsewhere { .. })), "{refusal:?}");
}

#[test]
fn what_changed_since_the_plan_is_left_alone() {
    let dir = tree();
    let at = |name: &str| dir.path().join(name);
    // The target is another file by now.
    let target = planned(&dir, "file", "new", Making::Hard).unwrap();
    fs::rename(at("second"), at("file")).unwrap();
    assert!(matches!(make(&target), Err(LnError::Changed(_))));
    assert!(!at("new").exists());
    // The name is taken by now.
    let free = planned(&dir, "file", "new", Making::Hard).unwrap();
    fs::write(at("new"), "somebody else's").unwrap();
    assert!(matches!(make(&free), Err(LnError::Changed(_))));
    assert_eq!(fs::read_to_string(at("new")).unwrap(), "somebody else's");
    // What is to be replaced is another one by now.
    let taken = planned(&dir, "file", "dir/taken", Making::Absolute).unwrap();
    fs::rename(at("new"), at("dir/taken")).unwrap();
    assert!(matches!(make(&taken), Err(LnError::Changed(_))));
    assert_eq!(fs::read_to_string(at("dir/taken")).unwrap(), "somebody else's");
    let left = fs::read_dir(dir.path()).unwrap().chain(fs::read_dir(at("dir")).unwrap());
    assert!(left.into_iter().all(|entry| !entry.unwrap().file_name().to_str().unwrap().starts_with('.')));
}

#[test]
fn two_names_are_exchanged_if_both_are_what_they_were() {
    let dir = tree();
    let find = |name: &str| {
        let place = Place::find(&dir.path().join(name)).unwrap();
        let expected = Expected::now(&place.dir, &place.name).unwrap().0;
        (place, expected)
    };
    let (a, b) = (find("file"), find("dir/sub"));
    exchange((&a.0, &a.1), (&b.0, &b.1)).unwrap();
    assert!(dir.path().join("file").is_dir());
    assert_eq!(fs::read_to_string(dir.path().join("dir/sub")).unwrap(), "file");
    let refused = exchange((&a.0, &a.1), (&b.0, &b.1));
    assert!(matches!(refused, Err(LnError::Changed(_))), "they were exchanged already");
    assert!(dir.path().join("file").is_dir());
}

#[test]
fn protected_files_of_others_are_told_beforehand() {
    skip_unless!(is_root(), "needs root to be somebody else");
    let is_on = fs::read("/proc/sys/fs/protected_hardlinks").is_ok_and(|value| value.starts_with(b"1"));
    if !is_on {
        return lacking("ln::protected_files_of_others_are_told_beforehand", "fs.protected_hardlinks");
    }
    let dir = tree();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    for (name, mode) in [("file", 0o644), ("second", 0o666)] {
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    // Rights are those of a thread, as far as the kernel is concerned.
    let refused = std::thread::scope(|scope| {
        let work = || {
            rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65_534)).unwrap();
            ["file", "second"].map(|name| {
                let plan = planned(&dir, name, "new", Making::Hard);
                let kernel = fs::hard_link(dir.path().join(name), dir.path().join("tried"));
                assert_eq!(kernel.is_err(), plan.is_err(), "{name}: {kernel:?}");
                plan.is_err_and(|refusal| matches!(refusal, Refusal::Protected(_)))
            })
        };
        scope.spawn(work).join().unwrap()
    });
    assert_eq!(refused, [true, false]);
}

#[test]
fn names_that_cannot_be_exchanged_say_why() {
    let dir = tree();
    let find = |path: &Path| {
        let place = Place::find(path).unwrap();
        let expected = Expected::now(&place.dir, &place.name).unwrap().0;
        (place, expected)
    };
    let (outer, inner) = (find(&dir.path().join("dir")), find(&dir.path().join("dir/sub")));
    let refused = exchange((&outer.0, &outer.1), (&inner.0, &inner.1));
    assert!(matches!(refused, Err(LnError::Refused(Refusal::Entangled(..)))), "{refused:?}");
    let (here, there) = (find(&dir.path().join("file")), find(Path::new("/proc/version")));
    let refused = exchange((&here.0, &here.1), (&there.0, &there.1));
    assert!(matches!(refused, Err(LnError::Refused(Refusal::Apart(..)))), "{refused:?}");
}

//! Where paths lead, with `readlink(1)` and the kernel as witnesses.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::process::Command;

use linksnap_inode::{DirFd, Errno, Handle, Kind};
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::skip::{has_tool, is_root, lacking};
use linksnap_testkit::{cases, or_skip, skip_unless};
use linksnap_toolbox::resolve::{Assumed, Demand, End, MOST_LINKS, Resolution, Why, resolve, resolve_from};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::{prop_assert_eq, proptest};
use tempfile::TempDir;

const MODES: [(Demand, &str); 3] = [(Demand::AllButLast, "-f"), (Demand::All, "-e"), (Demand::Nothing, "-m")];

/// From a directory, so that tests need not share a working directory.
fn from(dir: &Path, path: &[u8], demand: Demand) -> Resolution {
    resolve_from(Handle::open(dir).unwrap(), b".", path, demand, None).unwrap()
}

/// What a path without links comes to, as `readlink` prints it; `None` if it goes no further.
fn printed(dir: &Path, path: &[u8], demand: Demand) -> Option<Vec<u8>> {
    let found = from(dir, path, demand);
    let path = found.path.as_deref().map(linksnap_inode::path::absolute);
    if found.stop().is_some() { None } else { path }
}

/// `None` if it does not come to an end: on a link that leads to something below itself it goes on for ever.
fn readlink(dir: &Path, mode: &str, path: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut command = Command::new("timeout");
    command.args(["0.5", "readlink", mode, "-z", "--"]).arg(OsStr::from_bytes(path)).current_dir(dir);
    let output = command.output().unwrap();
    let text = || output.stdout.strip_suffix(b"\0").unwrap().to_vec();
    (output.status.code() != Some(124)).then(|| output.status.success().then(text))
}

fn tree() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("subdir/deep")).unwrap();
    fs::write(at("regfile"), "x").unwrap();
    fs::write(at("subdir/file"), "x").unwrap();
    for (text, name) in [
        ("regfile", "link1"),
        ("subdir", "link2"),
        ("missing", "link3"),
        ("subdir/missing", "link4"),
        ("subdir/deep/..", "up"),
        ("../subdir/deep/", "subdir/slashed"),
        ("regfile/", "file-slashed"),
        ("missing/", "missing-slashed"),
        ("missing/more", "far"),
        ("loop", "loop"),
        ("b", "a"),
        ("c", "b"),
        ("a", "c"),
        ("grow/x", "grow"),
        ("/", "root"),
        (".", "here"),
        ("..", "above"),
        ("link2/deep/../../link1", "winding"),
        ("subdir/../a", "to-loop"),
    ] {
        symlink(text, at(name)).unwrap();
    }
    symlink(at("subdir/deep"), at("absolute")).unwrap();
    dir
}

/// The names of the tables of coreutils (`tests/readlink/can-e.sh`, `can-f.sh`, `can-m.sh`), and more.
fn table(dir: &Path) -> Vec<Vec<u8>> {
    let plain = [
        "regfile",
        "subdir",
        "missing",
        "link1",
        "link2",
        "link3",
        "link4",
        "up",
        "far",
        "loop",
        "a",
        "b",
        "c",
        "root",
        "here",
        "above",
        "winding",
        "absolute",
        "to-loop",
        "file-slashed",
        "missing-slashed",
        "subdir/slashed",
        "subdir/more",
        "subdir/missing",
        "missing/../regfile",
        "missing/missing",
        "regfile/more",
        "link1/more",
        "link3/more",
        "link2/file",
        "link2/../regfile",
        "up/regfile",
        "up/file",
        "absolute/..",
        "absolute/../file",
        "subdir/deep/../../regfile",
        "here/here/here/link1",
        "above/..",
        "root/etc/..",
        "a/b",
        "loop/..",
        "loop/../regfile",
        "missing/..",
        "regfile/..",
        "regfile/.",
        "missing/.",
        "subdir/.",
        "subdir/..",
        "subdir/./..",
        ".",
        "..",
        "./.",
        "link4/..",
        "missing/../missing/../regfile",
        "subdir/missing/../file",
        "regfile/../link1",
        "subdir//deep//",
        "link3/../link1",
        "to-loop/..",
    ];
    let slashes = ["", "/", "//", "/.", "/./", "/..", "/../", "/more", "/../more"];
    let mut table: Vec<Vec<u8>> = Vec::new();
    for path in plain {
        for end in slashes {
            let path = format!("{path}{end}");
            // One way or the other: the start makes no difference to what follows.
            match table.len() % 4 {
                0 => table.push(dir.join(&path).into_os_string().into_vec()),
                _ => table.push(path.into_bytes()),
            }
        }
    }
    table.extend(["/", "//", "/..", "/../..", "/.", ""].map(|path| path.as_bytes().to_vec()));
    table
}

#[test]
fn paths_come_to_what_readlink_prints() {
    skip_unless!(has_tool("readlink"), "readlink is missing");
    let dir = tree();
    let root = dir.path().canonicalize().unwrap();
    let mut wrong = Vec::new();
    for path in table(&root) {
        for (demand, mode) in MODES {
            let (ours, theirs) = (printed(&root, &path, demand), readlink(&root, mode, &path));
            if theirs.as_ref().is_some_and(|theirs| *theirs != ours) {
                wrong.push(format!("{mode} {:?}: {ours:?}, readlink {theirs:?}", OsStr::from_bytes(&path)));
            }
        }
    }
    let text = |line: &String| line.replace(root.to_str().unwrap(), "ROOT");
    assert!(wrong.is_empty(), "{}", wrong.iter().map(text).collect::<Vec<_>>().join("\n"));
}

#[test]
fn paths_lead_where_the_kernel_goes() {
    let dir = tree();
    let root = dir.path().canonicalize().unwrap();
    for path in table(&root) {
        same_as_kernel(&root, &path);
    }
}

/// The kernel reaches the same inode, or fails for the same reason.
fn same_as_kernel(root: &Path, path: &[u8]) {
    let ours = from(root, path, Demand::Kernel);
    let theirs = DirFd::open_root(root).unwrap().stat_target(path);
    let shown = OsStr::from_bytes(path);
    match (&ours.end, theirs) {
        (End::Reached(_, detail), Ok(stat)) => {
            assert_eq!(detail.stat.identity(), stat.identity(), "{shown:?}");
        }
        (End::Stopped(stop), Err(fault)) => {
            let wanted = match stop.why {
                Why::Missing => Errno::NOENT,
                Why::Loop | Why::TooManyLinks => Errno::LOOP,
                Why::NotADirectory(_) => Errno::NOTDIR,
                other => panic!("{shown:?}: {other:?}"),
            };
            assert_eq!(fault.errno, wanted, "{shown:?}");
        }
        (ours, theirs) => panic!("{shown:?}: {ours:?}, the kernel {theirs:?}"),
    }
}

/// Texts and paths of a few names, so that links meet each other.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "dir", "dir/in", "file"]),
        2 => Just(".."),
        1 => Just("."),
        1 => Just(""),
        1 => Just("none"),
    ];
    let parts = prop::collection::vec(part, 1..5);
    (parts, any::<bool>()).prop_map(|(parts, absolute)| {
        let text = parts.join("/");
        match (absolute, text.trim_start_matches('/')) {
            (true, rest) => format!("ROOT/{rest}"),
            (false, "") => "./".to_owned(),
            (false, rest) => rest.to_owned(),
        }
    })
}

proptest! {
    #![proptest_config(cases::config(12))]
    #[test]
    fn random_links_lead_where_the_kernel_and_readlink_go(
        links in prop::collection::vec(texts(), 8),
        paths in prop::collection::vec(texts(), 6),
    ) {
        skip_in_proptest();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("dir/in")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        let here = |text: &String| text.replace("ROOT", root.to_str().unwrap());
        let names = ["a", "b", "c", "d", "dir/e", "dir/in/f", "dir/a", "f"];
        for (name, text) in names.iter().zip(&links) {
            symlink(here(text), root.join(name)).unwrap();
        }
        for path in &paths {
            let path = here(path).into_bytes();
            same_as_kernel(&root, &path);
            for (demand, mode) in MODES {
                let ours = printed(&root, &path, demand);
                if let Some(theirs) = readlink(&root, mode, &path) {
                    prop_assert_eq!(ours, theirs, "{} {:?} {:?}", mode, &path, &links);
                }
            }
        }
    }
}

fn skip_in_proptest() {
    skip_unless!(has_tool("readlink"), "readlink is missing");
}

#[test]
fn a_dot_dot_behind_a_link_is_above_where_the_link_leads() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("one/two/three")).unwrap();
    symlink("one/two/three", root.join("link")).unwrap();
    let found = from(&root, b"link/../..", Demand::Kernel);
    assert_eq!(found.path.unwrap(), root.join("one").as_os_str().as_bytes()[1..]);
    let steps: Vec<(usize, String)> =
        found.hops.iter().map(|hop| (hop.depth, String::from_utf8_lossy(&hop.name).into_owned())).collect();
    let wanted = [(0, "."), (0, "link"), (1, "one"), (1, "two"), (1, "three"), (0, ".."), (0, "..")];
    assert_eq!(steps, wanted.map(|(depth, name)| (depth, name.to_owned())));
    assert_eq!(found.hops[1].link.as_ref().unwrap().text, b"one/two/three");
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("0"), "").unwrap();
    for link in 1..=MOST_LINKS + 5 {
        symlink((link - 1).to_string(), dir.path().join(link.to_string())).unwrap();
    }
    for last in [MOST_LINKS, MOST_LINKS + 1] {
        same_as_kernel(dir.path(), last.to_string().as_bytes());
    }
    let why = |links: u32| {
        from(dir.path(), links.to_string().as_bytes(), Demand::Kernel).stop().map(|stop| stop.why)
    };
    assert_eq!(why(MOST_LINKS), None);
    assert_eq!(why(MOST_LINKS + 1), Some(Why::TooManyLinks));
    // As readlink does.
    assert!(from(dir.path(), b"45", Demand::All).reached().is_some());
}

#[test]
fn a_loop_is_told_at_its_first_return() {
    let dir = tree();
    for path in ["loop", "a", "to-loop", "grow"] {
        let found = from(dir.path(), path.as_bytes(), Demand::Kernel);
        assert_eq!(found.stop().map(|stop| stop.why), Some(Why::Loop), "{path}");
        assert!(found.hops.len() <= 8, "{path}: {:?}", found.hops.len());
    }
}

#[test]
fn an_assumed_link_is_followed_as_if_it_were_there() {
    let dir = tree();
    let at = Handle::open(dir.path()).unwrap();
    let identity = at.stat().unwrap().identity();
    let why = |text: &[u8]| {
        let assumed = Some(Assumed { dir: identity, name: b"new", text });
        let start = Handle::open(dir.path()).unwrap();
        resolve_from(start, b".", text, Demand::Kernel, assumed).unwrap().stop().map(|stop| stop.why)
    };
    assert_eq!(why(b"regfile"), None);
    assert_eq!(why(b"new"), Some(Why::Loop));
    assert_eq!(why(b"subdir/../new"), Some(Why::Loop));
    assert_eq!(why(b"missing"), Some(Why::Missing));
    assert_eq!(why(b"regfile/x"), Some(Why::NotADirectory(Kind::File)));
}

#[test]
fn magic_links_lead_to_the_inode_itself() {
    let dir = tree();
    let file = fs::File::open(dir.path().join("regfile")).unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    fs::remove_file(dir.path().join("regfile")).unwrap();
    let found = resolve(path.as_bytes(), Demand::Kernel).unwrap();
    assert_eq!(found.reached().unwrap().stat.inode, file.metadata().unwrap().ino());
    assert_eq!(found.path, None, "it has none any more");
    assert!(found.hops.iter().any(|hop| hop.link.as_ref().is_some_and(|link| link.is_magic)));
    let named = resolve(path.as_bytes(), Demand::All).unwrap();
    assert_eq!(named.stop().map(|stop| stop.why), Some(Why::Nameless));
    let exe = resolve(b"/proc/self/exe", Demand::All).unwrap();
    let own = std::env::current_exe().unwrap().canonicalize().unwrap();
    assert_eq!(exe.path.unwrap(), own.as_os_str().as_bytes()[1..]);
}

#[test]
fn a_directory_that_may_not_be_searched_stops_it() {
    skip_unless!(is_root(), "needs root to be somebody else");
    let dir = tree();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(dir.path().join("subdir"), fs::Permissions::from_mode(0o700)).unwrap();
    // Rights are those of a thread, as far as the kernel is concerned; only the C library makes them the process's.
    let stop = std::thread::scope(|scope| {
        let work = || {
            rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65_534)).unwrap();
            from(dir.path(), b"link2/file", Demand::Kernel).stop().cloned()
        };
        scope.spawn(work).join().unwrap()
    });
    let stop = stop.unwrap();
    assert_eq!((stop.why, stop.name.as_slice()), (Why::Denied, b"file".as_slice()));
    assert!(stop.within.unwrap().ends_with(b"subdir"));
}

#[test]
fn mounts_on_the_way_are_seen() {
    let found = resolve(b"/proc/sys/kernel", Demand::Kernel).unwrap();
    let crossed: Vec<&[u8]> =
        found.hops.iter().filter(|hop| hop.crosses).map(|hop| hop.name.as_slice()).collect();
    assert_eq!(crossed.first(), Some(&b"proc".as_slice()));
}

#[test]
fn a_mount_that_refuses_links_stops_it() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 1, &[]));
    fs::write(disk.path().join("file"), "").unwrap();
    symlink("file", disk.path().join("link")).unwrap();
    same_as_kernel(&disk.path(), b"link");
    let remount =
        Command::new("mount").args(["-o", "remount,nosymfollow"]).arg(disk.path()).output().unwrap();
    if !remount.status.success() {
        return lacking(
            "resolve::a_mount_that_refuses_links_stops_it",
            "nosymfollow, or mount(8) does not know it",
        );
    }
    let found = from(&disk.path(), b"link", Demand::Kernel);
    assert_eq!(found.stop().map(|stop| stop.why), Some(Why::LinksRefused));
    assert!(DirFd::open_root(&disk.path()).unwrap().stat_target(b"link").unwrap_err().is(Errno::LOOP));
}

#[test]
fn links_of_others_in_public_directories_are_refused_where_the_kernel_refuses_them() {
    skip_unless!(is_root(), "giving links to others needs root");
    let dir = TempDir::new().unwrap();
    let at = |path: &str| dir.path().join(path);
    for name in ["sticky", "open", "dir", "own"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("dir/file"), "").unwrap();
    // (directory, its mode, its owner); in each a link of root's, of user 1's and of user 2's.
    for (name, mode, owner) in [("sticky", 0o1777, 1), ("open", 0o777, 1), ("own", 0o1755, 0)] {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        chown(at(name), Some(owner), Some(owner)).unwrap();
        for user in 0..3 {
            for (link, text) in [("file", "../dir/file"), ("dir", "../dir")] {
                let link = at(name).join(format!("{link}{user}"));
                symlink(text, &link).unwrap();
                lchown(link, Some(user), Some(user)).unwrap();
            }
        }
    }
    symlink("../sticky/file2", at("own/chain")).unwrap();
    symlink("../sticky/dir2/file", at("own/through")).unwrap();
    symlink("../sticky/dir2", at("own/last")).unwrap();
    let mut refused = 0;
    let ways = ["file", "dir", "dir/", "dir/.", "dir/file", "dir/../dir/file"];
    let single = ["sticky", "open", "own"].into_iter().flat_map(|name| {
        let link = move |user: u32, way: &str| match way.strip_prefix("dir") {
            Some(rest) => format!("{name}/dir{user}{rest}"),
            None => format!("{name}/{way}{user}"),
        };
        (0..3).flat_map(move |user| ways.map(|way| link(user, way)))
    });
    let chains = ["own/chain", "own/through", "own/last", "own/last/file"].map(str::to_owned);
    for path in single.chain(chains) {
        let kernel = fs::metadata(at(&path)).is_ok();
        let found = from(dir.path(), path.as_bytes(), Demand::Kernel);
        assert_eq!(found.stop().is_none(), kernel, "{path}: {:?}", found.stop());
        refused += u32::from(!kernel);
    }
    // With the kernel's protection off nothing is refused, and little was shown.
    match fs::read("/proc/sys/fs/protected_symlinks") {
        Ok(value) if value.starts_with(b"1") => assert_eq!(refused, 3 + 2),
        _ => lacking(linksnap_testkit::test_name!(), "fs.protected_symlinks, or it is off"),
    }
}

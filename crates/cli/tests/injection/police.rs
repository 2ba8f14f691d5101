//! No path leads into a tree: whatever the program does below source, repository and target of a restore, it does by a
//! name in a directory that it holds open, and no symbolic link is followed. And it writes nowhere else.
//!
//! What is allowed all the same stands in [`ALLOWED`], each with its reason.

use std::path::{Path, PathBuf};

use linksnap_testkit::skip_unless;

use crate::deed::{self, Deed};
use crate::scene::Scene;
use crate::strace::{self, Call};

/// Which arguments of a call are a directory and a name in it; `None` for the directory: the name is a path.
type Pair = (Option<usize>, usize);

/// Calls that take names.
const NAMING: &[(&str, &[Pair])] = &[
    ("openat", &[(Some(0), 1)]),
    ("openat2", &[(Some(0), 1)]),
    ("newfstatat", &[(Some(0), 1)]),
    ("statx", &[(Some(0), 1)]),
    ("mkdirat", &[(Some(0), 1)]),
    ("mknodat", &[(Some(0), 1)]),
    ("symlinkat", &[(Some(1), 2)]),
    ("linkat", &[(Some(0), 1), (Some(2), 3)]),
    ("renameat", &[(Some(0), 1), (Some(2), 3)]),
    ("renameat2", &[(Some(0), 1), (Some(2), 3)]),
    ("unlinkat", &[(Some(0), 1)]),
    ("fchownat", &[(Some(0), 1)]),
    ("fchmodat", &[(Some(0), 1)]),
    ("fchmodat2", &[(Some(0), 1)]),
    ("utimensat", &[(Some(0), 1)]),
    ("readlinkat", &[(Some(0), 1)]),
    ("faccessat", &[(Some(0), 1)]),
    ("faccessat2", &[(Some(0), 1)]),
    ("open", &[(None, 0)]),
    ("creat", &[(None, 0)]),
    ("stat", &[(None, 0)]),
    ("lstat", &[(None, 0)]),
    ("statfs", &[(None, 0)]),
    ("access", &[(None, 0)]),
    ("mkdir", &[(None, 0)]),
    ("rmdir", &[(None, 0)]),
    ("mknod", &[(None, 0)]),
    ("unlink", &[(None, 0)]),
    ("rename", &[(None, 0), (None, 1)]),
    ("link", &[(None, 0), (None, 1)]),
    ("symlink", &[(None, 1)]),
    ("readlink", &[(None, 0)]),
    ("chmod", &[(None, 0)]),
    ("chown", &[(None, 0)]),
    ("lchown", &[(None, 0)]),
    ("truncate", &[(None, 0)]),
    ("chdir", &[(None, 0)]),
    ("getxattr", &[(None, 0)]),
    ("lgetxattr", &[(None, 0)]),
    ("setxattr", &[(None, 0)]),
    ("lsetxattr", &[(None, 0)]),
    ("removexattr", &[(None, 0)]),
    ("lremovexattr", &[(None, 0)]),
    ("listxattr", &[(None, 0)]),
    ("llistxattr", &[(None, 0)]),
];

/// Of those the ones that never change a thing. `open` and its like do if they are asked to write.
const LOOKING: &[&str] = &[
    "newfstatat",
    "statx",
    "stat",
    "lstat",
    "statfs",
    "readlink",
    "readlinkat",
    "access",
    "faccessat",
    "faccessat2",
    "getxattr",
    "lgetxattr",
    "listxattr",
    "llistxattr",
    "chdir",
];

/// Calls that change what a descriptor stands for, and which of their arguments that is.
const CHANGING: &[(&str, usize)] = &[
    ("pwrite64", 0),
    ("pwritev", 0),
    ("write", 0),
    ("writev", 0),
    ("ftruncate", 0),
    ("fallocate", 0),
    ("fchmod", 0),
    ("fchown", 0),
    ("fsetxattr", 0),
    ("fremovexattr", 0),
    ("copy_file_range", 2),
    ("sendfile", 0),
];

/// One name that a call was given.
struct Act<'a> {
    call: &'a Call,
    /// Of the directory; `None`: there is no other than the current one.
    held: Option<&'a str>,
    name: &'a str,
    /// Where that leads.
    place: PathBuf,
}

/// Says of an act whether it is one of a kind.
type Test = fn(&Act<'_>, &Scene) -> bool;

/// What leads into trees by path, and why it may.
const ALLOWED: &[(&str, Test)] = &[
    ("an administrator names the repository and the target, and may name links", |act, scene| {
        let is_open = act.call.name == "open" && act.call.rest.contains("O_DIRECTORY");
        is_open
            && [scene.base.join("repo"), scene.base.join("target"), scene.base.join("target/deep")]
                .contains(&act.place)
    }),
    ("SQLite knows no directory descriptors; .linksnap is its owner's alone", |act, scene| {
        let workshop = scene.base.join("repo/demo/.linksnap");
        let is_beside = |name: &str| name.starts_with("catalog.db") || name.starts_with("catalog.copy");
        act.place.parent() == Some(&workshop)
            && act.place.file_name().is_some_and(|name| is_beside(&name.to_string_lossy()))
    }),
    ("SQLite opens the directory of a log that it has made or removed, to sync it", |act, scene| {
        act.call.name == "openat" && act.place == scene.base.join("repo/demo/.linksnap") && !writes(act.call)
    }),
    ("SQLite looks whether there is a link on the way to its file", |act, scene| {
        let looks = act.call.name == "newfstatat" && act.call.rest.contains("AT_SYMLINK_NOFOLLOW");
        let ways = ["repo", "repo/demo", "repo/demo/.linksnap"];
        looks && ways.iter().any(|way| act.place == scene.base.join(way))
    }),
];

fn is_within(place: &Path, root: &Path) -> bool {
    place.starts_with(root)
}

/// What is wrong with a call, if anything.
fn offence(call: &Call, scene: &Scene) -> Option<String> {
    let arguments = arguments(&call.rest);
    let writable = [scene.base.join("repo"), scene.base.join("target")];
    let may_change = |place: &Path| writable.iter().any(|root| is_within(place, root));
    if let Some((_, at)) = CHANGING.iter().find(|(name, _)| *name == call.name) {
        let file = descriptor(arguments.get(*at)?)?;
        let is_terminal =
            ["/dev/null", "/dev/pts/", "/dev/tty"].iter().any(|device| file.starts_with(device));
        let is_file = file.starts_with('/') && !is_terminal;
        return (is_file && !may_change(Path::new(file))).then(|| "it writes outside".to_owned());
    }
    let Some((_, pairs)) = NAMING.iter().find(|(name, _)| *name == call.name) else {
        let names_a_path = call.rest.contains(&format!("\"{}", scene.base.display()));
        let is_harmless = ["execve", "getcwd"].contains(&call.name.as_str());
        return (names_a_path && !is_harmless).then(|| "nobody knows this call".to_owned());
    };
    pairs.iter().find_map(|(dir, name)| {
        let dir = dir.and_then(|at| arguments.get(at)).copied();
        let act = act(call, dir, arguments.get(*name)?)?;
        let changes =
            !LOOKING.contains(&call.name.as_str()) && (!call.name.starts_with("open") || writes(call));
        let is_of_descriptor = act.name.starts_with("/proc/self/fd/");
        if changes && !is_of_descriptor && !may_change(&act.place) {
            return Some("it changes something outside".to_owned());
        }
        let is_in_tree = may_change(&act.place) || is_within(&act.place, &scene.source());
        if !is_in_tree || ALLOWED.iter().any(|(_, allows)| allows(&act, scene)) {
            return None;
        }
        follows(&act)
    })
}

fn writes(call: &Call) -> bool {
    ["O_CREAT", "O_RDWR", "O_WRONLY", "O_TRUNC"].iter().any(|flag| call.rest.contains(flag))
}

/// May a link be followed on the way to that name?
fn follows(act: &Act<'_>) -> Option<String> {
    let has = |flag: &str| act.call.rest.contains(flag);
    if act.held.is_none() {
        return Some(format!("it goes by the path {}", act.place.display()));
    }
    if act.call.name == "openat2" {
        let is_bound = has("RESOLVE_BENEATH") && has("RESOLVE_NO_SYMLINKS") && has("RESOLVE_NO_MAGICLINKS");
        return (!is_bound).then(|| "it is not bound to the tree".to_owned());
    }
    if act.name.contains('/') {
        return Some("it goes through directories".to_owned());
    }
    let is_itself = act.name.is_empty() && has("AT_EMPTY_PATH");
    let stays = match act.call.name.as_str() {
        "openat" => has("O_NOFOLLOW"),
        "newfstatat" | "statx" | "fchownat" | "fchmodat" | "fchmodat2" | "utimensat" | "faccessat2" => {
            is_itself || has("AT_SYMLINK_NOFOLLOW")
        }
        "linkat" => !has("AT_SYMLINK_FOLLOW"),
        // These never follow the last name.
        "mkdirat" | "mknodat" | "symlinkat" | "unlinkat" | "renameat" | "renameat2" | "readlinkat" => true,
        _ => false,
    };
    (!stays).then(|| "it follows a link".to_owned())
}

fn act<'a>(call: &'a Call, dir: Option<&'a str>, name: &'a str) -> Option<Act<'a>> {
    // NULL stands for the descriptor itself.
    let name = name.strip_prefix('"')?.strip_suffix('"')?;
    let current = dir.is_some_and(|dir| dir.starts_with("AT_FDCWD"));
    let path = dir.and_then(descriptor).unwrap_or("/");
    let held = (!current && !name.starts_with('/')).then_some(dir).flatten();
    Some(Act { call, held, name, place: Path::new(path).join(name) })
}

/// The path of `3</path>` or `AT_FDCWD</path>`.
fn descriptor(argument: &str) -> Option<&str> {
    let (_, path) = argument.split_once('<')?;
    path.strip_suffix('>').map(|path| path.trim_end_matches("(deleted)").trim_end())
}

/// Cuts `3</a>, "b, c", {d, e}, 4) = 0` at the commas between arguments.
fn arguments(rest: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut from, mut depth, mut quoted, mut escaped) = (0, 0_i32, false, false);
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' | b'(' => depth += 1,
            b')' if depth == 0 => {
                found.push(rest[from..at].trim());
                break;
            }
            b'}' | b']' | b')' => depth -= 1,
            b',' if depth == 0 => {
                found.push(rest[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// Runs a command under strace; what it does wrong, and how many names it gave.
fn watched(scene: &Scene, day: u8, args: &[&str]) -> (Vec<String>, usize) {
    let (calls, output) = strace::trace(&scene.command(day, args), &scene.base.join("log/trace"));
    assert!(output.status.success(), "{args:?}: {output:?}");
    let offences = calls.iter().filter_map(|call| Some((call, offence(call, scene)?)));
    let lines = offences.map(|(call, what)| format!("{}: {what}: {}({}", args[0], call.name, call.rest));
    let named = calls.iter().filter(|call| NAMING.iter().any(|(name, _)| *name == call.name));
    (lines.collect(), named.count())
}

fn obeys(what: &[(&Deed, &[&[&str]])]) {
    let mut wrong = Vec::new();
    let mut named = 0;
    for (deed, then) in what {
        let scene = deed.scene();
        if deed.args.contains(&"--overwrite") {
            deed::clutter(&scene);
        }
        let first = std::iter::once(deed.args).chain(then.iter().copied());
        for args in first {
            let (lines, count) = watched(&scene, deed.day, args);
            wrong.extend(lines);
            named += count;
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(named > 100, "{named} names: was anything traced?");
    assert_eq!(wrong, [""; 0]);
}

macro_rules! obey {
    ($($name:ident: [$(($deed:ident, $then:expr)),* $(,)?],)*) => {$(
        #[test]
        fn $name() {
            let obstacle = strace::obstacle();
            skip_unless!(obstacle.is_none(), "{}", obstacle.unwrap_or_default());
            obeys(&[$((&deed::$deed, $then)),*]);
        }
    )*};
}

obey! {
    runs_go_by_descriptors: [
        (FIRST, &[&["backup", "-n", "--job", "demo", "source"]]),
        (CHANGED, &[&["backup", "--validate", "full", "--job", "demo", "source"]]),
        (RECYCLING, &[]),
        (RESUMING, &[]),
    ],
    what_takes_away_goes_by_descriptors: [
        (PRUNE, &[&["prune", "-n", "demo", "--keep-last", "1"], &["prune", "--no-recycle", "demo", "--keep-last", "1"]]),
        (DELETE, &[&["delete", "-n", "demo/latest"]]),
        (DELETE_ALL, &[]),
    ],
    restores_go_by_descriptors: [
        (RESTORE, &[&["restore", "-n", "--overwrite", "demo/latest", "--target", "target/deep"]]),
        (OVERWRITE, &[]),
    ],
    all_other_verbs_go_by_descriptors: [
        (INIT, &[]),
        (VERIFY, &[&["verify", "--structure"]]),
        (LS, &[]),
        (SNAPSHOTS, &[]),
        (PIN, &[&["unpin", "demo/latest"]]),
        (DU, &[&["du", "--verify"], &["du", "demo/latest"], &["du", "--history", "demo"]]),
    ],
}

#[test]
fn offences_are_seen() {
    let scene = Scene::bare();
    let base = scene.base.to_str().expect("plain bytes");
    let tell = |name: &str, rest: &str| {
        let rest = rest.replace("BASE", base);
        offence(&Call { thread: 0, name: name.into(), nth: 1, rest }, &scene)
    };
    let offences = [
        ("openat", r#"AT_FDCWD</>, "BASE/source/a", O_RDONLY|O_NOFOLLOW) = 3</x>"#),
        ("openat", r#"3<BASE/source>, "dir/one", O_RDONLY|O_NOFOLLOW) = 4</x>"#),
        ("openat", r#"3<BASE/source>, "a", O_RDONLY) = 4</x>"#),
        ("openat2", r#"3</>, "BASE/repo/demo", {flags=O_RDONLY, resolve=RESOLVE_BENEATH}, 24) = 4</x>"#),
        ("newfstatat", r#"3<BASE/repo>, "demo", {st_mode=S_IFDIR|0700, ...}, 0) = 0"#),
        ("newfstatat", r#"AT_FDCWD<BASE>, "source/a", {st_mode=S_IFREG}, AT_SYMLINK_NOFOLLOW) = 0"#),
        ("statx", r#"3<BASE/target>, "a", AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS, {}) = 0"#),
        ("linkat", r#"3<BASE/repo>, "a", 4<BASE/repo>, "b", AT_SYMLINK_FOLLOW) = 0"#),
        ("unlink", r#""BASE/repo/demo/x") = 0"#),
        ("unlink", r#""/etc/passwd") = -1 EPERM"#),
        ("fchmodat", r#"3<BASE/repo>, "fifo", 0644) = 0"#),
        ("mkdirat", r#"3<BASE/source>, "new", 0700) = 0"#),
        ("fchmod", r"3<BASE/source/a>, 0600) = 0"),
        ("pwrite64", r#"3</var/tmp/x>, "y", 1, 0) = 1"#),
        ("openat", r#"AT_FDCWD</>, "/var/tmp/x", O_RDWR|O_CREAT, 0600) = 3</x>"#),
        ("lookup_dcookie", r#""BASE/source") = 0"#),
    ];
    for (name, rest) in offences {
        assert!(tell(name, rest).is_some(), "{name}({rest}");
    }
    let fine = [
        ("openat", r#"3<BASE/source>, "a", O_RDONLY|O_NOFOLLOW|O_CLOEXEC) = 4</x>"#),
        ("openat", r#"AT_FDCWD</>, "/etc/passwd", O_RDONLY) = 4</x>"#),
        ("newfstatat", r#"3<BASE/source/a, b>, "", {st_mode=S_IFREG, ...}, AT_EMPTY_PATH) = 0"#),
        ("write", r#"1<pipe:[1]>, "BASE/source", 9) = 9"#),
        ("open", r#""BASE/repo", O_RDONLY|O_DIRECTORY) = 3"#),
        ("fchmodat", r#"AT_FDCWD</>, "/proc/self/fd/9", 0700) = 0"#),
        ("utimensat", r"3<BASE/repo/demo>, NULL, [UTIME_OMIT, UTIME_OMIT], 0) = 0"),
    ];
    for (name, rest) in fine {
        assert_eq!(tell(name, rest), None, "{name}({rest}");
    }
}

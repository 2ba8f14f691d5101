//! What inodes say, with `stat`, `getfacl`, `getfattr` and `lsattr` as witnesses.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use linksnap_inode::Kind;
use linksnap_testkit::loopfs::{FsKind, LoopFs};
use linksnap_testkit::program;
use linksnap_testkit::skip::{has_tool, is_root};
use linksnap_testkit::{needs_kernel, or_skip, skip_unless};
use linksnap_toolbox::holders::{self, Held, Hold};
use linksnap_toolbox::inode::{Extents, Links, Obstacle, Report, held, look};
use tempfile::TempDir;

fn output(program: &str, args: &[&str], path: &Path) -> String {
    let output = Command::new(program).args(args).arg(path).env("TZ", "UTC").output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn seen(path: &Path) -> Report {
    look(path, Links::Look).unwrap()
}

/// As `stat --format='%i %f %h %u %g %s %b %o %X %Y %Z %W'` has it.
fn as_stat(report: &Report) -> String {
    let (detail, stat) = (&report.detail, &report.detail.stat);
    let format = match stat.kind {
        Kind::File => 0o100_000,
        Kind::Directory => 0o040_000,
        Kind::Symlink => 0o120_000,
        Kind::Fifo => 0o010_000,
        Kind::Socket => 0o140_000,
        Kind::CharDevice => 0o020_000,
        Kind::BlockDevice => 0o060_000,
    };
    format!(
        "{} {:x} {} {} {} {} {} {} {} {} {} {}\n",
        stat.inode,
        format | u32::from(stat.mode),
        stat.links,
        stat.uid,
        stat.gid,
        stat.size,
        stat.blocks,
        detail.io_bytes,
        detail.accessed.seconds,
        stat.mtime.seconds,
        stat.ctime.seconds,
        detail.born.map_or(0, |born| born.seconds),
    )
}

#[test]
fn it_says_what_stat_says() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), vec![7; 10_000]).unwrap();
    fs::hard_link(at("file"), at("second")).unwrap();
    fs::create_dir(at("dir")).unwrap();
    symlink("file", at("link")).unwrap();
    symlink("gone", at("dangling")).unwrap();
    assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    let own = ["file", "second", "dir", "link", "dangling", "fifo"].map(at);
    let others = ["/dev/null", "/", "/etc/passwd"].map(Path::new);
    for path in own.iter().map(PathBuf::as_path).chain(others) {
        let wanted = output("stat", &["--format=%i %f %h %u %g %s %b %o %X %Y %Z %W"], path);
        assert_eq!(as_stat(&seen(path)), wanted, "{path:?}");
    }
    assert_eq!(seen(&at("link")).text.as_deref(), Some(b"file".as_slice()));
    let followed = look(&at("link"), Links::Follow).unwrap();
    assert_eq!(followed.detail.stat.inode, seen(&at("file")).detail.stat.inode);
    assert!(look(&at("dangling"), Links::Follow).is_err());
    symlink("dir", at("to-dir")).unwrap();
    assert_eq!(
        seen(&at("to-dir/")).detail.stat.inode,
        seen(&at("dir")).detail.stat.inode,
        "as the kernel has it"
    );
    assert!(look(&at("file/"), Links::Look).is_err());
}

#[test]
fn acls_and_attributes_are_those_of_getfacl_and_getfattr() {
    skip_unless!(has_tool("setfacl") && has_tool("setfattr"), "acl or attr is missing");
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 2, &[]));
    let at = |name: &str| disk.path().join(name);
    fs::write(at("file"), "").unwrap();
    fs::create_dir(at("dir")).unwrap();
    output("setfacl", &["-m", "u:7:rw,g:9:rwx,m:r"], &at("file"));
    output("setfacl", &["-m", "u:7:x", "-d", "-m", "g:9:rx"], &at("dir"));
    output("setfattr", &["-n", "user.comment", "-v", "hello"], &at("file"));
    let file = seen(&at("file"));
    let facl = |args: &[&str], path: &Path| -> Vec<String> {
        let text = output("getfacl", &[&["-n", "-p", "-c", "-E"], args].concat(), path);
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let text = |acl: &linksnap_toolbox::acl::Acl| -> Vec<String> {
        acl.entries.iter().map(ToString::to_string).collect()
    };
    assert_eq!(text(file.acl.as_ref().unwrap()), facl(&["-a"], &at("file")));
    assert_eq!(file.xattrs, [(b"user.comment".to_vec(), b"hello".to_vec())]);
    let dir = seen(&at("dir"));
    assert_eq!(text(dir.acl.as_ref().unwrap()), facl(&["-a"], &at("dir")));
    let inherited: Vec<String> =
        facl(&["-d"], &at("dir")).iter().map(|line| line.replace("default:", "")).collect();
    assert_eq!(text(dir.default_acl.as_ref().unwrap()), inherited);
    assert!(dir.xattrs.is_empty());
}

#[test]
fn a_label_is_shown_as_such_and_not_among_the_attributes() {
    skip_unless!(has_tool("setfattr") && is_root(), "attr is missing, or this is not root");
    // Where SELinux is at work it decides what is a label; else the attribute can be any.
    needs_kernel!(
        !Path::new("/sys/fs/selinux/enforce").exists(),
        "room for a label of a test: SELinux is on"
    );
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 2, &[]));
    let at = |name: &str| disk.path().join(name);
    fs::write(at("file"), "").unwrap();
    fs::create_dir(at("dir")).unwrap();
    symlink("file", at("link")).unwrap();
    let label = "system_u:object_r:httpd_sys_content_t:s0";
    // The kernel's labels end in a zero, those that a user sets need not.
    let zero = label.bytes().chain([0]).map(|byte| format!("{byte:02x}")).collect::<String>();
    output("setfattr", &["-h", "-n", "security.selinux", "-v", &format!("0x{zero}")], &at("file"));
    output("setfattr", &["-h", "-n", "security.selinux", "-v", label], &at("link"));
    output("setfattr", &["-n", "user.comment", "-v", "hello"], &at("file"));
    for name in ["file", "link"] {
        assert_eq!(seen(&at(name)).label.as_deref(), Some(label.as_bytes()), "{name}");
    }
    assert_eq!(seen(&at("file")).xattrs, [(b"user.comment".to_vec(), b"hello".to_vec())]);
    assert!(seen(&at("link")).xattrs.is_empty());
    assert_eq!(seen(&at("dir")).label, None);
}

#[test]
fn flags_are_those_of_lsattr() {
    skip_unless!(has_tool("chattr"), "chattr is missing");
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 2, &[]));
    let path = disk.path().join("file");
    fs::write(&path, "x").unwrap();
    for flags in [&["+i"][..], &["-i", "+a"], &["-a", "+dA"], &["+Ss"], &["-SsdA"]] {
        output("chattr", flags, &path);
        let shown = output("lsattr", &["-d"], &path);
        let letters: String =
            shown.split(' ').next().unwrap().chars().filter(|letter| *letter != '-').collect();
        let mut ours: Vec<char> = seen(&path).flags.iter().map(|flag| flag.letter).collect();
        let mut theirs: Vec<char> = letters.chars().collect();
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "{flags:?}");
        let obstacle = match flags {
            ["+i"] => Some(Obstacle::Flag("immutable")),
            ["-i", "+a"] => Some(Obstacle::Flag("append-only")),
            _ => None,
        };
        assert_eq!(seen(&path).removal.obstacle, obstacle);
    }
    output("chattr", &["+i"], &disk.path());
    assert_eq!(seen(&path).removal.obstacle, Some(Obstacle::DirectoryFlag("immutable")));
    output("chattr", &["-i"], &disk.path());
    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).status().unwrap().success());
    assert_eq!(seen(&path).removal.obstacle, Some(Obstacle::ReadOnly));
}

#[test]
fn holes_are_counted() {
    let disk = or_skip!(LoopFs::create(FsKind::Ext4, 4, &[]));
    let path = disk.path().join("sparse");
    let file = fs::File::create(&path).unwrap();
    let block = 1024;
    for at in [4, 5, 9] {
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![1; block], at * block as u64).unwrap();
    }
    file.set_len(20 * block as u64).unwrap();
    let k = block as u64;
    let wanted = Extents { data: 2, data_bytes: 3 * k, holes: 3, hole_bytes: 17 * k };
    assert_eq!(seen(&path).extents, Some(wanted));
    assert_eq!(seen(&path).removal.freed_bytes, seen(&path).detail.stat.blocks * 512);
    fs::write(disk.path().join("empty"), "").unwrap();
    assert_eq!(seen(&disk.path().join("empty")).extents, Some(Extents::default()));
}

#[test]
fn other_names_keep_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("a"), vec![1; 5000]).unwrap();
    fs::File::open(at("a")).unwrap().sync_all().unwrap();
    assert_eq!(seen(&at("a")).removal.freed_bytes, fs::metadata(at("a")).unwrap().blocks() * 512);
    fs::hard_link(at("a"), at("b")).unwrap();
    let removal = seen(&at("a")).removal;
    assert_eq!((removal.other_names, removal.freed_bytes, removal.obstacle), (1, 0, None));
    assert_eq!(seen(dir.path()).removal.obstacle, Some(Obstacle::Directory));
}

/// A process of ours, killed in the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A shell that says when it is there, and waits.
fn shell(dir: &TempDir, script: &str) -> Running {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("{script}; echo ready; read end")]).current_dir(dir.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    Running(child)
}

/// Asserts who holds an inode, and how; `name` is what the first of them is called. What another test is starting has all
/// that this process had open until its `execve(2)`: that is waited for.
fn assert_held(look: impl Fn() -> Held, identity: (u64, u64), wanted: &[(u32, Hold)], name: Option<&[u8]>) {
    let began = Instant::now();
    loop {
        let found = look().holders;
        let holders: Vec<_> = found.iter().filter(|one| one.identity == identity).collect();
        let holds: Vec<(u32, Hold)> = holders.iter().map(|one| (one.pid, one.hold)).collect();
        if holds == wanted || began.elapsed() > Duration::from_secs(10) {
            assert_eq!(holds, wanted);
            assert_eq!(holders.first().map(|one| one.name.as_slice()), name);
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn processes_that_hold_it_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    fs::write(&open, "x").unwrap();
    let running = shell(&dir, "exec 7< open");
    let reports = [seen(&open), seen(dir.path())];
    let [file, directory] = [0, 1].map(|number: usize| reports[number].detail.stat.identity());
    let pid = running.0.id();
    assert_held(|| held(&reports), file, &[(pid, Hold::Open(7))], Some(b"sh"));
    assert_held(|| held(&reports), directory, &[(pid, Hold::WorkingDirectory)], Some(b"sh"));
    drop(running);
    assert_held(|| holders::of(&[file]), file, &[], None);
}

#[test]
fn programs_that_run_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    program::install("/bin/cat", &program);
    let child = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    // It answers, so it runs.
    running.0.stdin.as_mut().unwrap().write_all(b"x\n").unwrap();
    std::io::Read::read_exact(running.0.stdout.as_mut().unwrap(), &mut [0; 2]).unwrap();
    let identity = seen(&program).detail.stat.identity();
    let pid = running.0.id();
    let wanted = [(pid, Hold::Program), (pid, Hold::Mapped)];
    assert_held(|| holders::of(&[identity]), identity, &wanted, Some(b"program"));
}

//! Files without a name that processes hold, with `lsof +L1` as the witness.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use linksnap_testkit::program;
use linksnap_testkit::skip::has_tool;
use linksnap_testkit::skip_unless;
use linksnap_toolbox::deleted::{self, Deleted, File, Gone, Hold, Next, Target, TruncateError};
use tempfile::TempDir;

/// A process that has done something and waits; it is ended when dropped.
struct Waiting(Child);

impl Waiting {
    /// Runs a shell script in `dir`, which says when it has done its deed, and then waits for its input to end.
    fn shell(dir: &Path, script: &str) -> Self {
        Self::start(dir, "sh", &["-c", &format!("{script}\necho ready; read wait")])
    }

    fn start(dir: &Path, program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // The test may be failing already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn of(found: &Deleted, pid: u32) -> Vec<&File> {
    found.files.iter().filter(|file| file.holders.iter().any(|one| one.process.pid == pid)).collect()
}

fn holds(file: &File, pid: u32) -> &[Hold] {
    &file.holders.iter().find(|one| one.process.pid == pid).unwrap().holds
}

/// Number, size and inode of each open file without a name, as `lsof` tells.
fn lsof(pid: u32) -> BTreeSet<(String, u64, u64)> {
    let done =
        Command::new("lsof").args(["+L1", "-a", "-p", &pid.to_string(), "-F", "fsin"]).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let mut found = BTreeSet::new();
    let mut now: Option<(String, u64, u64)> = None;
    for line in text.lines().chain(["f"]) {
        let (field, value) = line.split_at(1);
        match (field, &mut now) {
            ("f", before) => found.extend(before.replace((value.to_owned(), 0, 0)).filter(|one| one.2 > 0)),
            ("s", Some(one)) => one.1 = value.parse().unwrap(),
            ("i", Some(one)) => one.2 = value.parse().unwrap(),
            _ => {}
        }
    }
    found
}

#[test]
fn open_files_without_a_name_are_those_that_lsof_tells() {
    skip_unless!(has_tool("lsof"), "lsof is not installed");
    let dir = TempDir::new().unwrap();
    let process = Waiting::shell(
        dir.path(),
        "exec 5>large 6>>'two\nlines' 7>kept 8>linked; head -c 100000 /dev/zero >&5; echo small >&6
         ln linked again; rm large linked 'two\nlines'; mkdir gone; cd gone; rmdir ../gone",
    );
    let found = deleted::deleted().unwrap();
    let ours: BTreeSet<(String, u64, u64)> = of(&found, process.pid())
        .iter()
        .flat_map(|file| {
            let stat = file.stat.unwrap();
            holds(file, process.pid()).iter().map(move |hold| match hold {
                Hold::Open(fd) => (fd.to_string(), stat.size, stat.inode),
                Hold::WorkingDirectory => ("cwd".to_owned(), stat.size, stat.inode),
                other => (format!("{other:?}"), stat.size, stat.inode),
            })
        })
        .collect();
    assert_eq!(ours, lsof(process.pid()));
    assert_eq!(ours.len(), 3);
    let large = of(&found, process.pid())[0];
    let path = dir.path().canonicalize().unwrap().join("large");
    assert_eq!(
        (large.path.as_slice(), large.disk_bytes() >= 100_000),
        (path.as_os_str().as_encoded_bytes(), true)
    );
    let holder = &large.holders[0].process;
    assert_eq!((holder.command.as_slice(), holder.uid), (b"sh".as_slice(), owner(dir.path())));
    let now = fs::metadata(dir.path()).unwrap().ctime();
    assert!(
        matches!(large.gone(), Some(Gone::At(then) | Gone::NotAfter(then)) if (now - 60..=now).contains(&then))
    );
    assert!(holder.started.is_some_and(|then| (now - 120..=now + 2).contains(&then)), "{holder:?} {now}");
    let device = large.mount.as_ref().map(|mount| mount.device);
    assert_eq!(device, Some(fs::metadata(dir.path()).unwrap().dev()));
}

fn owner(own: &Path) -> u32 {
    fs::metadata(own).unwrap().uid()
}

#[test]
fn a_name_that_says_deleted_is_not_taken_at_its_word() {
    let dir = TempDir::new().unwrap();
    let process = Waiting::shell(dir.path(), "exec 5>'x (deleted)' 6>'y (deleted)'; rm 'y (deleted)'");
    let found = deleted::deleted().unwrap();
    let files = of(&found, process.pid());
    assert_eq!(files.len(), 1);
    assert!(files[0].path.ends_with(b"/y (deleted)"));
}

#[test]
fn a_file_counts_once_however_many_hold_it() {
    let dir = TempDir::new().unwrap();
    let process = Waiting::shell(dir.path(), "exec 5>file 6>&5; rm file; sleep 60 & echo $! >pid");
    let child: u32 = fs::read_to_string(dir.path().join("pid")).unwrap().trim().parse().unwrap();
    let found = deleted::deleted().unwrap();
    let files = of(&found, process.pid());
    assert_eq!(files.len(), 1);
    assert_eq!(holds(files[0], process.pid()), [Hold::Open(5), Hold::Open(6)]);
    assert_eq!(holds(files[0], child), [Hold::Open(5), Hold::Open(6)]);
    drop(Command::new("kill").arg(child.to_string()).status());
}

#[test]
fn programs_and_mappings_hold_files_too_and_memory_is_only_counted() {
    skip_unless!(has_tool("python3"), "python3 is not installed");
    let dir = TempDir::new().unwrap();
    let script = "
import mmap, os
file = open('mapped', 'w+b'); file.write(b'x' * 10000); file.flush()
kept = mmap.mmap(file.fileno(), 10000); file.close(); os.unlink('mapped')
file = open('m (deleted)', 'w+b'); file.write(b'x' * 10000); file.flush()
named = mmap.mmap(file.fileno(), 10000); file.close()
memory = os.memfd_create('memory')
print('ready', flush=True); input()";
    let process = Waiting::start(dir.path(), "python3", &["-c", script]);
    let found = deleted::deleted().unwrap();
    let files = of(&found, process.pid());
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(files[0].path.ends_with(b"/mapped"));
    // Python keeps a descriptor of its own beside the mapping.
    assert!(holds(files[0], process.pid()).contains(&Hold::Mapped));
    assert!(found.memory_files >= 1);

    let shell =
        fs::read_link("/bin/sh").map_or_else(|_| "/bin/sh".into(), |link| Path::new("/bin").join(link));
    let program = dir.path().join("program");
    program::install(shell, &program);
    let process =
        Waiting::start(dir.path(), program.to_str().unwrap(), &["-c", "rm program; echo ready; read wait"]);
    let found = deleted::deleted().unwrap();
    let files = of(&found, process.pid());
    assert_eq!(files.len(), 1);
    assert_eq!(holds(files[0], process.pid()), [Hold::Program]);
}

#[test]
fn truncating_frees_what_nobody_can_reach_by_a_name() {
    let dir = TempDir::new().unwrap();
    let mut process = Waiting::shell(
        dir.path(),
        "exec 5>log 6>>other; head -c 300000 /dev/zero >&5; head -c 9000 /dev/zero >&6; rm log other",
    );
    let target = Target { pid: process.pid(), fd: 5 };
    let plan = deleted::plan(target, &deleted::deleted().unwrap()).unwrap();
    assert_eq!(plan.next, Next::At(300_000));
    let freed = deleted::truncate(&plan).unwrap();
    assert_eq!(freed, plan.file.disk_bytes());
    assert!(freed >= 300_000);
    let found = deleted::deleted().unwrap();
    let again = deleted::plan(target, &found).unwrap();
    assert_eq!((again.file.stat.unwrap().size, again.file.identity), (0, plan.file.identity));
    let other = deleted::plan(Target { fd: 6, ..target }, &found).unwrap();
    assert_eq!((other.next, other.file.stat.unwrap().size), (Next::AtEnd, 9000));
    drop(process.0.stdin.take());
    let mut rest = String::new();
    process.0.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
}

#[test]
fn what_has_a_name_or_is_mapped_or_in_memory_is_not_truncated() {
    skip_unless!(has_tool("python3"), "python3 is not installed");
    let dir = TempDir::new().unwrap();
    let script = "
import mmap, os
def to(number, path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT); os.write(fd, b'x' * 5000); os.dup2(fd, number); os.close(fd)
to(50, 'named'); to(51, 'mapped'); to(52, 'linked'); os.link('linked', 'again')
os.dup2(os.memfd_create('memory'), 53); os.mkdir('dir'); os.dup2(os.open('dir', os.O_RDONLY), 54)
kept = mmap.mmap(51, 5000)
os.unlink('mapped'); os.unlink('linked'); os.rmdir('dir')
print('ready', flush=True); input()";
    let process = Waiting::start(dir.path(), "python3", &["-c", script]);
    let found = deleted::deleted().unwrap();
    let refusal = |fd| deleted::plan(Target { pid: process.pid(), fd }, &found).unwrap_err();
    assert!(matches!(refusal(50), TruncateError::NotDeleted(_, "it has a name")));
    assert!(matches!(refusal(51), TruncateError::Mapped { pid, .. } if pid == process.pid()));
    assert!(matches!(refusal(52), TruncateError::NotDeleted(_, "it has a name")));
    assert!(matches!(refusal(53), TruncateError::NotDeleted(_, "it is in memory and never had a name")));
    assert!(matches!(refusal(54), TruncateError::NotDeleted(_, "it is no regular file")));
    assert!(matches!(refusal(99), TruncateError::Nothing(_)));
    assert_eq!(fs::metadata(dir.path().join("again")).unwrap().len(), 5000);
}

#[test]
fn what_is_another_file_by_now_is_not_truncated() {
    let dir = TempDir::new().unwrap();
    // Two processes, one after the other under the plan's number: so it is when a number is used again.
    let script = |name: &str| format!("exec 5>{name}; echo bytes >&5; rm {name}");
    let (one, two) = (Waiting::shell(dir.path(), &script("one")), Waiting::shell(dir.path(), &script("two")));
    let found = deleted::deleted().unwrap();
    let plan = deleted::plan(Target { pid: one.pid(), fd: 5 }, &found).unwrap();
    let wrong = deleted::Truncation { target: Target { pid: two.pid(), fd: 5 }, ..plan.clone() };
    assert!(matches!(deleted::truncate(&wrong), Err(TruncateError::Changed(_))));
    let size = |process: &Waiting| {
        let found = deleted::deleted().unwrap();
        of(&found, process.pid())[0].stat.unwrap().size
    };
    assert_eq!((size(&one), size(&two)), (6, 6));
    drop(one);
    assert!(matches!(deleted::truncate(&plan), Err(TruncateError::Nothing(_))));
}

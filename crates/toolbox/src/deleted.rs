//! Deleted: files that have no name any more, but are still held by processes, and so keep their blocks.
//!
//! Read from `/proc` (`proc_pid_fd(5)`, `proc_pid_maps(5)`). That a file is deleted is asked of the inode (a link count
//! of 0), not of the words ` (deleted)`, which may be a part of a name. Files in memory that never had a name (memfd,
//! System V segments, shared anonymous memory) are only counted.
//!
//! **Invariant:** what is truncated is the very inode that the plan says, is no one else's file by then, has no name, and
//! is mapped by no process that can be seen.

mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use linksnap_inode::mounts::{self, Mount};
use linksnap_inode::path::as_path;
use linksnap_inode::{DirFd, Errno, Fault, FsError, Kind, Last, Stat};

pub use self::process::{Process, Unit};

/// What the kernel puts behind the path of a name that is gone.
const GONE: &[u8] = b" (deleted)";
/// How the names of files begin that the kernel makes for memory.
const MEMORY: [&[u8]; 7] =
    [b"/memfd:", b"/SYSV", b"/dev/zero", b"/[aio]", b"/anon_hugepage", b"/dmabuf:", b"/drm mm object"];

/// A file without a name.
#[derive(Debug, Clone)]
pub struct File {
    /// Device and inode number.
    pub identity: (u64, u64),
    /// Its last path, as the process that holds it sees it.
    pub path: Vec<u8>,
    /// What the inode says; `None` of a mapped file that only root may ask about.
    pub stat: Option<Stat>,
    /// The mount that it was opened on, if this process sees it.
    pub mount: Option<Mount>,
    /// Who holds it.
    pub holders: Vec<Holder>,
}

impl File {
    /// The bytes that its end would free.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.stat.map_or(0, |stat| stat.blocks.saturating_mul(512))
    }

    /// When it was deleted.
    #[must_use]
    pub fn gone(&self) -> Option<Gone> {
        // Both taking the name away and writing set the ctime; only writing sets the mtime.
        self.stat.map(|stat| match stat.ctime > stat.mtime {
            true => Gone::At(stat.ctime.seconds),
            false => Gone::NotAfter(stat.ctime.seconds),
        })
    }
}

/// When a file lost its last name, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Then.
    At(i64),
    /// Then or before: it was written since.
    NotAfter(i64),
}

/// A process that holds a file, and how.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The process.
    pub process: Process,
    /// How, each way once.
    pub holds: Vec<Hold>,
}

/// How a process holds a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// It has it open under this number.
    Open(u32),
    /// It runs it.
    Program,
    /// It has mapped it.
    Mapped,
    /// It stands in it.
    WorkingDirectory,
    /// It sees nothing outside.
    RootDirectory,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Deleted {
    /// The files, those with most bytes on the disk first.
    pub files: Vec<File>,
    /// Files in memory that were left out.
    pub memory_files: u64,
    /// Processes that were looked into.
    pub seen: u64,
    /// Processes that this one may not look into.
    pub unseen: u64,
}

struct Search {
    proc: DirFd,
    mounts: Vec<Mount>,
    booted: Option<i64>,
    files: BTreeMap<(u64, u64), File>,
    memory: BTreeSet<(u64, u64)>,
    seen: u64,
    unseen: u64,
}

/// Looks into all processes.
///
/// # Errors
/// Where `/proc` is not mounted.
pub fn deleted() -> Result<Deleted, FsError> {
    let at = |fault: Fault| fault.at("/proc");
    let proc = DirFd::open_root(Path::new("/proc")).map_err(at)?;
    let mut search = Search {
        mounts: mounts::all()?,
        booted: process::booted(&proc),
        proc,
        files: BTreeMap::new(),
        memory: BTreeSet::new(),
        seen: 0,
        unseen: 0,
    };
    for name in search.proc.names().map_err(at)?.iter() {
        if name.bytes.iter().all(u8::is_ascii_digit) {
            search.process(name.bytes);
        }
    }
    let mut files: Vec<File> = search.files.into_values().collect();
    files.sort_by(|a, b| (b.disk_bytes(), &a.path).cmp(&(a.disk_bytes(), &b.path)));
    let memory_files = search.memory.len() as u64;
    Ok(Deleted { files, memory_files, seen: search.seen, unseen: search.unseen })
}

/// Something without a name that a process holds.
struct Found {
    identity: (u64, u64),
    path: Vec<u8>,
    stat: Option<Stat>,
    mount: Option<u64>,
    hold: Hold,
}

impl Search {
    /// A process that ends meanwhile holds nothing.
    fn process(&mut self, pid: &[u8]) {
        let Ok(dir) = self.proc.open_dir(pid) else { return };
        let fds = match dir.open_dir(b"fd").and_then(|fds| Ok((fds.names()?, fds))) {
            Ok((names, fds)) => (fds, names),
            Err(fault) if fault.is(Errno::ACCESS) || fault.is(Errno::PERM) => {
                self.unseen += 1;
                return;
            }
            Err(_) => return,
        };
        self.seen += 1;
        let mut found = Vec::new();
        for name in fds.1.iter() {
            let number = str::from_utf8(name.bytes).ok().and_then(|number| number.parse().ok());
            found.extend(number.and_then(|number| look(&fds.0, name.bytes, Hold::Open(number))));
        }
        let links: [(&[u8], Hold); 3] =
            [(b"exe", Hold::Program), (b"cwd", Hold::WorkingDirectory), (b"root", Hold::RootDirectory)];
        found.extend(links.into_iter().filter_map(|(name, hold)| look(&dir, name, hold)));
        // That a program that runs is mapped goes without saying.
        let program = found.iter().find(|one| one.hold == Hold::Program).map(|one| one.identity);
        found.extend(mapped(&dir).into_iter().filter(|one| Some(one.identity) != program));
        if !found.is_empty()
            && let Some(process) = Process::read(&dir, pid, self.booted)
        {
            found.into_iter().for_each(|one| self.add(&process, one));
        }
    }

    fn add(&mut self, process: &Process, found: Found) {
        if MEMORY.iter().any(|memory| found.path.starts_with(memory)) {
            self.memory.insert(found.identity);
            return;
        }
        let mount = self.mounts.iter().find(|one| Some(one.id) == found.mount);
        let mount = mount.or_else(|| self.mounts.iter().find(|one| one.device == found.identity.0));
        let Found { identity, mut path, stat, hold, .. } = found;
        if path.ends_with(GONE) {
            path.truncate(path.len() - GONE.len());
        }
        let new = || File { identity, path, stat, mount: mount.cloned(), holders: Vec::new() };
        let file = self.files.entry(identity).or_insert_with(new);
        file.stat = file.stat.or(stat);
        let at = file.holders.iter().position(|one| one.process.pid == process.pid).unwrap_or_else(|| {
            file.holders.push(Holder { process: process.clone(), holds: Vec::new() });
            file.holders.len() - 1
        });
        let holds = &mut file.holders[at].holds;
        if !holds.contains(&hold) {
            holds.push(hold);
            holds.sort();
        }
    }
}

/// What the magic link `name` leads to, if that has no name.
fn look(dir: &DirFd, name: &[u8], hold: Hold) -> Option<Found> {
    let path = dir.read_link(name).ok().filter(|path| path.starts_with(b"/"))?;
    let stat = dir.stat_target(name).ok().filter(|stat| stat.links == 0)?;
    let mount = dir.mount_of(name, Last::Followed).ok();
    Some(Found { identity: stat.identity(), path, stat: Some(stat), mount, hold })
}

/// Files without a name that a process has mapped, each once.
fn mapped(dir: &DirFd) -> Vec<Found> {
    /// Of a process with very many mappings the first ones do.
    const MOST: usize = 64 << 20;
    let maps = dir.open_file(b"maps").and_then(|file| file.read_all(MOST)).unwrap_or_default();
    let mut found: BTreeMap<(u64, u64), Found> = BTreeMap::new();
    let files = dir.open_dir(b"map_files").ok();
    for line in maps.split(|byte| *byte == b'\n').filter(|line| line.ends_with(GONE)) {
        let Some(mapping) = process::Mapping::parse(line) else { continue };
        if found.contains_key(&(mapping.device, mapping.inode)) {
            continue;
        }
        let looked = files.as_ref().map(|files| files.stat_target(mapping.range));
        let stat = match looked {
            Some(Ok(stat)) if stat.links > 0 => continue,
            Some(Ok(stat)) => Some(stat),
            // Only root may follow these: the words must do, unless a file is called so.
            _ if is_called(&mapping) => continue,
            _ => None,
        };
        let mount = files.as_ref().and_then(|files| files.mount_of(mapping.range, Last::Followed).ok());
        let identity = stat.map_or((mapping.device, mapping.inode), |stat| stat.identity());
        let one = Found { identity, path: mapping.path.to_vec(), stat, mount, hold: Hold::Mapped };
        found.insert((mapping.device, mapping.inode), one);
    }
    found.into_values().collect()
}

/// Is there a file whose name ends in these very words?
fn is_called(mapping: &process::Mapping<'_>) -> bool {
    let stat = crate::Place::find(as_path(mapping.path)).and_then(|place| place.stat());
    stat.is_ok_and(|stat| stat.inode == mapping.inode)
}

/// An open file that is to be made empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The process.
    pub pid: u32,
    /// The number under which it has the file open.
    pub fd: u32,
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(pid, fd)| Some((pid.parse().ok()?, fd.parse().ok()?)));
        parsed.map(|(pid, fd)| Self { pid, fd }).ok_or_else(|| {
            format!("{text:?} is no open file: write process and number, like 812:7, as `linksnap deleted` shows them")
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.pid, self.fd)
    }
}

/// A truncation that was decided upon.
#[derive(Debug, Clone)]
pub struct Truncation {
    /// What was named.
    pub target: Target,
    /// The file.
    pub file: File,
    /// Where the process goes on writing.
    pub next: Next,
}

/// Where a process goes on writing in a file that is made empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At the end: at the beginning, then.
    AtEnd,
    /// At this byte: what is before becomes a hole, which takes no room.
    At(u64),
}

/// Why a file is not made empty; it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum TruncateError {
    /// There is no such process, or it has no such file open.
    #[error("{0}: there is no such process, or it has nothing open under this number")]
    Nothing(Target),
    /// This process may not look into that one.
    #[error("{0}: the process belongs to somebody else")]
    Forbidden(Target),
    /// It is no deleted file on a disk.
    #[error("{0} is not a deleted file: {1}")]
    NotDeleted(Target, &'static str),
    /// Whoever reads the mapping beyond the new end is killed by a signal.
    #[error("{target}: process {pid} has mapped the file, and would die of its end")]
    Mapped {
        /// What was named.
        target: Target,
        /// Who has.
        pid: u32,
    },
    /// It is no longer the file that was planned upon.
    #[error("{0} is no longer the file that it was")]
    Changed(Target),
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// Decides what truncating `target` means.
///
/// # Errors
/// If it must not be done.
pub fn plan(target: Target, found: &Deleted) -> Result<Truncation, TruncateError> {
    let holds = |file: &&File| {
        let it = |one: &Holder| one.process.pid == target.pid && one.holds.contains(&Hold::Open(target.fd));
        file.holders.iter().any(it)
    };
    let Some(file) = found.files.iter().find(holds) else { return Err(why_not(target)) };
    if file.stat.is_none_or(|stat| stat.kind != Kind::File) {
        return Err(TruncateError::NotDeleted(target, "it is no regular file"));
    }
    let maps = |one: &&Holder| one.holds.iter().any(|hold| matches!(hold, Hold::Mapped | Hold::Program));
    match file.holders.iter().find(maps) {
        Some(holder) => Err(TruncateError::Mapped { target, pid: holder.process.pid }),
        None => Ok(Truncation { target, file: file.clone(), next: process::next(target) }),
    }
}

fn fds(target: Target) -> Result<DirFd, Fault> {
    DirFd::open_root(&Path::new("/proc").join(target.pid.to_string()).join("fd"))
}

fn why_not(target: Target) -> TruncateError {
    match fds(target).and_then(|fds| Ok((fds.stat_target(target.fd.to_string().as_bytes())?, fds))) {
        Ok((stat, _)) if stat.links > 0 => TruncateError::NotDeleted(target, "it has a name"),
        Ok(_) => TruncateError::NotDeleted(target, "it is in memory and never had a name"),
        Err(fault) if fault.is(Errno::ACCESS) || fault.is(Errno::PERM) => TruncateError::Forbidden(target),
        Err(_) => TruncateError::Nothing(target),
    }
}

/// Makes the file empty, and tells how many bytes on the disk that frees. All is looked at anew.
///
/// # Errors
/// If anything is no longer as it was planned.
pub fn truncate(plan: &Truncation) -> Result<u64, TruncateError> {
    let target = plan.target;
    let now = self::plan(target, &deleted()?)?;
    if now.file.identity != plan.file.identity {
        return Err(TruncateError::Changed(target));
    }
    let at = |fault: Fault| fault.at(as_path(&plan.file.path));
    let name = target.fd.to_string();
    let file = fds(target).and_then(|fds| fds.open_target_to_write(name.as_bytes())).map_err(at)?;
    // From here on it is this inode and no other.
    let before = file.stat().map_err(at)?;
    if before.identity() != plan.file.identity || before.links > 0 || before.kind != Kind::File {
        return Err(TruncateError::Changed(target));
    }
    file.set_size(0).map_err(at)?;
    let after = file.stat().map_err(at)?;
    Ok(before.blocks.saturating_sub(after.blocks).saturating_mul(512))
}

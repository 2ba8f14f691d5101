//! Deleted: files that have no name any more, but are still held by processes, and so keep their blocks.
//!
//! Read from `/proc` (`proc_pid_fd(5)`, `proc_pid_maps(5)`). That a file is deleted is asked of the inode (a link count
//! of 0), not of the words ` (deleted)`, which may be a part of a name. Files in memory that never had a name (memfd,
//! System V segments, shared anonymous memory) are only counted.
//!
//! **Invariant:** what is truncated is the very inode that the plan says, is no one else's file by then, has no name, and
//! is mapped by no process that can be seen.

mod process;
mod truncation;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use linksnap_inode::mounts::{self, Mount};
use linksnap_inode::path::as_path;
use linksnap_inode::{DirFd, Errno, Fault, FsError, Last, Stat, limits};

pub use self::process::{Process, Unit};
pub use self::truncation::{Next, Target, TruncateError, Truncation, plan, truncate};

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
    /// Whether processes of others are listed at all.
    pub others: Others,
}

/// What an ordinary user gets to know of the processes of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// That they are there.
    #[default]
    Listed,
    /// Nothing: `/proc` is mounted with `hidepid` (`proc(5)`).
    Hidden,
}

impl Others {
    fn of(mounts: &[Mount]) -> Self {
        let proc = mounts.iter().rfind(|mount| mount.point == b"/proc");
        let hides = |option: &[u8]| {
            matches!(option, b"hidepid=2" | b"hidepid=invisible" | b"hidepid=4" | b"hidepid=ptraceable")
        };
        match proc.is_some_and(|proc| proc.options.split(|byte| *byte == b',').any(hides)) {
            true if !limits::is_root() => Self::Hidden,
            _ => Self::Listed,
        }
    }
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
    let others = Others::of(&search.mounts);
    Ok(Deleted { files, memory_files, seen: search.seen, unseen: search.unseen, others })
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

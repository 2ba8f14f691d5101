//! Equal files: found, planned upon, and made one.
//!
//! [`plan()`] walks the roots (`find`), reads what could be equal (`read`, `compare`) and decides (`group`); it changes
//! nothing.
//! [`deed()`] carries the plan out, name by name, and may refuse, but never chooses anew.
//!
//! **Invariant:** a name is replaced only after both files were compared byte by byte and found to have the attributes that
//! they had when the plan was made; what was replaced is removed only when no process is seen that could still write to
//! it, and it has not changed meanwhile; else it gets its name back.

mod compare;
mod deed;
mod find;
mod group;
mod left;
mod piece;
mod read;
mod record;

use std::path::PathBuf;

use linksnap_inode::path::as_path;
use linksnap_inode::{DirFd, FsError, Stat};

use crate::walk::Watch;

pub use deed::{DeedError, Report, deed};
pub use find::PlanError;
pub use group::Reason;
pub use left::{Left, LeftReason};

/// Files younger than this, in seconds, are taken to be still in the making.
pub const QUIET_SECONDS: u64 = 10;

/// What equal files become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Share {
    /// One inode with many names.
    #[default]
    Links,
    /// Inodes of their own that share their blocks (`FICLONE`).
    Blocks,
}

/// Which attributes may differ between files that become one inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate question")]
pub struct Ignore {
    /// Modification times.
    pub times: bool,
    /// Permission bits.
    pub mode: bool,
    /// Owner and group.
    pub owner: bool,
    /// Extended attributes, ACLs and security labels among them.
    pub xattrs: bool,
}

impl Ignore {
    /// All of them: files that share no more than blocks keep their own.
    pub const ALL: Self = Self { times: true, mode: true, owner: true, xattrs: true };
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What equal files become.
    pub share: Share,
    /// What may differ.
    pub ignore: Ignore,
    /// Smaller files are left alone, in bytes.
    pub least_size: u64,
    /// The time it is, in seconds since 1970.
    pub now: i64,
}

impl Options {
    /// Blocks are shared by files of any attributes.
    fn ignored(&self) -> Ignore {
        match self.share {
            Share::Links => self.ignore,
            Share::Blocks => Ignore::ALL,
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Inodes done.
    pub done: u64,
    /// Of so many.
    pub of: u64,
    /// Bytes read.
    pub bytes: u64,
}

/// Watches a scan and a deed.
pub trait Observe: Watch {
    /// So much of what could be equal was read. May be called from several threads at once, and often.
    fn read(&self, _progress: Progress) {}

    /// So many inodes were replaced or left.
    fn linked(&self, _progress: Progress) {}
}

impl Observe for crate::walk::Unwatched {}

/// A name below one of the roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameAt {
    directory: u32,
    start: usize,
    length: u16,
}

/// An inode with the names that were found below the roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// As it was when it was found.
    pub stat: Stat,
    /// Its names, sorted by path.
    pub names: Vec<NameAt>,
}

impl File {
    /// How many names it has elsewhere.
    #[must_use]
    pub fn names_elsewhere(&self) -> u32 {
        self.stat.links.saturating_sub(u32::try_from(self.names.len()).unwrap_or(u32::MAX))
    }
}

/// Equal files, and which of them stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The file that stays.
    pub survivor: File,
    /// Why it is the one.
    pub reason: Reason,
    /// The files that become the survivor, or share its blocks.
    pub losers: Vec<File>,
}

impl Group {
    /// What is freed by it, in bytes of blocks: of a file that keeps a name elsewhere nothing.
    #[must_use]
    pub fn freed_bytes(&self) -> u64 {
        self.losers
            .iter()
            .filter(|loser| loser.names_elsewhere() == 0)
            .map(|loser| loser.stat.blocks * 512)
            .sum()
    }
}

/// Why equal files, or what could be such, are not in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Omitted {
    /// Files of the same size as others that were not compared, since their attributes differ.
    pub other_attributes: u64,
    /// Equal files whose extended attributes differ.
    pub other_xattrs: u64,
    /// Files smaller than is wanted.
    pub tiny: u64,
    /// Files that have names outside the roots, and can for that not share blocks and stay one file.
    pub names_elsewhere: u64,
    /// Directories not entered because something is mounted there.
    pub mounts: u64,
    /// Names that an interrupted deed has left behind.
    pub leftovers: u64,
}

/// What was found, and what is to be done about it.
#[derive(Debug)]
pub struct Plan {
    options: Options,
    roots: Vec<DirFd>,
    /// As they were typed.
    paths: Vec<PathBuf>,
    /// From `/`, without symbolic links.
    real: Vec<PathBuf>,
    /// Root and path below it.
    directories: Vec<(usize, Vec<u8>)>,
    names: Vec<u8>,
    /// What is to be done, what frees most first.
    pub groups: Vec<Group>,
    /// Files that seem to be in the making: their names and why they are left.
    pub left: Vec<Left>,
    /// Directories and files that could not be read.
    pub problems: Vec<FsError>,
    /// What is not to be done.
    pub omitted: Omitted,
    /// Inodes of regular files seen, and their names.
    pub files: u64,
    /// Names of regular files.
    pub files_names: u64,
    /// Directories visited.
    pub directories_visited: u64,
    /// Bytes read to find out.
    pub read_bytes: u64,
    /// Was it stopped before all was seen?
    pub stopped: bool,
}

impl Plan {
    /// The path of a name, as the root was typed.
    #[must_use]
    pub fn path(&self, name: NameAt) -> PathBuf {
        let (root, directory) = &self.directories[name.directory as usize];
        let (root, name) = (&self.paths[*root], self.name(name));
        // Asked for every equal file: made at once, with room for two slashes.
        let mut path = PathBuf::with_capacity(root.as_os_str().len() + directory.len() + name.len() + 2);
        path.push(root);
        // Joined with nothing, a path would get a slash at its end.
        if !directory.is_empty() {
            path.push(as_path(directory));
        }
        path.push(as_path(name));
        path
    }

    /// Inodes that become others.
    #[must_use]
    pub fn losers(&self) -> u64 {
        self.groups.iter().map(|group| group.losers.len() as u64).sum()
    }

    /// What is freed, in bytes of blocks.
    #[must_use]
    pub fn freed_bytes(&self) -> u64 {
        self.groups.iter().map(Group::freed_bytes).sum()
    }

    /// Inodes that go.
    #[must_use]
    pub fn freed_inodes(&self) -> u64 {
        let losers = self.groups.iter().flat_map(|group| &group.losers);
        match self.options.share {
            Share::Links => losers.filter(|loser| loser.names_elsewhere() == 0).count() as u64,
            Share::Blocks => 0,
        }
    }

    /// What equal files are to become.
    #[must_use]
    pub fn share(&self) -> Share {
        self.options.share
    }

    fn name(&self, name: NameAt) -> &[u8] {
        &self.names[name.start..name.start + usize::from(name.length)]
    }
}

/// Finds equal files below `roots` and says what is to become of them. Changes nothing, access times neither, where that
/// can be had (`O_NOATIME`, for the owner and for root).
///
/// # Errors
/// If one of the roots is none, or not to be touched. What cannot be read is a problem in the plan.
pub fn plan(roots: &[PathBuf], options: &Options, watch: &dyn Observe) -> Result<Plan, PlanError> {
    let opened = find::open_roots(roots, options.share)?;
    let found = find::find(roots, options, watch)?;
    let mut plan = Plan {
        options: *options,
        roots: opened.dirs,
        paths: roots.to_vec(),
        real: opened.real,
        directories: found.directories,
        names: found.names,
        groups: Vec::new(),
        left: Vec::new(),
        problems: found.problems,
        omitted: found.omitted,
        files: found.files.len() as u64,
        files_names: found.files_names,
        directories_visited: found.directories_visited,
        read_bytes: 0,
        stopped: watch.is_stopped(),
    };
    let classes = read::equal(&mut plan, found.files, watch);
    plan.groups = group::groups(&mut plan, classes, &opened.limits);
    plan.stopped |= watch.is_stopped();
    Ok(plan)
}

/// Was it written a moment ago? (What bears a time of the future was given that time, and not by writing.)
fn is_young(stat: &Stat, now: i64) -> bool {
    stat.mtime.seconds.abs_diff(now) <= QUIET_SECONDS
}

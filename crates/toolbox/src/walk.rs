//! All directories below some roots, with several threads, each directory visited once.
//!
//! **Invariant:** no symbolic link is followed, nothing outside the roots is reached, and no pseudo filesystem (`/proc`,
//! `/sys` and the like) is entered. What is mounted below a root is entered only if asked for.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use linksnap_inode::filesystem::{Filesystem, Nature};
use linksnap_inode::path::{join, under};
use linksnap_inode::pool::{self, Queue};
use linksnap_inode::{DirFd, Errno, Fault, FsError, Kind, Names};

/// Watches a walk. Called from several threads at once.
pub trait Watch: Sync {
    /// So many directories and names were seen so far. Called for every directory; must be quick.
    fn seen(&self, _directories: u64, _names: u64) {}

    /// Is the walk to end early?
    fn is_stopped(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {}

/// What is done where something is mounted below a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mounts {
    /// It is left out.
    #[default]
    Stay,
    /// It is entered, unless it is a pseudo filesystem.
    Cross,
}

/// One directory of a walk.
#[derive(Debug)]
pub struct Visit<'a> {
    /// Its number, from 1 in the order of the visits; without gaps, and higher than that of the directory it is in.
    pub number: u64,
    /// The number of the directory it is in; 0 for a root.
    pub above: u64,
    /// Which of the roots it is below.
    pub root: usize,
    /// Its path below that root; empty for the root itself.
    pub path: &'a [u8],
    /// The directory.
    pub dir: &'a DirFd,
    /// Its names, in the filesystem's order.
    pub names: &'a Names,
}

/// A walk that was done, or was stopped by its [`Watch`].
#[derive(Debug)]
pub struct Walked<V> {
    /// The visitors, one a thread.
    pub visitors: Vec<V>,
    /// Directories that could not be read.
    pub problems: Vec<FsError>,
    /// Directories visited.
    pub directories: u64,
    /// Names in them.
    pub names: u64,
    /// Directories not entered because something is mounted there.
    pub mounts_left_out: u64,
}

struct Walk<'a> {
    paths: &'a [PathBuf],
    roots: Vec<Option<DirFd>>,
    mounts: Mounts,
    watch: &'a dyn Watch,
    problems: Mutex<Vec<FsError>>,
    directories: AtomicU64,
    names: AtomicU64,
    left_out: AtomicU64,
}

/// A directory to be visited: its root, its path below it, and the number of the directory it is in.
type Task = (usize, Vec<u8>, u64);

/// Visits all directories below `roots`, the roots too; a root that is a symbolic link is followed, since it was named.
/// `start` makes a visitor for each thread, `visit` gets every directory once, in no order.
///
/// # Errors
/// Those of `visit`, which end the walk. What cannot be read is a problem in the report.
pub fn walk<V: Send, E: Send>(
    roots: &[PathBuf],
    mounts: Mounts,
    watch: &dyn Watch,
    start: impl Fn() -> V + Sync,
    visit: impl Fn(&mut V, &Visit<'_>) -> Result<(), E> + Sync,
) -> Result<Walked<V>, E> {
    let mut walk = Walk {
        paths: roots,
        roots: Vec::new(),
        mounts,
        watch,
        problems: Mutex::default(),
        directories: AtomicU64::new(0),
        names: AtomicU64::new(0),
        left_out: AtomicU64::new(0),
    };
    walk.open_roots();
    let mut visitors = Vec::new();
    for root in 0..walk.roots.len() {
        let work =
            |visitor: &mut V, task: Task, queue: &Queue<Task>| walk.directory(visitor, task, queue, &visit);
        visitors.extend(pool::run(pool::usual_threads(), (root, Vec::new(), 0), || Ok(start()), work)?);
    }
    Ok(Walked {
        visitors,
        problems: walk.problems.into_inner().unwrap_or_else(PoisonError::into_inner),
        directories: walk.directories.into_inner(),
        names: walk.names.into_inner(),
        mounts_left_out: walk.left_out.into_inner(),
    })
}

impl Walk<'_> {
    fn open_roots(&mut self) {
        for (number, path) in self.paths.iter().enumerate() {
            let opened = match DirFd::open_root(path).and_then(|root| refuse_pseudo(&root).map(|()| root)) {
                Ok(root) => Some(root),
                Err(fault) if fault.is(Errno::XDEV) => {
                    self.keep(kernels_own(path));
                    None
                }
                Err(fault) => {
                    self.problem(number, b"", fault);
                    None
                }
            };
            self.roots.push(opened);
        }
    }

    fn directory<V, E>(
        &self,
        visitor: &mut V,
        (root, path, above): Task,
        queue: &Queue<Task>,
        visit: impl Fn(&mut V, &Visit<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(top) = &self.roots[root] else { return Ok(()) };
        if self.watch.is_stopped() {
            queue.stop();
            return Ok(());
        }
        let Some(dir) = self.open(top, root, &path) else { return Ok(()) };
        let names = match dir.names() {
            Ok(names) => names,
            Err(fault) => {
                self.problem(root, &path, fault);
                return Ok(());
            }
        };
        let (number, seen) = (add(&self.directories, 1), add(&self.names, names.len() as u64));
        self.watch.seen(number, seen);
        let below = names.iter().filter(|name| is_directory(&dir, name.kind, name.bytes));
        queue.extend(below.map(|name| (root, join(&path, name.bytes), number)));
        visit(visitor, &Visit { number, above, root, path: &path, dir: &dir, names: &names })
    }

    /// Opens a directory of the walk, if it is one that the walk enters.
    fn open(&self, top: &DirFd, root: usize, path: &[u8]) -> Option<DirFd> {
        let opened = match self.mounts {
            Mounts::Stay => top.open_within(path),
            Mounts::Cross => top.open_beneath(path).and_then(|dir| refuse_pseudo(&dir).map(|()| dir)),
        };
        match opened {
            Ok(dir) => Some(dir),
            // A mount, or it was gone or exchanged for something else before it could be opened.
            Err(fault) if fault.is(Errno::XDEV) => {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                None
            }
            Err(fault) if fault.is(Errno::NOENT) || fault.is(Errno::LOOP) || fault.is(Errno::NOTDIR) => None,
            Err(fault) => {
                self.problem(root, path, fault);
                None
            }
        }
    }

    fn problem(&self, root: usize, path: &[u8], fault: Fault) {
        self.keep(fault.at(under(&self.paths[root], path)));
    }

    fn keep(&self, problem: FsError) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }
}

fn kernels_own(path: &Path) -> FsError {
    let source = std::io::Error::other("these are no files but the kernel talking");
    FsError { op: "walk through", path: path.to_path_buf(), source }
}

/// A pseudo filesystem counts as a mount that is left out (`EXDEV`).
fn refuse_pseudo(dir: &DirFd) -> Result<(), Fault> {
    match Filesystem::of(dir)?.nature() {
        Nature::Pseudo => Err(Fault::new("walk through the kernel's own files in", Errno::XDEV)),
        _ => Ok(()),
    }
}

fn add(count: &AtomicU64, more: u64) -> u64 {
    count.fetch_add(more, Ordering::Relaxed) + more
}

/// Is it a directory? Asked of the inode where the listing does not tell.
fn is_directory(dir: &DirFd, kind: Option<Kind>, name: &[u8]) -> bool {
    match kind {
        Some(kind) => kind == Kind::Directory,
        None => dir.stat_entry(name).is_ok_and(|stat| stat.kind == Kind::Directory),
    }
}

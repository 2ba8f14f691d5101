//! Removing trees: set aside by one rename, then emptied.
//!
//! **Invariant:** only the trash is emptied, and the station of a restore when all is done; nothing that is mounted in
//! them is entered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use linksnap_inode::path;
use linksnap_inode::pool::{self, Queue};
use linksnap_inode::{DirFd, Errno, Fault, Kind, Names, limits};

use crate::report::{Problem, ProblemKind};

/// Deeper than this, sub-trees are first moved up, so that descriptors do not run out.
const DEEPEST: usize = 32;

/// So many trees are gone through side by side at most: each has a descriptor open at every level.
const ABREAST: usize = 16;

/// A name in the trash that is probably free.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Moves `name` out of `dir` into `trash` under a free name: instant, whatever is in it.
pub fn set_aside(dir: &DirFd, name: &[u8], trash: &DirFd) -> Result<(), Fault> {
    // Not from 0 each time: with thousands in the trash, each would try all names that are taken.
    let start = NEXT.fetch_add(1, Ordering::Relaxed);
    set_aside_as(dir, name, trash, |number| start.wrapping_add(number).to_string().into_bytes()).map(drop)
}

/// Moves `name` out of `dir` into `trash` under the first free name of those that `called` gives for 0, 1, 2 …;
/// returns that name.
pub fn set_aside_as(
    dir: &DirFd,
    name: &[u8],
    trash: &DirFd,
    called: impl Fn(u64) -> Vec<u8>,
) -> Result<Vec<u8>, Fault> {
    for number in 0_u64.. {
        let new = called(number);
        match dir.rename_noreplace(name, trash, &new) {
            Err(fault) if fault.is(Errno::EXIST) => {}
            // A directory that we may not write in cannot be moved (`rename(2)`).
            Err(fault) if fault.is(Errno::ACCESS) => {
                if unlock(&dir.open_dir(name)?)? & 0o700 == 0o700 {
                    return Err(fault);
                }
                match dir.rename_noreplace(name, trash, &new) {
                    Err(fault) if fault.is(Errno::EXIST) => {}
                    other => return other.map(|()| new),
                }
            }
            other => return other.map(|()| new),
        }
    }
    Err(Fault::new("set aside", Errno::EXIST))
}

/// Gives the owner of a directory the right to work in it; returns its mode before. Root has that right.
pub fn unlock(dir: &DirFd) -> Result<u16, Fault> {
    if limits::is_root() {
        return Ok(0o700);
    }
    let mode = dir.stat()?.mode;
    if mode & 0o700 != 0o700 {
        dir.set_mode(mode | 0o700)?;
    }
    Ok(mode)
}

/// Removes one name of any kind from `dir`; a directory goes to `trash` whole.
pub fn discard(dir: &DirFd, name: &[u8], kind: Option<Kind>, trash: &DirFd) -> Result<(), Fault> {
    if kind == Some(Kind::Directory) {
        return match set_aside(dir, name, trash) {
            Err(fault) if fault.is(Errno::NOENT) => remove_here(dir, name),
            other => other,
        };
    }
    match dir.unlink(name) {
        Err(fault) if fault.is(Errno::ISDIR) || fault.is(Errno::PERM) => {
            set_aside(dir, name, trash).map_err(|_| fault)
        }
        Err(fault) if fault.is(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Removes a directory where it stands, if it is there: whoever likes may remove the trash.
fn remove_here(dir: &DirFd, name: &[u8]) -> Result<(), Fault> {
    match dir.open_within(name) {
        Err(fault) if fault.is(Errno::NOENT) => return Ok(()),
        doomed => drop(empty(&doomed?, Hurry::Now, &|_| false)?),
    }
    dir.remove_dir(name)
}

/// Who empties the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hurry {
    /// The calling thread, at its own speed: somebody waits for the room.
    Now,
    /// So many threads that stand back behind all others, at the processor and at the disk.
    StandBack(usize),
}

/// What came of emptying the trash.
#[derive(Debug, Default)]
pub struct Emptied {
    /// Names removed, those of directories among them.
    pub names: u64,
    /// The first path, below the trash, that could not be removed, and why. It harms nothing but room.
    pub left: Option<(PathBuf, Fault)>,
}

impl Emptied {
    /// What is to be said of what is left; `trash` is its path.
    #[must_use]
    pub fn notice(&self, trash: &Path) -> Option<Problem> {
        let (path, fault) = self.left.as_ref()?;
        let message = if fault.is(Errno::XDEV) {
            "deleted, but its remains stay in the trash: a filesystem is mounted here. Unmount it".to_owned()
        } else {
            format!("deleted, but its remains stay in the trash for now: {fault}")
        };
        let path = linksnap_inode::dir::path_bytes(&trash.join(path)).to_vec();
        Some(Problem { kind: ProblemKind::Notice, path, message })
    }
}

/// Removes all that is in `trash`, several trees in one pass: names that the same inode has in many of them go one
/// after the other. Can be stopped at any moment and taken up again. `watch` is told how many names are gone and says
/// whether to stop.
///
/// # Errors
/// Those of the trash itself. What cannot be removed inside it is told in the result.
pub fn empty(trash: &DirFd, hurry: Hurry, watch: &(dyn Fn(u64) -> bool + Sync)) -> Result<Emptied, Fault> {
    remove_all(trash, hurry, Roots::Go, watch)
}

/// The same, in a hurry, but leaves the directories that lie in the trash there, empty.
pub fn empty_trees(trash: &DirFd, watch: &(dyn Fn(u64) -> bool + Sync)) -> Result<Emptied, Fault> {
    remove_all(trash, Hurry::Now, Roots::Stay, watch)
}

/// What becomes of the directories in the trash when they are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Roots {
    Go,
    Stay,
}

fn remove_all(
    trash: &DirFd,
    hurry: Hurry,
    roots: Roots,
    watch: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Emptied, Fault> {
    let mut emptied = Emptied::default();
    let mut stuck: BTreeSet<Vec<u8>> = BTreeSet::new();
    loop {
        let mut names = match trash.names() {
            // Whoever likes may remove it.
            Err(fault) if fault.is(Errno::NOENT) => return Ok(emptied),
            other => other?,
        };
        names.retain(|name| !stuck.contains(name.bytes));
        if names.is_empty() {
            return Ok(emptied);
        }
        names.sort_by_name();
        let pass = Pass { trash, watch, roots, removed: AtomicU64::new(0), left: Mutex::default() };
        let trees = pass.open_roots(&names);
        let last = trees.last().filter(|_| trees.len() == ABREAST).map(|(name, _)| name.clone());
        if !trees.is_empty() {
            pass.run(trees, hurry)?;
        }
        let Pass { removed, left, .. } = pass;
        let removed = removed.into_inner();
        emptied.names += removed;
        if removed == 0 {
            // What could not be removed now will not be in the next round: on to what comes after it.
            let tried = names.iter().filter(|name| last.as_deref().is_none_or(|last| name.bytes <= last));
            stuck.extend(tried.map(|name| name.bytes.to_vec()));
            let left = left.into_inner().unwrap_or_else(PoisonError::into_inner);
            emptied.left = emptied.left.or(left);
        }
        if watch(0) {
            return Ok(emptied);
        }
    }
}

/// One way through the doomed trees.
struct Pass<'a> {
    trash: &'a DirFd,
    watch: &'a (dyn Fn(u64) -> bool + Sync),
    roots: Roots,
    removed: AtomicU64,
    left: Mutex<Option<(PathBuf, Fault)>>,
}

/// The same directory of several doomed trees.
struct Node {
    above: Above,
    /// For each of the trees that have it, by the tree's number.
    dirs: Vec<(usize, DirFd)>,
    depth: usize,
    /// Sub-directories not yet removed, and one for itself until it has been gone through.
    waiting: AtomicUsize,
}

/// What a directory is in.
enum Above {
    /// The trash, under one name for each tree.
    Trash(Vec<Vec<u8>>),
    /// Another one, under this name.
    Node(Arc<Node>, Vec<u8>),
}

/// A piece of work: a directory to be emptied and removed.
enum Doomed {
    /// The roots of the trees, open.
    Roots(Vec<(Vec<u8>, DirFd)>),
    /// A sub-directory, and the numbers of the trees that have it.
    Below(Arc<Node>, Vec<u8>, Vec<usize>),
}

impl Pass<'_> {
    /// Removes what lies in the trash as a file, and opens the first few trees.
    fn open_roots(&self, names: &Names) -> Vec<(Vec<u8>, DirFd)> {
        let mut roots = Vec::new();
        for name in names.iter() {
            if roots.len() == ABREAST {
                break;
            }
            match self.trash.open_within(name.bytes) {
                Ok(dir) => roots.push((name.bytes.to_vec(), dir)),
                Err(fault) if fault.is(Errno::NOTDIR) || fault.is(Errno::LOOP) => {
                    self.note(self.trash.unlink(name.bytes), || name.bytes.to_vec());
                }
                Err(fault) => self.note(Err(fault), || name.bytes.to_vec()),
            }
        }
        roots
    }

    fn run(&self, roots: Vec<(Vec<u8>, DirFd)>, hurry: Hurry) -> Result<(), Fault> {
        let first = Doomed::Roots(roots);
        let work = |(): &mut (), doomed: Doomed, queue: &Queue<Doomed>| {
            let node = Arc::new(self.open(doomed));
            if self.clear(&node, queue) {
                queue.stop();
            }
            self.done_below(node);
            Ok::<(), Fault>(())
        };
        let start = || {
            limits::stand_back();
            Ok(())
        };
        match hurry {
            Hurry::Now => pool::run(1, first, || Ok(()), work).map(drop),
            // Not the calling thread: it has more to do afterwards.
            Hurry::StandBack(threads) => std::thread::scope(|scope| {
                let working = scope.spawn(|| pool::run(threads, first, start, work).map(drop));
                working.join().unwrap_or(Err(Fault::new("empty the trash", Errno::IO)))
            }),
        }
    }

    fn open(&self, doomed: Doomed) -> Node {
        let (above, dirs, depth) = match doomed {
            Doomed::Roots(roots) => {
                let (names, dirs): (Vec<_>, Vec<_>) = roots.into_iter().unzip();
                (Above::Trash(names), dirs.into_iter().enumerate().collect(), 0)
            }
            Doomed::Below(above, name, trees) => {
                let parents = above.dirs.iter().filter(|(tree, _)| trees.contains(tree));
                let dirs = parents.filter_map(|(tree, dir)| Some((*tree, self.enter(&above, dir, &name)?)));
                let (dirs, depth) = (dirs.collect(), above.depth + 1);
                (Above::Node(above, name), dirs, depth)
            }
        };
        Node { above, dirs, depth, waiting: AtomicUsize::new(1) }
    }

    /// Opens a sub-directory; what turns out to be none is removed.
    fn enter(&self, above: &Node, dir: &DirFd, name: &[u8]) -> Option<DirFd> {
        match dir.open_within(name) {
            Ok(dir) => return Some(dir),
            Err(fault) if fault.is(Errno::NOTDIR) || fault.is(Errno::LOOP) => {
                self.note(dir.unlink(name), || self.path(above, name));
            }
            // An ordinary user may have closed it.
            Err(fault) if fault.is(Errno::ACCESS) && dir.unlock_entry(name).is_ok() => {
                return dir.open_within(name).ok();
            }
            Err(fault) => self.note(Err(fault), || self.path(above, name)),
        }
        None
    }

    /// Removes all names but directories, and queues those; says whether to stop.
    fn clear(&self, node: &Arc<Node>, queue: &Queue<Doomed>) -> bool {
        let mut all: Vec<(usize, Names)> = Vec::with_capacity(node.dirs.len());
        for (at, (_, dir)) in node.dirs.iter().enumerate() {
            match unlock(dir).and_then(|_| dir.names()) {
                Ok(names) => all.push((at, names)),
                Err(fault) => self.note(Err(fault), || self.path(node, b"")),
            }
        }
        let mut leaves: Vec<(u64, usize, usize)> = Vec::new();
        let mut below: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
        for (nth, (at, names)) in all.iter().enumerate() {
            for (index, name) in names.iter().enumerate() {
                match name.kind {
                    Some(Kind::Directory) | None => below.entry(name.bytes).or_default().push(*at),
                    Some(_) => leaves.push((name.inode, nth, index)),
                }
            }
        }
        leaves.sort_unstable();
        let mut unlinked = 0_u64;
        for (_, nth, index) in leaves {
            let (at, names) = &all[nth];
            let name = names.get(index);
            match node.dirs[*at].1.unlink(name.bytes) {
                Ok(()) => unlinked += 1,
                Err(fault) => self.note(Err(fault), || self.path(node, name.bytes)),
            }
            if unlinked >= 256 && self.count(std::mem::take(&mut unlinked)) {
                return true;
            }
        }
        let stop = self.count(unlinked);
        let children: Vec<Doomed> =
            below.into_iter().filter_map(|(name, at)| self.child(node, name, &at)).collect();
        node.waiting.fetch_add(children.len(), Ordering::AcqRel);
        queue.extend(children);
        stop
    }

    /// The work that a sub-directory is; one that is too deep is moved up instead, for the next pass.
    fn child(&self, node: &Arc<Node>, name: &[u8], at: &[usize]) -> Option<Doomed> {
        if node.depth < DEEPEST {
            let trees = at.iter().map(|at| node.dirs[*at].0).collect();
            return Some(Doomed::Below(Arc::clone(node), name.to_vec(), trees));
        }
        for at in at {
            let moved = set_aside(&node.dirs[*at].1, name, self.trash);
            self.note(moved, || self.path(node, name));
        }
        None
    }

    /// One thing less to wait for: a directory with nothing in it any more is removed, and maybe the one above it.
    fn done_below(&self, node: Arc<Node>) {
        let mut next = Some(node);
        while let Some(node) = next.take() {
            if node.waiting.fetch_sub(1, Ordering::AcqRel) != 1 {
                return;
            }
            next = match &node.above {
                Above::Trash(_) if self.roots == Roots::Stay => None,
                Above::Trash(names) => {
                    for (tree, _) in &node.dirs {
                        self.remove_dir(self.trash, &names[*tree], || names[*tree].clone());
                    }
                    None
                }
                Above::Node(above, name) => {
                    for (tree, _) in &node.dirs {
                        let parent = above.dirs.iter().find(|(number, _)| number == tree);
                        if let Some((_, parent)) = parent {
                            self.remove_dir(parent, name, || self.path(above, name));
                        }
                    }
                    Some(Arc::clone(above))
                }
            };
        }
    }

    fn remove_dir(&self, parent: &DirFd, name: &[u8], path: impl FnOnce() -> Vec<u8>) {
        match parent.remove_dir(name) {
            // What could not be removed in it has been noted.
            Err(fault) if fault.is(Errno::NOTEMPTY) => {}
            result => self.note(result, path),
        }
    }

    fn count(&self, names: u64) -> bool {
        self.removed.fetch_add(names, Ordering::Relaxed);
        (self.watch)(names)
    }

    fn path(&self, node: &Node, name: &[u8]) -> Vec<u8> {
        let above = match &node.above {
            Above::Trash(names) => names.first().cloned().unwrap_or_default(),
            Above::Node(above, own) => self.path(above, own),
        };
        if name.is_empty() { above } else { path::join(&above, name) }
    }

    /// Counts what went, and remembers what could not.
    fn note(&self, result: Result<(), Fault>, path: impl FnOnce() -> Vec<u8>) {
        match result {
            Ok(()) => drop(self.count(1)),
            // Somebody else was faster.
            Err(fault) if fault.is(Errno::NOENT) => {}
            Err(fault) => {
                let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
                left.get_or_insert_with(|| (path::as_path(&path()).to_path_buf(), fault));
            }
        }
    }
}

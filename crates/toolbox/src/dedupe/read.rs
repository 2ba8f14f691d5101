//! Reads what could be equal, and no more: files of the same size and attributes. Small ones of which there are few alike
//! are compared with each other (`compare`). The others are hashed: of large ones first the beginning, and all only of
//! those that begin alike. Every inode is read once, near to the order of inode numbers, by several threads.

use std::cmp::Ordering as Compared;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use linksnap_inode::content::{self, Buffer, Bytes, Shape};
use linksnap_inode::path::join;
use linksnap_inode::pool::usual_threads;
use linksnap_inode::{ContentHash, Errno, Fault, RegularFile, Stat, Timestamp, Xattrs};

use super::compare::{self, Content};
use super::{File, Ignore, NameAt, Observe, Plan, Progress};

/// How much is the beginning of a file, in bytes: half of what the kernel reads ahead anyway. Most files are no larger, and
/// are opened only once for that.
pub(super) const BEGINNING: usize = 64 * 1024;

/// No more files than that are compared with each other, else they are hashed.
const FEW: usize = 4;

/// So many files, or classes of files, at once go to a thread: neighbours on the disk stay neighbours.
const PORTION: usize = 32;

/// What files must have in common to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    device: u64,
    size: u64,
    mode: u16,
    uid: u32,
    gid: u32,
    mtime: Timestamp,
}

impl Key {
    fn of(stat: &Stat, ignore: Ignore) -> Self {
        Self {
            device: stat.device,
            size: stat.size,
            mode: if ignore.mode { 0 } else { stat.mode },
            uid: if ignore.owner { 0 } else { stat.uid },
            gid: if ignore.owner { 0 } else { stat.gid },
            mtime: if ignore.times { Timestamp::default() } else { stat.mtime },
        }
    }

    fn has_size_of(&self, other: &Self) -> bool {
        (self.device, self.size) == (other.device, other.size)
    }
}

/// A file that may have an equal.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Its place in the list of files.
    pub(super) file: usize,
    /// Files of the same class have the same key; it is the place of the first of them.
    pub(super) class: usize,
    seen: Seen,
}

/// What is known of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It could not be read, or is gone.
    Nothing,
    /// The hash of its beginning.
    Beginning(ContentHash),
    /// All, and the hash of its extended attributes if it has any.
    Whole(Content, Option<ContentHash>),
}

/// What came of looking at a file.
pub(super) type Looked<T> = Result<T, (Fault, NameAt)>;

/// The classes of equal files, each with two at least.
pub(super) fn equal(plan: &mut Plan, files: Vec<File>, watch: &dyn Observe) -> Vec<Vec<File>> {
    let (mut few, mut candidates) = alike(plan, &files);
    let reader = Reader { plan, files: &files, watch, bytes: AtomicU64::new(0) };
    let mut problems = reader.few(&mut few);
    problems.extend(reader.all(&mut candidates, Reader::begin));
    candidates.sort_unstable_by(by_content);
    let mut large: Vec<Candidate> = runs(&candidates, |one, other| by_content(one, other).is_eq())
        .filter(|run| run.len() > 1 && matches!(run[0].seen, Seen::Beginning(_)))
        .flatten()
        .cloned()
        .collect();
    candidates.retain(|one| matches!(one.seen, Seen::Whole(..)));
    large.sort_unstable_by_key(|one| one.file);
    problems.extend(reader.all(&mut large, Reader::finish));
    let read_bytes = reader.bytes.into_inner();
    candidates.extend(large.into_iter().chain(few).filter(|one| matches!(one.seen, Seen::Whole(..))));
    candidates.sort_unstable_by(by_content);
    plan.read_bytes = read_bytes;
    plan.problems.extend(problems);
    classes(plan, &candidates, files)
}

/// Those that have the key of another: first those to be compared, class by class, then those to be hashed. Both come in the
/// order of the files, the classes in that of their first ones; it is that of inode numbers.
fn alike(plan: &mut Plan, files: &[File]) -> (Vec<Candidate>, Vec<Candidate>) {
    let ignore = plan.options.ignored();
    let mut keys: Vec<(Key, usize)> =
        files.iter().enumerate().map(|(number, file)| (Key::of(&file.stat, ignore), number)).collect();
    keys.sort_unstable();
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for same_size in runs(&keys, |(one, _), (other, _)| one.has_size_of(other)).filter(|run| run.len() > 1) {
        for same in runs(same_size, |(one, _), (other, _)| one == other) {
            if same.len() == 1 {
                plan.omitted.other_attributes += 1;
                continue;
            }
            let (key, class) = same[0];
            let is_small = key.size < BEGINNING as u64;
            let candidates = if is_small && same.len() <= FEW { &mut few } else { &mut many };
            candidates.extend(same.iter().map(|(_, file)| Candidate {
                file: *file,
                class,
                seen: Seen::Nothing,
            }));
        }
    }
    few.sort_unstable_by_key(|one| (one.class, one.file));
    many.sort_unstable_by_key(|one| one.file);
    (few, many)
}

pub(super) struct Reader<'a> {
    plan: &'a Plan,
    pub(super) files: &'a [File],
    watch: &'a dyn Observe,
    bytes: AtomicU64,
}

impl Reader<'_> {
    /// Compares the members of each class; says what could not be read.
    fn few(&self, few: &mut [Candidate]) -> Vec<linksnap_inode::FsError> {
        let count = Count { of: few.len() as u64, done: AtomicU64::new(0) };
        let classes: Vec<&[Candidate]> = runs(few, |one, other| one.class == other.class).collect();
        let looked =
            in_portions(&classes, |classes, buffers| compare::classes(self, classes, &count, buffers));
        self.keep(few, looked)
    }

    /// Looks at each of them by `look`; says what could not be read.
    fn all(
        &self,
        candidates: &mut [Candidate],
        look: impl Fn(&Self, &File, &RegularFile, &mut Buffers) -> Result<Seen, Fault> + Sync,
    ) -> Vec<linksnap_inode::FsError> {
        let count = Count { of: candidates.len() as u64, done: AtomicU64::new(0) };
        let looked = in_portions(candidates, |candidates, buffers| {
            let looked = candidates.iter().map(|candidate| {
                let seen =
                    self.look(candidate, &count, |file, opened| look(self, file, opened, &mut *buffers));
                seen.map(|seen| seen.unwrap_or(Seen::Nothing))
            });
            looked.collect()
        });
        self.keep(candidates, looked)
    }

    /// Opens a file and looks at it, unless the watcher has stopped the work.
    pub(super) fn look<T>(
        &self,
        candidate: &Candidate,
        count: &Count,
        look: impl FnOnce(&File, &RegularFile) -> Result<T, Fault>,
    ) -> Looked<Option<T>> {
        if self.watch.is_stopped() {
            return Ok(None);
        }
        let file = &self.files[candidate.file];
        let seen = self.open(file).and_then(|opened| look(file, &opened));
        let done = count.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.watch.read(Progress { done, of: count.of, bytes: self.bytes.load(Ordering::Relaxed) });
        seen.map(Some).map_err(|fault| (fault, file.names[0]))
    }

    fn keep(&self, candidates: &mut [Candidate], looked: Vec<Looked<Seen>>) -> Vec<linksnap_inode::FsError> {
        let mut problems = Vec::new();
        for (candidate, seen) in candidates.iter_mut().zip(looked) {
            match seen {
                Ok(seen) => candidate.seen = seen,
                // Gone, or something else by now.
                Err((fault, _)) if is_gone(fault) => candidate.seen = Seen::Nothing,
                Err((fault, name)) => {
                    candidate.seen = Seen::Nothing;
                    problems.push(fault.at(self.plan.path(name)));
                }
            }
        }
        problems
    }

    fn open(&self, file: &File) -> Result<RegularFile, Fault> {
        let name = file.names[0];
        let (root, directory) = &self.plan.directories[name.directory as usize];
        self.plan.roots[*root].open_file_within(&join(directory, self.plan.name(name)))
    }

    /// The beginning; of a small file that is all.
    fn begin(&self, file: &File, opened: &RegularFile, buffers: &mut Buffers) -> Result<Seen, Fault> {
        let wanted = usize::try_from(file.stat.size).unwrap_or(usize::MAX).min(BEGINNING);
        if !self.fill(opened, &mut buffers.beginning[..wanted])? {
            return Ok(Seen::Nothing);
        }
        let hash = ContentHash::of(&buffers.beginning[..wanted]);
        match wanted < BEGINNING {
            true => Ok(Seen::Whole(Content::Hash(*hash.as_bytes()), self.xattrs(opened)?)),
            false => Ok(Seen::Beginning(hash)),
        }
    }

    /// Reads so much from the beginning on; `false` if there is less.
    pub(super) fn fill(&self, opened: &RegularFile, buffer: &mut [u8]) -> Result<bool, Fault> {
        let mut length = 0;
        while length < buffer.len() {
            match opened.read_at(&mut buffer[length..], length as u64)? {
                0 => return Ok(false),
                count => length += count,
            }
        }
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        Ok(true)
    }

    fn finish(&self, file: &File, opened: &RegularFile, buffers: &mut Buffers) -> Result<Seen, Fault> {
        let read = content::hash(opened, Shape::from(&file.stat), &mut buffers.whole, &mut |count| {
            let bytes = self.bytes.fetch_add(count, Ordering::Relaxed);
            self.watch.read(Progress { bytes, ..Progress::default() });
            if self.watch.is_stopped() { Err(Fault::new("read", Errno::INTR)) } else { Ok(()) }
        })?;
        match read.size == file.stat.size {
            true => Ok(Seen::Whole(Content::Hash(*read.hash.as_bytes()), self.xattrs(opened)?)),
            false => Ok(Seen::Nothing),
        }
    }

    /// Most files have none: then there is nothing to be hashed.
    pub(super) fn xattrs(&self, opened: &RegularFile) -> Result<Option<ContentHash>, Fault> {
        if self.plan.options.ignored().xattrs {
            return Ok(None);
        }
        let xattrs = Xattrs::read(opened)?;
        Ok((!xattrs.is_empty()).then(|| ContentHash::of(&xattrs.encode())))
    }
}

/// What the watcher stopped is no problem, and neither is what has gone.
fn is_gone(fault: Fault) -> bool {
    [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::XDEV, Errno::NXIO, Errno::INTR].contains(&fault.errno)
}

/// How many files are done, of how many.
pub(super) struct Count {
    of: u64,
    done: AtomicU64,
}

/// What a thread needs for itself.
pub(super) struct Buffers {
    beginning: Box<[u8]>,
    /// Contents to be compared, one after the other.
    pub(super) contents: Vec<u8>,
    whole: Buffer,
}

/// Does `work` for all items, in their order but for what threads make of it; the results are in that order.
fn in_portions<I: Sync, T: Send>(items: &[I], work: impl Fn(&[I], &mut Buffers) -> Vec<T> + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let one_thread = || {
        let mut buffers =
            Buffers { beginning: vec![0; BEGINNING].into(), contents: Vec::new(), whole: Buffer::default() };
        let mut done = Vec::new();
        loop {
            let portion = next.fetch_add(1, Ordering::Relaxed);
            let start = portion * PORTION;
            if start >= items.len() {
                return done;
            }
            let end = items.len().min(start + PORTION);
            done.push((portion, work(&items[start..end], &mut buffers)));
        }
    };
    let mut all = std::thread::scope(|scope| {
        let others: Vec<_> = (1..usual_threads()).map(|_| scope.spawn(one_thread)).collect();
        let mut all = one_thread();
        for thread in others {
            all.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|(portion, _)| *portion);
    all.into_iter().flat_map(|(_, results)| results).collect()
}

/// By key and content, without the extended attributes.
fn by_content(one: &Candidate, other: &Candidate) -> Compared {
    one.class.cmp(&other.class).then_with(|| match (one.seen, other.seen) {
        (Seen::Nothing, Seen::Nothing) => one.file.cmp(&other.file),
        (Seen::Beginning(one), Seen::Beginning(other)) => one.as_bytes().cmp(other.as_bytes()),
        (Seen::Whole(one, _), Seen::Whole(other, _)) => one.cmp(&other),
        (one, other) => rank(one).cmp(&rank(other)),
    })
}

fn rank(seen: Seen) -> u8 {
    match seen {
        Seen::Nothing => 0,
        Seen::Beginning(_) => 1,
        Seen::Whole(..) => 2,
    }
}

/// Runs of neighbours that are the same.
fn runs<T>(items: &[T], same: impl Fn(&T, &T) -> bool) -> impl Iterator<Item = &[T]> {
    items.chunk_by(same)
}

/// All that were read whole, sorted by content, become classes.
fn classes(plan: &mut Plan, candidates: &[Candidate], files: Vec<File>) -> Vec<Vec<File>> {
    let mut files: Vec<Option<File>> = files.into_iter().map(Some).collect();
    let mut classes = Vec::new();
    for same in runs(candidates, |one, other| by_content(one, other).is_eq()).filter(|run| run.len() > 1) {
        let mut same = same.to_vec();
        let xattrs = |one: &Candidate| match one.seen {
            Seen::Whole(_, xattrs) => xattrs.map(|hash| *hash.as_bytes()),
            _ => None,
        };
        same.sort_unstable_by_key(|one| (xattrs(one), one.file));
        for class in runs(&same, |one, other| xattrs(one) == xattrs(other)) {
            if class.len() > 1 {
                classes.push(class.iter().filter_map(|one| files[one.file].take()).collect());
            } else {
                plan.omitted.other_xattrs += 1;
            }
        }
    }
    classes
}

//! Verify: reads what is stored and compares it with the catalog.
//!
//! Names and inode numbers are compared in every snapshot; attributes and bytes of an inode once, however
//! many snapshots share it: in the newest of them.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use linksnap_catalog::{CatalogError, DirId, Reader, Row, Rows, Snapshot, SnapshotId, Version};
use linksnap_inode::content::{self, Buffer, Shape};
use linksnap_inode::path;
use linksnap_inode::pool::{self, Queue};
use linksnap_inode::{DirFd, Errno, Fault, Kind, Name, Xattrs, limits};

use crate::job::{Job, JobError};
use crate::monitor::{Monitor, Progress, Wish};
use crate::report::{Class, Collected, Problem, ProblemKind, Problems};
use crate::stages::fingerprint;
use crate::stages::store::STOPPED;
use crate::stages::validate::{self, Attributes};

/// What to verify.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// The snapshots; none: all that are published.
    pub snapshots: Vec<Snapshot>,
    /// Read every stored byte?
    pub content: bool,
    /// Threads; `None`: as many as usual.
    pub threads: Option<usize>,
}

/// What was verified.
#[derive(Debug, Clone, Default)]
pub struct VerifySummary {
    /// Snapshots looked at.
    pub snapshots: u64,
    /// Entries compared, those of each snapshot counted.
    pub entries: u64,
    /// Inodes whose attributes, and bytes if asked for, were compared.
    pub inodes: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Files whose hash was not taken when they were copied, but when the catalog was rebuilt, or that have none.
    pub unwitnessed: u64,
    /// Damage found.
    pub problems: Collected,
}

/// Why it could not be verified to the end.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The job or its catalog cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The watcher wanted it.
    #[error("interrupted: not everything was verified")]
    Interrupted,
}

impl VerifyError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Job(error) => error.class(),
            Self::Interrupted => Class::Interrupted,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Job(error) => error.hint(),
            Self::Interrupted => None,
        }
    }
}

/// Verifies snapshots of a job. Damage is in the summary, not an error.
pub fn verify(
    job: &Job,
    options: &VerifyOptions,
    monitor: &dyn Monitor,
) -> Result<VerifySummary, VerifyError> {
    limits::raise_open_files();
    let reader = job.catalog()?;
    let failed = |source| VerifyError::from(job.catalog_error(source));
    let problems = Problems::default();
    let mut faults = reader.faults().map_err(failed)?;
    let wrong = fingerprint::check(&reader).map_err(failed)?.wrong;
    faults.extend((wrong > 0).then(|| format!("{wrong} fingerprints are of other versions of a directory")));
    for fault in faults {
        let path = linksnap_inode::dir::path_bytes(&job.catalog_path()).to_vec();
        let message = format!("{fault}; `linksnap reindex` makes a new catalog of the snapshots");
        problems.add(monitor, Problem { kind: ProblemKind::Damage, path, message });
    }
    let mut snapshots = options.snapshots.clone();
    if snapshots.is_empty() {
        snapshots = reader.published().map_err(failed)?;
    }
    snapshots.sort_by_key(|snapshot| snapshot.id);
    let check = Check {
        job,
        monitor,
        problems: &problems,
        content: options.content,
        moved: is_moved(job, &reader).map_err(failed)?,
        progress: Progress::default(),
        counted: Counted::default(),
        seen: Mutex::new(HashSet::new()),
    };
    let threads = options.threads.unwrap_or_else(pool::usual_threads);
    let mut newer = None;
    for snapshot in snapshots.iter().rev() {
        let is_there = check.snapshot(snapshot, newer, threads).map_err(|stop| match stop {
            Stop::Interrupted => VerifyError::Interrupted,
            Stop::Catalog(source) => failed(source),
            Stop::Job(error) => error.into(),
        })?;
        newer = Some(snapshot.id).filter(|_| is_there).or(newer);
    }
    let counted = &check.counted;
    Ok(VerifySummary {
        snapshots: snapshots.len() as u64,
        entries: counted.entries.load(Ordering::Relaxed),
        inodes: counted.inodes.load(Ordering::Relaxed),
        bytes: check.progress.bytes(),
        unwitnessed: counted.unwitnessed.load(Ordering::Relaxed),
        problems: problems.take(),
    })
}

fn is_moved(job: &Job, reader: &Reader) -> Result<bool, CatalogError> {
    let home = reader.home()?;
    let here = job.workshop().stat().map(|stat| stat.inode);
    Ok(home.is_some() && home != here.ok())
}

enum Stop {
    Interrupted,
    Catalog(CatalogError),
    Job(JobError),
}

impl From<CatalogError> for Stop {
    fn from(error: CatalogError) -> Self {
        Self::Catalog(error)
    }
}

#[derive(Default)]
struct Counted {
    entries: AtomicU64,
    inodes: AtomicU64,
    unwitnessed: AtomicU64,
}

struct Check<'a> {
    job: &'a Job,
    monitor: &'a dyn Monitor,
    problems: &'a Problems,
    content: bool,
    /// The job was copied: its inodes have other numbers than the catalog says.
    moved: bool,
    progress: Progress,
    counted: Counted,
    /// Inodes looked at that may stand under several names, of one snapshot or of several.
    seen: Mutex<HashSet<u64>>,
}

/// One snapshot being verified, and what a worker has for it.
struct Tree<'a> {
    root: &'a DirFd,
    snapshot: &'a Snapshot,
    newer: Option<SnapshotId>,
    /// It was deleted meanwhile: what is missing in it is no damage.
    gone: AtomicBool,
}

impl Tree<'_> {
    /// Does the snapshot still bear its name? If not, its tree and its rows may have been emptied under the reader.
    fn is_still_there(&self, job: &Job) -> bool {
        job.bears_name(self.root, &self.snapshot.name)
    }
}

type Task = (Vec<u8>, Version);

impl Check<'_> {
    /// Verifies one snapshot; says whether it is there.
    fn snapshot(&self, snapshot: &Snapshot, newer: Option<SnapshotId>, threads: usize) -> Result<bool, Stop> {
        let root = match self.job.dir().open_dir(snapshot.name.as_bytes()) {
            Ok(root) => root,
            Err(fault) if fault.is(Errno::NOENT) => {
                self.report(snapshot, b"", ProblemKind::Notice, "somebody removed this snapshot");
                return Ok(false);
            }
            Err(fault) => {
                let what = format!("the snapshot cannot be opened: {fault}");
                self.report(snapshot, b"", ProblemKind::Damage, &what);
                return Ok(false);
            }
        };
        let tree = Tree { root: &root, snapshot, newer, gone: AtomicBool::new(false) };
        let reader = self.job.catalog().map_err(Stop::Job)?;
        let rows = reader.as_of(DirId(0), snapshot.id)?;
        let Some(row) = rows.find(b"") else {
            self.damage(&tree, b"", "the catalog knows nothing of this snapshot");
            return Ok(false);
        };
        let first: Task = (Vec::new(), row.version.clone());
        pool::run(
            threads,
            first,
            || Ok((self.job.catalog().map_err(Stop::Job)?, Buffer::default())),
            |(reader, buffer), task, queue| {
                if tree.gone.load(Ordering::Relaxed) {
                    return Ok(());
                }
                self.directory(&tree, reader, buffer, task, queue)
            },
        )?;
        Ok(!tree.gone.into_inner())
    }

    fn directory(
        &self,
        tree: &Tree<'_>,
        reader: &Reader,
        buffer: &mut Buffer,
        (path, version): Task,
        queue: &Queue<Task>,
    ) -> Result<(), Stop> {
        self.progress.enter(&path);
        let Some(id) = version.child else { return Ok(()) };
        let opened = tree.root.open_beneath(&path).and_then(|dir| {
            let names = dir.sorted_names()?;
            Ok((dir, names))
        });
        let (dir, names) = match opened {
            Ok(opened) => opened,
            Err(fault) => {
                self.damage(tree, &path, &fault.to_string());
                return Ok(());
            }
        };
        self.own_attributes(tree, reader, &dir, &path, &version)?;
        let rows = reader.as_of(id, tree.snapshot.id)?;
        let names: Vec<Name<'_>> = names.iter().collect();
        let mut sound = self.structure(tree, &path, &rows, &names);
        queue.extend(
            sound
                .iter()
                .filter(|row| row.version.child.is_some())
                .map(|row| (path::join(&path, row.name), row.version.clone())),
        );
        sound.retain(|row| row.version.child.is_none() && row.version.is_newest_before(tree.newer));
        sound.sort_unstable_by_key(|row| row.version.stored_inode);
        for row in &sound {
            if self.monitor.wish() == Wish::Stop {
                return Err(Stop::Interrupted);
            }
            self.inode(tree, reader, buffer, (&dir, &path), *row)?;
        }
        self.progress.add_files((rows.len()) as u64);
        self.progress.add_directory();
        self.monitor.progress(&self.progress);
        Ok(())
    }

    /// Compares names, kinds and inode numbers; returns the rows whose entries are there.
    fn structure<'r>(
        &self,
        tree: &Tree<'_>,
        path: &[u8],
        rows: &'r Rows,
        names: &[Name<'_>],
    ) -> Vec<Row<'r>> {
        self.counted.entries.fetch_add(rows.len() as u64, Ordering::Relaxed);
        let mut there = names.iter().copied().peekable();
        let mut sound = Vec::with_capacity(rows.len());
        let extra = |name: Name<'_>| {
            let path = path::join(path, name.bytes);
            self.damage(tree, &path, "it does not belong to the snapshot");
        };
        for row in rows.iter() {
            while let Some(name) = there.next_if(|name| name.bytes < row.name) {
                extra(name);
            }
            let damage = |what: &str| self.damage(tree, &path::join(path, row.name), what);
            match there.next_if(|name| name.bytes == row.name) {
                None => damage("it is missing"),
                Some(found) if found.kind.is_some_and(|kind| kind != row.version.stored_kind()) => {
                    damage(&format!("it is {:?}, should be {:?}", found.kind, row.version.stored_kind()));
                }
                Some(found)
                    if row.version.child.is_none()
                        && found.inode != row.version.stored_inode
                        && !self.moved =>
                {
                    let (is, should) = (found.inode, row.version.stored_inode);
                    damage(&format!("it is another file: inode {is}, should be {should}"));
                }
                Some(_) => sound.push(row),
            }
        }
        there.for_each(extra);
        sound
    }

    fn own_attributes(
        &self,
        tree: &Tree<'_>,
        reader: &Reader,
        dir: &DirFd,
        path: &[u8],
        version: &Version,
    ) -> Result<(), Stop> {
        let xattrs = wanted_xattrs(reader, version)?;
        let read = dir.stat().and_then(|stat| Ok((Attributes::from(&stat), Xattrs::read(dir)?)));
        match read {
            Ok((is, found)) => {
                self.compare(tree, path, version, (&is, &found), &xattrs);
            }
            Err(fault) => self.damage(tree, path, &fault.to_string()),
        }
        Ok(())
    }

    fn compare(
        &self,
        tree: &Tree<'_>,
        path: &[u8],
        version: &Version,
        (is, xattrs): (&Attributes, &Xattrs),
        wanted: &Xattrs,
    ) {
        let should = Attributes::from(version);
        if let Some(what) = validate::difference(version.kind, is, &should) {
            self.damage(tree, path, &what);
        }
        if xattrs != wanted && !version.partial {
            self.damage(tree, path, "its extended attributes are not what they were");
        }
    }

    /// Compares one inode's attributes, and its bytes if asked for.
    fn inode(
        &self,
        tree: &Tree<'_>,
        reader: &Reader,
        buffer: &mut Buffer,
        (dir, path): (&DirFd, &[u8]),
        row: Row<'_>,
    ) -> Result<(), Stop> {
        let version = row.version;
        let may_come_again = version.seen.links > 1 || version.shared;
        if may_come_again && !self.is_first_look(version.stored_inode) {
            return Ok(());
        }
        self.counted.inodes.fetch_add(1, Ordering::Relaxed);
        let wanted = wanted_xattrs(reader, version)?;
        let whole = path::join(path, row.name);
        match self.look(dir, row, buffer) {
            Ok(found) => {
                let read = (&found.attributes, &found.xattrs);
                self.compare(tree, &whole, version, read, &wanted);
                if let Some(what) = found.differs {
                    self.damage(tree, &whole, what);
                }
                Ok(())
            }
            Err(STOPPED) => Err(Stop::Interrupted),
            Err(fault) => {
                self.damage(tree, &whole, &fault.to_string());
                Ok(())
            }
        }
    }

    fn is_first_look(&self, inode: u64) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(inode)
    }

    fn look(&self, dir: &DirFd, row: Row<'_>, buffer: &mut Buffer) -> Result<Found, Fault> {
        let version = row.version;
        if version.kind != Kind::File || !self.content {
            let attributes = Attributes::from(&dir.stat_entry(row.name)?);
            let xattrs = Xattrs::read_entry(dir, row.name)?;
            let is_link = version.kind == Kind::Symlink;
            let differs = is_link && version.target.as_deref() != Some(dir.read_link(row.name)?.as_slice());
            let differs = differs.then_some("the link's text is not what it was");
            return Ok(Found { attributes, xattrs, differs });
        }
        let file = dir.open_file(row.name)?;
        let stat = file.stat()?;
        let watch = &mut |count| self.watch(count);
        let read = content::hash(&file, Shape::from(&stat), buffer, watch)?;
        let xattrs = Xattrs::read(&file)?;
        if version.hash.is_none() || version.unwitnessed {
            self.counted.unwitnessed.fetch_add(1, Ordering::Relaxed);
        }
        let differs = version.hash.is_some_and(|hash| hash != read.hash);
        let differs = differs.then_some("its bytes are not what they were: the hash differs");
        Ok(Found { attributes: Attributes::from(&stat), xattrs, differs })
    }

    fn watch(&self, count: u64) -> Result<(), Fault> {
        self.progress.add_bytes(count);
        self.monitor.progress(&self.progress);
        if self.monitor.wish() == Wish::Stop { Err(STOPPED) } else { Ok(()) }
    }

    /// Reports damage; whoever deletes a snapshot renames it first, and what is found after that is none.
    fn damage(&self, tree: &Tree<'_>, path: &[u8], what: &str) {
        if tree.is_still_there(self.job) {
            self.report(tree.snapshot, path, ProblemKind::Damage, what);
        } else if !tree.gone.swap(true, Ordering::Relaxed) {
            let what = "this snapshot was deleted while it was being verified";
            self.report(tree.snapshot, b"", ProblemKind::Notice, what);
        }
    }

    fn report(&self, snapshot: &Snapshot, path: &[u8], kind: ProblemKind, what: &str) {
        let place = path::under(&self.job.path().join(&snapshot.name), path);
        let path = linksnap_inode::dir::path_bytes(&place).to_vec();
        self.problems.add(self.monitor, Problem { kind, path, message: what.to_owned() });
    }
}

struct Found {
    attributes: Attributes,
    xattrs: Xattrs,
    differs: Option<&'static str>,
}

fn wanted_xattrs(reader: &Reader, version: &Version) -> Result<Xattrs, Stop> {
    Ok(version.xattrs.map(|id| reader.xattrs(id)).transpose()?.unwrap_or_default())
}

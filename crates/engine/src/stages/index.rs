//! Index: writes what a published tree has into a catalog that is being rebuilt, as if the run that made it had.
//!
//! Snapshots share inodes, and all of them are there at the same time: the same inode number is the same version. So
//! only the names of a later snapshot are read, and of its entries those that the one before does not have.
//!
//! Nothing in the trees is changed. What the source looked like is not known any more: the next run reads every file
//! and links what is the same.

use linksnap_catalog::{
    CatalogError, Change, DirId, DirectoryChanges, Holding, NewVersion, Reader, Row, Seen, SnapshotId,
    StoredContent, Totals, Version, Writer,
};
use linksnap_inode::content::{self, Buffer, Shape};
use linksnap_inode::path;
use linksnap_inode::{DirFd, Fault, Kind, Name, Stat, Timestamp, Xattrs};

use crate::monitor::{Monitor, Progress, Wish};
use crate::report::{Problem, ProblemKind, Problems};
use crate::stages::store::STOPPED;

/// Why a tree was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The new catalog cannot be written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The watcher wanted it.
    #[error("interrupted")]
    Interrupted,
}

/// What has been read so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Entries of all snapshots, each counted in each.
    pub entries: u64,
    /// Inodes that were looked into, those of directories left out.
    pub inodes: u64,
    /// Bytes of content read, holes not counted.
    pub bytes: u64,
}

/// The rebuilding of a catalog, across all snapshots.
pub struct Index<'a> {
    /// The new catalog.
    pub writer: &'a mut Writer,
    /// Who watches.
    pub monitor: &'a dyn Monitor,
    /// What cannot be read.
    pub problems: &'a Problems,
    progress: Progress,
    buffer: Buffer,
    last_directory: i64,
    indexed: Indexed,
}

impl std::fmt::Debug for Index<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("indexed", &self.indexed).finish_non_exhaustive()
    }
}

/// One snapshot.
#[derive(Debug)]
pub struct Published<'a> {
    /// Its tree.
    pub root: &'a DirFd,
    /// Its name, for people.
    pub name: &'a str,
    /// Its number in the new catalog.
    pub id: SnapshotId,
    /// The new catalog as of the snapshot before.
    pub before: &'a Reader,
}

struct Task {
    path: Vec<u8>,
    parent: DirId,
    id: DirId,
    /// What the snapshot before has under its name.
    known: Option<Box<Version>>,
}

impl<'a> Index<'a> {
    /// For an empty catalog.
    #[must_use]
    pub fn new(writer: &'a mut Writer, monitor: &'a dyn Monitor, problems: &'a Problems) -> Self {
        Self {
            writer,
            monitor,
            problems,
            progress: Progress::default(),
            buffer: Buffer::default(),
            last_directory: DirId::ROOT.0,
            indexed: Indexed::default(),
        }
    }

    /// What has been read so far.
    #[must_use]
    pub fn indexed(&self) -> Indexed {
        self.indexed
    }

    /// Takes one snapshot in; returns what it holds. They come in the order of time.
    pub fn take(&mut self, tree: &Published<'_>) -> Result<Totals, IndexError> {
        let mut totals = Totals::default();
        let known = tree.before.current_of(DirId(0), b"")?.map(Box::new);
        let mut waiting = vec![Task { path: Vec::new(), parent: DirId(0), id: DirId::ROOT, known }];
        while let Some(task) = waiting.pop() {
            self.progress.enter(&task.path);
            self.directory(tree, &task, &mut waiting, &mut totals)?;
            self.progress.add_directory();
            self.monitor.progress(&self.progress);
        }
        Ok(totals)
    }

    fn directory(
        &mut self,
        tree: &Published<'_>,
        task: &Task,
        waiting: &mut Vec<Task>,
        totals: &mut Totals,
    ) -> Result<(), IndexError> {
        let opened = tree.root.open_within(&task.path).and_then(|dir| {
            let own = (dir.stat()?, Xattrs::read(&dir)?);
            let names = dir.sorted_names()?;
            Ok((dir, own, names))
        });
        let (dir, own, names) = match opened {
            Ok(opened) => opened,
            Err(fault) => {
                self.report(tree, &task.path, fault);
                return self.lose(tree, task);
            }
        };
        self.own(tree, task, own)?;
        totals.directories += 1;
        let rows = tree.before.current(task.id)?;
        let mut rows = rows.iter().peekable();
        for name in names.iter() {
            if self.monitor.wish() == Wish::Stop {
                return Err(IndexError::Interrupted);
            }
            while let Some(row) = rows.next_if(|row| row.name < name.bytes) {
                self.gone(tree, task.id, row)?;
            }
            let known = rows.next_if(|row| row.name == name.bytes).map(|row| row.version);
            self.entry(tree, (task, &dir), name, known, (waiting, totals))?;
        }
        for row in rows {
            self.gone(tree, task.id, row)?;
        }
        self.indexed.entries += names.len() as u64;
        self.progress.add_files(names.len() as u64);
        Ok(())
    }

    fn entry(
        &mut self,
        tree: &Published<'_>,
        (task, dir): (&Task, &DirFd),
        name: Name<'_>,
        known: Option<&Version>,
        (waiting, totals): (&mut Vec<Task>, &mut Totals),
    ) -> Result<(), IndexError> {
        let kind = name.kind.map_or_else(|| dir.stat_entry(name.bytes).map(|stat| stat.kind), Ok);
        if kind == Ok(Kind::Directory) {
            let id = self.identity(tree, task.id, name.bytes, known)?;
            let path = path::join(&task.path, name.bytes);
            waiting.push(Task { path, parent: task.id, id, known: known.cloned().map(Box::new) });
            return Ok(());
        }
        if let Some(same) = known.filter(|known| is_same(known, name, kind)) {
            add(totals, same.kind, same.size);
            return Ok(());
        }
        match kind.and_then(|_| self.read(tree, (&task.path, dir), name)) {
            Ok((version, xattrs)) => {
                add(totals, version.kind, version.size);
                self.replace(tree, task.id, name.bytes, known, NewVersion { version, xattrs })
            }
            Err(STOPPED) => Err(IndexError::Interrupted),
            Err(fault) => {
                self.report(tree, &path::join(&task.path, name.bytes), fault);
                known.map_or(Ok(()), |version| self.gone(tree, task.id, Row { name: name.bytes, version }))
            }
        }
    }

    /// The identity of a sub-directory: a path keeps the one that it had once.
    fn identity(
        &mut self,
        tree: &Published<'_>,
        parent: DirId,
        name: &[u8],
        known: Option<&Version>,
    ) -> Result<DirId, IndexError> {
        if let Some(id) = known.and_then(|known| known.child) {
            return Ok(id);
        }
        if let Some(id) = tree.before.child(parent, name)? {
            return Ok(id);
        }
        self.last_directory += 1;
        let id = DirId(self.last_directory);
        let new_directories = vec![(id, parent, name.into())];
        self.writer.apply(tree.id, &DirectoryChanges { new_directories, ..DirectoryChanges::default() })?;
        Ok(id)
    }

    /// Notes a directory's own version, if the one before is not the same.
    fn own(
        &mut self,
        tree: &Published<'_>,
        task: &Task,
        (stat, xattrs): (Stat, Xattrs),
    ) -> Result<(), IndexError> {
        let known = task.known.as_deref();
        if let Some(known) = known.filter(|known| known.child.is_some()) {
            let attributes = |version: &Version| (version.mode, version.uid, version.gid, version.mtime);
            let before = known.xattrs.map(|id| tree.before.xattrs(id)).transpose()?.unwrap_or_default();
            if attributes(known) == (stat.mode, stat.uid, stat.gid, stat.mtime) && before == xattrs {
                return Ok(());
            }
        }
        let seen = Seen { links: 1, ..unknown(&stat) };
        let version = Version { child: Some(task.id), stored_inode: 0, size: 0, seen, ..version(&stat) };
        let name = path::split(&task.path).1;
        self.replace(tree, task.parent, name, known, NewVersion { version, xattrs })
    }

    /// Looks into an inode.
    fn read(
        &mut self,
        tree: &Published<'_>,
        (path, dir): (&[u8], &DirFd),
        name: Name<'_>,
    ) -> Result<(Version, Xattrs), Fault> {
        self.indexed.inodes += 1;
        let stat = dir.stat_entry(name.bytes)?;
        let xattrs = Xattrs::read_entry(dir, name.bytes)?;
        let mut version = version(&stat);
        match stat.kind {
            Kind::File => {
                let stored = self.content(tree, (path, dir), name.bytes, &stat)?;
                version = Version {
                    hash: stored.hash,
                    unwitnessed: stored.hash.is_some(),
                    holes: stored.holes,
                    ..version
                };
            }
            Kind::Symlink => version.target = Some(dir.read_link(name.bytes)?.into_boxed_slice()),
            _ => {}
        }
        Ok((version, xattrs))
    }

    /// The hash and the holes of a file. What cannot be read is reported, and has no hash.
    fn content(
        &mut self,
        tree: &Published<'_>,
        (path, dir): (&[u8], &DirFd),
        name: &[u8],
        stat: &Stat,
    ) -> Result<StoredContent, Fault> {
        // If the catalog cannot be asked, it cannot be written either, and that is told.
        let known = if stat.links > 1 { self.writer.stored_content(stat.inode).ok().flatten() } else { None };
        if let Some(known) = known {
            return Ok(known);
        }
        let (progress, monitor) = (&self.progress, self.monitor);
        let watch = &mut |count| {
            progress.add_bytes(count);
            monitor.progress(progress);
            if monitor.wish() == Wish::Stop { Err(STOPPED) } else { Ok(()) }
        };
        let file = dir.open_file(name);
        match file.and_then(|file| content::hash(&file, Shape::from(stat), &mut self.buffer, watch)) {
            Ok(read) => {
                self.indexed.bytes += read.data_bytes;
                let holes = stat.size.saturating_sub(read.data_bytes);
                Ok(StoredContent { hash: Some(read.hash), holes })
            }
            Err(STOPPED) => Err(STOPPED),
            Err(fault) => {
                self.report(tree, &path::join(path, name), fault);
                Ok(StoredContent { hash: None, holes: 0 })
            }
        }
    }

    fn replace(
        &mut self,
        tree: &Published<'_>,
        directory: DirId,
        name: &[u8],
        known: Option<&Version>,
        new: NewVersion,
    ) -> Result<(), IndexError> {
        if let (Some(child), None) = (known.and_then(|known| known.child), new.version.child) {
            self.forget_below(tree, child)?;
        }
        let new = Box::new(new);
        let change = if known.is_some() { Change::Replace(new) } else { Change::Add(new) };
        self.write(tree, directory, name, change)
    }

    /// A directory that cannot be read is in the new catalog with nothing below it, or not at all.
    fn lose(&mut self, tree: &Published<'_>, task: &Task) -> Result<(), IndexError> {
        match &task.known {
            Some(version) => self.gone(tree, task.parent, Row { name: path::split(&task.path).1, version }),
            None => Ok(()),
        }
    }

    fn gone(&mut self, tree: &Published<'_>, directory: DirId, row: Row<'_>) -> Result<(), IndexError> {
        if let Some(child) = row.version.child {
            self.forget_below(tree, child)?;
        }
        self.write(tree, directory, row.name, Change::Gone)
    }

    fn forget_below(&mut self, tree: &Published<'_>, directory: DirId) -> Result<(), IndexError> {
        let mut waiting = vec![directory];
        while let Some(directory) = waiting.pop() {
            for row in tree.before.current(directory)?.iter() {
                waiting.extend(row.version.child);
                self.write(tree, directory, row.name, Change::Gone)?;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        tree: &Published<'_>,
        directory: DirId,
        name: &[u8],
        change: Change,
    ) -> Result<(), IndexError> {
        let changes = vec![(directory, name.into(), change)];
        Ok(self.writer.apply(tree.id, &DirectoryChanges { changes, ..DirectoryChanges::default() })?)
    }

    fn report(&self, tree: &Published<'_>, path: &[u8], fault: Fault) {
        let path = path::absolute(&path::join(tree.name.as_bytes(), path));
        let problem = Problem { kind: ProblemKind::Unreadable, path, message: fault.to_string() };
        self.problems.add(self.monitor, problem);
    }
}

fn is_same(known: &Version, name: Name<'_>, kind: Result<Kind, Fault>) -> bool {
    known.child.is_none() && known.stored_inode == name.inode && kind == Ok(known.kind)
}

fn add(totals: &mut Totals, kind: Kind, size: u64) {
    match kind {
        Kind::File => {
            totals.files += 1;
            totals.source_bytes += size;
        }
        Kind::Symlink => totals.symlinks += 1,
        _ => totals.specials += 1,
    }
}

/// Nothing is known of the source: whatever it looks like, it is read.
fn unknown(stat: &Stat) -> Seen {
    Seen { inode: 0, ctime: Timestamp::default(), links: stat.links, racy: true, changed_while_read: false }
}

fn version(stat: &Stat) -> Version {
    let Stat { kind, mode, uid, gid, size, mtime, rdev, inode, .. } = *stat;
    let sized = matches!(kind, Kind::File | Kind::Symlink);
    Version {
        // The writer fills this in.
        first: SnapshotId(0),
        last: None,
        kind,
        mode,
        uid,
        gid,
        size: if sized { size } else { 0 },
        holes: 0,
        mtime,
        rdev,
        stored_inode: inode,
        hash: None,
        target: None,
        xattrs: None,
        child: None,
        partial: false,
        unwitnessed: false,
        shared: false,
        // What was left out of a directory nobody knows any more.
        holding: if kind == Kind::Directory { Holding::Partly } else { Holding::Whole },
        seen: unknown(stat),
    }
}

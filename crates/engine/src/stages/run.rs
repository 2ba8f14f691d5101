//! What all stages of one run share, and what each worker has for itself.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crossbeam_channel::Sender;
use linksnap_catalog::{
    CatalogError, Change, DirId, DirectoryChanges, Holding, Reader, Seen, SnapshotId, Version,
};
use linksnap_inode::content::Buffer;
use linksnap_inode::path;
use linksnap_inode::{ContentHash, DirFd, Errno, Fault, FsError, Kind, Stat, Timestamp, Xattrs, limits};

use crate::monitor::{Monitor, Progress, Wish};
use crate::report::{Problem, ProblemKind, Problems};
use crate::stages::apply;
use crate::stages::checkpoint::Checkpoints;
use crate::stages::claims::Claims;
use crate::stages::groups::Groups;
use crate::stages::guard::Tally;
use crate::stages::remove::{self, Hurry};
use crate::stages::scan::Scope;
use crate::stages::store::{Lacks, Stored};
use crate::stages::validate::Depth;

/// Changes are handed to the writer at the latest when there are so many.
const MOST_CHANGES: usize = 1000;

/// What is said of a file whose time the filesystem does not know.
pub const TIME_NOT_KEPT: &str =
    "its modification time lies outside of what the filesystem can keep; the rest of it is stored";

/// A run at work.
pub struct Run<'a> {
    /// What counts.
    pub scope: Scope<'a>,
    /// Who watches.
    pub monitor: &'a dyn Monitor,
    /// What is said of single paths.
    pub problems: &'a Problems,
    /// Counters for the watcher.
    pub progress: &'a Progress,
    /// The root of the tree being built.
    pub staging: DirFd,
    /// Where staging is, for people.
    pub staging_path: PathBuf,
    /// Where removed trees go.
    pub trash: DirFd,
    /// Held by whoever empties the trash.
    pub emptying: Mutex<()>,
    /// Names that have gone from the trash in this run.
    pub emptied: AtomicU64,
    /// The newest published snapshot.
    pub basis: Option<DirFd>,
    /// Are there rows of an unfinished snapshot?
    pub resumes: bool,
    /// The snapshot being built.
    pub building: SnapshotId,
    /// Times from here on are too young to prove that nothing changes unseen.
    pub racy_from: Timestamp,
    /// What was said already of what only root can do.
    pub told: Told,
    /// Of how many directories one has all its held entries looked at.
    pub one_in: u32,
    /// Hard links inside the source.
    pub groups: Groups,
    /// Names of the published snapshots.
    pub snapshots: Vec<(SnapshotId, String)>,
    /// The last identity given to a directory.
    pub last_directory: AtomicI64,
    /// Stored inodes that were given to other inodes of the source, or to other paths.
    pub claims: Claims,
    /// What was counted.
    pub counts: Mutex<Counts>,
    /// Can files share blocks here? So it is taken to be until the filesystem says no.
    pub clones: AtomicBool,
    /// What became of each source's entries, in the order of the sources.
    pub tallies: Mutex<Vec<Tally>>,
    /// When they are due.
    pub checkpoints: Checkpoints,
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("building", &self.building).finish_non_exhaustive()
    }
}

/// What only root can do is said once, for it is true of all that follows.
#[derive(Debug, Default)]
pub struct Told {
    owners: AtomicBool,
    devices: AtomicBool,
    xattrs: AtomicBool,
}

/// What a worker has for itself.
#[derive(Debug)]
pub struct Hands {
    /// Its connection to the catalog.
    pub reader: Reader,
    /// For reading files.
    pub buffer: Buffer,
    /// Counted since the last directory.
    pub counts: Counts,
    /// For the writer of the catalog.
    pub outbox: Outbox,
    /// The directory whose fingerprint is not true any more, for a version in it was changed.
    spoilt: Option<DirId>,
}

/// To the one writer of the catalog.
#[derive(Debug)]
pub enum Message {
    /// To be written.
    Changes(DirectoryChanges),
    /// Sync and commit.
    Checkpoint,
}

/// What a run counts. `added`, `changed`, `unchanged`, `reused` and `removed` are of entries other than
/// directories, whose times change with every name in them: the first four are all there are in the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Names of regular files in the snapshot.
    pub files: u64,
    /// Directories in the snapshot.
    pub directories: u64,
    /// Names of symbolic links.
    pub symlinks: u64,
    /// Names of fifos, sockets and devices.
    pub specials: u64,
    /// Entries that the basis did not have.
    pub added: u64,
    /// Entries that the basis had otherwise.
    pub changed: u64,
    /// Of these, entries that have not changed in the source, but have another inode: as many names as an inode can have,
    /// or damage.
    pub replaced: u64,
    /// Entries that the basis has just so.
    pub unchanged: u64,
    /// Entries that looked different and were found to be what the basis has, under their own path or another.
    pub reused: u64,
    /// Of these, files that the basis has under another path.
    pub moved: u64,
    /// Of these, those that it has under another path in the same source.
    pub moved_within: u64,
    /// Entries of the basis under whose names moved files are now.
    pub overwritten: u64,
    /// Entries that only the basis has.
    pub removed: u64,
    /// Entries that the scaffold had already.
    pub kept_entries: u64,
    /// Directories that their fingerprint told to be unchanged: no version in them was looked at.
    pub kept_directories: u64,
    /// Hard links made.
    pub linked_entries: u64,
    /// Files copied, in whole or in part.
    pub copied_files: u64,
    /// Bytes of content copied, holes and what was cloned not counted.
    pub copied_bytes: u64,
    /// Files that share blocks with their version before.
    pub cloned_files: u64,
    /// Bytes of content that they share with it, which were not copied.
    pub cloned_bytes: u64,
    /// Files of which nothing but attributes changed, so that a new inode holds the same bytes.
    pub attribute_changes: u64,
    /// Bytes of `copied_bytes` that were copied for their sake.
    pub attribute_bytes: u64,
    /// Inodes made, those of directories left out.
    pub made_inodes: u64,
    /// Sum of the sizes of all files.
    pub source_bytes: u64,
    /// Entries left out by rules.
    pub excluded: u64,
}

impl Counts {
    /// Counts an entry of the snapshot by its kind.
    pub fn add_entry(&mut self, stat: &Stat) {
        match stat.kind {
            Kind::File => {
                self.files += 1;
                // Two sparse files can have more bytes than a number.
                self.source_bytes = self.source_bytes.saturating_add(stat.size);
            }
            Kind::Directory => self.directories += 1,
            Kind::Symlink => self.symlinks += 1,
            _ => self.specials += 1,
        }
    }

    /// Counts a file that was stored; `same_bytes`: the version before has these very bytes.
    pub fn add_stored(&mut self, stored: &Stored, same_bytes: bool) {
        self.copied_files += u64::from(!stored.cloned || stored.copied_bytes > 0);
        self.copied_bytes += stored.copied_bytes;
        self.cloned_files += u64::from(stored.cloned);
        self.cloned_bytes += stored.data_bytes.saturating_sub(stored.copied_bytes);
        if same_bytes {
            self.attribute_changes += 1;
            self.attribute_bytes += stored.copied_bytes;
        }
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        let Self {
            files,
            directories,
            symlinks,
            specials,
            added,
            changed,
            replaced,
            unchanged,
            reused,
            moved,
            moved_within,
            overwritten,
            removed,
            kept_entries,
            kept_directories,
            linked_entries,
            copied_files,
            copied_bytes,
            cloned_files,
            cloned_bytes,
            attribute_changes,
            attribute_bytes,
            made_inodes,
            source_bytes,
            excluded,
        } = other;
        self.files += files;
        self.directories += directories;
        self.symlinks += symlinks;
        self.specials += specials;
        self.added += added;
        self.changed += changed;
        self.replaced += replaced;
        self.unchanged += unchanged;
        self.reused += reused;
        self.moved += moved;
        self.moved_within += moved_within;
        self.overwritten += overwritten;
        self.removed += removed;
        self.kept_entries += kept_entries;
        self.kept_directories += kept_directories;
        self.linked_entries += linked_entries;
        self.copied_files += copied_files;
        self.copied_bytes += copied_bytes;
        self.cloned_files += cloned_files;
        self.cloned_bytes += cloned_bytes;
        self.attribute_changes += attribute_changes;
        self.attribute_bytes += attribute_bytes;
        self.made_inodes += made_inodes;
        self.source_bytes = self.source_bytes.saturating_add(*source_bytes);
        self.excluded += excluded;
    }
}

/// Why a run ends without a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The watcher wanted it.
    #[error("interrupted")]
    Interrupted,
    /// The repository's filesystem failed.
    #[error(transparent)]
    Staging(#[from] FsError),
    /// Not even the directory from which all sources are reached could be read.
    #[error("no source can be reached")]
    Root(#[source] FsError),
    /// What was built is not what it should be.
    #[error("validation failed in {}: {what}", String::from_utf8_lossy(path))]
    Invalid {
        /// The directory, absolute.
        path: Vec<u8>,
        /// What is wrong.
        what: String,
    },
    /// The catalog failed.
    #[error("the catalog cannot be used")]
    Catalog(#[from] CatalogError),
    /// The writer ended; it knows why.
    #[error("the catalog's writer ended")]
    WriterGone,
}

impl Run<'_> {
    /// Adds a problem or warning.
    pub fn problem(&self, problem: Problem) {
        self.problems.add(self.monitor, problem);
    }

    /// Says what the inode of a path lacks; what only root could have set is said once.
    pub fn report_lacks(&self, path: &[u8], lacks: Lacks) {
        match lacks.xattr {
            Some(fault) if fault.is(Errno::PERM) && !limits::is_root() => {
                let message = "only root can set some extended attributes, such as capabilities: they are recorded \
                               in the catalog alone, here and for all that follow";
                self.notice_once(&self.told.xattrs, path, message);
            }
            Some(fault) => {
                let message = format!("{fault}; the rest of it is stored");
                let path = path::absolute(path);
                self.problem(Problem { kind: ProblemKind::NotKept, path, message });
            }
            None => {}
        }
        if lacks.time {
            let message = TIME_NOT_KEPT.to_owned();
            self.problem(Problem { kind: ProblemKind::NotKept, path: path::absolute(path), message });
        }
        if lacks.owner {
            let message = "only root can give files to other owners: theirs are recorded in the catalog alone, \
                           here and for all that follow";
            self.notice_once(&self.told.owners, path, message);
        }
    }

    /// Says that an empty file stands in place of a device.
    pub fn report_stand_in(&self, path: &[u8]) {
        let message = "only root can make devices: an empty file stands in its place, and what it is is recorded in \
                       the catalog alone, here and for all that follow";
        self.notice_once(&self.told.devices, path, message);
    }

    fn notice_once(&self, told: &AtomicBool, path: &[u8], message: &str) {
        if !told.swap(true, Ordering::Relaxed) {
            let (path, message) = (path::absolute(path), message.to_owned());
            self.problem(Problem { kind: ProblemKind::Notice, path, message });
        }
    }

    /// Counts bytes read; says whether to stop.
    pub fn has_read(&self, bytes: u64) -> bool {
        self.progress.add_bytes(bytes);
        self.monitor.progress(self.progress);
        self.wants_to_stop()
    }

    /// Counts bytes copied in the middle of a file; says whether to stop. A checkpoint that is due vouches for nothing of
    /// the file, but has what was copied of it written.
    pub fn is_copying(&self, bytes: u64, outbox: &mut Outbox) -> bool {
        self.checkpoints.add(bytes);
        self.has_read(bytes) || self.call_if_due(outbox).is_err()
    }

    /// Calls for a checkpoint if one is due, as soon as the last one is made.
    fn call_if_due(&self, outbox: &mut Outbox) -> Result<(), RunError> {
        let volume = self.monitor.checkpoint_bytes();
        if !self.checkpoints.is_due(volume) {
            return Ok(());
        }
        outbox.hand_over()?;
        if !self.checkpoints.claim(volume) {
            return Ok(());
        }
        let called = outbox.send(Message::Checkpoint);
        if called.is_err() {
            self.checkpoints.made();
        }
        called
    }

    fn wants_to_stop(&self) -> bool {
        match self.monitor.wish() {
            Wish::GoOn => false,
            Wish::Checkpoint => {
                self.checkpoints.want();
                false
            }
            Wish::Stop => true,
        }
    }

    /// Between two entries: ends if the watcher wants it, hands on changes, starts a due checkpoint.
    pub fn pause(&self, hands: &mut Hands) -> Result<(), RunError> {
        if self.wants_to_stop() {
            return Err(RunError::Interrupted);
        }
        self.call_if_due(&mut hands.outbox)?;
        if hands.outbox.changes.changes.len() >= MOST_CHANGES { hands.hand_over() } else { Ok(()) }
    }

    /// Empties the trash, unless somebody is at it: what is gone makes room for what is new. What cannot be removed
    /// is told when the run is done.
    pub fn empty_trash(&self) -> Result<(), RunError> {
        self.empty_trash_until(&AtomicBool::new(false))
    }

    /// The same until all is gone or the run has `ended`.
    pub fn empty_trash_until(&self, ended: &AtomicBool) -> Result<(), RunError> {
        let Ok(_alone) = self.emptying.try_lock() else { return Ok(()) };
        let stop = |_| ended.load(Ordering::Relaxed) || self.wants_to_stop();
        match remove::empty(&self.trash, Hurry::Now, &stop) {
            Ok(emptied) => {
                self.emptied.fetch_add(emptied.names, Ordering::Relaxed);
                Ok(())
            }
            Err(fault) => Err(fault.at(self.staging_path.with_file_name("trash")).into()),
        }
    }

    /// After `fault` of something begun when `emptied` names had gone from the trash: if the disk is full and there is, or
    /// was, trash, sees to it that it is gone, and says that it is worth trying again.
    pub fn makes_room(&self, fault: Fault, emptied: u64) -> Result<bool, RunError> {
        if !matches!(fault.errno, Errno::NOSPC | Errno::DQUOT) {
            return Ok(false);
        }
        let _alone = self.emptying.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = remove::empty(&self.trash, Hurry::Now, &|_| self.wants_to_stop());
        let gone = gone.map_err(|fault| fault.at(self.staging_path.with_file_name("trash")))?;
        // Or whoever was at it has come to its end since.
        Ok(self.emptied.fetch_add(gone.names, Ordering::Relaxed) + gone.names > emptied)
    }

    /// A fault of the repository's filesystem, at `path` in staging.
    #[must_use]
    pub fn staging_fault(&self, path: &[u8], fault: Fault) -> RunError {
        RunError::Staging(fault.at(path::under(&self.staging_path, path)))
    }

    /// How much of a directory's held entries to validate.
    #[must_use]
    pub fn depth_for(&self, id: DirId) -> Depth {
        apply::share(id, self.building.0, self.one_in)
    }

    /// A snapshot's name, for people.
    #[must_use]
    pub fn snapshot_name(&self, id: SnapshotId) -> &str {
        let found = self.snapshots.iter().find(|(known, _)| *known >= id);
        found.map_or("an unknown one", |(_, name)| name)
    }

    /// What was observed of a source inode.
    #[must_use]
    pub fn seen(&self, stat: &Stat, changed_while_read: bool) -> Seen {
        let racy = stat.mtime >= self.racy_from || stat.ctime >= self.racy_from;
        let Stat { inode, ctime, links, .. } = *stat;
        Seen { inode, ctime, links, racy, changed_while_read }
    }

    /// A version with the attributes of a source inode.
    #[must_use]
    pub fn version(&self, stat: &Stat, seen: Seen) -> Version {
        let sized = matches!(stat.kind, Kind::File | Kind::Symlink);
        Version {
            first: self.building,
            last: None,
            kind: stat.kind,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            size: if sized { stat.size } else { 0 },
            holes: 0,
            mtime: stat.mtime,
            rdev: stat.rdev,
            stored_inode: 0,
            hash: None,
            target: None,
            xattrs: None,
            child: None,
            partial: false,
            unwitnessed: false,
            shared: false,
            holding: Holding::Whole,
            seen,
        }
    }

    /// The extended attributes of a known version.
    pub fn xattrs_of(&self, version: &Version, hands: &Hands) -> Result<Xattrs, RunError> {
        match version.xattrs {
            Some(id) => Ok(hands.reader.xattrs(id)?),
            None => Ok(Xattrs::default()),
        }
    }

    /// Ends the versions of all that is below a directory that is gone.
    pub fn forget_below(&self, directory: DirId, hands: &mut Hands) -> Result<(), RunError> {
        let mut directories = vec![directory];
        let mut next = 0;
        while let Some(directory) = directories.get(next) {
            let rows = hands.reader.current_below(*directory)?;
            directories.extend(rows.iter().filter_map(|row| row.version.child));
            next += 1;
        }
        // The deepest first: wherever this is stopped, what is left is found again from above.
        for directory in directories.into_iter().rev() {
            // It may come back, and then it starts anew.
            hands.spoil_fingerprint(directory);
            for row in hands.reader.current(directory)?.iter() {
                hands.change(directory, row.name, Change::Gone);
                let is_leaf = row.version.child.is_none();
                hands.counts.removed += u64::from(is_leaf && row.version.first < self.building);
            }
            self.pause(hands)?;
        }
        Ok(())
    }

    /// An identity for a directory that never was.
    pub fn new_directory(&self) -> DirId {
        DirId(self.last_directory.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Hands {
    /// A worker's own things: a reader of the catalog and a line to its writer.
    pub fn new(catalog: &Path, writer: Sender<Message>) -> Result<Self, RunError> {
        Ok(Self {
            reader: Reader::open(catalog)?,
            buffer: Buffer::default(),
            counts: Counts::default(),
            outbox: Outbox { changes: DirectoryChanges::default(), writer },
            spoilt: None,
        })
    }

    /// Notes a change of one name; of a sub-directory what it is in, not its own attributes. Until all of the
    /// directory is done it has no fingerprint: what was noted so far may be all that is ever committed.
    pub fn change(&mut self, directory: DirId, name: &[u8], change: Change) {
        if self.spoilt != Some(directory) {
            self.spoil_fingerprint(directory);
        }
        self.outbox.changes.changes.push((directory, name.into(), change));
    }

    /// Notes a change of a directory's own version, which its own fingerprint covers.
    pub fn change_directory(&mut self, parent: DirId, name: &[u8], change: Change) {
        self.outbox.changes.changes.push((parent, name.into(), change));
    }

    /// Notes that the inode of a version has another name now. No fingerprint speaks of that.
    pub fn share(&mut self, directory: DirId, name: &[u8], first: SnapshotId) {
        self.outbox.changes.changes.push((directory, name.into(), Change::Shared(first)));
    }

    /// Notes a directory that never was before.
    pub fn add_directory(&mut self, id: DirId, parent: DirId, name: &[u8]) {
        self.outbox.changes.new_directories.push((id, parent, name.into()));
    }

    /// Notes the fingerprint of a directory, or that it has none, unless the catalog says so already.
    pub fn fingerprint(&mut self, directory: DirId, hash: Option<ContentHash>) -> Result<(), RunError> {
        let was_spoilt = self.spoilt.take_if(|spoilt| *spoilt == directory).is_some();
        if was_spoilt || self.reader.fingerprint(directory)? != hash {
            self.outbox.changes.fingerprints.push((directory, hash));
        }
        Ok(())
    }

    /// Notes that a directory has no fingerprint, whatever this run said of it before.
    pub fn spoil_fingerprint(&mut self, directory: DirId) {
        self.spoilt = Some(directory);
        self.outbox.changes.fingerprints.push((directory, None));
    }

    /// Hands what was noted to the writer.
    pub fn hand_over(&mut self) -> Result<(), RunError> {
        self.outbox.hand_over()
    }

    /// Adds what was counted in the directory `path` to the run's counts.
    pub fn count_into(&mut self, run: &Run<'_>, path: &[u8]) {
        if let Some(source) = run.scope.sources.holding(path) {
            let mut tallies = run.tallies.lock().unwrap_or_else(PoisonError::into_inner);
            tallies[source].add(&self.counts);
        }
        run.counts.lock().unwrap_or_else(PoisonError::into_inner).add(&self.counts);
        run.progress.add_files(self.counts.files + self.counts.symlinks + self.counts.specials);
        self.counts = Counts::default();
    }
}

/// What is on its way to the writer.
#[derive(Debug)]
pub struct Outbox {
    changes: DirectoryChanges,
    writer: Sender<Message>,
}

impl Outbox {
    fn hand_over(&mut self) -> Result<(), RunError> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let changes = std::mem::take(&mut self.changes);
        self.send(Message::Changes(changes))
    }

    fn send(&self, message: Message) -> Result<(), RunError> {
        self.writer.send(message).map_err(|_| RunError::WriterGone)
    }
}

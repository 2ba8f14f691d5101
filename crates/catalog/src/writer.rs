//! The one connection that writes: a run's changes, and the states of snapshots.

use std::collections::HashMap;
use std::path::Path;

use linksnap_inode::{ContentHash, Kind, Xattrs};
use rusqlite::{Connection, OptionalExtension};

use crate::error::{CatalogError, Doing};
use crate::reader::{home, xattrs_hash};
use crate::rows::{CHANGED_WHILE_READ, ON_THE_WAY, PARTIAL, RACY, SHARED, STAND_IN, UNWITNESSED, WHOLE};
use crate::schema::{self, CURRENT};
use crate::snapshots::{self, PathProblem, Snapshot, SnapshotId, State, Totals};
use crate::version::{DirId, Holding, Seen, Version, kind_letter};

/// Sets of extended attributes whose ids are remembered: labels and ACLs repeat.
const REMEMBERED_XATTRS: usize = 1024;

/// What is written about one directory.
#[derive(Debug, Default)]
pub struct DirectoryChanges {
    /// Directories seen for the first time: identity, parent, name.
    pub new_directories: Vec<(DirId, DirId, Box<[u8]>)>,
    /// The directory whose entries changed, and how.
    pub changes: Vec<(DirId, Box<[u8]>, Change)>,
    /// Fingerprints that differ from those that are stored; `None`: there is none any more. Whoever changes a
    /// directory's versions says what has become of its fingerprint.
    pub fingerprints: Vec<(DirId, Option<ContentHash>)>,
}

impl DirectoryChanges {
    /// Is there nothing to be written?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.new_directories.is_empty() && self.changes.is_empty() && self.fingerprints.is_empty()
    }
}

/// What happened to one name.
#[derive(Debug)]
pub enum Change {
    /// It has a version from this snapshot on, and had none before.
    Add(Box<NewVersion>),
    /// It has a new version from this snapshot on, in place of the one before.
    Replace(Box<NewVersion>),
    /// It is gone from this snapshot on.
    Gone,
    /// What the basis has is still right, though a checkpoint of this run said otherwise.
    Restored,
    /// Nothing changed, but the source was observed anew, and has the bytes that are stored.
    Seen(Seen),
    /// The inode of its version that began with this snapshot stands under another name as well from now on, or did. As
    /// long as the snapshot being built is not published, that may be taken back; then it says more than is so, which
    /// does no harm.
    Shared(SnapshotId),
}

/// A version to be written; its `first`, `last` and `xattrs` of the version are filled in by the writer.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The version.
    pub version: Version,
    /// Its extended attributes.
    pub xattrs: Xattrs,
}

/// The writing connection. What it writes is seen by others after [`commit`](Self::commit).
#[derive(Debug)]
pub struct Writer {
    pub(crate) connection: Connection,
    pub(crate) xattrs: HashMap<ContentHash, i64>,
    rows_written: u64,
}

impl Writer {
    /// Opens the catalog at `path`; it is made if missing.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let connection = schema::open_for_writing(path)?;
        Ok(Self { connection, xattrs: HashMap::new(), rows_written: 0 })
    }

    /// All snapshots, unfinished ones too, in the order in which they were made.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, CatalogError> {
        snapshots::all(&self.connection)
    }

    /// Closes without folding the log into the file, which takes two syncs; whoever closes the catalog next does it
    /// (`SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE`). What was not committed is rolled back.
    pub fn close_quickly(self) {
        // In vain, it only takes longer.
        let config = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        let _in_vain = self.connection.set_db_config(config, true);
    }

    /// Version rows inserted, ended, removed or reopened by this writer; observations not counted.
    #[must_use]
    pub fn rows_written(&self) -> u64 {
        self.rows_written
    }

    /// Begins a transaction, and in it the snapshot to be built, or goes on with the unfinished one.
    pub fn begin_snapshot(&mut self, time: i64) -> Result<SnapshotId, CatalogError> {
        self.begin()?;
        let unfinished = self.snapshots()?.into_iter().find(|one| one.state == State::Building);
        if let Some(snapshot) = unfinished {
            self.execute("UPDATE snapshot SET time = ?1 WHERE id = ?2", (time, snapshot.id.0))?;
            return Ok(snapshot.id);
        }
        self.execute("INSERT INTO snapshot (state, time) VALUES ('building', ?1)", [time])?;
        Ok(SnapshotId(self.connection.last_insert_rowid()))
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<(), CatalogError> {
        self.connection.execute_batch("BEGIN IMMEDIATE").doing("begin writing")
    }

    /// Commits what was written so far and begins the next transaction.
    ///
    /// The caller has synced the filesystem since the bytes that the rows speak of were written.
    pub fn commit(&mut self) -> Result<(), CatalogError> {
        self.end()?;
        self.begin()
    }

    /// Commits the transaction.
    pub fn end(&self) -> Result<(), CatalogError> {
        self.connection.execute_batch("COMMIT").doing("commit")
    }

    /// Takes back what was written since the last commit.
    pub fn roll_back(&mut self) -> Result<(), CatalogError> {
        self.xattrs.clear();
        self.connection.execute_batch("ROLLBACK").doing("roll back")
    }

    /// Writes the changes of the snapshot `building`.
    pub fn apply(&mut self, building: SnapshotId, changes: &DirectoryChanges) -> Result<(), CatalogError> {
        for (id, parent, name) in &changes.new_directories {
            self.execute(
                "INSERT OR IGNORE INTO directory (id, parent, name) VALUES (?1, ?2, ?3)",
                (id.0, parent.0, name.as_ref()),
            )?;
        }
        for (directory, name, change) in &changes.changes {
            match change {
                Change::Add(new) => self.insert(building, *directory, name, new)?,
                Change::Replace(new) => {
                    self.end_version(building, *directory, name)?;
                    self.insert(building, *directory, name, new)?;
                }
                Change::Gone => self.end_version(building, *directory, name)?,
                Change::Restored => self.restore(building, *directory, name)?,
                Change::Seen(seen) => self.renew(*directory, name, *seen)?,
                Change::Shared(first) => self.share(building, (*directory, name), *first)?,
            }
        }
        for (directory, fingerprint) in &changes.fingerprints {
            match fingerprint {
                Some(hash) => self.execute(
                    "INSERT OR REPLACE INTO fingerprint (directory, hash) VALUES (?1, ?2)",
                    (directory.0, hash.as_bytes()),
                )?,
                None => self.execute("DELETE FROM fingerprint WHERE directory = ?1", [directory.0])?,
            };
        }
        Ok(())
    }

    /// Ends the current version of a path with `building`. One that `building` itself began never was.
    fn end_version(
        &mut self,
        building: SnapshotId,
        directory: DirId,
        name: &[u8],
    ) -> Result<(), CatalogError> {
        let removed = self.execute(
            "DELETE FROM version WHERE last = ?1 AND directory = ?2 AND name = ?3 AND first = ?4",
            (CURRENT, directory.0, name, building.0),
        )?;
        let ended = self.execute(
            "UPDATE version SET last = ?4 WHERE last = ?1 AND directory = ?2 AND name = ?3",
            (CURRENT, directory.0, name, building.0),
        )?;
        self.rows_written += (removed + ended) as u64;
        Ok(())
    }

    /// Makes the version that `building` had ended current again.
    fn restore(&mut self, building: SnapshotId, directory: DirId, name: &[u8]) -> Result<(), CatalogError> {
        self.execute(
            "DELETE FROM version WHERE last = ?1 AND directory = ?2 AND name = ?3 AND first = ?4",
            (CURRENT, directory.0, name, building.0),
        )?;
        let reopened = self.execute(
            "UPDATE version SET last = ?1 WHERE last = ?4 AND directory = ?2 AND name = ?3",
            (CURRENT, directory.0, name, building.0),
        )?;
        self.rows_written += reopened as u64;
        Ok(())
    }

    fn insert(
        &mut self,
        building: SnapshotId,
        directory: DirId,
        name: &[u8],
        new: &NewVersion,
    ) -> Result<(), CatalogError> {
        let xattrs = self.intern(&new.xattrs)?;
        let version = &new.version;
        let doing = "write a version";
        let mut statement = self
            .connection
            .prepare_cached(
                "INSERT INTO version (last, directory, name, first, kind, mode, uid, gid, size, mtime, \
                 mtime_ns, rdev, inode, hash, target, xattrs, child, source_inode, source_ctime, \
                 source_ctime_ns, source_links, flags, holes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
                 ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
            )
            .doing(doing)?;
        statement
            .execute(rusqlite::params![
                CURRENT,
                directory.0,
                name,
                building.0,
                kind_letter(version.kind),
                version.mode,
                version.uid,
                version.gid,
                version.size.cast_signed(),
                version.mtime.seconds,
                version.mtime.nanoseconds,
                version.rdev.cast_signed(),
                version.stored_inode.cast_signed(),
                version.hash.as_ref().map(ContentHash::as_bytes),
                version.target,
                xattrs,
                version.child.map(|child| child.0),
                version.seen.inode.cast_signed(),
                version.seen.ctime.seconds,
                version.seen.ctime.nanoseconds,
                version.seen.links,
                flags(version.seen) | lasting_flags(version),
                version.holes.cast_signed(),
            ])
            .doing(doing)?;
        self.rows_written += 1;
        Ok(())
    }

    fn renew(&self, directory: DirId, name: &[u8], seen: Seen) -> Result<(), CatalogError> {
        self.execute(
            "UPDATE version SET source_inode = ?4, source_ctime = ?5, source_ctime_ns = ?6, \
             source_links = max(source_links, ?7), flags = (flags & ~?9) | ?8 \
             WHERE last = ?1 AND directory = ?2 AND name = ?3",
            rusqlite::params![
                CURRENT,
                directory.0,
                name,
                seen.inode.cast_signed(),
                seen.ctime.seconds,
                seen.ctime.nanoseconds,
                seen.links,
                flags(seen),
                RACY | CHANGED_WHILE_READ | UNWITNESSED,
            ],
        )?;
        Ok(())
    }

    /// Marks a version that is current, or that `building` has ended.
    fn share(
        &self,
        building: SnapshotId,
        (directory, name): (DirId, &[u8]),
        first: SnapshotId,
    ) -> Result<(), CatalogError> {
        for last in [CURRENT, building.0] {
            let marked = self.execute(
                "UPDATE version SET flags = flags | ?5 \
                 WHERE last = ?1 AND directory = ?2 AND name = ?3 AND first = ?4",
                (last, directory.0, name, first.0, SHARED),
            )?;
            if marked > 0 {
                break;
            }
        }
        Ok(())
    }

    fn intern(&mut self, xattrs: &Xattrs) -> Result<Option<i64>, CatalogError> {
        if xattrs.is_empty() {
            return Ok(None);
        }
        let encoded = xattrs.encode();
        let hash = xattrs_hash(&encoded);
        if let Some(id) = self.xattrs.get(&hash) {
            return Ok(Some(*id));
        }
        let doing = "write extended attributes";
        let known: Option<i64> = self
            .connection
            .query_row("SELECT id FROM xattrs WHERE hash = ?1", [hash.as_bytes()], |row| row.get(0))
            .optional()
            .doing(doing)?;
        let id = if let Some(id) = known {
            id
        } else {
            self.execute("INSERT INTO xattrs (hash, encoded) VALUES (?1, ?2)", (hash.as_bytes(), &encoded))?;
            self.connection.last_insert_rowid()
        };
        if self.xattrs.len() >= REMEMBERED_XATTRS {
            self.xattrs.clear();
        }
        self.xattrs.insert(hash, id);
        Ok(Some(id))
    }

    /// Marks the snapshot as complete, validated and on disk under the name it is to bear, with the time of
    /// that name in seconds since 1970, and commits.
    ///
    /// The caller has synced the filesystem since the last byte of the snapshot was written.
    pub fn stage(
        &mut self,
        snapshot: SnapshotId,
        (name, time): (&str, i64),
        totals: &Totals,
        problems: &[PathProblem],
    ) -> Result<(), CatalogError> {
        self.execute("DELETE FROM problem WHERE snapshot = ?1", [snapshot.0])?;
        for problem in problems {
            self.execute(
                "INSERT INTO problem (snapshot, path, kind, message) VALUES (?1, ?2, ?3, ?4)",
                (snapshot.0, &problem.path, &problem.kind, &problem.message),
            )?;
        }
        self.execute(
            "UPDATE snapshot SET name = ?2, state = 'staged', files = ?3, directories = ?4, \
             symlinks = ?5, specials = ?6, source_bytes = ?7, added_bytes = ?8, problems = ?9, \
             warnings = ?10, time = ?11, added_inodes = ?12 WHERE id = ?1",
            rusqlite::params![
                snapshot.0,
                name,
                count(totals.files),
                count(totals.directories),
                count(totals.symlinks),
                count(totals.specials),
                count(totals.source_bytes),
                count(totals.added_bytes),
                count(totals.problems),
                count(totals.warnings),
                time,
                count(totals.added_inodes),
            ],
        )?;
        self.end()
    }

    /// The directory that the inode numbers in the catalog belong to, by its own inode number.
    pub fn home(&self) -> Result<Option<u64>, CatalogError> {
        home(&self.connection)
    }

    /// Says which directory the inode numbers belong to.
    pub fn set_home(&mut self, inode: u64) -> Result<(), CatalogError> {
        self.execute("INSERT OR REPLACE INTO home (id, inode) VALUES (1, ?1)", [inode.cast_signed()])?;
        Ok(())
    }

    /// Notes the inodes by which versions are stored after the repository was copied: directory, name and
    /// version of each, and its inode now.
    pub fn rebind(&mut self, inodes: &[(DirId, Box<[u8]>, Version, u64)]) -> Result<(), CatalogError> {
        self.forget_fingerprints()?;
        for (directory, name, version, inode) in inodes {
            let last = version.last.map_or(CURRENT, |last| last.0);
            self.execute(
                "UPDATE version SET inode = ?4 WHERE last = ?1 AND directory = ?2 AND name = ?3",
                (last, directory.0, name.as_ref(), inode.cast_signed()),
            )?;
        }
        Ok(())
    }

    /// Marks a staged snapshot as published and notes what it added, in a transaction of its own.
    pub fn publish(&mut self, snapshot: SnapshotId) -> Result<(), CatalogError> {
        self.begin()?;
        self.execute("UPDATE snapshot SET state = 'published' WHERE id = ?1", [snapshot.0])?;
        self.execute(
            "INSERT INTO growth (time, event, snapshot, files, source_bytes, inodes, bytes) \
             SELECT time, 'snapshot', name, files, source_bytes, added_inodes, added_bytes \
             FROM snapshot WHERE id = ?1",
            [snapshot.0],
        )?;
        self.end()
    }

    /// Labels the snapshot being built; `tags` are separated by commas.
    pub fn tag(&mut self, snapshot: SnapshotId, tags: &str) -> Result<(), CatalogError> {
        self.execute("UPDATE snapshot SET tags = ?2 WHERE id = ?1", (snapshot.0, tags))?;
        Ok(())
    }

    /// Pins a snapshot until a time in seconds since 1970, or for ever; `note` replaces the one before, if given.
    pub fn pin(
        &mut self,
        snapshot: SnapshotId,
        until: Option<i64>,
        note: Option<&str>,
    ) -> Result<(), CatalogError> {
        self.execute(
            "UPDATE snapshot SET pinned = 1, pinned_until = ?2, note = coalesce(?3, note) WHERE id = ?1",
            (snapshot.0, until, note),
        )?;
        Ok(())
    }

    /// Takes a snapshot's pin away; its note stays.
    pub fn unpin(&mut self, snapshot: SnapshotId) -> Result<(), CatalogError> {
        self.execute("UPDATE snapshot SET pinned = 0, pinned_until = NULL WHERE id = ?1", [snapshot.0])?;
        Ok(())
    }

    /// How many entries, directories left out, older snapshots have and `building` has not, or has otherwise.
    pub fn ended_by(&self, building: SnapshotId) -> Result<u64, CatalogError> {
        let doing = "count what is gone";
        let sql = "SELECT count(*) FROM version WHERE last = ?1 AND first < ?1 AND kind <> 'd'";
        let mut statement = self.connection.prepare_cached(sql).doing(doing)?;
        statement.query_one([building.0], |row| row.get(0).map(i64::unsigned_abs)).doing(doing)
    }

    /// Gives a staged snapshot another name and time, in a transaction of its own: the first name was taken.
    pub fn rename(&mut self, snapshot: SnapshotId, (name, time): (&str, i64)) -> Result<(), CatalogError> {
        self.execute("UPDATE snapshot SET name = ?2, time = ?3 WHERE id = ?1", (snapshot.0, name, time))?;
        Ok(())
    }

    /// Forgets a snapshot that is not published and all that it changed, in a transaction of its own.
    ///
    /// What was written since the last commit is taken back.
    pub fn forget_unpublished(&mut self, snapshot: SnapshotId) -> Result<(), CatalogError> {
        if !self.connection.is_autocommit() {
            self.roll_back()?;
        }
        self.begin()?;
        self.forget_fingerprints()?;
        self.note_begun_by(snapshot)?;
        self.execute("DELETE FROM version WHERE first = ?1", [snapshot.0])?;
        self.execute("UPDATE version SET last = ?2 WHERE last = ?1", (snapshot.0, CURRENT))?;
        self.execute("DELETE FROM snapshot WHERE id = ?1 AND state <> 'published'", [snapshot.0])?;
        self.forget_unused()?;
        self.clear_notes()?;
        self.end()
    }

    /// Writes the whole catalog, as it is committed, to another file (SQLite's online backup).
    pub fn copy_to(&self, path: &Path) -> Result<(), CatalogError> {
        self.connection.backup("main", path, None::<fn(rusqlite::backup::Progress)>).doing("copy itself")
    }

    /// What is current changes otherwise than directory by directory.
    pub(crate) fn forget_fingerprints(&self) -> Result<(), CatalogError> {
        self.execute("DELETE FROM fingerprint", ()).map(drop)
    }

    pub(crate) fn execute(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<usize, CatalogError> {
        let doing = "write";
        self.connection.prepare_cached(sql).doing(doing)?.execute(parameters).doing(doing)
    }
}

fn flags(seen: Seen) -> i64 {
    i64::from(seen.racy) * RACY + i64::from(seen.changed_while_read) * CHANGED_WHILE_READ
}

/// Those that say what is stored, and stay for as long as the version does.
fn lasting_flags(version: &Version) -> i64 {
    let holding = match version.holding {
        Holding::Whole if version.kind == Kind::Directory => WHOLE,
        Holding::Whole | Holding::Partly => 0,
        Holding::StandIn => STAND_IN,
        Holding::OnTheWay => ON_THE_WAY,
    };
    let flag = |holds: bool, flag: i64| if holds { flag } else { 0 };
    holding
        | flag(version.partial, PARTIAL)
        | flag(version.unwitnessed, UNWITNESSED)
        | flag(version.shared, SHARED)
}

/// A count as SQLite has numbers: at most 2^63-1.
pub(crate) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

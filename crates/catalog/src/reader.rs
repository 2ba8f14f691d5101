//! Questions to the catalog, each worker on a connection of its own.

use std::path::Path;

use linksnap_inode::path;
use linksnap_inode::{ContentHash, Xattrs};
use rusqlite::{Connection, OptionalExtension};

use crate::error::{CatalogError, Doing};
use crate::names;
use crate::rows::{COLUMNS, DIRECTORY_AFTER_COLUMNS, Rows, integer, nonsense};
use crate::schema::{self, CURRENT, GROUPED};
use crate::snapshots::{self, PathProblem, Snapshot, SnapshotId, State};
use crate::version::{DirId, Version, XattrsId};

/// Of versions that were seen under the same inode number, so many are looked at: on one filesystem there is one, and
/// those whose file is gone or has got another number since.
const MOST_PLACED: u32 = 8;

/// A version, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The directory.
    pub directory: DirId,
    /// Its name there.
    pub name: Box<[u8]>,
    /// The version.
    pub version: Version,
}

/// A connection that only reads, and sees the catalog as it was when it was opened.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

impl Reader {
    /// Opens the catalog at `path` and stands on what it says now.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let connection = schema::open_for_reading(path)?;
        // A lasting transaction spares the locks of one for each question.
        // It begins with the first question (`BEGIN DEFERRED`): this one.
        connection.execute_batch("BEGIN; SELECT count(*) FROM home;").doing("begin reading")?;
        Ok(Self { connection })
    }

    /// All snapshots, unfinished ones too, in the order in which they were made.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, CatalogError> {
        snapshots::all(&self.connection)
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The published snapshots in the order in which they were made.
    pub fn published(&self) -> Result<Vec<Snapshot>, CatalogError> {
        let mut all = self.snapshots()?;
        all.retain(|snapshot| snapshot.state == State::Published);
        Ok(all)
    }

    /// The problems that were kept with a snapshot.
    pub fn problems(&self, snapshot: SnapshotId) -> Result<Vec<PathProblem>, CatalogError> {
        let doing = "list problems";
        let mut statement = self
            .connection
            .prepare_cached("SELECT path, kind, message FROM problem WHERE snapshot = ?1 ORDER BY path")
            .doing(doing)?;
        let problems = statement
            .query_map([snapshot.0], |row| {
                Ok(PathProblem { path: row.get(0)?, kind: row.get(1)?, message: row.get(2)? })
            })
            .doing(doing)?;
        problems.collect::<rusqlite::Result<_>>().doing(doing)
    }

    /// The entries of a directory as the snapshot has them.
    pub fn as_of(&self, directory: DirId, snapshot: SnapshotId) -> Result<Rows, CatalogError> {
        // What is current is one range of the table; only what has ended is in the index.
        let sql = format!(
            "SELECT {COLUMNS} FROM version
             WHERE last = {CURRENT} AND directory = ?1 AND first <= ?2
             UNION ALL
             SELECT {COLUMNS} FROM version INDEXED BY version_ended
             WHERE last < {CURRENT} AND directory = ?1 AND first <= ?2 AND last > ?2"
        );
        let mut rows = self.rows(&sql, [directory.0, snapshot.0])?;
        rows.sort();
        self.of_one_place(directory, rows)
    }

    /// As [`current`](Self::current), for those who go down by it alone, as [`as_of`](Self::as_of) is: every directory is
    /// in one place only, so they come to an end.
    pub fn current_below(&self, directory: DirId) -> Result<Rows, CatalogError> {
        self.of_one_place(directory, self.current(directory)?)
    }

    fn of_one_place(&self, directory: DirId, rows: Rows) -> Result<Rows, CatalogError> {
        for row in rows.iter().filter(|row| row.version.child.is_some()) {
            if row.version.child != self.child(directory, row.name)? {
                return Err(nonsense("a directory that belongs elsewhere"));
            }
        }
        Ok(rows)
    }

    /// The current versions of a directory's entries: one range of the table, whatever the history.
    pub fn current(&self, directory: DirId) -> Result<Rows, CatalogError> {
        let sql =
            format!("SELECT {COLUMNS} FROM version WHERE last = {CURRENT} AND directory = ?1 ORDER BY name");
        self.rows(&sql, [directory.0])
    }

    /// The current versions, and beside them those that the unfinished snapshot `building` has ended:
    /// together what the snapshot before has, and what checkpoints vouch for.
    pub fn current_and_ended_by(&self, directory: DirId, building: SnapshotId) -> Result<Rows, CatalogError> {
        let mut rows = self.current(directory)?;
        let sql = format!("SELECT {COLUMNS} FROM version WHERE last = ?1 AND directory = ?2 ORDER BY name");
        for row in self.rows(&sql, [building.0, directory.0])?.iter() {
            rows.add(row.name, row.version.clone());
        }
        rows.sort();
        Ok(rows)
    }

    /// The current version of one name.
    pub fn current_of(&self, directory: DirId, name: &[u8]) -> Result<Option<Version>, CatalogError> {
        let sql =
            format!("SELECT {COLUMNS} FROM version WHERE last = {CURRENT} AND directory = ?1 AND name = ?2");
        let rows = self.rows(&sql, (directory.0, name))?;
        Ok(rows.iter().next().map(|row| row.version.clone()))
    }

    /// Some of the current versions of files that were last seen under this inode number of a source, of whatever
    /// filesystem.
    pub fn seen_as(&self, source_inode: u64) -> Result<Vec<Placed>, CatalogError> {
        let doing = "look for a source inode";
        let sql = format!(
            "SELECT {COLUMNS}, directory FROM version INDEXED BY version_source \
             WHERE last = {CURRENT} AND kind = 'f' AND source_inode = ?1 LIMIT {MOST_PLACED}"
        );
        let mut statement = self.connection.prepare_cached(&sql).doing(doing)?;
        let mut found = statement.query([source_inode.cast_signed()]).doing(doing)?;
        let mut all = Vec::new();
        while let Some(row) = found.next().doing(doing)? {
            let mut rows = Rows::default();
            rows.push(row)?;
            let directory = DirId(integer(row, DIRECTORY_AFTER_COLUMNS)?);
            all.extend(rows.iter().map(|row| Placed {
                directory,
                name: row.name.into(),
                version: row.version.clone(),
            }));
        }
        Ok(all)
    }

    /// Have several current versions this inode of the repository, though their files had one name each when they were seen?
    pub fn is_twice(&self, stored_inode: u64) -> Result<bool, CatalogError> {
        let sql = format!(
            "SELECT count(*) > 1 FROM version INDEXED BY version_grouped \
             WHERE {GROUPED} AND inode = ?1 AND last = {CURRENT}"
        );
        let doing = "look for a stored inode";
        let mut statement = self.connection.prepare_cached(&sql).doing(doing)?;
        statement.query_one([stored_inode.cast_signed()], |row| row.get(0)).doing(doing)
    }

    /// The path of a directory, relative to the root of all trees, and its own current version, if it has one.
    pub fn directory(&self, id: DirId) -> Result<(Vec<u8>, Option<Version>), CatalogError> {
        let doing = "find a directory";
        let path = names::path_of(&self.connection, id)?;
        let mut statement =
            self.connection.prepare_cached("SELECT parent FROM directory WHERE id = ?1").doing(doing)?;
        let parent = statement.query_row([id.0], |row| row.get(0)).optional().doing(doing)?;
        let own = match parent {
            Some(parent) => self.current_of(DirId(parent), path::split(&path).1)?,
            None => None,
        };
        Ok((path, own.filter(|own| own.child == Some(id))))
    }

    /// The fingerprint of a directory's current versions, if it has one.
    pub fn fingerprint(&self, directory: DirId) -> Result<Option<ContentHash>, CatalogError> {
        let doing = "read a fingerprint";
        let mut statement = self
            .connection
            .prepare_cached("SELECT hash FROM fingerprint WHERE directory = ?1")
            .doing(doing)?;
        let hash = statement.query_row([directory.0], |row| row.get::<_, Vec<u8>>(0)).optional();
        let hash = hash.doing(doing)?;
        hash.map(|bytes| ContentHash::from_slice(&bytes).ok_or_else(|| nonsense("a short hash"))).transpose()
    }

    fn rows(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Rows, CatalogError> {
        let doing = "read a directory";
        let mut statement = self.connection.prepare_cached(sql).doing(doing)?;
        let mut found = statement.query(parameters).doing(doing)?;
        let mut rows = Rows::default();
        while let Some(row) = found.next().doing(doing)? {
            rows.push(row)?;
        }
        Ok(rows)
    }

    /// The inodes by which all versions of a directory's entries are stored that published snapshots have, sorted.
    pub fn inodes_in(&self, directory: DirId) -> Result<Vec<u64>, CatalogError> {
        let doing = "read a directory's inodes";
        let published = "first <= (SELECT max(id) FROM snapshot WHERE state = 'published')";
        let sql = format!(
            "SELECT inode FROM version WHERE last = {CURRENT} AND directory = ?1 AND {published}
             UNION ALL
             SELECT inode FROM version INDEXED BY version_ended WHERE last < {CURRENT} AND directory = ?1
             AND {published}"
        );
        let mut statement = self.connection.prepare_cached(&sql).doing(doing)?;
        let found = statement.query_map([directory.0], |row| row.get::<_, i64>(0)).doing(doing)?;
        let found = found.map(|inode| inode.map(i64::cast_unsigned));
        let mut inodes: Vec<u64> = found.collect::<rusqlite::Result<_>>().doing(doing)?;
        inodes.sort_unstable();
        Ok(inodes)
    }

    /// The identity of the directory `name` in `parent`, if that ever was a directory.
    pub fn child(&self, parent: DirId, name: &[u8]) -> Result<Option<DirId>, CatalogError> {
        let doing = "find a directory";
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM directory WHERE parent = ?1 AND name = ?2")
            .doing(doing)?;
        let id = statement.query_row((parent.0, name), |row| row.get(0)).optional();
        Ok(id.doing(doing)?.map(DirId))
    }

    /// The highest identity of a directory given so far.
    pub fn last_directory(&self) -> Result<DirId, CatalogError> {
        let last = self.connection.query_row("SELECT max(id) FROM directory", (), |row| row.get(0));
        let last = last.doing("count directories")?;
        // There must be room for more.
        if (1..1 << 62).contains(&last) {
            Ok(DirId(last))
        } else {
            Err(nonsense(format!("directory {last}")))
        }
    }

    /// A stored set of extended attributes.
    pub fn xattrs(&self, id: XattrsId) -> Result<Xattrs, CatalogError> {
        let doing = "read extended attributes";
        let mut statement =
            self.connection.prepare_cached("SELECT encoded FROM xattrs WHERE id = ?1").doing(doing)?;
        let encoded: Vec<u8> = statement.query_row([id.0], |row| row.get(0)).doing(doing)?;
        Xattrs::decode(&encoded).ok_or_else(|| nonsense("extended attributes cut short"))
    }

    /// The directory that the inode numbers in the catalog belong to, by its own inode number.
    pub fn home(&self) -> Result<Option<u64>, CatalogError> {
        home(&self.connection)
    }

    /// How many version rows there are.
    pub fn count_versions(&self) -> Result<u64, CatalogError> {
        let count: i64 = self
            .connection
            .query_row("SELECT count(*) FROM version", (), |row| row.get(0))
            .doing("count versions")?;
        u64::try_from(count).map_err(|_| nonsense("a negative count"))
    }

    /// Checks the file (`PRAGMA integrity_check`) and the rules of the tables; says what is wrong.
    pub fn faults(&self) -> Result<Vec<String>, CatalogError> {
        let doing = "check itself";
        let mut faults: Vec<String> = Vec::new();
        let mut statement = self.connection.prepare("PRAGMA integrity_check(20)").doing(doing)?;
        let lines = statement.query_map((), |row| row.get::<_, String>(0)).doing(doing)?;
        for line in lines {
            faults.push(line.doing(doing)?);
        }
        faults.retain(|line| line != "ok");
        for (what, sql) in RULES {
            let broken: i64 = self.connection.query_row(sql, (), |row| row.get(0)).doing(doing)?;
            if broken > 0 {
                faults.push(format!("{broken} {what}"));
            }
        }
        Ok(faults)
    }
}

/// Rules of the tables, as queries that count what breaks them.
const RULES: &[(&str, &str)] = &[
    ("versions end before they begin", "SELECT count(*) FROM version WHERE last <= first"),
    (
        "versions overlap another of the same path",
        "SELECT count(*) FROM (SELECT first, lag(last) OVER (PARTITION BY directory, name ORDER BY first) \
         AS before FROM version) WHERE before > first",
    ),
    (
        "versions stand in a directory that is not known",
        "SELECT count(*) FROM (SELECT DISTINCT directory FROM version) \
         WHERE directory <> 0 AND directory NOT IN (SELECT id FROM directory)",
    ),
    (
        "directories stand in no known directory",
        "SELECT count(*) FROM directory WHERE id <> 1 AND parent NOT IN (SELECT id FROM directory)",
    ),
    (
        "versions miss what their kind needs",
        "SELECT count(*) FROM version WHERE (kind = 'd') <> (child IS NOT NULL) \
         OR (kind = 'l') <> (target IS NOT NULL) OR (kind <> 'f' AND hash IS NOT NULL)",
    ),
    (
        "versions name extended attributes that are not there",
        "SELECT count(*) FROM version WHERE xattrs IS NOT NULL \
         AND xattrs NOT IN (SELECT id FROM xattrs)",
    ),
];

pub(crate) fn home(connection: &Connection) -> Result<Option<u64>, CatalogError> {
    let inode = connection.query_row("SELECT inode FROM home", (), |row| row.get::<_, i64>(0));
    Ok(inode.optional().doing("read its home")?.map(i64::cast_unsigned))
}

/// The hash under which a set of extended attributes is filed.
pub(crate) fn xattrs_hash(encoded: &[u8]) -> ContentHash {
    ContentHash::of(encoded)
}

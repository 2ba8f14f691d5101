//! The tables, and how older catalogs are brought up to date. Migrations are added, never edited.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::{CatalogError, Doing};

/// `last` of a version that is current.
pub(crate) const CURRENT: i64 = i64::MAX;

/// Holds for versions whose inode may have others: under several names in the source, or moved from name to name. An
/// inode is in one version only if this does not hold for it. The index `version_grouped` has those for which it does,
/// so a query that is to use that says it in these words.
pub(crate) const GROUPED: &str = "(source_links > 1 OR flags & 128)";

/// Migration N brings a catalog from `user_version` N to N + 1.
const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE snapshot (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT UNIQUE,              -- NULL while it is being built
    state          TEXT NOT NULL CHECK (state IN ('building', 'staged', 'published')),
    time           INTEGER NOT NULL,         -- seconds since 1970, UTC
    files          INTEGER NOT NULL DEFAULT 0,
    directories    INTEGER NOT NULL DEFAULT 0,
    symlinks       INTEGER NOT NULL DEFAULT 0,
    specials       INTEGER NOT NULL DEFAULT 0,
    source_bytes   INTEGER NOT NULL DEFAULT 0,
    added_bytes    INTEGER NOT NULL DEFAULT 0,
    problems       INTEGER NOT NULL DEFAULT 0,
    warnings       INTEGER NOT NULL DEFAULT 0,
    pinned         INTEGER NOT NULL DEFAULT 0,
    tags           TEXT NOT NULL DEFAULT '',
    note           TEXT NOT NULL DEFAULT ''
);
CREATE TABLE home (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    inode          INTEGER NOT NULL          -- of the .linksnap directory whose neighbours are meant
);
CREATE TABLE problem (
    snapshot       INTEGER NOT NULL REFERENCES snapshot (id) ON DELETE CASCADE,
    path           BLOB NOT NULL,
    kind           TEXT NOT NULL,
    message        TEXT NOT NULL
);
CREATE INDEX problem_by_snapshot ON problem (snapshot);
CREATE TABLE directory (
    id             INTEGER PRIMARY KEY,
    parent         INTEGER NOT NULL,
    name           BLOB NOT NULL,
    UNIQUE (parent, name)
);
INSERT INTO directory (id, parent, name) VALUES (1, 0, x'');
CREATE TABLE xattrs (
    id             INTEGER PRIMARY KEY,
    hash           BLOB NOT NULL UNIQUE,     -- BLAKE3 of `encoded`
    encoded        BLOB NOT NULL
);
CREATE TABLE version (
    last           INTEGER NOT NULL,         -- first snapshot without it; 2^63-1 while current
    directory      INTEGER NOT NULL,
    name           BLOB NOT NULL,
    first          INTEGER NOT NULL,         -- first snapshot with it
    kind           TEXT NOT NULL,            -- f d l p s c b, as in find -printf %y
    mode           INTEGER NOT NULL,
    uid            INTEGER NOT NULL,
    gid            INTEGER NOT NULL,
    size           INTEGER NOT NULL,
    mtime          INTEGER NOT NULL,
    mtime_ns       INTEGER NOT NULL,
    rdev           INTEGER NOT NULL,
    inode          INTEGER NOT NULL,         -- in the repository; 0 for directories
    hash           BLOB,                     -- BLAKE3, files only
    target         BLOB,                     -- symbolic links only
    xattrs         INTEGER,
    child          INTEGER,                  -- directories only: their id
    source_inode   INTEGER NOT NULL,
    source_ctime   INTEGER NOT NULL,
    source_ctime_ns INTEGER NOT NULL,
    source_links   INTEGER NOT NULL,
    flags          INTEGER NOT NULL,         -- 1 racy, 2 changed while read, 4 partial
    PRIMARY KEY (last, directory, name)
) WITHOUT ROWID;
CREATE INDEX version_ended ON version (directory, name, first) WHERE last < 9223372036854775807;
",
    "
ALTER TABLE snapshot ADD COLUMN pinned_until INTEGER;             -- seconds since 1970; NULL: for ever
ALTER TABLE snapshot ADD COLUMN added_inodes INTEGER NOT NULL DEFAULT 0;
UPDATE snapshot SET added_inodes = directories +
       (SELECT count(DISTINCT inode) FROM version WHERE first = snapshot.id AND kind <> 'd');
ALTER TABLE version ADD COLUMN holes INTEGER NOT NULL DEFAULT 0;  -- bytes of `size` that are holes
CREATE INDEX version_grouped ON version (inode) WHERE source_links > 1;
CREATE INDEX version_xattrs ON version (xattrs) WHERE xattrs IS NOT NULL;
CREATE TABLE fingerprint (                  -- of directories whose current versions it was made of
    directory      INTEGER PRIMARY KEY,
    hash           BLOB NOT NULL
);
CREATE TABLE gone (                         -- versions that went with the snapshots deleted last
    directory      INTEGER NOT NULL,
    name           BLOB NOT NULL,
    first          INTEGER NOT NULL,
    batch          INTEGER NOT NULL,         -- the deleted snapshot
    kind           TEXT NOT NULL,
    inode          INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,         -- of content, holes not counted
    links          INTEGER NOT NULL,         -- source_links
    xattrs         INTEGER,
    child          INTEGER,
    PRIMARY KEY (directory, name, first)
) WITHOUT ROWID;
CREATE TABLE gone_directory (               -- directories that no snapshot has any more, since then
    id             INTEGER PRIMARY KEY,
    parent         INTEGER NOT NULL,
    name           BLOB NOT NULL
);
CREATE TABLE growth (
    id             INTEGER PRIMARY KEY,
    time           INTEGER NOT NULL,         -- seconds since 1970, UTC
    event          TEXT NOT NULL CHECK (event IN ('snapshot', 'deletion')),
    snapshot       TEXT NOT NULL,            -- the name of what was made or deleted
    files          INTEGER NOT NULL,         -- names of regular files in it
    source_bytes   INTEGER NOT NULL,         -- sum of their sizes
    inodes         INTEGER NOT NULL,         -- made or freed
    bytes          INTEGER NOT NULL          -- of content made or freed, holes not counted
);
INSERT INTO growth (time, event, snapshot, files, source_bytes, inodes, bytes)
SELECT time, 'snapshot', name, files, source_bytes, added_inodes, added_bytes
FROM snapshot WHERE state = 'published' ORDER BY id;
",
    "
DROP INDEX version_grouped;
CREATE INDEX version_grouped ON version (inode) WHERE (source_links > 1 OR flags & 128);
CREATE INDEX version_source ON version (source_inode) WHERE last = 9223372036854775807 AND kind = 'f';
",
];

/// Opens the catalog for writing, made or brought up to date if need be.
pub(crate) fn open_for_writing(path: &Path) -> Result<Connection, CatalogError> {
    let mut connection = Connection::open(path).doing("open")?;
    // The log is folded into the catalog when the connection is closed, or after 64 MiB: with SQLite's 4 MiB that would
    // happen in the commit of almost every run, with two more syncs, and again at the end.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA cache_size = -16384; PRAGMA busy_timeout = 10000; PRAGMA temp_store = MEMORY;
             PRAGMA wal_autocheckpoint = 16384;",
        )
        .doing("set up")?;
    plan_once(&connection)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens the catalog for reading only.
pub(crate) fn open_for_reading(path: &Path) -> Result<Connection, CatalogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let shared = Connection::open_with_flags(path, flags).doing("open").and_then(|connection| {
        set_up_reading(&connection, path)?;
        Ok(connection)
    });
    let connection = match shared {
        Err(CatalogError::Sql { source, .. }) if is_read_only(&source) => open_immutable(path),
        Err(error) if error.may_lack_room() && is_folded(path) => open_immutable(path),
        other => other,
    }?;
    if check_version(&connection, path)? < MIGRATIONS.len() {
        renewed(&connection, path)
    } else {
        Ok(connection)
    }
}

/// A copy in memory of an older catalog, brought up to date: the next command that writes does it to the file.
fn renewed(old: &Connection, path: &Path) -> Result<Connection, CatalogError> {
    let mut copy = Connection::open_in_memory().doing("copy an older catalog")?;
    rusqlite::backup::Backup::new(old, &mut copy)
        .and_then(|backup| backup.run_to_completion(i32::MAX, std::time::Duration::ZERO, None))
        .doing("copy an older catalog")?;
    migrate(&mut copy, path)?;
    set_up_reading(&copy, path)?;
    Ok(copy)
}

/// Opens a catalog on a filesystem mounted read-only, or so full that no index of the log can be made, where the write-ahead log cannot be joined: whoever
/// wrote last has folded it into the file, unless it died.
fn open_immutable(path: &Path) -> Result<Connection, CatalogError> {
    let mut uri = String::from("file:");
    for byte in linksnap_inode::dir::path_bytes(path) {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                uri.push(char::from(*byte));
            }
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags).doing("open")?;
    set_up_reading(&connection, path)?;
    Ok(connection)
}

/// Is all that was ever written in the file itself? So it is when nobody has it open and nobody died.
fn is_folded(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::symlink_metadata(log).map_or(true, |log| log.len() == 0)
}

fn is_read_only(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly))
}

fn set_up_reading(connection: &Connection, path: &Path) -> Result<(), CatalogError> {
    let pragmas = "PRAGMA query_only = ON; PRAGMA cache_size = -4096; PRAGMA busy_timeout = 10000; \
                   PRAGMA temp_store = MEMORY;";
    connection.execute_batch(pragmas).doing("set up")?;
    plan_once(connection)?;
    check_version(connection, path)?;
    Ok(())
}

/// Without this promise of stable plans, SQLite plans a statement anew whenever its parameters change, to
/// see whether their values suggest another index: here, for every directory (`SQLITE_DBCONFIG_ENABLE_QPSG`).
fn plan_once(connection: &Connection) -> Result<(), CatalogError> {
    connection
        .set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
        .doing("set up")
}

fn version_of(connection: &Connection) -> Result<i64, CatalogError> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).doing("read the format version")
}

fn check_version(connection: &Connection, path: &Path) -> Result<usize, CatalogError> {
    let found = version_of(connection)?;
    usize::try_from(found).ok().filter(|found| *found <= MIGRATIONS.len()).ok_or_else(|| {
        CatalogError::Newer { path: path.to_path_buf(), found, known: MIGRATIONS.len() as i64 }
    })
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), CatalogError> {
    let found = check_version(connection, path)?;
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(found) {
        let transaction = connection.transaction().doing("begin a migration")?;
        transaction.execute_batch(migration).doing("migrate")?;
        transaction
            .pragma_update(None, "user_version", number as i64 + 1)
            .doing("write the format version")?;
        transaction.commit().doing("commit a migration")?;
    }
    Ok(())
}

//! What only the rebuilding of a catalog asks and writes.

use linksnap_inode::ContentHash;
use rusqlite::OptionalExtension;

use crate::error::{CatalogError, Doing};
use crate::growth::{self, Event, Growth};
use crate::rows::{SHARED, nonsense};
use crate::schema::GROUPED;
use crate::writer::Writer;

/// What was read of a stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredContent {
    /// The hash of its bytes; `None`: they could not be read.
    pub hash: Option<ContentHash>,
    /// Bytes of its size that are holes.
    pub holes: u64,
}

impl Writer {
    /// What is written already of the file with this inode, which has several names.
    pub fn stored_content(&self, inode: u64) -> Result<Option<StoredContent>, CatalogError> {
        let doing = "find an inode";
        let mut statement = self
            .connection
            .prepare_cached(&format!(
                "SELECT hash, holes FROM version INDEXED BY version_grouped \
                 WHERE {GROUPED} AND inode = ?1 AND kind = 'f' LIMIT 1"
            ))
            .doing(doing)?;
        let found = statement
            .query_row([inode.cast_signed()], |row| {
                Ok((row.get::<_, Option<Vec<u8>>>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()
            .doing(doing)?;
        let Some((hash, holes)) = found else { return Ok(None) };
        let hash = hash.map(|bytes| ContentHash::from_slice(&bytes).ok_or_else(|| nonsense("a short hash")));
        Ok(Some(StoredContent { hash: hash.transpose()?, holes: holes.cast_unsigned() }))
    }

    /// Corrects `source_links`, which was written as the number of names that an inode has in all snapshots: it is
    /// above 1 only for inodes that stand under several names of one snapshot. Those that went from one name to
    /// another are marked as such.
    pub fn settle_links(&self) -> Result<(), CatalogError> {
        // What this remembers grows with the tree: it may go to disk.
        self.connection.execute_batch("PRAGMA temp_store = FILE").doing("set up")?;
        self.execute(
            &format!(
                "UPDATE version SET source_links = 1 WHERE {GROUPED} AND inode IN \
                 (SELECT inode FROM version INDEXED BY version_grouped WHERE {GROUPED} \
                  GROUP BY inode HAVING count(*) = 1)"
            ),
            (),
        )?;
        // Of versions in the order in which they begin, one that overlaps any other overlaps its neighbour.
        self.execute(
            &format!(
                "UPDATE version SET source_links = 1, flags = flags | {SHARED} WHERE {GROUPED} AND inode IN \
                 (SELECT inode FROM (SELECT inode, first < lag(last) OVER (PARTITION BY inode ORDER BY first) \
                                     AS overlaps FROM version INDEXED BY version_grouped WHERE {GROUPED}) \
                  GROUP BY inode HAVING max(coalesce(overlaps, 0)) = 0)"
            ),
            (),
        )?;
        Ok(())
    }

    /// Puts what an earlier catalog told of the growth in the place of what this one knows of the same snapshots, in
    /// the order of time, in a transaction of its own.
    pub fn keep_growth(&mut self, earlier: &[Growth]) -> Result<(), CatalogError> {
        let is_told = |made: &Growth| {
            earlier.iter().any(|one| one.event == Event::Snapshot && one.snapshot == made.snapshot)
        };
        let mut all: Vec<Growth> = earlier.to_vec();
        all.extend(growth::all(&self.connection)?.into_iter().filter(|made| !is_told(made)));
        all.sort_by_key(|one| one.time);
        self.begin()?;
        self.execute("DELETE FROM growth", ())?;
        for one in &all {
            self.execute(
                "INSERT INTO growth (time, event, snapshot, files, source_bytes, inodes, bytes) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                rusqlite::params![
                    one.time,
                    one.event.word(),
                    one.snapshot,
                    one.files.cast_signed(),
                    one.source_bytes.cast_signed(),
                    one.inodes.cast_signed(),
                    one.bytes.cast_signed(),
                ],
            )?;
        }
        self.end()
    }

    /// Closes the catalog with all that was ever written in the file itself, and nothing beside it.
    pub fn close(self) -> Result<(), CatalogError> {
        self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").doing("fold its log")?;
        self.connection.close().map_err(|(_, source)| CatalogError::Sql { doing: "close", source })
    }
}

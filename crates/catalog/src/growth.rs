//! How the repository grew and shrank: one row for every snapshot made and every snapshot deleted, kept for ever.

use rusqlite::Connection;

use crate::error::{CatalogError, Doing};
use crate::reader::Reader;
use crate::rows::nonsense;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A snapshot was published: inodes and bytes were added.
    Snapshot,
    /// A snapshot was deleted: inodes and bytes were freed.
    Deletion,
}

impl Event {
    /// The word that the catalog uses.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Deletion => "deletion",
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// When: seconds since 1970, UTC.
    pub time: i64,
    /// What.
    pub event: Event,
    /// The snapshot.
    pub snapshot: String,
    /// Names of regular files in it.
    pub files: u64,
    /// Sum of their sizes in bytes.
    pub source_bytes: u64,
    /// Inodes made or freed, directories among them.
    pub inodes: u64,
    /// Bytes of content made or freed, holes not counted.
    pub bytes: u64,
}

impl Reader {
    /// All that happened, in its order.
    pub fn growth(&self) -> Result<Vec<Growth>, CatalogError> {
        all(self.connection())
    }
}

pub(crate) fn all(connection: &Connection) -> Result<Vec<Growth>, CatalogError> {
    let doing = "read the growth";
    let mut statement = connection
        .prepare_cached(
            "SELECT time, event, snapshot, files, source_bytes, inodes, bytes FROM growth ORDER BY id",
        )
        .doing(doing)?;
    let mut rows = statement.query(()).doing(doing)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().doing(doing)? {
        let count = |column: usize| -> Result<u64, CatalogError> {
            let number: i64 = row.get(column).doing(doing)?;
            u64::try_from(number).map_err(|_| nonsense(format!("the count {number}")))
        };
        let event: String = row.get(1).doing(doing)?;
        let known = [Event::Snapshot, Event::Deletion].into_iter().find(|known| known.word() == event);
        all.push(Growth {
            time: row.get(0).doing(doing)?,
            event: known.ok_or_else(|| nonsense(format!("the event {event:?}")))?,
            snapshot: row.get(2).doing(doing)?,
            files: count(3)?,
            source_bytes: count(4)?,
            inodes: count(5)?,
            bytes: count(6)?,
        });
    }
    Ok(all)
}

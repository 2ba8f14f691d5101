//! Under which names an inode of the repository stands, in all snapshots.

use linksnap_inode::path;
use rusqlite::{Connection, OptionalExtension};

use crate::error::{CatalogError, Doing};
use crate::reader::Reader;
use crate::rows::{entry_name, nonsense};
use crate::schema::CURRENT;
use crate::snapshots::SnapshotId;
use crate::version::DirId;

/// A path under which an inode stands in the snapshots `[first, last)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredName {
    /// The path, relative to the root of all trees.
    pub path: Vec<u8>,
    /// The first snapshot that has it there.
    pub first: SnapshotId,
    /// The first that has it there no more; `None` while it is current.
    pub last: Option<SnapshotId>,
}

impl Reader {
    /// All names of the stored inode of that number, which is of no directory, sorted. One pass over all versions.
    pub fn names_of(&self, inode: u64) -> Result<Vec<StoredName>, CatalogError> {
        let doing = "look for an inode";
        let mut statement = self
            .connection()
            .prepare_cached(
                "SELECT directory, name, first, last FROM version WHERE inode = ?1 AND kind <> 'd'",
            )
            .doing(doing)?;
        let found = statement
            .query_map([inode.cast_signed()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?, row.get::<_, i64>(3)?))
            })
            .doing(doing)?;
        let mut names = Vec::new();
        for row in found {
            let (directory, name, first, last) = row.doing(doing)?;
            names.push(StoredName {
                path: path::join(&path_of(self.connection(), DirId(directory))?, entry_name(&name)?),
                first: SnapshotId(first),
                last: (last != CURRENT).then_some(SnapshotId(last)),
            });
        }
        names.sort();
        Ok(names)
    }
}

/// The path of a directory, relative to the root of all trees.
pub(crate) fn path_of(connection: &Connection, directory: DirId) -> Result<Vec<u8>, CatalogError> {
    let doing = "find the path of a directory";
    let mut statement =
        connection.prepare_cached("SELECT parent, name FROM directory WHERE id = ?1").doing(doing)?;
    let mut names: Vec<Vec<u8>> = Vec::new();
    let (mut at, mut landmark) = (directory, directory);
    while at.0 > DirId::ROOT.0 {
        let found = statement.query_row([at.0], |row| Ok((row.get(0)?, row.get(1)?))).optional();
        let Some((parent, name)): Option<(i64, Vec<u8>)> = found.doing(doing)? else { break };
        entry_name(&name)?;
        names.push(name);
        at = DirId(parent);
        // Whoever goes in a circle comes by a landmark that is set again and again, each time after twice as far.
        if at == landmark {
            return Err(nonsense("a directory in itself"));
        }
        if names.len().is_power_of_two() {
            landmark = at;
        }
    }
    names.reverse();
    Ok(names.join(&b'/'))
}

//! Deleting snapshots from the catalog: which versions go with them, and under which names they stood.

use crate::error::{CatalogError, Doing};
use crate::names;
use crate::rows::entry_name;
use crate::schema::{CURRENT, GROUPED};
use crate::snapshots::{Snapshot, SnapshotId, State};
use crate::version::DirId;
use crate::writer::{Writer, count};

/// What deleting snapshots frees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freed {
    /// Inodes; directories of the deleted trees among them.
    pub inodes: u64,
    /// Bytes of content, holes not counted.
    pub bytes: u64,
}

/// What only the doomed snapshots between two others have: `?1` is the one before them, `?2` the one after.
const ONLY_BETWEEN: &str = "last > ?1 AND last <= ?2 AND first > ?1";

/// Notes the versions for which `condition` holds, as gone with the snapshot that the parameter `batch` is.
fn note(batch: &str, condition: &str) -> String {
    format!(
        "INSERT INTO gone SELECT directory, name, first, {batch}, kind, inode, \
         iif(kind = 'f', size - holes, 0), source_links, xattrs, child FROM version WHERE {condition}"
    )
}

impl Writer {
    /// Deletes published snapshots and the versions that only they have, and notes at the time `now` (seconds since
    /// 1970) what that frees; one transaction. If the newest goes, what the one before it has is current again.
    ///
    /// No snapshot may be unfinished if the newest is deleted: it is built upon that.
    pub fn delete(&mut self, doomed: &[SnapshotId], now: i64) -> Result<Freed, CatalogError> {
        let all = self.snapshots()?;
        let (going, staying): (Vec<_>, Vec<_>) =
            all.iter().partition(|one| one.state == State::Published && doomed.contains(&one.id));
        if going.is_empty() {
            return Ok(Freed::default());
        }
        self.begin()?;
        let freed = self.take_all(&going, &staying, now).and_then(|freed| self.end().map(|()| freed));
        if freed.is_err() && !self.connection.is_autocommit() {
            self.roll_back()?;
        }
        freed
    }

    fn take_all(
        &mut self,
        going: &[&Snapshot],
        staying: &[&Snapshot],
        now: i64,
    ) -> Result<Freed, CatalogError> {
        self.clear_notes()?;
        let mut total = Freed::default();
        for snapshot in going {
            // One after another: what two of them share is freed by the last of the two.
            self.execute("DELETE FROM snapshot WHERE id = ?1", [snapshot.id.0])?;
            let later = going.iter().filter(|one| one.id > snapshot.id);
            let others = || staying.iter().chain(later.clone());
            let before = others().map(|one| one.id.0).filter(|id| *id < snapshot.id.0).max().unwrap_or(0);
            let after = others().map(|one| one.id.0).filter(|id| *id > snapshot.id.0).min();
            let mut freed = self.take_versions(snapshot.id, (before, after))?;
            freed.inodes = freed.inodes.saturating_add(snapshot.totals.directories);
            self.execute(
                "INSERT INTO growth (time, event, snapshot, files, source_bytes, inodes, bytes) \
                 VALUES (?1, 'deletion', ?2, ?3, ?4, ?5, ?6)",
                rusqlite::params![
                    now,
                    snapshot.name,
                    count(snapshot.totals.files),
                    count(snapshot.totals.source_bytes),
                    count(freed.inodes),
                    count(freed.bytes),
                ],
            )?;
            total.inodes = total.inodes.saturating_add(freed.inodes);
            total.bytes = total.bytes.saturating_add(freed.bytes);
        }
        self.forget_unused()?;
        Ok(total)
    }

    /// Moves what lies only between two snapshots from the versions to the notes. Proportional to what changed
    /// between them; if there is none after them, to the whole tree.
    fn take_versions(
        &mut self,
        doomed: SnapshotId,
        (before, after): (i64, Option<i64>),
    ) -> Result<Freed, CatalogError> {
        let end = after.unwrap_or(CURRENT);
        let freed = self.held_only_between(before, end)?;
        self.execute(&note("?3", ONLY_BETWEEN), (before, end, doomed.0))?;
        self.execute(&format!("DELETE FROM version WHERE {ONLY_BETWEEN}"), (before, end))?;
        if after.is_none() {
            self.forget_fingerprints()?;
            self.execute("UPDATE version SET last = ?2 WHERE last > ?1 AND last < ?2", (before, CURRENT))?;
        }
        Ok(freed)
    }

    /// What goes with the versions between two snapshots: an inode with several versions if all of them go.
    fn held_only_between(&self, before: i64, end: i64) -> Result<Freed, CatalogError> {
        let leaf = format!(
            "SELECT iif(kind = 'f', size - holes, 0) AS bytes, inode FROM version \
             WHERE {ONLY_BETWEEN} AND kind <> 'd' AND inode <> 0"
        );
        let sql = format!(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM ( \
             SELECT bytes FROM ({leaf} AND NOT {GROUPED}) \
             UNION ALL \
             SELECT bytes FROM (SELECT DISTINCT inode, bytes FROM ({leaf} AND {GROUPED})) AS going \
             WHERE NOT EXISTS (SELECT 1 FROM version INDEXED BY version_grouped \
                               WHERE version.inode = going.inode AND {GROUPED} AND NOT ({ONLY_BETWEEN})))"
        );
        let (inodes, bytes): (i64, i64) = self
            .connection
            .query_row(&sql, (before, end), |row| Ok((row.get(0)?, row.get(1)?)))
            .doing("add up what goes")?;
        Ok(Freed { inodes: inodes.cast_unsigned(), bytes: bytes.cast_unsigned() })
    }

    /// Forgets directories in which no snapshot has anything, and extended attributes that no version has.
    pub(crate) fn forget_unused(&mut self) -> Result<(), CatalogError> {
        self.xattrs.clear();
        self.execute(
            "DELETE FROM xattrs WHERE id IN (SELECT xattrs FROM gone WHERE xattrs IS NOT NULL) \
             AND NOT EXISTS (SELECT 1 FROM version WHERE version.xattrs = xattrs.id)",
            (),
        )?;
        let unused = format!(
            "id <> 1 AND id IN (SELECT child FROM gone WHERE child IS NOT NULL) \
             AND NOT EXISTS (SELECT 1 FROM directory AS below WHERE below.parent = directory.id) \
             AND NOT EXISTS (SELECT 1 FROM version WHERE last = {CURRENT} AND version.directory = directory.id) \
             AND NOT EXISTS (SELECT 1 FROM version INDEXED BY version_ended \
                             WHERE last < {CURRENT} AND version.directory = directory.id) \
             AND NOT EXISTS (SELECT 1 FROM version WHERE last = {CURRENT} \
                             AND version.directory = directory.parent AND version.name = directory.name \
                             AND kind = 'd') \
             AND NOT EXISTS (SELECT 1 FROM version INDEXED BY version_ended WHERE last < {CURRENT} \
                             AND version.directory = directory.parent AND version.name = directory.name \
                             AND kind = 'd')"
        );
        // The lowest first; each round uncovers those above them.
        loop {
            self.execute(
                &format!("INSERT OR IGNORE INTO gone_directory SELECT id, parent, name FROM directory WHERE {unused}"),
                (),
            )?;
            if self.execute(&format!("DELETE FROM directory WHERE {unused}"), ())? == 0 {
                break;
            }
        }
        // Their numbers are given out again.
        self.execute("DELETE FROM fingerprint WHERE directory IN (SELECT id FROM gone_directory)", ())?;
        Ok(())
    }

    /// Calls `visit` with every name that only snapshots of the last [`delete`](Self::delete) had: the path of its
    /// directory, the name, and the inode that stood there. Of a directory that is not known any more only its own name, not what was in it.
    pub fn gone_names<E: From<CatalogError>>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8], Option<u64>) -> Result<(), E>,
    ) -> Result<(), E> {
        let directories = "SELECT parent, name, NULL FROM gone_directory \
                           WHERE parent NOT IN (SELECT id FROM gone_directory)";
        let leaves = "SELECT directory, name, inode FROM gone WHERE kind <> 'd' \
                      AND directory NOT IN (SELECT id FROM gone_directory) ORDER BY directory, name, first";
        let doing = "read what went";
        for sql in [directories, leaves] {
            let mut statement = self.connection.prepare_cached(sql).doing(doing)?;
            let mut rows = statement.query(()).doing(doing)?;
            let mut last: Option<(i64, Vec<u8>)> = None;
            while let Some(row) = rows.next().doing(doing)? {
                let directory: i64 = row.get(0).doing(doing)?;
                let path = match last.take() {
                    Some((known, path)) if known == directory => path,
                    _ => names::path_of(&self.connection, DirId(directory))?,
                };
                let name: Vec<u8> = row.get(1).doing(doing)?;
                let inode: Option<i64> = row.get(2).doing(doing)?;
                visit(&path, entry_name(&name)?, inode.map(i64::cast_unsigned))?;
                last = Some((directory, path));
            }
        }
        Ok(())
    }

    /// Are there names that went, of which nobody has said that they are not needed any more?
    pub fn has_gone(&self) -> Result<bool, CatalogError> {
        let any = "SELECT EXISTS (SELECT 1 FROM gone) OR EXISTS (SELECT 1 FROM gone_directory)";
        self.connection.query_row(any, (), |row| row.get(0)).doing("read what went")
    }

    /// Forgets the names that went: nobody needs them any more.
    pub fn forget_gone(&mut self) -> Result<(), CatalogError> {
        if !self.has_gone()? {
            return Ok(());
        }
        self.begin()?;
        self.clear_notes()?;
        self.end()
    }

    /// Notes what an unfinished snapshot had begun.
    pub(crate) fn note_begun_by(&self, building: SnapshotId) -> Result<(), CatalogError> {
        self.clear_notes()?;
        self.execute(&note("?1", "first = ?1"), [building.0]).map(drop)
    }

    pub(crate) fn clear_notes(&self) -> Result<(), CatalogError> {
        self.execute("DELETE FROM gone", ())?;
        self.execute("DELETE FROM gone_directory", ()).map(drop)
    }
}

//! A catalog of its own for a test.

use std::path::PathBuf;

use linksnap_catalog::{
    Change, DirId, DirectoryChanges, Holding, Reader, Seen, SnapshotId, Totals, Version, Writer,
};
use linksnap_inode::{ContentHash, Kind, Timestamp};
use tempfile::TempDir;

/// A catalog in a directory of its own, and a clock that goes on by a second with each snapshot.
pub struct Shelf {
    own: TempDir,
    pub second: i64,
}

impl Shelf {
    pub fn new() -> Self {
        Self { own: tempfile::tempdir().expect("a directory"), second: 0 }
    }

    pub fn path(&self) -> PathBuf {
        self.own.path().join("catalog.db")
    }

    pub fn reader(&self) -> Reader {
        Reader::open(&self.path()).expect("a catalog")
    }

    pub fn writer(&self) -> Writer {
        Writer::open(&self.path()).expect("a catalog")
    }

    /// The file as SQLite sees it, for what the catalog does not tell.
    pub fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).expect("open")
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> u64 {
        let count = self.raw().query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0));
        count.map(i64::cast_unsigned).expect("counted")
    }

    /// Publishes a snapshot with these changes in the root directory.
    pub fn snapshot(&mut self, changes: Vec<(&str, Change)>) -> SnapshotId {
        let mut writer = self.writer();
        let id = self.build(&mut writer, changes);
        self.publish(&mut writer, id, &Totals::default());
        id
    }

    pub fn build(&mut self, writer: &mut Writer, changes: Vec<(&str, Change)>) -> SnapshotId {
        self.second += 1;
        let id = writer.begin_snapshot(self.second).expect("begun");
        let changes =
            changes.into_iter().map(|(name, change)| (DirId::ROOT, name.as_bytes().into(), change)).collect();
        writer.apply(id, &DirectoryChanges { changes, ..DirectoryChanges::default() }).expect("applied");
        id
    }

    /// Publishes what is being built.
    pub fn publish(&self, writer: &mut Writer, id: SnapshotId, totals: &Totals) {
        writer.stage(id, (&self.name(), self.second), totals, &[]).expect("staged");
        writer.publish(id).expect("published");
    }

    /// The name of the newest snapshot.
    pub fn name(&self) -> String {
        format!("snapshot-{}", self.second)
    }

    pub fn names(&self, snapshot: SnapshotId) -> Vec<(String, u64)> {
        let rows = self.reader().as_of(DirId::ROOT, snapshot).expect("rows");
        rows.iter()
            .map(|row| (String::from_utf8_lossy(row.name).into_owned(), row.version.stored_inode))
            .collect()
    }
}

/// Some file.
pub fn file(inode: u64) -> Version {
    Version {
        first: SnapshotId(0),
        last: None,
        kind: Kind::File,
        mode: 0o4644,
        uid: 1,
        gid: 2,
        size: 3,
        holes: 1,
        mtime: Timestamp { seconds: -7, nanoseconds: 999_999_999 },
        rdev: 0,
        stored_inode: inode,
        hash: Some(ContentHash::of(b"bytes")),
        target: None,
        xattrs: None,
        child: None,
        partial: false,
        unwitnessed: false,
        shared: false,
        holding: Holding::Whole,
        seen: Seen { inode: u64::MAX, links: 2, ..Seen::default() },
    }
}

//! The rows of one directory, names packed into one buffer.

use linksnap_inode::{ContentHash, Kind, Timestamp};
use rusqlite::types::ValueRef;

use crate::error::CatalogError;
use crate::schema::CURRENT;
use crate::snapshots::SnapshotId;
use crate::version::{DirId, Holding, Seen, Version, XattrsId, kind_of_letter};

/// The columns that [`Rows::push`] reads, in its order.
pub(crate) const COLUMNS: &str = "name, first, last, kind, mode, uid, gid, size, mtime, mtime_ns, rdev, \
     inode, hash, target, xattrs, child, source_inode, source_ctime, source_ctime_ns, source_links, flags, holes";

/// Where a column that is selected after [`COLUMNS`] stands.
pub(crate) const DIRECTORY_AFTER_COLUMNS: usize = 22;

/// Flag: [`Seen::racy`].
pub(crate) const RACY: i64 = 1;
/// Flag: [`Seen::changed_while_read`].
pub(crate) const CHANGED_WHILE_READ: i64 = 2;

/// Flag: [`Version::partial`].
pub(crate) const PARTIAL: i64 = 4;
/// Flag: [`Version::unwitnessed`].
pub(crate) const UNWITNESSED: i64 = 64;

/// Flag: [`Version::shared`].
pub(crate) const SHARED: i64 = 128;

/// Flag: [`Holding::StandIn`].
pub(crate) const STAND_IN: i64 = 8;

/// Flag of directories: [`Holding::Whole`]. Without it, as in rows that were written before there was this flag, a
/// directory may have had more than is held.
pub(crate) const WHOLE: i64 = 16;

/// Flag: [`Holding::OnTheWay`].
pub(crate) const ON_THE_WAY: i64 = 32;

/// The versions of a directory's entries, sorted by name bytes (and by age where a name has two).
#[derive(Debug, Default)]
pub struct Rows {
    names: Vec<u8>,
    versions: Vec<(usize, usize, Version)>,
}

/// One version and the name it is of.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The entry's name.
    pub name: &'a [u8],
    /// The version.
    pub version: &'a Version,
}

impl Rows {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.versions.iter().map(|(start, end, version)| Row { name: &self.names[*start..*end], version })
    }

    /// The row of `name`, the oldest if there are two.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Row<'_>> {
        let at = self.versions.partition_point(|(start, end, _)| &self.names[*start..*end] < name);
        self.iter().nth(at).filter(|row| row.name == name)
    }

    /// Adds a version of `name`; the caller keeps the order.
    pub fn add(&mut self, name: &[u8], version: Version) {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        self.versions.push((start, self.names.len(), version));
    }

    pub(crate) fn sort(&mut self) {
        let names = &self.names;
        self.versions.sort_by(|a, b| (&names[a.0..a.1], a.2.first).cmp(&(&names[b.0..b.1], b.2.first)));
    }

    /// Reads one row of [`COLUMNS`].
    pub(crate) fn push(&mut self, row: &rusqlite::Row<'_>) -> Result<(), CatalogError> {
        let name = blob(row, 0)?.ok_or_else(|| nonsense("an entry without a name"))?;
        let version = version(row)?;
        self.add(entry_name(name)?, version);
        Ok(())
    }
}

/// The name of an entry, if it can be one: whoever opens or makes something by it must not be led elsewhere.
pub(crate) fn entry_name(name: &[u8]) -> Result<&[u8], CatalogError> {
    let leads_away = matches!(name, b"." | b"..") || name.iter().any(|byte| matches!(byte, b'/' | 0));
    if leads_away { Err(nonsense("an entry whose name leads elsewhere")) } else { Ok(name) }
}

fn version(row: &rusqlite::Row<'_>) -> Result<Version, CatalogError> {
    let letter = text(row, 3)?;
    let kind = kind_of_letter(letter).ok_or_else(|| nonsense("an unknown kind"))?;
    let last = integer(row, 2)?;
    let flags = integer(row, 20)?;
    Ok(Version {
        first: SnapshotId(integer(row, 1)?),
        last: (last != CURRENT).then_some(SnapshotId(last)),
        kind,
        mode: number(row, 4)?,
        uid: number(row, 5)?,
        gid: number(row, 6)?,
        size: number(row, 7)?,
        holes: number(row, 21)?,
        mtime: Timestamp { seconds: integer(row, 8)?, nanoseconds: number(row, 9)? },
        rdev: integer(row, 10)?.cast_unsigned(),
        stored_inode: integer(row, 11)?.cast_unsigned(),
        hash: blob(row, 12)?
            .map(|bytes| ContentHash::from_slice(bytes).ok_or_else(|| nonsense("a short hash")))
            .transpose()?,
        target: blob(row, 13)?.map(Box::from),
        xattrs: optional(row, 14)?.map(XattrsId),
        child: optional(row, 15)?.map(DirId),
        partial: flags & PARTIAL != 0,
        unwitnessed: flags & UNWITNESSED != 0,
        shared: flags & SHARED != 0,
        holding: holding(kind, flags),
        seen: Seen {
            inode: integer(row, 16)?.cast_unsigned(),
            ctime: Timestamp { seconds: integer(row, 17)?, nanoseconds: number(row, 18)? },
            links: number(row, 19)?,
            racy: flags & RACY != 0,
            changed_while_read: flags & CHANGED_WHILE_READ != 0,
        },
    })
}

fn holding(kind: Kind, flags: i64) -> Holding {
    if flags & STAND_IN != 0 {
        Holding::StandIn
    } else if flags & ON_THE_WAY != 0 {
        Holding::OnTheWay
    } else if kind != Kind::Directory || flags & WHOLE != 0 {
        Holding::Whole
    } else {
        Holding::Partly
    }
}

pub(crate) fn nonsense(what: impl Into<String>) -> CatalogError {
    CatalogError::Row { what: what.into() }
}

fn value<'a>(row: &'a rusqlite::Row<'_>, column: usize) -> Result<ValueRef<'a>, CatalogError> {
    row.get_ref(column).map_err(|source| CatalogError::Sql { doing: "read a row", source })
}

pub(crate) fn integer(row: &rusqlite::Row<'_>, column: usize) -> Result<i64, CatalogError> {
    optional(row, column)?.ok_or_else(|| nonsense(format!("no number in column {column}")))
}

fn optional(row: &rusqlite::Row<'_>, column: usize) -> Result<Option<i64>, CatalogError> {
    match value(row, column)? {
        ValueRef::Integer(integer) => Ok(Some(integer)),
        ValueRef::Null => Ok(None),
        _ => Err(nonsense(format!("no number in column {column}"))),
    }
}

pub(crate) fn number<T: TryFrom<i64>>(row: &rusqlite::Row<'_>, column: usize) -> Result<T, CatalogError> {
    let integer = integer(row, column)?;
    T::try_from(integer).map_err(|_| nonsense(format!("{integer} in column {column}")))
}

fn blob<'a>(row: &'a rusqlite::Row<'_>, column: usize) -> Result<Option<&'a [u8]>, CatalogError> {
    match value(row, column)? {
        ValueRef::Blob(bytes) => Ok(Some(bytes)),
        ValueRef::Null => Ok(None),
        _ => Err(nonsense(format!("no bytes in column {column}"))),
    }
}

fn text<'a>(row: &'a rusqlite::Row<'_>, column: usize) -> Result<&'a [u8], CatalogError> {
    match value(row, column)? {
        ValueRef::Text(bytes) => Ok(bytes),
        _ => Err(nonsense(format!("no text in column {column}"))),
    }
}

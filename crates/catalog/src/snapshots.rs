//! Snapshots as the catalog knows them.

use rusqlite::{Connection, Row};

use crate::error::{CatalogError, Doing};
use crate::rows::nonsense;

/// A snapshot's number: grows with every run of the job and is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SnapshotId(pub i64);

/// How far a snapshot has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its tree is being built; its rows are those that checkpoints vouch for.
    Building,
    /// Complete, validated and on disk, but not known to bear its name yet.
    Staged,
    /// Published.
    Published,
}

impl State {
    /// The word that the catalog and JSON use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Staged => "staged",
            Self::Published => "published",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [Self::Building, Self::Staged, Self::Published].into_iter().find(|state| state.word() == word)
    }
}

/// What a snapshot holds in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Names of regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Names of symbolic links.
    pub symlinks: u64,
    /// Names of fifos, sockets and devices.
    pub specials: u64,
    /// Sum of the sizes of all files, in bytes.
    pub source_bytes: u64,
    /// Bytes of content that were new in this snapshot, holes not counted.
    pub added_bytes: u64,
    /// Inodes that were new in this snapshot, its directories among them.
    pub added_inodes: u64,
    /// Paths with a problem.
    pub problems: u64,
    /// Warnings.
    pub warnings: u64,
}

/// One snapshot's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its number.
    pub id: SnapshotId,
    /// Its name; empty while it is being built.
    pub name: String,
    /// How far it has come.
    pub state: State,
    /// When its run began: seconds since 1970, UTC.
    pub time: i64,
    /// What it holds.
    pub totals: Totals,
    /// Retention must keep it.
    pub pinned: bool,
    /// Until when the pin holds: seconds since 1970; `None`: for ever.
    pub pinned_until: Option<i64>,
    /// Labels, separated by commas.
    pub tags: String,
    /// What somebody noted.
    pub note: String,
}

impl Snapshot {
    /// Does a pin hold at the time `now`, in seconds since 1970?
    #[must_use]
    pub fn is_pinned_at(&self, now: i64) -> bool {
        self.pinned && self.pinned_until.is_none_or(|until| now < until)
    }
}

/// A problem with one path, as kept with the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathProblem {
    /// The path in the source.
    pub path: Vec<u8>,
    /// Its class, one word.
    pub kind: String,
    /// What happened.
    pub message: String,
}

const COLUMNS: &str = "id, name, state, time, files, directories, symlinks, specials, source_bytes, \
     added_bytes, problems, warnings, pinned, tags, note, pinned_until, added_inodes";

/// All snapshots in the order in which they were made.
pub(crate) fn all(connection: &Connection) -> Result<Vec<Snapshot>, CatalogError> {
    let doing = "list snapshots";
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM snapshot ORDER BY id")).doing(doing)?;
    let mut rows = statement.query(()).doing(doing)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().doing(doing)? {
        all.push(snapshot(row)?);
    }
    Ok(all)
}

/// A name by which a tree is opened and renamed: nothing in it leads elsewhere.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn snapshot(row: &Row<'_>) -> Result<Snapshot, CatalogError> {
    let word: String = row.get(2).doing("read a snapshot")?;
    let state = State::of_word(&word).ok_or_else(|| nonsense(format!("the state {word:?}")))?;
    let count = |column: usize| -> Result<u64, CatalogError> {
        let number: i64 = row.get(column).doing("read a snapshot")?;
        u64::try_from(number).map_err(|_| nonsense(format!("the count {number}")))
    };
    let text = |column: usize| -> Result<String, CatalogError> {
        row.get::<_, Option<String>>(column).map(Option::unwrap_or_default).doing("read a snapshot")
    };
    let name = text(1)?;
    if !is_plain(&name) || (name.is_empty() && state != State::Building) {
        return Err(nonsense(format!("a snapshot called {name:?}")));
    }
    Ok(Snapshot {
        id: SnapshotId(row.get(0).doing("read a snapshot")?),
        name,
        state,
        time: row.get(3).doing("read a snapshot")?,
        totals: Totals {
            files: count(4)?,
            directories: count(5)?,
            symlinks: count(6)?,
            specials: count(7)?,
            source_bytes: count(8)?,
            added_bytes: count(9)?,
            problems: count(10)?,
            warnings: count(11)?,
            added_inodes: count(16)?,
        },
        pinned: count(12)? != 0,
        tags: text(13)?,
        note: text(14)?,
        pinned_until: row.get(15).doing("read a snapshot")?,
    })
}

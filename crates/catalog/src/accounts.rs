//! Accounts: which snapshots hold which inodes and bytes, summed up so that every question about sets of snapshots is
//! answered without looking at a version again.
//!
//! An inode is held by an unbroken run of snapshots. So the accounts are sums over such runs, from an eldest
//! snapshot to a youngest: there are few of them, however many versions.
//!
//! **Invariant:** an inode is counted once, whatever names it has. Only inodes that may have several versions, for
//! they have several names or were moved, are remembered while counting.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::error::{CatalogError, Doing};
use crate::reader::Reader;
use crate::rows::{integer, number};
use crate::schema::{CURRENT, GROUPED};
use crate::snapshots::{Snapshot, SnapshotId};
use crate::writer::Writer;

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Inodes: files, symbolic links and specials once each, and directories.
    pub inodes: u64,
    /// Bytes of the content of files, holes not counted.
    pub bytes: u64,
    /// Sum of the sizes of files, holes counted.
    pub apparent_bytes: u64,
    /// `bytes` with each file rounded up to whole blocks of the filesystem.
    pub block_bytes: u64,
}

impl Held {
    fn add(&mut self, other: Self) {
        // A few sparse files can have more bytes than a number.
        self.inodes = self.inodes.saturating_add(other.inodes);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.apparent_bytes = self.apparent_bytes.saturating_add(other.apparent_bytes);
        self.block_bytes = self.block_bytes.saturating_add(other.block_bytes);
    }
}

/// The accounts of a job's published snapshots.
#[derive(Debug, Clone)]
pub struct Accounts {
    snapshots: Vec<(SnapshotId, u64)>,
    /// Eldest and youngest holder, as indices of `snapshots`.
    runs: BTreeMap<(usize, usize), Held>,
}

impl Accounts {
    /// All that is held.
    #[must_use]
    pub fn total(&self) -> Held {
        let mut total = Held {
            inodes: self.snapshots.iter().fold(0, |sum, (_, directories)| sum.saturating_add(*directories)),
            ..Held::default()
        };
        self.runs.values().for_each(|held| total.add(*held));
        total
    }

    /// What the snapshot has that no older one has.
    #[must_use]
    pub fn added(&self, snapshot: SnapshotId) -> Held {
        self.sum(snapshot, |index, (eldest, _)| eldest == index)
    }

    /// What only the snapshot has.
    #[must_use]
    pub fn alone(&self, snapshot: SnapshotId) -> Held {
        self.sum(snapshot, |index, run| run == (index, index))
    }

    /// All that the snapshot has.
    #[must_use]
    pub fn held(&self, snapshot: SnapshotId) -> Held {
        self.sum(snapshot, |index, (eldest, youngest)| (eldest..=youngest).contains(&index))
    }

    fn sum(&self, snapshot: SnapshotId, counts: impl Fn(usize, (usize, usize)) -> bool) -> Held {
        let Some(index) = self.snapshots.iter().position(|(id, _)| *id == snapshot) else {
            return Held::default();
        };
        let mut sum = Held { inodes: self.snapshots[index].1, ..Held::default() };
        for (_, held) in self.runs.iter().filter(|(run, _)| counts(index, **run)) {
            sum.add(*held);
        }
        sum
    }

    /// What is free when all of `doomed` are deleted, and their directories gone.
    #[must_use]
    pub fn freed_by(&self, doomed: &[SnapshotId]) -> Held {
        // Of the snapshots before each index: how many stay.
        let mut staying = vec![0_usize];
        let mut freed = Held::default();
        for (id, directories) in &self.snapshots {
            let goes = doomed.contains(id);
            freed.inodes = freed.inodes.saturating_add(if goes { *directories } else { 0 });
            staying.push(staying.last().copied().unwrap_or_default() + usize::from(!goes));
        }
        for ((eldest, youngest), held) in &self.runs {
            if staying[*eldest] == staying[youngest + 1] {
                freed.add(*held);
            }
        }
        freed
    }
}

/// What one inode that may have several versions is held by.
struct Group {
    run: (usize, usize),
    held: Held,
}

impl Reader {
    /// Adds up what the published snapshots hold. One pass over all versions; `block` is the size of the
    /// filesystem's blocks in bytes.
    pub fn accounts(&self, block: u64) -> Result<Accounts, CatalogError> {
        let published = self.published()?;
        let mut sums: HashMap<(i64, i64), Held> = HashMap::new();
        let mut groups: HashMap<i64, Group> = HashMap::new();
        let doing = "add up what is held";
        let mut statement = self
            .connection()
            .prepare_cached(&format!(
                "SELECT last, first, size - holes, {GROUPED}, inode, kind = 'f', size FROM version \
                 WHERE kind <> 'd' AND inode <> 0"
            ))
            .doing(doing)?;
        let mut rows = statement.query(()).doing(doing)?;
        while let Some(row) = rows.next().doing(doing)? {
            let (last, first) = (integer(row, 0)?, integer(row, 1)?);
            let (bytes, apparent_bytes) =
                if integer(row, 5)? == 1 { (number(row, 2)?, number(row, 6)?) } else { (0_u64, 0) };
            let block_bytes = bytes.checked_next_multiple_of(block.max(1)).unwrap_or(bytes);
            let held = Held { inodes: 1, bytes, apparent_bytes, block_bytes };
            if integer(row, 3)? == 0 {
                sums.entry((last, first)).or_default().add(held);
            } else if let Some(run) = run_of(&published, first, last) {
                let group = groups.entry(integer(row, 4)?).or_insert(Group { run, held });
                group.run = (group.run.0.min(run.0), group.run.1.max(run.1));
            }
        }
        let mut runs: BTreeMap<(usize, usize), Held> = BTreeMap::new();
        for ((last, first), held) in sums {
            if let Some(run) = run_of(&published, first, last) {
                runs.entry(run).or_default().add(held);
            }
        }
        for group in groups.into_values() {
            runs.entry(group.run).or_default().add(group.held);
        }
        let snapshots = published.iter().map(|one| (one.id, one.totals.directories)).collect();
        Ok(Accounts { snapshots, runs })
    }
}

impl Writer {
    /// What the unfinished snapshot `building` has begun: inodes but directories, and `bytes`. A further name of an
    /// inode that an older snapshot has begins nothing.
    pub fn begun_by(&self, building: SnapshotId) -> Result<Held, CatalogError> {
        let doing = "add up what is new";
        let mut statement = self
            .connection
            .prepare_cached(&format!(
                "SELECT {GROUPED}, inode, iif(kind = 'f', size - holes, 0) FROM version AS new \
                 WHERE last = {CURRENT} AND first = ?1 AND kind <> 'd' AND NOT ({GROUPED} \
                 AND EXISTS (SELECT 1 FROM version INDEXED BY version_grouped \
                             WHERE version.inode = new.inode AND {GROUPED} AND first < ?1))"
            ))
            .doing(doing)?;
        let mut rows = statement.query([building.0]).doing(doing)?;
        let mut groups: HashSet<i64> = HashSet::new();
        let mut sum = Held::default();
        while let Some(row) = rows.next().doing(doing)? {
            if integer(row, 0)? == 0 || groups.insert(integer(row, 1)?) {
                sum.inodes += 1;
                sum.bytes = sum.bytes.saturating_add(number(row, 2)?);
            }
        }
        Ok(sum)
    }
}

/// The eldest and the youngest of the published snapshots in `[first, last)`; `None` if there is none.
fn run_of(published: &[Snapshot], first: i64, last: i64) -> Option<(usize, usize)> {
    let eldest = published.partition_point(|one| one.id.0 < first);
    let end = published.partition_point(|one| one.id.0 < last);
    (eldest < end).then(|| (eldest, end - 1))
}

//! The pantry: a job's catalog of every version of every path. The only SQL of linksnap.
//!
//! The catalog is temporal: a [`Version`] of a path holds for the snapshots from its `first` up to, not
//! including, its `last`. A snapshot in which a path has not changed writes nothing. `docs/format.md`
//! describes every table.
//!
//! **Invariant:** a committed row that names stored bytes was written after those bytes were on disk: the
//! caller syncs the filesystem before every [`Writer::commit`].
//!
//! Knows nothing of directories on disk, nor of policy.

mod accounts;
mod deletion;
mod error;
mod growth;
mod names;
mod reader;
mod reindex;
mod rows;
mod schema;
mod snapshots;
mod version;
mod writer;

pub use accounts::{Accounts, Held};
pub use deletion::Freed;
pub use error::CatalogError;
pub use growth::{Event, Growth};
pub use names::StoredName;
pub use reader::{Placed, Reader};
pub use reindex::StoredContent;
pub use rows::{Row, Rows};
pub use snapshots::{PathProblem, Snapshot, SnapshotId, State, Totals};
pub use version::{DirId, Holding, Seen, Version, XattrsId};
pub use writer::{Change, DirectoryChanges, NewVersion, Writer};

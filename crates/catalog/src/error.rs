//! What can go wrong with a catalog.

use std::path::PathBuf;

/// A catalog that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// SQLite failed.
    #[error("the catalog failed to {doing}")]
    Sql {
        /// What was tried.
        doing: &'static str,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// The file was written by a newer linksnap.
    #[error("the catalog {} has format {found}; this linksnap knows formats up to {known}", path.display())]
    Newer {
        /// The catalog's file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// A row does not mean anything.
    #[error("the catalog holds a row that makes no sense: {what}")]
    Row {
        /// What is wrong with it.
        what: String,
    },
}

impl CatalogError {
    /// Can it be that SQLite wanted room on the disk and found none? Of a file that it makes in vain it says only that it
    /// cannot open it.
    #[must_use]
    pub fn may_lack_room(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, DiskFull, SystemIoFailure};
        let code = match self {
            Self::Sql { source, .. } => source.sqlite_error_code(),
            _ => None,
        };
        matches!(code, Some(CannotOpen | DiskFull | SystemIoFailure))
    }
}

/// Says what was being done when SQLite failed.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, CatalogError>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, CatalogError> {
        self.map_err(|source| CatalogError::Sql { doing, source })
    }
}

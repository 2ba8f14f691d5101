//! Names: under which paths, in which snapshots, an inode of the repository stands. From the catalog.

use linksnap_catalog::{Reader, Snapshot, StoredName};
use linksnap_inode::path;

use crate::job::{Job, JobError};
use crate::report::Class;

/// A path of the source under which snapshots have the inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPath {
    /// The path as the source had it, absolute.
    pub path: Vec<u8>,
    /// The names of the published snapshots that have it there, the oldest first.
    pub snapshots: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NamesError {
    /// The job or its catalog cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The inode numbers in the catalog are those of the repository that this one was copied from.
    #[error(
        "the catalog of the job {job} knows the inodes by the numbers that they had before it was copied"
    )]
    OldNumbers {
        /// The job.
        job: String,
    },
}

impl NamesError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Job(error) => error.class(),
            Self::OldNumbers { .. } => Class::Failed,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Job(error) => error.hint(),
            Self::OldNumbers { .. } => Some(
                "name a directory to look through instead: `linksnap names PATH DIR`; the next backup learns the new \
                 numbers"
                    .to_owned(),
            ),
        }
    }
}

/// All paths of the stored inode of that number, sorted; none if no published snapshot has it, or it is a directory.
///
/// # Errors
/// If the catalog cannot be used, or its numbers are those of another place.
pub fn names(job: &Job, inode: u64) -> Result<Vec<StoredPath>, NamesError> {
    let reader = job.catalog()?;
    let failed = |source| NamesError::from(job.catalog_error(source));
    if is_moved(job, &reader).map_err(failed)? {
        return Err(NamesError::OldNumbers { job: job.name().to_string() });
    }
    let published = reader.published().map_err(failed)?;
    let mut paths: Vec<StoredPath> = Vec::new();
    for name in reader.names_of(inode).map_err(failed)? {
        let path = path::absolute(&name.path);
        let snapshots = holders(&published, &name);
        match paths.last_mut() {
            Some(before) if before.path == path => before.snapshots.extend(snapshots),
            _ => paths.push(StoredPath { path, snapshots: snapshots.collect() }),
        }
    }
    paths.retain(|path| !path.snapshots.is_empty());
    Ok(paths)
}

fn is_moved(job: &Job, reader: &Reader) -> Result<bool, linksnap_catalog::CatalogError> {
    let home = reader.home()?;
    let here = job.workshop().stat().map(|stat| stat.inode);
    Ok(home.is_some() && home != here.ok())
}

fn holders<'a>(published: &'a [Snapshot], name: &'a StoredName) -> impl Iterator<Item = String> + 'a {
    let has = |one: &&Snapshot| one.id >= name.first && name.last.is_none_or(|last| one.id < last);
    published.iter().filter(has).map(|one| one.name.clone())
}

//! A job: its directory in the repository, its lock, its snapshots.

use std::path::{Path, PathBuf};

use linksnap_catalog::{CatalogError, Reader, Snapshot};
use linksnap_inode::lock::{Attempt, Lock};
use linksnap_inode::{DirFd, Errno, FsError, Kind};

use crate::layout;
use crate::report::Class;
use crate::repository::{Home, Repository};
use crate::snapshot::{SelectError, Selector, SnapshotName};

/// A job's name: letters, digits, `.`, `_` and `-`, not starting with `.` or `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(String);

/// A name that no job can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be the name of a job: {reason}")]
pub struct JobNameError {
    /// The name.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl JobName {
    /// The name, if `text` can be one.
    pub fn parse(text: &str) -> Result<Self, JobNameError> {
        let fail = |reason| Err(JobNameError { name: text.to_owned(), reason });
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        match text.as_bytes() {
            [] => fail("it is empty"),
            [b'.' | b'-', ..] => fail("it begins with . or -"),
            bytes if bytes.len() > 100 => fail("it has more than 100 characters"),
            bytes if !bytes.iter().copied().all(fits) => fail("only letters, digits, . _ and - may be in it"),
            _ if SnapshotName::parse(text).is_some() => fail("it looks like a snapshot"),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for JobName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for JobName {
    type Err = JobNameError;

    fn from_str(text: &str) -> Result<Self, JobNameError> {
        Self::parse(text)
    }
}

/// A job of an open repository.
#[derive(Debug)]
pub struct Job {
    name: JobName,
    path: PathBuf,
    dir: DirFd,
    workshop: DirFd,
    /// Where the repository is.
    home: Home,
}

/// Why a job cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The repository has no such job.
    #[error("the repository {} has no job {name}", repository.display())]
    Missing {
        /// The job.
        name: JobName,
        /// The repository.
        repository: PathBuf,
    },
    /// Another process is at work on it.
    #[error("another process is at work on the job {name}: {holder}")]
    Locked {
        /// The job.
        name: JobName,
        /// What it wrote into the lock file.
        holder: String,
    },
    /// Its repository is not where it was made.
    #[error("{} is a copy of the repository that it was, or on another disk than it was", repository.display())]
    Moved {
        /// The repository.
        repository: PathBuf,
    },
    /// It has no catalog, or an empty one.
    #[error("the catalog {} is missing", path.display())]
    NoCatalog {
        /// Where it should be.
        path: PathBuf,
    },
    /// It has snapshots, but its catalog knows none of them.
    #[error("the catalog {} is not that of the snapshots beside it", path.display())]
    ForeignCatalog {
        /// The catalog.
        path: PathBuf,
    },
    /// No such snapshot.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// Its catalog cannot be used.
    #[error("the catalog of the job {name} cannot be used")]
    Catalog {
        /// The job.
        name: JobName,
        /// Why.
        source: CatalogError,
    },
    /// The filesystem failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// What to do about a catalog that is lost or cannot be used.
pub const REINDEX_HINT: &str = "the snapshots themselves are untouched plain directories, and `linksnap reindex` makes \
     a new catalog of them; all but the pins and notes in a lost catalog comes back";

impl JobError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Locked { .. } => Class::Locked,
            Self::Moved { .. } => Class::NoRepository,
            Self::Select(_) | Self::Missing { .. } => Class::Usage,
            Self::NoCatalog { .. } | Self::ForeignCatalog { .. } | Self::Catalog { .. } | Self::Fs(_) => {
                Class::Failed
            }
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { .. } => "`linksnap snapshots` lists what there is".to_owned(),
            Self::Locked { .. } => {
                "wait until it has finished, as --wait 10m does; the lock ends with its process".to_owned()
            }
            Self::Moved { repository } => format!(
                "nothing was written. Is the right disk mounted? If you have moved or copied it there: \
                 linksnap init --moved --repo {}",
                repository.display()
            ),
            Self::Catalog { source: CatalogError::Newer { .. }, .. } => {
                "a newer linksnap wrote it: use that one".to_owned()
            }
            Self::NoCatalog { .. } | Self::ForeignCatalog { .. } | Self::Catalog { .. } => {
                REINDEX_HINT.to_owned()
            }
            Self::Select(_) => "`linksnap snapshots` lists them".to_owned(),
            Self::Fs(_) => return None,
        })
    }
}

impl Job {
    /// Opens a job that exists.
    pub fn open(repository: &Repository, name: &JobName) -> Result<Self, JobError> {
        Self::find(repository, name)?.ok_or_else(|| JobError::Missing {
            name: name.clone(),
            repository: repository.path().to_path_buf(),
        })
    }

    /// Opens a job; `None` if there is none of this name yet.
    pub fn find(repository: &Repository, name: &JobName) -> Result<Option<Self>, JobError> {
        let path = repository.path().join(name.as_str());
        let dir = match repository.dir().open_dir(name.as_str().as_bytes()) {
            Ok(dir) => dir,
            Err(fault) if fault.is(Errno::NOENT) => return Ok(None),
            Err(fault) => return Err(fault.at(&path).into()),
        };
        let workshop = match dir.open_dir(layout::WORKSHOP) {
            Ok(workshop) => workshop,
            Err(fault) if fault.is(Errno::NOENT) => return Ok(None),
            Err(fault) => return Err(fault.at(path.join(".linksnap")).into()),
        };
        Ok(Some(Self { name: name.clone(), path, dir, workshop, home: repository.home() }))
    }

    /// Opens a job, which is made if missing.
    pub fn open_or_create(repository: &Repository, name: &JobName) -> Result<Self, JobError> {
        let path = repository.path().join(name.as_str());
        refuse_moved(repository.home(), repository.path())?;
        make_dir(repository.dir(), name.as_str().as_bytes()).map_err(|fault| fault.at(&path))?;
        let at_workshop = |fault: linksnap_inode::Fault| fault.at(path.join(".linksnap"));
        let dir = repository.dir().open_dir(name.as_str().as_bytes()).map_err(|fault| fault.at(&path))?;
        make_dir(&dir, layout::WORKSHOP).map_err(at_workshop)?;
        let workshop = dir.open_dir(layout::WORKSHOP).map_err(at_workshop)?;
        for parent in [&dir, repository.dir()] {
            parent.sync().map_err(|fault| fault.at(&path))?;
        }
        Ok(Self { name: name.clone(), path, dir, workshop, home: repository.home() })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &JobName {
        &self.name
    }

    /// Its directory, in which the snapshots are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its directory, open.
    #[must_use]
    pub fn dir(&self) -> &DirFd {
        &self.dir
    }

    /// `.linksnap`, open.
    #[must_use]
    pub fn workshop(&self) -> &DirFd {
        &self.workshop
    }

    /// The path of something in `.linksnap`.
    #[must_use]
    pub fn workshop_path(&self, name: &[u8]) -> PathBuf {
        self.path.join(".linksnap").join(linksnap_inode::path::as_path(name))
    }

    /// The path of the catalog.
    #[must_use]
    pub fn catalog_path(&self) -> PathBuf {
        self.workshop_path(layout::CATALOG.as_bytes())
    }

    /// The names of the directories beside the workshop that are called like snapshots, sorted: the oldest first.
    pub fn snapshot_names(&self) -> Result<Vec<SnapshotName>, FsError> {
        let names = self.dir.names().map_err(|fault| fault.at(&self.path))?;
        let mut found = Vec::new();
        for name in names.iter() {
            let parsed = std::str::from_utf8(name.bytes).ok().and_then(SnapshotName::parse);
            if let Some(parsed) = parsed.filter(|_| matches!(name.kind, None | Some(Kind::Directory))) {
                found.push(parsed);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Is there no catalog, or an empty file in its place, though there are snapshots?
    pub fn has_lost_catalog(&self) -> Result<bool, FsError> {
        match self.workshop.stat_entry(layout::CATALOG.as_bytes()) {
            Ok(stat) if stat.size > 0 => Ok(false),
            Err(fault) if !fault.is(Errno::NOENT) => Err(fault.at(self.catalog_path())),
            _ => Ok(!self.snapshot_names()?.is_empty()),
        }
    }

    /// Opens the catalog for reading.
    pub fn catalog(&self) -> Result<Reader, JobError> {
        match self.workshop.stat_entry(layout::CATALOG.as_bytes()) {
            Ok(stat) if stat.size == 0 && self.has_lost_catalog()? => {
                Err(JobError::NoCatalog { path: self.catalog_path() })
            }
            Ok(_) => Reader::open(&self.catalog_path()).map_err(|source| self.catalog_error(source)),
            Err(fault) if fault.is(Errno::NOENT) => Err(JobError::NoCatalog { path: self.catalog_path() }),
            Err(fault) => Err(fault.at(self.catalog_path()).into()),
        }
    }

    /// Says which job's catalog failed.
    #[must_use]
    pub fn catalog_error(&self, source: CatalogError) -> JobError {
        JobError::Catalog { name: self.name.clone(), source }
    }

    /// The published snapshots in the order in which they were made.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, JobError> {
        self.catalog()?.published().map_err(|source| self.catalog_error(source))
    }

    /// Does this tree bear the name of a snapshot? Whoever deletes one takes its name away before all else.
    #[must_use]
    pub fn bears_name(&self, tree: &DirFd, name: &str) -> bool {
        let own = tree.stat().map(|stat| stat.identity());
        let named = self.dir.stat_entry(name.as_bytes()).map(|stat| stat.identity());
        matches!((own, named), (Ok(own), Ok(named)) if own == named)
    }

    /// The snapshot that is meant.
    pub fn select(&self, selector: &Selector) -> Result<Snapshot, JobError> {
        let mut snapshots = self.snapshots()?;
        let names: Vec<&str> = snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect();
        let wanted = selector.select(&names)?;
        let at = names.iter().position(|name| *name == wanted).unwrap_or_default();
        Ok(snapshots.swap_remove(at))
    }

    /// Refuses a job whose repository is not where it was made: nothing may be written into it.
    pub fn refuse_moved(&self) -> Result<(), JobError> {
        refuse_moved(self.home, self.path.parent().unwrap_or(&self.path))
    }

    /// Takes the job's lock for writing, or says who holds it. It is free again when dropped, and when the
    /// process dies.
    pub fn lock(&self, holder: &str) -> Result<Lock, JobError> {
        let attempt = Lock::try_acquire(&self.workshop, layout::LOCK, holder)
            .map_err(|fault| fault.at(self.workshop_path(layout::LOCK)))?;
        match attempt {
            Attempt::Locked(lock) => Ok(lock),
            Attempt::HeldBy(holder) => Err(JobError::Locked { name: self.name.clone(), holder }),
        }
    }
}

fn refuse_moved(home: Home, repository: &Path) -> Result<(), JobError> {
    match home {
        Home::AsRecorded => Ok(()),
        Home::Elsewhere => Err(JobError::Moved { repository: repository.to_path_buf() }),
    }
}

fn make_dir(parent: &DirFd, name: &[u8]) -> Result<(), linksnap_inode::Fault> {
    match parent.make_dir(name) {
        Err(fault) if fault.is(Errno::EXIST) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_names_are_plain_and_never_snapshots() {
        for good in ["web1", "a.b_c-d", "0"] {
            assert!(JobName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".x", "-x", "a/b", "a b", "ü", "2026-04-08T020000Z"] {
            assert!(JobName::parse(bad).is_err(), "{bad}");
        }
    }
}

//! What plan and deed of a restore have in common: the snapshot, what of it is meant, and what must not be touched.

use std::path::PathBuf;

use linksnap_catalog::{DirId, Holding, Reader, Rows, Snapshot, Version};
use linksnap_inode::path;
use linksnap_inode::{DirFd, Errno, Fault, Kind, Stat, mounts};

use super::judge::look;
use super::owners::{Accounts, Owners, Ownership};
use super::{Extra, RestoreError, RestoreOptions, catalog_error, station};
use crate::job::Job;
use crate::monitor::Monitor;
use crate::source::Sources;

/// As much as is read of `/etc/passwd` and `/etc/group`, in bytes.
pub(super) const LARGEST_TABLE: usize = 64 << 20;

pub(super) struct Scene<'a> {
    pub job: &'a Job,
    pub snapshot: &'a Snapshot,
    pub options: &'a RestoreOptions,
    pub monitor: &'a dyn Monitor,
    pub paths: Sources,
    pub owners: Owners,
    /// The snapshot's tree.
    pub root: DirFd,
    /// The repository, and all directories above it.
    above_repository: Vec<(u64, u64)>,
}

/// The names of a directory that the snapshot does not have.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// Those that go.
    pub doomed: Vec<Vec<u8>>,
    /// How many stay, though names like these are to go.
    pub kept: u64,
}

impl<'a> Scene<'a> {
    pub fn new(
        job: &'a Job,
        snapshot: &'a Snapshot,
        options: &'a RestoreOptions,
        monitor: &'a dyn Monitor,
    ) -> Result<Self, RestoreError> {
        let root = job.dir().open_dir(snapshot.name.as_bytes());
        let root = root.map_err(|fault| fault.at(job.path().join(&snapshot.name)))?;
        let owners = match &options.ownership {
            Ownership::Numeric => Owners::default(),
            Ownership::ByName(here) => Owners::between(&accounts_in(job, snapshot, &root)?, here),
        };
        let above_repository = chain(job).map_err(|fault| fault.at(job.path()))?;
        let paths = super::selection(options)?;
        Ok(Self { job, snapshot, options, monitor, paths, owners, root, above_repository })
    }

    /// The entries of a directory of the snapshot.
    pub fn rows(&self, reader: &Reader, id: DirId) -> Result<Rows, RestoreError> {
        reader.as_of(id, self.snapshot.id).map_err(|source| catalog_error(self.job, source))
    }

    /// The root's own version.
    pub fn root_version(&self, reader: &Reader) -> Result<Option<Version>, RestoreError> {
        Ok(self.rows(reader, DirId(0))?.find(b"").map(|row| row.version.clone()))
    }

    /// Is this entry among what is restored, or on the way to it?
    pub fn is_wanted(&self, dir: &[u8], name: &[u8], inside: bool) -> bool {
        inside || self.paths.names_in(dir).contains(&name)
    }

    /// Is everything in this directory restored?
    pub fn is_inside(&self, dir: &[u8], parent_inside: bool) -> bool {
        parent_inside || self.paths.contains(dir)
    }

    /// Is this directory the repository itself?
    pub fn is_repository(&self, stat: &Stat) -> bool {
        self.above_repository.first() == Some(&stat.identity())
    }

    /// Is there something in this directory that no restore may move: the repository, or what is mounted?
    pub fn is_fixed(&self, dir: &DirFd, name: &[u8], stat: &Stat) -> bool {
        if stat.kind != Kind::Directory {
            return false;
        }
        stat.mount_root
            || self.above_repository.contains(&stat.identity())
            || dir.open_dir(name).is_ok_and(|inner| !mounts::below(&inner).is_empty())
    }

    /// What of a directory of the target the snapshot does not have, if that is asked for.
    pub fn extras(&self, dir: &DirFd, own: Option<&Version>, rows: &Rows) -> Result<Extras, Fault> {
        let mut extras = Extras::default();
        if self.options.extra == Extra::Stay {
            return Ok(extras);
        }
        let is_whole = own.is_some_and(|own| own.holding == Holding::Whole);
        let mut names = dir.sorted_names()?;
        names.retain(|name| name.bytes != station::NAME && rows.find(name.bytes).is_none());
        for name in names.iter() {
            let Some(stat) = look(dir, name.bytes)? else { continue };
            if is_whole && !self.is_fixed(dir, name.bytes, &stat) {
                extras.doomed.push(name.bytes.to_vec());
            } else {
                extras.kept += 1;
            }
        }
        Ok(extras)
    }

    /// The path in the target, for people.
    pub fn path_of(&self, path: &[u8]) -> PathBuf {
        path::under(&self.options.target, path)
    }

    pub fn at(&self, path: &[u8], fault: Fault) -> RestoreError {
        fault.at(self.path_of(path)).into()
    }
}

/// The repository's identity and those of all directories above it.
fn chain(job: &Job) -> Result<Vec<(u64, u64)>, Fault> {
    let mut dir = job.dir().open_dir(b"..")?;
    let mut chain = vec![dir.stat()?.identity()];
    loop {
        dir = dir.open_dir(b"..")?;
        let above = dir.stat()?.identity();
        if chain.last() == Some(&above) {
            return Ok(chain);
        }
        chain.push(above);
    }
}

/// Whose names the numbers in the snapshot are.
fn accounts_in(job: &Job, snapshot: &Snapshot, root: &DirFd) -> Result<Accounts, RestoreError> {
    let read = |name: &'static str| {
        let bytes = root
            .open_beneath(b"etc")
            .and_then(|etc| etc.open_file(name.as_bytes()))
            .and_then(|file| file.read_all(LARGEST_TABLE));
        match bytes {
            Ok(bytes) => Ok(bytes),
            Err(fault) if fault.is(Errno::NOENT) => {
                Err(RestoreError::NoNames { snapshot: snapshot.name.clone(), file: name })
            }
            Err(fault) => Err(fault.at(job.path().join(&snapshot.name).join("etc").join(name)).into()),
        }
    };
    Ok(Accounts { users: read("passwd")?, groups: read("group")? })
}

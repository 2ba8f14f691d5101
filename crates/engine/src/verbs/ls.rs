//! Ls: what a snapshot holds, from the catalog.

use std::ops::ControlFlow;

use linksnap_catalog::{CatalogError, DirId, Reader, Snapshot, Version};
use linksnap_inode::path;
use linksnap_inode::{ContentHash, Kind, Timestamp};

use crate::job::{Job, JobError};
use crate::report::Class;

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct LsOptions {
    /// Paths as the source had them, with or without the leading `/`; none: the root.
    pub paths: Vec<Vec<u8>>,
    /// Below them everything, not only the first level?
    pub recursive: bool,
}

/// One entry of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedEntry {
    /// Its path as the source had it, absolute.
    pub path: Vec<u8>,
    /// Kind.
    pub kind: Kind,
    /// The twelve permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Modification time.
    pub mtime: Timestamp,
    /// Text of a symbolic link.
    pub target: Option<Vec<u8>>,
    /// Hash of a file's content.
    pub hash: Option<ContentHash>,
    /// Device number.
    pub rdev: u64,
}

/// Told of every entry; says when it is enough.
pub type Tell<'a> = &'a mut dyn FnMut(&ListedEntry) -> ControlFlow<()>;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum LsError {
    /// The job or its catalog cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The snapshot does not have the path.
    #[error("the snapshot {snapshot} does not have {}", String::from_utf8_lossy(path))]
    NotThere {
        /// The snapshot.
        snapshot: String,
        /// The path.
        path: Vec<u8>,
    },
}

impl LsError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Job(error) => error.class(),
            Self::NotThere { .. } => Class::Failed,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Job(error) => error.hint(),
            Self::NotThere { .. } => {
                Some("paths are written as in the source: `linksnap ls` shows them".to_owned())
            }
        }
    }
}

/// Tells the entries of a snapshot: a directory before what is in it, and of each directory what is no
/// directory first, all in the order of their names.
pub fn ls(job: &Job, snapshot: &Snapshot, options: &LsOptions, entry: Tell<'_>) -> Result<(), LsError> {
    let reader = job.catalog()?;
    let recursive = options.recursive;
    let mut list = List { reader: &reader, snapshot, entry, recursive, is_enough: false };
    let failed = |source| LsError::from(job.catalog_error(source));
    let root = [Vec::new()];
    let paths = if options.paths.is_empty() { &root[..] } else { &options.paths };
    for written in paths {
        let not_there = || LsError::NotThere { snapshot: snapshot.name.clone(), path: written.clone() };
        let wanted = path::relative(written).ok_or_else(not_there)?;
        let version = find(&reader, snapshot, &wanted).map_err(failed)?.ok_or_else(not_there)?;
        match version.child {
            Some(directory) => list.directory(&wanted, directory).map_err(failed)?,
            None => list.tell(&listed(&wanted, &version)),
        }
        if list.is_enough {
            break;
        }
    }
    Ok(())
}

/// The version that a snapshot has of a path; the root has one, too.
pub(crate) fn find(
    reader: &Reader,
    snapshot: &Snapshot,
    wanted: &[u8],
) -> Result<Option<Version>, CatalogError> {
    let mut version = reader.as_of(DirId(0), snapshot.id)?.find(b"").map(|row| row.version.clone());
    for name in path::parts(wanted) {
        let Some(directory) = version.and_then(|version| version.child) else { return Ok(None) };
        version = reader.as_of(directory, snapshot.id)?.find(name).map(|row| row.version.clone());
    }
    Ok(version)
}

struct List<'a> {
    reader: &'a Reader,
    snapshot: &'a Snapshot,
    entry: Tell<'a>,
    recursive: bool,
    is_enough: bool,
}

impl List<'_> {
    fn directory(&mut self, dir: &[u8], id: DirId) -> Result<(), CatalogError> {
        let mut waiting = vec![(dir.to_vec(), id, None)];
        while let Some((path, id, own)) = waiting.pop().filter(|_| !self.is_enough) {
            if let Some(own) = &own {
                self.tell(own);
            }
            let rows = self.reader.as_of(id, self.snapshot.id)?;
            let mut deeper = Vec::new();
            for row in rows.iter() {
                let path = path::join(&path, row.name);
                let entry = listed(&path, row.version);
                deeper.push((path, row.version.child, entry));
            }
            self.tell_leaves(deeper, &mut waiting);
        }
        Ok(())
    }

    fn tell(&mut self, entry: &ListedEntry) {
        if !self.is_enough {
            self.is_enough = (self.entry)(entry).is_break();
        }
    }

    /// Tells what is not to be entered, and lets the directories wait.
    fn tell_leaves(
        &mut self,
        entries: Vec<(Vec<u8>, Option<DirId>, ListedEntry)>,
        waiting: &mut Vec<(Vec<u8>, DirId, Option<ListedEntry>)>,
    ) {
        let (directories, leaves): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(_, child, _)| child.is_some() && self.recursive);
        for (_, _, entry) in leaves {
            self.tell(&entry);
        }
        for (path, child, entry) in directories.into_iter().rev() {
            waiting.extend(child.map(|child| (path, child, Some(entry))));
        }
    }
}

fn listed(path: &[u8], version: &Version) -> ListedEntry {
    ListedEntry {
        path: path::absolute(path),
        kind: version.kind,
        mode: version.mode,
        uid: version.uid,
        gid: version.gid,
        size: version.size,
        mtime: version.mtime,
        target: version.target.as_deref().map(<[u8]>::to_vec),
        hash: version.hash,
        rdev: version.rdev,
    }
}

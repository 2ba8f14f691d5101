//! The plan of a restore: what would be made, and what is in the way.

use linksnap_catalog::{DirId, Reader, Snapshot, Version};
use linksnap_inode::{DirFd, Errno, Kind};

use super::{RestoreError, RestoreOptions, RestoreStep, RestoreSummary, catalog_error};
use crate::job::Job;
use crate::monitor::{Monitor, Wish};
use crate::path;
use crate::source::Sources;

pub(super) struct Plan<'a> {
    pub job: &'a Job,
    pub reader: &'a Reader,
    pub snapshot: &'a Snapshot,
    pub paths: &'a Sources,
    pub target: Option<DirFd>,
    pub options: &'a RestoreOptions,
    pub monitor: &'a dyn Monitor,
}

/// Is this entry among what is restored, or on the way to it?
pub(super) fn is_wanted(paths: &Sources, dir: &[u8], name: &[u8], inside: bool) -> bool {
    inside || paths.names_in(dir).contains(&name)
}

/// Is everything in this directory restored?
pub(super) fn is_inside(paths: &Sources, dir: &[u8], parent_inside: bool) -> bool {
    parent_inside || paths.contains(dir)
}

impl Plan<'_> {
    pub fn tell(&self, step: &mut dyn FnMut(&RestoreStep)) -> Result<RestoreSummary, RestoreError> {
        let mut summary = RestoreSummary::default();
        let mut waiting =
            vec![(Vec::new(), DirId::ROOT, is_inside(self.paths, b"", false), self.target.is_some())];
        while let Some((dir, id, inside, exists)) = waiting.pop() {
            if self.monitor.wish() == Wish::Stop {
                return Err(RestoreError::Interrupted);
            }
            let there = self.open(&dir, exists)?;
            let rows =
                self.reader.as_of(id, self.snapshot.id).map_err(|source| catalog_error(self.job, source))?;
            for row in rows.iter().filter(|row| is_wanted(self.paths, &dir, row.name, inside)) {
                let path = path::join(&dir, row.name);
                let found = self.kind_of(there.as_ref(), row.name, &path)?;
                step(&self.step(&path, row.version, found, &mut summary));
                if let Some(child) = row.version.child {
                    let inside = is_inside(self.paths, &path, inside);
                    waiting.push((path, child, inside, found == Some(Kind::Directory)));
                }
            }
        }
        Ok(summary)
    }

    fn open(&self, dir: &[u8], exists: bool) -> Result<Option<DirFd>, RestoreError> {
        let Some(root) = self.target.as_ref().filter(|_| exists) else { return Ok(None) };
        let opened = root.open_beneath(dir);
        Ok(Some(opened.map_err(|fault| fault.at(path::under(&self.options.target, dir)))?))
    }

    fn kind_of(&self, dir: Option<&DirFd>, name: &[u8], path: &[u8]) -> Result<Option<Kind>, RestoreError> {
        match dir.map(|dir| dir.stat_entry(name)) {
            None => Ok(None),
            Some(Ok(stat)) => Ok(Some(stat.kind)),
            Some(Err(fault)) if fault.is(Errno::NOENT) => Ok(None),
            Some(Err(fault)) => Err(fault.at(path::under(&self.options.target, path)).into()),
        }
    }

    fn step(
        &self,
        path: &[u8],
        version: &Version,
        found: Option<Kind>,
        summary: &mut RestoreSummary,
    ) -> RestoreStep {
        let enters = version.kind == Kind::Directory && found == Some(Kind::Directory);
        let action = match found {
            None => "create",
            Some(_) if enters => "enter",
            Some(_) => "replace",
        };
        if !enters {
            count(summary, version);
            summary.replaced += u64::from(found.is_some());
        }
        let bytes = if version.kind == Kind::File { version.size } else { 0 };
        RestoreStep { path: path::under(&self.options.target, path), action, bytes }
    }
}

pub(super) fn count(summary: &mut RestoreSummary, version: &Version) {
    match version.kind {
        Kind::File => {
            summary.files += 1;
            summary.bytes += version.size;
        }
        Kind::Directory => summary.directories += 1,
        Kind::Symlink => summary.symlinks += 1,
        _ => summary.specials += 1,
    }
}

//! Guards: what a run refuses to take a snapshot of, and what it takes one of without giving the older one up.

use std::path::PathBuf;

use linksnap_catalog::{DirId, Reader, Snapshot, SnapshotId, State, Writer};
use linksnap_inode::path;
use linksnap_inode::{DirFd, dir::path_bytes};

use super::{BackupError, BackupOptions, Built, Recipe, Scaffold, Upheaval};
use crate::ability::Changes;
use crate::job::{Job, JobError};
use crate::monitor::Monitor;
use crate::report::{Problem, ProblemKind, Problems};
use crate::repository::Repository;
use crate::source::Sources;
use crate::stages::guard::Tally;

/// What is found at the root of every ext4, however empty.
const LOST_AND_FOUND: &[u8] = b"lost+found";

/// The sources; those that are missing are left out if that is accepted.
pub(super) fn sources(
    root: &DirFd,
    options: &BackupOptions,
    problems: &Problems,
    monitor: &dyn Monitor,
) -> Result<Sources, BackupError> {
    let sources = Sources::new(&options.sources)?;
    if options.upheaval != Upheaval::Accept {
        return Ok(sources);
    }
    let (there, missing) = sources.present(root);
    for path in missing {
        let message = "the source is not there, and that is accepted: it is not in this snapshot".to_owned();
        problems.add(monitor, Problem { kind: ProblemKind::LeftOut, path: path::absolute(&path), message });
    }
    Ok(there)
}

/// Refuses a source that is empty, though the snapshot `basis` has something of it.
pub(super) fn refuse_emptied(
    sources: &Sources,
    root: &DirFd,
    (job, reader): (&Job, &Reader),
    basis: &Snapshot,
) -> Result<(), BackupError> {
    for source in sources.paths().filter(|source| is_empty(root, source)) {
        let had = has_entries(reader, source, basis.id).map_err(|error| job.catalog_error(error))?;
        if had {
            let path = PathBuf::from(path::as_path(&path::absolute(source)));
            return Err(BackupError::Emptied { path, basis: basis.name.clone() });
        }
    }
    Ok(())
}

/// What cannot be read is no empty directory: the run says more of it.
fn is_empty(root: &DirFd, source: &[u8]) -> bool {
    let names = root.open_beneath(source).and_then(|dir| dir.names());
    names.is_ok_and(|names| names.iter().all(|name| name.bytes == LOST_AND_FOUND))
}

/// Has a snapshot entries of the directory `path`?
fn has_entries(
    reader: &Reader,
    path: &[u8],
    snapshot: SnapshotId,
) -> Result<bool, linksnap_catalog::CatalogError> {
    let mut directory = DirId::ROOT;
    for name in path::parts(path) {
        match reader.child(directory, name)? {
            Some(child) => directory = child,
            None => return Ok(false),
        }
    }
    Ok(reader.as_of(directory, snapshot)?.iter().any(|row| row.name != LOST_AND_FOUND))
}

impl Recipe<'_> {
    /// Before anything is built.
    pub(super) fn refuse_emptied(&self, sources: &Sources, root: &DirFd) -> Result<(), BackupError> {
        if self.options.upheaval == Upheaval::Accept {
            return Ok(());
        }
        let reader = Reader::open(&self.job.catalog_path()).map_err(|error| self.catalog_error(error))?;
        let published = reader.published().map_err(|error| self.catalog_error(error))?;
        match published.last() {
            Some(basis) => refuse_emptied(sources, root, (&self.job, &reader), basis),
            None => Ok(()),
        }
    }

    /// Tries out what the repository's filesystem can do: warns of what it cannot do any more, and returns in words what
    /// it can now.
    pub(super) fn look_at_filesystem(&self, repository: &Repository) -> Vec<String> {
        let changes = repository.changes(self.job.workshop());
        let Changes { lost, gained } = changes.unwrap_or_else(|fault| Changes {
            lost: vec![format!("what its filesystem can do could not be tried out: {fault}")],
            gained: Vec::new(),
        });
        for words in lost {
            self.notice(repository.path(), &format!("the repository's filesystem has changed: {words}"));
        }
        gained
    }

    /// If most of a source is gone or changed: says so, and pins the basis in the catalog's open transaction. Says which
    /// snapshot that is.
    pub(super) fn hold(
        &self,
        built: &Built,
        sources: &Sources,
        (id, snapshots): (SnapshotId, &[Snapshot]),
        writer: &mut Writer,
    ) -> Result<Option<String>, BackupError> {
        let basis = snapshots.iter().rfind(|one| one.state == State::Published);
        let (Some(basis), Upheaval::Doubt) = (basis, self.options.upheaval) else { return Ok(None) };
        let mut suspects: Vec<(PathBuf, Tally)> = sources
            .paths()
            .map(|source| PathBuf::from(path::as_path(&path::absolute(source))))
            .zip(built.tallies.iter().copied())
            .filter(|(_, tally)| tally.is_mass_change())
            .collect();
        if suspects.is_empty() && built.scaffold == Scaffold::Interrupted && !built.tallies.is_empty() {
            // What the interrupted run had ended is not counted again, but the catalog knows.
            let ended = writer.ended_by(id).map_err(|error| self.catalog_error(error))?;
            let mut tally = Tally::default();
            tally.add(&built.counts);
            tally.lost = tally.lost.max(ended.saturating_sub(built.counts.replaced));
            suspects.extend(tally.is_mass_change().then(|| (self.job.path().to_path_buf(), tally)));
        }
        if suspects.is_empty() {
            return Ok(None);
        }
        for (path, tally) in &suspects {
            self.report_mass_change(path, tally, basis);
        }
        self.keep(basis, writer).map_err(BackupError::from)?;
        Ok(Some(basis.name.clone()))
    }

    fn report_mass_change(&self, path: &std::path::Path, tally: &Tally, basis: &Snapshot) {
        let (job, name) = (self.job.name(), &basis.name);
        let message = format!(
            "{} of {} entries of the snapshot {name} are gone or changed: it is pinned, and nothing is pruned in \
             this run. If this is as it should be: `linksnap unpin {job}/{name}`, and --accept-change for the next time",
            tally.gone(),
            tally.all(),
        );
        let problem = Problem { kind: ProblemKind::MassChange, path: path_bytes(path).to_vec(), message };
        self.problems.add(self.monitor, problem);
    }

    /// Pins a snapshot for ever; what somebody has noted of it stays.
    fn keep(&self, basis: &Snapshot, writer: &mut Writer) -> Result<(), JobError> {
        if basis.pinned && basis.pinned_until.is_none() {
            return Ok(());
        }
        let own = "pinned by itself: after it, most of a source was gone or changed";
        let note = if basis.note.is_empty() { own.to_owned() } else { format!("{}; {own}", basis.note) };
        writer.pin(basis.id, None, Some(&note)).map_err(|error| self.job.catalog_error(error))
    }
}

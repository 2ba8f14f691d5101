//! A dry run: the plan, shown instead of carried out. Writes nothing and takes no lock.

use std::path::PathBuf;

use linksnap_catalog::{DirId, Reader, Rows, Snapshot, SnapshotId, State};
use linksnap_inode::path;
use linksnap_inode::{DirFd, Fault, Kind, Names};

use super::{
    BackupError, BackupOptions, BackupSummary, Recycle, Scaffold, Upheaval, guards, open_root, stat_of,
};
use crate::exclude::Rules;
use crate::job::{Job, JobName};
use crate::layout;
use crate::monitor::{Monitor, Wish};
use crate::report::Problems;
use crate::repository::Repository;
use crate::source::Place;
use crate::stages::moved::Whence;
use crate::stages::plan::{self, Action, Reason, Step};
use crate::stages::retire;
use crate::stages::run::{Counts, RunError};
use crate::stages::scan::{self, Mounts, Scanned, Scope};
use crate::tree::{LocalTree, Tree};

/// One step of the plan, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStep {
    /// The path in the source, absolute.
    pub path: Vec<u8>,
    /// What would be done: one word.
    pub action: &'static str,
    /// Why: a few words.
    pub reason: &'static str,
    /// Bytes that would be copied, or read to see whether they have to be.
    pub bytes: u64,
}

/// Plans the run and tells every step; nothing is written. `Reuse` steps are not read: they count as reused.
/// Without a repository, everything is new.
pub fn preview(
    repository: Option<&Repository>,
    job: &JobName,
    options: &BackupOptions,
    step: &mut dyn FnMut(&PlannedStep),
    monitor: &dyn Monitor,
) -> Result<BackupSummary, BackupError> {
    let problems = Problems::default();
    let rules = Rules::new(&options.rules)?;
    let root = open_root()?;
    let sources = guards::sources(&root, options, &problems, monitor)?;
    let repository_stat = repository.map(stat_of).transpose()?;
    sources.check(&root, repository_stat.as_ref())?;
    let scope = Scope {
        sources: &sources,
        rules: &rules,
        mounts: if options.one_file_system { Mounts::Stay } else { Mounts::Cross },
        repository: repository_stat,
    };
    let job_found = match repository {
        Some(repository) => Job::find(repository, job)?,
        None => None,
    };
    let past = job_found.as_ref().map(Past::open).transpose()?.flatten();
    // What is staged will be published before the run begins: it is the basis then, and no scaffold.
    let is_staged =
        past.as_ref().and_then(|past| past.basis.as_ref()).is_some_and(|one| one.state == State::Staged);
    let interrupted = job_found
        .as_ref()
        .filter(|_| !is_staged)
        .and_then(|job| job.workshop().open_dir(layout::STAGING).ok());
    let (scaffold, kind) = match (interrupted, &job_found) {
        (Some(staging), _) => (Some(staging), Scaffold::Interrupted),
        (None, Some(job)) if options.recycle == Recycle::Always => match retire::peek_scaffold(job) {
            Some(retired) => (Some(retired), Scaffold::Recycled),
            None => (None, Scaffold::Empty),
        },
        (None, _) => (None, Scaffold::Empty),
    };
    if let (Some(job), Some(Past { reader, basis: Some(basis), .. })) = (&job_found, &past)
        && options.upheaval != Upheaval::Accept
    {
        guards::refuse_emptied(&sources, &root, (job, reader), basis)?;
    }
    let mut walk = Walk {
        scope,
        tree: LocalTree::new(root),
        past,
        scaffold,
        step,
        monitor,
        problems: &problems,
        counts: Counts::default(),
    };
    walk.all().map_err(|error| BackupError::of_run(job, error))?;
    Ok(BackupSummary {
        snapshot: None,
        path: repository.map_or_else(PathBuf::new, |repository| repository.path().join(job.as_str())),
        basis: walk.past.as_ref().and_then(|past| past.basis.as_ref()).map(|one| one.name.clone()),
        scaffold: kind,
        recovered: None,
        pinned: None,
        gained: Vec::new(),
        forecast: None,
        pruned: None,
        counts: walk.counts,
        version_rows: 0,
        problems: problems.take(),
    })
}

/// What earlier runs left in the catalog.
struct Past {
    reader: Reader,
    basis: Option<Snapshot>,
    building: Option<SnapshotId>,
}

impl Past {
    fn open(job: &Job) -> Result<Option<Self>, BackupError> {
        if job.workshop().stat_entry(layout::CATALOG.as_bytes()).is_err() {
            return Ok(None);
        }
        let reader = job.catalog()?;
        let snapshots = reader.snapshots().map_err(|source| job.catalog_error(source))?;
        let building = snapshots.iter().find(|one| one.state == State::Building).map(|one| one.id);
        let basis = snapshots.into_iter().rfind(|one| one.state != State::Building);
        Ok(Some(Self { reader, basis, building }))
    }

    fn rows(&self, id: DirId) -> Result<Rows, RunError> {
        Ok(match self.building {
            Some(building) => self.reader.current_and_ended_by(id, building)?,
            None => self.reader.current(id)?,
        })
    }
}

/// A directory still to be planned.
struct Waiting {
    path: Vec<u8>,
    id: Option<DirId>,
    scaffold: bool,
    place: Place,
}

/// What was found of a directory in the source.
struct Found {
    scanned: Scanned,
    place: Place,
    inode: u64,
}

struct Walk<'a> {
    scope: Scope<'a>,
    tree: LocalTree,
    past: Option<Past>,
    scaffold: Option<DirFd>,
    step: &'a mut dyn FnMut(&PlannedStep),
    monitor: &'a dyn Monitor,
    problems: &'a Problems,
    counts: Counts,
}

impl Walk<'_> {
    fn all(&mut self) -> Result<(), RunError> {
        let mut waiting = vec![Waiting {
            path: Vec::new(),
            id: Some(DirId::ROOT),
            scaffold: self.scaffold.is_some(),
            place: Place::OnTheWay,
        }];
        while let Some(next) = waiting.pop() {
            if self.monitor.wish() == Wish::Stop {
                return Err(RunError::Interrupted);
            }
            match self.scan(&next) {
                Ok(found) => self.directory(&next, found, &mut waiting)?,
                Err(fault) => {
                    let (dir, name) = path::split(&next.path);
                    self.problems.add(self.monitor, scan::lost(dir, name, fault));
                }
            }
        }
        Ok(())
    }

    fn scan(&self, next: &Waiting) -> Result<Found, Fault> {
        let source = self.tree.open(&next.path)?;
        let stat = source.stat()?;
        let inode = stat.inode;
        Ok(match scan::place_of(&source, &next.path, &stat, next.place, &self.scope)? {
            Some(place) => {
                Found { scanned: scan::scan(&source, &next.path, place, &self.scope)?, place, inode }
            }
            None => Found { scanned: Scanned::default(), place: next.place, inode },
        })
    }

    fn directory(
        &mut self,
        next: &Waiting,
        Found { scanned, place, inode }: Found,
        waiting: &mut Vec<Waiting>,
    ) -> Result<(), RunError> {
        for problem in scanned.problems {
            self.problems.add(self.monitor, problem);
        }
        self.counts.excluded += scanned.excluded;
        self.counts.directories += 1;
        let rows = match (&self.past, next.id) {
            (Some(past), Some(id)) => past.rows(id)?,
            _ => Rows::default(),
        };
        let names = self.scaffold_names(next);
        let building = self.past.as_ref().and_then(|past| past.building);
        let building = building.unwrap_or(SnapshotId(i64::MAX));
        let mut whence = Whence::default();
        for mut step in plan::plan(&scanned.listing, &rows, &names, building) {
            // Without a basis there is nothing to be linked.
            if let Some(Past { reader, basis: Some(_), .. }) = &self.past
                && let Some(moved) = whence.find((reader, &self.tree), &step, inode, building)?
            {
                (step.action, step.reason) = (moved.action, Reason::Moved);
            }
            self.count(&step)?;
            self.tell(next, &step);
            if step.action == Action::Enter {
                let known = step.known.checkpoint.or(step.known.basis);
                waiting.push(Waiting {
                    path: path::join(&next.path, step.name),
                    id: known.and_then(|version| version.child),
                    scaffold: matches!(step.scaffold, Some((Some(Kind::Directory), _))),
                    place,
                });
            }
        }
        Ok(())
    }

    fn scaffold_names(&self, next: &Waiting) -> Names {
        let root = self.scaffold.as_ref().filter(|_| next.scaffold);
        let read = root.map(|root| root.open_beneath(&next.path).and_then(|dir| dir.sorted_names()));
        read.and_then(Result::ok).unwrap_or_default()
    }

    fn count(&mut self, step: &Step<'_>) -> Result<(), RunError> {
        let below = match (step.action, step.known.basis) {
            (Action::Remove, Some(version)) => match version.child {
                Some(child) => self.count_below(child)?,
                None => 1,
            },
            _ => 0,
        };
        let counts = &mut self.counts;
        counts.removed += below;
        if let Some(stat) = step.source.filter(|_| step.action != Action::Enter) {
            counts.add_entry(stat);
        }
        match step.action {
            _ if step.reason == Reason::Moved => {
                counts.reused += 1;
                counts.moved += 1;
                counts.linked_entries += u64::from(step.action == Action::Link);
            }
            Action::Keep | Action::Link => {
                counts.unchanged += 1;
                let kept = step.action == Action::Keep;
                *(if kept { &mut counts.kept_entries } else { &mut counts.linked_entries }) += 1;
            }
            Action::Reuse => counts.reused += 1,
            Action::Copy | Action::Make => {
                let is_new = step.reason == Reason::New;
                *(if is_new { &mut counts.added } else { &mut counts.changed }) += 1;
                if step.action == Action::Copy {
                    counts.copied_files += 1;
                    let size = step.source.map_or(0, |stat| stat.size);
                    counts.copied_bytes = counts.copied_bytes.saturating_add(size);
                }
            }
            Action::Remove | Action::Enter => {}
        }
        Ok(())
    }

    fn count_below(&self, directory: DirId) -> Result<u64, RunError> {
        let mut waiting = vec![directory];
        let mut count = 0;
        while let (Some(id), Some(past)) = (waiting.pop(), &self.past) {
            let rows = past.rows(id)?;
            count += rows.iter().filter(|row| row.version.child.is_none()).count() as u64;
            waiting.extend(rows.iter().filter_map(|row| row.version.child));
        }
        Ok(count)
    }

    fn tell(&mut self, next: &Waiting, step: &Step<'_>) {
        let reads = matches!(step.action, Action::Copy | Action::Reuse);
        (self.step)(&PlannedStep {
            path: path::absolute(&path::join(&next.path, step.name)),
            action: step.action.word(),
            reason: step.reason.words(),
            bytes: step.source.filter(|_| reads).map_or(0, |stat| stat.size),
        });
    }
}

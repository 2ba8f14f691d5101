//! Backup: one run of a job, from its sources to a published snapshot.

mod preview;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use crossbeam_channel::{Receiver, Sender, bounded};
use linksnap_catalog::{
    CatalogError, DirId, PathProblem, Reader, Rows, Snapshot, SnapshotId, State, Totals, Writer,
};
use linksnap_inode::{DirFd, Errno, FsError, Kind, Timestamp, clock, limits};

use crate::exclude::{RuleError, RuleOptions, Rules};
use crate::job::{Job, JobError, JobName};
use crate::layout;
use crate::monitor::{Monitor, Phase, Progress};
use crate::pool;
use crate::report::{Class, Collected, Problem, ProblemKind, Problems};
use crate::repository::Repository;
use crate::snapshot::SnapshotName;
use crate::source::{SourceError, Sources};
use crate::stages::build::{self, Past, Task};
use crate::stages::plan::Known;
use crate::stages::publish::{self, PublishError, Staged};
use crate::stages::rebind;
use crate::stages::recover::{self, Recovered};
use crate::stages::remove;
use crate::stages::run::{Counts, Hands, Message, Run, RunError};
use crate::stages::scan::{Mounts, Scope};
use crate::tree::LocalTree;

pub use preview::{PlannedStep, preview};

/// Times this much before the start of the scan are old enough to be trusted, in seconds: more than the
/// coarsest time stamps of filesystems that are read here.
const RACY_SECONDS: i64 = 2;

/// After so many snapshots the copy of the catalog is renewed: it costs as much as the catalog is large.
const SNAPSHOTS_A_COPY: i64 = 8;

/// How a job is backed up.
#[derive(Debug, Clone)]
pub struct BackupOptions {
    /// What to back up: absolute paths.
    pub sources: Vec<PathBuf>,
    /// What to leave out.
    pub rules: RuleOptions,
    /// Stay on the filesystem of each source?
    pub one_file_system: bool,
    /// How much of what is kept and linked to look at again.
    pub validate: Thoroughness,
    /// The time of the run, in seconds since 1970: the snapshot's name.
    pub now: i64,
    /// Threads; `None`: as many as usual.
    pub threads: Option<usize>,
    /// Who holds the lock, for others to read: process, host, command.
    pub holder: String,
}

/// How much of what is kept and linked a run looks at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoroughness {
    /// One directory in so many, others in the next run.
    Share(u32),
    /// All.
    Full,
}

impl Default for Thoroughness {
    fn default() -> Self {
        Self::Share(16)
    }
}

/// What came of a backup.
#[derive(Debug, Clone)]
pub struct BackupSummary {
    /// The new snapshot; `None` in a dry run.
    pub snapshot: Option<SnapshotName>,
    /// Where it is.
    pub path: PathBuf,
    /// The snapshot it was compared with.
    pub basis: Option<String>,
    /// What it was built on: `empty`, `interrupted` or `recycled`.
    pub scaffold: &'static str,
    /// A snapshot of an earlier run that was complete but not published, and is now.
    pub recovered: Option<String>,
    /// What was counted.
    pub counts: Counts,
    /// Version rows written to the catalog.
    pub version_rows: u64,
    /// Problems and warnings.
    pub problems: Collected,
}

/// Why there is no new snapshot.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A source cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A rule means nothing.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The job cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The run ended before all was built.
    #[error("the job {job} was not backed up")]
    Run {
        /// The job.
        job: JobName,
        /// Why.
        source: RunError,
    },
    /// All was built, but not published.
    #[error("the snapshot of the job {job} was not published")]
    Publish {
        /// The job.
        job: JobName,
        /// Why.
        source: PublishError,
    },
    /// The watcher wanted it.
    #[error("interrupted: nothing was published; the next run goes on from here")]
    Interrupted,
}

impl BackupError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Source(SourceError::NotAbsolute { .. } | SourceError::None) | Self::Rule(_) => Class::Usage,
            Self::Source(SourceError::Fs(_)) => Class::Failed,
            Self::Source(_) => Class::Guard,
            Self::Job(error) => error.class(),
            Self::Run { .. } | Self::Publish { .. } => Class::Failed,
            Self::Interrupted => Class::Interrupted,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::Job(error) => error.hint(),
            Self::Rule(_) => Some("patterns are written as in .gitignore".to_owned()),
            Self::Run { source: RunError::Staging(error), .. } => Some(disk_hint(error)),
            Self::Publish { source: PublishError::Fs(error) | PublishError::Sync(error), .. } => {
                Some(disk_hint(error))
            }
            Self::Run { source: RunError::Invalid { .. }, .. } => Some(
                "something else writes into the repository, or the disk does not keep what it is \
                 given: look into the kernel's log"
                    .to_owned(),
            ),
            Self::Run { .. } | Self::Publish { .. } => {
                Some("nothing was published; earlier snapshots are untouched".to_owned())
            }
            Self::Interrupted => None,
        }
    }
}

fn disk_hint(error: &FsError) -> String {
    let what = if error.is(Errno::ACCESS) || error.is(Errno::PERM) || error.is(Errno::EXIST) {
        "something in the repository is in the way: look at the path named"
    } else if error.is(Errno::NOSPC) {
        "the repository's disk is full: `df -h` shows bytes, `df -i` inodes. Free some, or remove the \
         oldest snapshots"
    } else if error.is(Errno::DQUOT) {
        "the quota on the repository's disk is used up"
    } else {
        "look into the kernel's log for errors of the repository's disk"
    };
    format!("{what}; nothing was published, and earlier snapshots are untouched")
}

/// Takes a snapshot of the job's sources and publishes it.
pub fn backup(
    repository: &Repository,
    job: &JobName,
    options: &BackupOptions,
    monitor: &dyn Monitor,
) -> Result<BackupSummary, BackupError> {
    let sources = Sources::new(&options.sources)?;
    let rules = Rules::new(&options.rules)?;
    let root = open_root()?;
    let repository_stat = stat_of(repository)?;
    sources.check(&root, Some(&repository_stat))?;
    limits::raise_open_files();

    let job = Job::open_or_create(repository, job)?;
    let _lock = job.lock(&options.holder)?;
    // Opened before the first write: syncfs reports errors since then.
    let sync = job.dir().reopen().map_err(|fault| JobError::from(fault.at(job.path())))?;
    refuse_lost_catalog(&job)?;
    let mut writer = Writer::open(&job.catalog_path()).map_err(|source| job.catalog_error(source))?;
    monitor.reached(Phase::Recover);
    let failed = |source| BackupError::Publish { job: job.name().clone(), source };
    let recovered = recover::finish_staged(&job, &mut writer, &sync, monitor).map_err(failed)?;
    recover::forget_without_staging(&job, &mut writer).map_err(failed)?;
    let problems = Problems::default();
    if rebind::rebind(&job, &mut writer).map_err(failed)? {
        problems.add(
            monitor,
            Problem {
                kind: ProblemKind::Notice,
                path: linksnap_inode::dir::path_bytes(job.path()).to_vec(),
                message: "this job was copied from elsewhere: which inode holds what was looked up anew"
                    .to_owned(),
            },
        );
    }

    let scope = Scope {
        sources: &sources,
        rules: &rules,
        mounts: if options.one_file_system { Mounts::Stay } else { Mounts::Cross },
        repository: Some(repository_stat),
    };
    let recipe = Recipe { job: &job, options, monitor, problems: &problems, recovered };
    recipe.cook(scope, &LocalTree::new(root), writer, &sync)
}

/// Snapshots without a catalog: nothing could be linked to them, and they would be forgotten.
fn refuse_lost_catalog(job: &Job) -> Result<(), JobError> {
    match job.workshop().stat_entry(layout::CATALOG.as_bytes()) {
        Err(fault) if fault.is(Errno::NOENT) => {}
        Err(fault) => return Err(fault.at(job.catalog_path()).into()),
        Ok(_) => return Ok(()),
    }
    let names = job.dir().names().map_err(|fault| fault.at(job.path()))?;
    let is_snapshot =
        |name: &[u8]| std::str::from_utf8(name).is_ok_and(|name| SnapshotName::parse(name).is_some());
    if names.iter().any(|name| is_snapshot(name.bytes)) {
        return Err(JobError::NoCatalog { path: job.catalog_path() });
    }
    Ok(())
}

fn open_root() -> Result<DirFd, BackupError> {
    DirFd::open_root("/".as_ref()).map_err(|fault| SourceError::from(fault.at("/")).into())
}

fn stat_of(repository: &Repository) -> Result<linksnap_inode::Stat, BackupError> {
    let stat = repository.dir().stat();
    stat.map_err(|fault| JobError::from(fault.at(repository.path())).into())
}

/// One run, once everything is open and locked.
struct Recipe<'a> {
    job: &'a Job,
    options: &'a BackupOptions,
    monitor: &'a dyn Monitor,
    problems: &'a Problems,
    recovered: Recovered,
}

/// What building gave.
struct Built {
    counts: Counts,
    basis: Option<String>,
    scaffold: &'static str,
}

impl Recipe<'_> {
    fn cook(
        &self,
        scope: Scope<'_>,
        tree: &LocalTree,
        mut writer: Writer,
        sync: &DirFd,
    ) -> Result<BackupSummary, BackupError> {
        let snapshots = writer.snapshots().map_err(|source| self.catalog_error(source))?;
        let id = writer.begin_snapshot(self.options.now).map_err(|source| self.catalog_error(source))?;
        self.monitor.reached(Phase::Build);
        let built = self.build(scope, tree, &mut writer, (id, &snapshots), sync);
        let built = match built {
            Ok(built) => built,
            Err(error) => return Err(self.give_up(error, writer, sync)),
        };
        self.warn_of_recovery();
        let problems = self.problems.take();
        let taken: Vec<String> = snapshots.into_iter().map(|snapshot| snapshot.name).collect();
        let name = self.publish(&built, &problems, (id, &taken), &mut writer, sync)?;
        let rows = writer.rows_written();
        let mut problems = problems;
        if id.0 % SNAPSHOTS_A_COPY == 1 {
            problems.add(self.copy_catalog(&writer));
        }
        drop(writer);
        Ok(BackupSummary {
            path: self.job.path().join(name.as_str()),
            snapshot: Some(name),
            basis: built.basis,
            scaffold: built.scaffold,
            recovered: self.recovered.published.clone(),
            counts: built.counts,
            version_rows: rows,
            problems,
        })
    }

    /// Keeps a copy of the catalog beside it. That it fails is only worth a warning.
    fn copy_catalog(&self, writer: &Writer) -> Option<Problem> {
        let workshop = self.job.workshop();
        let (copy, new) = (layout::CATALOG_COPY.as_bytes(), layout::NEW_CATALOG_COPY.as_bytes());
        let path = self.job.workshop_path(new);
        let written = writer.copy_to(&path).map_err(|error| error.to_string());
        let kept = written.and_then(|()| {
            let kept = workshop.open_file(new).and_then(|file| file.sync());
            kept.and_then(|()| workshop.rename(new, workshop, copy)).map_err(|fault| fault.to_string())
        });
        let path = linksnap_inode::dir::path_bytes(&path).to_vec();
        let warning = |message| Problem { kind: ProblemKind::Notice, path, message };
        kept.err().map(|error| warning(format!("no copy of the catalog was kept: {error}")))
    }

    fn publish(
        &self,
        built: &Built,
        problems: &Collected,
        (id, taken): (SnapshotId, &[String]),
        writer: &mut Writer,
        sync: &DirFd,
    ) -> Result<SnapshotName, BackupError> {
        let fail = |source| BackupError::Publish { job: self.job.name().clone(), source };
        let name = publish::free_name(self.job, taken, self.options.now).map_err(fail)?;
        let kept: Vec<PathProblem> = problems.list.iter().map(path_problem).collect();
        let totals = totals(&built.counts, problems);
        let staged = Staged { id, name: &name, totals: &totals, problems: &kept };
        match publish::publish(self.job, writer, sync, &staged, self.monitor) {
            Ok(()) => Ok(name),
            Err(source) => {
                if matches!(source, PublishError::Sync(_)) {
                    self.drop_all(id, writer);
                }
                Err(fail(source))
            }
        }
    }

    /// A write was lost: neither tree nor rows can be trusted any more.
    fn drop_all(&self, id: SnapshotId, writer: &mut Writer) {
        let dropped = recover::drop_staging(self.job)
            .map_err(|fault| fault.to_string())
            .and_then(|()| writer.forget_unpublished(id).map_err(|error| error.to_string()));
        if let Err(message) = dropped {
            self.monitor.problem(&Problem {
                kind: ProblemKind::Notice,
                path: linksnap_inode::dir::path_bytes(self.job.path()).to_vec(),
                message: format!("staging could not be dropped: {message}"),
            });
        }
    }

    fn warn_of_recovery(&self) {
        if let Some(name) = &self.recovered.lost {
            self.problems.add(
                self.monitor,
                Problem {
                    kind: ProblemKind::Notice,
                    path: linksnap_inode::dir::path_bytes(&self.job.path().join(name)).to_vec(),
                    message: "this snapshot was complete, but somebody has removed it".to_owned(),
                },
            );
        }
    }

    /// Ends the transaction: after an interruption with what was done so far, vouched for by a sync; after
    /// a failure without it.
    fn give_up(&self, error: RunError, mut writer: Writer, sync: &DirFd) -> BackupError {
        if matches!(error, RunError::Interrupted) {
            let kept = checkpoint(&mut writer, sync, self.job, self.monitor);
            return match kept {
                Ok(()) => BackupError::Interrupted,
                Err(source) => self.run_error(source),
            };
        }
        // The connection's end rolls back what was not committed.
        drop(writer);
        self.run_error(error)
    }

    fn run_error(&self, source: RunError) -> BackupError {
        BackupError::Run { job: self.job.name().clone(), source }
    }

    fn catalog_error(&self, source: CatalogError) -> BackupError {
        self.job.catalog_error(source).into()
    }

    fn build(
        &self,
        scope: Scope<'_>,
        tree: &LocalTree,
        writer: &mut Writer,
        (id, snapshots): (SnapshotId, &[Snapshot]),
        sync: &DirFd,
    ) -> Result<Built, RunError> {
        let catalog = self.job.catalog_path();
        let reader = Reader::open(&catalog)?;
        let published = |one: &&Snapshot| one.state == State::Published;
        let basis = snapshots.iter().rfind(published);
        let resumes = snapshots.iter().any(|one| one.state == State::Building);
        let (staging, scaffold) = self.open_staging()?;
        let progress = Progress::default();
        let run = Run {
            scope,
            monitor: self.monitor,
            problems: self.problems,
            progress: &progress,
            staging,
            staging_path: self.job.workshop_path(layout::STAGING),
            trash: self.at(layout::TRASH, recover::open_trash(self.job))?,
            emptying: Mutex::default(),
            basis: basis.and_then(|basis| self.open_basis(basis)),
            resumes,
            building: id,
            racy_from: self.racy_from()?,
            told_of_owners: AtomicBool::new(false),
            one_in: match self.options.validate {
                Thoroughness::Share(one_in) => one_in,
                Thoroughness::Full => 1,
            },
            groups: crate::stages::groups::Groups::default(),
            snapshots: snapshots.iter().filter(published).map(|one| (one.id, one.name.clone())).collect(),
            last_directory: AtomicI64::new(reader.last_directory()?.0),
            counts: Mutex::new(Counts::default()),
            checkpoint_due: AtomicBool::new(false),
            uncommitted_bytes: AtomicU64::new(0),
        };
        let rows =
            if resumes { reader.current_and_ended_by(DirId(0), id)? } else { reader.current(DirId(0))? };
        drop(reader);
        let first = Task::root(root_versions(&rows, id), Past { catalog: true, scaffold });
        run.empty_trash()?;
        self.run_pool(&run, tree, first, writer, sync)?;
        let counts = *run.counts.lock().unwrap_or_else(PoisonError::into_inner);
        run.empty_trash()?;
        Ok(Built {
            counts,
            basis: basis.map(|basis| basis.name.clone()),
            scaffold: if scaffold { "interrupted" } else { "empty" },
        })
    }

    fn run_pool(
        &self,
        run: &Run<'_>,
        tree: &LocalTree,
        first: Task,
        writer: &mut Writer,
        sync: &DirFd,
    ) -> Result<(), RunError> {
        let catalog = self.job.catalog_path();
        let threads = self.options.threads.unwrap_or_else(pool::usual_threads);
        let (sender, receiver): (Sender<Message>, Receiver<Message>) = bounded(256);
        std::thread::scope(|scope| {
            let building = run.building;
            let writing = scope.spawn(move || self.write(building, receiver, writer, sync));
            let worked = pool::run(
                threads,
                first,
                || Hands::new(&catalog, sender.clone()),
                |hands, task, queue| {
                    let done = build::build(run, tree, hands, &task, queue);
                    // What was done before an interruption is worth keeping.
                    if matches!(done, Err(RunError::Interrupted)) {
                        hands.hand_over()?;
                    }
                    done
                },
            );
            drop(sender);
            let written = writing.join().unwrap_or(Err(RunError::WriterGone));
            match (worked, written) {
                (Err(RunError::WriterGone), Err(error)) => Err(error),
                (worked, written) => worked.and(written),
            }
        })
    }

    /// The one writer of the catalog: takes changes until no worker is left.
    fn write(
        &self,
        building: SnapshotId,
        receiver: Receiver<Message>,
        writer: &mut Writer,
        sync: &DirFd,
    ) -> Result<(), RunError> {
        // The only receiver, and gone with this: a failure makes the workers' next message fail, not wait for ever.
        for message in receiver {
            match message {
                Message::Changes(changes) => writer.apply(building, &changes)?,
                Message::Checkpoint => checkpoint(writer, sync, self.job, self.monitor)?,
            }
        }
        Ok(())
    }

    fn at<T>(&self, name: &[u8], result: Result<T, linksnap_inode::Fault>) -> Result<T, RunError> {
        result.map_err(|fault| fault.at(self.job.workshop_path(name)).into())
    }

    /// Opens staging, and says whether there was one.
    fn open_staging(&self) -> Result<(DirFd, bool), RunError> {
        let workshop = self.job.workshop();
        let was_there = match workshop.stat_entry(layout::STAGING) {
            Ok(stat) if stat.kind == Kind::Directory => true,
            Ok(stat) => {
                let gone = recover::open_trash(self.job)
                    .and_then(|trash| remove::discard(workshop, layout::STAGING, Some(stat.kind), &trash));
                self.at(layout::STAGING, gone)?;
                false
            }
            Err(fault) if fault.is(Errno::NOENT) => false,
            Err(fault) => return self.at(layout::STAGING, Err(fault)),
        };
        if !was_there {
            self.at(layout::STAGING, workshop.make_dir(layout::STAGING))?;
        }
        let staging = self.at(layout::STAGING, workshop.open_dir(layout::STAGING))?;
        self.at(layout::STAGING, crate::stages::apply::open_up(&staging))?;
        Ok((staging, was_there))
    }

    /// The newest snapshot's tree; if somebody has taken it away, everything is copied, and that is said.
    fn open_basis(&self, basis: &Snapshot) -> Option<DirFd> {
        self.job.dir().open_dir(basis.name.as_bytes()).map_or_else(
            |fault| {
                self.problems.add(
                    self.monitor,
                    Problem {
                        kind: ProblemKind::Notice,
                        path: linksnap_inode::dir::path_bytes(&self.job.path().join(&basis.name)).to_vec(),
                        message: format!(
                            "the newest snapshot cannot be opened, so nothing can be linked: {fault}"
                        ),
                    },
                );
                None
            },
            Some,
        )
    }

    fn racy_from(&self) -> Result<Timestamp, RunError> {
        let now = self.at(layout::CLOCK, clock::file_time(self.job.workshop(), layout::CLOCK))?;
        Ok(now.earlier_by(RACY_SECONDS))
    }
}

/// Syncs, and then commits: what the catalog says is on disk.
fn checkpoint(writer: &mut Writer, sync: &DirFd, job: &Job, monitor: &dyn Monitor) -> Result<(), RunError> {
    monitor.reached(Phase::CheckpointSync);
    sync.sync_filesystem().map_err(|fault| fault.at(job.path()))?;
    monitor.reached(Phase::CheckpointCommit);
    Ok(writer.commit()?)
}

fn root_versions(rows: &Rows, building: SnapshotId) -> Known<'_> {
    let mut known = Known::default();
    for row in rows.iter().filter(|row| row.name.is_empty()) {
        if row.version.first == building {
            known.checkpoint = Some(row.version);
        } else {
            known.basis = Some(row.version);
        }
    }
    known
}

fn path_problem(problem: &Problem) -> PathProblem {
    PathProblem {
        path: problem.path.clone(),
        kind: problem.kind.word().to_owned(),
        message: problem.message.clone(),
    }
}

fn totals(counts: &Counts, problems: &Collected) -> Totals {
    Totals {
        files: counts.files,
        directories: counts.directories,
        symlinks: counts.symlinks,
        specials: counts.specials,
        source_bytes: counts.source_bytes,
        added_bytes: counts.copied_bytes,
        problems: problems.problems,
        warnings: problems.warnings,
    }
}

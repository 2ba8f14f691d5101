//! Backup: one run of a job, from its sources to a published snapshot.

mod error;
mod guards;
mod preview;
mod retention;
mod room;
mod site;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use linksnap_catalog::{
    CatalogError, DirId, Held, PathProblem, Reader, Rows, Snapshot, SnapshotId, State, Totals, Writer,
};
use linksnap_inode::path;
use linksnap_inode::pool;
use linksnap_inode::{DirFd, Errno, Stat, Timestamp, clock, limits};

use crate::exclude::{RuleOptions, Rules};
use crate::forecast::Forecast;
use crate::job::{Job, JobError, JobName};
use crate::layout;
use crate::monitor::{Monitor, Phase, Progress, Wish};
use crate::report::{Collected, Problem, ProblemKind, Problems};
use crate::repository::Repository;
use crate::snapshot::SnapshotName;
use crate::source::{Footing, SourceError, Sources};
use crate::stages::begin::{self, Begun};
use crate::stages::build::{self, Past, Task};
use crate::stages::checkpoint::{Checkpoints, Maker};
use crate::stages::claims::Claims;
use crate::stages::guard::Tally;
use crate::stages::plan::Known;
use crate::stages::publish::{self, PublishError, Staged};
use crate::stages::recover::{self, Recovered};
use crate::stages::reserve;
use crate::stages::run::{Counts, Hands, Message, Run, RunError, Told};
use crate::stages::scan::{Mounts, Scope};
use crate::tree::LocalTree;

pub use crate::stages::prune::Retention;
pub use error::BackupError;
pub use preview::{PlannedStep, preview};
pub use retention::Pruned;
pub use room::{Remedy, Scarce, Shortage};
use site::Site;

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
    /// Is a retired snapshot built upon?
    pub recycle: Recycle,
    /// What to keep, once the new snapshot is published; `None`: everything.
    pub retention: Option<Retention>,
    /// What to think of a source that is gone, empty or mostly changed.
    pub upheaval: Upheaval,
    /// Labels of the new snapshot.
    pub tags: Vec<String>,
    /// The time of the run, in seconds since 1970: the snapshot's name.
    pub now: i64,
    /// Threads; `None`: as many as usual.
    pub threads: Option<usize>,
    /// Who holds the lock, for others to read: process, host, command.
    pub holder: String,
}

/// Whether runs build upon retired snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recycle {
    /// Yes: what is right in one already needs no link.
    #[default]
    Always,
    /// No: every run starts from nothing, and what is retired is trash.
    Never,
}

/// What to think of a source that is missing, empty though it was not, or mostly changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Upheaval {
    /// No snapshot is taken of a source that is missing or empty. If most of one is gone or changed, the snapshot before
    /// is pinned, and nothing is pruned in this run.
    #[default]
    Doubt,
    /// That most of a source changes is usual; that it is missing or empty is not.
    Usual,
    /// All is as it should be. What is missing is left out.
    Accept,
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
    /// What it was built on.
    pub scaffold: Scaffold,
    /// A snapshot of an earlier run that was complete but not published, and is now.
    pub recovered: Option<String>,
    /// The snapshot that is pinned because most of a source was gone or changed after it.
    pub pinned: Option<String>,
    /// What retention did; `None` if it was not asked for, could not be done, or was held.
    pub pruned: Option<Pruned>,
    /// What the repository's filesystem can do now and could not when it was made, in words.
    pub gained: Vec<String>,
    /// How many more snapshots fit; `None` in a dry run.
    pub forecast: Option<Forecast>,
    /// What was counted.
    pub counts: Counts,
    /// Version rows written to the catalog.
    pub version_rows: u64,
    /// Problems and warnings.
    pub problems: Collected,
}

/// The tree that a run starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaffold {
    /// Nothing.
    Empty,
    /// What an interrupted run had built.
    Interrupted,
    /// A snapshot that retention had retired.
    Recycled,
}

impl Scaffold {
    /// One word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Interrupted => "interrupted",
            Self::Recycled => "recycled",
        }
    }
}

/// Takes a snapshot of the job's sources and publishes it.
pub fn backup(
    repository: &Repository,
    job: &JobName,
    options: &BackupOptions,
    monitor: &dyn Monitor,
) -> Result<BackupSummary, BackupError> {
    prepare(repository, job, options, monitor)?.run()
}

/// A run that has everything open and locked, and builds next.
#[derive(Debug)]
pub struct Prepared<'a> {
    recipe: Recipe<'a>,
    sources: Sources,
    rules: Rules,
    tree: LocalTree,
    footing: Footing,
    /// The repository's directory, which no source enters.
    repository: Stat,
    begun: Begun,
    /// All that were there before.
    snapshots: Vec<Snapshot>,
    /// The new one.
    id: SnapshotId,
    site: Site,
    gained: Vec<String>,
}

/// Does what comes before the building of a snapshot: checks the sources, takes the job's lock, recovers, and opens the
/// tree that will be built upon.
pub fn prepare<'a>(
    repository: &Repository,
    job: &JobName,
    options: &'a BackupOptions,
    monitor: &'a dyn Monitor,
) -> Result<Prepared<'a>, BackupError> {
    let problems = Problems::default();
    let rules = Rules::new(&options.rules)?;
    let root = open_root()?;
    let sources = guards::sources(&root, options, &problems, monitor)?;
    let repository_stat = stat_of(repository)?;
    sources.check(&root, Some(&repository_stat))?;
    let tree = LocalTree::new(root);
    let footing = Footing::of(&sources, &tree)?;

    let job = Job::open_or_create(repository, job)?;
    let begun = begin::begin(&job, &options.holder, options.now, monitor)?;
    let recipe = Recipe { job, options, monitor, problems };
    recipe.refuse_emptied(&sources, tree.root())?;
    let gained = recipe.look_at_filesystem(repository);
    let snapshots = begun.writer.snapshots().map_err(|source| recipe.catalog_error(source))?;
    recipe.refuse_without_room(&snapshots)?;
    let opened = recipe.open(begun, &snapshots, (&sources, &tree));
    let (begun, id, site) = match opened {
        Ok(opened) => opened,
        Err(error) => return Err(recipe.explain(error)),
    };
    let repository = repository_stat;
    Ok(Prepared { recipe, sources, rules, tree, footing, repository, begun, snapshots, id, site, gained })
}

impl Prepared<'_> {
    /// Directories of the repository in which most is linked and removed: where the trees of staging and basis begin,
    /// and those of the sources in them. Whoever confines the building has reason to give each a rule of its own:
    /// [`Ground`](crate::sandbox::Ground) says why. To be asked once.
    pub fn take_trunks(&mut self) -> Vec<DirFd> {
        self.site.take_trunks(self.recipe.job.workshop())
    }

    /// Builds the snapshot, publishes it, and follows the job's retention.
    pub fn run(self) -> Result<BackupSummary, BackupError> {
        let Self { recipe, sources, rules, tree, footing, repository, begun, snapshots, id, site, gained } =
            self;
        let scope = Scope {
            sources: &sources,
            rules: &rules,
            mounts: if recipe.options.one_file_system { Mounts::Stay } else { Mounts::Cross },
            repository: Some(repository),
        };
        let cooked = recipe.cook((scope, site), (&tree, &footing), begun, (id, snapshots));
        let summary = cooked.map_err(|error| recipe.explain(error))?;
        Ok(BackupSummary { gained, ..summary })
    }
}

fn open_root() -> Result<DirFd, BackupError> {
    DirFd::open_root("/".as_ref()).map_err(|fault| SourceError::from(fault.at("/")).into())
}

fn stat_of(repository: &Repository) -> Result<Stat, BackupError> {
    let stat = repository.dir().stat();
    stat.map_err(|fault| JobError::from(fault.at(repository.path())).into())
}

/// One run, once its job is open and locked.
struct Recipe<'a> {
    job: Job,
    options: &'a BackupOptions,
    monitor: &'a dyn Monitor,
    problems: Problems,
}

impl std::fmt::Debug for Recipe<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recipe").field("job", &self.job).finish_non_exhaustive()
    }
}

/// What building gave.
struct Built {
    counts: Counts,
    basis: Option<String>,
    scaffold: Scaffold,
    /// What became of each source's entries, in the order of the sources.
    tallies: Vec<Tally>,
}

impl Recipe<'_> {
    /// Begins the snapshot in the catalog, and opens the trees of the run.
    fn open(
        &self,
        mut begun: Begun,
        snapshots: &[Snapshot],
        (sources, tree): (&Sources, &LocalTree),
    ) -> Result<(Begun, SnapshotId, Site), BackupError> {
        let id = begun.writer.begin_snapshot(self.options.now);
        let id = id.map_err(|source| self.catalog_error(source))?;
        self.monitor.reached(Phase::Build);
        match self.open_site(snapshots, (sources, tree.root())) {
            Ok(site) => Ok((begun, id, site)),
            Err(error) => Err(self.give_up(error, (id, begun.writer))),
        }
    }

    fn cook(
        &self,
        (scope, site): (Scope<'_>, Site),
        (tree, footing): (&LocalTree, &Footing),
        begun: Begun,
        (id, snapshots): (SnapshotId, Vec<Snapshot>),
    ) -> Result<BackupSummary, BackupError> {
        // Dropped last: nobody else may begin before the catalog is closed.
        let Begun { lock: _lock, mut writer, sync, recovered } = begun;
        let sync = &sync;
        let sources = scope.sources;
        let built = self.build((scope, site), tree, &mut writer, (id, &snapshots), sync);
        let built = match built {
            Ok(built) => built,
            Err(error) => return Err(self.give_up(error, (id, writer))),
        };
        footing.lost(tree).for_each(|path| self.tell_of_lost(path));
        self.warn_of_recovery(&recovered);
        if self.monitor.wish() == Wish::Stop {
            return Err(self.give_up(RunError::Interrupted, (id, writer)));
        }
        let pinned = self.hold(&built, sources, (id, &snapshots), &mut writer)?;
        let problems = self.problems.take();
        let taken: Vec<String> = snapshots.into_iter().map(|snapshot| snapshot.name).collect();
        let (name, added) = self.publish(&built, &problems, (id, &taken), &mut writer, sync)?;
        let rows = writer.rows_written();
        let mut problems = problems;
        if id.0 % SNAPSHOTS_A_COPY == 1 {
            let notice = self.copy_catalog(&writer);
            notice.iter().for_each(|notice| self.monitor.problem(notice));
            problems.add(notice);
        }
        let pruned = if pinned.is_some() { None } else { self.prune(&mut writer, &mut problems) };
        // If retiring failed, snapshots may lie there that the catalog still knows: the next command forgets them first.
        if pruned.is_some() || pinned.is_some() || self.options.retention.is_none() {
            self.empty_trash(&mut problems);
        }
        drop(writer);
        Ok(BackupSummary {
            path: self.job.path().join(name.as_str()),
            snapshot: Some(name),
            basis: built.basis,
            scaffold: built.scaffold,
            recovered: recovered.published,
            pinned,
            gained: Vec::new(),
            forecast: self.forecast(&added, built.counts.directories),
            pruned,
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
    ) -> Result<(SnapshotName, Held), BackupError> {
        let fail = |source| BackupError::Publish { job: self.job.name().clone(), source };
        let name = publish::free_name(&self.job, taken, self.options.now).map_err(fail)?;
        let kept: Vec<PathProblem> = problems.list.iter().map(path_problem).collect();
        let added = self.added(built, id, writer)?;
        let totals = totals(&built.counts, added, problems);
        writer.tag(id, &self.options.tags.join(",")).map_err(|source| self.catalog_error(source))?;
        let staged = Staged { id, name: &name, totals: &totals, problems: &kept };
        match publish::publish(&self.job, writer, sync, &staged, self.monitor) {
            Ok(()) => Ok((name, added)),
            Err(source) => {
                if matches!(source, PublishError::Sync(_)) {
                    self.drop_all(id, writer);
                }
                Err(fail(source))
            }
        }
    }

    /// What the snapshot adds; of one that was built in several runs the catalog knows.
    fn added(&self, built: &Built, id: SnapshotId, writer: &Writer) -> Result<Held, BackupError> {
        if built.scaffold == Scaffold::Interrupted {
            return writer.begun_by(id).map_err(|source| self.catalog_error(source));
        }
        let Counts { made_inodes, copied_bytes, cloned_bytes, .. } = built.counts;
        // Blocks that versions share count for each of them, as everywhere in the accounts.
        Ok(Held { inodes: made_inodes, bytes: copied_bytes + cloned_bytes, ..Held::default() })
    }

    /// A write was lost: neither tree nor rows can be trusted any more.
    fn drop_all(&self, id: SnapshotId, writer: &mut Writer) {
        let dropped = recover::drop_staging(&self.job)
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

    /// What vanished with a filesystem is more than files that come and go.
    fn tell_of_lost(&self, path: Vec<u8>) {
        let message =
            "this source is gone, or lies on another filesystem than when the run began: was it unmounted? \
                       This snapshot may lack what it held"
                .to_owned();
        self.problems.add(self.monitor, Problem { kind: ProblemKind::Unreadable, path, message });
    }

    fn warn_of_recovery(&self, recovered: &Recovered) {
        let job = self.job.path();
        if recovered.rebound {
            let message = "this job was copied from elsewhere: which inode holds what was looked up anew";
            self.notice(job, message);
        }
        if let Some(name) = &recovered.lost {
            self.notice(&job.join(name), "this snapshot was complete, but somebody has removed it");
        }
        for name in &recovered.unknown {
            let message = "the catalog does not know this snapshot: it is left alone, but not listed, checked or dropped. \
                           If it is one of this job, `linksnap reindex` takes it in";
            self.notice(&job.join(name), message);
        }
        for path in &recovered.mounted {
            let message = "a filesystem is mounted here, inside the repository: what the run would have built upon \
                           is dropped. Unmount it";
            self.notice(path::as_path(path), message);
        }
    }

    fn notice(&self, path: &Path, message: &str) {
        let path = linksnap_inode::dir::path_bytes(path).to_vec();
        let problem = Problem { kind: ProblemKind::Notice, path, message: message.to_owned() };
        self.problems.add(self.monitor, problem);
    }

    /// Ends the transaction. What no checkpoint vouches for is copied again by the next run: one more sync would take as
    /// long as all that waits for this disk, whoever wrote it.
    fn give_up(&self, error: RunError, (id, mut writer): (SnapshotId, Writer)) -> BackupError {
        if matches!(&error, RunError::Staging(error) if error.is(Errno::PERM)) {
            // Something in what was built upon cannot be changed (an immutable file): the next run starts from nothing.
            self.drop_all(id, &mut writer);
        }
        // The connection's end rolls back what was not committed.
        if matches!(error, RunError::Interrupted) {
            writer.close_quickly();
        }
        BackupError::of_run(self.job.name(), error)
    }

    fn catalog_error(&self, source: CatalogError) -> BackupError {
        self.job.catalog_error(source).into()
    }

    fn build(
        &self,
        (scope, site): (Scope<'_>, Site),
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
        let scaffold = site.scaffold;
        let progress = Progress::default();
        let sources = scope.sources.count();
        let run = Run {
            scope,
            monitor: self.monitor,
            problems: &self.problems,
            progress: &progress,
            staging: site.staging,
            staging_path: self.job.workshop_path(layout::STAGING),
            trash: self.at(layout::TRASH, recover::open_trash(&self.job))?,
            emptying: Mutex::default(),
            emptied: AtomicU64::default(),
            basis: site.basis,
            resumes,
            building: id,
            racy_from: self.racy_from()?,
            told: Told::default(),
            one_in: match self.options.validate {
                // What a killed run had written and not synced may be torn, whatever inode it is.
                _ if scaffold == Scaffold::Interrupted => 1,
                Thoroughness::Share(one_in) => one_in,
                Thoroughness::Full => 1,
            },
            groups: crate::stages::groups::Groups::default(),
            snapshots: snapshots.iter().filter(published).map(|one| (one.id, one.name.clone())).collect(),
            tallies: Mutex::new(vec![Tally::default(); sources]),
            claims: Claims::default(),
            last_directory: AtomicI64::new(reader.last_directory()?.0),
            counts: Mutex::new(Counts::default()),
            clones: AtomicBool::new(true),
            checkpoints: Checkpoints::default(),
        };
        let rows =
            if resumes { reader.current_and_ended_by(DirId(0), id)? } else { reader.current(DirId(0))? };
        drop(reader);
        let first = Task::root(
            root_versions(&rows, id),
            // However empty: the directories above the sources are there.
            Past { catalog: true, scaffold: true },
        );
        self.run_pool(&run, tree, first, writer, sync)?;
        let counts = *run.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // Without the basis' tree nothing could be linked: that everything was copied says nothing of the source.
        let tallies = match run.basis {
            Some(_) => run.tallies.into_inner().unwrap_or_else(PoisonError::into_inner),
            None => Vec::new(),
        };
        Ok(Built { counts, basis: basis.map(|basis| basis.name.clone()), scaffold, tallies })
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
        let (ended, stopped) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| self.write((run, &stopped), receiver, writer, sync));
            // What an earlier command had no time for: beside the run, not before it.
            let emptying = scope.spawn(|| {
                limits::stand_back();
                run.empty_trash_until(&ended)
            });
            let worked = pool::run(
                threads,
                first,
                || Hands::new(&catalog, sender.clone()),
                |hands, task, queue| {
                    let done = build::build(run, tree, hands, task, queue);
                    stopped.fetch_or(matches!(done, Err(RunError::Interrupted)), Ordering::Relaxed);
                    done
                },
            );
            // Their ways to the writer end with them.
            let worked = worked.map(drop);
            ended.store(true, Ordering::Relaxed);
            drop(sender);
            let emptied = emptying.join().unwrap_or(Ok(()));
            let written = writing.join().unwrap_or(Err(RunError::WriterGone));
            match (worked, written) {
                (Err(RunError::WriterGone | RunError::Interrupted), Err(error)) => Err(error),
                (worked, written) => worked.and(written).and(emptied),
            }
        })
    }

    /// The one writer of the catalog: takes changes until no worker is left. Who wants the run to end waits for no sync
    /// but the one at work.
    fn write(
        &self,
        (run, stopped): (&Run<'_>, &AtomicBool),
        receiver: Receiver<Message>,
        writer: &mut Writer,
        sync: &DirFd,
    ) -> Result<(), RunError> {
        // The only receiver is gone before this: a failure makes the workers' next message fail, not wait for ever.
        let _maker = Maker(&run.checkpoints);
        for message in receiver {
            match message {
                Message::Checkpoint if stopped.load(Ordering::Relaxed) => run.checkpoints.made(),
                Message::Checkpoint => {
                    checkpoint(writer, sync, &self.job, self.monitor)?;
                    run.checkpoints.made();
                }
                Message::Changes(_) if stopped.load(Ordering::Relaxed) => {}
                Message::Changes(changes) => writer.apply(run.building, &changes)?,
            }
        }
        Ok(())
    }

    fn at<T>(&self, name: &[u8], result: Result<T, linksnap_inode::Fault>) -> Result<T, RunError> {
        result.map_err(|fault| fault.at(self.job.workshop_path(name)).into())
    }

    fn racy_from(&self) -> Result<Timestamp, RunError> {
        let workshop = self.job.workshop();
        let now = match clock::file_time(workshop, layout::CLOCK) {
            // A disk without inodes has the one of the reserve; what is to be removed from staging gives more back.
            Err(fault) if fault.is(Errno::NOSPC) && reserve::give_up(workshop) => {
                clock::file_time(workshop, layout::CLOCK)
            }
            time => time,
        };
        let now = self.at(layout::CLOCK, now)?;
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

fn totals(counts: &Counts, added: Held, problems: &Collected) -> Totals {
    Totals {
        files: counts.files,
        directories: counts.directories,
        symlinks: counts.symlinks,
        specials: counts.specials,
        source_bytes: counts.source_bytes,
        added_bytes: added.bytes,
        added_inodes: added.inodes + counts.directories,
        problems: problems.problems,
        warnings: problems.warnings,
    }
}

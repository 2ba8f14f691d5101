//! A repository, a source and a clock for a test.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use linksnap_catalog::{Change, DirId, DirectoryChanges, Reader, Seen, Snapshot, State, Version, Writer};
use linksnap_engine::exclude::RuleOptions;
use linksnap_engine::policy::{Bucket, Count, Headroom, Policy, Rule};
use linksnap_engine::repository::{Durability, Repository};
use linksnap_engine::stages::begin::BeginError;
use linksnap_engine::stages::retain::Clock;
use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup::{
    self, BackupError, BackupOptions, BackupSummary, Recycle, Retention, Thoroughness, Upheaval,
};
use linksnap_engine::verbs::delete::{self, DeleteError, DeleteOptions, DeleteSummary};
use linksnap_engine::verbs::du;
use linksnap_engine::verbs::pin::{self, Pin};
use linksnap_engine::verbs::prune::{self, PruneError, PruneOptions, PruneSummary};
use linksnap_engine::verbs::restore::{
    self, Existing, Extra, Ownership, RestoreError, RestoreOptions, RestoreStep, RestoreSummary,
};
use linksnap_engine::verbs::verify::{self, VerifyOptions, VerifySummary};
use linksnap_engine::{Job, JobName, Monitor, Selector, Silent};
use linksnap_inode::clock;
use linksnap_testkit::listing::{Compare, Listing};
use tempfile::TempDir;

/// 2026-04-08T02:00:00Z.
pub const START: i64 = 1_775_613_600;

/// Everything a test needs, in a directory of its own.
pub struct Kitchen {
    _own: Option<TempDir>,
    pub source: PathBuf,
    pub repository: PathBuf,
    pub options: BackupOptions,
}

impl Kitchen {
    pub fn new() -> Self {
        let own = tempfile::tempdir().expect("a temporary directory");
        let base = std::fs::canonicalize(own.path()).expect("it is there");
        let mut kitchen = Self::in_dir(&base);
        kitchen._own = Some(own);
        kitchen
    }

    /// With source and repository in an existing directory.
    pub fn in_dir(base: &Path) -> Self {
        Self::across(base, base)
    }

    /// With the source in one existing directory and the repository in another.
    pub fn across(sources: &Path, repositories: &Path) -> Self {
        let source = sources.join("source");
        let repository = repositories.join("repository");
        std::fs::create_dir_all(&source).expect("a source");
        if Repository::open(&repository).is_err() {
            Repository::create(&repository, START, Durability::Degraded).expect("a new repository");
        }
        let options = BackupOptions {
            sources: vec![source.clone()],
            rules: RuleOptions::default(),
            one_file_system: true,
            validate: Thoroughness::Full,
            now: START,
            threads: Some(2),
            recycle: Recycle::Always,
            retention: None,
            upheaval: Upheaval::Doubt,
            tags: Vec::new(),
            holder: "a test".to_owned(),
        };
        Self { _own: None, source, repository, options }
    }

    pub fn job_name() -> JobName {
        JobName::parse("job").expect("a valid name")
    }

    pub fn open(&self) -> Repository {
        Repository::open(&self.repository).expect("a repository")
    }

    /// From now on the repository is the one at `path`, a copy of it, and that is accepted.
    pub fn move_to(&mut self, path: PathBuf) {
        self.repository = path;
        drop(Repository::settle(&self.repository, Durability::Degraded).expect("accepted"));
    }

    pub fn job(&self) -> Job {
        Job::open(&self.open(), &Self::job_name()).expect("the job")
    }

    /// Backs up, a second later each time.
    pub fn backup(&mut self) -> BackupSummary {
        self.try_backup(&Silent).expect("a snapshot")
    }

    pub fn try_backup(&mut self, monitor: &dyn Monitor) -> Result<BackupSummary, BackupError> {
        self.options.now += 1;
        backup::backup(&self.open(), &Self::job_name(), &self.options, monitor)
    }

    /// What the snapshot has of the source.
    pub fn listing(&self, summary: &BackupSummary) -> Listing {
        Listing::read(&self.in_snapshot(&summary.path))
    }

    pub fn in_snapshot(&self, snapshot: &Path) -> PathBuf {
        snapshot.join(self.source.strip_prefix("/").expect("absolute"))
    }

    /// From now on every run keeps the last so many snapshots and retires the others.
    pub fn keep_last(&mut self, count: u32) {
        self.options.retention = Some(last(count));
    }

    /// Retires all but the last so many snapshots and those that are pinned, without a run.
    pub fn try_prune(
        &self,
        keep: u32,
        fate: Fate,
        monitor: &dyn Monitor,
    ) -> Result<PruneSummary, PruneError> {
        let options =
            PruneOptions { retention: last(keep), fate, now: self.options.now, holder: "a test".to_owned() };
        prune::prune(&self.job(), &options, monitor)
    }

    /// Pins or unpins a snapshot.
    pub fn pin(&self, selector: &str, pin: &Pin) {
        self.try_pin(selector, pin).expect("written");
    }

    pub fn try_pin(&self, selector: &str, pin: &Pin) -> Result<(), BeginError> {
        let job = self.job();
        let snapshot = job.select(&Selector::parse(selector)).expect("a snapshot");
        pin::pin(&job, &[snapshot], pin, ("a test", self.options.now))
    }

    /// Deletes snapshots for good.
    pub fn delete(&mut self, selectors: &[&str]) -> DeleteSummary {
        self.try_delete(selectors, &Silent).expect("deleted")
    }

    pub fn try_delete(
        &mut self,
        selectors: &[&str],
        monitor: &dyn Monitor,
    ) -> Result<DeleteSummary, DeleteError> {
        let job = self.job();
        let select = |text: &&str| job.select(&Selector::parse(text)).expect("a snapshot");
        let doomed: Vec<Snapshot> = selectors.iter().map(select).collect();
        let options = DeleteOptions { now: self.options.now, holder: "a test".to_owned() };
        delete::delete(&job, &doomed, &options, monitor)
    }

    /// What the catalog says of inodes and bytes is what the disk has.
    pub fn assert_accounts(&self) {
        let job = self.job();
        let usage = du::du(&job).expect("the accounts");
        let counted = du::count(&job, ("a test", self.options.now), &Silent).expect("counted");
        assert_eq!(
            (counted.inodes, counted.apparent_bytes, counted.outside_names, &counted.unreadable[..]),
            (usage.total.inodes, usage.total.apparent_bytes, 0, &[][..]),
        );
    }

    pub fn verify(&self) -> VerifySummary {
        let options = VerifyOptions { snapshots: Vec::new(), content: true, threads: Some(2) };
        verify::verify(&self.job(), &options, &Silent).expect("verified to the end")
    }

    pub fn assert_sound(&self) {
        let found = self.verify().problems;
        assert_eq!((found.problems, found.list), (0, Vec::new()));
    }

    pub fn restore(&self, selector: &str, target: &Path) -> RestoreSummary {
        let job = self.job();
        let snapshot = job.select(&Selector::parse(selector)).expect("a snapshot");
        let options = RestoreOptions {
            paths: vec![self.source.as_os_str().as_bytes().to_vec()],
            target: target.to_path_buf(),
            existing: Existing::Refuse,
            extra: Extra::Stay,
            ownership: Ownership::Numeric,
        };
        restore::restore(&job, &snapshot, &options, &Silent).expect("restored")
    }

    /// The newest snapshot, restored, is the source.
    pub fn assert_restores(&self) {
        let target = tempfile::tempdir_in(self.repository.parent().expect("a parent")).expect("a target");
        assert_eq!(self.restore("latest", target.path()).problems.list, []);
        let there = Listing::read(&self.in_snapshot(target.path()));
        assert_eq!(Listing::read(&self.source).diff(&there, Compare::COPY), [""; 0]);
    }

    /// What brings the source back to where it was.
    pub fn in_place(&self, extra: Extra) -> RestoreOptions {
        RestoreOptions {
            paths: vec![self.source.as_os_str().as_bytes().to_vec()],
            target: PathBuf::from("/"),
            existing: Existing::Overwrite,
            extra,
            ownership: Ownership::Numeric,
        }
    }

    pub fn try_restore(
        &self,
        selector: &str,
        options: &RestoreOptions,
        monitor: &dyn Monitor,
    ) -> Result<RestoreSummary, RestoreError> {
        let job = self.job();
        let snapshot = job.select(&Selector::parse(selector)).expect("a snapshot");
        restore::restore(&job, &snapshot, options, monitor)
    }

    /// The steps that a restore would take, and their sum; nothing is written.
    pub fn plan_restore(
        &self,
        selector: &str,
        options: &RestoreOptions,
    ) -> (Vec<RestoreStep>, RestoreSummary) {
        let job = self.job();
        let snapshot = job.select(&Selector::parse(selector)).expect("a snapshot");
        let mut steps = Vec::new();
        let mut step = |step: &RestoreStep| steps.push(step.clone());
        let summary = restore::preview(&job, &snapshot, options, &mut step, &Silent).expect("a plan");
        (steps, summary)
    }

    /// Waits, some milliseconds at most, until the clock by which files are stamped has moved on: what happens to the
    /// source from now on bears other times than all that has happened to it.
    pub fn tick(&self) {
        let repository = self.open();
        let now = || clock::file_time(repository.dir(), b"tick").expect("the time of files");
        let before = now();
        while now() == before {
            std::thread::yield_now();
        }
    }

    /// Lets the catalog forget that what it saw of the source was young, as if the runs so far lay long ago: without
    /// this, all that a test makes is racy, and every run reads it again. True to life if the clock has moved between
    /// the last run and the next change of the source, as [`tick`](Self::tick) and this see to.
    pub fn age(&self) {
        self.tick();
        let Ok(job) = Job::open(&self.open(), &Self::job_name()) else { return };
        let Ok(reader) = job.catalog() else { return };
        let unfinished = |one: &Snapshot| one.state == State::Building;
        let is_building = reader.snapshots().expect("snapshots").iter().any(unfinished);
        let changes = DirectoryChanges { changes: observations(&reader), ..DirectoryChanges::default() };
        drop(reader);
        let mut writer = Writer::open(&job.catalog_path()).expect("the catalog");
        let snapshot = writer.begin_snapshot(self.options.now).expect("a transaction");
        writer.apply(snapshot, &changes).expect("written");
        writer.commit().expect("committed");
        writer.roll_back().expect("nothing is left open");
        if !is_building {
            writer.forget_unpublished(snapshot).expect("the snapshot that served for the transaction");
        }
    }

    /// How many versions of the source began with the newest snapshot. The directories above the source do not count:
    /// other tests at work move the times of `/tmp`.
    pub fn begun_versions(&self) -> usize {
        let reader = self.job().catalog().expect("the catalog");
        let newest = reader.published().expect("snapshots").last().map(|one| one.id);
        let mut directory = DirId(0);
        let path = self.source.strip_prefix("/").expect("absolute");
        for name in std::iter::once(b"".as_slice()).chain(path.iter().map(OsStrExt::as_bytes)) {
            directory = reader.child(directory, name).expect("read").expect("a directory that is known");
        }
        let is_above = |id: DirId| id.0 < directory.0;
        let rows = current_rows(&reader)
            .into_iter()
            .filter(|(id, _, version)| Some(version.first) == newest && !is_above(*id));
        rows.count()
    }

    /// All snapshots that the catalog speaks of, in their order.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let Ok(job) = Job::open(&self.open(), &Self::job_name()) else { return Vec::new() };
        job.catalog().map_or_else(|_| Vec::new(), |reader| reader.snapshots().expect("snapshots"))
    }
}

/// Keeps the last so many snapshots.
pub fn last(count: u32) -> Retention {
    let rule = Rule::Count { bucket: Bucket::Snapshot, count: Count::Number(count) };
    Retention {
        policy: Policy::new([rule]),
        headroom: Headroom::default(),
        zone: TimeZone::UTC,
        clock: Clock::Doubt,
    }
}

/// All rows of current versions, each with the directory that it stands in.
fn current_rows(reader: &Reader) -> Vec<(DirId, Box<[u8]>, Version)> {
    let mut directories = vec![DirId(0)];
    let mut found = Vec::new();
    while let Some(directory) = directories.pop() {
        for row in reader.current(directory).expect("a directory").iter() {
            directories.extend(row.version.child);
            found.push((directory, Box::from(row.name), row.version.clone()));
        }
    }
    found
}

/// All that was observed of the source and is called racy, as if it were not.
fn observations(reader: &Reader) -> Vec<(DirId, Box<[u8]>, Change)> {
    let racy = current_rows(reader).into_iter().filter(|(_, _, version)| version.seen.racy);
    let as_old = racy.map(|(directory, name, version)| {
        (directory, name, Change::Seen(Seen { racy: false, ..version.seen }))
    });
    as_old.collect()
}

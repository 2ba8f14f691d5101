//! A repository, a source and a clock for a test.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use linksnap_engine::exclude::RuleOptions;
use linksnap_engine::repository::{Durability, Repository};
use linksnap_engine::verbs::backup::{self, BackupError, BackupOptions, BackupSummary, Thoroughness};
use linksnap_engine::verbs::restore::{self, Existing, RestoreOptions, RestoreSummary};
use linksnap_engine::verbs::verify::{self, VerifyOptions, VerifySummary};
use linksnap_engine::{Job, JobName, Monitor, Selector, Silent};
use linksnap_testkit::listing::Listing;
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
        let source = base.join("source");
        let repository = base.join("repository");
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
        };
        restore::restore(&job, &snapshot, &options, &Silent).expect("restored")
    }
}

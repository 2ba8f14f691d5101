//! `jobs check`: the configuration in plain words, and what is wrong with it that only the disk can tell.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use linksnap_engine::verbs::backup::Upheaval;
use linksnap_engine::{JobName, Repository};
use serde::Serialize;

use crate::args::Global;
use crate::config::{Config, Job, Keep, Settings};
use crate::exit::Exit;
use crate::json::JsonPath;
use crate::output::Output;
use crate::size::{self, counted};
use crate::{locate, thoroughness};

/// Explains the configuration; sources that are not there make it wrong.
pub fn check(config: &Config, global: &Global, output: &Output) -> Exit {
    let repository = Place::of(config, global);
    let jobs: Vec<Explained<'_>> = config.jobs.iter().map(|(name, job)| Explained::new(name, job)).collect();
    let missing: usize = jobs.iter().map(Explained::missing).sum();
    if output.is_json() {
        output.json(&Document::new(config, &repository, &jobs));
    } else {
        print(config, &repository, &jobs, output);
        output.report(verdict(&repository, missing));
    }
    if missing > 0 || repository.path.is_none() { Exit::Usage } else { Exit::Done }
}

fn verdict(repository: &Place, missing: usize) -> String {
    match (&repository.path, missing) {
        (None, _) => "wrong: no repository is named".to_owned(),
        (_, 0) if !repository.is_there => {
            "nothing is wrong but that the repository cannot be used".to_owned()
        }
        (_, 0) => "nothing is wrong".to_owned(),
        (_, missing) => {
            let sources = counted(missing as u64, "source is", "sources are");
            format!("wrong: {sources} not there; is everything mounted?")
        }
    }
}

fn print(config: &Config, repository: &Place, jobs: &[Explained<'_>], output: &Output) {
    let path = |path: &Path| output.name(path.as_os_str().as_bytes());
    output.line([b"configuration ".as_slice(), &path(&config.file)].concat());
    let place = repository.path.as_deref().map(path).unwrap_or_default();
    let state = output.words(&repository.state);
    output.line([b"repository ".as_slice(), &place, b" (", state.as_bytes(), b")"].concat());
    for job in jobs {
        output.line("");
        output.line(format!("job {}", job.name));
        for source in &job.sources {
            let state = if source.exists { "" } else { " (not there)" };
            output.line([b"  backs up ".as_slice(), &path(source.at), state.as_bytes()].concat());
        }
        for words in job.words() {
            output.line(format!("  {}", output.words(&words)));
        }
    }
    output.line("");
}

/// The repository, and whether it is there.
struct Place {
    path: Option<PathBuf>,
    is_there: bool,
    state: String,
}

impl Place {
    fn of(config: &Config, global: &Global) -> Self {
        let Ok(path) = locate::repository_path(global, Some(config)) else {
            return Self { path: None, is_there: false, state: "not named".to_owned() };
        };
        let (is_there, state) = match Repository::open(&path) {
            Ok(repository) => match locate::expect(&repository, global, Some(config)) {
                Ok(()) => (true, "found".to_owned()),
                Err(failure) => (false, failure.message),
            },
            Err(error) => (false, error.to_string()),
        };
        Self { path: Some(path), is_there, state }
    }
}

/// A job, and which of its sources exist.
struct Explained<'a> {
    name: &'a JobName,
    sources: Vec<Source<'a>>,
    settings: &'a Settings,
}

struct Source<'a> {
    at: &'a Path,
    exists: bool,
}

impl<'a> Explained<'a> {
    fn new(name: &'a JobName, job: &'a Job) -> Self {
        let sources = job.sources.iter();
        let sources = sources.map(|at| Source { at, exists: at.symlink_metadata().is_ok() }).collect();
        Self { name, sources, settings: &job.settings }
    }

    fn missing(&self) -> usize {
        self.sources.iter().filter(|source| !source.exists).count()
    }

    fn words(&self) -> Vec<String> {
        let rules = &self.settings.rules;
        let mut words: Vec<String> = Vec::new();
        words.extend(rules.exclude.iter().map(|pattern| match pattern.strip_prefix('!') {
            Some(pattern) => format!("but keeps what matches {pattern}"),
            None => format!("leaves out what matches {pattern}"),
        }));
        let present = rules.exclude_if_present.iter();
        words.extend(present.map(|file| format!("leaves out what is in directories that hold {file}")));
        if rules.exclude_caches {
            words.push("leaves out what is in directories that hold a CACHEDIR.TAG".to_owned());
        }
        if let Some(limit) = rules.exclude_larger_than {
            words.push(format!("leaves out files larger than {}", size::bytes(limit)));
        }
        words.push(match self.settings.one_file_system {
            true => "leaves out other filesystems mounted inside a source".to_owned(),
            false => "enters other filesystems mounted inside a source".to_owned(),
        });
        words.push(format!("checks {}", thoroughness::words(self.settings.validate)));
        if self.settings.upheaval == Upheaval::Usual {
            words.push("takes it for usual that most of a source is gone or changed".to_owned());
        }
        words.extend(self.retention_words());
        words
    }

    fn retention_words(&self) -> Vec<String> {
        let Some(keep) = &self.settings.keep else { return vec!["keeps all snapshots".to_owned()] };
        let mut words = vec![format!("keeps {}", keep.words().join(", "))];
        let room = keep.room_words();
        if !room.is_empty() {
            let min = counted(keep.headroom.min.into(), "snapshot", "snapshots");
            let room = room.join(" or ");
            words.push(format!("drops the oldest of those while less than {room} is free, down to {min}"));
        }
        if let Some(zone) = self.zone() {
            words.push(format!("counts days, weeks and months in the time zone {zone}"));
        }
        if !self.settings.recycle {
            words.push("does not recycle dropped snapshots".to_owned());
        }
        words
    }

    fn zone(&self) -> Option<&str> {
        self.settings.timezone.as_ref()?.iana_name()
    }
}

#[derive(Serialize)]
struct Document<'a> {
    config: String,
    repository: Option<String>,
    repository_state: &'a str,
    jobs: Vec<JobElement<'a>>,
}

#[derive(Serialize)]
struct JobElement<'a> {
    job: &'a str,
    sources: Vec<SourceElement>,
    exclude: &'a [String],
    exclude_if_present: &'a [String],
    exclude_caches: bool,
    exclude_larger_than: Option<u64>,
    one_file_system: bool,
    keep: Vec<String>,
    keep_free: Vec<String>,
    keep_min: Option<u32>,
    timezone: Option<&'a str>,
    recycle: bool,
    mass_change: &'static str,
}

#[derive(Serialize)]
struct SourceElement {
    #[serde(flatten)]
    path: JsonPath,
    exists: bool,
}

impl<'a> Document<'a> {
    fn new(config: &Config, repository: &'a Place, jobs: &'a [Explained<'a>]) -> Self {
        Self {
            config: config.file.display().to_string(),
            repository: repository.path.as_ref().map(|path| path.display().to_string()),
            repository_state: &repository.state,
            jobs: jobs.iter().map(JobElement::new).collect(),
        }
    }
}

impl<'a> JobElement<'a> {
    fn new(job: &'a Explained<'a>) -> Self {
        let rules = &job.settings.rules;
        let source = |source: &Source<'_>| SourceElement {
            path: JsonPath::new(source.at.as_os_str().as_bytes()),
            exists: source.exists,
        };
        let keep = job.settings.keep.as_ref();
        Self {
            job: job.name.as_str(),
            sources: job.sources.iter().map(source).collect(),
            exclude: &rules.exclude,
            exclude_if_present: &rules.exclude_if_present,
            exclude_caches: rules.exclude_caches,
            exclude_larger_than: rules.exclude_larger_than,
            one_file_system: job.settings.one_file_system,
            keep: keep.map(Keep::words).unwrap_or_default(),
            keep_free: keep.map(Keep::room_words).unwrap_or_default(),
            keep_min: keep.filter(|keep| !keep.headroom.is_empty()).map(|keep| keep.headroom.min),
            timezone: job.zone(),
            recycle: job.settings.recycle,
            mass_change: if job.settings.upheaval == Upheaval::Usual { "usual" } else { "hold" },
        }
    }
}

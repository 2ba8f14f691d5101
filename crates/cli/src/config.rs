//! The configuration: repository, jobs, their sources and rules. Reads the file and nothing else: whether sources
//! exist is asked elsewhere.
//!
//! **Invariant:** what is wrong is shown with file, line and column, and nothing wrong is passed over.

mod complaint;
mod file;
pub mod keep;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use linksnap_engine::exclude::RuleOptions;
use linksnap_engine::verbs::backup::{Thoroughness, Upheaval};
use linksnap_engine::{JobName, Rules};
use toml::Spanned;

pub use crate::config::keep::Keep;

use crate::config::complaint::{Complaint, Wrong};
use crate::config::file::{File, Section, Uuids};
use crate::environment;
use crate::failure::Failure;
use crate::thoroughness;

/// A configuration that makes sense.
#[derive(Debug)]
pub struct Config {
    /// Where it was read.
    pub file: PathBuf,
    /// The repository, absolute.
    pub repository: Option<PathBuf>,
    /// The UUIDs that the repository may have; any, if there are none.
    pub repository_uuids: Vec<String>,
    /// What holds for ad hoc runs.
    pub defaults: Settings,
    /// The jobs by name.
    pub jobs: BTreeMap<JobName, Job>,
}

/// A configured job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Absolute paths.
    pub sources: Vec<PathBuf>,
    /// How it is to be run.
    pub settings: Settings,
}

/// How a job is to be run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What to leave out.
    pub rules: RuleOptions,
    /// Stay on the filesystem that the source is on.
    pub one_file_system: bool,
    /// How much of a new snapshot is checked.
    pub validate: Thoroughness,
    /// What retention is to keep, and how much room it is to leave; `None`: nothing is dropped.
    pub keep: Option<Keep>,
    /// Whose days, weeks and months retention counts; `None`: those of the system.
    pub timezone: Option<TimeZone>,
    /// Build new snapshots from what dropped ones leave behind.
    pub recycle: bool,
    /// What to think of sources that are gone, empty or mostly changed.
    pub upheaval: Upheaval,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rules: RuleOptions::default(),
            one_file_system: true,
            validate: thoroughness::DEFAULT,
            keep: None,
            timezone: None,
            recycle: true,
            upheaval: Upheaval::default(),
        }
    }
}

impl Config {
    /// The configuration that was named, else the first there is; `None` if there is none.
    pub fn find(named: Option<&Path>) -> Result<Option<Self>, Failure> {
        if let Some(path) = named {
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(path).because(&error))?;
            return Self::parse(path, &text).map(Some);
        }
        for path in environment::configuration_files() {
            match std::fs::read_to_string(&path) {
                Ok(text) => return Self::parse(&path, &text).map(Some),
                // One that is none of this user's business is no obstacle to the user's own.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
                    ) => {}
                Err(error) => return Err(unreadable(&path).because(&error)),
            }
        }
        Ok(None)
    }

    /// The configuration in `text`; `file` is what complaints call it.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Failure> {
        toml::from_str(text)
            .map_err(|error| Wrong::from(&error))
            .and_then(|raw| Self::understand(file, raw))
            .map_err(|wrong| Complaint { file, text, wrong }.into())
    }

    fn understand(file: &Path, raw: File) -> Result<Self, Wrong> {
        if let Some(sources) = &raw.defaults.sources {
            return Err(Wrong::new(sources.span(), "sources belong to a job, not to [defaults]")
                .hint("write them below [job.NAME]"));
        }
        let repository = raw.repository.map(|path| absolute(path, "the repository")).transpose()?;
        let repository_uuids = uuids(raw.repository_uuid)?;
        check_patterns(&raw.defaults.exclude)?;
        let defaults = settings(&Settings::default(), &raw.defaults);
        let mut jobs = BTreeMap::new();
        for (name, section) in raw.job {
            let span = name.span();
            let name = JobName::parse(name.get_ref())
                .map_err(|error| Wrong::new(span.clone(), error.to_string()))?;
            let job = understand_job(&name, span, section, &defaults)?;
            jobs.insert(name, job);
        }
        Ok(Self { file: file.to_path_buf(), repository, repository_uuids, defaults, jobs })
    }
}

fn understand_job(
    name: &JobName,
    span: Range<usize>,
    section: Section,
    defaults: &Settings,
) -> Result<Job, Wrong> {
    check_patterns(&section.exclude)?;
    let settings = settings(defaults, &section);
    let sources = section.sources.ok_or_else(|| {
        Wrong::new(span, format!("job {name} has no sources"))
            .hint("say what it backs up, as in: sources = [\"/etc\", \"/srv/www\"]")
    })?;
    if sources.get_ref().is_empty() {
        return Err(Wrong::new(sources.span(), format!("job {name} has an empty list of sources"))
            .hint("say what it backs up, as in: sources = [\"/etc\", \"/srv/www\"]"));
    }
    let what = format!("job {name}: a source");
    let sources =
        sources.into_inner().into_iter().map(|source| absolute(source, &what)).collect::<Result<_, _>>()?;
    Ok(Job { sources, settings })
}

/// A section over what holds without it. Excludes add up; anything else that is said replaces.
fn settings(base: &Settings, section: &Section) -> Settings {
    let mut exclude = base.rules.exclude.clone();
    exclude.extend(section.exclude.iter().map(|pattern| pattern.get_ref().clone()));
    let present = section.exclude_if_present.as_ref();
    Settings {
        rules: RuleOptions {
            exclude,
            exclude_if_present: present.unwrap_or(&base.rules.exclude_if_present).clone(),
            exclude_caches: section.exclude_caches.unwrap_or(base.rules.exclude_caches),
            exclude_larger_than: match &section.exclude_larger_than {
                Some(size) => Some(size.0),
                None => base.rules.exclude_larger_than,
            },
        },
        one_file_system: section.one_file_system.unwrap_or(base.one_file_system),
        validate: section.validate.as_ref().map_or(base.validate, |validate| validate.0),
        keep: section.keep.clone().or_else(|| base.keep.clone()),
        timezone: section.timezone.as_ref().map_or(base.timezone.clone(), |zone| Some(zone.0.0.clone())),
        recycle: section.recycle.unwrap_or(base.recycle),
        upheaval: section.mass_change.map_or(base.upheaval, Upheaval::from),
    }
}

/// One by one, so that the one that is wrong can be pointed at.
fn check_patterns(patterns: &[Spanned<String>]) -> Result<(), Wrong> {
    for pattern in patterns {
        let options = RuleOptions { exclude: vec![pattern.get_ref().clone()], ..RuleOptions::default() };
        if let Err(error) = Rules::new(&options) {
            return Err(Wrong::new(pattern.span(), error.to_string())
                .hint("patterns are written as in .gitignore, rooted at /"));
        }
    }
    Ok(())
}

fn uuids(written: Option<Spanned<Uuids>>) -> Result<Vec<String>, Wrong> {
    let Some(written) = written else { return Ok(Vec::new()) };
    let span = written.span();
    let uuids = Vec::from(written.into_inner());
    let is_one = |uuid: &String| uuid.len() == 36 && uuid.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    match uuids.iter().find(|uuid| !is_one(uuid)) {
        None if !uuids.is_empty() => Ok(uuids),
        wrong => {
            let what =
                wrong.map_or("this is an empty list".to_owned(), |uuid| format!("{uuid:?} is no UUID"));
            Err(Wrong::new(span, what)
                .hint("`linksnap init` says it, and it is in linksnap.toml of the repository"))
        }
    }
}

fn absolute(path: Spanned<PathBuf>, what: &str) -> Result<PathBuf, Wrong> {
    let span = path.span();
    let path = path.into_inner();
    let up = path.components().any(|part| part == std::path::Component::ParentDir);
    if path.as_os_str().is_empty() {
        return Err(Wrong::new(span, format!("{what} is empty")).hint("write an absolute path"));
    }
    if up || !path.is_absolute() {
        return Err(Wrong::new(
            span,
            format!("{what} must be an absolute path without ..: {}", path.display()),
        )
        .hint("write it from / on, as in \"/srv/www\""));
    }
    Ok(path)
}

fn unreadable(path: &Path) -> Failure {
    Failure::usage(format!("cannot read the configuration {}", path.display()))
}

#[cfg(test)]
mod tests;

//! What a backup is asked for: configured jobs, or paths, and where those paths really are.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use linksnap_engine::JobName;

use crate::args::RuleArgs;
use crate::config::{Config, Job, Settings};
use crate::environment;
use crate::failure::Failure;
use crate::locate;

/// One run: a job, its sources, and how it is to be run.
#[derive(Debug)]
pub struct Target {
    /// The job.
    pub job: JobName,
    /// Absolute paths.
    pub sources: Vec<PathBuf>,
    /// How it is to be run.
    pub settings: Settings,
}

/// The runs that `what` asks for, in the order of the arguments.
pub fn decide(what: &[OsString], job: Option<&str>, config: Option<&Config>) -> Result<Vec<Target>, Failure> {
    match (what, job) {
        ([], None) => all(config),
        ([], Some(job)) => Ok(vec![configured(job, config)?]),
        (paths, Some(job)) => Ok(vec![ad_hoc(locate::job_name(job)?, paths, config)]),
        (what, None) => named(what, config),
    }
}

fn all(config: Option<&Config>) -> Result<Vec<Target>, Failure> {
    let config = config.ok_or_else(|| {
        Failure::usage("there is nothing to back up: no configuration and no paths").hint(
            "name paths, as in `linksnap backup --repo /backup /etc`, or write /etc/linksnap/config.toml",
        )
    })?;
    if config.jobs.is_empty() {
        return Err(Failure::usage(format!("{} has no jobs", config.file.display()))
            .hint("add one: [job.NAME] with sources = [\"/etc\"]"));
    }
    Ok(config.jobs.iter().map(|(name, job)| target(name, job)).collect())
}

fn named(what: &[OsString], config: Option<&Config>) -> Result<Vec<Target>, Failure> {
    let of = |arg: &OsString| Meaning::of(arg, config, |path| path.symlink_metadata().is_ok());
    let meanings: Vec<Meaning> = what.iter().map(of).collect();
    if meanings.iter().all(|meaning| *meaning == Meaning::Path) {
        return Ok(vec![ad_hoc(host_job()?, what, config)]);
    }
    let mut targets: Vec<Target> = Vec::new();
    for (arg, meaning) in what.iter().zip(meanings) {
        let name = arg.to_string_lossy();
        if meaning == Meaning::Path {
            return Err(Failure::usage(format!("{name} is a path, but other arguments are jobs"))
                .hint("run jobs and paths one after the other"));
        }
        let target = configured(&name, config)?;
        // A job named twice would fail the second time: its snapshot of this second exists.
        if targets.iter().all(|other| other.job != target.job) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// What an argument of `backup` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Job,
    Path,
}

impl Meaning {
    fn of(arg: &OsStr, config: Option<&Config>, exists: impl Fn(&Path) -> bool) -> Self {
        let is_job = || {
            let name = arg.to_str().and_then(|name| JobName::parse(name).ok());
            name.is_some_and(|name| config.is_some_and(|config| config.jobs.contains_key(&name)))
        };
        let has_slash = arg.as_bytes().contains(&b'/');
        if has_slash || (!is_job() && exists(Path::new(arg))) { Self::Path } else { Self::Job }
    }
}

fn configured(name: &str, config: Option<&Config>) -> Result<Target, Failure> {
    let unknown = |where_: String| Failure::usage(format!("no job {name} is configured{where_}"));
    let Some(config) = config else {
        return Err(unknown(", for there is no configuration".to_owned())
            .hint(format!("to back up a path, write it with a slash: ./{name}")));
    };
    let job = JobName::parse(name).ok().and_then(|name| config.jobs.get_key_value(&name));
    job.map(|(name, job)| target(name, job)).ok_or_else(|| {
        let names: Vec<&str> = config.jobs.keys().map(JobName::as_str).collect();
        unknown(format!(" in {}", config.file.display()))
            .hint(format!("its jobs: {}; a path needs to exist or to have a slash", names.join(", ")))
    })
}

fn target(name: &JobName, job: &Job) -> Target {
    Target { job: name.clone(), sources: job.sources.clone(), settings: job.settings.clone() }
}

fn ad_hoc(job: JobName, paths: &[OsString], config: Option<&Config>) -> Target {
    let settings = config.map(|config| config.defaults.clone()).unwrap_or_default();
    Target { job, sources: paths.iter().map(|path| settle(Path::new(path))).collect(), settings }
}

fn host_job() -> Result<JobName, Failure> {
    let name = environment::short_host_name().unwrap_or_default();
    JobName::parse(&name).map_err(|error| {
        Failure::usage(error.to_string()).hint("the host's name is no job's name: give one with --job")
    })
}

/// The absolute path of what a user named on the command line.
///
/// The way there is resolved, as the shell did when the user went there; the last name is not, so that a symbolic
/// link is stored as one. With a slash behind it a link means what it leads to, as everywhere. What is not there
/// stays as it was written: the engine says so.
pub fn settle(path: &Path) -> PathBuf {
    let written = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let bytes = path.as_os_str().as_bytes();
    let name = match path.file_name() {
        Some(name) if bytes.ends_with(name.as_bytes()) => name,
        _ => return written.canonicalize().unwrap_or(written),
    };
    match written.parent().map(Path::canonicalize) {
        Some(Ok(parent)) => parent.join(name),
        _ => written,
    }
}

impl Target {
    /// Adds what the command line says.
    pub fn add(&mut self, args: &RuleArgs) {
        let rules = &mut self.settings.rules;
        rules.exclude.extend(args.exclude.iter().cloned());
        rules.exclude_if_present.extend(args.exclude_if_present.iter().cloned());
        rules.exclude_caches |= args.exclude_caches;
        rules.exclude_larger_than = args.exclude_larger_than.or(rules.exclude_larger_than);
        self.settings.one_file_system &= !args.cross_filesystems;
    }
}

#[cfg(test)]
mod tests;

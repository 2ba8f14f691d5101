//! Which repository, which job, which snapshot a command is about.

use std::path::{Path, PathBuf};

use linksnap_catalog::Snapshot;
use linksnap_engine::job::Job;
use linksnap_engine::{JobName, Repository, Selector};

use crate::args::Global;
use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;

/// The repository that was named, or the configured one. The configuration is not read if the repository was
/// named: what is wrong in it must not stand in the way of a restore.
pub fn repository(global: &Global) -> Result<Repository, Failure> {
    if let Some(path) = &global.repo {
        return Ok(Repository::open(&path_of(path)?)?);
    }
    configured(global, Config::find(global.config.as_deref())?.as_ref())
}

/// The same where the configuration is read anyway.
pub fn configured(global: &Global, config: Option<&Config>) -> Result<Repository, Failure> {
    let repository = Repository::open(&repository_path(global, config)?)?;
    expect(&repository, global, config)?;
    Ok(repository)
}

/// Refuses a repository that is another one than the configuration says, unless it was named.
pub fn expect(repository: &Repository, global: &Global, config: Option<&Config>) -> Result<(), Failure> {
    let found = &repository.marker().uuid;
    let Some(config) = expecting(global, config).filter(|config| !config.repository_uuids.contains(found))
    else {
        return Ok(());
    };
    let path = repository.path().display();
    let wanted = config.repository_uuids.join(" or ");
    let message = format!(
        "{path} holds another repository: its UUID is {found}, and {} wants {wanted}",
        config.file.display()
    );
    Err(Failure::new(Exit::NoRepository, message).hint(format!(
        "nothing was written. Is the right disk mounted? If this one is meant: repository-uuid = \"{found}\""
    )))
}

/// The configuration, if it is the one that names the repository and says which one is meant.
pub fn expecting<'a>(global: &Global, config: Option<&'a Config>) -> Option<&'a Config> {
    config.filter(|config| global.repo.is_none() && !config.repository_uuids.is_empty())
}

/// Where the repository is, or is to be.
pub fn repository_path(global: &Global, config: Option<&Config>) -> Result<PathBuf, Failure> {
    if let Some(path) = &global.repo {
        return path_of(path);
    }
    if let Some(path) = config.and_then(|config| config.repository.clone()) {
        return Ok(path);
    }
    let message = match config {
        Some(config) => format!("no repository is named, nor in {}", config.file.display()),
        None => "no repository is named, and there is no configuration".to_owned(),
    };
    Err(Failure::usage(message).hint(
        "name it with --repo DIR or LINKSNAP_REPO, or write repository = \"/backup\" into /etc/linksnap/config.toml",
    ))
}

/// The path as seen from `/`, so that messages say where it is.
fn path_of(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("cannot use the path {}", path.display())).because(&error))
}

/// A job's name as a user wrote it.
pub fn job_name(text: &str) -> Result<JobName, Failure> {
    JobName::parse(text).map_err(|error| Failure::usage(error.to_string()))
}

/// The jobs that are meant: those named, else --job, else all.
pub fn jobs(repository: &Repository, global: &Global, named: &[String]) -> Result<Vec<Job>, Failure> {
    let mut names = named.iter().map(|name| job_name(name)).collect::<Result<Vec<_>, _>>()?;
    if let (Some(job), []) = (&global.job, named) {
        names.push(job_name(job)?);
    }
    if names.is_empty() {
        names = repository.jobs()?;
    }
    names.iter().map(|name| Ok(Job::open(repository, name)?)).collect()
}

/// The snapshot that is meant by `NAME` or `JOB/NAME`, and its job.
pub fn snapshot(repository: &Repository, global: &Global, text: &str) -> Result<(Job, Snapshot), Failure> {
    let (job, name) = split(text);
    let job = match job.or(global.job.as_deref()) {
        Some(job) => job_name(job)?,
        None => only_job(repository, name)?,
    };
    let job = Job::open(repository, &job)?;
    let snapshot = job
        .select(&Selector::parse(name))
        .map_err(|error| Failure::from(error).of_job(job.name().as_str()))?;
    Ok((job, snapshot))
}

/// The snapshots that are meant, job by job; what was named twice is there once.
pub fn snapshots(
    repository: &Repository,
    global: &Global,
    texts: &[String],
) -> Result<Vec<(Job, Vec<Snapshot>)>, Failure> {
    let mut found: Vec<(Job, Vec<Snapshot>)> = Vec::new();
    for text in texts {
        let (job, one) = snapshot(repository, global, text)?;
        add(&mut found, job, Some(one));
    }
    found.iter_mut().for_each(|(_, snapshots)| snapshots.sort_by_key(|one| one.id));
    Ok(found)
}

/// Adds a job and a snapshot of it to those that were found, each once.
pub fn add(found: &mut Vec<(Job, Vec<Snapshot>)>, job: Job, snapshot: Option<Snapshot>) {
    let at = found.iter().position(|(other, _)| other.name() == job.name()).unwrap_or_else(|| {
        found.push((job, Vec::new()));
        found.len() - 1
    });
    if let Some(snapshot) = snapshot
        && found[at].1.iter().all(|other| other.id != snapshot.id)
    {
        found[at].1.push(snapshot);
    }
}

fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((job, name)) => (Some(job), if name.is_empty() { "latest" } else { name }),
        None => (None, text),
    }
}

fn only_job(repository: &Repository, snapshot: &str) -> Result<JobName, Failure> {
    let jobs = repository.jobs()?;
    match jobs.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::usage(format!("the repository {} has no jobs yet", repository.path().display()))
            .hint("`linksnap backup` makes the first snapshot")),
        several => {
            let names: Vec<&str> = several.iter().map(JobName::as_str).collect();
            Err(Failure::usage(format!("the repository has several jobs: {}", names.join(", ")))
                .hint(format!("write which one: {}/{snapshot}, or --job {}", names[0], names[0])))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_job_may_stand_in_front_of_a_snapshot() {
        assert_eq!(split("web1/2026-04"), (Some("web1"), "2026-04"));
        assert_eq!(split("web1/"), (Some("web1"), "latest"));
        assert_eq!(split("latest~2"), (None, "latest~2"));
    }
}

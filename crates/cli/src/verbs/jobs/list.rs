//! `jobs list`: the jobs of the configuration and of the repository.

use std::collections::BTreeSet;

use linksnap_engine::job::Job;
use linksnap_engine::{JobName, Repository};
use serde::Serialize;

use crate::args::Global;
use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::size::count;
use crate::{json, locate, table};

/// Lists them.
pub fn list(global: &Global, output: &Output) -> Result<Exit, Failure> {
    let config = Config::find(global.config.as_deref())?;
    let repository = repository(config.as_ref(), global, output)?;
    let mut names: BTreeSet<JobName> = BTreeSet::new();
    names.extend(config.iter().flat_map(|config| config.jobs.keys().cloned()));
    if let Some(repository) = &repository {
        names.extend(repository.jobs()?);
    }
    let mut worst = Exit::Done;
    let mut rows = Vec::new();
    for name in names {
        let (row, failure) = Row::new(name, config.as_ref(), repository.as_ref());
        if let Some(failure) = failure {
            output.failure(&failure);
            worst = worst.worse(failure.exit);
        }
        rows.push(row);
    }
    if output.is_json() {
        output.json(&rows.iter().map(Element::new).collect::<Vec<_>>());
    } else {
        print(&rows, output);
    }
    Ok(worst)
}

/// The repository. Where there is a configuration to be listed, that there is none is only remarked.
fn repository(
    config: Option<&Config>,
    global: &Global,
    output: &Output,
) -> Result<Option<Repository>, Failure> {
    let path = locate::repository_path(global, config)?;
    match Repository::open(&path) {
        Ok(repository) => match locate::expect(&repository, global, config) {
            Ok(()) => Ok(Some(repository)),
            Err(failure) => {
                output.remark(&failure.message);
                Ok(None)
            }
        },
        Err(error) if config.is_some() => {
            output.remark(&error.to_string());
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

struct Row {
    name: JobName,
    configured: bool,
    snapshots: Option<u64>,
    /// Name and time of the newest.
    latest: Option<(String, i64)>,
}

impl Row {
    /// What is known of a job; what cannot be found out is left open and said.
    fn new(
        name: JobName,
        config: Option<&Config>,
        repository: Option<&Repository>,
    ) -> (Self, Option<Failure>) {
        let configured = config.is_some_and(|config| config.jobs.contains_key(&name));
        let mut row = Self { name, configured, snapshots: None, latest: None };
        let Some(repository) = repository else {
            return (row, None);
        };
        let found = Job::find(repository, &row.name)
            .and_then(|job| job.map_or_else(|| Ok(Vec::new()), |job| job.snapshots()));
        match found {
            Ok(snapshots) => {
                row.snapshots = Some(snapshots.len() as u64);
                row.latest = snapshots.last().map(|last| (last.name.clone(), last.time));
                (row, None)
            }
            Err(error) => {
                let failure = Failure::from(error).of_job(row.name.as_str());
                (row, Some(failure))
            }
        }
    }
}

fn print(rows: &[Row], output: &Output) {
    if rows.is_empty() {
        return output.report("no jobs");
    }
    let cells = rows.iter().map(|row| {
        vec![
            row.name.as_str().to_owned(),
            if row.configured { "yes" } else { "no" }.to_owned(),
            row.snapshots.map_or_else(|| "?".to_owned(), count),
            row.latest.as_ref().map_or_else(|| "-".to_owned(), |(name, _)| name.clone()),
            row.latest.as_ref().map_or_else(|| "-".to_owned(), |(_, time)| table::local_time(*time)),
        ]
    });
    let headings = ["job", "configured", ">snapshots", "latest", "time"];
    table::table(&headings, cells).into_iter().for_each(|line| output.line(line));
}

#[derive(Serialize)]
struct Element<'a> {
    job: &'a str,
    configured: bool,
    snapshots: Option<u64>,
    latest: Option<&'a str>,
    latest_time: Option<String>,
}

impl<'a> Element<'a> {
    fn new(row: &'a Row) -> Self {
        Self {
            job: row.name.as_str(),
            configured: row.configured,
            snapshots: row.snapshots,
            latest: row.latest.as_ref().map(|(name, _)| name.as_str()),
            latest_time: row.latest.as_ref().map(|(_, time)| json::time(*time)),
        }
    }
}

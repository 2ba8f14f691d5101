//! The names of an inode of a repository: asked of the catalog, which knows those of all snapshots.

use std::path::{Path, PathBuf};

use linksnap_engine::job::Job;
use linksnap_engine::verbs::names::{self as engine, StoredPath};
use linksnap_engine::{JobName, Repository};
use linksnap_inode::dir::path_bytes;
use linksnap_inode::path::{above, as_path};
use linksnap_toolbox::names::Wanted;
use serde::Serialize;

use super::{What, is_linked};
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::JsonPath;
use crate::output::Output;
use crate::size::{count, counted};
use crate::{escape, locate, sandbox};

/// Tells the names if what is asked about is in a repository and its catalog knows it; else `None`.
pub fn names(what: &What, global: &Global, output: &Output) -> Result<Option<Exit>, Failure> {
    match what {
        What::Number(_) if global.repo.is_none() => Ok(None),
        What::Number(inode) => {
            let repository = locate::repository(global)?;
            let jobs = locate::jobs(&repository, global, &[])?;
            let found = ask(jobs, *inode, output)?;
            if found.iter().all(|(_, paths)| paths.is_empty()) {
                let place = repository.path().display();
                let message = format!("no snapshot in {place} has the inode {inode}");
                return Err(Failure::new(Exit::Failed, message)
                    .hint("directories are not in question: each snapshot has its own"));
            }
            tell(*inode, None, &found, output);
            Ok(Some(Exit::Done))
        }
        What::Path(path) => of_path(path, output),
    }
}

fn of_path(path: &Path, output: &Output) -> Result<Option<Exit>, Failure> {
    let Some(job) = job_of(path) else { return Ok(None) };
    let wanted = Wanted::at(path)?;
    let Some(stat) = wanted.stat.filter(|stat| is_linked(stat.kind)) else { return Ok(None) };
    let found = ask(vec![job], wanted.inode, output)?;
    if found.iter().all(|(_, paths)| paths.is_empty()) {
        output.remark("the catalog does not know it: the filesystem is looked through");
        return Ok(None);
    }
    tell(wanted.inode, Some(stat.links), &found, output);
    Ok(Some(Exit::Done))
}

/// The job in whose directory a path is.
fn job_of(path: &Path) -> Option<Job> {
    let real = above(path).canonicalize().ok()?;
    let is_marked = |dir: &&Path| dir.join("linksnap.toml").symlink_metadata().is_ok();
    let top = real.ancestors().find(is_marked)?;
    let repository = Repository::open(top).ok()?;
    let job = real.strip_prefix(top).ok()?.components().next()?;
    let job = JobName::parse(job.as_os_str().to_str()?).ok()?;
    Job::find(&repository, &job).ok()?
}

fn ask(jobs: Vec<Job>, inode: u64, output: &Output) -> Result<Vec<(Job, Vec<StoredPath>)>, Failure> {
    let ask = || jobs.iter().map(|job| Ok(engine::names(job, inode)?)).collect::<Result<Vec<_>, Failure>>();
    let found = sandbox::catalogs(&jobs, output, ask)?;
    Ok(jobs.into_iter().zip(found).collect())
}

fn tell(inode: u64, links: Option<u32>, found: &[(Job, Vec<StoredPath>)], output: &Output) {
    let names: Vec<Element> = found.iter().flat_map(|(job, paths)| elements(job, paths)).collect();
    if output.is_json() {
        return output.json(&Document { inode, links, names });
    }
    names.iter().for_each(|name| output.line(output.name(path_bytes(&name.full))));
    let paths = found.iter().map(|(_, paths)| paths.len() as u64).sum();
    let jobs: Vec<&str> =
        found.iter().filter(|(_, paths)| !paths.is_empty()).map(|(job, _)| job.name().as_str()).collect();
    let mut text = format!(
        "inode {inode}, from the catalog of {}: {} in snapshots, by {}",
        escape::for_terminal(jobs.join(", ").as_bytes()),
        counted(names.len() as u64, "name", "names"),
        counted(paths, "path", "paths"),
    );
    let others = u64::from(links.unwrap_or_default()).saturating_sub(names.len() as u64);
    if others > 0 {
        text.push_str(&format!(
            "\n  {} more by the link count: in trees that a run builds or builds upon, or outside the repository",
            count(others)
        ));
    }
    output.remark(&text);
}

fn elements<'a>(job: &'a Job, paths: &'a [StoredPath]) -> impl Iterator<Item = Element<'a>> {
    paths.iter().flat_map(move |stored| {
        stored.snapshots.iter().map(move |snapshot| {
            let below = stored.path.strip_prefix(b"/").unwrap_or(&stored.path);
            let full: PathBuf = job.path().join(snapshot).join(as_path(below));
            Element {
                path: JsonPath::new(path_bytes(&full)),
                full,
                job: job.name().as_str(),
                snapshot,
                source: JsonPath::new(&stored.path),
            }
        })
    })
}

#[derive(Serialize)]
struct Document<'a> {
    inode: u64,
    /// By the link count, if it is known: more than the names where trees are being built.
    links: Option<u32>,
    names: Vec<Element<'a>>,
}

#[derive(Serialize)]
struct Element<'a> {
    #[serde(flatten)]
    path: JsonPath,
    #[serde(skip)]
    full: PathBuf,
    job: &'a str,
    snapshot: &'a str,
    source: JsonPath,
}

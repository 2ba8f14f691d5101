//! `init`: makes a repository and says what its filesystem can do.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use linksnap_engine::Repository;
use linksnap_engine::repository::Durability;
use serde::Serialize;

use crate::args::{DurabilityArgs, Global, InitArgs};
use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::JsonPath;
use crate::output::Output;
use crate::{clock, locate, sandbox};

/// Makes the repository.
pub fn init(args: &InitArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let config = match &global.repo {
        Some(_) => None,
        None => Config::find(global.config.as_deref())?,
    };
    let path = locate::repository_path(global, config.as_ref())?;
    if args.dry_run {
        return preview(&path, args, output);
    }
    let (repository, findings) = match args.moved {
        true => sandbox::making(&path, output, || settle(&path, args, global, config.as_ref()))?,
        false => create(&path, &args.durability, output)?,
    };
    match (output.is_json(), args.moved) {
        (true, _) => output.json(&Document::new(&repository, &findings)),
        (false, true) => tell("accepted where it is: the repository ", &repository, &findings, output),
        (false, false) => say(&repository, &findings, output),
    }
    Ok(Exit::Done)
}

/// Says whether the repository could be made.
fn preview(path: &Path, args: &InitArgs, output: &Output) -> Result<Exit, Failure> {
    let filesystem = Repository::preview(path, durability(&args.durability))?;
    if output.is_json() {
        let path = JsonPath::new(path.as_os_str().as_bytes());
        output.json(&Planned { path, filesystem: &filesystem, dry_run: true });
    } else {
        let name = output.name(path.as_os_str().as_bytes());
        let end = format!(" on {filesystem}");
        output.report([b"dry run: would make the repository ".as_slice(), &name, end.as_bytes()].concat());
    }
    Ok(Exit::Done)
}

fn durability(args: &DurabilityArgs) -> Durability {
    if args.degraded { Durability::Degraded } else { Durability::Required }
}

#[derive(Serialize)]
struct Planned<'a> {
    #[serde(flatten)]
    path: JsonPath,
    filesystem: &'a str,
    dry_run: bool,
}

/// Makes a repository; what was found out about the filesystem, in sentences.
pub fn create(
    path: &Path,
    args: &DurabilityArgs,
    output: &Output,
) -> Result<(Repository, Vec<String>), Failure> {
    let now = clock::now()?;
    let (repository, creation) =
        sandbox::making(path, output, || Repository::create(path, now, durability(args)))?;
    Ok((repository, creation.findings))
}

/// Accepts where the repository is now.
fn settle(
    path: &Path,
    args: &InitArgs,
    global: &Global,
    config: Option<&Config>,
) -> Result<(Repository, Vec<String>), Failure> {
    // Another one than the configured is no copy of it.
    locate::expect(&Repository::open(path)?, global, config)?;
    let (repository, creation) = Repository::settle(path, durability(&args.durability))?;
    Ok((repository, creation.findings))
}

/// Says what was made.
pub fn say(repository: &Repository, findings: &[String], output: &Output) {
    tell("made the repository ", repository, findings, output);
}

fn tell(what: &str, repository: &Repository, findings: &[String], output: &Output) {
    let path = output.name(repository.path().as_os_str().as_bytes());
    output.report([what.as_bytes(), &path].concat());
    let uuid = &repository.marker().uuid;
    output.report(format!("  to take no other disk for it, configure repository-uuid = \"{uuid}\""));
    for finding in findings {
        output.report(format!("  {finding}"));
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    path: JsonPath,
    uuid: &'a str,
    format: u32,
    filesystem: &'a str,
    degraded: bool,
    findings: &'a [String],
}

impl<'a> Document<'a> {
    fn new(repository: &'a Repository, findings: &'a [String]) -> Self {
        let marker = repository.marker();
        Self {
            path: JsonPath::new(repository.path().as_os_str().as_bytes()),
            uuid: &marker.uuid,
            format: marker.format,
            filesystem: &marker.filesystem.r#type,
            degraded: marker.degraded,
            findings,
        }
    }
}

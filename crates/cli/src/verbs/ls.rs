//! `ls`: what is in a snapshot, as it was in the source.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;

use linksnap_engine::Repository;
use linksnap_engine::verbs::ls::{self as engine, ListedEntry, LsOptions};
use linksnap_inode::Kind;
use serde::Serialize;

use crate::args::{Global, LsArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{self, JsonPath};
use crate::output::Output;
use crate::{kind, locate, sandbox, table};

/// Lists.
pub fn ls(args: &LsArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let (selector, paths) = understand(args)?;
    let options = LsOptions { recursive: args.recursive || paths.is_empty(), paths };
    let repository = locate::repository(global)?;
    sandbox::reading(&repository, output, || list(&repository, &selector, &options, args, global, output))
}

fn list(
    repository: &Repository,
    selector: &str,
    options: &LsOptions,
    args: &LsArgs,
    global: &Global,
    output: &Output,
) -> Result<Exit, Failure> {
    let (job, snapshot) = locate::snapshot(repository, global, selector)?;
    let mut is_first = true;
    engine::ls(&job, &snapshot, options, &mut |entry| {
        if output.is_json() {
            output.json_element(&Element::new(entry), is_first);
            is_first = false;
        } else if args.long {
            output.line(long(entry, output));
        } else {
            output.line(output.name(&entry.path));
        }
        if output.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if output.is_json() {
        output.json_end(is_first);
    }
    Ok(Exit::Done)
}

/// The first argument is a snapshot unless it is plainly a path.
fn understand(args: &LsArgs) -> Result<(String, Vec<Vec<u8>>), Failure> {
    let mut paths: Vec<Vec<u8>> = args.paths.iter().map(|path| path.as_bytes().to_vec()).collect();
    let selector = match args.snapshot.as_deref().map(OsStr::as_bytes) {
        None => "latest".to_owned(),
        Some(path @ [b'/', ..]) => {
            paths.insert(0, path.to_vec());
            "latest".to_owned()
        }
        Some(name) => String::from_utf8_lossy(name).into_owned(),
    };
    match paths.iter().find(|path| !path.starts_with(b"/")) {
        Some(path) => Err(Failure::usage(format!("{} is no absolute path", String::from_utf8_lossy(path)))
            .hint("paths in a snapshot are those of the source, from / on")),
        None => Ok((selector, paths)),
    }
}

/// As `ls -l` has it: mode, owner, group, size or device, time, path, target.
fn long(entry: &ListedEntry, output: &Output) -> Vec<u8> {
    let size = match entry.kind {
        Kind::CharDevice | Kind::BlockDevice => kind::device(entry.rdev),
        _ => entry.size.to_string(),
    };
    let time = table::local_time(entry.mtime.seconds);
    let mode = kind::mode(entry.kind, entry.mode);
    let mut line = format!("{mode} {:>5} {:>5} {size:>12} {time} ", entry.uid, entry.gid).into_bytes();
    line.extend(output.name(&entry.path));
    if let Some(target) = &entry.target {
        line.extend(b" -> ");
        line.extend(output.name(target));
    }
    line
}

#[derive(Serialize)]
struct Element {
    #[serde(flatten)]
    path: JsonPath,
    kind: &'static str,
    /// Octal, four digits.
    mode: String,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blake3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

impl Element {
    fn new(entry: &ListedEntry) -> Self {
        let is_device = matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice);
        Self {
            path: JsonPath::new(&entry.path),
            kind: kind::word(entry.kind),
            mode: format!("{:04o}", entry.mode),
            uid: entry.uid,
            gid: entry.gid,
            size: entry.size,
            mtime: table::exact_time(entry.mtime.seconds, entry.mtime.nanoseconds),
            target: entry.target.as_deref().map(json::text),
            target_b64: entry.target.as_deref().and_then(json::exact),
            blake3: entry.hash.as_ref().map(ToString::to_string),
            device: is_device.then(|| kind::device(entry.rdev)),
        }
    }
}

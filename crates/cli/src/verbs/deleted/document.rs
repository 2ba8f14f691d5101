//! `deleted --json`.

use linksnap_toolbox::deleted::{Deleted, File, Gone, Hold, Holder, Others};
use serde::Serialize;

use super::{sums, unit};
use crate::json::{self, JsonPath};
use crate::kind::word;

#[derive(Serialize)]
pub struct Document {
    files: Vec<Element>,
    filesystems: Vec<Sum>,
    memory_files: u64,
    seen_processes: u64,
    unseen_processes: u64,
    /// Does `/proc` not even list the processes of others?
    processes_hidden: bool,
}

#[derive(Serialize)]
struct Element {
    #[serde(flatten)]
    path: JsonPath,
    device: u64,
    inode: u64,
    /// This and the next are missing where only root may ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// On the disk: what its end would free.
    bytes: u64,
    deleted: Option<String>,
    deleted_before: Option<String>,
    mounted_on: Option<JsonPath>,
    holders: Vec<Process>,
}

#[derive(Serialize)]
struct Process {
    pid: u32,
    command: String,
    uid: u32,
    unit: Option<String>,
    started: Option<String>,
    fds: Vec<u32>,
    program: bool,
    mapped: bool,
    cwd: bool,
    root: bool,
}

#[derive(Serialize)]
struct Sum {
    mounted_on: Option<JsonPath>,
    files: u64,
    bytes: u64,
}

impl Document {
    pub fn new(found: &Deleted) -> Self {
        let sum = |sum: super::Sum<'_>| Sum {
            mounted_on: sum.mount.map(|mount| JsonPath::new(&mount.point)),
            files: sum.files,
            bytes: sum.bytes,
        };
        Self {
            files: found.files.iter().map(Element::new).collect(),
            filesystems: sums(found).into_iter().map(sum).collect(),
            memory_files: found.memory_files,
            seen_processes: found.seen,
            unseen_processes: found.unseen,
            processes_hidden: found.others == Others::Hidden,
        }
    }
}

impl Element {
    fn new(file: &File) -> Self {
        let (deleted, deleted_before) = match file.gone() {
            Some(Gone::At(time)) => (Some(json::time(time)), None),
            Some(Gone::NotAfter(time)) => (None, Some(json::time(time))),
            None => (None, None),
        };
        Self {
            path: JsonPath::new(&file.path),
            device: file.identity.0,
            inode: file.identity.1,
            kind: file.stat.map(|stat| word(stat.kind)),
            size: file.stat.map(|stat| stat.size),
            bytes: file.disk_bytes(),
            deleted,
            deleted_before,
            mounted_on: file.mount.as_ref().map(|mount| JsonPath::new(&mount.point)),
            holders: file.holders.iter().map(Process::new).collect(),
        }
    }
}

impl Process {
    fn new(holder: &Holder) -> Self {
        let (process, holds) = (&holder.process, &holder.holds);
        let fd = |hold: &Hold| match hold {
            Hold::Open(fd) => Some(*fd),
            _ => None,
        };
        Self {
            pid: process.pid,
            command: json::text(&process.command),
            uid: process.uid,
            unit: unit(&process.unit).map(str::to_owned),
            started: process.started.map(json::time),
            fds: holds.iter().filter_map(fd).collect(),
            program: holds.contains(&Hold::Program),
            mapped: holds.contains(&Hold::Mapped),
            cwd: holds.contains(&Hold::WorkingDirectory),
            root: holds.contains(&Hold::RootDirectory),
        }
    }
}

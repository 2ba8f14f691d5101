//! `usage --where`: which directories hold most.

use std::path::PathBuf;

use linksnap_inode::dir::path_bytes;
use linksnap_toolbox::spread::{self as tool, Amounts, By, Holder, Share, Spread};
use serde::Serialize;

use crate::args::{ByArg, UsageArgs};
use crate::display::Form;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{self, JsonFault, JsonPath};
use crate::output::Output;
use crate::size::{bytes, count, counted};
use crate::walking::Walking;
use crate::{roots, table};

/// Counts and ranks.
pub fn spread(args: &UsageArgs, output: &Output) -> Result<Exit, Failure> {
    let roots = match args.paths.as_slice() {
        [] => vec![PathBuf::from(".")],
        paths => paths.to_vec(),
    };
    roots::require(&roots)?;
    let walking = Walking::start(output, "counting", Form::Document)?;
    let found = tool::spread(&roots, &walking);
    // What was counted so far would mislead.
    walking.end()?;
    let top = found.top(by(args), share(args), args.ranking.top);
    if output.is_json() {
        output.json(&Document::new(&found, &top));
    } else {
        print(&found, &top, args, output);
        output.faults(&found.problems);
        remark(&found, output);
    }
    Ok(if found.problems.is_empty() { Exit::Done } else { Exit::Problems })
}

fn by(args: &UsageArgs) -> By {
    match (args.ranking.by, args.ranking.apparent_size) {
        (ByArg::Inodes, _) => By::Inodes,
        (ByArg::Bytes, false) => By::DiskBytes,
        (ByArg::Bytes, true) => By::ApparentBytes,
    }
}

fn share(args: &UsageArgs) -> Share {
    if args.ranking.own { Share::Own } else { Share::All }
}

fn print(found: &Spread, top: &[Holder], args: &UsageArgs, output: &Output) {
    let shown = |amounts: &Amounts| match args.ranking.apparent_size {
        true => bytes(amounts.apparent_bytes),
        false => bytes(amounts.disk_bytes),
    };
    let roots: Vec<String> = found.roots().iter().map(|root| name(root, output)).collect();
    let total = found.total();
    output.line(format!(
        "{}: {}, {}, {}",
        roots.join(", "),
        shown(&total),
        counted(total.inodes, "inode", "inodes"),
        counted(found.directories(), "directory", "directories")
    ));
    let rows = top.iter().map(|one| {
        vec![
            shown(&one.all),
            shown(&one.own),
            count(one.all.inodes),
            count(one.own.inodes),
            name(&one.path, output),
        ]
    });
    let headings = [">bytes", ">own", ">inodes", ">own", "directory"];
    table::table(&headings, rows).iter().for_each(|line| output.line(line));
}

fn name(path: &std::path::Path, output: &Output) -> String {
    json::text(&output.name(path_bytes(path)))
}

fn remark(found: &Spread, output: &Output) {
    let unread = found.problems.len() as u64;
    if unread > 0 {
        let unread = counted(unread, "directory", "directories");
        output.remark(&format!("not counted: {unread} that could not be read, and what is below"));
    }
    if found.mounts_left_out > 0 {
        let mounts = counted(found.mounts_left_out, "directory", "directories");
        output.remark(&format!("not counted: {mounts} that something is mounted on"));
    }
}

#[derive(Serialize)]
struct Document {
    roots: Vec<JsonPath>,
    directories: u64,
    #[serde(flatten)]
    total: Numbers,
    top: Vec<Element>,
    mounts_left_out: u64,
    problems: Vec<JsonFault>,
}

#[derive(Serialize)]
struct Element {
    #[serde(flatten)]
    path: JsonPath,
    #[serde(flatten)]
    all: Numbers,
    own: Numbers,
}

#[derive(Serialize)]
struct Numbers {
    inodes: u64,
    bytes: u64,
    apparent_bytes: u64,
}

impl From<Amounts> for Numbers {
    fn from(amounts: Amounts) -> Self {
        Self { inodes: amounts.inodes, bytes: amounts.disk_bytes, apparent_bytes: amounts.apparent_bytes }
    }
}

impl Document {
    fn new(found: &Spread, top: &[Holder]) -> Self {
        let path = |path: &PathBuf| JsonPath::new(path_bytes(path));
        let element =
            |one: &Holder| Element { path: path(&one.path), all: one.all.into(), own: one.own.into() };
        Self {
            roots: found.roots().iter().map(path).collect(),
            directories: found.directories(),
            total: found.total().into(),
            top: top.iter().map(element).collect(),
            mounts_left_out: found.mounts_left_out,
            problems: found.problems.iter().map(JsonFault::new).collect(),
        }
    }
}

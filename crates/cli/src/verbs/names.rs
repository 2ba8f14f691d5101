//! `names`: every name of an inode: on its filesystem, below some directories, or in the snapshots of a repository.

mod stored;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use linksnap_inode::Kind;
use linksnap_inode::dir::path_bytes;
use linksnap_inode::filesystem::Nature;
use linksnap_toolbox::names::{self as tool, Ground, Names, Reach, Until, Wanted};
use serde::Serialize;

use crate::args::{Global, NamesArgs};
use crate::display::Form;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::JsonPath;
use crate::kind::word;
use crate::output::Output;
use crate::size::{count, counted};
use crate::walking::Walking;
use crate::{escape, signals};

/// Tells the names.
pub fn names(args: &NamesArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let what = What::of(args)?;
    if args.roots.is_empty()
        && let Some(exit) = stored::names(&what, global, output)?
    {
        return Ok(exit);
    }
    let here = args.roots.first().map_or(Path::new("."), PathBuf::as_path);
    let wanted = match &what {
        What::Path(path) => Wanted::at(path),
        What::Number(inode) => Wanted::numbered(*inode, here),
    };
    let wanted = wanted?;
    if wanted.nature == Nature::Pseudo {
        return Err(made_up(&args.what));
    }
    let ground = match args.roots.as_slice() {
        [] => Ground::whole(&wanted),
        roots => Ground::below(&wanted, roots),
    };
    look(&wanted, &ground?, args, output)
}

/// What is asked about.
enum What {
    Path(PathBuf),
    Number(u64),
}

impl What {
    fn of(args: &NamesArgs) -> Result<Self, Failure> {
        let path = Path::new(&args.what);
        match (number(&args.what), path.symlink_metadata().is_ok()) {
            (Some(inode), false) => Ok(Self::Number(inode)),
            (Some(inode), true) if args.inum => Ok(Self::Number(inode)),
            (None, _) if args.inum => {
                Err(Failure::usage(format!("{} is no inode number", args.what.display())))
            }
            _ => Ok(Self::Path(path.to_path_buf())),
        }
    }
}

fn number(text: &OsStr) -> Option<u64> {
    text.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

fn made_up(what: &OsStr) -> Failure {
    Failure::usage(format!("{} is none of a disk's files, but the kernel's own", what.display()))
        .hint("the kernel makes up such inodes when they are asked for: they have no other names")
}

fn look(wanted: &Wanted, ground: &Ground, args: &NamesArgs, output: &Output) -> Result<Exit, Failure> {
    let until = if args.all { Until::End } else { Until::AllFound };
    let walking = Walking::start(output, "looking for names", Form::Document)?;
    let found = tool::names(wanted, ground, until, &walking);
    drop(walking);
    if output.is_json() {
        output.json(&Document::new(wanted, ground, &found));
    } else {
        found
            .paths
            .iter()
            .chain(&found.mounted_at)
            .for_each(|path| output.line(output.name(path_bytes(path))));
        output.faults(&found.problems);
        if found.stat.is_some() {
            output.remark(&summary(wanted, ground, &found));
        }
    }
    match signals::caught() {
        Some(signal) => Ok(Exit::Interrupted(signal)),
        None if found.stat.is_none() => Err(nothing(wanted, ground, &found)),
        None if found.missing() > 0 && !found.problems.is_empty() => Ok(Exit::Problems),
        None => Ok(Exit::Done),
    }
}

fn nothing(wanted: &Wanted, ground: &Ground, found: &Names) -> Failure {
    let hint = match (ground.reach, found.problems.len()) {
        (_, 1..) => "some directories could not be read: try it as root",
        (Reach::Below, _) => {
            "without a directory, all of the filesystem of the current directory is looked through"
        }
        (Reach::Whole | Reach::Mounted, _) => {
            "the numbers of each filesystem are its own: name a directory of the one that is meant"
        }
    };
    let place = place(ground);
    Failure::new(Exit::Failed, format!("no name has the inode {} {place}", wanted.inode)).hint(hint)
}

/// `inode 812 (file): 2 of 3 names found below /srv; what is missing may be elsewhere`.
fn summary(wanted: &Wanted, ground: &Ground, found: &Names) -> String {
    let kind = found.stat.map_or(String::new(), |stat| format!(" ({})", word(stat.kind)));
    let (here, links) = (found.paths.len() as u64, found.links().unwrap_or_default());
    let amount = match found.missing() {
        0 if links == 0 => "no name".to_owned(),
        0 if here == 1 => "its only name".to_owned(),
        0 => format!("all {} names", count(here)),
        _ => format!("{} of {}", count(here), counted(links, "name", "names")),
    };
    let mounted = match found.mounted_at.len() as u64 {
        0 => String::new(),
        points => format!(", and {} where it is mounted", counted(points, "place", "places")),
    };
    let mut text = format!("inode {}{kind}: {amount}{mounted}, {}", wanted.inode, place(ground));
    if found.missing() > 0 {
        let others = match (here, found.missing()) {
            (0, 1) => "it".to_owned(),
            (0, _) => "they".to_owned(),
            (_, 1) => "the other".to_owned(),
            (_, missing) => format!("the other {}", count(missing)),
        };
        text.push_str(&format!("\n  {others} may be {}", reasons(ground, found)));
    }
    text
}

/// Where was looked.
fn place(ground: &Ground) -> String {
    let roots: Vec<String> = ground.roots.iter().map(|root| escape::for_terminal(path_bytes(root))).collect();
    let roots = roots.join(", ");
    let filesystem = ground.mount.as_ref().map_or_else(String::new, |mount| {
        format!(" ({} on {})", mount.kind, escape::for_terminal(&mount.source))
    });
    match ground.reach {
        _ if roots.is_empty() => format!("for nothing of its filesystem{filesystem} is where to look"),
        Reach::Whole => format!("on the whole filesystem of {roots}{filesystem}"),
        Reach::Mounted => format!("on what is mounted of its filesystem: {roots}{filesystem}"),
        Reach::Below => format!("below {roots}"),
    }
}

/// Where names that were not found can be.
fn reasons(ground: &Ground, found: &Names) -> String {
    let mut reasons = Vec::new();
    if signals::caught().is_some() {
        reasons.push("where it was not looked any more".to_owned());
    }
    if !found.problems.is_empty() {
        let many = counted(found.problems.len() as u64, "directory", "directories");
        reasons.push(format!("in {many} that could not be read"));
    }
    if found.covered > 0 {
        let many = counted(found.covered, "directory", "directories");
        reasons.push(format!("in {many} that something is mounted on"));
    }
    match ground.reach {
        Reach::Below => reasons.push("elsewhere on the filesystem".to_owned()),
        Reach::Mounted => reasons.push("in a part of the filesystem that is not mounted here".to_owned()),
        Reach::Whole if reasons.is_empty() => {
            reasons.push("in a directory that was moved meanwhile: look again".to_owned());
        }
        Reach::Whole => {}
    }
    reasons.join(", or ")
}

#[derive(Serialize)]
struct Document {
    inode: u64,
    device: u64,
    kind: Option<&'static str>,
    /// By the link count; of a directory 1.
    links: Option<u64>,
    missing: u64,
    names: Vec<JsonPath>,
    mounted_at: Vec<JsonPath>,
    looked_through: Vec<JsonPath>,
    whole_filesystem: bool,
    directories: u64,
    covered_directories: u64,
    problems: Vec<crate::json::JsonFault>,
}

impl Document {
    fn new(wanted: &Wanted, ground: &Ground, found: &Names) -> Self {
        let paths = |all: &[PathBuf]| all.iter().map(|path| JsonPath::new(path_bytes(path))).collect();
        Self {
            inode: wanted.inode,
            device: wanted.device,
            kind: found.stat.map(|stat| word(stat.kind)),
            links: found.links(),
            missing: found.missing(),
            names: paths(&found.paths),
            mounted_at: paths(&found.mounted_at),
            looked_through: paths(&ground.roots),
            whole_filesystem: ground.reach == Reach::Whole,
            directories: found.directories,
            covered_directories: found.covered,
            problems: found.problems.iter().map(crate::json::JsonFault::new).collect(),
        }
    }
}

/// Can an inode of this kind have names in several snapshots?
fn is_linked(kind: Kind) -> bool {
    kind != Kind::Directory
}

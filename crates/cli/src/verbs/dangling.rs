//! `dangling`: symbolic links that lead nowhere.

mod alternatives;
mod fix;

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use linksnap_inode::Errno;
use linksnap_toolbox::Place;
use linksnap_toolbox::dangling::{self as tool, Dangling, Finding, Reason, Scope, Stop};
use linksnap_toolbox::walk::Mounts;
use serde::Serialize;

use crate::args::DanglingArgs;
use crate::display::Form;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json;
use crate::output::Output;
use crate::size::counted;
use crate::symlinks::{JsonCoverage, JsonLink};
use crate::walking::Walking;
use crate::{roots, sandbox};

/// Lists them, or repairs them.
pub fn dangling(args: &DanglingArgs, output: &Output) -> Result<Exit, Failure> {
    if args.alternatives.alternatives {
        return sandbox::looking(output, || alternatives::check(&args.alternatives, output));
    }
    // A link may be named itself, or anything else.
    args.roots.iter().try_for_each(|root| Place::find(root)?.stat().map(drop))?;
    roots::require(&args.search)?;
    if !args.fix.is_empty() {
        return fix::fix(args, output);
    }
    if args.deed.yes || args.deed.dry_run || args.deed.undo.is_some() {
        return Err(Failure::usage("nothing is to be changed").hint("say --fix to plan repairs"));
    }
    sandbox::looking(output, || list(args, output))
}

fn list(args: &DanglingArgs, output: &Output) -> Result<Exit, Failure> {
    let walking = Walking::start(output, "looking for links that lead nowhere", Form::Lines)?;
    let found = find(args, &walking)?;
    found.coverage.problems.iter().for_each(|problem| output.fault(problem));
    for finding in &found.findings {
        print(finding, args, output);
    }
    if output.is_json() {
        output.json(&Summary::new(&found, walking.elapsed().as_secs_f64()));
    } else {
        output.remark(&words(&found));
    }
    Ok(match () {
        () if !found.findings.is_empty() => Exit::Failed,
        () if !found.coverage.problems.is_empty() => Exit::Problems,
        () => Exit::Done,
    })
}

fn find(args: &DanglingArgs, walking: &Walking<'_>) -> Result<Dangling, Failure> {
    let scope = if args.leaving { Scope::Leaving } else { Scope::Broken };
    let found = tool::find(&args.roots, scope, mounts(args), walking);
    walking.end()?;
    Ok(found)
}

fn mounts(args: &DanglingArgs) -> Mounts {
    if args.cross_mounts { Mounts::Cross } else { Mounts::Stay }
}

fn print(finding: &Finding, args: &DanglingArgs, output: &Output) {
    let path = finding.link.shown(&args.roots);
    let path = path.as_os_str().as_bytes();
    match () {
        () if output.is_json() => output.json(&FindingLine::new(finding, &args.roots)),
        () if args.print0 => output.nul_ended(path),
        () if args.print => output.line(output.name(path)),
        () => {
            let reason = reason_in_words(finding, output);
            let link = [&output.name(path), b" -> ".as_slice(), &output.name(&finding.link.text)].concat();
            output.line([&link, b": ".as_slice(), &reason].concat());
        }
    }
}

fn reason_in_words(finding: &Finding, output: &Output) -> Vec<u8> {
    let mut words = plain_reason(finding.reason).into_bytes();
    if let Some(Stop { at, is_link }) = finding.stop.as_ref().filter(|stop| tells_more(finding, stop)) {
        words.extend([b": ", output.name(at).as_slice()].concat());
        words.extend(if *is_link { b" leads nowhere itself".as_slice() } else { b"" });
    }
    if finding.leaves_root && finding.reason != Reason::LeavesRoot {
        words.extend(b", outside the root");
    }
    words
}

/// Is it not plain from the link's text where the way ends?
fn tells_more(finding: &Finding, stop: &Stop) -> bool {
    stop.is_link || (finding.reason != Reason::TooLong && stop.at != finding.link.text.trim_ascii_end())
}

fn plain_reason(reason: Reason) -> String {
    match reason {
        Reason::Missing => "missing".to_owned(),
        Reason::Loop => "a loop, or more than 40 links".to_owned(),
        Reason::NotADirectory => "not a directory".to_owned(),
        Reason::NoPermission => "no permission".to_owned(),
        Reason::TooLong => "a name is too long".to_owned(),
        Reason::LeavesRoot => "works, but leaves the root".to_owned(),
        Reason::Unreachable(errno) => unreachable(errno),
    }
}

fn unreachable(errno: Errno) -> String {
    format!("cannot be followed, {}", std::io::Error::from(errno))
}

fn words(found: &Dangling) -> String {
    let places = counted(found.coverage.directories, "directory", "directories");
    let links = counted(found.links, "symbolic link", "symbolic links");
    let leaving = found.findings.iter().filter(|one| one.reason == Reason::LeavesRoot).count() as u64;
    let nowhere = found.findings.len() as u64 - leaving;
    let mut words = match (found.links, nowhere) {
        (0, _) => format!("no symbolic links in {places}"),
        (_, 0) => format!("all of {links} in {places} lead somewhere"),
        (1, 1) => format!("the only symbolic link in {places} leads nowhere"),
        (_, 1) => format!("1 of {links} in {places} leads nowhere"),
        (_, number) => format!("{number} of {links} in {places} lead nowhere"),
    };
    if leaving > 0 {
        words.push_str(&format!(", {leaving} through an absolute path out of the root"));
    }
    match found.coverage.mounts_left_out {
        0 => {}
        1 => words.push_str("; 1 mount was left out (--cross-mounts enters it)"),
        some => words.push_str(&format!("; {some} mounts were left out (--cross-mounts enters them)")),
    }
    words
}

/// One word (with hyphens) for JSON.
fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::Missing => "missing",
        Reason::Loop => "loop",
        Reason::NotADirectory => "not-a-directory",
        Reason::NoPermission => "no-permission",
        Reason::TooLong => "too-long",
        Reason::LeavesRoot => "leaves-root",
        Reason::Unreachable(_) => "unreachable",
    }
}

#[derive(Serialize)]
struct FindingLine {
    #[serde(flatten)]
    link: JsonLink,
    reason: &'static str,
    /// The part of the target at which the way ends; `null` where there is no such place.
    stops_at: Option<String>,
    /// Is that a symbolic link that leads nowhere itself?
    stops_at_link: bool,
    leaves_root: bool,
}

impl FindingLine {
    fn new(finding: &Finding, roots: &[PathBuf]) -> Self {
        Self {
            link: JsonLink::new("dangling", &finding.link, roots),
            reason: reason_word(finding.reason),
            stops_at: finding.stop.as_ref().map(|stop| json::text(&stop.at)),
            stops_at_link: finding.stop.as_ref().is_some_and(|stop| stop.is_link),
            leaves_root: finding.leaves_root,
        }
    }
}

#[derive(Serialize)]
struct Summary {
    r#type: &'static str,
    links: u64,
    dangling: u64,
    leaving: u64,
    #[serde(flatten)]
    coverage: JsonCoverage,
}

impl Summary {
    fn new(found: &Dangling, elapsed_seconds: f64) -> Self {
        let leaving = found.findings.iter().filter(|one| one.reason == Reason::LeavesRoot).count() as u64;
        Self {
            r#type: "summary",
            links: found.links,
            dangling: found.findings.len() as u64 - leaving,
            leaving,
            coverage: JsonCoverage::new(&found.coverage, elapsed_seconds),
        }
    }
}

//! `links`: the census of symbolic links.

mod convert;

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use linksnap_toolbox::links::{self as tool, Census, Counted, Kinds, LinkKind};
use linksnap_toolbox::walk::Mounts;
use serde::Serialize;

use crate::args::{KindArg, LinksArgs};
use crate::display::Form;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json;
use crate::output::Output;
use crate::size::{count, counted};
use crate::symlinks::{JsonCoverage, JsonLink};
use crate::walking::Walking;
use crate::{roots, sandbox};

/// Counts and lists them, or changes their texts.
pub fn links(args: &LinksArgs, output: &Output) -> Result<Exit, Failure> {
    roots::require(&args.roots)?;
    if let Some(conversion) = convert::asked(args) {
        return convert::convert(args, conversion, output);
    }
    if args.deed.yes || args.deed.dry_run || args.deed.undo.is_some() {
        return Err(Failure::usage("nothing is to be changed")
            .hint("say --to-relative, --to-absolute or --shorten to plan changes"));
    }
    sandbox::looking(output, || census(args, output))
}

fn census(args: &LinksArgs, output: &Output) -> Result<Exit, Failure> {
    let walking = Walking::start(output, "looking at symbolic links", Form::Lines)?;
    let census = take(args, listed(&args.list), &walking)?;
    census.coverage.problems.iter().for_each(|problem| output.fault(problem));
    for one in &census.listed {
        print(one, args, output);
    }
    if output.is_json() {
        output.json(&Summary::new(&census, walking.elapsed().as_secs_f64()));
    } else if args.list.is_empty() {
        table(&census).iter().for_each(|line| output.line(line));
    } else {
        output.remark(&found_in_words(&census));
    }
    if census.coverage.mounts_left_out > 0 {
        let mounts = counted(census.coverage.mounts_left_out, "mount was", "mounts were");
        output.remark(&format!("{mounts} left out; --cross-mounts goes there"));
    }
    Ok(if census.coverage.problems.is_empty() { Exit::Done } else { Exit::Problems })
}

fn take(args: &LinksArgs, listed: Kinds, walking: &Walking<'_>) -> Result<Census, Failure> {
    let mounts = if args.cross_mounts { Mounts::Cross } else { Mounts::Stay };
    let census = tool::census(&args.roots, listed, mounts, walking);
    walking.end()?;
    Ok(census)
}

fn listed(kinds: &[KindArg]) -> Kinds {
    let kind = |kind: &KindArg| match kind {
        KindArg::Absolute => vec![LinkKind::Absolute],
        KindArg::Relative => vec![LinkKind::Relative],
        KindArg::Dangling => vec![LinkKind::Dangling],
        KindArg::Leaving => vec![LinkKind::Leaving],
        KindArg::Crossing => vec![LinkKind::Crossing],
        KindArg::Longer => vec![LinkKind::Longer],
        KindArg::All => LinkKind::ALL.to_vec(),
    };
    kinds.iter().flat_map(kind).collect()
}

/// `PATH -> TEXT: KINDS`, and the shortest text behind.
fn print(one: &Counted, args: &LinksArgs, output: &Output) {
    let path = one.link.shown(&args.roots);
    let path = path.as_os_str().as_bytes();
    if output.is_json() {
        return output.json(&LinkLine::new(one, &args.roots));
    }
    let kinds: Vec<&str> = one.kinds.iter().map(word).collect();
    let mut line = [&output.name(path), b" -> ".as_slice(), &output.name(&one.link.text)].concat();
    line.extend(format!(": {}", kinds.join(", ")).as_bytes());
    if let Some(shortest) = &one.shortest {
        line.extend([b" than ".as_slice(), &output.name(shortest)].concat());
    }
    output.line(line);
}

fn table(census: &Census) -> Vec<String> {
    let counts = &census.counts;
    let number = |number: u64| count(number);
    let width = number(counts.links).len();
    let line = |what: &str, how_many: u64, meaning: &str| {
        format!("{what:<14}  {:>width$}{meaning}", number(how_many)).trim_end().to_owned()
    };
    let mut lines = vec![line("symbolic links", counts.links, "")];
    lines.extend(
        LinkKind::ALL
            .into_iter()
            .map(|kind| line(&format!("  {}", word(kind)), counts.of(kind), meaning(kind))),
    );
    lines
}

fn meaning(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Absolute | LinkKind::Relative => "",
        LinkKind::Dangling => "  lead nowhere",
        LinkKind::Leaving => "  lead out of the root",
        LinkKind::Crossing => "  lead to another filesystem",
        LinkKind::Longer => "  could say it shorter",
    }
}

fn found_in_words(census: &Census) -> String {
    let (found, all) = (census.listed.len() as u64, census.counts.links);
    let places = counted(census.coverage.directories, "directory", "directories");
    format!("{} of {} in {places}", count(found), counted(all, "symbolic link", "symbolic links"))
}

fn word(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Absolute => "absolute",
        LinkKind::Relative => "relative",
        LinkKind::Dangling => "dangling",
        LinkKind::Leaving => "leaving",
        LinkKind::Crossing => "crossing",
        LinkKind::Longer => "longer",
    }
}

#[derive(Serialize)]
struct LinkLine {
    #[serde(flatten)]
    link: JsonLink,
    kinds: Vec<&'static str>,
    /// If there is a shorter text.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shortest_b64: Option<String>,
}

impl LinkLine {
    fn new(one: &Counted, roots: &[PathBuf]) -> Self {
        Self {
            link: JsonLink::new("link", &one.link, roots),
            kinds: one.kinds.iter().map(word).collect(),
            shortest: one.shortest.as_deref().map(json::text),
            shortest_b64: one.shortest.as_deref().and_then(json::exact),
        }
    }
}

#[derive(Serialize)]
struct Summary {
    r#type: &'static str,
    links: u64,
    absolute: u64,
    relative: u64,
    dangling: u64,
    leaving: u64,
    crossing: u64,
    longer: u64,
    #[serde(flatten)]
    coverage: JsonCoverage,
}

impl Summary {
    fn new(census: &Census, elapsed_seconds: f64) -> Self {
        let counts = &census.counts;
        Self {
            r#type: "summary",
            links: counts.links,
            absolute: counts.of(LinkKind::Absolute),
            relative: counts.of(LinkKind::Relative),
            dangling: counts.of(LinkKind::Dangling),
            leaving: counts.of(LinkKind::Leaving),
            crossing: counts.of(LinkKind::Crossing),
            longer: counts.of(LinkKind::Longer),
            coverage: JsonCoverage::new(&census.coverage, elapsed_seconds),
        }
    }
}

//! `usage`: how full filesystems are, and which directories fill them.

mod monitor;
mod spread;

use linksnap_inode::FsError;
use linksnap_inode::dir::path_bytes;
use linksnap_toolbox::usage::{self as tool, Amount, Inodes, State, Thresholds, Usage, Which};
use serde::Serialize;

use crate::args::UsageArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{self, JsonFault};
use crate::output::Output;
use crate::size::{bytes, count};
use crate::table;

/// Says it.
pub fn usage(args: &UsageArgs, output: &Output) -> Result<Exit, Failure> {
    if args.spread {
        return spread::spread(args, output);
    }
    if let (Some(warn), Some(crit)) = (args.warn, args.crit)
        && warn > crit
    {
        return Err(Failure::usage(format!("--warn {warn} is above --crit {crit}"))
            .hint("the warning comes first: --warn 80 --crit 95"));
    }
    let thresholds = Thresholds { warn: args.warn, crit: args.crit };
    if args.monitor {
        return Ok(monitor::monitor(look(args), thresholds, output));
    }
    let (found, problems) = look(args)?;
    if output.is_json() {
        output.json(&Document::new(&found, &problems, thresholds));
    } else {
        print(&found, thresholds, output);
        output.faults(&problems);
    }
    Ok(exit(&found, thresholds, &problems))
}

/// Filesystems, and what could not be asked.
type Found = (Vec<Usage>, Vec<FsError>);

fn look(args: &UsageArgs) -> Result<Found, FsError> {
    let which = if args.all { Which::All } else { Which::Real };
    match args.paths.as_slice() {
        [] => tool::mounted(which),
        paths => Ok((tool::holding(paths)?, Vec::new())),
    }
}

fn exit(found: &[Usage], thresholds: Thresholds, problems: &[FsError]) -> Exit {
    match worst(found, thresholds) {
        State::Critical => Exit::Critical,
        State::Warning => Exit::Warning,
        State::Ok if !problems.is_empty() => Exit::Problems,
        State::Ok => Exit::Done,
    }
}

fn worst(found: &[Usage], thresholds: Thresholds) -> State {
    found.iter().map(|one| one.state(thresholds)).max().unwrap_or(State::Ok)
}

fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Critical => "critical",
    }
}

fn print(found: &[Usage], thresholds: Thresholds, output: &Output) {
    let is_judged = thresholds != Thresholds::default();
    let mut headings = vec![
        "mounted on",
        ">size",
        ">used",
        ">free",
        ">full",
        ">inodes",
        ">used",
        ">free",
        ">full",
        "type",
        "source",
    ];
    if is_judged {
        headings.insert(0, "state");
    }
    let rows = found.iter().map(|one| {
        let mut row = row(one, output);
        if is_judged {
            row.insert(0, word(one.state(thresholds)).to_owned());
        }
        row
    });
    table::table(&headings, rows).iter().for_each(|line| output.line(line));
    if found.iter().any(|one| matches!(one.inodes, Inodes::Growing(_))) {
        output.remark("~ inodes are made as needed: as many as fit into the free space");
    }
}

fn row(one: &Usage, output: &Output) -> Vec<String> {
    let mut row = vec![json::text(&output.name(path_bytes(&one.point)))];
    row.extend([one.bytes.total, one.bytes.used, one.bytes.free].map(bytes));
    row.push(percent(one.bytes));
    match one.inodes {
        Inodes::Uncounted => row.extend(["-"; 4].map(str::to_owned)),
        Inodes::Fixed(amount) => row.extend(counts(amount, "")),
        Inodes::Growing(amount) => row.extend(counts(amount, "~")),
    }
    row.extend([one.kind.clone(), json::text(&output.name(&one.source))]);
    row
}

fn counts(amount: Amount, sign: &str) -> [String; 4] {
    let guess = |number: u64| format!("{sign}{}", count(number));
    [guess(amount.total), count(amount.used), guess(amount.free), percent(amount)]
}

fn percent(amount: Amount) -> String {
    amount.percent().map_or_else(|| "-".to_owned(), |percent| format!("{percent}%"))
}

#[derive(Serialize)]
struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    filesystems: Vec<Element>,
    problems: Vec<JsonFault>,
}

#[derive(Serialize)]
struct Element {
    mounted_on: json::JsonPath,
    source: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    bytes: Numbers,
    /// Missing where none are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    inodes: Option<Numbers>,
    inodes_are: &'static str,
}

#[derive(Serialize)]
struct Numbers {
    total: u64,
    used: u64,
    free: u64,
    /// Of what ordinary users may fill, rounded up.
    percent: Option<u8>,
}

impl Document {
    fn new(found: &[Usage], problems: &[FsError], thresholds: Thresholds) -> Self {
        let is_judged = thresholds != Thresholds::default();
        let state = |state: State| is_judged.then(|| word(state));
        let element = |one: &Usage| Element {
            mounted_on: json::JsonPath::new(path_bytes(&one.point)),
            source: json::text(&one.source),
            r#type: one.kind.clone(),
            state: state(one.state(thresholds)),
            bytes: one.bytes.into(),
            inodes: one.inodes.amount().map(Numbers::from),
            inodes_are: match one.inodes {
                Inodes::Fixed(_) => "fixed",
                Inodes::Growing(_) => "made-as-needed",
                Inodes::Uncounted => "uncounted",
            },
        };
        Self {
            state: state(worst(found, thresholds)),
            filesystems: found.iter().map(element).collect(),
            problems: problems.iter().map(JsonFault::new).collect(),
        }
    }
}

impl From<Amount> for Numbers {
    fn from(amount: Amount) -> Self {
        Self { total: amount.total, used: amount.used, free: amount.free, percent: amount.percent() }
    }
}

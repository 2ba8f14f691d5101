//! `undo`: takes back what a command has recorded of its changes.

use std::path::Path;

use linksnap_inode::DirFd;
use linksnap_inode::path::{as_path, parts};
use linksnap_toolbox::journal::{self, Change, UndoError};
use serde::Serialize;

use crate::args::UndoArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::JsonPath;
use crate::output::Output;
use crate::size::counted;
use crate::{sandbox, signals};

/// Takes back what is in the files.
pub fn undo(args: &UndoArgs, output: &Output) -> Result<Exit, Failure> {
    // All of them before the first change.
    let journals = args.files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let changes: Vec<Change> = journals.into_iter().flat_map(|journal| journal.into_iter().rev()).collect();
    let ground = if args.dry_run { None } else { ground(&changes) };
    sandbox::writing(&ground, output, || ask_and_undo(&changes, args, output))
}

fn read(file: &Path) -> Result<Vec<Change>, Failure> {
    journal::read(file).map_err(|error| {
        let hint = match &error {
            journal::ReadError::Untrusted => {
                "if it is as you know it: make it yours, and unwritable for others"
            }
            _ => "name a file that `linksnap dangling --fix` or the like has written",
        };
        let exit = match &error {
            journal::ReadError::Fs(_) => Exit::Failed,
            journal::ReadError::Untrusted | journal::ReadError::Nonsense(_) => Exit::Usage,
        };
        Failure::new(exit, format!("{} cannot be undone", file.display())).because(&error).hint(hint)
    })
}

/// The nearest directory that all changes are below.
fn ground(changes: &[Change]) -> Option<DirFd> {
    let paths: Vec<Vec<u8>> = changes.iter().filter_map(|change| change.path().bytes()).collect();
    let mut ways = paths.iter().map(|path| parts(path).collect::<Vec<_>>());
    let mut common = ways.next()?;
    common.pop();
    for way in ways {
        let same = common.iter().zip(&way).take_while(|(one, other)| one == other).count();
        common.truncate(same.min(way.len().saturating_sub(1)));
    }
    let path = [b"/".as_slice(), &common.join(&b'/')].concat();
    DirFd::open_root(as_path(&path)).ok()
}

fn ask_and_undo(changes: &[Change], args: &UndoArgs, output: &Output) -> Result<Exit, Failure> {
    if args.dry_run {
        return Ok(go_through(changes, Manner::Look, output));
    }
    if !args.yes {
        if !output.is_json() {
            changes.iter().for_each(|change| tell(change, &change.look(), Manner::Look, output));
        }
        let question = format!("take back {}?", counted(changes.len() as u64, "change", "changes"));
        match output.confirms(&question) {
            Some(true) => {}
            Some(false) => {
                output.remark("nothing is changed");
                return Ok(Exit::Failed);
            }
            None => {
                return Err(Failure::usage("nothing is changed: there is no terminal to ask at")
                    .hint("say --yes to take it back without being asked"));
            }
        }
    }
    signals::listen()?;
    Ok(go_through(changes, Manner::Undo, output))
}

/// What is done with a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It is said whether it could be taken back.
    Look,
    /// It is taken back.
    Undo,
}

fn go_through(changes: &[Change], manner: Manner, output: &Output) -> Exit {
    let mut sum = Sum::default();
    for change in changes {
        if signals::caught().is_some() {
            break;
        }
        let what = if manner == Manner::Look { change.look() } else { change.undo() };
        sum.count(&what);
        tell(change, &what, manner, output);
    }
    if output.is_json() {
        output.json(&Summary { r#type: "summary", dry_run: manner == Manner::Look, sum });
    } else {
        output.report(sum.words(manner));
    }
    match signals::caught() {
        Some(signal) => Exit::Interrupted(signal),
        None if sum.left > 0 => Exit::Problems,
        None => Exit::Done,
    }
}

fn tell(change: &Change, what: &Result<(), UndoError>, manner: Manner, output: &Output) {
    let path = change.path().bytes().unwrap_or_default();
    if output.is_json() {
        return output.json(&ChangeLine::new(&path, what));
    }
    let text = change.text_before().and_then(journal::Text::bytes);
    let text = text.map(|text| [b" -> ".as_slice(), &output.name(&text)].concat()).unwrap_or_default();
    match what {
        Ok(()) => {
            let word: &[u8] = if manner == Manner::Look { b"would take back " } else { b"took back " };
            output.report([word, &output.name(&path), &text].concat());
        }
        Err(UndoError::Nothing) => {
            output.report([b"nothing to undo ", output.name(&path).as_slice()].concat());
        }
        Err(UndoError::Fs(error)) => output.fault(error),
        Err(error) => output.trouble(&path, &error.to_string()),
    }
}

#[derive(Default, Clone, Copy, Serialize)]
struct Sum {
    undone: u64,
    /// Was so already.
    nothing: u64,
    /// Has changed since, or cannot be changed.
    left: u64,
}

impl Sum {
    fn count(&mut self, what: &Result<(), UndoError>) {
        match what {
            Ok(()) => self.undone += 1,
            Err(UndoError::Nothing) => self.nothing += 1,
            Err(_) => self.left += 1,
        }
    }

    fn words(&self, manner: Manner) -> String {
        let done = if manner == Manner::Look { "could be taken back" } else { "taken back" };
        let mut words = format!("{} {done}", counted(self.undone, "change", "changes"));
        if self.nothing > 0 {
            words.push_str(&format!(", {} as before already", self.nothing));
        }
        if self.left > 0 {
            words.push_str(&format!(", {} left alone", self.left));
        }
        words
    }
}

#[derive(Serialize)]
struct Summary {
    r#type: &'static str,
    dry_run: bool,
    #[serde(flatten)]
    sum: Sum,
}

#[derive(Serialize)]
struct ChangeLine {
    r#type: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    /// `undone`, `nothing` or `left`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl ChangeLine {
    fn new(path: &[u8], what: &Result<(), UndoError>) -> Self {
        let (result, message) = match what {
            Ok(()) => ("undone", None),
            Err(UndoError::Nothing) => ("nothing", None),
            Err(UndoError::Fs(error)) => ("left", Some(format!("{error}: {}", error.source))),
            Err(error) => ("left", Some(error.to_string())),
        };
        Self { r#type: "change", path: JsonPath::new(path), result, message }
    }
}

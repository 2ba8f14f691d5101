//! The only place that prints. Results go to standard output, everything said about them to standard error.
//!
//! **Invariant:** a reader that closes the pipe ends the printing, not the run, and is no failure.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Stdout, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use linksnap_engine::Problem;
use linksnap_inode::FsError;
use linksnap_inode::dir::path_bytes;
use serde::Serialize;

use crate::args::{Color, Global};
use crate::environment;
use crate::escape;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::JsonPath;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Problems and errors only.
    Quiet,
    /// Results as well.
    Normal,
    /// Single steps as well.
    Steps,
    /// Every single step.
    EveryStep,
}

/// Who reads the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Terminal,
    Pipe,
    Program,
}

/// Standard output and standard error, and how they are to be used.
pub struct Output {
    reader: Reader,
    verbosity: Verbosity,
    progress: bool,
    /// Of standard error.
    terminal: bool,
    color: bool,
    sink: Mutex<Sink>,
}

struct Sink {
    writer: BufWriter<Stdout>,
    broken: Option<io::Error>,
}

impl Output {
    /// As the arguments want it.
    pub fn new(global: &Global) -> Self {
        let terminal = io::stderr().is_terminal();
        let reader = match (global.json, io::stdout().is_terminal()) {
            (true, _) => Reader::Program,
            (false, true) => Reader::Terminal,
            (false, false) => Reader::Pipe,
        };
        let verbosity = match (global.quiet, global.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Steps,
            (false, _) => Verbosity::EveryStep,
        };
        let color = match global.color {
            Color::Auto => terminal && !environment::wants_no_color(),
            Color::Always => true,
            Color::Never => false,
        };
        Self {
            reader,
            verbosity,
            progress: !global.no_progress && !global.quiet,
            terminal,
            color,
            sink: Mutex::new(Sink { writer: BufWriter::new(io::stdout()), broken: None }),
        }
    }

    /// How much is said.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Is the result for a program?
    pub fn is_json(&self) -> bool {
        self.reader == Reader::Program
    }

    /// Is progress to be shown, whatever way?
    pub fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Is standard error a terminal?
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// A line of a result: text with names that were made fit by [`Output::name`].
    pub fn line(&self, line: impl AsRef<[u8]>) {
        let mut sink = self.sink();
        sink.write(line.as_ref());
        sink.write(b"\n");
    }

    /// A name as it is, ended by a NUL: for a program that reads names so (`xargs -0`).
    pub fn nul_ended(&self, name: &[u8]) {
        let mut sink = self.sink();
        sink.write(name);
        sink.write(b"\0");
    }

    /// A line about what was done: not said to those who want it quiet.
    pub fn report(&self, line: impl AsRef<[u8]>) {
        if self.verbosity > Verbosity::Quiet {
            self.line(line);
        }
    }

    /// A name, so that its reader gets one harmless line.
    pub fn name(&self, name: &[u8]) -> Vec<u8> {
        match self.reader {
            Reader::Terminal => escape::for_terminal(name).into_bytes(),
            Reader::Pipe | Reader::Program => escape::for_pipe(name).into_owned(),
        }
    }

    /// Words that others chose, such as notes and tags, in the same way.
    pub fn words(&self, words: &str) -> String {
        String::from_utf8_lossy(&self.name(words.as_bytes())).into_owned()
    }

    /// A JSON document, or one of several lines of them: it is seen at once.
    pub fn json(&self, value: &impl Serialize) {
        let mut text = to_json(value);
        text.push('\n');
        let mut sink = self.sink();
        sink.write(text.as_bytes());
        sink.flush();
    }

    /// One element of a JSON array that is too long to be held in memory.
    pub fn json_element(&self, value: &impl Serialize, first: bool) {
        let mut sink = self.sink();
        sink.write(if first { b"[" } else { b",\n" });
        sink.write(to_json(value).as_bytes());
    }

    /// The end of such an array.
    pub fn json_end(&self, empty: bool) {
        self.sink().write(if empty { b"[]\n" } else { b"]\n" });
    }

    /// A remark for the person who watches.
    pub fn remark(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet && !self.is_json() {
            // What it is about is seen before it.
            self.sink().flush();
            say_raw(&escape::message(text));
        }
    }

    /// A problem or a warning, as it comes.
    pub fn problem(&self, job: &str, problem: &Problem) {
        if self.is_json() {
            return self.json(&ProblemLine::new(job, problem));
        }
        let (word, style) = match problem.kind.is_warning() {
            true => ("warning:", "\x1b[33m"),
            false => ("problem:", "\x1b[1;33m"),
        };
        let path = escape::for_terminal(&problem.path);
        let message = escape::message(&problem.message);
        say_raw(&format!("{} {path}: {message}", self.styled(word, style)));
    }

    /// A problem of a tool that has no job, as it comes.
    pub fn trouble(&self, path: &[u8], message: &str) {
        if self.is_json() {
            return self.json(&TroubleLine { r#type: "problem", path: JsonPath::new(path), message });
        }
        self.sink().flush();
        let (path, message) = (escape::for_terminal(path), escape::message(message));
        say_raw(&format!("{} {path}: {message}", self.styled("problem:", "\x1b[1;33m")));
    }

    /// A system call that failed, as a problem.
    pub fn fault(&self, error: &FsError) {
        self.trouble(path_bytes(&error.path), &format!("cannot {}: {}", error.op, error.source));
    }

    /// Paths that could not be worked on: the first few, and how many more.
    pub fn faults(&self, errors: &[FsError]) {
        const SHOWN: usize = 10;
        errors.iter().take(SHOWN).for_each(|error| self.fault(error));
        if errors.len() > SHOWN {
            say_raw(&format!("  and {} more of this kind", errors.len() - SHOWN));
        }
    }

    /// Why the command failed.
    pub fn failure(&self, failure: &Failure) {
        self.sink().flush();
        if self.is_json() {
            return say_raw(&to_json(&FailureLine::new(failure)));
        }
        let error = self.styled("error:", "\x1b[1;31m");
        // Standard error is for people, and what they read it with may be a terminal even where it is none now.
        say_raw(&format!("{error} {}", escape::message(&failure.message)));
        for cause in &failure.causes {
            say_raw(&format!("  because {}", escape::message(cause)));
        }
        if let Some(hint) = &failure.hint {
            say_raw(&format!("{} {}", self.styled("hint:", "\x1b[1;36m"), escape::message(hint)));
        }
    }

    /// Asks whether to go on; only a plain yes is one. `None`: there is nobody to ask.
    pub fn confirms(&self, question: &str) -> Option<bool> {
        if !self.terminal || !io::stdin().is_terminal() {
            return None;
        }
        self.sink().flush();
        drop(write!(io::stderr(), "{} [y/N] ", escape::message(question)));
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        Some(read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Can nothing more be written, so that going on would be for nobody?
    pub fn is_closed(&self) -> bool {
        self.sink().broken.is_some()
    }

    /// Writes what is still held back. A result that could not be written is a problem of a command that else was done.
    pub fn finish(&self, exit: Exit) -> Exit {
        let mut sink = self.sink();
        sink.flush();
        match sink.broken.take() {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                say_raw(&format!("error: cannot write to standard output: {error}"));
                exit.worse(Exit::Problems)
            }
            _ => exit,
        }
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn styled(&self, word: &str, style: &str) -> String {
        if self.color { format!("{style}{word}\x1b[0m") } else { word.to_owned() }
    }
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.broken = self.writer.write_all(bytes).err();
        }
    }

    fn flush(&mut self) {
        if self.broken.is_none() {
            self.broken = self.writer.flush().err();
        }
    }
}

/// Says what clap has to say, which is not an error of ours.
pub fn usage(error: &clap::Error, json: bool) {
    if json && error.use_stderr() {
        let message = error.render().to_string();
        let failure = Failure::usage(message.trim().trim_start_matches("error: "));
        return say_raw(&to_json(&FailureLine::new(&failure)));
    }
    let plain = error.render().to_string();
    // What was typed is repeated: names among it can hold anything.
    if plain.contains(|character: char| character.is_control() && character != '\n') {
        return say_raw(&escape::message(plain.trim_end()));
    }
    // Nobody is left to hear that nobody listens.
    drop(error.print());
}

/// Standard error is not buffered; that it is closed is nobody's concern.
fn say_raw(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

fn to_json(value: &impl Serialize) -> String {
    escape::json(serde_json::to_string(value).expect("our types have string keys and no failing parts"))
}

#[derive(Serialize)]
struct FailureLine<'a> {
    r#type: &'static str,
    message: &'a str,
    causes: &'a [String],
    hint: Option<&'a str>,
    code: u8,
}

impl<'a> FailureLine<'a> {
    fn new(failure: &'a Failure) -> Self {
        Self {
            r#type: "error",
            message: &failure.message,
            causes: &failure.causes,
            hint: failure.hint.as_deref(),
            code: failure.exit.code(),
        }
    }
}

#[derive(Serialize)]
struct TroubleLine<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    message: &'a str,
}

#[derive(Serialize)]
struct ProblemLine<'a> {
    r#type: &'static str,
    job: &'a str,
    kind: &'static str,
    warning: bool,
    #[serde(flatten)]
    path: JsonPath,
    message: &'a str,
}

impl<'a> ProblemLine<'a> {
    fn new(job: &'a str, problem: &'a Problem) -> Self {
        Self {
            r#type: "problem",
            job,
            kind: problem.kind.word(),
            warning: problem.kind.is_warning(),
            path: JsonPath::new(&problem.path),
            message: &problem.message,
        }
    }
}

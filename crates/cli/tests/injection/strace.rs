//! strace(1): what a command calls, and what it does when one of its calls fails or is its last.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use linksnap_testkit::skip;

/// No command takes so many seconds, not even on a busy disk: what takes longer hangs.
const PATIENCE_SECONDS: &str = "300";

/// One system call of a trace, descriptors written as paths.
#[derive(Debug, Clone)]
pub struct Call {
    /// Threads in the order in which they appeared, the first is 0.
    pub thread: usize,
    pub name: String,
    /// The how manieth call of that name in its thread, from 1: as strace counts.
    pub nth: usize,
    /// All behind the name: arguments and what came of it.
    pub rest: String,
}

/// Why nothing can be traced here, if so.
pub fn obstacle() -> Option<&'static str> {
    if !skip::has_tool("strace") {
        return Some("strace is missing");
    }
    let traced = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let worked = traced.is_ok_and(|output| output.status.success());
    (!worked).then_some("strace may not trace here")
}

/// Runs a command and returns what it called.
pub fn trace(command: &Command, log: &Path) -> (Vec<Call>, Output) {
    let output = under(command, log, &["-y", "-s", "64"]).output().expect("strace runs");
    (calls(&fs::read_to_string(log).expect("a trace")), output)
}

/// What becomes of the chosen calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// They fail with this error and do nothing.
    Error(&'static str),
    /// They are not made: the process is killed at them.
    Kill,
}

/// The `nth` call of that name of every thread.
#[derive(Debug, Clone)]
pub struct Fault {
    pub call: String,
    pub nth: usize,
    pub blow: Blow,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { call, nth, blow } = self;
        match blow {
            Blow::Error(error) => write!(f, "{call}:error={error}:when={nth}"),
            Blow::Kill => write!(f, "{call}:signal=SIGKILL:when={nth}"),
        }
    }
}

/// What timeout(1) says of a command that was killed.
pub const KILLED: i32 = 128 + 9;

/// Runs a command with a fault; says which calls were struck.
pub fn strike(command: &Command, fault: &Fault, log: &Path) -> (Vec<String>, Output) {
    let trace = format!("trace={}", fault.call);
    let inject = format!("inject={fault}");
    // With --seccomp-bpf signals miss their call (strace 6.1).
    let args = ["-y", "-s", "32", "-e", &trace, "-e", &inject];
    let output = under(command, log, &args).output().expect("strace runs");
    let text = fs::read_to_string(log).expect("a trace");
    let last = text.lines().last().map(str::to_owned);
    let struck = match fault.blow {
        Blow::Error(_) => {
            text.lines().filter(|line| line.contains("(INJECTED)")).map(str::to_owned).collect()
        }
        Blow::Kill => last.into_iter().filter(|_| was_killed(&output)).collect(),
    };
    (struck, output)
}

pub fn was_killed(output: &Output) -> bool {
    matches!(output.status.code(), Some(KILLED) | None)
}

fn under(command: &Command, log: &Path, args: &[&str]) -> Command {
    let mut strace = Command::new("timeout");
    strace.args(["-s", "KILL", PATIENCE_SECONDS, "strace", "-f", "-qq", "-o"]).arg(log);
    strace.args(args).arg(command.get_program()).args(command.get_args());
    strace.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.stdin(std::process::Stdio::null());
    if let Some(directory) = command.get_current_dir() {
        strace.current_dir(directory);
    }
    strace
}

fn calls(text: &str) -> Vec<Call> {
    let mut threads: Vec<&str> = Vec::new();
    let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let mut calls: Vec<Call> = Vec::new();
    for line in text.lines() {
        let Some((thread, line)) = line.split_once(' ') else { continue };
        if let Some((_, more)) = line.split_once(" resumed>") {
            let begun = waiting.remove(thread).and_then(|at| calls.get_mut(at));
            begun.expect("a call that goes on has begun").rest.push_str(more);
        }
        let Some((name, rest)) = parse(line) else { continue };
        let known = threads.iter().position(|one| *one == thread);
        let number = known.unwrap_or_else(|| {
            threads.push(thread);
            threads.len() - 1
        });
        let nth = counts.entry((number, name)).or_default();
        *nth += 1;
        let begun = rest.strip_suffix("<unfinished ...>");
        if begun.is_some() {
            waiting.insert(thread, calls.len());
        }
        let rest = begun.unwrap_or(rest).to_owned();
        calls.push(Call { thread: number, name: name.to_owned(), nth: *nth, rest });
    }
    calls
}

/// Reads `statx(3</tmp>, "name", …`.
fn parse(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.trim_start().split_once('(')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some((name, rest))
}

//! The system calls that a child makes, by strace(1).

use std::path::Path;
use std::process::Command;

/// One system call of a trace, descriptors written as paths.
pub struct Call {
    pub name: String,
    pub rest: String,
}

/// Runs `child` under strace(1) and returns the calls that it made; none where nobody may trace.
pub fn traced(base: &Path, child: &Command) -> Option<Vec<Call>> {
    let trace = base.join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-s", "4096", "-e", "trace=%file,%desc", "-e", "signal=none", "-o"]);
    strace.arg(&trace).arg(child.get_program()).args(child.get_args()).env_clear();
    strace.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = strace.output().expect("strace runs");
    let text = std::fs::read_to_string(trace).unwrap_or_default();
    let complaint = String::from_utf8_lossy(&output.stderr);
    // In some containers nobody may trace.
    if text.is_empty() && complaint.contains("ptrace") {
        return None;
    }
    assert!(output.status.success(), "{complaint}");
    Some(text.lines().filter_map(call).collect())
}

/// Reads `1234 statx(3</tmp>, "name", …`; what is resumed was seen when it began.
fn call(line: &str) -> Option<Call> {
    let (_, call) = line.split_once(' ')?;
    let (name, rest) = call.trim_start().split_once('(')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| Call { name: name.to_owned(), rest: rest.to_owned() })
}

/// How many of the calls are wanted.
pub fn count(calls: &[Call], wanted: impl Fn(&Call) -> bool) -> u64 {
    calls.iter().filter(|call| wanted(call)).count() as u64
}

/// Does it try out what the filesystem can do? Every run does so, once, whatever the tree.
pub fn is_trial(call: &Call) -> bool {
    call.rest.contains(".linksnap-probe")
}

//! An attacker: a process of an ordinary user that swaps directories and files for symbolic links, as fast as it can,
//! under whoever is at work there.
//!
//! In the trees that it is given, whatever is called `NAME.link` is exchanged with `NAME`, in one step, so that neither
//! name is ever missing (`renameat2(2)`, `RENAME_EXCHANGE`).

#![expect(clippy::disallowed_methods, reason = "tests are steered by the environment")]

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::crash;

/// Nobody's number on Debian.
pub const NOBODY: u32 = 65_534;

const ROOTS: &str = "LINKSNAP_TEST_SWAPPER_ROOTS";

/// What the name of the other half of a pair ends in.
const LINK: &[u8] = b".link";

/// A running attacker.
pub struct Swapper {
    child: Child,
}

impl Swapper {
    /// Starts one as nobody, at work below `roots`. `entry` is the full name of an ignored test of the running test binary
    /// that calls [`work`]. Returns when it has swapped for the first time.
    pub fn start(entry: &str, roots: &[&Path]) -> Self {
        let joined = roots.iter().map(|root| root.as_os_str().as_bytes()).collect::<Vec<_>>().join(&b':');
        let mut command = crash::child(entry, &[(ROOTS, OsStr::from_bytes(&joined))]);
        command.uid(NOBODY).gid(NOBODY).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("a child");
        let mut said = Vec::new();
        let mut byte = [0];
        while !said.ends_with(b"SWAPPING\n") {
            let count = child.stdout.as_mut().expect("a pipe").read(&mut byte).expect("it says something");
            assert_eq!(count, 1, "it ended: {}", String::from_utf8_lossy(&said));
            said.push(byte[0]);
        }
        Self { child }
    }

    /// Stops it, and says how often it has swapped.
    pub fn stop(mut self) -> u64 {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.child.stdout.take().expect("a pipe").read_to_string(&mut said).expect("text");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{said}");
        let count = said.lines().find_map(|line| line.strip_prefix("SWAPPED "));
        count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count: {said}"))
    }
}

/// The attacker's work, until its standard input is closed. For the entry; without a parent it returns at once.
pub fn work() {
    let Some(roots) = std::env::var_os(ROOTS) else { return };
    let roots: Vec<PathBuf> = roots
        .as_bytes()
        .split(|byte| *byte == b':')
        .map(|root| PathBuf::from(OsStr::from_bytes(root)))
        .collect();
    let stopped = AtomicBool::new(false);
    let mut count = 0_u64;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop(std::io::stdin().read_to_end(&mut Vec::new()));
            stopped.store(true, Ordering::Relaxed);
        });
        say("SWAPPING");
        while !stopped.load(Ordering::Relaxed) {
            let mut pairs = Vec::new();
            roots.iter().for_each(|root| gather(root, &mut pairs));
            // A walk costs much more than a swap: several for each.
            for _ in 0..20 {
                count += pairs.iter().filter(|(one, other)| exchange(one, other)).count() as u64;
            }
        }
    });
    say(&format!("SWAPPED {count}"));
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that has failed listens no more.
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

fn exchange(one: &Path, other: &Path) -> bool {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

/// All pairs below a directory. What cannot be read is left alone: others are at work there.
fn gather(dir: &Path, pairs: &mut Vec<(PathBuf, PathBuf)>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        if let Some(other) = name.as_bytes().strip_suffix(LINK) {
            pairs.push((path.clone(), dir.join(OsString::from_vec(other.to_vec()))));
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            gather(&path, pairs);
        }
    }
}

//! Programs put elsewhere to be run there: by users who cannot get to the first place, or to be deleted while they run.

use std::path::Path;
use std::process::Command;

/// Copies the program `from` to the new file `to`, which anyone may run. Panics if that fails.
///
/// Another process writes it. A file that somebody has open for writing cannot be run (ETXTBSY, execve(2)); were it
/// opened here, a process that another test starts at that moment would hold that descriptor until its own execve.
pub fn install(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let (from, to) = (from.as_ref(), to.as_ref());
    let output = Command::new("install")
        .args(["-m", "755", "--"])
        .args([from, to])
        .output()
        .unwrap_or_else(|error| panic!("cannot run install: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} not installed: {complaint}", from.display());
}

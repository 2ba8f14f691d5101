//! What rsync says of two trees: a second opinion from outside.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// The lines that `rsync --itemize-changes` would act on to make `dst` like `src`: names, bytes (by checksum), all
/// metadata to the nanosecond, hard links; empty if the trees are identical. Panics if rsync fails.
pub fn differences(src: &Path, dst: &Path) -> Vec<String> {
    let output = Command::new("rsync")
        .args(["-aHAXS", "--numeric-ids", "-n", "--delete"])
        // Without the window of -1 rsync compares whole seconds (rsync(1)).
        .args(["--itemize-changes", "--checksum", "--modify-window=-1"])
        .args([contents_of(src), contents_of(dst)])
        .output()
        .unwrap_or_else(|error| panic!("cannot run rsync: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rsync failed: {complaint}");
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().map(str::to_owned).collect()
}

/// With a slash at its end a path means what is in the directory, for rsync.
fn contents_of(directory: &Path) -> OsString {
    directory.join("").into_os_string()
}

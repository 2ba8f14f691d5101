//! Mounts of a test's own, gone when it ends.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Something mounted; unmounted when dropped.
pub struct Mounted(PathBuf);

impl Mounted {
    /// Runs `mount` with these arguments, the last of which is the mount point.
    pub fn new(args: &[&str]) -> Result<Self, String> {
        let done = Command::new("mount").args(args).output().map_err(|error| error.to_string())?;
        match done.status.success() {
            true => Ok(Self(Path::new(args[args.len() - 1]).to_path_buf())),
            false => Err(format!("mount {args:?}: {}", String::from_utf8_lossy(&done.stderr))),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // The test may be failing already.
        drop(Command::new("umount").arg(&self.0).output());
    }
}

//! Whether what is to be restored fits, as far as that can be known beforehand.

use std::path::PathBuf;

use linksnap_catalog::Version;
use linksnap_inode::filesystem::Filesystem;
use linksnap_inode::path::nearest_existing;
use linksnap_inode::{Kind, limits, mounts};

use super::{RestoreError, RestoreOptions, RestoreSummary};
use crate::report::Bytes;

/// What a restore will take of the target's filesystem, at the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needed {
    /// Bytes of content; holes are none, and an inode's bytes count once, whatever its names.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

/// There is too little room on the target's filesystem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{target} has too little room: {needed} are needed, {free} are free", target = target.display())]
pub struct NoRoom {
    /// The target, or the nearest directory above it that is there.
    target: PathBuf,
    needed: String,
    free: String,
}

impl Needed {
    /// Counts an inode that is to be made.
    pub(super) fn add(&mut self, version: &Version) {
        self.inodes += 1;
        if version.kind == Kind::File {
            self.bytes = self.bytes.saturating_add(version.size.saturating_sub(version.holes));
        }
    }
}

/// Refuses what cannot fit. What is replaced makes no room: it is kept until all is done. Nothing is said where several
/// filesystems are mounted in the target, or where the filesystem may compress what it is given.
///
/// # Errors
/// [`RestoreError::NoRoom`], with the numbers.
pub fn refuse_without_room(options: &RestoreOptions, planned: &RestoreSummary) -> Result<(), RestoreError> {
    let Needed { bytes, inodes } = planned.needed;
    let dir = nearest_existing(&options.target)?;
    let filesystem = Filesystem::of(&dir).map_err(|fault| fault.at(&options.target))?;
    if !filesystem.stores_every_byte() || !mounts::below(&dir).is_empty() {
        return Ok(());
    }
    let free = if limits::is_root() { filesystem.unused_bytes } else { filesystem.free_bytes };
    let no_room = |needed: String, free: String| NoRoom { target: options.target.clone(), needed, free };
    if bytes > free {
        return Err(no_room(Bytes(bytes).to_string(), Bytes(free).to_string()).into());
    }
    if filesystem.total_inodes > 0 && inodes > filesystem.free_inodes {
        return Err(no_room(format!("{inodes} inodes"), filesystem.free_inodes.to_string()).into());
    }
    Ok(())
}

//! Directories that were named, to be looked through.

use std::path::PathBuf;

use linksnap_inode::DirFd;

use crate::failure::Failure;

/// Fails if one of them is not there, or is no directory. Asked before anything is looked at or changed: what would be found
/// below the others is not what was asked for.
pub fn require(roots: &[PathBuf]) -> Result<(), Failure> {
    roots.iter().try_for_each(|root| {
        let opened = DirFd::open_root(root).map(drop);
        Ok(opened.map_err(|fault| fault.at(root))?)
    })
}

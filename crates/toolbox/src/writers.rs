//! Who has files open for writing: what a process could still write into an inode although it has lost its name.

use std::collections::HashSet;

use linksnap_inode::Fault;

use crate::process::{self, Identity, Mapping, ProcessDir};

/// What was seen.
#[derive(Debug, Default)]
pub struct Writers {
    /// Those of the inodes asked for that some process can write to without opening them again.
    pub written: HashSet<Identity>,
    /// Processes that could not be looked at.
    pub unseen: u64,
}

/// Looks for processes that can write to one of `inodes`.
///
/// # Errors
/// If there is no `/proc`.
pub fn of(inodes: &HashSet<Identity>) -> Result<Writers, Fault> {
    let mut written = HashSet::new();
    let pass = process::each(|process| look(process, inodes, &mut written))?;
    Ok(Writers { written, unseen: pass.unseen })
}

/// A process that closes a file while it is looked at is looked at so often: it may have the file under another number, or
/// be about to start another program.
const LOOKS: u32 = 3;

fn look(
    process: &ProcessDir,
    inodes: &HashSet<Identity>,
    written: &mut HashSet<Identity>,
) -> Result<(), Fault> {
    let mut unknown = HashSet::new();
    for _ in 0..LOOKS {
        unknown.clear();
        for (number, file) in process.open_files()? {
            let Some(identity) =
                file.stat().ok().map(|stat| stat.identity()).filter(|one| inodes.contains(one))
            else {
                continue;
            };
            match process.description(number).ok().and_then(|one| one.flags) {
                Some(flags) if flags & 0o3 == 0 => {}
                Some(_) => drop(written.insert(identity)),
                None => drop(unknown.insert(identity)),
            }
        }
        if unknown.is_empty() {
            break;
        }
    }
    // If nobody can tell whether it was opened for writing, it was.
    written.extend(unknown);
    // The device of a mapping is not what statx(2) says on btrfs: the number alone must do.
    let maps = process.maps()?;
    let mapped: HashSet<u64> =
        Mapping::all(&maps).filter(|one| one.writes).map(|one| one.identity.1).collect();
    written.extend(inodes.iter().filter(|(_, inode)| mapped.contains(inode)));
    Ok(())
}

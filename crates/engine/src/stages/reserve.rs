//! Reserve: a little room that is given up on the day when the disk is so full that not even the catalog can be opened,
//! so that snapshots can be deleted.

use linksnap_inode::{DirFd, Fault};

use crate::layout;

/// Enough for SQLite's index of the log and the log of a small deletion; for a large one the trash makes room.
const BYTES: u64 = 1 << 20;

/// Makes the reserve if there is none and there is room for it. Without one all goes on as well, but for that day.
pub fn keep(workshop: &DirFd) {
    if workshop.stat_entry(layout::RESERVE).is_err() && make(workshop).is_err() {
        workshop.unlink(layout::RESERVE).ok();
    }
}

fn make(workshop: &DirFd) -> Result<(), Fault> {
    workshop.create_file(layout::RESERVE)?.allocate(BYTES)
}

/// Gives the reserve up; says whether there was one.
pub fn give_up(workshop: &DirFd) -> bool {
    let is_gone = workshop.unlink(layout::RESERVE).is_ok();
    if is_gone {
        // Its blocks are free when that is on disk, not before (ext4). An error tells of what was lost before us.
        workshop.sync_filesystem().ok();
    }
    is_gone
}

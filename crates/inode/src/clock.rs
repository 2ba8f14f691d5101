//! The kernel's clock as a filesystem stamps it.

use crate::dir::DirFd;
use crate::fault::{Errno, Fault};
use crate::stat::Timestamp;

/// The time that the filesystem of `dir` gives a file made now; the file `name` is removed again.
///
/// Filesystems stamp with the coarse clock, which may lag a tick behind `clock_gettime(2)`: to compare file
/// times with "now", now must come from the same clock.
pub fn file_time(dir: &DirFd, name: &[u8]) -> Result<Timestamp, Fault> {
    match dir.unlink(name) {
        Ok(()) => {}
        Err(fault) if fault.is(Errno::NOENT) => {}
        Err(fault) => return Err(fault),
    }
    let file = dir.create_file(name)?;
    let time = file.stat()?.ctime;
    dir.unlink(name)?;
    Ok(time)
}

//! Who has files open for writing: what a process could still write into an inode although it has lost its name.
//!
//! `/proc` tells (`proc_pid_fd(5)`, `proc_pid_fdinfo(5)`, `proc_pid_maps(5)`): root sees all processes of its own PID
//! namespace, anybody else only their own. What could not be looked at is counted.

use std::collections::HashSet;
use std::path::Path;

use linksnap_inode::content::Bytes;
use linksnap_inode::{DirFd, Errno, Fault, RegularFile};

/// `/proc` gives little more than a page at once.
const PIECE: usize = 16 * 1024;

/// What was seen.
#[derive(Debug, Default)]
pub struct Writers {
    /// Those of the inodes asked for that some process can write to without opening them again.
    pub written: HashSet<(u64, u64)>,
    /// Processes that could not be looked at.
    pub unseen: u64,
}

/// Looks for processes that can write to one of `inodes` (device and number).
///
/// # Errors
/// If there is no `/proc`.
pub fn of(inodes: &HashSet<(u64, u64)>) -> Result<Writers, Fault> {
    let proc = DirFd::open_root(Path::new("/proc"))?;
    let numbers: HashSet<u64> = inodes.iter().map(|(_, inode)| *inode).collect();
    let mut writers = Writers::default();
    for process in proc.names()?.iter().filter(|name| name.bytes.iter().all(u8::is_ascii_digit)) {
        let looked = proc
            .open_dir(process.bytes)
            .and_then(|process| look_at(&process, inodes, &numbers, &mut writers.written));
        match looked {
            // One that has ended, or has no memory of its own, writes no more.
            Err(fault) if ![Errno::NOENT, Errno::SRCH].contains(&fault.errno) => writers.unseen += 1,
            _ => {}
        }
    }
    Ok(writers)
}

fn look_at(
    process: &DirFd,
    inodes: &HashSet<(u64, u64)>,
    numbers: &HashSet<u64>,
    written: &mut HashSet<(u64, u64)>,
) -> Result<(), Fault> {
    let fds = process.open_dir(b"fd")?;
    for fd in fds.names()?.iter() {
        let Ok(stat) = fds.stat_target(fd.bytes) else { continue };
        if inodes.contains(&stat.identity()) && can_write(process, fd.bytes) {
            written.insert(stat.identity());
        }
    }
    let maps = read(&process.open_file(b"maps")?)?;
    // The device of a mapping is not what statx(2) says on btrfs: the number alone must do.
    let mapped: HashSet<u64> = shared_and_writable(&maps).filter(|inode| numbers.contains(inode)).collect();
    written.extend(inodes.iter().filter(|(_, inode)| mapped.contains(inode)));
    Ok(())
}

/// All that there is to read: the size of such a file is not known before.
fn read(file: &RegularFile) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let mut piece = [0; PIECE];
    loop {
        match file.read_at(&mut piece, bytes.len() as u64)? {
            0 => return Ok(bytes),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

/// Was it opened for writing? If nobody can tell, it was.
fn can_write(process: &DirFd, fd: &[u8]) -> bool {
    let info =
        process.open_dir(b"fdinfo").and_then(|dir| dir.open_file(fd)).and_then(|file| file.read_all(4096));
    info.ok().and_then(|info| flags(&info)).is_none_or(|flags| flags & 0o3 != 0)
}

/// The flags of `open(2)`, which are written in octal.
fn flags(info: &[u8]) -> Option<u32> {
    let line = info.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"flags:"))?;
    u32::from_str_radix(str::from_utf8(line).ok()?.trim(), 8).ok()
}

/// The inode numbers of files that are mapped so that writing into memory writes into them.
fn shared_and_writable(maps: &[u8]) -> impl Iterator<Item = u64> {
    maps.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let mode = fields.nth(1)?;
        (mode.get(1) == Some(&b'w') && mode.get(3) == Some(&b's')).then_some(())?;
        str::from_utf8(fields.nth(2)?).ok()?.parse().ok().filter(|inode| *inode != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::{flags, shared_and_writable};

    #[test]
    fn what_proc_tells_is_read() {
        assert_eq!(flags(b"pos:\t0\nflags:\t0100001\nmnt_id:\t25\n"), Some(0o100_001));
        assert_eq!(flags(b"pos:\t0\n"), None);
        let maps = b"7f00-7f01 rw-s 00000000 fd:01 1234                 /srv/db\n\
            7f01-7f02 r--s 00000000 fd:01 77 /srv/index\n\
            7f02-7f03 rw-p 00000000 fd:01 88 /lib/x.so\n\
            7f03-7f04 rw-s 00000000 00:01 0 anonymous\n";
        assert_eq!(shared_and_writable(maps).collect::<Vec<_>>(), [1234]);
    }
}

//! Which processes hold inodes: by an open file, a mapping, as their program or as their directory (`proc(5)`).

use std::path::Path;

use linksnap_inode::path::as_path;
use linksnap_inode::{DirFd, Errno};

/// Device and inode number.
pub type Identity = (u64, u64);

/// A process that holds an inode in one way; it may do so in several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// What it holds.
    pub identity: Identity,
    /// The process.
    pub pid: u32,
    /// Its name, as `ps -o comm` has it.
    pub name: Vec<u8>,
    /// How.
    pub hold: Hold,
}

/// How a process holds an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// By this open file.
    Descriptor(u32),
    /// It is mapped into its memory.
    Mapping,
    /// It is the program that it runs.
    Program,
    /// It is its working directory.
    WorkingDirectory,
    /// It is its root directory.
    Root,
}

/// What a search has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Sorted by what is held, then by process.
    pub holders: Vec<Holder>,
    /// Processes that this one may not look into: other users'.
    pub unseen_processes: u64,
}

/// Looks for all holders of these inodes, this process left out. One pass through `/proc`, however many they are; nothing
/// is found where it is not mounted.
#[must_use]
pub fn holders(wanted: &[Identity]) -> Held {
    let mut held = Held::default();
    let Ok(proc) = DirFd::open_root(Path::new("/proc")) else { return held };
    for name in proc.names().iter().flat_map(linksnap_inode::Names::iter) {
        let pid = str::from_utf8(name.bytes).ok().and_then(|name| name.parse().ok());
        if let Some(pid) = pid.filter(|pid| *pid != std::process::id())
            && let Ok(dir) = proc.open_dir(name.bytes)
        {
            Process { pid, dir: &dir, wanted }.look(&mut held);
        }
    }
    held.holders.sort();
    held.holders.dedup();
    held
}

struct Process<'a> {
    pid: u32,
    dir: &'a DirFd,
    wanted: &'a [Identity],
}

impl Process<'_> {
    fn look(&self, held: &mut Held) {
        let links =
            [(b"exe".as_slice(), Hold::Program), (b"cwd", Hold::WorkingDirectory), (b"root", Hold::Root)];
        for (name, hold) in links {
            self.keep(self.dir, name, hold, held);
        }
        match self.dir.open_dir(b"fd").and_then(|fds| fds.names().map(|names| (fds, names))) {
            Ok((fds, names)) => {
                for name in names.iter() {
                    let number = str::from_utf8(name.bytes).ok().and_then(|number| number.parse().ok());
                    self.keep(&fds, name.bytes, Hold::Descriptor(number.unwrap_or(0)), held);
                }
            }
            Err(fault) if fault.is(Errno::ACCESS) || fault.is(Errno::PERM) => held.unseen_processes += 1,
            // It has ended.
            Err(_) => return,
        }
        self.mappings(held);
    }

    /// Notes that the process holds what a link of `/proc` leads to, if it is wanted.
    fn keep(&self, dir: &DirFd, name: &[u8], hold: Hold, held: &mut Held) {
        if let Ok(stat) = dir.stat_target(name)
            && self.wanted.contains(&stat.identity())
        {
            self.add(stat.identity(), hold, held);
        }
    }

    fn add(&self, identity: Identity, hold: Hold, held: &mut Held) {
        let name = std::fs::read(as_path(format!("/proc/{}/comm", self.pid).as_bytes())).unwrap_or_default();
        let name = name.strip_suffix(b"\n").unwrap_or(&name).to_vec();
        held.holders.push(Holder { identity, pid: self.pid, name, hold });
    }

    /// The device in `maps` is not that of `stat` on every filesystem (btrfs): only the inode number is taken from there,
    /// the rest from `map_files`, where this process may look.
    fn mappings(&self, held: &mut Held) {
        let maps = std::fs::read(format!("/proc/{}/maps", self.pid)).unwrap_or_default();
        let files = self.dir.open_dir(b"map_files").ok();
        for (range, device, inode) in maps.split(|byte| *byte == b'\n').filter_map(mapping) {
            let Some(same) = self.wanted.iter().find(|wanted| wanted.1 == inode) else { continue };
            match files.as_ref().map(|files| files.stat_target(range)) {
                Some(Ok(stat)) if self.wanted.contains(&stat.identity()) => {
                    self.add(stat.identity(), Hold::Mapping, held);
                }
                Some(Ok(_)) => {}
                _ if device == Some(same.0) => self.add(*same, Hold::Mapping, held),
                _ => {}
            }
        }
    }
}

/// `7f12-7f34 r-xp 00000000 fe:00 1234  /usr/lib/x.so`: range, device, inode number; `None` if no file is mapped.
fn mapping(line: &[u8]) -> Option<(&[u8], Option<u64>, u64)> {
    let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let range = fields.next()?;
    let device = str::from_utf8(fields.nth(2)?).ok()?;
    let inode = str::from_utf8(fields.next()?).ok()?.parse().ok().filter(|inode| *inode != 0)?;
    let device = device.split_once(':').and_then(|(major, minor)| {
        let number = |text| u32::from_str_radix(text, 16).ok();
        Some(linksnap_inode::mounts::device(number(major)?, number(minor)?))
    });
    Some((range, device, inode))
}

#[cfg(test)]
mod tests {
    use super::mapping;

    #[test]
    fn lines_of_maps_are_taken_apart() {
        let line = b"7f12-7f34 r-xp 00001000 fe:01 1234                     /usr/lib/a b.so";
        assert_eq!(mapping(line), Some((b"7f12-7f34".as_slice(), Some(0xfe01), 1234)));
        assert_eq!(mapping(b"7f12-7f34 rw-p 00000000 00:00 0 [heap]"), None);
        assert_eq!(mapping(b""), None);
    }
}

//! Processes as `/proc` shows them (`proc(5)`): the one place that knows how it is laid out.
//!
//! What a process holds is behind magic links, which are followed and not opened. Who may follow them is `ptrace(2)`'s to
//! say (`PTRACE_MODE_READ_FSCREDS`): root all those of its PID namespace, unless `CAP_SYS_PTRACE` was taken from it, as in
//! containers; anybody else only their own. Some of the directories can be listed all the same, so the links are asked.
//!
//! Knows nothing of what is looked for.

mod unit;

use std::path::Path;

use linksnap_inode::mounts::{self, Mount};
use linksnap_inode::{DirFd, Errno, Fault, Last, RegularFile, Stat, limits};

pub use self::unit::Unit;

/// More than any file of `/proc` has; how much it has is not known before.
const MOST: usize = 1 << 30;

/// Device and inode number.
pub type Identity = (u64, u64);

/// How many processes a pass has met. Those that ended meanwhile hold nothing, and are not counted, nor are threads of the
/// kernel that could not be looked into.
#[derive(Default)]
pub struct Pass {
    /// Those that were looked into.
    pub seen: u64,
    /// Those that could not be.
    pub unseen: u64,
}

/// Has each process looked into by `look`. Fails only if they cannot be listed.
pub fn each(mut look: impl FnMut(&ProcessDir) -> Result<(), Fault>) -> Result<Pass, Fault> {
    let proc = proc()?;
    let mut pass = Pass::default();
    for pid in proc.names()?.iter().filter_map(|name| number::<u32>(name.bytes)) {
        let process = match proc.open_dir(pid.to_string().as_bytes()) {
            Ok(dir) => ProcessDir { pid, dir },
            Err(fault) => {
                pass.unseen += u64::from(!has_ended(fault));
                continue;
            }
        };
        match process.admits().and_then(|()| look(&process)) {
            Ok(()) => pass.seen += 1,
            Err(fault) if has_ended(fault) || process.is_of_the_kernel() => {}
            Err(_) => pass.unseen += 1,
        }
    }
    Ok(pass)
}

/// When the machine was started, in seconds since 1970.
pub fn booted() -> Option<i64> {
    number(field(&read(&proc().ok()?, b"stat").ok()?, b"btime ")?)
}

fn proc() -> Result<DirFd, Fault> {
    DirFd::open_root(Path::new("/proc"))
}

fn has_ended(fault: Fault) -> bool {
    fault.is(Errno::NOENT) || fault.is(Errno::SRCH)
}

/// How a process holds an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// It has it open under this number.
    Open(u32),
    /// It is the program that it runs.
    Program,
    /// It has it mapped into its memory.
    Mapped,
    /// It is its working directory.
    WorkingDirectory,
    /// It is its root directory: it sees nothing outside.
    RootDirectory,
}

/// The directory of a process, open: once the process has ended it shows nothing, even if another has its number by then.
pub struct ProcessDir {
    /// The number of the process.
    pub pid: u32,
    dir: DirFd,
}

impl ProcessDir {
    /// Opens that of one process.
    pub fn open(pid: u32) -> Result<Self, Fault> {
        proc()?.open_dir(pid.to_string().as_bytes()).map(|dir| Self { pid, dir })
    }

    /// May its links be followed, and not only listed? The kernel asks the same for all of them.
    fn admits(&self) -> Result<(), Fault> {
        self.dir.read_link(b"root").map(drop)
    }

    /// Is it a thread of the kernel (`PF_KTHREAD`), which has nothing open? Everybody may ask that.
    fn is_of_the_kernel(&self) -> bool {
        const THREAD: u64 = 0x0020_0000;
        let stat = read(&self.dir, b"stat").unwrap_or_default();
        stat_field(&stat, 9).is_some_and(|flags| flags & THREAD != 0)
    }

    /// The name of the process, as `ps -o comm` has it.
    pub fn name(&self) -> Result<Vec<u8>, Fault> {
        let name = read(&self.dir, b"comm")?;
        Ok(name.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(name))
    }

    /// Its program, its working directory and its root directory.
    pub fn places(&self) -> [(Hold, Link<'_>); 3] {
        [(Hold::Program, "exe"), (Hold::WorkingDirectory, "cwd"), (Hold::RootDirectory, "root")]
            .map(|(hold, name)| (hold, self.link(name)))
    }

    /// What it has open, by number.
    pub fn open_files(&self) -> Result<impl Iterator<Item = (u32, Link<'_>)>, Fault> {
        let names = self.dir.open_dir(b"fd")?.names()?;
        let numbers: Vec<u32> = names.iter().filter_map(|name| number(name.bytes)).collect();
        Ok(numbers.into_iter().map(|number| (number, self.open_file(number))))
    }

    /// What it has open under a number, if it has.
    pub fn open_file(&self, number: u32) -> Link<'_> {
        self.link(format!("fd/{number}"))
    }

    /// How it has that open.
    pub fn description(&self, number: u32) -> Result<Description, Fault> {
        read(&self.dir, format!("fdinfo/{number}").as_bytes()).map(|info| Description::parse(&info))
    }

    /// What it has mapped, for [`Mapping::all`]. One that ends, or has no memory of its own, has nothing.
    pub fn maps(&self) -> Result<Vec<u8>, Fault> {
        read(&self.dir, b"maps").or_else(|fault| if has_ended(fault) { Ok(Vec::new()) } else { Err(fault) })
    }

    /// The file that is mapped there. Only root may follow this link.
    pub fn mapped(&self, mapping: &Mapping<'_>) -> Link<'_> {
        self.link([b"map_files/", mapping.range].concat())
    }

    fn link(&self, path: impl Into<Vec<u8>>) -> Link<'_> {
        Link { dir: &self.dir, path: path.into() }
    }
}

/// A magic link: it leads to the very inode, whether that has a name or not.
pub struct Link<'a> {
    dir: &'a DirFd,
    path: Vec<u8>,
}

impl Link<'_> {
    /// What it leads to.
    pub fn stat(&self) -> Result<Stat, Fault> {
        self.dir.stat_target(&self.path)
    }

    /// The path of that as the process sees it, ` (deleted)` behind it if the name is gone; words of another form where
    /// it never had one.
    pub fn path(&self) -> Result<Vec<u8>, Fault> {
        self.dir.read_link(&self.path)
    }

    /// The mount by which it was reached ([`Mount::id`]).
    pub fn mount(&self) -> Result<u64, Fault> {
        self.dir.mount_of(&self.path, Last::Followed)
    }

    /// Opens it for writing.
    pub fn open_to_write(&self) -> Result<RegularFile, Fault> {
        self.dir.open_target_to_write(&self.path)
    }
}

/// How a file is open (`proc_pid_fdinfo(5)`).
#[derive(Debug, PartialEq, Eq)]
pub struct Description {
    /// At which byte the process goes on.
    pub position: Option<u64>,
    /// The flags of `open(2)`, which are written in octal.
    pub flags: Option<u32>,
}

impl Description {
    fn parse(info: &[u8]) -> Self {
        let flags = field(info, b"flags:").and_then(|octal| str::from_utf8(octal).ok());
        let flags = flags.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
        Self { position: field(info, b"pos:").and_then(number), flags }
    }
}

/// A part of a file that a process has mapped (`proc_pid_maps(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// From where to where, in hexadecimal: the name in `map_files`.
    range: &'a [u8],
    /// Does writing into the memory write into the file?
    pub writes: bool,
    /// The file. On some filesystems (btrfs) the device is another than `stat(2)` tells.
    pub identity: Identity,
    /// Its path, as that of a [`Link`].
    pub path: &'a [u8],
}

impl<'a> Mapping<'a> {
    /// Those of files in what [`ProcessDir::maps`] gives.
    pub fn all(maps: &'a [u8]) -> impl Iterator<Item = Self> {
        maps.split(|byte| *byte == b'\n').filter_map(Self::parse)
    }

    /// `7f…-7f… r-xp 00001000 fd:00 1234   /usr/lib/libc.so.6 (deleted)`.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.splitn(6, |byte| *byte == b' ');
        let (range, mode) = (fields.next()?, fields.next()?);
        let (major, minor) = str::from_utf8(fields.nth(1)?).ok()?.split_once(':')?;
        let inode = number(fields.next()?).filter(|inode| *inode != 0)?;
        let path = fields.next().unwrap_or_default().trim_ascii_start();
        let of = |hex: &str| u32::from_str_radix(hex, 16).ok();
        let identity = (mounts::device(of(major)?, of(minor)?), inode);
        Some(Self { range, writes: mode.get(1) == Some(&b'w') && mode.get(3) == Some(&b's'), identity, path })
    }
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name: 15 bytes at most, of any kind.
    pub command: Vec<u8>,
    /// Whose it is.
    pub uid: u32,
    /// What started it.
    pub unit: Unit,
    /// Since when it runs, in seconds since 1970.
    pub started: Option<i64>,
}

impl Process {
    /// What `/proc` says of it; `None` if it has ended. `booted` is when the machine was started.
    pub fn of(process: &ProcessDir, booted: Option<i64>) -> Option<Self> {
        let read = |name| read(&process.dir, name);
        let status = read(b"status").ok()?;
        let uid = field(&status, b"Uid:")?.trim_ascii_start();
        let stat = read(b"stat").unwrap_or_default();
        Some(Self {
            pid: process.pid,
            command: process.name().ok()?,
            uid: number(uid.split(|byte| *byte == b'\t').next()?)?,
            unit: Unit::of(&read(b"cgroup").unwrap_or_default()),
            started: booted.and_then(|booted| Some(booted + started(&stat)?)),
        })
    }
}

/// When a process was started, in seconds since the machine was.
fn started(stat: &[u8]) -> Option<i64> {
    i64::try_from(stat_field(stat, 22)? / limits::clock_ticks()).ok()
}

/// A field of `proc_pid_stat(5)`, from the third on. The command in the second may hold anything.
fn stat_field(stat: &[u8], field: usize) -> Option<u64> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    number(stat.get(end + 2..)?.split(|byte| *byte == b' ').nth(field - 3)?)
}

/// What an ordinary user gets to know of the processes of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// That they are there.
    #[default]
    Listed,
    /// Nothing: `/proc` is mounted with `hidepid` (`proc(5)`).
    Hidden,
}

impl Others {
    /// By the options of `/proc` among all mounts, and who asks.
    #[must_use]
    pub fn of(mounts: &[Mount]) -> Self {
        let proc = mounts.iter().rfind(|mount| mount.point == b"/proc");
        let hides = |option: &[u8]| {
            matches!(option, b"hidepid=2" | b"hidepid=invisible" | b"hidepid=4" | b"hidepid=ptraceable")
        };
        match proc.is_some_and(|proc| proc.options.split(|byte| *byte == b',').any(hides)) {
            true if !limits::is_root() => Self::Hidden,
            _ => Self::Listed,
        }
    }
}

fn read(dir: &DirFd, path: &[u8]) -> Result<Vec<u8>, Fault> {
    dir.open_file_within(path)?.read_all(MOST)
}

/// The rest of the line that begins so.
fn field<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    str::from_utf8(text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use linksnap_inode::mounts::device;

    use super::{Description, Mapping, started};

    #[test]
    fn a_command_may_hold_anything() {
        let mut stat = b"812 (a) b (\n) S 1".to_vec();
        stat.extend((5..=21).flat_map(|number| format!(" {number}").into_bytes()));
        stat.extend(b" 12345 99");
        assert_eq!(started(&stat), Some(123));
        assert_eq!(started(b"812 (cut"), None);
    }

    #[test]
    fn how_files_are_open_is_read() {
        let of = |position, flags| Description { position, flags };
        let info = b"pos:\t7\nflags:\t0100001\nmnt_id:\t25\n";
        assert_eq!(Description::parse(info), of(Some(7), Some(0o100_001)));
        assert_eq!(Description::parse(b"pos:\t0\n"), of(Some(0), None));
    }

    #[test]
    fn mappings_are_read_with_blanks_in_their_paths() {
        let maps = b"7f00-7f01 rw-s 00000000 fd:10 1234                 /srv/a b (deleted)\n\
            7f01-7f02 r--s 00000000 fd:01 77 /srv/index\n\
            7f02-7f03 rw-p 00000000 fd:01 88 /lib/x.so\n\
            7f03-7f04 rw-s 00000000 00:01 0 anonymous\n\
            7f04-7f05 rw-p 00000000 00:00 0 [heap]\n";
        let of = |range, writes, identity, path| Mapping { range, writes, identity, path };
        let wanted = [
            of(b"7f00-7f01".as_slice(), true, (device(0xfd, 0x10), 1234), b"/srv/a b (deleted)".as_slice()),
            of(b"7f01-7f02", false, (device(0xfd, 1), 77), b"/srv/index"),
            of(b"7f02-7f03", false, (device(0xfd, 1), 88), b"/lib/x.so"),
        ];
        assert_eq!(Mapping::all(maps).collect::<Vec<_>>(), wanted);
    }
}

//! What `/proc` says of a process.

use linksnap_inode::dir::path_bytes;
use linksnap_inode::path::as_path;
use linksnap_inode::{DirFd, limits};

use super::{Next, Target};

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

/// What a process belongs to, by its control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// A service of the system.
    System(String),
    /// A service of a user.
    User(String),
    /// A session that somebody has opened.
    Session(String),
    /// A container, by its control group.
    Container(String),
    /// Nobody knows.
    None,
}

impl Process {
    /// What the directory `/proc/PID` says; `None` if the process has ended.
    pub(super) fn read(dir: &DirFd, pid: &[u8], booted: Option<i64>) -> Option<Self> {
        let status = read(dir, b"status")?;
        let command = read(dir, b"comm")?;
        let uid = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:\t"))?;
        let stat = read(dir, b"stat").unwrap_or_default();
        Some(Self {
            pid: number(pid)?,
            command: command.strip_suffix(b"\n").unwrap_or(&command).to_vec(),
            uid: number(uid.split(|byte| *byte == b'\t').next()?)?,
            unit: Unit::of(&read(dir, b"cgroup").unwrap_or_default()),
            started: booted.and_then(|booted| Some(booted + started(&stat)?)),
        })
    }
}

fn read(dir: &DirFd, name: &[u8]) -> Option<Vec<u8>> {
    dir.open_file(name).and_then(|file| file.read_all(64 * 1024)).ok()
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    str::from_utf8(text).ok()?.trim().parse().ok()
}

/// When the machine was started, in seconds since 1970.
pub(super) fn booted(proc: &DirFd) -> Option<i64> {
    let stat = proc.open_file(b"stat").and_then(|file| file.read_all(16 << 20)).ok()?;
    number(stat.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"btime "))?)
}

/// Field 22 of `proc_pid_stat(5)`, in seconds since the machine was started. The command in field 2 may hold anything.
fn started(stat: &[u8]) -> Option<i64> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let ticks: u64 = number(stat.get(end + 2..)?.split(|byte| *byte == b' ').nth(19)?)?;
    i64::try_from(ticks / limits::clock_ticks()).ok()
}

impl Unit {
    /// From `proc_pid_cgroup(5)`: of the lines that of systemd's own hierarchy, which is the only one in version 2.
    fn of(table: &[u8]) -> Self {
        let lines = || table.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok());
        let named = |prefix: &str| {
            lines().find_map(|line| line.split_once(':')?.1.strip_prefix(prefix).map(str::to_owned))
        };
        named("name=systemd:").or_else(|| named(":")).map_or(Self::None, |group| Self::of_group(&group))
    }

    fn of_group(group: &str) -> Self {
        let parts: Vec<&str> = group.split('/').filter(|part| !part.is_empty()).collect();
        let is_container = |part: &&&str| {
            ["docker-", "libpod-", "crio-", "cri-containerd-"].iter().any(|start| part.starts_with(start))
        };
        let after = |word: &str| parts.iter().skip_while(|part| **part != word).nth(1);
        if let Some(container) =
            parts.iter().rfind(is_container).or_else(|| after("docker")).or_else(|| after("lxc"))
        {
            return Self::Container((*container).to_owned());
        }
        let unit = parts.iter().rfind(|part| part.ends_with(".service") || part.ends_with(".scope"));
        match unit {
            Some(unit) if unit.starts_with("session-") => Self::Session((*unit).to_owned()),
            Some(unit) if unit.starts_with("user@") => Self::Session((*unit).to_owned()),
            Some(unit) if group.contains("/user@") => Self::User((*unit).to_owned()),
            Some(unit) if unit.ends_with(".service") => Self::System((*unit).to_owned()),
            Some(unit) => Self::Session((*unit).to_owned()),
            None => Self::None,
        }
    }
}

/// One line of `proc_pid_maps(5)`.
pub(super) struct Mapping<'a> {
    /// From where to where, in hexadecimal: the name in `map_files`.
    pub range: &'a [u8],
    pub device: u64,
    pub inode: u64,
    pub path: &'a [u8],
}

impl<'a> Mapping<'a> {
    /// `7f…-7f… r-xp 00001000 fd:00 1234   /usr/lib/libc.so.6 (deleted)`.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let range = fields.next()?;
        let device = str::from_utf8(fields.nth(2)?).ok()?;
        let (major, minor) = device.split_once(':')?;
        let inode: u64 = number(fields.next()?)?;
        let path = &line[line.iter().position(|byte| *byte == b'/')?..];
        let of = |hex: &str| u32::from_str_radix(hex, 16).ok();
        let device = linksnap_inode::mounts::device(of(major)?, of(minor)?);
        (inode != 0).then_some(Self { range, device, inode, path })
    }
}

/// Where the process writes next, by `proc_pid_fdinfo(5)`.
pub(super) fn next(target: Target) -> Next {
    const APPEND: u64 = 0o2000;
    let path = format!("/proc/{}/fdinfo", target.pid);
    let info = DirFd::open_root(as_path(path_bytes(path.as_ref())))
        .ok()
        .and_then(|dir| read(&dir, target.fd.to_string().as_bytes()))
        .unwrap_or_default();
    let field = |name: &[u8]| info.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name));
    let flags = field(b"flags:\t").and_then(|flags| str::from_utf8(flags).ok());
    let flags = flags.and_then(|flags| u64::from_str_radix(flags.trim(), 8).ok()).unwrap_or_default();
    match field(b"pos:\t").and_then(number) {
        Some(position) if flags & APPEND == 0 && position > 0 => Next::At(position),
        _ => Next::AtEnd,
    }
}

#[cfg(test)]
mod tests {
    use super::{Mapping, Unit, started};

    #[test]
    fn units_are_known_by_their_control_groups() {
        let table = [
            ("0::/system.slice/nginx.service\n", Unit::System("nginx.service".to_owned())),
            (
                "0::/system.slice/system-getty.slice/getty@tty1.service\n",
                Unit::System("getty@tty1.service".to_owned()),
            ),
            (
                "12:cpu:/\n1:name=systemd:/system.slice/cron.service\n0::/system.slice/other.service\n",
                Unit::System("cron.service".to_owned()),
            ),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", Unit::Session("session-3.scope".to_owned())),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service\n",
                Unit::User("editor.service".to_owned()),
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n",
                Unit::User("init.scope".to_owned()),
            ),
            ("0::/system.slice/docker-4f5e.scope\n", Unit::Container("docker-4f5e.scope".to_owned())),
            ("3:cpu:/docker/4f5e\n0::/docker/4f5e\n", Unit::Container("4f5e".to_owned())),
            ("0::/\n", Unit::None),
            ("", Unit::None),
        ];
        for (text, wanted) in table {
            assert_eq!(Unit::of(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn a_command_may_hold_anything() {
        let mut stat = b"812 (a) b (\n) S 1".to_vec();
        stat.extend((5..=21).flat_map(|number| format!(" {number}").into_bytes()));
        stat.extend(b" 12345 99");
        assert_eq!(started(&stat), Some(123));
        assert_eq!(started(b"812 (cut"), None);
    }

    #[test]
    fn mappings_are_read_with_blanks_in_their_paths() {
        let line = b"7f00-7f80 r-xp 00001000 fd:10 1234                    /a b/c (deleted)";
        let mapping = Mapping::parse(line).unwrap();
        assert_eq!((mapping.range, mapping.inode), (b"7f00-7f80".as_slice(), 1234));
        assert_eq!(mapping.device, linksnap_inode::mounts::device(0xfd, 0x10));
        assert_eq!(mapping.path, b"/a b/c (deleted)");
        assert!(Mapping::parse(b"7f00-7f80 rw-p 00000000 00:00 0 ").is_none());
    }
}

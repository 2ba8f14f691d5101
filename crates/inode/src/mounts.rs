//! Where filesystems are mounted, as this process sees it.

use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{AtFlags, StatxFlags};

use crate::dir::{DirFd, magic_link};
use crate::fault::{Errno, Fault, FsError, Op};
use crate::path::as_path;

const TABLE: &str = "/proc/self/mountinfo";

/// One mount (`proc_pid_mountinfo(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its number, which [`DirFd::mount_of`] tells; another mount may get it once this one is gone.
    pub id: u64,
    /// The device of its filesystem, packed as in `makedev(3)`. On btrfs the inodes of a subvolume have another one.
    pub device: u64,
    /// Which directory (or file) of the filesystem is mounted: `/` unless only a part of it is.
    pub root: Vec<u8>,
    /// Where, as an absolute path.
    pub point: Vec<u8>,
    /// The type of the filesystem, as `mount(8)` names it.
    pub kind: String,
    /// What is mounted: a device, a remote directory, or any word.
    pub source: Vec<u8>,
    /// Options of this mount, joined by commas: `rw,noatime`.
    pub flags: Vec<u8>,
    /// Options of the filesystem, joined by commas.
    pub options: Vec<u8>,
}

impl Mount {
    /// Does its mount point lead to it, so that no other mount hides it?
    #[must_use]
    pub fn is_visible(&self) -> bool {
        at(as_path(&self.point)).is_ok_and(|id| id == self.id)
    }
}

/// The number of the mount that a path is on; a symbolic link at its end is not followed. Nothing is opened, and no
/// automount triggered.
pub fn at(path: &Path) -> Result<u64, Fault> {
    let op = "find the mount of";
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let statx = rustix::fs::statx(rustix::fs::CWD, path, flags, StatxFlags::MNT_ID).op(op)?;
    match StatxFlags::from_bits_retain(statx.stx_mask).contains(StatxFlags::MNT_ID) {
        true => Ok(statx.stx_mnt_id),
        false => Err(Fault::new(op, Errno::NOSYS)),
    }
}

/// A device number of its two parts, as `stat(2)` tells it (`makedev(3)`).
#[must_use]
pub fn device(major: u32, minor: u32) -> u64 {
    rustix::fs::makedev(major, minor)
}

/// All mounts in the order in which they were made, so that one that hides another comes after it.
///
/// # Errors
/// Where `/proc` is not mounted.
pub fn all() -> Result<Vec<Mount>, FsError> {
    let table = std::fs::read(TABLE).map_err(|source| FsError {
        op: "read the table of mounts",
        path: Path::new(TABLE).to_path_buf(),
        source,
    })?;
    Ok(mounts(&table).collect())
}

/// The mount points below a directory (itself left out), as absolute paths; none where `/proc` does not tell
/// (`proc_pid_mountinfo(5)`).
#[must_use]
pub fn below(dir: &DirFd) -> Vec<Vec<u8>> {
    let (Ok(path), Ok(all)) = (std::fs::read_link(magic_link(dir)), all()) else {
        return Vec::new();
    };
    let mut prefix = path.into_os_string().into_vec();
    prefix.push(b'/');
    all.into_iter().map(|mount| mount.point).filter(|point| point.starts_with(&prefix)).collect()
}

fn mounts(table: &[u8]) -> impl Iterator<Item = Mount> {
    table.split(|byte| *byte == b'\n').filter_map(mount)
}

/// `36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue`: any number of optional fields
/// before the dash.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = text(fields.next()?)?.parse().ok()?;
    let (major, minor) = text(fields.nth(1)?)?.split_once(':')?;
    let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
    let flags = fields.next()?.to_vec();
    let mut behind = fields.skip_while(|field| *field != b"-").skip(1);
    Some(Mount {
        id,
        device: rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?),
        root,
        point,
        kind: text(behind.next()?)?.to_owned(),
        source: unescape(behind.next().unwrap_or_default()),
        flags,
        options: behind.next().unwrap_or_default().to_vec(),
    })
}

fn text(field: &[u8]) -> Option<&str> {
    str::from_utf8(field).ok()
}

/// Blanks, tabs, newlines and backslashes are written in octal.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, more @ ..] = rest {
        let digits = more.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &more[3..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::mounts;

    #[test]
    fn mounts_are_read_with_their_escapes_and_optional_fields() {
        let table =
            b"36 35 98:0 / /mnt/a\\040b rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue\n\
            37 35 0:5 /sub /x\\134y rw - fuse.sshfs me@host:/a\\040b rw\nnonsense\n";
        let all: Vec<_> = mounts(table).collect();
        assert_eq!(all.len(), 2);
        let of = |at: usize| (all[at].id, all[at].device, all[at].root.as_slice(), all[at].point.as_slice());
        assert_eq!(of(0), (36, 98 << 8, b"/".as_slice(), b"/mnt/a b".as_slice()));
        assert_eq!(of(1), (37, 5, b"/sub".as_slice(), b"/x\\y".as_slice()));
        assert_eq!(
            (all[0].kind.as_str(), all[0].options.as_slice()),
            ("ext3", b"rw,errors=continue".as_slice())
        );
        assert_eq!(all[0].flags, b"rw,noatime");
        assert_eq!(
            (all[1].kind.as_str(), all[1].source.as_slice()),
            ("fuse.sshfs", b"me@host:/a b".as_slice())
        );
    }
}

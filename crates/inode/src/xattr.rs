//! Extended attributes, with ACLs, capabilities and security labels among them (`xattr(7)`).

use std::os::fd::AsFd;

use crate::dir::{DirFd, magic_link};
use crate::fault::{Errno, Fault, Op};

/// All extended attributes of an inode, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Xattrs(Vec<(Vec<u8>, Vec<u8>)>);

/// XFS shows root every ACL a second time, as it keeps it (`fs/xfs/xfs_acl.h`). Whoever removes that removes the ACL.
const SECOND_NAMES: [&[u8]; 2] = [b"trusted.SGI_ACL_FILE", b"trusted.SGI_ACL_DEFAULT"];

/// The default ACL of a directory, which new entries inherit.
pub const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

impl Xattrs {
    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The value of the attribute `name`.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// One run of bytes for all: for each attribute the length of the name (u16), the name, the length of
    /// the value (u32), the value; numbers little-endian.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in self.iter() {
            // The kernel's limits are 255 bytes a name and 64 KiB a value (XATTR_NAME_MAX, XATTR_SIZE_MAX).
            bytes.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(value);
        }
        bytes
    }

    /// The attributes that [`encode`](Self::encode) wrote; `None` if these bytes are not of its making.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_first_chunk::<2>()?;
            let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (value, rest) = rest.split_at_checked(length)?;
            all.push((name.to_vec(), value.to_vec()));
            bytes = rest;
        }
        Some(Self(all))
    }

    /// Reads all attributes of an open file or directory. A filesystem without attributes has none.
    pub fn read(file: impl AsFd) -> Result<Self, Fault> {
        let fd = file.as_fd();
        Self::gather(
            |buffer| rustix::fs::flistxattr(fd, buffer),
            |name, buffer| rustix::fs::fgetxattr(fd, name, buffer),
        )
    }

    /// Reads all attributes of the entry `name` without opening or following it.
    pub fn read_entry(dir: &DirFd, name: &[u8]) -> Result<Self, Fault> {
        Self::read_held(dir.open_path(name)?)
    }

    /// Reads all attributes of what an `O_PATH` descriptor holds.
    pub(crate) fn read_held(fd: impl AsFd) -> Result<Self, Fault> {
        let path = magic_link(&fd);
        Self::gather(
            |buffer| rustix::fs::listxattr(&path, buffer),
            |name, buffer| rustix::fs::getxattr(&path, name, buffer),
        )
    }

    /// Makes the attributes of an open file or directory exactly these; of those that cannot be set the first fault is
    /// told.
    pub fn write(&self, file: impl AsFd) -> Result<(), Fault> {
        let fd = file.as_fd();
        let present = Self::read(fd)?;
        for (name, _) in present.iter().filter(|(name, _)| self.get(name).is_none()) {
            rustix::fs::fremovexattr(fd, name).op("remove an extended attribute of")?;
        }
        self.write_missing(&present, |name, value| {
            rustix::fs::fsetxattr(fd, name, value, rustix::fs::XattrFlags::empty())
        })
    }

    /// Gives these attributes to the inode that a magic link leads to, which has none.
    pub(crate) fn write_new(&self, path: &str) -> Result<(), Fault> {
        self.write_missing(&Self::default(), |name, value| {
            rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty())
        })
    }

    fn write_missing(
        &self,
        present: &Self,
        set: impl Fn(&[u8], &[u8]) -> rustix::io::Result<()>,
    ) -> Result<(), Fault> {
        // One that cannot be set does not keep the others from being set.
        let mut done = Ok(());
        for (name, value) in self.iter().filter(|(name, value)| present.get(name) != Some(value)) {
            done = done.and(set(name, value).op("set an extended attribute of"));
        }
        done
    }

    fn gather(
        list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
        get: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
    ) -> Result<Self, Fault> {
        let op = "read the extended attributes of";
        let names = match sized(&list) {
            Err(Errno::NOTSUP) => return Ok(Self::default()),
            other => other.op(op)?,
        };
        let mut all = Vec::new();
        for name in names.split(|byte| *byte == 0).filter(|name| counts(name)) {
            match sized(|buffer: &mut [u8]| get(name, buffer)) {
                Ok(value) => all.push((name.to_vec(), value)),
                // Removed meanwhile, or listed though the filesystem cannot tell it.
                Err(Errno::NODATA | Errno::NOTSUP) => {}
                Err(errno) => return Err(Fault::new(op, errno)),
            }
        }
        all.sort_unstable();
        Ok(Self(all))
    }
}

impl FromIterator<(Vec<u8>, Vec<u8>)> for Xattrs {
    fn from_iter<I: IntoIterator<Item = (Vec<u8>, Vec<u8>)>>(attributes: I) -> Self {
        let mut all: Vec<_> = attributes.into_iter().collect();
        all.sort_unstable();
        Self(all)
    }
}

fn counts(name: &[u8]) -> bool {
    !name.is_empty() && !SECOND_NAMES.contains(&name)
}

/// Calls with a small buffer first, then with one of the size the kernel asks for (`ERANGE`).
fn sized(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut small = [0; 256];
    match call(&mut small) {
        Ok(length) => return Ok(small[..length].to_vec()),
        Err(Errno::RANGE) => {}
        Err(errno) => return Err(errno),
    }
    let mut size = 4096;
    loop {
        let mut buffer = vec![0; size];
        match call(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            // 64 KiB is the most a list or a value can have (XATTR_LIST_MAX, XATTR_SIZE_MAX).
            Err(Errno::RANGE) if size < 1 << 20 => size *= 4,
            Err(errno) => return Err(errno),
        }
    }
}

//! One name in a directory held open: all that this crate does to a tree goes through here.
//!
//! A place is found by opening its parents one by one without following links. So a random symbolic link can lead
//! nobody out of the tree, and a path may be longer than `PATH_MAX`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::Errno;

/// Names of extended attributes and their values.
pub(crate) type Xattrs = BTreeMap<OsString, Vec<u8>>;

const OPEN_DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The type of `stat`, as rustix names it.
pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The twelve permission bits of `stat`.
pub(crate) fn mode_bits(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

/// The modification time of `stat` in seconds and nanoseconds since 1970.
pub(crate) fn mtime(stat: &Stat) -> (i64, u32) {
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).expect("nanoseconds are below 10^9");
    (stat.st_mtime, nanoseconds)
}

/// What to do about parents that are not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parents {
    /// Fail with `ENOENT`.
    Need,
    /// Make them, mode 0755.
    Make,
}

/// A name in an open directory. The root of a tree is the name `.` in itself.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    directory: Rc<OwnedFd>,
    name: OsString,
}

impl Place {
    /// The root itself; the last component of `root` may be a symbolic link.
    pub(crate) fn root(root: &Path) -> io::Result<Place> {
        let flags = OPEN_DIRECTORY.difference(OFlags::NOFOLLOW);
        let directory = rustix::fs::openat(CWD, root, flags, Mode::empty())?;
        Ok(Place { directory: Rc::new(directory), name: OsString::from(".") })
    }

    /// The place of `path`, relative to `root` and made of plain names. What is there, if anything, is not looked at.
    pub(crate) fn find(root: &Path, path: &Path, parents: Parents) -> io::Result<Place> {
        let mut place = Place::root(root)?;
        for (depth, component) in path.components().enumerate() {
            let Component::Normal(name) = component else {
                return Err(Errno::INVAL.into());
            };
            if depth > 0 && parents == Parents::Make {
                place.ensure_directory()?;
            }
            place = place.child(name)?;
        }
        Ok(place)
    }

    /// The place of `name` in the directory that is at this place.
    pub(crate) fn child(&self, name: &OsStr) -> io::Result<Place> {
        let mut places = self.children_named(std::iter::once(name.to_os_string()))?;
        Ok(places.remove(0))
    }

    /// The places of all names in the directory at this place, sorted by bytes.
    pub(crate) fn children(&self) -> io::Result<Vec<Place>> {
        let mut names = Vec::new();
        for entry in Dir::new(self.open(OPEN_DIRECTORY)?)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort();
        self.children_named(names.into_iter())
    }

    fn children_named(&self, names: impl Iterator<Item = OsString>) -> io::Result<Vec<Place>> {
        let directory = Rc::new(self.open(OPEN_DIRECTORY)?);
        let place = |name| Place { directory: Rc::clone(&directory), name };
        Ok(names.map(place).collect())
    }

    /// The last component, `.` for a root.
    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }

    /// A path to this place for calls that know no directory descriptor. Only the last component can be a link.
    pub(crate) fn proc_path(&self) -> PathBuf {
        let descriptor = self.directory.as_raw_fd();
        Path::new("/proc/self/fd").join(descriptor.to_string()).join(&self.name)
    }

    fn open(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        Ok(rustix::fs::openat(&*self.directory, &self.name, flags, mode)?)
    }

    /// Opens the regular file here.
    pub(crate) fn open_file(&self, flags: OFlags) -> io::Result<File> {
        Ok(File::from(self.open(flags)?))
    }

    pub(crate) fn stat(&self) -> io::Result<Stat> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::statat(&*self.directory, &self.name, flags)?)
    }

    /// What is here, or `None` if nothing is.
    pub(crate) fn found(&self) -> io::Result<Option<FileType>> {
        match self.stat() {
            Ok(stat) => Ok(Some(file_type(&stat))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn target(&self) -> io::Result<OsString> {
        let target = rustix::fs::readlinkat(&*self.directory, &self.name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    /// Makes the directory here, mode 0755 whatever the umask, unless there is one.
    pub(crate) fn ensure_directory(&self) -> io::Result<()> {
        if self.found()? == Some(FileType::Directory) {
            return Ok(());
        }
        let mode = Mode::from_raw_mode(0o755);
        rustix::fs::mkdirat(&*self.directory, &self.name, mode)?;
        self.set_mode(0o755)
    }

    pub(crate) fn make_symlink(&self, target: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &*self.directory, &self.name)?)
    }

    /// Makes a fifo, socket or device here, mode 0644 whatever the umask.
    pub(crate) fn make_node(&self, kind: FileType, rdev: u64) -> io::Result<()> {
        let mode = Mode::from_raw_mode(0o644);
        rustix::fs::mknodat(&*self.directory, &self.name, kind, mode, rdev)?;
        self.set_mode(0o644)
    }

    /// Gives what is here a second name at `new`.
    pub(crate) fn link_to(&self, new: &Place) -> io::Result<()> {
        let flags = AtFlags::empty();
        Ok(rustix::fs::linkat(&*self.directory, &self.name, &*new.directory, &new.name, flags)?)
    }

    pub(crate) fn rename_to(&self, new: &Place) -> io::Result<()> {
        Ok(rustix::fs::renameat(&*self.directory, &self.name, &*new.directory, &new.name)?)
    }

    /// Removes what is here, with all below it; nothing here is no error.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let flags = match self.found()? {
            None => return Ok(()),
            Some(FileType::Directory) => {
                for child in self.children()? {
                    child.remove()?;
                }
                AtFlags::REMOVEDIR
            }
            Some(_) => AtFlags::empty(),
        };
        Ok(rustix::fs::unlinkat(&*self.directory, &self.name, flags)?)
    }

    /// Sets the permission bits; a symbolic link has none (`EOPNOTSUPP`).
    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        if file_type(&self.stat()?) == FileType::Symlink {
            return Err(Errno::OPNOTSUPP.into());
        }
        let mode = Mode::from_raw_mode(mode);
        let flags = AtFlags::empty();
        Ok(rustix::fs::chmodat(&*self.directory, &self.name, mode, flags)?)
    }

    pub(crate) fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        Ok(rustix::fs::chownat(
            &*self.directory,
            &self.name,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Sets the modification time and leaves the access time.
    pub(crate) fn set_mtime(&self, (seconds, nanoseconds): (i64, u32)) -> io::Result<()> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
        };
        Ok(rustix::fs::utimensat(&*self.directory, &self.name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// All extended attributes; none where the filesystem has none.
    pub(crate) fn xattrs(&self) -> io::Result<Xattrs> {
        // The kernel's limits on a list and on a value are both 64 KiB (xattr(7)).
        let mut buffer = vec![0; 1 << 16];
        let path = self.proc_path();
        let length = match rustix::fs::llistxattr(&path, &mut buffer[..]) {
            Err(Errno::OPNOTSUPP) => 0,
            length => length?,
        };
        let list = buffer[..length].to_vec();
        let names = list.split(|&byte| byte == 0).filter(|name| !name.is_empty());
        names
            .map(|name| {
                let length = rustix::fs::lgetxattr(&path, name, &mut buffer[..])?;
                let name = OsStr::from_bytes(name).to_os_string();
                Ok((name, buffer[..length].to_vec()))
            })
            .collect()
    }

    pub(crate) fn set_xattr(&self, name: &OsStr, value: &[u8]) -> io::Result<()> {
        let flags = XattrFlags::empty();
        Ok(rustix::fs::lsetxattr(self.proc_path(), name, value, flags)?)
    }

    pub(crate) fn remove_xattr(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::lremovexattr(self.proc_path(), name)?)
    }
}

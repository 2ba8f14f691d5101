//! Changes to a tree as plain data, and the deed.
//!
//! **Invariant:** no edit reaches outside the root it is applied to: parents are never symbolic links, names are never
//! `..`, and a link is changed, not followed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, makedev};
use rustix::io::Errno;

use crate::place::{self, Parents, Place};

/// The bytes of a file, short to read when a test fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// One byte, many times.
    Repeated {
        /// The byte.
        byte: u8,
        /// How many times.
        length: usize,
    },
}

impl Content {
    /// The bytes meant.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Repeated { byte, length } => vec![*byte; *length],
        }
    }
}

/// One change to a tree; paths are relative to the root and made of plain names, the empty path being the root.
///
/// An edit that makes something makes missing parents too (0755), and takes away what else bore the name, directories
/// with all below: every making edit can be a change of type. The other edits need what they change. Files are made
/// 0644 and directories 0755, whatever the umask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A file with this content; a file that is there is rewritten in place, so that all its hard links change.
    Write {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        content: Content,
    },
    /// A file with this content under a new inode, renamed into its place as editors do.
    Replace {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        content: Content,
    },
    /// Other bytes of the same number in the same inode: each byte counts up by one.
    Rewrite {
        /// The file.
        path: PathBuf,
    },
    /// As [`Edit::Rewrite`], and the old mtime is put back: only the ctime tells.
    RewriteKeepingMtime {
        /// The file.
        path: PathBuf,
    },
    /// A new file that is a hole but for its last byte.
    Sparse {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        size: u64,
    },
    /// A directory; one that is there stays as it is.
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// A new symbolic link.
    Symlink {
        /// The link.
        path: PathBuf,
        /// What it says.
        target: OsString,
    },
    /// A new named pipe.
    Fifo {
        /// The pipe.
        path: PathBuf,
    },
    /// A new socket, made by mknod.
    Socket {
        /// The socket.
        path: PathBuf,
    },
    /// A new character device; needs root.
    CharDevice {
        /// The device.
        path: PathBuf,
        /// The driver.
        major: u32,
        /// Which of the driver's devices.
        minor: u32,
    },
    /// A new block device; needs root.
    BlockDevice {
        /// The device.
        path: PathBuf,
        /// The driver.
        major: u32,
        /// Which of the driver's devices.
        minor: u32,
    },
    /// A second name for something that is there and no directory.
    HardLink {
        /// The first name.
        existing: PathBuf,
        /// The second name.
        path: PathBuf,
    },
    /// Other permission bits.
    Mode {
        /// What is changed.
        path: PathBuf,
        /// The twelve bits.
        mode: u32,
    },
    /// Another owner and group; needs root.
    Owner {
        /// What is changed.
        path: PathBuf,
        /// The owner.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// Another modification time.
    Mtime {
        /// What is changed.
        path: PathBuf,
        /// Seconds and nanoseconds since 1970.
        mtime: (i64, u32),
    },
    /// An extended attribute, new or changed.
    SetXattr {
        /// What is changed.
        path: PathBuf,
        /// The name with its namespace.
        name: OsString,
        /// The value.
        value: Vec<u8>,
    },
    /// An extended attribute less.
    RemoveXattr {
        /// What is changed.
        path: PathBuf,
        /// The name with its namespace.
        name: OsString,
    },
    /// Another name, also in another directory; what bore it goes away.
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
    },
    /// No name, and nothing below it.
    Delete {
        /// What goes.
        path: PathBuf,
    },
}

/// Applies all edits in their order. It is total: an edit that cannot be done here (something is missing, a parent is
/// no directory, the filesystem or our rights do not allow it) is skipped without a word. Parents that it made stay.
pub fn apply(root: &Path, edits: &[Edit]) {
    for edit in edits {
        try_apply(root, edit).ok();
    }
}

/// Applies one edit, or says why it cannot be done.
pub fn try_apply(root: &Path, edit: &Edit) -> io::Result<()> {
    let make = |path: &Path| place_for_new(root, path);
    let find = |path: &Path| Place::find(root, path, Parents::Need);
    match edit {
        Edit::Write { path, content } => write(&make_file_place(root, path)?, content),
        Edit::Replace { path, content } => replace(root, path, content),
        Edit::Rewrite { path } => rewrite(&find(path)?),
        Edit::RewriteKeepingMtime { path } => {
            let place = find(path)?;
            let before = place::mtime(&place.stat()?);
            rewrite(&place)?;
            place.set_mtime(before)
        }
        Edit::Sparse { path, size } => write_sparse(&make(path)?, *size),
        Edit::Directory { path } => make_directory(root, path),
        Edit::Symlink { path, target } => make(path)?.make_symlink(target),
        Edit::Fifo { path } => make(path)?.make_node(FileType::Fifo, 0),
        Edit::Socket { path } => make(path)?.make_node(FileType::Socket, 0),
        Edit::CharDevice { path, major, minor } => {
            make(path)?.make_node(FileType::CharacterDevice, makedev(*major, *minor))
        }
        Edit::BlockDevice { path, major, minor } => {
            make(path)?.make_node(FileType::BlockDevice, makedev(*major, *minor))
        }
        Edit::HardLink { existing, path } => hard_link(root, existing, path),
        Edit::Mode { path, mode } => find(path)?.set_mode(*mode),
        Edit::Owner { path, uid, gid } => find(path)?.set_owner(*uid, *gid),
        Edit::Mtime { path, mtime } => find(path)?.set_mtime(*mtime),
        Edit::SetXattr { path, name, value } => find(path)?.set_xattr(name, value),
        Edit::RemoveXattr { path, name } => find(path)?.remove_xattr(name),
        Edit::Rename { from, to } => rename(root, from, to),
        Edit::Delete { path } => delete(root, path),
    }
}

/// The place of `path`, with parents made and nothing there.
fn place_for_new(root: &Path, path: &Path) -> io::Result<Place> {
    not_the_root(path)?;
    let place = Place::find(root, path, Parents::Make)?;
    place.remove()?;
    Ok(place)
}

/// As [`place_for_new`], but a regular file may be there.
fn make_file_place(root: &Path, path: &Path) -> io::Result<Place> {
    not_the_root(path)?;
    let place = Place::find(root, path, Parents::Make)?;
    match place.found()? {
        Some(FileType::RegularFile) => Ok(place),
        _ => place_for_new(root, path),
    }
}

fn not_the_root(path: &Path) -> io::Result<()> {
    match path.file_name() {
        Some(_) => Ok(()),
        None => Err(Errno::INVAL.into()),
    }
}

fn write(place: &Place, content: &Content) -> io::Result<()> {
    let is_new = place.found()?.is_none();
    let mut file = place.open_file(OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
    file.write_all(&content.bytes())?;
    if is_new { place.set_mode(0o644) } else { Ok(()) }
}

/// The new inode is made beside the old one, so that it cannot get its number.
fn replace(root: &Path, path: &Path, content: &Content) -> io::Result<()> {
    let place = make_file_place(root, path)?;
    let fresh = Place::find(root, &path.with_file_name(".replacement"), Parents::Need)?;
    write(&fresh, content)?;
    fresh.rename_to(&place)
}

fn write_sparse(place: &Place, size: u64) -> io::Result<()> {
    write(place, &Content::Bytes(Vec::new()))?;
    let mut file = place.open_file(OFlags::WRONLY)?;
    if size > 0 {
        file.seek(io::SeekFrom::Start(size - 1))?;
        file.write_all(b"s")?;
    }
    Ok(())
}

fn rewrite(place: &Place) -> io::Result<()> {
    if place.found()? != Some(FileType::RegularFile) {
        return Err(Errno::INVAL.into());
    }
    let mut file: File = place.open_file(OFlags::RDWR)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    for byte in &mut bytes {
        *byte = byte.wrapping_add(1);
    }
    file.rewind()?;
    file.write_all(&bytes)
}

fn make_directory(root: &Path, path: &Path) -> io::Result<()> {
    let place = Place::find(root, path, Parents::Make)?;
    if place.found()? != Some(FileType::Directory) {
        place.remove()?;
    }
    place.ensure_directory()
}

fn hard_link(root: &Path, existing: &Path, path: &Path) -> io::Result<()> {
    let old = Place::find(root, existing, Parents::Need)?;
    let is_directory = place::file_type(&old.stat()?) == FileType::Directory;
    if is_directory || existing.starts_with(path) {
        return Err(Errno::INVAL.into());
    }
    old.link_to(&place_for_new(root, path)?)
}

fn rename(root: &Path, from: &Path, to: &Path) -> io::Result<()> {
    not_the_root(from)?;
    if from.starts_with(to) || to.starts_with(from) {
        return Err(Errno::INVAL.into());
    }
    let old = Place::find(root, from, Parents::Need)?;
    old.stat()?;
    let new = Place::find(root, to, Parents::Make)?;
    match old.rename_to(&new) {
        // A directory and something else, or a directory that is not empty.
        Err(_) if new.found()?.is_some() => {
            new.remove()?;
            old.rename_to(&new)
        }
        done => done,
    }
}

fn delete(root: &Path, path: &Path) -> io::Result<()> {
    not_the_root(path)?;
    let place = Place::find(root, path, Parents::Need)?;
    place.stat()?;
    place.remove()
}

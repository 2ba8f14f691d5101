//! Clone: a new inode that shares blocks with the version before, where the filesystem can (`FICLONE`: XFS, btrfs).
//!
//! The old inode is only read. What the new one holds is known by the hash of the source, as with every copy: either
//! the source has the old version's hash, or each of its blocks was compared with the old file's or written.
//!
//! Whether the filesystem can is not asked but tried: the first file that might gain by it shows it, in every run.

use std::sync::atomic::{AtomicBool, Ordering};

use linksnap_catalog::Version;
use linksnap_inode::content::{self, Buffer, CopyFault, Read, Shape, Watch};
use linksnap_inode::rewrite;
use linksnap_inode::{ContentHash, DirFd, Errno, Fault, Kind, RegularFile, Stat};

use crate::stages::plan::Reason;
use crate::stages::validate::{self, Attributes};
use crate::tree::TreeFile;

/// Files below this size, in bytes, share all blocks or none, and are copied whole when their content has changed: to read
/// the old version costs a seek and then a millisecond, as much as it saves in writing, and their blocks are soon split up.
/// They are read at once, so that it is known what they hold before anything is made of them.
const LARGE: u64 = content::AT_ONCE as u64;

/// What a changed file may have in common with its version before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Probably all bytes: they are read and hashed first.
    Whole,
    /// Some blocks: each is compared.
    Blocks,
}

/// How the file that looks like `stat`, and differs for this `reason`, may share blocks with its version before;
/// `None`: not worth while.
#[must_use]
pub fn way(stat: &Stat, reason: Reason, before: &Version) -> Option<Way> {
    let data_bytes = before.size.saturating_sub(before.holes);
    if stat.kind != Kind::File || before.kind != Kind::File || data_bytes == 0 {
        return None;
    }
    let large = stat.size >= LARGE && before.size >= LARGE;
    match reason {
        // A file whose time alone moved is mostly written anew if it is large, and touched if it is small.
        Reason::TimeChanged if !large => Some(Way::Whole),
        Reason::AttributesChanged | Reason::InodeTouched | Reason::OtherInode | Reason::Racy => {
            Some(Way::Whole)
        }
        Reason::TimeChanged | Reason::SizeChanged if large => Some(Way::Blocks),
        _ => None,
    }
}

/// The stored file of the version before.
#[derive(Debug)]
pub struct Old {
    file: RegularFile,
    way: Way,
    hash: Option<ContentHash>,
    data_bytes: u64,
    refused: AtomicBool,
}

impl Old {
    /// Opens the file `name` of the basis, if it is still what the catalog says of `version`.
    #[must_use]
    pub fn open(basis: &DirFd, name: &[u8], version: &Version, way: Way) -> Option<Self> {
        let file = basis.open_file(name).ok()?;
        let stat = file.stat().ok()?;
        let is_sound = stat.inode == version.stored_inode
            && stat.kind == version.kind
            && validate::difference(stat.kind, &Attributes::from(&stat), &Attributes::from(version))
                .is_none();
        is_sound.then(|| Self {
            file,
            way,
            hash: version.hash,
            data_bytes: version.size.saturating_sub(version.holes),
            refused: AtomicBool::new(false),
        })
    }

    /// Has the filesystem said that it cannot clone?
    #[must_use]
    pub fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Has the old version these bytes, and as many holes?
    fn is(&self, read: &Read) -> bool {
        Some(read.hash) == self.hash && read.data_bytes == self.data_bytes
    }

    /// Makes `to` a clone; says whether it is one now. What stands against it is no fault: the file is copied.
    fn clone_to(&self, to: &RegularFile) -> Result<bool, Fault> {
        match to.clone_from(&self.file) {
            Ok(()) => Ok(true),
            Err(fault) if matches!(fault.errno, Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::ROFS) => {
                Err(fault)
            }
            Err(fault) => {
                let never =
                    matches!(fault.errno, Errno::OPNOTSUPP | Errno::NOTTY | Errno::XDEV | Errno::NOSYS);
                self.refused.store(never, Ordering::Relaxed);
                Ok(false)
            }
        }
    }
}

/// What the content of a new file came from.
#[derive(Debug, Clone, Copy)]
pub struct Filled {
    /// What was read of the source.
    pub read: Read,
    /// Bytes written.
    pub copied_bytes: u64,
    /// Are there blocks of the old file in it?
    pub cloned: bool,
}

impl Filled {
    /// All bytes were written.
    fn copied(read: Read) -> Self {
        Self { read, copied_bytes: read.data_bytes, cloned: false }
    }

    /// All blocks are the old file's.
    fn shared(read: Read) -> Self {
        Self { read, copied_bytes: 0, cloned: true }
    }
}

/// Gives the empty file `to` the content of `from`, from the old version's blocks where that can be.
pub fn fill(
    (from, shape): (&impl TreeFile, Shape),
    old: Option<&Old>,
    to: &RegularFile,
    buffer: &mut Buffer,
    watch: Watch<'_>,
) -> Result<Filled, CopyFault> {
    let Some(old) = old else { return content::copy(from, shape, to, buffer, watch).map(Filled::copied) };
    if shape.size < LARGE {
        return fill_small((from, shape), old, to, buffer, watch);
    }
    // Before anything is read: a filesystem that cannot clone shows it here.
    if !old.clone_to(to).map_err(CopyFault::Writing)? {
        return content::copy(from, shape, to, buffer, watch).map(Filled::copied);
    }
    if old.way == Way::Whole {
        let read = content::hash(from, shape, buffer, watch).map_err(CopyFault::Reading)?;
        if old.is(&read) {
            return Ok(Filled::shared(read));
        }
    }
    let done = rewrite::rewrite(from, shape, (&old.file, to), buffer, watch)?;
    let copied_bytes = done.written_bytes;
    Ok(Filled { read: done.read, copied_bytes, cloned: copied_bytes < done.read.data_bytes })
}

/// A clone of the old version if the content is the same, or a copy. The old version is not read.
fn fill_small(
    (from, shape): (&impl TreeFile, Shape),
    old: &Old,
    to: &RegularFile,
    buffer: &mut Buffer,
    watch: Watch<'_>,
) -> Result<Filled, CopyFault> {
    let known = |read: &Read| old.is(read);
    let (read, is_copied) = content::copy_unless(known, (from, shape), to, buffer, watch)?;
    if is_copied {
        return Ok(Filled::copied(read));
    }
    if old.clone_to(to).map_err(CopyFault::Writing)? {
        return Ok(Filled::shared(read));
    }
    content::copy(from, shape, to, buffer, watch).map(Filled::copied)
}

#[cfg(test)]
mod tests {
    use linksnap_catalog::{Holding, Seen, SnapshotId};
    use linksnap_inode::Timestamp;

    use super::*;

    fn version(size: u64) -> Version {
        Version {
            first: SnapshotId(1),
            last: None,
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size,
            holes: 0,
            mtime: Timestamp::default(),
            rdev: 0,
            stored_inode: 7,
            hash: None,
            target: None,
            xattrs: None,
            child: None,
            partial: false,
            holding: Holding::Whole,
            unwitnessed: false,
            shared: false,
            seen: Seen::default(),
        }
    }

    fn stat(size: u64) -> Stat {
        let mtime = Timestamp::default();
        Stat {
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size,
            blocks: size / 512,
            mtime,
            ctime: mtime,
            inode: 8,
            device: 1,
            links: 1,
            rdev: 0,
            mount_root: false,
        }
    }

    #[test]
    fn only_what_can_share_enough_is_compared() {
        let (small, large) = (LARGE - 1, LARGE);
        for (size, before, reason, expected) in [
            (small, small, Reason::AttributesChanged, Some(Way::Whole)),
            (large, large, Reason::InodeTouched, Some(Way::Whole)),
            (small, small, Reason::TimeChanged, Some(Way::Whole)),
            (large, large, Reason::TimeChanged, Some(Way::Blocks)),
            (large, large + 1, Reason::SizeChanged, Some(Way::Blocks)),
            (small, large, Reason::SizeChanged, None),
            (large, small, Reason::SizeChanged, None),
            (large, 0, Reason::AttributesChanged, None),
            (large, large, Reason::New, None),
            (large, large, Reason::Unchanged, None),
        ] {
            assert_eq!(way(&stat(size), reason, &version(before)), expected, "{size} {before} {reason:?}");
        }
        let hole = Version { holes: large, ..version(large) };
        assert_eq!(way(&stat(large), Reason::AttributesChanged, &hole), None);
        assert_eq!(
            way(&Stat { kind: Kind::Symlink, ..stat(large) }, Reason::TimeChanged, &version(large)),
            None
        );
    }
}

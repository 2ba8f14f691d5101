//! A file that became a further name of an equal one, and how it gets an inode of its own again.

use linksnap_inode::content::{self, Buffer, Shape};
use linksnap_inode::path::as_path;
use linksnap_inode::{DirFd, Errno, Fault, Kind, RegularFile, Stat, Timestamp, Xattrs};
use serde::{Deserialize, Serialize};

use super::{Text, UndoError, bytes};
use crate::Place;
use crate::swap::{self, Expected, SwapError};

/// What was done with one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The name, as an absolute path.
    pub path: Text,
    /// A name of the file that it became, as an absolute path.
    pub survivor: Text,
    /// The number of that file's inode.
    pub inode: u64,
    /// The size of both.
    pub size: u64,
    /// The modification time of the file that it became: seconds and nanoseconds since 1970.
    pub mtime: (i64, u32),
    /// What the name stood for before.
    pub before: Before,
    /// Other names that stood for the same: the first and the last that were changed. To be the same again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub siblings: Vec<Text>,
}

/// What an inode was like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// Its number.
    pub inode: u64,
    /// The twelve permission bits, as a decimal number.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time: seconds and nanoseconds since 1970.
    pub mtime: (i64, u32),
    /// Extended attributes: names and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xattrs: Vec<(Text, Text)>,
}

impl Before {
    /// Of an inode as it is.
    #[must_use]
    pub fn of(stat: &Stat, xattrs: &Xattrs) -> Self {
        Self {
            inode: stat.inode,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            mtime: pair(stat.mtime),
            xattrs: xattrs.iter().map(|(name, value)| (Text::of(name), Text::of(value))).collect(),
        }
    }

    fn is_that_of(&self, stat: &Stat) -> bool {
        (self.mode, self.uid, self.gid, self.mtime) == (stat.mode, stat.uid, stat.gid, pair(stat.mtime))
    }

    fn xattrs(&self) -> Result<Xattrs, UndoError> {
        self.xattrs.iter().map(|(name, value)| Ok((bytes(name)?, bytes(value)?))).collect()
    }
}

/// A time as it is written in a journal.
#[must_use]
pub fn pair(time: Timestamp) -> (i64, u32) {
    (time.seconds, time.nanoseconds)
}

impl Share {
    /// Could it be undone now?
    pub(super) fn look_at(&self, place: &Place) -> Result<(), UndoError> {
        let now = match place.stat() {
            Err(error) if error.is(Errno::NOENT) => return Err(UndoError::Changed),
            other => other?,
        };
        let is_own = now.inode != self.inode && (now.kind, now.size) == (Kind::File, self.size);
        match () {
            () if is_own && self.before.is_that_of(&now) => Err(UndoError::Nothing),
            () if !self.is_as_left(&now) => Err(UndoError::Changed),
            () => Ok(()),
        }
    }

    /// Gives the name an inode of its own with the attributes that it had; or that of a sibling which has one already.
    pub(super) fn undo(&self, place: &Place) -> Result<(), UndoError> {
        let now = place.stat()?;
        let xattrs = self.before.xattrs()?;
        let source = place.dir.open_file(&place.name).map_err(|fault| fault.at(&place.path))?;
        let expected = Expected::Inode(now.identity());
        let undone = swap::replace(&place.dir, &place.name, &expected, |dir, new| {
            if self.siblings.iter().any(|sibling| self.link_to(sibling, &source, &now, dir, new).is_some()) {
                return Ok(());
            }
            let own = dir.create_file(new)?;
            copy(&source, &now, &own)?;
            self.before.dress(&own, &xattrs)?;
            match source.stat()? {
                after if self.is_as_left(&after) => Ok(()),
                _ => Err(Fault::new("copy", Errno::STALE)),
            }
        });
        undone.map_err(|error| match error {
            SwapError::Fault(fault) if fault.is(Errno::STALE) => UndoError::Changed,
            other => place.undo_error(&other),
        })
    }

    fn is_as_left(&self, stat: &Stat) -> bool {
        (stat.kind, stat.inode, stat.size, pair(stat.mtime))
            == (Kind::File, self.inode, self.size, self.mtime)
    }

    /// Links the sibling, if it has the inode that both had, or one made for it.
    fn link_to(
        &self,
        sibling: &Text,
        source: &RegularFile,
        now: &Stat,
        dir: &DirFd,
        new: &[u8],
    ) -> Option<()> {
        let sibling = Place::find_real(as_path(&sibling.bytes()?)).ok()?;
        let opened = sibling.dir.open_file(&sibling.name).ok()?;
        let stat = opened.stat().ok()?;
        let is_own = stat.identity() != now.identity()
            && (stat.kind, stat.device, stat.size) == (Kind::File, now.device, self.size)
            && self.before.is_that_of(&stat);
        let mut buffers = (Buffer::default(), Buffer::default());
        let mut is_equal = || {
            let shape = Shape::from(&stat);
            content::is_same(source, &opened, shape, (&mut buffers.0, &mut buffers.1), &mut |_| Ok(()))
        };
        if !is_own || is_equal() != Ok(true) {
            return None;
        }
        sibling.dir.link(&sibling.name, dir, new).ok()?;
        if dir.stat_entry(new).is_ok_and(|linked| linked.identity() == stat.identity()) {
            return Some(());
        }
        dir.unlink(new).ok()?;
        None
    }
}

impl Before {
    /// Gives a new file these attributes. Owner first: a change of it takes setuid bits and capabilities away.
    pub(crate) fn dress(&self, own: &RegularFile, xattrs: &Xattrs) -> Result<(), Fault> {
        match own.set_owner(Some(self.uid), Some(self.gid)) {
            // Only root may give away: another user's file was not his to begin with.
            Err(fault) if !fault.is(Errno::PERM) => return Err(fault),
            _ => {}
        }
        xattrs.write(own)?;
        own.set_mode(self.mode)?;
        own.set_mtime(Timestamp { seconds: self.mtime.0, nanoseconds: self.mtime.1 })
    }
}

/// Shares blocks where that can be done; else copies.
fn copy(source: &RegularFile, stat: &Stat, own: &RegularFile) -> Result<(), Fault> {
    if own.clone_from(source).is_ok() {
        return Ok(());
    }
    let copied = content::copy(source, Shape::from(stat), own, &mut Buffer::default(), &mut |_| Ok(()));
    match copied {
        Ok(read) if read.size == stat.size => Ok(()),
        Ok(_) => Err(Fault::new("copy", Errno::STALE)),
        Err(content::CopyFault::Reading(fault) | content::CopyFault::Writing(fault)) => Err(fault),
    }
}

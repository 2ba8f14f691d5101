//! What was changed, in a file, so that it can be undone: one JSON object a line, written and synced before the change.
//!
//! ```json
//! {"did":"retarget","path":"/srv/www/current","before":"releases/1","after":"releases/2"}
//! {"did":"remove","path":"/srv/www/old","before":"releases/0","owner":[33,33]}
//! {"did":"share","path":"/srv/b.iso","survivor":"/srv/a.iso",…}
//! ```
//!
//! Paths are absolute, and real: on the way to what was changed no symbolic link is followed when it is undone, so that
//! nobody can lead that elsewhere. A name that is not UTF-8 is `{"hex":"…"}` in place of a string. A line may stand for a change
//! that an interruption prevented: undoing looks at what is there.
//!
//! **Invariant:** undoing changes only what still is as the change left it; the rest is told and left alone.

use std::path::{Path, PathBuf};

use linksnap_inode::limits::effective_user;
use linksnap_inode::path::as_path;
use linksnap_inode::{DirFd, Errno, Fault, FsError, Kind, RegularFile};
use serde::{Deserialize, Serialize};

use crate::Place;
use crate::swap::{self, Expected, SwapError};

mod share;

pub use share::{Before, Share, pair};

/// The largest journal that is read, in bytes.
const LARGEST: usize = 1 << 30;

/// One change of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// A symbolic link got another text.
    Retarget {
        /// The link, as an absolute path.
        path: Text,
        /// What it said.
        before: Text,
        /// What it says now.
        after: Text,
    },
    /// A symbolic link was removed.
    Remove {
        /// The link, as an absolute path.
        path: Text,
        /// What it said.
        before: Text,
        /// Whose it was: user and group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<(u32, u32)>,
    },
    /// A file became a further name of an equal one.
    Share(Box<Share>),
}

/// Bytes that most often are text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// They are.
    Plain(String),
    /// They are not UTF-8: two hexadecimal digits a byte.
    Bytes {
        /// The digits.
        hex: String,
    },
}

impl Text {
    /// As it is written in a journal.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => Self::Plain(text.to_owned()),
            Err(_) => Self::Bytes { hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect() },
        }
    }

    /// The bytes; `None` if the digits are none.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Plain(text) => Some(text.clone().into_bytes()),
            Self::Bytes { hex } if hex.len() % 2 == 0 && hex.is_ascii() => {
                (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
            }
            Self::Bytes { .. } => None,
        }
    }
}

/// Why a journal is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It could tell root to make any link anywhere, and others may have written it.
    #[error("others than this user and root may have written it")]
    Untrusted,
    /// A line is no change.
    #[error("line {0} is no change")]
    Nonsense(usize),
}

/// Reads a journal, if it is a file of this user's or of root's that nobody else may write.
///
/// # Errors
/// If it is another's, or makes no sense.
pub fn read(path: &Path) -> Result<Vec<Change>, ReadError> {
    let place = Place::find(path)?;
    let at = |fault: Fault| ReadError::Fs(fault.at(path));
    let file = place.dir.open_file(&place.name).map_err(at)?;
    let stat = file.stat().map_err(at)?;
    if stat.kind != Kind::File {
        return Err(at(Fault::new("read as a journal", Errno::INVAL)));
    }
    let is_own = stat.uid == effective_user() || stat.uid == 0;
    if !is_own || stat.mode & 0o022 != 0 {
        return Err(ReadError::Untrusted);
    }
    Change::parse_all(&file.read_all(LARGEST).map_err(at)?).map_err(ReadError::Nonsense)
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    file: RegularFile,
    end: u64,
}

impl Journal {
    /// Makes the file, which must not be there.
    ///
    /// # Errors
    /// `EEXIST` if it is; `EPERM` if everybody may put another in its place; whatever the filesystem says.
    pub fn create(path: &Path) -> Result<Self, FsError> {
        let place = Place::find(path)?;
        let around = place.dir.stat().map_err(|fault| fault.at(path))?;
        if around.mode & 0o1002 == 0o002 {
            return Err(
                Fault::new("keep safe from others, who may write in its directory,", Errno::PERM).at(path)
            );
        }
        let made = place.dir.create_file(&place.name).and_then(|file| place.dir.sync().map(|()| file));
        Ok(Self { file: made.map_err(|fault| fault.at(path))?, end: 0 })
    }

    /// Records a change that is about to be made, on disk.
    ///
    /// # Errors
    /// If it cannot be written: then the change must not be made.
    pub fn record(&mut self, change: &Change) -> Result<(), Fault> {
        self.record_all(std::slice::from_ref(change))
    }

    /// Records several changes that are about to be made, and waits once for the disk.
    ///
    /// # Errors
    /// If they cannot be written: then none of them must be made.
    pub fn record_all(&mut self, changes: &[Change]) -> Result<(), Fault> {
        let mut lines = Vec::new();
        for change in changes {
            serde_json::to_writer(&mut lines, change).map_err(|_| Fault::new("write", Errno::INVAL))?;
            lines.push(b'\n');
        }
        self.file.write_at(&lines, self.end)?;
        self.end += lines.len() as u64;
        self.file.sync()
    }
}

/// Why a change could not be undone; what it concerns is as it was.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// The file does not say what it should.
    #[error("this line of the journal makes no sense")]
    Nonsense,
    /// Something else is there by now.
    #[error("it has changed since: left alone")]
    Changed,
    /// Others were at it at that very moment; something that was there is kept under this name.
    #[error("it changed at that very moment; something that was there is kept as {}", .0.display())]
    Kept(PathBuf),
    /// The change was never made, or is undone already.
    #[error("there is nothing to undo")]
    Nothing,
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Change {
    /// The changes of a journal, in their order; a last line that was cut off by an interruption is none.
    ///
    /// # Errors
    /// The number of a line that is no change, from 1.
    pub fn parse_all(journal: &[u8]) -> Result<Vec<Self>, usize> {
        let whole = journal.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = journal[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.enumerate().map(|(number, line)| serde_json::from_slice(line).map_err(|_| number + 1)).collect()
    }

    /// What was changed.
    #[must_use]
    pub fn path(&self) -> &Text {
        match self {
            Self::Retarget { path, .. } | Self::Remove { path, .. } => path,
            Self::Share(share) => &share.path,
        }
    }

    /// What the link said before; `None` for what is no link.
    #[must_use]
    pub fn text_before(&self) -> Option<&Text> {
        match self {
            Self::Retarget { before, .. } | Self::Remove { before, .. } => Some(before),
            Self::Share(_) => None,
        }
    }

    /// Could it be undone now? Changes nothing.
    ///
    /// # Errors
    /// As [`undo`](Self::undo).
    pub fn look(&self) -> Result<(), UndoError> {
        self.find().and_then(|place| self.look_at(&place))
    }

    /// Makes it as it was before.
    ///
    /// # Errors
    /// If something else is there now than the change had left.
    pub fn undo(&self) -> Result<(), UndoError> {
        let place = self.find()?;
        self.look_at(&place)?;
        match self {
            Self::Retarget { before, after, .. } => {
                let expected = Expected::Symlink(bytes(after)?);
                retarget(&place.dir, &place.name, &expected, &bytes(before)?)
                    .map_err(|error| place.undo_error(&error))
            }
            Self::Remove { before, owner, .. } => {
                let before = bytes(before)?;
                let make = |dir: &DirFd, name: &[u8]| make_link(dir, name, &before, *owner);
                swap::create(&place.dir, &place.name, make).map_err(|fault| place.undo_error(&fault.into()))
            }
            Self::Share(share) => share.undo(&place),
        }
    }

    /// The place of what was changed, no symbolic link followed on the way.
    fn find(&self) -> Result<Place, UndoError> {
        let path = self.path().bytes().ok_or(UndoError::Nonsense)?;
        match Place::find_real(as_path(&path)) {
            // The directory is gone, or is a link by now.
            Err(error)
                if [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].into_iter().any(|errno| error.is(errno)) =>
            {
                Err(UndoError::Changed)
            }
            other => Ok(other?),
        }
    }

    fn look_at(&self, place: &Place) -> Result<(), UndoError> {
        let (before, after) = match self {
            Self::Retarget { before, after, .. } => (before, Some(after)),
            Self::Remove { before, .. } => (before, None),
            Self::Share(share) => return share.look_at(place),
        };
        let now = match Expected::now(&place.dir, &place.name) {
            Ok((now, _)) => Some(now),
            Err(fault) if fault.is(Errno::NOENT) => None,
            Err(fault) => return Err(fault.at(&place.path).into()),
        };
        let link = |text: &Text| bytes(text).map(Expected::Symlink);
        match now {
            now if now == Some(link(before)?) => Err(UndoError::Nothing),
            now if now == after.map(link).transpose()? => Ok(()),
            _ => Err(UndoError::Changed),
        }
    }
}

/// Gives a symbolic link another text; its owner stays, if this process may see to that.
///
/// # Errors
/// [`SwapError::Changed`] if it is no longer the link that was expected.
pub fn retarget(dir: &DirFd, name: &[u8], expected: &Expected, text: &[u8]) -> Result<(), SwapError> {
    let old = dir.stat_entry(name)?;
    swap::replace(dir, name, expected, |dir, new| make_link(dir, new, text, Some((old.uid, old.gid))))
}

fn make_link(dir: &DirFd, name: &[u8], text: &[u8], owner: Option<(u32, u32)>) -> Result<(), Fault> {
    dir.make_symlink(name, text)?;
    let Some((uid, gid)) = owner else { return Ok(()) };
    let link = dir.hold(name, Kind::Symlink)?;
    if (link.made().uid, link.made().gid) == (uid, gid) {
        return Ok(());
    }
    // Only root may give away: another user's link was not his to begin with.
    match link.set_owner(Some(uid), Some(gid)) {
        Err(fault) if !fault.is(Errno::PERM) => Err(fault),
        _ => Ok(()),
    }
}

fn bytes(text: &Text) -> Result<Vec<u8>, UndoError> {
    text.bytes().ok_or(UndoError::Nonsense)
}

impl Place {
    fn undo_error(&self, error: &SwapError) -> UndoError {
        match error {
            SwapError::Changed => UndoError::Changed,
            SwapError::Kept(name) => UndoError::Kept(self.beside(name)),
            SwapError::Fault(fault) => UndoError::Fs(fault.at(&self.path)),
        }
    }
}

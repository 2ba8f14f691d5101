//! What was changed, in a file, so that it can be undone: one JSON object a line, written and synced before the change.
//!
//! ```json
//! {"did":"retarget","path":"/srv/www/current","before":"releases/1","after":"releases/2"}
//! {"did":"remove","path":"/srv/www/old","before":"releases/0"}
//! ```
//!
//! Paths are absolute. A name that is not UTF-8 is `{"hex":"…"}` in place of a string. A line may stand for a change
//! that an interruption prevented: undoing looks at what is there.
//!
//! **Invariant:** undoing changes only what still is as the change left it; the rest is told and left alone.

use std::path::Path;

use linksnap_inode::path::as_path;
use linksnap_inode::{DirFd, Errno, Fault, FsError, Kind, RegularFile};
use serde::{Deserialize, Serialize};

use crate::Place;
use crate::swap::{self, Expected, SwapError};

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
    },
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
    /// `EEXIST` if it is; whatever the filesystem says.
    pub fn create(path: &Path) -> Result<Self, FsError> {
        let place = Place::find(path)?;
        let made = place.dir.create_file(&place.name).and_then(|file| place.dir.sync().map(|()| file));
        Ok(Self { file: made.map_err(|fault| fault.at(path))?, end: 0 })
    }

    /// Records a change that is about to be made, on disk.
    ///
    /// # Errors
    /// If it cannot be written: then the change must not be made.
    pub fn record(&mut self, change: &Change) -> Result<(), Fault> {
        let mut line = serde_json::to_vec(change).map_err(|_| Fault::new("write", Errno::INVAL))?;
        line.push(b'\n');
        self.file.write_at(&line, self.end)?;
        self.end += line.len() as u64;
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
        }
    }

    /// Makes it as it was before.
    ///
    /// # Errors
    /// If something else is there now than the change had left.
    pub fn undo(&self) -> Result<(), UndoError> {
        let path = self.path().bytes().ok_or(UndoError::Nonsense)?;
        let place = Place::find(as_path(&path))?;
        match self {
            Self::Retarget { before, after, .. } => {
                let (before, after) = (bytes(before)?, bytes(after)?);
                let expected = Expected::Symlink(after);
                if Expected::now(&place.dir, &place.name)
                    .is_ok_and(|(now, _)| now == Expected::Symlink(before.clone()))
                {
                    return Err(UndoError::Nothing);
                }
                retarget(&place.dir, &place.name, &expected, &before)
                    .map_err(|error| place.undo_error(&error))
            }
            Self::Remove { before, .. } => {
                let before = bytes(before)?;
                match Expected::now(&place.dir, &place.name) {
                    Ok((now, _)) if now == Expected::Symlink(before.clone()) => Err(UndoError::Nothing),
                    Ok(_) => Err(UndoError::Changed),
                    Err(_) => {
                        swap::create(&place.dir, &place.name, |dir, name| dir.make_symlink(name, &before))
                            .map_err(|fault| place.undo_error(&fault.into()))
                    }
                }
            }
        }
    }
}

/// Gives a symbolic link another text; its owner stays, if this process may see to that.
///
/// # Errors
/// [`SwapError::Changed`] if it is no longer the link that was expected.
pub fn retarget(dir: &DirFd, name: &[u8], expected: &Expected, text: &[u8]) -> Result<(), SwapError> {
    let old = dir.stat_entry(name)?;
    swap::replace(dir, name, expected, |dir, new| {
        dir.make_symlink(new, text)?;
        let link = dir.hold(new, Kind::Symlink)?;
        // Only root may give away: another user's link was not his to begin with.
        match link.set_owner(Some(old.uid), Some(old.gid)) {
            Err(fault) if !fault.is(Errno::PERM) => Err(fault),
            _ => Ok(()),
        }
    })
}

fn bytes(text: &Text) -> Result<Vec<u8>, UndoError> {
    text.bytes().ok_or(UndoError::Nonsense)
}

impl Place {
    fn undo_error(&self, error: &SwapError) -> UndoError {
        match error {
            SwapError::Changed => UndoError::Changed,
            SwapError::Fault(fault) => UndoError::Fs(fault.at(&self.path)),
        }
    }
}

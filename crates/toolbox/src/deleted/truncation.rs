//! Making a file empty that has no name: planned, looked at anew, and done through the magic link of the process.

use linksnap_inode::path::as_path;
use linksnap_inode::{Errno, Fault, FsError, Kind};

use super::{Deleted, File, Hold, Holder, deleted};
use crate::process::ProcessDir;

/// An open file that is to be made empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The process.
    pub pid: u32,
    /// The number under which it has the file open.
    pub fd: u32,
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(pid, fd)| Some((pid.parse().ok()?, fd.parse().ok()?)));
        parsed.map(|(pid, fd)| Self { pid, fd }).ok_or_else(|| {
            format!("{text:?} is no open file: write process and number, like 812:7, as `linksnap deleted` shows them")
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.pid, self.fd)
    }
}

/// A truncation that was decided upon.
#[derive(Debug, Clone)]
pub struct Truncation {
    /// What was named.
    pub target: Target,
    /// The file.
    pub file: File,
    /// Where the process goes on writing.
    pub next: Next,
}

/// Where a process goes on writing in a file that is made empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At the end: at the beginning, then.
    AtEnd,
    /// At this byte: what is before becomes a hole, which takes no room.
    At(u64),
}

/// Why a file is not made empty; it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum TruncateError {
    /// There is no such process, or it has no such file open.
    #[error("{0}: there is no such process, or it has nothing open under this number")]
    Nothing(Target),
    /// This process may not look into that one.
    #[error("{0}: the process belongs to somebody else")]
    Forbidden(Target),
    /// It is no deleted file on a disk.
    #[error("{0} is not a deleted file: {1}")]
    NotDeleted(Target, &'static str),
    /// Whoever reads the mapping beyond the new end is killed by a signal.
    #[error("{target}: process {pid} has mapped the file, and would die of its end")]
    Mapped {
        /// What was named.
        target: Target,
        /// Who has.
        pid: u32,
    },
    /// It is no longer the file that was planned upon.
    #[error("{0} is no longer the file that it was")]
    Changed(Target),
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// Decides what truncating `target` means.
///
/// # Errors
/// If it must not be done.
pub fn plan(target: Target, found: &Deleted) -> Result<Truncation, TruncateError> {
    let holds = |file: &&File| {
        let it = |one: &Holder| one.process.pid == target.pid && one.holds.contains(&Hold::Open(target.fd));
        file.holders.iter().any(it)
    };
    let Some(file) = found.files.iter().find(holds) else { return Err(why_not(target)) };
    if file.stat.is_none_or(|stat| stat.kind != Kind::File) {
        return Err(TruncateError::NotDeleted(target, "it is no regular file"));
    }
    let maps = |one: &&Holder| one.holds.iter().any(|hold| matches!(hold, Hold::Mapped | Hold::Program));
    match file.holders.iter().find(maps) {
        Some(holder) => Err(TruncateError::Mapped { target, pid: holder.process.pid }),
        None => Ok(Truncation { target, file: file.clone(), next: next(target) }),
    }
}

fn next(target: Target) -> Next {
    const APPEND: u32 = 0o2000;
    let open = ProcessDir::open(target.pid).and_then(|process| process.description(target.fd));
    match open.map(|one| (one.position, one.flags.unwrap_or_default())) {
        Ok((Some(position @ 1..), flags)) if flags & APPEND == 0 => Next::At(position),
        _ => Next::AtEnd,
    }
}

fn why_not(target: Target) -> TruncateError {
    match ProcessDir::open(target.pid).and_then(|process| process.open_file(target.fd).stat()) {
        Ok(stat) if stat.links > 0 => TruncateError::NotDeleted(target, "it has a name"),
        Ok(_) => TruncateError::NotDeleted(target, "it is in memory and never had a name"),
        Err(fault) if fault.is(Errno::ACCESS) || fault.is(Errno::PERM) => TruncateError::Forbidden(target),
        Err(_) => TruncateError::Nothing(target),
    }
}

/// Makes the file empty, and tells how many bytes on the disk that frees. All is looked at anew.
///
/// # Errors
/// If anything is no longer as it was planned.
pub fn truncate(plan: &Truncation) -> Result<u64, TruncateError> {
    let target = plan.target;
    let now = self::plan(target, &deleted()?)?;
    if now.file.identity != plan.file.identity {
        return Err(TruncateError::Changed(target));
    }
    let at = |fault: Fault| fault.at(as_path(&plan.file.path));
    let opened =
        ProcessDir::open(target.pid).and_then(|process| process.open_file(target.fd).open_to_write());
    let file = opened.map_err(at)?;
    // From here on it is this inode and no other.
    let before = file.stat().map_err(at)?;
    if before.identity() != plan.file.identity || before.links > 0 || before.kind != Kind::File {
        return Err(TruncateError::Changed(target));
    }
    file.set_size(0).map_err(at)?;
    let after = file.stat().map_err(at)?;
    Ok(before.blocks.saturating_sub(after.blocks).saturating_mul(512))
}

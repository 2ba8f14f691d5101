//! Names that are left alone, and why.

use std::fmt;
use std::path::PathBuf;

use linksnap_inode::Fault;

/// A name that was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The name, as its root was typed.
    pub path: PathBuf,
    /// Why.
    pub why: LeftReason,
}

/// Why a name was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftReason {
    /// It was written only a moment before the plan was made.
    Young,
    /// It is no longer what the plan says.
    Changed,
    /// The file that it was to become is no longer what the plan says.
    SurvivorChanged,
    /// A program holds a lock on it.
    Locked,
    /// A process has it, or the file that it was to become, open for writing.
    Written,
    /// The file that it was to become cannot have more names.
    LinkLimit,
    /// Somebody else has taken the name meanwhile; what it stood for is kept under this one.
    KeptAs(PathBuf),
    /// A system call failed.
    Fault(Fault),
}

impl fmt::Display for LeftReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Young => "was written only a moment ago, and may not be complete: left alone",
            Self::Changed => "has changed since it was read: left alone",
            Self::SurvivorChanged => {
                "the file it was to be linked to has changed since it was read: left alone"
            }
            Self::Locked => "a program has locked it: left alone",
            Self::Written => {
                "a process has it, or the file it was to be linked to, open for writing: left alone"
            }
            Self::LinkLimit => "the file it was to be linked to cannot have more names: left alone",
            Self::KeptAs(path) => {
                return write!(
                    f,
                    "was replaced by another program; what was there before is kept as {}",
                    path.display()
                );
            }
            Self::Fault(fault) => return write!(f, "{fault}: left alone"),
        })
    }
}

//! Why a link is not made, and what to do about it.

use std::path::PathBuf;

use linksnap_inode::FsError;

/// Why a link is not made.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to be linked.
    #[error("there is no {}", .0.display())]
    NoTarget(PathBuf),
    /// Directories have one name.
    #[error("{} is a directory: a directory has only one name", .0.display())]
    Directory(PathBuf),
    /// What has the name is a directory.
    #[error("{} is a directory: it is not replaced", .0.display())]
    InTheWay(PathBuf),
    /// The same link twice.
    #[error("{} was named twice: the second link would replace the first", .0.display())]
    Twice(PathBuf),
    /// A link to itself in place of what has content.
    #[error("{} would lead back to itself, and what is there now would be lost", .0.display())]
    Itself(PathBuf),
    /// Two filesystems.
    #[error(
        "hard links cannot leave the filesystem: {} is on {from}, {} would be on {to}", target.display(), link.display()
    )]
    Elsewhere {
        /// What was to be linked.
        target: PathBuf,
        /// Where it is: `ext4 (/dev/sda1, mounted on /)`.
        from: String,
        /// The link.
        link: PathBuf,
        /// Where that would be.
        to: String,
    },
    /// `chattr +i` or `+a`.
    #[error("{} is {flag}: {what}", path.display())]
    Flagged {
        /// What has the flag.
        path: PathBuf,
        /// `immutable` or `append-only`.
        flag: &'static str,
        /// What that forbids.
        what: &'static str,
    },
    /// As many names as there can be.
    #[error("{} has {links} names, and {filesystem} allows no more", path.display())]
    TooManyLinks {
        /// What has them.
        path: PathBuf,
        /// How many.
        links: u32,
        /// The kind of filesystem.
        filesystem: String,
    },
    /// `protected_hardlinks`.
    #[error("{} is another user's, and not a plain file that you may read and write", .0.display())]
    Protected(PathBuf),
    /// FAT and the like.
    #[error("the filesystem of {} ({filesystem}) has no hard links", path.display())]
    NoHardLinks {
        /// What was to be linked.
        path: PathBuf,
        /// The kind of filesystem.
        filesystem: String,
    },
    /// Two names of two filesystems.
    #[error("{} and {} are on different filesystems: only names on one can be exchanged", .0.display(), .1.display())]
    Apart(PathBuf, PathBuf),
    /// A directory and something in it.
    #[error("one of {} and {} is inside the other, or their filesystem cannot exchange names", .0.display(), .1.display())]
    Entangled(PathBuf, PathBuf),
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Refusal {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Directory(_) => {
                Some("make a symbolic link with -s, or mount it there as well (mount --bind)")
            }
            Self::Elsewhere { .. } => Some("make a symbolic link with -s, or copy it (cp -a)"),
            Self::NoHardLinks { .. } => Some("make a copy (cp -a)"),
            Self::InTheWay(_) => Some("remove or rename it first"),
            Self::Flagged { flag: "immutable", .. } => {
                Some("root takes that off with `chattr -i`, if it may be")
            }
            Self::Flagged { .. } => Some("root takes that off with `chattr -a`, if it may be"),
            Self::TooManyLinks { .. } => Some("make a copy (cp -a), or a symbolic link with -s"),
            Self::Protected(_) => {
                Some("fs.protected_hardlinks is on (sysctl): its owner or root can link it")
            }
            Self::NoTarget(_)
            | Self::Twice(_)
            | Self::Itself(_)
            | Self::Apart(..)
            | Self::Entangled(..)
            | Self::Fs(_) => None,
        }
    }
}

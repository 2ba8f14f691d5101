//! What following a path comes to: the steps, and how it ends.

use linksnap_inode::{Detail, Errno, Fault, Handle, Kind};

/// A path and where it leads.
#[derive(Debug)]
pub struct Resolution {
    /// The steps that were taken, the starting point first.
    pub hops: Vec<Hop>,
    /// The path of what was reached without links, relative to `/`; of the last thing reached, if it goes no further.
    /// `None` if it is nowhere in this process's tree.
    pub path: Option<Vec<u8>>,
    /// How it ends.
    pub end: End,
}

/// One step.
#[derive(Debug)]
pub struct Hop {
    /// In how many links' texts the name stands: 0 for the path itself.
    pub depth: usize,
    /// The name that was looked for: `srv`, `..`; `/` or `.` for a starting point.
    pub name: Vec<u8>,
    /// The path of what was found, relative to `/`; of a link its own.
    pub path: Option<Vec<u8>>,
    /// What was found.
    pub detail: Detail,
    /// If it is a link: what it says.
    pub link: Option<Link>,
    /// Is it on another mount than the step before?
    pub crosses: bool,
}

/// A symbolic link on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its text.
    pub text: Vec<u8>,
    /// Does the kernel go to an inode at once, whatever the text says (in `/proc`)?
    pub is_magic: bool,
}

/// How a path ends.
#[derive(Debug)]
pub enum End {
    /// It leads to this.
    Reached(Handle, Box<Detail>),
    /// It leads to something that is not there, and need not be.
    Absent,
    /// It goes no further.
    Stopped(Stop),
}

/// Where a path goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The name that was looked for.
    pub name: Vec<u8>,
    /// In how many links' texts it stands.
    pub depth: usize,
    /// The directory it was looked for in, or what is no directory; relative to `/`.
    pub within: Option<Vec<u8>>,
    /// Why.
    pub why: Why,
}

/// Why a path goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is no such name.
    Missing,
    /// The link leads back to itself.
    Loop,
    /// More links than the kernel follows.
    TooManyLinks,
    /// The path goes on, but this is no directory.
    NotADirectory(Kind),
    /// This process may not search the directory.
    Denied,
    /// The link is another user's, in a directory in which everybody may make links (`protected_symlinks`, `proc_sys_fs(5)`).
    ForeignLink,
    /// Links are not followed on this mount (`nosymfollow`, `mount(8)`).
    LinksRefused,
    /// A magic link leads to something without a path, and a path was asked for.
    Nameless,
    /// Something else.
    Fault(Fault),
}

impl Resolution {
    /// Does it lead to something that is there?
    #[must_use]
    pub fn reached(&self) -> Option<&Detail> {
        match &self.end {
            End::Reached(_, detail) => Some(detail),
            End::Absent | End::Stopped(_) => None,
        }
    }

    /// Where it goes no further.
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match &self.end {
            End::Stopped(stop) => Some(stop),
            End::Reached(..) | End::Absent => None,
        }
    }
}

impl Stop {
    /// What a system call answers to such a path.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self.why {
            Why::Missing | Why::Nameless => Errno::NOENT,
            Why::Loop | Why::TooManyLinks | Why::LinksRefused => Errno::LOOP,
            Why::NotADirectory(_) => Errno::NOTDIR,
            Why::Denied | Why::ForeignLink => Errno::ACCESS,
            Why::Fault(fault) => fault.errno,
        }
    }
}

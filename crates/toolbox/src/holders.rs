//! Which processes hold inodes: by an open file, a mapping, as their program or as their directory (`proc(5)`).

use linksnap_inode::{Fault, mounts};

use crate::process::{self, Identity, Link, Mapping, ProcessDir};

pub use crate::process::{Hold, Others};

/// A process that holds an inode in one way; it may do so in several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// What it holds.
    pub identity: Identity,
    /// The process.
    pub pid: u32,
    /// Its name, as `ps -o comm` has it.
    pub name: Vec<u8>,
    /// How.
    pub hold: Hold,
}

/// What a search has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Sorted by what is held, then by process.
    pub holders: Vec<Holder>,
    /// Processes that this one may not look into: other users', as a rule.
    pub unseen_processes: u64,
    /// Whether processes of others are listed at all.
    pub others: Others,
}

/// Looks for all holders of these inodes, this process left out. One pass through `/proc`, however many they are; nothing
/// is found where it is not mounted.
#[must_use]
pub fn of(wanted: &[Identity]) -> Held {
    let mut holders = Vec::new();
    let others = |process: &ProcessDir| match process.pid == std::process::id() {
        true => Ok(()),
        false => look(process, wanted, &mut holders),
    };
    let pass = process::each(others).unwrap_or_default();
    holders.sort();
    holders.dedup();
    let others = Others::of(&mounts::all().unwrap_or_default());
    Held { holders, unseen_processes: pass.unseen, others }
}

fn look(process: &ProcessDir, wanted: &[Identity], holders: &mut Vec<Holder>) -> Result<(), Fault> {
    // Where a link must not be followed, what is said of it has to be believed.
    let mut add = |link: &Link<'_>, said: Option<Identity>, hold: Hold| {
        let identity = link.stat().ok().map(|stat| stat.identity()).or(said);
        if let Some(identity) = identity.filter(|identity| wanted.contains(identity)) {
            let name = process.name().unwrap_or_default();
            holders.push(Holder { identity, pid: process.pid, name, hold });
        }
    };
    for (hold, place) in process.places() {
        add(&place, None, hold);
    }
    for (number, file) in process.open_files()? {
        add(&file, None, Hold::Open(number));
    }
    for mapping in Mapping::all(&process.maps()?) {
        if wanted.iter().any(|(_, inode)| *inode == mapping.identity.1) {
            add(&process.mapped(&mapping), Some(mapping.identity), Hold::Mapped);
        }
    }
    Ok(())
}

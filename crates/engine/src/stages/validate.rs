//! Validate: a second, separate reading of what was built, never the builder's own word.

use linksnap_catalog::{Holding, SnapshotId, Version};
use linksnap_inode::{DirFd, Fault, Kind, Name, Stat, Timestamp};

/// What must stand in a staging directory under one name.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The kind.
    pub kind: Kind,
    /// The inode number; of no matter for directories.
    pub inode: u64,
    /// What its attributes are compared with.
    pub proof: Proof<'a>,
}

/// Where the truth about an entry's attributes is.
#[derive(Debug)]
pub enum Proof<'a> {
    /// Made in this run: always compared.
    Made(Attributes),
    /// Stored since that snapshot under another path, and linked under this one: always compared.
    Moved(Attributes, SnapshotId),
    /// Kept or linked: compared if this directory's turn has come.
    Held(&'a Version),
    /// A directory, which is validated itself.
    Directory,
}

/// The attributes that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Size of a file.
    pub size: u64,
    /// The twelve permission bits.
    pub mode: u16,
    /// User and group; `None`: they could not be stored, and are not compared.
    pub owner: Option<(u32, u32)>,
    /// Modification time; `None`: it could not be stored, and is not compared.
    pub mtime: Option<Timestamp>,
    /// Device number.
    pub rdev: u64,
}

impl From<&Stat> for Attributes {
    fn from(stat: &Stat) -> Self {
        let Stat { size, mode, uid, gid, mtime, rdev, .. } = *stat;
        Self { size, mode, owner: Some((uid, gid)), mtime: Some(mtime), rdev }
    }
}

impl From<&Version> for Attributes {
    fn from(version: &Version) -> Self {
        let Version { size, mode, uid, gid, mtime, partial, holding, .. } = *version;
        let rdev = if holding == Holding::StandIn { 0 } else { version.rdev };
        let mtime = Some(mtime).filter(|mtime| !partial || mtime.fits_everywhere());
        Self { size, mode, owner: (!partial).then_some((uid, gid)), mtime, rdev }
    }
}

/// Which attributes are not what they should be, in words; `None` if all are.
#[must_use]
pub fn difference(kind: Kind, is: &Attributes, should: &Attributes) -> Option<String> {
    let sized = matches!(kind, Kind::File | Kind::Symlink);
    let has_mode = kind != Kind::Symlink;
    // Without its owner it has neither setuid nor setgid.
    let set_id = if should.owner.is_none() { 0o6000 } else { 0 };
    let (is, should) = (
        &Attributes { mode: is.mode & !set_id, ..*is },
        &Attributes { mode: should.mode & !set_id, ..*should },
    );
    let right_time = match (is.mtime, should.mtime) {
        (Some(is), Some(should)) => is == should || is_cut_off(is, should),
        _ => true,
    };
    let same = (!sized || is.size == should.size)
        && (!has_mode || is.mode == should.mode)
        && (should.owner.is_none() || is.owner == should.owner)
        && right_time
        && is.rdev == should.rdev;
    if same {
        return None;
    }
    let mut words = Vec::new();
    let mut note = |what: &str, is: String, should: String| {
        if is != should {
            words.push(format!("{what} is {is}, should be {should}"));
        }
    };
    if sized {
        note("size", is.size.to_string(), should.size.to_string());
    }
    if has_mode {
        note("mode", format!("{:04o}", is.mode), format!("{:04o}", should.mode));
    }
    if let (Some((uid, gid)), Some((user, group))) = (is.owner, should.owner) {
        note("owner", format!("{uid}:{gid}"), format!("{user}:{group}"));
    }
    if let (Some(is), Some(should), false) = (is.mtime, should.mtime, right_time) {
        note("modification time", time(is), time(should));
    }
    note("device number", format!("{:x}", is.rdev), format!("{:x}", should.rdev));
    Some(words.join(", "))
}

/// Is it the time that a filesystem makes of the other which has none so fine? The kernel cuts off the rest: ext4 with
/// inodes of 128 bytes keeps seconds, others microseconds or steps of 100 ns (`utimensat(2)`).
fn is_cut_off(is: Timestamp, from: Timestamp) -> bool {
    let cut = |step: u32| is.nanoseconds == from.nanoseconds - from.nanoseconds % step;
    is.seconds == from.seconds && [1_000_000_000, 1_000, 100].into_iter().any(cut)
}

fn time(time: Timestamp) -> String {
    format!("{}.{:09}", time.seconds, time.nanoseconds)
}

/// Something in staging that is not as it must be.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// The entry expected at this index is wrong.
    Wrong {
        /// Index into what was expected.
        index: usize,
        /// What is wrong, in words.
        what: String,
    },
    /// A name that nobody put there.
    Extra {
        /// The name.
        name: Vec<u8>,
        /// Its kind, if the directory tells.
        kind: Option<Kind>,
    },
}

/// How much to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Names, inode numbers, and the attributes of what was made.
    Made,
    /// The attributes of what was kept and linked as well.
    All,
}

/// Reads the staging directory and compares it with what must be in it; `expected` is sorted by name.
pub fn validate(staging: &DirFd, expected: &[Expected<'_>], depth: Depth) -> Result<Vec<Finding>, Fault> {
    let names = staging.sorted_names()?;
    let mut there = names.iter().peekable();
    let mut findings = Vec::new();
    for (index, wanted) in expected.iter().enumerate() {
        while let Some(extra) = there.next_if(|name| name.bytes < wanted.name) {
            findings.push(extra_finding(extra));
        }
        let found = there.next_if(|name| name.bytes == wanted.name);
        let wrong = match found {
            None => Some("it is missing".to_owned()),
            Some(found) => wrong_entry(staging, found, wanted, depth)?,
        };
        findings.extend(wrong.map(|what| Finding::Wrong { index, what }));
    }
    findings.extend(there.map(extra_finding));
    Ok(findings)
}

fn extra_finding(name: Name<'_>) -> Finding {
    Finding::Extra { name: name.bytes.to_vec(), kind: name.kind }
}

fn wrong_entry(
    staging: &DirFd,
    found: Name<'_>,
    wanted: &Expected<'_>,
    depth: Depth,
) -> Result<Option<String>, Fault> {
    if found.kind.is_some_and(|kind| kind != wanted.kind) {
        return Ok(Some(format!("it is {:?}, should be {:?}", found.kind, wanted.kind)));
    }
    if wanted.kind != Kind::Directory && found.inode != wanted.inode {
        return Ok(Some(format!("it is inode {}, should be {}", found.inode, wanted.inode)));
    }
    let should = match &wanted.proof {
        Proof::Made(attributes) | Proof::Moved(attributes, _) => *attributes,
        Proof::Held(version) if depth == Depth::All => Attributes::from(*version),
        Proof::Held(_) | Proof::Directory => return Ok(None),
    };
    let stat = staging.stat_entry(wanted.name)?;
    if stat.kind != wanted.kind {
        return Ok(Some(format!("it is {:?}, should be {:?}", stat.kind, wanted.kind)));
    }
    Ok(difference(wanted.kind, &Attributes::from(&stat), &should))
}

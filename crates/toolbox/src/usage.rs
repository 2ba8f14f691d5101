//! Usage: bytes and inodes of filesystems, beside each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use linksnap_inode::filesystem::{Filesystem, Nature};
use linksnap_inode::mounts::{self, Mount};
use linksnap_inode::path::as_path;
use linksnap_inode::{Fault, FsError};

/// Filesystems that make inodes as they are needed, and tell how many would fit into the free space.
const GROWING: [&str; 3] = ["xfs", "zfs", "bcachefs"];
/// Images that are full from the day they are made.
const IMAGES: [&str; 5] = ["squashfs", "iso9660", "erofs", "cramfs", "udf"];

/// One filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Where it is mounted; of several places the one nearest to its top.
    pub point: PathBuf,
    /// What is mounted: a device, a remote directory, or any word.
    pub source: Vec<u8>,
    /// Its type, as `mount(8)` names it.
    pub kind: String,
    /// Its bytes.
    pub bytes: Amount,
    /// Its inodes.
    pub inodes: Inodes,
}

/// How much there is of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// In all.
    pub total: u64,
    /// Taken.
    pub used: u64,
    /// Left for ordinary users; root may have more.
    pub free: u64,
}

impl Amount {
    /// How full it is for ordinary users, rounded up as `df(1)` does; `None` where there is nothing to be filled.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        let usable = u128::from(self.used) + u128::from(self.free);
        (usable > 0).then(|| u8::try_from((u128::from(self.used) * 100).div_ceil(usable)).unwrap_or(100))
    }
}

/// How a filesystem counts its inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inodes {
    /// There are so many, since it was made.
    Fixed(Amount),
    /// They are made as needed: the total is what would fit into the free space now.
    Growing(Amount),
    /// They are made as needed and not counted.
    Uncounted,
}

impl Inodes {
    /// The numbers, if there are any.
    #[must_use]
    pub fn amount(&self) -> Option<Amount> {
        match self {
            Self::Fixed(amount) | Self::Growing(amount) => Some(*amount),
            Self::Uncounted => None,
        }
    }
}

/// Percentages at which somebody is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Thresholds {
    /// Soon.
    pub warn: Option<u8>,
    /// At once.
    pub crit: Option<u8>,
}

/// What to think of a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// There is room.
    Ok,
    /// The first threshold is reached.
    Warning,
    /// The second is.
    Critical,
}

impl Usage {
    /// How full it is: of bytes and inodes whatever is fuller.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        self.bytes.percent().max(self.inodes.amount().and_then(|inodes| inodes.percent()))
    }

    /// What to think of it.
    #[must_use]
    pub fn state(&self, thresholds: Thresholds) -> State {
        let reaches = |threshold: Option<u8>| match (self.percent(), threshold) {
            (Some(percent), Some(threshold)) => percent >= threshold,
            _ => false,
        };
        match () {
            () if reaches(thresholds.crit) => State::Critical,
            () if reaches(thresholds.warn) => State::Warning,
            () => State::Ok,
        }
    }

    fn new(mount: &Mount, point: &Path) -> Result<Self, Fault> {
        let found = Filesystem::at(point)?;
        let inodes = Amount {
            total: found.total_inodes,
            used: found.total_inodes.saturating_sub(found.free_inodes),
            free: found.free_inodes,
        };
        Ok(Self {
            point: as_path(&mount.point).to_path_buf(),
            source: mount.source.clone(),
            kind: mount.kind.clone(),
            bytes: Amount {
                total: found.total_bytes,
                used: found.total_bytes.saturating_sub(found.unused_bytes),
                free: found.free_bytes,
            },
            inodes: match () {
                () if found.total_inodes == 0 => Inodes::Uncounted,
                () if GROWING.contains(&mount.kind.as_str()) => Inodes::Growing(inodes),
                () => Inodes::Fixed(inodes),
            },
        })
    }
}

/// Which of the mounted filesystems are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that can be filled.
    Real,
    /// Images that are always full, too, and those without any room.
    All,
}

/// The filesystems that are mounted where this process can see them, each once, sorted by where.
///
/// # Errors
/// Where the table of mounts cannot be read. What cannot be asked is a problem beside the others.
pub fn mounted(which: Which) -> Result<(Vec<Usage>, Vec<FsError>), FsError> {
    let mut nearest: BTreeMap<u64, Mount> = BTreeMap::new();
    // To ask an automounter's mount point would be to mount what it waits for.
    for mount in mounts::all()?.into_iter().filter(|mount| mount.kind != "autofs" && mount.is_visible()) {
        let rank = |one: &Mount| (one.root.len(), one.point.len());
        match nearest.get(&mount.device) {
            Some(other) if rank(other) <= rank(&mount) => {}
            _ => drop(nearest.insert(mount.device, mount)),
        }
    }
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for mount in nearest.values() {
        let point = as_path(&mount.point);
        match Filesystem::at(point).and_then(|of| Ok((of, Usage::new(mount, point)?))) {
            Ok((of, usage)) if is_meant(&of, &usage, which) => found.push(usage),
            Ok(_) => {}
            Err(fault) => problems.push(fault.at(point)),
        }
    }
    found.sort_by(|a, b| a.point.cmp(&b.point));
    Ok((found, problems))
}

fn is_meant(filesystem: &Filesystem, usage: &Usage, which: Which) -> bool {
    let is_real = usage.bytes.total > 0 && filesystem.nature() != Nature::Pseudo;
    match which {
        Which::All => true,
        Which::Real => is_real && !IMAGES.contains(&usage.kind.as_str()),
    }
}

/// The filesystems that these paths are on, each once, in the order in which they were named.
///
/// # Errors
/// If one of them is not there, or the table of mounts cannot be read.
pub fn holding(paths: &[PathBuf]) -> Result<Vec<Usage>, FsError> {
    let all = mounts::all()?;
    let mut found: Vec<(u64, Usage)> = Vec::new();
    for path in paths {
        let at = |fault: Fault| fault.at(path);
        let real = std::fs::canonicalize(path).map_err(|source| FsError {
            op: "find",
            path: path.clone(),
            source,
        })?;
        let id = mounts::at(&real).map_err(at)?;
        let Some(mount) = all.iter().find(|mount| mount.id == id) else {
            return Err(Fault::new("find the mount of", linksnap_inode::Errno::NOENT).at(path));
        };
        if !found.iter().any(|(device, _)| *device == mount.device) {
            found.push((mount.device, Usage::new(mount, &real).map_err(at)?));
        }
    }
    Ok(found.into_iter().map(|(_, usage)| usage).collect())
}

#[cfg(test)]
mod tests {
    use super::{Amount, Inodes, State, Thresholds, Usage};

    fn usage(bytes: (u64, u64), inodes: Option<(u64, u64)>) -> Usage {
        let amount = |(used, free)| Amount { total: used + free + 5, used, free };
        Usage {
            point: "/".into(),
            source: b"/dev/sda".to_vec(),
            kind: "ext4".to_owned(),
            bytes: amount(bytes),
            inodes: inodes.map_or(Inodes::Uncounted, |inodes| Inodes::Fixed(amount(inodes))),
        }
    }

    #[test]
    fn percentages_are_rounded_up_and_leave_out_what_only_root_may_use() {
        let table = [((0, 100), Some(0)), ((1, 999), Some(1)), ((80, 20), Some(80)), ((801, 199), Some(81))];
        for ((used, free), wanted) in table {
            assert_eq!(Amount { total: 2000, used, free }.percent(), wanted, "{used} {free}");
        }
        assert_eq!(Amount { total: 0, used: 0, free: 0 }.percent(), None);
        assert_eq!(Amount { total: 9, used: 9, free: 0 }.percent(), Some(100));
        assert_eq!(Amount { total: u64::MAX, used: u64::MAX, free: u64::MAX }.percent(), Some(50));
    }

    #[test]
    fn the_fuller_of_bytes_and_inodes_decides() {
        let thresholds = Thresholds { warn: Some(80), crit: Some(95) };
        let table = [
            (usage((10, 90), Some((10, 90))), State::Ok),
            (usage((80, 20), Some((10, 90))), State::Warning),
            (usage((10, 90), Some((80, 20))), State::Warning),
            (usage((94, 6), Some((95, 5))), State::Critical),
            (usage((100, 0), None), State::Critical),
            (usage((0, 0), None), State::Ok),
        ];
        for (usage, wanted) in table {
            assert_eq!(usage.state(thresholds), wanted, "{usage:?}");
            assert_eq!(usage.state(Thresholds::default()), State::Ok);
        }
        let only = Thresholds { warn: None, crit: Some(5) };
        assert_eq!(usage((5, 95), None).state(only), State::Critical);
    }
}

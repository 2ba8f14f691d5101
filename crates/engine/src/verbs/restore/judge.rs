//! Judge: what has to be done so that a name of the target is what it is to be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use linksnap_catalog::{NewVersion, Version};
use linksnap_inode::content::{self, Buffer, Shape};
use linksnap_inode::{DirFd, Errno, Fault, Kind, Stat, Xattrs, path};

use super::wanted::Wanted;
use crate::stages::groups::{Groups, SourceInode, Stored, Turn};
use crate::stages::store::STOPPED;

/// What has to be done with one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It is what it is to be.
    Nothing,
    /// Its content is right, and nothing else has the inode: its attributes can be set.
    Attributes,
    /// There is nothing.
    Create,
    /// Something else is there, or an inode that must not be touched.
    Replace,
}

/// For reading what is there.
pub(super) struct Reading<'a> {
    pub buffer: &'a mut Buffer,
    /// Told of the bytes read; says whether to stop.
    pub watch: &'a dyn Fn(u64) -> bool,
}

/// What stands under `name`.
pub(super) fn look(dir: &DirFd, name: &[u8]) -> Result<Option<Stat>, Fault> {
    match dir.stat_entry(name) {
        Ok(stat) => Ok(Some(stat)),
        Err(fault) if fault.is(Errno::NOENT) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Compares what is there with what is wanted; fails with [`STOPPED`] alone.
fn need(
    (dir, name): (&DirFd, &[u8]),
    there: &Stat,
    (wanted, version): (&Wanted, &Version),
    reading: &mut Reading<'_>,
) -> Result<Need, Fault> {
    if there.kind != wanted.stat.kind {
        return Ok(Need::Replace);
    }
    let same_content = match there.kind {
        Kind::File => same_bytes((dir, name), there, (wanted, version), reading)?,
        Kind::Symlink => dir.read_link(name).is_ok_and(|text| Some(&*text) == wanted.target.as_deref()),
        _ => there.rdev == wanted.stat.rdev,
    };
    if !same_content {
        return Ok(Need::Replace);
    }
    let xattrs = Xattrs::read_entry(dir, name);
    if same_attributes(there, &wanted.stat) && xattrs.is_ok_and(|xattrs| xattrs == wanted.xattrs) {
        return Ok(Need::Nothing);
    }
    // An inode with further names may be a snapshot's, and all but files can only be changed by name, under which
    // something else may stand by then.
    let is_ours_alone = there.kind == Kind::File && there.links == 1;
    Ok(if is_ours_alone { Need::Attributes } else { Need::Replace })
}

/// Are mode, owner and time the same?
pub(super) fn same_attributes(is: &Stat, should: &Stat) -> bool {
    let has_mode = is.kind != Kind::Symlink;
    (!has_mode || is.mode == should.mode)
        && (is.uid, is.gid, is.mtime) == (should.uid, should.gid, should.mtime)
}

/// Is it the file that was backed up, untouched since? Else it is read.
fn same_bytes(
    (dir, name): (&DirFd, &[u8]),
    there: &Stat,
    (wanted, version): (&Wanted, &Version),
    reading: &mut Reading<'_>,
) -> Result<bool, Fault> {
    let seen = &version.seen;
    if there.size != wanted.stat.size {
        return Ok(false);
    }
    let untouched = (there.inode, there.ctime, there.mtime) == (seen.inode, seen.ctime, version.mtime);
    if untouched && !seen.racy && !seen.changed_while_read {
        return Ok(true);
    }
    let Some(hash) = wanted.hash else { return Ok(false) };
    let watch = &mut |count| if (reading.watch)(count) { Err(STOPPED) } else { Ok(()) };
    let read = dir.open_file(name).and_then(|file| {
        let stat = file.stat()?;
        if stat.kind != Kind::File {
            return Err(Fault::new("open", Errno::STALE));
        }
        content::hash(&file, Shape::from(&stat), reading.buffer, watch)
    });
    match read {
        Ok(read) => Ok(read.hash == hash),
        Err(STOPPED) => Err(STOPPED),
        // What cannot be read is made anew.
        Err(_) => Ok(false),
    }
}

/// What a name has to do with other names of its inode.
#[derive(Debug)]
pub(super) enum Bond {
    /// It has none.
    None,
    /// It is the first that was come to: it is to be settled.
    First,
    /// Another stands here already.
    Member(Stored),
}

/// Which names of the target share an inode, and which inode stands for which of the snapshot's: one on each filesystem,
/// for no hard link leaves it (`link(2)`).
#[derive(Debug, Default)]
pub(super) struct Bonds {
    groups: Groups,
    /// Where each inode of the snapshot was settled first: device and path.
    homes: Mutex<HashMap<u64, (u64, Vec<u8>)>>,
}

/// The inode of the snapshot by which a version is known among others on the same device.
fn key(version: &Version, device: u64) -> SourceInode {
    (device, version.stored_inode)
}

impl Bonds {
    /// May this version have other names in the snapshot?
    pub fn has_others(version: &Version) -> bool {
        version.seen.links > 1 && version.stored_inode != 0
    }

    /// Decides what has to be done with a name on `device`, of which `there` is there. If the answer is that it is the
    /// first of its inode, the others wait until it is [settled](Self::settle).
    pub fn decide(
        &self,
        there: Option<(&DirFd, &[u8], &Stat)>,
        (wanted, version, device): (&Wanted, &Version, u64),
        reading: &mut Reading<'_>,
    ) -> Result<(Need, Bond), Fault> {
        let alone = |reading: &mut Reading<'_>| match there {
            None => Ok(Need::Create),
            Some((dir, name, stat)) => match need((dir, name), stat, (wanted, version), reading)? {
                Need::Nothing if !self.may_stay(stat, version, device) => Ok(Need::Replace),
                need => Ok(need),
            },
        };
        if !Self::has_others(version) {
            return Ok((alone(reading)?, Bond::None));
        }
        match self.groups.join(key(version, device)) {
            Turn::First => match alone(reading) {
                Ok(need) => Ok((need, Bond::First)),
                Err(fault) => {
                    self.settle((version, device), (b"", b""), None);
                    Err(fault)
                }
            },
            Turn::Member(stored) => {
                let need = match there {
                    None => Need::Create,
                    Some((_, _, stat)) if stat.inode == stored.inode() => Need::Nothing,
                    Some(_) => Need::Replace,
                };
                Ok((need, Bond::Member(stored)))
            }
        }
    }

    /// Says as which inode the first name on a device stands there now; `None`: it does not. Returns the path of a name
    /// on another device, if there is one.
    pub fn settle(
        &self,
        (version, device): (&Version, u64),
        (dir, name): (&[u8], &[u8]),
        inode: Option<u64>,
    ) -> Option<Vec<u8>> {
        let stored = inode.map(|inode| {
            let version = Version { stored_inode: inode, ..version.clone() };
            let version = Arc::new(NewVersion { version, xattrs: Xattrs::default() });
            Stored { dir: dir.to_vec(), name: name.to_vec(), version }
        });
        self.groups.settle(key(version, device), stored);
        inode?;
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        let home = homes.entry(version.stored_inode).or_insert_with(|| (device, path::join(dir, name)));
        (home.0 != device).then(|| home.1.clone())
    }

    /// May what is there stay under this name? Not if it has another that is to be another inode.
    fn may_stay(&self, there: &Stat, version: &Version, device: u64) -> bool {
        there.links <= 1 || self.groups.claim(there.inode, key(version, device))
    }
}

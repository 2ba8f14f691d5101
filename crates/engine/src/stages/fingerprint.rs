//! Fingerprint: one hash over all that is known of a directory and its entries, so that one in which nothing has
//! changed is told from the source and the scaffold alone, without a look at its versions.
//!
//! It says neither more nor less than the plan does when it keeps every entry: the same names, each with the same
//! kind, attributes, times and inode in the source, and the recorded inode in the scaffold.
//!
//! **Invariant:** what the plan would have to look at twice has none: entries too young to be trusted, or with
//! several names.

use linksnap_catalog::{CatalogError, DirId, Reader, Seen, State, Version};
use linksnap_inode::{ContentHash, Kind, Names, Stat, Timestamp, Xattrs};

use crate::listing::Listing;

/// A fingerprint in the making; entries are added in the order of their names.
#[derive(Debug, Default)]
pub struct Fingerprint {
    bytes: Vec<u8>,
    is_spoilt: bool,
}

impl Fingerprint {
    /// A directory, of which only the name counts: what is in it has a fingerprint of its own.
    pub fn add_directory(&mut self, name: &[u8]) {
        self.add_name(name, Kind::Directory);
    }

    /// What the catalog says of an entry, and what was seen of it last.
    pub fn add_version(&mut self, name: &[u8], version: &Version, seen: Seen) {
        self.is_spoilt |= seen.racy || seen.changed_while_read || seen.links > 1;
        self.add_name(name, version.kind);
        let Version { mode, uid, gid, size, mtime, rdev, stored_inode, .. } = *version;
        self.add_numbers(Numbers {
            owner: (mode, uid, gid),
            sizes: (size, rdev),
            mtime,
            source: (seen.inode, seen.ctime),
            stored_inode,
        });
    }

    /// The directory's own attributes, after its entries.
    pub fn add_own(&mut self, (mode, uid, gid): (u16, u32, u32), mtime: Timestamp, xattrs: &Xattrs) {
        self.add_name(b"", Kind::Directory);
        self.add_numbers(Numbers { owner: (mode, uid, gid), mtime, ..Numbers::default() });
        self.bytes.extend_from_slice(&xattrs.encode());
    }

    /// There is none: something was not as it should be.
    pub fn spoil(&mut self) {
        self.is_spoilt = true;
    }

    /// The hash, if there is one.
    #[must_use]
    pub fn finish(self) -> Option<ContentHash> {
        (!self.is_spoilt).then(|| ContentHash::of(&self.bytes))
    }

    fn add_name(&mut self, name: &[u8], kind: Kind) {
        // Names are at most 1,024 bytes long.
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(name);
        self.bytes.push(kind as u8);
    }

    fn add_numbers(&mut self, numbers: Numbers) {
        let Numbers {
            owner: (mode, uid, gid),
            sizes: (size, rdev),
            mtime,
            source: (inode, ctime),
            stored_inode,
        } = numbers;
        let mut add = |bytes: &[u8]| self.bytes.extend_from_slice(bytes);
        add(&mode.to_le_bytes());
        add(&uid.to_le_bytes());
        add(&gid.to_le_bytes());
        add(&size.to_le_bytes());
        add(&rdev.to_le_bytes());
        for time in [mtime, ctime] {
            add(&time.seconds.to_le_bytes());
            add(&time.nanoseconds.to_le_bytes());
        }
        add(&inode.to_le_bytes());
        add(&stored_inode.to_le_bytes());
    }
}

#[derive(Clone, Copy, Default)]
struct Numbers {
    owner: (u16, u32, u32),
    sizes: (u64, u64),
    mtime: Timestamp,
    source: (u64, Timestamp),
    stored_inode: u64,
}

/// The fingerprint that the directory must have if the source is as it was and the scaffold is right already; `None`
/// if that cannot be: other names, or something to look at twice. `scaffold` is sorted by name.
#[must_use]
pub fn of_unchanged(
    (own, xattrs): (&Stat, &Xattrs),
    source: &Listing,
    scaffold: &Names,
) -> Option<ContentHash> {
    let source = source.iter();
    if source.len() != scaffold.len() {
        return None;
    }
    let mut print = Fingerprint { bytes: Vec::with_capacity(source.len() * 96), is_spoilt: false };
    for (entry, there) in source.zip(scaffold.iter()) {
        if entry.name != there.bytes || there.kind != Some(entry.stat.kind) {
            return None;
        }
        if entry.stat.kind == Kind::Directory {
            print.add_directory(entry.name);
            continue;
        }
        let Stat { mode, uid, gid, size, mtime, rdev, inode, ctime, links, .. } = *entry.stat;
        if links > 1 {
            return None;
        }
        print.add_name(entry.name, entry.stat.kind);
        let sized = matches!(entry.stat.kind, Kind::File | Kind::Symlink);
        print.add_numbers(Numbers {
            owner: (mode, uid, gid),
            sizes: (if sized { size } else { 0 }, rdev),
            mtime,
            source: (inode, ctime),
            stored_inode: there.inode,
        });
    }
    print.add_own((own.mode, own.uid, own.gid), own.mtime, xattrs);
    print.finish()
}

/// What was found of a catalog's fingerprints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// Directories whose fingerprint is that of their current versions.
    pub right: u64,
    /// Directories whose fingerprint is that of something else.
    pub wrong: u64,
}

/// Makes every directory's fingerprint anew from its current versions, and compares.
pub fn check(reader: &Reader) -> Result<Checked, CatalogError> {
    let mut checked = Checked::default();
    // A checkpoint may say more of a directory than of what is in it. Nobody goes by that.
    if reader.snapshots()?.iter().any(|one| one.state == State::Building) {
        return Ok(checked);
    }
    let mut waiting: Vec<Version> = reader.current_of(DirId(0), b"")?.into_iter().collect();
    while let Some(own) = waiting.pop() {
        let Some(directory) = own.child else { continue };
        let mut print = Fingerprint::default();
        for row in reader.current_below(directory)?.iter() {
            if row.version.child.is_some() {
                waiting.push(row.version.clone());
                print.add_directory(row.name);
            } else {
                print.add_version(row.name, row.version, row.version.seen);
            }
        }
        let xattrs = own.xattrs.map(|id| reader.xattrs(id)).transpose()?.unwrap_or_default();
        print.add_own((own.mode, own.uid, own.gid), own.mtime, &xattrs);
        match reader.fingerprint(directory)? {
            None => {}
            stored if stored == print.finish() => checked.right += 1,
            Some(_) => checked.wrong += 1,
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use linksnap_catalog::{Holding, SnapshotId};

    fn stat(kind: Kind, inode: u64) -> Stat {
        Stat {
            kind,
            mode: 0o644,
            uid: 1,
            gid: 2,
            size: 3,
            blocks: 8,
            mtime: Timestamp { seconds: 4, nanoseconds: 5 },
            ctime: Timestamp { seconds: 6, nanoseconds: 7 },
            inode,
            device: 8,
            links: 1,
            rdev: 0,
            mount_root: false,
        }
    }

    fn version(stat: &Stat, stored_inode: u64) -> Version {
        let Stat { kind, mode, uid, gid, size, mtime, rdev, inode, ctime, links, .. } = *stat;
        Version {
            first: SnapshotId(1),
            last: None,
            kind,
            mode,
            uid,
            gid,
            size,
            holes: 0,
            mtime,
            rdev,
            stored_inode,
            hash: None,
            target: None,
            xattrs: None,
            child: None,
            partial: false,
            unwitnessed: false,
            shared: false,
            holding: Holding::Whole,
            seen: Seen { inode, ctime, links, racy: false, changed_while_read: false },
        }
    }

    /// Of a directory `a` and two files, as recorded.
    fn recorded(change: impl Fn(&mut Version)) -> Option<ContentHash> {
        let mut print = Fingerprint::default();
        print.add_directory(b"a");
        for (name, number) in [(b"b", 10), (b"c", 11)] {
            let mut version = version(&stat(Kind::File, number), number + 100);
            change(&mut version);
            print.add_version(name, &version, version.seen);
        }
        let Stat { mode, uid, gid, mtime, .. } = stat(Kind::Directory, 1);
        print.add_own((mode, uid, gid), mtime, &Xattrs::default());
        print.finish()
    }

    /// A name of a directory, as it is read.
    type Found<'a> = (&'a [u8], u64, Option<Kind>);

    /// The same, as found.
    fn found(change: impl Fn(&mut Stat), names: &[Found<'_>]) -> Option<ContentHash> {
        let mut listing = Listing::default();
        listing.add(b"a", stat(Kind::Directory, 9));
        for (name, number) in [(b"b", 10), (b"c", 11)] {
            let mut stat = stat(Kind::File, number);
            change(&mut stat);
            listing.add(name, stat);
        }
        let own = (&stat(Kind::Directory, 1), &Xattrs::default());
        of_unchanged(own, &listing, &names.iter().copied().collect())
    }

    const RIGHT: [Found<'static>; 3] =
        [(b"a", 1, Some(Kind::Directory)), (b"b", 110, Some(Kind::File)), (b"c", 111, Some(Kind::File))];

    #[test]
    fn what_is_unchanged_has_the_fingerprint_that_was_recorded() {
        assert!(recorded(|_| {}).is_some());
        assert_eq!(found(|_| {}, &RIGHT), recorded(|_| {}));
    }

    #[test]
    fn every_change_of_an_entry_shows() {
        let changes: [fn(&mut Stat); 11] = [
            |stat| stat.kind = Kind::Symlink,
            |stat| stat.mode = 0o600,
            |stat| stat.uid = 9,
            |stat| stat.gid = 9,
            |stat| stat.size = 9,
            |stat| stat.mtime.seconds = 9,
            |stat| stat.mtime.nanoseconds = 9,
            |stat| stat.ctime.nanoseconds = 9,
            |stat| stat.inode = 9,
            |stat| stat.rdev = 9,
            |stat| stat.links = 2,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert_ne!(found(change, &RIGHT), recorded(|_| {}), "change {number}");
        }
    }

    #[test]
    fn every_difference_of_the_scaffold_shows() {
        let wrong: [[Found<'_>; 3]; 4] = [
            [RIGHT[0], RIGHT[1], (b"c", 112, Some(Kind::File))],
            [RIGHT[0], RIGHT[1], (b"d", 111, Some(Kind::File))],
            [(b"a", 1, Some(Kind::Symlink)), RIGHT[1], RIGHT[2]],
            [RIGHT[0], RIGHT[1], (b"c", 111, None)],
        ];
        for names in wrong {
            assert_ne!(found(|_| {}, &names), recorded(|_| {}), "{names:?}");
        }
        assert_eq!(found(|_| {}, &RIGHT[..2]), None);
        let more = [RIGHT.as_slice(), &[(b"d".as_slice(), 1, Some(Kind::File))]].concat();
        assert_eq!(found(|_| {}, &more), None);
    }

    #[test]
    fn every_change_of_the_directory_itself_shows() {
        let with = |change: fn(&mut Stat), xattrs: Xattrs| {
            let mut own = stat(Kind::Directory, 1);
            change(&mut own);
            of_unchanged((&own, &xattrs), &Listing::default(), &Names::default())
        };
        let before = with(|_| {}, Xattrs::default());
        // Its inode and its change time move whenever a snapshot is taken of it, or a name in it comes and goes.
        assert_eq!(with(|own| own.inode = 5, Xattrs::default()), before);
        let changes: [fn(&mut Stat); 4] =
            [|own| own.mode = 0o700, |own| own.uid = 7, |own| own.gid = 7, |own| own.mtime.nanoseconds = 7];
        for (number, change) in changes.into_iter().enumerate() {
            assert_ne!(with(change, Xattrs::default()), before, "change {number}");
        }
        let xattrs: Xattrs = [(b"user.a".to_vec(), b"b".to_vec())].into_iter().collect();
        assert_ne!(with(|_| {}, xattrs), before);
    }

    #[test]
    fn what_must_be_looked_at_twice_has_none() {
        assert_eq!(recorded(|version| version.seen.racy = true), None);
        assert_eq!(recorded(|version| version.seen.changed_while_read = true), None);
        assert_eq!(recorded(|version| version.seen.links = 2), None);
    }
}

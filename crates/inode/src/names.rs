//! The names of one directory as the kernel lists them, packed into one buffer.

use crate::stat::Kind;

/// One name of a directory, with what `getdents64(2)` says of it for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// The name: bytes without `/` and NUL.
    pub bytes: &'a [u8],
    /// Inode number (`d_ino`). At a mount point it is that of the directory below the mount.
    pub inode: u64,
    /// Kind (`d_type`); `None` where the filesystem does not tell.
    pub kind: Option<Kind>,
}

/// The names of a directory, without `.` and `..`.
#[derive(Debug, Default, Clone)]
pub struct Names {
    bytes: Vec<u8>,
    entries: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    inode: u64,
    start: usize,
    length: u16,
    kind: Option<Kind>,
}

impl Names {
    /// Room for a directory of usual size.
    pub(crate) fn with_usual_room() -> Self {
        Self { bytes: Vec::with_capacity(4096), entries: Vec::with_capacity(256) }
    }

    pub(crate) fn push(&mut self, name: &[u8], inode: u64, kind: Option<Kind>) {
        // Linux names have at most 255 bytes (NAME_MAX); FUSE up to 1,024.
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        self.entries.push(Slot { inode, start: self.bytes.len(), length, kind });
        self.bytes.extend_from_slice(&name[..usize::from(length)]);
    }

    /// Sorts by name bytes.
    pub fn sort_by_name(&mut self) {
        let bytes = &self.bytes;
        self.entries.sort_unstable_by(|a, b| name_of(bytes, *a).cmp(name_of(bytes, *b)));
    }

    /// Sorts by inode number: near to the order on disk on most filesystems.
    pub fn sort_by_inode(&mut self) {
        self.entries.sort_unstable_by_key(|slot| slot.inode);
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is the directory empty?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names in the present order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Name<'_>> {
        self.entries.iter().map(|slot| Name {
            bytes: name_of(&self.bytes, *slot),
            inode: slot.inode,
            kind: slot.kind,
        })
    }

    /// The name at `index` of the present order.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn get(&self, index: usize) -> Name<'_> {
        let slot = self.entries[index];
        Name { bytes: name_of(&self.bytes, slot), inode: slot.inode, kind: slot.kind }
    }

    /// Keeps only the names for which `wanted` says so.
    pub fn retain(&mut self, mut wanted: impl FnMut(Name<'_>) -> bool) {
        let bytes = &self.bytes;
        self.entries
            .retain(|slot| wanted(Name { bytes: name_of(bytes, *slot), inode: slot.inode, kind: slot.kind }));
    }

    /// Is `name` among them? (A linear search: for the few names of marker files.)
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        self.iter().any(|found| found.bytes == name)
    }
}

fn name_of(bytes: &[u8], slot: Slot) -> &[u8] {
    &bytes[slot.start..slot.start + usize::from(slot.length)]
}

impl<'a> FromIterator<(&'a [u8], u64, Option<Kind>)> for Names {
    fn from_iter<I: IntoIterator<Item = (&'a [u8], u64, Option<Kind>)>>(names: I) -> Self {
        let mut all = Self::default();
        for (name, inode, kind) in names {
            all.push(name, inode, kind);
        }
        all
    }
}

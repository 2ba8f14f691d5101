//! The entries of one directory, sorted by name bytes: the unit of work everywhere.

use linksnap_inode::{Names, Stat};

/// The entries of a source directory with their metadata.
#[derive(Debug, Default)]
pub struct Listing {
    names: Vec<u8>,
    entries: Vec<(usize, usize, Stat)>,
}

/// One entry.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its metadata.
    pub stat: &'a Stat,
}

impl Listing {
    /// Room for as many entries as there are names.
    #[must_use]
    pub fn with_room_for(names: &Names) -> Self {
        Self { names: Vec::with_capacity(names.len() * 16), entries: Vec::with_capacity(names.len()) }
    }

    /// Adds an entry, in any order.
    pub fn add(&mut self, name: &[u8], stat: Stat) {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        self.entries.push((start, self.names.len(), stat));
    }

    /// Puts the entries into their order.
    pub fn sort(&mut self) {
        let names = &self.names;
        self.entries.sort_unstable_by(|a, b| names[a.0..a.1].cmp(&names[b.0..b.1]));
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.entries.iter().map(|(start, end, stat)| Entry { name: &self.names[*start..*end], stat })
    }
}

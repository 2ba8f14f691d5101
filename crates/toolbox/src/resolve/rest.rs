//! What is left of a path, with the texts of links in front of it, and how loops are noticed.

use std::collections::BTreeSet;

/// Device and inode number.
type Identity = (u64, u64);

/// What is left of a path.
#[derive(Debug)]
pub struct Rest {
    text: Vec<u8>,
    /// How much of `text` is used up.
    used: usize,
    /// The links whose texts are being followed, the outermost first.
    links: Vec<Active>,
    seen: BTreeSet<(Identity, Vec<u8>)>,
    turns: usize,
}

#[derive(Debug)]
struct Active {
    /// What was left behind the link.
    behind: usize,
    dir: Identity,
    name: Vec<u8>,
}

/// What came of going on with the text of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The text is in front now.
    Done,
    /// This has no end; nothing is changed.
    Loop,
}

/// So many links are followed before it is looked for loops (gnulib's `canonicalize.c`): what is left of a loop when
/// nothing need be there depends on it.
const BEFORE_LOOKING: usize = 20;

impl Rest {
    pub fn of(path: &[u8]) -> Self {
        Self { text: path.to_vec(), used: 0, links: Vec::new(), seen: BTreeSet::new(), turns: 0 }
    }

    /// The next name, and in how many links' texts it stands.
    pub fn next(&mut self) -> Option<(Vec<u8>, usize)> {
        let left = self.left();
        let start = left.iter().position(|byte| *byte != b'/')?;
        // Names of a link's own text only: what begins behind it is not in it.
        let behind = left.len() - start;
        let name = left[start..].split(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
        self.used += start + name.len();
        self.links.retain(|link| link.behind < behind);
        Some((name, self.links.len()))
    }

    /// In how many links' texts what comes next stands.
    pub fn depth(&self) -> usize {
        self.links.len()
    }

    /// Is there nothing left, not even a slash, which asks for a directory?
    pub fn is_empty(&self) -> bool {
        self.left().is_empty()
    }

    pub fn has_only_slashes(&self) -> bool {
        self.left().iter().all(|byte| *byte == b'/')
    }

    /// Goes on with `text`, the text of the link `name` in `dir`; tells a loop at the first return.
    pub fn turn_once(&mut self, dir: Identity, name: &[u8], text: &[u8]) -> Turn {
        if self.grows(dir, name) || !self.is_new(dir, name) {
            return Turn::Loop;
        }
        self.turn(dir, name, text)
    }

    /// As [`turn_once`](Self::turn_once), but tells a loop where `readlink(1)` does, if that comes to an end.
    pub fn turn_late(&mut self, dir: Identity, name: &[u8], text: &[u8]) -> Turn {
        let looks = self.turns >= BEFORE_LOOKING;
        self.turns += 1;
        if self.grows(dir, name) || looks && !self.is_new(dir, name) {
            return Turn::Loop;
        }
        self.turn(dir, name, text)
    }

    /// Does the link come up again in its own text, with more of that behind it? That goes on for ever, and there is more
    /// left each time.
    fn grows(&self, dir: Identity, name: &[u8]) -> bool {
        let left = self.left().len();
        self.links.iter().any(|link| link.dir == dir && link.name == name && link.behind < left)
    }

    fn is_new(&mut self, dir: Identity, name: &[u8]) -> bool {
        let state = [name, self.left()].concat();
        self.seen.insert((dir, state))
    }

    fn turn(&mut self, dir: Identity, name: &[u8], text: &[u8]) -> Turn {
        let behind = self.left().len();
        self.text = [text, self.left()].concat();
        self.used = 0;
        self.links.push(Active { behind, dir, name: name.to_vec() });
        Turn::Done
    }

    fn left(&self) -> &[u8] {
        &self.text[self.used..]
    }
}

//! Plan: a three-way merge-join of the source's listing, what the catalog knows, and what the scaffold has.
//!
//! Pure: no disk, no clock. The same code makes a first snapshot (empty scaffold), resumes an interrupted
//! one (scaffold = old staging) and recycles a retired one.
//!
//! **Invariant:** for every name in the source there is exactly one step, and for every name that only the
//! catalog or only the scaffold has there is exactly one `Remove`.

use linksnap_catalog::{Holding, Row, Rows, SnapshotId, Version};
use linksnap_inode::{Kind, Name, Names, Stat};

use crate::listing::{Entry, Listing};

/// What will be done to one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The scaffold has the right inode under this name: nothing to do.
    Keep,
    /// Link the inode that the basis has.
    Link,
    /// Probably unchanged: read it, and link (or keep) what is known if the bytes and all attributes are the
    /// same, else copy.
    Reuse,
    /// Copy the file.
    Copy,
    /// Make the symbolic link or special file.
    Make,
    /// A directory: keep or make it, and work through it.
    Enter,
    /// The source does not have it (any more).
    Remove,
}

impl Action {
    /// One word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Link => "link",
            Self::Reuse => "reuse",
            Self::Copy => "copy",
            Self::Make => "make",
            Self::Enter => "enter",
            Self::Remove => "remove",
        }
    }
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing differs.
    Unchanged,
    /// The basis does not have this name.
    New,
    /// It was something else before.
    KindChanged,
    /// The size differs.
    SizeChanged,
    /// The modification time differs.
    TimeChanged,
    /// Mode, owner or device number differs.
    AttributesChanged,
    /// Only the inode's change time differs.
    InodeTouched,
    /// Another inode with the same attributes.
    OtherInode,
    /// It was too young in the last run to be sure that nothing changed unseen.
    Racy,
    /// An interrupted run had stored it, but it is not in staging any more.
    NotVouched,
    /// The basis has it under another path.
    Moved,
    /// The source has it no more.
    Gone,
    /// The scaffold has something that nobody knows.
    Unknown,
}

impl Reason {
    /// A few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::New => "new",
            Self::KindChanged => "the kind changed",
            Self::SizeChanged => "the size changed",
            Self::TimeChanged => "the modification time changed",
            Self::AttributesChanged => "mode, owner or device number changed",
            Self::InodeTouched => "the inode was changed",
            Self::OtherInode => "another inode with the same attributes",
            Self::Racy => "too young in the last run to be sure",
            Self::NotVouched => "what the interrupted run had stored is not there any more",
            Self::Moved => "moved from elsewhere",
            Self::Gone => "gone from the source",
            Self::Unknown => "does not belong here",
        }
    }
}

/// What the catalog knows of a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known<'a> {
    /// What the newest published snapshot has.
    pub basis: Option<&'a Version>,
    /// What an interrupted run has stored in staging since, and a checkpoint vouches for.
    pub checkpoint: Option<&'a Version>,
}

impl<'a> Known<'a> {
    /// The version that is current in the catalog, if one is.
    #[must_use]
    pub fn current(&self) -> Option<&'a Version> {
        self.checkpoint.or(self.basis.filter(|version| version.last.is_none()))
    }
}

/// The decision for one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// The name.
    pub name: &'a [u8],
    /// What the source has.
    pub source: Option<&'a Stat>,
    /// What the catalog knows.
    pub known: Known<'a>,
    /// What the scaffold has: kind, if told, and inode number.
    pub scaffold: Option<(Option<Kind>, u64)>,
    /// What to do.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// For `Keep`, `Link` and `Reuse`: the version whose inode is meant.
    pub wanted: Option<&'a Version>,
}

impl Step<'_> {
    /// Has the scaffold the wanted inode under this name already?
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        match (self.wanted, self.scaffold) {
            (Some(wanted), Some((_, inode))) => wanted.stored_inode == inode,
            _ => false,
        }
    }

    /// Does a directory of the scaffold go?
    #[must_use]
    pub fn removes_directory(&self) -> bool {
        self.source.is_none() && matches!(self.scaffold, Some((Some(Kind::Directory) | None, _)))
    }

    /// Is it a file to be copied that may have come from another path? One under whose name the basis has the same
    /// inode of the source has changed, and an empty one is as soon made.
    #[must_use]
    pub fn may_have_moved(&self) -> bool {
        let is_such = |stat: &Stat| stat.kind == Kind::File && stat.links == 1 && stat.size > 0;
        let was_it = |stat: &Stat| self.known.basis.is_some_and(|version| version.seen.inode == stat.inode);
        self.action == Action::Copy && self.source.is_some_and(|stat| is_such(stat) && !was_it(stat))
    }

    /// Is the wanted inode one that only the scaffold can have?
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        self.wanted.is_some() && self.wanted == self.known.checkpoint
    }
}

/// Plans one directory. `known` may hold, for one name, the basis' version and one that the unfinished
/// snapshot `building` began; `scaffold` is sorted by name.
#[must_use]
pub fn plan<'a>(
    source: &'a Listing,
    known: &'a Rows,
    scaffold: &'a Names,
    building: SnapshotId,
) -> Vec<Step<'a>> {
    let mut source = source.iter().peekable();
    let mut known = known.iter().peekable();
    let mut scaffold = scaffold.iter().peekable();
    let mut steps = Vec::with_capacity(source.len());
    loop {
        let heads = [
            source.peek().map(|entry| entry.name),
            known.peek().map(|row| row.name),
            scaffold.peek().map(|name| name.bytes),
        ];
        let Some(name) = heads.into_iter().flatten().min() else { return steps };
        let entry = source.next_if(|entry| entry.name == name);
        let versions = versions_of(name, &mut known, building);
        let there = scaffold.next_if(|there| there.bytes == name);
        steps.push(decide(name, entry, versions, there));
    }
}

fn versions_of<'a>(
    name: &[u8],
    rows: &mut std::iter::Peekable<impl Iterator<Item = Row<'a>>>,
    building: SnapshotId,
) -> Known<'a> {
    let mut known = Known::default();
    while let Some(row) = rows.next_if(|row| row.name == name) {
        if row.version.first == building {
            known.checkpoint = Some(row.version);
        } else {
            known.basis = Some(row.version);
        }
    }
    known
}

fn decide<'a>(
    name: &'a [u8],
    entry: Option<Entry<'a>>,
    known: Known<'a>,
    there: Option<Name<'a>>,
) -> Step<'a> {
    let scaffold = there.map(|there| (there.kind, there.inode));
    let source = entry.map(|entry| entry.stat);
    let (action, reason, wanted) = match source {
        None if known == Known::default() => (Action::Remove, Reason::Unknown, None),
        None => (Action::Remove, Reason::Gone, None),
        Some(stat) if stat.kind == Kind::Directory => (Action::Enter, directory_reason(known), None),
        Some(stat) => decide_leaf(stat, known, scaffold),
    };
    Step { name, source, known, scaffold, action, reason, wanted }
}

fn directory_reason(known: Known<'_>) -> Reason {
    match known.basis.or(known.checkpoint) {
        Some(version) if version.kind == Kind::Directory => Reason::Unchanged,
        Some(_) => Reason::KindChanged,
        None => Reason::New,
    }
}

fn decide_leaf<'a>(
    stat: &Stat,
    known: Known<'a>,
    scaffold: Option<(Option<Kind>, u64)>,
) -> (Action, Reason, Option<&'a Version>) {
    let in_scaffold = |version: &Version| scaffold.is_some_and(|(_, inode)| inode == version.stored_inode);
    // What only a checkpoint vouches for can be kept where it stands, but not linked from anywhere.
    if let Some(version) = known.checkpoint.filter(|version| in_scaffold(version)) {
        match difference(stat, version) {
            None => return (Action::Keep, Reason::Unchanged, Some(version)),
            Some(reason) if may_be_same(reason) => return (Action::Reuse, reason, Some(version)),
            Some(_) => {}
        }
    }
    let anew = if stat.kind == Kind::File { Action::Copy } else { Action::Make };
    let Some(version) = known.basis else {
        let vouched = known.checkpoint.is_some();
        return (anew, if vouched { Reason::NotVouched } else { Reason::New }, None);
    };
    match difference(stat, version) {
        None if in_scaffold(version) => (Action::Keep, Reason::Unchanged, Some(version)),
        None => (Action::Link, Reason::Unchanged, Some(version)),
        Some(reason) if may_be_same(reason) => (Action::Reuse, reason, Some(version)),
        Some(reason) => (anew, reason, None),
    }
}

/// How the source differs from what was recorded of it; device numbers are not compared, for they change
/// when a disk is mounted again.
fn difference(stat: &Stat, version: &Version) -> Option<Reason> {
    let seen = &version.seen;
    if stat.kind != version.kind {
        Some(Reason::KindChanged)
    } else if stat.size != version.size {
        Some(Reason::SizeChanged)
    } else if stat.mtime != version.mtime {
        Some(Reason::TimeChanged)
    } else if (stat.mode, stat.uid, stat.gid, stat.rdev)
        != (version.mode, version.uid, version.gid, version.rdev)
    {
        Some(Reason::AttributesChanged)
    } else if stat.inode != seen.inode {
        Some(Reason::OtherInode)
    } else if stat.ctime != seen.ctime {
        Some(Reason::InodeTouched)
    } else if seen.racy || seen.changed_while_read {
        Some(Reason::Racy)
    } else {
        None
    }
}

/// Where a version is that was seen under the inode number which a file has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// Under the same name, in a directory that had the inode number which the file's directory has now: that, or one
    /// above it, was renamed.
    SameDirectory,
    /// Under any other path.
    Anywhere,
}

/// What to do with a file that may be what the basis has under another path; `None`: copy it.
///
/// That a file is linked unread takes the same proof as under its own path. A name is part of that: a rename changes
/// the inode's change time on the usual filesystems, but no standard says so (`rename(2)`).
#[must_use]
pub fn moved(stat: &Stat, version: &Version, elsewhere: Elsewhere) -> Option<Action> {
    let is_whole = version.hash.is_some() && version.holding == Holding::Whole && !version.partial;
    if !is_whole || version.seen.links > 1 || version.stored_inode == 0 {
        return None;
    }
    match (difference(stat, version), elsewhere) {
        (None, Elsewhere::SameDirectory) => Some(Action::Link),
        (None | Some(Reason::InodeTouched | Reason::Racy), _) => Some(Action::Reuse),
        // With more than that different it is another file, or has to be another inode.
        (Some(_), _) => None,
    }
}

/// Can the stored inode still be right, so that reading is worth while before copying?
fn may_be_same(reason: Reason) -> bool {
    matches!(reason, Reason::InodeTouched | Reason::OtherInode | Reason::Racy)
}

#[cfg(test)]
mod tests;

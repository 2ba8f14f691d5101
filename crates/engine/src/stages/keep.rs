//! Keep: the short way for a directory in which nothing has changed. No version of an entry is read, and none is written:
//! its fingerprint says that the source is as it was, and which inodes belong to it. Either the scaffold has them
//! already, and nothing is touched; or it has nothing, and all are linked from the basis, whose names are read for that.

use linksnap_catalog::DirId;
use linksnap_inode::path;
use linksnap_inode::{DirFd, Fault, Kind, Names};

use crate::listing::Listing;
use crate::stages::apply;
use crate::stages::build::{self, Opened, Own, Parent, Past, Task};
use crate::stages::fingerprint;
use crate::stages::run::{Hands, Run, RunError};
use crate::stages::validate::{self, Attributes, Depth};

/// What came of it.
pub(super) enum Kept {
    /// All is as it must be. The sub-directories are to be worked through.
    Whole(Vec<Task>),
    /// The short way was not open. Nothing was done but, at most, given the staging directory its attributes.
    Not,
    /// It was, but came to an end: some entries are in staging now that were not there before.
    Begun,
}

/// The directory in the basis.
struct Basis {
    dir: DirFd,
    names: Names,
}

/// Takes the short way if the directory's fingerprint says that it may be taken.
pub(super) fn keep<D>(
    run: &Run<'_>,
    task: &Task,
    opened: &Opened<D>,
    (staging, scaffold): (&DirFd, &Names),
    hands: &mut Hands,
) -> Result<Kept, RunError> {
    // Versions of two minds take the long way.
    if !task.past.catalog || run.resumes {
        return Ok(Kept::Not);
    }
    let Some(known) = hands.reader.fingerprint(task.id)? else { return Ok(Kept::Not) };
    let Opened { stat, xattrs, scanned, .. } = opened;
    let listing = &scanned.listing;
    let is_there = task.past.scaffold && (!scaffold.is_empty() || listing.iter().len() == 0);
    let basis = if is_there { None } else { open_basis(run, task) };
    let names = match &basis {
        Some(basis) => &basis.names,
        None if is_there => scaffold,
        None => return Ok(Kept::Not),
    };
    if fingerprint::of_unchanged((stat, xattrs), listing, names) != Some(known) {
        return Ok(Kept::Not);
    }
    let Some(children) = children(task, opened, is_there, hands)? else { return Ok(Kept::Not) };
    let left = if is_there { Kept::Not } else { Kept::Begun };
    if let Some(basis) = &basis
        && !link_all(run, (task, listing), basis, staging, hands)?
    {
        return Ok(left);
    }
    // What the source says now is what was recorded of it: so the stored inodes can be held against that.
    let is_turn = run.depth_for(task.id) == Depth::All;
    if is_turn && !is_sound(staging, listing).map_err(|fault| run.staging_fault(&task.path, fault))? {
        return Ok(left);
    }
    if build::dress(run, task, staging, stat, xattrs)?.anything() {
        return Ok(left);
    }
    scanned.problems.iter().for_each(|problem| run.problem(problem.clone()));
    let counts = &mut hands.counts;
    counts.excluded += scanned.excluded;
    counts.kept_directories += 1;
    counts.add_entry(stat);
    for entry in listing.iter().filter(|entry| entry.stat.kind != Kind::Directory) {
        counts.add_entry(entry.stat);
        counts.unchanged += 1;
        *(if is_there { &mut counts.kept_entries } else { &mut counts.linked_entries }) += 1;
    }
    Ok(Kept::Whole(children))
}

/// `None`: the long way will say what is wrong with it.
fn open_basis(run: &Run<'_>, task: &Task) -> Option<Basis> {
    let dir = run.basis.as_ref()?.open_within(&task.path).ok()?;
    let names = dir.sorted_names().ok()?;
    Some(Basis { dir, names })
}

/// Makes the directories and links all else, and reads again what is there then. `false`: something was in the way, or is
/// not what it should be; the long way will meet it, and say so.
fn link_all(
    run: &Run<'_>,
    (task, listing): (&Task, &Listing),
    basis: &Basis,
    staging: &DirFd,
    hands: &mut Hands,
) -> Result<bool, RunError> {
    if task.past.scaffold {
        apply::open_up(staging).map_err(|fault| run.staging_fault(&task.path, fault))?;
    }
    for entry in listing.iter() {
        run.pause(hands)?;
        let made = match entry.stat.kind {
            Kind::Directory => staging.make_dir(entry.name),
            _ => basis.dir.link(entry.name, staging, entry.name),
        };
        if made.is_err() {
            return Ok(false);
        }
    }
    let names = staging.sorted_names().map_err(|fault| run.staging_fault(&task.path, fault))?;
    let same = names.len() == basis.names.len()
        && names.iter().zip(basis.names.iter()).all(|(made, should)| {
            (made.bytes, made.kind) == (should.bytes, should.kind)
                && (made.inode == should.inode || made.kind == Some(Kind::Directory))
        });
    Ok(same)
}

/// Have all stored inodes the attributes that they should have? If not, the long way says which and mends it.
fn is_sound(staging: &DirFd, listing: &Listing) -> Result<bool, Fault> {
    for entry in listing.iter().filter(|entry| entry.stat.kind != Kind::Directory) {
        let stored = staging.stat_entry(entry.name)?;
        let (is, should) = (Attributes::from(&stored), Attributes::from(entry.stat));
        if stored.kind != entry.stat.kind || validate::difference(stored.kind, &is, &should).is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The sub-directories, which may have a `scaffold`; `None` if one of them is not known.
fn children<D>(
    task: &Task,
    opened: &Opened<D>,
    scaffold: bool,
    hands: &Hands,
) -> Result<Option<Vec<Task>>, RunError> {
    let parent = Parent { id: task.id, mtime: opened.stat.mtime };
    let child = |name: &[u8], id: DirId| Task {
        path: path::join(&task.path, name),
        id,
        parent,
        own: Own::Unread,
        past: Past { catalog: true, scaffold },
        place: opened.place,
    };
    let mut children = Vec::new();
    for entry in opened.scanned.listing.iter().filter(|entry| entry.stat.kind == Kind::Directory) {
        match hands.reader.child(task.id, entry.name)? {
            Some(id) => children.push(child(entry.name, id)),
            None => return Ok(None),
        }
    }
    // Work is taken from the end: so it goes on with the first name.
    children.reverse();
    Ok(Some(children))
}

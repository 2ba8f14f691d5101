//! Keep: the short way for a directory in which nothing has changed and whose scaffold is right already. No version is
//! read, none is written, and nothing in it is touched.

use linksnap_catalog::DirId;
use linksnap_inode::path;
use linksnap_inode::{DirFd, Fault, Kind, Names};

use crate::listing::Listing;
use crate::stages::build::{self, Opened, Own, Parent, Past, Task};
use crate::stages::fingerprint;
use crate::stages::run::{Hands, Run, RunError};
use crate::stages::validate::{self, Attributes, Depth};

/// Takes the short way if the directory's fingerprint says that it may be taken; then its sub-directories are returned.
/// `None`: nothing was done but, at most, given the staging directory its attributes.
pub(super) fn keep<D>(
    run: &Run<'_>,
    task: &Task,
    opened: &Opened<D>,
    (staging, scaffold): (&DirFd, &Names),
    hands: &mut Hands,
) -> Result<Option<Vec<Task>>, RunError> {
    // Versions of two minds take the long way.
    if !task.past.catalog || !task.past.scaffold || run.resumes {
        return Ok(None);
    }
    let Some(known) = hands.reader.fingerprint(task.id)? else { return Ok(None) };
    let Opened { stat, xattrs, scanned, .. } = opened;
    if fingerprint::of_unchanged((stat, xattrs), &scanned.listing, scaffold) != Some(known) {
        return Ok(None);
    }
    // What the source says now is what was recorded of it: so the stored inodes can be held against that.
    let is_turn = run.depth_for(task.id) == Depth::All;
    if is_turn
        && !is_sound(staging, &scanned.listing).map_err(|fault| run.staging_fault(&task.path, fault))?
    {
        return Ok(None);
    }
    let Some(children) = children(task, opened, hands)? else { return Ok(None) };
    if build::dress(run, task, staging, stat, xattrs)?.anything() {
        return Ok(None);
    }
    scanned.problems.iter().for_each(|problem| run.problem(problem.clone()));
    let counts = &mut hands.counts;
    counts.excluded += scanned.excluded;
    counts.kept_directories += 1;
    counts.add_entry(stat);
    for entry in scanned.listing.iter().filter(|entry| entry.stat.kind != Kind::Directory) {
        counts.add_entry(entry.stat);
        counts.unchanged += 1;
        counts.kept_entries += 1;
    }
    Ok(Some(children))
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

/// The sub-directories; `None` if one of them is not known.
fn children<D>(task: &Task, opened: &Opened<D>, hands: &Hands) -> Result<Option<Vec<Task>>, RunError> {
    let parent = Parent { id: task.id, mtime: opened.stat.mtime };
    let child = |name: &[u8], id: DirId| Task {
        path: path::join(&task.path, name),
        id,
        parent,
        own: Own::Unread,
        past: Past { catalog: true, scaffold: true },
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

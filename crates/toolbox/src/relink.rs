//! Carries out a plan that changes symbolic links.
//!
//! **Invariant:** each link is looked at again before it is touched. It is left alone unless it is in the same directory,
//! says what it said, leads where it led, and its new text leads where the plan says. What is about to be done is on disk,
//! in the journal, before it is done.

use std::path::PathBuf;

use linksnap_inode::path::{above, join, split};
use linksnap_inode::{DirFd, Errno, Fault, FsError};

use crate::journal::{self, Change, Journal, Text};
use crate::place::Place;
use crate::swap::{self, Expected, SwapError};
use crate::symlink::Symlink;

/// So many links are recorded at once: each waits for the disk no longer than its share, and few directories are open.
const BATCH: usize = 128;

/// One link, and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The link as it was when this was planned.
    pub link: Symlink,
    /// Device and inode number of what it leads to; `None` if it leads nowhere.
    pub leads_to: Option<(u64, u64)>,
    /// What is to become of it.
    pub deed: Deed,
}

/// What is to become of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It gets another text.
    Retarget {
        /// What it is to say.
        text: Vec<u8>,
        /// Device and inode number of what that leads to.
        to: (u64, u64),
    },
    /// It goes away.
    Remove,
}

/// What became of a link that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What the plan says.
    Done,
    /// It leads somewhere by now, so it needs no repair: left alone.
    Mended,
}

/// Why a link was left alone.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It, its directory, or what it leads to is another.
    #[error("it is no longer what it was when this was planned: left alone")]
    Changed,
    /// Others were at it at that very moment; something that was there is kept under this name.
    #[error("it changed at that very moment; something that was there is kept as {}", .0.display())]
    Kept(PathBuf),
    /// What the new text leads to is not, or no longer, what the plan says.
    #[error("its new text would not lead where the plan says: left alone")]
    Elsewhere,
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// A step that may be done.
struct Ready<'a> {
    step: &'a Step,
    place: Place,
    change: Change,
}

/// Does the steps, in their order, until `is_stopped`; `told` hears what became of each. `roots` are those that the links
/// were found below.
///
/// # Errors
/// If the journal cannot be written: then nothing is done that is not in it.
pub fn carry_out(
    roots: &[PathBuf],
    steps: &[Step],
    journal: &mut Journal,
    is_stopped: &dyn Fn() -> bool,
    told: &mut dyn FnMut(&Step, Result<Outcome, Refusal>),
) -> Result<(), Fault> {
    let opened: Vec<Option<DirFd>> = roots.iter().map(|root| DirFd::open_root(root).ok()).collect();
    for batch in steps.chunks(BATCH) {
        if is_stopped() {
            break;
        }
        let mut ready = Vec::new();
        for step in batch {
            match prepare(step, roots, &opened) {
                Ok(Some(one)) => ready.push(one),
                Ok(None) => told(step, Ok(Outcome::Mended)),
                Err(refusal) => told(step, Err(refusal)),
            }
        }
        let changes: Vec<Change> = ready.iter().map(|one| one.change.clone()).collect();
        journal.record_all(&changes)?;
        for one in &ready {
            told(one.step, one.carry_out());
        }
    }
    Ok(())
}

/// Looks whether all is as it was planned upon; `None` if the link needs no repair any more.
fn prepare<'a>(
    step: &'a Step,
    roots: &[PathBuf],
    opened: &[Option<DirFd>],
) -> Result<Option<Ready<'a>>, Refusal> {
    let link = &step.link;
    let path = link.shown(roots);
    let fs = |fault: Fault| Refusal::Fs(fault.at(&path));
    let place = find(link, path.clone(), opened[link.root].as_ref())?;
    let same = place.dir.stat().map_err(fs)?.identity() == link.dir
        && place.dir.read_link(&place.name).is_ok_and(|text| text == link.text);
    if !same {
        return Err(Refusal::Changed);
    }
    let leads_to = leads_to(&place.dir, &place.name).map_err(fs)?;
    match (step.leads_to, leads_to) {
        (None, Some(_)) => return Ok(None),
        (planned, now) if planned != now => return Err(Refusal::Changed),
        _ => {}
    }
    if let Deed::Retarget { text, to } = &step.deed
        && place.dir.stat_target(text).ok().map(|stat| stat.identity()) != Some(*to)
    {
        return Err(Refusal::Elsewhere);
    }
    let change = step.change(&place).map_err(fs)?;
    Ok(Some(Ready { step, place, change }))
}

/// The place of a link, nothing followed on the way from its root.
fn find(link: &Symlink, path: PathBuf, root: Option<&DirFd>) -> Result<Place, Refusal> {
    let (parent, name) = split(&link.path);
    if name.is_empty() {
        return Ok(Place::find(&path)?);
    }
    let dir = root.ok_or(Refusal::Changed)?.open_beneath(parent);
    match dir {
        Ok(dir) => Ok(Place { dir, name: name.to_vec(), path }),
        Err(fault) if fault.is(Errno::NOENT) || is_no_directory(fault) => Err(Refusal::Changed),
        Err(fault) => Err(fault.at(above(&path)).into()),
    }
}

fn is_no_directory(fault: Fault) -> bool {
    fault.is(Errno::NOTDIR) || fault.is(Errno::LOOP)
}

/// What a link leads to; `None` if it is certain that it leads nowhere.
fn leads_to(dir: &DirFd, name: &[u8]) -> Result<Option<(u64, u64)>, Fault> {
    match dir.stat_target(name) {
        Ok(stat) => Ok(Some(stat.identity())),
        Err(fault) if fault.is(Errno::NOENT) || is_no_directory(fault) => Ok(None),
        Err(fault) if fault.is(Errno::NAMETOOLONG) => Ok(None),
        Err(fault) => Err(fault),
    }
}

impl Step {
    fn change(&self, place: &Place) -> Result<Change, Fault> {
        let real = place.dir.real_path()?;
        let path =
            if real == b"/" { [b"/", place.name.as_slice()].concat() } else { join(&real, &place.name) };
        let (path, before) = (Text::of(&path), Text::of(&self.link.text));
        Ok(match &self.deed {
            Deed::Retarget { text, .. } => Change::Retarget { path, before, after: Text::of(text) },
            Deed::Remove => {
                let stat = place.dir.stat_entry(&place.name)?;
                Change::Remove { path, before, owner: Some((stat.uid, stat.gid)) }
            }
        })
    }
}

impl Ready<'_> {
    fn carry_out(&self) -> Result<Outcome, Refusal> {
        let (dir, name) = (&self.place.dir, &self.place.name);
        let expected = Expected::Symlink(self.step.link.text.clone());
        // What was done before may have mended it: what is repaired leads on.
        if self.step.leads_to.is_none() && leads_to(dir, name).is_ok_and(|there| there.is_some()) {
            return Ok(Outcome::Mended);
        }
        let done = match &self.step.deed {
            Deed::Retarget { text, .. } => journal::retarget(dir, name, &expected, text),
            Deed::Remove => swap::remove(dir, name, &expected),
        };
        done.map(|()| Outcome::Done).map_err(|error| match error {
            SwapError::Changed => Refusal::Changed,
            SwapError::Kept(name) => Refusal::Kept(self.place.beside(&name)),
            SwapError::Fault(fault) => fault.at(&self.place.path).into(),
        })
    }
}

//! Carrying out what was planned, if all is still as it was then.

use linksnap_inode::{DirFd, Errno, Fault, Stat};

use crate::ln::{New, Now, Plan, Refusal};
use crate::place::Place;
use crate::swap::{self, Expected, SwapError};

/// A link that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// What had the name before.
    pub before: Option<Seen>,
    /// What has it now.
    pub after: Seen,
}

/// What was seen of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub inode: u64,
    /// How many names it had then.
    pub links: u32,
}

impl Seen {
    fn of(stat: &Stat) -> Self {
        Self { inode: stat.inode, links: stat.links }
    }
}

/// Why nothing was made; all is as it was.
#[derive(Debug, thiserror::Error)]
pub enum LnError {
    /// Something is no longer what it was.
    #[error("{} is no longer what it was when this was planned", .0.display())]
    Changed(std::path::PathBuf),
    /// Others were at it at that very moment; something that was there is kept under this name.
    #[error("{} changed at that very moment; something that was there is kept as {}", .0.display(), .1.display())]
    Kept(std::path::PathBuf, std::path::PathBuf),
    /// It cannot be made.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Makes the link.
///
/// # Errors
/// If the target or what has the link's name is another one than the plan saw, or the kernel refuses.
pub fn make(plan: &Plan) -> Result<Done, LnError> {
    let place = &plan.place;
    let new = |dir: &DirFd, name: &[u8]| match &plan.new {
        New::Symbolic(text) => dir.make_symlink(name, text),
        New::Hard(source, target) => link(source, target, dir, name),
    };
    let before = match &plan.now {
        Now::Same(stat) => return Ok(Done { before: Some(Seen::of(stat)), after: Seen::of(stat) }),
        Now::Free => {
            swap::create(&place.dir, &place.name, new).map_err(|fault| plan.error(fault))?;
            None
        }
        Now::Taken(expected, stat) => {
            swap::replace(&place.dir, &place.name, expected, new).map_err(|error| match error {
                SwapError::Changed => LnError::Changed(place.path.clone()),
                SwapError::Kept(name) => LnError::Kept(place.path.clone(), place.beside(&name)),
                SwapError::Fault(fault) => plan.error(fault),
            })?;
            Some(Seen::of(stat))
        }
    };
    let after = place.stat().map_err(Refusal::from)?;
    Ok(Done { before, after: Seen::of(&after) })
}

/// Links what was planned: another inode may have the name by now.
fn link(source: &Place, target: &Stat, dir: &DirFd, name: &[u8]) -> Result<(), Fault> {
    source.dir.link(&source.name, dir, name)?;
    match dir.stat_entry(name)?.identity() == target.identity() {
        true => Ok(()),
        false => Err(Fault::new("link", Errno::STALE)),
    }
}

impl Plan {
    fn error(&self, fault: Fault) -> LnError {
        match (fault.errno, &self.now) {
            (Errno::STALE | Errno::NOENT, _) => LnError::Changed(self.wish.target.clone()),
            (Errno::EXIST, Now::Free) => LnError::Changed(self.wish.link.clone()),
            _ => self.explain(fault).into(),
        }
    }
}

/// Exchanges what two names stand for, at once.
///
/// # Errors
/// If one of them is missing, or is no longer what was expected: then they are changed back.
pub fn exchange(one: (&Place, &Expected), other: (&Place, &Expected)) -> Result<(), LnError> {
    let ((a, expected_a), (b, expected_b)) = (one, other);
    let swap = || {
        a.dir.exchange_with(&a.name, &b.dir, &b.name).map_err(|fault| match fault.errno {
            Errno::XDEV => Refusal::Apart(a.path.clone(), b.path.clone()),
            Errno::INVAL => Refusal::Entangled(a.path.clone(), b.path.clone()),
            _ => fault.at(&a.path).into(),
        })
    };
    let is = |place: &Place, expected: &Expected| {
        Expected::now(&place.dir, &place.name).is_ok_and(|(now, _)| now == *expected)
    };
    if !is(a, expected_a) || !is(b, expected_b) {
        return Err(LnError::Changed(a.path.clone()));
    }
    swap()?;
    if is(a, expected_b) && is(b, expected_a) {
        return Ok(());
    }
    swap()?;
    Err(LnError::Changed(a.path.clone()))
}

//! Making links: what would be made, replaced or refused, and why; then doing it.
//!
//! **Invariant:** a name that exists leads somewhere at every moment, and nothing is replaced but what the plan saw.

mod deed;
mod refusal;
mod text;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use linksnap_inode::dir::path_bytes;
use linksnap_inode::filesystem::{Filesystem, Nature};
use linksnap_inode::path::{absolute, as_path};
use linksnap_inode::{Detail, DirFd, Errno, Fault, Handle, Kind, Stat, limits, mounts};

pub use crate::ln::deed::{Done, LnError, Seen, exchange, make};
pub use crate::ln::refusal::Refusal;
use crate::place::Place;
use crate::protected;
use crate::resolve::{Assumed, Demand, Stop, Why, resolve, resolve_from};
use crate::swap::Expected;

/// Which links are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Making {
    /// Further names of the same inode.
    Hard,
    /// Symbolic links with the text as typed.
    Symbolic,
    /// Symbolic links with the shortest text from the link's directory.
    Relative,
    /// Symbolic links with the target's path from `/`.
    Absolute,
}

/// One link that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What it is to lead to, as typed.
    pub target: PathBuf,
    /// Where it is to be.
    pub link: PathBuf,
}

/// One link that is planned.
#[derive(Debug)]
pub struct Plan {
    /// What was wanted.
    pub wish: Wish,
    /// Where it is to be.
    pub place: Place,
    /// What is made.
    pub new: New,
    /// What is there now.
    pub now: Now,
    /// Why a symbolic link would lead nowhere.
    pub dangles: Option<Stop>,
}

/// What is made.
#[derive(Debug)]
pub enum New {
    /// A further name of what has this one.
    Hard(Place, Stat),
    /// A symbolic link with this text.
    Symbolic(Vec<u8>),
}

/// What has the link's name now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Now {
    /// Nothing.
    Free,
    /// The very link that is wanted.
    Same(Stat),
    /// Something else, which would be replaced.
    Taken(Expected, Stat),
}

/// What to do with a last argument that is a directory, or a link to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Links are made in it.
    Enter,
    /// Links are made in it if it is a directory itself; a link to one is replaced.
    EnterUnlessLink,
    /// It is the link's own name.
    Name,
}

/// The links that `ln TARGET… DESTINATION` stands for; `None` if there are several for one name.
#[must_use]
pub fn wishes(targets: &[PathBuf], last: &Path, destination: Destination) -> Option<Vec<Wish>> {
    let is_directory = match destination {
        Destination::Name => false,
        Destination::Enter => Handle::open(&last.join(".")).is_ok(),
        Destination::EnterUnlessLink => {
            Handle::open(last).and_then(|found| found.stat()).is_ok_and(|stat| stat.kind == Kind::Directory)
        }
    };
    match targets {
        [target] if !is_directory => Some(vec![Wish { target: target.clone(), link: last.to_path_buf() }]),
        _ if is_directory => Some(targets.iter().map(|target| within(target, last)).collect()),
        _ => None,
    }
}

/// The link of the same name as `target` in `dir`.
#[must_use]
pub fn within(target: &Path, dir: &Path) -> Wish {
    let name = target.file_name().unwrap_or_else(|| OsStr::from_bytes(b"."));
    Wish { target: target.to_path_buf(), link: dir.join(name) }
}

/// Looks at what is there, and says what would be made.
///
/// # Errors
/// Why the link cannot be made, whoever wants it.
pub fn plan(wish: Wish, making: Making) -> Result<Plan, Refusal> {
    let place = Place::find(&wish.link)?;
    let dir = place.dir.look_at(b".").and_then(|dir| dir.detail()).map_err(|fault| fault.at(&wish.link))?;
    let new = match making {
        Making::Hard => hard(&wish, &place, &dir)?,
        _ => New::Symbolic(text::of(&wish, making, &place)?),
    };
    let now = now(&place, &new)?;
    let plan = Plan { dangles: dangles(&new, &place, &dir)?, wish, place, new, now };
    plan.refuse_flags(&dir)?;
    match (&plan.now, plan.dangles.as_ref().map(|stop| stop.why)) {
        (Now::Taken(Expected::Inode(_), _), Some(Why::Loop)) => Err(Refusal::Itself(plan.place.path)),
        _ => Ok(plan),
    }
}

/// Refuses the second of two links of one name.
///
/// # Errors
/// [`Refusal::Twice`].
pub fn refuse_twice(plans: &[Plan], next: &Plan) -> Result<(), Refusal> {
    let key = |plan: &Plan| (plan.place.dir.stat().ok().map(|stat| stat.identity()), plan.place.name.clone());
    let next_key = key(next);
    match plans.iter().any(|plan| key(plan) == next_key) {
        true => Err(Refusal::Twice(next.wish.link.clone())),
        false => Ok(()),
    }
}

fn hard(wish: &Wish, place: &Place, dir: &Detail) -> Result<New, Refusal> {
    let path = wish.target.clone();
    if path_bytes(&path).ends_with(b"/") {
        return Err(refuse_slash(&path));
    }
    let source = Place::find(&path)?;
    let held = source.dir.look_at(&source.name).map_err(|fault| match fault.errno {
        Errno::NOENT => Refusal::NoTarget(path.clone()),
        _ => fault.at(&path).into(),
    })?;
    let target = held.detail().map_err(|fault| fault.at(&path))?;
    if target.stat.kind == Kind::Directory {
        return Err(Refusal::Directory(path));
    }
    // Of the directories: on stacked filesystems a file can have another device than the directory it is in.
    let above = source.dir.look_at(b".").and_then(|above| above.detail()).map_err(|fault| fault.at(&path))?;
    if (above.mount, above.stat.device) != (dir.mount, dir.stat.device) {
        return Err(elsewhere(wish, &above, dir));
    }
    let flags = held.flags().unwrap_or(target.flags);
    if let Some(flag) = flags.barrier() {
        return Err(Refusal::Flagged { path, flag, what: "it can get no further name" });
    }
    if is_protected(&source, &target.stat) {
        return Err(Refusal::Protected(path));
    }
    let filesystem = Filesystem::of(&place.dir).map_err(|fault| fault.at(&path))?;
    match filesystem.nature() {
        Nature::NoLinks => return Err(Refusal::NoHardLinks { path, filesystem: filesystem.name() }),
        Nature::Disk { links: Some(most) } if target.stat.links >= most => {
            return Err(Refusal::TooManyLinks {
                path,
                links: target.stat.links,
                filesystem: filesystem.name(),
            });
        }
        _ => {}
    }
    Ok(New::Hard(source, target.stat))
}

/// What ends in a slash is a directory, or nothing at all.
fn refuse_slash(path: &Path) -> Refusal {
    match resolve(path_bytes(path), Demand::Kernel).map(|found| found.stop().cloned()) {
        Ok(None) => Refusal::Directory(path.to_path_buf()),
        Ok(Some(stop)) => Fault::new("find", stop.errno()).at(path).into(),
        Err(fault) => fault.at(path).into(),
    }
}

/// Does the kernel refuse others than the owner a link (`protected_hardlinks`, `proc_sys_fs(5)`)? Root may, as a rule.
fn is_protected(source: &Place, target: &Stat) -> bool {
    let user = limits::effective_user();
    if user == 0 || user == target.uid || !protected::hard_links() {
        return false;
    }
    let is_privileged = target.mode & 0o4000 != 0 || target.mode & 0o2010 == 0o2010;
    target.kind != Kind::File || is_privileged || !source.dir.may_read_and_write(&source.name)
}

fn elsewhere(wish: &Wish, from: &Detail, to: &Detail) -> Refusal {
    // Where nobody tells, it is another one all the same.
    let table = mounts::all().unwrap_or_default();
    let name = |detail: &Detail| {
        let mount = table.iter().find(|mount| Some(mount.id) == detail.mount);
        mount.map_or_else(
            || "another one".to_owned(),
            |mount| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                format!("{} ({}, mounted on {})", mount.kind, text(&mount.source), text(&mount.point))
            },
        )
    };
    let (target, link) = (wish.target.clone(), wish.link.clone());
    Refusal::Elsewhere { target, from: name(from), link, to: name(to) }
}

fn now(place: &Place, new: &New) -> Result<Now, Refusal> {
    let (expected, stat) = match Expected::now(&place.dir, &place.name) {
        Err(fault) if fault.is(Errno::NOENT) => return Ok(Now::Free),
        other => other.map_err(|fault| fault.at(&place.path))?,
    };
    let is_same = match (new, &expected) {
        (New::Hard(_, target), _) => target.identity() == stat.identity(),
        (New::Symbolic(text), Expected::Symlink(found)) => text == found,
        (New::Symbolic(_), Expected::Inode(_)) => false,
    };
    match stat.kind {
        _ if is_same => Ok(Now::Same(stat)),
        Kind::Directory => Err(Refusal::InTheWay(place.path.clone())),
        _ => Ok(Now::Taken(expected, stat)),
    }
}

/// Where would a symbolic link lead, if it were there?
fn dangles(new: &New, place: &Place, dir: &Detail) -> Result<Option<Stop>, Refusal> {
    let New::Symbolic(text) = new else { return Ok(None) };
    let assumed = Assumed { dir: dir.stat.identity(), name: &place.name, text };
    let start = place.dir.look_at(b".").map_err(|fault| fault.at(&place.path))?;
    let found = resolve_from(start, b".", text, Demand::Kernel, Some(assumed))
        .map_err(|fault| fault.at(&place.path))?;
    Ok(found.stop().cloned())
}

impl Plan {
    /// Would the directory, or what is in the way, refuse?
    fn refuse_flags(&self, dir: &Detail) -> Result<(), Refusal> {
        if matches!(self.now, Now::Same(_)) {
            return Ok(());
        }
        let path = linksnap_inode::path::above(&self.place.path).to_path_buf();
        let is_taken = matches!(self.now, Now::Taken(..));
        match dir.flags.barrier() {
            Some(flag @ "immutable") => {
                return Err(Refusal::Flagged { path, flag, what: "no name in it can be made or replaced" });
            }
            Some(flag) if is_taken => {
                return Err(Refusal::Flagged { path, flag, what: "no name in it can be replaced" });
            }
            _ => {}
        }
        if is_taken
            && let Ok(old) = self.place.dir.look_at(&self.place.name)
            && let Some(flag) = old.detail().ok().and_then(|old| old.flags.barrier())
        {
            let path = self.place.path.clone();
            return Err(Refusal::Flagged { path, flag, what: "it can be neither replaced nor removed" });
        }
        Ok(())
    }

    /// Does it make something that must be asked about first?
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.dangles.is_some() && !matches!(self.now, Now::Same(_)) || matches!(self.now, Now::Taken(..))
    }

    /// Why the kernel refused a hard link, in the words of a plan.
    fn explain(&self, fault: Fault) -> Refusal {
        let path = self.wish.target.clone();
        let New::Hard(_, target) = &self.new else { return fault.at(&self.wish.link).into() };
        let filesystem = || {
            Filesystem::of(&self.place.dir)
                .map_or_else(|_| "this filesystem".to_owned(), |found| found.name())
        };
        match fault.errno {
            Errno::MLINK => Refusal::TooManyLinks { path, links: target.links, filesystem: filesystem() },
            Errno::PERM if target.uid != limits::effective_user() && protected::hard_links() => {
                Refusal::Protected(path)
            }
            Errno::PERM | Errno::NOTSUP => Refusal::NoHardLinks { path, filesystem: filesystem() },
            _ => fault.at(&self.wish.link).into(),
        }
    }
}

/// The path of a directory without links, from `/`.
fn real(path: &Path) -> Result<Vec<u8>, Refusal> {
    let fault = |fault: Fault| Refusal::from(fault.at(path));
    let found = resolve(path_bytes(path), Demand::Nothing).map_err(fault)?;
    match (found.stop().map(|stop| stop.why), found.path) {
        (None, Some(path)) => Ok(path),
        (Some(Why::Fault(why)), _) => Err(fault(why)),
        _ => Err(fault(Fault::new("find the path of", Errno::NOENT))),
    }
}

/// The directory's own path, for texts that start there.
fn real_dir(dir: &DirFd, path: &Path) -> Result<Vec<u8>, Refusal> {
    let known = dir.look_at(b".").ok().and_then(|dir| dir.path()).map(|path| path[1..].to_vec());
    known.map_or_else(|| real(linksnap_inode::path::above(path)), Ok)
}

fn from_root(path: &[u8]) -> PathBuf {
    as_path(&absolute(path)).to_path_buf()
}

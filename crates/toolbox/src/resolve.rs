//! Where a path leads: each step in the order in which the kernel takes it, and why it goes no further.
//!
//! **Invariant:** `..` is the directory above the one that was reached, never the part of the text before it; what is
//! reached is what the kernel reaches (`path_resolution(7)`).
//!
//! Each step holds the directory that was reached and looks for the next name in it ([`Handle`]), so a long path costs a
//! few descriptors, not a path of its own for each step.

mod outcome;
mod rest;

use linksnap_inode::detail::Detail;
use linksnap_inode::path::{as_path, join, split};
use linksnap_inode::{Errno, Fault, Handle, Kind};

use crate::protected;
pub use crate::resolve::outcome::{End, Hop, Link, Resolution, Stop, Why};
use crate::resolve::rest::{Rest, Turn};

/// Most links that the kernel follows in one path (`MAXSYMLINKS`, `path_resolution(7)`).
pub const MOST_LINKS: u32 = 40;

/// What must be there, and whose rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// What the kernel demands of a path that is opened: also that there are no more than [`MOST_LINKS`] links, and none
    /// that it refuses to follow.
    Kernel,
    /// Everything must be there, as `readlink -e` has it.
    All,
    /// Everything but the last name, as `readlink -f` has it.
    AllButLast,
    /// Nothing, as `readlink -m` has it.
    Nothing,
}

/// A link that is to be thought of as being there: to see beforehand where it would lead.
#[derive(Debug, Clone, Copy)]
pub struct Assumed<'a> {
    /// Device and inode number of its directory.
    pub dir: (u64, u64),
    /// Its name there.
    pub name: &'a [u8],
    /// Its text.
    pub text: &'a [u8],
}

/// Follows `path`, from the working directory if it is relative.
///
/// # Errors
/// If the starting point itself cannot be found.
pub fn resolve(path: &[u8], demand: Demand) -> Result<Resolution, Fault> {
    let from = if path.starts_with(b"/") { "/" } else { "." };
    let start = Handle::open(as_path(from.as_bytes()))?;
    resolve_from(start, from.as_bytes(), path, demand, None)
}

/// Follows `path` from the directory `start`, which is called `name` in the first step, while a link is assumed.
///
/// # Errors
/// If `start` cannot be looked at.
pub fn resolve_from(
    start: Handle,
    name: &[u8],
    path: &[u8],
    demand: Demand,
    assumed: Option<Assumed<'_>>,
) -> Result<Resolution, Fault> {
    let start = if path.starts_with(b"/") { Handle::open(as_path(b"/"))? } else { start };
    let mut walker = Walker::new(start, path, demand, assumed)?;
    walker.show_start(name);
    let stopped = match path {
        b"" => Err(Why::Missing),
        _ => walker.walk(),
    };
    Ok(walker.end(stopped))
}

struct Walker<'a> {
    demand: Demand,
    assumed: Option<Assumed<'a>>,
    /// The directory that was reached.
    at: Handle,
    detail: Detail,
    /// Its path.
    path: Option<Vec<u8>>,
    /// How many names below it the path is already that are not there.
    absent: usize,
    /// What was reached and is no directory: then nothing is left to look for.
    found: Option<(Handle, Detail)>,
    rest: Rest,
    links: u32,
    hops: Vec<Hop>,
    /// The name that is being looked for.
    name: Vec<u8>,
    depth: usize,
}

impl<'a> Walker<'a> {
    fn new(start: Handle, path: &[u8], demand: Demand, assumed: Option<Assumed<'a>>) -> Result<Self, Fault> {
        Ok(Self {
            demand,
            assumed,
            detail: start.detail()?,
            path: start.path().map(|path| path[1..].to_vec()),
            at: start,
            absent: 0,
            found: None,
            rest: Rest::of(path),
            links: 0,
            hops: Vec::new(),
            name: Vec::new(),
            depth: 0,
        })
    }

    fn show_start(&mut self, name: &[u8]) {
        let name = if self.path.as_deref() == Some(b"") { b"/" } else { name };
        self.push(name.to_vec(), 0, self.path.clone(), self.detail);
    }

    fn walk(&mut self) -> Result<(), Why> {
        while let Some((name, depth)) = self.rest.next() {
            (self.name, self.depth) = (name, depth);
            match self.name.as_slice() {
                b"." => self.stay()?,
                b".." => self.rise()?,
                _ => self.descend()?,
            }
        }
        match (&self.path, self.demand) {
            (None, Demand::All | Demand::AllButLast | Demand::Nothing) => Err(Why::Nameless),
            _ => Ok(()),
        }
    }

    fn end(self, stopped: Result<(), Why>) -> Resolution {
        let end = match (stopped, self.found) {
            (Err(why), _) => {
                let within = self.path.clone();
                End::Stopped(Stop { name: self.name, depth: self.depth, within, why })
            }
            (Ok(()), _) if self.absent > 0 => End::Absent,
            (Ok(()), Some((handle, detail))) => End::Reached(handle, Box::new(detail)),
            (Ok(()), None) => End::Reached(self.at, Box::new(self.detail)),
        };
        Resolution { hops: self.hops, path: self.path, end }
    }

    /// `.`: only that the directory may be searched.
    fn stay(&mut self) -> Result<(), Why> {
        if self.absent > 0 {
            return Ok(());
        }
        match self.at.step(b".") {
            Err(fault) if self.demand != Demand::Nothing => Err(why(fault)),
            _ => Ok(()),
        }
    }

    /// `..`.
    fn rise(&mut self) -> Result<(), Why> {
        let above = self.path.as_deref().map(|path| split(path).0.to_vec());
        if self.absent > 0 {
            self.absent -= 1;
            self.path = above;
            return Ok(());
        }
        let handle = match self.at.step(b"..") {
            // Of a directory that may not be searched the one above has a path all the same.
            Err(fault) if fault.is(Errno::ACCESS) && self.demand == Demand::Nothing => {
                let path = above.as_deref().map(linksnap_inode::path::absolute).ok_or(why(fault))?;
                Handle::open(as_path(&path))
            }
            other => other,
        };
        let handle = handle.map_err(why)?;
        let detail = handle.detail().map_err(Why::Fault)?;
        // Only the kernel knows what is above a place that has no path here.
        let path = above.or_else(|| handle.path().map(|path| path[1..].to_vec()));
        self.push(self.name.clone(), self.depth, path.clone(), detail);
        (self.at, self.detail, self.path) = (handle, detail, path);
        Ok(())
    }

    fn descend(&mut self) -> Result<(), Why> {
        if self.absent > 0 {
            return self.miss(Why::Missing);
        }
        if let Some(text) = self.assumed_text() {
            return self.turn(&Link { text, is_magic: false }, None);
        }
        let handle = match self.at.step(&self.name) {
            Ok(handle) => handle,
            Err(fault) => return self.miss(why(fault)),
        };
        let detail = handle.detail().map_err(Why::Fault)?;
        let path = self.path.as_deref().map(|path| join(path, &self.name));
        self.push(self.name.clone(), self.depth, path.clone(), detail);
        match detail.stat.kind {
            Kind::Symlink => self.follow(&handle, &detail),
            Kind::Directory => self.enter(handle, detail, path),
            kind => self.arrive(handle, detail, path, kind),
        }
    }

    fn enter(&mut self, handle: Handle, detail: Detail, path: Option<Vec<u8>>) -> Result<(), Why> {
        let handle = match detail.mounts_on_visit && !self.rest.is_empty() {
            true => self.at.step_mounting(&self.name).map_err(why)?,
            false => handle,
        };
        (self.at, self.detail, self.path) = (handle, detail, path);
        Ok(())
    }

    /// At something that is neither a link nor a directory: the end, or there should be none more to come.
    fn arrive(
        &mut self,
        handle: Handle,
        detail: Detail,
        path: Option<Vec<u8>>,
        kind: Kind,
    ) -> Result<(), Why> {
        if self.rest.is_empty() {
            (self.found, self.path) = (Some((handle, detail)), path);
            return Ok(());
        }
        if self.demand == Demand::Nothing {
            return self.miss(Why::Missing);
        }
        (self.found, self.path) = (Some((handle, detail)), path);
        Err(Why::NotADirectory(kind))
    }

    /// The name is not there, or cannot be reached.
    fn miss(&mut self, why: Why) -> Result<(), Why> {
        let is_allowed = match self.demand {
            Demand::Nothing => true,
            Demand::AllButLast => why == Why::Missing && self.rest.has_only_slashes(),
            Demand::All | Demand::Kernel => false,
        };
        if !is_allowed {
            return Err(why);
        }
        self.path = self.path.as_deref().map(|path| join(path, &self.name));
        self.absent += 1;
        Ok(())
    }

    fn follow(&mut self, handle: &Handle, detail: &Detail) -> Result<(), Why> {
        let text = match handle.read_link() {
            Ok(text) => text,
            Err(fault) => return self.miss(why(fault)),
        };
        let is_in_proc = || handle.filesystem().is_ok_and(|filesystem| filesystem.name() == "proc");
        let is_magic = is_in_proc() && self.at.is_magic(&self.name).map_err(why)?;
        let link = Link { text, is_magic };
        if let Some(hop) = self.hops.last_mut() {
            hop.link = Some(link.clone());
        }
        self.links += 1;
        if self.demand == Demand::Kernel {
            self.may_follow(handle, detail)?;
        }
        self.turn(&link, Some(handle))
    }

    /// What the kernel forbids beyond permissions (`may_follow_link` in `fs/namei.c`).
    fn may_follow(&self, handle: &Handle, link: &Detail) -> Result<(), Why> {
        if self.links > MOST_LINKS {
            return Err(Why::TooManyLinks);
        }
        let dir = &self.detail.stat;
        let is_foreign =
            link.stat.uid != dir.uid && link.stat.uid != linksnap_inode::limits::effective_user();
        // Of the links on the way only those are refused with which the path ends; where more follows, the kernel goes on.
        let is_last = self.rest.has_only_slashes();
        if dir.mode & 0o1002 == 0o1002 && is_foreign && is_last && protected::symlinks() {
            return Err(Why::ForeignLink);
        }
        match handle.refuses_symlinks() {
            Ok(true) => Err(Why::LinksRefused),
            _ => Ok(()),
        }
    }

    /// Goes on with the text of a link; `held` is the link, if it is there.
    fn turn(&mut self, link: &Link, held: Option<&Handle>) -> Result<(), Why> {
        if link.is_magic && held.is_some() {
            return self.jump();
        }
        let turn = match self.demand {
            Demand::Kernel => self.rest.turn_once(self.detail.stat.identity(), &self.name, &link.text),
            _ => self.rest.turn_late(self.detail.stat.identity(), &self.name, &link.text),
        };
        match turn {
            Turn::Done if link.text.starts_with(b"/") => self.restart(),
            Turn::Done => Ok(()),
            Turn::Loop if self.demand == Demand::Nothing => self.miss(Why::Loop),
            Turn::Loop => Err(Why::Loop),
        }
    }

    fn restart(&mut self) -> Result<(), Why> {
        let root = Handle::open(as_path(b"/")).map_err(Why::Fault)?;
        let detail = root.detail().map_err(Why::Fault)?;
        self.push(b"/".to_vec(), self.rest.depth(), Some(Vec::new()), detail);
        (self.at, self.detail, self.path) = (root, detail, Some(Vec::new()));
        Ok(())
    }

    /// Goes where a magic link leads.
    fn jump(&mut self) -> Result<(), Why> {
        let handle = match self.at.follow(&self.name) {
            Ok(handle) => handle,
            Err(fault) => return self.miss(why(fault)),
        };
        let detail = handle.detail().map_err(Why::Fault)?;
        let path = handle.path().map(|path| path[1..].to_vec());
        let name = path.as_deref().map(linksnap_inode::path::absolute).unwrap_or_default();
        self.push(name, self.depth + 1, path.clone(), detail);
        match detail.stat.kind {
            Kind::Directory => self.enter(handle, detail, path),
            kind => self.arrive(handle, detail, path, kind),
        }
    }

    fn assumed_text(&self) -> Option<Vec<u8>> {
        let assumed = self.assumed?;
        let is_it = assumed.dir == self.detail.stat.identity() && assumed.name == self.name;
        is_it.then(|| assumed.text.to_vec())
    }

    fn push(&mut self, name: Vec<u8>, depth: usize, path: Option<Vec<u8>>, detail: Detail) {
        let place = |detail: &Detail| (detail.mount, detail.stat.device);
        let crosses = self.hops.last().is_some_and(|last| place(&last.detail) != place(&detail));
        self.hops.push(Hop { depth, name, path, detail, link: None, crosses });
    }
}

fn why(fault: Fault) -> Why {
    match fault.errno {
        Errno::NOENT => Why::Missing,
        Errno::ACCESS => Why::Denied,
        _ => Why::Fault(fault),
    }
}

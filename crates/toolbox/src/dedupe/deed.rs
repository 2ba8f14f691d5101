//! Carries a plan out.
//!
//! Names are replaced in batches. First both files of each are opened, looked at and compared byte by byte; then the
//! journal is written; then each name is exchanged, the old file kept beside it under a temporary name. From then on
//! nobody can come to write into it by the names that it had. Only now it is asked whether some process still can
//! (`/proc`), and whether any of the files has changed since it was compared: then all is put back, else the old file is
//! removed.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

use linksnap_inode::content::{self, Buffer, Shape};
use linksnap_inode::lock::Lock;
use linksnap_inode::path::as_path;
use linksnap_inode::{DirFd, Errno, Fault, RegularFile, Stat, Xattrs};

use super::piece::{Piece, pieces};
use super::record;
use super::{File, Left, LeftReason, NameAt, Observe, Plan, Progress, Share};
use crate::journal::{Before, Change, Journal};
use crate::swap::{self, Aside, Expected, SwapError};
use crate::writers;

/// So many names at once: each may keep three descriptors open, and 1,024 is what a process may have by default.
const BATCH_NAMES: usize = 200;

/// A batch is at its end, too, when it has so many bytes to compare: nothing waits long between being compared and
/// being replaced.
const BATCH_BYTES: u64 = 256 << 20;

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// Names that lead to another inode now.
    pub replaced_names: u64,
    /// Inodes that are gone.
    pub freed_inodes: u64,
    /// What they had, in bytes of blocks.
    pub freed_bytes: u64,
    /// Names that were left alone.
    pub left: Vec<Left>,
    /// Processes that could not be looked at: they might have files open for writing.
    pub unseen_processes: u64,
    /// Was it stopped before all was done?
    pub stopped: bool,
}

/// Why a deed ended before its end. What was replaced by then stays so.
#[derive(Debug, thiserror::Error)]
pub enum DeedError {
    /// What is not recorded is not done.
    #[error("the undo file cannot be written")]
    Journal(#[source] Fault),
    /// Nobody can tell whether files are being written.
    #[error("/proc does not tell who has files open")]
    Processes(#[source] Fault),
}

/// Does what the plan says, as far as the files still are what it says.
///
/// # Errors
/// If nothing can be recorded or found out. What concerns single names is in the report.
pub fn deed(plan: &Plan, journal: Option<&mut Journal>, watch: &dyn Observe) -> Result<Report, DeedError> {
    writers::of(&HashSet::new()).map_err(DeedError::Processes)?;
    let mut deed = Deed {
        plan,
        journal,
        watch,
        report: Report::default(),
        buffers: (Buffer::default(), Buffer::default()),
        directories: HashMap::new(),
        survivor: None,
        progress: Progress { of: plan.losers(), ..Progress::default() },
    };
    let mut batch = Vec::new();
    let (mut names, mut bytes) = (0, 0);
    for piece in pieces(plan, BATCH_NAMES) {
        names += piece.names.len();
        bytes += piece.loser.stat.size;
        batch.push(piece);
        if names >= BATCH_NAMES || bytes >= BATCH_BYTES {
            deed.batch(&std::mem::take(&mut batch))?;
            (names, bytes) = (0, 0);
        }
    }
    deed.batch(&batch)?;
    Ok(deed.report)
}

/// The file that stays.
pub(super) struct Survivor {
    file: RegularFile,
    dir: Rc<DirFd>,
    pub(super) name: NameAt,
    pub(super) stat: Stat,
    xattrs: Xattrs,
}

/// Compared, and found to be equal.
struct Ready<'a> {
    piece: Piece<'a>,
    survivor: Rc<Survivor>,
    loser: Lock,
    xattrs: Xattrs,
}

/// Replaced, but not for good.
struct Exchanged<'a> {
    ready: Ready<'a>,
    /// What has the names now.
    new: Expected,
    names: Vec<ExchangedName>,
}

/// A name, its directory, and what it stood for.
type ExchangedName = (NameAt, Rc<DirFd>, Aside);

struct Deed<'a> {
    plan: &'a Plan,
    journal: Option<&'a mut Journal>,
    watch: &'a dyn Observe,
    report: Report,
    buffers: (Buffer, Buffer),
    /// Open for the length of a batch.
    directories: HashMap<u32, Rc<DirFd>>,
    /// Of which group.
    survivor: Option<(usize, Rc<Survivor>)>,
    progress: Progress,
}

impl<'a> Deed<'a> {
    fn batch(&mut self, pieces: &[Piece<'a>]) -> Result<(), DeedError> {
        let mut ready = Vec::new();
        for piece in pieces {
            if self.watch.is_stopped() {
                self.report.stopped = true;
                break;
            }
            match self.check(*piece) {
                Ok(one) => ready.push(one),
                // The watcher has stopped a comparison.
                Err(LeftReason::Fault(fault)) if fault.is(Errno::INTR) => {}
                Err(why) => self.leave(piece, &why),
            }
            self.progress.done += u64::from(piece.is_last);
            self.watch.linked(self.progress);
        }
        self.record(&ready).map_err(DeedError::Journal)?;
        let exchanged: Vec<Exchanged<'a>> = ready.into_iter().filter_map(|one| self.exchange(one)).collect();
        self.settle(exchanged)?;
        self.directories.clear();
        Ok(())
    }

    fn leave(&mut self, piece: &Piece<'_>, why: &LeftReason) {
        for name in piece.names {
            self.leave_name(*name, why.clone());
        }
    }

    fn leave_name(&mut self, name: NameAt, why: LeftReason) {
        self.report.left.push(Left { path: self.plan.path(name), why });
    }

    /// Opens both files, looks whether they are what the plan says, and compares them.
    fn check(&mut self, piece: Piece<'a>) -> Result<Ready<'a>, LeftReason> {
        let survivor = self.survivor(&piece)?;
        let loser = self.open(piece.loser, piece.names)?;
        let xattrs = Xattrs::read(&loser).map_err(LeftReason::Fault)?;
        if !self.plan.options.ignored().xattrs && xattrs != survivor.xattrs {
            return Err(LeftReason::Changed);
        }
        let loser = Lock::try_on(loser).map_err(LeftReason::Fault)?.ok_or(LeftReason::Locked)?;
        let (one, other) = (&mut self.buffers.0, &mut self.buffers.1);
        let shape = Shape::from(&piece.loser.stat);
        let (watch, progress) = (self.watch, &mut self.progress);
        let same = content::is_same(&survivor.file, loser.file(), shape, (one, other), &mut |bytes| {
            progress.bytes += bytes;
            watch.linked(*progress);
            if watch.is_stopped() { Err(Fault::new("compare", Errno::INTR)) } else { Ok(()) }
        });
        match same.map_err(LeftReason::Fault)? {
            true => Ok(Ready { piece, survivor, loser, xattrs }),
            false => Err(LeftReason::Changed),
        }
    }

    fn survivor(&mut self, piece: &Piece<'_>) -> Result<Rc<Survivor>, LeftReason> {
        if let Some((number, survivor)) = &self.survivor
            && *number == piece.number
        {
            return Ok(Rc::clone(survivor));
        }
        let found = &piece.group.survivor;
        let name = found.names[0];
        let open = |deed: &mut Self| {
            let file = deed.open(found, &found.names[..1])?;
            let xattrs = Xattrs::read(&file).map_err(LeftReason::Fault)?;
            let dir = deed.directory(name).map_err(LeftReason::Fault)?;
            Ok(Rc::new(Survivor { file, dir, name, stat: found.stat, xattrs }))
        };
        let survivor: Rc<Survivor> = open(self).map_err(|why: LeftReason| match why {
            LeftReason::Changed => LeftReason::SurvivorChanged,
            other => other,
        })?;
        self.survivor = Some((piece.number, Rc::clone(&survivor)));
        Ok(survivor)
    }

    /// Opens a file by the first of these names that still leads to it.
    fn open(&mut self, found: &File, names: &[NameAt]) -> Result<RegularFile, LeftReason> {
        for name in names {
            let opened =
                self.directory(*name).and_then(|dir| dir.open_file(self.plan.name(*name))).and_then(|file| {
                    let stat = file.stat()?;
                    Ok((file, stat))
                });
            match opened {
                Ok((file, stat)) if is_as_found(&found.stat, &stat) => return Ok(file),
                Ok(_) => {}
                Err(fault)
                    if [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NXIO].contains(&fault.errno) => {}
                Err(fault) => return Err(LeftReason::Fault(fault)),
            }
        }
        Err(LeftReason::Changed)
    }

    fn directory(&mut self, name: NameAt) -> Result<Rc<DirFd>, Fault> {
        if let Some(dir) = self.directories.get(&name.directory) {
            return Ok(Rc::clone(dir));
        }
        let (root, path) = &self.plan.directories[name.directory as usize];
        let dir = Rc::new(self.plan.roots[*root].open_within(path)?);
        self.directories.insert(name.directory, Rc::clone(&dir));
        Ok(dir)
    }

    /// Writes down what is about to be done. Where files only share blocks, there is nothing that could be undone.
    fn record(&mut self, ready: &[Ready<'_>]) -> Result<(), Fault> {
        let plan = self.plan;
        let Some(journal) = self.journal.as_mut().filter(|_| plan.options.share == Share::Links) else {
            return Ok(());
        };
        let changes: Vec<Change> = ready
            .iter()
            .flat_map(|one| record::changes(plan, one.piece, &one.survivor, &one.xattrs))
            .collect();
        if changes.is_empty() { Ok(()) } else { journal.record_all(&changes) }
    }

    /// Exchanges the names of a piece, as far as they still are what they were. Where files only share blocks it is all of
    /// them or none: names of one file stay that.
    fn exchange(&mut self, ready: Ready<'a>) -> Option<Exchanged<'a>> {
        let is_linked = self.plan.options.share == Share::Links;
        let mut new = is_linked.then(|| ready.survivor.stat.identity());
        let mut names = Vec::new();
        let mut first_failure = None;
        for name in ready.piece.names {
            match self.exchange_name(*name, &ready, &mut new, names.first()) {
                Ok(exchanged) => names.push(exchanged),
                Err(why) => {
                    self.leave_name(*name, why.clone());
                    first_failure.get_or_insert(why);
                    if !is_linked {
                        break;
                    }
                }
            }
        }
        // Without an inode there is no name that has it.
        let exchanged = Exchanged { new: Expected::Inode(new.unwrap_or_default()), ready, names };
        match first_failure {
            Some(why) if !is_linked => {
                self.put_back(&exchanged, &why);
                let rest = exchanged.names.len() + 1;
                let rest = exchanged.ready.piece.names.iter().skip(rest);
                rest.for_each(|name| self.leave_name(*name, why.clone()));
                None
            }
            _ => (!exchanged.names.is_empty()).then_some(exchanged),
        }
    }

    /// `new` is the inode that the name is to have; if there is none yet, one is made. `first` has it already.
    fn exchange_name(
        &mut self,
        name: NameAt,
        ready: &Ready<'_>,
        new: &mut Option<(u64, u64)>,
        first: Option<&ExchangedName>,
    ) -> Result<ExchangedName, LeftReason> {
        let plan = self.plan;
        let dir = self.directory(name).map_err(LeftReason::Fault)?;
        let expected = Expected::Inode(ready.piece.loser.stat.identity());
        let aside = swap::set_aside(&dir, plan.name(name), &expected, |dir, temporary| match (*new, first) {
            (None, _) => make_clone(ready, dir, temporary).map(|identity| *new = Some(identity)),
            (Some(identity), Some((first, from, _))) => {
                link(from, plan.name(*first), dir, temporary, identity)
            }
            (Some(identity), None) => {
                let survivor = &ready.survivor;
                link(&survivor.dir, plan.name(survivor.name), dir, temporary, identity)
            }
        });
        aside.map(|aside| (name, dir, aside)).map_err(|error| reason(&error, &self.plan.path(name)))
    }

    /// Removes what was set aside, or puts it back where something is wrong with it.
    fn settle(&mut self, exchanged: Vec<Exchanged<'_>>) -> Result<(), DeedError> {
        if exchanged.is_empty() {
            return Ok(());
        }
        let inodes: HashSet<(u64, u64)> = exchanged
            .iter()
            .flat_map(|one| [one.ready.piece.loser.stat.identity(), one.ready.survivor.stat.identity()])
            .collect();
        let seen = writers::of(&inodes);
        let everywhere = writers::Writers { written: inodes, unseen: 0 };
        let (seen, failed) = seen.map_or_else(|fault| (everywhere, Some(fault)), |seen| (seen, None));
        self.report.unseen_processes = self.report.unseen_processes.max(seen.unseen);
        for one in exchanged {
            match self.trouble(&one, &seen.written) {
                Some(why) => self.put_back(&one, &why),
                None => self.remove(one),
            }
        }
        failed.map_or(Ok(()), |fault| Err(DeedError::Processes(fault)))
    }

    fn trouble(&self, one: &Exchanged<'_>, written: &HashSet<(u64, u64)>) -> Option<LeftReason> {
        let (loser, survivor) = (&one.ready.piece.loser.stat, &one.ready.survivor.stat);
        let shares_inode = self.plan.options.share == Share::Links;
        if written.contains(&loser.identity()) || shares_inode && written.contains(&survivor.identity()) {
            return Some(LeftReason::Written);
        }
        let is_still =
            |found: &Stat, file: &RegularFile| file.stat().is_ok_and(|now| is_as_found(found, &now));
        match () {
            () if !is_still(loser, one.ready.loser.file()) => Some(LeftReason::Changed),
            () if !is_still(survivor, &one.ready.survivor.file) => Some(LeftReason::SurvivorChanged),
            () => None,
        }
    }

    fn put_back(&mut self, one: &Exchanged<'_>, why: &LeftReason) {
        for (name, dir, aside) in one.names.iter().rev() {
            let why = match aside.put_back(dir, self.plan.name(*name), &one.new) {
                Ok(()) => why.clone(),
                Err(_) => {
                    let path = self.plan.path(*name);
                    LeftReason::KeptAs(path.with_file_name(as_path(aside.temporary())))
                }
            };
            self.leave_name(*name, why);
        }
    }

    fn remove(&mut self, one: Exchanged<'_>) {
        for (name, dir, aside) in one.names {
            match aside.remove(&dir) {
                // It may have been removed by others, who took it for a leftover.
                Ok(()) => self.report.replaced_names += 1,
                Err(fault) if fault.is(Errno::NOENT) => self.report.replaced_names += 1,
                Err(fault) => self.leave_name(name, LeftReason::Fault(fault)),
            }
        }
        if one.ready.loser.file().stat().is_ok_and(|stat| stat.links == 0) {
            self.report.freed_inodes += u64::from(self.plan.options.share == Share::Links);
            self.report.freed_bytes += one.ready.piece.loser.stat.blocks * 512;
        }
    }
}

/// All that a plan rests on, but for the bytes and the extended attributes. The number of names is not among it: it is
/// what changes.
fn is_as_found(found: &Stat, now: &Stat) -> bool {
    let relevant =
        |stat: &Stat| (stat.identity(), stat.kind, stat.size, stat.mtime, stat.mode, stat.uid, stat.gid);
    relevant(found) == relevant(now)
}

fn link(from: &DirFd, name: &[u8], to: &DirFd, new: &[u8], identity: (u64, u64)) -> Result<(), Fault> {
    from.link(name, to, new)?;
    match to.stat_entry(new)?.identity() == identity {
        true => Ok(()),
        false => Err(Fault::new("link", Errno::STALE)),
    }
}

/// A new inode with the bytes of the survivor and the attributes of the loser.
fn make_clone(ready: &Ready<'_>, dir: &DirFd, name: &[u8]) -> Result<(u64, u64), Fault> {
    let new = dir.create_file(name)?;
    new.clone_from(&ready.survivor.file)?;
    Before::of(&ready.piece.loser.stat, &ready.xattrs).dress(&new, &ready.xattrs)?;
    Ok(new.stat()?.identity())
}

/// Why the name with this path was left alone.
fn reason(error: &SwapError, path: &Path) -> LeftReason {
    match error {
        SwapError::Changed => LeftReason::Changed,
        SwapError::Kept(name) => LeftReason::KeptAs(path.with_file_name(as_path(name))),
        SwapError::Fault(fault) if fault.is(Errno::MLINK) => LeftReason::LinkLimit,
        SwapError::Fault(fault) if fault.is(Errno::STALE) || fault.is(Errno::NOENT) => {
            LeftReason::SurvivorChanged
        }
        SwapError::Fault(fault) => LeftReason::Fault(*fault),
    }
}

//! Restore of one entry that is no directory: left alone, given its attributes, linked, or made anew.

use linksnap_catalog::{Row, Version};
use linksnap_inode::content::Buffer;
use linksnap_inode::{DirFd, Errno, Fault, Kind, Stat, path};

use super::ahead::Ahead;
use super::deed::{Hands, Here, Restore};
use super::judge::{Bond, Need, Reading, look};
use super::wanted::{Recorded, Wanted};
use super::{Deed, Existing, RestoreError};
use crate::report::ProblemKind;
use crate::stages::groups;
use crate::stages::store::{self, Lacks, STOPPED, StoreError, Tools};

/// Makes an entry under a name in a directory; says whether its bytes are what was backed up.
type Make<'m> = &'m mut dyn FnMut(&DirFd, &[u8]) -> Result<bool, StoreError>;

/// An entry to be restored.
struct Entry<'e> {
    row: Row<'e>,
    wanted: &'e Wanted,
    there: Option<&'e Stat>,
    buffer: &'e mut Buffer,
    ahead: &'e Ahead<'e>,
}

/// Is it another filesystem, one without hard links, or are there as many as can be (`link(2)`)?
fn cannot_be_linked(fault: Fault) -> bool {
    matches!(fault.errno, Errno::MLINK | Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS)
}

fn is_device(kind: Kind) -> bool {
    matches!(kind, Kind::CharDevice | Kind::BlockDevice)
}

impl Restore<'_> {
    pub fn leaf(&self, here: &Here<'_>, row: Row<'_>, hands: &mut Hands<'_>) -> Result<(), RestoreError> {
        let path = here.path(row.name);
        let there = match look(&here.to, row.name) {
            Ok(there) => there,
            Err(fault) => return self.not_kept(&path, fault),
        };
        if there.is_some() && self.scene.options.existing == Existing::Refuse {
            self.problem(ProblemKind::NotKept, &path, "something else is there".to_owned());
            return Ok(());
        }
        let wanted = self.wanted(&hands.reader, row.version)?;
        let watch = |count| self.watch(count);
        let mut reading = Reading { buffer: &mut hands.buffer, watch: &watch };
        let found = there.as_ref().map(|stat| (&here.to, row.name, stat));
        let decided = self.bonds.decide(found, (&wanted, row.version, here.device), &mut reading);
        let (need, bond) = decided.map_err(|fault| match fault {
            STOPPED => RestoreError::Interrupted,
            fault => self.scene.at(&path, fault),
        })?;
        let Hands { buffer, ahead, .. } = hands;
        let mut entry = Entry { row, wanted: &wanted, there: there.as_ref(), buffer, ahead };
        match &bond {
            Bond::Member(stored) => self.join(here, &mut entry, need, stored),
            Bond::None => self.fulfil(here, &mut entry, need).map(drop),
            Bond::First => {
                let done = self.fulfil(here, &mut entry, need);
                let inode = done.as_ref().ok().copied().flatten();
                let own = (row.version, here.device);
                if let Some(other) = self.bonds.settle(own, (&here.task.path, row.name), inode) {
                    self.report_apart(&path, &other, "it is on another filesystem");
                }
                done.map(drop)
            }
        }
    }

    /// Does what has to be done; returns the inode that stands there then, if it is the one that was wanted.
    fn fulfil(
        &self,
        here: &Here<'_>,
        entry: &mut Entry<'_>,
        need: Need,
    ) -> Result<Option<u64>, RestoreError> {
        match (need, entry.there) {
            (Need::Nothing, there) => {
                self.count_unchanged();
                Ok(there.map(|stat| stat.inode))
            }
            (Need::Attributes, Some(there)) => match self.adjust(here, entry, there) {
                Ok(Some(lacks)) => {
                    self.count(entry.row.version, Deed::Attributes);
                    self.report_lacks(&here.path(entry.row.name), lacks);
                    Ok(Some(there.inode))
                }
                // It is not what it was a moment ago, or cannot be opened.
                Ok(None) | Err(StoreError::Source(_) | StoreError::Stopped) => self.make(here, entry, None),
                Err(StoreError::Target(fault)) => {
                    self.not_kept(&here.path(entry.row.name), fault).map(|()| None)
                }
            },
            _ => self.make(here, entry, None),
        }
    }

    /// Gives a file that is there its attributes; `None` if it is another one by now.
    fn adjust(&self, here: &Here<'_>, entry: &Entry<'_>, there: &Stat) -> Result<Option<Lacks>, StoreError> {
        let file = here.to.open_file(entry.row.name).map_err(StoreError::Source)?;
        let is = file.stat().map_err(StoreError::Source)?;
        if is.identity() != there.identity() || is.kind != Kind::File || is.links != 1 {
            return Ok(None);
        }
        store::redress_file(&file, &is, &entry.wanted.stat, &entry.wanted.xattrs).map(Some)
    }

    /// Makes the entry: as a further name of the inode `other`, if there is one and that can be; else from the snapshot.
    /// Returns the inode that was made.
    fn make(
        &self,
        here: &Here<'_>,
        entry: &mut Entry<'_>,
        other: Option<&groups::Stored>,
    ) -> Result<Option<u64>, RestoreError> {
        let path = here.path(entry.row.name);
        let stored = match here.from.stat_entry(entry.row.name) {
            Ok(stored) if stored.kind == entry.row.version.stored_kind() => stored,
            Ok(stored) => {
                let (is, should) = (stored.kind, entry.row.version.stored_kind());
                let message = format!("not restored: what is stored is {is:?}, should be {should:?}");
                self.problem(ProblemKind::Damage, &path, message);
                return Ok(None);
            }
            Err(fault) => {
                self.problem(ProblemKind::Damage, &path, format!("not restored: {fault}"));
                return Ok(None);
            }
        };
        let source = Recorded { dir: &here.from, wanted: entry.wanted };
        let stat = entry.wanted.over(&stored);
        let (wanted, buffer, ahead) = (entry.wanted, &mut *entry.buffer, entry.ahead);
        let (name, there) = (entry.row.name, entry.there);
        let mut inode = None;
        let made = self.put(here, (entry.row, there), &mut |to, new_name| {
            if let Some(other) = other {
                match self.link(other, to, new_name) {
                    Err(fault) if cannot_be_linked(fault) => {
                        self.report_apart(&path, &path::join(&other.dir, &other.name), fault);
                    }
                    linked => return linked.map(|()| true).map_err(StoreError::Target),
                }
            }
            let watch =
                &mut |count| self.watch(count) || ahead.has_failed(count, &here.to, self.scene.monitor);
            let mut tools = Tools { buffer: &mut *buffer, watch, old: None };
            let stored = store::store(&source, (name, &stat), to, new_name, &mut tools)?;
            inode = Some(stored.inode);
            self.report_lacks(&path, stored.lacks);
            Ok(wanted.hash.is_none() || stored.hash == wanted.hash)
        })?;
        Ok(inode.filter(|_| made))
    }

    /// Gives the inode of another name this further one.
    fn join(
        &self,
        here: &Here<'_>,
        entry: &mut Entry<'_>,
        need: Need,
        stored: &groups::Stored,
    ) -> Result<(), RestoreError> {
        if need == Need::Nothing {
            self.count_unchanged();
            return Ok(());
        }
        self.make(here, entry, Some(stored)).map(drop)
    }

    fn link(&self, other: &groups::Stored, to: &DirFd, name: &[u8]) -> Result<(), Fault> {
        self.target.open_beneath(&other.dir)?.link(&other.name, to, name)
    }

    fn report_apart(&self, path: &[u8], other: &[u8], why: impl std::fmt::Display) {
        let other = self.scene.path_of(other);
        let message = format!("a file of its own, not a hard link of {}: {why}", other.display());
        self.problem(ProblemKind::NotKept, path, message);
    }

    /// Lets `make` make the entry, and gives it its name; says whether that was done.
    fn put(
        &self,
        here: &Here<'_>,
        (row, there): (Row<'_>, Option<&Stat>),
        make: Make<'_>,
    ) -> Result<bool, RestoreError> {
        let path = here.path(row.name);
        if there.is_none() && here.task.made.is_some() {
            let made = make(&here.to, row.name);
            return self.after_making(&path, row.version, made, Deed::Create);
        }
        let station = match self.station(here) {
            Ok(station) => station,
            Err(fault) => return self.not_kept(&path, fault).map(|()| false),
        };
        let new_name = station.new_name();
        let made = make(station.new_dir(), &new_name);
        if there.is_some() && matches!(made, Ok(false)) {
            let message = "not restored: the stored bytes are not what was backed up (the hash differs); what \
                           is there was left";
            self.problem(ProblemKind::Damage, &path, message.to_owned());
            return Ok(false);
        }
        let placed = made.and_then(|right| {
            let placed = match there {
                None => station.place(&new_name, &here.to, row.name),
                Some(_) if self.is_fixed(here, row.name, there) => Err(Fault::new("replace", Errno::BUSY)),
                Some(there) => {
                    let place = (self.target, here.task.path.as_slice(), &here.to);
                    station.replace(&new_name, place, (row.name, there.kind))
                }
            };
            placed.map(|()| right).map_err(StoreError::Target)
        });
        let deed = if there.is_some() { Deed::Replace } else { Deed::Create };
        self.after_making(&path, row.version, placed, deed)
    }

    fn is_fixed(&self, here: &Here<'_>, name: &[u8], there: Option<&Stat>) -> bool {
        there.is_some_and(|there| self.scene.is_fixed(&here.to, name, there))
    }

    fn after_making(
        &self,
        path: &[u8],
        version: &Version,
        made: Result<bool, StoreError>,
        deed: Deed,
    ) -> Result<bool, RestoreError> {
        match made {
            Ok(right) => {
                if !right {
                    let message = "restored, but its bytes are not what was backed up: the hash differs";
                    self.problem(ProblemKind::Damage, path, message.to_owned());
                }
                self.count(version, deed);
                Ok(true)
            }
            Err(StoreError::Stopped) => Err(RestoreError::Interrupted),
            Err(StoreError::Target(fault)) => self.not_kept(path, fault).map(|()| false),
            Err(StoreError::Source(fault)) if fault.is(Errno::PERM) && is_device(version.kind) => {
                self.report_device(path);
                Ok(false)
            }
            Err(StoreError::Source(fault)) => {
                self.problem(ProblemKind::Damage, path, format!("not restored: {fault}"));
                Ok(false)
            }
        }
    }
}

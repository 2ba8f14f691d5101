//! Apply: carries out the plan of one directory in staging, and says what must stand there afterwards.
//!
//! A deed takes a decided value and may refuse, never re-decide: a `Reuse` that does not prove itself, and
//! a `Link` that the filesystem refuses, fall back to the copy that the plan had as the alternative.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use linksnap_catalog::{Change, DirId, Holding, NewVersion, Seen, SnapshotId, Version};
use linksnap_inode::content::{self, Shape};
use linksnap_inode::path;
use linksnap_inode::xattr::DEFAULT_ACL;
use linksnap_inode::{DirFd, Errno, Fault, Kind, Stat, Xattrs};

use crate::report::{Problem, ProblemKind};
use crate::stages::clone::{self, Old};
use crate::stages::fingerprint::Fingerprint;
use crate::stages::groups::{self, Turn};
use crate::stages::moved::Whence;
use crate::stages::plan::{Action, Known, Reason, Step};
use crate::stages::remove;
use crate::stages::run::{Hands, Run, RunError};
use crate::stages::scan;
use crate::stages::store::{self, STOPPED, StoreError, Stored, Tools};
use crate::stages::validate::{self, Attributes, Depth, Expected, Finding, Proof};
use crate::tree::{Tree, TreeDir, TreeFile};

/// One directory at work.
#[derive(Debug)]
pub struct Place<'a, T: Tree> {
    /// Its path, relative to the root of all trees.
    pub path: &'a [u8],
    /// Its identity in the catalog.
    pub id: DirId,
    /// The source.
    pub tree: &'a T,
    /// It in the source.
    pub source: &'a T::Dir,
    /// Its inode number there.
    pub source_inode: u64,
    /// It in staging.
    pub staging: &'a DirFd,
    /// It in the basis, opened when first needed.
    pub basis: Option<Result<DirFd, Fault>>,
    /// Where files in it were before.
    pub whence: Whence<T::Dir>,
    /// The run.
    pub run: &'a Run<'a>,
    /// Of what the catalog will say of its entries.
    pub fingerprint: Fingerprint,
    /// What was seen anew of the entry at hand.
    pub renewed: Option<Seen>,
}

/// What came of one entry other than a directory.
enum Leaf<'a> {
    /// A stored inode stands under this name now.
    Held(&'a Version),
    /// A further name of an inode that this run has dealt with.
    Member(Arc<NewVersion>),
    /// The inode that the basis has under another path.
    Moved(Arc<NewVersion>),
    /// A new inode was made.
    Made(Arc<NewVersion>),
    /// It could not be read: it is not in the snapshot.
    Lost,
}

impl<'a, T: Tree> Place<'a, T> {
    /// Carries out all steps. Directories are made but not entered.
    pub fn apply(&mut self, steps: &[Step<'a>], hands: &mut Hands) -> Result<Vec<Expected<'a>>, RunError> {
        let mut expected = Vec::with_capacity(steps.len());
        // First what goes: it may make room for what comes.
        for step in steps.iter().filter(|step| step.source.is_none()) {
            self.run.pause(hands)?;
            self.remove(step, hands)?;
        }
        for step in steps {
            self.run.pause(hands)?;
            match (step.action, step.source) {
                (Action::Remove, _) | (_, None) => {}
                (Action::Enter, Some(stat)) => {
                    self.enter(step, hands)?;
                    self.fingerprint.add_directory(step.name);
                    let proof = Proof::Directory;
                    expected.push(Expected { name: step.name, kind: stat.kind, inode: 0, proof });
                }
                (_, Some(stat)) => {
                    self.forget_subtree(step.known, hands)?;
                    self.renewed = None;
                    let leaf = self.leaf(step, stat, hands)?;
                    expected.extend(self.record(step, stat, &leaf, hands));
                }
            }
        }
        Ok(expected)
    }

    /// Validates what was built and mends it once; what is wrong after that ends the run.
    pub fn validate(
        &mut self,
        steps: &[Step<'a>],
        mut expected: Vec<Expected<'a>>,
        hands: &mut Hands,
    ) -> Result<(), RunError> {
        let depth = self.run.depth_for(self.id);
        let look = |expected: &[Expected<'a>]| {
            validate::validate(self.staging, expected, depth)
                .map_err(|fault| self.run.staging_fault(self.path, fault))
        };
        let findings = look(&expected)?;
        if findings.is_empty() {
            return Ok(());
        }
        self.fingerprint.spoil();
        for finding in findings {
            self.mend(finding, steps, &mut expected, hands)?;
        }
        expected.retain(|entry| entry.kind == Kind::Directory || entry.inode != 0);
        match look(&expected)?.first() {
            None => Ok(()),
            Some(finding) => {
                Err(RunError::Invalid { path: path::absolute(self.path), what: describe(finding, &expected) })
            }
        }
    }

    fn mend(
        &mut self,
        finding: Finding,
        steps: &[Step<'a>],
        expected: &mut [Expected<'a>],
        hands: &mut Hands,
    ) -> Result<(), RunError> {
        let (index, what) = match finding {
            Finding::Extra { name, kind } => {
                return remove::discard(self.staging, &name, kind, &self.run.trash)
                    .map_err(|fault| self.staging_fault(&name, fault));
            }
            Finding::Wrong { index, what } => (index, what),
        };
        let entry = &mut expected[index];
        let step = steps.binary_search_by(|step| step.name.cmp(entry.name)).map(|at| &steps[at]);
        let (Ok(step), Some(stat)) = (step, step.ok().and_then(|step| step.source)) else {
            return Ok(());
        };
        if entry.kind == Kind::Directory {
            return self.enter(step, hands);
        }
        match entry.proof {
            Proof::Held(version) => self.report_damage(step.name, version.first, &what),
            Proof::Moved(_, since) => self.report_damage(step.name, since, &what),
            Proof::Made(_) | Proof::Directory => {}
        }
        let leaf = self.redo(step, stat, entry.inode, hands)?;
        let mended = self.record_again(step, stat, &leaf, true, hands);
        *entry = mended.unwrap_or(Expected {
            name: step.name,
            kind: stat.kind,
            inode: 0,
            proof: Proof::Directory,
        });
        Ok(())
    }

    /// Stores afresh what stands under a name as the wrong inode, or under the wrong attributes.
    fn redo(
        &mut self,
        step: &Step<'a>,
        stat: &Stat,
        wrong: u64,
        hands: &mut Hands,
    ) -> Result<Leaf<'a>, RunError> {
        remove::discard(self.staging, step.name, None, &self.run.trash)
            .map_err(|fault| self.staging_fault(step.name, fault))?;
        let step = &Step { scaffold: None, ..*step };
        if !is_grouped(stat, step) {
            return self.store(step, stat, hands);
        }
        match self.run.groups.join_again(stat.identity(), wrong) {
            Turn::First => {
                let done = self.store(step, stat, hands);
                self.settle_first(step, stat, done, hands)
            }
            Turn::Member(stored) => self.join(step, stat, &stored, hands),
        }
    }

    fn report_damage(&self, name: &[u8], since: SnapshotId, what: &str) {
        let since = self.run.snapshot_name(since);
        self.run.problem(Problem {
            kind: ProblemKind::Damage,
            path: path::absolute(&path::join(self.path, name)),
            message: format!(
                "the copy stored since snapshot {since} is not what it was ({what}); a fresh copy of the \
                 source is in this snapshot"
            ),
        });
    }

    /// Makes sure that the directory of this step is there.
    fn enter(&self, step: &Step<'_>, _hands: &mut Hands) -> Result<(), RunError> {
        let fail = |fault| self.staging_fault(step.name, fault);
        match step.scaffold {
            Some((Some(Kind::Directory), _)) => return Ok(()),
            Some((kind, _)) => {
                remove::discard(self.staging, step.name, kind, &self.run.trash).map_err(fail)?;
            }
            None => {}
        }
        match self.staging.make_dir(step.name) {
            Err(fault) if !fault.is(Errno::EXIST) => Err(fail(fault)),
            _ => Ok(()),
        }
    }

    fn remove(&mut self, step: &Step<'_>, hands: &mut Hands) -> Result<(), RunError> {
        if let Some((kind, _)) = step.scaffold {
            remove::discard(self.staging, step.name, kind, &self.run.trash)
                .map_err(|fault| self.staging_fault(step.name, fault))?;
        }
        // What is below ends first: a run that is stopped on the way must find it again.
        self.forget_subtree(step.known, hands)?;
        if step.known.current().is_some() {
            hands.change(self.id, step.name, Change::Gone);
        }
        if step.known.basis.is_some_and(|version| version.child.is_none()) {
            hands.counts.removed += 1;
        }
        Ok(())
    }

    /// What was a directory is none any more: all that was below it is gone.
    fn forget_subtree(&self, known: Known<'_>, hands: &mut Hands) -> Result<(), RunError> {
        match known.current().and_then(|version| version.child) {
            Some(child) => self.run.forget_below(child, hands),
            None => Ok(()),
        }
    }

    fn leaf(&mut self, step: &Step<'a>, stat: &Stat, hands: &mut Hands) -> Result<Leaf<'a>, RunError> {
        if !is_grouped(stat, step) {
            return self.perform(step, stat, hands);
        }
        match self.run.groups.join(stat.identity()) {
            Turn::First => {
                let claimed = step
                    .wanted
                    .is_none_or(|version| self.run.groups.claim(version.stored_inode, stat.identity()));
                let done =
                    if claimed { self.perform(step, stat, hands) } else { self.store(step, stat, hands) };
                self.settle_first(step, stat, done, hands)
            }
            Turn::Member(stored) => self.join(step, stat, &stored, hands),
        }
    }

    /// Lets the others of the group go on, whatever came of the first.
    fn settle_first(
        &self,
        step: &Step<'a>,
        stat: &Stat,
        done: Result<Leaf<'a>, RunError>,
        hands: &Hands,
    ) -> Result<Leaf<'a>, RunError> {
        let version = match &done {
            Ok(Leaf::Made(version) | Leaf::Member(version) | Leaf::Moved(version)) => {
                Some(Arc::clone(version))
            }
            Ok(Leaf::Held(version)) => match self.run.xattrs_of(version, hands) {
                Ok(xattrs) => Some(Arc::new(NewVersion { version: (*version).clone(), xattrs })),
                Err(error) => {
                    self.run.groups.settle(stat.identity(), None);
                    return Err(error);
                }
            },
            Ok(Leaf::Lost) | Err(_) => None,
        };
        match version {
            Some(version) => self.settle(step, stat, &version),
            None => self.run.groups.settle(stat.identity(), None),
        }
        done
    }

    fn settle(&self, step: &Step<'_>, stat: &Stat, version: &Arc<NewVersion>) {
        let stored = groups::Stored {
            dir: self.path.to_vec(),
            name: step.name.to_vec(),
            version: Arc::clone(version),
        };
        self.run.groups.settle(stat.identity(), Some(stored));
    }

    /// Gives the inode that the group is stored under this further name.
    fn join(
        &mut self,
        step: &Step<'a>,
        stat: &Stat,
        stored: &groups::Stored,
        hands: &mut Hands,
    ) -> Result<Leaf<'a>, RunError> {
        let in_place = step.scaffold.is_some_and(|(_, inode)| inode == stored.inode());
        let same = step.wanted.filter(|version| version.stored_inode == stored.inode());
        let leaf = match same {
            Some(version) => Leaf::Held(version),
            None => Leaf::Member(Arc::clone(&stored.version)),
        };
        if let Some(version) = same.filter(|_| step.action == Action::Reuse) {
            // The first name of the group has proved it for all.
            self.reused(step, version, self.run.seen(stat, false), hands);
        }
        if in_place {
            hands.counts.kept_entries += 1;
            return Ok(leaf);
        }
        self.clear(step)?;
        let linked = self
            .run
            .staging
            .open_within(&stored.dir)
            .and_then(|dir| dir.link(&stored.name, self.staging, step.name));
        match linked {
            Ok(()) => {
                hands.counts.linked_entries += 1;
                Ok(leaf)
            }
            Err(fault) if fault.is(Errno::MLINK) => {
                let leaf = self.store(step, stat, hands)?;
                if let Leaf::Made(version) = &leaf {
                    self.settle(step, stat, version);
                }
                Ok(leaf)
            }
            Err(fault) => Err(self.staging_fault(step.name, fault)),
        }
    }

    fn perform(&mut self, step: &Step<'a>, stat: &Stat, hands: &mut Hands) -> Result<Leaf<'a>, RunError> {
        match (step.action, step.wanted) {
            (Action::Keep, Some(version)) => {
                hands.counts.kept_entries += 1;
                Ok(Leaf::Held(version))
            }
            (Action::Link, Some(version)) => self.link(step, stat, version, hands),
            (Action::Reuse, Some(version)) => match self.prove(step, version, hands) {
                Ok(Some(seen)) if self.may_give(step, version, hands)? => {
                    self.reused(step, version, seen, hands);
                    if step.is_in_place() {
                        hands.counts.kept_entries += 1;
                        return Ok(Leaf::Held(version));
                    }
                    self.link(step, stat, version, hands)
                }
                Ok(_) => self.store(step, stat, hands),
                Err(StoreError::Stopped) => Err(RunError::Interrupted),
                Err(StoreError::Source(fault) | StoreError::Target(fault)) => {
                    self.clear(step)?;
                    self.run.problem(scan::lost(self.path, step.name, fault));
                    Ok(Leaf::Lost)
                }
            },
            _ => match self.take_moved(step, stat, hands)? {
                Some(leaf) => Ok(leaf),
                None => self.store(step, stat, hands),
            },
        }
    }

    /// May the stored inode stand for the inode of the source that is under its name now? If that is another one than
    /// before, the one before may have got the stored inode under another name, in this run or, renamed between two looks
    /// of it, in the one before.
    fn may_give(&self, step: &Step<'_>, version: &Version, hands: &Hands) -> Result<bool, RunError> {
        let is_its_own = step.source.is_some_and(|stat| stat.inode == version.seen.inode);
        if is_its_own {
            return Ok(true);
        }
        let is_anothers = version.shared && hands.reader.is_twice(version.stored_inode)?;
        Ok(!is_anothers && self.claim(version))
    }

    fn claim(&self, version: &Version) -> bool {
        // What the interrupted run has claimed nobody knows.
        let may_be_claimed = self.run.resumes && version.shared;
        !may_be_claimed && self.run.claims.claim(version.stored_inode)
    }

    /// Links what the basis has under another path, if the file was moved and is proven to be the same; `None`: it is
    /// to be copied.
    fn take_moved(
        &mut self,
        step: &Step<'a>,
        stat: &Stat,
        hands: &mut Hands,
    ) -> Result<Option<Leaf<'a>>, RunError> {
        let run = self.run;
        let Some(basis) = &run.basis else { return Ok(None) };
        let sides = (&hands.reader, self.tree);
        let Some(moved) = self.whence.find(sides, step, self.source_inode, run.building)? else {
            return Ok(None);
        };
        let seen = match moved.action {
            Action::Link => run.seen(stat, false),
            _ => match self.is_same(self.source, step.name, &moved.version, hands) {
                Ok(Some(seen)) if (seen.inode, seen.links) == (stat.inode, 1) => seen,
                Err(StoreError::Stopped) => return Err(RunError::Interrupted),
                // A copy will say what is wrong.
                Ok(_) | Err(_) => return Ok(None),
            },
        };
        if !self.claim(&moved.version) {
            return Ok(None);
        }
        let version = &moved.version;
        if step.scaffold.is_some_and(|(_, inode)| inode == version.stored_inode) {
            hands.counts.kept_entries += 1;
        } else {
            self.clear(step)?;
            let old = self.whence.in_basis(basis, &moved);
            if old.and_then(|old| old.link(&moved.name, self.staging, step.name)).is_err() {
                return Ok(None);
            }
            hands.counts.linked_entries += 1;
        }
        let sources = run.scope.sources;
        let is_within = sources.holding(self.whence.path()) == sources.holding(self.path);
        hands.counts.moved_within += u64::from(is_within);
        hands.share(moved.directory, &moved.name, version.first);
        let xattrs = run.xattrs_of(version, hands)?;
        // Who has read the same bytes in the source has witnessed them.
        let unwitnessed = version.unwitnessed && moved.action == Action::Link;
        let version = Version { seen, shared: true, unwitnessed, ..version.clone() };
        Ok(Some(Leaf::Moved(Arc::new(NewVersion { version, xattrs }))))
    }

    fn reused(&mut self, step: &Step<'_>, version: &Version, seen: Seen, hands: &mut Hands) {
        hands.counts.reused += 1;
        if version.last.is_some() {
            hands.change(self.id, step.name, Change::Restored);
        }
        hands.change(self.id, step.name, Change::Seen(seen));
        self.renewed = Some(seen);
    }

    fn link(
        &mut self,
        step: &Step<'a>,
        stat: &Stat,
        version: &'a Version,
        hands: &mut Hands,
    ) -> Result<Leaf<'a>, RunError> {
        self.clear(step)?;
        let staging = self.staging;
        match self.basis().and_then(|basis| basis.link(step.name, staging, step.name)) {
            Ok(()) => {
                hands.counts.linked_entries += 1;
                Ok(Leaf::Held(version))
            }
            // As many names as the filesystem allows: a fresh copy takes the links from now on.
            Err(fault) if fault.is(Errno::MLINK) => self.store(step, stat, hands),
            Err(fault) if matches!(fault.errno, Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::ROFS) => {
                Err(self.staging_fault(step.name, fault))
            }
            Err(fault) => {
                // That the whole snapshot is not there has been said.
                if self.run.basis.is_some() {
                    self.report_damage(step.name, version.first, &fault.to_string());
                }
                self.store(step, stat, hands)
            }
        }
    }

    fn basis(&mut self) -> Result<&DirFd, Fault> {
        let (run, path) = (self.run, self.path);
        let opened = self.basis.get_or_insert_with(|| match &run.basis {
            Some(root) => root.open_within(path),
            None => Err(Fault::new("open directory", Errno::NOENT)),
        });
        opened.as_ref().map_err(|fault| *fault)
    }

    /// Is the source entry what the version says? Then what was seen of it.
    fn prove(
        &self,
        step: &Step<'_>,
        version: &Version,
        hands: &mut Hands,
    ) -> Result<Option<Seen>, StoreError> {
        let seen = self.is_same(self.source, step.name, version, hands)?;
        if seen.is_none() || !step.wants_checkpoint() {
            return Ok(seen);
        }
        // A run that died after the checkpoint may have put something else there: inode numbers are used again.
        match self.is_same(self.staging, step.name, version, hands) {
            Ok(Some(_)) => Ok(seen),
            Err(StoreError::Stopped) => Err(StoreError::Stopped),
            Ok(None) | Err(_) => Ok(None),
        }
    }

    /// Reads an entry: are its bytes and attributes those of the version? Then what was seen.
    fn is_same<D: TreeDir>(
        &self,
        dir: &D,
        name: &[u8],
        version: &Version,
        hands: &mut Hands,
    ) -> Result<Option<Seen>, StoreError> {
        let source_fault = |fault| {
            if fault == STOPPED { StoreError::Stopped } else { StoreError::Source(fault) }
        };
        let (stat, xattrs) = if version.kind == Kind::File {
            let file = dir.open_file(name).map_err(source_fault)?;
            let before = file.stat().map_err(source_fault)?;
            let xattrs = file.xattrs().map_err(source_fault)?;
            if !self.has_attributes((&before, &xattrs), version, hands) {
                // Whatever its bytes are, it takes a new inode: they are read once, when that is made.
                return Ok(None);
            }
            let run = self.run;
            let watch = &mut |count| if run.has_read(count) { Err(STOPPED) } else { Ok(()) };
            let read = content::hash(&file, Shape::from(&before), &mut hands.buffer, watch);
            let read = read.map_err(source_fault)?;
            let xattrs = file.xattrs().map_err(source_fault)?;
            let after = file.stat().map_err(source_fault)?;
            if Some(read.hash) != version.hash || !store::same_content(&before, &after) {
                return Ok(None);
            }
            (after, xattrs)
        } else {
            if version.kind == Kind::Symlink {
                let target = dir.read_link(name).map_err(source_fault)?;
                if version.target.as_deref() != Some(&target) {
                    return Ok(None);
                }
            }
            let stat = dir.stat_entry(name).map_err(source_fault)?;
            (stat, dir.xattrs(Some(name)).map_err(source_fault)?)
        };
        let same = self.has_attributes((&stat, &xattrs), version, hands);
        Ok(same.then(|| self.run.seen(&stat, false)))
    }

    fn has_attributes(&self, (stat, xattrs): (&Stat, &Xattrs), version: &Version, hands: &Hands) -> bool {
        stat.kind == version.kind
            && validate::difference(stat.kind, &Attributes::from(stat), &Attributes::from(version)).is_none()
            && self.run.xattrs_of(version, hands).is_ok_and(|known| known == *xattrs)
    }

    /// Makes a new inode from the source.
    fn store(&mut self, step: &Step<'_>, stat: &Stat, hands: &mut Hands) -> Result<Leaf<'a>, RunError> {
        self.clear(step)?;
        let run = self.run;
        let old = self.old(step, stat);
        let make = |hands: &mut Hands| {
            let Hands { buffer, outbox, .. } = hands;
            // What blocks are shared with is read as well.
            let watch = &mut |count| match &old {
                None => run.is_copying(count, outbox),
                Some(_) => run.has_read(count),
            };
            let mut tools = Tools { buffer, watch, old: old.as_ref() };
            match store::store(self.source, (step.name, stat), self.staging, step.name, &mut tools) {
                Err(StoreError::Source(fault)) if is_device(stat.kind) && fault.is(Errno::PERM) => {
                    store::store_stand_in(self.source, (step.name, stat), self.staging, step.name)
                }
                stored => stored,
            }
        };
        let emptied = run.emptied.load(Ordering::Relaxed);
        let stored = match make(hands) {
            Err(StoreError::Target(fault)) if run.makes_room(fault, emptied)? => make(hands),
            stored => stored,
        };
        match stored {
            Ok(stored) => {
                hands.counts.made_inodes += 1;
                if stat.kind == Kind::File {
                    hands.counts.add_stored(&stored, changes_attributes(step, &stored));
                    run.checkpoints.add(if old.is_some() { stored.copied_bytes } else { 0 });
                }
                if old.is_some_and(|old| old.was_refused()) {
                    run.clones.store(false, Ordering::Relaxed);
                }
                self.report_stored(step.name, &stored);
                Ok(Leaf::Made(Arc::new(self.new_version(stored))))
            }
            Err(StoreError::Stopped) => Err(RunError::Interrupted),
            Err(StoreError::Source(fault)) => {
                run.problem(scan::lost(self.path, step.name, fault));
                Ok(Leaf::Lost)
            }
            Err(StoreError::Target(fault)) => Err(self.staging_fault(step.name, fault)),
        }
    }

    /// The version before, if a new file may share blocks with it.
    fn old(&mut self, step: &Step<'_>, stat: &Stat) -> Option<Old> {
        let known = step.known.basis.filter(|_| self.run.clones.load(Ordering::Relaxed))?;
        let way = clone::way(stat, step.reason, known)?;
        Old::open(self.basis().ok()?, step.name, known, way)
    }

    fn report_stored(&self, name: &[u8], stored: &Stored) {
        let report = |kind, message| {
            let path = path::absolute(&path::join(self.path, name));
            self.run.problem(Problem { kind, path, message });
        };
        if stored.changed_while_read {
            let message = "changed each time it was read: the stored copy may be torn".to_owned();
            report(ProblemKind::ChangedWhileRead, message);
        }
        let path = path::join(self.path, name);
        if stored.holding == Holding::StandIn {
            self.run.report_stand_in(&path);
        } else {
            self.run.report_lacks(&path, stored.lacks);
        }
    }

    fn new_version(&self, stored: Stored) -> NewVersion {
        let seen = self.run.seen(&stored.stat, stored.changed_while_read);
        let version = Version {
            stored_inode: stored.inode,
            hash: stored.hash,
            holes: stored.holes(),
            target: stored.target,
            partial: stored.lacks.anything() || stored.holding == Holding::StandIn,
            holding: stored.holding,
            ..self.run.version(&stored.stat, seen)
        };
        NewVersion { version, xattrs: stored.xattrs }
    }

    /// Removes what the scaffold has under the name of a step, if anything is there.
    fn clear(&self, step: &Step<'_>) -> Result<(), RunError> {
        let gone = match step.scaffold {
            Some((kind, _)) => remove::discard(self.staging, step.name, kind, &self.run.trash),
            None => Ok(()),
        };
        gone.map_err(|fault| self.staging_fault(step.name, fault))
    }

    /// Counts the entry, notes its change for the catalog, and says what must be in staging now.
    fn record(
        &mut self,
        step: &Step<'a>,
        stat: &Stat,
        leaf: &Leaf<'a>,
        hands: &mut Hands,
    ) -> Option<Expected<'a>> {
        let counts = &mut hands.counts;
        if !matches!(leaf, Leaf::Lost) {
            counts.add_entry(stat);
            match (leaf, step.known.basis) {
                (Leaf::Held(_), _) if step.action == Action::Reuse => {}
                (Leaf::Moved(_), basis) => {
                    counts.reused += 1;
                    counts.moved += 1;
                    counts.overwritten += u64::from(basis.is_some_and(|version| version.child.is_none()));
                }
                (Leaf::Held(version), Some(basis)) if *version == basis => counts.unchanged += 1,
                (_, Some(_)) => {
                    counts.changed += 1;
                    // The others of a group have what its first one has, whose own reason may have been found void.
                    let is_as_before = step.reason == Reason::Unchanged
                        || (matches!(leaf, Leaf::Member(_)) && step.action == Action::Reuse);
                    counts.replaced += u64::from(is_as_before);
                }
                (_, None) => counts.added += 1,
            }
        } else if step.known.basis.is_some_and(|version| version.child.is_none()) {
            counts.removed += 1;
        }
        let replaces = step.known.current().is_some();
        self.record_again(step, stat, leaf, replaces, hands)
    }

    fn record_again(
        &mut self,
        step: &Step<'a>,
        stat: &Stat,
        leaf: &Leaf<'a>,
        replaces: bool,
        hands: &mut Hands,
    ) -> Option<Expected<'a>> {
        let (kind, inode, proof) = match leaf {
            Leaf::Lost => {
                if replaces {
                    hands.change(self.id, step.name, Change::Gone);
                }
                return None;
            }
            Leaf::Held(version) => {
                if version.last.is_some() && step.action != Action::Reuse {
                    hands.change(self.id, step.name, Change::Restored);
                }
                let proof = if step.wants_checkpoint() {
                    Proof::Made(Attributes::from(*version))
                } else {
                    Proof::Held(version)
                };
                let seen = self.renewed.take().unwrap_or(version.seen);
                // As the catalog will say it: the most that were ever seen.
                let seen = Seen { links: seen.links.max(version.seen.links), ..seen };
                self.fingerprint.add_version(step.name, version, seen);
                (version.stored_kind(), version.stored_inode, proof)
            }
            Leaf::Moved(new) => {
                let version = &new.version;
                self.note_new(step, (**new).clone(), replaces, hands);
                let proof = Proof::Moved(Attributes::from(version), version.first);
                (version.stored_kind(), version.stored_inode, proof)
            }
            Leaf::Member(new) | Leaf::Made(new) => {
                let mut own = (**new).clone();
                own.version.seen = self.run.seen(stat, new.version.seen.changed_while_read);
                self.note_new(step, own, replaces, hands);
                let version = &new.version;
                let proof = Proof::Made(Attributes::from(version));
                (version.stored_kind(), version.stored_inode, proof)
            }
        };
        Some(Expected { name: step.name, kind, inode, proof })
    }

    fn note_new(&mut self, step: &Step<'a>, new: NewVersion, replaces: bool, hands: &mut Hands) {
        self.fingerprint.add_version(step.name, &new.version, new.version.seen);
        let new = Box::new(new);
        let change = if replaces { Change::Replace(new) } else { Change::Add(new) };
        hands.change(self.id, step.name, change);
    }

    fn staging_fault(&self, name: &[u8], fault: Fault) -> RunError {
        self.run.staging_fault(&path::join(self.path, name), fault)
    }
}

/// Can the inode have several names, in the source or in what is stored?
fn is_grouped(stat: &Stat, step: &Step<'_>) -> bool {
    stat.links > 1 || step.wanted.is_some_and(|version| version.seen.links > 1)
}

/// Has a new inode the bytes of the version before, so that nothing but attributes has changed?
fn changes_attributes(step: &Step<'_>, stored: &Stored) -> bool {
    let before = step.known.basis.and_then(|version| version.hash);
    step.reason != Reason::Unchanged && before.is_some() && before == stored.hash
}

fn is_device(kind: Kind) -> bool {
    matches!(kind, Kind::CharDevice | Kind::BlockDevice)
}

fn describe(finding: &Finding, expected: &[Expected<'_>]) -> String {
    match finding {
        Finding::Extra { name, .. } => {
            format!("{} does not belong there", String::from_utf8_lossy(name))
        }
        Finding::Wrong { index, what } => {
            format!("{}: {what}", String::from_utf8_lossy(expected[*index].name))
        }
    }
}

/// Makes a directory of the scaffold ready for work: we may write in it, and nothing that is made in it may
/// inherit an ACL.
pub fn open_up(staging: &DirFd) -> Result<(), Fault> {
    remove::unlock(staging)?;
    let xattrs = Xattrs::read(staging)?;
    if xattrs.get(DEFAULT_ACL).is_some() {
        let rest: Xattrs = xattrs
            .iter()
            .filter(|(name, _)| *name != DEFAULT_ACL)
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        rest.write(staging)?;
    }
    Ok(())
}

/// How much of the held entries of a directory are looked at.
pub(crate) fn share(id: DirId, number: i64, one_in: u32) -> Depth {
    let turn = id.0.wrapping_add(number).rem_euclid(i64::from(one_in.max(1)));
    if turn == 0 { Depth::All } else { Depth::Made }
}

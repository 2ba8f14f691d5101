//! Build: takes one directory through scan, plan, apply and validate, and finds its sub-directories.

use linksnap_catalog::{Change, DirId, Holding, NewVersion, Rows, Version};
use linksnap_inode::path;
use linksnap_inode::pool::Queue;
use linksnap_inode::{DirFd, Errno, Fault, Kind, Names, Stat, Timestamp, Xattrs};

use crate::source;
use crate::stages::apply::{self, Place};
use crate::stages::fingerprint::Fingerprint;
use crate::stages::keep::{self, Kept};
use crate::stages::moved::Whence;
use crate::stages::plan::{self, Action, Known, Step};
use crate::stages::run::{Hands, Run, RunError};
use crate::stages::scan::{self, Scanned};
use crate::stages::store::Lacks;
use crate::stages::validate::{self, Attributes};
use crate::stages::{remove, store};
use crate::tree::{Tree, TreeDir};

/// A directory to be worked through.
#[derive(Debug)]
pub struct Task {
    /// Its path, relative to the root of all trees.
    pub path: Vec<u8>,
    /// Its identity in the catalog.
    pub id: DirId,
    /// The directory it is in.
    pub parent: Parent,
    /// What the catalog knows under its name.
    pub own: Own,
    /// What may be found in it besides the source.
    pub past: Past,
    /// Where its parent stands.
    pub place: source::Place,
}

impl Own {
    fn of(known: Known<'_>) -> Self {
        let boxed = |version: &Version| Box::new(version.clone());
        Self::Read { basis: known.basis.map(boxed), checkpoint: known.checkpoint.map(boxed) }
    }
}

/// The directory that a directory is in.
#[derive(Debug, Clone, Copy)]
pub struct Parent {
    /// Its identity.
    pub id: DirId,
    /// Its modification time, to be put back if this directory has to be removed again.
    pub mtime: Timestamp,
}

/// What the catalog knows of a directory itself.
#[derive(Debug)]
pub enum Own {
    /// These versions.
    Read {
        /// What the newest published snapshot has.
        basis: Option<Box<Version>>,
        /// What a checkpoint vouches for.
        checkpoint: Option<Box<Version>>,
    },
    /// Nobody has looked yet: the directory above is unchanged, and so may this one be.
    Unread,
}

/// What may be known of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Can the catalog have rows of its entries?
    pub catalog: bool,
    /// Can the scaffold have entries in it?
    pub scaffold: bool,
}

impl Task {
    /// The root of all trees.
    #[must_use]
    pub fn root(known: Known<'_>, past: Past) -> Self {
        Self {
            path: Vec::new(),
            id: DirId::ROOT,
            parent: Parent { id: DirId(0), mtime: Timestamp::default() },
            own: Own::of(known),
            past,
            place: source::Place::OnTheWay,
        }
    }

    /// Looks its own version up, if nobody has.
    fn read_own(&mut self, hands: &Hands) -> Result<(), RunError> {
        if matches!(self.own, Own::Unread) {
            let basis = hands.reader.current_of(self.parent.id, self.name())?;
            self.own = Own::Read { basis: basis.map(Box::new), checkpoint: None };
        }
        Ok(())
    }

    fn known(&self) -> Known<'_> {
        match &self.own {
            Own::Read { basis, checkpoint } => {
                Known { basis: basis.as_deref(), checkpoint: checkpoint.as_deref() }
            }
            Own::Unread => Known::default(),
        }
    }

    fn name(&self) -> &[u8] {
        path::split(&self.path).1
    }
}

/// What opening and scanning a source directory gave.
pub(super) struct Opened<D> {
    source: D,
    pub(super) stat: Stat,
    pub(super) xattrs: Xattrs,
    pub(super) place: source::Place,
    pub(super) scanned: Scanned,
    holding: Holding,
}

/// Works one directory through and queues its sub-directories.
pub fn build<T: Tree>(
    run: &Run<'_>,
    tree: &T,
    hands: &mut Hands,
    mut task: Task,
    queue: &Queue<Task>,
) -> Result<(), RunError> {
    run.progress.enter(&task.path);
    run.pause(hands)?;
    let opened = match open(run, tree, &task) {
        Ok(opened) => opened,
        // A tree without a root would be a snapshot of nothing.
        Err(fault) if task.path.is_empty() => return Err(RunError::Root(fault.at("/"))),
        Err(fault) => {
            task.read_own(hands)?;
            lose(run, &task, fault, hands)?;
            return finish(run, &task.path, hands);
        }
    };
    let staging = open_staging(run, &task).map_err(|fault| run.staging_fault(&task.path, fault))?;
    let scaffold = scaffold_names(run, &task, &staging)?;
    let kept = keep::keep(run, &task, &opened, (&staging, &scaffold), hands)?;
    let children = if let Kept::Whole(children) = kept {
        children
    } else {
        task.read_own(hands)?;
        task.past.scaffold |= matches!(kept, Kept::Begun);
        let scaffold = match kept {
            Kept::Begun => scaffold_names(run, &task, &staging)?,
            _ => scaffold,
        };
        fill((run, tree), &task, opened, (&staging, &scaffold), hands)?
    };
    run.progress.add_directory();
    finish(run, &task.path, hands)?;
    // Only now: the writer must know of a directory before another worker's rows can stand in it.
    queue.extend(children);
    Ok(())
}

fn finish(run: &Run<'_>, path: &[u8], hands: &mut Hands) -> Result<(), RunError> {
    hands.count_into(run, path);
    run.monitor.progress(run.progress);
    hands.hand_over()
}

fn open<T: Tree>(run: &Run<'_>, tree: &T, task: &Task) -> Result<Opened<T::Dir>, Fault> {
    let source = tree.open(&task.path)?;
    let stat = source.stat()?;
    let xattrs = source.xattrs(None)?;
    let inside = scan::place_of(&source, &task.path, &stat, task.place, &run.scope)?;
    let scanned = match inside {
        Some(place) => scan::scan(&source, &task.path, place, &run.scope)?,
        None => Scanned::default(),
    };
    let holding = match inside {
        Some(source::Place::OnTheWay) => Holding::OnTheWay,
        Some(source::Place::Inside { .. }) if scanned.is_all() => Holding::Whole,
        _ => Holding::Partly,
    };
    Ok(Opened { source, stat, xattrs, place: inside.unwrap_or(task.place), scanned, holding })
}

fn fill<T: Tree>(
    (run, tree): (&Run<'_>, &T),
    task: &Task,
    opened: Opened<T::Dir>,
    (staging, scaffold): (&DirFd, &Names),
    hands: &mut Hands,
) -> Result<Vec<Task>, RunError> {
    let Opened { source, stat, xattrs, place, scanned, mut holding } = opened;
    if task.past.scaffold {
        apply::open_up(staging).map_err(|fault| run.staging_fault(&task.path, fault))?;
    }
    let rows = known_rows(run, task, hands)?;
    scanned.problems.into_iter().for_each(|problem| run.problem(problem));
    hands.counts.excluded += scanned.excluded;

    let steps = plan::plan(&scanned.listing, &rows, scaffold, run.building);
    let mut here = Place {
        path: &task.path,
        id: task.id,
        tree,
        source: &source,
        source_inode: stat.inode,
        staging,
        basis: None,
        whence: Whence::default(),
        run,
        fingerprint: Fingerprint::default(),
        renewed: None,
    };
    let expected = here.apply(&steps, hands)?;
    if holding == Holding::Whole && expected.len() < scanned.listing.iter().len() {
        holding = Holding::Partly;
    }
    here.validate(&steps, expected, hands)?;
    let mut fingerprint = here.fingerprint;
    if steps.iter().any(Step::removes_directory) {
        run.empty_trash()?;
    }
    let lacks = dress(run, task, staging, &stat, &xattrs)?;
    fingerprint.add_own((stat.mode, stat.uid, stat.gid), stat.mtime, &xattrs);
    if lacks.anything() {
        fingerprint.spoil();
    }
    hands.fingerprint(task.id, fingerprint.finish())?;
    // That the directories above a user's sources are not the user's own is no news.
    let news = Lacks { owner: lacks.owner && place != source::Place::OnTheWay, ..lacks };
    run.report_lacks(&task.path, news);
    record(run, task, &stat, (xattrs, lacks, holding), hands)?;
    children(task, &steps, &stat, place, run, hands)
}

/// Opens the staging directory; one of the scaffold that an ordinary user has closed is opened up.
fn open_staging(run: &Run<'_>, task: &Task) -> Result<DirFd, Fault> {
    match run.staging.open_within(&task.path) {
        Err(fault) if fault.is(Errno::ACCESS) && task.past.scaffold => {
            let (parent, name) = path::split(&task.path);
            run.staging.open_within(parent)?.unlock_entry(name)?;
            run.staging.open_within(&task.path)
        }
        opened => opened,
    }
}

fn scaffold_names(run: &Run<'_>, task: &Task, staging: &DirFd) -> Result<Names, RunError> {
    if !task.past.scaffold {
        return Ok(Names::default());
    }
    staging.sorted_names().map_err(|fault| run.staging_fault(&task.path, fault))
}

fn known_rows(run: &Run<'_>, task: &Task, hands: &Hands) -> Result<Rows, RunError> {
    if !task.past.catalog {
        return Ok(Rows::default());
    }
    if run.resumes {
        return Ok(hands.reader.current_and_ended_by(task.id, run.building)?);
    }
    Ok(hands.reader.current(task.id)?)
}

/// Gives the finished directory its attributes, and looks whether it has them.
pub(super) fn dress(
    run: &Run<'_>,
    task: &Task,
    staging: &DirFd,
    stat: &Stat,
    xattrs: &Xattrs,
) -> Result<Lacks, RunError> {
    let fail = |fault| run.staging_fault(&task.path, fault);
    if store::is_dressed(staging, stat, xattrs).map_err(fail)? {
        return Ok(Lacks::default());
    }
    let lacks = store::dress_directory(staging, stat, xattrs).map_err(fail)?;
    let is = Attributes { rdev: stat.rdev, ..Attributes::from(&staging.stat().map_err(fail)?) };
    let should = Attributes::from(stat);
    let (owner, mtime) = (should.owner.filter(|_| !lacks.owner), should.mtime.filter(|_| !lacks.time));
    let should = Attributes { owner, mtime, ..should };
    match validate::difference(Kind::Directory, &is, &should) {
        Some(what) => Err(RunError::Invalid { path: path::absolute(&task.path), what }),
        None => Ok(lacks),
    }
}

/// Counts the directory and notes its own version if it differs from what is known.
fn record(
    run: &Run<'_>,
    task: &Task,
    stat: &Stat,
    (xattrs, lacks, holding): (Xattrs, Lacks, Holding),
    hands: &mut Hands,
) -> Result<(), RunError> {
    let known = task.known();
    let same = |version: &Version| -> Result<bool, RunError> {
        let attributes = (version.kind, version.mode, version.uid, version.gid, version.mtime)
            == (stat.kind, stat.mode, stat.uid, stat.gid, stat.mtime);
        let stored = (version.partial, version.holding) == (lacks.anything(), holding);
        Ok(attributes && stored && run.xattrs_of(version, hands)? == xattrs)
    };
    let as_basis = known.basis.map(same).transpose()?;
    let as_current = known.current().map(same).transpose()?;
    hands.counts.add_entry(stat);
    let change = match (as_current, as_basis) {
        (Some(true), _) => return Ok(()),
        (_, Some(true)) => Change::Restored,
        (current, _) => {
            let mut version = run.version(stat, run.seen(stat, false));
            version.child = Some(task.id);
            version.partial = lacks.anything();
            version.holding = holding;
            let new = Box::new(NewVersion { version, xattrs });
            if current.is_some() { Change::Replace(new) } else { Change::Add(new) }
        }
    };
    hands.change_directory(task.parent.id, task.name(), change);
    Ok(())
}

fn children(
    task: &Task,
    steps: &[Step<'_>],
    stat: &Stat,
    place: source::Place,
    run: &Run<'_>,
    hands: &mut Hands,
) -> Result<Vec<Task>, RunError> {
    let parent = Parent { id: task.id, mtime: stat.mtime };
    let mut children = Vec::new();
    for step in steps.iter().filter(|step| step.action == Action::Enter) {
        let known_id = step.known.checkpoint.or(step.known.basis).and_then(|version| version.child);
        let known_id = match known_id {
            None if task.past.catalog => hands.reader.child(task.id, step.name)?,
            known => known,
        };
        let id = known_id.unwrap_or_else(|| {
            let id = run.new_directory();
            hands.add_directory(id, task.id, step.name);
            id
        });
        let scaffold = matches!(step.scaffold, Some((Some(Kind::Directory), _)));
        children.push(Task {
            path: path::join(&task.path, step.name),
            id,
            parent,
            own: Own::of(step.known),
            past: Past { catalog: known_id.is_some(), scaffold },
            place,
        });
    }
    // Work is taken from the end: so it goes on with the first name.
    children.reverse();
    Ok(children)
}

/// The source directory cannot be read: it is in neither staging nor snapshot.
fn lose(run: &Run<'_>, task: &Task, fault: Fault, hands: &mut Hands) -> Result<(), RunError> {
    let (parent, name) = path::split(&task.path);
    run.problem(scan::lost(parent, name, fault));
    let remove = || {
        let parent = run.staging.open_within(parent)?;
        let mode = remove::unlock(&parent)?;
        remove::discard(&parent, name, Some(Kind::Directory), &run.trash)?;
        if mode & 0o700 != 0o700 {
            parent.set_mode(mode)?;
        }
        parent.set_mtime(task.parent.mtime)
    };
    if !name.is_empty() {
        remove().map_err(|fault| run.staging_fault(&task.path, fault))?;
    }
    let known = task.known();
    // The directory above has been finished with this one in it.
    hands.spoil_fingerprint(task.parent.id);
    if let Some(version) = known.current() {
        if let Some(child) = version.child {
            run.forget_below(child, hands)?;
        }
        hands.change(task.parent.id, name, Change::Gone);
    }
    Ok(())
}

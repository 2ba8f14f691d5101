//! Store: makes one new inode from an entry of a tree, all attributes set before anyone else sees it.
//!
//! The order on every inode is data, owner, mode, extended attributes (ACLs and capabilities among them),
//! times: `chown(2)` clears capabilities and the setuid bit, an ACL may rewrite the mode's group bits to
//! what they were, and everything but reading changes times.

use linksnap_catalog::Holding;
use linksnap_inode::content::{Buffer, CopyFault, Shape};
use linksnap_inode::{ContentHash, DirFd, Errno, Fault, Kind, RegularFile, Stat, Xattrs};

use crate::stages::clone::{self, Old};
use crate::stages::validate::Attributes;
use crate::tree::{TreeDir, TreeFile};

/// Setuid and setgid.
const SET_ID: u16 = 0o6000;

/// How often a file that changes while it is read is read again.
const TRIES: usize = 3;

/// What was stored.
#[derive(Debug)]
pub struct Stored {
    /// The source's attributes as of the reading.
    pub stat: Stat,
    /// The number of the new inode.
    pub inode: u64,
    /// Hash of a file's bytes.
    pub hash: Option<ContentHash>,
    /// Text of a symbolic link.
    pub target: Option<Box<[u8]>>,
    /// Extended attributes.
    pub xattrs: Xattrs,
    /// Bytes of content that it has, holes not counted.
    pub data_bytes: u64,
    /// Those of them that were written; the others it shares with an older version.
    pub copied_bytes: u64,
    /// Does it share blocks with an older version?
    pub cloned: bool,
    /// The file changed each time it was read.
    pub changed_while_read: bool,
    /// What could not be set.
    pub lacks: Lacks,
    /// Is it what it stands for?
    pub holding: Holding,
}

/// What an inode lacks of what it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lacks {
    /// The owner: only root may give files away. With it go setuid and setgid.
    pub owner: bool,
    /// An extended attribute, and why.
    pub xattr: Option<Fault>,
    /// The modification time: the filesystem's times end before it, or begin after it.
    pub time: bool,
}

impl Lacks {
    /// Does it lack anything?
    #[must_use]
    pub fn anything(&self) -> bool {
        self.owner || self.xattr.is_some() || self.time
    }
}

impl Stored {
    /// Bytes of a file's size that are holes.
    #[must_use]
    pub fn holes(&self) -> u64 {
        if self.stat.kind == Kind::File { self.stat.size.saturating_sub(self.data_bytes) } else { 0 }
    }

    /// What the new inode's attributes must be.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        let all = Attributes::from(&self.stat);
        let rdev = if self.holding == Holding::StandIn { 0 } else { all.rdev };
        let Lacks { owner, time, .. } = self.lacks;
        let (owner, mtime) = (all.owner.filter(|_| !owner), all.mtime.filter(|_| !time));
        Attributes { owner, mtime, rdev, ..all }
    }
}

/// Why nothing was stored.
#[derive(Debug, Clone, Copy)]
pub enum StoreError {
    /// The source could not be read: a problem of this path.
    Source(Fault),
    /// The inode could not be made: a problem of the run.
    Target(Fault),
    /// The watcher wants to stop.
    Stopped,
}

/// What storing needs besides source and target.
pub struct Tools<'a> {
    /// For reading.
    pub buffer: &'a mut Buffer,
    /// Told of every piece of content that was read; says whether to stop.
    pub watch: &'a mut dyn FnMut(u64) -> bool,
    /// Of a file: what it may share blocks with.
    pub old: Option<&'a Old>,
}

impl std::fmt::Debug for Tools<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tools").finish_non_exhaustive()
    }
}

/// The fault by which a watcher's wish to stop travels through the copying of content.
pub(crate) const STOPPED: Fault = Fault::new("go on", Errno::CANCELED);

fn source_error(fault: Fault) -> StoreError {
    if fault == STOPPED { StoreError::Stopped } else { StoreError::Source(fault) }
}

/// Stores the entry `name` of `source`, which looked like `stat`, as `new_name` in `to`, where no such name
/// is. After an error there is none either.
pub fn store<D: TreeDir>(
    source: &D,
    (name, stat): (&[u8], &Stat),
    to: &DirFd,
    new_name: &[u8],
    tools: &mut Tools<'_>,
) -> Result<Stored, StoreError> {
    match stat.kind {
        Kind::File => store_file(source, (name, stat), to, new_name, tools),
        Kind::Symlink => store_symlink(source, (name, stat), to, new_name),
        Kind::Directory => Err(StoreError::Source(Fault::new("copy", Errno::ISDIR))),
        _ => store_special(source, (name, stat), to, new_name),
    }
}

fn store_file<D: TreeDir>(
    source: &D,
    (name, stat): (&[u8], &Stat),
    to: &DirFd,
    new_name: &[u8],
    tools: &mut Tools<'_>,
) -> Result<Stored, StoreError> {
    let mut tries = 1;
    // What the scan saw is the first look; if the file has changed since, a fresh one is taken.
    let mut before = Some(*stat);
    loop {
        let file = to.create_file(new_name).map_err(StoreError::Target)?;
        let result = copy_once(source, (name, before.take()), &file, tools);
        let again = matches!(&result, Ok(stored) if stored.changed_while_read) && tries < TRIES;
        if result.is_ok() && !again {
            return result;
        }
        drop(file);
        to.unlink(new_name).map_err(StoreError::Target)?;
        result?;
        tries += 1;
    }
}

fn copy_once<D: TreeDir>(
    source: &D,
    (name, before): (&[u8], Option<Stat>),
    to: &RegularFile,
    tools: &mut Tools<'_>,
) -> Result<Stored, StoreError> {
    let from = source.open_file(name).map_err(source_error)?;
    let before = match before {
        Some(before) => before,
        None => from.stat().map_err(source_error)?,
    };
    let watch = &mut |count| if (tools.watch)(count) { Err(STOPPED) } else { Ok(()) };
    let filled = clone::fill((&from, Shape::from(&before)), tools.old, to, tools.buffer, watch);
    let filled = filled.map_err(|fault| match fault {
        CopyFault::Reading(fault) => source_error(fault),
        CopyFault::Writing(fault) => target_error(fault),
    })?;
    let read = filled.read;
    let xattrs = from.xattrs().map_err(source_error)?;
    let after = from.stat().map_err(source_error)?;
    if after.kind != Kind::File {
        return Err(StoreError::Source(Fault::new("open", Errno::STALE)));
    }
    let stat = Stat { size: read.size, ..after };
    let made = to.stat().map_err(StoreError::Target)?;
    let lacks = dress_file(to, &made, &stat, &xattrs)?;
    Ok(Stored {
        stat,
        inode: made.inode,
        hash: Some(read.hash),
        target: None,
        xattrs,
        data_bytes: read.data_bytes,
        copied_bytes: filled.copied_bytes,
        cloned: filled.cloned,
        changed_while_read: !same_content(&before, &after) || read.size != after.size,
        lacks,
        holding: Holding::Whole,
    })
}

/// Do the attributes say that nothing was written between two looks?
pub(crate) fn same_content(before: &Stat, after: &Stat) -> bool {
    let look = |stat: &Stat| (stat.inode, stat.size, stat.mtime, stat.ctime);
    look(before) == look(after)
}

fn dress_file(to: &RegularFile, made: &Stat, wanted: &Stat, xattrs: &Xattrs) -> Result<Lacks, StoreError> {
    let owner = give(made, wanted, |uid, gid| to.set_owner(uid, gid)).map_err(StoreError::Target)?;
    // A new owner takes setuid and setgid away (`chown(2)`).
    let mode = mode_for(wanted.mode, owner);
    if made.mode != mode || mode & SET_ID != 0 {
        to.set_mode(mode).map_err(StoreError::Target)?;
    }
    let xattr = keep_going(if xattrs.is_empty() { Ok(()) } else { xattrs.write(to) })?;
    to.set_mtime(wanted.mtime).map_err(StoreError::Target)?;
    let time = lacks_time(wanted, || to.stat()).map_err(StoreError::Target)?;
    Ok(Lacks { owner, xattr, time })
}

/// Has the filesystem taken another time than was wanted, because it knows none so early or late? It does not say so.
fn lacks_time(wanted: &Stat, made: impl FnOnce() -> Result<Stat, Fault>) -> Result<bool, Fault> {
    Ok(!wanted.mtime.fits_everywhere() && made()?.mtime != wanted.mtime)
}

/// What the repository's filesystem cannot hold, as a link or file that is too long for it, is a problem of the path,
/// not of the run.
fn target_error(fault: Fault) -> StoreError {
    match fault.errno {
        Errno::NAMETOOLONG | Errno::FBIG => StoreError::Source(fault),
        _ => StoreError::Target(fault),
    }
}

/// Makes the attributes of a file that is there, which look like `is`, those of another.
pub fn redress_file(
    file: &RegularFile,
    is: &Stat,
    wanted: &Stat,
    xattrs: &Xattrs,
) -> Result<Lacks, StoreError> {
    let mut lacks = dress_file(file, is, wanted, xattrs)?;
    if xattrs.is_empty() {
        // Those that it has, if any, go.
        lacks.xattr = keep_going(xattrs.write(file))?;
    }
    Ok(lacks)
}

/// Gives an inode to its owner; says whether that was not allowed. A group of one's own is set even so.
fn give(
    made: &Stat,
    wanted: &Stat,
    set: impl Fn(Option<u32>, Option<u32>) -> Result<(), Fault>,
) -> Result<bool, Fault> {
    if (made.uid, made.gid) == (wanted.uid, wanted.gid) {
        return Ok(false);
    }
    match set(Some(wanted.uid), Some(wanted.gid)) {
        Err(fault) if fault.is(Errno::PERM) => {}
        other => return other.map(|()| false),
    }
    match set(None, Some(wanted.gid)) {
        Ok(()) => Ok(made.uid != wanted.uid),
        Err(fault) if fault.is(Errno::PERM) => Ok(true),
        Err(fault) => Err(fault),
    }
}

/// What `setxattr(2)` says where the filesystem, its limits (ext4: `ENOSPC`), the value or the user is in the way.
const REFUSALS: [Errno; 8] = [
    Errno::OPNOTSUPP,
    Errno::PERM,
    Errno::ACCESS,
    Errno::INVAL,
    Errno::RANGE,
    Errno::TOOBIG,
    Errno::NOSPC,
    Errno::NODATA,
];
/// What is to run as its owner must not run as somebody else, whose it is for want of that owner; and of groups that are
/// not one's own the kernel takes setgid away (`chmod(2)`).
fn mode_for(mode: u16, lacks_owner: bool) -> u16 {
    if lacks_owner { mode & !SET_ID } else { mode }
}

/// An extended attribute that this filesystem or this user cannot set is a problem of the path, not of the
/// run; a disk that fails is one of the run, for what it did not take now it may take tomorrow.
fn keep_going(result: Result<(), Fault>) -> Result<Option<Fault>, StoreError> {
    match result {
        Ok(()) => Ok(None),
        Err(fault) if REFUSALS.contains(&fault.errno) => Ok(Some(fault)),
        Err(fault) => Err(StoreError::Target(fault)),
    }
}

fn store_symlink<D: TreeDir>(
    source: &D,
    (name, stat): (&[u8], &Stat),
    to: &DirFd,
    new_name: &[u8],
) -> Result<Stored, StoreError> {
    let target = source.read_link(name).map_err(StoreError::Source)?;
    let xattrs = source.xattrs(Some(name)).map_err(StoreError::Source)?;
    to.make_symlink(new_name, &target).map_err(target_error)?;
    let stat = Stat { size: target.len() as u64, ..*stat };
    let mut stored = dress_entry(to, new_name, stat, xattrs)?;
    stored.target = Some(target.into_boxed_slice());
    Ok(stored)
}

fn store_special<D: TreeDir>(
    source: &D,
    (name, stat): (&[u8], &Stat),
    to: &DirFd,
    new_name: &[u8],
) -> Result<Stored, StoreError> {
    let xattrs = source.xattrs(Some(name)).map_err(StoreError::Source)?;
    match to.make_node(new_name, stat.kind, stat.rdev) {
        Ok(()) => {}
        // Only root may make devices: of no fault of the run, and of this path only.
        Err(fault) if fault.is(Errno::PERM) => return Err(StoreError::Source(fault)),
        Err(fault) => return Err(StoreError::Target(fault)),
    }
    dress_entry(to, new_name, *stat, xattrs)
}

/// Sets the attributes of a new entry that cannot be opened: a symbolic link or special file.
fn dress_entry(to: &DirFd, name: &[u8], wanted: Stat, xattrs: Xattrs) -> Result<Stored, StoreError> {
    let node = to.hold(name, wanted.kind).map_err(StoreError::Target)?;
    let made = node.made();
    let owner = give(made, &wanted, |uid, gid| node.set_owner(uid, gid)).map_err(StoreError::Target)?;
    if wanted.kind != Kind::Symlink {
        node.set_mode(mode_for(wanted.mode, owner)).map_err(StoreError::Target)?;
    }
    let xattr = keep_going(if xattrs.is_empty() { Ok(()) } else { node.set_xattrs(&xattrs) })?;
    node.set_mtime(wanted.mtime).map_err(StoreError::Target)?;
    let time = lacks_time(&wanted, || node.stat()).map_err(StoreError::Target)?;
    Ok(without_content(wanted, made.inode, xattrs, Lacks { owner, xattr, time }))
}

/// What was stored of an entry that has no bytes.
fn without_content(stat: Stat, inode: u64, xattrs: Xattrs, lacks: Lacks) -> Stored {
    Stored {
        stat,
        inode,
        hash: None,
        target: None,
        xattrs,
        data_bytes: 0,
        copied_bytes: 0,
        cloned: false,
        changed_while_read: false,
        lacks,
        holding: Holding::Whole,
    }
}

/// Makes an empty file in place of a device, which only root can make: it has a name and an inode, and what it stands
/// for is in the catalog.
pub fn store_stand_in<D: TreeDir>(
    source: &D,
    (name, stat): (&[u8], &Stat),
    to: &DirFd,
    new_name: &[u8],
) -> Result<Stored, StoreError> {
    let xattrs = source.xattrs(Some(name)).map_err(StoreError::Source)?;
    let file = to.create_file(new_name).map_err(StoreError::Target)?;
    let made = file.stat().map_err(StoreError::Target)?;
    let lacks = dress_file(&file, &made, stat, &xattrs)?;
    Ok(Stored { holding: Holding::StandIn, ..without_content(*stat, made.inode, xattrs, lacks) })
}

/// Has a directory all attributes of another already?
pub fn is_dressed(dir: &DirFd, wanted: &Stat, xattrs: &Xattrs) -> Result<bool, Fault> {
    let Stat { mode, uid, gid, mtime, .. } = dir.stat()?;
    Ok((mode, uid, gid, mtime) == (wanted.mode, wanted.uid, wanted.gid, wanted.mtime)
        && Xattrs::read(dir)? == *xattrs)
}

/// Makes the attributes of a directory those of another.
pub fn dress_directory(to: &DirFd, wanted: &Stat, xattrs: &Xattrs) -> Result<Lacks, Fault> {
    let made = to.stat()?;
    let owner = give(&made, wanted, |uid, gid| to.set_owner(uid, gid))?;
    to.set_mode(mode_for(wanted.mode, owner))?;
    let xattr = match keep_going(xattrs.write(to)) {
        Ok(xattr) => xattr,
        Err(StoreError::Target(fault) | StoreError::Source(fault)) => return Err(fault),
        Err(StoreError::Stopped) => return Err(STOPPED),
    };
    to.set_mtime(wanted.mtime)?;
    let time = lacks_time(wanted, || to.stat())?;
    Ok(Lacks { owner, xattr, time })
}

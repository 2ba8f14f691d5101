//! All that an inode says, and what removing one of its names would do.

use std::path::Path;

use linksnap_inode::content::{Bytes, Extent};
use linksnap_inode::detail::Flags;
use linksnap_inode::dir::path_bytes;
use linksnap_inode::filesystem::{Filesystem, Nature};
use linksnap_inode::mounts::{self, Mount};
use linksnap_inode::path::{absolute, as_path};
use linksnap_inode::xattr::DEFAULT_ACL;
use linksnap_inode::{Detail, Errno, Fault, FsError, Handle, Kind, Xattrs, limits};

use crate::acl::Acl;
use crate::holders::{self, Held};
use crate::place::Place;
use crate::resolve::{Demand, End, resolve};

/// The attribute in which an ACL is kept.
const ACL: &[u8] = b"system.posix_acl_access";

/// The attribute in which SELinux keeps its label.
const LABEL: &[u8] = b"security.selinux";

/// What is done with a symbolic link that was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// It is looked at itself.
    Look,
    /// What it leads to is looked at.
    Follow,
}

/// All that is known of an inode.
#[derive(Debug)]
pub struct Report {
    /// The place of the name that was looked at.
    pub place: Place,
    /// What the kernel tells.
    pub detail: Detail,
    /// The text, of a symbolic link.
    pub text: Option<Vec<u8>>,
    /// All flags, as far as they are to be had.
    pub flags: Flags,
    /// Extended attributes, but for the ACLs and the label.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Who may do what, if there is more to it than the mode says.
    pub acl: Option<Acl>,
    /// What new entries of this directory inherit.
    pub default_acl: Option<Acl>,
    /// The SELinux label, without the zero at its end.
    pub label: Option<Vec<u8>>,
    /// The filesystem.
    pub filesystem: Filesystem,
    /// The mount it was reached by.
    pub mount: Option<Mount>,
    /// Data and holes, of a regular file that may be read.
    pub extents: Option<Extents>,
    /// What could not be found out.
    pub gaps: Vec<Fault>,
    /// What would become of `rm`.
    pub removal: Removal,
}

/// How a file's size is made up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extents {
    /// Stretches of data.
    pub data: u64,
    /// Bytes in them.
    pub data_bytes: u64,
    /// Holes, one at the end included.
    pub holes: u64,
    /// Bytes in them: read as zeros, and take no room.
    pub hole_bytes: u64,
}

/// What removing the name would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// Why it would be refused.
    pub obstacle: Option<Obstacle>,
    /// Other names that keep the inode.
    pub other_names: u32,
    /// Bytes on disk that go with the last name, and when no process holds it any more.
    pub freed_bytes: u64,
    /// Can some of them be shared with other files, and stay (reflinks)?
    pub may_share: bool,
}

/// Why `rm` would be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// It is a directory.
    Directory,
    /// It has this flag.
    Flag(&'static str),
    /// Its directory has this flag.
    DirectoryFlag(&'static str),
    /// The mount is read-only.
    ReadOnly,
    /// This process may not write the directory.
    NoRight,
    /// The directory is sticky, and it is somebody else's.
    Sticky,
}

impl Report {
    /// Most names that the filesystem allows, where a limit is known.
    #[must_use]
    pub fn most_links(&self) -> Option<u32> {
        match self.filesystem.nature() {
            Nature::Disk { links } => links,
            Nature::NoLinks => Some(1),
            _ => None,
        }
    }
}

/// Looks at what has the name `path`.
///
/// # Errors
/// If there is nothing of that name.
pub fn look(path: &Path, links: Links) -> Result<Report, FsError> {
    let place = match links {
        // What ends in a slash is a directory, and a link is followed to it.
        Links::Look if !path_bytes(path).ends_with(b"/") => Place::find(path)?,
        _ => follow(path)?,
    };
    let handle = place.dir.look_at(&place.name).map_err(|fault| fault.at(path))?;
    report(place, &handle).map_err(|fault| fault.at(path))
}

/// Who holds the inodes of these reports.
#[must_use]
pub fn held(reports: &[Report]) -> Held {
    let identities: Vec<(u64, u64)> = reports.iter().map(|report| report.detail.stat.identity()).collect();
    holders::of(&identities)
}

fn follow(path: &Path) -> Result<Place, FsError> {
    let found = resolve(path_bytes(path), Demand::Kernel).map_err(|fault| fault.at(path))?;
    let errno = match (&found.end, &found.path) {
        (End::Reached(..), Some(real)) => return Place::find(as_path(&absolute(real))),
        (End::Stopped(stop), _) => stop.errno(),
        _ => Errno::NOENT,
    };
    Err(Fault::new("follow", errno).at(path))
}

fn report(place: Place, handle: &Handle) -> Result<Report, Fault> {
    let mut gaps = Vec::new();
    let detail = handle.detail()?;
    let kind = detail.stat.kind;
    let xattrs = handle.xattrs().unwrap_or_else(|fault| {
        gaps.push(fault);
        Xattrs::default()
    });
    let extents = match kind {
        Kind::File => extents(handle).map_err(|fault| gaps.push(fault)).ok(),
        _ => None,
    };
    let text = if kind == Kind::Symlink { Some(handle.read_link()?) } else { None };
    let flags = handle.flags().unwrap_or(detail.flags);
    let mount = mounts::all().unwrap_or_default().into_iter().find(|mount| Some(mount.id) == detail.mount);
    let filesystem = handle.filesystem()?;
    Ok(Report {
        removal: removal(&place, &detail, flags, filesystem, mount.as_ref()),
        acl: xattrs.get(ACL).and_then(Acl::decode),
        default_acl: xattrs.get(DEFAULT_ACL).and_then(Acl::decode),
        label: xattrs.get(LABEL).map(|label| label.strip_suffix(b"\0").unwrap_or(label).to_vec()),
        xattrs: others(&xattrs),
        place,
        detail,
        text,
        flags,
        filesystem,
        mount,
        extents,
        gaps,
    })
}

fn others(xattrs: &Xattrs) -> Vec<(Vec<u8>, Vec<u8>)> {
    let shown = [ACL, DEFAULT_ACL, LABEL];
    let rest = xattrs.iter().filter(|(name, _)| !shown.contains(name));
    rest.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fn extents(handle: &Handle) -> Result<Extents, Fault> {
    let file = handle.open_file()?;
    let mut extents = Extents::default();
    let mut at = 0;
    loop {
        match file.next_extent(at)? {
            Extent::Data { start, end } if end > at => {
                extents.add_hole(at, start);
                extents.data += 1;
                extents.data_bytes += end - start;
                at = end;
            }
            Extent::HoleTo(size) => {
                extents.add_hole(at, size);
                return Ok(extents);
            }
            // It is being written.
            Extent::Data { .. } => return Ok(extents),
        }
    }
}

impl Extents {
    fn add_hole(&mut self, from: u64, to: u64) {
        self.holes += u64::from(to > from);
        self.hole_bytes += to.saturating_sub(from);
    }
}

fn removal(
    place: &Place,
    detail: &Detail,
    flags: Flags,
    filesystem: Filesystem,
    mount: Option<&Mount>,
) -> Removal {
    let other_names = detail.stat.links.saturating_sub(1);
    let is_last = other_names == 0;
    Removal {
        obstacle: obstacle(place, detail, flags, mount),
        other_names,
        freed_bytes: if is_last { detail.stat.blocks.saturating_mul(512) } else { 0 },
        may_share: detail.stat.kind == Kind::File
            && ["btrfs", "xfs", "bcachefs", "zfs"].contains(&filesystem.name().as_str()),
    }
}

fn obstacle(place: &Place, detail: &Detail, flags: Flags, mount: Option<&Mount>) -> Option<Obstacle> {
    if detail.stat.kind == Kind::Directory {
        return Some(Obstacle::Directory);
    }
    if mount.is_some_and(|mount| mount.flags.split(|byte| *byte == b',').any(|option| option == b"ro")) {
        return Some(Obstacle::ReadOnly);
    }
    let dir = place.dir.look_at(b".").and_then(|dir| dir.detail()).ok()?;
    match (flags.barrier(), dir.flags.barrier()) {
        (Some(flag), _) => return Some(Obstacle::Flag(flag)),
        (_, Some(flag)) => return Some(Obstacle::DirectoryFlag(flag)),
        _ => {}
    }
    let user = limits::effective_user();
    let is_foreign = user != 0 && ![detail.stat.uid, dir.stat.uid].contains(&user);
    match place.dir.may_change_names() {
        false => Some(Obstacle::NoRight),
        true if dir.stat.mode & 0o1000 != 0 && is_foreign => Some(Obstacle::Sticky),
        true => None,
    }
}

//! The repository: a directory on one filesystem that holds jobs.

use std::path::{Path, PathBuf};

use linksnap_inode::filesystem::{self, Abilities, Filesystem, Nature};
use linksnap_inode::path::{above, nearest_existing};
use linksnap_inode::{DirFd, Errno, Fault, FsError, limits};
use serde::{Deserialize, Serialize};

use crate::ability::{self, Changes, judge};
use crate::job::JobName;
use crate::layout;
use crate::report::Class;
use crate::sandbox::{self, Ground};

/// The format of repositories that this program writes.
const FORMAT: u32 = 1;

/// An open repository.
#[derive(Debug)]
pub struct Repository {
    path: PathBuf,
    dir: DirFd,
    marker: Marker,
    at: Home,
}

/// Where a repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// Where its marker says, as far as the filesystem tells.
    AsRecorded,
    /// Somewhere else: it is a copy, or was moved to another filesystem.
    Elsewhere,
}

/// Less room than this is none to try things out in: bytes …
const ROOM_TO_TRY: u64 = 1 << 20;
/// … and inodes.
const INODES_TO_TRY: u64 = 16;

/// What the marker file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Marker {
    /// Format version.
    pub format: u32,
    /// Who this repository is, whatever the path it is found at.
    pub uuid: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Was it accepted though the filesystem cannot promise durability?
    #[serde(default)]
    pub degraded: bool,
    /// Which directory of all this one is: [`filesystem::home`] when it was made, or when its move was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// The filesystem it was made on.
    pub filesystem: MarkerFilesystem,
}

/// The filesystem that a repository was made on, as found then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate finding")]
pub struct MarkerFilesystem {
    /// Its type, as `mount` names it.
    pub r#type: String,
    /// Most names of one inode, where a limit is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<u32>,
    /// Can symbolic links have several names?
    pub symlink_links: bool,
    /// Are extended attributes kept?
    pub xattrs: bool,
    /// Can owners be set?
    pub owners: bool,
    /// Are times kept to the nanosecond?
    pub nanoseconds: bool,
    /// Are ACLs kept?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acls: Option<bool>,
    /// Can files share their blocks?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reflinks: Option<bool>,
    /// Are names that differ in case different names?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_sensitive: Option<bool>,
}

impl MarkerFilesystem {
    /// What was found out of a filesystem.
    #[must_use]
    pub fn new(name: &str, links: Option<u32>, abilities: &Abilities) -> Self {
        Self {
            r#type: name.to_owned(),
            links,
            symlink_links: abilities.symlink_links,
            xattrs: abilities.xattrs,
            owners: abilities.owners,
            nanoseconds: abilities.time_step == 1,
            acls: Some(abilities.acls),
            reflinks: Some(abilities.reflinks),
            case_sensitive: Some(abilities.case_sensitive),
        }
    }

    fn of(filesystem: &Filesystem, abilities: &Abilities) -> Self {
        let links = match filesystem.nature() {
            Nature::Disk { links } => links,
            _ => None,
        };
        Self::new(&filesystem.name(), links, abilities)
    }
}

/// What to think of filesystems that cannot promise durability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Refuse them.
    Required,
    /// Accept them (`--degraded`).
    Degraded,
}

/// What came of making a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Sentences on what the filesystem can and cannot do.
    pub findings: Vec<String>,
}

/// Why there is no repository to work with.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The directory is not there.
    #[error("there is no directory {}", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The directory is no repository.
    #[error("{} is no linksnap repository: it has no file linksnap.toml", path.display())]
    NotOne {
        /// The path.
        path: PathBuf,
    },
    /// A repository cannot be made in a directory with something in it.
    #[error("{} is not empty{}", path.display(), if *is_repository { ": it is a repository already" } else { "" })]
    NotEmpty {
        /// The path.
        path: PathBuf,
        /// Is it a repository?
        is_repository: bool,
    },
    /// The filesystem cannot hold snapshots.
    #[error("{} cannot hold a repository: {reason}", path.display())]
    Unsuitable {
        /// The path.
        path: PathBuf,
        /// Why.
        reason: String,
        /// What the user can do.
        remedy: String,
    },
    /// It was made by a newer linksnap.
    #[error("{} has format {found}; this linksnap knows format {FORMAT}", path.display())]
    Newer {
        /// The path.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The marker file cannot be understood.
    #[error("{} cannot be understood: {message}", path.display())]
    Marker {
        /// The marker file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// The filesystem failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl RepositoryError {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Missing { .. } | Self::NotOne { .. } => Class::NoRepository,
            Self::NotEmpty { .. } | Self::Unsuitable { .. } => Class::Guard,
            Self::Newer { .. } | Self::Marker { .. } | Self::Fs(_) => Class::Failed,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { path } | Self::NotOne { path } => format!(
                "is the disk mounted? To make a new repository there: linksnap init --repo {}",
                path.display()
            ),
            Self::NotEmpty { is_repository: true, .. } => "use it as it is".to_owned(),
            Self::NotEmpty { .. } => "name a new or an empty directory".to_owned(),
            Self::Unsuitable { remedy, .. } => remedy.clone(),
            Self::Newer { .. } => "use the linksnap that made it, or a newer one".to_owned(),
            Self::Marker { .. } => "put back linksnap.toml from a copy; the snapshots are not touched by \
                                    this"
                .to_owned(),
            Self::Fs(_) => return None,
        })
    }
}

impl Repository {
    /// Makes a repository in a directory that is missing or empty. `now` in seconds since 1970.
    pub fn create(
        path: &Path,
        now: i64,
        durability: Durability,
    ) -> Result<(Self, Creation), RepositoryError> {
        let dir = open_or_make(path)?;
        sandbox::narrow(&[Ground::Tree(&dir)]);
        refuse_occupied(&dir, path)?;
        let found = examine(&dir, path, durability)?;
        dir.set_mode(0o700).and_then(|()| clear_attempt(&dir)).map_err(|fault| fault.at(path))?;
        let marker = Marker {
            format: FORMAT,
            uuid: random_uuid().map_err(|fault| fault.at(path))?,
            created: jiff::Timestamp::from_second(now).map_or_else(|_| String::new(), |at| at.to_string()),
            degraded: found.degraded,
            home: found.home,
            filesystem: found.filesystem,
        };
        write_new(&dir, layout::README, layout::README_TEXT.as_bytes(), path)?;
        // Last, and by rename: with the marker there, the repository is whole.
        write_new(&dir, layout::NEW_MARKER, marker_text(&marker).as_bytes(), path)?;
        dir.rename(layout::NEW_MARKER, &dir, layout::MARKER)
            .and_then(|()| dir.sync())
            .map_err(|fault| fault.at(path))?;
        Ok((
            Self { path: path.to_path_buf(), dir, marker, at: Home::AsRecorded },
            Creation { findings: found.findings },
        ))
    }

    /// Could a repository be made there? Tells the filesystem's type; tries nothing out and writes nothing.
    pub fn preview(path: &Path, durability: Durability) -> Result<String, RepositoryError> {
        let dir = match DirFd::open_root(path) {
            Ok(dir) => {
                refuse_occupied(&dir, path)?;
                dir
            }
            Err(fault) if fault.is(Errno::NOENT) => nearest_existing(above(path))?,
            Err(fault) => return Err(fault.at(path).into()),
        };
        let filesystem = Filesystem::of(&dir).map_err(|fault| fault.at(path))?;
        judge(&filesystem.name(), filesystem.nature(), &Abilities::ASSUMED, durability)
            .map_err(|(reason, remedy)| unsuitable(path, reason, remedy))?;
        Ok(filesystem.name())
    }

    /// Opens a repository.
    pub fn open(path: &Path) -> Result<Self, RepositoryError> {
        let dir = match DirFd::open_root(path) {
            Ok(dir) => dir,
            Err(fault) if fault.is(Errno::NOENT) || fault.is(Errno::NOTDIR) => {
                return Err(RepositoryError::Missing { path: path.to_path_buf() });
            }
            Err(fault) => return Err(fault.at(path).into()),
        };
        let marker_path = path.join("linksnap.toml");
        let text = match dir.open_file(layout::MARKER).and_then(|file| file.read_all(64 * 1024)) {
            Ok(text) => text,
            Err(fault) if fault.is(Errno::NOENT) => {
                return Err(RepositoryError::NotOne { path: path.to_path_buf() });
            }
            Err(fault) => return Err(fault.at(marker_path).into()),
        };
        let marker =
            read_marker(&text).map_err(|message| RepositoryError::Marker { path: marker_path, message })?;
        if marker.format != FORMAT {
            return Err(RepositoryError::Newer { path: path.to_path_buf(), found: marker.format });
        }
        let found = filesystem::home(&dir).map_err(|fault| fault.at(path))?;
        let is_moved = matches!((&marker.home, &found), (Some(recorded), Some(found)) if recorded != found);
        let at = match is_moved {
            true => Home::Elsewhere,
            false => Home::AsRecorded,
        };
        Ok(Self { path: path.to_path_buf(), dir, marker, at })
    }

    /// Accepts that the repository is where it is, on the filesystem it is on: looks at that anew, and records it.
    pub fn settle(path: &Path, durability: Durability) -> Result<(Self, Creation), RepositoryError> {
        let old = Self::open(path)?;
        let dir = &old.dir;
        let durability = if old.marker.degraded { Durability::Degraded } else { durability };
        let found = examine(dir, path, durability)?;
        let marker =
            Marker { degraded: found.degraded, home: found.home, filesystem: found.filesystem, ..old.marker };
        dir.unlink(layout::NEW_MARKER).or_else(ignore_missing).map_err(|fault| fault.at(path))?;
        write_new(dir, layout::NEW_MARKER, marker_text(&marker).as_bytes(), path)?;
        dir.rename(layout::NEW_MARKER, dir, layout::MARKER)
            .and_then(|()| dir.sync())
            .map_err(|fault| fault.at(path))?;
        Ok((Self::open(path)?, Creation { findings: found.findings }))
    }

    /// Is it where it was made, or where its move was accepted? Only then may anything be written into it.
    #[must_use]
    pub fn home(&self) -> Home {
        self.at
    }

    /// What its filesystem can do otherwise than the marker says: tried out in `dir`, a directory in it. Where there is
    /// next to no room, nobody can tell.
    pub fn changes(&self, dir: &DirFd) -> Result<Changes, Fault> {
        let Filesystem { free_bytes, free_inodes, total_inodes, .. } = Filesystem::of(dir)?;
        if free_bytes < ROOM_TO_TRY || (total_inodes > 0 && free_inodes < INODES_TO_TRY) {
            return Ok(Changes::default());
        }
        Ok(ability::compare(&self.marker.filesystem, &Abilities::probe(dir)?))
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &DirFd {
        &self.dir
    }

    /// What its marker says.
    #[must_use]
    pub fn marker(&self) -> &Marker {
        &self.marker
    }

    /// The jobs that have a directory, sorted.
    pub fn jobs(&self) -> Result<Vec<JobName>, RepositoryError> {
        let names = self.dir.names().map_err(|fault| fault.at(&self.path))?;
        let mut jobs: Vec<JobName> = names
            .iter()
            .filter_map(|name| JobName::parse(std::str::from_utf8(name.bytes).ok()?).ok())
            .collect();
        // What cannot be looked into is not passed over: who asks about all jobs must hear of it.
        let mut failed = None;
        jobs.retain(|name| {
            let is_job = self.is_job(name);
            is_job.unwrap_or_else(|fault| {
                failed.get_or_insert_with(|| fault.at(self.path.join(name.as_str())));
                false
            })
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        jobs.sort();
        Ok(jobs)
    }

    /// Is it a directory with a job in it?
    fn is_job(&self, name: &JobName) -> Result<bool, Fault> {
        let dir = self.dir.open_dir(name.as_str().as_bytes());
        match dir.and_then(|dir| dir.stat_entry(layout::WORKSHOP)) {
            Ok(_) => Ok(true),
            Err(fault) if [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].iter().any(|other| fault.is(*other)) => {
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    }
}

fn open_or_make(path: &Path) -> Result<DirFd, RepositoryError> {
    match DirFd::open_root(path) {
        Err(fault) if fault.is(Errno::NOENT) => {}
        other => return Ok(other.map_err(|fault| fault.at(path))?),
    }
    // Missing directories above it are made as well, as `mkdir -p` does.
    let above = open_or_make(above(path))?;
    let name = path.file_name().ok_or_else(|| RepositoryError::Missing { path: path.to_path_buf() })?;
    let name = std::os::unix::ffi::OsStrExt::as_bytes(name);
    above
        .make_dir(name)
        .and_then(|()| above.sync())
        .and_then(|()| above.open_dir(name))
        .map_err(|fault| fault.at(path).into())
}

fn refuse_occupied(dir: &DirFd, path: &Path) -> Result<(), RepositoryError> {
    let names = dir.names().map_err(|fault| fault.at(path))?;
    let is_repository = names.contains(layout::MARKER);
    // A fresh ext4 has the first of these directories.
    let is_nothing = |name: &[u8]| name == b"lost+found" || (!is_repository && is_of_attempt(dir, name));
    if names.iter().all(|name| is_nothing(name.bytes)) {
        return Ok(());
    }
    Err(RepositoryError::NotEmpty { path: path.to_path_buf(), is_repository })
}

/// Was it left by an attempt to make a repository, which failed or died? A README.txt is ours if it is the beginning of
/// what we write.
fn is_of_attempt(dir: &DirFd, name: &[u8]) -> bool {
    let begins = || {
        let text = dir.open_file(name).and_then(|file| file.read_all(layout::README_TEXT.len()));
        text.is_ok_and(|text| layout::README_TEXT.as_bytes().starts_with(&text))
    };
    name == layout::NEW_MARKER || name == Abilities::PROBE || (name == layout::README && begins())
}

/// Removes what an attempt left; the directory of the probe was removed by the one just made.
fn clear_attempt(dir: &DirFd) -> Result<(), Fault> {
    [layout::NEW_MARKER, layout::README].iter().try_for_each(|name| match dir.unlink(name) {
        Err(fault) if !fault.is(Errno::NOENT) => Err(fault),
        _ => Ok(()),
    })
}

fn unsuitable(path: &Path, reason: String, remedy: String) -> RepositoryError {
    RepositoryError::Unsuitable { path: path.to_path_buf(), reason, remedy }
}

/// What was found out of a directory's filesystem.
struct Found {
    findings: Vec<String>,
    degraded: bool,
    home: Option<String>,
    filesystem: MarkerFilesystem,
}

/// Tries out what the filesystem can do, unless its kind will not do anyway.
fn examine(dir: &DirFd, path: &Path, durability: Durability) -> Result<Found, RepositoryError> {
    let filesystem = Filesystem::of(dir).map_err(|fault| fault.at(path))?;
    let judge = |abilities: &Abilities| {
        judge(&filesystem.name(), filesystem.nature(), abilities, durability)
            .map_err(|(reason, remedy)| unsuitable(path, reason, remedy))
    };
    judge(&Abilities::ASSUMED)?;
    let abilities = Abilities::probe(dir).map_err(|fault| fault.at(path))?;
    let (findings, degraded) = judge(&abilities)?;
    let home = filesystem::home(dir).map_err(|fault| fault.at(path))?;
    Ok(Found { findings, degraded, home, filesystem: MarkerFilesystem::of(&filesystem, &abilities) })
}

fn ignore_missing(fault: Fault) -> Result<(), Fault> {
    if fault.is(Errno::NOENT) { Ok(()) } else { Err(fault) }
}

fn marker_text(marker: &Marker) -> String {
    let fields = toml::to_string(marker).unwrap_or_default();
    format!("# A linksnap repository. README.txt beside this file says what is here.\n{fields}")
}

fn read_marker(bytes: &[u8]) -> Result<Marker, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    toml::from_str(text).map_err(|error| error.to_string())
}

/// A random UUID, version 4 (RFC 9562).
fn random_uuid() -> Result<String, Fault> {
    let random = limits::random_128()?;
    let bits = (random & !(0xF << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

fn write_new(dir: &DirFd, name: &[u8], bytes: &[u8], path: &Path) -> Result<(), FsError> {
    let write = || {
        let file = dir.create_file(name)?;
        file.write_at(bytes, 0)?;
        file.set_mode(0o644)?;
        file.sync()
    };
    write().map_err(|fault| fault.at(path.join(linksnap_inode::path::as_path(name))))
}

//! The repository: a directory on one filesystem that holds jobs.

use std::path::{Path, PathBuf};

use linksnap_inode::filesystem::{Abilities, Filesystem, Nature};
use linksnap_inode::{DirFd, Errno, Fault, FsError, limits};
use serde::{Deserialize, Serialize};

use crate::job::JobName;
use crate::layout;
use crate::path::{above, nearest_existing};
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
}

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
        let filesystem = Filesystem::of(&dir).map_err(|fault| fault.at(path))?;
        let abilities = Abilities::probe(&dir).map_err(|fault| fault.at(path))?;
        let verdict = judge(&filesystem, &abilities, durability);
        let (findings, degraded) = verdict.map_err(|(reason, remedy)| unsuitable(path, reason, remedy))?;
        dir.set_mode(0o700).and_then(|()| clear_attempt(&dir)).map_err(|fault| fault.at(path))?;
        let marker = Marker {
            format: FORMAT,
            uuid: random_uuid().map_err(|fault| fault.at(path))?,
            created: jiff::Timestamp::from_second(now).map_or_else(|_| String::new(), |at| at.to_string()),
            degraded,
            filesystem: marker_filesystem(&filesystem, &abilities),
        };
        write_new(&dir, layout::README, layout::README_TEXT.as_bytes(), path)?;
        // Last, and by rename: with the marker there, the repository is whole.
        write_new(&dir, layout::NEW_MARKER, marker_text(&marker).as_bytes(), path)?;
        dir.rename(layout::NEW_MARKER, &dir, layout::MARKER)
            .and_then(|()| dir.sync())
            .map_err(|fault| fault.at(path))?;
        Ok((Self { path: path.to_path_buf(), dir, marker }, Creation { findings }))
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
        judge(&filesystem, &Abilities::ASSUMED, durability)
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
        Ok(Self { path: path.to_path_buf(), dir, marker })
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

type Verdict = Result<(Vec<String>, bool), (String, String)>;

/// What the filesystem can do, in words, or why it will not do.
fn judge(filesystem: &Filesystem, abilities: &Abilities, durability: Durability) -> Verdict {
    let name = filesystem.name();
    let elsewhere = "use a disk with ext4, XFS or btrfs, or an ext4 image file mounted by loop".to_owned();
    if !abilities.hard_links || filesystem.nature() == Nature::NoLinks {
        return Err((format!("{name} has no hard links"), elsewhere));
    }
    if !abilities.true_inode_numbers {
        return Err((format!("directories of {name} do not tell true inode numbers"), elsewhere));
    }
    if !abilities.rename_noreplace {
        return Err((format!("{name} cannot rename without replacing"), elsewhere));
    }
    let barrier = matches!(filesystem.nature(), Nature::Disk { .. });
    if !barrier && durability == Durability::Required {
        let reason = format!("on {name}, sync does not promise that data are on a disk");
        return Err((reason, format!("{elsewhere}; or accept the risk with --degraded")));
    }
    let mut findings = vec![format!("filesystem {name}: hard links and atomic renames work")];
    if let Nature::Disk { links: Some(links) } = filesystem.nature() {
        findings.push(format!("one inode can have {links} names; beyond that files are copied once more"));
    }
    if !barrier {
        findings.push("degraded: a power cut may damage snapshots that were called complete".to_owned());
    }
    if matches!(name.as_str(), "tmpfs" | "ramfs") {
        findings.push("this is memory: all of it is gone when the machine stops".to_owned());
    }
    if !abilities.xattrs {
        findings.push("no extended attributes here: ACLs and capabilities cannot be kept".to_owned());
    }
    if !abilities.owners {
        findings.push("not running as root: owners other than your own cannot be kept".to_owned());
    }
    if !abilities.nanoseconds {
        findings.push("times are coarser than nanoseconds here".to_owned());
    }
    Ok((findings, !barrier))
}

fn marker_filesystem(filesystem: &Filesystem, abilities: &Abilities) -> MarkerFilesystem {
    let links = match filesystem.nature() {
        Nature::Disk { links } => links,
        _ => None,
    };
    MarkerFilesystem {
        r#type: filesystem.name(),
        links,
        symlink_links: abilities.symlink_links,
        xattrs: abilities.xattrs,
        owners: abilities.owners,
        nanoseconds: abilities.nanoseconds,
    }
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
    write().map_err(|fault| fault.at(path.join(crate::path::as_path(name))))
}

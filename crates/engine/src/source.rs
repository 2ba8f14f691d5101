//! What a job takes its snapshots of: a set of paths, with the directories that lead to them.

use std::path::PathBuf;

use linksnap_inode::filesystem::{Filesystem, Nature};
use linksnap_inode::path;
use linksnap_inode::{DirFd, Errno, Fault, FsError, Kind, Stat, dir::path_bytes};

use crate::tree::{Tree, TreeDir};

/// The paths of a job, none inside another unless another filesystem may lie between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Relative to `/`, sorted.
    paths: Vec<Vec<u8>>,
}

/// Why a path cannot be a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There are none.
    #[error("there is nothing to back up: no source is named")]
    None,
    /// It is not absolute or goes up.
    #[error("the source {} is not an absolute path without ..", path.display())]
    NotAbsolute {
        /// As it was written.
        path: PathBuf,
    },
    /// It is not there.
    #[error("the source {} is not there", path.display())]
    Missing {
        /// The source.
        path: PathBuf,
    },
    /// A symbolic link is on the way to it.
    #[error("the source {} goes through the symbolic link {}", path.display(), link.display())]
    ThroughLink {
        /// The source.
        path: PathBuf,
        /// The link.
        link: PathBuf,
    },
    /// It is in the repository.
    #[error("the source {} is inside the repository", path.display())]
    InsideRepository {
        /// The source.
        path: PathBuf,
    },
    /// It is the kernel talking.
    #[error("the source {} is on {filesystem}, which holds no files", path.display())]
    Pseudo {
        /// The source.
        path: PathBuf,
        /// The filesystem.
        filesystem: String,
    },
    /// The filesystem failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl SourceError {
    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::None => "name directories or files".to_owned(),
            Self::NotAbsolute { .. } => "write it from / on".to_owned(),
            Self::Missing { .. } => {
                "is its disk mounted? Nothing was backed up, and no snapshot was touched. If it is gone for good, \
                 take it out of the job, or run once with --accept-change"
                    .to_owned()
            }
            Self::ThroughLink { .. } => {
                "links are never followed: name the real path (`realpath` tells it)".to_owned()
            }
            Self::InsideRepository { .. } => "a repository cannot back up itself".to_owned(),
            Self::Pseudo { .. } => "leave it out".to_owned(),
            Self::Fs(_) => return None,
        })
    }
}

/// A directory on the way to sources, or in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Above sources only: of its entries only those that lead to sources count.
    OnTheWay,
    /// In a source, whose own device this is.
    Inside {
        /// The device that the source's root is on.
        device: u64,
    },
}

impl Sources {
    /// The sources that a user named, as absolute paths.
    pub fn new(written: &[PathBuf]) -> Result<Self, SourceError> {
        let mut paths = Vec::new();
        for source in written {
            let relative = Some(source)
                .filter(|source| source.is_absolute())
                .and_then(|source| path::relative(path_bytes(source)));
            paths.push(relative.ok_or_else(|| SourceError::NotAbsolute { path: source.clone() })?);
        }
        paths.sort();
        paths.dedup();
        if paths.is_empty() { Err(SourceError::None) } else { Ok(Self { paths }) }
    }

    /// The paths, relative to `/`, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.paths.iter().map(Vec::as_slice)
    }

    /// Is this very path a source?
    #[must_use]
    pub fn contains(&self, path: &[u8]) -> bool {
        self.paths.iter().any(|source| source == path)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.paths.len()
    }

    /// Which of them, counted from 0, the directory `path` is in: the innermost.
    #[must_use]
    pub fn holding(&self, path: &[u8]) -> Option<usize> {
        self.paths.iter().rposition(|source| path::below(path, source).is_some())
    }

    /// Those that are there, and those that are not; all of them as if they were there if none is.
    #[must_use]
    pub fn present(self, root: &DirFd) -> (Self, Vec<Vec<u8>>) {
        let is_missing = |path: &Vec<u8>| matches!(check(root, path, None), Err(SourceError::Missing { .. }));
        let (missing, there): (Vec<_>, Vec<_>) = self.paths.into_iter().partition(is_missing);
        if there.is_empty() {
            return (Self { paths: missing }, Vec::new());
        }
        (Self { paths: there }, missing)
    }

    /// The names in the directory `dir` that are sources or lead to some.
    #[must_use]
    pub fn names_in<'a>(&'a self, dir: &[u8]) -> Vec<&'a [u8]> {
        let below = self.paths.iter().filter_map(|source| path::below(source, dir));
        let mut names: Vec<&[u8]> = below.filter_map(|rest| path::parts(rest).next()).collect();
        names.dedup();
        names
    }

    /// Looks at every source before anything is done: it must be there, outside the repository, reached
    /// without symbolic links, and no pseudo filesystem.
    pub fn check(&self, root: &DirFd, repository: Option<&Stat>) -> Result<(), SourceError> {
        self.paths.iter().try_for_each(|source| check(root, source, repository))
    }
}

fn check(root: &DirFd, source: &[u8], repository: Option<&Stat>) -> Result<(), SourceError> {
    let full = path::as_path(&path::absolute(source)).to_path_buf();
    let mut dir = root.reopen().map_err(|fault| fault.at("/"))?;
    let mut reached = Vec::new();
    for name in path::parts(source) {
        reached = path::join(&reached, name);
        let here = || path::as_path(&path::absolute(&reached)).to_path_buf();
        let stat = match dir.stat_entry(name) {
            Ok(stat) => stat,
            Err(fault) if fault.is(Errno::NOENT) || fault.is(Errno::NOTDIR) => {
                return Err(SourceError::Missing { path: full });
            }
            Err(fault) => return Err(fault.at(here()).into()),
        };
        if stat.kind == Kind::Directory {
            if repository.is_some_and(|repository| repository.identity() == stat.identity()) {
                return Err(SourceError::InsideRepository { path: full });
            }
            dir = dir.open_dir(name).map_err(|fault| fault.at(here()))?;
        } else if reached != source {
            return Err(match stat.kind {
                Kind::Symlink => SourceError::ThroughLink { path: full, link: here() },
                _ => SourceError::Missing { path: full },
            });
        }
    }
    let filesystem = Filesystem::of(&dir).map_err(|fault| fault.at(&full))?;
    if filesystem.nature() == Nature::Pseudo {
        return Err(SourceError::Pseudo { path: full, filesystem: filesystem.name() });
    }
    Ok(())
}

/// On which filesystem each source lay when a run began: by that it is seen that one was unmounted under it.
#[derive(Debug)]
pub struct Footing(Vec<(Vec<u8>, u64)>);

impl Footing {
    /// Of sources that were just looked at.
    pub fn of<T: Tree>(sources: &Sources, tree: &T) -> Result<Self, SourceError> {
        let paths = sources.paths();
        let devices = paths.map(|path| match device(tree, path) {
            Ok(device) => Ok((path.to_vec(), device)),
            Err(fault) => Err(fault.at(path::as_path(&path::absolute(path))).into()),
        });
        Ok(Self(devices.collect::<Result<_, SourceError>>()?))
    }

    /// The sources that are gone now, or lie on another filesystem, as absolute paths.
    pub fn lost<T: Tree>(&self, tree: &T) -> impl Iterator<Item = Vec<u8>> {
        let is_lost = |(path, was): &&(Vec<u8>, u64)| !device(tree, path).is_ok_and(|is| is == *was);
        self.0.iter().filter(is_lost).map(|(path, _)| path::absolute(path))
    }
}

/// The device of a directory itself, which mounts what is to be mounted when it is opened, or of another entry.
fn device<T: Tree>(tree: &T, path: &[u8]) -> Result<u64, Fault> {
    let stat = match tree.open(path).and_then(|dir| dir.stat()) {
        Ok(stat) => stat,
        Err(_) => {
            let (above, name) = path::split(path);
            tree.open(above)?.stat_entry(name)?
        }
    };
    Ok(stat.device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_way_are_found() {
        let sources =
            Sources::new(&["/srv/www".into(), "/etc/".into(), "/srv/data/x".into()]).expect("valid");
        assert_eq!(sources.names_in(b""), [b"etc".as_slice(), b"srv"]);
        assert_eq!(sources.names_in(b"srv"), [b"data".as_slice(), b"www"]);
        assert!(sources.names_in(b"srv/www").is_empty());
        assert!(sources.contains(b"etc"));
    }

    #[test]
    fn a_directory_is_in_the_innermost_source() {
        let sources = Sources::new(&["/srv".into(), "/srv/data".into(), "/etc".into()]).expect("valid");
        let holding = |path: &str| sources.holding(path.as_bytes());
        assert_eq!(
            ["srv/data/x", "srv/data", "srv/datax", "srv", "etc", ""].map(holding),
            [Some(2), Some(2), Some(1), Some(1), Some(0), None]
        );
    }

    #[test]
    fn relative_sources_are_refused() {
        assert!(Sources::new(&["etc".into()]).is_err());
        assert!(Sources::new(&["/a/../b".into()]).is_err());
        assert!(Sources::new(&[]).is_err());
    }
}

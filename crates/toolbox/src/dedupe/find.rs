//! Finds the regular files below the roots, each inode with all of its names there.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use linksnap_inode::filesystem::{Filesystem, Nature};
use linksnap_inode::path::{as_path, join, under};
use linksnap_inode::{DirFd, Errno, Fault, FsError, Kind, Stat};

use super::{File, NameAt, Observe, Omitted, Options, Share};
use crate::swap;
use crate::walk::{self, Mounts, Visit};

/// What a job of a repository has in its directory.
const WORKSHOP: &[u8] = b".linksnap";

/// Filesystems on which files cannot share blocks.
const NO_SHARED_BLOCKS: [&str; 4] = ["ext4", "tmpfs", "ramfs", "f2fs"];

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A root is no directory, or cannot be opened.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The snapshots of a repository are the catalog's, and must not be changed.
    #[error("{} has snapshots in it: what linksnap keeps is left to linksnap", job.display())]
    Repository {
        /// The directory of the job.
        job: PathBuf,
    },
    /// Not on this filesystem.
    #[error("{}: {filesystem} knows no {}", root.display(), what(*share))]
    Unable {
        /// The root on it.
        root: PathBuf,
        /// What kind of filesystem it is.
        filesystem: String,
        /// What was wanted.
        share: Share,
    },
}

fn what(share: Share) -> &'static str {
    match share {
        Share::Links => "hard links",
        Share::Blocks => "files that share blocks",
    }
}

/// The roots, open.
pub(super) struct Roots {
    pub(super) dirs: Vec<DirFd>,
    /// Their paths from `/`, without symbolic links.
    pub(super) real: Vec<PathBuf>,
    /// Most names of an inode, for each root.
    pub(super) limits: Vec<Option<u32>>,
}

/// Opens the roots, and refuses those that are not to be touched.
pub(super) fn open_roots(paths: &[PathBuf], share: Share) -> Result<Roots, PlanError> {
    let mut roots = Roots { dirs: Vec::new(), real: Vec::new(), limits: Vec::new() };
    for path in paths {
        let dir = DirFd::open_root(path).map_err(|fault| fault.at(path))?;
        let filesystem = Filesystem::of(&dir).map_err(|fault| fault.at(path))?;
        let unable = || PlanError::Unable { root: path.clone(), filesystem: filesystem.name(), share };
        let limit = match (filesystem.nature(), share) {
            (Nature::NoLinks | Nature::Pseudo, _) => return Err(unable()),
            (_, Share::Blocks) if NO_SHARED_BLOCKS.contains(&filesystem.name().as_str()) => {
                return Err(unable());
            }
            (Nature::Disk { links }, _) => links,
            _ => None,
        };
        let real = as_path(&dir.real_path().map_err(|fault| fault.at(path))?).to_path_buf();
        refuse_repository_above(&real)?;
        roots.real.push(real);
        roots.dirs.push(dir);
        roots.limits.push(limit);
    }
    Ok(roots)
}

/// A snapshot, or anything else in the directory of a job, is no root.
fn refuse_repository_above(real: &Path) -> Result<(), PlanError> {
    for above in real.ancestors() {
        // What cannot be looked into by this user is not his repository.
        if DirFd::open_root(above).is_ok_and(|dir| is_job(&dir)) {
            return Err(PlanError::Repository { job: above.to_path_buf() });
        }
    }
    Ok(())
}

fn is_job(dir: &DirFd) -> bool {
    dir.stat_entry(WORKSHOP).is_ok_and(|stat| stat.kind == Kind::Directory)
}

/// What was found below the roots.
pub(super) struct Found {
    /// Sorted by device and inode number.
    pub(super) files: Vec<File>,
    pub(super) files_names: u64,
    pub(super) directories: Vec<(usize, Vec<u8>)>,
    pub(super) names: Vec<u8>,
    pub(super) problems: Vec<FsError>,
    pub(super) omitted: Omitted,
    pub(super) directories_visited: u64,
}

/// What one thread has found.
#[derive(Default)]
struct Collector {
    directories: Vec<(usize, Vec<u8>)>,
    /// Of each directory, if several roots could lead to the same.
    identities: Vec<(u64, u64)>,
    names: Vec<u8>,
    entries: Vec<(Stat, NameAt)>,
    problems: Vec<FsError>,
    tiny: u64,
    leftovers: u64,
}

/// What is sorted: the attributes stay where they are, for they are large.
struct Entry<'a> {
    identity: (u64, u64),
    stat: &'a Stat,
    name: NameAt,
}

/// Walks.
pub(super) fn find(roots: &[PathBuf], options: &Options, watch: &dyn Observe) -> Result<Found, PlanError> {
    let finder = Finder { roots, least_size: options.least_size };
    let walked = walk::walk(roots, Mounts::Stay, watch, Collector::default, |collector, visit| {
        finder.directory(collector, visit)
    })?;
    let mut found = Found {
        files: Vec::new(),
        files_names: 0,
        directories: Vec::new(),
        names: Vec::new(),
        problems: walked.problems,
        omitted: Omitted { mounts: walked.mounts_left_out, ..Omitted::default() },
        directories_visited: walked.directories,
    };
    found.gather(walked.visitors);
    Ok(found)
}

struct Finder<'a> {
    roots: &'a [PathBuf],
    least_size: u64,
}

impl Finder<'_> {
    fn directory(&self, collector: &mut Collector, visit: &Visit<'_>) -> Result<(), PlanError> {
        let path = || under(&self.roots[visit.root], visit.path);
        if visit.names.contains(WORKSHOP) && is_job(visit.dir) {
            return Err(PlanError::Repository { job: path() });
        }
        let directory = u32::try_from(collector.directories.len()).unwrap_or(u32::MAX);
        collector.directories.push((visit.root, visit.path.to_vec()));
        if self.roots.len() > 1 {
            collector.identities.push(visit.dir.stat().map_err(|fault| fault.at(path()))?.identity());
        }
        let may_be_file = |name: &linksnap_inode::Name<'_>| matches!(name.kind, None | Some(Kind::File));
        let mut names: Vec<_> = visit.names.iter().filter(may_be_file).collect();
        // Near to the order of the inodes on the disk.
        names.sort_unstable_by_key(|name| name.inode);
        for name in names {
            if swap::is_temporary(name.bytes) {
                collector.leftovers += 1;
                continue;
            }
            match visit.dir.stat_entry(name.bytes) {
                Ok(stat) if stat.kind != Kind::File => {}
                Ok(stat) if stat.size < self.least_size => collector.tiny += 1,
                Ok(stat) => collector.add(stat, directory, name.bytes),
                Err(fault) if fault.is(Errno::NOENT) => {}
                Err(fault) => collector.problem(fault, &path(), name.bytes),
            }
        }
        Ok(())
    }
}

impl Collector {
    fn add(&mut self, stat: Stat, directory: u32, name: &[u8]) {
        let start = self.names.len();
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        self.names.extend_from_slice(name);
        self.entries.push((stat, NameAt { directory, start, length }));
    }

    fn problem(&mut self, fault: Fault, directory: &Path, name: &[u8]) {
        self.problems.push(fault.at(directory.join(as_path(name))));
    }
}

impl Found {
    /// Puts together what the threads have found.
    fn gather(&mut self, mut collectors: Vec<Collector>) {
        let mut entries = Vec::with_capacity(collectors.iter().map(|one| one.entries.len()).sum());
        let mut seen = HashSet::new();
        for one in &mut collectors {
            // What two roots lead to is there once.
            let again: Vec<bool> = one.identities.iter().map(|identity| !seen.insert(*identity)).collect();
            let directories = u32::try_from(self.directories.len()).unwrap_or(u32::MAX);
            let start = self.names.len();
            let once = one
                .entries
                .iter()
                .filter(|(_, name)| !again.get(name.directory as usize).copied().unwrap_or_default());
            entries.extend(once.map(|(stat, name)| {
                let name =
                    NameAt { directory: name.directory + directories, start: name.start + start, ..*name };
                Entry { identity: stat.identity(), stat, name }
            }));
            self.directories.append(&mut one.directories);
            self.names.append(&mut one.names);
            self.problems.append(&mut one.problems);
            self.omitted.tiny += one.tiny;
            self.omitted.leftovers += one.leftovers;
        }
        self.files_names = entries.len() as u64;
        entries.sort_unstable_by_key(|entry| entry.identity);
        self.files = files(&entries);
        let (directories, names) = (&self.directories, &self.names);
        for file in self.files.iter_mut().filter(|file| file.names.len() > 1) {
            file.names.sort_by_cached_key(|name| {
                let (root, path) = &directories[name.directory as usize];
                let name = &names[name.start..name.start + usize::from(name.length)];
                (*root, join(path, name))
            });
        }
    }
}

/// Names of the same inode stand next to each other.
fn files(entries: &[Entry<'_>]) -> Vec<File> {
    let mut files: Vec<File> = Vec::with_capacity(entries.len());
    for entry in entries {
        match files.last_mut() {
            Some(last) if last.stat.identity() == entry.identity => last.names.push(entry.name),
            _ => files.push(File { stat: *entry.stat, names: vec![entry.name] }),
        }
    }
    files
}

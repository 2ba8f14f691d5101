//! The sandbox: what the threads that work may touch, whatever a fault of ours or a hostile tree may lead them to.
//!
//! It is made of Landlock (`landlock(7)`), which binds a thread and all threads that it starts, for ever. So the work is
//! done on a thread of its own, and whoever waits for it stays free. Such threads read everywhere, write where they are
//! told to, and reach no network: no TCP port, no abstract socket. Landlock does not know of `chmod(2)`, `chown(2)`,
//! `setxattr(2)` and `utimensat(2)`, nor of UDP: against these stands only that nothing is opened that is not ours.
//!
//! **Invariant:** a confined thread can make, write, rename, link and remove nothing outside the [`Ground`] that it was
//! given. Where the kernel cannot see to that, the work is done all the same, and [`Confinement`] says so.

use std::cell::Cell;
use std::num::NonZeroUsize;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope, make_bitflags,
};
use linksnap_catalog::{DirId, Holding, Snapshot};
use linksnap_inode::{DirFd, limits, path};

use crate::job::{Job, JobError};
use crate::repository::{Repository, RepositoryError};

/// The version of Landlock of which everything is used. (What came later concerns programs that share their sandbox.)
const KNOWN: ABI = ABI::V6;

/// As much as the first thread of a process usually has, in bytes.
const STACK: NonZeroUsize = NonZeroUsize::new(8 << 20).expect("not zero");

/// As many rules for trunks are worth their descriptors: of all jobs of a command, or as many sources of a run.
pub const MOST_TRUNKS: usize = 128;

/// Where something may be written.
///
/// At every link, and for every name that is made or removed, the kernel goes up from the directory until it comes to one
/// with a rule (`collect_domain_accesses` in `security/landlock/fs.c`), and all threads take and drop references to the
/// same few directories on that way. So a rule that allows nothing new, close to where most of the work will be done, is
/// worth having. It must belong to the same sandbox: what is confined twice goes up for both.
#[derive(Debug, Clone, Copy)]
pub enum Ground<'a> {
    /// Everywhere below this directory.
    Tree(&'a DirFd),
    /// What SQLite needs beside a catalog even to read it: below this directory regular files can be made, written and
    /// removed, but nothing can be linked or renamed out of it, and no directory made or removed.
    Catalog(&'a DirFd),
}

/// What holds on a confined thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confinement {
    /// Everything.
    Full,
    /// Files are confined as far as the kernel knows how to; the network, or truncating files, may not be.
    Partial,
    /// Nothing: why.
    None(String),
}

thread_local! {
    static CONFINED: Cell<bool> = const { Cell::new(false) };
}

/// Does `deed` on a thread that can write on `grounds` only, and says what holds there, which `told` hears before the
/// work begins. A panic goes on here.
pub fn confined<R: Send>(
    grounds: &[Ground<'_>],
    told: impl FnOnce(&Confinement) + Send,
    deed: impl FnOnce() -> R + Send,
) -> R {
    let work = || {
        let confinement = confine(grounds);
        CONFINED.set(!matches!(confinement, Confinement::None(_)));
        told(&confinement);
        deed()
    };
    let done = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK.get()).name("confined".to_owned());
        thread.spawn_scoped(scope, work).expect("a process may have two threads").join()
    });
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Leaves the calling thread less ground than it has, for good: for what is known only on the way. Nothing happens to
/// a thread that is not confined.
pub fn narrow(grounds: &[Ground<'_>]) {
    if CONFINED.get() {
        // That it fails leaves the thread as confined as it was.
        confine(grounds);
    }
}

/// The jobs of a repository whose catalogs are there to be read.
pub fn readable(repository: &Repository) -> Result<Vec<Job>, RepositoryError> {
    let find = |name| Job::find(repository, &name);
    let there = |found: Result<Option<Job>, JobError>| found.ok().flatten();
    Ok(repository.jobs()?.into_iter().map(find).filter_map(there).collect())
}

/// Where the trees of these snapshots begin, and in them their sources: what a [`Ground`] of its own is worth having for
/// whoever removes them; not more than are worth it. What cannot be opened or asked is left out.
pub fn trunks(job: &Job, snapshots: &[Snapshot]) -> Vec<DirFd> {
    limits::raise_open_files();
    let mut trunks = Vec::new();
    let Ok(catalog) = job.catalog() else { return trunks };
    for snapshot in snapshots {
        let Ok(tree) = job.dir().open_dir(snapshot.name.as_bytes()) else { continue };
        let mut above = vec![(Vec::new(), DirId::ROOT)];
        while let Some((path, id)) = above.pop() {
            trunks.extend(tree.open_within(&path).ok());
            if trunks.len() >= MOST_TRUNKS {
                return trunks;
            }
            let Ok(rows) = catalog.as_of(id, snapshot.id) else { continue };
            let directories =
                rows.iter().filter_map(|row| Some((row.name, row.version.child?, row.version.holding)));
            for (name, child, holding) in directories {
                let path = path::join(&path, name);
                match holding {
                    Holding::OnTheWay => above.push((path, child)),
                    _ if trunks.len() < MOST_TRUNKS => trunks.extend(tree.open_within(&path).ok()),
                    _ => return trunks,
                }
            }
        }
    }
    trunks
}

fn confine(grounds: &[Ground<'_>]) -> Confinement {
    match restrict(grounds) {
        Ok(confinement) => confinement,
        Err(error) => Confinement::None(error.to_string()),
    }
}

fn restrict(grounds: &[Ground<'_>]) -> Result<Confinement, RulesetError> {
    let ruleset = Ruleset::default()
        // Without this right (Linux 5.19) a sandbox refuses every link and rename from one directory to another.
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer)?
        .set_compatibility(CompatLevel::BestEffort)
        // What is not handled is free: reading.
        .handle_access(AccessFs::from_write(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::AbstractUnixSocket)?;
    let mut created = ruleset.create()?;
    for ground in grounds {
        created = created.add_rule(PathBeneath::new(ground.directory(), ground.rights()))?;
    }
    let status = created.restrict_self()?;
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if effective_abi >= KNOWN => Confinement::Full,
        _ => Confinement::Partial,
    })
}

impl Ground<'_> {
    fn directory(&self) -> &DirFd {
        match self {
            Self::Tree(directory) | Self::Catalog(directory) => directory,
        }
    }

    fn rights(&self) -> BitFlags<AccessFs> {
        match self {
            Self::Tree(_) => AccessFs::from_write(KNOWN),
            Self::Catalog(_) => make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | RemoveFile}),
        }
    }
}

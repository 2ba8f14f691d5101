//! Confines the work of each verb to what it is about, and says if the kernel cannot see to that.

use std::borrow::Borrow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use linksnap_catalog::Snapshot;
use linksnap_engine::Repository;
use linksnap_engine::job::Job;
use linksnap_engine::sandbox::{self as engine, Confinement, Ground};
use linksnap_inode::DirFd;
use linksnap_inode::path::nearest_existing;

use crate::failure::Failure;
use crate::output::{Output, Verbosity};

/// Once for all jobs is enough.
static TOLD: AtomicBool = AtomicBool::new(false);

/// Does what writes below these directories, and nowhere else.
pub fn writing<'a, R: Send>(
    trees: impl IntoIterator<Item = &'a DirFd>,
    output: &Output,
    deed: impl FnOnce() -> R + Send,
) -> R {
    let grounds: Vec<Ground<'_>> = trees.into_iter().map(Ground::Tree).collect();
    engine::confined(&grounds, |confinement| tell(confinement, output), deed)
}

/// Does what removes snapshots of these jobs, all or some of those that are named with each, and writes nowhere else.
pub fn removing<R: Send>(
    doomed: &[(&Job, Vec<Snapshot>)],
    output: &Output,
    deed: impl FnOnce() -> R + Send,
) -> R {
    let jobs = || doomed.iter().map(|(job, _)| *job);
    let each = || doomed.iter().flat_map(|(job, snapshots)| engine::trunks(job, snapshots));
    let look = || each().take(engine::MOST_TRUNKS).collect::<Vec<_>>();
    let trunks = catalogs(&jobs().collect::<Vec<_>>(), output, look);
    writing(trunks.iter().chain(jobs().map(Job::dir)), output, deed)
}

/// Does what only looks, and writes nowhere.
pub fn looking<R: Send>(output: &Output, deed: impl FnOnce() -> R + Send) -> R {
    writing(std::iter::empty(), output, deed)
}

/// Does what writes below `path`, which need not be there yet: then, until it is, below the nearest directory that is.
pub fn making<R: Send>(path: &Path, output: &Output, deed: impl FnOnce() -> R + Send) -> R {
    // What is wrong with the path is for the deed to say.
    writing(nearest_existing(path).ok().as_ref(), output, deed)
}

/// Does what only reads the repository.
pub fn reading<R: Send>(
    repository: &Repository,
    output: &Output,
    deed: impl FnOnce() -> Result<R, Failure> + Send,
) -> Result<R, Failure> {
    let jobs = engine::readable(repository)?;
    catalogs(&jobs, output, deed)
}

/// Does what only reads these jobs.
pub fn catalogs<R: Send>(jobs: &[impl Borrow<Job>], output: &Output, deed: impl FnOnce() -> R + Send) -> R {
    restricted(jobs, None, output, deed)
}

/// Does what reads the repository and writes below `target`, as [`making`] does.
pub fn restoring<R: Send>(
    repository: &Repository,
    target: &Path,
    output: &Output,
    deed: impl FnOnce() -> Result<R, Failure> + Send,
) -> Result<R, Failure> {
    let jobs = engine::readable(repository)?;
    restricted(&jobs, nearest_existing(target).ok().as_ref(), output, deed)
}

fn restricted<R: Send>(
    jobs: &[impl Borrow<Job>],
    target: Option<&DirFd>,
    output: &Output,
    deed: impl FnOnce() -> R + Send,
) -> R {
    let catalogs = jobs.iter().map(|job| Ground::Catalog(job.borrow().workshop()));
    let grounds: Vec<Ground<'_>> = catalogs.chain(target.map(Ground::Tree)).collect();
    engine::confined(&grounds, |confinement| tell(confinement, output), deed)
}

fn tell(confinement: &Confinement, output: &Output) {
    if TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    match confinement {
        Confinement::None(reason) => output.remark(&format!(
            "not confined: this kernel cannot keep linksnap from writing elsewhere (Landlock, Linux 5.19 or newer): \
             {reason}"
        )),
        Confinement::Partial => step("confined as far as this kernel can: see SECURITY.md", output),
        Confinement::Full => step("confined: nothing can be written elsewhere, and there is no network", output),
    }
}

fn step(words: &str, output: &Output) {
    if output.verbosity() >= Verbosity::Steps {
        output.remark(words);
    }
}

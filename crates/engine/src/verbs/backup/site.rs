//! Site: the trees that a run builds with, opened before anything is built.

use linksnap_catalog::{Snapshot, State};
use linksnap_inode::path;
use linksnap_inode::{DirFd, Errno, Kind};

use super::{Recipe, Recycle, Scaffold};
use crate::layout;
use crate::monitor::Phase;
use crate::report::{Problem, ProblemKind};
use crate::sandbox::MOST_TRUNKS;
use crate::source::Sources;
use crate::stages::apply;
use crate::stages::recover;
use crate::stages::remove;
use crate::stages::retire;
use crate::stages::run::RunError;

/// The trees of one run.
#[derive(Debug)]
pub(super) struct Site {
    /// The tree being built.
    pub(super) staging: DirFd,
    /// What was in it.
    pub(super) scaffold: Scaffold,
    /// The newest snapshot's tree; `None` if there is none to be had.
    pub(super) basis: Option<DirFd>,
    /// Where each source begins in staging and in the basis, or the first of them.
    beginnings: Vec<DirFd>,
}

impl Site {
    /// Directories in which most is linked and removed, `workshop` among them. To be asked once.
    pub(super) fn take_trunks(&mut self, workshop: &DirFd) -> Vec<DirFd> {
        let roots = [Some(workshop), Some(&self.staging), self.basis.as_ref()];
        let roots = roots.into_iter().flatten().filter_map(|root| root.reopen().ok());
        let mut trunks = std::mem::take(&mut self.beginnings);
        trunks.extend(roots);
        trunks
    }
}

impl Recipe<'_> {
    /// Opens them. `snapshots` are all that the catalog knows, `root` is where the paths of sources begin.
    pub(super) fn open_site(
        &self,
        snapshots: &[Snapshot],
        (sources, root): (&Sources, &DirFd),
    ) -> Result<Site, RunError> {
        let basis = snapshots.iter().rfind(|one| one.state == State::Published);
        let basis = basis.and_then(|basis| self.open_basis(basis));
        let (staging, scaffold) = self.open_staging()?;
        let mut beginnings = Vec::new();
        for source in sources.paths().take(MOST_TRUNKS) {
            // Nothing but time depends on them: what is wrong with one is said by who comes to build there.
            beginnings.extend(begin(&staging, source, root));
            beginnings.extend(basis.as_ref().and_then(|basis| basis.open_within(source).ok()));
        }
        Ok(Site { staging, scaffold, basis, beginnings })
    }

    /// Opens staging, and says what is in it.
    fn open_staging(&self) -> Result<(DirFd, Scaffold), RunError> {
        let workshop = self.job.workshop();
        let scaffold = match workshop.stat_entry(layout::STAGING) {
            Ok(stat) if stat.kind == Kind::Directory => Scaffold::Interrupted,
            Ok(stat) => {
                let gone = recover::open_trash(&self.job)
                    .and_then(|trash| remove::discard(workshop, layout::STAGING, Some(stat.kind), &trash));
                self.at(layout::STAGING, gone)?;
                self.recycle()?
            }
            Err(fault) if fault.is(Errno::NOENT) => self.recycle()?,
            Err(fault) => return self.at(layout::STAGING, Err(fault)),
        };
        if scaffold == Scaffold::Empty {
            self.at(layout::STAGING, workshop.make_dir(layout::STAGING))?;
        }
        // What is mounted there is not ours.
        let staging = self.at(layout::STAGING, workshop.open_within(layout::STAGING))?;
        self.at(layout::STAGING, apply::open_up(&staging))?;
        Ok((staging, scaffold))
    }

    /// Takes the retired tree for staging, if there is one and that is wanted.
    fn recycle(&self) -> Result<Scaffold, RunError> {
        if self.options.recycle == Recycle::Never {
            retire::drop_scaffold(&self.job)?;
            return Ok(Scaffold::Empty);
        }
        self.monitor.reached(Phase::Recycle);
        Ok(if retire::take_scaffold(&self.job)? { Scaffold::Recycled } else { Scaffold::Empty })
    }

    /// The newest snapshot's tree; if somebody has taken it away, everything is copied, and that is said.
    fn open_basis(&self, basis: &Snapshot) -> Option<DirFd> {
        self.job.dir().open_dir(basis.name.as_bytes()).map_or_else(
            |fault| {
                let path = linksnap_inode::dir::path_bytes(&self.job.path().join(&basis.name)).to_vec();
                let message =
                    format!("the newest snapshot cannot be opened, so nothing can be linked: {fault}");
                self.problems.add(self.monitor, Problem { kind: ProblemKind::Notice, path, message });
                None
            },
            Some,
        )
    }
}

/// The directory where a source begins in staging, made with those above it; `None` if the source is no directory, or
/// it cannot be made.
fn begin(staging: &DirFd, source: &[u8], root: &DirFd) -> Option<DirFd> {
    root.open_beneath(source).ok()?;
    let mut reached = staging.reopen().ok()?;
    for name in path::parts(source) {
        // What is in the way is for the plan to remove.
        match reached.make_dir(name) {
            Err(fault) if !fault.is(Errno::EXIST) => return None,
            _ => reached = reached.open_within(name).ok()?,
        }
    }
    Some(reached)
}

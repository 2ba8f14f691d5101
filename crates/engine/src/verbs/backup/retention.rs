//! Retention after a run. Its snapshot is published: whatever fails here is a problem in the report, no failure.

use linksnap_catalog::{Freed, Writer};

use super::{Recipe, Recycle};
use crate::report::{Collected, Problem, ProblemKind};
use crate::stages::prune::{self, Plan, PruneError, Retention};
use crate::stages::retain::Hold;
use crate::stages::retire::{self, Fate};

/// What retention did.
#[derive(Debug, Clone)]
pub struct Pruned {
    /// The decisions, and what is missing even so.
    pub plan: Plan,
    /// What the dropped snapshots free.
    pub freed: Freed,
}

impl Recipe<'_> {
    /// Follows the job's retention, if it has one.
    pub(super) fn prune(&self, writer: &mut Writer, problems: &mut Collected) -> Option<Pruned> {
        let retention = self.options.retention.as_ref()?;
        let pruned = match self.follow(retention, writer) {
            Ok(pruned) => Some(pruned),
            Err(error) => {
                problems.add(Some(self.retention_problem(chain(&error))));
                None
            }
        };
        if let Some(Pruned { plan, .. }) = &pruned {
            for stuck in &plan.stuck {
                self.monitor.problem(&stuck.problem);
                problems.add(Some(stuck.problem.clone()));
            }
            let hold = plan.retained.hold.as_ref().map(Hold::words);
            let shortfall = plan.shortfall.as_ref().map(ToString::to_string);
            for message in [hold, shortfall].into_iter().flatten() {
                problems.add(Some(self.retention_problem(message)));
            }
        }
        pruned
    }

    /// Empties the trash, whoever has filled it.
    pub(super) fn empty_trash(&self, problems: &mut Collected) {
        match retire::empty_trash(&self.job, self.monitor) {
            Ok(notice) => {
                notice.iter().for_each(|notice| self.monitor.problem(notice));
                problems.add(notice);
            }
            Err(error) => problems.add(Some(self.retention_problem(chain(&error)))),
        }
    }

    fn follow(&self, retention: &Retention, writer: &mut Writer) -> Result<Pruned, PruneError> {
        let (job, now) = (&self.job, self.options.now);
        let published = job.snapshots()?;
        let retention = prune::settle_room(job, retention, self.monitor)?;
        let mut plan = prune::decide(job, &published, &retention, now)?;
        let fate = match self.options.recycle {
            Recycle::Always => Fate::Scaffold,
            Recycle::Never => Fate::Trash,
        };
        let freed =
            prune::follow(job, writer, &mut plan, fate, now, self.monitor).map_err(|error| error.of(job))?;
        Ok(Pruned { plan, freed })
    }

    fn retention_problem(&self, message: String) -> Problem {
        let path = linksnap_inode::dir::path_bytes(self.job.path()).to_vec();
        let problem = Problem { kind: ProblemKind::Retention, path, message };
        self.monitor.problem(&problem);
        problem
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        next = cause.source();
    }
    words
}

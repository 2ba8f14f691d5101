//! What came of pruning one job: in plain words, and as a JSON line.

use std::time::Duration;

use linksnap_engine::stages::retain::{Decision, Hold, Shortfall};
use linksnap_engine::verbs::prune::PruneSummary;
use serde::Serialize;

use crate::output::{Output, Verbosity};
use crate::retention::Keeping;
use crate::size::{self, count, counted};
use crate::summary::decisions::{self, Element};

/// What was decided, and whether it was done.
pub struct Pruned<'a> {
    /// The job.
    pub job: &'a str,
    /// What was to be kept.
    pub keeping: &'a Keeping,
    /// Was nothing changed?
    pub dry_run: bool,
    /// What the engine says.
    pub summary: &'a PruneSummary,
    /// How long it took.
    pub elapsed: Duration,
}

impl Pruned<'_> {
    /// For people: in a dry run all decisions, else what was dropped.
    pub fn print(&self, output: &Output) {
        output.report(format!("job {} keeps {}", self.job, output.words(&self.rules())));
        let decisions = &self.summary.plan.retained.decisions;
        if self.dry_run {
            self.table(decisions, output).iter().for_each(|line| output.line(line));
        } else if output.verbosity() >= Verbosity::Steps {
            self.table(decisions, output).iter().for_each(|line| output.report(line));
        } else {
            self.dropped().for_each(|decision| {
                let reasons = decisions::reasons(decision, output);
                output.report(format!("  drop {}  ({reasons})", decision.name));
            });
        }
        output.report(self.verdict());
    }

    fn rules(&self) -> String {
        let keep = &self.keeping.keep;
        let mut rules = keep.words().join(", ");
        let room = keep.room_words();
        if !room.is_empty() {
            let min = counted(keep.headroom.min.into(), "snapshot", "snapshots");
            let room = room.join(" or ");
            rules.push_str(&format!(
                "; drops the oldest of those while less than {room} is free, down to {min}"
            ));
        }
        rules
    }

    fn verdict(&self) -> String {
        let all = self.summary.plan.retained.decisions.len() as u64;
        let dropped = self.dropped().count() as u64;
        if dropped == 0 {
            return match all {
                0 => "there are no snapshots".to_owned(),
                1 => "nothing is dropped: the only snapshot stays".to_owned(),
                all => format!("nothing is dropped: all {} snapshots stay", count(all)),
            };
        }
        let which = format!("{} of {}", count(dropped), counted(all, "snapshot", "snapshots"));
        let freed = size::held(self.summary.freed.bytes, self.summary.freed.inodes);
        match self.dry_run {
            true => format!("dry run: {which} would be dropped, which frees {freed}"),
            false => format!("dropped {which}, which frees {freed}, in {}", size::duration(self.elapsed)),
        }
    }

    fn table(&self, decisions: &[Decision], output: &Output) -> Vec<String> {
        decisions::table(decisions, &self.keeping.zone, output)
    }

    fn dropped(&self) -> impl Iterator<Item = &Decision> {
        self.summary.plan.dropped()
    }

    /// For programs.
    pub fn json(&self, output: &Output) {
        let plan = &self.summary.plan;
        output.json(&Line {
            r#type: "summary",
            job: self.job,
            dry_run: self.dry_run,
            keep: self.keeping.keep.words(),
            keep_free: self.keeping.keep.room_words(),
            timezone: self.keeping.zone.iana_name(),
            decisions: plan.retained.decisions.iter().map(Element::new).collect(),
            dropped: self.dropped().map(|decision| decision.name.as_str()).collect(),
            freed_bytes: self.summary.freed.bytes,
            freed_inodes: self.summary.freed.inodes,
            hold: plan.retained.hold.as_ref().map(Hold::words),
            missing_bytes: plan.shortfall.map_or(0, |Shortfall { missing_bytes, .. }| missing_bytes),
            missing_inodes: plan.shortfall.map_or(0, |Shortfall { missing_inodes, .. }| missing_inodes),
            elapsed_seconds: self.elapsed.as_secs_f64(),
        });
    }
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    job: &'a str,
    dry_run: bool,
    keep: Vec<String>,
    keep_free: Vec<String>,
    timezone: Option<&'a str>,
    decisions: Vec<Element<'a>>,
    dropped: Vec<&'a str>,
    freed_bytes: u64,
    freed_inodes: u64,
    /// Why nothing may be dropped now.
    hold: Option<String>,
    missing_bytes: u64,
    missing_inodes: u64,
    elapsed_seconds: f64,
}

//! What retention would keep at a later time, if backups go on as they did.

use linksnap_engine::stages::retain::{Origin, Simulation};
use serde::Serialize;

use crate::output::Output;
use crate::retention::Keeping;
use crate::size::{self, count, counted};
use crate::summary::decisions::{self, Element};
use crate::{json, table, zone};

/// A simulation of one job.
pub struct Simulated<'a> {
    /// The job.
    pub job: &'a str,
    /// What is to be kept.
    pub keeping: &'a Keeping,
    /// When: seconds since 1970.
    pub until: i64,
    /// What the engine says.
    pub simulation: &'a Simulation,
}

impl Simulated<'_> {
    /// For people.
    pub fn print(&self, output: &Output) {
        let Simulation { interval_seconds, made, remaining, gone } = self.simulation;
        let zone = &self.keeping.zone;
        let rules = output.words(&self.keeping.keep.words().join(", "));
        output.line(format!("job {} keeps {rules}", self.job));
        output.line(format!(
            "at {} ({}), with a backup every {}, {} more would have been made",
            table::time_in(zone, self.until),
            zone::name(zone),
            size::span(*interval_seconds),
            counted(*made as u64, "snapshot", "snapshots"),
        ));
        if !self.keeping.keep.headroom.is_empty() {
            output.line("how much room will be free is not foreseen");
        }
        let rows = remaining.iter().map(|one| {
            let origin = match one.origin {
                Origin::Real => "there now",
                Origin::Simulated => "to come",
            };
            vec![
                one.decision.name.clone(),
                table::time_in(zone, one.decision.time),
                origin.to_owned(),
                decisions::reasons(&one.decision, output),
            ]
        });
        let time = format!("time ({})", zone::name(zone));
        table::table(&["snapshot", &time, "", "why it is kept"], rows)
            .iter()
            .for_each(|line| output.line(line));
        if !gone.is_empty() {
            output.line("");
            let rows = gone.iter().map(|one| vec![one.name.clone(), table::time_in(zone, one.at)]);
            table::table(&["dropped until then", "when"], rows).iter().for_each(|line| output.line(line));
        }
        let there = remaining.iter().filter(|one| one.origin == Origin::Real).count() as u64;
        output.report(format!(
            "{} would be kept then, {} of them there now; {} dropped",
            counted(remaining.len() as u64, "snapshot", "snapshots"),
            count(there),
            counted(gone.len() as u64, "that is there now is", "that are there now are"),
        ));
    }

    /// For programs.
    pub fn json(&self, output: &Output) {
        let remaining = self.simulation.remaining.iter().map(|one| Remaining {
            simulated: one.origin == Origin::Simulated,
            decision: Element::new(&one.decision),
        });
        let gone = self.simulation.gone.iter();
        output.json(&Line {
            r#type: "simulation",
            job: self.job,
            keep: self.keeping.keep.words(),
            timezone: self.keeping.zone.iana_name(),
            until: json::time(self.until),
            interval_seconds: self.simulation.interval_seconds,
            made: self.simulation.made as u64,
            remaining: remaining.collect(),
            gone: gone.map(|one| Gone { snapshot: &one.name, time: json::time(one.at) }).collect(),
        });
    }
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    job: &'a str,
    keep: Vec<String>,
    timezone: Option<&'a str>,
    until: String,
    interval_seconds: i64,
    made: u64,
    remaining: Vec<Remaining<'a>>,
    gone: Vec<Gone<'a>>,
}

#[derive(Serialize)]
struct Remaining<'a> {
    simulated: bool,
    #[serde(flatten)]
    decision: Element<'a>,
}

#[derive(Serialize)]
struct Gone<'a> {
    snapshot: &'a str,
    /// When it is dropped.
    time: String,
}

//! What is to become of each snapshot, with every reason.

use jiff::tz::TimeZone;
use linksnap_engine::stages::retain::Decision;
use serde::Serialize;

use crate::output::Output;
use crate::{json, table, zone};

/// A table for people; times are those of `zone`, whose days the rules count.
pub fn table<'a>(
    decisions: impl IntoIterator<Item = &'a Decision>,
    zone: &TimeZone,
    output: &Output,
) -> Vec<String> {
    let time = format!("time ({})", zone::name(zone));
    let rows = decisions.into_iter().map(|decision| {
        vec![
            decision.name.clone(),
            table::time_in(zone, decision.time),
            if decision.is_kept() { "keep" } else { "drop" }.to_owned(),
            reasons(decision, output),
        ]
    });
    table::table(&["snapshot", &time, "", "why"], rows)
}

/// All of them, with commas between.
pub fn reasons(decision: &Decision, output: &Output) -> String {
    output.words(&decision.words().join(", "))
}

/// One decision for programs.
#[derive(Serialize)]
pub struct Element<'a> {
    snapshot: &'a str,
    time: String,
    keep: bool,
    reasons: Vec<String>,
}

impl<'a> Element<'a> {
    /// Of a decision.
    pub fn new(decision: &'a Decision) -> Self {
        Self {
            snapshot: &decision.name,
            time: json::time(decision.time),
            keep: decision.is_kept(),
            reasons: decision.words(),
        }
    }
}

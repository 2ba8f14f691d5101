//! `pin` and `unpin`: what no rule may drop.

use std::time::Duration;

use linksnap_catalog::Snapshot;
use linksnap_engine::Repository;
use linksnap_engine::job::Job;
use linksnap_engine::verbs::pin::{self as engine, Pin};
use serde::Serialize;

use crate::args::{Global, PinArgs, UnpinArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::patience::patiently;
use crate::{clock, environment, json, locate, sandbox, several, table, zone};

/// Pins what was named.
pub fn pin(args: &PinArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let now = clock::now()?;
    let until = args.until.as_ref().map(|end| end.seconds(now, &zone::system()));
    if let Some(until) = until.filter(|until| *until <= now) {
        let message = format!("{} is over: a pin until then would hold nothing", table::local_time(until));
        return Err(Failure::usage(message).hint("name a time that is to come, or leave --until out"));
    }
    let pin = Pin::Set { until, note: args.note.clone() };
    let holder = environment::holder("pin", now);
    Deed { pin, now, dry_run: args.dry_run, wait: args.patience.wait, holder }.follow(
        &args.snapshots,
        global,
        output,
    )
}

/// Lets go what was named.
pub fn unpin(args: &UnpinArgs, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let now = clock::now()?;
    let (pin, holder) = (Pin::Clear, environment::holder("unpin", now));
    Deed { pin, now, dry_run: args.dry_run, wait: args.patience.wait, holder }.follow(
        &args.snapshots,
        global,
        output,
    )
}

struct Deed {
    pin: Pin,
    now: i64,
    dry_run: bool,
    wait: Option<Duration>,
    holder: String,
}

impl Deed {
    fn follow(&self, texts: &[String], global: &Global, output: &Output) -> Result<Exit, Failure> {
        let repository = locate::repository(global)?;
        sandbox::writing([repository.dir()], output, || self.do_it(&repository, texts, global, output))
    }

    fn do_it(
        &self,
        repository: &Repository,
        texts: &[String],
        global: &Global,
        output: &Output,
    ) -> Result<Exit, Failure> {
        let found = locate::snapshots(repository, global, texts)?;
        let mut elements = Vec::new();
        let exit = several::each(
            &found,
            |(job, _)| job.name().as_str(),
            output,
            |(job, snapshots)| {
                if !self.dry_run {
                    patiently(self.wait, output, || {
                        Ok(engine::pin(job, snapshots, &self.pin, (&self.holder, self.now))?)
                    })?;
                }
                if output.is_json() {
                    elements.extend(snapshots.iter().map(|one| self.element(job, one)));
                } else {
                    snapshots.iter().for_each(|one| output.report(self.words(job, one, output)));
                }
                Ok(Exit::Done)
            },
        )?;
        if output.is_json() {
            output.json(&elements);
        }
        Ok(exit)
    }

    fn words(&self, job: &Job, snapshot: &Snapshot, output: &Output) -> String {
        let name = format!("{}/{}", job.name(), snapshot.name);
        let would = |plain: &'static str, dry: &'static str| if self.dry_run { dry } else { plain };
        match &self.pin {
            Pin::Set { until, .. } => {
                let until = until.map(|until| format!(" until {}", table::local_time(until)));
                let note = match self.note(snapshot) {
                    "" => String::new(),
                    note => format!(" ({})", output.words(note)),
                };
                let verb = would("pinned", "dry run: would pin");
                format!("{verb} {name}{}{note}", until.unwrap_or_default())
            }
            Pin::Clear if !snapshot.pinned => format!("{name} is not pinned"),
            Pin::Clear => format!("{} {name}", would("unpinned", "dry run: would unpin")),
        }
    }

    /// The note as it is afterwards.
    fn note<'a>(&'a self, snapshot: &'a Snapshot) -> &'a str {
        match &self.pin {
            Pin::Set { note: Some(note), .. } => note,
            Pin::Set { note: None, .. } | Pin::Clear => &snapshot.note,
        }
    }

    fn element(&self, job: &Job, snapshot: &Snapshot) -> Element {
        let (pinned, until) = match &self.pin {
            Pin::Set { until, .. } => (true, *until),
            Pin::Clear => (false, None),
        };
        Element {
            job: job.name().as_str().to_owned(),
            name: snapshot.name.clone(),
            dry_run: self.dry_run,
            pinned,
            pinned_until: until.map(json::time),
            note: self.note(snapshot).to_owned(),
        }
    }
}

#[derive(Serialize)]
struct Element {
    job: String,
    name: String,
    dry_run: bool,
    /// As it is afterwards.
    pinned: bool,
    pinned_until: Option<String>,
    note: String,
}

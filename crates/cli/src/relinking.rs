//! Changes symbolic links by a plan that was shown: asks, records, does, and says what became of it.

use std::path::{Path, PathBuf};

use linksnap_inode::dir::path_bytes;
use linksnap_inode::path::above;
use linksnap_inode::{DirFd, FsError};
use linksnap_toolbox::journal::Journal;
use linksnap_toolbox::relink::{self, Deed, Outcome, Refusal, Step};
use serde::Serialize;

use crate::args::DeedArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{self, JsonPath};
use crate::output::{Output, Verbosity};
use crate::size::counted;
use crate::{clock, signals};

/// What is to be done.
pub struct Work<'a> {
    /// Where the links were found.
    pub roots: &'a [PathBuf],
    /// What is to become of them.
    pub steps: Vec<Step>,
    /// The file that will tell what was changed.
    pub undo: PathBuf,
}

/// What was done.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Done {
    /// Links that have another text.
    pub retargeted: u64,
    /// Links that are gone.
    pub removed: u64,
    /// Links that lead somewhere without having been touched.
    pub mended: u64,
    /// Links that were not as they should have been.
    pub refused: u64,
}

/// The undo file that was asked for; else one in the working directory that has the verb and the time in its name.
pub fn undo_file(args: &DeedArgs, verb: &str) -> Result<PathBuf, Failure> {
    match &args.undo {
        Some(file) => Ok(file.clone()),
        None => {
            let time = json::time(clock::now()?).replace(':', "");
            Ok(PathBuf::from(format!("linksnap-{verb}-{time}.undo")))
        }
    }
}

/// The directories that are written in: the roots, and that of the undo file.
pub fn grounds(roots: &[PathBuf], undo: &Path) -> Vec<DirFd> {
    let open = |path: &PathBuf| DirFd::open_root(path).or_else(|_| DirFd::open_root(above(path)));
    let undo = DirFd::open_root(above(undo));
    // What cannot be opened is told when it is needed.
    roots.iter().map(open).chain([undo]).flatten().collect()
}

/// A step of a plan for people: a link that is to say something else. All three were made fit by [`Output::name`].
pub fn show_retarget(path: &[u8], old: &[u8], new: &[u8], output: &Output) {
    let line = |what: &[u8], name: &[u8]| output.line([what, name].concat());
    line(b"retarget ", path);
    line(b"    from ", old);
    line(b"      to ", new);
}

impl Work<'_> {
    /// Is it to be done? Asks if nobody has said so yet. What is left is said to whoever watches.
    pub fn is_wanted(&self, args: &DeedArgs, output: &Output) -> bool {
        if self.steps.is_empty() || args.dry_run {
            return false;
        }
        if args.yes {
            return true;
        }
        let removed = self.steps.iter().filter(|step| step.deed == Deed::Remove).count();
        let links = |number: usize| counted(number as u64, "symbolic link", "symbolic links");
        let question = match (self.steps.len() - removed, removed) {
            (changed, 0) => format!("change {}?", links(changed)),
            (0, removed) => format!("remove {}?", links(removed)),
            (changed, removed) => format!("change {}, and remove {removed}?", links(changed)),
        };
        match output.confirms(&question) {
            Some(true) => return true,
            Some(false) => output.remark("nothing is changed"),
            None => output.remark("nothing is changed: --yes does what is listed"),
        }
        false
    }

    /// Does it.
    pub fn carry_out(&mut self, output: &Output) -> Result<Done, Failure> {
        signals::listen()?;
        // What leads through a link that is repaired may need no repair itself, and is then not removed.
        self.steps.sort_by_key(|step| step.deed == Deed::Remove);
        let mut journal = Journal::create(&self.undo).map_err(|error| self.no_journal(&error))?;
        let mut done = Done::default();
        let mut told = |step: &Step, what: Result<Outcome, Refusal>| {
            done.count(step, &what);
            self.tell(step, &what, output);
        };
        let is_stopped = || signals::caught().is_some();
        relink::carry_out(self.roots, &self.steps, &mut journal, &is_stopped, &mut told)
            .map_err(|fault| self.no_journal(&fault.at(&self.undo)))?;
        Ok(done)
    }

    fn no_journal(&self, error: &FsError) -> Failure {
        let message = format!("cannot write the undo file {}", self.undo.display());
        Failure::new(Exit::Failed, message)
            .because(error)
            .hint("name another one with --undo FILE; without it nothing is changed")
    }

    fn tell(&self, step: &Step, what: &Result<Outcome, Refusal>, output: &Output) {
        let path = step.link.shown(self.roots);
        let path = path_bytes(&path);
        if output.is_json() {
            return output.json(&OutcomeLine::new(path, step, what));
        }
        match what {
            Err(Refusal::Fs(error)) => output.fault(error),
            Err(refusal) => output.trouble(path, &refusal.to_string()),
            Ok(outcome) if output.verbosity() >= Verbosity::Steps => {
                let word = word(step, *outcome);
                output.line([word.as_bytes(), b" ", &output.name(path)].concat());
            }
            Ok(_) => {}
        }
    }
}

impl Done {
    fn count(&mut self, step: &Step, what: &Result<Outcome, Refusal>) {
        let counter = match (what, &step.deed) {
            (Ok(Outcome::Done), Deed::Retarget { .. }) => &mut self.retargeted,
            (Ok(Outcome::Done), Deed::Remove) => &mut self.removed,
            (Ok(Outcome::Mended), _) => &mut self.mended,
            (Err(_), _) => &mut self.refused,
        };
        *counter += 1;
    }

    /// "2 links changed, 1 removed", and how that is taken back.
    pub fn words(&self, undo: &Path, output: &Output) -> Vec<u8> {
        let mut words = format!("{} changed", counted(self.retargeted, "link", "links"));
        let others = [
            (self.removed, "removed"),
            (self.mended, "needed nothing any more"),
            (self.refused, "left alone, having changed meanwhile"),
        ];
        for (number, what) in others.into_iter().filter(|(number, _)| *number > 0) {
            words.push_str(&format!(", {number} {what}"));
        }
        let mut words = words.into_bytes();
        if self.retargeted + self.removed > 0 {
            let file = output.name(path_bytes(undo));
            words.extend([b"; `linksnap undo ".as_slice(), &file, b"` takes it back"].concat());
        }
        words
    }
}

fn word(step: &Step, outcome: Outcome) -> &'static str {
    match (outcome, &step.deed) {
        (Outcome::Mended, _) => "mended",
        (Outcome::Done, Deed::Retarget { .. }) => "retargeted",
        (Outcome::Done, Deed::Remove) => "removed",
    }
}

#[derive(Serialize)]
struct OutcomeLine {
    r#type: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    /// `retargeted`, `removed`, `mended` or `refused`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl OutcomeLine {
    fn new(path: &[u8], step: &Step, what: &Result<Outcome, Refusal>) -> Self {
        let (result, message) = match what {
            Ok(outcome) => (word(step, *outcome), None),
            Err(Refusal::Fs(error)) => ("refused", Some(format!("{error}: {}", error.source))),
            Err(refusal) => ("refused", Some(refusal.to_string())),
        };
        Self { r#type: "outcome", path: JsonPath::new(path), result, message }
    }
}

//! What `ln` says of each link.

use std::path::Path;

use linksnap_inode::Stat;
use linksnap_inode::dir::path_bytes;
use linksnap_toolbox::ln::{Done, New, Now, Plan, Seen};
use serde::Serialize;

use crate::exit::Exit;
use crate::json::{self, JsonPath};
use crate::output::{Output, Verbosity};
use crate::{size, stop};

/// Gathers what is to be said at the end, and says the rest at once.
pub struct Report<'a> {
    output: &'a Output,
    dry_run: bool,
    elements: Vec<Element>,
}

impl<'a> Report<'a> {
    pub fn new(output: &'a Output, dry_run: bool) -> Self {
        Self { output, dry_run, elements: Vec::new() }
    }

    /// Says what would be made.
    pub fn planned(&mut self, plan: &Plan) {
        self.tell(plan, None);
    }

    /// Says what was made.
    pub fn done(&mut self, plan: &Plan, done: &Done) {
        self.tell(plan, Some(done));
    }

    pub fn end(self, exit: Exit) -> Exit {
        if self.output.is_json() {
            self.output.json(&self.elements);
        }
        exit
    }

    fn tell(&mut self, plan: &Plan, done: Option<&Done>) {
        if self.output.is_json() {
            return self.elements.push(Element::new(plan, done, self.dry_run));
        }
        let output = self.output;
        let mut line = if self.dry_run { b"dry run: ".to_vec() } else { Vec::new() };
        line.extend(output.name(path_bytes(&plan.wish.link)));
        line.extend(match (&plan.now, self.dry_run) {
            (Now::Same(_), _) => b" is already".as_slice(),
            (Now::Free, true) => b" would become",
            (Now::Free, false) => b" is now",
            (Now::Taken(..), true) => b" would be replaced by",
            (Now::Taken(..), false) => b" was replaced: it is now",
        });
        match &plan.new {
            New::Hard(..) => {
                line.extend(b" a name of ");
                line.extend(output.name(path_bytes(&plan.wish.target)));
            }
            New::Symbolic(text) => {
                line.extend(b" a link to ");
                line.extend(output.name(text));
            }
        }
        if let Some(stop) = &plan.dangles {
            line.extend(
                format!(", which leads nowhere: {}", output.words(&stop::words(stop).0)).into_bytes(),
            );
        }
        if let Some(done) = done.filter(|_| output.verbosity() >= Verbosity::Steps) {
            line.extend(counts(plan, done).into_bytes());
        }
        output.report(line);
    }
}

/// `; before: inode 7, 1 name; now: inode 9, 3 names`.
fn counts(plan: &Plan, done: &Done) -> String {
    let seen = |seen: &Seen| {
        let names = size::counted(u64::from(seen.links), "name", "names");
        format!("inode {}, {names}", seen.inode)
    };
    let was = match (&plan.new, done.before) {
        (_, Some(before)) => format!("; before: {}", seen(&before)),
        (New::Hard(_, target), None) => {
            format!("; before: {}", seen(&Seen { inode: target.inode, links: target.links }))
        }
        (New::Symbolic(_), None) => String::new(),
    };
    format!("{was}; now: {}", seen(&done.after))
}

#[derive(Serialize)]
struct Element {
    /// The link.
    #[serde(flatten)]
    path: JsonPath,
    kind: &'static str,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_b64: Option<String>,
    /// `make`, `replace`, `keep`.
    action: &'static str,
    dry_run: bool,
    /// Why it leads nowhere.
    dangles: Option<&'static str>,
    before: Option<SeenElement>,
    after: Option<SeenElement>,
}

#[derive(Serialize)]
struct SeenElement {
    inode: u64,
    links: u32,
}

impl SeenElement {
    fn new(seen: &Seen) -> Self {
        Self { inode: seen.inode, links: seen.links }
    }
}

impl Element {
    fn new(plan: &Plan, done: Option<&Done>, dry_run: bool) -> Self {
        let (kind, target) = match &plan.new {
            New::Hard(..) => ("hard", path_bytes(&plan.wish.target)),
            New::Symbolic(text) => ("symbolic", text.as_slice()),
        };
        let before = match &plan.now {
            Now::Free => None,
            Now::Same(stat) | Now::Taken(_, stat) => {
                Some(SeenElement { inode: stat.inode, links: stat.links })
            }
        };
        Self {
            path: JsonPath::new(path_bytes(&plan.wish.link)),
            kind,
            target: json::text(target),
            target_b64: json::exact(target),
            action: match &plan.now {
                Now::Free => "make",
                Now::Same(_) => "keep",
                Now::Taken(..) => "replace",
            },
            dry_run,
            dangles: plan.dangles.as_ref().map(|stop| stop::word(stop.why)),
            before,
            after: done.map(|done| SeenElement::new(&done.after)),
        }
    }
}

/// Two names that were exchanged, in JSON.
#[derive(Serialize)]
pub struct Swapped {
    action: &'static str,
    dry_run: bool,
    paths: [SwappedName; 2],
}

#[derive(Serialize)]
struct SwappedName {
    #[serde(flatten)]
    path: JsonPath,
    inode_before: u64,
    inode_after: u64,
}

impl Swapped {
    pub fn new(paths: [&Path; 2], stats: [&Stat; 2], dry_run: bool) -> Self {
        let name = |at: usize| SwappedName {
            path: JsonPath::new(path_bytes(paths[at])),
            inode_before: stats[at].inode,
            inode_after: stats[1 - at].inode,
        };
        Self { action: "swap", dry_run, paths: [name(0), name(1)] }
    }
}

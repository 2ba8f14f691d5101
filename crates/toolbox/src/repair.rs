//! What could be done about links that lead nowhere: a plan, which [`relink`](crate::relink) carries out.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use linksnap_inode::path::{join, parts};
use linksnap_inode::{DirFd, FsError, Kind, Stat};

use crate::dangling::{Dangling, Finding};
use crate::links;
use crate::relative::relative;
use crate::relink::{Deed, Step};
use crate::symlink::{self, is_below, real_below, real_dir};
use crate::walk::{self, Mounts, Visit, Watch};

/// So many candidates are kept for a name: who has more is shown how many, but not all of them.
const MOST_CANDIDATES: usize = 20;

/// A way to repair a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// What has the same name elsewhere, if there is only one.
    Search,
    /// What is below the root under the path, or the end of the path, that an absolute link says: the tree was moved, or
    /// is the tree of another machine. The link becomes relative.
    Relative,
    /// The link goes away.
    Remove,
}

/// Something that a link could lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its absolute path.
    pub path: Vec<u8>,
    /// How many parts at the end of its path are those of the link's text.
    pub agreeing_parts: usize,
    /// What it is.
    pub kind: Kind,
    /// Device and inode number of what it leads to.
    to: (u64, u64),
}

/// What is proposed for a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// To be done.
    Do(Deed),
    /// Several things have its name, the likeliest first: not for a program to choose.
    Ambiguous {
        /// The likeliest.
        candidates: Vec<Candidate>,
        /// How many there are.
        count: usize,
    },
    /// The only thing of its name belongs to somebody else than root or the link's owner, who may have put it there to be
    /// found: not for a program to trust. Its path.
    Strangers(Vec<u8>),
    /// No remedy fits.
    Nothing,
    /// It cannot be seen whether there is something: not to be touched.
    Uncertain,
    /// It is one of the links of the alternatives system, which `update-alternatives` sees to.
    Alternative,
}

/// A link with what is proposed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The link.
    pub finding: Finding,
    /// What is proposed.
    pub proposal: Proposal,
}

impl Repair {
    /// What is to be done, if anything.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        match &self.proposal {
            Proposal::Do(deed) => {
                Some(Step { link: self.finding.link.clone(), leads_to: None, deed: deed.clone() })
            }
            _ => None,
        }
    }
}

/// Everything below some directories that has one of the names that are looked for.
#[derive(Debug, Default)]
pub struct Index {
    by_name: HashMap<Vec<u8>, Vec<Thing>>,
    /// What could not be read.
    pub problems: Vec<FsError>,
}

/// Something that has such a name.
#[derive(Debug)]
struct Thing {
    path: Vec<u8>,
    kind: Kind,
    /// Whose it is, and whose is what it leads to.
    owners: [u32; 2],
    to: (u64, u64),
}

impl Index {
    /// Looks for the names that the links of `dangling` end in, below `places`.
    #[must_use]
    pub fn search(places: &[PathBuf], dangling: &Dangling, mounts: Mounts, watch: &dyn Watch) -> Self {
        let wanted: HashSet<&[u8]> =
            dangling.findings.iter().filter_map(|one| one.link.wanted_name()).collect();
        let real = symlink::real_roots(places);
        let visit = |found: &mut Vec<Thing>, visit: &Visit<'_>| -> Result<(), std::convert::Infallible> {
            let Some(root) = &real[visit.root] else { return Ok(()) };
            for name in visit.names.iter().filter(|name| wanted.contains(name.bytes)) {
                found.extend(Thing::at(visit, root, name.bytes));
            }
            Ok(())
        };
        let Ok(walked) = walk::walk(places, mounts, watch, Vec::new, visit);
        let mut index = Self { by_name: HashMap::new(), problems: walked.problems };
        for thing in walked.visitors.into_iter().flatten() {
            let name = parts(&thing.path).last().unwrap_or_default().to_vec();
            index.by_name.entry(name).or_default().push(thing);
        }
        for things in index.by_name.values_mut() {
            things.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            things.dedup_by(|a, b| a.path == b.path);
        }
        index
    }
}

impl Thing {
    /// What has that name; nothing if it is a link that leads nowhere.
    fn at(visit: &Visit<'_>, root: &[u8], name: &[u8]) -> Option<Self> {
        let there = visit.dir.stat_entry(name).ok()?;
        let target = match there.kind {
            Kind::Symlink => visit.dir.stat_target(name).ok()?,
            _ => there,
        };
        let path = real_below(root, &join(visit.path, name));
        Some(Self { path, kind: there.kind, owners: [there.uid, target.uid], to: target.identity() })
    }
}

/// Proposes for each link the first of `remedies` that fits. `index` is what was found for [`Remedy::Search`].
///
/// # Errors
/// If the root directory of this process cannot be opened.
pub fn plan(dangling: Dangling, remedies: &[Remedy], index: &Index) -> Result<Vec<Repair>, FsError> {
    let any = links::root_directory()?;
    let Dangling { findings, coverage, .. } = dangling;
    let repairs = findings.into_iter().map(|finding| {
        let proposal = match coverage.real_roots[finding.link.root].as_deref() {
            Some(root) => Planner { any: &any, root, index }.propose(&finding, remedies),
            None => Proposal::Nothing,
        };
        Repair { finding, proposal }
    });
    Ok(repairs.collect())
}

struct Planner<'a> {
    any: &'a DirFd,
    /// The real path of the link's root.
    root: &'a [u8],
    index: &'a Index,
}

impl Planner<'_> {
    fn propose(&self, finding: &Finding, remedies: &[Remedy]) -> Proposal {
        let dir = real_dir(self.root, &finding.link.path);
        match () {
            () if !finding.reason.is_certain() => return Proposal::Uncertain,
            () if is_alternative(&dir, &finding.link.text) => return Proposal::Alternative,
            () => {}
        }
        let mut unclear = None;
        for remedy in remedies {
            let proposal = match remedy {
                // What could be repaired if only somebody chose is not removed.
                Remedy::Remove if unclear.is_some() => continue,
                Remedy::Remove => Proposal::Do(Deed::Remove),
                Remedy::Relative => self.below_root(finding, &dir),
                Remedy::Search => self.elsewhere(finding, &dir),
            };
            match proposal {
                done @ Proposal::Do(_) => return done,
                Proposal::Ambiguous { .. } | Proposal::Strangers(_) => unclear = Some(proposal),
                _ => {}
            }
        }
        unclear.unwrap_or(Proposal::Nothing)
    }

    /// The longest end of the path that is there below the root. One part alone proves nothing, unless it is the whole.
    fn below_root(&self, finding: &Finding, dir: &[u8]) -> Proposal {
        let way: Vec<&[u8]> = parts(&finding.link.text).collect();
        if !finding.link.is_absolute() || way.iter().any(|part| matches!(*part, b"." | b"..")) {
            return Proposal::Nothing;
        }
        let ends = (0..way.len()).filter(|start| *start == 0 || way.len() - start > 1);
        let paths = ends.map(|start| real_below(self.root, &way[start..].join(&b'/')));
        let mut there = paths.filter_map(|path| self.any.stat_target(&path).ok().map(|stat| (path, stat)));
        match there.next() {
            Some((path, stat)) if !self.is_trusted(&[stat.uid], finding) => Proposal::Strangers(path),
            Some((path, stat)) => retarget(relative(dir, &path), &stat),
            None => Proposal::Nothing,
        }
    }

    /// The only thing of the same name that was found.
    fn elsewhere(&self, finding: &Finding, dir: &[u8]) -> Proposal {
        let things = finding.link.wanted_name().and_then(|name| self.index.by_name.get(name));
        let Some(things) = things.filter(|things| !things.is_empty()) else { return Proposal::Nothing };
        let is_one = things.iter().all(|thing| thing.to == things[0].to);
        let mut candidates = ranked(things, finding, dir);
        if is_one && !self.is_trusted(&things[0].owners, finding) {
            return Proposal::Strangers(candidates.swap_remove(0).path);
        }
        if is_one {
            let best = candidates.swap_remove(0);
            // The link stays absolute, or relative, as it was.
            let text = if finding.link.is_absolute() { best.path } else { relative(dir, &best.path) };
            return Proposal::Do(Deed::Retarget { text, to: best.to });
        }
        candidates.truncate(MOST_CANDIDATES);
        Proposal::Ambiguous { candidates, count: things.len() }
    }
}

impl Planner<'_> {
    /// Is it root's, or that of whose link it is to be?
    fn is_trusted(&self, owners: &[u32], finding: &Finding) -> bool {
        let link = self.any.stat_entry(&real_below(self.root, &finding.link.path));
        link.is_ok_and(|link| owners.iter().all(|owner| *owner == 0 || *owner == link.uid))
    }
}

fn retarget(text: Vec<u8>, stat: &Stat) -> Proposal {
    Proposal::Do(Deed::Retarget { text, to: stat.identity() })
}

/// First what agrees in most parts with what the link says, things before links to them, and what is near.
fn ranked(things: &[Thing], finding: &Finding, dir: &[u8]) -> Vec<Candidate> {
    let agreeing = |path: &[u8]| {
        let backwards = |path| parts(path).collect::<Vec<_>>().into_iter().rev();
        backwards(path).zip(backwards(&finding.link.text)).take_while(|(one, other)| one == other).count()
    };
    let candidate = |thing: &Thing| Candidate {
        path: thing.path.clone(),
        agreeing_parts: agreeing(&thing.path),
        kind: thing.kind,
        to: thing.to,
    };
    let mut all: Vec<Candidate> = things.iter().map(candidate).collect();
    all.sort_by_cached_key(|one| {
        let steps = parts(&relative(dir, &one.path)).count();
        (std::cmp::Reverse(one.agreeing_parts), one.kind == Kind::Symlink, steps, one.path.clone())
    });
    all
}

/// Does a link, in the directory with that real path, belong to the alternatives system?
#[must_use]
pub fn is_alternative(dir: &[u8], text: &[u8]) -> bool {
    const ALTERNATIVES: &[u8] = b"/etc/alternatives";
    is_below(dir, ALTERNATIVES) || is_below(text, ALTERNATIVES)
}

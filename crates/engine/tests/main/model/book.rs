//! What must be so, beside what is: the promised snapshots, and what became of each.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use linksnap_catalog::{Snapshot, SnapshotId, State};
use linksnap_engine::Phase;
use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::backup::{BackupError, BackupSummary, Recycle, Scaffold, Thoroughness, Upheaval};
use linksnap_engine::verbs::delete::DeleteError;
use linksnap_engine::verbs::pin::Pin;
use linksnap_testkit::listing::{Compare, Kind, Listing};
use linksnap_testkit::tree::{Edit, apply};

use super::source::Source;
use super::{Step, Watcher, Whims};
use crate::claims::total;
use crate::kitchen::Kitchen;
use crate::ledger::names_in;

/// A snapshot that was promised, and what it must be.
struct Promised {
    id: SnapshotId,
    name: String,
    is_staged: bool,
    /// The source when it was taken.
    source: Source,
    /// The tree when it was first found under its name.
    tree: Option<Listing>,
    /// Until when it is pinned, if it is.
    pin: Option<Option<i64>>,
}

impl Promised {
    fn is_pinned_at(&self, now: i64) -> bool {
        self.pin.is_some_and(|until| until.is_none_or(|until| now < until))
    }
}

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It did what it should, to the end.
    Calm,
    /// It did what it should, but was stopped before all trash was gone.
    Hurried,
    /// It failed, as was wanted.
    Failed,
    /// It died.
    Death(Phase),
}

impl End {
    fn of_death(death: &(dyn Any + Send), whims: &Whims) -> Self {
        let at = death.downcast_ref::<Phase>().unwrap_or_else(|| panic!("not a wanted death"));
        assert_eq!(Some(at), whims.die_at.as_ref());
        Self::Death(*at)
    }

    fn of_success(whims: &Whims) -> Self {
        if whims.stop_at.is_some() { Self::Hurried } else { Self::Calm }
    }

    /// Had the doomed left the history?
    fn has_retired(self) -> bool {
        match self {
            Self::Calm | Self::Hurried => true,
            Self::Failed => false,
            Self::Death(phase) => phase > Phase::Retire,
        }
    }

    fn was_success(self) -> bool {
        matches!(self, Self::Calm | Self::Hurried)
    }
}

/// How a run ended that may have died.
type Attempt = std::thread::Result<Result<BackupSummary, BackupError>>;

/// What must be so, beside what is.
pub struct Model {
    kitchen: Kitchen,
    promised: Vec<Promised>,
    known: BTreeSet<SnapshotId>,
    /// Has every run since the last snapshot come to its end?
    is_calm: bool,
}

impl Model {
    pub fn new() -> Self {
        Self { kitchen: Kitchen::new(), promised: Vec::new(), known: BTreeSet::new(), is_calm: true }
    }

    pub fn go(&mut self, step: &Step) {
        match step {
            Step::Edit(edits) => apply(&self.kitchen.source, edits),
            Step::Clear => self.clear(),
            Step::Age => self.kitchen.age(),
            Step::Run(whims) => self.run(whims),
            Step::Delete(places, whims) => self.delete(*places, whims),
            Step::Prune(keep, fate, whims) => self.prune(*keep, *fate, whims),
            Step::Pin(place, seconds) => self.pin(*place, Some(*seconds)),
            Step::Unpin(place) => self.pin(*place, None),
        }
        self.assert_history();
    }

    fn clear(&self) {
        let listing = Listing::read(&self.kitchen.source);
        let names = listing.iter().filter(|(path, _)| path.components().count() == 1);
        let edits: Vec<Edit> = names.map(|(path, _)| Edit::Delete { path: path.to_path_buf() }).collect();
        apply(&self.kitchen.source, &edits);
    }

    fn run(&mut self, whims: &Whims) {
        let source = Source::read(&self.kitchen.source);
        let options = &mut self.kitchen.options;
        options.threads = Some(whims.threads);
        options.recycle = whims.recycle;
        options.retention = None;
        options.validate = match whims.one_in {
            1 => Thoroughness::Full,
            one_in => Thoroughness::Share(one_in),
        };
        if let Some(keep) = whims.keep {
            self.kitchen.keep_last(keep);
        }
        let scaffold = self.expected_scaffold(whims.recycle);
        let done = self.back_up(&source, whims);
        let left = source.listing.diff(&Listing::read(&self.kitchen.source), Compare::UNTOUCHED);
        assert_eq!(left, [""; 0], "the run wrote into its source");
        self.kitchen.tick();
        self.note_promise(source);
        let doomed = whims.keep.map_or_else(Vec::new, |keep| self.doomed(keep));
        let end = match done {
            Ok(Ok(summary)) => {
                self.assert_published(&summary, &doomed);
                if let Some(scaffold) = scaffold {
                    assert_eq!(summary.scaffold, scaffold);
                }
                self.is_calm = true;
                // Who wants to stop after the publish leaves trash.
                End::of_success(whims)
            }
            Ok(Err(error)) => {
                assert!(may_fail(whims, &error), "{error:?}");
                self.is_calm = false;
                End::Failed
            }
            Err(death) => {
                self.is_calm = false;
                End::of_death(death.as_ref(), whims)
            }
        };
        self.settle(&doomed, end);
    }

    /// Makes a run. If all of the source is gone, and only then, it must refuse, and go on when that is accepted.
    fn back_up(&mut self, source: &Source, whims: &Whims) -> Attempt {
        let attempt = |kitchen: &mut Kitchen| {
            catch_unwind(AssertUnwindSafe(|| kitchen.try_backup(&Watcher::new(whims))))
        };
        let is_emptied =
            source.is_empty() && self.promised.last().is_some_and(|before| !before.source.is_empty());
        let done = attempt(&mut self.kitchen);
        let is_refused = matches!(done, Ok(Err(BackupError::Emptied { .. })));
        assert!(is_emptied || !is_refused, "there is something in the source, or there never was");
        assert!(!is_emptied || !matches!(done, Ok(Ok(_))), "all of the source is gone, and nobody was asked");
        if !is_refused {
            return done;
        }
        self.kitchen.options.upheaval = Upheaval::Accept;
        let done = attempt(&mut self.kitchen);
        self.kitchen.options.upheaval = Upheaval::Doubt;
        done
    }

    /// Deletes those of the published snapshots whose bits are set.
    fn delete(&mut self, places: u8, whims: &Whims) {
        let listed = self.kitchen.snapshots();
        let published = listed.iter().filter(|one| one.state == State::Published);
        let chosen: Vec<&Snapshot> = published
            .enumerate()
            .filter(|(at, _)| places & (1 << (at % 8)) != 0)
            .map(|(_, one)| one)
            .collect();
        if chosen.is_empty() {
            return;
        }
        let names: Vec<&str> = chosen.iter().map(|one| one.name.as_str()).collect();
        let ids: BTreeSet<SnapshotId> = chosen.iter().map(|one| one.id).collect();
        let doomed: Vec<usize> =
            (0..self.promised.len()).filter(|at| ids.contains(&self.promised[*at].id)).collect();
        let now = self.kitchen.options.now;
        let is_pinned = doomed.iter().any(|at| self.promised[*at].is_pinned_at(now));
        // Else what an earlier command left is finished first.
        let is_plain = listed.len() == self.promised.len() && !self.promised.iter().any(|one| one.is_staged);
        let before = is_plain.then(|| total(&self.kitchen.held()));
        let watcher = Watcher::new(whims);
        let done = catch_unwind(AssertUnwindSafe(|| self.kitchen.try_delete(&names, &watcher)));
        let end = match done {
            Ok(Ok(summary)) => {
                assert!(!is_pinned, "a pinned snapshot was deleted");
                assert_eq!(summary.notice, None);
                if let Some(before) = before {
                    let after = total(&self.kitchen.held());
                    assert_eq!(summary.freed.inodes, before.0 - after.0, "inodes freed");
                }
                End::of_success(whims)
            }
            Ok(Err(DeleteError::Pinned { .. })) if is_pinned => End::Failed,
            Ok(Err(error)) => panic!("{error:?}"),
            Err(death) => End::of_death(death.as_ref(), whims),
        };
        self.settle(&doomed, end);
    }

    fn prune(&mut self, keep: u32, fate: Fate, whims: &Whims) {
        if self.kitchen.snapshots().is_empty() {
            return;
        }
        let doomed = self.doomed(keep);
        let watcher = Watcher::new(whims);
        let end = match catch_unwind(AssertUnwindSafe(|| self.kitchen.try_prune(keep, fate, &watcher))) {
            Ok(Ok(summary)) => {
                assert_eq!((summary.notice, &summary.plan.shortfall), (None, &None));
                let dropped = summary.plan.retained.dropped().map(|one| one.id);
                assert_eq!(dropped.collect::<Vec<_>>(), self.ids(&doomed));
                End::of_success(whims)
            }
            Ok(Err(error)) => panic!("{error:?}"),
            Err(death) => End::of_death(death.as_ref(), whims),
        };
        self.settle(&doomed, end);
    }

    /// Pins one of the snapshots for some seconds, or for ever if they are none; or unpins it.
    fn pin(&mut self, place: usize, seconds: Option<i64>) {
        let published: Vec<usize> =
            (0..self.promised.len()).filter(|at| !self.promised[*at].is_staged).collect();
        if published.is_empty() {
            return;
        }
        let at = published[place % published.len()];
        let until = seconds.map(|seconds| (seconds > 0).then(|| self.kitchen.options.now + seconds));
        let pin = until.map_or(Pin::Clear, |until| Pin::Set { until, note: None });
        self.kitchen.pin(&self.promised[at].name, &pin);
        self.promised[at].pin = until;
        self.settle(&[], End::Hurried);
    }

    /// What keeping the last so many drops, by its place among the promised.
    fn doomed(&self, keep: u32) -> Vec<usize> {
        let now = self.kitchen.options.now;
        let kept = self.promised.len().saturating_sub(usize::try_from(keep).expect("small"));
        (0..kept).filter(|at| !self.promised[*at].is_pinned_at(now)).collect()
    }

    fn ids(&self, places: &[usize]) -> Vec<SnapshotId> {
        places.iter().map(|at| self.promised[*at].id).collect()
    }

    /// On what the next run is built, if that is clear.
    fn expected_scaffold(&self, recycle: Recycle) -> Option<Scaffold> {
        let listed = self.kitchen.snapshots();
        let is_plain = |one: &Snapshot| self.promised.iter().any(|promised| promised.id == one.id);
        if !listed.iter().all(|one| one.state == State::Published && is_plain(one)) {
            return None;
        }
        let workshop = self.kitchen.workshop();
        if workshop.join("staging").exists() {
            return Some(Scaffold::Interrupted);
        }
        let has_retired = !names_in(&workshop.join("retired")).is_empty();
        Some(if has_retired && recycle == Recycle::Always { Scaffold::Recycled } else { Scaffold::Empty })
    }

    /// A snapshot is promised when the catalog calls it staged. A run promises one at most.
    fn note_promise(&mut self, source: Source) {
        let all = self.kitchen.snapshots();
        let is_new = |one: &&Snapshot| one.state != State::Building && !self.known.contains(&one.id);
        let new: Vec<&Snapshot> = all.iter().filter(is_new).collect();
        match new[..] {
            [] => {}
            [one] => {
                self.known.insert(one.id);
                let (name, is_staged) = (one.name.clone(), one.state == State::Staged);
                self.promised.push(Promised { id: one.id, name, is_staged, source, tree: None, pin: None });
            }
            _ => panic!("one run made several snapshots"),
        }
    }

    /// What is doomed is gone, if the step came so far; all else is there, as the catalog says.
    fn settle(&mut self, doomed: &[usize], end: End) {
        let mut at = 0;
        if end.has_retired() {
            self.promised.retain(|_| {
                at += 1;
                !doomed.contains(&(at - 1))
            });
        }
        let all = self.kitchen.snapshots();
        for promised in &mut self.promised {
            let known = all.iter().find(|one| one.id == promised.id);
            let known = known.unwrap_or_else(|| panic!("{} is lost", promised.name));
            promised.name.clone_from(&known.name);
            promised.is_staged = known.state == State::Staged;
            assert_ne!(known.state, State::Building);
        }
        if end.was_success() {
            let complete = all.iter().filter(|one| one.state != State::Building).map(|one| one.id);
            let promised = self.promised.iter().map(|one| one.id);
            assert_eq!(complete.collect::<Vec<_>>(), promised.collect::<Vec<_>>(), "what there is");
        }
        if end == End::Calm {
            self.assert_claims();
        }
        // Whatever was interrupted, and however: nothing of it is damage.
        let found = self.kitchen.verify().problems;
        assert_eq!(found.problems, 0, "{:?}", found.list);
    }

    /// After a step that came to its end the catalog knows of every inode, and nothing lies about.
    fn assert_claims(&self) {
        let held = self.kitchen.held();
        let has_staging = self.kitchen.workshop().join("staging").exists();
        if !has_staging {
            self.kitchen.assert_claims();
        }
        self.kitchen.assert_accounts();
        assert_eq!(self.kitchen.held(), held, "counting changed something");
        let mut workshop = names_in(&self.kitchen.workshop());
        workshop.retain(|name| !name.starts_with("catalog.") && name != "retired" && name != "staging");
        workshop.retain(|name| name != "clock" && name != "reserve");
        assert_eq!(workshop, ["lock", "trash"]);
        assert_eq!(names_in(&self.kitchen.workshop().join("trash")), [""; 0]);
        assert!(names_in(&self.kitchen.workshop().join("retired")).len() <= 1);
    }

    fn assert_published(&mut self, summary: &BackupSummary, doomed: &[usize]) {
        assert_eq!(summary.problems.list, []);
        let all = self.kitchen.snapshots();
        assert!(all.iter().all(|one| one.state == State::Published), "{all:?}");
        let name = summary.snapshot.as_ref().expect("not a dry run").as_str();
        assert_eq!(all.last().map(|one| one.name.as_str()), Some(name));
        let latest = std::fs::read_link(self.kitchen.job().path().join("latest")).expect("latest");
        assert_eq!(latest, Path::new(name));
        let dropped = summary.pruned.iter().flat_map(|pruned| pruned.plan.retained.dropped_ids());
        assert_eq!(dropped.collect::<Vec<_>>(), self.ids(doomed), "what retention dropped");
        self.assert_shared(summary);
        self.assert_counted(summary);
    }

    /// What nobody has touched is the inode of the snapshot before.
    fn assert_shared(&self, summary: &BackupSummary) {
        let [.., before, now] = &self.promised[..] else { return };
        let Some(old) = &before.tree else {
            return assert!(!self.is_calm, "a published snapshot was never looked at");
        };
        let new = self.kitchen.listing(summary);
        for path in now.source.untouched_since(&before.source) {
            assert_eq!(old.inode(path), new.inode(path), "{path:?} was not touched, but copied");
        }
    }

    fn assert_counted(&self, summary: &BackupSummary) {
        let counts = &summary.counts;
        let now = &self.promised.last().expect("just published").source;
        let kinds = |kinds: &[Kind]| {
            now.listing.iter().filter(|(_, entry)| kinds.contains(&entry.kind)).count() as u64
        };
        let above = self.kitchen.source.components().count() as u64 - 1;
        assert_eq!(counts.files, kinds(&[Kind::File]));
        assert_eq!(counts.symlinks, kinds(&[Kind::Symlink]));
        assert_eq!(counts.directories, kinds(&[Kind::Directory]) + above);
        let leaves = counts.files + counts.symlinks + counts.specials;
        assert_eq!(leaves + counts.directories, now.listing.iter().count() as u64 + above);
        assert_eq!(leaves, counts.added + counts.changed + counts.unchanged + counts.reused, "{counts:?}");
        assert_eq!(leaves, counts.kept_entries + counts.linked_entries + counts.made_inodes, "{counts:?}");
        if let ([.., before, _], true) = (&self.promised[..], self.is_calm) {
            let (gone, new) = (before.source.missing_in(now), now.missing_in(&before.source));
            assert_eq!(counts.removed, gone, "{counts:?}");
            // What was moved came to a new name, or in the place of something else.
            assert!((counts.added..=counts.added + counts.moved).contains(&new), "{new} new: {counts:?}");
        }
    }

    /// Every complete snapshot is what the source was then, and since it has its name nobody has touched it; and
    /// nothing else bears a name.
    fn assert_history(&mut self) {
        if self.kitchen.snapshots().is_empty() {
            return;
        }
        let job = self.kitchen.job();
        let mut named: BTreeSet<String> = self.kitchen.named().into_iter().collect();
        if let Ok(latest) = std::fs::read_link(job.path().join("latest")) {
            let latest = latest.to_str().expect("our names are text");
            assert!(named.contains(latest), "latest points to {latest}");
        }
        for promised in &mut self.promised {
            let is_named = named.remove(&promised.name);
            if promised.is_staged && !is_named {
                continue;
            }
            assert!(is_named, "{} is gone", promised.name);
            let now = Listing::read(&self.kitchen.in_snapshot(&job.path().join(&promised.name)));
            let differing = promised.source.listing.diff(&now, Compare::COPY);
            assert_eq!(differing, [""; 0], "{} is not what the source was", promised.name);
            let first = promised.tree.get_or_insert_with(|| now.clone());
            assert_eq!(first.diff(&now, Compare::UNTOUCHED), [""; 0], "{} was touched", promised.name);
        }
        assert_eq!(named, BTreeSet::new(), "these should be gone");
    }

    pub fn finish(self) {
        let target = tempfile::tempdir().expect("a target");
        let restored = self.kitchen.restore("latest", target.path());
        assert_eq!(restored.problems.list, []);
        let there = Listing::read(&self.kitchen.in_snapshot(target.path()));
        let source = Listing::read(&self.kitchen.source);
        assert_eq!(source.diff(&there, Compare::COPY), [""; 0], "not restored");
    }
}

/// Only what the watcher wanted may fail. A death in the thread that writes the catalog is an error of the run.
fn may_fail(whims: &Whims, error: &BackupError) -> bool {
    match error {
        BackupError::Interrupted => whims.stop_at.is_some(),
        BackupError::Run { .. } => {
            matches!(whims.die_at, Some(Phase::CheckpointSync | Phase::CheckpointCommit))
        }
        _ => false,
    }
}

//! What was seen of a job's snapshots on disk, across runs that die.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use linksnap_engine::SnapshotName;
use linksnap_engine::verbs::backup::BackupSummary;
use linksnap_testkit::listing::{Compare, Listing};

use crate::kitchen::Kitchen;

impl Kitchen {
    /// The job's directory.
    pub fn job_dir(&self) -> PathBuf {
        self.repository.join(Self::job_name().as_str())
    }

    /// The job's own directory.
    pub fn workshop(&self) -> PathBuf {
        self.job_dir().join(".linksnap")
    }

    /// What bears a snapshot's name, in order.
    pub fn named(&self) -> Vec<String> {
        names_in(&self.job_dir()).into_iter().filter(|name| SnapshotName::parse(name).is_some()).collect()
    }

    /// Nothing is left over of runs that ended early.
    pub fn assert_tidy(&self) {
        let mut job = names_in(&self.job_dir());
        job.retain(|name| SnapshotName::parse(name).is_none());
        assert_eq!(job, [".linksnap", "latest"]);
        let mut workshop = names_in(&self.workshop());
        workshop.retain(|name| {
            !name.starts_with("catalog.db")
                && name != "catalog.copy"
                && name != "retired"
                && name != "reserve"
        });
        assert_eq!(workshop, ["lock", "trash"]);
        assert_eq!(names_in(&self.workshop().join("trash")), [""; 0]);
    }
}

/// The names in a directory, sorted; none if it is not there.
pub fn names_in(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("readable").file_name();
    let mut names: Vec<String> =
        entries.map(|entry| name(entry).into_string().expect("our names are text")).collect();
    names.sort();
    names
}

/// What was seen of a job's snapshots. Nobody asks the catalog: the tree is the truth.
#[derive(Debug, Default)]
pub struct Ledger {
    known: BTreeMap<String, Listing>,
    /// What the source was in the last runs, the newest last.
    sources: Vec<Listing>,
}

impl Ledger {
    /// Looks, after every run, at what bears a snapshot's name: what was seen before is there and untouched
    /// (of the older ones a few each time, in turn), what is new is what the source is now or was in one of
    /// the last runs, and `latest` points to one of them. Returns the new names.
    pub fn check(&mut self, kitchen: &Kitchen) -> Vec<String> {
        self.sources.push(Listing::read(&kitchen.source));
        let named = kitchen.named();
        for name in self.known.keys() {
            assert!(named.contains(name), "{name} is gone");
        }
        let mut new = Vec::new();
        for (number, name) in named.iter().enumerate() {
            let is_recent = number + 3 >= named.len();
            if self.known.contains_key(name) && !is_recent && !(number + self.sources.len()).is_multiple_of(6)
            {
                continue;
            }
            let root = kitchen.job_dir().join(name);
            let listing = Listing::read(&root);
            if let Some(known) = self.known.get(name) {
                assert_eq!(known.diff(&listing, Compare::UNTOUCHED), [""; 0], "{name} was touched");
            } else {
                let stored = Listing::read(&kitchen.in_snapshot(&root));
                let differs = |source: &Listing| source.diff(&stored, Compare::COPY);
                let mut recent = self.sources.iter().rev().take(4);
                let complete = recent.any(|source| differs(source).is_empty());
                assert!(complete, "{name}: {:#?}", self.sources.last().map(differs));
                self.known.insert(name.clone(), listing);
                new.push(name.clone());
            }
        }
        if let Ok(target) = std::fs::read_link(kitchen.job_dir().join("latest")) {
            let target = target.to_str().expect("our names are text");
            assert!(named.iter().any(|name| name == target), "latest points to {target}");
        }
        new
    }

    /// Forgets what bears no name any more: retention has dropped it, or somebody has deleted it.
    pub fn let_go(&mut self, kitchen: &Kitchen) -> Vec<String> {
        let named = kitchen.named();
        let (left, gone) =
            std::mem::take(&mut self.known).into_iter().partition(|(name, _)| named.contains(name));
        self.known = left;
        let gone: BTreeMap<String, Listing> = gone;
        gone.into_keys().collect()
    }

    /// As [`check`](Self::check) after a run that succeeded: its snapshot is the new one, `latest` points to
    /// it, nothing is left over, and every stored byte is sound.
    pub fn check_success(&mut self, kitchen: &Kitchen, summary: &BackupSummary) {
        let name = summary.snapshot.as_ref().expect("a snapshot").as_str();
        let new = self.check(kitchen);
        assert!(new.iter().any(|new| new == name), "{name} is not among {new:?}");
        let is = Listing::read(&kitchen.in_snapshot(&summary.path));
        assert_eq!(Listing::read(&kitchen.source).diff(&is, Compare::COPY), [""; 0], "{name}");
        let latest = std::fs::read_link(kitchen.job_dir().join("latest")).expect("latest");
        assert_eq!(latest, Path::new(name));
        let published: Vec<String> =
            kitchen.job().snapshots().expect("readable").into_iter().map(|one| one.name).collect();
        assert_eq!(published, kitchen.named());
        kitchen.assert_tidy();
        kitchen.assert_sound();
    }
}

//! The inodes that a job has on the disk, against those that its catalog speaks of.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use linksnap_catalog::{Event, Growth};
use linksnap_engine::verbs::du;

use crate::kitchen::Kitchen;

/// Inodes by their numbers.
pub type Inodes = BTreeMap<u64, Inode>;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    pub is_directory: bool,
    /// Of a file; else 0.
    pub size: u64,
}

/// How many there are, and the sum of their sizes.
pub fn total(inodes: &Inodes) -> (u64, u64) {
    (inodes.len() as u64, inodes.values().map(|inode| inode.size).sum())
}

/// Every inode below a directory, itself among them; none if it is not there. What is mounted below is left out.
pub fn inodes_below(root: &Path) -> Inodes {
    let mut found = Inodes::new();
    let Ok(stat) = std::fs::symlink_metadata(root) else { return found };
    let device = stat.dev();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let stat = std::fs::symlink_metadata(&path).expect("it is there");
        if stat.dev() != device {
            continue;
        }
        let size = if stat.is_file() { stat.len() } else { 0 };
        found.insert(stat.ino(), Inode { is_directory: stat.is_dir(), size });
        if stat.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory");
            waiting.extend(entries.map(|entry| entry.expect("readable").path()));
        }
    }
    found
}

impl Kitchen {
    /// The inodes of all that bears a snapshot's name.
    pub fn held(&self) -> Inodes {
        let named = self.named();
        named.iter().flat_map(|name| inodes_below(&self.job_dir().join(name))).collect()
    }

    /// The inodes of the trees in the job's own directory: what runs are built upon, and trash.
    pub fn set_aside(&self) -> Inodes {
        let trees = ["staging", "retired", "trash"];
        trees.iter().flat_map(|tree| inodes_below(&self.workshop().join(tree))).collect()
    }

    /// No inode is in use but those that snapshots have and the directories of the scaffold, and they are as many and
    /// as large as the catalog says, and as its history of growth adds up to. Looks only.
    pub fn assert_claims(&self) {
        let held = self.held();
        let mut strange = self.set_aside();
        strange.retain(|inode, of| !of.is_directory && !held.contains_key(inode));
        assert_eq!(strange, Inodes::new(), "inodes that no snapshot has");
        let usage = du::du(&self.job()).expect("the accounts");
        assert_eq!(total(&held), (usage.total.inodes, usage.total.apparent_bytes), "on the disk");
        let growth = du::history(&self.job()).expect("the growth");
        let sum = |of: fn(&Growth) -> u64| -> i64 {
            let signed = |one: &Growth| match one.event {
                Event::Snapshot => of(one).cast_signed(),
                Event::Deletion => -of(one).cast_signed(),
            };
            growth.iter().map(signed).sum()
        };
        let grown = (sum(|one| one.inodes), sum(|one| one.bytes));
        assert_eq!(grown, (usage.total.inodes.cast_signed(), usage.total.bytes.cast_signed()), "grown");
    }
}

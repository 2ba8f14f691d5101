//! Hard links inside the source: which stored inode stands for which source inode in this run.
//!
//! **Invariant:** within a snapshot, two names share a stored inode only if they share a source inode.
//!
//! Only inodes with several names are remembered, for as long as the run lasts.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use linksnap_catalog::NewVersion;

/// A source inode: device and number.
pub type SourceInode = (u64, u64);

/// Where a group's stored inode can be linked from.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The directory in staging, relative to its root.
    pub dir: Vec<u8>,
    /// The name there.
    pub name: Vec<u8>,
    /// What it is; the inode number in the repository among it.
    pub version: Arc<NewVersion>,
}

impl Stored {
    /// The inode number in the repository.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.version.version.stored_inode
    }
}

/// What a worker that comes to a name of a group is to do.
#[derive(Debug, Clone)]
pub enum Turn {
    /// It is the first: store the inode, then [`Groups::settle`] where.
    First,
    /// Another name of the group is stored here.
    Member(Stored),
}

/// All groups of a run.
#[derive(Debug, Default)]
pub struct Groups {
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// `None` while the first one is at it.
    groups: HashMap<SourceInode, Option<Stored>>,
    claims: HashMap<u64, SourceInode>,
}

impl Groups {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the group of a source inode. Waits while another thread stores the group's first name.
    pub fn join(&self, source: SourceInode) -> Turn {
        let mut state = self.lock();
        loop {
            match state.groups.get(&source) {
                None => {
                    state.groups.insert(source, None);
                    return Turn::First;
                }
                Some(Some(stored)) => return Turn::Member(stored.clone()),
                Some(None) => {
                    state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Joins the group again after `wrong`, the inode that it was stored as, has turned out not to be what it
    /// should be: the first one who comes stores it anew, the others link that.
    pub fn join_again(&self, source: SourceInode, wrong: u64) -> Turn {
        let mut state = self.lock();
        let is_wrong = |stored: &Option<Stored>| stored.as_ref().is_some_and(|one| one.inode() == wrong);
        if state.groups.get(&source).is_some_and(is_wrong) {
            state.groups.insert(source, None);
            return Turn::First;
        }
        drop(state);
        self.join(source)
    }

    /// Says where the group is stored now, or that the first name could not be stored: the next one to
    /// [`join`](Self::join) is the first then.
    pub fn settle(&self, source: SourceInode, stored: Option<Stored>) {
        let mut state = self.lock();
        match stored {
            Some(stored) => {
                state.claims.insert(stored.inode(), source);
                state.groups.insert(source, Some(stored));
            }
            None => {
                state.groups.remove(&source);
            }
        }
        drop(state);
        self.settled.notify_all();
    }

    /// May the stored inode stand for this source inode? Yes, unless it stands for another one already.
    pub fn claim(&self, stored_inode: u64, source: SourceInode) -> bool {
        *self.lock().claims.entry(stored_inode).or_insert(source) == source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linksnap_catalog::{Holding, Seen, SnapshotId, Version};
    use linksnap_inode::{Kind, Timestamp, Xattrs};

    fn stored(inode: u64) -> Stored {
        let version = Version {
            first: SnapshotId(1),
            last: None,
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: 0,
            holes: 0,
            mtime: Timestamp::default(),
            rdev: 0,
            stored_inode: inode,
            hash: None,
            target: None,
            xattrs: None,
            child: None,
            partial: false,
            unwitnessed: false,
            shared: false,
            holding: Holding::Whole,
            seen: Seen::default(),
        };
        let version = Arc::new(NewVersion { version, xattrs: Xattrs::default() });
        Stored { dir: b"d".to_vec(), name: b"n".to_vec(), version }
    }

    #[test]
    fn the_first_stores_and_the_others_link() {
        let groups = Groups::default();
        assert!(matches!(groups.join((1, 2)), Turn::First));
        groups.settle((1, 2), Some(stored(9)));
        assert!(matches!(groups.join((1, 2)), Turn::Member(member) if member.inode() == 9));
        assert!(matches!(groups.join((1, 3)), Turn::First));
    }

    #[test]
    fn a_stored_inode_stands_for_one_source_inode() {
        let groups = Groups::default();
        assert!(groups.claim(9, (1, 2)));
        assert!(groups.claim(9, (1, 2)));
        assert!(!groups.claim(9, (1, 3)));
    }

    #[test]
    fn what_was_stored_wrong_is_stored_once_more() {
        let groups = Groups::default();
        assert!(matches!(groups.join((1, 2)), Turn::First));
        groups.settle((1, 2), Some(stored(9)));
        assert!(matches!(groups.join_again((1, 2), 9), Turn::First));
        groups.settle((1, 2), Some(stored(10)));
        assert!(matches!(groups.join_again((1, 2), 9), Turn::Member(member) if member.inode() == 10));
    }

    #[test]
    fn a_first_that_failed_hands_on() {
        let groups = Groups::default();
        assert!(matches!(groups.join((1, 2)), Turn::First));
        groups.settle((1, 2), None);
        assert!(matches!(groups.join((1, 2)), Turn::First));
    }
}

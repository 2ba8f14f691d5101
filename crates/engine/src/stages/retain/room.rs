//! Room: what goes beyond the rules when the filesystem is too full.

use linksnap_catalog::{Freed, SnapshotId};

use crate::policy::{Headroom, Share};
use crate::report::Bytes;
use crate::stages::retain::{Cause, Retained, Verdict};

/// What the filesystem has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Free bytes.
    pub free_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
    /// Free inodes.
    pub free_inodes: u64,
    /// All inodes; 0 on filesystems that make them as needed.
    pub total_inodes: u64,
}

/// There is less room than is wanted, and nothing more may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not enough room is free: {}; no more snapshots may be dropped ({kept} are left, at least {min} must be, \
     and pinned, newest and newest good ones stay)",
    self.missing()
)]
pub struct Shortfall {
    /// How many bytes more should be free.
    pub missing_bytes: u64,
    /// How many inodes more should be free.
    pub missing_inodes: u64,
    /// How many snapshots are left.
    pub kept: usize,
    /// How many must be.
    pub min: u32,
}

impl Shortfall {
    fn missing(&self) -> String {
        match (self.missing_bytes, self.missing_inodes) {
            (bytes, 0) => format!("{} are missing", Bytes(bytes)),
            (0, inodes) => format!("{inodes} inodes are missing"),
            (bytes, inodes) => format!("{} and {inodes} inodes are missing", Bytes(bytes)),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some("unpin or delete snapshots that can be done without, or make room on the filesystem".to_owned())
    }
}

/// Drops more, the oldest first, until as much room is free as is wanted, and says what is still missing then.
/// `frees` knows what the filesystem gains if all of a set of snapshots go: never less for more of them. It
/// is asked only if need be, and some ten times for a thousand snapshots.
pub fn make_room(
    retained: &mut Retained,
    headroom: &Headroom,
    room: Room,
    frees: &mut dyn FnMut(&[SnapshotId]) -> Freed,
) -> Option<Shortfall> {
    let wanted = Wanted::new(headroom, room);
    if retained.hold.is_some() || wanted.missing(Freed::default()) == Freed::default() {
        return wanted.shortfall(Freed::default(), retained, headroom.min);
    }
    let candidates = candidates(retained, headroom.min);
    let mut doomed = retained.dropped_ids();
    let sure = doomed.len();
    doomed.extend(candidates.iter().map(|&at| retained.decisions[at].id));
    let mut least = |missing: fn(Freed) -> u64| match missing(wanted.more) {
        0 => 0,
        _ => least(candidates.len(), |more| missing(wanted.missing(frees(&doomed[..sure + more]))) == 0),
    };
    let for_space = least(|freed| freed.bytes);
    let for_inodes = least(|freed| freed.inodes);
    let more = for_space.max(for_inodes);
    for (number, &at) in candidates.iter().enumerate().take(more) {
        let cause = if number < for_space { Cause::ToFreeSpace } else { Cause::ToFreeInodes };
        retained.decisions[at].verdict = Verdict::Drop(cause);
    }
    let freed = frees(&doomed[..sure + more]);
    wanted.shortfall(freed, retained, headroom.min)
}

/// What may go, the oldest first.
fn candidates(retained: &Retained, min: u32) -> Vec<usize> {
    let decisions = &retained.decisions;
    let may_go = |at: &usize| decisions[*at].is_kept() && !decisions[*at].is_protected();
    let mut candidates: Vec<usize> = (0..decisions.len()).filter(may_go).collect();
    candidates.sort_by_key(|&at| (decisions[at].time, decisions[at].id));
    let min = usize::try_from(min).unwrap_or(usize::MAX);
    candidates.truncate(retained.kept().count().saturating_sub(min));
    candidates
}

/// The smallest number up to `most` that is enough, else `most`. What is enough stays so.
fn least(most: usize, mut is_enough: impl FnMut(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// What more there should be.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    more: Freed,
}

impl Wanted {
    fn new(headroom: &Headroom, room: Room) -> Self {
        let more = |share: Option<Share>, total: u64, free: u64| match share {
            Some(share) if total > 0 => share.of(total).saturating_sub(free),
            _ => 0,
        };
        Self {
            more: Freed {
                bytes: more(headroom.free_space, room.total_bytes, room.free_bytes),
                inodes: more(headroom.free_inodes, room.total_inodes, room.free_inodes),
            },
        }
    }

    fn missing(self, freed: Freed) -> Freed {
        Freed {
            bytes: self.more.bytes.saturating_sub(freed.bytes),
            inodes: self.more.inodes.saturating_sub(freed.inodes),
        }
    }

    fn shortfall(self, freed: Freed, retained: &Retained, min: u32) -> Option<Shortfall> {
        let Freed { bytes, inodes } = self.missing(freed);
        let kept = retained.kept().count();
        (bytes > 0 || inodes > 0).then_some(Shortfall {
            missing_bytes: bytes,
            missing_inodes: inodes,
            kept,
            min,
        })
    }
}

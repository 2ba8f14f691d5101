//! A plan in pieces that can be done at once.

use super::{File, Group, NameAt, Plan, Share};

/// Some names of a file that is to become another.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    /// Which of the groups it is of.
    pub(super) number: usize,
    pub(super) group: &'a Group,
    pub(super) loser: &'a File,
    pub(super) names: &'a [NameAt],
    /// Are they the last names of the file?
    pub(super) is_last: bool,
}

/// The whole of a plan, in its order, no piece with more names than that.
pub(super) fn pieces(plan: &Plan, most_names: usize) -> impl Iterator<Item = Piece<'_>> {
    // A file that stays a file of its own gets its new inode at all its names at once.
    let most = if plan.options.share == Share::Blocks { usize::MAX } else { most_names };
    plan.groups.iter().enumerate().flat_map(move |(number, group)| {
        group.losers.iter().flat_map(move |loser| {
            let last = loser.names.len().div_ceil(most.min(loser.names.len().max(1)));
            loser.names.chunks(most).enumerate().map(move |(at, names)| Piece {
                number,
                group,
                loser,
                names,
                is_last: at + 1 == last,
            })
        })
    })
}

//! What a journal says of a piece of a plan.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use linksnap_inode::Xattrs;
use linksnap_inode::path::{join, under};

use super::deed::Survivor;
use super::piece::Piece;
use super::{NameAt, Plan};
use crate::journal::{self, Before, Change, Text};

/// One change a name.
pub(super) fn changes<'a>(
    plan: &'a Plan,
    piece: Piece<'a>,
    survivor: &'a Survivor,
    xattrs: &Xattrs,
) -> impl Iterator<Item = Change> + use<'a> {
    let path = |name: NameAt| Text::of(real_path(plan, name).as_os_str().as_bytes());
    let loser = piece.loser;
    let before = Before::of(&loser.stat, xattrs);
    piece.names.iter().map(move |name| {
        let ends = [loser.names.first(), loser.names.last()];
        let mut siblings: Vec<Text> =
            ends.into_iter().flatten().filter(|end| *end != name).map(|end| path(*end)).collect();
        siblings.dedup();
        Change::Share(Box::new(journal::Share {
            path: path(*name),
            survivor: path(survivor.name),
            inode: survivor.stat.inode,
            size: survivor.stat.size,
            mtime: journal::pair(survivor.stat.mtime),
            before: before.clone(),
            siblings,
        }))
    })
}

/// From `/`, without symbolic links.
fn real_path(plan: &Plan, name: NameAt) -> PathBuf {
    let (root, path) = &plan.directories[name.directory as usize];
    under(&plan.real[*root], &join(path, plan.name(name)))
}

//! The workshop: tools for links and inodes that work on any tree and need no repository.
//!
//! One file a tool. What several of them share: [`place`] (a name in a directory, from a path that a user typed),
//! [`walk`] (all directories below some roots, with several threads), [`swap`] (putting one thing in the place of
//! another, at once and only if it still is what it was), [`journal`] (what was changed, so that it can be undone),
//! [`symlink`] and [`relative`] (symbolic links as a walk meets them, and what they could say instead),
//! `process` (what `/proc` says of processes), [`holders`] (who holds an inode), [`writers`] (who has files open for
//! writing), [`resolve`] (where a path leads), `protected` (what the kernel refuses where everybody may write).
//!
//! **Invariant:** what changes a tree follows a plan that could be read before, refuses where the tree is no longer
//! what the plan says, and leaves no moment in which a name that existed leads nowhere.
//!
//! Knows nothing of repositories, SQL or terminals.

pub mod acl;
pub mod alternatives;
pub mod convert;
pub mod dangling;
pub mod dedupe;
pub mod deleted;
pub mod holders;
pub mod inode;
pub mod journal;
pub mod leftovers;
pub mod links;
pub mod ln;
pub mod names;
pub mod place;
mod process;
mod protected;
pub mod relative;
pub mod relink;
pub mod repair;
pub mod resolve;
pub mod spread;
pub mod swap;
pub mod symlink;
pub mod usage;
pub mod walk;
pub mod writers;

pub use place::Place;
pub use walk::Watch;

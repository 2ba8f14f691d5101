//! The measuring floor: what a tree costs when a program does the bare system calls and nothing else.
//!
//! The binaries make a reproducible tree and walk, link or delete it as fast as a few threads can. What `linksnap` needs
//! beyond their figures is what its promises cost. Nothing here knows a repository, a catalog or a policy, and nothing
//! in the product depends on this crate.

pub mod fault;
pub mod layout;
pub mod listing;
pub mod queue;
pub mod random;
pub mod rate;

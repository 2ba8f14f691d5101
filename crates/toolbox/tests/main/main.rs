//! The tools on real trees. One file a tool, named as the tool.
#![expect(clippy::disallowed_methods, reason = "the trees of tests are made by path")]

mod alternatives;
mod dangling;
mod dedupe;
mod deleted;
mod inode;
mod leftovers;
mod links;
mod ln;
mod mounted;
mod names;
mod races;
mod repair;
mod resolve;
mod spread;
mod swap;
mod usage;

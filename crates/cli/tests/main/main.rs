//! The binary as a user meets it: exit codes, messages, results.

#![expect(clippy::disallowed_methods, reason = "a test makes its own tree, where nobody else is at work")]

mod backup;
mod configuration;
mod dangling;
mod dedupe;
mod delete;
mod deleted;
mod du;
mod filesystems;
mod guards;
mod help;
mod inode;
mod interruption;
mod links;
mod ln;
mod locks;
mod missing;
mod names;
mod papers;
mod pins;
mod pipes;
mod prune;
mod reading;
mod reindex;
mod resolve;
mod restore;
mod sandbox;
mod specials;
mod stage;
mod terminal;
mod usage;
mod verify;

//! Tests of the engine on real filesystems.

#![allow(clippy::disallowed_methods, reason = "tests prepare trees as users do")]

mod backup;
mod counted;
mod faults;
mod kill;
mod kitchen;
mod ledger;
mod links;
mod model;
mod power_cut;
mod real_trees;
mod recover;

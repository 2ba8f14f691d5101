//! Tests of the engine on real filesystems.

mod backup;
mod kill;
mod kitchen;
mod ledger;
mod links;
mod model;
mod power_cut;
mod real_trees;

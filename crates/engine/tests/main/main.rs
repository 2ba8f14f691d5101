//! Tests of the engine on real filesystems.

#![allow(clippy::disallowed_methods, reason = "tests prepare trees as users do")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

mod abilities;
mod backup;
mod checkpoints;
mod claims;
mod clones;
mod counted;
mod damaged_catalog;
mod deaths;
mod deletes;
mod faults;
mod fidelity;
mod fingerprint;
mod guards;
mod hindrances;
mod kill;
mod kitchen;
mod ledger;
mod links;
mod marginal;
mod meanwhile;
mod model;
mod mounts;
mod moved;
mod outages;
mod power_cut;
mod races;
mod real_trees;
mod recover;
mod reindex;
mod restore_deaths;
mod restore_in_place;
mod restore_owners;
mod restore_round;
mod retire;
mod room;
mod sabotage;
mod sandbox;
mod stale;
mod stopper;
mod trace;

/// Counts what this binary allocates, for [`marginal`].
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

//! The kitchen: how snapshots are made, published, read, checked and restored.
//!
//! Nouns stand here, stages (the rooms of a run) in [`stages`], verbs (what a user asks for) in [`verbs`].
//! Nouns know no stage, stages know no verb, no verb calls a verb. `ARCHITECTURE.md` follows one file
//! through the stages.
//!
//! **Invariant:** the engine prints nothing and reads no clock and no environment: the time of a run is an
//! argument, and everything it has to say goes to a [`Monitor`] or into a returned value.

pub mod ability;
pub mod exclude;
pub mod forecast;
pub mod job;
pub mod layout;
pub mod listing;
pub mod monitor;
pub mod policy;
pub mod report;
pub mod repository;
pub mod sandbox;
pub mod snapshot;
pub mod source;
pub mod stages;
pub mod tree;
pub mod verbs;

pub use exclude::Rules;
pub use job::{Job, JobName};
pub use monitor::{Monitor, Phase, Progress, Silent, Wish};
pub use report::{Problem, ProblemKind};
pub use repository::Repository;
pub use snapshot::{Selector, SnapshotName};

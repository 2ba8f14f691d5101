//! What is said when a verb is done.

pub mod backup;
pub mod decisions;
pub mod held;
pub mod problems;
pub mod prune;
pub mod reindex;
pub mod restore;
pub mod simulation;
pub mod step;
pub mod verify;

//! What is said when a verb is done.

pub mod backup;
pub mod problems;
pub mod restore;
pub mod step;
pub mod verify;

//! What a user can ask for. No verb calls another.

pub mod backup;
pub mod delete;
pub mod du;
pub mod ls;
pub mod names;
pub mod pin;
pub mod prune;
pub mod reindex;
pub mod restore;
pub mod verify;

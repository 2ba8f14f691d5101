//! What a user can ask for. No verb calls another.

pub mod backup;
pub mod ls;
pub mod restore;
pub mod verify;

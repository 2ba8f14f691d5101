//! The workshop of the tests: trees built, listed, copied and damaged, filesystems that lose power, and processes that
//! die at a chosen point.
//!
//! Everything here is for tests only and fails by panic, with the path in the message. It promises to be an
//! independent witness: it shares no code with what it judges, follows no symbolic link below a root it was given, and
//! takes any bytes as a name. It does not know repositories, catalogs or snapshots.

pub mod cases;
pub mod crash;
pub mod listing;
pub mod loopfs;
pub mod naive;
mod place;
pub mod program;
pub mod rsync;
pub mod skip;
pub mod swapper;
pub mod tree;

//! Tests of the engine on real filesystems.

mod backup;
mod kitchen;

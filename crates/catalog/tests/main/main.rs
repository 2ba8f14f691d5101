//! Tests of the catalog on real files.

mod deletion;
mod history;
mod migration;
mod model;
mod moved;
mod names;
mod shelf;

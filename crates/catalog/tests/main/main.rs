//! Tests of the catalog on real files.

mod deletion;
mod history;
mod migration;
mod model;
mod names;
mod shelf;

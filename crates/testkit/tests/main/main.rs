//! The testkit must itself be trusted: each difference is noticed, a copy has none, and lost power loses data.

#![allow(clippy::disallowed_methods, reason = "tests prepare trees as users do")]

mod crash;
mod edits;
mod listing;
mod loopfs;
mod skip;

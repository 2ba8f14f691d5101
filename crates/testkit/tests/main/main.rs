//! The testkit must itself be trusted: each difference is noticed, a copy has none, and lost power loses data.

mod crash;
mod edits;
mod listing;
mod loopfs;
mod skip;

//! The rooms of a run: begin (lock, recover), then for every directory keep or scan → plan → apply → validate, then
//! publish, then retain → retire.
//! Stages know nouns and the stages before them, and no verb.

pub mod apply;
pub mod begin;
pub mod build;
pub mod checkpoint;
pub mod claims;
pub mod clone;
pub mod fingerprint;
pub mod groups;
pub mod guard;
pub mod index;
pub mod keep;
pub mod moved;
pub mod plan;
pub mod prune;
pub mod publish;
pub mod rebind;
pub mod recover;
pub mod remove;
pub mod reserve;
pub mod retain;
pub mod retire;
pub mod run;
pub mod scan;
pub mod store;
pub mod validate;

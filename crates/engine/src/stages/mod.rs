//! The rooms of a run: scan → plan → apply → validate → publish, and recover before all of them.
//! Stages know nouns and the stages before them, and no verb.

pub mod apply;
pub mod build;
pub mod groups;
pub mod plan;
pub mod publish;
pub mod rebind;
pub mod recover;
pub mod remove;
pub mod run;
pub mod scan;
pub mod store;
pub mod validate;

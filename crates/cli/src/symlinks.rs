//! What `dangling` and `links` print alike, as JSON: a link, what is planned for it, and where was looked.

use std::path::PathBuf;

use linksnap_inode::dir::path_bytes;
use linksnap_toolbox::symlink::{Coverage, Symlink};
use serde::Serialize;

use crate::json::{self, JsonPath};

/// A symbolic link: the line of a finding.
#[derive(Serialize)]
pub struct JsonLink {
    r#type: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_b64: Option<String>,
}

impl JsonLink {
    /// A line of this type.
    pub fn new(r#type: &'static str, link: &Symlink, roots: &[PathBuf]) -> Self {
        Self {
            r#type,
            path: JsonPath::new(path_bytes(&link.shown(roots))),
            target: json::text(&link.text),
            target_b64: json::exact(&link.text),
        }
    }
}

/// What is planned for a symbolic link.
#[derive(Serialize)]
pub struct JsonPlan {
    #[serde(flatten)]
    link: JsonLink,
    /// `retarget`, `remove` or `leave`.
    plan: &'static str,
    /// Why it is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_target_b64: Option<String>,
}

/// What a plan is, in JSON's words.
pub enum Planned<'a> {
    /// The link gets this text.
    Retarget(&'a [u8]),
    /// It goes.
    Remove,
    /// It stays, for this reason.
    Leave(&'static str),
}

impl JsonPlan {
    /// Such a link, and what is planned for it.
    pub fn new(link: JsonLink, planned: &Planned<'_>) -> Self {
        let (plan, why, new) = match *planned {
            Planned::Retarget(text) => ("retarget", None, Some(text)),
            Planned::Remove => ("remove", None, None),
            Planned::Leave(why) => ("leave", Some(why), None),
        };
        let (new_target, new_target_b64) = (new.map(json::text), new.and_then(json::exact));
        Self { link, plan, why, new_target, new_target_b64 }
    }
}

/// Where was looked: the end of a summary.
#[derive(Serialize)]
pub struct JsonCoverage {
    directories: u64,
    names: u64,
    mounts_left_out: u64,
    problems: u64,
    elapsed_seconds: f64,
}

impl JsonCoverage {
    /// What a walk of so many seconds has covered.
    pub fn new(coverage: &Coverage, elapsed_seconds: f64) -> Self {
        Self {
            directories: coverage.directories,
            names: coverage.names,
            mounts_left_out: coverage.mounts_left_out,
            problems: coverage.problems.len() as u64,
            elapsed_seconds,
        }
    }
}

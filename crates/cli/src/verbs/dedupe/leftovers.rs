//! What commands that were killed have left behind below the roots: told, and removed where nothing can be lost.

use std::path::PathBuf;

use linksnap_inode::dir::path_bytes;
use linksnap_toolbox::leftovers::{self as tool, Advice, Leftover};
use serde::Serialize;

use crate::json::JsonPath;
use crate::output::{Output, Verbosity};

/// Tells of them.
pub fn tell(found: &[Leftover], roots: &[PathBuf], output: &Output) {
    for one in found {
        if output.is_json() {
            output.json(&Line::new(one, roots));
        } else {
            output.remark(&words(one, roots, output));
        }
    }
}

fn words(one: &Leftover, roots: &[PathBuf], output: &Output) -> String {
    let name = |path: PathBuf| output.words(&path.to_string_lossy());
    let path = name(one.at.shown(roots));
    match &one.advice {
        Advice::Remove(other) => {
            let other = name(other.shown(roots));
            format!(
                "{path} was left behind by a command that was killed, and is a further name of {other}: --yes removes it"
            )
        }
        Advice::Wait => {
            format!("{path}: a command is at work there, or was killed within the last hour: left alone")
        }
        Advice::Keep => format!(
            "{path} was left behind by a command that was killed, and is the only name of its file here: left alone; \
             `linksnap undo` of that command's undo file brings its files back, then remove it: rm {path}"
        ),
    }
}

/// Removes those that can go; tells how many went, and how many were no longer what they were.
pub fn sweep(found: &[Leftover], roots: &[PathBuf], output: &Output) -> Swept {
    let mut swept = Swept::default();
    for one in found.iter().filter(|one| matches!(one.advice, Advice::Remove(_))) {
        let path = one.at.shown(roots);
        match tool::remove(roots, one) {
            Ok(()) => {
                swept.removed += 1;
                if !output.is_json() && output.verbosity() > Verbosity::Quiet {
                    output.report(format!("removed {}", output.words(&path.to_string_lossy())));
                }
            }
            Err(error) => {
                swept.left += 1;
                output.trouble(path_bytes(&path), &error.to_string());
            }
        }
    }
    swept
}

/// What became of them.
#[derive(Debug, Default, Clone, Copy)]
pub struct Swept {
    /// Those that are gone.
    pub removed: u64,
    /// Those that could not be removed.
    pub left: u64,
}

#[derive(Serialize)]
struct Line {
    r#type: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    /// `remove`, `wait` or `keep`.
    advice: &'static str,
    /// Another name of its file.
    same_as: Option<JsonPath>,
}

impl Line {
    fn new(one: &Leftover, roots: &[PathBuf]) -> Self {
        let (advice, other) = match &one.advice {
            Advice::Remove(other) => ("remove", Some(other)),
            Advice::Wait => ("wait", None),
            Advice::Keep => ("keep", None),
        };
        let path = |path: PathBuf| JsonPath::new(path_bytes(&path));
        Self {
            r#type: "leftover",
            path: path(one.at.shown(roots)),
            advice,
            same_as: other.map(|other| path(other.shown(roots))),
        }
    }
}

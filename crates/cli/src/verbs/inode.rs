//! `inode`: all that an inode says, and what removing a name would do.

mod document;
mod text;

use linksnap_toolbox::inode::{self as toolbox, Links};

use crate::args::InodeArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::owners::Owners;

/// Looks at all paths.
pub fn inode(args: &InodeArgs, output: &Output) -> Result<Exit, Failure> {
    let links = if args.dereference { Links::Follow } else { Links::Look };
    let mut exit = Exit::Done;
    let mut found = Vec::new();
    for path in &args.paths {
        match toolbox::look(path, links) {
            Ok(report) => found.push((path, report)),
            Err(error) => {
                exit = Exit::Failed;
                output.failure(&Failure::new(Exit::Failed, error.to_string()).because(&error.source));
            }
        }
    }
    let (paths, reports): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let held = toolbox::held(&reports);
    let owners = Owners::here();
    if output.is_json() {
        let documents =
            paths.iter().zip(&reports).map(|(path, report)| document::of(path, report, &held, &owners));
        output.json(&documents.collect::<Vec<_>>());
        return Ok(exit);
    }
    for (number, (path, report)) in paths.iter().zip(&reports).enumerate() {
        if number > 0 {
            output.line("");
        }
        text::show(path, report, &held, &owners, output);
    }
    Ok(exit)
}

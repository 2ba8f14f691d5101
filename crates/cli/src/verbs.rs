//! One file a verb: from typed arguments to the engine and back to the user.

mod backup;
mod dangling;
mod dedupe;
mod delete;
mod deleted;
mod du;
mod init;
mod inode;
mod jobs;
mod links;
mod ln;
mod ls;
mod names;
mod pin;
mod prune;
mod reindex;
mod resolve;
mod restore;
mod snapshots;
mod undo;
mod usage;
mod verify;

use crate::args::{Cli, Verb};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Does what the arguments say.
pub fn run(cli: &Cli, output: &Output) -> Result<Exit, Failure> {
    let global = &cli.global;
    match &cli.verb {
        Verb::Init(args) => init::init(args, global, output),
        Verb::Backup(args) => backup::backup(args, global, output),
        Verb::Snapshots(args) => snapshots::snapshots(args, global, output),
        Verb::Ls(args) => ls::ls(args, global, output),
        Verb::Restore(args) => restore::restore(args, global, output),
        Verb::Prune(args) => prune::prune(args, global, output),
        Verb::Delete(args) => delete::delete(args, global, output),
        Verb::Pin(args) => pin::pin(args, global, output),
        Verb::Unpin(args) => pin::unpin(args, global, output),
        Verb::Du(args) => du::du(args, global, output),
        Verb::Verify(args) => verify::verify(args, global, output),
        Verb::Reindex(args) => reindex::reindex(args, global, output),
        Verb::Dangling(args) => dangling::dangling(args, output),
        Verb::Links(args) => links::links(args, output),
        Verb::Dedupe(args) => dedupe::dedupe(args, output),
        Verb::Undo(args) => undo::undo(args, output),
        Verb::Names(args) => names::names(args, global, output),
        Verb::Inode(args) => inode::inode(args, output),
        Verb::Ln(args) => ln::ln(args, output),
        Verb::Resolve(args) => resolve::resolve(args, output),
        Verb::Usage(args) => usage::usage(args, output),
        Verb::Deleted(args) => deleted::deleted(args, output),
        Verb::Jobs(verb) => jobs::jobs(verb, global, output),
    }
}

//! One file a verb: from typed arguments to the engine and back to the user.

mod backup;
mod init;
mod jobs;
mod ls;
mod restore;
mod snapshots;
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
        Verb::Verify(args) => verify::verify(args, global, output),
        Verb::Jobs(verb) => jobs::jobs(verb, global, output),
    }
}

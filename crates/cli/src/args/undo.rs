//! `undo`.

use std::path::PathBuf;

use clap::Args;

/// `undo`.
#[derive(Args)]
pub struct UndoArgs {
    /// What a command has written about its changes; several are taken back in the order given
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Change nothing; say what would be taken back
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

//! `ln`.

use std::path::PathBuf;

use clap::Args;

/// `ln`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of ln(1)")]
pub struct LnArgs {
    /// Make symbolic links
    #[arg(short, long)]
    pub symbolic: bool,
    /// Make symbolic links with the shortest text that leads from the link to the target
    #[arg(short, long, conflicts_with = "absolute")]
    pub relative: bool,
    /// Make symbolic links with the target's path from /
    #[arg(long)]
    pub absolute: bool,
    /// Do not ask: replace what is there, and make symbolic links that lead nowhere
    #[arg(short, long)]
    pub force: bool,
    /// Make nothing; say what would be made and replaced
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Take the last path as the link's own name, even if it is a directory or leads to one
    #[arg(short = 'T', long, conflicts_with = "target_directory")]
    pub no_target_directory: bool,
    /// Make the links in this directory
    #[arg(short, long, value_name = "DIR")]
    pub target_directory: Option<PathBuf>,
    /// Replace a symbolic link to a directory instead of making links in it (`ln -n`)
    #[arg(long)]
    pub no_dereference: bool,
    /// Exchange what the two paths stand for, at once
    #[arg(long, conflicts_with_all = [
        "symbolic", "relative", "absolute", "force", "no_target_directory", "target_directory", "no_dereference",
    ])]
    pub swap: bool,
    /// What is to be linked, and last the link, or the directory for the links [default: the working directory]
    #[arg(value_name = "TARGET… LINK|DIR", required = true)]
    pub paths: Vec<PathBuf>,
}

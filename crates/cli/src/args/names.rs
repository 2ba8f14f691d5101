//! `names`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// `names`.
#[derive(Args)]
pub struct NamesArgs {
    /// A file, or the number of an inode (a file whose name is a number comes first)
    #[arg(value_name = "PATH|INODE")]
    pub what: OsString,
    /// Directories to look through [default: all of the filesystem that can be seen]
    #[arg(value_name = "ROOT")]
    pub roots: Vec<PathBuf>,
    /// The first argument is the number of an inode, even if a file is called so
    #[arg(long)]
    pub inum: bool,
    /// Look through everything, even when as many names as the link count were found
    #[arg(long)]
    pub all: bool,
}

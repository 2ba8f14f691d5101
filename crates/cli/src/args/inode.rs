//! `inode`.

use std::path::PathBuf;

use clap::Args;

/// `inode`.
#[derive(Args)]
pub struct InodeArgs {
    /// Follow symbolic links: look at what they lead to
    #[arg(short = 'L', long)]
    pub dereference: bool,
    /// Paths
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

//! `resolve`.

use std::path::PathBuf;

use clap::Args;

/// `resolve`.
#[derive(Args)]
pub struct ResolveArgs {
    /// Print only the path without links, as `readlink -f`: all but the last name must exist
    #[arg(short = 'f', long, overrides_with_all = ["canonicalize_existing", "canonicalize_missing"])]
    pub canonicalize: bool,
    /// The same; all must exist
    #[arg(short = 'e', long, overrides_with_all = ["canonicalize", "canonicalize_missing"])]
    pub canonicalize_existing: bool,
    /// The same; nothing need exist
    #[arg(short = 'm', long, overrides_with_all = ["canonicalize", "canonicalize_existing"])]
    pub canonicalize_missing: bool,
    /// Paths
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

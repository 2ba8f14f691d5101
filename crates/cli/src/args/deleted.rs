//! `deleted`.

use clap::Args;
use linksnap_toolbox::deleted::Target;

/// `deleted`.
#[derive(Args)]
pub struct DeletedArgs {
    /// Make this open file empty; can be given several times
    #[arg(long, value_name = "PID:FD")]
    pub truncate: Vec<Target>,
    /// With --truncate: change nothing; say what would be made empty
    #[arg(short = 'n', long, requires = "truncate")]
    pub dry_run: bool,
    /// With --truncate: do not ask
    #[arg(long, requires = "truncate")]
    pub yes: bool,
}

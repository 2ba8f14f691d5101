//! The arguments of `restore`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

/// `restore`.
#[derive(Args)]
#[command(group = ArgGroup::new("where").required(true).args(["target", "in_place"]))]
#[command(group = ArgGroup::new("replacing").args(["overwrite", "in_place"]).multiple(true))]
pub struct RestoreArgs {
    /// NAME, the beginning of one, latest, latest~2, oldest; JOB/ in front if there are several
    #[arg(value_name = "SNAPSHOT")]
    pub snapshot: String,
    /// What to restore, as absolute paths in the source [default: everything]
    #[arg(value_name = "PATH")]
    pub paths: Vec<OsString>,
    /// Where to
    #[arg(long, value_name = "DIR")]
    pub target: Option<PathBuf>,
    /// To where it came from: shows what is to be done, and asks
    #[arg(long)]
    pub in_place: bool,
    /// Change nothing; say what would be done
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Make what is there what it was in the snapshot
    #[arg(long)]
    pub overwrite: bool,
    /// Remove what the snapshot does not have from directories that are restored
    #[arg(long, requires = "replacing")]
    pub delete: bool,
    /// Give files to owners by their number (numeric), or by the name that it had in the snapshot (name)
    #[arg(long, value_name = "HOW", value_enum, default_value_t = OwnerArg::Numeric, hide_possible_values = true)]
    pub owner: OwnerArg,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// By what owners are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OwnerArg {
    /// By number.
    Numeric,
    /// By name, and by number where there is none.
    Name,
}

//! `dangling`, and what all commands that change links have in common.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `dangling`.
#[derive(Args)]
pub struct DanglingArgs {
    /// Where to look
    #[arg(value_name = "ROOT", default_value = ".")]
    pub roots: Vec<PathBuf>,
    /// Report links too that work, but through an absolute path that leaves the ROOT
    #[arg(long, conflicts_with = "fix")]
    pub leaving: bool,
    /// Enter what is mounted below a ROOT
    #[arg(long)]
    pub cross_mounts: bool,
    /// Print only the paths, a line each
    #[arg(long, conflicts_with_all = ["print0", "json", "fix"])]
    pub print: bool,
    /// Print only the paths, each ended by a NUL
    #[arg(long, conflicts_with_all = ["json", "fix"])]
    pub print0: bool,
    /// Plan repairs: search, relative, remove, or several of them in order [default: search,relative]
    #[arg(
        long,
        value_name = "HOW",
        value_enum,
        hide_possible_values = true,
        num_args = 0..,
        require_equals = true,
        value_delimiter = ',',
        default_missing_value = "search,relative"
    )]
    pub fix: Vec<RemedyArg>,
    /// Search below this directory for what has the same name; can be given several times [default: the ROOTs]
    #[arg(long, value_name = "DIR", requires = "fix")]
    pub search: Vec<PathBuf>,
    #[command(flatten)]
    pub deed: DeedArgs,
    // The last: its heading holds for all that comes after it.
    #[command(flatten)]
    pub alternatives: AlternativesArgs,
}

/// Where the alternatives system is, with the options of `update-alternatives`.
#[derive(Args)]
#[command(next_help_heading = "Alternatives")]
pub struct AlternativesArgs {
    /// Look at the links of the alternatives system instead, and say what mends them
    #[arg(long, conflicts_with_all = ["roots", "fix", "leaving", "cross_mounts", "print", "print0"])]
    pub alternatives: bool,
    /// The system, if it is not the running one
    #[arg(
        long,
        value_name = "DIR",
        requires = "alternatives",
        default_value = "/",
        hide_default_value = true
    )]
    pub root: PathBuf,
    /// Its administrative directory [default: /var/lib/dpkg/alternatives, else /var/lib/alternatives, below --root]
    #[arg(long, value_name = "DIR", requires = "alternatives")]
    pub admindir: Option<PathBuf>,
    /// The directory of its links, as of --root
    #[arg(long, value_name = "DIR", requires = "alternatives", default_value = "/etc/alternatives")]
    pub altdir: PathBuf,
}

/// A way to repair a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RemedyArg {
    /// What has the same name elsewhere.
    Search,
    /// What is below the root under the same path.
    Relative,
    /// It goes away.
    Remove,
}

/// Of commands that change links by a plan.
#[derive(Args)]
pub struct DeedArgs {
    /// Change nothing; show the plan
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Record what is changed in this file, which must not be there [default: linksnap-VERB-TIME.undo here]
    #[arg(long, value_name = "FILE")]
    pub undo: Option<PathBuf>,
}

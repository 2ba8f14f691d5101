//! `prune`, `delete`, `pin`, `unpin`: what is taken out of the history, and what is not.

use clap::Args;
use linksnap_engine::policy::Period;

use crate::args::WaitArgs;
use crate::args::keep::KeepArgs;
use crate::moment::{End, Moment};

/// `prune`.
#[derive(Args)]
pub struct PruneArgs {
    /// Jobs [default: all configured ones; with --repo and rules, all of the repository]
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,
    /// Drop nothing; show what would become of each snapshot, and why
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// With -n: show what would be there then, if backups go on as they did
    #[arg(long, value_name = "DATE", requires = "dry_run", conflicts_with = "simulate")]
    pub at: Option<Moment>,
    /// With -n: show what would be there after this time
    #[arg(long, value_name = "SPAN", requires = "dry_run")]
    pub simulate: Option<Period>,
    /// Believe the clock, even if it looks wrong
    #[arg(long)]
    pub trust_clock: bool,
    /// Delete the trees of dropped snapshots whole; leave nothing for the next run to build upon
    #[arg(long)]
    pub no_recycle: bool,
    #[command(flatten)]
    pub keep: KeepArgs,
    #[command(flatten)]
    pub patience: WaitArgs,
}

/// `delete`.
#[derive(Args)]
pub struct DeleteArgs {
    /// NAME, the beginning of one, latest, latest~2, oldest; JOB/ in front if there are several
    #[arg(value_name = "SNAPSHOT", required = true)]
    pub snapshots: Vec<String>,
    /// Delete nothing; say what would be freed
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub patience: WaitArgs,
}

/// `pin`.
#[derive(Args)]
pub struct PinArgs {
    /// NAME, the beginning of one, latest, latest~2, oldest; JOB/ in front if there are several
    #[arg(value_name = "SNAPSHOT", required = true)]
    pub snapshots: Vec<String>,
    /// Until then; without it for ever
    #[arg(long, value_name = "DATE|SPAN")]
    pub until: Option<End>,
    /// Note why
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Change nothing; say what would be pinned
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub patience: WaitArgs,
}

/// `unpin`.
#[derive(Args)]
pub struct UnpinArgs {
    /// NAME, the beginning of one, latest, latest~2, oldest; JOB/ in front if there are several
    #[arg(value_name = "SNAPSHOT", required = true)]
    pub snapshots: Vec<String>,
    /// Change nothing; say what would be unpinned
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub patience: WaitArgs,
}

//! `du`.

use clap::Args;

use crate::args::keep::KeepArgs;

/// `du`.
#[derive(Args)]
pub struct DuArgs {
    /// Names of jobs, or of snapshots as elsewhere [default: all jobs]
    #[arg(value_name = "JOB|SNAPSHOT")]
    pub what: Vec<String>,
    #[command(flatten)]
    pub question: Question,
    #[command(flatten)]
    pub keep: KeepArgs,
}

/// What is asked; if nothing is, what each snapshot holds.
#[derive(Args)]
#[group(multiple = false)]
pub struct Question {
    /// Say what deleting all of these would free
    #[arg(long, value_name = "SNAPSHOT", num_args = 1.., conflicts_with = "what")]
    pub if_deleted: Vec<String>,
    /// Say what pruning would free, by the configured rules or those given
    #[arg(long)]
    pub if_pruned: bool,
    /// Count what is on the disk, and compare
    #[arg(long)]
    pub verify: bool,
    /// Show how the job grew and shrank, day by day
    #[arg(long)]
    pub history: bool,
}

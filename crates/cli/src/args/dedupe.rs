//! `dedupe`.

use std::path::PathBuf;

use clap::Args;

use crate::args::dangling::DeedArgs;
use crate::size;

/// `dedupe`.
#[derive(Args)]
pub struct DedupeArgs {
    /// Where to look: all regular files below, each filesystem by itself
    #[arg(value_name = "ROOT", required = true)]
    pub roots: Vec<PathBuf>,
    /// Let files share their blocks and stay files of their own (XFS, btrfs), in place of linking them
    #[arg(long)]
    pub reflink: bool,
    #[command(flatten)]
    pub ignore: IgnoreArgs,
    /// Leave smaller files alone (512, 64KiB) [default: 1; with --reflink 4KiB]
    #[arg(short = 's', long, value_name = "SIZE", alias = "minimum-size", value_parser = size::parse)]
    pub min_size: Option<u64>,
    #[command(flatten)]
    pub deed: DeedArgs,
}

/// What may differ between files that are linked.
#[derive(Args)]
pub struct IgnoreArgs {
    /// Link files of different modification times, too
    #[arg(short = 't', long, alias = "ignore-time")]
    pub ignore_times: bool,
    /// Link files of different modes, too
    #[arg(short = 'p', long)]
    pub ignore_mode: bool,
    /// Link files of different owners and groups, too
    #[arg(short = 'o', long)]
    pub ignore_owner: bool,
    /// Link files of different extended attributes and ACLs, too
    #[arg(long)]
    pub ignore_xattrs: bool,
    /// Only the content counts: all of these
    #[arg(short = 'c', long)]
    pub content: bool,
}

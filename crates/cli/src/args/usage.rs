//! `usage`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `usage`.
#[derive(Args)]
pub struct UsageArgs {
    /// Paths on the filesystems that are meant [default: all]; with --where, directories [default: .]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Exit with 1 if a filesystem is so full, in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub warn: Option<u8>,
    /// Exit with 2 if a filesystem is so full, in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub crit: Option<u8>,
    /// Print one line for a monitoring system [thresholds by default: 80 and 95]
    #[arg(long, conflicts_with = "json")]
    pub monitor: bool,
    /// Also those that cannot be filled: images, and the kernel's own
    #[arg(short, long)]
    pub all: bool,
    /// Show which directories hold most
    #[arg(long = "where", conflicts_with_all = ["warn", "crit", "monitor", "all"])]
    pub spread: bool,
    #[command(flatten)]
    pub ranking: RankingArgs,
}

/// Which directories are shown.
#[derive(Args)]
pub struct RankingArgs {
    /// With --where: show so many directories
    #[arg(long, value_name = "N", default_value_t = 20, requires = "spread")]
    pub top: usize,
    /// With --where: rank by bytes or inodes
    #[arg(long, value_enum, default_value_t = ByArg::Bytes, requires = "spread", hide_possible_values = true)]
    pub by: ByArg,
    /// With --where: rank by what is directly in a directory, not by all that is below
    #[arg(long, requires = "spread")]
    pub own: bool,
    /// With --where: count the sizes of files, not their blocks on the disk
    #[arg(long, requires = "spread")]
    pub apparent_size: bool,
}

/// What directories are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ByArg {
    /// Bytes.
    Bytes,
    /// Inodes.
    Inodes,
}

//! The arguments as they are typed. What they mean is decided by the verbs.

mod dangling;
mod dedupe;
mod deleted;
mod du;
mod help;
mod inode;
mod keep;
mod links;
mod ln;
mod names;
mod resolve;
mod restore;
mod retention;
mod undo;
mod usage;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use linksnap_engine::verbs::backup::Thoroughness;

pub use crate::args::dangling::{AlternativesArgs, DanglingArgs, DeedArgs, RemedyArg};
pub use crate::args::dedupe::DedupeArgs;
pub use crate::args::deleted::DeletedArgs;
pub use crate::args::du::DuArgs;
pub use crate::args::inode::InodeArgs;
pub use crate::args::keep::KeepArgs;
pub use crate::args::links::{KindArg, LinksArgs};
pub use crate::args::ln::LnArgs;
pub use crate::args::names::NamesArgs;
pub use crate::args::resolve::ResolveArgs;
pub use crate::args::restore::{OwnerArg, RestoreArgs};
pub use crate::args::retention::{DeleteArgs, PinArgs, PruneArgs, UnpinArgs};
pub use crate::args::undo::UndoArgs;

pub use crate::args::usage::{ByArg, UsageArgs};

use crate::{patience, size, tag, thoroughness};

/// Snapshots of directory trees as plain directories that share unchanged files by hard links
#[derive(Parser)]
#[command(name = "linksnap", version, max_term_width = 100, after_help = help::of(help::GENERAL))]
pub struct Cli {
    /// What holds for all verbs.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb, before or after it.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The repository
    #[arg(long, global = true, value_name = "DIR", env = "LINKSNAP_REPO", hide_env_values = true)]
    pub repo: Option<PathBuf>,
    /// The configuration [default: /etc/linksnap/config.toml, then ~/.config/linksnap/config.toml]
    #[arg(long, global = true, value_name = "FILE", env = "LINKSNAP_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// The job
    #[arg(long, global = true, value_name = "NAME")]
    pub job: Option<String>,
    /// Print JSON: lines with a "type" for long commands, else one document
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only problems, errors and what was asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more; twice: every single step
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Colour messages
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto, hide_possible_values = true)]
    #[arg(help = "Colour messages: auto, always or never")]
    pub color: Color,
    /// Show no progress
    #[arg(long, global = true)]
    pub no_progress: bool,
}

/// When messages are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// If standard error is a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs.
#[derive(Subcommand)]
pub enum Verb {
    /// Make a repository in a directory that is missing or empty
    #[command(after_help = help::of(help::INIT))]
    Init(InitArgs),
    /// Take a snapshot: of configured jobs, or of the paths given
    #[command(after_help = help::of(help::BACKUP))]
    Backup(BackupArgs),
    /// List the snapshots
    #[command(after_help = help::of(help::SNAPSHOTS))]
    Snapshots(SnapshotsArgs),
    /// List what is in a snapshot
    #[command(after_help = help::of(help::LS))]
    Ls(LsArgs),
    /// Bring back a snapshot, or some paths of it: in a directory, or where they came from
    #[command(after_help = help::of(help::RESTORE))]
    Restore(RestoreArgs),
    /// Drop the snapshots that no rule keeps
    #[command(after_help = help::of(help::PRUNE))]
    Prune(Box<PruneArgs>),
    /// Delete snapshots by hand
    #[command(after_help = help::of(help::DELETE))]
    Delete(DeleteArgs),
    /// Keep snapshots from being dropped or deleted
    #[command(after_help = help::of(help::PIN))]
    Pin(PinArgs),
    /// Let pinned snapshots go again
    #[command(after_help = help::of(help::UNPIN))]
    Unpin(UnpinArgs),
    /// Say what snapshots hold, and what deleting them would free
    #[command(after_help = help::of(help::DU))]
    Du(Box<DuArgs>),
    /// Compare what is stored with what was recorded
    #[command(after_help = help::of(help::VERIFY))]
    Verify(VerifyArgs),
    /// Make a new catalog from the snapshots, when it is lost or damaged
    #[command(after_help = help::of(help::REINDEX))]
    Reindex(ReindexArgs),
    /// Make links, or exchange two names; ask before something is replaced
    #[command(after_help = help::of(help::LN))]
    Ln(LnArgs),
    /// Say all that inodes say, and what removing a name would do
    #[command(after_help = help::of(help::INODE))]
    Inode(InodeArgs),
    /// Tell every name of a file: on its filesystem, below some directories, or in all snapshots
    #[command(after_help = help::of(help::NAMES))]
    Names(NamesArgs),
    /// Say where paths lead, step by step, and where and why they go no further
    #[command(after_help = help::of(help::RESOLVE))]
    Resolve(ResolveArgs),
    /// Find symbolic links that lead nowhere, say why, and repair them
    #[command(after_help = help::of(help::DANGLING))]
    Dangling(Box<DanglingArgs>),
    /// Count symbolic links by kind, list them, and make them relative, absolute or short
    #[command(after_help = help::of(help::LINKS))]
    Links(Box<LinksArgs>),
    /// Say how full filesystems are, in bytes and inodes, and which directories fill them
    #[command(after_help = help::of(help::USAGE))]
    Usage(UsageArgs),
    /// Show files that are deleted but still held by processes, and what frees them
    #[command(after_help = help::of(help::DELETED))]
    Deleted(DeletedArgs),
    /// Find equal files, and make them one: hard links, or files that share their blocks
    #[command(after_help = help::of(help::DEDUPE))]
    Dedupe(Box<DedupeArgs>),
    /// Take back what dangling, links or dedupe changed
    #[command(after_help = help::of(help::UNDO))]
    Undo(UndoArgs),
    /// List the jobs, or check the configuration
    #[command(subcommand, after_help = help::of(help::JOBS))]
    Jobs(JobsVerb),
}

/// `init`.
#[derive(Args)]
pub struct InitArgs {
    #[command(flatten)]
    pub durability: DurabilityArgs,
    /// Accept that an existing repository was moved or copied to where it is now, and say what can be kept there
    #[arg(long, conflicts_with = "dry_run")]
    pub moved: bool,
    /// Make nothing; say whether it could be made
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// What is asked of the repository's filesystem.
#[derive(Args)]
pub struct DurabilityArgs {
    /// Make the repository even on a filesystem that cannot promise that a snapshot survives a power cut
    #[arg(long)]
    pub degraded: bool,
}

/// `backup`.
#[derive(Args)]
pub struct BackupArgs {
    /// Names of configured jobs, or paths
    #[arg(value_name = "JOB|PATH")]
    pub what: Vec<OsString>,
    /// Make the repository if its directory is missing or empty
    #[arg(long)]
    pub init: bool,
    /// Change nothing; say what would be done (-v: step by step)
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Drop nothing, whatever `keep` in the configuration says
    #[arg(long)]
    pub no_prune: bool,
    /// A source that is gone, empty or mostly changed is as it should be
    #[arg(long)]
    pub accept_change: bool,
    /// Label the snapshot; can be given several times
    #[arg(long, value_name = "TAG", value_parser = tag::parse)]
    pub tag: Vec<String>,
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Check all of the new snapshot before it is published, or one Nth of what was not touched [default: 16]
    #[arg(long, value_name = "full|N", value_parser = thoroughness::parse)]
    pub validate: Option<Thoroughness>,
    #[command(flatten)]
    pub durability: DurabilityArgs,
    #[command(flatten)]
    pub patience: WaitArgs,
}

/// What to do while another process is at work on a job.
#[derive(Args)]
pub struct WaitArgs {
    /// While another command is at work on the job, wait so long (90s, 10m, 2h) before giving up
    #[arg(long, value_name = "TIME", value_parser = patience::parse)]
    pub wait: Option<Duration>,
}

/// What to leave out, in addition to what the configuration says.
#[derive(Args)]
pub struct RuleArgs {
    /// Leave out what matches (gitignore syntax, rooted at /)
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Leave out what is in directories that hold a CACHEDIR.TAG
    #[arg(long)]
    pub exclude_caches: bool,
    /// Leave out what is in directories that hold a file of this name
    #[arg(long, value_name = "FILE")]
    pub exclude_if_present: Vec<String>,
    /// Leave out files larger than this (8GiB, 500M)
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub exclude_larger_than: Option<u64>,
    /// Enter other filesystems that are mounted inside a source
    #[arg(long)]
    pub cross_filesystems: bool,
}

/// `snapshots`.
#[derive(Args)]
pub struct SnapshotsArgs {
    /// Jobs [default: all]
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,
}

/// `ls`.
#[derive(Args)]
pub struct LsArgs {
    /// Mode, owner, size and time as well
    #[arg(short = 'l', long)]
    pub long: bool,
    /// All that is below the paths
    #[arg(long)]
    pub recursive: bool,
    /// NAME, the beginning of one, latest, latest~2, oldest; JOB/ in front if there are several [default: latest]
    #[arg(value_name = "SNAPSHOT")]
    pub snapshot: Option<OsString>,
    /// Absolute paths, as in the source
    #[arg(value_name = "PATH")]
    pub paths: Vec<OsString>,
}

/// `verify`.
#[derive(Args)]
pub struct VerifyArgs {
    /// NAME, the beginning of one, latest, latest~2, oldest; JOB/ in front if there are several [default: all]
    #[arg(value_name = "SNAPSHOT")]
    pub snapshots: Vec<String>,
    /// Check names, inodes and attributes, but read no content
    #[arg(long)]
    pub structure: bool,
}

/// `reindex`.
#[derive(Args)]
pub struct ReindexArgs {
    /// Jobs [default: the only one]
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,
    /// Change nothing; say what there is to make a catalog of
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// `jobs`.
#[derive(Subcommand)]
pub enum JobsVerb {
    /// List the jobs of the configuration and of the repository
    #[command(after_help = help::of(help::LIST))]
    List,
    /// Explain the configuration, or say what is wrong with it
    #[command(after_help = help::of(help::JOBS))]
    Check(CheckArgs),
}

/// `jobs check`.
#[derive(Args)]
pub struct CheckArgs {
    /// Say for this path whether it is in or out, and which rule decides
    #[arg(long, value_name = "PATH")]
    pub exclude: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_verb() {
        for line in ["linksnap --repo /b --json ls", "linksnap ls --json --repo /b"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.global.repo.unwrap().to_str(), Some("/b"));
            assert!(cli.global.json);
        }
    }
}

//! `links`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::DeedArgs;

/// `links`.
#[derive(Args)]
pub struct LinksArgs {
    /// Where to look
    #[arg(value_name = "ROOT", default_value = ".")]
    pub roots: Vec<PathBuf>,
    /// List the links of these kinds: absolute, relative, dangling, leaving, crossing, longer, all
    #[arg(long, value_name = "KIND", value_enum, hide_possible_values = true, value_delimiter = ',')]
    pub list: Vec<KindArg>,
    /// Enter what is mounted below a ROOT
    #[arg(long)]
    pub cross_mounts: bool,
    #[command(flatten)]
    pub conversion: ConversionArgs,
    /// With --to-relative: also those that lead out of the ROOT
    #[arg(long, requires = "to_relative")]
    pub leaving: bool,
    #[command(flatten)]
    pub deed: DeedArgs,
}

/// What links are to become.
#[derive(Args)]
#[group(multiple = false, conflicts_with = "list")]
pub struct ConversionArgs {
    /// Make absolute links that lead to something below the ROOT relative
    #[arg(long)]
    pub to_relative: bool,
    /// Make relative links absolute
    #[arg(long)]
    pub to_absolute: bool,
    /// Make links that are longer than needed short
    #[arg(long)]
    pub shorten: bool,
}

/// A kind of link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// With an absolute path.
    Absolute,
    /// With a relative path.
    Relative,
    /// That leads nowhere.
    Dangling,
    /// Out of the root.
    Leaving,
    /// To another filesystem.
    Crossing,
    /// That could say it shorter.
    Longer,
    /// Any.
    All,
}

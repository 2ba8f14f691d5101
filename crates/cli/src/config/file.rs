//! The file as it is written: its keys and the kinds of their values.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::tz::TimeZone;
use linksnap_engine::verbs::backup::{Thoroughness, Upheaval};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use toml::Spanned;

use crate::config::keep::{Keep, Text};
use crate::{size, thoroughness, zone};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    pub repository: Option<Spanned<PathBuf>>,
    pub repository_uuid: Option<Spanned<Uuids>>,
    #[serde(default)]
    pub defaults: Section,
    #[serde(default)]
    pub job: BTreeMap<Spanned<String>, Section>,
}

/// One UUID, or several: of disks that are used in turns.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a UUID as `linksnap init` says it, or a list of them, was expected")]
pub enum Uuids {
    One(String),
    Several(Vec<String>),
}

impl From<Uuids> for Vec<String> {
    fn from(written: Uuids) -> Self {
        match written {
            Uuids::One(uuid) => vec![uuid],
            Uuids::Several(uuids) => uuids,
        }
    }
}

/// `[defaults]` or `[job.NAME]`. Both have the same keys here, though `[defaults]` may not have all of them: serde cannot
/// refuse unknown keys of flattened structures.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Section {
    pub sources: Option<Spanned<Vec<Spanned<PathBuf>>>>,
    #[serde(default)]
    pub exclude: Vec<Spanned<String>>,
    pub exclude_if_present: Option<Vec<String>>,
    pub exclude_caches: Option<bool>,
    pub exclude_larger_than: Option<Size>,
    pub one_file_system: Option<bool>,
    pub validate: Option<Validate>,
    pub keep: Option<Keep>,
    pub timezone: Option<Text<Zone>>,
    pub recycle: Option<bool>,
    pub mass_change: Option<MassChange>,
}

/// What is done if most of a source is gone or changed.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MassChange {
    /// The snapshot before is pinned, and nothing is pruned.
    Hold,
    /// Nothing: it is so every night.
    Usual,
}

impl From<MassChange> for Upheaval {
    fn from(written: MassChange) -> Self {
        match written {
            MassChange::Hold => Self::Doubt,
            MassChange::Usual => Self::Usual,
        }
    }
}

/// `"8GiB"`, or a number of bytes.
#[derive(Debug)]
pub struct Size(pub u64);

/// A time zone by its name, like `Europe/Berlin`.
#[derive(Debug, Clone)]
pub struct Zone(pub TimeZone);

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        zone::parse(text).map(Self)
    }
}

/// `"full"`, or a number N for one Nth.
#[derive(Debug)]
pub struct Validate(pub Thoroughness);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for Validate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValidateVisitor).map(Self)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size like \"8GiB\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        size::parse(text).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }
}

struct ValidateVisitor;

impl Visitor<'_> for ValidateVisitor {
    type Value = Thoroughness;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"full\" or a number N to check one Nth")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Thoroughness, E> {
        thoroughness::parse(text).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Thoroughness, E> {
        thoroughness::share(u32::try_from(number).unwrap_or(0)).map_err(E::custom)
    }
}

//! What surrounds the process: its host's name and where its user keeps configuration. (`LINKSNAP_REPO` and
//! `LINKSNAP_CONFIG` come through the arguments, `LINKSNAP_NOW` through the clock.)

use std::ffi::OsString;
use std::path::PathBuf;

use crate::json;

/// Where configurations are looked for, in this order.
pub fn configuration_files() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/linksnap/config.toml")];
    let own = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        // The specification wants relative values ignored.
        .filter(|directory| directory.is_absolute())
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config")));
    files.extend(own.map(|directory| directory.join("linksnap/config.toml")));
    files
}

/// The host's name up to the first dot, in lower case.
pub fn short_host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let short = name.trim().split('.').next()?.to_ascii_lowercase();
    (!short.is_empty()).then_some(short)
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Does the user want no colours anywhere (<https://no-color.org>)?
pub fn wants_no_color() -> bool {
    variable("NO_COLOR").is_some()
}

/// Who holds a lock, for those who find it held: process, command, since when, and in which life of the machine.
pub fn holder(command: &str, now: i64) -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let (process, since) = (std::process::id(), json::time(now));
    format!("linksnap {command}, process {process}, since {since}, boot {}", boot.trim())
}

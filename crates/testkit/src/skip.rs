//! Tests that cannot run here: they say so aloud, and fail where skipping is not allowed.
//!
//! **Invariant:** with `LINKSNAP_REQUIRE_SYSTEM_TESTS=1` no test passes by being skipped; but where the kernel has nothing
//! to try, it says that.

#![expect(clippy::disallowed_methods, reason = "tests are steered by the environment")]

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

/// The variable that, set to 1, turns skips into failures.
pub const REQUIRE: &str = "LINKSNAP_REQUIRE_SYSTEM_TESTS";

/// Returns from the test that calls it unless the condition holds, and says why: `skip_unless!(is_root(), "needs root")`.
#[macro_export]
macro_rules! skip_unless {
    ($condition:expr, $($reason:tt)+) => {
        if !$condition {
            return $crate::skip::announce($crate::test_name!(), format_args!($($reason)+));
        }
    };
}

/// Returns from the test that calls it unless this kernel can do what the condition says, and says so:
/// `needs_kernel!(has_landlock(), "Landlock")`.
#[macro_export]
macro_rules! needs_kernel {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return $crate::skip::lacking($crate::test_name!(), format_args!($($what)+));
        }
    };
}

/// The value of a `Result`, or returns from the test that calls it and says the error:
/// `let disk = or_skip!(LoopFs::create(FsKind::Ext4, 64, &[]));`.
#[macro_export]
macro_rules! or_skip {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(reason) => return $crate::skip::announce($crate::test_name!(), reason),
        }
    };
}

/// The value of a `Result`, or returns from the test that calls it and says that this kernel has no such thing, with the
/// error: `let fat = or_lacking!(LoopFs::create(FsKind::Vfat, 8, &[]), "FAT");`.
#[macro_export]
macro_rules! or_lacking {
    ($result:expr, $what:literal) => {
        match $result {
            Ok(value) => value,
            Err(reason) => {
                return $crate::skip::lacking($crate::test_name!(), format_args!("{}: {reason}", $what));
            }
        }
    };
}

/// The full name of the function that calls it.
#[macro_export]
macro_rules! test_name {
    () => {{
        fn here() {}
        let name = std::any::type_name_of_val(&here);
        name.strip_suffix("::here").unwrap_or(name)
    }};
}

/// Says that `test` is skipped and why; panics if [`REQUIRE`] is set to 1. Called by the macros.
pub fn announce(test: &str, reason: impl Display) {
    let required = std::env::var_os(REQUIRE).is_some_and(|value| value == "1");
    assert!(!required, "{test} must not be skipped here: {reason}");
    // Not eprintln!, which the test harness captures.
    let said = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
    said.expect("standard error can be written");
}

/// Says that there is nothing for `test` to try, since this kernel has no such thing. No package brings that: so it is no
/// failure, whatever [`REQUIRE`] says.
pub fn lacking(test: &str, what: impl Display) {
    let said = writeln!(std::io::stderr(), "NOTHING TO TRY {test}: this kernel has no {what}");
    said.expect("standard error can be written");
}

/// Whether we run with the effective user id 0.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether an executable file of that name is in a directory of `PATH`.
pub fn has_tool(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| is_executable(directory.join(name).as_os_str()))
}

fn is_executable(path: &OsStr) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

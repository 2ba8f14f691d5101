//! Deaths at a chosen point: a test runs another test of its own binary as a child, and the child kills itself.
//!
//! ```no_run
//! use std::ffi::OsStr;
//! use linksnap_testkit::crash;
//!
//! #[test]
//! fn a_half_written_file_is_repaired() {
//!     let status = crash::child("child_entry", &[("CRASH_AT", OsStr::new("write"))]).status();
//!     assert!(crash::was_killed(status.unwrap()));
//! }
//!
//! #[test]
//! #[ignore = "run by its parent test"]
//! fn child_entry() {
//!     let Some(point) = std::env::var_os("CRASH_AT") else { return };
//!     crash::die();
//! }
//! ```

#![expect(clippy::disallowed_methods, reason = "tests are steered by the environment")]

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use rustix::process::{Signal, getpid, kill_process};

/// A command that runs the ignored test `test_name` (its full path in the test binary) of the running test binary. The
/// child's environment is `PATH` and `env`, nothing else. A child whose name no test has runs nothing and succeeds: the
/// parent must look for an effect, as [`was_killed`] is one.
///
/// `cargo test -- --ignored` runs such a test too, without `env`: it should return at once then.
pub fn child(test_name: &str, env: &[(&str, &OsStr)]) -> Command {
    let binary = std::env::current_exe().expect("a process knows its executable");
    let mut command = Command::new(binary);
    command
        .arg(test_name)
        .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(env.iter().copied());
    command
}

/// Ends the process by SIGKILL: nothing is flushed, dropped or unwound.
pub fn die() -> ! {
    let sent = kill_process(getpid(), Signal::KILL);
    unreachable!("a process outlived its SIGKILL: {sent:?}");
}

/// Whether a child ended by SIGKILL, as after [`die`].
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

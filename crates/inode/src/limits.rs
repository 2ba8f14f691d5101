//! Limits and facts of the running process and machine.

use rustix::process::Resource;

/// Raises the number of files this process may have open to the most it is allowed (`setrlimit(2)`).
pub fn raise_open_files() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let refused = rustix::process::setrlimit(Resource::Nofile, limit).is_err();
    debug_assert!(!refused, "raising a soft limit to the hard limit is always allowed");
}

/// May this process change owners and make device nodes? (Effective user 0.)
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The number of the user whose rights this process has (`geteuid(2)`).
#[must_use]
pub fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Lets the calling thread stand back behind all others, at the processor and, since its I/O priority follows its
/// nice value unless somebody has set it, at the disk (`setpriority(2)`: on Linux a thread's own; `ioprio_set(2)`).
/// There is no way back for an ordinary user: for threads that end.
pub fn stand_back() {
    let refused = rustix::process::setpriority_process(None, 19).is_err();
    debug_assert!(!refused, "anybody may stand back");
}

/// In how many ticks a second the kernel tells times in `/proc` (`sysconf(3)`, `_SC_CLK_TCK`).
#[must_use]
pub fn clock_ticks() -> u64 {
    rustix::param::clock_ticks_per_second().max(1)
}

/// The host's name (`uname(2)`).
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A fresh random number of 128 bits (`getrandom(2)`).
///
/// # Errors
/// If the kernel refuses.
pub fn random_128() -> Result<u128, crate::Fault> {
    use crate::fault::Op;
    let mut bytes = [0; 16];
    let count = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    match count.op("get random bytes")? {
        16 => Ok(u128::from_ne_bytes(bytes)),
        _ => Err(crate::Fault::new("get random bytes", crate::Errno::IO)),
    }
}

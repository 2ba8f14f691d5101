//! What the kernel refuses in places where everybody may write: `fs.protected_*` (`proc_sys_fs(5)`).

/// Can others than the owner make no further name of what they may not read and write?
pub fn hard_links() -> bool {
    is_on("protected_hardlinks")
}

/// Are links in sticky directories that everybody may write to followed only for their owner, or if they are the
/// directory's owner's?
pub fn symlinks() -> bool {
    is_on("protected_symlinks")
}

/// Where it cannot be read, it is not there: before Linux 3.6, or without `/proc`.
fn is_on(name: &str) -> bool {
    std::fs::read(format!("/proc/sys/fs/{name}")).is_ok_and(|value| value.starts_with(b"1"))
}

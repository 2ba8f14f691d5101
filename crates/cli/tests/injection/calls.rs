//! The system calls of the program: which can fail, and with what.

use crate::strace::Call;

/// What a call does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It changes something, or promises that a change lasts.
    Writes,
    /// It tells something.
    Reads,
}

/// A call with the errors that fit.
struct Row(&'static str, Class, &'static [&'static str]);

use Class::{Reads, Writes};

const NEW_NAME: &[&str] = &["ENOSPC", "EIO", "EDQUOT", "EROFS", "EPERM"];
const LOSS: &[&str] = &["EIO", "ENOSPC", "EDQUOT"];
const ATTRIBUTE: &[&str] = &["EPERM", "EIO", "EROFS"];
const READING: &[&str] = &["EIO", "ENOTCONN"];

/// All that can go wrong on a tree, in the catalog, or in what is printed.
const TABLE: &[Row] = &[
    Row("mkdir", Writes, NEW_NAME),
    Row("mkdirat", Writes, NEW_NAME),
    Row("mknodat", Writes, NEW_NAME),
    Row("symlinkat", Writes, NEW_NAME),
    Row("linkat", Writes, &["EMLINK", "EIO", "EPERM", "ENOSPC", "EDQUOT", "EXDEV"]),
    Row("rename", Writes, NEW_NAME),
    Row("renameat", Writes, NEW_NAME),
    Row("renameat2", Writes, NEW_NAME),
    Row("unlink", Writes, ATTRIBUTE),
    Row("unlinkat", Writes, ATTRIBUTE),
    Row("rmdir", Writes, ATTRIBUTE),
    Row("write", Writes, LOSS),
    Row("pwrite64", Writes, LOSS),
    Row("copy_file_range", Writes, &["EIO", "ENOSPC", "EXDEV", "EOPNOTSUPP"]),
    Row("sendfile", Writes, LOSS),
    Row("fallocate", Writes, &["ENOSPC", "EOPNOTSUPP", "EIO"]),
    Row("ftruncate", Writes, LOSS),
    Row("fchown", Writes, ATTRIBUTE),
    Row("fchownat", Writes, ATTRIBUTE),
    Row("fchmod", Writes, ATTRIBUTE),
    Row("fchmodat", Writes, ATTRIBUTE),
    Row("fchmodat2", Writes, ATTRIBUTE),
    Row("utimensat", Writes, ATTRIBUTE),
    Row("setxattr", Writes, &["ENOSPC", "EOPNOTSUPP", "EPERM", "EIO", "EDQUOT"]),
    Row("lsetxattr", Writes, &["ENOSPC", "EOPNOTSUPP", "EPERM", "EIO", "EDQUOT"]),
    Row("fsetxattr", Writes, &["ENOSPC", "EOPNOTSUPP", "EPERM", "EIO", "EDQUOT"]),
    Row("removexattr", Writes, ATTRIBUTE),
    Row("lremovexattr", Writes, ATTRIBUTE),
    Row("fremovexattr", Writes, ATTRIBUTE),
    Row("fsync", Writes, LOSS),
    Row("fdatasync", Writes, LOSS),
    Row("syncfs", Writes, LOSS),
    Row("flock", Writes, &["ENOLCK"]),
    Row("open", Reads, &["EIO", "EMFILE", "ENOTCONN"]),
    Row("openat", Reads, &["EIO", "EMFILE", "ENOTCONN", "EACCES"]),
    Row("openat2", Reads, &["EIO", "EMFILE", "ENOTCONN", "EACCES", "EAGAIN"]),
    Row("read", Reads, READING),
    Row("pread64", Reads, READING),
    Row("getdents64", Reads, READING),
    Row("statx", Reads, READING),
    Row("newfstatat", Reads, READING),
    Row("fstat", Reads, READING),
    Row("stat", Reads, READING),
    Row("lstat", Reads, READING),
    Row("fstatfs", Reads, READING),
    Row("statfs", Reads, READING),
    Row("lseek", Reads, &["EIO", "EINVAL"]),
    Row("readlink", Reads, READING),
    Row("readlinkat", Reads, READING),
    Row("getxattr", Reads, READING),
    Row("lgetxattr", Reads, READING),
    Row("fgetxattr", Reads, READING),
    Row("listxattr", Reads, READING),
    Row("llistxattr", Reads, READING),
    Row("flistxattr", Reads, READING),
];

/// Opening for writing is not what opening for reading is.
const OPENED_TO_WRITE: &[&str] = &["ENOSPC", "EIO", "EROFS", "EMFILE", "EDQUOT", "EACCES"];

/// Calls that name a file and cannot hurt: nobody looks at what comes of them, or no disk can make them fail.
const HARMLESS: &[&str] = &[
    "execve",
    "close",
    "dup",
    "fcntl",
    "ioctl",
    "mmap",
    "munmap",
    "mremap",
    "fadvise64",
    "chdir",
    "fchdir",
    "getcwd",
    "access",
    "faccessat",
    "faccessat2",
    "poll",
    "ppoll",
    "readahead",
    // What a kernel without Landlock answers is said, and the work goes on: see the tests of the sandbox.
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
];

/// What can become of a call; `None` if nothing is to be tried.
pub fn class(call: &Call) -> Option<(Class, &'static [&'static str])> {
    let Row(_, class, errors) = TABLE.iter().find(|Row(name, ..)| *name == call.name)?;
    let opens = call.name.starts_with("open");
    let to_write = ["O_CREAT", "O_RDWR", "O_WRONLY"].iter().any(|flag| call.rest.contains(flag));
    Some(if opens && to_write { (Writes, OPENED_TO_WRITE) } else { (*class, *errors) })
}

/// Is it a call that nobody has thought of?
pub fn is_unknown(call: &Call) -> bool {
    class(call).is_none() && !HARMLESS.contains(&call.name.as_str())
}

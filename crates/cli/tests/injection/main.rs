//! Every system call that matters fails once, or is the last thing that a process does; and none of them names a path.
//!
//! `LINKSNAP_INJECT=all` tries every error at every occurrence of every call, which takes an hour or more, and
//! `LINKSNAP_INJECT=fsync` of that call; without it a spread is tried: of each call of each thread the first, the middle
//! and the last occurrence.

#![expect(clippy::disallowed_methods, reason = "a test makes its own tree, where nobody else is at work")]

mod calls;
mod deed;
mod faults;
mod judge;
mod police;
mod scene;
mod strace;

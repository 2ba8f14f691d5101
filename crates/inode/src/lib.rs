//! The ground: the only crate that makes system calls on trees.
//!
//! Everything goes through directory file descriptors ([`DirFd`]); no function follows a symbolic link
//! unless its name says so. Failures are values: a [`Fault`] says which call failed and with what error
//! number, and the caller, who knows the path, turns it into an [`FsError`] with [`Fault::at`].
//!
//! Knows nothing of repositories, SQL, policy or terminals.

pub mod clock;
pub mod content;
pub mod detail;
pub mod dir;
pub mod fault;
pub mod file;
pub mod filesystem;
pub mod handle;
pub mod limits;
pub mod lock;
pub mod mounts;
pub mod names;
pub mod node;
pub mod path;
pub mod pool;
pub mod rewrite;
mod sparse;
pub mod stat;
pub mod xattr;

pub use content::ContentHash;
pub use detail::Detail;
pub use dir::{DirFd, Last};
pub use fault::{Errno, Fault, FsError};
pub use file::RegularFile;
pub use handle::Handle;
pub use names::{Name, Names};
pub use node::Node;
pub use stat::{Kind, Stat, Timestamp};
pub use xattr::Xattrs;

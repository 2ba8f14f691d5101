//! Names on disk. `docs/format.md` is their specification.

/// The repository's marker file.
pub const MARKER: &[u8] = b"linksnap.toml";
/// That file while it is being written.
pub const NEW_MARKER: &[u8] = b"linksnap.toml.new";
/// What the repository says to the next sysadmin.
pub const README: &[u8] = b"README.txt";
/// A job's own directory.
pub const WORKSHOP: &[u8] = b".linksnap";
/// The newest snapshot, as a symbolic link.
pub const LATEST: &[u8] = b"latest";
/// In a job's own directory: the catalog.
pub const CATALOG: &str = "catalog.db";
/// A copy of the catalog as it was some snapshots ago.
pub const CATALOG_COPY: &str = "catalog.copy";
/// That copy while it is being written.
pub const NEW_CATALOG_COPY: &str = "catalog.copy.new";
/// A catalog while it is rebuilt.
pub const NEW_CATALOG: &str = "catalog.new";
/// A catalog that was replaced by a rebuilt one.
pub const OLD_CATALOG: &str = "catalog.old";
/// What SQLite puts behind the name of a catalog for its log and the log's index.
pub const LOGS: [&str; 2] = ["-wal", "-shm"];
/// The lock file.
pub const LOCK: &[u8] = b"lock";
/// Room that is given up when the disk is so full that not even the catalog can be opened.
pub const RESERVE: &[u8] = b"reserve";
/// The tree being built.
pub const STAGING: &[u8] = b"staging";
/// The scaffold of the next run: the tree of a retired snapshot under its name, less what only it held.
pub const RETIRED: &[u8] = b"retired";
/// Trees being deleted.
pub const TRASH: &[u8] = b"trash";
/// `latest` before it is swapped in.
pub const NEW_LATEST: &[u8] = b"latest.new";
/// A file made only to see what time it is.
pub const CLOCK: &[u8] = b"clock";

/// The repository's README.txt.
pub const README_TEXT: &str = include_str!("readme.txt");

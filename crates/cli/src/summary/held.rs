//! What is held, for programs.

use linksnap_catalog::Held;
use serde::Serialize;

/// The sums of the catalog.
#[derive(Serialize)]
pub struct Amounts {
    /// Content of files, holes not counted.
    bytes: u64,
    inodes: u64,
    /// Sizes of files, holes counted.
    apparent_bytes: u64,
    /// `bytes` with each file rounded up to whole blocks.
    block_bytes: u64,
}

impl From<Held> for Amounts {
    fn from(held: Held) -> Self {
        let Held { inodes, bytes, apparent_bytes, block_bytes } = held;
        Self { bytes, inodes, apparent_bytes, block_bytes }
    }
}

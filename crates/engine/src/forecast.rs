//! Forecast: how many more snapshots the repository's filesystem has room for.

use linksnap_inode::filesystem::Filesystem;

/// What is free after a run, and what one more snapshot of its size takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Bytes free.
    pub free_bytes: u64,
    /// Inodes free; `None` where they are made as needed (btrfs).
    pub free_inodes: Option<u64>,
    /// Bytes that such a snapshot takes at most: its new content, and a block for every new inode.
    pub bytes_each: u64,
    /// Inodes that it takes: its directories, and all that is new in it.
    pub inodes_each: u64,
}

impl Forecast {
    /// Of a snapshot that has added so much.
    #[must_use]
    pub fn new(filesystem: &Filesystem, added_bytes: u64, added_inodes: u64) -> Self {
        Self {
            free_bytes: filesystem.free_bytes,
            free_inodes: (filesystem.total_inodes > 0).then_some(filesystem.free_inodes),
            bytes_each: added_bytes.saturating_add(filesystem.block.saturating_mul(added_inodes)),
            inodes_each: added_inodes,
        }
    }

    /// How many more fit into the bytes that are free.
    #[must_use]
    pub fn by_bytes(&self) -> Option<u64> {
        self.free_bytes.checked_div(self.bytes_each)
    }

    /// How many more fit into the inodes that are free; `None` if there is no limit.
    #[must_use]
    pub fn by_inodes(&self) -> Option<u64> {
        self.free_inodes?.checked_div(self.inodes_each)
    }

    /// How many more fit.
    #[must_use]
    pub fn snapshots(&self) -> Option<u64> {
        [self.by_bytes(), self.by_inodes()].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::Forecast;

    #[test]
    fn what_is_scarcer_decides() {
        let forecast =
            |free_bytes, free_inodes| Forecast { free_bytes, free_inodes, bytes_each: 100, inodes_each: 10 };
        assert_eq!(forecast(1000, Some(50)).snapshots(), Some(5));
        assert_eq!(forecast(399, Some(50)).snapshots(), Some(3));
        assert_eq!(forecast(1000, None).snapshots(), Some(10));
        assert_eq!(forecast(99, None).snapshots(), Some(0));
        let nothing = Forecast { bytes_each: 0, inodes_each: 0, ..forecast(1, Some(1)) };
        assert_eq!(nothing.snapshots(), None);
    }
}

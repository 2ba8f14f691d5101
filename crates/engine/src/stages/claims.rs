//! Claims: which stored inodes this run has given to another inode of the source than the one they were seen with in
//! the basis, or to another path.
//!
//! **Invariant:** each is given away once. The file that was seen with it under its own name needs no claim: the inode
//! is its own. (If it was renamed while a run looked at both places, it has it under both; so what two
//! current versions have is given to nobody else.) So with [`Groups`](crate::stages::groups::Groups) two names of a snapshot never share a stored inode
//! that do not share one in the source, whoever comes first.
//!
//! Inode numbers lie close together, so a bit for each of a page of neighbours is little to remember.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const WORDS: usize = 8;
const PAGE: u64 = WORDS as u64 * 64;

/// The claims of a run.
#[derive(Debug, Default)]
pub struct Claims {
    pages: Mutex<HashMap<u64, [u64; WORDS]>>,
}

impl Claims {
    /// Claims a stored inode; `false`: somebody has it.
    pub fn claim(&self, stored_inode: u64) -> bool {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let page = pages.entry(stored_inode / PAGE).or_default();
        let place = stored_inode % PAGE;
        let (word, bit) = (&mut page[(place / 64) as usize], 1_u64 << (place % 64));
        let is_free = *word & bit == 0;
        *word |= bit;
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_inode_is_claimed_once() {
        let claims = Claims::default();
        let numbers = [0, 1, 63, 64, 511, 512, 513, 1 << 40, u64::MAX - 1, u64::MAX];
        assert!(numbers.iter().all(|number| claims.claim(*number)));
        assert!(!numbers.iter().any(|number| claims.claim(*number)));
    }
}

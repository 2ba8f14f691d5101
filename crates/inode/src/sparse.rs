//! The BLAKE3 hash of content with holes, without hashing every zero of them.
//!
//! A hole counts as zeros, so a tebibyte of nothing would take minutes. BLAKE3 is a tree, and what a piece of it comes
//! to depends on its bytes and its offset alone: for zeros, aligned to a gibibyte and as long, it is a constant of
//! nature. These constants are in `sparse/zeros.bin`, 32 bytes for each gibibyte of the first tebibyte; a hole costs
//! what it has before the first and after the last of them. The hash is that of all bytes, as `b3sum` computes it.

use blake3::hazmat::{self, ChainingValue, HasherExt, Mode};

/// The length of a piece in bytes.
const PIECE: u64 = 1 << 30;

/// What pieces of zeros come to, one after another from offset 0.
const ZEROS: &[u8] = include_bytes!("sparse/zeros.bin");

/// A hasher that skips over holes.
#[derive(Debug)]
pub(crate) struct SparseHasher {
    piece: u64,
    zeros: &'static [u8],
    /// Of what is complete, from the left: the sub-trees that have no partner yet.
    stack: Vec<ChainingValue>,
    complete: u64,
    /// The piece being filled. It is completed only when more follows, for the last one is the root's.
    last: blake3::Hasher,
    last_length: u64,
}

impl Default for SparseHasher {
    fn default() -> Self {
        Self::with(PIECE, ZEROS)
    }
}

impl SparseHasher {
    fn with(piece: u64, zeros: &'static [u8]) -> Self {
        let last = blake3::Hasher::new();
        Self { piece, zeros, stack: Vec::new(), complete: 0, last, last_length: 0 }
    }

    /// Adds bytes.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.turn();
            let room = usize::try_from(self.piece - self.last_length).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.last.update(now);
            self.last_length += now.len() as u64;
            bytes = later;
        }
    }

    /// Adds so many zeros.
    pub(crate) fn zeros(&mut self, mut count: u64) {
        static SOME: [u8; 64 * 1024] = [0; 64 * 1024];
        while count > 0 {
            self.turn();
            if self.last_length == 0
                && count > self.piece
                && let Some(known) = self.known()
            {
                self.push(known);
                self.begin();
                count -= self.piece;
                continue;
            }
            let room = (self.piece - self.last_length).min(count);
            let now = usize::try_from(room).unwrap_or(usize::MAX).min(SOME.len());
            self.update(&SOME[..now]);
            count -= now as u64;
        }
    }

    /// The hash of all.
    pub(crate) fn finalize(mut self) -> blake3::Hash {
        let Some(first) = (!self.stack.is_empty()).then(|| self.stack.remove(0)) else {
            return self.last.finalize();
        };
        let mut right = self.last.finalize_non_root();
        while let Some(left) = self.stack.pop() {
            right = hazmat::merge_subtrees_non_root(&left, &right, Mode::Hash);
        }
        hazmat::merge_subtrees_root(&first, &right, Mode::Hash)
    }

    /// What the next piece comes to if it is all zeros.
    fn known(&self) -> Option<ChainingValue> {
        let at = usize::try_from(self.complete).ok()?.checked_mul(32)?;
        self.zeros.get(at..at + 32)?.try_into().ok()
    }

    /// More follows: completes the last piece if it is full.
    fn turn(&mut self) {
        if self.last_length == self.piece {
            self.push(self.last.finalize_non_root());
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.last = blake3::Hasher::new();
        self.last.set_input_offset(self.complete * self.piece);
        self.last_length = 0;
    }

    /// Adds a complete piece: two neighbours of the same size are one from then on.
    fn push(&mut self, mut value: ChainingValue) {
        self.complete += 1;
        let mut count = self.complete;
        while count.is_multiple_of(2) {
            let Some(left) = self.stack.pop() else { break };
            value = hazmat::merge_subtrees_non_root(&left, &value, Mode::Hash);
            count /= 2;
        }
        self.stack.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE, SparseHasher, ZEROS};
    use blake3::hazmat::HasherExt;

    fn of_zeros(piece: u64, number: u64) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(number * piece);
        let some = vec![0; usize::try_from(piece.min(1 << 20)).unwrap()];
        (0..piece / some.len() as u64).for_each(|_| {
            hasher.update(&some);
        });
        hasher.finalize_non_root()
    }

    #[test]
    fn holes_hash_as_zeros_wherever_they_are() {
        const SMALL: u64 = 2048;
        let table: Vec<u8> = (0..24).flat_map(|number| of_zeros(SMALL, number)).collect();
        let table: &'static [u8] = table.leak();
        let lengths = [0, 1, 1000, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL, 7 * SMALL + 5, 40 * SMALL];
        for before in lengths {
            for hole in lengths {
                for after in lengths {
                    let mut sparse = SparseHasher::with(SMALL, table);
                    let mut plain = blake3::Hasher::new();
                    for (bytes, is_hole) in [(before, false), (hole, true), (after, false), (hole, true)] {
                        let content = vec![u8::from(!is_hole); usize::try_from(bytes).unwrap()];
                        plain.update(&content);
                        if is_hole { sparse.zeros(bytes) } else { sparse.update(&content) }
                    }
                    assert_eq!(sparse.finalize(), plain.finalize(), "{before} {hole} {after}");
                }
            }
        }
    }

    #[test]
    fn the_table_is_for_a_tebibyte_and_no_two_pieces_are_equal() {
        assert_eq!(ZEROS.len(), 1024 * 32);
        let different: std::collections::BTreeSet<&[u8]> = ZEROS.chunks(32).collect();
        assert_eq!(different.len(), 1024);
        assert_eq!(ZEROS[..32], of_zeros(PIECE, 0));
        assert_eq!(ZEROS[1023 * 32..], of_zeros(PIECE, 1023));
    }

    #[test]
    #[ignore = "hashes a tebibyte"]
    fn the_whole_table_is_right() {
        for (number, known) in ZEROS.chunks(32).enumerate() {
            assert_eq!(known, of_zeros(PIECE, number as u64), "{number}");
        }
    }
}

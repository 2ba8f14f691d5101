//! A small seeded generator: the same numbers on every machine and with every version of every crate.
//!
//! The stream is SplitMix64 (Steele, Lea, Flood 2014): fast, incompressible, and its output is a bijection of its
//! state, so that streams from different states begin with different words.

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of pseudo-random numbers, not for secrets.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream number `index` of the family `seed`. Two indices of one family never begin with the same word.
    #[must_use]
    pub fn stream(seed: u64, index: u64) -> Self {
        Self { state: mix(mix(seed.wrapping_add(GOLDEN_GAMMA)) ^ index) }
    }

    /// The next 64 bits.
    pub fn next_word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number below `bound`; the bias is below `bound` / 2⁶⁴.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the high half of a product with `bound` is below `bound`"
    )]
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_word()) * bound as u128) >> 64) as usize
    }

    /// A number in (0, 1], so that its logarithm is finite.
    pub fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let steps = ((self.next_word() >> 11) + 1) as f64;
        steps / (1_u64 << 53) as f64
    }

    /// A number of the normal distribution with mean 0 and deviation 1 (Box–Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_word().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A bijection of 64 bits that leaves no trace of order.
const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        // First outputs of the reference implementation for state 0.
        let mut random = Random { state: 0 };
        assert_eq!(random.next_word(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.next_word(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = Random::stream(1, 0);
        let numbers: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 1e5;
        let variance = numbers.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}

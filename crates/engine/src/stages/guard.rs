//! Guard: does what a run found of a source look as if something had happened to it?
//!
//! Pure: what is gone and what stayed is counted where the entries are dealt with.

use crate::stages::run::Counts;

/// Fewer entries gone or changed than these are no mass change, whatever share they are: a directory of database dumps
/// or a small project is often rewritten whole, and of so few a person sees in a listing what is missing.
pub const FEWEST: u64 = 100;

/// What became of the entries that the basis has of a source, directories left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Gone from their paths, or not what they were.
    pub lost: u64,
    /// Of those that are gone from their paths: how many are under others in the same source. These are not really lost.
    pub moved: u64,
    /// The same.
    pub kept: u64,
}

impl Tally {
    /// Adds what was counted.
    pub fn add(&mut self, counts: &Counts) {
        self.lost += counts.changed - counts.replaced + counts.removed + counts.overwritten;
        self.moved += counts.moved_within;
        self.kept += counts.unchanged + counts.reused - counts.moved + counts.replaced;
    }

    /// How many entries the basis has.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.lost + self.kept
    }

    /// How many of them are gone, or not what they were, and not just under another path.
    #[must_use]
    pub fn gone(&self) -> u64 {
        self.lost.saturating_sub(self.moved)
    }

    /// Are more than half of them gone or changed, and not just a few?
    #[must_use]
    pub fn is_mass_change(&self) -> bool {
        self.gone() >= FEWEST && self.gone() > self.all() - self.gone()
    }
}

#[cfg(test)]
mod tests {
    use super::{FEWEST, Tally};

    #[test]
    fn more_than_half_is_a_mass_change_unless_it_is_little() {
        for (lost, kept, is_one) in [
            (0, 0, false),
            (FEWEST - 1, 0, false),
            (FEWEST, 0, true),
            (FEWEST, FEWEST - 1, true),
            (FEWEST, FEWEST, false),
            (1_000_000, 999_999, true),
            (999_999, 1_000_000, false),
        ] {
            let tally = Tally { lost, kept, moved: 0 };
            assert_eq!(tally.is_mass_change(), is_one, "{lost} of {}", tally.all());
        }
    }

    #[test]
    fn what_is_under_another_path_is_not_lost() {
        for (lost, moved, is_one) in
            [(1000, 1000, false), (1000, 501, false), (1000, 498, true), (200, 900, false)]
        {
            assert_eq!(Tally { lost, moved, kept: 2 }.is_mass_change(), is_one, "{moved} of {lost} moved");
        }
    }
}

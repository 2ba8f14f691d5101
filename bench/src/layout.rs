//! What a made tree looks like, as a value: directories in three levels, files of log-normal size spread over them.
//!
//! Pure: the same [`Shape`] gives the same directories, names, sizes and bytes everywhere.

use std::path::PathBuf;

use crate::random::Random;

/// The first word of a file's bytes is its own, so a file has at least one.
const LEAST_BYTES: u64 = 8;
/// The tail of the log-normal is cut here.
const MOST_BYTES: u64 = 64 << 20;

/// Seeds of different uses must not meet: each use has its own family.
const SPREAD: u64 = 0x5350_5245_4144;
const SIZE: u64 = 0x5349_5a45;
const CHANGE: u64 = 0x4348_414e_4745;
const REWRITE: u64 = 0x5245_5752_4954_4500;

/// The sizes of files: log-normal, as in most real trees.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Half of the files are smaller, in bytes.
    pub median: f64,
    /// The deviation of the logarithm.
    pub sigma: f64,
}

impl Sizes {
    /// Draws a size in bytes.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range just before"
    )]
    pub fn draw(&self, random: &mut Random) -> u64 {
        let size = self.median * (self.sigma * random.normal()).exp();
        size.clamp(LEAST_BYTES as f64, MOST_BYTES as f64) as u64
    }
}

/// What decides a tree.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many files.
    pub files: usize,
    /// How many directories below the root.
    pub directories: usize,
    /// The sizes of the files.
    pub sizes: Sizes,
    /// Another seed, another tree.
    pub seed: u64,
}

/// A file to be made.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name in its directory.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The stream its bytes are taken from.
    pub content: Random,
}

impl Shape {
    /// The directories below the root, every parent before its children: about n^⅓ at the top, n^⅔ in the middle, the
    /// rest below those in turn.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let top = (1..).find(|n: &usize| n.pow(3) >= self.directories).unwrap_or(1);
        let mut paths: Vec<PathBuf> = Vec::with_capacity(self.directories);
        for index in 0..self.directories {
            let name = format!("d{index:05}");
            let path = match index {
                index if index < top => PathBuf::from(name),
                index if index < top + top * top => paths[(index - top) % top].join(name),
                index => paths[top + (index - top) % (top * top)].join(name),
            };
            paths.push(path);
        }
        paths
    }

    /// The numbers of the files for each of [`Shape::directories`]; all for the root (one list) if there is none.
    #[must_use]
    pub fn spread(&self) -> Vec<Vec<u64>> {
        let mut random = Random::stream(self.seed ^ SPREAD, 0);
        let mut lists = vec![Vec::new(); self.directories.max(1)];
        let lists_there = lists.len();
        for number in 0..self.files as u64 {
            lists[random.below(lists_there)].push(number);
        }
        lists
    }

    /// The file of that number.
    #[must_use]
    pub fn file(&self, number: u64) -> File {
        let bytes = self.sizes.draw(&mut Random::stream(self.seed ^ SIZE, number));
        File { name: format!("file-{number:07}.dat"), bytes, content: Random::stream(self.seed, number) }
    }
}

/// What becomes of an existing file when a share of a tree is changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// The new length in bytes: half of the changes keep the old one.
    pub bytes: u64,
    /// The stream the new bytes are taken from.
    pub content: Random,
}

/// Decides on file `number` (counted in the order of names) of `old_bytes`: changed with probability `fraction`.
#[must_use]
pub fn change(seed: u64, number: u64, old_bytes: u64, fraction: f64) -> Option<Change> {
    let mut random = Random::stream(seed ^ CHANGE, number);
    if random.unit() > fraction {
        return None;
    }
    let keeps_length = random.next_word() & 1 == 0;
    let bytes = if keeps_length { old_bytes } else { old_bytes + 1 + random.next_word() % 4096 };
    Some(Change { bytes, content: Random::stream(seed ^ REWRITE, number) })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SHAPE: Shape =
        Shape { files: 20_000, directories: 200, sizes: Sizes { median: 3000.0, sigma: 1.5 }, seed: 1 };

    #[test]
    fn directories_are_nested_three_deep_and_parents_come_first() {
        let paths = SHAPE.directories();
        assert_eq!(paths.len(), 200);
        let mut seen = HashSet::from([PathBuf::new()]);
        for path in &paths {
            assert!(path.parent().is_some_and(|parent| seen.contains(parent)), "{path:?}");
            seen.insert(path.clone());
        }
        assert_eq!(paths.iter().map(|path| path.components().count()).max(), Some(3));
    }

    #[test]
    fn every_file_is_in_one_directory() {
        let mut numbers: Vec<u64> = SHAPE.spread().into_iter().flatten().collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..20_000));
    }

    #[test]
    fn half_of_the_files_are_below_the_median() {
        let below = (0..20_000).filter(|&number| SHAPE.file(number).bytes < 3000).count();
        assert!((9_700..10_300).contains(&below), "{below}");
    }

    #[test]
    fn contents_are_unique_from_the_first_word() {
        let words: HashSet<u64> = (0..20_000).map(|number| SHAPE.file(number).content.next_word()).collect();
        assert_eq!(words.len(), 20_000);
    }

    #[test]
    fn about_the_asked_share_is_changed() {
        let changed = (0..20_000).filter(|&number| change(2, number, 100, 0.01).is_some()).count();
        assert!((140..260).contains(&changed), "{changed}");
        assert!((0..20_000).all(|number| change(2, number, 100, 0.0).is_none()));
        assert!((0..20_000).all(|number| change(2, number, 100, 1.0).is_some()));
    }
}

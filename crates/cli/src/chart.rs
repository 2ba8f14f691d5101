//! Bars of text, an eighth of a character exact.

const FULL: char = '█';
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A bar for `value`, so many characters wide if it is `most`. What is more than nothing can be seen.
pub fn bar(value: u64, most: u64, width: u32) -> String {
    if value == 0 || most == 0 {
        return String::new();
    }
    let eighths = u128::from(width) * 8 * u128::from(value.min(most)) / u128::from(most);
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX).max(1);
    let mut bar: String = std::iter::repeat_n(FULL, eighths / 8).collect();
    bar.extend((eighths % 8).checked_sub(1).map(|rest| EIGHTHS[rest]));
    bar
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn the_most_fills_the_width_and_the_least_can_be_seen() {
        let table = [
            (0, ""),
            (1, "▏"),
            (1 << 30, "▌"),
            (1 << 31, "█"),
            (3 << 31, "███"),
            (1 << 33, "████"),
            (u64::MAX, "████"),
        ];
        for (value, wanted) in table {
            assert_eq!(bar(value, 1 << 33, 4), wanted, "{value}");
        }
        assert_eq!(bar(1, 0, 4), "");
        assert_eq!(bar(u64::MAX, u64::MAX, 3), "███");
    }
}

//! How thoroughly a new snapshot is checked, as users write it: `full`, or `N` for one Nth.

use linksnap_engine::verbs::backup::Thoroughness;

/// What holds if nobody says anything.
pub const DEFAULT: Thoroughness = Thoroughness::Share(16);

/// Reads `full` or a number from 1.
pub fn parse(text: &str) -> Result<Thoroughness, String> {
    match text {
        "full" => Ok(Thoroughness::Full),
        number => share(number.parse().unwrap_or(0)),
    }
}

/// One Nth; all of it is written as 1 or `full`.
pub fn share(number: u32) -> Result<Thoroughness, String> {
    match number {
        0 => Err("write \"full\", or a number N from 1 to check one Nth in every run".to_owned()),
        number => Ok(Thoroughness::Share(number)),
    }
}

/// In words.
pub fn words(thoroughness: Thoroughness) -> String {
    match thoroughness {
        Thoroughness::Full | Thoroughness::Share(1) => "all of it in every run".to_owned(),
        Thoroughness::Share(number) => format!("1/{number} of what was not touched in every run"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Thoroughness, parse};

    #[test]
    fn a_share_is_a_number_from_one() {
        assert!(matches!(parse("full"), Ok(Thoroughness::Full)));
        assert!(matches!(parse("4"), Ok(Thoroughness::Share(4))));
        for wrong in ["0", "-1", "1/4", "", "all"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

//! Labels of snapshots, as users write them.

/// Reads one.
pub fn parse(text: &str) -> Result<String, String> {
    let fits = |character: char| character != ',' && !character.is_whitespace() && !character.is_control();
    match !text.is_empty() && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("a tag is a word without commas and blanks".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_tag_is_one_word() {
        for good in ["release", "before-upgrade", "v1.2", "größer"] {
            assert_eq!(parse(good).as_deref(), Ok(good));
        }
        for bad in ["", "a,b", "a b", "a\tb", "\x1b[2J"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}

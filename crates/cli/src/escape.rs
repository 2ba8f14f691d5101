//! Names as text: what a terminal may see, and what a pipe may see.
//!
//! A file name is any bytes but `/` and NUL. Printed raw, it can move the cursor, change the window's title, or pass
//! for several lines.

use std::borrow::Cow;
use std::fmt::Write;

/// `name` for a terminal: no control character and no invalid UTF-8 is left (`\n`, `\x1b`, `\xff`, `\u{202e}`).
pub fn for_terminal(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            push(&mut text, character);
        }
        for byte in chunk.invalid() {
            push_byte(&mut text, *byte);
        }
    }
    text
}

/// `name` for a pipe that reads lines: the same bytes, but a newline as `\n`, so that one name is one line.
pub fn for_pipe(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'\n') {
        return Cow::Borrowed(name);
    }
    let lines: Vec<&[u8]> = name.split(|byte| *byte == b'\n').collect();
    Cow::Owned(lines.join(br"\n".as_slice()))
}

/// Our own words with names among them, for people: newlines stay, but no line after the first begins where a message
/// does, so that no name passes for one.
pub fn message(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // The picture of a line stays where it is.
            '\n' if characters.peek() == Some(&' ') => clean.push('\n'),
            '\n' => clean.push_str("\n  "),
            '\t' => clean.push('\t'),
            other => push(&mut clean, other),
        }
    }
    clean
}

/// JSON, which a terminal may see, too: the same values, but control characters beyond ASCII and those that turn the line
/// as `\u009b`. They stand in strings only.
pub fn json(text: String) -> String {
    let is_bad = |character: char| !character.is_ascii() && is_control(character) || character == '\x7f';
    if !text.contains(is_bad) {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        match is_bad(character) {
            true => write!(clean, r"\u{:04x}", u32::from(character)).expect("a String takes everything"),
            false => clean.push(character),
        }
    }
    clean
}

fn push(text: &mut String, character: char) {
    match character {
        '\n' => text.push_str(r"\n"),
        '\r' => text.push_str(r"\r"),
        '\t' => text.push_str(r"\t"),
        '\0'..='\x1f' | '\x7f' => push_byte(text, character as u8),
        other if is_control(other) => text.extend(other.escape_unicode()),
        other => text.push(other),
    }
}

fn push_byte(text: &mut String, byte: u8) {
    write!(text, r"\x{byte:02x}").expect("a String takes everything");
}

fn is_control(character: char) -> bool {
    character.is_control() || turns_the_line(character) || matches!(character, '\u{2028}' | '\u{2029}')
}

/// Characters that make what follows appear in another order: `"gpj.exe"` can look like `"exe.jpg"`.
fn turns_the_line(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::{for_pipe, for_terminal, json, message};

    #[test]
    fn a_terminal_sees_no_control_character_and_no_broken_text() {
        let table: &[(&[u8], &str)] = &[
            (b"plain name.txt", "plain name.txt"),
            ("größe/日本".as_bytes(), "größe/日本"),
            (b"two\nlines", r"two\nlines"),
            (b"a\tb\rc", r"a\tb\rc"),
            (b"\x1b[31mred", r"\x1b[31mred"),
            (b"\x00\x07\x7f", r"\x00\x07\x7f"),
            (b"caf\xe9", r"caf\xe9"),
            (b"\xff\xfe", r"\xff\xfe"),
            ("\u{9b}31m".as_bytes(), r"\u{9b}31m"),
            ("\u{202e}gpj.exe".as_bytes(), r"\u{202e}gpj.exe"),
            (b"back\\slash", r"back\slash"),
            (b"", ""),
        ];
        for (name, wanted) in table {
            assert_eq!(for_terminal(name), *wanted, "{name:?}");
        }
    }

    #[test]
    fn a_pipe_sees_the_bytes_in_one_line() {
        assert_eq!(for_pipe(b"caf\xe9\x1b"), b"caf\xe9\x1b".as_slice());
        assert_eq!(for_pipe(b"two\n\nlines\n"), br"two\n\nlines\n".as_slice());
    }

    #[test]
    fn a_message_keeps_its_lines_and_none_passes_for_another_message() {
        assert_eq!(message("one\n\x1b]0;two\x07"), "one\n  \\x1b]0;two\\x07");
        assert_eq!(message("gone\nhint: do it"), "gone\n  hint: do it");
        assert_eq!(message("wrong:\n 3 | x\n   | ^"), "wrong:\n 3 | x\n   | ^");
    }

    #[test]
    fn json_keeps_its_values() {
        let text = "{\"name\":\"a\u{9b}b\u{202e}c\u{7f}\u{2028}ü\"}".to_owned();
        let clean = json(text.clone());
        assert_eq!(clean, r#"{"name":"a\u009bb\u202ec\u007f\u2028ü"}"#);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&clean), value(&text));
        assert_eq!(json("{}".to_owned()), "{}");
    }
}

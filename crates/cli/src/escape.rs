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

/// Our own words with names among them, for a terminal: newlines stay.
pub fn message(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => clean.push('\n'),
            other => push(&mut clean, other),
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
        other if other.is_control() || turns_the_line(other) => {
            text.extend(other.escape_unicode());
        }
        other => text.push(other),
    }
}

fn push_byte(text: &mut String, byte: u8) {
    write!(text, r"\x{byte:02x}").expect("a String takes everything");
}

/// Characters that make what follows appear in another order: `"gpj.exe"` can look like `"exe.jpg"`.
fn turns_the_line(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::{for_pipe, for_terminal, message};

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
    fn a_message_keeps_its_lines() {
        assert_eq!(message("one\n\x1b]0;two\x07"), "one\n\\x1b]0;two\\x07");
    }
}

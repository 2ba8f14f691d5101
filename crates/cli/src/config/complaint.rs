//! What is wrong in a file, shown where it is: file, line, column, the line itself and a caret below.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use crate::failure::Failure;

/// Something wrong at a place in the text.
#[derive(Debug)]
pub struct Wrong {
    span: Option<Range<usize>>,
    message: String,
    hint: Option<String>,
}

impl Wrong {
    /// Wrong at the bytes `span` of the text.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into(), hint: None }
    }

    /// With what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<&toml::de::Error> for Wrong {
    fn from(error: &toml::de::Error) -> Self {
        let message = error.message();
        let hint = message.starts_with("unknown field").then(|| {
            "is it misspelt? An unknown key could be a rule that you believe in, so it is refused".to_owned()
        });
        Self { span: error.span(), message: message.to_owned(), hint }
    }
}

/// Something wrong in a file.
pub struct Complaint<'a> {
    /// The file.
    pub file: &'a Path,
    /// What is in it.
    pub text: &'a str,
    /// What is wrong.
    pub wrong: Wrong,
}

impl From<Complaint<'_>> for Failure {
    fn from(complaint: Complaint<'_>) -> Self {
        let Complaint { file, text, wrong } = complaint;
        let mut message = file.display().to_string();
        let shown = wrong.span.map(|span| Place::of(text, &span));
        if let Some(place) = &shown {
            write!(message, ":{}:{}", place.line, place.column).expect("a String takes everything");
        }
        write!(message, ": {}", wrong.message.trim_end()).expect("a String takes everything");
        if let Some(place) = &shown {
            message.push('\n');
            message.push_str(&place.picture());
        }
        Self { hint: wrong.hint, ..Self::usage(message) }
    }
}

/// A part of one line.
struct Place<'a> {
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    /// How many characters.
    width: usize,
    text: &'a str,
}

impl<'a> Place<'a> {
    fn of(text: &'a str, span: &Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let end = text.floor_char_boundary(span.end).clamp(start, line_end);
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..end].chars().count().max(1),
            text: text[line_start..line_end].trim_end_matches('\r'),
        }
    }

    fn picture(&self) -> String {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret stands where the terminal puts the character.
        let before: String =
            self.text.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let carets = "^".repeat(self.width);
        format!(" {margin} |\n {number} | {}\n {margin} | {before}{carets}", self.text)
    }
}

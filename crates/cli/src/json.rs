//! What several JSON outputs share: names that need not be UTF-8, and times.

use jiff::Timestamp;
use linksnap_inode::FsError;
use linksnap_inode::dir::path_bytes;
use serde::Serialize;

/// A path in JSON: as text, and exactly if the text is not exact.
#[derive(Debug, Serialize)]
pub struct JsonPath {
    /// The path; invalid UTF-8 is shown as U+FFFD.
    path: String,
    /// The path's bytes in base64, if they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
}

impl JsonPath {
    /// The fields for a path.
    pub fn new(path: &[u8]) -> Self {
        Self { path: text(path), path_b64: exact(path) }
    }
}

/// A path that could not be worked on, and why.
#[derive(Debug, Serialize)]
pub struct JsonFault {
    #[serde(flatten)]
    path: JsonPath,
    message: String,
}

impl JsonFault {
    /// The fields for an error.
    pub fn new(error: &FsError) -> Self {
        let path = JsonPath::new(path_bytes(&error.path));
        Self { path, message: format!("cannot {}: {}", error.op, error.source) }
    }
}

/// Bytes as text; invalid UTF-8 is shown as U+FFFD.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bytes in base64, if they are not UTF-8.
pub fn exact(bytes: &[u8]) -> Option<String> {
    str::from_utf8(bytes).is_err().then(|| base64(bytes))
}

/// Seconds since 1970 in RFC 3339, as `2026-04-08T02:00:00Z`; empty for a time that no calendar has.
pub fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= group.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{JsonPath, base64, time};

    #[test]
    fn base64_agrees_with_the_rfc() {
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, wanted) in table {
            assert_eq!(base64(bytes.as_bytes()), wanted);
        }
        assert_eq!(base64(b"\xff\xfe\xfb"), "//77");
    }

    #[test]
    fn only_paths_that_are_not_text_have_a_second_form() {
        let json = |path: &[u8]| serde_json::to_string(&JsonPath::new(path)).unwrap();
        assert_eq!(json(b"/a"), r#"{"path":"/a"}"#);
        assert_eq!(json(b"/\xff"), "{\"path\":\"/\u{fffd}\",\"path_b64\":\"L/8=\"}");
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time(1_775_613_600), "2026-04-08T02:00:00Z");
    }
}

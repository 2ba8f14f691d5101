//! Where filesystems are mounted, as this process sees it.

use std::os::unix::ffi::OsStringExt;

use crate::dir::{DirFd, magic_link};

/// The mount points below a directory (itself left out), as absolute paths; none where `/proc` does not tell
/// (`proc_pid_mountinfo(5)`).
#[must_use]
pub fn below(dir: &DirFd) -> Vec<Vec<u8>> {
    let (Ok(path), Ok(table)) = (std::fs::read_link(magic_link(dir)), std::fs::read("/proc/self/mountinfo"))
    else {
        return Vec::new();
    };
    let mut prefix = path.into_os_string().into_vec();
    prefix.push(b'/');
    points(&table).filter(|point| point.starts_with(&prefix)).collect()
}

/// The fifth field of each line.
fn points(table: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4).map(unescape))
}

/// Blanks, tabs, newlines and backslashes are written in octal.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, more @ ..] = rest {
        let digits = more.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &more[3..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::points;

    #[test]
    fn mount_points_are_read_with_their_escapes() {
        let table =
            b"36 35 98:0 / /mnt/a\\040b rw - ext3 /dev/root rw\n37 35 0:5 / /x\\134y rw - proc p rw\n";
        assert_eq!(points(table).collect::<Vec<_>>(), [b"/mnt/a b".to_vec(), b"/x\\y".to_vec()]);
    }
}

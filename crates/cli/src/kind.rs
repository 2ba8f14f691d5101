//! Kinds of inodes, modes and device numbers, as people and programs read them.

use linksnap_inode::Kind;

/// `major, minor`, as glibc's `makedev(3)` packs them.
pub fn device(rdev: u64) -> String {
    let major = (rdev >> 8 & 0xfff) | (rdev >> 32 & 0xffff_f000);
    let minor = (rdev & 0xff) | (rdev >> 12 & 0xffff_ff00);
    format!("{major}, {minor}")
}

/// `drwxr-sr-t`.
pub fn mode(kind: Kind, mode: u16) -> String {
    let mut text = String::from(letter(kind));
    let special = [(0o4000, 's'), (0o2000, 's'), (0o1000, 't')];
    for (shift, (bit, sign)) in [6, 3, 0].into_iter().zip(special) {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & bit != 0, bits & 1 != 0) {
            (true, true) => sign,
            (true, false) => sign.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn letter(kind: Kind) -> char {
    match kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
        Kind::CharDevice => 'c',
        Kind::BlockDevice => 'b',
    }
}

/// One word, as JSON has it.
pub fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice => "char-device",
        Kind::BlockDevice => "block-device",
    }
}

#[cfg(test)]
mod tests {
    use super::{device, mode};
    use linksnap_inode::Kind;

    #[test]
    fn modes_look_as_in_ls() {
        let table = [
            (Kind::File, 0o644, "-rw-r--r--"),
            (Kind::Directory, 0o1777, "drwxrwxrwt"),
            (Kind::File, 0o4755, "-rwsr-xr-x"),
            (Kind::File, 0o6644, "-rwSr-Sr--"),
            (Kind::Symlink, 0o777, "lrwxrwxrwx"),
            (Kind::Directory, 0o1000, "d--------T"),
        ];
        for (kind, bits, wanted) in table {
            assert_eq!(mode(kind, bits), wanted);
        }
    }

    #[test]
    fn device_numbers_are_taken_apart() {
        assert_eq!(device(0x0103), "1, 3");
        assert_eq!(device(0x0010_0305), "3, 261");
    }
}

//! The text of a symbolic link from one path to another, with no look at the disk.

use linksnap_inode::path::parts;

/// The shortest relative text that leads from the directory `from` to `to`; both are absolute, without `.` and `..`.
///
/// It is right in the order in which the kernel goes (`path_resolution(7)`) if `from` is the real path of the directory
/// that the link is in: then each `..` leads to the part before. `to` may go through symbolic links.
#[must_use]
pub fn relative(from: &[u8], to: &[u8]) -> Vec<u8> {
    let (from, to): (Vec<_>, Vec<_>) = (parts(from).collect(), parts(to).collect());
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n(b"..".as_slice(), from.len() - common);
    let way: Vec<&[u8]> = up.chain(to[common..].iter().copied()).collect();
    if way.is_empty() { b".".to_vec() } else { way.join(&b'/') }
}

#[cfg(test)]
mod tests {
    use super::relative;
    use proptest::prelude::*;

    #[test]
    fn the_way_is_the_shortest() {
        let table = [
            ("/a", "/a/b", "b"),
            ("/a", "/a/b/c", "b/c"),
            ("/a/b", "/a/c", "../c"),
            ("/a/b", "/a", ".."),
            ("/a/b/c", "/x", "../../../x"),
            ("/a/b", "/a/b", "."),
            ("/a/bc", "/a/b", "../b"),
            ("/a/b", "/a/bc", "../bc"),
            ("/", "/a", "a"),
            ("/", "/", "."),
            ("/a", "/", ".."),
            ("/a/b", "/", "../.."),
        ];
        for (from, to, wanted) in table {
            assert_eq!(relative(from.as_bytes(), to.as_bytes()), wanted.as_bytes(), "{from} {to}");
        }
    }

    /// Follows the text by the letter.
    fn follow(from: &[String], text: &str) -> Vec<String> {
        let mut at = from.to_vec();
        for part in text.split('/') {
            match part {
                "." => {}
                ".." => drop(at.pop()),
                name => at.push(name.to_owned()),
            }
        }
        at
    }

    proptest! {
        #[test]
        fn the_way_leads_there(
            from in prop::collection::vec("[ab]", 0..5),
            to in prop::collection::vec("[ab]", 0..5),
        ) {
            let path = |parts: &[String]| format!("/{}", parts.join("/"));
            let text = String::from_utf8(relative(path(&from).as_bytes(), path(&to).as_bytes())).unwrap();
            prop_assert_eq!(follow(&from, &text), to);
        }
    }
}

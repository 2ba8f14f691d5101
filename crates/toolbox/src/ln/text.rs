//! The text of a symbolic link.

use std::path::Path;

use linksnap_inode::dir::path_bytes;
use linksnap_inode::path::{above, join, parts};

use crate::ln::{Making, Refusal, Wish, from_root, real, real_dir};
use crate::place::Place;

/// What the link is to say.
///
/// # Errors
/// If the directories cannot be found that a relative text is to lead from and to.
pub fn of(wish: &Wish, making: Making, place: &Place) -> Result<Vec<u8>, Refusal> {
    match making {
        Making::Absolute => Ok(path_bytes(&from_root(&target(&wish.target)?)).to_vec()),
        Making::Relative => Ok(shortest(&real_dir(&place.dir, &place.path)?, &target(&wish.target)?)),
        Making::Hard | Making::Symbolic => Ok(path_bytes(&wish.target).to_vec()),
    }
}

/// The path of what is to be linked: its directory without links, and its own name, which may be a link's.
fn target(path: &Path) -> Result<Vec<u8>, Refusal> {
    match path.file_name() {
        Some(name) => Ok(join(&real(above(path))?, path_bytes(Path::new(name)))),
        None => real(path),
    }
}

/// The shortest text that leads from the directory `from` to `to`; both without links, relative to `/`.
fn shortest(from: &[u8], to: &[u8]) -> Vec<u8> {
    let shared = parts(from).zip(parts(to)).take_while(|(from, to)| from == to).count();
    let up = parts(from).skip(shared).map(|_| b"..".as_slice());
    let text: Vec<&[u8]> = up.chain(parts(to).skip(shared)).collect();
    if text.is_empty() { b".".to_vec() } else { text.join(&b'/') }
}

#[cfg(test)]
mod tests {
    use super::shortest;

    #[test]
    fn relative_texts_go_up_no_further_than_they_must() {
        let table = [
            ("srv/www", "srv/www/a", "a"),
            ("srv/www", "srv/www", "."),
            ("srv/www", "srv", ".."),
            ("srv/www", "srv/wwwroot/a", "../wwwroot/a"),
            ("srv/www/x", "etc/a/b", "../../../etc/a/b"),
            ("", "etc/a", "etc/a"),
            ("a/b", "", "../.."),
            ("", "", "."),
        ];
        for (from, to, wanted) in table {
            assert_eq!(shortest(from.as_bytes(), to.as_bytes()), wanted.as_bytes(), "{from} {to}");
        }
    }
}

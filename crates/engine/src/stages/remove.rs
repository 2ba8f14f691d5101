//! Removing trees: set aside by one rename, then emptied.

use linksnap_inode::{DirFd, Errno, Fault, Kind, limits};

/// Deeper than this, sub-trees are first moved up, so that neither descriptors nor the stack run out.
const DEEPEST: usize = 64;

/// Moves `name` out of `dir` into `trash` under a free name: instant, whatever is in it.
pub fn set_aside(dir: &DirFd, name: &[u8], trash: &DirFd) -> Result<(), Fault> {
    for number in 0_u64.. {
        match dir.rename_noreplace(name, trash, format!("{number}").as_bytes()) {
            Err(fault) if fault.is(Errno::EXIST) => {}
            // A directory that we may not write in cannot be moved (`rename(2)`).
            Err(fault) if fault.is(Errno::ACCESS) && unlock(&dir.open_dir(name)?)? & 0o700 != 0o700 => {}
            other => return other,
        }
    }
    Err(Fault::new("set aside", Errno::EXIST))
}

/// Gives the owner of a directory the right to work in it; returns its mode before. Root has that right.
pub fn unlock(dir: &DirFd) -> Result<u16, Fault> {
    if limits::is_root() {
        return Ok(0o700);
    }
    let mode = dir.stat()?.mode;
    if mode & 0o700 != 0o700 {
        dir.set_mode(mode | 0o700)?;
    }
    Ok(mode)
}

/// Removes one name of any kind from `dir`; a directory goes to `trash` whole.
pub fn discard(dir: &DirFd, name: &[u8], kind: Option<Kind>, trash: &DirFd) -> Result<(), Fault> {
    if kind == Some(Kind::Directory) {
        return match set_aside(dir, name, trash) {
            Err(fault) if fault.is(Errno::NOENT) => Ok(()),
            other => other,
        };
    }
    match dir.unlink(name) {
        Err(fault) if fault.is(Errno::ISDIR) || fault.is(Errno::PERM) => {
            set_aside(dir, name, trash).map_err(|_| fault)
        }
        Err(fault) if fault.is(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Removes all that is in `trash`. Can be stopped between two names and taken up again.
pub fn empty(trash: &DirFd, stop: &dyn Fn() -> bool) -> Result<(), Fault> {
    loop {
        let names = trash.names()?;
        if names.is_empty() || stop() {
            return Ok(());
        }
        for name in names.iter() {
            remove_tree(trash, name.bytes, trash, 0, stop)?;
            if stop() {
                return Ok(());
            }
        }
    }
}

fn remove_tree(
    dir: &DirFd,
    name: &[u8],
    trash: &DirFd,
    depth: usize,
    stop: &dyn Fn() -> bool,
) -> Result<(), Fault> {
    let inside = match dir.open_dir(name) {
        Ok(inside) => inside,
        Err(fault) if fault.is(Errno::NOTDIR) || fault.is(Errno::LOOP) => return dir.unlink(name),
        Err(fault) => return Err(fault),
    };
    unlock(&inside)?;
    let mut names = inside.names()?;
    names.sort_by_inode();
    for entry in names.iter() {
        if stop() {
            return Ok(());
        }
        match entry.kind {
            Some(Kind::Directory) | None if depth >= DEEPEST => {
                set_aside(&inside, entry.bytes, trash)?;
            }
            Some(Kind::Directory) | None => {
                remove_tree(&inside, entry.bytes, trash, depth + 1, stop)?;
            }
            Some(_) => inside.unlink(entry.bytes)?,
        }
    }
    if stop() { Ok(()) } else { dir.remove_dir(name) }
}

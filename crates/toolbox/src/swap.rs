//! Putting something new in the place of a name, or taking the name away: at once, and only if it still is what it was.
//!
//! The new thing gets a temporary name beside the old one; then the two are exchanged (`renameat2(2)`,
//! `RENAME_EXCHANGE`), and only when what came out is seen to be what was expected, it is removed. So there is no moment
//! without the name, and what somebody else put there meanwhile is put back.

use linksnap_inode::{DirFd, Errno, Fault, Kind, Stat};

/// What is expected under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A symbolic link with this text.
    Symlink(Vec<u8>),
    /// This inode: device and number.
    Inode((u64, u64)),
}

/// Why nothing was put in place of a name. All is as it was, but for what [`SwapError::Kept`] says.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// Something else is there than what was planned upon.
    #[error("it is no longer what it was when this was planned")]
    Changed,
    /// Others put more than one thing there at that very moment: one of them has this name now, in the same directory.
    #[error("it changed at that very moment; something that was there is kept as {}", String::from_utf8_lossy(.0))]
    Kept(Vec<u8>),
    /// A system call failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Makes something new by `make`, which gets the directory and a free temporary name, and puts it in the place of `name`.
///
/// # Errors
/// [`SwapError::Changed`] if `name` is not, or no longer, what is expected; nothing is changed then.
pub fn replace(
    dir: &DirFd,
    name: &[u8],
    expected: &Expected,
    make: impl FnOnce(&DirFd, &[u8]) -> Result<(), Fault>,
) -> Result<(), SwapError> {
    if !expected.is_at(dir, name) {
        return Err(SwapError::Changed);
    }
    let new = make_beside(dir, make)?;
    match exchange(dir, name, &new.name, expected) {
        Ok(()) => Ok(dir.unlink(&new.name)?),
        // A filesystem that cannot exchange: what is put there between this look and the rename would be lost.
        Err(SwapError::Fault(fault)) if fault.is(Errno::INVAL) && expected.is_at(dir, name) => {
            dir.rename(&new.name, dir, name).map_err(|fault| new.give_up(dir, fault.into()))
        }
        Err(SwapError::Fault(fault)) if fault.is(Errno::INVAL) => Err(new.give_up(dir, SwapError::Changed)),
        Err(error) => Err(new.give_up(dir, error)),
    }
}

/// What was under a name until something new took its place: kept beside it under a temporary name.
#[derive(Debug)]
#[must_use = "what was set aside stays under its temporary name until it is removed or put back"]
pub struct Aside {
    temporary: Vec<u8>,
}

/// As [`replace`], but what was there is kept, so that it can be [put back](Aside::put_back) until it is
/// [removed](Aside::remove).
///
/// # Errors
/// [`SwapError::Changed`] if `name` is not, or no longer, what is expected; nothing is changed then. `EINVAL` where the
/// filesystem cannot exchange names.
pub fn set_aside(
    dir: &DirFd,
    name: &[u8],
    expected: &Expected,
    make: impl FnOnce(&DirFd, &[u8]) -> Result<(), Fault>,
) -> Result<Aside, SwapError> {
    if !expected.is_at(dir, name) {
        return Err(SwapError::Changed);
    }
    let new = make_beside(dir, make)?;
    match exchange(dir, name, &new.name, expected) {
        Ok(()) => Ok(Aside { temporary: new.name }),
        Err(error) => Err(new.give_up(dir, error)),
    }
}

impl Aside {
    /// The name under which it is kept.
    #[must_use]
    pub fn temporary(&self) -> &[u8] {
        &self.temporary
    }

    /// Removes what was set aside.
    ///
    /// # Errors
    /// Whatever the filesystem says: then it is still there.
    pub fn remove(self, dir: &DirFd) -> Result<(), Fault> {
        dir.unlink(&self.temporary)
    }

    /// Gives it its name back, and removes what had taken its place, which is to be `new`.
    ///
    /// # Errors
    /// [`SwapError::Changed`] if `name` is something else by now: then what was set aside stays under its temporary name.
    pub fn put_back(&self, dir: &DirFd, name: &[u8], new: &Expected) -> Result<(), SwapError> {
        if !new.is_at(dir, name) {
            return Err(SwapError::Changed);
        }
        exchange(dir, name, &self.temporary, new)?;
        Ok(dir.unlink(&self.temporary)?)
    }
}

/// Removes `name`.
///
/// # Errors
/// [`SwapError::Changed`] if `name` is not, or no longer, what is expected; nothing is changed then.
pub fn remove(dir: &DirFd, name: &[u8], expected: &Expected) -> Result<(), SwapError> {
    if !expected.is_at(dir, name) {
        return Err(SwapError::Changed);
    }
    let temporary = temporary_name()?;
    dir.rename_noreplace(name, dir, &temporary)?;
    if expected.is_at(dir, &temporary) {
        return Ok(dir.unlink(&temporary)?);
    }
    // Where a third thing has taken the name meanwhile, this one keeps the temporary name: neither is lost.
    dir.rename_noreplace(&temporary, dir, name)?;
    Err(SwapError::Changed)
}

/// Gives `name`, which must be free, to what `make` makes.
///
/// # Errors
/// `EEXIST` if the name is taken.
pub fn create(
    dir: &DirFd,
    name: &[u8],
    make: impl FnOnce(&DirFd, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let Temporary { name: temporary, .. } = make_beside(dir, make)?;
    match dir.rename_noreplace(&temporary, dir, name) {
        // A filesystem that cannot rename without replacing (NFS): a further name replaces nothing either.
        Err(fault) if fault.is(Errno::INVAL) => {
            let linked = dir.link(&temporary, dir, name);
            dir.unlink(&temporary)?;
            linked
        }
        other => other.inspect_err(|_| {
            // The first error is the one to be told.
            let _ = dir.unlink(&temporary);
        }),
    }
}

/// Exchanges two names, and back again if what comes out is not what is expected. If the name is gone by then, what came
/// out gets it.
fn exchange(dir: &DirFd, name: &[u8], temporary: &[u8], expected: &Expected) -> Result<(), SwapError> {
    dir.exchange(temporary, name)?;
    if expected.is_at(dir, temporary) {
        return Ok(());
    }
    dir.exchange(temporary, name).or_else(|fault| match fault.errno {
        Errno::NOENT => dir.rename_noreplace(temporary, dir, name),
        _ => Err(fault),
    })?;
    Err(SwapError::Changed)
}

/// Makes something under a temporary name; if that fails half-way, nothing is left.
fn make_beside(
    dir: &DirFd,
    make: impl FnOnce(&DirFd, &[u8]) -> Result<(), Fault>,
) -> Result<Temporary, Fault> {
    let name = temporary_name()?;
    match make(dir, &name).and_then(|()| dir.stat_entry(&name)) {
        Ok(stat) => Ok(Temporary { name, identity: stat.identity() }),
        Err(fault) => {
            // The first error is the one to be told.
            let _ = dir.unlink(&name);
            Err(fault)
        }
    }
}

/// Something new under a temporary name.
struct Temporary {
    name: Vec<u8>,
    identity: (u64, u64),
}

impl Temporary {
    /// Takes away what was made, because of `error`. If another thing has the temporary name by now, somebody was quicker
    /// than two calls in a row: that is not ours to be removed, gets its name back if it can, and is told else.
    fn give_up(self, dir: &DirFd, error: SwapError) -> SwapError {
        match dir.stat_entry(&self.name) {
            Ok(stat) if stat.identity() == self.identity => {
                // The first error is the one to be told.
                let _ = dir.unlink(&self.name);
                error
            }
            Ok(_) => SwapError::Kept(self.name),
            Err(_) => error,
        }
    }
}

/// A name that nobody has: 128 random bits.
fn temporary_name() -> Result<Vec<u8>, Fault> {
    Ok(format!("{TEMPORARY}{:032x}", linksnap_inode::limits::random_128()?).into_bytes())
}

/// How temporary names begin.
const TEMPORARY: &str = ".linksnap-";

/// Is it a name that only something half done has? It is left behind where the process was killed.
#[must_use]
pub fn is_temporary(name: &[u8]) -> bool {
    let digits = name.strip_prefix(TEMPORARY.as_bytes());
    digits.is_some_and(|digits| {
        digits.len() == 32 && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

impl Expected {
    /// What is under a name now.
    ///
    /// # Errors
    /// `ENOENT` if there is nothing.
    pub fn now(dir: &DirFd, name: &[u8]) -> Result<(Self, Stat), Fault> {
        let stat = dir.stat_entry(name)?;
        let expected = match stat.kind {
            Kind::Symlink => Self::Symlink(dir.read_link(name)?),
            _ => Self::Inode(stat.identity()),
        };
        Ok((expected, stat))
    }

    fn is_at(&self, dir: &DirFd, name: &[u8]) -> bool {
        match self {
            Self::Symlink(text) => dir.read_link(name).is_ok_and(|found| found == *text),
            Self::Inode(identity) => dir.stat_entry(name).is_ok_and(|stat| stat.identity() == *identity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SwapError, make_beside};
    use linksnap_inode::DirFd;

    #[test]
    fn what_somebody_put_under_the_temporary_name_is_kept_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let fd = DirFd::open_root(dir.path()).unwrap();
        let new = make_beside(&fd, |dir, name| dir.make_symlink(name, b"new")).unwrap();
        fd.create_file(b"theirs").unwrap();
        // As when they put it at the name between the two exchanges.
        fd.rename(b"theirs", &fd, &new.name).unwrap();
        let name = new.name.clone();
        assert!(matches!(new.give_up(&fd, SwapError::Changed), SwapError::Kept(kept) if kept == name));
        assert!(fd.stat_entry(&name).is_ok());

        let new = make_beside(&fd, |dir, name| dir.make_symlink(name, b"new")).unwrap();
        let name = new.name.clone();
        assert!(matches!(new.give_up(&fd, SwapError::Changed), SwapError::Changed));
        assert!(fd.stat_entry(&name).is_err());
    }
}

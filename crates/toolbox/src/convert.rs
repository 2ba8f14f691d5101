//! Other texts for symbolic links that work: a plan, which [`relink`](crate::relink) carries out.
//!
//! **Invariant:** a new text leads to the same inode as the old one, in the order in which the kernel goes. It keeps the
//! symbolic links that the old one goes through, so that these can still change their minds.

use linksnap_inode::FsError;

use crate::links::{self, Census, Counted, Kinds, LinkKind};
use crate::relative::relative;
use crate::relink::{Deed, Step};
use crate::repair::is_alternative;
use crate::symlink::{is_below, real_dir};

/// What texts are to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// Absolute ones become relative.
    ToRelative(Reach),
    /// Relative ones become absolute.
    ToAbsolute,
    /// Those that are longer than needed become short.
    Shorten,
}

/// Which absolute links are to become relative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those that lead to something below the root: it can then be moved.
    Inside,
    /// All.
    Anywhere,
}

impl Conversion {
    /// The links that it is about, for the census.
    #[must_use]
    pub fn concerns(self) -> Kinds {
        let kind = match self {
            Self::ToRelative(_) => LinkKind::Absolute,
            Self::ToAbsolute => LinkKind::Relative,
            Self::Shorten => LinkKind::Longer,
        };
        [kind].into_iter().collect()
    }
}

/// What is proposed for a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// It gets this text.
    Text(Vec<u8>),
    /// It stays, since it leads nowhere: there is nothing to compare with.
    Dangling,
    /// It stays, since it leads out of the root.
    Leaving,
    /// It stays, since somebody wants it as it is: who.
    Kept(Keeper),
    /// It stays, since its text goes back through `..` behind another link: no plain path leads to the same.
    Unclear,
}

/// Who wants links as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// `update-alternatives`, which compares texts.
    Alternatives,
    /// systemd, which compares paths of units.
    Systemd,
}

/// A link with what is proposed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The link.
    pub counted: Counted,
    /// What is proposed.
    pub proposal: Proposal,
}

impl Converted {
    /// What is to be done, if anything.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        let (Proposal::Text(text), Some(to)) = (&self.proposal, self.counted.leads_to) else { return None };
        let deed = Deed::Retarget { text: text.clone(), to };
        Some(Step { link: self.counted.link.clone(), leads_to: Some(to), deed })
    }
}

/// Proposes a text for each link that the census lists and that the conversion concerns.
///
/// # Errors
/// If the root directory of this process cannot be opened.
pub fn plan(census: Census, conversion: Conversion) -> Result<Vec<Converted>, FsError> {
    let any = links::root_directory()?;
    let Census { listed, coverage, .. } = census;
    let concerned = listed.into_iter().filter(|one| one.kinds.meets(conversion.concerns()));
    let converted = concerned.filter_map(|counted| {
        let dir = real_dir(coverage.real_roots[counted.link.root].as_deref()?, &counted.link.path);
        let proposal = propose(&counted, &dir, conversion);
        let proposal = match (proposal, counted.leads_to) {
            // What is on the way may have changed since the census.
            (Proposal::Text(text), Some(there)) if links::leads(&any, &dir, &text) != Some(there) => {
                Proposal::Unclear
            }
            (proposal, _) => proposal,
        };
        Some(Converted { counted, proposal })
    });
    Ok(converted.collect())
}

fn propose(counted: &Counted, dir: &[u8], conversion: Conversion) -> Proposal {
    let (text, kinds) = (&counted.link.text, counted.kinds);
    if let Some(keeper) = keeper(dir, text) {
        return Proposal::Kept(keeper);
    }
    if kinds.has(LinkKind::Dangling) {
        return Proposal::Dangling;
    }
    let Some(target) = &counted.target else { return Proposal::Unclear };
    match conversion {
        Conversion::ToRelative(Reach::Inside) if kinds.has(LinkKind::Leaving) => Proposal::Leaving,
        Conversion::ToRelative(_) => Proposal::Text(relative(dir, target)),
        Conversion::ToAbsolute => Proposal::Text(target.clone()),
        Conversion::Shorten => counted.shortest.clone().map_or(Proposal::Unclear, Proposal::Text),
    }
}

/// Who wants this link, in the directory with that real path, as it is?
fn keeper(dir: &[u8], text: &[u8]) -> Option<Keeper> {
    const SYSTEMD: [&[u8]; 4] = [b"/etc/systemd", b"/run/systemd", b"/usr/lib/systemd", b"/lib/systemd"];
    const OF_USERS: &[u8] = b"/.config/systemd/";
    let of_user = dir.windows(OF_USERS.len()).any(|part| part == OF_USERS);
    match () {
        () if is_alternative(dir, text) => Some(Keeper::Alternatives),
        () if of_user || SYSTEMD.iter().any(|systemd| is_below(dir, systemd)) => Some(Keeper::Systemd),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Keeper, keeper};

    #[test]
    fn links_that_others_compare_stay() {
        let table = [
            (
                "/etc/systemd/system/multi-user.target.wants",
                "/usr/lib/systemd/system/x",
                Some(Keeper::Systemd),
            ),
            ("/home/a/.config/systemd/user/default.target.wants", "/x", Some(Keeper::Systemd)),
            ("/usr/bin", "/etc/alternatives/awk", Some(Keeper::Alternatives)),
            ("/etc/alternatives", "/usr/bin/mawk", Some(Keeper::Alternatives)),
            ("/etc/systemd-other", "/x", None),
            ("/srv/www", "/etc/passwd", None),
        ];
        for (dir, text, wanted) in table {
            assert_eq!(keeper(dir.as_bytes(), text.as_bytes()), wanted, "{dir}");
        }
    }
}

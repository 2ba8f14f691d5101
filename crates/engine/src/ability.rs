//! Abilities in words: what a filesystem can and cannot do for snapshots, and why one will not do.

use linksnap_inode::filesystem::{Abilities, Nature};

use crate::repository::{Durability, MarkerFilesystem};

/// What was found, in sentences, and whether sync promises nothing; or why the filesystem will not do, and what the user
/// can do.
pub type Verdict = Result<(Vec<String>, bool), (String, String)>;

/// Judges a filesystem by its name, what is known of its kind, and what was tried out.
pub fn judge(name: &str, nature: Nature, abilities: &Abilities, durability: Durability) -> Verdict {
    let elsewhere = "use a disk with ext4, XFS or btrfs, or an ext4 image file mounted by loop".to_owned();
    if !abilities.hard_links || nature == Nature::NoLinks {
        return Err((format!("{name} has no hard links"), elsewhere));
    }
    if !abilities.true_inode_numbers {
        return Err((format!("directories of {name} do not tell true inode numbers"), elsewhere));
    }
    if !abilities.rename_noreplace {
        return Err((format!("{name} cannot rename without replacing"), elsewhere));
    }
    let is_barrier = matches!(nature, Nature::Disk { .. });
    if !is_barrier && durability == Durability::Required {
        let reason = format!("on {name}, sync does not promise that data are on a disk");
        return Err((reason, format!("{elsewhere}; or accept the risk with --degraded")));
    }
    let mut findings = vec![format!("filesystem {name}: hard links and atomic renames work")];
    if let Nature::Disk { links: Some(links) } = nature {
        findings.push(format!("one inode can have {links} names; beyond that files are copied once more"));
    }
    if !is_barrier {
        findings.push("degraded: a power cut may damage snapshots that were called complete".to_owned());
    }
    if matches!(name, "tmpfs" | "ramfs") {
        findings.push("this is memory: all of it is gone when the machine stops".to_owned());
    }
    findings.push(sharing(abilities.reflinks).to_owned());
    findings.extend(lacks(abilities));
    Ok((findings, !is_barrier))
}

fn sharing(reflinks: bool) -> &'static str {
    match reflinks {
        true => "copies can share their blocks (reflinks)",
        false => "copies cannot share their blocks (no reflinks)",
    }
}

/// What cannot be kept here.
fn lacks(abilities: &Abilities) -> Vec<String> {
    let mut lacks = Vec::new();
    let mut lack = |is_there: bool, words: &str| {
        if !is_there {
            lacks.push(words.to_owned());
        }
    };
    lack(abilities.xattrs, "no extended attributes here: capabilities and labels cannot be kept");
    lack(abilities.acls, "no ACLs here: they cannot be kept");
    lack(abilities.owners, "not running as root: owners other than your own cannot be kept");
    lack(abilities.symlinks, "no symbolic links here: they cannot be kept");
    lack(
        abilities.symlink_links || !abilities.symlinks,
        "symbolic links cannot have several names: every snapshot has its own",
    );
    lack(abilities.case_sensitive, "names that differ only in upper and lower case are the same here");
    lack(abilities.time_step == 1, &format!("times are kept in steps of {} only", step(abilities.time_step)));
    lacks
}

/// `100 ns`, `2 s`.
fn step(nanoseconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    let (unit, word) = UNITS.into_iter().find(|(unit, _)| nanoseconds >= *unit).unwrap_or((1, "ns"));
    format!("{} {word}", nanoseconds / unit)
}

/// What has changed since the marker was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// What cannot be kept any more.
    pub lost: Vec<String>,
    /// What can be kept now.
    pub gained: Vec<String>,
}

/// Compares what the marker says with what was tried out now. That owners cannot be kept by an ordinary user is said
/// elsewhere, once a run.
pub fn compare(marker: &MarkerFilesystem, now: &Abilities) -> Changes {
    let mut changes = Changes::default();
    let mut note = |before: Option<bool>, now: bool, what: &str| match (before, now) {
        (Some(true), false) => changes.lost.push(format!("{what}: not any more")),
        (Some(false), true) => changes.gained.push(format!("{what}: now")),
        _ => {}
    };
    note(Some(true), now.hard_links, "hard links");
    note(Some(marker.xattrs), now.xattrs, "extended attributes");
    note(marker.acls, now.acls, "ACLs");
    note(Some(marker.symlink_links), now.symlink_links, "several names for symbolic links");
    note(marker.reflinks, now.reflinks, "copies that share their blocks");
    note(marker.case_sensitive, now.case_sensitive, "upper and lower case");
    note(Some(marker.nanoseconds), now.time_step == 1, "times in nanoseconds");
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Nature = Nature::Disk { links: Some(65_000) };
    const ALL: Abilities = Abilities::ASSUMED;

    fn refused(name: &str, nature: Nature, abilities: Abilities) -> String {
        let (reason, remedy) =
            judge(name, nature, &abilities, Durability::Required).expect_err("it will not do");
        assert!(remedy.contains("ext4 image file mounted by loop"), "{remedy}");
        reason
    }

    #[test]
    fn filesystems_that_will_not_do_are_refused_with_the_reason() {
        // Whatever seems to work there.
        assert_eq!(refused("vfat", Nature::NoLinks, ALL), "vfat has no hard links");
        assert_eq!(refused("exfat", Nature::NoLinks, ALL), "exfat has no hard links");
        let without = Abilities { hard_links: false, ..ALL };
        assert_eq!(refused("0x1234", Nature::Unknown, without), "0x1234 has no hard links");
        let without = Abilities { true_inode_numbers: false, ..ALL };
        assert!(refused("ext4", DISK, without).contains("true inode numbers"));
        let without = Abilities { rename_noreplace: false, ..ALL };
        assert!(refused("ext4", DISK, without).contains("rename"));
        assert!(refused("nfs", Nature::NoBarrier, ALL).contains("sync does not promise"));
        let degraded = judge("nfs", Nature::NoBarrier, &ALL, Durability::Degraded).expect("accepted");
        assert!(degraded.1 && degraded.0.iter().any(|words| words.contains("power cut")), "{degraded:?}");
    }

    #[test]
    fn every_lack_is_said_in_plain_words() {
        let said = |abilities: Abilities| {
            judge("ext4", DISK, &abilities, Durability::Required).expect("it will do").0.join("\n")
        };
        let all = said(ALL);
        assert!(all.contains("65000 names") && all.contains("can share their blocks"), "{all}");
        assert_eq!(all.lines().count(), 3, "{all}");
        for (abilities, words) in [
            (Abilities { xattrs: false, ..ALL }, "no extended attributes"),
            (Abilities { acls: false, ..ALL }, "no ACLs"),
            (Abilities { owners: false, ..ALL }, "owners"),
            (Abilities { symlinks: false, symlink_links: false, ..ALL }, "no symbolic links"),
            (Abilities { symlink_links: false, ..ALL }, "several names"),
            (Abilities { case_sensitive: false, ..ALL }, "upper and lower case"),
            (Abilities { reflinks: false, ..ALL }, "cannot share"),
            (Abilities { time_step: 1_000, ..ALL }, "steps of 1 µs"),
            (Abilities { time_step: 100, ..ALL }, "steps of 100 ns"),
            (Abilities { time_step: 2_000_000_000, ..ALL }, "steps of 2 s"),
        ] {
            assert!(said(abilities).contains(words), "{words}: {}", said(abilities));
        }
    }

    #[test]
    fn only_what_changed_is_a_change() {
        let marker = MarkerFilesystem::new("ext4", Some(65_000), &ALL);
        assert_eq!(compare(&marker, &ALL), Changes::default());
        let now = Abilities { acls: false, xattrs: false, owners: false, ..ALL };
        let lost = compare(&marker, &now).lost;
        assert_eq!(lost, ["extended attributes: not any more", "ACLs: not any more"]);
        let marker = MarkerFilesystem::new("ext4", None, &now);
        let changes = compare(&marker, &ALL);
        assert_eq!((changes.lost.len(), changes.gained.len()), (0, 2));
        // Written by a program that did not try them.
        let marker = MarkerFilesystem { acls: None, reflinks: None, case_sensitive: None, ..marker };
        assert_eq!(compare(&marker, &Abilities { reflinks: false, ..now }), Changes::default());
    }
}

//! The alternatives system: what its administrative files say, and what is wrong with the links.
//!
//! A group has a *link* (`/usr/bin/awk`) that leads through `/etc/alternatives/NAME` to the chosen one of several *paths*,
//! and *slaves* that go along (manual pages). Debian keeps the groups in `/var/lib/dpkg/alternatives`
//! (`update-alternatives(1)`), Fedora in `/var/lib/alternatives` (`alternatives(8)`), in nearly the same format.
//!
//! All paths are those of a root directory, as a process would see them for which it is `/`.

use std::path::{Path, PathBuf};

use linksnap_inode::dir::path_bytes;
use linksnap_inode::path::{join, split};
use linksnap_inode::{DirFd, Errno, FsError, Kind};

use crate::Place;

/// Where the system is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The directory that paths start from.
    pub root: PathBuf,
    /// The administrative directory, as it is to be opened.
    pub admin: PathBuf,
    /// The directory of the links in the middle, below the root: `/etc/alternatives`.
    pub links: Vec<u8>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name, which is that of the link in the middle.
    pub name: Vec<u8>,
    /// Who chooses.
    pub mode: Mode,
    /// The link that users use.
    pub link: Vec<u8>,
    /// Name and link of each slave.
    pub slaves: Vec<(Vec<u8>, Vec<u8>)>,
    /// What can be chosen.
    pub choices: Vec<Choice>,
}

/// Who chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The highest priority.
    Auto,
    /// Somebody has.
    Manual,
}

/// Something that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its path.
    pub path: Vec<u8>,
    /// The highest is chosen by itself.
    pub priority: i64,
    /// The path of each slave, empty where it has none.
    pub slaves: Vec<Vec<u8>>,
}

/// What is wrong with a link of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The link in the middle is missing.
    NoChoice,
    /// The link in the middle leads nowhere.
    ChoiceGone,
    /// The link in the middle leads to something that is none of the choices.
    Unknown,
    /// The link that users use is missing.
    NoLink,
    /// The link that users use does not lead through the link in the middle.
    Elsewhere,
    /// One of the choices is not there, though not the chosen one.
    NotThere,
    /// The link of a slave leads nowhere.
    SlaveGone,
    /// A link in the directory of the links in the middle belongs to no group, and leads nowhere.
    Orphan,
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The group; for an orphan the link's own name.
    pub group: Vec<u8>,
    /// The path it is about, as of the root.
    pub path: Vec<u8>,
    /// What it says, where it is a link.
    pub text: Option<Vec<u8>>,
    /// What is wrong.
    pub fault: Fault,
    /// What `update-alternatives --auto` would choose; `None` if nothing that can be chosen is there.
    pub best: Option<Vec<u8>>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// By group, in the order of their names.
    pub findings: Vec<Finding>,
    /// Groups that were looked at.
    pub groups: u64,
    /// Administrative files that could not be read, or make no sense.
    pub problems: Vec<Problem>,
}

/// Why a group could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The file is not in the format.
    #[error("{} is no file of the alternatives system: line {line} should be {wanted}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What should be there.
        wanted: &'static str,
    },
}

/// The largest administrative file that is read, in bytes.
const LARGEST: usize = 4 << 20;

/// Looks at all groups.
///
/// # Errors
/// If the root or the administrative directory cannot be read.
pub fn check(site: &Site) -> Result<Report, FsError> {
    let root = DirFd::open_root(&site.root).map_err(|fault| fault.at(&site.root))?;
    let admin = DirFd::open_root(&site.admin).map_err(|fault| fault.at(&site.admin))?;
    let names = admin.sorted_names().map_err(|fault| fault.at(&site.admin))?;
    let mut report = Report::default();
    let mut known = Vec::new();
    for name in names.iter() {
        let path = site.admin.join(linksnap_inode::path::as_path(name.bytes));
        match read(&path, name.bytes) {
            Ok(group) => {
                report.groups += 1;
                known.push(group.name.clone());
                known.extend(group.slaves.iter().map(|(name, _)| name.clone()));
                Checker { root: &root, links: &site.links, group: &group }.check(&mut report.findings);
            }
            Err(problem) => report.problems.push(problem),
        }
    }
    orphans(&root, &site.links, &known, &mut report);
    Ok(report)
}

/// Reads the administrative file of the group `name`.
///
/// # Errors
/// If it cannot be read, or is not in the format.
pub fn read(path: &Path, name: &[u8]) -> Result<Group, Problem> {
    let place = Place::find(path)?;
    let file = place.dir.open_file(&place.name).and_then(|file| file.read_all(LARGEST));
    let bytes = file.map_err(|fault| fault.at(path))?;
    parse(name, &bytes).map_err(|(line, wanted)| Problem::Format { path: path.to_path_buf(), line, wanted })
}

/// Lines of a file, counted.
struct Lines<'a> {
    rest: std::slice::Split<'a, u8, fn(&u8) -> bool>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self, wanted: &'static str) -> Result<&'a [u8], (usize, &'static str)> {
        self.number += 1;
        self.rest.next().ok_or((self.number, wanted))
    }
}

/// A group from its file; or the number of the line that is wrong, and what should be there.
fn parse(name: &[u8], bytes: &[u8]) -> Result<Group, (usize, &'static str)> {
    let is_end: fn(&u8) -> bool = |byte| *byte == b'\n';
    let mut lines = Lines { rest: bytes.split(is_end), number: 0 };
    let mode = match lines.next("auto or manual")? {
        b"auto" => Mode::Auto,
        b"manual" => Mode::Manual,
        _ => return Err((1, "auto or manual")),
    };
    let link = lines.next("the path of the link")?;
    if !link.starts_with(b"/") {
        return Err((2, "the path of the link"));
    }
    let mut slaves = Vec::new();
    loop {
        let slave = lines.next("the name of a slave, or empty")?;
        if slave.is_empty() {
            break;
        }
        slaves.push((slave.to_vec(), lines.next("the path of a slave's link")?.to_vec()));
    }
    let mut choices = Vec::new();
    // Debian ends with an empty line, Fedora with the file.
    while let Ok(path @ [_, ..]) = lines.next("a path that can be chosen") {
        let priority = lines.next("a priority")?;
        let priority = parse_priority(priority).ok_or((lines.number, "a priority"))?;
        let paths = slaves.iter().map(|_| lines.next("the path of a slave").map(<[u8]>::to_vec));
        let choice = Choice { path: path.to_vec(), priority, slaves: paths.collect::<Result<_, _>>()? };
        choices.push(choice);
    }
    Ok(Group { name: name.to_vec(), mode, link: link.to_vec(), slaves, choices })
}

/// `50`; on Fedora also `@family@50` and `50 service`.
fn parse_priority(line: &[u8]) -> Option<i64> {
    let text = str::from_utf8(line).ok()?;
    let text = match text.strip_prefix('@') {
        Some(family) => family.split_once('@')?.1,
        None => text,
    };
    text.split(' ').next()?.parse().ok()
}

struct Checker<'a> {
    root: &'a DirFd,
    links: &'a [u8],
    group: &'a Group,
}

impl Checker<'_> {
    fn check(&self, findings: &mut Vec<Finding>) {
        let middle = join(self.links, &self.group.name);
        let chosen = self.text(&middle);
        let mut found = |path: &[u8], text: Option<Vec<u8>>, fault: Fault| {
            let (group, best) = (self.group.name.clone(), self.best());
            findings.push(Finding { group, path: path.to_vec(), text, fault, best });
        };
        let is_choice = |text: &[u8]| self.group.choices.iter().any(|choice| choice.path == text);
        match &chosen {
            None => found(&middle, None, Fault::NoChoice),
            Some(text) if !self.is_there(&middle) => found(&middle, Some(text.clone()), Fault::ChoiceGone),
            Some(text) if !is_choice(text) => found(&middle, Some(text.clone()), Fault::Unknown),
            Some(_) => {}
        }
        match self.text(&self.group.link) {
            Some(text) if text == middle => {}
            None if !self.is_there(&self.group.link) => found(&self.group.link, None, Fault::NoLink),
            text => found(&self.group.link, text, Fault::Elsewhere),
        }
        for choice in &self.group.choices {
            if chosen.as_ref() != Some(&choice.path) && !self.is_there(&choice.path) {
                found(&choice.path, None, Fault::NotThere);
            }
        }
        for (name, link) in &self.group.slaves {
            for path in [&join(self.links, name), link] {
                if let Some(text) = self.text(path).filter(|_| !self.is_there(path)) {
                    found(path, Some(text), Fault::SlaveGone);
                }
            }
        }
    }

    /// The first of those with the highest priority that are there.
    fn best(&self) -> Option<Vec<u8>> {
        let there = self.group.choices.iter().filter(|choice| self.is_there(&choice.path));
        let best = there.reduce(|best, next| if next.priority > best.priority { next } else { best });
        best.map(|choice| choice.path.clone())
    }

    fn is_there(&self, path: &[u8]) -> bool {
        self.root.stat_in_root(path).is_ok()
    }

    fn text(&self, path: &[u8]) -> Option<Vec<u8>> {
        text(self.root, path)
    }
}

/// What the link at `path` says.
fn text(root: &DirFd, path: &[u8]) -> Option<Vec<u8>> {
    let (dir, name) = split(path);
    let dir = if dir.is_empty() { b"/" } else { dir };
    root.open_dir_in_root(dir).and_then(|dir| dir.read_link(name)).ok()
}

/// Links in the middle that belong to nobody, and lead nowhere.
fn orphans(root: &DirFd, links: &[u8], known: &[Vec<u8>], report: &mut Report) {
    let names = root.open_dir_in_root(links).and_then(|dir| dir.names().map(|names| (dir, names)));
    let (dir, mut names) = match names {
        Ok(found) => found,
        // No link was ever made.
        Err(fault) if fault.is(Errno::NOENT) && known.is_empty() => return,
        Err(fault) => {
            report.problems.push(fault.at(linksnap_inode::path::as_path(links)).into());
            return;
        }
    };
    names.sort_by_name();
    let known: std::collections::HashSet<&[u8]> = known.iter().map(Vec::as_slice).collect();
    for name in names.iter().filter(|name| name.kind.is_none_or(|kind| kind == Kind::Symlink)) {
        let path = join(links, name.bytes);
        if known.contains(name.bytes) || root.stat_in_root(&path).is_ok() {
            continue;
        }
        if let Ok(text) = dir.read_link(name.bytes) {
            let (group, text) = (name.bytes.to_vec(), Some(text));
            report.findings.push(Finding { group, path, text, fault: Fault::Orphan, best: None });
        }
    }
}

/// A path as [`Site::links`] wants it: absolute, as of the root.
#[must_use]
pub fn as_of_root(path: &Path) -> Vec<u8> {
    let bytes = path_bytes(path);
    if bytes.starts_with(b"/") { bytes.to_vec() } else { [b"/", bytes].concat() }
}

#[cfg(test)]
mod tests {
    use super::{Mode, parse, parse_priority};

    const AWK: &[u8] = b"auto\n/usr/bin/awk\nawk.1.gz\n/usr/share/man/man1/awk.1.gz\nnawk\n/usr/bin/nawk\n\n\
        /usr/bin/gawk\n10\n/usr/share/man/man1/gawk.1.gz\n\n/usr/bin/mawk\n5\n\n/usr/bin/mawk\n\n";

    #[test]
    fn files_of_debian_are_read() {
        let group = parse(b"awk", AWK).unwrap();
        assert_eq!((group.mode, group.link.as_slice()), (Mode::Auto, b"/usr/bin/awk".as_slice()));
        assert_eq!(group.slaves[1], (b"nawk".to_vec(), b"/usr/bin/nawk".to_vec()));
        let choices: Vec<_> =
            group.choices.iter().map(|one| (one.path.as_slice(), one.priority, one.slaves.len())).collect();
        assert_eq!(choices, [(b"/usr/bin/gawk".as_slice(), 10, 2), (b"/usr/bin/mawk".as_slice(), 5, 2)]);
        assert_eq!(group.choices[1].slaves, [b"".to_vec(), b"/usr/bin/mawk".to_vec()]);
    }

    #[test]
    fn files_of_fedora_are_read() {
        let file = b"manual\n/usr/bin/java\n\n/opt/java/bin/java\n@java-11@1800\n/opt/b\n7 service";
        let group = parse(b"java", file).unwrap();
        assert_eq!(group.mode, Mode::Manual);
        let priorities: Vec<_> = group.choices.iter().map(|choice| choice.priority).collect();
        assert_eq!(priorities, [1800, 7]);
        assert_eq!(parse_priority(b"-5"), Some(-5));
    }

    #[test]
    fn what_is_in_another_format_is_told_by_its_line() {
        let table: [(&[u8], usize); 5] = [
            (b"", 1),
            (b"auto", 2),
            (b"auto\nlink\n", 2),
            (b"auto\n/l\ns\n/s", 5),
            (b"auto\n/l\n\n/c\nhigh\n", 5),
        ];
        for (file, line) in table {
            let wrong = parse(b"x", file).expect_err("wrong");
            assert_eq!(wrong.0, line, "{}", String::from_utf8_lossy(file));
        }
    }
}

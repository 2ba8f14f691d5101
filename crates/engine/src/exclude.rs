//! Which entries a job leaves out, and which rule says so.

use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use linksnap_inode::content::Bytes;
use linksnap_inode::path;
use linksnap_inode::{DirFd, Kind, Names, Stat};

use crate::source::Sources;

/// What a user may say of what is to be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleOptions {
    /// Patterns in the syntax of `gitignore(5)`, rooted at `/`.
    pub exclude: Vec<String>,
    /// Of a directory that has an entry of one of these names, only that entry is kept.
    pub exclude_if_present: Vec<String>,
    /// Leave out the content of directories with a valid `CACHEDIR.TAG` (<https://bford.info/cachedir/>).
    pub exclude_caches: bool,
    /// Leave out files larger than this, in bytes.
    pub exclude_larger_than: Option<u64>,
}

/// A pattern that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the exclude pattern {pattern:?} is not valid: {message}")]
pub struct RuleError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub message: String,
}

/// Compiled rules.
#[derive(Debug, Clone)]
pub struct Rules {
    patterns: Gitignore,
    options: RuleOptions,
}

/// Why an entry is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excluded<'a> {
    /// By a pattern.
    Pattern(&'a str),
    /// It is too large; the limit in bytes.
    LargerThan(u64),
}

/// What the rules say of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is in.
    Included {
        /// Why, in words.
        because: String,
    },
    /// It is out.
    Excluded {
        /// Which rule says so, in words.
        because: String,
        /// The path that the rule hits: this one or a directory above it.
        at: PathBuf,
    },
}

/// The first bytes of a `CACHEDIR.TAG` that counts.
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";

impl Rules {
    /// Compiles the rules.
    pub fn new(options: &RuleOptions) -> Result<Self, RuleError> {
        let mut builder = GitignoreBuilder::new("/");
        for pattern in &options.exclude {
            let broken =
                |error: ignore::Error| RuleError { pattern: pattern.clone(), message: plain(&error) };
            builder.add_line(None, pattern).map_err(broken)?;
        }
        let patterns =
            builder.build().map_err(|error| RuleError { pattern: String::new(), message: plain(&error) })?;
        Ok(Self { patterns, options: options.clone() })
    }

    /// Are there rules that look at single names?
    #[must_use]
    pub fn are_trivial(&self) -> bool {
        self.patterns.is_empty() && self.options.exclude_larger_than.is_none()
    }

    /// Is the entry `name` of the directory `dir` (relative to `/`) left out by its name?
    #[must_use]
    pub fn excludes_name(&self, dir: &[u8], name: &[u8], is_dir: bool) -> Option<Excluded<'_>> {
        if self.patterns.is_empty() {
            return None;
        }
        let full = path::absolute(&path::join(dir, name));
        match self.patterns.matched(path::as_path(&full), is_dir) {
            Match::Ignore(glob) => Some(Excluded::Pattern(glob.original())),
            Match::Whitelist(_) | Match::None => None,
        }
    }

    /// Is the entry left out for what its inode says?
    #[must_use]
    pub fn excludes_stat(&self, stat: &Stat) -> Option<Excluded<'_>> {
        self.options
            .exclude_larger_than
            .filter(|limit| stat.kind == Kind::File && stat.size > *limit)
            .map(Excluded::LargerThan)
    }

    /// Does a directory with these names keep only its marker? The name of the marker then.
    #[must_use]
    pub fn marker_in(&self, dir: &DirFd, names: &Names) -> Option<Vec<u8>> {
        let markers = &self.options.exclude_if_present;
        if let Some(marker) = markers.iter().find(|marker| names.contains(marker.as_bytes())) {
            return Some(marker.as_bytes().to_vec());
        }
        let caches = self.options.exclude_caches && names.contains(CACHE_TAG) && is_cache(dir);
        caches.then(|| CACHE_TAG.to_vec())
    }

    /// Says of an absolute path whether it is in or out of a job with these sources, and which rule decides;
    /// looks at the disk for the rules that need it (kinds, sizes, marker files). Sources and the directories
    /// that lead to them are in, whatever the rules say.
    #[must_use]
    pub fn explain(&self, written: &Path, sources: &Sources) -> Verdict {
        let Some(whole) = path::relative(linksnap_inode::dir::path_bytes(written)) else {
            return Verdict::Included { because: "a path with .. cannot be judged".to_owned() };
        };
        if !sources.paths().any(|source| path::below(&whole, source).is_some()) {
            let because = "it is in none of the sources".to_owned();
            return Verdict::Excluded { because, at: written.to_path_buf() };
        }
        let mut dir = Vec::new();
        let mut disk = DirFd::open_root(Path::new("/")).ok();
        for name in path::parts(&whole) {
            let stat = disk.as_ref().and_then(|dir| dir.stat_entry(name).ok());
            let here = path::join(&dir, name);
            if sources.paths().any(|source| path::below(source, &here).is_some()) {
                disk = disk.and_then(|dir| dir.open_dir(name).ok());
                dir = here;
                continue;
            }
            let is_last = here == whole;
            let is_dir = stat.map_or(!is_last, |stat| stat.kind == Kind::Directory);
            let by_name = self.excludes_name(&dir, name, is_dir);
            let by_stat = || stat.as_ref().and_then(|stat| self.excludes_stat(stat));
            let by_marker = || {
                let dir = disk.as_ref()?;
                let marker = self.marker_in(dir, &dir.names().ok()?)?;
                (marker != name).then_some(marker)
            };
            let at = path::as_path(&path::absolute(&path::join(&dir, name))).to_path_buf();
            if let Some(rule) = by_name.or_else(by_stat) {
                return Verdict::Excluded { because: rule.to_string(), at };
            }
            if let Some(marker) = by_marker() {
                let at = path::as_path(&path::absolute(&dir)).to_path_buf();
                let marker = String::from_utf8_lossy(&marker).into_owned();
                return Verdict::Excluded { because: format!("the marker file {marker} in it"), at };
            }
            disk = disk.and_then(|dir| dir.open_dir(name).ok());
            dir = path::join(&dir, name);
        }
        Verdict::Included { because: self.why_included(&whole) }
    }

    fn why_included(&self, whole: &[u8]) -> String {
        let full = path::absolute(whole);
        match self.patterns.matched(path::as_path(&full), false) {
            Match::Whitelist(glob) => format!("the pattern {}", glob.original()),
            _ => "no rule leaves it out".to_owned(),
        }
    }
}

impl std::fmt::Display for Excluded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(f, "the pattern {pattern}"),
            Self::LargerThan(limit) => write!(f, "it is larger than {limit} bytes"),
        }
    }
}

fn is_cache(dir: &DirFd) -> bool {
    let mut start = [0; CACHE_SIGNATURE.len()];
    let read = dir.open_file(CACHE_TAG).and_then(|file| file.read_at(&mut start, 0));
    read == Ok(CACHE_SIGNATURE.len()) && start == CACHE_SIGNATURE
}

fn plain(error: &ignore::Error) -> String {
    match error {
        ignore::Error::Glob { err, .. } => err.clone(),
        ignore::Error::WithLineNumber { err, .. } | ignore::Error::WithPath { err, .. } => plain(err),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(exclude: &[&str]) -> Rules {
        let exclude = exclude.iter().map(ToString::to_string).collect();
        Rules::new(&RuleOptions { exclude, ..RuleOptions::default() }).expect("valid patterns")
    }

    #[test]
    fn patterns_follow_gitignore() {
        let rules = rules(&["*.tmp", "/srv/www/*/cache/", "!keep.tmp"]);
        assert!(rules.excludes_name(b"a/b", b"x.tmp", false).is_some());
        assert!(rules.excludes_name(b"a/b", b"keep.tmp", false).is_none());
        assert!(rules.excludes_name(b"srv/www/one", b"cache", true).is_some());
        assert!(rules.excludes_name(b"srv/www/one", b"cache", false).is_none());
        assert!(rules.excludes_name(b"other/srv/www/one", b"cache", true).is_none());
    }

    #[test]
    fn names_need_not_be_utf8() {
        let rules = rules(&["*.tmp"]);
        assert!(rules.excludes_name(b"", b"\xff.tmp", false).is_some());
        assert!(rules.excludes_name(b"", b"\xff.txt", false).is_none());
    }

    #[test]
    fn a_broken_pattern_is_named() {
        let options = RuleOptions { exclude: vec!["[z-a]".to_owned()], ..RuleOptions::default() };
        assert_eq!(Rules::new(&options).expect_err("not valid").pattern, "[z-a]");
    }
}

//! Words for why a path goes no further.

use linksnap_inode::path::absolute;
use linksnap_toolbox::resolve::{MOST_LINKS, Stop, Why};

use crate::{json, kind};

/// A word for programs.
pub fn word(why: Why) -> &'static str {
    match why {
        Why::Missing => "missing",
        Why::Loop => "loop",
        Why::TooManyLinks => "too-many-links",
        Why::NotADirectory(_) => "not-a-directory",
        Why::Denied => "permission",
        Why::ForeignLink => "foreign-link",
        Why::LinksRefused => "links-refused",
        Why::Nameless => "nameless",
        Why::Fault(_) => "fault",
    }
}

/// A sentence for people, and what they can do, if there is something.
pub fn words(stop: &Stop) -> (String, Option<String>) {
    let within = stop.within.as_deref().map_or_else(|| "a directory without a path".to_owned(), shown);
    let name = json::text(&stop.name);
    let plain = |words: String| (words, None);
    match stop.why {
        Why::Missing if name.is_empty() => plain("the path is empty".to_owned()),
        Why::Missing => plain(format!("there is no {name:?} in {within}")),
        Why::Loop => plain(format!("the link {name:?} in {within} leads back to itself")),
        Why::TooManyLinks => {
            plain(format!("there are more than {MOST_LINKS} links: no program can open this path"))
        }
        Why::NotADirectory(found) => {
            plain(format!("{within} is no directory, but a {}: nothing can be below it", kind::word(found)))
        }
        Why::Denied => (
            format!("you may not search {within} for {name:?}"),
            Some(format!("that needs the right x on {within}, or root")),
        ),
        Why::ForeignLink => (
            format!(
                "the kernel does not follow the link {name:?} in {within}, in which everybody may make links"
            ),
            Some("it is another user's; fs.protected_symlinks is on (sysctl)".to_owned()),
        ),
        Why::LinksRefused => (
            format!("the filesystem of the link {name:?} in {within} is mounted with nosymfollow"),
            Some("mount it without that option, or name what the link says".to_owned()),
        ),
        Why::Nameless => {
            plain("it leads to something that has no path (deleted, or never in a directory)".to_owned())
        }
        Why::Fault(fault) => {
            plain(format!("{within} does not answer for {name:?}: {}", std::io::Error::from(fault.errno)))
        }
    }
}

fn shown(path: &[u8]) -> String {
    json::text(&absolute(path))
}

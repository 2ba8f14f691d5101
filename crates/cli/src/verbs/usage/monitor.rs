//! What a monitoring system expects of a plugin: a line of words, performance data behind a bar, and the exit code
//! (<https://www.monitoring-plugins.org/doc/guidelines.html>).

use linksnap_inode::FsError;
use linksnap_inode::dir::path_bytes;
use linksnap_toolbox::usage::{Amount, State, Thresholds, Usage};

use super::{Found, worst};
use crate::escape;
use crate::exit::Exit;
use crate::output::Output;
use crate::size::counted;

/// Prints the line. Whatever goes wrong is an answer, too: UNKNOWN.
pub fn monitor(found: Result<Found, FsError>, thresholds: Thresholds, output: &Output) -> Exit {
    let warn = thresholds.warn.or_else(|| Some(thresholds.crit.unwrap_or(80).min(80)));
    let crit = thresholds.crit.or_else(|| Some(thresholds.warn.unwrap_or(95).max(95)));
    let thresholds = Thresholds { warn, crit };
    let (line, exit) = match found {
        Ok((found, problems)) => answer(&found, &problems, thresholds),
        Err(error) => (format!("USAGE UNKNOWN - {}", words(&error)), Exit::Problems),
    };
    output.line(line);
    exit
}

fn answer(found: &[Usage], problems: &[FsError], thresholds: Thresholds) -> (String, Exit) {
    let (word, exit) = match (worst(found, thresholds), problems) {
        (State::Critical, _) => ("CRITICAL", Exit::Critical),
        (_, [_, ..]) => ("UNKNOWN", Exit::Problems),
        (State::Warning, _) => ("WARNING", Exit::Warning),
        (State::Ok, []) => ("OK", Exit::Done),
    };
    let full = found.iter().filter(|one| one.state(thresholds) > State::Ok).map(fullness);
    let mut said: Vec<String> = full.chain(problems.iter().map(words)).collect();
    if said.is_empty() {
        let fullest = found.iter().max_by_key(|one| one.percent());
        let fullest = fullest.map_or_else(String::new, |one| format!(", the fullest is {}", fullness(one)));
        said.push(format!("{}{fullest}", counted(found.len() as u64, "filesystem", "filesystems")));
    }
    let data: Vec<String> = found.iter().flat_map(|one| data(one, thresholds)).collect();
    (format!("USAGE {word} - {} | {}", said.join("; "), data.join(" ")), exit)
}

fn words(error: &FsError) -> String {
    name(format!("{error}: {}", error.source).as_bytes())
}

/// A bar would begin the performance data.
fn name(bytes: &[u8]) -> String {
    escape::for_terminal(bytes).replace('|', "/")
}

/// `/var: 97% of bytes, 12% of inodes`.
fn fullness(one: &Usage) -> String {
    let part = |amount: Option<Amount>, of: &str| {
        amount.and_then(|amount| amount.percent()).map(|percent| format!("{percent}% of {of}"))
    };
    let parts = [part(Some(one.bytes), "bytes"), part(one.inodes.amount(), "inodes")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}: {}", name(path_bytes(&one.point)), parts.join(", "))
}

/// `'/var'=USEDB;WARN;CRIT;0;MAX`, and the same of inodes. Labels have no `'` and no `=`.
fn data(one: &Usage, thresholds: Thresholds) -> Vec<String> {
    let label = name(path_bytes(&one.point)).replace(['\'', '='], "_");
    let datum = |amount: Amount, suffix: &str, unit: &str| {
        let most = amount.used.saturating_add(amount.free);
        let at = |percent: Option<u8>| {
            percent.map_or_else(String::new, |percent| {
                (u128::from(most) * u128::from(percent) / 100).to_string()
            })
        };
        let (warn, crit) = (at(thresholds.warn), at(thresholds.crit));
        format!("'{label}{suffix}'={}{unit};{warn};{crit};0;{most}", amount.used)
    };
    let bytes = datum(one.bytes, "", "B");
    std::iter::once(bytes).chain(one.inodes.amount().map(|inodes| datum(inodes, " inodes", ""))).collect()
}

#[cfg(test)]
mod tests {
    use super::answer;
    use crate::exit::Exit;
    use linksnap_inode::{Errno, Fault};
    use linksnap_toolbox::usage::{Amount, Inodes, Thresholds, Usage};

    fn usage(point: &str, used: u64) -> Usage {
        Usage {
            point: point.into(),
            source: b"/dev/sda".to_vec(),
            kind: "ext4".to_owned(),
            bytes: Amount { total: 1100, used: used * 10, free: 1000 - used * 10 },
            inodes: Inodes::Fixed(Amount { total: 200, used: 20, free: 180 }),
        }
    }

    #[test]
    fn the_worst_decides_and_what_cannot_be_asked_is_worse_than_a_warning() {
        let thresholds = Thresholds { warn: Some(80), crit: Some(95) };
        let (fine, full, overfull) = (usage("/", 50), usage("/a|b", 80), usage("/c", 99));
        let problem = || Fault::new("ask the filesystem of", Errno::IO).at("/d");
        let (line, exit) = answer(std::slice::from_ref(&fine), &[], thresholds);
        let data = "'/'=500B;800;950;0;1000 '/ inodes'=20;160;190;0;200";
        assert_eq!(
            (line, exit),
            (
                format!("USAGE OK - 1 filesystem, the fullest is /: 50% of bytes, 10% of inodes | {data}"),
                Exit::Done
            )
        );
        let (line, exit) = answer(&[fine, full.clone()], &[], thresholds);
        assert!(line.starts_with("USAGE WARNING - /a/b: 80% of bytes, 10% of inodes | "), "{line}");
        assert_eq!(exit, Exit::Warning);
        let (line, exit) = answer(std::slice::from_ref(&full), &[problem()], thresholds);
        assert!(line.starts_with("USAGE UNKNOWN - /a/b: 80% of bytes, 10% of inodes; cannot ask"), "{line}");
        assert_eq!(exit, Exit::Problems);
        assert_eq!(answer(&[full, overfull], &[problem()], thresholds).1, Exit::Critical);
    }
}

//! What frees deleted files: the commands, with what each gives back.

use std::collections::BTreeMap;

use linksnap_inode::Kind;
use linksnap_toolbox::deleted::{Deleted, File, Hold, Holder, Unit};

use crate::output::Output;
use crate::size::bytes;

/// Programs that open their logs anew when they are told to, and how.
const LOGGERS: [(&[u8], &str); 8] = [
    (b"rsyslogd", "HUP"),
    (b"syslog-ng", "HUP"),
    (b"syslogd", "HUP"),
    (b"auditd", "USR1"),
    (b"nginx", "USR1"),
    (b"httpd", "USR1"),
    (b"apache2", "USR1"),
    (b"squid", "USR1"),
];

/// What can be done about some files.
#[derive(Default)]
struct Gain {
    bytes: u64,
    truncations: Vec<String>,
}

/// One line for each thing that can be done, that which gives back most first.
pub fn remedies(found: &Deleted, output: &Output) -> Vec<String> {
    let mut gains: BTreeMap<String, Gain> = BTreeMap::new();
    for file in found.files.iter().filter(|file| file.stat.is_none() || file.disk_bytes() > 0) {
        let gain = gains.entry(remedy(file, output)).or_default();
        gain.bytes = gain.bytes.saturating_add(file.disk_bytes());
        gain.truncations.extend(truncation(file));
    }
    let mut all: Vec<(String, Gain)> = gains.into_iter().collect();
    all.sort_by(|a, b| (b.1.bytes, &a.0).cmp(&(a.1.bytes, &b.0)));
    let line = |(remedy, gain): (String, Gain)| match gain.truncations.as_slice() {
        [] => format!("{remedy}   ({})", bytes(gain.bytes)),
        some => format!("{remedy}, or linksnap deleted {}   ({})", some.join(" "), bytes(gain.bytes)),
    };
    all.into_iter().map(line).collect()
}

/// Nothing is freed until all who hold the file have let it go.
fn remedy(file: &File, output: &Output) -> String {
    let mut deeds: Vec<String> = Vec::new();
    let mut ends: Vec<String> = Vec::new();
    for holder in &file.holders {
        match deed(file, holder, output) {
            Some(deed) if deeds.contains(&deed) => {}
            Some(deed) => deeds.push(deed),
            None => ends.push(holder.process.pid.to_string()),
        }
    }
    match ends.len() {
        0 => {}
        1 => deeds.push(format!("end process {}", ends[0])),
        _ => deeds.push(format!("end processes {}", ends.join(", "))),
    }
    deeds.join(" and ")
}

/// What makes a process let the file go, if that is more than ending it.
fn deed(file: &File, holder: &Holder, output: &Output) -> Option<String> {
    let process = &holder.process;
    let signal = LOGGERS.iter().find(|(name, _)| process.command == *name).map(|(_, signal)| signal);
    let is_log = file.path.starts_with(b"/var/log/") || contains(&file.path, b".log");
    Some(match (&process.unit, signal.filter(|_| is_log)) {
        (Unit::System(unit), Some(signal)) => {
            format!("systemctl kill --kill-whom=main -s {signal} {}", output.words(unit))
        }
        (_, Some(signal)) => format!("kill -{signal} {}", process.pid),
        (Unit::System(unit), None) => format!("systemctl restart {}", output.words(unit)),
        (Unit::User(unit), None) if unit.ends_with(".service") => {
            format!("systemctl --user restart {}", output.words(unit))
        }
        (Unit::Container(group), None) => format!("restart the container {}", output.words(group)),
        _ => return None,
    })
}

/// The option that makes the file empty, if that may be done.
fn truncation(file: &File) -> Option<String> {
    let is_file = file.stat.is_some_and(|stat| stat.kind == Kind::File);
    let open = |holder: &Holder| Some((holder.process.pid, holder.holds.iter().find_map(open)?));
    let (pid, fd) = file.holders.iter().find_map(open).filter(|_| is_file && !is_mapped(file))?;
    Some(format!("--truncate {pid}:{fd}"))
}

fn contains(path: &[u8], part: &[u8]) -> bool {
    path.windows(part.len()).any(|window| window == part)
}

fn open(hold: &Hold) -> Option<u32> {
    match hold {
        Hold::Open(fd) => Some(*fd),
        _ => None,
    }
}

fn is_mapped(file: &File) -> bool {
    let maps = |hold: &Hold| matches!(hold, Hold::Mapped | Hold::Program);
    file.holders.iter().any(|holder| holder.holds.iter().any(maps))
}

#[cfg(test)]
mod tests {
    use super::remedy;
    use crate::args::Cli;
    use crate::output::Output;
    use clap::Parser;
    use linksnap_toolbox::deleted::{File, Hold, Holder, Process, Unit};

    #[test]
    fn what_frees_a_file_depends_on_who_holds_it() {
        let output = Output::new(&Cli::parse_from(["linksnap", "deleted"]).global);
        let unit = |name: &str| Unit::System(name.to_owned());
        let (log, data) = ("/var/log/x", "/srv/data");
        let open = Hold::Open(7);
        let table = [
            (
                log,
                "rsyslogd",
                unit("rsyslog.service"),
                open,
                "systemctl kill --kill-whom=main -s HUP rsyslog.service",
            ),
            (data, "rsyslogd", unit("rsyslog.service"), open, "systemctl restart rsyslog.service"),
            ("/srv/access.log.1", "nginx", Unit::None, open, "kill -USR1 5"),
            (log, "java", unit("shop.service"), open, "systemctl restart shop.service"),
            (data, "vi", Unit::User("ed.service".to_owned()), open, "systemctl --user restart ed.service"),
            (data, "vi", Unit::User("init.scope".to_owned()), open, "end process 5"),
            (data, "vi", Unit::None, Hold::Mapped, "end process 5"),
            (data, "vi", Unit::Container("4f5e".to_owned()), open, "restart the container 4f5e"),
        ];
        for (path, command, unit, hold, wanted) in table {
            let command = command.as_bytes().to_vec();
            let process = Process { pid: 5, command, uid: 0, unit, started: None };
            let holder = Holder { process, holds: vec![hold] };
            let path = path.as_bytes().to_vec();
            let (identity, holders) = ((1, 2), vec![holder.clone()]);
            let mut file = File { identity, path, stat: None, mount: None, holders };
            assert_eq!(remedy(&file, &output), wanted);
            let process = Process { pid: 6, command: b"sh".to_vec(), unit: Unit::None, ..holder.process };
            file.holders.push(Holder { process, holds: vec![Hold::Open(1)] });
            let both = match wanted {
                "end process 5" => "end processes 5, 6".to_owned(),
                other => format!("{other} and end process 6"),
            };
            assert_eq!(remedy(&file, &output), both);
        }
    }
}

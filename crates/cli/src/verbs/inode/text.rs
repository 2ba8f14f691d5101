//! An inode for people: a heading and a line a property.

use std::path::Path;

use linksnap_inode::dir::path_bytes;
use linksnap_inode::{Kind, Timestamp};
use linksnap_toolbox::acl::{Acl, Entry, Who, letters};
use linksnap_toolbox::holders::{Held, Hold, Holder};
use linksnap_toolbox::inode::{Obstacle, Report};

use crate::output::{Output, Verbosity};
use crate::owners::Owners;
use crate::{kind, size, table, unseen};

/// Of processes that hold it so many are shown.
const MOST_PROCESSES: usize = 10;

/// Shows one inode.
pub fn show(path: &Path, report: &Report, held: &Held, owners: &Owners, output: &Output) {
    output.line(output.name(path_bytes(path)));
    for (label, value) in lines(report, owners, output) {
        output.line([format!("  {label:<10}  ").into_bytes(), value].concat());
    }
    for gap in &report.gaps {
        output.line(format!("  {:<10}  {gap}", "unknown"));
    }
    for (number, line) in removal(report, held, output).into_iter().enumerate() {
        let label = if number == 0 { "rm" } else { "" };
        output.line([format!("  {label:<10}  ").into_bytes(), line].concat());
    }
}

type Line = (&'static str, Vec<u8>);

fn lines(report: &Report, owners: &Owners, output: &Output) -> Vec<Line> {
    let stat = &report.detail.stat;
    let mut lines: Vec<Line> = vec![("inode", place(report, output)), ("type", what(report, output))];
    let mut add = |label, text: String| lines.push((label, text.into_bytes()));
    add("mode", format!("{} ({:04o})", kind::mode(stat.kind, stat.mode), stat.mode));
    let (user, group) = (owners.user(stat.uid), owners.group(stat.gid));
    add("owner", output.words(&format!("{user} ({}), group {group} ({})", stat.uid, stat.gid)));
    add("size", amount(stat.size));
    add("on disk", on_disk(report));
    add("names", names(report));
    add("accessed", time(report.detail.accessed));
    add("modified", time(stat.mtime));
    add("changed", time(stat.ctime));
    add("born", report.detail.born.map_or_else(|| "this filesystem does not say".to_owned(), time));
    let flags: Vec<String> =
        report.flags.iter().map(|flag| format!("{} ({})", flag.word, flag.letter)).collect();
    add("flags", if flags.is_empty() { "none".to_owned() } else { flags.join(", ") });
    if let Some(acl) = &report.acl {
        add("ACL", acl_words(acl, owners, output));
    }
    if let Some(acl) = &report.default_acl {
        add("inherited", acl_words(acl, owners, output));
    }
    if let Some(label) = &report.label {
        lines.push(("label", output.name(label)));
    }
    for (number, (name, value)) in report.xattrs.iter().enumerate() {
        let text = [output.name(name), b" = ".to_vec(), attribute(value, output)].concat();
        lines.push((if number == 0 { "attributes" } else { "" }, text));
    }
    lines
}

/// `1234 on ext4 (/dev/sda1, mounted on /)`.
fn place(report: &Report, output: &Output) -> Vec<u8> {
    let (inode, kind) = (report.detail.stat.inode, report.filesystem.name());
    let mut text =
        format!("{inode} on {kind}, device {}", kind::device(report.detail.stat.device)).into_bytes();
    if let Some(mount) = &report.mount {
        text.extend(b" (");
        text.extend(output.name(&mount.source));
        text.extend(b", mounted on ");
        text.extend(output.name(&mount.point));
        text.extend(b": ");
        text.extend(output.name(&mount.flags));
        text.extend(b")");
    }
    text
}

fn what(report: &Report, output: &Output) -> Vec<u8> {
    let stat = &report.detail.stat;
    let mut text = kind::word(stat.kind).as_bytes().to_vec();
    if let Some(target) = &report.text {
        text.extend(b" to ");
        text.extend(output.name(target));
    }
    if matches!(stat.kind, Kind::CharDevice | Kind::BlockDevice) {
        text.extend(format!(" {}", kind::device(stat.rdev)).into_bytes());
    }
    if stat.mount_root {
        text.extend(b", something is mounted here");
    }
    text
}

/// `1.2 KiB (1,279 bytes)`.
fn amount(bytes: u64) -> String {
    match size::counted(bytes, "byte", "bytes") {
        exact if bytes < 1024 => exact,
        exact => format!("{} ({exact})", size::bytes(bytes)),
    }
}

fn on_disk(report: &Report) -> String {
    let stat = &report.detail.stat;
    let used = size::bytes(stat.blocks.saturating_mul(512));
    let text = match stat.blocks {
        0 => "nothing but the inode".to_owned(),
        blocks => format!("{used} ({} of 512 bytes)", size::counted(blocks, "block", "blocks")),
    };
    match report.extents {
        Some(extents) if extents.holes > 0 => {
            let holes = size::counted(extents.holes, "hole", "holes");
            format!("{text}; {holes}, {}", size::bytes(extents.hole_bytes))
        }
        Some(_) if stat.blocks > 0 => format!("{text}; no holes"),
        _ => text,
    }
}

fn names(report: &Report) -> String {
    let links = size::count(u64::from(report.detail.stat.links));
    match (report.detail.stat.kind, report.most_links()) {
        (Kind::Directory, _) if report.detail.stat.links == 1 => {
            format!("{links} ({} does not count those of directories)", report.filesystem.name())
        }
        (Kind::Directory, _) => format!("{links} (its own, its `.`, and the `..` of each directory in it)"),
        (_, Some(1)) => format!("{links} ({} has no hard links)", report.filesystem.name()),
        (_, Some(most)) => {
            format!("{links} of at most {} on {}", size::count(u64::from(most)), report.filesystem.name())
        }
        (_, None) => links,
    }
}

fn time(time: Timestamp) -> String {
    format!("{}.{:09}", table::local_time(time.seconds), time.nanoseconds)
}

fn acl_words(acl: &Acl, owners: &Owners, output: &Output) -> String {
    let entries: Vec<String> = acl.entries.iter().map(|entry| entry_words(acl, entry, owners)).collect();
    output.words(&entries.join(", "))
}

/// `user www: rw- (masked: r--)`.
fn entry_words(acl: &Acl, entry: &Entry, owners: &Owners) -> String {
    let who = match entry.who {
        Who::Owner => "owner".to_owned(),
        Who::User(id) => format!("user {}", owners.user(id)),
        Who::OwningGroup => "its group".to_owned(),
        Who::Group(id) => format!("group {}", owners.group(id)),
        Who::Mask => "mask".to_owned(),
        Who::Others => "others".to_owned(),
    };
    let masked = acl.effective(entry).map(|rights| format!(" (masked: {})", letters(rights)));
    format!("{who} {}{}", letters(entry.permissions), masked.unwrap_or_default())
}

/// Text if it is text, else hexadecimal, as `getfattr(1)` has it.
fn attribute(value: &[u8], output: &Output) -> Vec<u8> {
    const SHOWN: usize = 64;
    let is_text = str::from_utf8(value).is_ok_and(|text| !text.chars().any(char::is_control));
    if is_text {
        return [b"\"".to_vec(), output.name(value), b"\"".to_vec()].concat();
    }
    let mut text: String = value.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    text.insert_str(0, "0x");
    if value.len() > SHOWN {
        text.push_str(&format!("… ({} bytes)", size::count(value.len() as u64)));
    }
    text.into_bytes()
}

fn removal(report: &Report, held: &Held, output: &Output) -> Vec<Vec<u8>> {
    let removal = &report.removal;
    let identity = report.detail.stat.identity();
    let holders: Vec<&Holder> = held.holders.iter().filter(|holder| holder.identity == identity).collect();
    let mut lines = Vec::new();
    if let Some(obstacle) = removal.obstacle {
        lines.push(format!("would be refused: {}", obstacle_words(obstacle)).into_bytes());
    }
    if removal.obstacle != Some(Obstacle::Directory) {
        let otherwise = if removal.obstacle.is_some() { "else it " } else { "" };
        lines.push(format!("{otherwise}{}", freed(report, holders.len())).into_bytes());
    }
    let processes: Vec<&[&Holder]> = holders.chunk_by(|one, other| one.pid == other.pid).collect();
    let shown = if output.verbosity() > Verbosity::Normal { processes.len() } else { MOST_PROCESSES };
    lines.extend(processes.iter().take(shown).map(|process| process_words(process, output)));
    if processes.len() > shown {
        let more = size::counted((processes.len() - shown) as u64, "process", "processes");
        lines.push(format!("and {more} more (-v shows all)").into_bytes());
    }
    lines.extend(unseen::words(held.unseen_processes, held.others).into_iter().map(String::into_bytes));
    lines
}

/// `process 812 (mysqld) holds it open as descriptor 5, has it mapped into its memory`.
fn process_words(process: &[&Holder], output: &Output) -> Vec<u8> {
    let mut line = format!("process {} (", process[0].pid).into_bytes();
    line.extend(output.name(&process[0].name));
    let descriptors: Vec<String> =
        process.iter().filter_map(|holder| hold_word(holder.hold).1).map(|fd| fd.to_string()).collect();
    let others = process.iter().filter_map(|holder| hold_words(holder.hold)).map(str::to_owned);
    let open = match descriptors.as_slice() {
        [] => None,
        [one] => Some(format!("holds it open as descriptor {one}")),
        many => Some(format!("holds it open as descriptors {}", many.join(" and "))),
    };
    let ways: Vec<String> = open.into_iter().chain(others).collect();
    line.extend(format!(") {}", ways.join(", ")).into_bytes());
    line
}

fn freed(report: &Report, holders: usize) -> String {
    let removal = &report.removal;
    let what = match (removal.freed_bytes, removal.may_share) {
        (0, _) => "the inode".to_owned(),
        (bytes, false) => format!("{} and the inode", size::bytes(bytes)),
        (bytes, true) => format!("at most {} and the inode", size::bytes(bytes)),
    };
    match (removal.other_names, holders) {
        (0, 0) => format!("frees {what}: this is its only name"),
        (0, _) => format!("frees {what} when nothing holds it any more: this is its only name"),
        (1, _) => "frees nothing: 1 other name keeps it".to_owned(),
        (others, _) => format!("frees nothing: {} other names keep it", size::count(u64::from(others))),
    }
}

fn obstacle_words(obstacle: Obstacle) -> String {
    match obstacle {
        Obstacle::Directory => "it is a directory (rmdir removes it if it is empty)".to_owned(),
        Obstacle::Flag(flag) => format!("it is {flag} (chattr takes that off)"),
        Obstacle::DirectoryFlag(flag) => format!("its directory is {flag} (chattr takes that off)"),
        Obstacle::ReadOnly => "the filesystem is mounted read-only".to_owned(),
        Obstacle::NoRight => "you may not write its directory".to_owned(),
        Obstacle::Sticky => "its directory is sticky, and neither that nor the file is yours".to_owned(),
    }
}

/// Of all but descriptors.
fn hold_words(hold: Hold) -> Option<&'static str> {
    match hold {
        Hold::Open(_) => None,
        Hold::Mapped => Some("has it mapped into its memory"),
        Hold::Program => Some("runs it"),
        Hold::WorkingDirectory => Some("works in it"),
        Hold::RootDirectory => Some("has it as its root"),
    }
}

/// Words for programs, which the document has.
pub fn hold_word(hold: Hold) -> (&'static str, Option<u32>) {
    match hold {
        Hold::Open(number) => ("descriptor", Some(number)),
        Hold::Mapped => ("mapping", None),
        Hold::Program => ("program", None),
        Hold::WorkingDirectory => ("working-directory", None),
        Hold::RootDirectory => ("root", None),
    }
}

/// Why removing is refused, for programs.
pub fn obstacle_word(obstacle: Obstacle) -> String {
    match obstacle {
        Obstacle::Directory => "directory".to_owned(),
        Obstacle::Flag(flag) => flag.to_owned(),
        Obstacle::DirectoryFlag(flag) => format!("{flag}-directory"),
        Obstacle::ReadOnly => "read-only".to_owned(),
        Obstacle::NoRight => "no-right".to_owned(),
        Obstacle::Sticky => "sticky".to_owned(),
    }
}

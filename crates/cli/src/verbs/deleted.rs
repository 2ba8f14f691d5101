//! `deleted`: files that are deleted but still held, and what frees them.

mod document;
mod remedy;
mod truncate;

use std::collections::BTreeMap;

use linksnap_inode::mounts::Mount;
use linksnap_toolbox::deleted::{self as tool, Deleted, File, Gone, Hold, Holder, Unit};

use crate::args::DeletedArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json;
use crate::output::Output;
use crate::people::People;
use crate::size::{bytes, counted};
use crate::{table, unseen};

/// Shows them, or truncates some.
pub fn deleted(args: &DeletedArgs, output: &Output) -> Result<Exit, Failure> {
    let found = tool::deleted()?;
    if !args.truncate.is_empty() {
        return truncate::truncate(args, &found, output);
    }
    if output.is_json() {
        output.json(&document::Document::new(&found));
        return Ok(Exit::Done);
    }
    print(&found, output);
    left_out(&found, output);
    Ok(Exit::Done)
}

fn print(found: &Deleted, output: &Output) {
    if found.files.is_empty() {
        return output.report("no deleted file is held");
    }
    let people = People::read();
    let rows = found.files.iter().flat_map(|file| rows(file, &people, output));
    let headings = [">size", "process", "by", "user", "unit", "deleted", "path"];
    table::table(&headings, rows).iter().for_each(|line| output.line(line));
    lines(&sums(found), output).iter().for_each(|line| output.line(line));
    let remedies = remedy::remedies(found, output);
    if !remedies.is_empty() {
        output.line("to free them:");
        remedies.iter().for_each(|remedy| output.line(format!("  {remedy}")));
    }
}

/// A row for each process; the size stands in the first.
fn rows(file: &File, people: &People, output: &Output) -> Vec<Vec<String>> {
    let row = |(number, holder): (usize, &Holder)| {
        let size = match (number, file.stat) {
            (0, Some(_)) => bytes(file.disk_bytes()),
            (0, None) => "?".to_owned(),
            _ => "same".to_owned(),
        };
        vec![
            size,
            process(holder, output),
            by(&holder.holds),
            output.words(&people.name(holder.process.uid)),
            output.words(unit(&holder.process.unit).unwrap_or("-")),
            file.gone().map_or_else(|| "?".to_owned(), gone),
            path(file, output),
        ]
    };
    file.holders.iter().enumerate().map(row).collect()
}

fn process(holder: &Holder, output: &Output) -> String {
    let command = json::text(&output.name(&holder.process.command));
    format!("{command}[{}]", holder.process.pid)
}

fn path(file: &File, output: &Output) -> String {
    json::text(&output.name(&file.path))
}

fn by(holds: &[Hold]) -> String {
    let word = |hold: &Hold| match hold {
        Hold::Open(fd) => fd.to_string(),
        Hold::Program => "program".to_owned(),
        Hold::Mapped => "mapped".to_owned(),
        Hold::WorkingDirectory => "cwd".to_owned(),
        Hold::RootDirectory => "root".to_owned(),
    };
    const SHOWN: usize = 3;
    let mut words: Vec<String> = holds.iter().take(SHOWN).map(word).collect();
    if holds.len() > SHOWN {
        words.push(format!("+{}", holds.len() - SHOWN));
    }
    words.join(",")
}

fn unit(unit: &Unit) -> Option<&str> {
    match unit {
        Unit::System(name) | Unit::User(name) | Unit::Session(name) | Unit::Container(name) => Some(name),
        Unit::None => None,
    }
}

fn gone(gone: Gone) -> String {
    match gone {
        Gone::At(time) => table::local_time(time),
        Gone::NotAfter(time) => format!("before {}", table::local_time(time)),
    }
}

/// `1.2 GiB in 3 files on /var (ext4 on /dev/sda2)`, the filesystem with most first.
fn lines(sums: &[Sum<'_>], output: &Output) -> Vec<String> {
    let name = |bytes: &[u8]| json::text(&output.name(bytes));
    let place = |mount: &Mount| format!("{} ({} on {})", name(&mount.point), mount.kind, name(&mount.source));
    let line = |sum: &Sum<'_>| {
        let place = sum.mount.map_or_else(|| "filesystems that are not mounted here".to_owned(), place);
        format!("{} in {} on {place}", bytes(sum.bytes), counted(sum.files, "file", "files"))
    };
    sums.iter().map(line).collect()
}

/// What is held on one filesystem.
struct Sum<'a> {
    /// Where it is mounted, if that can be seen.
    mount: Option<&'a Mount>,
    files: u64,
    /// On the disk.
    bytes: u64,
}

/// By filesystem, that with most bytes first.
fn sums(found: &Deleted) -> Vec<Sum<'_>> {
    let mut sums: BTreeMap<Option<u64>, Sum<'_>> = BTreeMap::new();
    for file in &found.files {
        let mount = file.mount.as_ref();
        let sum = sums.entry(mount.map(|mount| mount.device)).or_insert(Sum { mount, files: 0, bytes: 0 });
        sum.files += 1;
        sum.bytes = sum.bytes.saturating_add(file.disk_bytes());
    }
    let mut sums: Vec<Sum<'_>> = sums.into_values().collect();
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.bytes));
    sums
}

/// What is not shown.
fn left_out(found: &Deleted, output: &Output) {
    if found.memory_files > 0 {
        let files = counted(found.memory_files, "file", "files");
        output.remark(&format!("left out: {files} in memory that never had a name"));
    }
    unseen::words(found.unseen, found.others).iter().for_each(|words| output.remark(words));
}

//! What one file, one change and one directory more cost: system calls, rows and bytes allocated.
//!
//! Two trees that differ in nothing but the number of one thing are backed up; the difference of their costs, divided by
//! the difference of the numbers, is the price of one. What a run costs whatever the tree falls out of it. Allocations
//! are those of our code: SQLite has its own, bounded by its cache.

use std::collections::BTreeMap;
use std::path::Path;

use linksnap_engine::Silent;
use linksnap_testkit::skip;
use linksnap_testkit::skip_unless;
use linksnap_testkit::tree::TreeBuilder;
use stats_alloc::Region;

use crate::ALLOCATOR;
use crate::counted::child;
use crate::kitchen::Kitchen;
use crate::trace::{is_trial, traced};

/// A tree, and how many of its files are rewritten before the run that counts.
#[derive(Clone, Copy)]
struct Shape {
    directories: u64,
    files_each: u64,
    changed: u64,
}

const SMALL: Shape = Shape { directories: 10, files_each: 20, changed: 10 };
/// As many directories and changes, three times the files.
const FILES: Shape = Shape { files_each: 60, ..SMALL };
/// As many directories and files, six times the changes, in the same directories.
const CHANGES: Shape = Shape { changed: 60, ..SMALL };
/// Directories with nothing in them, beside as many files and changes.
const EMPTY: u64 = 40;
/// For what has nothing to do with the tree: directories above it whose times other tests move, files that run full.
const SLACK: f64 = 0.1;
/// Pages of the catalog, which hold many rows each.
const PAGES_READ: (&str, f64) = ("pread64", 0.4);
const PAGES_WRITTEN: (&str, f64) = ("pwrite64", 0.4);

/// The price of one by its unit: calls by name, or bytes.
type Prices = BTreeMap<String, f64>;

fn prepare(base: &Path, shape: Shape, empty_directories: u64) -> Kitchen {
    let mut kitchen = Kitchen::in_dir(base);
    let mut tree = TreeBuilder::new(&kitchen.source);
    for directory in 0..shape.directories {
        for file in 0..shape.files_each {
            tree = tree.file(format!("d{directory:02}/{file:02}"), format!("{directory} {file}"));
        }
    }
    for directory in 0..empty_directories {
        tree = tree.dir(format!("e{directory:02}"));
    }
    assert_eq!(kitchen.backup().problems.list, []);
    kitchen.age();
    for number in 0..shape.changed {
        let (directory, file) = (number % shape.directories, number / shape.directories);
        tree = tree.file(format!("d{directory:02}/{file:02}"), format!("changed {number}"));
    }
    drop(tree);
    kitchen
}

/// How often each system call on files was made in a run; none where nobody may trace.
fn calls_of(shape: Shape, empty_directories: u64) -> Option<BTreeMap<String, u64>> {
    calls_with(|base| prepare(base, shape, empty_directories))
}

fn calls_with(prepare: impl Fn(&Path) -> Kitchen) -> Option<BTreeMap<String, u64>> {
    let own = tempfile::tempdir().expect("a temporary directory");
    let base = std::fs::canonicalize(own.path()).expect("it is there");
    let kitchen = prepare(&base);
    let calls = traced(&base, &child(&base, "live"))?;
    assert_eq!(kitchen.snapshots().len(), 2, "the traced run published nothing");
    let mut counts = BTreeMap::new();
    for call in calls.iter().filter(|call| !is_trial(call)) {
        *counts.entry(call.name.clone()).or_default() += 1;
    }
    Some(counts)
}

/// What `units` more of something cost, a piece.
#[expect(clippy::cast_precision_loss, reason = "counts of a small test")]
fn prices(few: &BTreeMap<String, u64>, many: &BTreeMap<String, u64>, units: u64) -> Prices {
    let names = few.keys().chain(many.keys());
    let count = |of: &BTreeMap<String, u64>, name: &String| of.get(name).copied().unwrap_or(0) as f64;
    names.map(|name| (name.clone(), (count(many, name) - count(few, name)) / units as f64)).collect()
}

/// What is not in the list is to cost nothing.
fn assert_at_most(prices: &Prices, limits: &[(&str, f64)]) {
    for (name, price) in prices {
        let limit = limits.iter().find(|(limited, _)| limited == name).map_or(0.0, |(_, limit)| *limit);
        assert!(
            *price <= limit + SLACK,
            "{name}: {price:.2} apiece, at most {limit} are wanted: {prices:.2?}"
        );
    }
}

#[test]
fn system_calls_grow_as_they_should() {
    skip_unless!(skip::has_tool("strace"), "strace is missing");
    let small = calls_of(SMALL, 0);
    skip_unless!(small.is_some(), "strace may not trace here");
    let small = small.expect("just looked");
    let of = |shape, empty| calls_of(shape, empty).expect("traced just before");
    let file = prices(&small, &of(FILES, 0), 10 * (FILES.files_each - SMALL.files_each));
    assert_at_most(&file, &[("statx", 1.0), ("linkat", 1.0), PAGES_READ, PAGES_WRITTEN]);
    // The entry of the source once more when it is read, and the new inode; the link falls away.
    let change = prices(&small, &of(CHANGES, 0), CHANGES.changed - SMALL.changed);
    let copy = [
        ("statx", 3.0),
        ("openat", 2.0),
        ("close", 2.0),
        ("fcntl", 2.0),
        ("pread64", 1.2),
        ("pwrite64", 1.3),
    ];
    let dress = [("flistxattr", 1.0), ("fchmod", 1.0), ("utimensat", 1.0)];
    assert_at_most(&change, &[copy.as_slice(), &dress].concat());
    // Listed in the source and, to be validated, where it was made.
    let directory = prices(&small, &of(SMALL, EMPTY), EMPTY);
    let list = [
        ("openat2", 2.0),
        ("close", 2.0),
        ("fcntl", 2.0),
        ("lseek", 2.0),
        ("getdents64", 4.0),
        ("statx", 5.0),
    ];
    let make = [("mkdirat", 1.0), ("flistxattr", 2.0), ("fchmod", 1.0), ("utimensat", 1.0)];
    assert_at_most(&directory, &[list.as_slice(), &make, &[PAGES_READ, PAGES_WRITTEN]].concat());
}

/// Two directories that were renamed, with so many files each.
fn renamed(base: &Path, files_each: u64) -> Kitchen {
    let kitchen = prepare(base, Shape { directories: 2, files_each, changed: 0 }, 0);
    drop(TreeBuilder::new(&kitchen.source).rename("d00", "to/d00").rename("d01", "to/d01"));
    kitchen
}

#[test]
fn a_file_in_a_renamed_directory_costs_a_link_and_a_second_look() {
    skip_unless!(skip::has_tool("strace"), "strace is missing");
    let few = calls_with(|base| renamed(base, 10));
    skip_unless!(few.is_some(), "strace may not trace here");
    let many = calls_with(|base| renamed(base, 110)).expect("traced just before");
    let file = prices(&few.expect("just looked"), &many, 200);
    assert_at_most(&file, &[("statx", 2.0), ("linkat", 1.0), PAGES_READ, PAGES_WRITTEN]);
}

/// Called in a child, where nothing else allocates: notes what a run allocates.
pub fn weigh(kitchen: &mut Kitchen) {
    let region = Region::new(ALLOCATOR);
    let summary = kitchen.try_backup(&Silent).expect("a snapshot");
    let seen = region.change();
    let text = format!("{} {} {}", seen.bytes_allocated, seen.allocations, summary.version_rows);
    std::fs::write(kitchen.source.with_file_name("weighed"), text).expect("written");
}

/// Bytes and pieces allocated in a run, and rows written.
fn weighed(shape: Shape, empty_directories: u64) -> BTreeMap<String, u64> {
    let own = tempfile::tempdir().expect("a temporary directory");
    let base = std::fs::canonicalize(own.path()).expect("it is there");
    let kitchen = prepare(&base, shape, empty_directories);
    assert!(child(&base, "weigh").status().expect("the child runs").success());
    assert_eq!(kitchen.snapshots().len(), 2, "the child published nothing");
    let text = std::fs::read_to_string(base.join("weighed")).expect("the child noted it");
    let numbers = text.split(' ').map(|word| word.parse().expect("a number"));
    ["bytes", "allocations", "rows"].into_iter().map(str::to_owned).zip(numbers).collect()
}

/// Limits are half as much again as what was counted when this was written.
#[test]
fn allocations_and_rows_grow_as_they_should() {
    let small = weighed(SMALL, 0);
    // Nothing is allocated for a single file: its name lies in the listing of its directory.
    let file = prices(&small, &weighed(FILES, 0), 10 * (FILES.files_each - SMALL.files_each));
    assert_at_most(&file, &[("bytes", 900.0)]);
    // A version ends, and another begins.
    let change = prices(&small, &weighed(CHANGES, 0), CHANGES.changed - SMALL.changed);
    assert_at_most(&change, &[("rows", 2.0), ("allocations", 11.0), ("bytes", 1_700.0)]);
    // Most of it is the buffer that names are listed into.
    let directory = prices(&small, &weighed(SMALL, EMPTY), EMPTY);
    assert_at_most(&directory, &[("allocations", 18.0), ("bytes", 34_000.0)]);
}

//! A catalog with random damage: bytes of the file, or cells of its tables. Whatever a verb makes of it, it ends with an
//! error or a report, no snapshot goes, and nothing is touched that is not the verb's business.

use std::cell::{Cell, RefCell};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use linksnap_engine::stages::retire::Fate;
use linksnap_engine::verbs::ls::{self, LsOptions};
use linksnap_engine::verbs::restore::{self, Existing, Extra, Ownership, RestoreOptions};
use linksnap_engine::verbs::verify::{self, VerifyOptions};
use linksnap_engine::verbs::{du, prune};
use linksnap_engine::{Job, Monitor, Wish};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::TreeBuilder;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::test_runner::TestRunner;
use rusqlite::types::Value;
use tempfile::TempDir;

use crate::kitchen::{Kitchen, last};
use crate::ledger::names_in;

/// More than any verb asks on such a tree.
const ENOUGH: u64 = 100_000;

/// Ends what would not end by itself.
#[derive(Default)]
struct Patience(AtomicU64);

impl Monitor for Patience {
    fn wish(&self) -> Wish {
        if self.0.fetch_add(1, Ordering::Relaxed) > ENOUGH { Wish::Stop } else { Wish::GoOn }
    }
}

impl Patience {
    fn assert_kept(&self, verb: &str) {
        assert!(self.0.load(Ordering::Relaxed) < ENOUGH, "{verb} does not come to an end");
    }
}

/// A job with a history, all that makes it up, and what came of the damage.
struct Scene {
    own: TempDir,
    kitchen: RefCell<Kitchen>,
    /// The sound catalog.
    catalog: Vec<u8>,
    named: Vec<String>,
    trees: Vec<Listing>,
    refused: Cell<u32>,
    told: Cell<u32>,
    cases: Cell<u32>,
}

impl Scene {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let own = tempfile::tempdir_in(base).expect("a directory");
        let mut kitchen = Kitchen::in_dir(&own.path().canonicalize().expect("it is there"));
        let tree = TreeBuilder::new(&kitchen.source).file("a/one", "1").file("a/b/two", "2").fifo("a/fifo");
        let tree = tree.hard_link("a/one", "a/b/too").symlink("a/link", "one").xattr("a/one", "user.x", "y");
        drop(tree.file("c/d/e/f/deep", "deep").file("c/other", vec![7; 5_000]));
        drop(kitchen.backup());
        drop(TreeBuilder::new(&kitchen.source).file("a/new", "new").delete("c/d").file("a/one", "other"));
        drop(kitchen.backup());
        drop(TreeBuilder::new(&kitchen.source).file("a/third", "3").delete("a/link"));
        drop(kitchen.backup());
        let (named, job) = (kitchen.named(), kitchen.job_dir());
        let trees = named.iter().map(|name| Listing::read(&job.join(name))).collect();
        let catalog = fs::read(kitchen.job().catalog_path()).expect("the catalog");
        let (refused, told, cases) = Default::default();
        Self { own, kitchen: RefCell::new(kitchen), catalog, named, trees, refused, told, cases }
    }

    fn workshop(&self) -> PathBuf {
        self.kitchen.borrow().job_dir().join(".linksnap")
    }

    /// Puts a catalog in place of the one that is there.
    fn put(&self, catalog: &[u8]) {
        for name in ["catalog.db-wal", "catalog.db-shm"] {
            drop(fs::remove_file(self.workshop().join(name)));
        }
        fs::write(self.workshop().join("catalog.db"), catalog).expect("written");
    }

    /// Counts what came of a verb.
    fn note<T, E>(&self, result: Result<T, E>, found: impl Fn(&T) -> bool) {
        match result {
            Ok(done) => self.told.set(self.told.get() + u32::from(found(&done))),
            Err(_) => self.refused.set(self.refused.get() + 1),
        }
    }

    fn read(&self) {
        let kitchen = self.kitchen.borrow();
        let job = kitchen.job();
        let snapshots = job.snapshots();
        let options = LsOptions { recursive: true, paths: Vec::new() };
        for snapshot in snapshots.iter().flatten() {
            let mut count = 0;
            let mut count_all = |_: &ls::ListedEntry| {
                count += 1;
                assert!(count < ENOUGH, "ls does not come to an end");
                ControlFlow::Continue(())
            };
            self.note(ls::ls(&job, snapshot, &options, &mut count_all), |()| false);
        }
        self.note(snapshots, |_| false);
        self.note(du::du(&job), |_| false);
        self.note(du::history(&job), |_| false);
        self.note(prune::preview(&job, &last(1), kitchen.options.now), |_| false);
        let patience = Patience::default();
        let options = VerifyOptions { snapshots: Vec::new(), content: true, threads: Some(2) };
        self.note(verify::verify(&job, &options, &patience), |found| found.problems.problems > 0);
        patience.assert_kept("verify");
    }

    /// Restores all of it to a place of its own, and looks at what is beside that.
    fn restore(&self) {
        let beside = tempfile::tempdir_in(self.own.path()).expect("a directory");
        let job = self.kitchen.borrow().job();
        for snapshot in job.snapshots().iter().flatten() {
            let target = beside.path().join("in/target");
            let patience = Patience::default();
            let options = RestoreOptions {
                paths: Vec::new(),
                target,
                existing: Existing::Overwrite,
                extra: Extra::Stay,
                ownership: Ownership::Numeric,
            };
            let restored = restore::restore(&job, snapshot, &options, &patience);
            self.note(restored, |done| done.problems.problems > 0);
            patience.assert_kept("restore");
        }
        let left = [names_in(beside.path()), names_in(&beside.path().join("in"))].concat();
        assert!(left.iter().all(|name| name == "in" || name == "target"), "{left:?}");
    }

    /// Runs that write: a backup, and, for the sake of what goes with it, retention that drops nothing.
    fn write(&self) {
        let mut kitchen = self.kitchen.borrow_mut();
        let patience = Patience::default();
        self.note(kitchen.try_backup(&patience), |done| done.problems.problems > 0);
        self.note(kitchen.try_prune(100, Fate::Scaffold, &patience), |_| false);
        patience.assert_kept("backup");
    }

    /// All snapshots are there, and what the damaged run has left is taken away again.
    fn tidy(&self) {
        let job = self.kitchen.borrow().job_dir();
        let there = self.kitchen.borrow().named();
        assert!(
            self.named.iter().all(|name| there.contains(name)),
            "{there:?}, should have {:?}",
            self.named
        );
        there.iter().filter(|name| !self.named.contains(name)).for_each(|name| remove(&job.join(name)));
        for name in ["staging", "retired", "trash"] {
            remove(&self.workshop().join(name));
        }
    }

    fn assert_untouched(&self) {
        let job = self.kitchen.borrow().job_dir();
        for (name, tree) in self.named.iter().zip(&self.trees) {
            assert_eq!(tree.diff(&Listing::read(&job.join(name)), Compare::COPY), [""; 0], "{name}");
        }
        let beside = names_in(self.own.path());
        assert_eq!(beside.len(), 2, "source and repository: {beside:?}");
        self.put(&self.catalog);
        self.kitchen.borrow().assert_sound();
    }

    fn case(&self) {
        let number = self.cases.get();
        self.cases.set(number + 1);
        self.read();
        self.restore();
        if number.is_multiple_of(4) {
            self.write();
        }
        self.tidy();
    }
}

fn remove(path: &Path) {
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        fs::remove_dir_all(path).expect("ours");
    }
}

fn cases(usual: u32) -> TestRunner {
    TestRunner::new_with_rng(
        ProptestConfig {
            failure_persistence: None,
            max_shrink_iters: 64,
            ..ProptestConfig::with_cases(usual)
        },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    )
}

/// What is done to the bytes of a file. Places are shares of its length.
#[derive(Debug, Clone)]
enum Bytes {
    Set(u16, u8),
    Fill(u16, u16, u8),
    Copy(u16, u16, u16),
    Cut(u16),
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        6 => (any::<u16>(), any::<u8>()).prop_map(|(at, byte)| Bytes::Set(at, byte)),
        2 => (any::<u16>(), 1..5000_u16, any::<u8>()).prop_map(|(at, length, byte)| Bytes::Fill(at, length, byte)),
        2 => (any::<u16>(), any::<u16>(), 1..5000_u16).prop_map(|(from, to, length)| Bytes::Copy(from, to, length)),
        1 => any::<u16>().prop_map(Bytes::Cut),
    ]
}

fn damage_bytes(file: &mut Vec<u8>, damage: &Bytes) {
    let length = file.len();
    let place = |share: u16| usize::from(share) * length / 65_536;
    match damage {
        Bytes::Set(at, byte) => file[place(*at)] = *byte,
        Bytes::Fill(at, count, byte) => {
            let start = place(*at);
            file[start..length.min(start + usize::from(*count))].fill(*byte);
        }
        Bytes::Copy(from, to, count) => {
            let (from, to) = (place(*from), place(*to));
            let count = usize::from(*count).min(length - from.max(to));
            file.copy_within(from..from + count, to);
        }
        Bytes::Cut(at) => file.truncate(place(*at).max(1)),
    }
}

#[test]
fn damaged_bytes_of_a_catalog_are_an_error_and_no_more() {
    let scene = Scene::new();
    let damage = proptest::collection::vec(bytes(), 1..6);
    cases(150)
        .run(&damage, |damage| {
            let mut file = scene.catalog.clone();
            damage.iter().for_each(|one| damage_bytes(&mut file, one));
            scene.put(&file);
            scene.case();
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    scene.assert_untouched();
    println!("{} cases: {} refused, {} told", scene.cases.get(), scene.refused.get(), scene.told.get());
    assert!(scene.refused.get() > 50, "the damage is felt");
}

/// What comes into a cell.
fn values() -> impl Strategy<Value = Value> {
    let numbers = [0, 1, 2, -1, 3, 4, 1 << 32, 1 << 62, i64::MAX, i64::MAX - 1, i64::MIN];
    let words =
        ["", "published", "staged", "building", "f", "d", "l", "../../out", "..", "/etc", "\u{1b}[2J", "x"];
    let names = [&b""[..], b".", b"..", b"../out", b"a/b", b"/", b"\0", b"a", b"\xff\x1b\n"];
    prop_oneof![
        1 => Just(Value::Null),
        6 => proptest::sample::select(numbers.to_vec()).prop_map(Value::Integer).boxed(),
        3 => proptest::sample::select(words.map(str::to_owned).to_vec()).prop_map(Value::Text),
        4 => proptest::sample::select(names.map(<[u8]>::to_vec).to_vec()).prop_map(Value::Blob),
        1 => Just(Value::Real(1.5)),
        1 => Just(Value::Blob(vec![b'n'; 5_000])),
    ]
}

/// The columns of all tables.
fn columns(path: &Path) -> Vec<(String, String)> {
    let catalog = rusqlite::Connection::open(path).expect("the catalog");
    let mut statement = catalog
        .prepare(
            "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c \
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'",
        )
        .expect("tables");
    let all = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).expect("columns");
    all.collect::<Result<_, _>>().expect("columns")
}

#[test]
fn damaged_rows_of_a_catalog_are_an_error_and_no_more() {
    let scene = Scene::new();
    let path = scene.workshop().join("catalog.db");
    let columns = columns(&path);
    assert!(columns.len() > 50, "{columns:?}");
    let cell = (0..columns.len(), any::<u16>(), values());
    let damage = proptest::collection::vec(cell, 1..4);
    cases(200)
        .run(&damage, |damage| {
            scene.put(&scene.catalog);
            let catalog = rusqlite::Connection::open(&path).expect("the catalog");
            catalog.execute_batch("PRAGMA synchronous = OFF; PRAGMA ignore_check_constraints = ON").expect("set");
            for (column, row, value) in &damage {
                let (table, column) = &columns[*column];
                let sql = format!(
                    "UPDATE OR IGNORE \"{table}\" SET \"{column}\" = ?1 WHERE \"{column}\" IS (SELECT \"{column}\" \
                     FROM \"{table}\" LIMIT 1 OFFSET ?2 % max(1, (SELECT count(*) FROM \"{table}\")))"
                );
                // A rule of the table may forbid it: that is no case.
                drop(catalog.execute(&sql, (value, i64::from(*row))));
            }
            drop(catalog);
            scene.case();
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    scene.assert_untouched();
    println!("{} cases: {} refused, {} told", scene.cases.get(), scene.refused.get(), scene.told.get());
    assert!(scene.refused.get() > 50 && scene.told.get() > 3, "the damage is felt");
}

#[test]
fn a_directory_that_is_its_own_is_an_error() {
    let scene = Scene::new();
    let path = scene.workshop().join("catalog.db");
    for sql in [
        // A directory in itself, for the walk down and for the walk up.
        "UPDATE version SET child = 1 WHERE kind = 'd' AND directory > 1",
        "UPDATE directory SET parent = id WHERE id > 1",
        "UPDATE directory SET parent = (SELECT max(id) FROM directory) WHERE id > 1",
    ] {
        scene.put(&scene.catalog);
        let catalog = rusqlite::Connection::open(&path).expect("the catalog");
        catalog.execute_batch(sql).expect("possible");
        drop(catalog);
        scene.case();
        scene.write();
        scene.tidy();
        let job = scene.kitchen.borrow().job();
        assert!(is_told(&job), "{sql}");
    }
    scene.assert_untouched();
}

/// Does verify say that something is wrong?
fn is_told(job: &Job) -> bool {
    let options = VerifyOptions { snapshots: Vec::new(), content: false, threads: Some(1) };
    let found = verify::verify(job, &options, &linksnap_engine::Silent);
    found.map_or(true, |found| found.problems.problems > 0)
}

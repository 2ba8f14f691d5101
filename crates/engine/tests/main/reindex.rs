//! Catalogs that are lost, damaged, foreign or old: nothing is lost or deleted, and `reindex` brings all back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use linksnap_catalog::{Holding, Reader};
use linksnap_engine::job::JobError;
use linksnap_engine::report::ProblemKind;
use linksnap_engine::verbs::du;
use linksnap_engine::verbs::pin::Pin;
use linksnap_engine::verbs::reindex::{self, ReindexError, ReindexSummary};
use linksnap_engine::verbs::verify::{self, VerifyOptions};
use linksnap_engine::{Monitor, Silent, Wish};
use linksnap_inode::Kind;
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::TreeBuilder;

use crate::backup::some_of_everything;
use crate::faults::whole_chain;
use crate::kitchen::Kitchen;

/// A job with a history: files that come, go, come again, change, and change their group and kind.
fn with_history() -> Kitchen {
    let mut kitchen = Kitchen::new();
    let tree = some_of_everything(&kitchen);
    drop(kitchen.backup());
    kitchen.age();
    let tree = tree.file("a/one", b"ONE").file("new/deep/file", b"n").delete("b/deep").mode("a", 0o700);
    drop(kitchen.backup());
    kitchen.age();
    let tree = tree
        .file("b/deep/er/file", b"again")
        .delete("new")
        .hard_link("a/one", "a/group")
        .file("new", b"file");
    drop(kitchen.backup());
    kitchen.age();
    drop(
        tree.delete("a/one")
            .symlink("a/one", "group")
            .rename("b/sparse", "a/moved")
            .xattr("a/two", "user.x", b"y"),
    );
    drop(kitchen.backup());
    kitchen.age();
    kitchen
}

fn catalog(kitchen: &Kitchen) -> PathBuf {
    kitchen.repository.join("job/.linksnap/catalog.db")
}

fn try_reindex(kitchen: &Kitchen, monitor: &dyn Monitor) -> Result<ReindexSummary, ReindexError> {
    reindex::reindex(&kitchen.job(), "a test", monitor)
}

fn reindex(kitchen: &Kitchen) -> ReindexSummary {
    try_reindex(kitchen, &Silent).expect("a new catalog")
}

/// All that the published snapshots are on disk.
fn trees(kitchen: &Kitchen) -> BTreeMap<String, Listing> {
    let names = kitchen.job().snapshot_names().expect("names");
    names
        .into_iter()
        .map(|name| (name.to_string(), Listing::read(&kitchen.repository.join("job").join(name.as_str()))))
        .collect()
}

fn assert_untouched(before: &BTreeMap<String, Listing>, after: &BTreeMap<String, Listing>) {
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (name, listing) in before {
        assert_eq!(listing.diff(&after[name], Compare::UNTOUCHED), [""; 0], "{name}");
    }
}

/// What the catalog says of the snapshots, and of all their paths but what only the source can tell.
fn told(kitchen: &Kitchen) -> Vec<String> {
    let reader = kitchen.job().catalog().expect("a catalog");
    let mut lines = Vec::new();
    for snapshot in reader.published().expect("snapshots") {
        let totals = snapshot.totals;
        lines.push(format!(
            "{} {} {totals:?} {} {:?} {} {}",
            snapshot.name,
            snapshot.time,
            snapshot.pinned,
            snapshot.pinned_until,
            snapshot.tags,
            snapshot.note
        ));
        tell(&reader, &snapshot, (Vec::new(), linksnap_catalog::DirId(0)), &mut lines);
    }
    lines
}

fn tell(
    reader: &Reader,
    snapshot: &linksnap_catalog::Snapshot,
    (path, id): (Vec<u8>, linksnap_catalog::DirId),
    lines: &mut Vec<String>,
) {
    for row in reader.as_of(id, snapshot.id).expect("rows").iter() {
        let mut version = row.version.clone();
        let xattrs = version.xattrs.map(|id| reader.xattrs(id).expect("xattrs"));
        let several = version.seen.links > 1 && version.child.is_none();
        let child = version.child.take();
        version.seen = linksnap_catalog::Seen::default();
        version.xattrs = None;
        version.unwitnessed = false;
        if version.kind == Kind::Directory {
            // What was left out of it nobody knows any more.
            version.holding = Holding::Partly;
        }
        version.first = linksnap_catalog::SnapshotId(0);
        version.last = None;
        let mut path = path.clone();
        path.push(b'/');
        path.extend(row.name);
        lines.push(format!(
            "{} {} {several} {version:?} {xattrs:?}",
            snapshot.name,
            String::from_utf8_lossy(&path)
        ));
        if let Some(child) = child {
            tell(reader, snapshot, (path, child), lines);
        }
    }
}

/// The life of a job after a reindex.
fn assert_lives_on(kitchen: &mut Kitchen) {
    kitchen.assert_accounts();
    let verified = kitchen.verify();
    assert_eq!((verified.problems.problems, &verified.problems.list[..]), (0, &[][..]));
    let before = trees(kitchen);
    let next = kitchen.backup();
    assert_eq!((next.counts.copied_files, next.counts.made_inodes, next.problems.problems), (0, 0, 0));
    let files = next.counts.files + next.counts.symlinks + next.counts.specials;
    assert_eq!((next.counts.reused, next.counts.changed, next.counts.added), (files, 0, 0));
    let listing = kitchen.listing(&next);
    assert_eq!(Listing::read(&kitchen.source).diff(&listing, Compare::COPY), [""; 0]);
    let mut after = trees(kitchen);
    after.retain(|name, _| before.contains_key(name));
    assert_untouched(&before, &after);
    kitchen.assert_sound();
    kitchen.assert_accounts();
    kitchen.age();
    let further = kitchen.backup();
    assert_eq!((further.counts.copied_files, further.counts.reused), (0, 0), "all is known again");
    drop(kitchen.delete(&["oldest", "latest~2"]));
    kitchen.keep_last(2);
    drop(kitchen.backup());
    drop(kitchen.backup());
    assert_eq!(kitchen.job().snapshot_names().expect("names").len(), 2);
    kitchen.assert_sound();
    kitchen.assert_accounts();
}

#[test]
fn a_rebuilt_catalog_says_what_the_old_one_said() {
    let kitchen = with_history();
    kitchen.pin("oldest", &Pin::Set { until: Some(4_000_000_000), note: Some("keep".to_owned()) });
    let (before, trees_before) = (told(&kitchen), trees(&kitchen));
    let summary = reindex(&kitchen);
    assert_eq!((summary.snapshots, summary.remembered, summary.pinned), (4, 4, 1));
    assert_eq!(summary.problems.list, []);
    for (new, old) in told(&kitchen).iter().zip(&before) {
        assert_eq!(new, old);
    }
    assert_eq!(told(&kitchen).len(), before.len());
    assert_untouched(&trees_before, &trees(&kitchen));
}

#[test]
fn rebuilding_reads_every_inode_once() {
    let kitchen = with_history();
    let summary = reindex(&kitchen);
    let usage = du::du(&kitchen.job()).expect("accounts");
    assert_eq!(summary.indexed.bytes, usage.total.bytes);
}

#[test]
fn hashes_are_unwitnessed_until_a_run_has_seen_the_source() {
    let mut kitchen = with_history();
    assert_eq!(kitchen.verify().unwitnessed, 0);
    drop(reindex(&kitchen));
    let files = kitchen.verify().unwitnessed;
    assert!(files > 0);
    drop(kitchen.backup());
    let job = kitchen.job();
    let latest = vec![job.snapshots().expect("snapshots").pop().expect("the newest")];
    let options = VerifyOptions { snapshots: latest, content: true, threads: Some(2) };
    assert_eq!(verify::verify(&job, &options, &Silent).expect("verified").unwitnessed, 0);
    assert!(kitchen.verify().unwitnessed < files);
}

/// Breaks the catalog, looks that nothing happens to the snapshots and that `reindex` is named, and brings it back.
fn survives(damage: impl Fn(&Path)) {
    let mut kitchen = with_history();
    let before = trees(&kitchen);
    damage(&catalog(&kitchen));
    let error = kitchen.try_backup(&Silent).expect_err("no run without a catalog");
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains("`linksnap reindex`"), "{}: {hint}", whole_chain(&error));
    let refused = kitchen.try_prune(1, linksnap_engine::stages::retire::Fate::Trash, &Silent);
    assert!(refused.is_err(), "nothing is dropped because a catalog cannot be read");
    assert_untouched(&before, &trees(&kitchen));
    let summary = reindex(&kitchen);
    assert_eq!((summary.snapshots, summary.problems.problems), (4, 0));
    assert_untouched(&before, &trees(&kitchen));
    assert_lives_on(&mut kitchen);
}

#[test]
fn a_deleted_catalog_comes_back() {
    survives(|catalog| fs::remove_file(catalog).expect("removed"));
}

#[test]
fn a_deleted_catalog_and_copy_come_back() {
    survives(|catalog| {
        fs::remove_file(catalog).expect("removed");
        fs::remove_file(catalog.with_file_name("catalog.copy")).expect("removed");
    });
}

#[test]
fn a_catalog_cut_short_comes_back() {
    for length in [0, 1, 100, 5000, 20_000] {
        survives(|catalog| {
            fs::File::options().write(true).open(catalog).and_then(|file| file.set_len(length)).expect("cut");
        });
    }
}

#[test]
fn a_catalog_of_random_bytes_comes_back() {
    survives(|catalog| {
        let mut state = 12345_u32;
        let bytes: Vec<u8> = (0..60_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        fs::write(catalog, bytes).expect("written");
    });
}

#[test]
fn a_foreign_catalog_is_refused_and_comes_back() {
    let mut other = Kitchen::new();
    other.options.now += 1000;
    drop(TreeBuilder::new(&other.source).file("secret", b"of another job"));
    drop(other.backup());
    survives(|own| {
        fs::copy(catalog(&other), own).expect("copied");
    });
}

#[test]
fn an_older_catalog_is_noticed_and_reindex_takes_the_rest_in() {
    let mut kitchen = with_history();
    let before = trees(&kitchen);
    // The copy is of the first snapshot.
    fs::copy(catalog(&kitchen).with_file_name("catalog.copy"), catalog(&kitchen)).expect("put back");
    let next = kitchen.backup();
    let notices: Vec<_> = next.problems.list.iter().filter(|one| one.kind == ProblemKind::Notice).collect();
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert!(notices.iter().all(|one| one.message.contains("`linksnap reindex`")), "{notices:?}");
    let mut after = trees(&kitchen);
    after.retain(|name, _| before.contains_key(name));
    assert_untouched(&before, &after);
    kitchen.pin("latest", &Pin::Set { until: None, note: None });
    let summary = reindex(&kitchen);
    assert_eq!((summary.snapshots, summary.remembered, summary.pinned), (5, 2, 1));
    kitchen.assert_sound();
    kitchen.assert_accounts();
    assert_eq!(kitchen.backup().counts.copied_files, 0);
    kitchen.assert_sound();
}

#[test]
fn damage_in_the_middle_of_a_catalog_does_no_harm() {
    let kitchen = with_history();
    let bytes = fs::read(catalog(&kitchen)).expect("a catalog");
    let before = trees(&kitchen);
    drop(kitchen);
    let pages = bytes.len() / 4096;
    assert!(pages > 5);
    for page in 0..pages {
        let mut kitchen = with_history();
        let mut bytes = fs::read(catalog(&kitchen)).expect("a catalog");
        let start = (page * 4096).min(bytes.len() - 4096);
        bytes[start + 8..start + 600].fill(0xA5);
        fs::write(catalog(&kitchen), &bytes).expect("written");
        let trees_before = trees(&kitchen);
        assert_eq!(trees_before.len(), before.len());
        // It may notice or not.
        drop(kitchen.try_backup(&Silent));
        let mut after = trees(&kitchen);
        after.retain(|name, _| trees_before.contains_key(name));
        assert_untouched(&trees_before, &after);
        drop(reindex(&kitchen));
        kitchen.assert_sound();
        kitchen.assert_accounts();
    }
}

#[test]
fn what_only_the_copy_remembers_is_taken_from_it() {
    let mut kitchen = Kitchen::new();
    drop(some_of_everything(&kitchen));
    kitchen.options.tags = vec!["first".to_owned()];
    drop(kitchen.backup());
    kitchen.options.tags.clear();
    drop(kitchen.backup());
    fs::remove_file(catalog(&kitchen)).expect("removed");
    let summary = reindex(&kitchen);
    assert_eq!((summary.snapshots, summary.remembered), (2, 1));
    let tags: Vec<String> = kitchen.snapshots().into_iter().map(|one| one.tags).collect();
    assert_eq!(tags, ["first", ""]);
}

#[test]
fn the_growth_is_kept_in_its_order() {
    let mut kitchen = with_history();
    drop(kitchen.delete(&["latest~2"]));
    drop(kitchen.backup());
    let before = du::history(&kitchen.job()).expect("growth");
    drop(reindex(&kitchen));
    assert_eq!(du::history(&kitchen.job()).expect("growth"), before);
}

#[test]
fn old_catalogs_are_kept_aside_and_never_overwritten() {
    let kitchen = with_history();
    let workshop = catalog(&kitchen).parent().expect("a directory").to_path_buf();
    fs::write(catalog(&kitchen), b"first damage").expect("written");
    fs::write(workshop.join("catalog.db-wal"), b"a log of nothing").expect("written");
    let summary = reindex(&kitchen);
    assert_eq!(summary.kept, Some(workshop.join("catalog.old")));
    fs::write(catalog(&kitchen), b"second damage").expect("written");
    let summary = reindex(&kitchen);
    assert_eq!(summary.kept, Some(workshop.join("catalog.old.2")));
    assert_eq!(fs::read(workshop.join("catalog.old")).expect("kept"), b"first damage");
    assert_eq!(fs::read(workshop.join("catalog.old.2")).expect("kept"), b"second damage");
    kitchen.assert_sound();
}

/// Stops after some questions.
struct Impatient(std::sync::atomic::AtomicI64);

impl Monitor for Impatient {
    fn wish(&self) -> Wish {
        let left = self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        if left <= 0 { Wish::Stop } else { Wish::GoOn }
    }
}

#[test]
fn an_interrupted_reindex_changes_nothing() {
    let kitchen = with_history();
    let before = fs::read(catalog(&kitchen)).expect("a catalog");
    for questions in [0, 1, 10, 30] {
        let error = try_reindex(&kitchen, &Impatient(questions.into())).expect_err("interrupted");
        assert!(matches!(error, ReindexError::Interrupted), "{error:?}");
        assert_eq!(fs::read(catalog(&kitchen)).expect("a catalog"), before);
        assert!(!catalog(&kitchen).with_file_name("catalog.new").exists());
    }
    kitchen.assert_sound();
}

#[test]
fn a_reindex_that_died_between_the_renames_is_begun_again() {
    let kitchen = with_history();
    kitchen.pin("oldest", &Pin::Set { until: None, note: Some("mine".to_owned()) });
    drop(reindex(&kitchen));
    let workshop = catalog(&kitchen).parent().expect("a directory").to_path_buf();
    fs::rename(catalog(&kitchen), workshop.join("catalog.new")).expect("as it was before the last rename");
    fs::write(workshop.join("catalog.db-wal"), b"of the old one").expect("written");
    assert!(matches!(kitchen.job().catalog(), Err(JobError::NoCatalog { .. })));
    let summary = reindex(&kitchen);
    assert_eq!((summary.snapshots, summary.remembered, summary.pinned), (4, 4, 1));
    kitchen.assert_sound();
}

#[test]
fn what_an_interrupted_run_had_built_is_not_trusted_after_a_reindex() {
    let mut kitchen = with_history();
    drop(TreeBuilder::new(&kitchen.source).file("z/new", b"new"));
    drop(kitchen.try_backup(&Impatient(20.into())).expect_err("interrupted"));
    fs::remove_file(catalog(&kitchen)).expect("removed");
    drop(reindex(&kitchen));
    let next = kitchen.backup();
    assert_eq!(Listing::read(&kitchen.source).diff(&kitchen.listing(&next), Compare::COPY), [""; 0]);
    kitchen.assert_sound();
    kitchen.assert_accounts();
}

#[test]
fn a_dry_run_says_what_there_is_and_writes_nothing() {
    let kitchen = with_history();
    fs::write(catalog(&kitchen), b"damage").expect("written");
    let summary = reindex::preview(&kitchen.job()).expect("a preview");
    assert_eq!((summary.snapshots, summary.remembered, summary.kept), (4, 1, None));
    assert_eq!(fs::read(catalog(&kitchen)).expect("still there"), b"damage");
}

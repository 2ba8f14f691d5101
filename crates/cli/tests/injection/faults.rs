//! Each call of a command fails, and each is its last: no bad snapshot, no changed history, no false success, and the
//! next command does its deed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::process::Command;

use linksnap_testkit::skip_unless;

use crate::calls::{self, Class};
use crate::deed::{self, Deed, Kind};
use crate::judge::{self, Before};
use crate::scene::Scene;
use crate::strace::{self, Blow, Call, Fault};

/// Set to `all`, nothing is left out; set to the name of a call, nothing of that call.
const EXTENT: &str = "LINKSNAP_INJECT";

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// First, middle and last, with errors in turn.
    Spread,
    /// Everything.
    All,
}

/// How much is tried of a call.
fn extent(call: &str) -> Option<Extent> {
    match std::env::var(EXTENT).as_deref() {
        Err(_) => Some(Extent::Spread),
        Ok("all") => Some(Extent::All),
        Ok(only) => (only == call).then_some(Extent::All),
    }
}

/// What may befall a command, from a run without a fault.
fn plan(calls: &[Call], base: &str, extent: impl Fn(&str) -> Option<Extent>) -> Vec<Fault> {
    let counts =
        |call: &&Call| call.rest.contains(base) || (call.name == "write" && call.rest.starts_with("1<"));
    let counting: Vec<&Call> = calls.iter().filter(counts).collect();
    // strace counts in each thread alone: what would hit the loader of libraries as well is of no interest.
    let others: BTreeSet<(&str, usize)> =
        calls.iter().filter(|call| !counts(call)).map(|call| (call.name.as_str(), call.nth)).collect();
    let unknown: BTreeSet<&str> =
        counting.iter().filter(|call| calls::is_unknown(call)).map(|call| call.name.as_str()).collect();
    assert!(unknown.is_empty(), "calls that are not in the table of calls.rs: {unknown:?}");
    let mut groups: BTreeMap<(&str, Class), BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
    let mut errors = BTreeMap::new();
    for call in counting {
        let Some((class, fitting)) = calls::class(call) else { continue };
        if others.contains(&(call.name.as_str(), call.nth)) {
            continue;
        }
        let group = (call.name.as_str(), class);
        groups.entry(group).or_default().entry(call.thread).or_default().push(call.nth);
        errors.insert(group, fitting);
    }
    let mut faults = Vec::new();
    for (group, threads) in groups {
        let Some(extent) = extent(group.0) else { continue };
        let chosen: BTreeSet<usize> = threads.values().flat_map(|nths| chosen(nths, extent)).collect();
        for (number, nth) in chosen.into_iter().enumerate() {
            let blows = blows(group.1, errors[&group], number, extent);
            faults.extend(blows.into_iter().map(|blow| Fault { call: group.0.to_owned(), nth, blow }));
        }
    }
    faults
}

/// Which occurrences in one thread.
fn chosen(nths: &[usize], extent: Extent) -> Vec<usize> {
    match extent {
        Extent::All => nths.to_vec(),
        Extent::Spread => vec![nths[0], nths[nths.len() / 2], nths[nths.len() - 1]],
    }
}

/// What befalls an occurrence. A death between two questions is no other than one at the next change.
fn blows(class: Class, errors: &[&'static str], number: usize, extent: Extent) -> Vec<Blow> {
    let mut blows: Vec<Blow> = match extent {
        Extent::All => errors.iter().map(|error| Blow::Error(error)).collect(),
        Extent::Spread => vec![Blow::Error(errors[number % errors.len()])],
    };
    if class == Class::Writes {
        blows.push(Blow::Kill);
    }
    blows
}

fn arrange(deed: &Deed) -> Scene {
    let scene = deed.scene();
    clear(&scene, deed);
    scene
}

/// Makes the scene of a restore as it was.
fn clear(scene: &Scene, deed: &Deed) {
    let target = scene.base.join("target");
    if target.exists() {
        fs::remove_dir_all(target).expect("removed");
    }
    if deed.args.contains(&"--overwrite") {
        deed::clutter(scene);
    }
}

fn command(scene: &Scene, deed: &Deed) -> Command {
    scene.command(deed.day, deed.args)
}

/// What came of all faults.
#[derive(Default)]
struct Tally {
    tried: usize,
    struck: usize,
    complaints: Vec<String>,
}

/// Tries a deed with every fault.
fn survives(deed: &Deed) {
    survives_all(deed, |calls, base| plan(calls, base, extent));
}

/// Tries a deed with one error of calls of one kind.
fn survives_at(deed: &Deed, error: &'static str, name: &str, is_meant: fn(&Call) -> bool) {
    survives_all(deed, |calls, _| {
        let meant: BTreeSet<usize> =
            calls.iter().filter(|call| call.name == name && is_meant(call)).map(|call| call.nth).collect();
        assert!(!meant.is_empty(), "{name} is not called like that");
        meant.into_iter().map(|nth| Fault { call: name.to_owned(), nth, blow: Blow::Error(error) }).collect()
    });
}

fn survives_all(deed: &Deed, plan: impl Fn(&[Call], &str) -> Vec<Fault>) {
    let scene = arrange(deed);
    let (calls, output) = strace::trace(&command(&scene, deed), &scene.base.join("log/trace"));
    assert!(output.status.success(), "{:?}: {output:?}", deed.args);
    let faults = plan(&calls, scene.base.to_str().expect("plain bytes"));
    let reference = judge::result(&scene, &output.stdout);
    let mut shared = deed.leaves_the_scene_alone().then_some(scene);
    let mut tally = Tally::default();
    for fault in &faults {
        let own;
        let scene = match &shared {
            Some(scene) => {
                clear(scene, deed);
                scene
            }
            None => {
                own = arrange(deed);
                &own
            }
        };
        let before = Before::take(scene, deed);
        let (struck, output) = strace::strike(&command(scene, deed), fault, &scene.base.join("log/strike"));
        tally.tried += 1;
        tally.struck += usize::from(!struck.is_empty());
        let mut complaints = judge::judge(scene, deed, &before, (fault, &output), (&struck, &reference));
        if complaints.is_empty() {
            complaints = judge::aftermath(scene, deed, &before, fault);
        }
        if !complaints.is_empty() {
            tally.complaints.push(describe(deed, fault, &struck, &output, &complaints));
            shared = shared.is_some().then(|| arrange(deed));
        }
    }
    report(deed, &tally);
}

fn describe(
    deed: &Deed,
    fault: &Fault,
    struck: &[String],
    output: &std::process::Output,
    complaints: &[String],
) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{} with {fault}\n  struck: {struck:#?}\n  {}\n  code {:?}\n  stdout: {}  stderr: {}",
        deed.args.join(" "),
        complaints.join("\n  "),
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Says how much was tried, and fails if something was wrong.
fn report(deed: &Deed, tally: &Tally) {
    let Tally { tried, struck, complaints } = tally;
    let line =
        format!("{}: {tried} faults tried, {struck} struck, {} wrong", deed.args.join(" "), complaints.len());
    // Not println!, which the test harness captures.
    writeln!(std::io::stderr(), "{line}").expect("standard error can be written");
    assert!(complaints.is_empty(), "{line}\n{}", complaints.join("\n"));
    // Which thread does what is not the same in every run.
    assert!(struck * 10 >= tried * 7, "{line}: the faults miss");
}

macro_rules! survive {
    ($($name:ident: $deed:ident,)*) => {$(
        #[test]
        fn $name() {
            let obstacle = strace::obstacle();
            skip_unless!(obstacle.is_none(), "{}", obstacle.unwrap_or_default());
            survives(&deed::$deed);
        }
    )*};
}

survive! {
    a_first_backup_survives_every_fault: FIRST,
    a_backup_of_changes_survives_every_fault: CHANGED,
    a_recycling_backup_survives_every_fault: RECYCLING,
    a_resuming_backup_survives_every_fault: RESUMING,
    prune_survives_every_fault: PRUNE,
    delete_survives_every_fault: DELETE,
    delete_of_all_survives_every_fault: DELETE_ALL,
    pin_survives_every_fault: PIN,
    init_survives_every_fault: INIT,
    restore_survives_every_fault: RESTORE,
    restore_over_something_survives_every_fault: OVERWRITE,
    verify_survives_every_fault: VERIFY,
    ls_survives_every_fault: LS,
    snapshots_survives_every_fault: SNAPSHOTS,
    du_survives_every_fault: DU,
    du_verify_survives_every_fault: DU_VERIFY,
}

/// The directory from which all sources are reached: without it there is nothing to be published.
#[test]
fn a_run_that_reaches_no_source_publishes_nothing() {
    let obstacle = strace::obstacle();
    skip_unless!(obstacle.is_none(), "{}", obstacle.unwrap_or_default());
    for deed in [&deed::FIRST, &deed::CHANGED] {
        survives_at(deed, "EIO", "openat", |call| call.rest.contains(r#"</>, ".","#));
    }
}

/// What came of listing them must not be taken for all that there is.
#[test]
fn a_job_that_cannot_be_looked_into_is_not_passed_over() {
    let obstacle = strace::obstacle();
    skip_unless!(obstacle.is_none(), "{}", obstacle.unwrap_or_default());
    for deed in [&deed::VERIFY, &deed::SNAPSHOTS, &deed::DU] {
        survives_at(deed, "EIO", "statx", |call| call.rest.contains(r#"".linksnap","#));
        survives_at(deed, "EACCES", "openat", |call| call.rest.contains(r#"/repo>, "demo","#));
    }
}

/// A deed of each kind is tried: whoever adds a kind adds a test.
#[test]
fn a_spread_has_the_first_the_middle_and_the_last() {
    let call = |thread, nth, rest: &str| Call { thread, name: "linkat".into(), nth, rest: rest.into() };
    let calls: Vec<Call> =
        (1..=9).map(|nth| call(0, nth, if nth > 2 { "/base/x" } else { "/lib" })).collect();
    let faults = plan(&calls, "/base", |_| Some(Extent::Spread));
    let at: BTreeSet<usize> = faults.iter().map(|fault| fault.nth).collect();
    assert_eq!(at, BTreeSet::from([3, 6, 9]));
    assert_eq!(faults.iter().filter(|fault| fault.blow == Blow::Kill).count(), 3);
    assert_eq!(plan(&calls, "/base", |_| Some(Extent::All)).len(), 7 * (6 + 1));
    assert!(matches!(deed::VERIFY.kind, Kind::Read));
}

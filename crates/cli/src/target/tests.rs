//! Jobs or paths, and where paths lead.

#![expect(clippy::disallowed_methods, reason = "a test makes its own tree, where nobody else is at work")]

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::target::{Meaning, Target, decide, settle};

fn config() -> Config {
    let text = "
[defaults]
exclude = [\"*.o\"]
[job.web]
sources = [\"/srv/www\"]
[job.etc]
sources = [\"/etc\"]
";
    Config::parse(Path::new("c.toml"), text).unwrap()
}

fn args(args: &[&str]) -> Vec<OsString> {
    args.iter().map(OsString::from).collect()
}

fn jobs(targets: &[Target]) -> Vec<&str> {
    targets.iter().map(|target| target.job.as_str()).collect()
}

#[test]
fn a_slash_makes_a_path_and_a_configured_job_comes_before_a_path() {
    let config = config();
    let table = [
        ("web", true, Meaning::Job),
        ("web", false, Meaning::Job),
        ("./web", false, Meaning::Path),
        ("web/", false, Meaning::Path),
        ("/etc", false, Meaning::Path),
        ("home", true, Meaning::Path),
        ("home", false, Meaning::Job),
        (".", true, Meaning::Path),
        ("..", true, Meaning::Path),
    ];
    for (arg, exists, wanted) in table {
        let found = Meaning::of(arg.as_ref(), Some(&config), |_| exists);
        assert_eq!(found, wanted, "{arg} {exists}");
    }
    assert_eq!(Meaning::of("web".as_ref(), None, |_| true), Meaning::Path);
}

#[test]
fn nothing_named_means_all_jobs() {
    let config = config();
    assert_eq!(jobs(&decide(&[], None, Some(&config)).unwrap()), ["etc", "web"]);
    assert_eq!(jobs(&decide(&[], Some("web"), Some(&config)).unwrap()), ["web"]);
    assert!(decide(&[], None, None).is_err());
}

#[test]
fn named_jobs_run_once_each_in_their_order() {
    let config = config();
    let targets = decide(&args(&["web", "etc", "web"]), None, Some(&config)).unwrap();
    assert_eq!(jobs(&targets), ["web", "etc"]);
    assert_eq!(targets[0].sources, [PathBuf::from("/srv/www")]);
    for wrong in [&["nobody"][..], &["web", "/etc"], &["web", "nobody"]] {
        let failure = decide(&args(wrong), None, Some(&config)).unwrap_err();
        assert_eq!(failure.exit.code(), 2, "{wrong:?}");
    }
}

#[test]
fn with_a_job_named_all_arguments_are_paths_of_one_run() {
    let config = config();
    let targets = decide(&args(&["/etc", "web"]), Some("mine"), Some(&config)).unwrap();
    assert_eq!(jobs(&targets), ["mine"]);
    assert_eq!(targets[0].sources.len(), 2);
    assert!(targets[0].sources[1].is_absolute());
    assert_eq!(targets[0].settings.rules.exclude, ["*.o"], "the defaults hold for it");
}

#[test]
fn the_way_is_resolved_but_not_the_last_name() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("real/dir")).unwrap();
    symlink("real", root.join("link")).unwrap();
    let table = [
        ("real/dir", "real/dir"),
        ("link/dir", "real/dir"),
        ("link/./dir/", "real/dir"),
        ("link", "link"),
        ("link/", "real"),
        ("link/.", "real"),
        ("real/dir/..", "real"),
        ("link/../real", "real"),
        ("real/none", "real/none"),
        ("none/none", "none/none"),
    ];
    for (written, wanted) in table {
        assert_eq!(settle(&root.join(written)), root.join(wanted), "{written}");
    }
    assert_eq!(settle(Path::new("/")), PathBuf::from("/"));
}

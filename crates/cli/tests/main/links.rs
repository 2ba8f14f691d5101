//! The census of symbolic links, and other texts for them.

use std::fs;
use std::os::unix::fs::symlink;

use crate::stage::Stage;

fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("www/releases/2/app", "app");
    let inside = stage.path("www/releases/2");
    symlink(&inside, stage.path("www/absolute")).unwrap();
    for (name, text) in [
        ("www/gone", "nothing"),
        ("www/longer", "../www/./releases/2"),
        ("www/out", "/proc/version"),
        ("www/plain", "releases/2"),
    ] {
        symlink(text, stage.path(name)).unwrap();
    }
    stage
}

fn text(stage: &Stage, name: &str) -> String {
    fs::read_link(stage.path(name)).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn links_are_counted_by_kind() {
    let stage = stage();
    let wanted = "\
symbolic links  5
  absolute      2
  relative      3
  dangling      1  lead nowhere
  leaving       1  lead out of the root
  crossing      1  lead to another filesystem
  longer        1  could say it shorter
";
    assert_eq!(stage.call(["links", "www"]).succeeded().text(), wanted);
    let sum = stage.call(["links", "www", "--json"]).succeeded().json_line("summary");
    assert_eq!(
        (sum["links"].as_u64(), sum["absolute"].as_u64(), sum["longer"].as_u64()),
        (Some(5), Some(2), Some(1))
    );
    stage.call(["links", "nowhere"]).exited(1).said(&["nowhere"]);
}

#[test]
fn links_are_listed_by_kind() {
    let stage = stage();
    let called = stage.call(["links", "www", "--list", "longer,leaving"]).succeeded();
    let wanted = "\
www/longer -> ../www/./releases/2: relative, longer than releases/2
www/out -> /proc/version: absolute, leaving, crossing
";
    assert_eq!(called.text(), wanted);
    called.said(&["2 of 5 symbolic links in 3 directories"]);
    let line = stage.call(["links", "www", "--list", "longer", "--json"]).succeeded().json_line("link");
    assert_eq!((line["path"].as_str(), line["shortest"].as_str()), (Some("www/longer"), Some("releases/2")));
    assert_eq!(stage.call(["links", "www", "--list", "all"]).succeeded().lines().len(), 5);
}

#[test]
fn links_become_relative_and_what_they_were_again() {
    let stage = stage();
    let (root, before) = (stage.path("www"), stage.listing("www"));
    let root = root.to_str().unwrap();
    let plan = format!("retarget www/absolute\n    from {root}/releases/2\n      to releases/2\n");
    let called = stage.call(["links", "www", "--to-relative", "-n"]).succeeded();
    assert_eq!(called.text(), plan);
    called.said(&[
        "1 of 2 links to be changed; left alone: 1 lead out of the root (--leaving changes them too)",
    ]);
    let all = stage.call(["links", "www", "--to-relative", "-n", "-v"]).succeeded().text();
    assert_eq!(all, format!("{plan}leave    www/out -> /proc/version: leads out of the root\n"));
    stage
        .call(["links", "www", "--to-relative"])
        .exited(1)
        .said(&["plan: 1 of 2 links", "nothing is changed: --yes"]);
    assert!(before == stage.listing("www"));

    let done = stage.call(["links", "www", "--to-relative", "--yes"]).succeeded();
    let undo = "linksnap-links-2026-04-08T020000Z.undo";
    assert_eq!(done.text(), format!("{plan}1 link changed; `linksnap undo {undo}` takes it back\n"));
    assert_eq!(text(&stage, "www/absolute"), "releases/2");
    stage.call(["undo", undo, "--yes"]).succeeded();
    assert_eq!(text(&stage, "www/absolute"), format!("{root}/releases/2"));
}

#[test]
fn links_become_absolute_or_short() {
    let stage = stage();
    let root = stage.path("www").to_str().unwrap().to_owned();
    stage.call(["links", "www", "--shorten", "--yes", "--undo", "1.undo"]).succeeded();
    assert_eq!(text(&stage, "www/longer"), "releases/2");
    let called =
        stage.call(["links", "www", "--to-absolute", "--yes", "--undo", "2.undo", "--json"]).succeeded();
    assert_eq!(called.json_line("summary")["retargeted"].as_u64(), Some(2));
    assert_eq!(text(&stage, "www/plain"), format!("{root}/releases/2"));
    assert_eq!(text(&stage, "www/gone"), "nothing");
    stage.call(["links", "www", "--to-absolute", "--shorten"]).exited(2);
    stage.call(["links", "www", "--yes"]).exited(2).said(&["--to-relative"]);
}

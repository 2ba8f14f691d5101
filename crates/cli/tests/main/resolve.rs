//! `resolve`: what it prints, and how it ends.

use std::fs;
use std::os::unix::fs::symlink;

use crate::stage::Stage;

fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("source/releases/2/index.html", "x");
    symlink("releases/2", stage.path("source/current")).unwrap();
    symlink("../gone/x", stage.path("source/broken")).unwrap();
    symlink("round", stage.path("source/round")).unwrap();
    stage
}

/// The lines without modes and owners, and without the steps to the stage.
fn steps(text: &str, root: &str) -> Vec<String> {
    let below = |line: &str| match line.starts_with("  ") {
        true => line[14..]
            .trim_start_matches(|c: char| c != ' ')
            .trim_start()
            .split_once("  ")
            .unwrap()
            .1
            .to_owned(),
        false => line.replace(root, "ROOT"),
    };
    text.lines().map(below).collect()
}

#[test]
fn every_step_is_shown_and_where_it_leads() {
    let stage = stage();
    let root = stage.path("source");
    let text = stage.call(["resolve", "source/current/../2/index.html"]).succeeded().text();
    let steps = steps(&text, root.to_str().unwrap());
    let dir = format!("{} (working directory)", stage.path("").to_str().unwrap().trim_end_matches('/'));
    let wanted = [
        "source/current/../2/index.html",
        &dir,
        "source",
        "current -> releases/2",
        "  releases",
        "  2",
        "..",
        "2",
        "index.html",
        "leads to ROOT/releases/2/index.html (file)",
    ];
    assert_eq!(steps, wanted, "{text}");
    assert!(text.contains("\n  lrwxrwxrwx  "), "{text}");
}

#[test]
fn where_it_goes_no_further_is_said_with_the_reason() {
    let stage = stage();
    let base = stage.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let ends = [
        ("source/broken", format!("goes no further: there is no \"gone\" in {base}\n")),
        (
            "source/round",
            format!("goes no further: the link \"round\" in {base}/source leads back to itself\n"),
        ),
        (
            "source/current/index.html/x",
            format!(
                "goes no further: {base}/source/releases/2/index.html is no directory, but a file: nothing can be \
                 below it\n"
            ),
        ),
    ];
    for (path, end) in ends {
        let text = stage.call(["resolve", path]).exited(1).text();
        assert!(text.ends_with(&end), "{text}");
    }
}

#[test]
fn only_the_path_is_printed_as_readlink_does() {
    let stage = stage();
    let root = stage.path("source").to_str().unwrap().to_owned();
    let call = |option: &str, path: &str| stage.call(["resolve", option, path, "source"]);
    assert_eq!(call("-f", "source/current").succeeded().text(), format!("{root}/releases/2\n{root}\n"));
    let one = call("-e", "source/broken").exited(1).said(&["source/broken: there is no \"gone\""]);
    assert_eq!(one.text(), format!("{root}\n"), "the others are printed all the same");
    let any = call("-m", "source/broken").succeeded().text();
    assert_eq!(any, format!("{}\n{root}\n", stage.path("gone/x").display()));
}

#[test]
fn json_has_every_step() {
    let stage = stage();
    let json = stage.call(["resolve", "--json", "source/current", "source/broken"]).exited(1).json();
    let reached = &json[0];
    assert_eq!(reached["leads_to"], stage.path("source/releases/2").to_str().unwrap());
    assert_eq!((&reached["kind"], &reached["stop"]), (&"directory".into(), &serde_json::Value::Null));
    let link = &reached["hops"][2];
    assert_eq!(
        (&link["kind"], &link["target"], &link["depth"]),
        (&"symlink".into(), &"releases/2".into(), &0.into())
    );
    assert_eq!(link["inode"], {
        use std::os::unix::fs::MetadataExt;
        fs::symlink_metadata(stage.path("source/current")).unwrap().ino()
    });
    assert_eq!(json[1]["leads_to"], serde_json::Value::Null);
    assert_eq!(json[1]["stop"]["why"], "missing");
    assert_eq!(json[1]["stop"]["name"], "gone");
}

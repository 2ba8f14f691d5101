//! `docs/cli.md` is the help of every verb, word for word.

use std::path::Path;

use crate::stage::Stage;

const VERBS: &[&str] = &[
    "",
    "init",
    "backup",
    "snapshots",
    "ls",
    "restore",
    "prune",
    "delete",
    "pin",
    "unpin",
    "du",
    "verify",
    "reindex",
    "ln",
    "inode",
    "names",
    "resolve",
    "dangling",
    "links",
    "usage",
    "deleted",
    "dedupe",
    "undo",
    "jobs",
    "jobs list",
    "jobs check",
];

fn help(stage: &Stage, verb: &str) -> String {
    let args = verb.split(' ').filter(|word| !word.is_empty()).chain(["--help"]);
    stage.call(args).succeeded().text()
}

fn document(stage: &Stage) -> String {
    let mut document = "# Command line\n\nMade from the program's own help: \
         `UPDATE_GOLDEN=1 cargo test -p linksnap` writes it anew.\n"
        .to_owned();
    for verb in VERBS {
        let title = format!("linksnap {verb}");
        let help = help(stage, verb);
        document.push_str(&format!("\n## {}\n\n```text\n{}\n```\n", title.trim(), help.trim_end()));
    }
    document
}

#[test]
fn the_documented_command_line_is_the_real_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let real = document(&Stage::new());
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&path, &real).unwrap();
    }
    let documented = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(documented, real, "make docs/cli.md anew with UPDATE_GOLDEN=1");
}

#[test]
fn every_help_has_an_example_and_ends_with_the_exit_codes() {
    let stage = Stage::new();
    for verb in VERBS {
        let help = help(&stage, verb);
        assert!(help.contains("\nExamples:\n  linksnap "), "{verb}: {help}");
        assert!(help.contains("\nExit codes:\n"), "{verb}: {help}");
        assert!(help.trim_end().ends_with("A closed pipe is success."), "{verb}: {help}");
    }
}

#[test]
fn every_verb_is_documented() {
    let stage = Stage::new();
    for parent in ["", "jobs"] {
        let help = help(&stage, parent);
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in listed.take_while(|line| !line.is_empty()) {
            let verb = format!("{parent} {}", line.split_whitespace().next().unwrap());
            let verb = verb.trim();
            assert!(verb.ends_with("help") || VERBS.contains(&verb), "{verb}");
        }
    }
}

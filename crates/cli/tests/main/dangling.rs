//! Links that lead nowhere: found, repaired, and as they were again.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;

use linksnap_testkit::program;
use linksnap_testkit::skip::{has_tool, is_root};
use linksnap_testkit::skip_unless;
use linksnap_testkit::swapper::NOBODY;

use crate::stage::{Called, Stage};

/// A tree in which some links lead nowhere.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("www/releases/2/app", "app");
    stage.write("www/site/img/logo.png", "1");
    stage.write("www/img/logo.png", "2");
    for (name, text) in [
        ("www/app", "old/app"),
        ("www/current", "releases/1"),
        ("www/good", "releases/2"),
        ("www/logo", "/old/site/img/logo.png"),
        ("www/loop", "loop"),
        ("www/through", "current/app"),
    ] {
        symlink(text, stage.path(name)).unwrap();
    }
    stage
}

fn text(stage: &Stage, name: &str) -> String {
    fs::read_link(stage.path(name)).unwrap().to_str().unwrap().to_owned()
}

const UNDO: &str = "linksnap-dangling-2026-04-08T020000Z.undo";

#[test]
fn each_link_is_told_with_its_reason() {
    let stage = stage();
    let called = stage
        .call(["dangling", "www"])
        .exited(1)
        .said(&["5 of 6 symbolic links in 6 directories lead nowhere"]);
    let wanted = "\
www/app -> old/app: missing: old
www/current -> releases/1: missing
www/logo -> /old/site/img/logo.png: missing: /old, outside the root
www/loop -> loop: a loop, or more than 40 links
www/through -> current/app: missing: current leads nowhere itself
";
    assert_eq!(called.text(), wanted);
    let quiet = stage.call(["dangling", "www", "-q", "--print"]).exited(1);
    assert_eq!(quiet.text(), "www/app\nwww/current\nwww/logo\nwww/loop\nwww/through\n");
    assert_eq!(quiet.stderr, "");
    let nul = stage.call(["dangling", "www/img", "www", "--print0"]).exited(1);
    assert_eq!(nul.text(), "www/app\0www/current\0www/logo\0www/loop\0www/through\0");
}

#[test]
fn exit_codes_tell_whether_there_are_any() {
    let stage = stage();
    stage.call(["dangling", "www/releases"]).succeeded().said(&["no symbolic links in 2 directories"]);
    stage.call(["dangling", "www/nowhere"]).exited(1).said(&["www/nowhere", "No such file"]);
    stage.call(["dangling", "www/nowhere", "www"]).exited(1);
    stage.call(["dangling", "/proc"]).exited(3).said(&["/proc: cannot walk through"]);
    stage.call(["dangling", "www", "--yes"]).exited(2).said(&["--fix"]);
}

#[test]
fn for_programs_all_is_in_lines_of_json() {
    let stage = stage();
    let called = stage.call(["dangling", "www", "--json"]).exited(1);
    let line = called.json_line("dangling");
    assert_eq!((line["path"].as_str(), line["target"].as_str()), (Some("www/app"), Some("old/app")));
    assert_eq!((line["reason"].as_str(), line["stops_at"].as_str()), (Some("missing"), Some("old")));
    let sum = called.json_line("summary");
    assert_eq!((sum["links"].as_u64(), sum["dangling"].as_u64()), (Some(6), Some(5)));
}

#[test]
fn links_out_of_the_root_are_told_if_asked_for() {
    let stage = Stage::new();
    stage.write("www/a", "");
    symlink("/etc", stage.path("www/out")).unwrap();
    symlink(stage.path("www/a"), stage.path("www/in")).unwrap();
    stage.call(["dangling", "www"]).succeeded();
    let called = stage.call(["dangling", "www", "--leaving"]).exited(1);
    assert_eq!(called.text(), "www/out -> /etc: works, but leaves the root\n");
}

#[test]
fn a_plan_is_shown_and_nothing_done_without_a_word() {
    let stage = stage();
    let before = stage.listing("www");
    let search = ["dangling", "www", "--fix=search,remove"];
    let wanted = "\
retarget www/app
    from old/app
      to releases/2/app
remove   www/current -> releases/1
leave    www/logo -> /old/site/img/logo.png: 2 things are called logo.png
      or ROOT/www/site/img/logo.png  (the last 3 parts of its path agree)
      or ROOT/www/img/logo.png  (the last 2 parts of its path agree)
remove   www/loop -> loop
retarget www/through
    from current/app
      to releases/2/app
";
    let wanted = wanted.replace("ROOT", stage.path("").to_str().unwrap().trim_end_matches('/'));
    for more in [&["-n"][..], &[]] {
        let called = stage.call(search.iter().chain(more)).exited(1);
        assert_eq!(called.text(), wanted);
    }
    stage.call(search).said(&["plan: 4 of 5 links to be changed", "nothing is changed: --yes"]);
    assert!(before == stage.listing("www") && !stage.path(UNDO).exists());
}

#[test]
fn repairs_can_be_taken_back() {
    let stage = stage();
    let before: Vec<_> =
        ["app", "current", "loop", "through"].map(|name| text(&stage, &format!("www/{name}"))).into();
    let called = stage.call(["dangling", "www", "--fix=search,remove", "--yes"]).exited(1);
    assert!(
        called
            .text()
            .ends_with(&format!("2 links changed, 2 removed; `linksnap undo {UNDO}` takes it back\n"))
    );
    assert_eq!(text(&stage, "www/app"), "releases/2/app");
    assert!(stage.path("www/loop").symlink_metadata().is_err());
    assert_eq!(fs::metadata(stage.path(UNDO)).unwrap().mode() & 0o777, 0o600);

    stage.call(["undo", UNDO]).exited(2).said(&["--yes"]);
    let shown = stage.call(["undo", UNDO, "-n"]).succeeded().text();
    assert!(
        shown.contains("would take back") && shown.ends_with("4 changes could be taken back\n"),
        "{shown}"
    );
    stage.call(["undo", UNDO, "--yes"]).succeeded();
    let after: Vec<_> =
        ["app", "current", "loop", "through"].map(|name| text(&stage, &format!("www/{name}"))).into();
    assert_eq!(before, after);
    let again = stage.call(["undo", UNDO, "--yes"]).succeeded().text();
    assert!(again.ends_with("0 changes taken back, 4 as before already\n"), "{again}");
}

#[test]
fn what_has_changed_since_is_not_taken_back() {
    let stage = stage();
    stage.call(["dangling", "www", "--fix=search", "--yes", "--undo", "my.undo"]).exited(1);
    fs::remove_file(stage.path("www/app")).unwrap();
    stage.write("www/app", "mine");
    let called = stage.call(["undo", "my.undo", "--yes"]).exited(3).said(&["www/app", "changed since"]);
    assert!(called.text().ends_with("1 change taken back, 1 left alone\n"), "{called:?}");
    assert_eq!(fs::read_to_string(stage.path("www/app")).unwrap(), "mine");
    let json = stage.call(["undo", "my.undo", "--yes", "--json"]).exited(3).json_line("summary");
    assert_eq!((json["left"].as_u64(), json["nothing"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn what_leads_through_a_repaired_link_needs_no_repair() {
    let stage = Stage::new();
    stage.write("www/new/lib/app", "");
    symlink("current/app", stage.path("www/a-through")).unwrap();
    symlink("old/lib", stage.path("www/current")).unwrap();
    let called = stage.call(["dangling", "www", "--fix", "--yes"]).succeeded();
    assert!(called.text().contains("1 link changed, 1 needed nothing any more"), "{called:?}");
    assert_eq!(text(&stage, "www/a-through"), "current/app");
}

#[test]
fn without_an_undo_file_nothing_is_changed() {
    let stage = stage();
    stage.write("taken.undo", "precious");
    fs::create_dir(stage.path("anybodys")).unwrap();
    fs::set_permissions(stage.path("anybodys"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let before = stage.listing("www");
    for undo in ["taken.undo", "no/such/directory.undo", "/proc/my.undo", "anybodys/my.undo"] {
        let fix = ["dangling", "www", "--fix=remove", "--yes", "--undo", undo];
        stage.call(fix).exited(1).said(&["cannot write the undo file", undo, "--undo FILE"]);
    }
    assert!(before == stage.listing("www"));
    assert_eq!(fs::read_to_string(stage.path("taken.undo")).unwrap(), "precious");
}

#[test]
fn an_undo_file_that_others_could_have_written_is_refused() {
    let stage = stage();
    stage.call(["dangling", "www", "--fix=search", "--yes", "--undo", "my.undo"]).exited(1);
    let refused = |stage: &Stage| {
        stage
            .call(["undo", "my.undo", "--yes"])
            .exited(2)
            .said(&["my.undo", "others than this user and root"]);
    };
    fs::set_permissions(stage.path("my.undo"), std::os::unix::fs::PermissionsExt::from_mode(0o622)).unwrap();
    refused(&stage);
    fs::set_permissions(stage.path("my.undo"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    if is_root() {
        std::os::unix::fs::chown(stage.path("my.undo"), Some(NOBODY), None).unwrap();
        refused(&stage);
    }
    stage.write("odd.undo", "{\"did\":\"nothing\"}\n");
    stage.call(["undo", "odd.undo", "--yes"]).exited(2).said(&["line 1 is no change"]);
}

#[test]
fn where_nobody_may_look_a_link_is_told_but_not_repaired() {
    skip_unless!(is_root(), "needs root, to become somebody else");
    let stage = Stage::new();
    stage.write("www/secret/file", "");
    stage.write("www/file", "");
    symlink("secret/file", stage.path("www/link")).unwrap();
    fs::set_permissions(stage.path("www/secret"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .unwrap();
    fs::set_permissions(stage.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let as_nobody = |args: &[&str]| {
        // The binary may be where nobody else can go.
        let binary = stage.path("linksnap");
        if !binary.exists() {
            program::install(env!("CARGO_BIN_EXE_linksnap"), &binary);
        }
        let plain = stage.command(args);
        let mut command = std::process::Command::new(binary);
        command.args(plain.get_args()).env_clear().current_dir(stage.path("")).uid(NOBODY).gid(NOBODY);
        Called::of(command.output().unwrap())
    };
    let called =
        as_nobody(&["dangling", "www"]).exited(1).said(&["problem: www/secret: cannot open directory"]);
    assert_eq!(called.text(), "www/link -> secret/file: no permission: secret\n");
    let plan = as_nobody(&["dangling", "www", "--fix=search,remove", "-n"]).exited(1);
    assert_eq!(
        plan.text(),
        "leave    www/link -> secret/file: no permission: secret; there may be something\n"
    );
}

#[test]
fn the_alternatives_are_looked_at_and_told_what_mends_them() {
    let stage = Stage::new();
    stage.write("sys/usr/bin/vi-1", "");
    let admin = "auto\n/usr/bin/editor\n\n/usr/bin/vi-1\n10\n/usr/bin/vi-2\n20\n\n";
    stage.write("sys/var/lib/dpkg/alternatives/editor", admin);
    stage.write("sys/etc/alternatives/README", "");
    symlink("/etc/alternatives/editor", stage.path("sys/usr/bin/editor")).unwrap();
    symlink("/usr/bin/vi-2", stage.path("sys/etc/alternatives/editor")).unwrap();
    symlink("/usr/bin/nothing", stage.path("sys/etc/alternatives/old")).unwrap();
    let verb = ["dangling", "--alternatives", "--root", "sys"];
    let called = stage.call(verb).exited(1).said(&["2 faults in 1 group"]);
    let wanted = "\
editor: /etc/alternatives/editor -> /usr/bin/vi-2: what is chosen is missing
    update-alternatives --auto editor  (chooses /usr/bin/vi-1)
old: /etc/alternatives/old -> /usr/bin/nothing: leads nowhere, and belongs to no group
    rm /etc/alternatives/old
";
    assert_eq!(called.text(), wanted);
    let json = stage.call(verb.iter().chain(&["--json"])).exited(1).json_line("alternative");
    assert_eq!(json["command"].as_str(), Some("update-alternatives --auto editor"));

    stage.write("sys/usr/bin/vi-2", "");
    fs::remove_file(stage.path("sys/etc/alternatives/old")).unwrap();
    stage.call(verb).succeeded().said(&["nothing wrong in 1 group"]);
    stage
        .call(["dangling", "--alternatives", "--root", "source"])
        .exited(1)
        .said(&["no alternatives system", "--admindir"]);
    stage.call(["dangling", "--alternatives", "www"]).exited(2);
}

#[test]
fn names_that_are_no_links_cost_no_system_call() {
    skip_unless!(has_tool("strace"), "strace is missing");
    let stage = stage();
    for number in 0..50 {
        stage.write(format!("www/many/plain-{number}"), "");
    }
    for verb in [["dangling", "www"], ["links", "www"]] {
        let plain = stage.command(verb);
        let log = stage.path("strace.log");
        let mut traced = std::process::Command::new("strace");
        traced.args(["-f", "-qq", "-o"]).arg(&log).arg(plain.get_program()).args(plain.get_args());
        traced
            .current_dir(stage.path(""))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        assert!(traced.status().unwrap().code().is_some_and(|code| code < 2));
        let calls = fs::read_to_string(&log).unwrap();
        assert_eq!(calls.lines().filter(|call| call.contains("plain-")).count(), 0, "{verb:?}");
        let of_link = calls.lines().filter(|call| call.contains("\"good\""));
        assert!((1..=2).contains(&of_link.count()), "{verb:?}: one look, and one at its text for the census");
    }
}

//! The alternatives system: what is wrong, and what `update-alternatives` makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use linksnap_testkit::skip::has_tool;
use linksnap_testkit::skip_unless;
use linksnap_testkit::tree::TreeBuilder;
use linksnap_toolbox::alternatives::{self, Fault, Mode, Report, Site};
use tempfile::TempDir;

fn site(root: &Path) -> Site {
    Site {
        root: root.to_path_buf(),
        admin: root.join("var/lib/dpkg/alternatives"),
        links: b"/etc/alternatives".to_vec(),
    }
}

/// A system with an editor, of which there are three.
fn system() -> TempDir {
    let top = TempDir::new().unwrap();
    TreeBuilder::new(top.path())
        .file("usr/bin/vi-1", "")
        .file("usr/bin/vi-2", "")
        .file("usr/share/man/vi-2.1", "")
        .symlink("usr/bin/editor", "/etc/alternatives/editor")
        .symlink("etc/alternatives/editor", "/usr/bin/vi-3")
        .symlink("etc/alternatives/editor.1", "/usr/share/man/vi-3.1")
        .symlink("usr/share/man/editor.1", "/etc/alternatives/editor.1")
        .symlink("etc/alternatives/forgotten", "/usr/bin/nothing")
        .file(
            "var/lib/dpkg/alternatives/editor",
            "auto\n/usr/bin/editor\neditor.1\n/usr/share/man/editor.1\n\n\
             /usr/bin/vi-1\n10\n\n/usr/bin/vi-2\n20\n/usr/share/man/vi-2.1\n/usr/bin/vi-3\n30\n/usr/share/man/vi-3.1\n\n",
        );
    top
}

fn summary(report: &Report) -> Vec<(&str, &str, Fault)> {
    let text = |bytes| str::from_utf8(bytes).unwrap();
    report.findings.iter().map(|one| (text(&one.group), text(&one.path), one.fault.clone())).collect()
}

#[test]
fn what_leads_nowhere_is_found_with_what_would_be_chosen() {
    let top = system();
    let report = alternatives::check(&site(top.path())).unwrap();
    assert_eq!((report.groups, report.problems.len()), (1, 0));
    let wanted = [
        ("editor", "/etc/alternatives/editor", Fault::ChoiceGone),
        ("editor", "/etc/alternatives/editor.1", Fault::SlaveGone),
        ("editor", "/usr/share/man/editor.1", Fault::SlaveGone),
        ("forgotten", "/etc/alternatives/forgotten", Fault::Orphan),
    ];
    assert_eq!(summary(&report), wanted);
    assert_eq!(report.findings[0].best.as_deref(), Some(b"/usr/bin/vi-2".as_slice()));
}

#[test]
fn links_that_are_missing_or_lead_elsewhere_are_found() {
    let top = system();
    let path = |name: &str| top.path().join(name);
    fs::remove_file(path("etc/alternatives/editor")).unwrap();
    fs::remove_file(path("usr/bin/editor")).unwrap();
    let report = alternatives::check(&site(top.path())).unwrap();
    let found = summary(&report);
    assert_eq!(found[0], ("editor", "/etc/alternatives/editor", Fault::NoChoice));
    assert_eq!(found[1], ("editor", "/usr/bin/editor", Fault::NoLink));
    assert_eq!(found[2], ("editor", "/usr/bin/vi-3", Fault::NotThere));

    symlink("/usr/bin/vi-1", path("usr/bin/editor")).unwrap();
    fs::write(path("usr/bin/mine"), "").unwrap();
    symlink("/usr/bin/mine", path("etc/alternatives/editor")).unwrap();
    let report = alternatives::check(&site(top.path())).unwrap();
    let found = summary(&report);
    assert_eq!(found[0], ("editor", "/etc/alternatives/editor", Fault::Unknown));
    assert_eq!(found[1], ("editor", "/usr/bin/editor", Fault::Elsewhere));
}

#[test]
fn a_file_that_makes_no_sense_is_a_problem_and_the_others_are_looked_at() {
    let top = system();
    fs::write(top.path().join("var/lib/dpkg/alternatives/odd"), "what\n").unwrap();
    let report = alternatives::check(&site(top.path())).unwrap();
    assert_eq!((report.groups, report.problems.len(), report.findings.len()), (1, 1, 4));
    assert!(report.problems[0].to_string().contains("line 1 should be auto or manual"));
}

#[test]
fn what_would_be_chosen_is_what_update_alternatives_chooses() {
    skip_unless!(has_tool("update-alternatives"), "update-alternatives is missing");
    let top = system();
    let root = top.path().canonicalize().unwrap();
    // With its files elsewhere it still has no other root: so paths are as seen from here.
    let admin = root.join("var/lib/dpkg/alternatives/editor");
    let rooted = fs::read_to_string(&admin).unwrap().replace("/usr/", &format!("{}/usr/", root.display()));
    fs::write(&admin, rooted).unwrap();
    for (link, text) in
        [("usr/bin/editor", "etc/alternatives/editor"), ("etc/alternatives/editor", "usr/bin/vi-3")]
    {
        fs::remove_file(root.join(link)).unwrap();
        symlink(root.join(text), root.join(link)).unwrap();
    }
    let middle = root.join("etc/alternatives").to_str().unwrap().as_bytes().to_vec();
    let site =
        Site { root: PathBuf::from("/"), admin: root.join("var/lib/dpkg/alternatives"), links: middle };
    let before = alternatives::check(&site).unwrap();
    assert_eq!(before.findings[0].fault, Fault::ChoiceGone);

    let mended = Command::new("update-alternatives")
        .arg("--altdir")
        .arg(root.join("etc/alternatives"))
        .arg("--admindir")
        .arg(&site.admin)
        .args(["--log", "/dev/null", "--auto", "editor"])
        .output()
        .unwrap();
    assert!(mended.status.success(), "{mended:?}");

    let chosen = fs::read_link(root.join("etc/alternatives/editor")).unwrap();
    assert_eq!(before.findings[0].best.as_deref(), chosen.to_str().map(str::as_bytes));
    let after = alternatives::check(&site).unwrap();
    assert_eq!(after.findings.len(), 1, "only the orphan is left: {:?}", after.findings);
}

#[test]
fn this_systems_groups_are_read_as_update_alternatives_reads_them() {
    let admin = Path::new("/var/lib/dpkg/alternatives");
    skip_unless!(has_tool("update-alternatives") && admin.is_dir(), "no alternatives system here");
    for entry in fs::read_dir(admin).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let group = alternatives::read(&entry.path(), name.as_bytes()).unwrap();
        let query = Command::new("update-alternatives").args(["--query", &name]).output().unwrap();
        let text = String::from_utf8(query.stdout).unwrap();
        let fields: BTreeMap<&str, &str> = text
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(": "))
            .collect();
        assert_eq!(fields["Link"].as_bytes(), group.link, "{name}");
        assert_eq!(fields["Status"] == "auto", group.mode == Mode::Auto, "{name}");
        let theirs: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("Alternative: ")).collect();
        let there = |path: &[u8]| Path::new(str::from_utf8(path).unwrap()).exists();
        let mut ours: Vec<&str> = group
            .choices
            .iter()
            .filter(|choice| there(&choice.path))
            .map(|choice| str::from_utf8(&choice.path).unwrap())
            .collect();
        ours.sort_unstable();
        assert_eq!(ours, theirs, "{name}");
    }
}

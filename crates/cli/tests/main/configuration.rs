//! Configured jobs, and what is wrong with configurations.

use crate::stage::{NAME, Stage};

/// A stage with two sources and a configuration that is found without being named.
fn stage(extra: &str) -> Stage {
    let stage = Stage::new();
    stage.write("source/one/a.txt", "1");
    stage.write("source/one/a.tmp", "1");
    stage.write("source/two/b.txt", "2");
    let (repo, source) = (stage.path("repo"), stage.path("source"));
    let (repo, source) = (repo.display(), source.display());
    let text = format!(
        "repository = \"{repo}\"
[defaults]
exclude = [\"*.tmp\"]
[job.one]
sources = [\"{source}/one\"]
keep = {{ daily = 7 }}
[job.two]
sources = [\"{source}/two\"]
{extra}"
    );
    stage.write(".config/linksnap/config.toml", text);
    stage
}

#[test]
fn all_configured_jobs_run_by_their_rules() {
    let stage = stage("");
    stage.init();
    let text = stage.call(["backup"]).succeeded().text();
    assert!(text.contains("of job one") && text.contains("of job two"), "{text}");
    let one = stage.path("source/one");
    let one = stage.path("repo/one").join(NAME).join(one.strip_prefix("/").unwrap());
    assert!(one.join("a.txt").is_file());
    assert!(!one.join("a.tmp").exists(), "excluded by the defaults");
}

#[test]
fn named_jobs_run_alone() {
    let stage = stage("");
    stage.init();
    stage.call(["backup", "two"]).succeeded();
    assert!(stage.path("repo/two/latest").is_dir());
    assert!(!stage.path("repo/one").exists());
    stage.call(["backup", "--job", "one"]).succeeded();
    assert!(stage.path("repo/one/latest").is_dir());
}

#[test]
fn one_job_that_fails_stops_no_other_and_the_worst_code_wins() {
    let stage = stage("[job.broken]\nsources = [\"/nowhere/at/all\"]\n");
    stage.init();
    stage.call(["backup"]).exited(12).said(&["job broken: ", "/nowhere/at/all"]);
    for job in ["one", "two"] {
        assert!(stage.path("repo").join(job).join("latest").is_dir(), "{job}");
    }
}

#[test]
fn ad_hoc_runs_follow_the_defaults() {
    let stage = stage("");
    stage.init();
    stage.call(["backup", "--job", "demo", "source/one"]).succeeded();
    assert!(stage.in_snapshot(NAME, "one/a.txt").is_file());
    assert!(!stage.in_snapshot(NAME, "one/a.tmp").exists());
}

#[test]
fn a_bad_configuration_is_shown_with_line_and_column() {
    let stage = stage("excludes = [\"x\"]\n");
    let called = stage.call(["backup"]).exited(2);
    let file = stage.path(".config/linksnap/config.toml");
    let place = format!("error: {}:9:1: unknown field `excludes`", file.display());
    let picture = "\n   |\n 9 | excludes = [\"x\"]\n   | ^^^^^^^^\nhint: ";
    called.said(&[&place, picture]);
}

#[test]
fn a_broken_configuration_is_no_obstacle_to_reading() {
    let stage = Stage::with_snapshot();
    stage.write(".config/linksnap/config.toml", "nonsense");
    stage.call(["ls"]).succeeded();
    stage.call(["backup", "--job", "demo", "source"]).exited(2);
}

#[test]
fn a_named_configuration_must_be_there() {
    let stage = Stage::with_snapshot();
    let args = ["backup", "--config", "none.toml", "--job", "demo", "source"];
    stage.call(args).exited(2).said(&["none.toml", "because"]);
}

#[test]
fn the_repository_comes_from_the_configuration() {
    let stage = stage("");
    stage.init();
    stage.call(["backup"]).succeeded();
    let output = stage.command(["snapshots"]).env_remove("LINKSNAP_REPO").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_configuration_is_explained() {
    let stage = stage("exclude-larger-than = \"8GiB\"\n");
    stage.init();
    let text = stage.call(["jobs", "check"]).succeeded().text();
    for part in [
        "(found)",
        "job one\n",
        "leaves out what matches *.tmp",
        "leaves out files larger than 8.0 GiB",
        "keeps 7 daily",
        "keeps all snapshots",
        "nothing is wrong",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = stage.call(["jobs", "check", "--json"]).succeeded().json();
    assert_eq!(json["jobs"][1]["exclude_larger_than"], 8_u64 << 30);
    assert_eq!(json["jobs"][0]["sources"][0]["exists"], true);
}

#[test]
fn a_configured_source_that_is_not_there_is_wrong() {
    let stage = stage("[job.broken]\nsources = [\"/nowhere/at/all\"]\n");
    let text = stage.call(["jobs", "check"]).exited(2).text();
    assert!(text.contains("/nowhere/at/all (not there)"), "{text}");
}

#[test]
fn the_rule_that_decides_is_named() {
    let stage = stage("");
    let text = stage.call(["jobs", "check", "--exclude", "source/one/a.tmp"]).succeeded().text();
    let path = stage.path("source/one/a.tmp");
    let path = path.display();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with(&format!("job one: out: {path} (")), "{text}");
    assert!(lines[0].contains("*.tmp"), "{text}");
    assert_eq!(lines[1], format!("job two: out: {path} (it is in none of the sources)"));
    let args = ["jobs", "check", "--job", "one", "--json", "--exclude", "source/one/a.txt"];
    let json = stage.call(args).succeeded().json();
    assert_eq!(json.as_array().unwrap().len(), 1);
    assert_eq!(json[0]["included"], true);
}

#[test]
fn jobs_of_the_configuration_and_of_the_repository_are_listed() {
    let stage = stage("");
    let called = stage.call(["jobs", "list"]).succeeded();
    assert!(called.text().contains("one"), "without a repository too: {called:?}");
    stage.init();
    stage.call(["backup", "two"]).succeeded();
    stage.call(["backup", "--job", "demo", "source/one"]).succeeded();
    let json = stage.call(["jobs", "list", "--json"]).succeeded().json();
    let seen: Vec<(&str, bool, u64)> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|job| {
            let name = job["job"].as_str().unwrap();
            (name, job["configured"].as_bool().unwrap(), job["snapshots"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(seen, [("demo", false, 1), ("one", true, 0), ("two", true, 1)]);
    assert_eq!(json[0]["latest"], NAME);
}

//! What configurations mean, and how wrong ones are shown.

use std::path::{Path, PathBuf};

use linksnap_engine::policy::{Bucket, Count, Policy, Rule};
use linksnap_engine::verbs::backup::Thoroughness;

use crate::config::{Config, Job};

const FILE: &str = "/etc/linksnap/config.toml";

fn parse(text: &str) -> Config {
    Config::parse(Path::new(FILE), text).unwrap_or_else(|failure| panic!("{failure:?}"))
}

fn job(text: &str) -> Job {
    parse(text).jobs.into_values().next().expect("one job")
}

#[test]
fn an_empty_configuration_has_the_built_in_defaults() {
    let config = parse("");
    assert_eq!(config.repository, None);
    assert!(config.jobs.is_empty());
    assert!(config.defaults.one_file_system);
    assert!(!config.defaults.rules.exclude_caches);
    assert!(matches!(config.defaults.validate, Thoroughness::Share(16)));
}

#[test]
fn the_example_of_the_design_is_understood() {
    let config = parse(
        r#"
repository = "/backup"

[defaults]
exclude-caches = true                 # CACHEDIR.TAG
one-file-system = true
keep = { last = 3, daily = 7, weekly = 4, monthly = 12 }

[job.web1]
sources = ["/etc", "/srv/www"]
exclude = ["*.tmp", "/srv/www/*/cache/"]   # gitignore syntax, rooted at /
exclude-if-present = [".nobackup"]
exclude-larger-than = "8GiB"
keep = { within = "2d", hourly = 24, daily = 14, weekly = 8, monthly = 24, yearly = 5 }
"#,
    );
    assert_eq!(config.repository, Some(PathBuf::from("/backup")));
    let job = config.jobs.values().next().unwrap();
    assert_eq!(job.sources, [PathBuf::from("/etc"), PathBuf::from("/srv/www")]);
    let rules = &job.settings.rules;
    assert_eq!(rules.exclude, ["*.tmp", "/srv/www/*/cache/"]);
    assert_eq!(rules.exclude_if_present, [".nobackup"]);
    assert!(rules.exclude_caches, "from the defaults");
    assert_eq!(rules.exclude_larger_than, Some(8 << 30));
    let words = job.settings.keep.as_ref().unwrap().words();
    assert_eq!(words, ["24 hourly", "14 daily", "8 weekly", "24 monthly", "5 yearly", "all of the last 2d"]);
}

#[test]
fn jobs_override_defaults_but_excludes_add_up() {
    let job = job(r#"
[defaults]
exclude = ["*.o"]
exclude-if-present = [".no"]
exclude-caches = true
exclude-larger-than = 100
one-file-system = false
validate = 4
[job.a]
sources = ["/a"]
exclude = ["!keep.o"]
exclude-if-present = []
exclude-caches = false
one-file-system = true
validate = "full"
"#);
    let settings = job.settings;
    assert_eq!(settings.rules.exclude, ["*.o", "!keep.o"]);
    assert!(settings.rules.exclude_if_present.is_empty());
    assert!(!settings.rules.exclude_caches);
    assert_eq!(settings.rules.exclude_larger_than, Some(100), "not said by the job");
    assert!(settings.one_file_system);
    assert!(matches!(settings.validate, Thoroughness::Full));
}

#[test]
fn what_is_wrong_is_shown_where_it_is() {
    let table = [
        ("repository = 5", "1:14", "string"),
        ("repositori = \"/b\"", "1:1", "unknown field `repositori`"),
        ("repository = \"b\"", "1:14", "absolute"),
        ("repository = \"/b\"\n[defaults]\nexlude = []", "3:1", "unknown field `exlude`"),
        ("[defaults]\nsources = [\"/a\"]", "2:11", "[defaults]"),
        ("[job.a]", "1:6", "job a has no sources"),
        ("[job.a]\nsources = []", "2:11", "job a has an empty list"),
        ("[job.a]\nsources = [\"/x\", \"etc\"]", "2:18", "job a: a source must be an absolute path"),
        ("[job.a]\nsources = [\"/x/../y\"]", "2:12", "without .."),
        ("[job.a]\nsources = [\"\"]", "2:12", "job a: a source is empty"),
        ("[job.\"a/b\"]\nsources = [\"/x\"]", "1:6", "a/b"),
        ("[job.a]\nsources = [\"/x\"]\nexclude-larger-than = \"8 apples\"", "3:23", "8GiB"),
        ("[job.a]\nsources = [\"/x\"]\nvalidate = \"half\"", "3:12", "full"),
        ("[job.a]\nsources = [\"/x\"]\nvalidate = 0", "3:12", "full"),
        ("[job.a]\nsources = [\"/x\"]\nexclude = [\"ok\", \"a{b\"]", "3:18", "pattern"),
        ("[defaults]\nexclude = [\"a{b\"]", "2:12", "pattern"),
        ("[defaults]\nkeep = { last = -2 }", "2:17", "\"-2\" is no count"),
        ("[defaults]\nkeep = { last = \"some\" }", "2:17", "unlimited"),
        ("[defaults]\nkeep = { last = true }", "2:17", "text or a number"),
        ("[defaults]\nkeep = { dayly = 1 }", "2:10", "unknown field `dayly`"),
        ("[defaults]\nkeep = { }", "2:8", "keeps nothing"),
        ("[defaults]\nkeep = { daily = 0 }", "2:8", "keeps nothing"),
        ("[defaults]\nkeep = { within = \"soon\" }", "2:19", "span of time"),
        ("[defaults]\nkeep = { within = \"-2d\" }", "2:19", "span of time"),
        ("[defaults]\nkeep = { within = \"90min\" }", "2:19", "m (months)"),
        ("[defaults]\nkeep = { tag = \"a,\" }", "2:16", "lacks a tag"),
        ("[defaults]\nkeep = { tag = [] }", "2:8", "keeps nothing"),
        ("[defaults]\nkeep = { last = 1, free-space = \"much\" }", "2:33", "\"50GiB\""),
        ("[defaults]\nkeep = { last = 1, free-space = \"100%\" }", "2:33", "\"10%\""),
        ("[defaults]\nkeep = { last = 1, free-inodes = \"5GiB\" }", "2:34", "\"5%\""),
        ("[defaults]\nkeep = { last = 1, free-inodes = 0 }", "2:34", "number of inodes"),
        ("[defaults]\nkeep = { last = 1, min = 3 }", "2:8", "free-space and free-inodes"),
        ("[defaults]\nkeep = { last = 1, free-space = \"1%\", min = -1 }", "2:45", "-1"),
        ("[defaults]\ntimezone = \"Europe/Atlantis\"", "2:12", "Europe/Atlantis"),
        ("[defaults]\ntimezone = 1", "2:12", "time zone"),
        ("[job.a]\nsources = [\"/x\"]\nrecycle = \"no\"", "3:11", "boolean"),
        ("[job.a]\nsources = [\"/x\"", "2:16", "unclosed array"),
    ];
    for (text, place, part) in table {
        let failure = Config::parse(Path::new(FILE), text).expect_err(text);
        assert_eq!(failure.exit.code(), 2, "{text}");
        let start = format!("{FILE}:{place}: ");
        assert!(failure.message.starts_with(&start), "{text}: {}", failure.message);
        assert!(failure.message.contains(part), "{text}: {}", failure.message);
    }
}

#[test]
fn the_line_is_shown_with_carets_below_what_is_wrong() {
    let text = "[job.web1]\nsources = [\"/ü\", \"etc\"]\n";
    let failure = Config::parse(Path::new("c.toml"), text).unwrap_err();
    assert_eq!(
        failure.message,
        "c.toml:2:18: job web1: a source must be an absolute path without ..: etc
   |
 2 | sources = [\"/ü\", \"etc\"]
   |                  ^^^^^"
    );
    assert!(failure.hint.is_some());
}

#[test]
fn keep_is_explained_in_words() {
    let job = job("[job.a]\nsources = [\"/a\"]\nkeep = { last = 1, yearly = 2, within-daily = \"1mo\", \
         tag = [\"release\", \"a,b\"] }");
    let words = job.settings.keep.unwrap().words();
    assert_eq!(
        words,
        [
            "the last one",
            "2 yearly",
            "daily ones of the last 1mo",
            "those with the tag release",
            "those with the tags a and b"
        ]
    );
}

#[test]
fn all_of_a_kind_can_be_kept() {
    for all in ["-1", "\"unlimited\"", "\"-1\""] {
        let job = job(&format!("[job.a]\nsources = [\"/a\"]\nkeep = {{ yearly = {all}, monthly = 0 }}"));
        let rules = [Rule::Count { bucket: Bucket::Year, count: Count::All }];
        assert_eq!(job.settings.keep.unwrap().policy, Policy::new(rules), "{all}");
    }
}

#[test]
fn room_can_be_kept_free() {
    let keep =
        |text: &str| job(&format!("[job.a]\nsources = [\"/a\"]\nkeep = {text}")).settings.keep.unwrap();
    let both = keep(r#"{ last = 3, free-space = "10%", free-inodes = "2.5 %", min = 7 }"#);
    assert_eq!(both.room_words(), ["10% of the space", "2.5% of the inodes"]);
    assert_eq!(both.headroom.min, 7);
    let amounts = keep(r#"{ free-space = "50GiB", free-inodes = 100000 }"#);
    assert_eq!(amounts.room_words(), ["50.0 GiB", "100,000 inodes"]);
    assert_eq!(amounts.words(), ["all snapshots"]);
    assert_eq!(amounts.headroom.min, 3, "unless said otherwise");
    assert!(keep("{ last = 3 }").headroom.is_empty());
}

#[test]
fn the_calendar_and_recycling_are_inherited() {
    let settings = |text: &str| job(&format!("{text}\n[job.a]\nsources = [\"/a\"]")).settings;
    let built_in = settings("");
    assert!(built_in.timezone.is_none());
    assert!(built_in.recycle);
    let said = settings("[defaults]\ntimezone = \"UTC\"\nrecycle = false");
    assert_eq!(said.timezone.unwrap().iana_name(), Some("UTC"));
    assert!(!said.recycle);
}

//! Whatever is written on the command line or into the configuration: it means something or is an error.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::tz::TimeZone;
use linksnap_engine::exclude::{RuleOptions, Rules};
use linksnap_engine::policy::Period;
use linksnap_engine::source::Sources;
use linksnap_engine::{JobName, Selector, SnapshotName};
use linksnap_testkit::cases;
use proptest::prelude::{Strategy, any, prop_oneof, proptest};

use crate::config::Config;
use crate::moment::{End, Moment};
use crate::{escape, size, tag, thoroughness, zone};

/// Has something of everything.
const SOUND: &str = "\
repository = \"/backup\"
[defaults]
exclude-caches = true
one-file-system = true
validate = \"full\"
recycle = false
timezone = \"Europe/Berlin\"
keep = { last = 3, daily = 7, weekly = \"all\", free-space = \"10%\", free-inodes = 1000, min = 2 }
[job.web1]
sources = [\"/etc\", \"/srv/www\"]
exclude = [\"*.tmp\", \"!/srv/www/**/c[a-z]che/\"]
exclude-if-present = [\".nobackup\"]
exclude-larger-than = \"8GiB\"
validate = 16
keep = { within = \"2d 3h\", hourly = 24, yearly = 5, tags = [\"a\"], within-daily = \"1y\" }
";

/// What is put into it.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        "=",
        ".",
        "\n",
        "\r\n",
        "\t",
        "#",
        ",",
        "\\",
        "\\u0000",
        "0",
        "-1",
        "1e9",
        "inf",
        "18446744073709551616",
        "9223372036854775807",
        "99999999999999999y",
        "2d",
        "1970-01-01",
        "[[job]]",
        "\u{202e}",
        "é",
        "日",
        "\u{0}",
        "[a",
        "!",
        "**",
        "{a,b",
        "[!",
        "\\",
    ];
    prop_oneof![
        3 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn mangled() -> impl Strategy<Value = String> {
    let edits = proptest::collection::vec((any::<proptest::sample::Index>(), 0..12_usize, piece()), 1..5);
    edits.prop_map(|edits| {
        let mut text: Vec<char> = SOUND.chars().collect();
        for (at, count, piece) in edits {
            let start = at.index(text.len() + 1);
            let end = text.len().min(start + count);
            text.splice(start..end, piece.chars());
        }
        text.into_iter().collect()
    })
}

/// What people might write for dates, sizes, names and patterns.
fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9]{0,20}[.]?[0-9]{0,20} ?[kKMGTPEZyYdwmhs%i]{0,3}B? ?[0-9dhwmys ]{0,12}",
        "-?[0-9]{1,6}-[0-9]{1,3}-[0-9]{1,3}T?[0-9:]{0,9}Z?",
        "(latest|oldest)~?[0-9]{0,22}",
        "[!/*?a-c{},\\[\\]\\\\-]{0,12}",
    ]
}

proptest! {
    #![proptest_config(cases::config(4_000))]

    #[test]
    fn a_configuration_means_something_or_is_an_error(text in mangled()) {
        match Config::parse(Path::new("/etc/linksnap/config.toml"), &text) {
            Ok(config) => drop(format!("{config:?}")),
            Err(failure) => assert!(escape::message(&failure.message).contains("config.toml")),
        }
    }

    #[test]
    fn words_mean_something_or_are_an_error(text in words(), name in proptest::collection::vec(any::<u8>(), 0..20)) {
        drop(size::parse(&text));
        drop(tag::parse(&text));
        drop(thoroughness::parse(&text));
        drop(zone::parse(&text));
        if let Some(name) = SnapshotName::parse(&text) {
            assert_eq!(SnapshotName::at(name.seconds().unwrap()), Some(name));
        }
        if let Ok(name) = JobName::parse(&text) {
            assert!(!name.as_str().contains('/'));
        }
        let names = ["2026-04-08T020000Z", "2026-04-09T020000Z"];
        drop(Selector::parse(&text).select(&names));
        drop(Selector::parse(&text).select(&[]));
        let times = [0, 1_775_613_600, i64::MIN, i64::MAX, -377_705_116_800, 253_402_207_200];
        let zone = TimeZone::UTC;
        let mut said = String::new();
        if let Ok(moment) = Moment::from_str(&text) {
            said.push_str(&size::span(moment.seconds(&zone)));
        }
        if let Ok(end) = End::from_str(&text) {
            times.iter().for_each(|now| said.push_str(&size::span(end.seconds(*now, &zone))));
        }
        if let Ok(period) = Period::from_str(&text) {
            for time in times {
                said.push_str(&format!("{} {}", period.before(time, &zone), period.after(time, &zone)));
            }
        }
        let options = RuleOptions { exclude: vec![text.clone(), format!("!{text}")], ..RuleOptions::default() };
        if let Ok(rules) = Rules::new(&options) {
            let parent: &[u8] = if name.len() > 9 { b"srv/www" } else { b"" };
            let sources = Sources::new(&[PathBuf::from("/srv")]).unwrap();
            let found = [rules.excludes_name(parent, &name, true), rules.excludes_name(b"a/b/c", text.as_bytes(), false)];
            said.push_str(&format!("{found:?} {:?}", rules.explain(Path::new(&text), &sources)));
        }
    }
}

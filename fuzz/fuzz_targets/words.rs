//! Names, selectors, spans and rules as people write them: an error or a meaning, never a panic.
#![no_main]

use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use linksnap_engine::policy::Period;
use linksnap_engine::{JobName, Selector, SnapshotName};

fuzz_target!(|text: &str| {
    if let Some(name) = SnapshotName::parse(text) {
        assert_eq!(name.as_str(), text);
        assert!(JobName::parse(text).is_err(), "no job looks like a snapshot");
    }
    let names = ["2026-04-08T020000Z", "2026-04-09T020000Z"];
    if let Ok(chosen) = Selector::parse(text).select(&names) {
        assert!(names.contains(&chosen));
    }
    if let Ok(period) = text.parse::<Period>() {
        for now in [i64::MIN, -1, 0, 1_775_613_600, i64::MAX] {
            assert!(period.before(now, &TimeZone::UTC) <= now.max(jiff::Timestamp::MIN.as_second()));
            assert!(period.after(now, &TimeZone::UTC) >= now.min(253_000_000_000));
        }
    }
});

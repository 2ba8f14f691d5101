//! How often chance is tried.

use proptest::test_runner::{Config, TestRunner};

/// What a property test is to do: `usual` cases, or as many as the variable `PROPTEST_CASES` says. A failing input is
/// printed, and no file is written.
#[expect(
    clippy::disallowed_methods,
    reason = "proptest's own variable, which it minds only where no number is given"
)]
pub fn config(usual: u32) -> Config {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    Config { cases: wanted.unwrap_or(usual), failure_persistence: None, ..Config::default() }
}

/// A runner of [`config`].
pub fn runner(usual: u32) -> TestRunner {
    TestRunner::new(config(usual))
}

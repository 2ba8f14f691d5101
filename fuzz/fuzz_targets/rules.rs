//! Exclude rules: an error or a meaning, never a panic. Each line of the input is a pattern.
#![no_main]

use libfuzzer_sys::fuzz_target;
use linksnap_engine::exclude::{RuleOptions, Rules};

fuzz_target!(|text: &str| {
    let patterns = text.lines().map(str::to_owned).collect();
    let options = RuleOptions { exclude: patterns, ..RuleOptions::default() };
    drop(Rules::new(&options));
});

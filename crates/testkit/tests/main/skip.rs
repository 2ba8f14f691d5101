//! A skip is loud, names its test, and is a failure where it is not allowed.

use std::ffi::OsStr;

use linksnap_testkit::skip::{REQUIRE, has_tool};
use linksnap_testkit::{crash, or_skip, skip_unless, test_name};

#[test]
fn a_skipped_test_says_so_and_passes() {
    let output = crash::child("skip::skipped_entry", &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success());
    assert!(said.contains("SKIPPED main::skip::skipped_entry: needs two moons\n"), "{said}");
}

#[test]
fn a_skipped_test_fails_where_skips_are_forbidden() {
    let mut child = crash::child("skip::skipped_entry", &[(REQUIRE, OsStr::new("1"))]);
    assert!(!child.output().unwrap().status.success());
}

#[test]
#[ignore = "run as a child by the tests above"]
fn skipped_entry() {
    let moons: Result<u32, &str> = Ok(1);
    let moons = or_skip!(moons);
    skip_unless!(moons == 2, "needs {} moons", "two");
    unreachable!();
}

#[test]
fn the_name_of_a_test_and_the_tools_are_known() {
    assert!(test_name!().ends_with("skip::the_name_of_a_test_and_the_tools_are_known"));
    assert!(has_tool("sh"));
    assert!(!has_tool("no-such-tool"));
}

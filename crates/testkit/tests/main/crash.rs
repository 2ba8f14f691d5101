//! A child is the ignored test it was asked for, with the environment it was given, and can die.

use std::ffi::OsStr;

use linksnap_testkit::crash;

const POINT: &str = "LINKSNAP_TEST_POINT";

#[test]
fn a_child_dies_where_it_is_told() {
    let mut child = crash::child("crash::child_entry", &[(POINT, OsStr::new("die"))]);
    assert!(crash::was_killed(child.status().unwrap()));
}

#[test]
fn a_child_sees_only_path_and_what_it_was_given() {
    let child = crash::child("crash::child_entry", &[(POINT, OsStr::new("count"))]).output();
    let child = child.unwrap();
    assert!(child.status.success(), "{child:?}");
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "run as a child by the tests above"]
fn child_entry() {
    let Some(point) = std::env::var_os(POINT) else {
        return;
    };
    if point == "die" {
        crash::die();
    }
    let names: Vec<_> = std::env::vars_os().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

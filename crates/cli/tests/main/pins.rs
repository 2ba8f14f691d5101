//! `pin` and `unpin`.

use crate::stage::{NAME, Stage};

const LATER: &str = "2026-04-09T02:00:00Z";

fn stage() -> Stage {
    let stage = Stage::with_snapshot();
    stage.backup(LATER).succeeded();
    stage
}

fn pins(stage: &Stage, now: &str) -> Vec<(bool, Option<String>, String)> {
    let json = stage.call_at(now, ["snapshots", "--json"]).succeeded().json();
    let pin = |one: &serde_json::Value| {
        let until = one["pinned_until"].as_str().map(str::to_owned);
        (one["pinned"] == true, until, one["note"].as_str().unwrap().to_owned())
    };
    json.as_array().unwrap().iter().map(pin).collect()
}

fn none() -> (bool, Option<String>, String) {
    (false, None, String::new())
}

#[test]
fn what_is_pinned_is_neither_dropped_nor_deleted() {
    let stage = stage();
    let text = stage.call_at(LATER, ["pin", "2026-04-08", "--note", "before the upgrade"]).succeeded().text();
    assert_eq!(text, format!("pinned demo/{NAME} (before the upgrade)\n"));
    let text = stage.call_at(LATER, ["prune", "-n", "--keep-last", "1"]).succeeded().text();
    assert!(text.contains("keep  pinned\n"), "{text}");
    stage.call_at(LATER, ["prune", "--keep-last", "1"]).succeeded();
    let hint = format!("linksnap unpin demo/{NAME}");
    stage
        .call_at(LATER, ["delete", "oldest", "--yes"])
        .exited(12)
        .said(&["pinned (before the upgrade)", &hint]);
    stage.call_at(LATER, ["delete", "oldest", "-n"]).exited(12);
    assert_eq!(stage.snapshots().len(), 2);
    let text = stage.call_at(LATER, ["unpin", "oldest"]).succeeded().text();
    assert_eq!(text, format!("unpinned demo/{NAME}\n"));
    let text = stage.call_at(LATER, ["unpin", "oldest"]).succeeded().text();
    assert_eq!(text, format!("demo/{NAME} is not pinned\n"));
    stage.call_at(LATER, ["prune", "--keep-last", "1"]).succeeded();
    assert_eq!(stage.snapshots(), ["2026-04-09T020000Z"]);
}

#[test]
fn a_pin_ends_with_its_day() {
    let stage = stage();
    let command = |args: &[&str]| {
        let mut command = stage.command(args);
        command.env("TZ", "UTC-2").env("LINKSNAP_NOW", LATER);
        crate::stage::Called::of(command.output().unwrap())
    };
    let text = command(&["pin", "oldest", "--until", "2026-04-20"]).succeeded().text();
    assert_eq!(text, format!("pinned demo/{NAME} until 2026-04-21 00:00:00\n"), "by the local clock");
    let until = Some("2026-04-20T22:00:00Z".to_owned());
    assert_eq!(pins(&stage, LATER), [(true, until.clone(), String::new()), none()]);
    let prune = ["prune", "-n", "--keep-last", "1", "--json"];
    let dropped = |now: &str| {
        stage.call_at(now, prune).succeeded().json_line("summary")["dropped"].as_array().unwrap().len()
    };
    assert_eq!(dropped("2026-04-20T21:59:59Z"), 0);
    assert_eq!(dropped("2026-04-20T22:00:00Z"), 1);
    assert_eq!(pins(&stage, "2026-04-21T00:00:00Z")[0], (false, until, String::new()), "no more");
    let text = stage.call_at("2026-04-21T00:00:00Z", ["snapshots"]).succeeded().text();
    assert!(text.contains("no more since 2026-04-20 22:00:00"), "{text}");
}

#[test]
fn a_pin_may_hold_for_a_span_and_is_set_anew() {
    let stage = stage();
    stage
        .call_at(LATER, ["pin", "oldest", "latest", "oldest", "--until", "10d", "--note", "why"])
        .succeeded();
    let until = Some("2026-04-19T02:00:00Z".to_owned());
    assert_eq!(pins(&stage, LATER), vec![(true, until, "why".to_owned()); 2]);
    let json = stage.call_at(LATER, ["pin", "--json", "oldest"]).succeeded().json();
    assert_eq!(
        json,
        serde_json::json!([{"job": "demo", "name": NAME, "dry_run": false, "pinned": true, "pinned_until": null,
            "note": "why"}])
    );
    stage.call_at(LATER, ["unpin", "latest"]).succeeded();
    assert_eq!(pins(&stage, LATER), [(true, None, "why".to_owned()), (false, None, "why".to_owned())]);
}

#[test]
fn a_pin_in_the_past_is_wrong_usage() {
    let stage = stage();
    for past in ["2026-04-08", "2026-04-09T02:00:00Z", "2026-04-09T01:00"] {
        stage.call_at(LATER, ["pin", "oldest", "--until", past]).exited(2).said(&["is over", "hint: "]);
    }
    for wrong in ["soon", "0d", "-1d", "90min"] {
        stage.call_at(LATER, ["pin", "oldest", "--until", wrong]).exited(2);
    }
    stage.call_at(LATER, ["pin"]).exited(2);
    assert_eq!(pins(&stage, LATER), [none(), none()]);
}

#[test]
fn a_dry_run_pins_nothing() {
    let stage = stage();
    let text = stage.call_at(LATER, ["pin", "-n", "oldest"]).succeeded().text();
    assert_eq!(text, format!("dry run: would pin demo/{NAME}\n"));
    assert_eq!(pins(&stage, LATER), [none(), none()]);
    stage.call_at(LATER, ["pin", "oldest"]).succeeded();
    let text = stage.call_at(LATER, ["unpin", "-n", "oldest"]).succeeded().text();
    assert_eq!(text, format!("dry run: would unpin demo/{NAME}\n"));
    assert_eq!(pins(&stage, LATER), [(true, None, String::new()), none()]);
}

#[test]
fn the_list_shows_pins_and_notes_only_if_there_are_any() {
    let stage = stage();
    let heading = || stage.call(["snapshots"]).succeeded().text().lines().next().unwrap().to_owned();
    assert!(heading().ends_with("problems"), "{}", heading());
    stage.call_at(LATER, ["pin", "oldest"]).succeeded();
    assert!(heading().ends_with("problems  pinned"), "{}", heading());
    stage.call_at(LATER, ["pin", "latest", "--note", "two\nlines"]).succeeded();
    let text = stage.call(["snapshots"]).succeeded().text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("pinned  note"), "{text}");
    assert!(lines[1].ends_with("-  yes"), "{text}");
    assert!(lines[2].ends_with(r"-  yes     two\nlines"), "{text}");
}

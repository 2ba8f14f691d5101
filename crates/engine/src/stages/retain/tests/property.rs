//! What holds for every history and every policy.

use jiff::tz::TimeZone;
use linksnap_catalog::{Freed, Snapshot, SnapshotId};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::{Index, select};

use super::{berlin, snapshot, time};
use crate::policy::{Bucket, Count, Headroom, Policy, Rule, Share};
use crate::stages::retain::{Clock, Decision, Retained, Room, make_room, retain};

/// After every history.
const NOW: i64 = 2_100_000_000;

/// Up to 40 snapshots, in the order in which they were made; gaps from nothing to months.
fn history() -> impl Strategy<Value = Vec<Snapshot>> {
    let gap = prop_oneof![Just(0_i64), 1..7_200_i64, 3_600..200_000_i64, 86_000..8_000_000_i64];
    let one = (gap, any::<bool>(), 0..8_u8, 0..6_u8, select(vec!["", "a", "b", "a,b"]));
    vec(one, 1..40).prop_map(|parts| {
        let mut at = time("2024-01-01T000000Z");
        let mut made = Vec::new();
        for (id, (gap, bad, pin, until, tags)) in (1..).zip(parts) {
            at += gap;
            let mut one = snapshot(id, at);
            one.totals.problems = u64::from(bad);
            one.pinned = pin == 0;
            one.pinned_until = (until == 0).then_some(NOW - 1);
            one.tags = tags.to_owned();
            made.push(one);
        }
        made
    })
}

fn bucket() -> impl Strategy<Value = Bucket> {
    select(Bucket::ALL.to_vec())
}

fn count() -> impl Strategy<Value = Count> {
    prop_oneof![6 => (1..9_u32).prop_map(Count::Number), 1 => Just(Count::All)]
}

/// So many days, written as days and hours.
fn within(bucket: Bucket, hours: u32) -> Rule {
    Rule::Within { bucket, period: format!("{}d{}h", hours / 24, hours % 24).parse().unwrap() }
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        4 => (bucket(), count()).prop_map(|(bucket, count)| Rule::Count { bucket, count }),
        2 => (bucket(), 1..9_000_u32).prop_map(|(bucket, hours)| within(bucket, hours)),
        1 => select(vec!["a", "b", "a,b"]).prop_map(|tags| Rule::Tagged(tags.parse().unwrap())),
    ]
}

/// A rule, and one of its kind that is at least as generous.
fn rule_and_wider() -> impl Strategy<Value = (Rule, Rule)> {
    let more = prop_oneof![4 => (1..5_u32).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        (bucket(), 1..9_u32, more).prop_map(|(bucket, number, more)| {
            let wider = more.map_or(Count::All, |more| Count::Number(number + more));
            (Rule::Count { bucket, count: Count::Number(number) }, Rule::Count { bucket, count: wider })
        }),
        (bucket(), 1..9_000_u32, 0..3_000_u32)
            .prop_map(|(bucket, hours, more)| (within(bucket, hours), within(bucket, hours + more))),
    ]
}

fn run(snapshots: &[Snapshot], rules: &[Rule]) -> Option<Retained> {
    retain(snapshots, &Policy::new(rules.to_vec()), NOW, &berlin(), Clock::Trust).ok()
}

fn kept(retained: &Retained) -> Vec<SnapshotId> {
    retained.kept().map(|decision| decision.id).collect()
}

proptest! {
    #[test]
    fn newest_newest_good_and_pinned_ones_are_kept(snapshots in history(), rules in vec(rule(), 1..5)) {
        if let Some(retained) = run(&snapshots, &rules) {
            let kept = kept(&retained);
            prop_assert!(kept.contains(&snapshots.last().unwrap().id));
            let good = snapshots.iter().rfind(|snapshot| snapshot.totals.problems == 0);
            prop_assert!(good.is_none_or(|good| kept.contains(&good.id)));
            for pinned in snapshots.iter().filter(|snapshot| snapshot.is_pinned_at(NOW)) {
                prop_assert!(kept.contains(&pinned.id));
            }
        } else {
            prop_assert!(rules.iter().all(|rule| matches!(rule, Rule::Tagged(_))));
            prop_assert!(!snapshots.iter().any(|snapshot| snapshot.is_pinned_at(NOW)));
        }
    }

    #[test]
    fn more_generous_rules_never_drop_more(
        snapshots in history(),
        mut rules in vec(rule(), 0..4),
        (narrow, wide) in rule_and_wider(),
        more in vec(rule(), 0..3),
    ) {
        rules.push(narrow);
        let narrow = kept(&run(&snapshots, &rules).unwrap());
        rules.pop();
        rules.push(wide);
        rules.extend(more);
        let wide = kept(&run(&snapshots, &rules).unwrap());
        prop_assert!(narrow.iter().all(|id| wide.contains(id)), "{narrow:?} but {wide:?}");
    }

    #[test]
    fn the_order_in_which_snapshots_are_given_is_nothing_to_the_decision(
        snapshots in history(),
        rules in vec(rule(), 0..5),
        swaps in vec((any::<Index>(), any::<Index>()), 0..40),
    ) {
        let mut shuffled = snapshots.clone();
        for (one, other) in swaps {
            shuffled.swap(one.index(snapshots.len()), other.index(snapshots.len()));
        }
        let by_id = |snapshots: &[Snapshot]| {
            run(snapshots, &rules).map(|retained| {
                let ids = retained.decisions.iter().map(|decision| decision.id);
                assert!(ids.eq(snapshots.iter().map(|snapshot| snapshot.id)));
                let mut decisions: Vec<Decision> = retained.decisions;
                decisions.sort_by_key(|decision| decision.id);
                decisions
            })
        };
        prop_assert_eq!(by_id(&snapshots), by_id(&shuffled));
    }

    #[test]
    fn following_a_policy_again_drops_nothing_more(snapshots in history(), rules in vec(rule(), 0..5)) {
        if let Some(retained) = run(&snapshots, &rules) {
            let left = kept(&retained);
            let left: Vec<Snapshot> =
                snapshots.into_iter().filter(|snapshot| left.contains(&snapshot.id)).collect();
            prop_assert_eq!(run(&left, &rules).unwrap().dropped().count(), 0);
        }
    }

    #[test]
    fn a_wrong_clock_drops_nothing(
        snapshots in history(),
        rules in vec(rule(), 0..5),
        back in 1..9_000_000_i64,
    ) {
        let latest = snapshots.last().unwrap().time;
        let policy = Policy::new(rules);
        if let Ok(held) = retain(&snapshots, &policy, latest - 60 - back, &berlin(), Clock::Doubt) {
            prop_assert!(held.hold.is_some());
            prop_assert_eq!(held.dropped().count(), 0);
        }
    }

    #[test]
    fn without_problems_the_rules_mean_what_they_mean_to_restic(
        mut snapshots in history(),
        rules in vec(rule(), 1..5),
    ) {
        snapshots.iter_mut().for_each(|snapshot| snapshot.totals.problems = 0);
        if let Some(retained) = run(&snapshots, &rules) {
            let wanted = restic(&snapshots, &rules, &berlin());
            for (decision, wanted) in retained.decisions.iter().zip(wanted) {
                let protections = ["pinned", "newest snapshot", "newest good snapshot"];
                let mut words = decision.words();
                words.retain(|words| decision.is_kept() && !protections.contains(&words.as_str()));
                prop_assert_eq!(words, wanted, "{}", decision.name);
            }
        }
    }

    #[test]
    fn room_is_made_as_if_one_by_one(
        snapshots in history(),
        rules in vec(rule(), 0..4),
        sizes in vec((0..100_u64, 0..5_u64), 40),
        (bytes, inodes, min) in (0..1500_u64, 0..80_u64, 0..20_u32),
    ) {
        let Some(mut retained) = run(&snapshots, &rules) else { return Ok(()) };
        let room = Room { free_bytes: 0, total_bytes: 5000, free_inodes: 0, total_inodes: 500 };
        let headroom = Headroom {
            free_space: Some(Share::Amount(bytes)),
            free_inodes: Some(Share::Amount(inodes)),
            min,
        };
        let frees = |ids: &[SnapshotId]| {
            let sizes = ids.iter().map(|id| sizes[usize::try_from(id.0).unwrap() - 1]);
            sizes.fold(Freed::default(), |sum, (bytes, inodes)| Freed {
                bytes: sum.bytes + bytes,
                inodes: sum.inodes + inodes,
            })
        };
        let before = retained.clone();
        let is_enough = |freed: Freed| freed.bytes >= bytes && freed.inodes >= inodes;
        let shortfall = make_room(&mut retained, &headroom, room, &mut |ids| frees(ids));
        // The naive way: the oldest that may go, as long as there is too little.
        let mut doomed = before.dropped_ids();
        let mut left = before.kept().count();
        for decision in before.kept().filter(|decision| !decision.is_protected()) {
            if is_enough(frees(&doomed)) || left <= min as usize {
                break;
            }
            doomed.push(decision.id);
            left -= 1;
        }
        doomed.sort();
        prop_assert_eq!(retained.dropped_ids(), doomed.clone());
        prop_assert_eq!(shortfall.is_none(), is_enough(frees(&doomed)));
        prop_assert!(left >= before.kept().count().min(min as usize));
    }
}

/// The reasons of restic's `ApplyPolicy` (internal/data/snapshot_policy.go), as directly as can be. They are
/// in the order of the rules.
fn restic(snapshots: &[Snapshot], rules: &[Rule], zone: &TimeZone) -> Vec<Vec<String>> {
    let mut newest_first: Vec<&Snapshot> = snapshots.iter().collect();
    newest_first.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.time, snapshot.id)));
    let latest = newest_first[0].time;
    let mut reasons = vec![Vec::new(); snapshots.len()];
    for rule in rules {
        let mut last = None;
        let mut left = match rule {
            Rule::Count { count, .. } => count.limit(),
            _ => usize::MAX,
        };
        for (number, snapshot) in newest_first.iter().enumerate() {
            let is_oldest = number == newest_first.len() - 1;
            let reasons: &mut Vec<String> = &mut reasons[usize::try_from(snapshot.id.0).unwrap() - 1];
            let (bucket, words) = match rule {
                Rule::Tagged(tags) => {
                    if tags.is_within(&snapshot.tags.split(',').collect::<Vec<_>>()) {
                        reasons.push(format!("has tags {tags}"));
                    }
                    continue;
                }
                Rule::Within { period, .. } if snapshot.time <= period.before(latest, zone) => continue,
                Rule::Within { bucket: Bucket::Snapshot, period } => {
                    reasons.push(format!("within {period}"));
                    continue;
                }
                Rule::Within { bucket, period } => (bucket, format!("{} within {period}", bucket.word())),
                Rule::Count { bucket, .. } => (bucket, format!("{} snapshot", bucket.word())),
            };
            let value = value(*bucket, number, snapshot.time, zone);
            let differs = last.as_ref() != Some(&value);
            if left > 0 && (differs || is_oldest) {
                left -= 1;
                last = Some(value);
                reasons.push(if differs { words } else { format!("oldest {words}") });
            }
        }
    }
    reasons
}

/// The bucket as text, from the calendar's own functions.
fn value(bucket: Bucket, number: usize, time: i64, zone: &TimeZone) -> String {
    let zoned = jiff::Timestamp::from_second(time).unwrap().to_zoned(zone.clone());
    match bucket {
        Bucket::Snapshot => number.to_string(),
        Bucket::Hour => zoned.strftime("%Y-%m-%d %H %z").to_string(),
        Bucket::Day => zoned.strftime("%Y-%m-%d").to_string(),
        Bucket::Week => zoned.strftime("%G-W%V").to_string(),
        Bucket::Month => zoned.strftime("%Y-%m").to_string(),
        Bucket::Year => zoned.strftime("%Y").to_string(),
    }
}

//! The rules, followed one by one. Each is as blind to the others as it is to pins.

use jiff::tz::TimeZone;

use crate::policy::{Bucket, Policy, Rule};
use crate::snapshot::CLOCK_SLACK;
use crate::stages::retain::candidate::Candidate;
use crate::stages::retain::reason::{Keeper, Place, Quality};

/// Tells `keep` what each rule keeps.
pub fn follow(
    candidates: &[Candidate],
    policy: &Policy,
    now: i64,
    zone: &TimeZone,
    keep: &mut dyn FnMut(usize, Keeper),
) {
    if policy.is_empty() {
        (0..candidates.len()).for_each(|at| keep(at, Keeper::NoRules));
    }
    let latest = latest(candidates, now);
    for (number, rule) in policy.rules().iter().enumerate() {
        let mut keep = |at, place, quality| keep(at, Keeper::Rule(number, place, quality));
        match rule {
            Rule::Count { bucket, count } => {
                Buckets::new(candidates, *bucket).count(count.limit(), &mut keep);
            }
            Rule::Within { bucket, period } => {
                if let Some(latest) = latest {
                    let border = period.before(latest, zone);
                    Buckets::new(candidates, *bucket).since(border, &mut keep);
                }
            }
            Rule::Tagged(wanted) => {
                for (at, candidate) in candidates.iter().enumerate() {
                    if wanted.is_within(&candidate.tags.iter().map(String::as_str).collect::<Vec<_>>()) {
                        keep(at, Place::Newest, Quality::Good);
                    }
                }
            }
        }
    }
}

/// The time that `within` counts from: that of the newest, but not of one that the future has made.
fn latest(candidates: &[Candidate], now: i64) -> Option<i64> {
    let real = candidates.iter().rfind(|candidate| candidate.time <= now.saturating_add(CLOCK_SLACK));
    real.or(candidates.last()).map(|candidate| candidate.time)
}

/// Sorted candidates, to be put into buckets.
struct Buckets<'a> {
    candidates: &'a [Candidate],
    bucket: Bucket,
    /// From here on there are problems only, and good ones before; 0 if there never was a good one.
    tail: usize,
}

/// One that may stand for its bucket.
#[derive(Clone, Copy)]
struct Standing {
    at: usize,
    place: Place,
    quality: Quality,
}

type Keep<'a> = &'a mut dyn FnMut(usize, Place, Quality);

impl<'a> Buckets<'a> {
    fn new(candidates: &'a [Candidate], bucket: Bucket) -> Self {
        let tail = candidates.iter().rposition(|candidate| candidate.is_good).map_or(0, |good| good + 1);
        Self { candidates, bucket, tail }
    }

    /// The newest of so many buckets. Good ones have the first choice; what was made since the newest good one
    /// has as many places again, lest old good ones leave nothing of it.
    fn count(&self, limit: usize, keep: Keep<'_>) {
        let good = self.standing().filter(|standing| standing.quality == Quality::Good);
        let others = self.standing().filter(|standing| standing.quality != Quality::Good);
        let chosen = good.chain(others).chain(self.oldest()).take(limit);
        // What is in the tail is chosen there: no more of it can be chosen here.
        for standing in chosen.filter(|standing| !self.is_in_tail(standing.at)) {
            keep(standing.at, standing.place, standing.quality);
        }
        for standing in self.tail_standing().take(limit) {
            keep(standing.at, standing.place, standing.quality);
        }
    }

    /// What stands for its bucket and was made after `border`. (One with problems does not step in for a good
    /// one that is too old: it would have to go again if the period were longer.)
    fn since(&self, border: i64, keep: Keep<'_>) {
        let chosen = self.standing().chain(self.oldest()).filter(|standing| !self.is_in_tail(standing.at));
        let is_young = |standing: &Standing| self.candidates[standing.at].time > border;
        for standing in chosen.chain(self.tail_standing()).filter(is_young) {
            keep(standing.at, standing.place, standing.quality);
        }
    }

    fn is_in_tail(&self, at: usize) -> bool {
        self.tail > 0 && at >= self.tail
    }

    /// What stands for each bucket, the newest bucket first: the newest good one, else the newest.
    fn standing(&self) -> impl Iterator<Item = Standing> {
        self.chunks(self.candidates, 0).map(|(start, chunk)| {
            let good = chunk.iter().rposition(|candidate| candidate.is_good);
            Standing {
                at: start + good.unwrap_or(chunk.len() - 1),
                place: Place::Newest,
                quality: if good.is_some() { Quality::Good } else { Quality::Problems },
            }
        })
    }

    /// What stands for each bucket if only what was made since the newest good one counts.
    fn tail_standing(&self) -> impl Iterator<Item = Standing> {
        let tail = if self.tail > 0 { self.tail } else { self.candidates.len() };
        self.chunks(&self.candidates[tail..], tail).map(|(start, chunk)| Standing {
            at: start + chunk.len() - 1,
            place: Place::Newest,
            quality: Quality::NoGoodSince,
        })
    }

    /// The oldest of all that no good one of its bucket outshines, unless it stands for its bucket anyway.
    fn oldest(&self) -> Option<Standing> {
        let bucket = self.bucket;
        let chunk = self.candidates.chunk_by(|a, b| a.shares(b, bucket)).next()?;
        let good = chunk.iter().position(|candidate| candidate.is_good);
        let newest = match good {
            Some(_) => chunk.iter().rposition(|candidate| candidate.is_good)?,
            None => chunk.len() - 1,
        };
        let at = good.unwrap_or(0);
        let quality = if good.is_some() { Quality::Good } else { Quality::Problems };
        (at != newest).then_some(Standing { at, place: Place::Oldest, quality })
    }

    /// The buckets, the newest first, each with the place of its first.
    fn chunks<'b>(
        &self,
        candidates: &'b [Candidate],
        start: usize,
    ) -> impl Iterator<Item = (usize, &'b [Candidate])> + use<'b> {
        let bucket = self.bucket;
        let mut end = start + candidates.len();
        candidates.chunk_by(move |a, b| a.shares(b, bucket)).rev().map(move |chunk| {
            end -= chunk.len();
            (end, chunk)
        })
    }
}

//! Block agreement within bounds small enough for every test run; `protocol/MODEL.md` has larger ones.

use std::time::Duration;
use timecoin_model::agreement::{Agreeing, Bounds};
use timecoin_model::check::{Limits, Outcome, check};
use timecoin_model::walk::walk;

/// A check that takes longer has seen only a part, and its test fails.
const LIMITS: Limits = Limits { threads: 2, time: Duration::from_secs(300), until_broken: false };
const ONE_ROUND: Bounds = Bounds { weights: [1; 4], byzantine_turn: 0, rounds: 0, crashes: 1, noise: false };

/// Everything was seen and holds.
fn assert_holds(outcome: &Outcome) {
    assert!(outcome.exhaustive && outcome.broken.is_empty(), "{outcome}");
}

#[test]
fn one_round_is_safe_with_a_faulty_proposer_and_a_crash_r_18() {
    let outcome = check(Agreeing::new(ONE_ROUND), LIMITS);
    assert_holds(&outcome);
    let possible = ["decided in round 0", "all decide", "one that restarted decides"];
    assert!(possible.iter().all(|path| !outcome.impossible.contains(path)), "{outcome}");
}

#[test]
fn one_round_is_safe_when_others_repeat_and_contradict_themselves_r_1_r_14() {
    assert_holds(&check(Agreeing::new(Bounds { crashes: 0, noise: true, ..ONE_ROUND }), LIMITS));
}

/// V-2: a quorum is more than two thirds, so two share someone honest even then.
#[test]
fn one_round_is_safe_when_exactly_a_third_is_faulty_v_2() {
    assert_holds(&check(Agreeing::new(Bounds { weights: [2, 1, 1, 2], crashes: 0, ..ONE_ROUND }), LIMITS));
}

/// Where every state is too much for a test run, walks go where they can in five seconds.
#[test]
fn walks_through_two_rounds_break_nothing_r_4_r_9() {
    let bounds = Bounds { byzantine_turn: 3, rounds: 1, ..ONE_ROUND };
    let limits = Limits { time: Duration::from_secs(5), ..LIMITS };
    let outcome = walk(Agreeing::new(bounds), 7, limits);
    assert_eq!(outcome.broken, [], "{outcome}");
}

//! Payments and the end of an epoch, within bounds small enough for every test run; `protocol/MODEL.md` has larger ones.

use std::time::Duration;
use timecoin_model::check::{Limits, Outcome, check, check_composed};
use timecoin_model::paying::{Begin, Bounds, Paying};
use timecoin_model::walk::walk;

/// A check that takes longer has seen only a part, and its test fails.
const LIMITS: Limits = Limits { threads: 1, time: Duration::from_secs(600), until_broken: false };
/// Two payments of one coin.
const PAYMENTS: Bounds =
    Bounds { begin: Begin::Genesis, payments: 2, blocks: 0, rounds: 0, crashes: 0, noise: false, exact: false };

/// Everything was seen and holds, and these paths are possible.
fn assert_holds(outcome: &Outcome, possible: &[&str]) {
    assert!(outcome.exhaustive && outcome.broken.is_empty(), "{outcome}");
    assert!(possible.iter().all(|path| !outcome.impossible.contains(path)), "{outcome}");
}

/// F-1, F-3, F-4, F-7, D-1, D-13: in every order of events, with a faulty validator that votes for both, and a crash.
#[test]
fn a_double_spend_is_never_final_twice_f_1_f_4() {
    let outcome = check_composed(Paying::new(Bounds { crashes: 1, ..PAYMENTS }), LIMITS);
    let finals = ["the first payment is final", "the second payment is final"];
    assert_holds(&outcome, &finals);
    assert_holds(&outcome, &["votes are split: neither can be final", "one that restarted votes"]);
}

/// F-3, F-4, D-1, D-13.
#[test]
fn one_payment_is_safe_in_every_order_of_events_and_through_a_crash_f_4() {
    let outcome = check_composed(Paying::new(Bounds { payments: 1, crashes: 1, ..PAYMENTS }), LIMITS);
    assert_holds(&outcome, &["the first payment is final", "one that restarted votes"]);
}

/// What is left out of the fingerprint of a validator has no influence: with all of it the same comes out.
#[test]
fn what_has_no_influence_makes_no_difference() {
    for bounds in [Bounds { payments: 1, crashes: 1, ..PAYMENTS }, PAYMENTS] {
        let short = check_composed(Paying::new(bounds), LIMITS);
        let exact = check_composed(Paying::new(Bounds { exact: true, ..bounds }), LIMITS);
        assert!(short.local_states < exact.local_states, "{short}{exact}");
        let found = |outcome: &Outcome| (outcome.states, outcome.steps, outcome.classes, outcome.impossible.clone());
        assert_eq!(found(&short), found(&exact), "{short}{exact}");
    }
}

/// That classes stand for their members: the states of all validators, one by one, show the same.
#[test]
fn visiting_every_state_one_by_one_finds_the_same() {
    let bounds = Bounds { payments: 1, ..PAYMENTS };
    let (composed, one_by_one) = (check_composed(Paying::new(bounds), LIMITS), check(Paying::new(bounds), LIMITS));
    assert!(composed.states <= one_by_one.states, "{composed}{one_by_one}");
    assert_eq!((composed.exhaustive, composed.broken), (one_by_one.exhaustive, one_by_one.broken));
    assert_eq!(composed.impossible, one_by_one.impossible);
}

/// E-4, E-5, E-7, E-8: from where all have precommitted the first block and no payment has arrived, in every order of
/// events. Two payments there, or a crash, are too much for a test run.
#[test]
fn nothing_final_is_lost_when_an_epoch_ends_e_8() {
    let bounds = Bounds { begin: Begin::Precommitted, payments: 1, blocks: 2, ..PAYMENTS };
    let outcome = check_composed(Paying::new(bounds), LIMITS);
    assert_holds(&outcome, &["the first payment is final", "a seal lists a payment, and its block closes the epoch"]);
}

/// B-11: a payment that has waited long enough for a block needs no certificate.
#[test]
fn a_block_settles_what_sampling_does_not_b_11() {
    let outcome = check_composed(Paying::new(Bounds { payments: 1, blocks: 1, ..PAYMENTS }), LIMITS);
    assert_holds(&outcome, &["a block decides a payment that has no certificate (B-11)"]);
}

/// All of it together, which is too much for a test run: walks go where they can in four seconds.
#[test]
fn walks_through_two_payments_a_crash_and_the_end_of_an_epoch_break_nothing() {
    let limits = Limits { time: Duration::from_secs(4), ..LIMITS };
    let outcome = walk(Paying::new(Bounds { blocks: 2, crashes: 1, ..PAYMENTS }), 5, limits);
    assert_eq!(outcome.broken, [], "{outcome}");
    assert!(outcome.states > 0, "{outcome}");
}

//! Payments and the end of an epoch, within bounds small enough for every test run; `protocol/MODEL.md` has larger ones.

use std::time::Duration;
use timecoin_model::check::{Limits, check};
use timecoin_model::paying::{Begin, Bounds, Paying};
use timecoin_model::walk::walk;

const LIMITS: Limits = Limits { threads: 1, time: Duration::from_secs(4), until_broken: false };
const PAYMENTS: Bounds =
    Bounds { begin: Begin::Genesis, payments: 2, blocks: 0, rounds: 0, crashes: 1, noise: true, exact: false };

/// F-1, F-3, F-4, D-1. Every state is too much for a test run: walks go where they can in four seconds.
#[test]
fn a_double_spend_is_never_final_twice_f_1_f_4() {
    let outcome = walk(Paying::new(PAYMENTS), 3, LIMITS);
    assert_eq!(outcome.broken, [], "{outcome}");
    assert!(outcome.states > 0, "{outcome}");
}

/// E-4, E-5, E-8.
#[test]
fn nothing_final_is_lost_when_an_epoch_ends_e_8() {
    let outcome = walk(Paying::new(Bounds { blocks: 2, noise: false, ..PAYMENTS }), 5, LIMITS);
    assert_eq!(outcome.broken, [], "{outcome}");
    assert!(outcome.states > 0, "{outcome}");
}

/// F-3, F-4, D-1. One payment is little enough to see every state.
#[test]
fn one_payment_is_safe_in_every_order_of_events_f_4() {
    let bounds = Bounds { payments: 1, crashes: 0, noise: false, ..PAYMENTS };
    let outcome = check(Paying::new(bounds), Limits { threads: 2, time: Duration::from_secs(300), ..LIMITS });
    assert!(outcome.exhaustive && outcome.broken.is_empty(), "{outcome}");
    assert!(!outcome.impossible.contains(&"the first payment is final"), "{outcome}");
}

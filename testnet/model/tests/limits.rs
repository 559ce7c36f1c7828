//! How long checks may take.

use std::time::Duration;
use timecoin_model::check::{Limits, Outcome, check};
use timecoin_model::paying::{Begin, Bounds, Paying};
use timecoin_model::walk::walk;

/// Far more can happen than fits the time.
const BOUNDS: Bounds =
    Bounds { begin: Begin::Genesis, payments: 2, blocks: 2, rounds: 1, crashes: 1, noise: true, exact: false };
const LIMITS: Limits = Limits { threads: 1, time: Duration::from_millis(1_500), until_broken: true };

/// One step takes milliseconds; the rest is for machines that do much else.
fn assert_in_time(outcome: &Outcome) {
    assert!(!outcome.exhaustive && outcome.broken.is_empty(), "{outcome}");
    assert!(outcome.time >= LIMITS.time && outcome.time < Duration::from_secs(30), "{outcome}");
}

/// What was found before the time was up is told: its ways are walked once more after that.
#[test]
fn what_was_found_in_time_is_found() {
    // One step from there; all of them take minutes.
    let bounds = Bounds { begin: Begin::Committed, noise: false, ..BOUNDS };
    let outcome = check(Paying::new(bounds), Limits { time: Duration::from_secs(5), ..LIMITS });
    assert!(!outcome.exhaustive, "{outcome}");
    assert!(!outcome.impossible.contains(&"the first payment is final"), "{outcome}");
}

/// stateright looks at its time limit when threads share work, and so never where there is one; and a random walk
/// went on to its end, however far that was, after it had found what it was to end at.
#[test]
fn checks_and_walks_of_one_thread_keep_their_time_limit() {
    assert_in_time(&check(Paying::new(BOUNDS), LIMITS));
    assert_in_time(&walk(Paying::new(BOUNDS), 1, LIMITS));
}

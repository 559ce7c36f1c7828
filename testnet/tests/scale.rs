//! Simulations of many validators: payments become final, and what is counted adds up.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use timecoin_testnet::sim::scale::{Kind, Outcome, ScaleError, Shape, run, svg, table};

fn shape(validators: usize) -> Shape {
    Shape { validators, regions: 10, byzantine: 0.2, rate: 12, seconds: 1, seed: 1 }
}

fn counts_add_up(outcome: &Outcome) {
    let traffic = &outcome.traffic;
    let parts = Kind::ALL.map(|kind| traffic.of(kind));
    assert_eq!(parts.iter().map(|part| part.messages).sum::<u64>(), traffic.total().messages);
    assert_eq!(parts.iter().map(|part| part.bytes).sum::<u64>(), traffic.total().bytes);
    // One double spend among twelve payments.
    assert_eq!((outcome.payments, outcome.double_spends), (13, 1));
    // Each validator that speaks votes Prepare and Commit for each lone payment, once; liars more than that.
    let speaking = (outcome.shape.validators - outcome.silent) as u64;
    let votes = 2 * 11 * speaking;
    let most = votes + 2 * 2 * speaking + 4 * outcome.lying as u64;
    assert!((votes..=most).contains(&traffic.votes), "{} votes, {votes} to {most} expected", traffic.votes);
    // Each vote reaches everybody, through the mesh: each validator that speaks passes it on once, in a
    // bundle, to its peers, twelve at most.
    let others = outcome.shape.validators as u64 - 1;
    assert!(traffic.vote_batch_copies >= traffic.vote_batches * others);
    assert!(traffic.vote_batch_copies <= traffic.vote_batches * speaking * others.min(12));
    assert!(traffic.of(Kind::Votes).messages <= traffic.bundles && traffic.bundles <= traffic.bundle_votes);
    assert!(outcome.votes_in_bundle() >= 1.0);
}

#[test]
fn ten_validators_of_which_two_are_byzantine_finalize_by_census() {
    let outcome = run(&shape(10)).unwrap();
    assert_eq!((outcome.silent, outcome.lying), (1, 1));
    assert!(outcome.finality.p50 <= 1_500 && outcome.finality.p50 > 150, "{outcome:?}");
    counts_add_up(&outcome);
}

#[test]
fn fifty_validators_of_which_ten_are_byzantine_finalize_by_samples() {
    let outcome = run(&shape(50)).unwrap();
    assert_eq!((outcome.silent, outcome.lying), (5, 5));
    assert!(outcome.finality.p50 <= 1_500 && outcome.finality.p50 > 150, "{outcome:?}");
    counts_add_up(&outcome);
    let (text, drawing) = (table(std::slice::from_ref(&outcome)), svg(std::slice::from_ref(&outcome)));
    assert!(text.contains("votes in a batch") && text.contains("votes in a bundle") && drawing.ends_with("</svg>\n"));
}

#[test]
fn the_same_shape_gives_the_same_run_and_another_seed_another() {
    let first = run(&shape(10)).unwrap();
    assert_eq!(first, run(&shape(10)).unwrap());
    assert_ne!(first.traffic, run(&Shape { seed: 2, ..shape(10) }).unwrap().traffic);
}

#[test]
fn shapes_for_which_nothing_is_promised_are_refused() {
    let refused = |shape: Shape| run(&shape).unwrap_err();
    assert!(matches!(refused(Shape { validators: 0, ..shape(10) }), ScaleError::Validators));
    assert!(matches!(refused(Shape { validators: 1_025, ..shape(10) }), ScaleError::Validators));
    assert!(matches!(refused(Shape { byzantine: 0.34, ..shape(10) }), ScaleError::Byzantine));
    assert!(matches!(refused(Shape { byzantine: -0.1, ..shape(10) }), ScaleError::Byzantine));
    assert!(matches!(refused(Shape { rate: 0, ..shape(10) }), ScaleError::Payments));
}

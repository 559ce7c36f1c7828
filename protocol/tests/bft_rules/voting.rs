//! Proposals, prevotes, precommits and timeouts within a round.

use super::*;

// R-2, lines 11 to 21

#[test]
fn nothing_happens_before_the_start() {
    let mut agreement = Agreement::new(HEIGHT, validators(4), Some(own()));
    assert_eq!(agreement.step(proposal(R0, A)), []);
    assert_eq!(hear(&mut agreement, R0, Precommit, Some(A), 0..3), []);
    let actions = agreement.step(Event::Start);
    assert_eq!(actions, [schedule(R0, Step::Propose), Action::Decide { round: R0, block: A }]);
    assert_eq!(agreement.step(Event::Start), []);
}

#[test]
fn the_proposer_of_a_round_proposes_a_new_block() {
    let mut agreement = resumed(R3, Locks::default());
    let actions = agreement.step(Event::Start);
    assert_eq!(actions, left(R2, &[Action::Propose { round: R3, valid: None }, schedule(R3, Step::Propose)]));
}

#[test]
fn the_proposer_of_a_round_proposes_its_valid_block_again() {
    let mut agreement = locked_on(A);
    let actions = hear(&mut agreement, R3, Prevote, None, 0..2);
    let propose = Action::Propose { round: R3, valid: Some((R0, A)) };
    assert_eq!(actions, left(R2, &[propose, schedule(R3, Step::Propose)]));
}

// R-3, line 22

#[test]
fn a_new_valid_acceptable_block_is_prevoted() {
    let mut agreement = started();
    assert_eq!(agreement.step(proposal(R0, A)), [cast(R0, Prevote, Some(A))]);
    assert_eq!(agreement.current_step(), Step::Prevote);
}

#[test]
fn an_invalid_block_is_prevoted_nil_at_once() {
    let mut agreement = started();
    let invalid = Event::Proposal { round: R0, block: A, valid_round: None, valid: false, acceptable: true };
    assert_eq!(agreement.step(invalid), [cast(R0, Prevote, None)]);
}

#[test]
fn an_unacceptable_block_is_prevoted_as_soon_as_it_becomes_acceptable() {
    let mut agreement = started();
    assert_eq!(agreement.step(unacceptable(R0, A)), []);
    assert_eq!(agreement.step(proposal(R0, A)), [cast(R0, Prevote, Some(A))]);
    assert_eq!(agreement.step(proposal(R0, A)), []);
}

#[test]
fn an_unacceptable_block_is_prevoted_nil_at_the_timeout_and_stays_so() {
    let mut agreement = started();
    let _ = agreement.step(unacceptable(R0, A));
    assert_eq!(agreement.step(timeout(R0, Step::Propose)), [cast(R0, Prevote, None)]);
    assert_eq!(agreement.step(proposal(R0, A)), []);
}

#[test]
fn a_locked_validator_prevotes_nil_for_another_new_block() {
    let mut agreement = locked_on(A);
    assert_eq!(agreement.step(proposal(R1, B)), [cast(R1, Prevote, None)]);
}

#[test]
fn a_locked_validator_prevotes_its_block_proposed_as_new() {
    let mut agreement = locked_on(A);
    assert_eq!(agreement.step(unacceptable(R1, A)), [cast(R1, Prevote, Some(A))]);
}

#[test]
fn a_proposal_for_a_later_round_waits_for_that_round() {
    let mut agreement = started();
    assert_eq!(agreement.step(proposal(R1, A)), []);
    let actions = agreement.step(timeout(R0, Step::Precommit));
    assert_eq!(actions, left(R0, &[schedule(R1, Step::Propose), cast(R1, Prevote, Some(A))]));
}

// R-4, line 28

#[test]
fn a_block_proposed_again_is_prevoted_once_its_quorum_is_known() {
    let mut agreement = started();
    let _ = agreement.step(timeout(R0, Step::Precommit));
    assert_eq!(agreement.step(again(R1, A, R0)), []);
    assert_eq!(hear(&mut agreement, R0, Prevote, Some(A), 0..2), []);
    assert_eq!(hear(&mut agreement, R0, Prevote, Some(A), 2..3), [cast(R1, Prevote, Some(A))]);
}

#[test]
fn a_quorum_not_older_than_the_lock_outvotes_it() {
    let mut agreement = locked_on(A);
    let _ = agreement.step(timeout(R1, Step::Precommit));
    let _ = hear(&mut agreement, R1, Prevote, Some(B), 0..3);
    assert_eq!(agreement.step(again(R2, B, R1)), [cast(R2, Prevote, Some(B))]);
}

#[test]
fn a_quorum_older_than_the_lock_does_not_outvote_it() {
    let locks = Locks { locked: Some((R1, A)), valid: Some((R1, A)) };
    let mut agreement = resumed(R2, locks);
    let _ = agreement.step(Event::Start);
    let _ = hear(&mut agreement, R0, Prevote, Some(B), 0..3);
    assert_eq!(agreement.step(again(R2, B, R0)), [cast(R2, Prevote, None)]);
}

#[test]
fn the_locked_block_is_prevoted_whatever_the_round_of_its_quorum() {
    let locks = Locks { locked: Some((R1, A)), valid: Some((R1, A)) };
    let mut agreement = resumed(R2, locks);
    let _ = agreement.step(Event::Start);
    let _ = hear(&mut agreement, R0, Prevote, Some(A), 0..3);
    assert_eq!(agreement.step(again(R2, A, R0)), [cast(R2, Prevote, Some(A))]);
}

#[test]
fn a_valid_round_that_is_not_earlier_is_refused() {
    let mut agreement = started();
    assert_eq!(agreement.step(again(R0, A, R0)), [cast(R0, Prevote, None)]);
}

// R-5, line 34

#[test]
fn a_split_quorum_of_prevotes_schedules_one_timeout() {
    let mut agreement = started();
    let _ = agreement.step(proposal(R0, A));
    let _ = hear(&mut agreement, R0, Prevote, None, 0..1);
    assert_eq!(hear(&mut agreement, R0, Prevote, Some(B), 1..2), [schedule(R0, Step::Prevote)]);
    assert_eq!(hear(&mut agreement, R0, Prevote, None, 2..3), []);
}

#[test]
fn a_quorum_of_prevotes_schedules_nothing_before_the_own_prevote() {
    let mut agreement = started();
    assert_eq!(hear(&mut agreement, R0, Prevote, None, 0..2), []);
    assert_eq!(hear(&mut agreement, R0, Prevote, Some(A), 2..3), []);
    let actions = agreement.step(timeout(R0, Step::Propose));
    assert_eq!(actions, [cast(R0, Prevote, None), cast(R0, Precommit, None)]);
}

// R-6, line 36

#[test]
fn a_quorum_of_prevotes_locks_and_precommits_the_proposal() {
    let mut agreement = started();
    let _ = agreement.step(proposal(R0, A));
    assert!(!agreement.has_prevote_quorum(R0, &A));
    assert_eq!(hear(&mut agreement, R0, Prevote, Some(A), 0..2), [cast(R0, Precommit, Some(A))]);
    assert!(agreement.has_prevote_quorum(R0, &A));
    assert_eq!(agreement.locks(), Locks { locked: Some((R0, A)), valid: Some((R0, A)) });
}

#[test]
fn a_quorum_of_prevotes_locks_nothing_while_the_proposal_is_unknown() {
    let mut agreement = started();
    let _ = agreement.step(timeout(R0, Step::Propose));
    assert_eq!(hear(&mut agreement, R0, Prevote, Some(A), 0..3), [schedule(R0, Step::Prevote)]);
    assert_eq!(agreement.locks(), Locks::default());
    assert_eq!(agreement.step(unacceptable(R0, A)), [cast(R0, Precommit, Some(A))]);
}

#[test]
fn a_quorum_of_prevotes_never_locks_an_invalid_block() {
    let mut agreement = started();
    let _ = agreement.step(Event::Proposal { round: R0, block: A, valid_round: None, valid: false, acceptable: true });
    assert_eq!(hear(&mut agreement, R0, Prevote, Some(A), 0..3), [schedule(R0, Step::Prevote)]);
    assert_eq!(agreement.locks(), Locks::default());
}

#[test]
fn a_quorum_seen_after_the_precommit_makes_the_block_valid_but_not_locked() {
    let mut agreement = started();
    let _ = agreement.step(proposal(R0, A));
    let _ = hear(&mut agreement, R0, Prevote, None, 0..1);
    let _ = hear(&mut agreement, R0, Prevote, Some(A), 1..2);
    assert_eq!(agreement.step(timeout(R0, Step::Prevote)), [cast(R0, Precommit, None)]);
    assert_eq!(hear(&mut agreement, R0, Prevote, Some(A), 2..3), []);
    assert_eq!(agreement.locks(), Locks { locked: None, valid: Some((R0, A)) });
}

// R-7, line 44

#[test]
fn a_quorum_of_nil_prevotes_is_precommitted_nil() {
    let mut agreement = locked_on(A);
    let _ = agreement.step(timeout(R1, Step::Propose));
    assert_eq!(hear(&mut agreement, R1, Prevote, None, 0..2), [cast(R1, Precommit, None)]);
    assert_eq!(agreement.locks().locked, Some((R0, A)));
}

// R-8, line 47

#[test]
fn a_split_quorum_of_precommits_schedules_one_timeout() {
    let mut agreement = started();
    let _ = hear(&mut agreement, R0, Precommit, None, 0..2);
    assert_eq!(hear(&mut agreement, R0, Precommit, Some(A), 2..3), [schedule(R0, Step::Precommit)]);
    assert_eq!(agreement.step(timeout(R0, Step::Propose)), [cast(R0, Prevote, None)]);
}

// R-12, line 57; R-13, lines 61 and 65; R-17: each timeout names its round

#[test]
fn timeouts_prevote_nil_then_precommit_nil_then_begin_the_next_round() {
    let mut agreement = started();
    assert_eq!(agreement.step(timeout(R0, Step::Prevote)), []);
    assert_eq!(agreement.step(timeout(R0, Step::Propose)), [cast(R0, Prevote, None)]);
    assert_eq!(agreement.step(timeout(R0, Step::Propose)), []);
    assert_eq!(agreement.step(timeout(R0, Step::Prevote)), [cast(R0, Precommit, None)]);
    assert_eq!(agreement.step(timeout(R0, Step::Precommit)), [schedule(R1, Step::Propose)]);
    for step in [Step::Propose, Step::Prevote, Step::Precommit] {
        assert_eq!(agreement.step(timeout(R0, step)), []);
        assert_eq!(agreement.step(timeout(R2, step)), []);
    }
}

//! A validator that restarts contradicts nothing that it said.

use super::*;

#[test]
fn a_restart_after_a_prevote_does_not_prevote_again() {
    let mut agreement = resumed(R0, Locks::default());
    assert_eq!(agreement.step(Event::Vote { round: R0, phase: Prevote, block: Some(A), voter: own() }), []);
    assert_eq!(agreement.step(Event::Start), []);
    assert_eq!(agreement.step(proposal(R0, B)), []);
    assert_eq!(agreement.step(timeout(R0, Step::Propose)), []);
    assert_eq!(agreement.current_step(), Step::Prevote);
    assert_eq!(hear(&mut agreement, R0, Prevote, None, 0..2), [schedule(R0, Step::Prevote)]);
    assert_eq!(agreement.step(timeout(R0, Step::Prevote)), [cast(R0, Precommit, None)]);
}

#[test]
fn a_restart_after_a_precommit_votes_no_more_in_the_round_but_leaves_it() {
    let mut agreement = resumed(R0, Locks { locked: Some((R0, A)), valid: Some((R0, A)) });
    for phase in [Precommit, Prevote] {
        let _ = agreement.step(Event::Vote { round: R0, phase, block: Some(A), voter: own() });
    }
    assert_eq!(agreement.step(Event::Start), []);
    assert_eq!(hear(&mut agreement, R0, Prevote, None, 0..3), []);
    assert_eq!(hear(&mut agreement, R0, Precommit, None, 0..2), [schedule(R0, Step::Precommit)]);
    assert_eq!(agreement.step(timeout(R0, Step::Precommit)), [schedule(R1, Step::Propose)]);
    assert_eq!(agreement.step(proposal(R1, B)), [cast(R1, Prevote, None)]);
}

#[test]
fn an_own_vote_above_the_resumed_round_moves_the_machine_there() {
    let mut agreement = resumed(R0, Locks::default());
    let far = Round(ROUNDS_AHEAD_MAX * 3);
    let _ = agreement.step(Event::Vote { round: far, phase: Prevote, block: None, voter: own() });
    let _ = agreement.step(Event::Start);
    assert_eq!((agreement.round(), agreement.current_step()), (far, Step::Prevote));
}

#[test]
fn a_restarted_proposer_does_not_propose_twice() {
    let mut agreement = resumed(R3, Locks::default());
    assert_eq!(agreement.step(proposal(R3, A)), []);
    let actions = agreement.step(Event::Start);
    assert_eq!(actions, left(R2, &[schedule(R3, Step::Propose), cast(R3, Prevote, Some(A))]));
}

#[test]
fn an_own_vote_cast_elsewhere_is_not_contradicted() {
    let mut agreement = started();
    let _ = agreement.step(Event::Vote { round: R0, phase: Prevote, block: Some(B), voter: own() });
    assert_eq!(agreement.step(proposal(R0, A)), []);
    let _ = agreement.step(Event::Vote { round: R1, phase: Prevote, block: Some(B), voter: own() });
    let _ = agreement.step(timeout(R0, Step::Precommit));
    assert_eq!(agreement.step(proposal(R1, A)), []);
}

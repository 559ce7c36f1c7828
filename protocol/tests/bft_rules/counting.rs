//! What counts, what decides, what moves to another round, and what is kept.

use super::*;

//

#[test]
fn a_voter_counts_once_in_each_round_and_phase() {
    let mut agreement = started();
    for _ in 0..3 {
        let _ = hear(&mut agreement, R0, Precommit, Some(A), 0..2);
    }
    assert_eq!(agreement.decided(), None);
}

#[test]
fn a_vote_of_no_validator_counts_nothing() {
    let mut agreement = started();
    for voter in 4..20 {
        let vote = Event::Vote { round: R1, phase: Precommit, block: Some(A), voter };
        assert_eq!(agreement.step(vote), []);
    }
    assert_eq!((agreement.decided(), agreement.round()), (None, R0));
}

// R-10, line 49

#[test]
fn a_quorum_of_precommits_of_any_round_decides_once() {
    for round in [R0, R2] {
        let mut agreement = started();
        let _ = agreement.step(timeout(R0, Step::Precommit));
        let actions = hear(&mut agreement, round, Precommit, Some(A), 0..3);
        assert_eq!(actions.last(), Some(&Action::Decide { round, block: A }));
        assert_eq!(agreement.decided(), Some((round, A)));
        let vote = Event::Vote { round, phase: Precommit, block: Some(A), voter: peer(0) };
        assert_eq!(agreement.step(vote), []);
        assert_eq!(agreement.step(timeout(agreement.round(), Step::Precommit)), []);
    }
}

#[test]
fn a_quorum_of_nil_precommits_decides_nothing() {
    let mut agreement = started();
    assert_eq!(hear(&mut agreement, R0, Precommit, None, 0..3), [schedule(R0, Step::Precommit)]);
    assert_eq!(agreement.decided(), None);
}

#[test]
fn a_follower_decides_without_a_vote_or_a_proposal() {
    let mut agreement = Agreement::new(HEIGHT, validators(4), None);
    let mut actions = agreement.step(Event::Start);
    actions.extend(agreement.step(proposal(R0, A)));
    for round in [R0, R1, R2, R3] {
        actions.extend(hear(&mut agreement, round, Prevote, Some(A), 0..3));
        actions.extend(agreement.step(timeout(round, Step::Precommit)));
    }
    actions.extend(hear(&mut agreement, R0, Precommit, Some(A), 0..3));
    assert_eq!(actions.pop(), Some(Action::Decide { round: R0, block: A }));
    assert!(actions.iter().all(|action| matches!(action, Action::Schedule { .. })), "{actions:?}");
}

// R-11, line 55

#[test]
fn the_highest_round_that_someone_honest_reached_is_joined() {
    let mut agreement = started();
    assert_eq!(hear(&mut agreement, Round(9), Prevote, None, 0..1), []);
    assert_eq!(hear(&mut agreement, R2, Precommit, None, 1..2), left(R1, &[schedule(R2, Step::Propose)]));
    assert_eq!(agreement.round(), R2);
}

#[test]
fn a_proposal_counts_as_being_heard_in_its_round() {
    let mut agreement = started();
    let _ = agreement.step(proposal(R1, A));
    let actions = hear(&mut agreement, R1, Prevote, None, 0..1);
    assert_eq!(actions, left(R0, &[schedule(R1, Step::Propose), cast(R1, Prevote, Some(A))]));
}

//

/// Four validators, one of them faulty, were stuck in two rounds for ever: one had gone on without a vote of its own (it listened,
/// D-18) by a precommit of the faulty one, which nobody had any more when all had restarted. The simulation found it.
#[test]
fn whoever_goes_on_votes_nil_where_it_has_not_voted_so_that_the_others_can_follow() {
    let mut ahead = resumed(R1, Locks::default());
    let said = ahead.step(Event::Start);
    let mut behind = Agreement::new(HEIGHT, validators(4), Some(peer(0)));
    let _ = behind.step(Event::Start);
    for (voter, phase) in [(peer(0), Prevote), (peer(0), Precommit), (peer(1), Prevote), (peer(1), Precommit)] {
        let _ = behind.step(Event::Vote { round: R0, phase, block: None, voter });
    }
    let mut waits = Vec::new();
    for action in said {
        if let Action::Vote { round, phase, block } = action {
            waits.extend(behind.step(Event::Vote { round, phase, block, voter: own() }));
        }
    }
    assert!(waits.contains(&schedule(R0, Step::Precommit)), "{waits:?}");
    let _ = behind.step(timeout(R0, Step::Precommit));
    assert_eq!(behind.round(), R1);
}

#[test]
fn where_it_has_voted_it_votes_no_more_and_a_follower_never() {
    let mut agreement = locked_on(A);
    assert_eq!(agreement.step(timeout(R1, Step::Propose)), [cast(R1, Prevote, None)]);
    let actions = agreement.step(timeout(R1, Step::Precommit));
    assert_eq!(actions, [cast(R1, Precommit, None), schedule(R2, Step::Propose)]);
    let mut restarted = resumed(R1, Locks::default());
    for phase in [Prevote, Precommit] {
        let _ = restarted.step(Event::Vote { round: R0, phase, block: Some(A), voter: own() });
    }
    assert_eq!(restarted.step(Event::Start), [schedule(R1, Step::Propose)]);
    let mut follower = Agreement::resume(HEIGHT, validators(4), None, R1, Locks::default());
    assert_eq!(follower.step(Event::Start), [schedule(R1, Step::Propose)]);
}

//

#[test]
fn a_contradicting_vote_is_reported_once_and_not_counted() {
    let mut agreement = started();
    let vote = |block| Event::Vote { round: R0, phase: Precommit, block, voter: peer(0) };
    assert_eq!(agreement.step(vote(Some(A))), []);
    let report = Action::Equivocation { round: R0, phase: Precommit, voter: peer(0) };
    assert_eq!(agreement.step(vote(Some(B))), [report]);
    assert_eq!(agreement.step(vote(None)), []);
    let _ = hear(&mut agreement, R0, Precommit, Some(B), 1..3);
    assert_eq!(agreement.decided(), None);
}

#[test]
fn a_contradicting_proposal_is_reported_once_and_ignored() {
    let mut agreement = started();
    let _ = agreement.step(unacceptable(R0, A));
    assert_eq!(agreement.step(proposal(R0, B)), [Action::ProposalEquivocation { round: R0 }]);
    assert_eq!(agreement.step(proposal(R0, B)), []);
    assert_eq!(agreement.step(proposal(R0, A)), [cast(R0, Prevote, Some(A))]);
}

#[test]
fn the_same_block_with_another_valid_round_contradicts_too() {
    let mut agreement = started();
    let _ = agreement.step(proposal(R1, A));
    assert_eq!(agreement.step(again(R1, A, R0)), [Action::ProposalEquivocation { round: R1 }]);
}

//

#[test]
fn votes_far_ahead_are_not_kept_but_show_where_others_are() {
    let (near, far) = (Round(ROUNDS_AHEAD_MAX), Round(ROUNDS_AHEAD_MAX + 1));
    let mut agreement = started();
    for round in [near, far] {
        let _ = hear(&mut agreement, round, Prevote, Some(A), 0..1);
    }
    assert_eq!(agreement.prevoters(near, &A).len(), 1);
    assert_eq!(agreement.prevoters(far, &A).len(), 0);
    assert_eq!(agreement.round(), R0);
    let _ = hear(&mut agreement, far, Prevote, Some(A), 1..2);
    assert_eq!(agreement.round(), far);
    assert_eq!(agreement.prevoters(far, &A).len(), 1, "the vote that made the machine skip is kept");
}

//

#[test]
fn a_proof_of_prevotes_counts_those_who_voted_otherwise_before() {
    let mut agreement = started();
    let _ = agreement.step(timeout(R0, Step::Precommit));
    let _ = agreement.step(again(R1, A, R0));
    let _ = hear(&mut agreement, R0, Prevote, None, 0..1);
    let _ = hear(&mut agreement, R0, Prevote, Some(A), 0..3);
    assert!(!agreement.has_prevote_quorum(R0, &A));
    let voters = vec![peer(2), peer(0), peer(1)];
    let actions = agreement.step(Event::PrevoteProof { round: R0, block: A, voters });
    assert_eq!(actions, [cast(R1, Prevote, Some(A))]);
    assert_eq!(agreement.prevoters(R0, &A).len(), 3);
}

#[test]
fn a_proof_without_a_quorum_proves_nothing() {
    let mut agreement = started();
    let voters = vec![peer(0), peer(0), peer(1), 4, 5];
    let _ = agreement.step(Event::PrevoteProof { round: R0, block: A, voters });
    assert!(!agreement.has_prevote_quorum(R0, &A));
}

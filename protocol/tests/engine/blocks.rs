//! Blocks as the engine makes, judges and commits them (`SPEC.md` B-10…B-14, D-13, N-22, N-23).

use crate::support::{
    Node, VALIDATORS, block_vote, block_votes_of, commit, genesis, keys, payment, proposals_of, requests, voted,
};
use timecoin_protocol::block::{BlockPhase, CommitSignature, Proposal};
use timecoin_protocol::engine::{Effect, Event, Input, PeerTag, Record, Request};
use timecoin_protocol::finality::Phase;
use timecoin_protocol::keys::Verified;
use timecoin_protocol::validator::{Height, Round, ValidatorIndex};
use timecoin_protocol::wire::Vote;

/// At the beginning of the first height, a node whose turn it is neither in its first two rounds nor
/// in the first one of the second height.
fn voter() -> Node {
    let any = Node::new(0);
    let turns = [(1, 0), (1, 1), (2, 0)].map(|(height, round)| {
        let key = any.engine.validators().proposer(Height(height), Round(round)).unwrap().key;
        keys().iter().position(|own| own.public() == key).unwrap()
    });
    let mut node = Node::new((0..VALIDATORS).find(|index| !turns.contains(index)).unwrap());
    node.begin_height();
    node
}

fn prevotes(effects: &[Effect]) -> Vec<Option<timecoin_protocol::hash::BlockHash>> {
    block_votes_of(effects).iter().filter(|vote| vote.phase == BlockPhase::Prevote).map(|vote| vote.block).collect()
}

fn committed(effects: &[Effect]) -> Vec<timecoin_protocol::block::CommittedBlock> {
    let block = |effect: &Effect| match effect {
        Effect::Event(Event::Block { block, .. }) => Some(block.as_ref().clone()),
        _ => None,
    };
    effects.iter().filter_map(block).collect()
}

/// Takes the node over a height with an empty block.
fn decide_empty(node: &mut Node, parent: Option<timecoin_protocol::block::Commit>) -> Vec<Effect> {
    let proposal = node.proposal(0, &[], parent);
    let hash = proposal.block.header.hash();
    let others = node.others();
    let mut effects = node.propose(proposal);
    effects.extend(node.block_votes(0, BlockPhase::Prevote, Some(hash), &others));
    effects.extend(node.block_votes(0, BlockPhase::Precommit, Some(hash), &others));
    effects
}

/// B-10
#[test]
fn the_proposer_offers_what_is_certified_and_nothing_fresh() {
    let proposer = Node::new(0).proposer(0);
    let mut node = Node::new(proposer);
    let (certified, fresh) = (payment(1, ""), payment(2, ""));
    node.gossip(std::slice::from_ref(&certified));
    let others = node.others();
    node.votes(Phase::Prepare, &[certified.txid()], &others);
    node.pass_ms(890);
    node.gossip(&[fresh]);
    let effects = node.pass_ms(100);
    assert_eq!(proposals_of(&effects)[0].block.txids, [certified.txid()]);
}

/// B-11
#[test]
fn a_block_with_an_uncertified_payment_is_prevoted_in_round_0_only_with_its_inputs_locked() {
    let mut node = voter();
    let payment = payment(1, "");
    node.gossip(std::slice::from_ref(&payment));
    let proposal = node.proposal(0, std::slice::from_ref(&payment), None);
    let effects = node.propose(proposal.clone());
    assert_eq!(prevotes(&effects), [Some(proposal.block.header.hash())]);
    let at = |wanted: fn(&Record) -> bool| node.disk.0.iter().position(wanted).unwrap();
    let (locked, voted) =
        (at(|record| matches!(record, Record::Locked { .. })), at(|record| matches!(record, Record::BlockVote(..))));
    assert!(locked < voted, "D-12: locks come before the vote that rests on them");
}

/// B-11
#[test]
fn an_uncertified_payment_in_round_1_is_not_prevoted_until_its_certificate_comes() {
    let mut node = voter();
    let others = node.others();
    node.block_votes(1, BlockPhase::Prevote, None, &others[..2]);
    let payment = payment(1, "");
    node.gossip(std::slice::from_ref(&payment));
    let proposal = node.proposal(1, std::slice::from_ref(&payment), None);
    let effects = node.propose(proposal.clone());
    assert!(prevotes(&effects).is_empty());
    assert!(requests(&effects).iter().any(|(_, request)| matches!(request, Request::Certificates(_))), "B-13");
    let mut effects = node.votes(Phase::Prepare, &[payment.txid()], &others);
    effects.extend(node.pass_ms(100));
    assert_eq!(prevotes(&effects), [Some(proposal.block.header.hash())]);
}

/// B-11: a certificate of Commit votes proves that one of Prepare votes exists. A node that had
/// lost the Prepare votes refused such blocks in rounds above 0.
#[test]
fn a_payment_with_a_finality_certificate_needs_no_prepare_certificate_in_a_block() {
    let mut node = voter();
    let (lost, winner) = (payment(1, "a"), payment(1, "b"));
    node.gossip(std::slice::from_ref(&lost));
    let others = node.others();
    let proposal = node.proposal(0, &[lost], None);
    node.propose(proposal); // locks coin 1
    node.gossip(std::slice::from_ref(&winner));
    node.votes(Phase::Commit, &[winner.txid()], &others);
    node.block_votes(1, BlockPhase::Prevote, None, &others[..2]);
    let proposal = node.proposal(1, &[winner], None);
    let hash = proposal.block.header.hash();
    let mut effects = node.propose(proposal);
    effects.extend(node.pass_ms(10));
    assert_eq!(prevotes(&effects), [Some(hash)]);
}

/// B-12
#[test]
fn a_block_from_the_future_is_prevoted_when_its_time_has_come() {
    let mut node = voter();
    let now = node.now;
    node.now = now.plus_ms(2_400);
    let proposal = node.proposal(0, &[], None);
    node.now = now;
    let effects = node.propose(proposal.clone());
    assert!(prevotes(&effects).is_empty());
    let effects = node.pass_ms(500);
    assert_eq!(prevotes(&effects), [Some(proposal.block.header.hash())]);
}

/// B-13: a body that gossip brought while it was being asked for did not wake the proposal.
#[test]
fn a_proposal_is_judged_when_the_missing_body_comes_by_gossip() {
    let mut node = voter();
    let payment = payment(1, "");
    let proposal = node.proposal(0, std::slice::from_ref(&payment), None);
    let effects = node.propose(proposal.clone());
    assert!(prevotes(&effects).is_empty());
    assert!(requests(&effects).iter().any(|(_, request)| matches!(request, Request::Transactions(_))), "N-20");
    let mut effects = node.gossip(&[payment]);
    effects.extend(node.pass_ms(1));
    assert_eq!(prevotes(&effects), [Some(proposal.block.header.hash())]);
}

/// B-14
#[test]
fn a_decided_block_takes_effect_at_once_and_rejects_what_conflicts() {
    let mut node = voter();
    let (winner, loser) = (payment(1, "a"), payment(1, "b"));
    node.gossip(&[loser.clone(), winner.clone()]);
    let others = node.others();
    node.votes(Phase::Prepare, &[winner.txid()], &others);
    let proposal = node.proposal(0, std::slice::from_ref(&winner), None);
    let hash = proposal.block.header.hash();
    node.propose(proposal);
    node.block_votes(0, BlockPhase::Prevote, Some(hash), &others);
    let effects = node.block_votes(0, BlockPhase::Precommit, Some(hash), &others);
    assert_eq!(committed(&effects).len(), 1);
    assert_eq!(node.engine.chain_state().height, Height(1));
    assert_eq!(node.engine.gauges().pool_transactions, 0);
    assert_eq!(node.opinion(loser.txid()), timecoin_protocol::wire::Opinion::Other(winner.txid()));
}

/// B-3, R-15. A node that was six rounds behind counted the precommits of a round that decided, but kept
/// only those within four rounds of its own. It put the block on its chain with a commit of one
/// signature, which no other node accepts below the next block.
#[test]
fn a_block_decided_in_a_far_round_is_committed_with_a_quorum_of_precommits() {
    let mut node = voter();
    let proposal = node.proposal(0, &[], None);
    let hash = proposal.block.header.hash();
    node.propose(proposal);
    let others = node.others();
    let effects = node.block_votes(6, BlockPhase::Precommit, Some(hash), &others);
    let block = committed(&effects).remove(0);
    let state = node.engine.chain_state();
    block.commit.verify(state.epoch, &state.validators, &genesis().hash()).unwrap();
}

/// B-3. The signatures of the parent's precommits that a node knows need no second check, but the
/// check was passed over for any signer: a proposer could sign one validator's name with another's
/// signature, and so pay who was away.
#[test]
fn a_known_signature_under_another_name_makes_no_commit() {
    let mut node = voter();
    decide_empty(&mut node, None);
    let block = node.engine.chain_state().hash;
    let mut forged = commit(Height(1), 0, block, &node.others());
    let known = forged.signatures[0].signature;
    forged.signatures =
        (0..4).map(|validator: ValidatorIndex| CommitSignature { validator, signature: known }).collect();
    node.pass_ms(1_000);
    let proposal = node.proposal(0, &[], Some(forged));
    let mut effects = node.propose(proposal);
    effects.extend(node.pass_ms(10));
    assert_eq!(prevotes(&effects), [None]);
}

/// D-13. A proposer that crashed before the bodies of its block were durable did not count its
/// proposal as made, and signed another one for the same round.
#[test]
fn no_second_proposal_is_made_after_a_restart_without_the_bodies_of_the_first() {
    let proposer = Node::new(0).proposer(0);
    let mut node = Node::new(proposer);
    let payment = payment(1, "");
    node.gossip(std::slice::from_ref(&payment));
    let others = node.others();
    node.votes(Phase::Prepare, &[payment.txid()], &others);
    let effects = node.begin_height();
    let first = proposals_of(&effects).remove(0);
    assert_eq!(first.block.txids, [payment.txid()]);
    node.disk.0 = vec![Record::Proposal(first)];
    let mut effects = node.restart();
    effects.extend(node.pass_ms(100));
    assert!(proposals_of(&effects).is_empty());
}

/// D-13, R-9
#[test]
fn no_round_and_phase_is_voted_in_twice_across_restarts() {
    let mut node = voter();
    let proposal = node.proposal(0, &[], None);
    let effects = node.propose(proposal.clone());
    assert_eq!(prevotes(&effects), [Some(proposal.block.header.hash())]);
    for compacted in [false, true] {
        if compacted {
            node.compact();
        }
        let mut effects = node.restart();
        effects.extend(node.pass_ms(3_000));
        assert!(block_votes_of(&effects).iter().all(|vote| vote.phase != BlockPhase::Prevote || vote.round > Round(0)));
    }
}

/// D-5
#[test]
fn decided_blocks_are_applied_again_after_a_restart() {
    let mut node = voter();
    decide_empty(&mut node, None);
    let state = node.engine.chain_state().clone();
    node.restart();
    assert_eq!(node.engine.chain_state().hash, state.hash);
}

/// One faulty validator could make others keep and judge a proposal for each of 2^32 rounds.
#[test]
fn a_proposal_for_a_far_round_is_not_kept() {
    let mut node = voter();
    let round = (100..).find(|round| node.proposer(*round) != node.me).unwrap();
    let proposal = node.proposal(round, &[], None);
    node.propose(proposal);
    assert!(node.status(round).proposals.is_empty());
    let near = (1..).find(|round| node.proposer(*round) != node.me).unwrap();
    let proposal = node.proposal(near, &[], None);
    node.propose(proposal);
    assert_eq!(node.status(near).proposals.len(), 1);
}

/// V-3. Two proposals for the next height that anybody signed filled the room for the real one.
#[test]
fn strangers_take_no_room_of_proposals_for_the_next_height() {
    let mut other = voter();
    let mut node = voter();
    decide_empty(&mut other, None);
    let parent = commit(Height(1), 0, other.engine.chain_state().hash, &other.others());
    other.pass_ms(1_000);
    let real = other.proposal(0, &[], Some(parent));
    for n in 0..4 {
        let stranger = crate::support::wallet(n);
        let fake = Proposal::sign(Round(0), None, real.block.clone(), &stranger, &genesis().hash());
        node.propose(fake);
    }
    let rightful = keys()[other.proposer(0)].public();
    node.propose(real.clone());
    decide_empty(&mut node, None);
    let proposals = node.status(0).proposals;
    assert_eq!(proposals.len(), 1);
    assert_eq!(proposals[0].proposer, rightful);
}

/// B-11, E-9. A proposer whose locks are on one side of a split double spend offered it in each of its
/// blocks, and each time the others refused: one lost round at every such height, for ever.
#[test]
fn what_was_offered_in_vain_is_offered_again_after_twice_the_time() {
    let proposer = Node::new(0).proposer(0);
    let mut node = Node::new(proposer);
    node.gossip(&[payment(1, "")]);
    // Nobody answers, so sampling settles nothing, and blocks come too late for the first 1.5 s.
    node.now = node.now.plus_ms(1_600);
    let effects = node.pass_ms(1);
    assert_eq!(proposals_of(&effects)[0].block.txids.len(), 1);
    let mut offered_at = vec![node.now.millis()];
    for _ in 0..30 {
        // The others refuse it, and decide without it.
        let refused = node.proposer(0) == node.me;
        decide_without(&mut node, u32::from(refused));
        let effects = node.pass_ms(1_100);
        if proposals_of(&effects).iter().any(|proposal| proposal.round == Round(0) && !proposal.block.txids.is_empty())
        {
            offered_at.push(node.now.millis());
        }
    }
    assert!(offered_at.len() > 2, "{offered_at:?}");
    for (doublings, pair) in offered_at.windows(2).enumerate() {
        assert!(pair[1] - pair[0] >= (1_500 << (doublings + 1)) - 1_100, "{offered_at:?}");
    }
}

/// The others decide an empty block in `round`.
fn decide_without(node: &mut Node, round: u32) {
    let state = node.engine.chain_state().clone();
    let parent = (state.height > Height(0)).then(|| node.last_commit.clone()).flatten();
    let proposal = node.proposal(round, &[], parent);
    let hash = proposal.block.header.hash();
    let others = node.others();
    node.propose(proposal);
    node.block_votes(round, BlockPhase::Precommit, Some(hash), &others);
    assert_eq!(node.engine.chain_state().height, state.height.next());
    node.last_commit = Some(commit(state.height.next(), round, hash, &others));
}

/// N-22, N-23
#[test]
fn a_vote_above_the_next_height_makes_a_node_fetch_what_it_misses() {
    let mut node = voter();
    let other = node.others()[0];
    let vote = block_vote(Height(3), 0, BlockPhase::Prevote, None, other);
    let effects = node.turn(vec![Input::Votes(PeerTag(9), vec![Verified::by_own_hand(Vote::Block(vote))])]);
    assert!(!requests(&effects).iter().any(|(_, request)| matches!(request, Request::Blocks(_))));
    let effects = node.pass_ms(260);
    assert!(requests(&effects).iter().any(|(_, request)| matches!(request, Request::Blocks(_))));
    assert!(voted(&effects, Phase::Prepare).is_empty());
}

//! A validator that contradicts itself is noticed, and everybody hears of it; an honest one never is. Rules: X-2…X-7, B-14.

use crate::support::{
    EPOCH_BLOCKS, Node, block_vote, block_votes_of, evidence_of, genesis, keys, payment, proposals_of, requests,
    seals_of, turn, voted,
};
use std::sync::Arc;
use timecoin_protocol::bitmap::Bitmap;
use timecoin_protocol::block::evidence::{TwoBlockVotes, TwoPayments, TwoProposals, TwoSeals};
use timecoin_protocol::block::{BlockPhase, CommitSignature, Evidence, EvidenceKind, Proposal};
use timecoin_protocol::engine::{Ask, Effect, Event, Input, Offence, PeerTag, Record, Reply, Request, Response};
use timecoin_protocol::finality::{Phase, Seal};
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::keys::{SecretKey, Verified};
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::{Opinion, StatusRequest, Vote};

/// Height of the first block that can close the first epoch.
const CLOSING: u64 = 6;

/// A validator whose turn it is (or is not) at the closing height, and never at the first one.
fn node(proposes: bool) -> Node {
    EPOCH_BLOCKS.set(CLOSING);
    let fits = |me: &usize| turn(1) != *me && (turn(CLOSING) == *me) == proposes;
    Node::new((0..4).find(fits).unwrap())
}

/// What the node found out: published once, and durable before.
fn found(node: &Node, effects: &[Effect], who: usize) -> EvidenceKind {
    let all = evidence_of(effects);
    assert_eq!(all.len(), 1, "said once: {all:?}");
    assert_eq!((all[0].offender(), all[0].verify(&genesis().hash())), (keys()[who].public(), Ok(())));
    assert!(node.disk.0.iter().any(|record| matches!(record, Record::Evidence(held) if *held == all[0])));
    let told = |effect: &&Effect| matches!(effect, Effect::Event(Event::Evidence(held)) if *held == all[0]);
    assert_eq!(effects.iter().filter(told).count(), 1);
    all[0].kind()
}

/// Signed for the network of [`node`], also before the first one is made.
fn double_prevote(who: usize) -> Evidence {
    EPOCH_BLOCKS.set(CLOSING);
    let vote = |block| block_vote(Height(1), 0, BlockPhase::Prevote, block, who);
    Evidence::BlockVotes(TwoBlockVotes::of(&vote(None), &vote(Some(BlockHash([1; 32])))).unwrap())
}

fn gossip(node: &mut Node, evidence: Evidence) -> Vec<Effect> {
    let vote = Verified::by_own_hand(Vote::Evidence(Arc::new(evidence)));
    node.turn(vec![Input::Votes(PeerTag(9), vec![vote])])
}

fn held(node: &Node) -> Vec<Arc<Evidence>> {
    let live = node.engine.live_records().into_iter();
    live.filter_map(|record| if let Record::Evidence(held) = record { Some(held) } else { None }).collect()
}

fn seal(node: &Node, who: usize) -> Arc<Seal> {
    Arc::new(Seal::sign(node.engine.chain_state().epoch, vec![], &keys()[who], &genesis().hash()))
}

/// The epoch ends with a block of this node's making, or of another one that takes along what `node.evidence` says.
fn close(node: &mut Node) -> Vec<Effect> {
    let others = node.others();
    let seals: Vec<_> = others.iter().map(|who| seal(node, *who)).collect();
    let mut effects = node.seals(&[], &others);
    effects.extend(node.decide(&[], &seals));
    effects
}

#[test]
fn whoever_prevotes_twice_is_noticed_x_3() {
    let mut node = node(false);
    node.begin_height();
    let liar = node.others()[0];
    let mut effects = node.block_votes(0, BlockPhase::Prevote, None, &[liar]);
    effects.extend(node.block_votes(0, BlockPhase::Prevote, None, &[liar]));
    assert!(evidence_of(&effects).is_empty(), "the same vote again is none");
    let effects = node.block_votes(0, BlockPhase::Prevote, Some(BlockHash([1; 32])), &[liar]);
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoublePrevote);
    let mut again = node.block_votes(0, BlockPhase::Prevote, Some(BlockHash([2; 32])), &[liar]);
    again.extend(node.block_votes(1, BlockPhase::Precommit, None, &[liar]));
    again.extend(node.block_votes(1, BlockPhase::Precommit, Some(BlockHash([1; 32])), &[liar]));
    assert!(evidence_of(&again).is_empty(), "one piece for each offender");
}

#[test]
fn whoever_precommits_twice_is_noticed_x_3() {
    let mut node = node(false);
    node.begin_height();
    let liar = node.others()[1];
    let mut effects = node.block_votes(0, BlockPhase::Precommit, Some(BlockHash([2; 32])), &[liar]);
    effects.extend(node.block_votes(0, BlockPhase::Precommit, Some(BlockHash([1; 32])), &[liar]));
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoublePrecommit);
}

#[test]
fn a_precommit_that_contradicts_the_commit_of_the_last_block_is_noticed_x_3() {
    let mut node = node(false);
    node.decide(&[], &[]);
    let liar = node.others()[0];
    let late = block_vote(Height(1), 0, BlockPhase::Precommit, None, liar);
    let effects = node.turn(vec![Input::Votes(PeerTag(9), vec![Verified::by_own_hand(Vote::Block(late))])]);
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoublePrecommit);
}

/// It told this node that it precommits nothing, and the others that it precommits the block.
#[test]
fn a_precommit_that_a_fetched_block_contradicts_is_noticed_x_3() {
    let mut node = node(false);
    let mut ahead = Node::new(node.others()[1]);
    ahead.decide(&[], &[]);
    let block = ahead.disk.0.iter().find_map(|record| match record {
        Record::Block(block) => Some(block.as_ref().clone()),
        _ => None,
    });
    let (block, liar) = (block.unwrap(), node.others()[0]);
    assert!(block.commit.signatures.iter().any(|entry| usize::from(entry.validator) == liar));
    let asked = node.begin_height();
    node.block_votes(0, BlockPhase::Precommit, None, &[liar]);
    let find = |effects: &[Effect], wanted: fn(&Request) -> bool| {
        requests(effects).into_iter().find(|(_, request)| wanted(request)).unwrap().0
    };
    let id = find(&asked, |request| matches!(request, Request::Status(_)));
    let status = Response::Status(Verified::by_own_hand(ahead.status(0)));
    let effects = node.turn(vec![Input::Answered(id, PeerTag(9), status)]);
    let id = find(&effects, |request| matches!(request, Request::Blocks(_)));
    let blocks = Response::Blocks(vec![Verified::by_own_hand(block)]);
    let effects = node.turn(vec![Input::Answered(id, PeerTag(9), blocks)]);
    assert_eq!(node.engine.chain_state().height, Height(1));
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoublePrecommit);
}

#[test]
fn votes_that_come_before_their_height_are_compared_too_x_3() {
    let mut node = node(false);
    let liar = node.others()[0];
    let vote = |block| Verified::by_own_hand(Vote::Block(block_vote(Height(2), 0, BlockPhase::Prevote, block, liar)));
    let effects = node.turn(vec![Input::Votes(PeerTag(9), vec![vote(None), vote(Some(BlockHash([1; 32])))])]);
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoublePrevote);
}

/// It told this node nothing, and the others that it prevotes the block: the proof of the re-proposal shows it.
#[test]
fn a_prevote_that_a_proof_contradicts_is_noticed_x_3() {
    let mut node = node(false);
    node.begin_height();
    let first = node.proposal(0, &[], None);
    let hash = first.block.header.hash();
    let (liar, others) = (node.others()[0], node.others());
    node.block_votes(0, BlockPhase::Prevote, None, &[liar]);
    let entry = |who: &usize| CommitSignature {
        validator: u16::try_from(*who).unwrap(),
        signature: block_vote(Height(1), 0, BlockPhase::Prevote, Some(hash), *who).signature,
    };
    let proof = others.iter().map(entry).collect();
    let proposer = keys().remove(node.proposer(1));
    let again = Proposal::sign(Round(1), Some((Round(0), proof)), first.block, &proposer, &genesis().hash());
    let effects = node.propose(again);
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoublePrevote);
}

#[test]
fn whoever_proposes_twice_is_noticed_x_3() {
    let mut node = node(false);
    node.begin_height();
    let liar = node.proposer(0);
    let first = node.proposal(0, &[], None);
    let mut twin = first.block.clone();
    twin.header.time_ms += 1;
    let second = Proposal::sign(Round(0), None, twin, &keys()[liar], &genesis().hash());
    let mut effects = node.propose(first.clone());
    effects.extend(node.propose(first));
    assert!(evidence_of(&effects).is_empty(), "the same again is none");
    let effects = node.propose(second);
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoubleProposal);
}

/// The same block, with another claim about the round that a quorum prevoted it in.
#[test]
fn whoever_proposes_a_block_with_two_valid_rounds_is_noticed_r_14() {
    let mut node = node(false);
    node.begin_height();
    let liar = node.proposer(2);
    let block = node.proposal(2, &[], None).block;
    let propose =
        |valid| Proposal::sign(Round(2), Some((Round(valid), vec![])), block.clone(), &keys()[liar], &genesis().hash());
    let mut effects = node.propose(propose(0));
    effects.extend(node.propose(propose(1)));
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoubleProposal);
}

#[test]
fn whoever_prepares_both_sides_of_a_double_spend_is_noticed_x_3() {
    for phase in [Phase::Prepare, Phase::Commit] {
        let mut node = node(false);
        let (left, right) = (payment(0, "left"), payment(0, "right"));
        node.gossip(&[left.clone(), right.clone()]);
        let liar = node.others()[0];
        let effects = node.votes(phase, &[left.txid()], &node.others());
        assert!(evidence_of(&effects).is_empty());
        let effects = node.votes(phase, &[right.txid(), payment(5, "").txid()], &[liar]);
        let kind = if phase == Phase::Prepare { EvidenceKind::DoublePrepare } else { EvidenceKind::DoubleCommit };
        assert_eq!(found(&node, &effects, liar), kind);
    }
}

/// Whoever prepared the loser commits the winner (F-4).
#[test]
fn a_vote_for_each_side_in_different_phases_is_no_contradiction_x_2() {
    let mut node = node(false);
    let (left, right) = (payment(0, "left"), payment(0, "right"));
    node.gossip(&[left.clone(), right.clone()]);
    let mut effects = node.votes(Phase::Prepare, &[left.txid()], &node.others());
    effects.extend(node.votes(Phase::Commit, &[right.txid()], &node.others()));
    effects.extend(node.pass_ms(100));
    assert!(evidence_of(&effects).is_empty());
}

#[test]
fn votes_that_were_there_before_the_payments_are_compared_x_3() {
    let mut node = node(false);
    let (left, right) = (payment(0, "left"), payment(0, "right"));
    let liar = node.others()[0];
    let mut effects = node.votes(Phase::Prepare, &[left.txid(), right.txid()], &[liar]);
    effects.extend(node.gossip(&[left]));
    assert!(evidence_of(&effects).is_empty(), "who knows what the other one spends");
    let effects = node.gossip(&[right]);
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoublePrepare);
}

/// The loser left the pool, and with it the body that shows what it spends.
#[test]
fn a_vote_for_the_loser_is_noticed_when_all_is_over_x_3() {
    let mut node = node(false);
    let (winner, loser) = (payment(0, "left"), payment(0, "right"));
    node.gossip(&[winner.clone(), loser.clone()]);
    let others = node.others();
    node.votes(Phase::Prepare, &[winner.txid()], &others);
    node.votes(Phase::Commit, &[winner.txid()], &others);
    node.decide(std::slice::from_ref(&winner), &[]);
    let effects = node.votes(Phase::Prepare, &[loser.txid()], &others[..1]);
    assert_eq!(found(&node, &effects, others[0]), EvidenceKind::DoublePrepare);
}

/// Its votes were here already, and the pool had no room for a third spend of the output.
#[test]
fn a_payment_that_the_pool_refuses_shows_who_voted_for_it_x_3() {
    let mut node = node(false);
    let [first, second, third] = ["1", "2", "3"].map(|memo| payment(0, memo));
    let liar = node.others()[0];
    node.gossip(&[first.clone(), second]);
    let mut effects = node.votes(Phase::Prepare, &[first.txid(), third.txid()], &[liar]);
    assert!(evidence_of(&effects).is_empty());
    effects = node.gossip(&[third]);
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoublePrepare);
}

#[test]
fn whoever_seals_twice_is_noticed_x_3() {
    let mut node = node(false);
    node.grow_to(CLOSING - 1);
    let liar = node.others()[0];
    let mut effects = node.seals(&[], &[liar]);
    effects.extend(node.seals(&[], &[liar]));
    assert!(evidence_of(&effects).is_empty());
    let effects = node.seals(&[payment(0, "").txid()], &[liar]);
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoubleSeal);
}

#[test]
fn a_seal_in_a_closing_block_that_contradicts_another_is_noticed_x_3() {
    let mut node = node(false);
    node.grow_to(CLOSING - 1);
    let (liar, others) = (node.others()[0], node.others());
    node.seals(&[payment(0, "").txid()], &[liar]);
    let seals: Vec<_> = others.iter().map(|who| seal(&node, *who)).collect();
    let proposal = node.closing_proposal(0, &[], node.last_commit.clone(), &seals);
    let effects = node.propose(proposal);
    assert_eq!(found(&node, &effects, liar), EvidenceKind::DoubleSeal);
}

#[test]
fn evidence_of_others_is_kept_durably_and_not_said_again_x_4() {
    let mut node = node(false);
    let liar = node.others()[0];
    let before = node.disk.0.len();
    let effects = gossip(&mut node, double_prevote(liar));
    assert!(evidence_of(&effects).is_empty(), "the shell forwards it");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Event(Event::Evidence(_)))));
    assert_eq!(node.disk.0.len(), before + 1);
    assert!(gossip(&mut node, double_prevote(liar)).is_empty(), "nothing new");
    assert_eq!((node.disk.0.len(), held(&node).len()), (before + 1, 1));
}

#[test]
fn evidence_that_proves_nothing_is_blamed_on_its_sender_x_4() {
    let mut node = node(false);
    let mut evidence = double_prevote(node.others()[0]);
    let Evidence::BlockVotes(votes) = &mut evidence else { panic!("two prevotes") };
    votes.sides[1] = votes.sides[0];
    let effects = gossip(&mut node, evidence);
    assert!(matches!(effects[..], [Effect::Penalty(PeerTag(9), Offence::InvalidVote)]), "{effects:?}");
    assert!(held(&node).is_empty());
}

#[test]
fn evidence_against_strangers_is_not_kept_x_4() {
    let mut node = node(false);
    let stranger = SecretKey::from_seed(&[0xee; 32]);
    let hash = genesis().hash();
    let vote = |block| {
        let phase = BlockPhase::Prevote;
        timecoin_protocol::block::BlockVote::sign(Epoch(0), Height(1), Round(0), phase, block, &stranger, &hash)
    };
    let evidence = TwoBlockVotes::of(&vote(None), &vote(Some(BlockHash([1; 32])))).unwrap();
    assert!(gossip(&mut node, Evidence::BlockVotes(evidence)).is_empty());
    assert!(held(&node).is_empty());
}

#[test]
fn evidence_survives_restarts_and_compaction_until_it_is_in_a_block_x_4() {
    let mut node = node(true);
    node.grow_to(CLOSING - 1);
    let liar = node.others()[0];
    gossip(&mut node, double_prevote(liar));
    for compacted in [false, true] {
        if compacted {
            node.compact();
        }
        let effects = node.restart();
        assert_eq!(held(&node), [Arc::new(double_prevote(liar))], "compacted: {compacted}");
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Event(Event::Evidence(_)))), "readers hear of it");
    }
    close(&mut node);
    assert!(held(&node).is_empty());
    node.restart();
    assert!(held(&node).is_empty());
    assert_eq!(node.engine.validators().index_of(&keys()[liar].public()), None);
}

#[test]
fn a_peer_gets_the_evidence_that_it_lacks_x_5() {
    let mut node = node(false);
    let others = node.others();
    gossip(&mut node, double_prevote(others[0]));
    gossip(&mut node, double_prevote(others[1]));
    assert_eq!(node.status(0).evidence.len(), 2);
    let tip = node.engine.chain_state().height;
    let evidence = [others[0]].into_iter().collect();
    let request = StatusRequest { tip, round: Round(0), seals: Bitmap::default(), evidence, voter: None };
    let Some(Reply::Status(status)) = node.ask(Ask::Status(request)).0 else { panic!("no status") };
    assert_eq!(status.evidence, [double_prevote(others[1])]);

    let mut other = self::node(false);
    let asked = other.pass_ms(1_000);
    let (id, _) = requests(&asked).remove(0);
    let answer = Response::Status(Verified::by_own_hand(status));
    let effects = other.turn(vec![Input::Answered(id, PeerTag(9), answer)]);
    assert_eq!(held(&other).len(), 1, "{effects:?}");
    assert!(evidence_of(&effects).is_empty(), "others ask for themselves");
}

/// From the votes to the set without the offender.
#[test]
fn a_validator_that_prepares_both_sides_loses_its_vote_from_the_next_epoch_x_7() {
    let mut node = node(true);
    let (left, right) = (payment(0, "left"), payment(0, "right"));
    node.grow_to(CLOSING - 2);
    node.gossip(&[left.clone(), right.clone()]);
    let liar = node.others()[0];
    let mut effects = node.votes(Phase::Prepare, &[left.txid(), right.txid()], &[liar]);
    found(&node, &effects, liar);
    node.grow_to(CLOSING - 1);
    effects = node.seals(&[], &node.others());
    effects.extend(node.decide(&[], &[]));
    let proposals = proposals_of(&effects);
    let closing = &proposals.iter().find(|own| own.block.closing.closes()).unwrap().block.closing;
    assert_eq!(closing.evidence.iter().map(Evidence::kind).collect::<Vec<_>>(), [EvidenceKind::DoublePrepare]);
    let state = node.engine.chain_state();
    assert_eq!((state.epoch, state.validators.len(), state.next_validators.len()), (Epoch(1), 3, 3));
    assert_eq!(state.validators.index_of(&keys()[liar].public()), None);
    assert!(gossip(&mut node, double_prevote(liar)).is_empty(), "it has no vote to lose");
}

#[test]
fn a_closing_block_with_evidence_is_prevoted_and_one_that_lies_is_not_x_6() {
    let honest = double_prevote(3);
    let forge = |side: usize| {
        let mut forged = double_prevote(3);
        let Evidence::BlockVotes(votes) = &mut forged else { panic!("two prevotes") };
        votes.sides[side].signature.0[0] ^= 1;
        forged
    };
    for (evidence, good) in [(honest, true), (forge(0), false), (forge(1), false)] {
        let mut node = node(false);
        node.grow_to(CLOSING - 1);
        let others = node.others();
        node.seals(&[], &others);
        let seals: Vec<_> = others.iter().map(|who| seal(&node, *who)).collect();
        node.evidence = vec![evidence];
        let proposal = node.closing_proposal(0, &[], node.last_commit.clone(), &seals);
        assert_eq!(proposal.block.closing.evidence.len(), 1);
        let votes = block_votes_of(&node.propose(proposal));
        assert_eq!(votes.len(), 1);
        assert_eq!(votes[0].block.is_some(), good, "a forged block is valid for nobody");
    }
}

/// Whose turn it is after the closing block depends on who loses its vote with it. Whoever is a block behind must not
/// blame a peer for the proposal of the right one.
#[test]
fn a_proposal_for_the_next_epoch_is_blamed_on_nobody_x_7() {
    let mut node = node(false);
    node.grow_to(CLOSING - 1);
    let epoch = node.engine.chain_state().epoch.next();
    for who in 0..4 {
        let mut block = node.proposal(0, &[], node.last_commit.clone()).block;
        block.header.height = Height(CLOSING + 1);
        block.header.epoch = epoch;
        let proposal = Proposal::sign(Round(0), None, block, &keys()[who], &genesis().hash());
        let effects = node.propose(proposal);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Penalty(..))), "{effects:?}");
    }
}

/// Whether two things that a validator said are evidence against it.
fn contradict(one: &Effect, other: &Effect, sides: &[Transaction; 2]) -> bool {
    match (one, other) {
        (Effect::PublishVote(Vote::Block(one)), Effect::PublishVote(Vote::Block(other))) => {
            TwoBlockVotes::of(one, other).is_some()
        }
        (Effect::PublishVote(Vote::Seal(one)), Effect::PublishVote(Vote::Seal(other))) => {
            TwoSeals::of(one, other).is_some()
        }
        (Effect::PublishVote(Vote::Finality(one)), Effect::PublishVote(Vote::Finality(other))) => {
            let [left, right] = sides.each_ref().map(|side| &side.body);
            TwoPayments::of((one, left), (other, right)).is_some()
        }
        (Effect::PublishProposal(one), Effect::PublishProposal(other)) => TwoProposals::of(one, other).is_some(),
        _ => false,
    }
}

/// What this node signs itself, through restarts, a double spend, lost rounds, and the end of an epoch, is never evidence.
#[test]
fn nothing_that_an_honest_validator_signs_is_evidence_x_2() {
    let mut node = node(true);
    let sides = ["left", "right"].map(|memo| payment(0, memo));
    let mut said = node.gossip(&sides[..1]);
    let answers = node.answer(&said, |_| Opinion::Preferred);
    said.extend(answers);
    for _ in 0..4 {
        let effects = node.pass_ms(25);
        said.extend(node.answer(&effects, |_| Opinion::Preferred));
        said.extend(effects);
    }
    assert_eq!(voted(&said, Phase::Prepare), [sides[0].txid()]);
    said.extend(node.gossip(&sides[1..]));
    // The others prepared the other side: it commits what it did not prepare.
    said.extend(node.votes(Phase::Prepare, &[sides[1].txid()], &node.others()));
    said.extend(node.pass_ms(100));
    assert_eq!(voted(&said, Phase::Commit), [sides[1].txid()]);
    said.extend(node.restart());
    for round in 0..3 {
        said.extend(node.pass_ms(2_600));
        said.extend(node.restart());
        said.extend(node.block_votes(round, BlockPhase::Prevote, None, &node.others()));
        said.extend(node.restart());
        said.extend(node.block_votes(round, BlockPhase::Precommit, None, &node.others()));
        said.extend(node.pass_ms(2_000));
    }
    assert!(block_votes_of(&said).iter().any(|vote| vote.round > Round(1)));
    said.extend(node.decide(&[], &[]));
    said.extend(node.restart());
    said.extend(node.grow_to(CLOSING - 1));
    node.compact();
    said.extend(node.restart());
    said.extend(node.seals(&[], &node.others()));
    said.extend(node.restart());
    assert!(!seals_of(&said).is_empty() && !proposals_of(&said).is_empty());
    for (at, one) in said.iter().enumerate() {
        for other in &said[at..] {
            assert!(!contradict(one, other, &sides) && !contradict(other, one, &sides), "{one:?} and {other:?}");
        }
    }
}

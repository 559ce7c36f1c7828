//! The end of an epoch as one validator of four lives it. Rules: E-2…E-9, F-7.

use crate::support::{
    EPOCH_BLOCKS, Node, block_votes_of, child, commit, genesis, keys, payment, proposals_of, requests, seals_of, turn,
    voted,
};
use std::sync::Arc;
use timecoin_protocol::block::BlockPhase;
use timecoin_protocol::engine::{Ask, Effect, Event, Input, PeerTag, Record, Reply, Request, Status};
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::Verified;
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::{Opinion, Vote};

/// Height of the block after which the first epoch is sealed, and of the first that can close it.
const SEALED: u64 = 5;
const CLOSING: u64 = SEALED + 1;

/// A validator whose turn it is at the closing height, or one whose turn it is neither there nor at
/// the two heights below.
fn node(proposes: bool) -> Node {
    EPOCH_BLOCKS.set(CLOSING);
    let fits = |me: &usize| {
        if proposes { turn(CLOSING) == *me } else { (SEALED - 1..=CLOSING).all(|height| turn(height) != *me) }
    };
    Node::new((0..4).find(fits).unwrap())
}

/// One of the others' seals with `txids`.
fn seal(node: &Node, txids: &[Txid], who: usize) -> Arc<Seal> {
    let epoch = node.engine.chain_state().epoch;
    Arc::new(Seal::sign(epoch, txids.to_vec(), &keys()[who], &genesis().hash()))
}

/// The others seal with `transactions`, and the closing block has them.
fn close(node: &mut Node, transactions: &[Transaction]) -> Vec<Effect> {
    let (others, txids) = (node.others(), transactions.iter().map(Transaction::txid).collect::<Vec<_>>());
    let seals: Vec<_> = others.iter().map(|who| seal(node, &txids, *who)).collect();
    let mut effects = node.seals(&txids, &others);
    effects.extend(node.decide(transactions, &seals));
    effects
}

fn statuses(effects: &[Effect]) -> Vec<(Txid, Status)> {
    let status = |effect: &Effect| match effect {
        Effect::Event(Event::Status { txid, status, .. }) => Some((*txid, status.clone())),
        _ => None,
    };
    effects.iter().filter_map(status).collect()
}

#[test]
fn a_validator_seals_when_its_time_has_come_and_votes_no_more_e_3_e_4() {
    let mut node = node(false);
    assert!(seals_of(&node.grow_to(SEALED - 1)).is_empty());
    let seals = seals_of(&node.decide(&[], &[]));
    assert_eq!(seals.len(), 1);
    assert_eq!((seals[0].epoch, seals[0].txids.len()), (Epoch(0), 0));
    assert!(node.disk.0.iter().any(|record| matches!(record, Record::Sealed(own) if **own == seals[0])));

    let payment = payment(0, "late");
    let mut effects = node.gossip(std::slice::from_ref(&payment));
    assert!(!requests(&effects).iter().any(|(_, request)| matches!(request, Request::Query(_))), "nor does it poll");
    effects.extend(node.votes(Phase::Prepare, &[payment.txid()], &node.others()));
    effects.extend(node.pass_ms(100));
    assert!(voted(&effects, Phase::Prepare).is_empty() && voted(&effects, Phase::Commit).is_empty());
}

#[test]
fn a_seal_lists_what_was_voted_commit_for_and_is_in_no_block_e_4() {
    let mut node = node(false);
    node.grow_to(SEALED - 1);
    let (early, late) = (payment(0, ""), payment(1, ""));
    node.gossip(&[early.clone(), late.clone()]);
    let effects = node.votes(Phase::Prepare, &[early.txid(), late.txid()], &node.others());
    assert_eq!(voted(&effects, Phase::Commit).len(), 2);
    let seals = seals_of(&node.decide(std::slice::from_ref(&early), &[]));
    assert_eq!(seals[0].txids, [late.txid()]);
}

/// A batch of votes is kept as long as one of its transactions is in no block. A validator that started again took all
/// of them for its own open ones, and its seal listed what an old block had: nobody could use it.
#[test]
fn after_a_restart_a_seal_lists_nothing_that_is_in_a_block_e_4() {
    let mut node = node(false);
    node.grow_to(SEALED - 2);
    let (early, late) = (payment(0, ""), payment(1, ""));
    node.gossip(&[early.clone(), late.clone()]);
    let effects = node.votes(Phase::Prepare, &[early.txid(), late.txid()], &node.others());
    assert_eq!(voted(&effects, Phase::Commit).len(), 2);
    node.decide(std::slice::from_ref(&early), &[]);
    node.compact();
    node.restart();
    let seals = seals_of(&node.decide(&[], &[]));
    assert_eq!(seals[0].txids, [late.txid()]);
}

#[test]
fn a_validator_that_starts_again_after_its_seal_votes_no_more_e_4() {
    let mut node = node(false);
    node.grow_to(SEALED - 1);
    let early = payment(0, "");
    node.gossip(std::slice::from_ref(&early));
    node.votes(Phase::Prepare, &[early.txid()], &node.others());
    let before = seals_of(&node.decide(&[], &[]));
    for compacted in [false, true] {
        if compacted {
            node.compact();
        }
        let mut effects = node.restart();
        assert_eq!(seals_of(&effects), before, "it says the same again");
        let late = payment(1 + usize::from(compacted), "late");
        effects.extend(node.gossip(std::slice::from_ref(&late)));
        effects.extend(node.votes(Phase::Prepare, &[late.txid()], &node.others()));
        effects.extend(node.pass_ms(100));
        assert!(voted(&effects, Phase::Commit).is_empty());
    }
    let still = close(&mut node, &[early]);
    assert_eq!(node.engine.chain_state().epoch, Epoch(1), "{still:?}");
}

#[test]
fn the_closing_block_does_not_wait_and_has_what_the_seals_list_e_5() {
    let mut node = node(true);
    node.grow_to(SEALED - 1);
    let last = payment(0, "");
    node.gossip(std::slice::from_ref(&last));
    node.decide(&[], &[]);
    // A quorum commits it elsewhere: this node hears of the certificates only now.
    node.votes(Phase::Prepare, &[last.txid()], &node.others());
    let others = node.others();
    assert!(proposals_of(&node.seals(&[last.txid()], &others[..1])).is_empty(), "no quorum yet");
    let proposals = proposals_of(&node.seals(&[last.txid()], &others[1..]));
    assert_eq!(proposals.len(), 1, "at once");
    assert!(proposals[0].block.closing.closes());
    assert!(proposals[0].block.txids.contains(&last.txid()));
    let effects = node.decide(&[], &[]);
    assert!(statuses(&effects).contains(&(last.txid(), Status::Committed(Height(CLOSING)))));
    let state = node.engine.chain_state();
    assert_eq!((state.epoch, state.epoch_start), (Epoch(1), Height(CLOSING + 1)));
}

#[test]
fn a_seal_that_lists_what_nobody_has_is_left_out_e_5() {
    let mut node = node(true);
    node.grow_to(SEALED);
    let others = node.others();
    node.seals(&[Txid([9; 32])], &others[..1]);
    let proposals = proposals_of(&node.seals(&[], &others[1..]));
    let liar = u16::try_from(others[0]).unwrap();
    assert_eq!(proposals[0].block.closing.seals.len(), 3, "its own and two of the others");
    assert!(proposals[0].block.closing.seals.iter().all(|seal| seal.validator != liar));
}

#[test]
fn what_a_seal_lists_is_asked_of_whoever_listed_it_e_5() {
    let mut node = node(true);
    node.grow_to(SEALED);
    let (lacking, others) = (payment(0, "").txid(), node.others());
    let mut effects = node.seals(&[lacking], &others);
    effects.extend(node.pass_ms(500));
    assert!(proposals_of(&effects).iter().all(|own| !own.block.closing.closes()));
    let asked = requests(&effects).into_iter().any(|(_, request)| match request {
        Request::Certificates(request) => request.txids == [lacking],
        _ => false,
    });
    assert!(asked, "{effects:?}");
}

#[test]
fn a_closing_block_is_not_prevoted_before_its_seals_are_here_e_5() {
    let mut node = node(false);
    node.grow_to(SEALED);
    let others = node.others();
    let seals: Vec<_> = others.iter().map(|who| seal(&node, &[], *who)).collect();
    let proposal = node.closing_proposal(0, &[], node.last_commit.clone(), &seals);
    let effects = node.propose(proposal);
    assert!(block_votes_of(&effects).is_empty());
    assert!(requests(&effects).iter().any(|(_, request)| matches!(request, Request::Status(_))), "it asks for them");
    let votes = block_votes_of(&node.seals(&[], &others));
    assert_eq!(votes.len(), 1, "and it does not wait for the block interval");
    assert!(votes[0].block.is_some());
}

/// Two of four validators were locked on a closing block that named the seal of a faulty one. All restarted; it did not say its
/// seal again, so nobody could judge the block any more, and the chain stood still. The simulation found it.
#[test]
fn a_block_that_was_voted_for_is_decided_after_a_restart_although_nobody_says_its_seals_again_r_9() {
    for compacted in [false, true] {
        let mut node = node(false);
        node.grow_to(SEALED);
        let others = node.others();
        let seals: Vec<_> = others.iter().map(|who| seal(&node, &[], *who)).collect();
        node.seals(&[], &others);
        let proposal = node.closing_proposal(0, &[], node.last_commit.clone(), &seals);
        let hash = proposal.block.header.hash();
        assert_eq!(block_votes_of(&node.propose(proposal))[0].block, Some(hash));
        let durable = |node: &Node| node.disk.0.iter().filter(|record| matches!(record, Record::Sealed(_))).count();
        assert_eq!(durable(&node), 1 + others.len());
        if compacted {
            node.compact();
        }
        node.restart();
        assert_eq!((durable(&node), node.status(0).seals.len()), (1 + others.len(), 1 + others.len()));
        node.block_votes(0, BlockPhase::Prevote, Some(hash), &others);
        node.block_votes(0, BlockPhase::Precommit, Some(hash), &others);
        assert_eq!(node.engine.chain_state().hash, hash);
    }
}

/// The seals were durable for the epoch, and a compaction kept only those that blocks of the height in progress name: whoever voted
/// for a closing block at one height, compacted, and voted for one at the next height had lost them when it started again.
#[test]
fn seals_stay_durable_when_another_block_is_decided_and_the_log_is_compacted_r_9() {
    EPOCH_BLOCKS.set(CLOSING);
    let mut node = Node::new((0..4).find(|me| (CLOSING..=CLOSING + 1).all(|height| turn(height) != *me)).unwrap());
    node.grow_to(SEALED);
    let others = node.others();
    let seals: Vec<_> = others.iter().map(|who| seal(&node, &[], *who)).collect();
    node.seals(&[], &others);
    let closing = node.closing_proposal(0, &[], node.last_commit.clone(), &seals);
    assert_eq!(block_votes_of(&node.propose(closing.clone()))[0].block, Some(closing.block.header.hash()));
    // That round fails, and a block without seals is decided (E-5).
    let round = (1..).find(|round| node.proposer(*round) != node.me).unwrap();
    let ordinary = node.proposal(round, &[], node.last_commit.clone());
    let hash = ordinary.block.header.hash();
    node.propose(ordinary);
    node.block_votes(round, BlockPhase::Precommit, Some(hash), &others);
    assert_eq!((node.engine.chain_state().hash, node.engine.chain_state().epoch), (hash, Epoch(0)));
    node.last_commit = Some(commit(Height(CLOSING), round, hash, &others));
    node.compact();
    let closing = node.closing_proposal(0, &[], node.last_commit.clone(), &seals);
    let hash = closing.block.header.hash();
    assert_eq!(block_votes_of(&node.propose(closing))[0].block, Some(hash));
    node.restart();
    assert_eq!(node.status(0).seals.len(), 1 + others.len());
    node.block_votes(0, BlockPhase::Precommit, Some(hash), &others);
    assert_eq!((node.engine.chain_state().hash, node.engine.chain_state().epoch), (hash, Epoch(1)));
}

#[test]
fn a_peer_gets_the_seals_that_it_lacks_n_6() {
    let mut node = node(false);
    node.grow_to(SEALED);
    node.seals(&[], &node.others()[..1]);
    assert_eq!(node.status(0).seals.len(), 2);
    let own = node.me;
    let tip = node.engine.chain_state().height;
    let request = timecoin_protocol::wire::StatusRequest {
        tip,
        round: Round(0),
        seals: [own].into_iter().collect(),
        evidence: timecoin_protocol::bitmap::Bitmap::default(),
        voter: None,
    };
    let Some(Reply::Status(status)) = node.ask(Ask::Status(request)).0 else { panic!("no status") };
    assert_eq!(status.seals.iter().map(|seal| seal.voter).collect::<Vec<_>>(), [keys()[node.others()[0]].public()]);
}

#[test]
fn at_sealing_heights_every_transaction_needs_a_certificate_b_11() {
    let mut node = node(false);
    node.grow_to(SEALED);
    let uncertified = payment(0, "");
    node.gossip(std::slice::from_ref(&uncertified));
    node.pass_ms(1_100);
    let proposal = node.proposal(0, std::slice::from_ref(&uncertified), node.last_commit.clone());
    assert!(block_votes_of(&node.propose(proposal)).is_empty());
    let votes = block_votes_of(&node.votes(Phase::Prepare, &[uncertified.txid()], &node.others()));
    assert!(votes.len() == 1 && votes[0].block.is_some());
}

#[test]
fn what_no_block_took_is_undecided_again_and_polled_anew_e_7() {
    let mut node = node(false);
    node.grow_to(SEALED);
    let (parent, other) = (payment(0, ""), payment(1, ""));
    let spend = child(0, &parent);
    node.gossip(&[parent.clone(), other, spend]);
    node.votes(Phase::Prepare, &[parent.txid()], &node.others());
    let mut effects = close(&mut node, &[]);
    assert!(statuses(&effects).contains(&(parent.txid(), Status::Pending)), "{:?}", statuses(&effects));
    effects.extend(node.pass_ms(10));
    let polled: Vec<_> = requests(&effects)
        .into_iter()
        .filter_map(|(_, request)| match request {
            Request::Query(query) => Some((query.epoch, query.txids.len())),
            _ => None,
        })
        .collect();
    assert!(!polled.is_empty() && polled.iter().all(|poll| *poll == (Epoch(1), 2)), "not the child: {polled:?}");
}

#[test]
fn a_double_spend_on_which_locks_are_split_thaws_e_9() {
    let mut node = node(false);
    let (left, right) = (payment(0, "left"), payment(0, "right"));
    node.grow_to(SEALED - 1);
    node.gossip(&[left.clone(), right.clone()]);
    node.pass_ms(1_100);
    // A block in vain: its prevote locks the coin to the left side. The others decide another one.
    let vain = node.proposal(0, std::slice::from_ref(&left), node.last_commit.clone());
    assert_eq!(block_votes_of(&node.propose(vain)).len(), 1);
    let (empty, others) = (node.proposal(1, &[], node.last_commit.clone()), node.others());
    let hash = empty.block.header.hash();
    node.propose(empty);
    node.block_votes(1, BlockPhase::Precommit, Some(hash), &others);
    node.last_commit = Some(commit(Height(SEALED), 1, hash, &others));
    let locked = |node: &Node| node.engine.live_records().iter().any(|record| matches!(record, Record::Locked { .. }));
    assert!(locked(&node));
    assert_eq!(node.opinion(right.txid()), Opinion::Other(left.txid()));

    let mut effects = close(&mut node, &[]);
    assert!(!locked(&node));
    let everybody = |txid: &Txid| match *txid == right.txid() {
        true => Opinion::Preferred,
        false => Opinion::Other(right.txid()),
    };
    let poll = |node: &mut Node, mut effects: Vec<Effect>, times: usize| {
        let mut prepared = Vec::new();
        for _ in 0..times {
            effects.extend(node.pass_ms(30));
            effects = node.answer(&effects, everybody);
            prepared.extend(voted(&effects, Phase::Prepare));
        }
        prepared
    };
    // A block goes first: whatever polls say now, nothing is locked before it.
    assert_eq!(poll(&mut node, effects, 8), []);
    effects = node.pass_ms(1_000);
    let others = node.others();
    effects.extend(node.block_votes(0, BlockPhase::Prevote, None, &others));
    effects.extend(node.block_votes(0, BlockPhase::Precommit, None, &others));
    // Past it, sampling settles what is still open.
    effects.extend(node.pass_ms(4_000));
    assert!(node.engine.gauges().round > 0);
    assert_eq!(poll(&mut node, effects, 40), [right.txid()]);
}

/// A validator whose turn it is at the first height of the second epoch.
fn first_proposer() -> Node {
    EPOCH_BLOCKS.set(CLOSING);
    let turn = |node: &Node| node.engine.validators().proposer(Height(CLOSING + 1), Round(0)).unwrap().key;
    let key = turn(&Node::new(0));
    Node::new(keys().iter().position(|own| own.public() == key).unwrap())
}

/// What this node proposes at the first height of the second epoch.
fn first_proposal(node: &mut Node, mut effects: Vec<Effect>) -> Vec<Txid> {
    assert_eq!(node.engine.chain_state().epoch, Epoch(1));
    effects.extend(node.pass_ms(1_100));
    let proposals = proposals_of(&effects);
    let own = proposals.iter().find(|own| own.block.header.height == Height(CLOSING + 1)).unwrap();
    own.block.txids.clone()
}

/// Once a double spend stayed undecided for as long as a network with epochs of two blocks ran. Only the first height of
/// such an epoch may have what has no certificate, and it began before the 1.5 s had passed after which blocks take
/// over: that time began anew with each epoch.
#[test]
fn the_first_block_of_an_epoch_offers_what_the_last_one_left_open_e_9() {
    let mut node = first_proposer();
    let (left, right) = (payment(0, "left"), payment(0, "right"));
    node.grow_to(SEALED);
    node.gossip(&[left.clone(), right]);
    let effects = close(&mut node, &[]);
    assert_eq!(first_proposal(&mut node, effects), [left.txid()]);
}

/// Likewise for what nobody answers about.
#[test]
fn what_waits_for_a_block_waits_on_when_an_epoch_ends_b_11() {
    let mut node = first_proposer();
    let silent = payment(0, "");
    node.grow_to(SEALED);
    node.gossip(std::slice::from_ref(&silent));
    node.pass_ms(600);
    let effects = close(&mut node, &[]);
    assert_eq!(first_proposal(&mut node, effects), [silent.txid()]);
}

#[test]
fn votes_of_the_next_epoch_are_kept_until_it_begins_e_7() {
    let mut node = node(false);
    node.grow_to(SEALED);
    let payment = payment(0, "");
    node.gossip(std::slice::from_ref(&payment));
    for who in node.others() {
        let batch = VoteBatch::sign(Epoch(1), Phase::Prepare, vec![payment.txid()], &keys()[who], &genesis().hash());
        let vote = Verified::by_own_hand(Vote::Finality(std::sync::Arc::new(batch)));
        assert!(statuses(&node.turn(vec![Input::Votes(PeerTag(9), vec![vote])])).is_empty());
    }
    let mut effects = close(&mut node, &[]);
    effects.extend(node.pass_ms(50));
    assert!(statuses(&effects).contains(&(payment.txid(), Status::Prepared)));
    assert_eq!(voted(&effects, Phase::Commit), [payment.txid()]);
}

#[test]
fn votes_of_an_epoch_that_ended_count_nothing_e_2() {
    let mut node = node(false);
    node.grow_to(SEALED);
    close(&mut node, &[]);
    let payment = payment(0, "");
    node.gossip(std::slice::from_ref(&payment));
    for who in node.others() {
        let batch = VoteBatch::sign(Epoch(0), Phase::Commit, vec![payment.txid()], &keys()[who], &genesis().hash());
        let vote = Verified::by_own_hand(Vote::Finality(std::sync::Arc::new(batch)));
        assert!(statuses(&node.turn(vec![Input::Votes(PeerTag(9), vec![vote])])).is_empty());
    }
}

#[test]
fn late_precommits_for_the_closing_block_count_and_its_commit_is_judged_by_the_old_set_b_14() {
    for me in 0..4 {
        EPOCH_BLOCKS.set(CLOSING);
        let mut node = Node::new(me);
        node.grow_to(SEALED);
        // The precommits come in one turn: the last of them after a quorum had decided.
        close(&mut node, &[]);
        if node.proposer(0) != me {
            node.decide(&[], &[]);
            assert_eq!(node.engine.chain_state().height, Height(CLOSING + 1));
            continue;
        }
        let proposals = proposals_of(&node.pass_ms(1_100));
        let commit = proposals[0].block.parent_commit.clone().unwrap();
        assert_eq!((commit.height, commit.signatures.len()), (Height(CLOSING), 4));
    }
}

#[test]
fn whoever_voted_commit_never_does_so_for_a_conflict_f_7() {
    let mut node = node(false);
    let (left, right) = (payment(0, "left"), payment(0, "right"));
    node.gossip(&[left.clone(), right.clone()]);
    let others = node.others();
    let effects = node.votes(Phase::Prepare, &[left.txid()], &others);
    assert_eq!(voted(&effects, Phase::Commit), [left.txid()]);
    // Cannot be with less than a third of the weight faulty; and yet nothing is signed that would be evidence.
    let mut effects = node.votes(Phase::Prepare, &[right.txid()], &others);
    effects.extend(node.pass_ms(100));
    assert!(voted(&effects, Phase::Commit).is_empty());
    node.restart();
    let mut effects = node.votes(Phase::Prepare, &[right.txid()], &others);
    effects.extend(node.pass_ms(1_000));
    assert!(!voted(&effects, Phase::Commit).contains(&right.txid()));
}

#[test]
fn a_final_payment_that_no_block_took_is_reported_e_8() {
    let mut node = node(false);
    node.grow_to(SEALED);
    let payment = payment(0, "");
    node.gossip(std::slice::from_ref(&payment));
    node.votes(Phase::Commit, &[payment.txid()], &node.others());
    // All others lie in their seals: they do not list what they voted Commit for.
    let effects = close(&mut node, &[]);
    let lost = |effect: &Effect| matches!(effect, Effect::Event(Event::FinalityLost { epoch: Epoch(0), .. }));
    assert!(effects.iter().any(lost));
}

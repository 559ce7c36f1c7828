//! A validator signs only what its history lets it (`SPEC.md` D-15…D-18).

use crate::support::{
    Disk, EPOCH_BLOCKS, Node, block_vote_in, block_votes_of, commit_in, evidence_of, genesis, keys, payment,
    proposals_of, requests, seals_of, voted,
};
use std::sync::Arc;
use timecoin_protocol::block::{BlockPhase, BlockVote, CommittedBlock};
use timecoin_protocol::engine::{
    Ask, Cause, Destination, Effect, Event, Input, Past, PeerTag, Record, Reply, Request, RequestId, Response, Silence,
    Voice,
};
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::Verified;
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::{Opinion, StatusRequest, StatusResponse, Vote};

const ME: usize = 0;

/// What was asked for of votes.
fn certificates_asked(effects: &[Effect]) -> Vec<Txid> {
    let asked = requests(effects).into_iter().filter_map(|(_, request)| match request {
        Request::Certificates(request) => Some(request.txids),
        _ => None,
    });
    asked.flatten().collect()
}

/// Only who voted asked for votes that got lost; a node that follows saw finality with the block only.
#[test]
fn who_does_not_vote_asks_for_votes_that_got_lost_too_f_6() {
    for body_first in [true, false] {
        let mut node = Node::new(ME);
        node.disk = Disk::default();
        node.restart_with(missing());
        let payment = payment(0, "");
        let mut effects = Vec::new();
        for is_body in [body_first, !body_first] {
            effects.extend(if is_body {
                node.gossip(std::slice::from_ref(&payment))
            } else {
                node.votes(Phase::Prepare, &[payment.txid()], &node.others()[..1])
            });
        }
        assert_eq!(signed(&effects), 0);
        assert_eq!(certificates_asked(&node.pass_ms(1_999)), []);
        assert_eq!(certificates_asked(&node.pass_ms(1)), [payment.txid()]);
    }
}

fn short_epochs() {
    EPOCH_BLOCKS.set(3);
}

fn missing() -> Past {
    Past { doubt: Some(Cause::Missing), ..Past::default() }
}

fn listens() -> Past {
    Past { listens: true, ..Past::default() }
}

/// Whatever a validator signs.
fn signed(effects: &[Effect]) -> usize {
    let votes = effects.iter().filter(|effect| matches!(effect, Effect::PublishVote(_))).count();
    votes + proposals_of(effects).len()
}

/// The height in progress is decided by the others alone, in the first round whose proposer is one of them.
fn decide_by_others(node: &mut Node, seals: &[Arc<Seal>]) -> Vec<Effect> {
    let mut effects = node.pass_ms(1_100);
    let (epoch, height) = (node.engine.chain_state().epoch, node.engine.chain_state().height.next());
    let round = (0..).find(|round| node.proposer(*round) != node.me).unwrap();
    let proposal = node.closing_proposal(round, &[], node.last_commit.clone(), seals);
    let (hash, others) = (proposal.block.header.hash(), node.others());
    effects.extend(node.propose(proposal));
    effects.extend(node.block_votes(round, BlockPhase::Prevote, Some(hash), &others));
    effects.extend(node.block_votes(round, BlockPhase::Precommit, Some(hash), &others));
    assert_eq!(node.engine.chain_state().hash, hash, "height {height} is decided");
    node.last_commit = Some(commit_in(epoch, height, round, hash, &others));
    effects
}

/// The rest of the epoch, decided by the others.
fn end_epoch_by_others(node: &mut Node) -> Vec<Effect> {
    let epoch = node.engine.chain_state().epoch;
    let others = node.others();
    let seals: Vec<Arc<Seal>> = others
        .iter()
        .map(|index| Arc::new(Seal::sign(epoch, Vec::new(), &keys()[*index], &genesis().hash())))
        .collect();
    let mut effects = Vec::new();
    while node.engine.chain_state().height.0 % 3 != 2 {
        effects.extend(decide_by_others(node, &[]));
    }
    effects.extend(node.seals(&[], &others));
    effects.extend(decide_by_others(node, &seals));
    assert_eq!(node.engine.chain_state().epoch, epoch.next());
    effects
}

/// Prepares a payment: polls are answered, and votes flushed.
fn prepare(node: &mut Node, transaction: &timecoin_protocol::transaction::Transaction) -> Vec<Effect> {
    let mut effects = node.gossip(std::slice::from_ref(transaction));
    let mut said = Vec::new();
    for _ in 0..4 {
        effects = node.answer(&effects, |_| Opinion::Preferred);
        effects.extend(node.pass_ms(25));
        said.extend(effects.clone());
    }
    said
}

fn silence(node: &Node) -> Silence {
    match node.engine.voice() {
        Voice::Silent(silence) => silence,
        voice => panic!("{voice:?}"),
    }
}

/// What this key signed in another life.
fn own_batch(epoch: Epoch, txid: Txid) -> Arc<VoteBatch> {
    Arc::new(VoteBatch::sign(epoch, Phase::Prepare, vec![txid], &keys()[ME], &genesis().hash()))
}

fn hear(node: &mut Node, vote: Vote) -> Vec<Effect> {
    node.turn(vec![Input::Votes(PeerTag(9), vec![Verified::by_own_hand(vote)])])
}

#[test]
fn a_key_without_history_signs_nothing_until_an_epoch_that_had_not_begun_when_it_started_d_15() {
    short_epochs();
    let mut node = Node::new(ME);
    let started_ms = node.now.millis();
    let mut said = node.restart_with(missing());
    assert_eq!(silence(&node), Silence { cause: Cause::Missing, after_epoch: Epoch(0), after_ms: started_ms + 10_000 });
    let told = said.iter().filter(|effect| matches!(effect, Effect::Event(Event::Voice(Voice::Silent(_))))).count();
    assert_eq!(told, 1, "operators are told, once");
    said.extend(prepare(&mut node, &payment(1, "")));
    said.extend(node.votes(Phase::Prepare, &[payment(1, "").txid()], &[1, 2, 3]));
    said.extend(end_epoch_by_others(&mut node));
    assert_eq!(silence(&node).after_epoch, Epoch(0), "the closing block is dated too early");
    node.pass_ms(12_000);
    said.extend(end_epoch_by_others(&mut node));
    assert_eq!(signed(&said), 0, "neither votes, nor proposals, nor seals");
    assert_eq!(node.engine.voice(), Voice::Speaks);
    let said = prepare(&mut node, &payment(2, ""));
    assert_eq!(voted(&said, Phase::Prepare), [payment(2, "").txid()]);
    assert!(!block_votes_of(&decide_by_others(&mut node, &[])).is_empty(), "it votes for blocks again");
}

#[test]
fn a_silence_and_its_end_outlive_a_restart_d_15() {
    short_epochs();
    let mut node = Node::new(ME);
    node.restart_with(missing());
    let before = silence(&node);
    node.pass_ms(5_000);
    node.restart();
    assert_eq!(silence(&node), before, "it is no longer for that");
    node.compact();
    node.restart();
    assert_eq!(silence(&node), before, "it is live");
    node.pass_ms(12_000);
    end_epoch_by_others(&mut node);
    node.restart();
    assert_eq!(node.engine.voice(), Voice::Speaks);
    node.compact();
    assert!(!node.disk.0.iter().any(|record| matches!(record, Record::Silence(_))), "what is over is not live");
}

#[test]
fn the_end_of_a_silence_is_durable_with_the_block_that_ends_it_d_15() {
    short_epochs();
    let mut node = Node::new(ME);
    node.restart_with(missing());
    node.pass_ms(12_000);
    end_epoch_by_others(&mut node);
    let block = node.disk.0.iter().rposition(|record| matches!(record, Record::Block(_))).unwrap();
    let end = node.disk.0.iter().rposition(|record| matches!(record, Record::Silence(None))).unwrap();
    assert!(block < end, "a restart from a checkpoint above the block learns of it");
}

#[test]
fn a_history_newer_than_the_blocks_is_silent_to_the_end_of_its_last_epoch_d_16() {
    short_epochs();
    let mut node = Node::new(ME);
    let mut said =
        node.restart_with(Past { doubt: Some(Cause::NewerThanBlocks), voted: Some(Epoch(1)), listens: true });
    assert_eq!(silence(&node), Silence { cause: Cause::NewerThanBlocks, after_epoch: Epoch(1), after_ms: 0 });
    // What it said before is no news: it is in the history that it has.
    said.extend(hear(&mut node, Vote::Finality(own_batch(Epoch(1), Txid([9; 32])))));
    assert_eq!(silence(&node).cause, Cause::NewerThanBlocks);
    said.extend(end_epoch_by_others(&mut node));
    assert_eq!(silence(&node).after_epoch, Epoch(1));
    said.extend(end_epoch_by_others(&mut node));
    said.extend(node.pass_ms(10));
    assert_eq!(signed(&said), 0);
    // The history may be an old one all the same: others are heard first (D-18).
    assert!(matches!(node.engine.voice(), Voice::Listens { .. }));
    let state = node.engine.chain_state();
    let status = StatusResponse { tip: state.height, epoch: state.epoch, ..empty_status() };
    for id in &questions(&said)[..2] {
        answer_question(&mut node, *id, status.clone());
    }
    assert_eq!(node.engine.voice(), Voice::Speaks);
}

/// An image of a machine that was silent then, put back when the silence was over and the key had signed again: the silence in
/// the image ends once more, with an epoch that began before the image was put back. It once signed there at once.
#[test]
fn a_silence_that_was_in_the_image_ends_with_listening_d_18() {
    short_epochs();
    let mut node = Node::new(ME);
    node.restart_with(missing());
    let mut said = node.restart_with(listens());
    assert_eq!(silence(&node).cause, Cause::Missing);
    while matches!(node.engine.voice(), Voice::Silent(_)) {
        said.extend(end_epoch_by_others(&mut node));
    }
    said.extend(node.pass_ms(3_000));
    assert!(matches!(node.engine.voice(), Voice::Listens { .. }));
    assert_eq!(signed(&said), 0);
}

#[test]
fn an_unknown_signature_of_the_own_key_silences_d_17() {
    short_epochs();
    let unknown_votes = |node: &Node| {
        let height = node.engine.chain_state().height.next();
        let vote = |height, round| block_vote_in(Epoch(0), height, round, BlockPhase::Prevote, None, ME);
        [
            Vote::Finality(own_batch(Epoch(0), Txid([9; 32]))),
            Vote::Finality(own_batch(Epoch(1), Txid([9; 32]))),
            Vote::Block(vote(height, 7)),
            Vote::Block(vote(height.next(), 0)),
            Vote::Seal(Seal::sign(Epoch(0), Vec::new(), &keys()[ME], &genesis().hash())),
        ]
    };
    for number in 0..5 {
        let mut node = Node::new(ME);
        let vote = unknown_votes(&node)[number].clone();
        let heard = hear(&mut node, vote.clone());
        let told = |effect: &Effect| matches!(effect, Effect::Event(Event::Voice(Voice::Silent(_))));
        assert!(heard.iter().any(told), "{vote:?}");
        assert_eq!(silence(&node).cause, Cause::OwnSignature, "{vote:?}");
        let mut said = prepare(&mut node, &payment(1, ""));
        said.extend(end_epoch_by_others(&mut node));
        assert_eq!(signed(&said), 0, "{vote:?}");
        node.restart();
        assert_eq!(silence(&node).cause, Cause::OwnSignature, "durably");
    }
}

#[test]
fn an_unknown_own_proposal_and_an_own_precommit_in_a_commit_silence_d_17() {
    short_epochs();
    let mut node = Node::new(ME);
    let round = (0..).find(|round| node.proposer(*round) == ME).unwrap();
    let proposal = node.proposal(round, &[], None);
    node.propose(proposal);
    assert_eq!(silence(&node).cause, Cause::OwnSignature);

    let mut other = Node::new(1);
    let mut node = Node::new(ME);
    let proposer = (0..).find(|round| other.proposer(*round) != 1).unwrap();
    other.pass_ms(1_100);
    let proposal = other.proposal(proposer, &[], None);
    let hash = proposal.block.header.hash();
    other.propose(proposal);
    other.block_votes(proposer, BlockPhase::Precommit, Some(hash), &[0, 2, 3]);
    let record = other.disk.0.iter().find_map(|record| match record {
        Record::Block(block) => Some(block.as_ref().clone()),
        _ => None,
    });
    let block: CommittedBlock = record.expect("the block is decided");
    node.now = other.now;
    let effects = node.turn(vec![Input::Wake]);
    let (status, _) =
        requests(&effects).into_iter().find(|(_, request)| matches!(request, Request::Status(_))).unwrap();
    let ahead = StatusResponse { tip: Height(1), hash, ..empty_status() };
    let asked = node.turn(vec![Input::Answered(status, PeerTag(9), Response::Status(Verified::by_own_hand(ahead)))]);
    let (id, _) = requests(&asked).into_iter().find(|(_, request)| matches!(request, Request::Blocks(_))).unwrap();
    node.turn(vec![Input::Answered(id, PeerTag(9), Response::Blocks(vec![Verified::by_own_hand(block)]))]);
    assert_eq!(node.engine.chain_state().height, Height(1), "the block counts all the same");
    assert_eq!(silence(&node).cause, Cause::OwnSignature);
}

/// A request for what is held of a validator's signatures.
fn asks_about(validator: usize, tip: Height) -> StatusRequest {
    StatusRequest {
        tip,
        round: Round(0),
        seals: Default::default(),
        evidence: Default::default(),
        voter: Some(keys()[validator].public()),
    }
}

fn empty_status() -> StatusResponse {
    StatusResponse {
        tip: Height(0),
        hash: BlockHash(genesis().hash().0),
        epoch: Epoch(0),
        proposals: Vec::new(),
        votes: Vec::new(),
        seals: Vec::new(),
        evidence: Vec::new(),
        batches: Vec::new(),
    }
}

#[test]
fn what_a_validator_said_itself_is_no_news_also_after_a_restart_and_when_it_has_lost_d_17() {
    short_epochs();
    let mut node = Node::new(ME);
    let (loser, winner) = (payment(1, "loses"), payment(1, "wins"));
    let mut said = prepare(&mut node, &loser);
    assert_eq!(voted(&said, Phase::Prepare), [loser.txid()]);
    node.gossip(std::slice::from_ref(&winner));
    node.votes(Phase::Prepare, &[winner.txid()], &[1, 2, 3]);
    node.votes(Phase::Commit, &[winner.txid()], &[1, 2, 3]);
    said.extend(node.pass_ms(900));
    said.extend(node.decide(&[winner], &[]));
    node.compact();
    node.restart();
    let own: Vec<Vote> = said
        .iter()
        .filter_map(|effect| match effect {
            Effect::PublishVote(vote) => Some(vote.clone()),
            _ => None,
        })
        .collect();
    assert!(own.len() > 2, "{own:?}");
    for vote in own {
        hear(&mut node, vote.clone());
        assert_eq!(node.engine.voice(), Voice::Speaks, "{vote:?}");
    }
}

/// Questions about own signatures among `effects`.
fn questions(effects: &[Effect]) -> Vec<RequestId> {
    let about = |request: &Request| matches!(request, Request::Status(status) if status.voter.is_some());
    requests(effects).into_iter().filter(|(_, request)| about(request)).map(|(id, _)| id).collect()
}

fn answer_question(node: &mut Node, id: RequestId, status: StatusResponse) -> Vec<Effect> {
    answer_as(node, PeerTag(9), id, status)
}

fn answer_as(node: &mut Node, peer: PeerTag, id: RequestId, status: StatusResponse) -> Vec<Effect> {
    node.turn(vec![Input::Answered(id, peer, Response::Status(Verified::by_own_hand(status)))])
}

/// Who is asked for blocks.
fn asked_for_blocks(effects: &[Effect]) -> Vec<(RequestId, PeerTag)> {
    let asked = effects.iter().filter_map(|effect| match effect {
        Effect::Request(id, Destination::Peer(peer), Request::Blocks(_)) => Some((*id, *peer)),
        _ => None,
    });
    asked.collect()
}

#[test]
fn a_start_signs_nothing_until_a_quorum_was_heard_d_18() {
    short_epochs();
    let mut node = Node::new(ME);
    let mut said = node.restart_with(listens());
    let asked = questions(&said);
    assert_eq!(asked.len(), 3, "each of the others is asked");
    said.extend(prepare(&mut node, &payment(1, "")));
    said.extend(answer_question(&mut node, asked[0], empty_status()));
    said.extend(node.pass_ms(3_000));
    assert_eq!(signed(&said), 0, "two of four are no quorum");
    assert!(matches!(node.engine.voice(), Voice::Listens { .. }));
    // An answer of another epoch, or from beyond, is none.
    said = node.turn(vec![Input::Failed(asked[1])]);
    said.extend(node.pass_ms(800));
    let again = questions(&said);
    assert_eq!(again.len(), 1, "who did not answer is asked again");
    answer_question(&mut node, again[0], StatusResponse { epoch: Epoch(1), ..empty_status() });
    assert!(matches!(node.engine.voice(), Voice::Listens { .. }));
    let said = node.pass_ms(800);
    let again = questions(&said);
    let heard = answer_question(&mut node, again[0], empty_status());
    assert_eq!(node.engine.voice(), Voice::Speaks);
    let mut said = heard;
    said.extend(node.pass_ms(3_000));
    assert!(!block_votes_of(&said).is_empty(), "it takes part in the height in progress");
}

/// Whoever claimed a far tip and gave no blocks had the one request for blocks that may be on the way, ten seconds each time,
/// and was asked again at once: a liar that answers fast could keep a validator that listens from catching up, and so from
/// being heard, for as long as it liked.
#[test]
fn claims_without_blocks_keep_no_validator_from_catching_up_n_22_d_18() {
    short_epochs();
    let (liar, honest) = (PeerTag(7), PeerTag(8));
    let claim = |tip| StatusResponse { tip: Height(tip), ..empty_status() };
    let mut node = Node::new(ME);
    let start = node.restart_with(listens());
    let questions_of = questions(&start);
    let said = answer_as(&mut node, liar, questions_of[0], claim(1_000));
    let (request, peer) = asked_for_blocks(&said)[0];
    assert_eq!(peer, liar);
    let mut said = node.pass_ms(9_900);
    assert!(asked_for_blocks(&said).is_empty(), "one at a time");
    said.extend(node.pass_ms(100));
    said.extend(node.turn(vec![Input::Failed(request)]));
    let again = questions(&said);
    let said = answer_as(&mut node, liar, again[0], claim(1_000));
    assert!(asked_for_blocks(&said).is_empty(), "it had its chance");
    let said = answer_as(&mut node, honest, questions_of[1], claim(1));
    assert_eq!(asked_for_blocks(&said)[0].1, honest);
    // It may have been the network: where nobody else claims anything, it is asked again.
    let (request, _) = asked_for_blocks(&said)[0];
    node.turn(vec![Input::Answered(request, honest, Response::Blocks(Vec::new()))]);
    let again = questions(&node.pass_ms(2_000));
    answer_as(&mut node, liar, *again.last().unwrap(), claim(1_000));
    assert!(asked_for_blocks(&node.pass_ms(1_900)).is_empty());
    assert_eq!(asked_for_blocks(&node.pass_ms(100))[0].1, liar);
}

/// A silence is measured by the own clock. One that was behind ended it in an epoch that had begun before, in which the key
/// may have signed, and nobody was asked about that.
#[test]
fn a_silence_ends_with_listening_since_the_clock_may_have_been_behind_d_15_d_18() {
    short_epochs();
    for forgotten in [false, true] {
        let mut node = Node::new(ME);
        let mut said = node.restart_with(Past { listens: true, ..missing() });
        said.extend(node.pass_ms(12_000));
        said.extend(end_epoch_by_others(&mut node));
        assert!(matches!(node.engine.voice(), Voice::Listens { .. }), "{:?}", node.engine.voice());
        said.extend(node.pass_ms(100));
        assert_eq!(signed(&said), 0);
        let asked = questions(&said);
        let batches = if forgotten { vec![own_batch(Epoch(1), Txid([9; 32]))] } else { Vec::new() };
        let tip = node.engine.chain_state().height;
        let status = StatusResponse { tip, epoch: Epoch(1), batches, ..empty_status() };
        for id in asked.iter().take(2) {
            answer_question(&mut node, *id, status.clone());
        }
        match node.engine.voice() {
            Voice::Silent(silence) => assert!(forgotten && silence.cause == Cause::OwnSignature),
            voice => assert!(!forgotten && voice == Voice::Speaks, "{voice:?}"),
        }
    }
}

#[test]
fn a_validator_that_listens_answers_others_that_start_with_it_d_18() {
    short_epochs();
    let mut node = Node::new(ME);
    node.restart_with(listens());
    let request = asks_about(1, Height(0));
    let (reply, _) = node.ask(Ask::Status(request));
    assert!(matches!(reply, Some(Reply::Status(status)) if status.tip == Height(0)));
}

#[test]
fn an_answer_shows_all_kinds_of_signatures_of_the_asker_and_nobody_elses_n_6_d_18() {
    short_epochs();
    let mut node = Node::new(ME);
    let transaction = payment(3, "");
    node.gossip(std::slice::from_ref(&transaction));
    node.votes(Phase::Prepare, &[transaction.txid()], &[1, 2]);
    node.pass_ms(900);
    let round = (0..).find(|round| node.proposer(*round) == 1).unwrap();
    let proposal = node.proposal(round, &[], None);
    node.propose(proposal);
    node.block_votes(0, BlockPhase::Prevote, None, &[1, 2]);
    node.seals(&[], &[1, 2]);
    let request = asks_about(1, Height(7));
    let Some(Reply::Status(status)) = node.ask(Ask::Status(request)).0 else { panic!() };
    let key = keys()[1].public();
    assert!(status.votes.iter().all(|vote: &BlockVote| vote.voter == key) && status.votes.len() == 1);
    assert!(status.seals.len() == 1 && status.seals[0].voter == key);
    assert!(status.batches.len() == 1 && status.batches[0].voter == key);
    assert!(status.proposals.len() == 1 && status.proposals[0].proposer == key);
}

/// An old image of a whole machine: its newer self had voted, and others know.
#[test]
fn an_old_image_of_a_machine_is_found_out_by_what_others_hold_d_18() {
    short_epochs();
    for kind in 0..3 {
        let mut node = Node::new(ME);
        let mut said = node.restart_with(listens());
        let asked = questions(&said);
        let vote = block_vote_in(Epoch(0), Height(1), 0, BlockPhase::Prevote, None, ME);
        let status = match kind {
            0 => StatusResponse { votes: vec![vote], ..empty_status() },
            1 => StatusResponse { batches: vec![own_batch(Epoch(0), Txid([9; 32]))], ..empty_status() },
            _ => StatusResponse {
                seals: vec![Seal::sign(Epoch(0), Vec::new(), &keys()[ME], &genesis().hash())],
                ..empty_status()
            },
        };
        said.extend(answer_question(&mut node, asked[0], empty_status()));
        said.extend(answer_question(&mut node, asked[1], status));
        assert_eq!(silence(&node).cause, Cause::OwnSignature);
        said.extend(node.pass_ms(3_000));
        assert_eq!(signed(&said), 0);
    }
}

/// What the journal gave back comes to life once others were heard: no second vote in a round and phase.
#[test]
fn after_listening_a_validator_goes_on_where_it_left_off_d_18_r_9() {
    short_epochs();
    let mut node = Node::new(ME);
    let mut said = node.pass_ms(1_100);
    if node.proposer(0) != ME {
        let proposal = node.proposal(0, &[], None);
        said.extend(node.propose(proposal));
    }
    let before = block_votes_of(&said);
    assert_eq!(before.len(), 1);
    let mut back = node.restart_with(listens());
    let asked = questions(&back);
    for id in &asked[..2] {
        // They hold what it said; it knows that.
        back.extend(answer_question(&mut node, *id, StatusResponse { votes: before.clone(), ..empty_status() }));
    }
    assert_eq!(node.engine.voice(), Voice::Speaks);
    let hash = before[0].block.unwrap();
    back.extend(node.block_votes(0, BlockPhase::Prevote, Some(hash), &[1, 2, 3]));
    let again = block_votes_of(&back);
    assert!(again.iter().all(|vote| vote.phase == BlockPhase::Precommit && vote.block == Some(hash)), "{again:?}");
    assert_eq!(again.len(), 1);
}

/// A faulty proposer says two things in round 0. A validator votes for one and is locked on it, starts again, and hears the other
/// one first. It once took that for the proposal of the round: locked on a block that it no longer had, it let no other pass and could not
/// propose its own, and the chain stood still. The simulation found it (seeds 6197 and 8262 of its time).
#[test]
fn what_was_voted_for_comes_before_another_proposal_of_the_round_that_is_heard_first_after_a_start_r_9() {
    let me = (0..4).find(|me| Node::new(*me).proposer(0) != *me).unwrap();
    let mut node = Node::new(me);
    let liar = node.proposer(0);
    node.pass_ms(1_100);
    let first = node.proposal(0, &[], None);
    node.pass_ms(1);
    let second = node.proposal(0, &[], None);
    let hash = first.block.header.hash();
    assert_ne!(second.block.header.hash(), hash);
    let mut said = node.propose(first);
    said.extend(node.block_votes(0, BlockPhase::Prevote, Some(hash), &node.others()));
    assert_eq!(block_votes_of(&said).iter().map(|vote| vote.block).collect::<Vec<_>>(), [Some(hash); 2]);

    let back = node.restart_with(listens());
    node.propose(second);
    let mut after = Vec::new();
    for id in &questions(&back)[..2] {
        after.extend(answer_question(&mut node, *id, empty_status()));
    }
    assert_eq!(node.engine.voice(), Voice::Speaks);
    assert_eq!(
        evidence_of(&after).iter().map(|evidence| evidence.offender()).collect::<Vec<_>>(),
        [keys()[liar].public()]
    );
    // In the first round in which it is its turn it proposes what it is locked on.
    let mut round = 0;
    let again = loop {
        node.block_votes(round, BlockPhase::Prevote, None, &node.others());
        round += 1;
        let effects = node.block_votes(round - 1, BlockPhase::Precommit, None, &node.others());
        let proposed = [effects, node.pass_ms(1_000)].concat();
        if let [proposal] = &proposals_of(&proposed)[..] {
            break Arc::clone(proposal);
        }
        assert!(round < 8, "never its turn");
    };
    assert_eq!((again.block.header.hash(), again.valid_round), (hash, Some(Round(0))));
}

#[test]
fn a_seal_is_made_once_others_were_heard_d_18_e_4() {
    short_epochs();
    let mut node = Node::new(ME);
    decide_by_others(&mut node, &[]);
    decide_by_others(&mut node, &[]);
    // The image is of before the seal; nobody has seen one.
    node.disk.0.retain(|record| !matches!(record, Record::Sealed(_)));
    let mut said = node.restart_with(listens());
    let asked = questions(&said);
    assert_eq!(seals_of(&said), []);
    let tip = StatusResponse { tip: Height(2), ..empty_status() };
    said = answer_question(&mut node, asked[0], tip.clone());
    said.extend(answer_question(&mut node, asked[1], tip));
    assert_eq!(seals_of(&said).len(), 1);
}

/// While a validator listens, its part in the height is only what the journal gave back. A log that was compacted then, as at
/// each clean stop, once had nothing of it: after the next start it could have voted in the round again, for another block.
#[test]
fn a_log_that_is_compacted_while_listening_keeps_the_part_in_the_height_d_13() {
    short_epochs();
    let mut node = Node::new(ME);
    let mut said = node.pass_ms(1_100);
    if node.proposer(0) != ME {
        let proposal = node.proposal(0, &[], None);
        said.extend(node.propose(proposal));
    }
    let block = block_votes_of(&said)[0].block;
    said.extend(node.block_votes(0, BlockPhase::Prevote, block, &[1, 2, 3]));
    let before = block_votes_of(&said);
    assert_eq!(before.len(), 2, "it prevotes, locks the block, and precommits it");
    for _ in 0..2 {
        node.restart_with(listens());
        node.compact();
    }
    let kept = |record: &Record| match record {
        Record::BlockVote(vote, locks) => before.contains(vote) && locks.locked == block.map(|hash| (Round(0), hash)),
        _ => false,
    };
    assert_eq!(node.disk.0.iter().filter(|record| kept(record)).count(), 2, "{:?}", node.disk.0);
    let mut back = node.restart_with(listens());
    for id in &questions(&back)[..2] {
        back.extend(answer_question(&mut node, *id, empty_status()));
    }
    assert_eq!(node.engine.voice(), Voice::Speaks);
    back.extend(node.block_votes(0, BlockPhase::Prevote, block, &[1, 2, 3]));
    assert_eq!(block_votes_of(&back), [], "it has voted in this round");
    assert!(node.status(0).votes.iter().any(|vote| before.contains(vote)));
}

/// A payment that was voted for in an epoch that ended, and again in the next one, has two records. On replay the second one was
/// taken for one of nothing new, and the compacted log had neither the body nor the votes.
#[test]
fn votes_of_two_epochs_for_a_payment_outlive_compaction_d_13() {
    short_epochs();
    let mut node = Node::new(ME);
    let payment = payment(1, "");
    assert_eq!(voted(&prepare(&mut node, &payment), Phase::Prepare), [payment.txid()]);
    let mut effects = end_epoch_by_others(&mut node);
    let mut again = Vec::new();
    for _ in 0..8 {
        effects.extend(node.pass_ms(30));
        effects = node.answer(&effects, |_| Opinion::Preferred);
        again.extend(voted(&effects, Phase::Prepare));
    }
    assert_eq!(again, [payment.txid()]);
    node.restart();
    node.compact();
    let own = |record: &&Record| match record {
        Record::Transaction(body) => body.txid() == payment.txid(),
        Record::Votes(batch) => batch.voter == keys()[ME].public() && batch.epoch == Epoch(1),
        _ => false,
    };
    assert_eq!(node.disk.0.iter().filter(own).count(), 2, "{:?}", node.disk.0);
}

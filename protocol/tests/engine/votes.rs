//! Locks, votes and certificates of the engine, and what a restart keeps of them (`SPEC.md` F-1…F-6, D-1, D-4, D-5, D-12, D-13, E-2, E-9).

use crate::support::{Node, genesis, keys, payment, requests, voted};
use std::sync::Arc;
use timecoin_protocol::engine::{Effect, Event, Input, Journal, PeerTag, Record, Request, Response, Status, Turn};
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::Verified;
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::validator::Epoch;
use timecoin_protocol::wire::{Opinion, Vote};

/// Lets sampling accept a payment, by answers of others that prefer it.
fn accept(node: &mut Node, transaction: &Transaction) -> Vec<Effect> {
    let mut effects = node.gossip(std::slice::from_ref(transaction));
    let mut all = effects.clone();
    for _ in 0..4 {
        let mut next = node.answer(&effects, |_| Opinion::Preferred);
        next.extend(node.pass_ms(25));
        all.extend(next.clone());
        effects = next;
    }
    all
}

fn statuses(effects: &[Effect], wanted: Txid) -> Vec<Status> {
    let status = |effect: &Effect| match effect {
        Effect::Event(Event::Status { txid, status, .. }) if *txid == wanted => Some(status.clone()),
        _ => None,
    };
    effects.iter().filter_map(status).collect()
}

struct Broken;

impl Journal for Broken {
    type Error = &'static str;

    fn append(&mut self, _: &[Record]) -> Result<(), &'static str> {
        Err("disk full")
    }
}

fn prepare_of(who: usize, txid: Txid) -> Input {
    let batch = VoteBatch::sign(Epoch(0), Phase::Prepare, vec![txid], &keys()[who], &genesis().hash());
    Input::Votes(PeerTag(9), vec![Verified::by_own_hand(Vote::Finality(Arc::new(batch)))])
}

/// D-1
#[test]
fn a_failed_commit_releases_no_message() {
    let mut node = Node::new(0);
    let payment = payment(1, "");
    node.gossip(std::slice::from_ref(&payment));
    let mut turn = Turn::default();
    for who in 1..4 {
        node.engine.step(node.now, prepare_of(who, payment.txid()), &mut turn).unwrap();
    }
    node.engine.finish(node.now, &mut turn).unwrap();
    assert!(!turn.is_volatile(), "the certificate makes it vote Commit");
    assert_eq!(turn.commit(&mut Broken).unwrap_err(), "disk full");
}

/// D-12, F-4
#[test]
fn votes_of_others_are_durable_with_the_own_commit_vote_that_rests_on_them_and_not_before() {
    let mut node = Node::new(0);
    // With a conflict in sight the node does not follow the votes of others (S-18): it only counts them.
    let (rival, payment) = (payment(1, "first"), payment(1, "second"));
    node.gossip(&[rival, payment.clone()]);
    let before = node.disk.0.len();
    node.turn(vec![prepare_of(1, payment.txid())]);
    node.turn(vec![prepare_of(2, payment.txid())]);
    assert_eq!(node.disk.0.len(), before, "counting costs no commit");
    let effects = node.turn(vec![prepare_of(3, payment.txid())]);
    assert_eq!(voted(&effects, Phase::Commit), [payment.txid()]);
    let voters: Vec<_> = node.disk.0[before..]
        .iter()
        .filter_map(|record| match record {
            Record::Votes(batch) => Some((batch.phase, batch.voter)),
            _ => None,
        })
        .collect();
    let expected: Vec<_> = [1, 2, 3].map(|who| (Phase::Prepare, keys()[who].public())).to_vec();
    assert_eq!(voters[..3], expected, "the certificate comes first");
    assert_eq!(voters[3], (Phase::Commit, keys()[0].public()));
}

/// F-1, D-12
#[test]
fn body_and_lock_are_recorded_before_the_prepare_vote() {
    let mut node = Node::new(0);
    let payment = payment(1, "");
    let effects = accept(&mut node, &payment);
    assert_eq!(voted(&effects, Phase::Prepare), [payment.txid()]);
    let kinds: Vec<u8> = node
        .disk
        .0
        .iter()
        .map(|record| match record {
            Record::Transaction(_) => 0,
            Record::Locked { .. } => 1,
            Record::Votes(_) => 2,
            _ => 3,
        })
        .collect();
    assert_eq!(kinds, [0, 1, 2]);
}

/// F-1, D-13, D-4
#[test]
fn a_validator_never_prepares_two_spends_even_after_a_restart() {
    let mut node = Node::new(0);
    let (first, second) = (payment(1, "a"), payment(1, "b"));
    assert_eq!(voted(&accept(&mut node, &first), Phase::Prepare), [first.txid()]);
    for round in 0..4 {
        if round % 2 == 1 {
            node.compact();
        }
        node.restart();
        let effects = accept(&mut node, &second);
        assert!(!voted(&effects, Phase::Prepare).contains(&second.txid()), "after restart {round}");
        assert_eq!(node.opinion(second.txid()), Opinion::Other(first.txid()), "S-10");
    }
}

/// F-1, E-9, S-10. A lock taken for a block did not move the preference: the node then spoke against both
/// sides of a double spend, and neither could get a quorum.
#[test]
fn what_is_locked_for_a_block_is_preferred_also_after_a_restart() {
    let proposer = Node::new(0).proposer(0);
    let mut node = Node::new((proposer + 2) % 4);
    let (first, locked) = (payment(1, "a"), payment(1, "b"));
    node.gossip(&[first.clone(), locked.clone()]);
    assert_eq!(node.opinion(first.txid()), Opinion::Preferred);
    node.begin_height();
    let proposal = node.proposal(0, std::slice::from_ref(&locked), None);
    node.propose(proposal);
    assert_eq!(node.opinion(locked.txid()), Opinion::Preferred);
    assert_eq!(node.opinion(first.txid()), Opinion::Other(locked.txid()));
    node.restart();
    node.gossip(&[first.clone(), locked.clone()]);
    assert_eq!(node.opinion(locked.txid()), Opinion::Preferred);
}

/// F-3, E-2
#[test]
fn a_validator_counts_once_and_votes_of_others_or_other_epochs_not_at_all() {
    let mut node = Node::new(0);
    let payment = payment(1, "");
    node.gossip(std::slice::from_ref(&payment));
    let txid = payment.txid();
    node.votes(Phase::Commit, &[txid], &[1, 1, 1]);
    let stranger = crate::support::wallet(5);
    let foreign = [(Epoch(0), &stranger), (Epoch(1), &keys()[2]), (Epoch(1), &keys()[3])].map(|(epoch, key)| {
        let batch = VoteBatch::sign(epoch, Phase::Commit, vec![txid], key, &genesis().hash());
        Verified::by_own_hand(Vote::Finality(Arc::new(batch)))
    });
    let effects = node.turn(vec![Input::Votes(PeerTag(9), foreign.to_vec())]);
    assert!(statuses(&effects, txid).is_empty());
    let effects = node.votes(Phase::Commit, &[txid], &[2, 3]);
    assert!(matches!(statuses(&effects, txid).as_slice(), [Status::Final(_)]));
}

/// F-4
#[test]
fn commit_is_voted_with_a_prepare_certificate_only_whatever_was_preferred() {
    let mut node = Node::new(0);
    let (own, other) = (payment(1, "a"), payment(1, "b"));
    accept(&mut node, &own);
    node.gossip(std::slice::from_ref(&other));
    let mut effects = node.votes(Phase::Prepare, &[other.txid()], &[1, 2]);
    effects.extend(node.pass_ms(25));
    assert!(voted(&effects, Phase::Commit).is_empty());
    let mut effects = node.votes(Phase::Prepare, &[other.txid()], &[3]);
    effects.extend(node.pass_ms(25));
    assert_eq!(voted(&effects, Phase::Commit), [other.txid()]);
    assert!(
        node.disk.0.iter().any(|record| matches!(record, Record::Transaction(body) if body.txid() == other.txid()))
    );
    let effects = node.votes(Phase::Commit, &[other.txid()], &[1, 2]);
    assert!(matches!(statuses(&effects, own.txid()).as_slice(), [Status::Rejected(_)]));
}

/// D-13: after a restart every prepare certificate is still there.
#[test]
fn a_prepare_certificate_survives_a_restart_with_and_without_compaction() {
    let mut node = Node::new(0);
    let payment = payment(1, "");
    node.gossip(std::slice::from_ref(&payment));
    node.votes(Phase::Prepare, &[payment.txid()], &[1, 2, 3]);
    node.pass_ms(25);
    for compacted in [false, true] {
        if compacted {
            node.compact();
        }
        let mut effects = node.restart();
        effects.extend(node.pass_ms(25));
        let certificate = node.engine.certificate(&payment.txid()).unwrap();
        certificate.verify(node.engine.validators(), &genesis().hash()).unwrap();
        assert!(voted(&effects, Phase::Commit).is_empty(), "it was cast before");
    }
}

/// F-6, N-20
#[test]
fn votes_that_got_lost_are_asked_for_again_and_again() {
    let mut node = Node::new(0);
    accept(&mut node, &payment(1, ""));
    for _ in 0..3 {
        let effects = node.pass_ms(450);
        let asked: Vec<_> =
            requests(&effects).into_iter().filter(|(_, request)| matches!(request, Request::Certificates(_))).collect();
        assert_eq!(asked.len(), 1);
        node.turn(vec![Input::Failed(asked[0].0)]);
    }
}

/// F-6: a vote interval of nothing is allowed, and does not panic.
#[test]
fn a_node_without_a_vote_interval_votes_at_once() {
    let tuning = timecoin_protocol::engine::Tuning { vote_interval_ms: 0, ..Default::default() };
    let mut node = Node::tuned(0, tuning);
    let payments: Vec<_> = (0..20).map(|n| payment(n, "")).collect();
    let txids: Vec<_> = payments.iter().map(Transaction::txid).collect();
    node.gossip(&payments);
    let effects = node.votes(Phase::Prepare, &txids, &[1, 2, 3]);
    assert_eq!(voted(&effects, Phase::Commit).len(), 20);
}

/// P-3, F-4. Who was sent two other spends first refused the one that everybody else made final, until a block.
#[test]
fn a_third_spend_is_refused_unless_it_has_a_certificate() {
    let mut node = Node::new(0);
    let spends = ["a", "b", "c"].map(|memo| payment(1, memo));
    node.gossip(&spends);
    assert_eq!(node.engine.gauges().pool_transactions, 2);
    node.votes(Phase::Commit, &[spends[2].txid()], &[1, 2, 3]);
    let effects = node.gossip(&spends[2..]);
    assert!(statuses(&effects, spends[2].txid()).iter().any(|status| matches!(status, Status::Final(_))));
    assert_eq!(node.engine.gauges().pool_transactions, 1);
}

/// N-21
#[test]
fn an_answer_that_was_not_asked_for_is_an_offence() {
    let mut node = Node::new(0);
    let wanted = payment(1, "");
    node.votes(Phase::Prepare, &[wanted.txid()], &[1]);
    let effects = node.pass_ms(60);
    let (id, _) = requests(&effects).into_iter().find(|(_, r)| matches!(r, Request::Transactions(_))).unwrap();
    let other = Verified::by_own_hand(payment(2, ""));
    let effects = node.turn(vec![Input::Answered(id, PeerTag(9), Response::Transactions(vec![other]))]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Penalty(..))));
}

/// N-20. Anybody could fill the list of wanted bodies by asking about transactions that do not exist;
/// then the bodies of a proposal were not asked for.
#[test]
fn strangers_do_not_keep_a_node_from_asking_for_what_a_proposal_needs() {
    let proposer = Node::new(0).proposer(0);
    let mut node = Node::new((proposer + 2) % 4);
    node.begin_height();
    for n in 0..5_u32 {
        let txid = |at: u32| {
            let mut bytes = [0xee; 32];
            bytes[..8].copy_from_slice(&u64::from(n * 4_096 + at).to_le_bytes());
            Txid(bytes)
        };
        let query = timecoin_protocol::wire::Query { epoch: Epoch(0), txids: (0..4_096).map(txid).collect() };
        node.ask(timecoin_protocol::engine::Ask::Query(query));
    }
    let payment = payment(1, "");
    let proposal = node.proposal(0, std::slice::from_ref(&payment), None);
    let effects = node.propose(proposal);
    let asked = |request: &Request| matches!(request, Request::Transactions(r) if r.txids.contains(&payment.txid()));
    assert!(requests(&effects).iter().any(|(_, request)| asked(request)));
}

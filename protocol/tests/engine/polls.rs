//! Polls among many, slow and lying validators (`SPEC.md` S-10, S-12, S-18).

use crate::support::{Node, payment, requests, voted};
use timecoin_protocol::engine::{Ask, Effect, Input, PeerTag, Reply, Request, Response, Tuning};
use timecoin_protocol::finality::Phase;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::validator::Epoch;
use timecoin_protocol::wire::{Answer, Opinion, Query};

fn query(txid: Txid) -> Ask {
    Ask::Query(Query { epoch: Epoch(0), txids: vec![txid] })
}

/// The opinions about one transaction that leave the node.
fn opinions(effects: &[Effect]) -> Vec<Opinion> {
    let opinion = |effect: &Effect| match effect {
        Effect::Reply(_, Reply::Query(answer)) => Some(answer.opinions[0]),
        _ => None,
    };
    effects.iter().filter_map(opinion).collect()
}

/// S-10
#[test]
fn an_answer_waits_a_moment_for_a_body_that_is_on_its_way() {
    let mut node = Node::new(0);
    let (coming, lost) = (payment(1, ""), payment(2, ""));
    assert!(node.ask(query(coming.txid())).0.is_none());
    assert!(node.ask(query(lost.txid())).0.is_none());
    assert_eq!(opinions(&node.gossip(&[coming])), [Opinion::Preferred]);
    assert_eq!(opinions(&node.pass_ms(24)), []);
    assert_eq!(opinions(&node.pass_ms(1)), [Opinion::Unknown]);
    assert_eq!(opinions(&node.pass_ms(500)), [], "every query is answered once");
}

/// S-10
#[test]
fn only_so_many_answers_wait() {
    let mut node = Node::new(0);
    let txid = |at: u16| {
        let mut txid = [7; 32];
        txid[..2].copy_from_slice(&at.to_be_bytes());
        Txid(txid)
    };
    let mut ask = |from: u16, to: u16| {
        node.ask(Ask::Query(Query { epoch: Epoch(0), txids: (from..to).map(txid).collect() })).0.is_some()
    };
    let large = [0, 1, 2, 3, 4].map(|at| ask(at * 4_096, (at + 1) * 4_096));
    assert_eq!(large, [false, false, false, false, true], "16,384 transactions are waited for");
    assert!(ask(1, 2), "nor is there room for one more");
    assert_eq!(opinions(&node.pass_ms(25)).len(), 4);
    assert!(node.ask(query(txid(9))).0.is_none(), "now there is room again");
}

/// Answers the polls among `effects`, one validator after the other.
fn answer_each(node: &mut Node, effects: &[Effect], answers: [Opinion; 3]) -> Vec<Effect> {
    let is_query = |request: &Request| matches!(request, Request::Query(_));
    let asked: Vec<_> = requests(effects).into_iter().filter(|(_, request)| is_query(request)).collect();
    assert_eq!(asked.len(), 3, "everybody else is asked");
    let mut all = Vec::new();
    for ((id, _), opinion) in asked.into_iter().zip(answers) {
        let response = Response::Query(Answer { opinions: vec![opinion] });
        all.extend(node.turn(vec![Input::Answered(id, PeerTag(9), response)]));
    }
    all
}

/// S-12: one validator in ten could keep every payment from becoming final for as long as it liked, by
/// naming a conflict that nobody else has ever seen.
#[test]
fn a_conflict_that_nobody_shows_is_asked_for_once_and_holds_up_nothing() {
    let stranger = Txid([9; 32]);
    for (lie, asked) in [(Opinion::Other(stranger), 1), (Opinion::Invalid, 0)] {
        let mut node = Node::new(0);
        let payment = payment(1, "");
        let effects = node.gossip(std::slice::from_ref(&payment));
        let mut all = answer_each(&mut node, &effects, [lie, Opinion::Preferred, Opinion::Preferred]);
        assert_eq!(voted(&all, Phase::Prepare), [payment.txid()]);
        all.extend(node.pass_ms(5_000));
        let is_for_it = |request: &Request| matches!(request, Request::Transactions(r) if r.txids == [stranger]);
        assert_eq!(requests(&all).iter().filter(|(_, request)| is_for_it(request)).count(), asked);
    }
}

/// S-12
#[test]
fn a_poll_that_cannot_succeed_any_more_does_not_wait_for_the_silent() {
    let mut node = Node::new(0);
    let payment = payment(1, "");
    let effects = node.gossip(std::slice::from_ref(&payment));
    let asked: Vec<_> = requests(&effects).into_iter().map(|(id, _)| id).collect();
    // Two of four do not know it: no quorum, whatever the last one says.
    let polls = |effects: &[Effect]| requests(effects).iter().filter(|(_, r)| matches!(r, Request::Query(_))).count();
    let mut all = Vec::new();
    for id in asked.into_iter().take(2) {
        let response = Response::Query(Answer { opinions: vec![Opinion::Unknown] });
        all.extend(node.turn(vec![Input::Answered(id, PeerTag(9), response)]));
    }
    assert_eq!(polls(&all), 0);
    assert_eq!(polls(&node.pass_ms(40)), 3, "it is polled again long before the answer is overdue");
}

/// S-12
#[test]
fn where_samples_are_drawn_the_polls_of_an_unopposed_payment_are_made_at_once() {
    // Of one slot each; two are needed, and nobody has answered yet.
    let sampled = Tuning { sample_size: 1, alpha_preference: 1, ..Tuning::default() };
    let polls = |transactions: &[Transaction]| {
        let mut node = Node::tuned(0, sampled.clone());
        node.gossip(transactions);
        node.engine.gauges().polls
    };
    // A sample may be the node itself, which agrees at once: that poll is over.
    assert!((2..=3).contains(&polls(&[payment(1, "")])));
    assert!(polls(&[payment(1, "a"), payment(1, "b")]) <= 1, "a contested payment is polled about step by step");
}

/// S-18
#[test]
fn votes_of_somebody_honest_are_followed_unless_a_conflict_is_known() {
    let mut node = Node::new(0);
    let (lone, left, right) = (payment(1, ""), payment(2, "a"), payment(2, "b"));
    node.gossip(&[lone.clone(), left.clone(), right]);
    let txids = [lone.txid(), left.txid()];
    assert!(voted(&node.votes(Phase::Prepare, &txids, &[1]), Phase::Prepare).is_empty(), "a quarter may be lying");
    let effects = node.votes(Phase::Prepare, &txids, &[2]);
    assert_eq!(voted(&effects, Phase::Prepare), [lone.txid()]);
}

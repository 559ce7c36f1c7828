//! Pool and polls of the engine (`SPEC.md` P-1…P-6, S-10…S-16).

use crate::support::{COIN, FEE, Node, child, coin, payment, proposals_of, requests, spend, voted};
use timecoin_protocol::bounds::{LATE_ANSWERS_MAX, ORPHANS_MAX};
use timecoin_protocol::engine::{Ask, Effect, Input, Refusal, Reply, Request, Tuning};
use timecoin_protocol::finality::Phase;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::transaction::OutPoint;
use timecoin_protocol::validator::Epoch;
use timecoin_protocol::wire::{Opinion, Query};

fn refusal(effects: &[Effect]) -> Option<Refusal> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply(_, Reply::Admission(Err(refusal))) => Some(refusal.clone()),
        _ => None,
    })
}

fn polls(effects: &[Effect]) -> usize {
    requests(effects).iter().filter(|(_, request)| matches!(request, Request::Query(_))).count()
}

/// Answers `times` polls in a row; gives all that happened.
fn poll(node: &mut Node, mut effects: Vec<Effect>, times: usize, opinion: impl Fn(&Txid) -> Opinion) -> Vec<Effect> {
    let mut all = Vec::new();
    for _ in 0..times {
        let mut next = node.answer(&effects, &opinion);
        for _ in 0..8 {
            next.extend(node.pass_ms(25));
            if polls(&next) > 0 {
                break;
            }
        }
        all.extend(next.clone());
        effects = next;
    }
    all
}

/// P-1
/// P-2.
#[test]
fn what_others_can_make_grow_is_counted_and_stays_within_its_bound() {
    let mut node = Node::new(0);
    let what = "transactions that wait for a parent";
    let orphans = |node: &Node| node.engine.kept().find(|kept| kept.what == what).unwrap();
    assert_eq!((orphans(&node).count, orphans(&node).most), (0, ORPHANS_MAX));
    let strays: Vec<_> = (0..ORPHANS_MAX + 10).map(|number| child(1, &payment(1, &number.to_string()))).collect();
    for some in strays.chunks(100) {
        node.gossip(some);
        assert!(node.engine.kept().all(|kept| kept.fits()), "{:?}", node.engine.kept().collect::<Vec<_>>());
    }
    assert_eq!(orphans(&node).count, ORPHANS_MAX);
}

#[test]
fn outputs_of_the_pool_can_be_spent() {
    let mut node = Node::new(0);
    let parent = payment(1, "");
    assert_eq!(refusal(&node.submit(&parent)), None);
    assert_eq!(refusal(&node.submit(&child(1, &parent))), None);
    assert_eq!(refusal(&node.submit(&parent)), Some(Refusal::Known));
}

/// P-2
#[test]
fn a_child_that_comes_first_waits_for_its_parent_but_not_from_an_own_user() {
    let mut node = Node::new(0);
    let parent = payment(1, "");
    let child = child(1, &parent);
    assert!(matches!(refusal(&node.submit(&child)), Some(Refusal::MissingInput(_))));
    let effects = node.gossip(&[child]);
    let asked = |request: &Request| matches!(request, Request::Transactions(r) if r.txids == [parent.txid()]);
    assert!(requests(&effects).iter().any(|(_, request)| asked(request)));
    assert_eq!(node.engine.gauges().orphans, 1);
    node.gossip(&[parent]);
    assert_eq!((node.engine.gauges().orphans, node.engine.gauges().pool_transactions), (0, 2));
}

/// P-2
#[test]
fn orphans_are_forgotten_after_half_a_minute() {
    let mut node = Node::new(0);
    node.gossip(&[child(1, &payment(1, ""))]);
    node.pass_ms(30_100);
    assert_eq!(node.engine.gauges().orphans, 0);
}

/// P-4
#[test]
fn a_chain_of_65_is_refused() {
    let mut node = Node::new(0);
    let mut last = payment(1, "");
    node.submit(&last);
    for _ in 1..64 {
        last = child(1, &last);
        assert_eq!(refusal(&node.submit(&last)), None);
    }
    assert!(matches!(refusal(&node.submit(&child(1, &last))), Some(Refusal::ChainTooLong { .. })));
}

/// P-5
#[test]
fn a_full_pool_drops_the_cheapest_family_for_who_pays_more() {
    let mut node = Node::tuned(0, Tuning { pool_transactions_max: 3, ..Tuning::default() });
    let fee = |n: usize, fee| spend(n, coin(n), COIN, fee, "");
    let cheap = fee(1, FEE);
    let output = OutPoint { txid: cheap.txid(), index: 0 };
    let rich_child = spend(1, output, COIN - FEE, 4 * FEE, "");
    for transaction in [cheap, rich_child, fee(2, 3 * FEE)] {
        assert_eq!(refusal(&node.submit(&transaction)), None);
    }
    assert!(matches!(refusal(&node.submit(&fee(3, FEE))), Some(Refusal::PoolFull { .. })));
    assert_eq!(refusal(&node.submit(&fee(4, 2 * FEE))), None);
    assert_eq!(node.engine.gauges().pool_transactions, 2, "the child went with its parent");
}

/// P-5. A child with a certificate went with a cheap parent for which this node had seen no votes.
#[test]
fn what_has_a_certificate_is_not_dropped_with_a_cheap_parent() {
    let mut node = Node::tuned(0, Tuning { pool_transactions_max: 2, ..Tuning::default() });
    let parent = payment(1, "");
    let child = child(1, &parent);
    node.gossip(&[parent, child.clone()]);
    node.votes(Phase::Commit, &[child.txid()], &[1, 2, 3]);
    let rich = spend(2, coin(2), COIN, 10 * FEE, "");
    assert!(matches!(refusal(&node.submit(&rich)), Some(Refusal::PoolFull { .. })));
    assert_eq!(node.engine.gauges().pool_final, 1);
}

/// S-10
#[test]
fn a_node_that_is_asked_about_an_unknown_transaction_asks_for_it() {
    let mut node = Node::new(0);
    let txid = payment(1, "").txid();
    node.ask(Ask::Query(Query { epoch: Epoch(0), txids: vec![txid] }));
    let effects = node.pass_ms(60);
    assert!(requests(&effects).iter().any(|(_, r)| matches!(r, Request::Transactions(r) if r.txids == [txid])));
}

/// S-10, S-11
#[test]
fn the_first_of_two_spends_is_preferred_until_a_poll_moves_the_preference() {
    let mut node = Node::new(0);
    let (first, second) = (payment(1, "a"), payment(1, "b"));
    let effects = node.gossip(&[first.clone(), second.clone()]);
    assert_eq!(node.opinion(first.txid()), Opinion::Preferred);
    assert_eq!(node.opinion(second.txid()), Opinion::Other(first.txid()));
    node.answer(
        &effects,
        |txid| if *txid == second.txid() { Opinion::Preferred } else { Opinion::Other(second.txid()) },
    );
    assert_eq!(node.opinion(second.txid()), Opinion::Preferred);
}

/// S-12, S-16
#[test]
fn an_unopposed_payment_is_voted_for_after_one_poll_of_everybody() {
    let mut node = Node::new(0);
    let payment = payment(1, "");
    let effects = node.gossip(std::slice::from_ref(&payment));
    assert_eq!(polls(&effects), 3, "everybody else is asked");
    assert!(voted(&effects, Phase::Prepare).is_empty());
    let once = node.answer(&effects, |_| Opinion::Preferred);
    assert_eq!(voted(&once, Phase::Prepare), [payment.txid()]);
}

/// S-12
#[test]
fn opposition_resets_confidence() {
    let mut node = Node::new(0);
    let (payment, rival) = (payment(1, "a"), payment(1, "b"));
    let txid = payment.txid();
    let effects = node.gossip(&[payment]);
    node.gossip(std::slice::from_ref(&rival));
    let ours = |asked: &Txid| if *asked == txid { Opinion::Preferred } else { Opinion::Other(txid) };
    // One success, then a poll that it loses: it starts again, and needs three in a row.
    let effects = poll(&mut node, effects, 1, ours);
    let effects = poll(&mut node, effects, 1, |_| Opinion::Unknown);
    let effects = poll(&mut node, effects, 2, ours);
    assert!(voted(&effects, Phase::Prepare).is_empty());
    let last: Vec<Effect> = effects;
    let effects = poll(&mut node, last, 2, ours);
    assert_eq!(voted(&effects, Phase::Prepare), [txid]);
}

/// S-13
#[test]
fn silence_is_consent_where_samples_are_drawn_and_not_where_everybody_is_asked() {
    let sampled = Tuning { sample_size: 1, alpha_preference: 1, ..Tuning::default() };
    for (tuning, consents) in [(sampled, true), (Tuning::default(), false)] {
        let mut node = Node::tuned(0, tuning);
        let payment = payment(1, "");
        let effects = node.gossip(std::slice::from_ref(&payment));
        let mut effects = poll(&mut node, effects, 8, |_| Opinion::Unknown);
        effects.extend(node.pass_ms(1));
        let prepared = voted(&effects, Phase::Prepare);
        // With a sample of one, a poll may ask the node itself, which is in favour.
        assert_eq!(prepared.contains(&payment.txid()), consents);
    }
}

/// S-14, B-11
#[test]
fn what_sampling_gives_up_is_left_to_blocks() {
    let proposer = Node::new(0).proposer(0);
    let mut node = Node::tuned(proposer, Tuning { rounds_max: 3, ..Tuning::default() });
    node.pass_ms(600);
    let payment = payment(1, "");
    let effects = node.gossip(std::slice::from_ref(&payment));
    poll(&mut node, effects, 3, |_| Opinion::Unknown);
    let effects = node.pass_ms(300);
    assert_eq!(proposals_of(&effects)[0].block.txids, [payment.txid()]);
}

/// S-15
#[test]
fn who_does_not_answer_three_times_is_not_asked_for_two_seconds_but_no_more_than_a_third() {
    let mut node = Node::new(0);
    node.gossip(&[payment(1, "")]);
    // Three polls that nobody answers within 2 s, the longest that answers are waited for.
    node.pass_ms(2_450);
    let asked = polls(&node.gossip(&[payment(2, "")]));
    assert_eq!(asked, 2, "one of the three; two would be half of the weight");
    assert!(polls(&node.pass_ms(2_500)) > 0);
}

/// S-15. In a network as wide as the world answers take longer than the first polls wait. Validators counted as having failed, so
/// that each node left up to a third of them out for two seconds, and seven of ten that are needed could not be asked.
#[test]
fn who_answers_after_a_poll_that_waited_too_short_has_not_failed_and_is_measured() {
    let mut node = Node::new(0);
    let mut asked = vec![node.gossip(&[payment(1, "")])];
    for _ in 0..24 {
        asked.push(node.pass_ms(25));
    }
    assert!(asked.iter().map(|effects| polls(effects)).sum::<usize>() >= 9, "three polls are over");
    for effects in &asked {
        node.answer(effects, |_| Opinion::Preferred);
    }
    let others: Vec<_> = node.engine.reputations(node.now).into_iter().filter(|one| one.answers > 0).collect();
    assert_eq!(others.len(), 3);
    assert!(others.iter().all(|one| one.failures == 0 && !one.benched && one.latency_us > 200_000), "{others:?}");
    let late = node.engine.kept().find(|kept| kept.what == "answers that are late").unwrap();
    assert_eq!((late.count, late.most), (0, LATE_ANSWERS_MAX));
}

/// S-15
#[test]
fn a_poll_ends_when_its_time_is_up_and_the_payment_is_polled_again() {
    let mut node = Node::new(0);
    let effects = node.gossip(&[payment(1, "")]);
    assert_eq!(polls(&effects), 3);
    assert_eq!(polls(&node.pass_ms(99)), 0);
    assert_eq!(polls(&node.pass_ms(30)), 3);
    assert!(!node.turn(vec![Input::Wake]).iter().any(|effect| matches!(effect, Effect::Penalty(..))));
}

/// N-22: nothing wakes a node that has nothing to do more often than it asks for the status.
#[test]
fn an_idle_node_sleeps() {
    let mut node = Node::new(0);
    node.turn(vec![Input::Wake]);
    let at = node.engine.deadline().unwrap();
    assert!(at > node.now, "{at:?}");
}

/// P-6
#[test]
fn a_validator_with_a_full_backlog_prepares_no_more() {
    let mut node = Node::tuned(0, Tuning { backlog_max: 1, ..Tuning::default() });
    let (first, second) = (payment(1, ""), payment(2, ""));
    let effects = node.gossip(std::slice::from_ref(&first));
    let effects = poll(&mut node, effects, 3, |_| Opinion::Preferred);
    assert_eq!(voted(&effects, Phase::Prepare), [first.txid()]);
    let effects = node.gossip(std::slice::from_ref(&second));
    let effects = poll(&mut node, effects, 6, |_| Opinion::Preferred);
    assert!(voted(&effects, Phase::Prepare).is_empty());
}

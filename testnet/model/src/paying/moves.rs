//! What can happen to a validator next.
//!
//! To keep states few, and without hiding anything: a poll that nobody answers yet is one that goes on, so polls are answered or not at
//! all; votes that do not make a quorum change nothing that others can notice, so they come in the smallest
//! sets that do (with noise: also one by one, twice, and of the next epoch); requests are
//! never answered, since all that they could bring can come by itself.

use super::local::Local;
use super::message::{About, Message};
use super::setting::{QUORUM, SETTING};
use super::{Paying, blocks, signed};
use crate::compose::Edge;
use std::collections::BTreeSet;
use timecoin_protocol::engine::{GossipTag, Input, PeerTag, Record, Response, Source, Time};
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::keys::Verified;
use timecoin_protocol::validator::Epoch;
use timecoin_protocol::wire::{Answer, Opinion, Vote};

/// Most answers that polls about the same payments take in one move.
const ANSWERS_MAX: usize = 64;

/// All that can happen next to `local` when honest validators have said `heard`.
pub(super) fn edges(paying: &Paying, local: &Local, heard: &BTreeSet<Message>) -> Vec<Edge<Paying>> {
    let mut all = Vec::new();
    let mut step = |name: String, needs: Vec<Message>, change: &dyn Fn(&mut Local)| {
        let mut next = local.clone();
        change(&mut next);
        next.take_print(&paying.bounds);
        if next != *local {
            all.push(Edge { name, needs, next });
        }
    };
    for payment in (0..paying.payments()).filter(|payment| !local.arrived.contains(payment)) {
        step(format!("payment {payment} arrives"), Vec::new(), &|next| arrive(next, payment));
    }
    if !local.asked.is_empty() {
        for payment in 0..paying.payments() {
            step(format!("polls are for payment {payment}"), Vec::new(), &|next| answer(next, payment));
        }
    }
    for set in vote_sets(paying, local, heard) {
        step(describe(&set), honest(paying, &set), &|next| hear(next, &set));
    }
    if local.face.crashes < paying.bounds.crashes {
        step("dies and comes back".to_owned(), Vec::new(), &Local::restart);
    }
    if local.engine.chain_state().height.0 < paying.bounds.blocks {
        blocks::edges(paying, local, heard, &mut step);
    }
    all
}

/// Takes a move: what it is called, what it needs, and what it does.
pub(super) type Step<'a> = &'a mut dyn FnMut(String, Vec<Message>, &dyn Fn(&mut Local));

/// What the faulty validator says can be had at any time.
pub(super) fn honest(paying: &Paying, set: &[Message]) -> Vec<Message> {
    set.iter().filter(|message| message.by != paying.byzantine).cloned().collect()
}

fn arrive(local: &mut Local, payment: usize) {
    local.arrived.insert(payment);
    let bodies = SETTING.payments.get(payment).cloned().map(Verified::by_own_hand).into_iter().collect();
    local.turn(vec![Input::Transactions(Source::Gossip(PeerTag(9), GossipTag(0)), bodies)]);
}

/// Everybody asked prefers one payment, until nothing is asked any more.
fn answer(local: &mut Local, payment: usize) {
    let Some(preferred) = SETTING.payments.get(payment).map(timecoin_protocol::transaction::Transaction::txid) else {
        return;
    };
    for _ in 0..ANSWERS_MAX {
        let Some((request, query)) = local.asked.pop_first() else { return };
        let opinion = |txid: &_| if *txid == preferred { Opinion::Preferred } else { Opinion::Other(preferred) };
        let opinions = query.txids.iter().map(opinion).collect();
        local.turn(vec![Input::Answered(request, PeerTag(9), Response::Query(Answer { opinions }))]);
    }
}

pub(super) fn hear(local: &mut Local, messages: &[Message]) {
    // The clock of a node is never behind its chain.
    local.now = local.now.max(Time(local.engine.chain_state().time_ms * 1_000));
    for message in messages {
        match &message.about {
            About::Finality(epoch, _, txids) => {
                let payments = txids.iter().filter_map(|txid| SETTING.payment_of(txid));
                local.past.votes.extend(payments.map(|payment| (*epoch, payment)));
            }
            About::Seal(_) => drop(local.heard.seals.insert(message.by)),
            About::Block(..) | About::Evidence(_) | About::Proposal(..) => {}
        }
    }
    let epoch = local.engine.chain_state().epoch;
    let input = |message: &Message| match message.about {
        About::Block(_, _, _, Some(kind)) => {
            // A vote for a block that it does not know is of no use yet.
            let block = local.proposals.keys().find(|hash| local.kinds.of(**hash) == kind)?;
            message.input(epoch, Some(*block))
        }
        _ => message.input(epoch, None),
    };
    let inputs = messages.iter().filter_map(input).collect();
    local.turn(inputs);
}

pub(super) fn describe(messages: &[Message]) -> String {
    let one = |message: &Message| {
        let by = message.by;
        match &message.about {
            About::Finality(epoch, phase, txids) => {
                let payments: Vec<_> = txids.iter().filter_map(|txid| SETTING.payment_of(txid)).collect();
                format!("{phase:?} {payments:?} of {by} in epoch {epoch}")
            }
            About::Block(height, round, phase, block) => {
                let what = block.map_or_else(|| "nil".to_owned(), |hash| format!("block {:02x}", hash.0[0]));
                format!("{phase:?} {what} of {by} at height {height} round {round}")
            }
            About::Seal(epoch) => format!("seal of {by} in epoch {epoch}"),
            About::Evidence(offender) => format!("evidence of {by} against {offender}"),
            About::Proposal(height, round, hash) => {
                format!("proposal {:02x} of {by} at height {height} round {round}", hash.0[0])
            }
        }
    };
    format!("hears {}", messages.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// Whose votes its disk or its tallies hold is not asked of the engine: what it was told, it counts.
fn counted(local: &Local, epoch: u64, phase: Phase, payment: usize) -> BTreeSet<usize> {
    let txid = SETTING.payments[payment].txid();
    let of = |batch: &VoteBatch| {
        let counts = batch.epoch.0 == epoch && batch.phase == phase && batch.txids.contains(&txid);
        counts.then(|| SETTING.keys.iter().position(|key| key.public() == batch.voter)).flatten()
    };
    local
        .disk
        .records
        .iter()
        .filter_map(|record| if let Record::Votes(batch) = record { of(batch) } else { None })
        .collect()
}

/// Sets of finality votes that may come together.
fn vote_sets(paying: &Paying, local: &Local, heard: &BTreeSet<Message>) -> Vec<Vec<Message>> {
    let epoch = local.engine.chain_state().epoch.0;
    let mut sets = Vec::new();
    let here = |payment: &usize| paying.bounds.noise || local.arrived.contains(payment);
    for payment in (0..paying.payments()).filter(here) {
        let txid = SETTING.payments[payment].txid();
        for phase in [Phase::Prepare, Phase::Commit] {
            let honest = heard.iter().filter(|message| {
                matches!(&message.about, About::Finality(at, of, txids)
                    if (*at, *of) == (epoch, phase) && txids.contains(&txid))
            });
            let lie = byzantine_vote(paying, epoch, phase, payment);
            let available: Vec<Message> = honest.cloned().chain([lie.clone()]).collect();
            if paying.bounds.noise {
                sets.extend(available.iter().map(|message| vec![message.clone(), message.clone()]));
                let later = byzantine_vote(paying, epoch + 1, phase, payment);
                sets.push([vec![later], available.clone()].concat());
            }
            if has_enough(local, epoch, phase, payment) || !fits(local, epoch, payment) {
                continue;
            }
            let counted = counted(local, epoch, phase, payment);
            let fresh = available.into_iter().filter(|vote| !counted.contains(&vote.by));
            sets.extend(quorums(paying, &fresh.collect::<Vec<_>>(), QUORUM.saturating_sub(counted.len())));
        }
    }
    sets
}

/// Whether more votes of this kind change nothing: it has a certificate of them.
fn has_enough(local: &Local, epoch: u64, phase: Phase, payment: usize) -> bool {
    match phase {
        Phase::Prepare => local.engine.certificate(&SETTING.payments[payment].txid()).is_some(),
        Phase::Commit => local.face.news.finals.iter().any(|(known, _)| *known == payment) && epoch == local.face.epoch,
    }
}

/// Whether votes of a quorum for the payment can be had together with those that were heard: honest validators of two
/// quorums vote for one payment of an epoch (F-1, F-7). If one does not, the state in which it has is visited, and that
/// is told there.
fn fits(local: &Local, epoch: u64, payment: usize) -> bool {
    local.past.votes.iter().all(|(at, other)| *at != epoch || *other == payment)
}

/// Sets of `count` votes. The faulty validator's can always be had, so with it a set needs less, and does the same.
pub(super) fn quorums(paying: &Paying, votes: &[Message], count: usize) -> Vec<Vec<Message>> {
    let (lies, honest): (Vec<Message>, Vec<Message>) =
        votes.iter().cloned().partition(|vote| vote.by == paying.byzantine);
    let Some(fewer) = count.checked_sub(1).filter(|_| !lies.is_empty()) else { return subsets(&honest, count) };
    if fewer == 0 {
        return lies.into_iter().map(|lie| vec![lie]).collect();
    }
    let with = |lie: &Message| {
        subsets(&honest, fewer).into_iter().map(|set| [vec![lie.clone()], set].concat()).collect::<Vec<_>>()
    };
    lies.iter().flat_map(with).collect()
}

/// All sets of `count` of these; none if that is nothing.
pub(super) fn subsets(of: &[Message], count: usize) -> Vec<Vec<Message>> {
    let all = (1_usize..1 << of.len()).filter(|set| set.count_ones() as usize == count);
    all.map(|set| {
        let chosen = of.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        chosen.map(|(_, message)| message.clone()).collect()
    })
    .collect()
}

fn byzantine_vote(paying: &Paying, epoch: u64, phase: Phase, payment: usize) -> Message {
    let batch = signed::batch(paying.byzantine, Epoch(epoch), phase, payment);
    Message::vote(paying.byzantine, &Vote::Finality(batch), &paying.kinds)
}

//! What can happen to a validator next.
//!
//! To keep states few, and without hiding anything: a poll that nobody answers yet is one that goes on, so polls are answered or not at
//! all; votes that do not make a quorum change nothing that others can notice, so they come in the smallest
//! sets that do (with noise: also one by one, twice, and of the next epoch); requests are
//! never answered, since all that they could bring can come by itself.

use super::Paying;
use super::local::{About, Local, Message};
use super::setting::{BLOCK_INTERVAL_MS, QUORUM, SETTING, Setting};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use timecoin_protocol::block::{BlockPhase, BlockVote, CompactBlock, Proposal};
use timecoin_protocol::engine::{GossipTag, Input, PeerTag, Record, Response, Source, Time};
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::keys::Verified;
use timecoin_protocol::ledger::{BlockParts, build_block};
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::{Answer, Opinion, Vote};

/// Most answers that polls about the same payments take in one move.
const ANSWERS_MAX: usize = 64;
/// Longer than all timeouts of a round.
const ROUND_MS: u64 = 5_000;

pub(super) fn moves(paying: &Paying, local: &Local, heard: &BTreeSet<Message>) -> Vec<(String, Local)> {
    let mut all = Vec::new();
    let mut step = |name: String, change: &dyn Fn(&mut Local)| {
        let mut next = local.clone();
        change(&mut next);
        next.take_print();
        all.push((name, next));
    };
    for payment in (0..paying.payments()).filter(|payment| !local.arrived.contains(payment)) {
        step(format!("payment {payment} arrives"), &|next| arrive(next, payment));
    }
    if !local.asked.is_empty() {
        for payment in 0..paying.payments() {
            step(format!("polls are for payment {payment}"), &|next| answer(next, payment));
        }
    }
    for set in vote_sets(paying, local, heard) {
        step(describe(&set), &|next| hear(next, &set));
    }
    if local.crashes < paying.bounds.crashes {
        step("dies and comes back".to_owned(), &Local::restart);
    }
    if local.engine.chain_state().height.0 < paying.bounds.blocks {
        time_moves(paying, local, &mut step);
        for set in block_sets(paying, local, heard) {
            step(describe(&set), &|next| hear(next, &set));
        }
    }
    all
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

fn hear(local: &mut Local, messages: &[Message]) {
    // The clock of a node is never behind its chain.
    local.now = local.now.max(Time(local.engine.chain_state().time_ms * 1_000));
    for message in messages {
        if let Some(Input::Proposal(_, proposal)) = message.input() {
            local.proposals.insert(proposal.block.header.hash(), proposal.as_ref().clone().into_inner());
        }
    }
    local.turn(messages.iter().filter_map(Message::input).collect());
}

fn describe(messages: &[Message]) -> String {
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
    for payment in 0..paying.payments() {
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
            let counted = counted(local, epoch, phase, payment);
            let fresh: Vec<Message> = available.into_iter().filter(|vote| !counted.contains(&vote.by)).collect();
            let lacking = QUORUM.saturating_sub(counted.len());
            sets.extend(subsets(&fresh, lacking));
        }
    }
    sets
}

/// All sets of `count` of these; none if that is nothing.
fn subsets(of: &[Message], count: usize) -> Vec<Vec<Message>> {
    let all = (1_usize..1 << of.len()).filter(|set| set.count_ones() as usize == count);
    all.map(|set| {
        let chosen = of.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        chosen.map(|(_, message)| message.clone()).collect()
    })
    .collect()
}

fn byzantine_vote(paying: &Paying, epoch: u64, phase: Phase, payment: usize) -> Message {
    let txids = vec![SETTING.payments[payment].txid()];
    let batch = VoteBatch::sign(Epoch(epoch), phase, txids, &SETTING.keys[paying.byzantine], &SETTING.genesis.hash());
    Message::vote(paying.byzantine, &Vote::Finality(Arc::new(batch)))
}

/// Takes a move: what it is called, and what it does.
type Step<'a> = &'a mut dyn FnMut(String, &dyn Fn(&mut Local));

/// The next height may begin, and timeouts run out.
fn time_moves(paying: &Paying, local: &Local, step: Step<'_>) {
    let begins = Time(local.engine.chain_state().time_ms * 1_000).plus_ms(BLOCK_INTERVAL_MS);
    if local.now < begins {
        step("the next height begins".to_owned(), &|next| {
            next.now = begins;
            next.turn(vec![Input::Wake]);
        });
    } else if local.engine.gauges().round < paying.bounds.rounds {
        step("timeouts run out".to_owned(), &|next| {
            next.now = next.now.plus_ms(ROUND_MS);
            next.turn(vec![Input::Wake]);
        });
    }
}

/// What may come of the height in progress: proposals, votes of a round and phase together, seals.
fn block_sets(paying: &Paying, local: &Local, heard: &BTreeSet<Message>) -> Vec<Vec<Message>> {
    let state = local.engine.chain_state();
    let (height, epoch) = (state.height.next().0, state.epoch.0);
    let mut sets = Vec::new();
    let mut votes: BTreeMap<(u32, BlockPhase), Vec<Message>> = BTreeMap::new();
    for message in heard {
        match &message.about {
            About::Proposal(at, ..) if *at == height => sets.push(vec![message.clone()]),
            About::Block(at, round, phase, _) if *at == height => {
                votes.entry((*round, *phase)).or_default().push(message.clone());
            }
            About::Seal(at) if *at == epoch => sets.push(vec![message.clone()]),
            _ => {}
        }
    }
    for ((round, phase), votes) in votes {
        let blocks: BTreeSet<_> = local.proposals.keys().map(|hash| Some(*hash)).chain([None]).collect();
        for block in blocks {
            let (key, genesis) = (&SETTING.keys[paying.byzantine], SETTING.genesis.hash());
            let lie = BlockVote::sign(Epoch(epoch), Height(height), Round(round), phase, block, key, &genesis);
            sets.push([votes.clone(), vec![Message::vote(paying.byzantine, &Vote::Block(lie))]].concat());
        }
    }
    if local.engine.chain_state().is_sealing(&SETTING.genesis.params) {
        sets.extend(byzantine_seals(paying, epoch).map(|seal| vec![seal]));
    }
    if height == 1 {
        sets.extend(byzantine_proposals(paying, local).map(|proposal| vec![proposal]));
    }
    sets
}

/// The faulty validator lists nothing, or what may not exist.
fn byzantine_seals(paying: &Paying, epoch: u64) -> impl Iterator<Item = Message> {
    let lists = [
        Vec::new(),
        SETTING
            .payments
            .iter()
            .take(paying.payments())
            .map(timecoin_protocol::transaction::Transaction::txid)
            .collect(),
    ];
    lists.into_iter().map(move |txids| {
        let seal = Seal::sign(Epoch(epoch), txids, &SETTING.keys[paying.byzantine], &SETTING.genesis.hash());
        Message::vote(paying.byzantine, &Vote::Seal(seal))
    })
}

/// In its round the faulty validator proposes either payment, with or without a certificate.
fn byzantine_proposals(paying: &Paying, local: &Local) -> impl Iterator<Item = Message> {
    let (state, engine) = (local.engine.chain_state().clone(), local.engine.clone());
    let key = &SETTING.keys[paying.byzantine];
    let round = Round(1);
    let turn = state.validators.proposer(Height(1), round).is_some_and(|member| member.key == key.public());
    let reached = turn && paying.bounds.rounds >= round.0;
    let mut ledger = engine;
    let ledger = ledger.ledger_mut().clone();
    let proposals =
        SETTING.payments.iter().take(paying.payments()).filter(move |_| reached).filter_map(move |payment| {
            let transactions = [Arc::new(payment.clone())];
            let parts = BlockParts { parent_commit: None, transactions: &transactions, seals: &[], evidence: &[] };
            let time_ms = Setting::start().plus_ms(BLOCK_INTERVAL_MS).millis();
            let params = &SETTING.genesis.params;
            let (block, delta) = build_block(&state, params, &ledger, time_ms, key.public(), parts).ok()?;
            let compact = CompactBlock {
                header: block.header,
                parent_commit: block.parent_commit,
                coinbase: block.coinbase,
                txids: delta.txids,
                closing: block.closing,
            };
            let proposal = Proposal::sign(round, None, compact, key, &SETTING.genesis.hash());
            Some(Message::proposal(paying.byzantine, &proposal))
        });
    proposals.collect::<Vec<_>>().into_iter()
}

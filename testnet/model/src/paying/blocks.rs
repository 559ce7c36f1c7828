//! What can happen to a validator of the height in progress: time, proposals, votes of a quorum, seals.

use super::Paying;
use super::local::Local;
use super::message::{About, Message};
use super::moves::{Step, describe, hear, honest, quorums};
use super::setting::{BLOCK_INTERVAL_MS, QUORUM, SETTING, Setting};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use timecoin_protocol::block::{BlockPhase, BlockVote, CompactBlock, Proposal};
use timecoin_protocol::engine::{Input, Record, Time};
use timecoin_protocol::finality::Seal;
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::ledger::{BlockParts, build_block};
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::Vote;

/// Longer than all timeouts of a round.
const ROUND_MS: u64 = 5_000;

pub(super) fn edges(paying: &Paying, local: &Local, heard: &BTreeSet<Message>, step: Step<'_>) {
    time_moves(paying, local, step);
    let sets = if paying.bounds.rounds > 0 { all_sets(paying, local, heard) } else { sets(paying, local, heard) };
    for set in sets {
        step(describe(&set), honest(paying, &set), &|next| {
            note_quorum(next, &set);
            hear(next, &set);
        });
    }
}

/// The next height may begin, and timeouts run out.
fn time_moves(paying: &Paying, local: &Local, step: Step<'_>) {
    let begins = Time(local.engine.chain_state().time_ms * 1_000).plus_ms(BLOCK_INTERVAL_MS);
    if local.now < begins {
        step("the next height begins".to_owned(), Vec::new(), &|next| {
            next.now = begins;
            next.turn(vec![Input::Wake]);
        });
    } else if local.engine.gauges().round < paying.bounds.rounds {
        step("timeouts run out".to_owned(), Vec::new(), &|next| {
            next.now = next.now.plus_ms(ROUND_MS);
            next.turn(vec![Input::Wake]);
        });
    }
}

/// With one round: a proposal with the seals that it names, votes of a quorum for a block that is known, and, for whose turn
/// it is, seals of a quorum. Votes for nil only end waits, and are not heard.
fn sets(paying: &Paying, local: &Local, heard: &BTreeSet<Message>) -> Vec<Vec<Message>> {
    let height = local.engine.chain_state().height.next().0;
    let mut sets: Vec<Vec<Message>> =
        heard.iter().filter_map(|message| proposal_set(paying, local, heard, message)).collect();
    for block in local.proposals.keys() {
        for phase in [BlockPhase::Prevote, BlockPhase::Precommit] {
            if local.heard.quorums.contains(&(0, phase, *block)) {
                continue;
            }
            let about = About::Block(height, 0, phase, Some(*block));
            let mut votes: Vec<Message> = heard.iter().filter(|message| message.about == about).cloned().collect();
            votes.push(block_lie(paying, local, 0, phase, Some(*block)));
            let own = usize::from(has_voted(local, phase, *block));
            sets.extend(quorums(paying, &votes, QUORUM - own));
        }
    }
    let state = local.engine.chain_state();
    let own = SETTING.keys[local.own].public();
    let proposes = state.validators.proposer(state.height.next(), Round(0)).is_some_and(|member| member.key == own);
    if proposes && state.is_sealing(&SETTING.genesis.params) && local.proposals.is_empty() {
        let has = local.heard.seals.len() + usize::from(local.face.sealed(state.epoch.0));
        let fresh = |message: &Message| !local.heard.seals.contains(&message.by);
        let about = About::Seal(state.epoch.0);
        let mut seals: Vec<Message> =
            heard.iter().filter(|message| message.about == about && fresh(message)).cloned().collect();
        seals.extend(byzantine_seals(paying, state.epoch.0).filter(fresh));
        sets.extend(quorums(paying, &seals, QUORUM.saturating_sub(has).max(1)));
    }
    sets
}

/// A proposal of the height in progress, on the block that this validator has, with the seals that it names.
fn proposal_set(paying: &Paying, local: &Local, heard: &BTreeSet<Message>, message: &Message) -> Option<Vec<Message>> {
    let state = local.engine.chain_state();
    let About::Proposal(height, round, hash) = message.about else { return None };
    let other = local.past.proposals.get(&(height, round)).is_some_and(|heard| *heard != hash);
    if height != state.height.next().0 || other || local.proposals.contains_key(&hash) {
        return None;
    }
    let Some(Input::Proposal(_, proposal)) = message.input() else { return None };
    if proposal.block.header.parent != state.hash {
        return None;
    }
    let mut set = Vec::new();
    for named in &proposal.block.closing.seals {
        let by = usize::from(named.validator);
        if by == local.own {
            continue;
        }
        let lies = byzantine_seals(paying, state.epoch.0).collect::<Vec<_>>();
        let seal = heard.iter().chain(&lies).find(|said| {
            said.by == by
                && said.about == About::Seal(state.epoch.0)
                && said.seal().is_some_and(|seal| seal.list() == named.list)
        });
        set.push(seal?.clone());
    }
    set.push(message.clone());
    Some(set)
}

/// Whether it has voted for a block, before or after it died.
fn has_voted(local: &Local, phase: BlockPhase, block: BlockHash) -> bool {
    local.disk.records.iter().any(|record| match record {
        Record::BlockVote(own, _) => own.phase == phase && own.block == Some(block),
        _ => false,
    })
}

fn note_quorum(local: &mut Local, set: &[Message]) {
    for message in set {
        if let About::Block(_, round, phase, Some(block)) = message.about {
            local.heard.quorums.insert((round, phase, block));
        }
    }
}

fn block_lie(paying: &Paying, local: &Local, round: u32, phase: BlockPhase, block: Option<BlockHash>) -> Message {
    let state = local.engine.chain_state();
    let (key, genesis) = (&SETTING.keys[paying.byzantine], SETTING.genesis.hash());
    let vote = BlockVote::sign(state.epoch, state.height.next(), Round(round), phase, block, key, &genesis);
    Message::vote(paying.byzantine, &Vote::Block(vote))
}

/// With several rounds: proposals, votes of a round and phase all together, and seals one by one.
fn all_sets(paying: &Paying, local: &Local, heard: &BTreeSet<Message>) -> Vec<Vec<Message>> {
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
            sets.push([votes.clone(), vec![block_lie(paying, local, round, phase, block)]].concat());
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

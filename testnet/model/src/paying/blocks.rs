//! What can happen to a validator of the height in progress: time, proposals, votes of a quorum, seals.

use super::local::Local;
use super::message::{About, Message};
use super::moves::{Step, describe, hear, honest, quorums};
use super::setting::{BLOCK_INTERVAL_MS, QUORUM, SETTING, Setting};
use super::{Paying, signed};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use timecoin_protocol::block::{BlockPhase, CompactBlock, Proposal};
use timecoin_protocol::engine::{Input, PeerTag, Record, Time};
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::keys::Verified;
use timecoin_protocol::ledger::{BlockParts, build_block};
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::Vote;

/// Longer than all timeouts of a round.
const ROUND_MS: u64 = 5_000;

pub(super) fn edges(paying: &Paying, local: &Local, heard: &BTreeSet<Message>, step: Step<'_>) {
    time_moves(paying, local, step);
    for message in heard {
        for proposal in proposals(paying, local, message) {
            proposal_moves(paying, local, heard, (message, &proposal), step);
        }
    }
    let sets = if paying.bounds.rounds > 0 { all_sets(paying, local, heard) } else { sets(paying, local, heard) };
    for set in sets {
        step(describe(&set), honest(paying, &set), &|next| hear_votes(next, &set));
    }
    if local.engine.chain_state().height.0 == 0 {
        for proposal in byzantine_proposals(paying, local) {
            let message = Message::proposal(paying.byzantine, &proposal, &paying.kinds);
            let name = describe(std::slice::from_ref(&message));
            step(name, Vec::new(), &|next| hear_proposal(paying, next, &message, &proposal));
        }
    }
}

/// With one round, a proposal that is not prevoted at once is heard only with votes of a quorum for it.
fn proposal_moves(
    paying: &Paying,
    local: &Local,
    heard: &BTreeSet<Message>,
    (message, proposal): (&Message, &Proposal),
    step: Step<'_>,
) {
    let name = describe(std::slice::from_ref(message));
    let mut after = local.clone();
    hear_proposal(paying, &mut after, message, proposal);
    if paying.bounds.rounds > 0 || after.face.said != local.face.said {
        step(name, vec![message.clone()], &|next| hear_proposal(paying, next, message, proposal));
        return;
    }
    let block = proposal.block.header.hash();
    for phase in [BlockPhase::Prevote, BlockPhase::Precommit] {
        for set in block_quorums(paying, &after, heard, phase, block) {
            let needs = [vec![message.clone()], honest(paying, &set)].concat();
            step(format!("{name}, {}", describe(&set)), needs, &|next| {
                hear_proposal(paying, next, message, proposal);
                hear_votes(next, &set);
            });
        }
    }
}

fn hear_votes(local: &mut Local, set: &[Message]) {
    note_quorum(local, set);
    hear(local, set);
}

/// Sets of votes that make a quorum for a block with the own one, if there is one.
fn block_quorums(
    paying: &Paying,
    local: &Local,
    heard: &BTreeSet<Message>,
    phase: BlockPhase,
    block: BlockHash,
) -> Vec<Vec<Message>> {
    let kind = paying.kinds.of(block);
    if local.heard.quorums.contains(&(0, phase, kind)) {
        return Vec::new();
    }
    let about = About::Block(local.engine.chain_state().height.next().0, 0, phase, Some(kind));
    let mut votes: Vec<Message> = heard.iter().filter(|message| message.about == about).cloned().collect();
    votes.push(block_lie(paying, local, 0, phase, Some(block)));
    quorums(paying, &votes, QUORUM - usize::from(has_voted(local, phase, block)))
}

/// Hears a proposal, and the seals that it names: whoever proposes has them.
fn hear_proposal(paying: &Paying, local: &mut Local, message: &Message, proposal: &Proposal) {
    let About::Proposal(height, round, kind) = message.about else { return };
    local.past.proposals.insert((height, round), kind);
    local.proposals.insert(proposal.block.header.hash(), proposal.clone());
    let lists = [vec![], vec![0], vec![1], vec![0, 1]];
    let epoch = local.engine.chain_state().epoch;
    let mut inputs = Vec::new();
    for named in proposal.block.closing.seals.iter().filter(|named| usize::from(named.validator) != local.own) {
        let by = usize::from(named.validator);
        let seals = lists.iter().map(|list| signed::seal(by, epoch, list));
        let seal = seals.into_iter().find(|seal| seal.list() == named.list);
        inputs.extend(seal.and_then(|seal| Message::vote(by, &Vote::Seal(seal), &local.kinds).input(epoch, None)));
    }
    inputs.push(Input::Proposal(PeerTag(9), Box::new(Verified::by_own_hand(proposal.clone()))));
    local.now = local.now.max(Time(local.engine.chain_state().time_ms * 1_000));
    if !proposal.block.closing.closes() && paying.bounds.rounds == 0 {
        local.now = local.now.max(begins(local));
    }
    local.turn(inputs);
}

/// Whether it is its turn in round 0 of the height in progress.
fn proposes(local: &Local) -> bool {
    let state = local.engine.chain_state();
    let own = SETTING.keys[local.own].public();
    state.validators.proposer(state.height.next(), Round(0)).is_some_and(|member| member.key == own)
}

/// When the height in progress begins by the clock.
fn begins(local: &Local) -> Time {
    Time(local.engine.chain_state().time_ms * 1_000).plus_ms(BLOCK_INTERVAL_MS)
}

/// The next height may begin, and timeouts run out. With one round nothing can be seen of a height that begins where
/// another one proposes: it begins when its proposal is heard.
fn time_moves(paying: &Paying, local: &Local, step: Step<'_>) {
    let begins = begins(local);
    if local.now < begins {
        if paying.bounds.rounds == 0 && !proposes(local) {
            return;
        }
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
    let mut sets = Vec::new();
    for block in local.proposals.keys() {
        for phase in [BlockPhase::Prevote, BlockPhase::Precommit] {
            sets.extend(block_quorums(paying, local, heard, phase, *block));
        }
    }
    let state = local.engine.chain_state();
    if proposes(local) && state.is_sealing(&SETTING.genesis.params) && local.proposals.is_empty() {
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

/// What a proposal of the height in progress may be, on the block that this validator has, with the seal that it made: of
/// several such of one kind the first is enough.
fn proposals(paying: &Paying, local: &Local, message: &Message) -> Vec<Proposal> {
    let state = local.engine.chain_state();
    let About::Proposal(height, round, kind) = message.about else { return Vec::new() };
    let other = local.past.proposals.get(&(height, round)).is_some_and(|heard| *heard != kind);
    let known = local.proposals.values().any(|known| known.round.0 == round);
    if height != state.height.next().0 || other || known || round > paying.bounds.rounds {
        return Vec::new();
    }
    let seal = local.face.said.iter().filter(|said| said.about == About::Seal(state.epoch.0)).find_map(Message::seal);
    let mut all = paying.kinds.proposals(kind, round, local.own, seal.map(|seal| seal.list()));
    all.retain(|proposal| proposal.block.header.parent == state.hash);
    if paying.bounds.rounds == 0 {
        all.truncate(1);
    }
    all
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
    let vote = signed::block_vote(paying.byzantine, (state.epoch, state.height.next(), Round(round), phase, block));
    Message::vote(paying.byzantine, &Vote::Block(vote), &paying.kinds)
}

/// With several rounds: proposals, votes of a round and phase all together, and seals one by one.
fn all_sets(paying: &Paying, local: &Local, heard: &BTreeSet<Message>) -> Vec<Vec<Message>> {
    let state = local.engine.chain_state();
    let (height, epoch) = (state.height.next().0, state.epoch.0);
    let mut sets = Vec::new();
    let mut votes: BTreeMap<(u32, BlockPhase), Vec<Message>> = BTreeMap::new();
    for message in heard {
        match &message.about {
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
    sets
}

/// The faulty validator lists nothing, whatever it voted for, or (with noise) what may not exist.
fn byzantine_seals(paying: &Paying, epoch: u64) -> impl Iterator<Item = Message> {
    let all: Vec<usize> = (0..paying.payments()).collect();
    let lists = [Some(Vec::new()), paying.bounds.noise.then_some(all)];
    let seal = move |list: Vec<usize>| signed::seal(paying.byzantine, Epoch(epoch), &list);
    lists.into_iter().flatten().map(move |list| Message::vote(paying.byzantine, &Vote::Seal(seal(list)), &paying.kinds))
}

/// In its round the faulty validator proposes either payment, with or without a certificate.
fn byzantine_proposals(paying: &Paying, local: &Local) -> impl Iterator<Item = Proposal> {
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
            Some(Proposal::sign(round, None, compact, key, &SETTING.genesis.hash()))
        });
    proposals.collect::<Vec<_>>().into_iter()
}

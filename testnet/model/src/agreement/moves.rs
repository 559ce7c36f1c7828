//! What can happen next to one validator.
//!
//! Two things keep the number of states small, and neither hides a way to break a promise.
//!
//! *Every wait may end at any moment.* A timeout can run out whether or not have started
//! it. So there are more ways than in a real network, none less; and votes for nil, whose only use is
//! to end a wait, are not delivered at all.
//!
//! *A message that changes nothing by itself is delivered only together with those that complete what it
//! is part of*: a bundle is a smallest set of messages after which the validator votes, proposes, locks,
//! decides or changes its round. Nothing is lost in waiting, for messages can be heard at any later
//! time; each guard of R-2…R-13 reads the votes of one round and phase and one proposal, and holds of
//! more votes if it holds of fewer; so whoever did something after hearing more than a bundle also does it
//! after the bundle alone. Of the votes that make a quorum it does not matter whose they are: those that
//! are left are too few for another one, so of several bundles with the same result one is enough.

use super::local::{Face, Local, Message};
use super::{Agreeing, BYZANTINE_BLOCKS, INVALID};
use std::collections::BTreeSet;
use timecoin_protocol::bft::{Event, Step};
use timecoin_protocol::block::BlockPhase::{self, Precommit, Prevote};
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::validator::Round;

/// Most messages of one bundle: there are three others.
const BUNDLE_MAX: usize = 3;

type Moves = Vec<(String, Local)>;

/// All moves of `local`, when honest validators have said `heard`.
pub fn moves(setting: &Agreeing, local: &Local, heard: &BTreeSet<Message>) -> Moves {
    let mut moves = Vec::new();
    if local.agreement.decided().is_some() {
        return moves;
    }
    for step in [Step::Propose, Step::Prevote, Step::Precommit] {
        push_timeout(setting, local, step, &mut moves);
    }
    if local.crashes < setting.crashes {
        let mut next = local.clone();
        next.restart(&setting.validators);
        moves.push(("restarts".into(), next));
    }
    let known = known_blocks(setting, local, heard);
    let proposals = proposals(setting, local, heard, &known);
    // What matters by itself is part of no larger bundle.
    let alone = |proposal: &&Message| deliver(local, &[*proposal], &mut moves);
    let (_, waiting): (Vec<&Message>, Vec<&Message>) = proposals.iter().partition(alone);
    for round in (0..=setting.rounds).map(Round) {
        for phase in [Prevote, Precommit] {
            if phase == Prevote && round > local.agreement.round() {
                continue; // no rule reads them before that round begins
            }
            let votes = votes(setting, local, heard, &known, (round, phase));
            bundle(setting, local, &votes, &waiting, &mut moves);
        }
    }
    moves
}

/// Bundles of votes of one round and phase, and at most one proposal, the smallest first.
fn bundle(setting: &Agreeing, local: &Local, votes: &[Message], proposals: &[&Message], moves: &mut Moves) {
    let mut done: Vec<Vec<&Message>> = Vec::new();
    let mut results = Vec::new();
    let mut sets: Vec<Vec<&Message>> = votes.iter().map(|vote| vec![vote]).collect();
    for _ in 0..BUNDLE_MAX {
        let mut open = Vec::new();
        for set in sets {
            if done.iter().any(|part| is_part(part, &set)) {
                continue;
            }
            if deliver_once(local, &set, None, &mut results, moves) {
                done.push(set);
                continue;
            }
            for proposal in proposals.iter().filter(|proposal| is_about(proposal, &set)) {
                let with: Vec<&Message> = set.iter().copied().chain([*proposal]).collect();
                if !done.iter().any(|part| is_part(part, &with))
                    && deliver_once(local, &with, Some(*proposal), &mut results, moves)
                {
                    done.push(with);
                }
            }
            open.push(set);
        }
        sets = grow(setting, &open, votes);
    }
}

/// Each set with one more vote, each once. Of a voter there is one, unless votes may be repeated.
fn grow<'a>(setting: &Agreeing, sets: &[Vec<&'a Message>], votes: &'a [Message]) -> Vec<Vec<&'a Message>> {
    let mut grown = Vec::new();
    for set in sets {
        let last = set.last().copied();
        for vote in votes.iter().filter(|vote| last.is_none_or(|last| *vote >= last)) {
            if setting.noise || set.iter().all(|other| voter_of(other) != voter_of(vote)) {
                grown.push(set.iter().copied().chain([vote]).collect());
            }
        }
    }
    grown
}

const fn voter_of(message: &Message) -> Option<u16> {
    match message {
        Message::Vote { voter, .. } => Some(*voter),
        Message::Proposal { .. } => None,
    }
}

fn is_part(smaller: &[&Message], set: &[&Message]) -> bool {
    let mut left = set.to_vec();
    smaller.iter().all(|message| {
        let at = left.iter().position(|other| other == message);
        at.map(|at| left.swap_remove(at)).is_some()
    })
}

/// Whether a rule can read this proposal together with these votes.
fn is_about(proposal: &Message, votes: &[&Message]) -> bool {
    let Message::Proposal { round, block, valid_round, .. } = proposal else { return false };
    votes.iter().any(|vote| {
        matches!(vote, Message::Vote { round: voted, block: voted_for, .. }
            if voted == round || (Some(*voted) == *valid_round && *voted_for == Some(*block)))
    })
}

/// Delivers a bundle, unless one with this proposal had the same result; says whether it mattered.
fn deliver_once<'a>(
    local: &Local,
    bundle: &[&'a Message],
    proposal: Option<&'a Message>,
    results: &mut Vec<(Face, Option<&'a Message>)>,
    moves: &mut Moves,
) -> bool {
    let mut found = Vec::new();
    if !deliver(local, bundle, &mut found) {
        return false;
    }
    for (name, next) in found {
        let result = (next.face(), proposal);
        if !results.contains(&result) {
            results.push(result);
            moves.push((name, next));
        }
    }
    true
}

/// Delivers a bundle; says whether it mattered.
fn deliver(local: &Local, bundle: &[&Message], moves: &mut Moves) -> bool {
    let mut next = local.clone();
    for message in bundle {
        next.hear(message);
    }
    if next.face() == local.face() {
        return false;
    }
    let name = bundle.iter().map(|message| describe(message)).collect::<Vec<_>>().join(", ");
    moves.push((format!("hears {name}"), next));
    true
}

fn push_timeout(setting: &Agreeing, local: &Local, step: Step, moves: &mut Moves) {
    let round = local.agreement.round();
    if step == Step::Precommit && round.0 >= setting.rounds {
        return; // the bound on rounds
    }
    let mut next = local.clone();
    next.feed(Event::Timeout { round, step });
    if next.face() != local.face() {
        moves.push((format!("times out in round {round}, step {step:?}"), next));
    }
}

/// Every block that a validator can have heard of.
fn known_blocks(setting: &Agreeing, local: &Local, heard: &BTreeSet<Message>) -> BTreeSet<BlockHash> {
    let proposed = heard.iter().chain(&local.said).filter_map(|message| match message {
        Message::Proposal { block, .. } => Some(*block),
        Message::Vote { .. } => None,
    });
    let lies = BYZANTINE_BLOCKS.into_iter().filter(|_| setting.proposes_byzantine());
    proposed.chain(lies).collect()
}

/// Proposals of others. The faulty validator proposes anything that is known, with every prevote
/// that was cast as proof.
fn proposals(
    setting: &Agreeing,
    local: &Local,
    heard: &BTreeSet<Message>,
    known: &BTreeSet<BlockHash>,
) -> Vec<Message> {
    let mut all: Vec<Message> =
        heard.iter().filter(|message| matches!(message, Message::Proposal { .. })).cloned().collect();
    let own = (0..=setting.rounds).map(Round).filter(|round| setting.proposer(*round) == setting.byzantine);
    for round in own {
        for block in known.iter().copied().chain(setting.noise.then_some(INVALID)) {
            let earlier = (0..round.0).map(|earlier| Some(Round(earlier)));
            for valid_round in earlier.chain([None]) {
                let cast = |round| prevoters(local, heard, round, block);
                let mut proof: Vec<_> = valid_round.map(cast).unwrap_or_default();
                proof.push(setting.byzantine);
                proof.sort_unstable();
                all.push(Message::Proposal { round, block, valid_round, proof });
            }
        }
    }
    // A second proposal of a round changes nothing, and the first again only by its proof.
    all.retain(|proposal| match proposal {
        Message::Proposal { round, block, valid_round, .. } => {
            local.candidate(*round).is_none_or(|first| first == (*block, *valid_round) && valid_round.is_some())
        }
        Message::Vote { .. } => false,
    });
    all
}

fn prevoters(local: &Local, heard: &BTreeSet<Message>, of: Round, what: BlockHash) -> Vec<u16> {
    let cast = heard.iter().chain(&local.said).filter_map(|message| match message {
        Message::Vote { round, phase: Prevote, block, voter } if (*round, *block) == (of, Some(what)) => Some(*voter),
        _ => None,
    });
    cast.collect()
}

/// Votes of others for blocks, in one round and phase: those that were cast, and any by the faulty validator.
fn votes(
    setting: &Agreeing,
    local: &Local,
    heard: &BTreeSet<Message>,
    known: &BTreeSet<BlockHash>,
    (of, which): (Round, BlockPhase),
) -> Vec<Message> {
    let honest = heard.iter().filter(|message| {
        matches!(message, Message::Vote { round, phase, block: Some(_), .. } if (*round, *phase) == (of, which))
    });
    let voter = setting.byzantine;
    let lie = |block: &BlockHash| Message::Vote { round: of, phase: which, block: Some(*block), voter };
    let mut votes: Vec<Message> = honest.cloned().chain(known.iter().map(lie)).collect();
    // Later votes of the same voter change nothing: they come only if repetition is to be checked.
    votes.retain(|vote| setting.noise || voter_of(vote).is_none_or(|voter| !local.has_counted((of, which), voter)));
    votes.sort_unstable();
    votes
}

fn describe(message: &Message) -> String {
    let block = |block: &BlockHash| format!("block {:02x}", block.0[0]);
    match message {
        Message::Vote { round, phase, block: what, voter } => {
            let what = what.as_ref().map_or_else(|| "nil".to_owned(), block);
            format!("{phase:?} {what} of {voter} in round {round}").to_lowercase()
        }
        Message::Proposal { round, block: what, valid_round, proof } => {
            let earlier = valid_round.map(|v| format!(" again after round {v} with proof {proof:?}"));
            format!("proposal {} in round {round}{}", block(what), earlier.unwrap_or_default())
        }
    }
}

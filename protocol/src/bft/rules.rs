//! The rules that fire by themselves, as a table of pure functions from the state to a move.
//! Line numbers are those of algorithm 1 of arXiv 1807.04938.

use super::event::Step;
use super::votes::Proposed;
use super::{Agreement, Move};
use crate::mutation::{Mutation, is_broken};
use crate::validator::{Round, Weight};
use alloc::vec::Vec;

/// A guard: the move to make if the rule may fire.
pub(super) type Rule = fn(&Agreement) -> Option<Move>;

/// In the order in which they are tried. Locking comes before the timeouts of the same step, so
/// that a validator with everything it needs schedules nothing.
pub(super) const RULES: [Rule; 8] = [
    decide,
    skip_rounds,
    prevote_new,
    prevote_again,
    lock_or_remember,
    precommit_nil,
    await_prevotes,
    await_precommits,
];

/// R-3, line 22: a new block. Unlike the paper, a valid block that this validator may not accept
/// yet is waited for until the propose timeout.
fn prevote_new(agreement: &Agreement) -> Option<Move> {
    let proposal = awaited_proposal(agreement).filter(|proposal| proposal.valid_round.is_none())?;
    match agreement.locks.locked {
        _ if !proposal.valid && !is_broken(Mutation::PrevoteInvalid) => Some(Move::Prevote(None)),
        Some(_) if is_broken(Mutation::PrevoteAgainstLock) => Some(Move::Prevote(Some(proposal.block))),
        Some((_, locked)) => Some(Move::Prevote((locked == proposal.block).then_some(locked))),
        None => proposal.acceptable.then_some(Move::Prevote(Some(proposal.block))),
    }
}

/// R-4, line 28: a block that a quorum prevoted in an earlier round. An invalid one is refused
/// without waiting for the proof of that quorum.
fn prevote_again(agreement: &Agreement) -> Option<Move> {
    let proposal = awaited_proposal(agreement)?;
    let valid_round = proposal.valid_round?;
    if !proposal.valid {
        return Some(Move::Prevote(None));
    }
    if !agreement.has_prevote_quorum(valid_round, &proposal.block) && !is_broken(Mutation::ReproposalWithoutQuorum) {
        return None;
    }
    let free = agreement.locks.locked.is_none_or(|(round, block)| round <= valid_round || block == proposal.block)
        || is_broken(Mutation::OlderRoundUnlocks);
    Some(Move::Prevote(free.then_some(proposal.block)))
}

fn awaited_proposal(agreement: &Agreement) -> Option<&Proposed> {
    (agreement.step == Step::Propose).then(|| agreement.log()?.proposal()).flatten()
}

/// R-5, line 34: a quorum prevoted, but not for one thing.
fn await_prevotes(agreement: &Agreement) -> Option<Move> {
    let due = agreement.step == Step::Prevote && !agreement.scheduled.prevote;
    (due && agreement.log()?.has_prevotes(&agreement.validators)).then_some(Move::AwaitPrevotes)
}

/// R-6, line 36: a quorum prevoted this round's proposal, which is known and valid.
fn lock_or_remember(agreement: &Agreement) -> Option<Move> {
    let block = agreement.log()?.proposal().filter(|proposal| proposal.valid)?.block;
    if !agreement.has_prevote_quorum(agreement.round, &block) && !is_broken(Mutation::PrecommitWithoutQuorum) {
        return None;
    }
    match agreement.step {
        Step::Propose => None,
        Step::Prevote => Some(Move::Lock(block)),
        Step::Precommit => (agreement.locks.valid != Some((agreement.round, block))).then_some(Move::Remember(block)),
    }
}

/// R-7, line 44: a quorum prevoted nil.
fn precommit_nil(agreement: &Agreement) -> Option<Move> {
    let nil = agreement.log()?.prevotes().weight_of(None);
    (agreement.step == Step::Prevote && agreement.validators.is_quorum(nil)).then_some(Move::Precommit(None))
}

/// R-8, line 47: a quorum precommitted, but not one block.
fn await_precommits(agreement: &Agreement) -> Option<Move> {
    let total = agreement.log()?.precommits().total();
    (!agreement.scheduled.precommit && agreement.validators.is_quorum(total)).then_some(Move::AwaitPrecommits)
}

/// R-10, line 49: a quorum precommitted a block in any round. The proposal need not be known:
/// an honest validator of that quorum checked it, and the block can be fetched by its hash.
fn decide(agreement: &Agreement) -> Option<Move> {
    agreement.rounds.iter().find_map(|(round, log)| {
        let block = log.precommits().quorum_block(&agreement.validators)?;
        Some(Move::Decide(*round, block))
    })
}

/// R-11, line 55: the highest round that somebody honest has reached.
fn skip_rounds(agreement: &Agreement) -> Option<Move> {
    let ahead = agreement.latest.iter().filter(|(_, round)| **round > agreement.round);
    let mut ahead: Vec<_> = ahead.map(|(voter, round)| (*round, agreement.weight_at(*voter))).collect();
    ahead.sort_unstable_by_key(|(round, _)| core::cmp::Reverse(*round));
    let mut sum = 0_u64;
    for (round, weight) in ahead {
        sum = sum.saturating_add(weight.0);
        if agreement.validators.has_honest(Weight(sum)) {
            return Some(Move::StartRound(round));
        }
    }
    None
}

/// R-12 (line 57), R-13 (line 61 and line 65): what a timeout does, if it is still of this round
/// and step.
pub(super) fn timeout(agreement: &Agreement, round: Round, step: Step) -> Option<Move> {
    match step {
        _ if round != agreement.round => None,
        Step::Propose => (agreement.step == Step::Propose).then_some(Move::Prevote(None)),
        Step::Prevote => (agreement.step == Step::Prevote).then_some(Move::Precommit(None)),
        Step::Precommit => Some(Move::StartRound(round.next())),
    }
}

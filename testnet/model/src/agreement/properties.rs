//! What must hold of block agreement, and what must be possible.

use super::{Agreeing, Local, is_valid};
use crate::product::{Product, State};
use stateright::Property;
use std::sync::Arc;
use timecoin_protocol::block::BlockPhase::{self, Precommit, Prevote};
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::validator::Round;

type Network = Product<Agreeing>;

pub(super) fn all() -> Vec<Property<Network>> {
    vec![
        Property::always("no two validators decide different blocks (R-18)", agreement),
        Property::always("nobody votes or proposes twice (R-9)", nobody_contradicts_itself),
        Property::always("no honest vote is for an invalid block (R-3, R-4)", only_valid_blocks),
        Property::always("a precommit rests on a quorum of prevotes (R-6)", precommits_rest_on_prevotes),
        Property::always("a decision rests on a quorum of precommits (R-10)", decisions_rest_on_precommits),
        Property::always("who precommits a block is locked on it (R-6, R-9)", precommits_lock),
        Property::always("a lock yields only to a later quorum of prevotes (R-3, R-4)", locks_hold),
        Property::sometimes("decided in round 0", |network, state| decided(network, state, 0)),
        Property::sometimes("decided in round 1", |network, state| decided(network, state, 1)),
        Property::sometimes("all decide", all_decide),
        Property::sometimes("a block is proposed again and decided", reproposal_decided),
        Property::sometimes("a lock refuses another block", lock_refuses),
        Property::sometimes("one that restarted decides", restarted_decides),
        Property::sometimes("validators are in different rounds", apart),
        Property::sometimes("one is locked on what others gave up", locked_alone),
    ]
}

fn decisions(locals: &[Arc<Local>]) -> impl Iterator<Item = (&Local, Round, BlockHash)> {
    locals.iter().filter_map(|local| local.agreement.decided().map(|(round, block)| (local.as_ref(), round, block)))
}

fn agreement(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    let mut blocks = decisions(&locals).map(|(_, _, block)| block);
    let first = blocks.next();
    blocks.all(|block| Some(block) == first)
}

fn nobody_contradicts_itself(network: &Network, state: &State) -> bool {
    network.locals(state).iter().all(|local| local.misdeeds.is_empty())
}

fn only_valid_blocks(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    locals.iter().all(|local| local.all_votes().all(|(_, _, block)| block.is_none_or(is_valid)))
}

/// Whether honest validators who voted so, with the faulty one, are a quorum.
fn can_be_quorum(network: &Network, locals: &[Arc<Local>], of: (Round, BlockPhase), block: BlockHash) -> bool {
    let host = network.host();
    let voted = |local: &&Arc<Local>| local.votes(of).any(|vote| vote == Some(block));
    let honest: u64 = locals.iter().filter(voted).map(|local| host.weight(local.own)).sum();
    let weight = honest + host.weight(host.byzantine);
    weight * 3 > host.validators.total().0 * 2
}

fn precommits_rest_on_prevotes(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    let mut votes = locals.iter().flat_map(|local| local.all_votes());
    votes.all(|(round, phase, block)| match (phase, block) {
        (Precommit, Some(block)) => can_be_quorum(network, &locals, (*round, Prevote), *block),
        _ => true,
    })
}

fn decisions_rest_on_precommits(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    decisions(&locals).all(|(_, round, block)| can_be_quorum(network, &locals, (round, Precommit), block))
}

/// Its last precommitted block is what it is locked on.
fn precommits_lock(network: &Network, state: &State) -> bool {
    network.locals(state).iter().all(|local| {
        let last = local.all_votes().filter_map(|(round, phase, block)| match phase {
            Precommit => block.map(|block| (*round, block)),
            Prevote => None,
        });
        last.max_by_key(|(round, _)| *round).is_none_or(|last| local.agreement.locks().locked == Some(last))
    })
}

/// Who precommitted a block in a round prevotes another one above it only if a quorum of prevotes for that
/// one is possible in between.
fn locks_hold(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    locals.iter().all(|local| {
        let prevotes = local.all_votes().filter(|(_, phase, _)| *phase == Prevote);
        let mut prevotes = prevotes.filter_map(|(round, _, block)| Some((*round, (*block)?)));
        prevotes.all(|(above, block)| {
            let locks = local.all_votes().filter(|(round, phase, _)| *phase == Precommit && *round < above);
            let last = locks.filter_map(|(round, _, block)| Some((*round, (*block)?))).max_by_key(|lock| lock.0);
            let Some((below, _)) = last.filter(|(_, locked)| *locked != block) else { return true };
            (below.0..above.0).any(|between| can_be_quorum(network, &locals, (Round(between), Prevote), block))
        })
    })
}

fn decided(network: &Network, state: &State, round: u32) -> bool {
    decisions(&network.locals(state)).any(|(_, decided, _)| decided == Round(round))
}

fn all_decide(network: &Network, state: &State) -> bool {
    network.locals(state).iter().all(|local| local.agreement.decided().is_some())
}

/// Decided in a round after the first in which it was prevoted.
fn reproposal_decided(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    decisions(&locals).any(|(local, round, block)| {
        local.all_votes().any(|(earlier, phase, voted)| *earlier < round && *phase == Prevote && *voted == Some(block))
    })
}

/// Precommitted a block, and prevotes nil in a later round in which it did not time out.
fn lock_refuses(network: &Network, state: &State) -> bool {
    network.locals(state).iter().any(|local| {
        let Some((locked, _)) = local.agreement.locks().locked else { return false };
        local.all_votes().any(|(round, phase, block)| *round > locked && *phase == Prevote && block.is_none())
    })
}

fn restarted_decides(network: &Network, state: &State) -> bool {
    decisions(&network.locals(state)).any(|(local, ..)| local.crashes > 0)
}

fn apart(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    let rounds: Vec<_> = locals.iter().map(|local| local.agreement.round()).collect();
    rounds.iter().any(|round| Some(round) != rounds.first())
}

fn locked_alone(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    let is_locked = |local: &&Arc<Local>| local.agreement.locks().locked.is_some();
    locals.iter().filter(is_locked).count() == 1 && locals.iter().all(|local| local.agreement.round() > Round(0))
}

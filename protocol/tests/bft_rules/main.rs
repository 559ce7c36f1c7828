//! Block agreement rule by rule (`SPEC.md` R-*): one validator among four, whose peers are played
//! by the test. It proposes in round 3; a quorum is 3 votes, one honest validator is among 2.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../bft_support/mod.rs"]
mod bft_support;
mod counting;
mod restart;
mod voting;

use bft_support::{HEIGHT, proposer, validators};
use timecoin_protocol::bft::{Action, Agreement, Event, Locks, Step};
use timecoin_protocol::block::BlockPhase::{self, Precommit, Prevote};
use timecoin_protocol::bounds::ROUNDS_AHEAD_MAX;
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::validator::{Round, ValidatorIndex};

const A: BlockHash = BlockHash([0xa; 32]);
const B: BlockHash = BlockHash([0xb; 32]);
const R0: Round = Round(0);
const R1: Round = Round(1);
const R2: Round = Round(2);
const R3: Round = Round(3);

fn own() -> ValidatorIndex {
    proposer(&validators(4), R3)
}

fn peer(n: u32) -> ValidatorIndex {
    proposer(&validators(4), Round(n))
}

fn started() -> Agreement {
    let mut agreement = Agreement::new(HEIGHT, validators(4), Some(own()));
    assert_eq!(agreement.step(Event::Start), [schedule(R0, Step::Propose)]);
    agreement
}

fn resumed(round: Round, locks: Locks) -> Agreement {
    Agreement::resume(HEIGHT, validators(4), Some(own()), round, locks)
}

/// Locked on `block` in round 0, and now at the start of round 1.
fn locked_on(block: BlockHash) -> Agreement {
    let mut agreement = started();
    let _ = agreement.step(proposal(R0, block));
    let _ = hear(&mut agreement, R0, Prevote, Some(block), 0..2);
    let _ = agreement.step(timeout(R0, Step::Precommit));
    assert_eq!(agreement.locks(), Locks { locked: Some((R0, block)), valid: Some((R0, block)) });
    agreement
}

fn hear(
    agreement: &mut Agreement,
    round: Round,
    phase: BlockPhase,
    block: Option<BlockHash>,
    peers: std::ops::Range<u32>,
) -> Vec<Action> {
    peers.flat_map(|n| agreement.step(Event::Vote { round, phase, block, voter: peer(n) })).collect()
}

const fn proposal(round: Round, block: BlockHash) -> Event {
    Event::Proposal { round, block, valid_round: None, valid: true, acceptable: true }
}

const fn unacceptable(round: Round, block: BlockHash) -> Event {
    Event::Proposal { round, block, valid_round: None, valid: true, acceptable: false }
}

const fn again(round: Round, block: BlockHash, valid_round: Round) -> Event {
    Event::Proposal { round, block, valid_round: Some(valid_round), valid: true, acceptable: false }
}

const fn timeout(round: Round, step: Step) -> Event {
    Event::Timeout { round, step }
}

const fn schedule(round: Round, step: Step) -> Action {
    Action::Schedule { round, step }
}

/// What leaves first when a round begins and nothing was said in `below`, and `then`.
fn left(below: Round, then: &[Action]) -> Vec<Action> {
    [&[cast(below, Prevote, None), cast(below, Precommit, None)], then].concat()
}

const fn cast(round: Round, phase: BlockPhase, block: Option<BlockHash>) -> Action {
    Action::Vote { round, phase, block }
}

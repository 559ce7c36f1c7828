//! Contradictions within a round of block agreement (`SPEC.md` ).

use super::super::proposal::proposal_digest;
use super::super::{BlockPhase, BlockVote, Proposal};
use super::{EvidenceError, check_order, ordered};
use crate::codec::{Decode, Encode};
use crate::hash::{BlockHash, GenesisHash};
use crate::keys::{PublicKey, Signature, SignatureCheck, Signed};
use crate::validator::{Epoch, Height, Round};
use alloc::vec::Vec;

/// Two votes of one voter, epoch, height, round and phase for different blocks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TwoBlockVotes {
    /// Who voted twice.
    pub voter: PublicKey,
    /// Epoch of both.
    pub epoch: Epoch,
    /// Height of both.
    pub height: Height,
    /// Round of both.
    pub round: Round,
    /// Phase of both.
    pub phase: BlockPhase,
    /// What the two say, in ascending order of `block`; none comes first.
    pub sides: [VoteSide; 2],
}

/// One of two block votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct VoteSide {
    /// The block, or none.
    pub block: Option<BlockHash>,
    /// Signature of the vote.
    pub signature: Signature,
}

impl TwoBlockVotes {
    /// The evidence that two votes make, if they contradict each other.
    #[must_use]
    pub fn of(one: &BlockVote, other: &BlockVote) -> Option<Self> {
        let place = |vote: &BlockVote| (vote.voter, vote.epoch, vote.height, vote.round, vote.phase);
        if place(one) != place(other) {
            return None;
        }
        let side = |vote: &BlockVote| VoteSide { block: vote.block, signature: vote.signature };
        let sides = ordered(side(one), side(other), |side| side.block)?;
        let BlockVote { voter, epoch, height, round, phase, .. } = *one;
        Some(Self { voter, epoch, height, round, phase, sides })
    }

    pub(super) fn check(&self) -> Result<(), EvidenceError> {
        check_order(&self.sides, |side| side.block)
    }
}

impl Signed for TwoBlockVotes {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        let Self { voter, epoch, height, round, phase, .. } = *self;
        for VoteSide { block, signature } in self.sides {
            BlockVote { epoch, height, round, phase, block, voter, signature }.signature_checks(genesis, checks);
        }
    }
}

/// Two proposals of one proposer, epoch, height and round with different blocks or valid rounds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TwoProposals {
    /// Who proposed twice.
    pub proposer: PublicKey,
    /// Epoch of both.
    pub epoch: Epoch,
    /// Height of both.
    pub height: Height,
    /// Round of both.
    pub round: Round,
    /// What the two say, in ascending order of `valid_round`, then `block`; no valid round comes first.
    pub sides: [ProposalSide; 2],
}

/// One of two proposals: what its signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProposalSide {
    /// The earlier round in which a quorum prevoted the block, if the proposer says so.
    pub valid_round: Option<Round>,
    /// The block.
    pub block: BlockHash,
    /// Signature of the proposal.
    pub signature: Signature,
}

impl TwoProposals {
    /// The evidence that two proposals make, if they contradict each other. Proofs are not signed by the
    /// proposer and do not count.
    #[must_use]
    pub fn of(one: &Proposal, other: &Proposal) -> Option<Self> {
        let place = |proposal: &Proposal| {
            let header = &proposal.block.header;
            (proposal.proposer, header.epoch, header.height, proposal.round)
        };
        if place(one) != place(other) {
            return None;
        }
        let side = |proposal: &Proposal| ProposalSide {
            valid_round: proposal.valid_round,
            block: proposal.block.header.hash(),
            signature: proposal.signature,
        };
        let sides = ordered(side(one), side(other), Self::says)?;
        let (proposer, epoch, height, round) = place(one);
        Some(Self { proposer, epoch, height, round, sides })
    }

    const fn says(side: &ProposalSide) -> (Option<Round>, BlockHash) {
        (side.valid_round, side.block)
    }

    pub(super) fn check(&self) -> Result<(), EvidenceError> {
        check_order(&self.sides, Self::says)
    }
}

impl Signed for TwoProposals {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        for side in &self.sides {
            let place = (self.epoch, self.height, self.round);
            let digest = proposal_digest(place, side.valid_round, side.block, genesis);
            checks.push(SignatureCheck { key: self.proposer, digest, signature: side.signature });
        }
    }
}

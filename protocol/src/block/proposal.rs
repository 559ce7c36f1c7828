//! Proposals (`SPEC.md` B-2).

use super::{CommitSignature, CompactBlock};
use crate::codec::{Decode, Encode};
use crate::hash::{BlockHash, Domain, GenesisHash, signing_digest};
use crate::keys::{PublicKey, SecretKey, Signature, SignatureCheck, Signed};
use crate::validator::{Epoch, Height, Round};
use alloc::vec::Vec;

/// What the signature of a [`Proposal`] covers (B-2).
#[derive(Clone, Copy, Debug, Encode)]
struct SignedProposal {
    epoch: Epoch,
    height: Height,
    round: Round,
    valid_round: Option<Round>,
    block: BlockHash,
}

/// A signed proposal of a block for one round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Proposal {
    /// Round it is for; the height is the block's.
    pub round: Round,
    /// The earlier round in which a quorum prevoted this block, if it is a re-proposal.
    pub valid_round: Option<Round>,
    /// Prevotes of a quorum for this block in `valid_round`, sorted by validator; empty without
    /// one. The proposer's signature does not cover them: each stands for itself.
    pub proof: Vec<CommitSignature>,
    /// The block.
    pub block: CompactBlock,
    /// Who proposes in this round; differs from the header's proposer in a re-proposal.
    pub proposer: PublicKey,
    /// Signature of that proposer.
    pub signature: Signature,
}

impl Proposal {
    /// Signs a proposal of a block: a new one, or one that a quorum prevoted in an earlier round,
    /// with the prevotes that prove it.
    #[must_use]
    pub fn sign(
        round: Round,
        valid: Option<(Round, Vec<CommitSignature>)>,
        block: CompactBlock,
        key: &SecretKey,
        genesis: &GenesisHash,
    ) -> Self {
        let (valid_round, proof) = valid.map_or((None, Vec::new()), |(round, proof)| (Some(round), proof));
        let mut proposal =
            Self { round, valid_round, proof, block, proposer: key.public(), signature: Signature([0; 64]) };
        proposal.signature = key.sign(&proposal.digest(genesis));
        proposal
    }

    fn digest(&self, genesis: &GenesisHash) -> [u8; 32] {
        let header = &self.block.header;
        proposal_digest((header.epoch, header.height, self.round), self.valid_round, header.hash(), genesis)
    }
}

/// What is signed for a proposal, of which only these parts are known.
pub(super) fn proposal_digest(
    (epoch, height, round): (Epoch, Height, Round),
    valid_round: Option<Round>,
    block: BlockHash,
    genesis: &GenesisHash,
) -> [u8; 32] {
    signing_digest(Domain::Proposal, genesis, &SignedProposal { epoch, height, round, valid_round, block })
}

impl Signed for Proposal {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        checks.push(SignatureCheck { key: self.proposer, digest: self.digest(genesis), signature: self.signature });
    }
}

//! Prevotes and precommits (`SPEC.md` B-3).

use crate::codec::{Decode, Encode};
use crate::hash::{BlockHash, Domain, GenesisHash, signing_digest};
use crate::keys::{PublicKey, SecretKey, Signature, SignatureCheck, Signed};
use crate::validator::{Epoch, Height, Round};
use alloc::vec::Vec;

/// The two vote phases of a round.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum BlockPhase {
    /// "This proposal is acceptable to me."
    Prevote,
    /// "A quorum prevoted this."
    Precommit,
}

/// What the signature of a [`BlockVote`] covers.
#[derive(Clone, Copy, Debug, Encode)]
pub(super) struct SignedBlockVote {
    pub(super) epoch: Epoch,
    pub(super) height: Height,
    pub(super) round: Round,
    pub(super) phase: BlockPhase,
    pub(super) block: Option<BlockHash>,
}

/// A signed prevote or precommit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BlockVote {
    /// Epoch of the height.
    pub epoch: Epoch,
    /// Height voted on.
    pub height: Height,
    /// Round voted in.
    pub round: Round,
    /// Which vote.
    pub phase: BlockPhase,
    /// The block, or none ("nil").
    pub block: Option<BlockHash>,
    /// Who votes.
    pub voter: PublicKey,
    /// Its signature.
    pub signature: Signature,
}

impl BlockVote {
    /// Signs a vote.
    #[must_use]
    pub fn sign(
        epoch: Epoch,
        height: Height,
        round: Round,
        phase: BlockPhase,
        block: Option<BlockHash>,
        key: &SecretKey,
        genesis: &GenesisHash,
    ) -> Self {
        let digest =
            signing_digest(Domain::BlockVote, genesis, &SignedBlockVote { epoch, height, round, phase, block });
        Self { epoch, height, round, phase, block, voter: key.public(), signature: key.sign(&digest) }
    }
}

impl Signed for BlockVote {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        let signed = SignedBlockVote {
            epoch: self.epoch,
            height: self.height,
            round: self.round,
            phase: self.phase,
            block: self.block,
        };
        let digest = signing_digest(Domain::BlockVote, genesis, &signed);
        checks.push(SignatureCheck { key: self.voter, digest, signature: self.signature });
    }
}

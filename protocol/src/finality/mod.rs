//! Finality votes and certificates (`SPEC.md` F-1…F-6): two signed phases that turn a preference
//! into something nobody can undo; and seals, by which a validator ends its votes in an epoch (E-4).

mod certificate;
mod seal;
mod tally;

pub use certificate::{Certificate, CertificateError, CertificateVote};
pub use seal::Seal;
pub(crate) use seal::seal_check;
pub use tally::{Certified, Tally};

use crate::bounds::VOTES_PER_BATCH_MAX;
use crate::codec::{Decode, Encode};
use crate::hash::{Domain, GenesisHash, MerkleRoot, Txid, merkle_path, merkle_root, signing_digest};
use crate::keys::{PublicKey, SecretKey, Signature, SignatureCheck, Signed};
use crate::validator::Epoch;
use alloc::vec::Vec;

/// The two phases of finality (F-1).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// "I locked every input to this transaction."
    Prepare,
    /// "I hold a prepare certificate of this transaction."
    Commit,
}

/// What the signature of a [`VoteBatch`] covers (F-2); no vote counts in another epoch (E-2).
#[derive(Clone, Copy, Debug, Encode)]
struct SignedVote {
    epoch: Epoch,
    phase: Phase,
    root: MerkleRoot,
}

/// What is signed for a batch of votes, of which only the Merkle root is known.
pub(crate) fn vote_digest(genesis: &GenesisHash, epoch: Epoch, phase: Phase, root: MerkleRoot) -> [u8; 32] {
    signing_digest(Domain::FinalityVote, genesis, &SignedVote { epoch, phase, root })
}

/// One validator's votes for many transactions under one signature (F-2).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct VoteBatch {
    /// Epoch of the vote.
    pub epoch: Epoch,
    /// Phase of the vote.
    pub phase: Phase,
    /// Who votes.
    pub voter: PublicKey,
    /// What for: 1 to [`VOTES_PER_BATCH_MAX`] transactions.
    pub txids: Vec<Txid>,
    /// Signature over epoch, phase and the Merkle root of `txids`.
    pub signature: Signature,
}

impl VoteBatch {
    /// Signs votes for `txids`.
    #[must_use]
    pub fn sign(epoch: Epoch, phase: Phase, txids: Vec<Txid>, key: &SecretKey, genesis: &GenesisHash) -> Self {
        let digest = vote_digest(genesis, epoch, phase, merkle_root(&txids));
        Self { epoch, phase, voter: key.public(), txids, signature: key.sign(&digest) }
    }

    /// Whether the number of votes is within F-2.
    #[must_use]
    pub const fn has_valid_size(&self) -> bool {
        !self.txids.is_empty() && self.txids.len() <= VOTES_PER_BATCH_MAX
    }

    /// The vote for `txid` alone, with the Merkle path that ties it to the signature (F-5).
    #[must_use]
    pub fn cut_out(&self, txid: &Txid) -> Option<CertificateVote> {
        let index = self.txids.iter().position(|other| other == txid)?;
        Some(CertificateVote { voter: self.voter, path: merkle_path(&self.txids, index)?, signature: self.signature })
    }
}

impl Signed for VoteBatch {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        let digest = vote_digest(genesis, self.epoch, self.phase, merkle_root(&self.txids));
        checks.push(SignatureCheck { key: self.voter, digest, signature: self.signature });
    }
}

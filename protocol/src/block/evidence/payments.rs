//! Contradictions among finality votes and seals (`SPEC.md` X-1, F-1, F-7, E-4).

use super::{EvidenceError, check_order, ordered};
use crate::bounds::{INPUTS_MAX, TRANSACTION_BYTES_MAX, VOTES_PER_BATCH_MAX};
use crate::codec::{Decode, Encode, encoded_len};
use crate::finality::{CertificateVote, Phase, Seal, VoteBatch, seal_check, vote_digest};
use crate::hash::{GenesisHash, Hash, MerklePath, MerkleRoot};
use crate::keys::{PublicKey, Signature, SignatureCheck, Signed};
use crate::transaction::{OutPoint, TransactionBody};
use crate::validator::Epoch;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Two votes of one voter, epoch and phase for two transactions that spend an output together.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TwoPayments {
    /// Who voted for both.
    pub voter: PublicKey,
    /// Epoch of both.
    pub epoch: Epoch,
    /// Phase of both.
    pub phase: Phase,
    /// The two, in ascending order of the txid.
    pub sides: [PaymentSide; 2],
}

/// One of two votes: cut out of its batch, with what was voted for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PaymentSide {
    /// What was voted for; its hash is the txid. The witnesses do not matter: nobody may vote for both.
    pub body: TransactionBody,
    /// From the txid to the root that was signed.
    pub path: MerklePath,
    /// Signature of the batch.
    pub signature: Signature,
}

impl PaymentSide {
    fn of(batch: &VoteBatch, body: &TransactionBody) -> Option<Self> {
        let CertificateVote { path, signature, .. } = batch.cut_out(&body.txid())?;
        Some(Self { body: body.clone(), path, signature })
    }

    fn check(&self, at: usize) -> Result<(), EvidenceError> {
        if encoded_len(&self.body) > TRANSACTION_BYTES_MAX || self.body.inputs.len() > INPUTS_MAX {
            return Err(EvidenceError::TooLong(at));
        }
        let leaves = usize::try_from(self.path.leaves).unwrap_or(usize::MAX);
        let fits = leaves <= VOTES_PER_BATCH_MAX && self.path.root(&self.body.txid()).is_some();
        if fits { Ok(()) } else { Err(EvidenceError::Path(at)) }
    }
}

impl TwoPayments {
    /// The evidence that two batches make, if each covers its transaction and the two contradict each other.
    #[must_use]
    pub fn of(one: (&VoteBatch, &TransactionBody), other: (&VoteBatch, &TransactionBody)) -> Option<Self> {
        let place = |(batch, _): &(&VoteBatch, &TransactionBody)| (batch.voter, batch.epoch, batch.phase);
        if place(&one) != place(&other) {
            return None;
        }
        let side = |(batch, body): (&VoteBatch, &TransactionBody)| PaymentSide::of(batch, body);
        let sides = ordered(side(one)?, side(other)?, |side| side.body.txid())?;
        let (voter, epoch, phase) = place(&one);
        let evidence = Self { voter, epoch, phase, sides };
        evidence.check().is_ok().then_some(evidence)
    }

    pub(super) fn check(&self) -> Result<(), EvidenceError> {
        for (at, side) in self.sides.iter().enumerate() {
            side.check(at)?;
        }
        check_order(&self.sides, |side| side.body.txid())?;
        let [left, right] = &self.sides;
        let spent: BTreeSet<&OutPoint> = left.body.inputs.iter().collect();
        let common = right.body.inputs.iter().any(|input| spent.contains(input));
        if common { Ok(()) } else { Err(EvidenceError::NoCommonInput) }
    }
}

impl Signed for TwoPayments {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        for side in &self.sides {
            // A path that leads nowhere is refused by its form; nobody signs the root of no votes (F-2).
            let root = side.path.root(&side.body.txid()).unwrap_or(MerkleRoot([0; 32]));
            let digest = vote_digest(genesis, self.epoch, self.phase, root);
            checks.push(SignatureCheck { key: self.voter, digest, signature: side.signature });
        }
    }
}

/// Two seals of one voter and epoch with different lists.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TwoSeals {
    /// Who sealed twice.
    pub voter: PublicKey,
    /// The epoch.
    pub epoch: Epoch,
    /// Hash of the list and signature of each, in ascending order of the hash.
    pub sides: [(Hash, Signature); 2],
}

impl TwoSeals {
    /// The evidence that two seals make, if they contradict each other.
    #[must_use]
    pub fn of(one: &Seal, other: &Seal) -> Option<Self> {
        if (one.voter, one.epoch) != (other.voter, other.epoch) {
            return None;
        }
        let side = |seal: &Seal| (seal.list(), seal.signature);
        Self::of_lists(one.voter, one.epoch, side(one), side(other))
    }

    /// Likewise, of seals of which only the hashes of the lists are at hand.
    #[must_use]
    pub fn of_lists(voter: PublicKey, epoch: Epoch, one: (Hash, Signature), other: (Hash, Signature)) -> Option<Self> {
        Some(Self { voter, epoch, sides: ordered(one, other, |side| side.0)? })
    }

    pub(super) fn check(&self) -> Result<(), EvidenceError> {
        check_order(&self.sides, |side| side.0)
    }
}

impl Signed for TwoSeals {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        for (list, signature) in self.sides {
            checks.push(seal_check(self.epoch, list, self.voter, signature, genesis));
        }
    }
}

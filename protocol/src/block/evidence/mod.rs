//! Proof that a validator signed two messages that contradict each other (`SPEC.md` ).
//!
//! Evidence stands for itself: whoever knows the network's genesis hash can check it, whatever else
//! they know. What no honest validator signs, and why, is X-2.

mod payments;
mod rounds;

pub use payments::{PaymentSide, TwoPayments, TwoSeals};
pub use rounds::{ProposalSide, TwoBlockVotes, TwoProposals, VoteSide};

use super::BlockPhase;
use crate::codec::{Decode, Encode, encoded_len};
use crate::finality::Phase;
use crate::hash::GenesisHash;
use crate::keys::{PublicKey, SignatureCheck, Signed, verify};
use crate::validator::Epoch;
use alloc::vec::Vec;
use core::fmt;

/// Two signed messages of one validator that contradict each other. The sides are in ascending
/// order, so that a pair of messages has one encoding.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Evidence {
    /// Two prevotes or two precommits of one round.
    BlockVotes(TwoBlockVotes),
    /// Two proposals of one round.
    Proposals(TwoProposals),
    /// Two Prepare or two Commit votes of one epoch for payments that spend an output together.
    Payments(TwoPayments),
    /// Two seals of one epoch.
    Seals(TwoSeals),
}

/// What a validator did twice.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// Prevoted two blocks in one round, or one and none.
    DoublePrevote,
    /// Precommitted two blocks in one round, or one and none.
    DoublePrecommit,
    /// Proposed twice in one round.
    DoubleProposal,
    /// Prepared two payments of one output.
    DoublePrepare,
    /// Committed two payments of one output.
    DoubleCommit,
    /// Sealed an epoch twice.
    DoubleSeal,
}

impl EvidenceKind {
    /// The word for it, for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DoublePrevote => "double_prevote",
            Self::DoublePrecommit => "double_precommit",
            Self::DoubleProposal => "double_proposal",
            Self::DoublePrepare => "double_prepare",
            Self::DoubleCommit => "double_commit",
            Self::DoubleSeal => "double_seal",
        }
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One of the two messages, counted from 0.
pub type Side = usize;

/// Why evidence proves nothing. Whoever sent it is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The sides say the same, or are not in ascending order.
    #[error("the two sides are not in order, or they say the same")]
    Order,
    /// A payment is larger than any that could be voted for.
    #[error("payment {0} is larger than a transaction can be")]
    TooLong(Side),
    /// The payments have no input in common.
    #[error("the two payments spend no output together")]
    NoCommonInput,
    /// A Merkle path does not fit a batch of votes.
    #[error("the path of vote {0} has an impossible shape")]
    Path(Side),
    /// A signature is invalid.
    #[error("signature {0} is invalid")]
    Signature(Side),
}

impl Evidence {
    /// Who signed both.
    #[must_use]
    pub const fn offender(&self) -> PublicKey {
        match self {
            Self::BlockVotes(votes) => votes.voter,
            Self::Proposals(proposals) => proposals.proposer,
            Self::Payments(payments) => payments.voter,
            Self::Seals(seals) => seals.voter,
        }
    }

    /// The epoch that both messages name.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        match self {
            Self::BlockVotes(votes) => votes.epoch,
            Self::Proposals(proposals) => proposals.epoch,
            Self::Payments(payments) => payments.epoch,
            Self::Seals(seals) => seals.epoch,
        }
    }

    /// What the offender did twice.
    #[must_use]
    pub const fn kind(&self) -> EvidenceKind {
        match self {
            Self::BlockVotes(TwoBlockVotes { phase: BlockPhase::Prevote, .. }) => EvidenceKind::DoublePrevote,
            Self::BlockVotes(TwoBlockVotes { phase: BlockPhase::Precommit, .. }) => EvidenceKind::DoublePrecommit,
            Self::Proposals(_) => EvidenceKind::DoubleProposal,
            Self::Payments(TwoPayments { phase: Phase::Prepare, .. }) => EvidenceKind::DoublePrepare,
            Self::Payments(TwoPayments { phase: Phase::Commit, .. }) => EvidenceKind::DoubleCommit,
            Self::Seals(_) => EvidenceKind::DoubleSeal,
        }
    }

    /// Length of the encoding, in bytes. Within `EVIDENCE_BYTES_MAX` if [`check`](Self::check) holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        encoded_len(self)
    }

    /// Whether the two messages contradict each other, and are in the form of X-1. That both were signed is said by
    /// [`Signed`] or [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`EvidenceError`] names the first defect.
    pub fn check(&self) -> Result<(), EvidenceError> {
        match self {
            Self::BlockVotes(votes) => votes.check(),
            Self::Proposals(proposals) => proposals.check(),
            Self::Payments(payments) => payments.check(),
            Self::Seals(seals) => seals.check(),
        }
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`EvidenceError`] names the first defect.
    pub fn verify(&self, genesis: &GenesisHash) -> Result<(), EvidenceError> {
        self.check()?;
        let mut checks = Vec::with_capacity(2);
        self.signature_checks(genesis, &mut checks);
        checks.iter().position(|check| !verify(check)).map_or(Ok(()), |side| Err(EvidenceError::Signature(side)))
    }
}

impl Signed for Evidence {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        match self {
            Self::BlockVotes(votes) => votes.signature_checks(genesis, checks),
            Self::Proposals(proposals) => proposals.signature_checks(genesis, checks),
            Self::Payments(payments) => payments.signature_checks(genesis, checks),
            Self::Seals(seals) => seals.signature_checks(genesis, checks),
        }
    }
}

/// The sides in ascending order of what they say; nothing if they say the same.
fn ordered<T, K: Ord>(one: T, other: T, says: impl Fn(&T) -> K) -> Option<[T; 2]> {
    match says(&one).cmp(&says(&other)) {
        core::cmp::Ordering::Less => Some([one, other]),
        core::cmp::Ordering::Equal => None,
        core::cmp::Ordering::Greater => Some([other, one]),
    }
}

/// Whether the sides are in that order.
fn check_order<T, K: Ord>(sides: &[T; 2], says: impl Fn(&T) -> K) -> Result<(), EvidenceError> {
    let [left, right] = sides;
    if says(left) < says(right) { Ok(()) } else { Err(EvidenceError::Order) }
}

//! The proof that a block was decided (`SPEC.md` B-3).

use super::BlockPhase;
use super::vote::SignedBlockVote;
use crate::codec::{Decode, Encode};
use crate::hash::{BlockHash, Domain, GenesisHash, Hash, hash_of, signing_digest};
use crate::keys::{Signature, SignatureCheck, verify};
use crate::validator::{Epoch, Height, Round, Validator, ValidatorIndex, ValidatorSet, Weight};
use alloc::vec::Vec;

/// One precommit of a [`Commit`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct CommitSignature {
    /// Position in the validator set of the block's epoch.
    pub validator: ValidatorIndex,
    /// Signature of the precommit.
    pub signature: Signature,
}

/// Proof that a quorum precommitted a block in one round (B-3).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Commit {
    /// Height of the block.
    pub height: Height,
    /// Round in which it was decided.
    pub round: Round,
    /// The block.
    pub block: BlockHash,
    /// Precommits, sorted by validator, none twice.
    pub signatures: Vec<CommitSignature>,
}

/// Why a commit proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Validators are not sorted and unique.
    #[error("validators are not sorted and unique")]
    Order,
    /// No validator has this position.
    #[error("no validator has position {0}")]
    NotValidator(ValidatorIndex),
    /// A signature is invalid.
    #[error("the signature of validator {0} is invalid")]
    Signature(ValidatorIndex),
    /// The precommits are not a quorum.
    #[error("precommits of weight {found} where {needed} is needed")]
    NoQuorum {
        /// Weight of the precommits.
        found: Weight,
        /// Least weight of a quorum.
        needed: Weight,
    },
}

impl Commit {
    /// The commitment to this commit in the next header.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash(hash_of(Domain::Commit, self))
    }

    /// Checks everything (B-3) against the validators of the block's epoch. Which block it is
    /// for, the caller compares with [`block`](Self::block) and [`height`](Self::height).
    ///
    /// # Errors
    /// [`CommitError`] names the first defect.
    pub fn verify(&self, epoch: Epoch, validators: &ValidatorSet, genesis: &GenesisHash) -> Result<(), CommitError> {
        self.verify_except(epoch, validators, genesis, |_| false)
    }

    /// Like [`verify`](Self::verify), but skips the signature checks that `known` vouches for.
    ///
    /// # Errors
    /// [`CommitError`] names the first defect.
    pub fn verify_except(
        &self,
        epoch: Epoch,
        validators: &ValidatorSet,
        genesis: &GenesisHash,
        known: impl Fn(&SignatureCheck) -> bool,
    ) -> Result<(), CommitError> {
        let members = self.members(validators)?;
        let signed = SignedBlockVote {
            epoch,
            height: self.height,
            round: self.round,
            phase: BlockPhase::Precommit,
            block: Some(self.block),
        };
        let digest = signing_digest(Domain::BlockVote, genesis, &signed);
        for (entry, member) in self.signatures.iter().zip(members) {
            let check = SignatureCheck { key: member.key, digest, signature: entry.signature };
            if !known(&check) && !verify(&check) {
                return Err(CommitError::Signature(entry.validator));
            }
        }
        Ok(())
    }

    /// Who precommitted, in order. What costs little is checked here, before any signature, so
    /// that a worthless commit is refused at once.
    fn members<'a>(&self, validators: &'a ValidatorSet) -> Result<Vec<&'a Validator>, CommitError> {
        let positions = self.signatures.iter().map(|entry| entry.validator);
        let members = members_at(validators, positions.clone())?;
        require_quorum(validators, positions)?;
        Ok(members)
    }
}

/// The validators at these positions, which must be sorted and unique (B-3, E-5).
pub(super) fn members_at(
    validators: &ValidatorSet,
    positions: impl Iterator<Item = ValidatorIndex> + Clone,
) -> Result<Vec<&Validator>, CommitError> {
    if !positions.clone().is_sorted_by(|left, right| left < right) {
        return Err(CommitError::Order);
    }
    positions.map(|position| validators.at(position).ok_or(CommitError::NotValidator(position))).collect()
}

/// The validators at these positions must be a quorum (B-3, E-5).
pub(super) fn require_quorum(
    validators: &ValidatorSet,
    positions: impl Iterator<Item = ValidatorIndex>,
) -> Result<(), CommitError> {
    let found = validators.weight_at(positions);
    if validators.is_quorum(found) { Ok(()) } else { Err(CommitError::NoQuorum { found, needed: validators.quorum() }) }
}

#[cfg(test)]
mod tests {
    //! Rules: B-3.

    use super::super::BlockVote;
    use super::*;
    use crate::validator::testing::{keys, validators};

    const GENESIS: GenesisHash = GenesisHash([7; 32]);
    const EPOCH: Epoch = Epoch(2);
    const BLOCK: BlockHash = BlockHash([9; 32]);

    /// A commit of the validators at `positions`, cut out of their precommits.
    fn commit(positions: &[u16]) -> Commit {
        let precommit = |position: &u16| {
            let key = &keys()[usize::from(*position) % 4];
            let vote = BlockVote::sign(EPOCH, Height(5), Round(1), BlockPhase::Precommit, Some(BLOCK), key, &GENESIS);
            CommitSignature { validator: *position, signature: vote.signature }
        };
        let signatures = positions.iter().map(precommit).collect();
        Commit { height: Height(5), round: Round(1), block: BLOCK, signatures }
    }

    fn judge(commit: &Commit) -> Result<(), CommitError> {
        commit.verify(EPOCH, &validators(), &GENESIS)
    }

    #[test]
    fn a_quorum_of_precommits_is_a_commit_b_3() {
        assert_eq!(judge(&commit(&[0, 1, 2])), Ok(()));
        assert_eq!(judge(&commit(&[0, 1, 2, 3])), Ok(()));
        assert_eq!(judge(&commit(&[1, 2, 3])), Ok(()));
    }

    #[test]
    fn half_of_the_weight_is_no_commit_b_3() {
        let error = CommitError::NoQuorum { found: Weight(20), needed: Weight(27) };
        assert_eq!(judge(&commit(&[0, 3])), Err(error));
        assert_eq!(judge(&commit(&[])), Err(CommitError::NoQuorum { found: Weight(0), needed: Weight(27) }));
    }

    #[test]
    fn a_validator_counts_once_and_in_order_b_3() {
        assert_eq!(judge(&commit(&[0, 1, 1])), Err(CommitError::Order));
        assert_eq!(judge(&commit(&[0, 2, 1])), Err(CommitError::Order));
    }

    #[test]
    fn a_position_that_nobody_has_is_named_b_3() {
        assert_eq!(judge(&commit(&[0, 1, 2, 4])), Err(CommitError::NotValidator(4)));
    }

    #[test]
    fn one_bad_signature_spoils_a_commit_b_3() {
        let mut commit = commit(&[0, 1, 2, 3]);
        commit.signatures[2].signature.0[0] ^= 1;
        assert_eq!(judge(&commit), Err(CommitError::Signature(2)));
    }

    #[test]
    fn precommits_count_for_their_block_height_round_epoch_and_network_only_b_3() {
        let honest = commit(&[0, 1, 2]);
        let others = [
            Commit { block: BlockHash([8; 32]), ..honest.clone() },
            Commit { height: Height(6), ..honest.clone() },
            Commit { round: Round(0), ..honest.clone() },
        ];
        for other in others {
            assert_eq!(judge(&other), Err(CommitError::Signature(0)), "{other:?}");
        }
        let bad = Err(CommitError::Signature(0));
        assert_eq!(honest.verify(Epoch(3), &validators(), &GENESIS), bad);
        assert_eq!(honest.verify(EPOCH, &validators(), &GenesisHash([6; 32])), bad);
    }

    #[test]
    fn prevotes_make_no_commit_b_3() {
        let mut commit = commit(&[0, 1, 2]);
        let prevote = BlockPhase::Prevote;
        let vote = BlockVote::sign(EPOCH, Height(5), Round(1), prevote, Some(BLOCK), &keys()[0], &GENESIS);
        commit.signatures[0].signature = vote.signature;
        assert_eq!(judge(&commit), Err(CommitError::Signature(0)));
    }

    #[test]
    fn signatures_that_are_known_are_not_checked_again() {
        let mut commit = commit(&[0, 1, 2]);
        commit.signatures[1].signature.0[0] ^= 1;
        let vouched = commit.signatures[1].signature;
        let verdict = commit.verify_except(EPOCH, &validators(), &GENESIS, |check| check.signature == vouched);
        assert_eq!(verdict, Ok(()));
    }

    #[test]
    fn who_signed_changes_the_hash_of_a_commit_b_1() {
        assert_ne!(commit(&[0, 1, 2]).hash(), commit(&[0, 1, 3]).hash());
    }
}

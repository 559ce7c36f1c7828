//! What closes an epoch, as a header commits to it (`SPEC.md` E-5, X-6).

use super::commit::{members_at, require_quorum};
use super::{CommitError, Evidence};
use crate::codec::{Decode, Encode};
use crate::finality::seal_check;
use crate::hash::{Domain, GenesisHash, Hash, hash_of};
use crate::keys::{Signature, SignatureCheck, verify};
use crate::mutation::{Mutation, is_broken};
use crate::validator::{Epoch, Validator, ValidatorIndex, ValidatorSet};
use alloc::vec::Vec;

/// One seal of a closing block: the hash of its list stands for its transactions.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SealSignature {
    /// Position in the validator set of the block's epoch.
    pub validator: ValidatorIndex,
    /// Hash of the transactions that the seal lists.
    pub list: Hash,
    /// Signature of the seal.
    pub signature: Signature,
}

/// What a block carries besides money. Nothing in an ordinary block; with seals the block closes its
/// epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Closing {
    /// Seals of a quorum, sorted by validator, none twice; or none.
    pub seals: Vec<SealSignature>,
    /// Evidence against validators that lose their vote with this block, sorted by offender, none twice.
    pub evidence: Vec<Evidence>,
}

impl Closing {
    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.seals.is_empty() && self.evidence.is_empty()
    }

    /// Whether it closes the epoch.
    #[must_use]
    pub const fn closes(&self) -> bool {
        !self.seals.is_empty()
    }

    /// The commitment in the header; zeros if there is nothing to commit to.
    #[must_use]
    pub fn hash(&self) -> Hash {
        if self.is_empty() { Hash([0; 32]) } else { Hash(hash_of(Domain::Closing, self)) }
    }

    /// Whether the seals are of distinct members, in order, and of a quorum. Costs no signature check.
    ///
    /// # Errors
    /// [`CommitError`] names the first defect.
    pub fn check_members<'a>(&self, validators: &'a ValidatorSet) -> Result<Vec<&'a Validator>, CommitError> {
        let positions = self.seals.iter().map(|seal| seal.validator);
        let members = members_at(validators, positions.clone())?;
        if !is_broken(Mutation::ClosedWithoutQuorum) {
            require_quorum(validators, positions)?;
        }
        Ok(members)
    }

    /// Checks everything but the lists and the evidence, except the signatures that `known` vouches for. An ordinary block has nothing to check.
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
        if !self.closes() {
            return Ok(());
        }
        for (seal, member) in self.seals.iter().zip(self.check_members(validators)?) {
            let check = seal_check(epoch, seal.list, member.key, seal.signature, genesis);
            if !known(&check) && !verify(&check) {
                return Err(CommitError::Signature(seal.validator));
            }
        }
        Ok(())
    }
}

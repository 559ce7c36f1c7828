//! Votes cut out as a proof for one transaction (`SPEC.md` F-5).

use super::{Phase, vote_digest};
use crate::codec::{Decode, Encode};
use crate::hash::{GenesisHash, MerklePath, Txid};
use crate::keys::{PublicKey, Signature, SignatureCheck, verify};
use crate::validator::{Epoch, ValidatorSet, Weight};
use alloc::vec::Vec;

/// One vote of a [`Certificate`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct CertificateVote {
    /// Who voted.
    pub voter: PublicKey,
    /// From the transaction to the root that was signed.
    pub path: MerklePath,
    /// The signature over that root.
    pub signature: Signature,
}

/// Proof that a quorum voted for one transaction (F-5). Anyone who knows the epoch's validator
/// set can check it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Certificate {
    /// Epoch of the votes.
    pub epoch: Epoch,
    /// Phase of the votes.
    pub phase: Phase,
    /// What was voted for.
    pub txid: Txid,
    /// The votes, sorted by voter, none twice.
    pub votes: Vec<CertificateVote>,
}

/// Why a certificate proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Voters are not sorted and unique.
    #[error("voters are not sorted and unique")]
    Order,
    /// A voter is not in the validator set.
    #[error("{0} is not a validator of this epoch")]
    NotValidator(PublicKey),
    /// A Merkle path does not fit.
    #[error("the vote of {0} does not cover the transaction")]
    Path(PublicKey),
    /// A signature is invalid.
    #[error("the signature of {0} is invalid")]
    Signature(PublicKey),
    /// The votes are not a quorum.
    #[error("votes of weight {found} where {needed} is needed")]
    NoQuorum {
        /// Weight of the votes.
        found: Weight,
        /// Least weight of a quorum.
        needed: Weight,
    },
}

impl Certificate {
    /// Checks everything (F-5) against the validator set of `self.epoch`.
    ///
    /// # Errors
    /// [`CertificateError`] names the first defect.
    pub fn verify(&self, validators: &ValidatorSet, genesis: &GenesisHash) -> Result<(), CertificateError> {
        self.check_weight(validators)?;
        for vote in &self.votes {
            let root = vote.path.root(&self.txid).ok_or(CertificateError::Path(vote.voter))?;
            let digest = vote_digest(genesis, self.epoch, self.phase, root);
            if !verify(&SignatureCheck { key: vote.voter, digest, signature: vote.signature }) {
                return Err(CertificateError::Signature(vote.voter));
            }
        }
        Ok(())
    }

    /// Whether the voters would be a quorum. It costs little, so it comes before any signature.
    fn check_weight(&self, validators: &ValidatorSet) -> Result<(), CertificateError> {
        if !self.votes.is_sorted_by(|a, b| a.voter < b.voter) {
            return Err(CertificateError::Order);
        }
        let mut weight = 0_u64;
        for vote in &self.votes {
            match validators.weight_of(&vote.voter) {
                Weight(0) => return Err(CertificateError::NotValidator(vote.voter)),
                Weight(member) => weight = weight.saturating_add(member),
            }
        }
        if validators.is_quorum(Weight(weight)) {
            Ok(())
        } else {
            Err(CertificateError::NoQuorum { found: Weight(weight), needed: validators.quorum() })
        }
    }
}

#[cfg(test)]
mod tests {
    //! Rules: F-2, F-5.

    use super::super::{Certified, Tally, VoteBatch};
    use super::*;
    use crate::hash::Hash;
    use crate::keys::SecretKey;
    use crate::validator::testing::{keys, validators};
    use alloc::sync::Arc;

    const GENESIS: GenesisHash = GenesisHash([7; 32]);
    const EPOCH: Epoch = Epoch(2);
    const TXID: Txid = Txid([9; 32]);

    /// A batch in which the transaction has `before` companions.
    fn batch(key: &SecretKey, phase: Phase, before: u8) -> VoteBatch {
        let txids = (0..before).map(|byte| Txid([byte; 32])).chain([TXID]).collect();
        VoteBatch::sign(EPOCH, phase, txids, key, &GENESIS)
    }

    /// A certificate of the voters at `positions`, each from a batch of another size.
    fn certificate(positions: &[u8]) -> Certificate {
        let vote = |at: &u8| batch(&keys()[usize::from(*at)], Phase::Prepare, at + 2).cut_out(&TXID).unwrap();
        Certificate { epoch: EPOCH, phase: Phase::Prepare, txid: TXID, votes: positions.iter().map(vote).collect() }
    }

    fn judge(certificate: &Certificate) -> Result<(), CertificateError> {
        certificate.verify(&validators(), &GENESIS)
    }

    #[test]
    fn a_quorum_of_votes_from_different_batches_is_a_certificate_f_5() {
        assert_eq!(judge(&certificate(&[0, 1, 2])), Ok(()));
        assert_eq!(judge(&certificate(&[0, 1, 2, 3])), Ok(()));
    }

    #[test]
    fn half_of_the_weight_certifies_nothing_f_5() {
        let error = CertificateError::NoQuorum { found: Weight(20), needed: Weight(27) };
        assert_eq!(judge(&certificate(&[1, 2])), Err(error));
    }

    #[test]
    fn a_voter_counts_once_and_in_order_f_5() {
        assert_eq!(judge(&certificate(&[0, 1, 1])), Err(CertificateError::Order));
        assert_eq!(judge(&certificate(&[0, 2, 1])), Err(CertificateError::Order));
    }

    #[test]
    fn who_is_no_validator_cannot_certify_f_5() {
        let stranger = SecretKey::from_seed(&[99; 32]);
        let mut certificate = certificate(&[0, 1, 2]);
        certificate.votes.push(batch(&stranger, Phase::Prepare, 1).cut_out(&TXID).unwrap());
        certificate.votes.sort_by_key(|vote| vote.voter);
        assert_eq!(judge(&certificate), Err(CertificateError::NotValidator(stranger.public())));
    }

    #[test]
    fn a_path_of_impossible_shape_is_named_f_5() {
        let mut certificate = certificate(&[0, 1, 2]);
        certificate.votes[1].path.siblings.push(Hash([0; 32]));
        assert_eq!(judge(&certificate), Err(CertificateError::Path(keys()[1].public())));
    }

    #[test]
    fn a_path_to_another_root_does_not_bear_the_signature_f_5() {
        let mut certificate = certificate(&[0, 1, 2]);
        certificate.votes[1].path.siblings[0].0[0] ^= 1;
        assert_eq!(judge(&certificate), Err(CertificateError::Signature(keys()[1].public())));
    }

    #[test]
    fn votes_count_for_their_transaction_phase_epoch_and_network_only_f_5() {
        let honest = certificate(&[0, 1, 2]);
        let bad = Err(CertificateError::Signature(keys()[0].public()));
        let others = [
            Certificate { txid: Txid([8; 32]), ..honest.clone() },
            Certificate { phase: Phase::Commit, ..honest.clone() },
            Certificate { epoch: Epoch(3), ..honest.clone() },
        ];
        for other in others {
            assert_eq!(judge(&other), bad, "{other:?}");
        }
        assert_eq!(honest.verify(&validators(), &GenesisHash([6; 32])), bad);
    }

    #[test]
    fn a_tally_reports_its_quorum_once_and_cuts_out_a_certificate_f_4() {
        let (validators, mut tally) = (validators(), Tally::default());
        let mut count = |at: u16| {
            let batch = batch(&keys()[usize::from(at)], Phase::Commit, 3);
            tally.count(&Arc::new(batch), at, &validators)
        };
        let counted = [count(3), count(1), count(1), count(0), count(2)];
        use Certified::{Ignored, No, Now};
        assert_eq!(counted, [No, No, Ignored, Now, No]);
        let certificate = tally.certificate(&TXID, EPOCH, Phase::Commit, &validators).unwrap();
        assert_eq!(certificate.votes.len(), 3, "no more votes than are needed");
        assert_eq!(judge(&certificate), Ok(()));
        assert_eq!(tally.certificate(&TXID, EPOCH, Phase::Prepare, &validators), None);
        assert_eq!((tally.weight(Phase::Commit), tally.weight(Phase::Prepare)), (Weight(40), Weight(0)));
    }

    #[test]
    fn a_stranger_is_not_counted_f_3() {
        let mut tally = Tally::default();
        let stranger = Arc::new(batch(&SecretKey::from_seed(&[99; 32]), Phase::Prepare, 0));
        for position in [0, 3, 4, u16::MAX] {
            assert_eq!(tally.count(&stranger, position, &validators()), Certified::Ignored);
            assert!(!tally.has_voted(Phase::Prepare, position));
        }
        assert_eq!(tally.weight(Phase::Prepare), Weight(0));
    }

    #[test]
    fn only_a_batch_with_the_transaction_has_a_vote_to_cut_out_f_5() {
        let batch = batch(&keys()[0], Phase::Prepare, 3);
        assert!(batch.cut_out(&TXID).is_some());
        assert_eq!(batch.cut_out(&Txid([77; 32])), None);
    }
}

//! Seals (`SPEC.md` E-4): a validator ends its votes in an epoch and says what it voted Commit for.

use crate::bounds::SEAL_TXIDS_MAX;
use crate::codec::{Decode, Encode};
use crate::hash::{Domain, GenesisHash, Hash, Txid, hash_of, signing_digest};
use crate::keys::{PublicKey, SecretKey, Signature, SignatureCheck, Signed};
use crate::validator::Epoch;
use alloc::vec::Vec;

/// What the signature of a [`Seal`] covers.
#[derive(Clone, Copy, Debug, Encode)]
struct SignedSeal {
    epoch: Epoch,
    list: Hash,
}

/// A validator's promise to cast no Prepare and no Commit vote in an epoch any more, with every transaction that it voted
/// Commit for in this epoch and that is in no block it knows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seal {
    /// The epoch that ends.
    pub epoch: Epoch,
    /// The transactions, strictly ascending; at most [`SEAL_TXIDS_MAX`].
    pub txids: Vec<Txid>,
    /// Whose votes end.
    pub voter: PublicKey,
    /// Signature over the epoch and the hash of the list.
    pub signature: Signature,
}

impl Seal {
    /// Signs a seal of `txids`, which need not be sorted.
    #[must_use]
    pub fn sign(epoch: Epoch, mut txids: Vec<Txid>, key: &SecretKey, genesis: &GenesisHash) -> Self {
        txids.sort_unstable();
        txids.dedup();
        let mut seal = Self { epoch, txids, voter: key.public(), signature: Signature([0; 64]) };
        let digest = seal_check(epoch, seal.list(), seal.voter, seal.signature, genesis).digest;
        seal.signature = key.sign(&digest);
        seal
    }

    /// What stands for the transactions in the signature and in a closing block.
    #[must_use]
    pub fn list(&self) -> Hash {
        Self::list_of(&self.txids)
    }

    /// The hash of a list of transactions, which must be in ascending order.
    #[must_use]
    pub fn list_of(txids: &Vec<Txid>) -> Hash {
        Hash(hash_of(Domain::SealList, txids))
    }

    /// Whether number and order of the transactions are those of E-4.
    #[must_use]
    pub fn has_valid_form(&self) -> bool {
        self.txids.len() <= SEAL_TXIDS_MAX && self.txids.is_sorted_by(|left, right| left < right)
    }
}

/// The one signature of a seal, of which only the hash of the list is known.
#[must_use]
pub(crate) fn seal_check(
    epoch: Epoch,
    list: Hash,
    key: PublicKey,
    signature: Signature,
    genesis: &GenesisHash,
) -> SignatureCheck {
    SignatureCheck { key, digest: signing_digest(Domain::Seal, genesis, &SignedSeal { epoch, list }), signature }
}

impl Signed for Seal {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        checks.push(seal_check(self.epoch, self.list(), self.voter, self.signature, genesis));
    }
}

#[cfg(test)]
mod tests {
    //! Rules: E-4.

    use super::*;
    use crate::keys::verify;
    use alloc::vec;

    const GENESIS: GenesisHash = GenesisHash([7; 32]);

    fn seal(txids: Vec<Txid>) -> Seal {
        Seal::sign(Epoch(3), txids, &SecretKey::from_seed(&[1; 32]), &GENESIS)
    }

    fn holds(seal: &Seal, genesis: &GenesisHash) -> bool {
        let mut checks = Vec::new();
        seal.signature_checks(genesis, &mut checks);
        checks.len() == 1 && checks.iter().all(verify)
    }

    #[test]
    fn a_seal_names_its_transactions_sorted_and_once_e_4() {
        let seal = seal(vec![Txid([2; 32]), Txid([1; 32]), Txid([2; 32])]);
        assert_eq!(seal.txids, [Txid([1; 32]), Txid([2; 32])]);
        assert!(seal.has_valid_form() && holds(&seal, &GENESIS));
        let swapped = Seal { txids: vec![Txid([2; 32]), Txid([1; 32])], ..seal.clone() };
        let twice = Seal { txids: vec![Txid([1; 32]), Txid([1; 32])], ..seal };
        assert!(!swapped.has_valid_form() && !twice.has_valid_form());
    }

    #[test]
    fn a_seal_has_a_bound_e_4() {
        let txid = |index: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
            Txid(bytes)
        };
        assert!(seal((0..SEAL_TXIDS_MAX).map(txid).collect()).has_valid_form());
        assert!(!seal((0..=SEAL_TXIDS_MAX).map(txid).collect()).has_valid_form());
    }

    #[test]
    fn a_seal_counts_for_its_epoch_list_and_network_only_e_2() {
        let honest = seal(vec![Txid([1; 32])]);
        assert!(holds(&honest, &GENESIS));
        assert!(!holds(&honest, &GenesisHash([6; 32])));
        assert!(!holds(&Seal { epoch: Epoch(4), ..honest.clone() }, &GENESIS));
        assert!(!holds(&Seal { txids: vec![], ..honest }, &GENESIS));
    }
}

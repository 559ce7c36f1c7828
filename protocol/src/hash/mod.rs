//! Domain-separated BLAKE3 (`SPEC.md` H-1, H-2) and Merkle trees (H-3).

mod domain;
mod hex;
mod merkle;

pub use domain::Domain;
pub use hex::HexError;
pub(crate) use hex::{hex_newtype, parse_hex, write_hex};
pub use merkle::{MerklePath, merkle_path, merkle_root};

use crate::codec::{Encode, encode};
use blake3::hazmat::HasherExt as _;

/// A hasher for one domain; [`finish`](DomainHasher::finish) gives 32 bytes.
#[derive(Debug)]
pub struct DomainHasher(blake3::Hasher);

impl DomainHasher {
    /// An empty hash in `domain`.
    #[must_use]
    pub fn new(domain: Domain) -> Self {
        Self(blake3::Hasher::new_from_context_key(domain.context_key()))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The 32-byte hash.
    #[must_use]
    pub fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }

    /// Fills `out` with BLAKE3's extended output.
    pub fn fill(&self, out: &mut [u8]) {
        self.0.finalize_xof().fill(out);
    }
}

/// Hash of `bytes` in `domain`.
#[must_use]
pub fn hash_bytes(domain: Domain, bytes: &[u8]) -> [u8; 32] {
    DomainHasher::new(domain).update(bytes).finish()
}

/// Hash of the canonical encoding of `value` in `domain`.
#[must_use]
pub fn hash_of<T: Encode>(domain: Domain, value: &T) -> [u8; 32] {
    hash_bytes(domain, &encode(value))
}

/// What is signed for `payload`: a hash over domain, genesis hash and payload (H-2), so that no
/// signature can be replayed for another purpose or on another network.
#[must_use]
pub fn signing_digest<T: Encode>(domain: Domain, genesis: &GenesisHash, payload: &T) -> [u8; 32] {
    DomainHasher::new(domain).update(&genesis.0).update(&encode(payload)).finish()
}

hex_newtype!(
    /// Hash of a transaction's body (L-1).
    Txid, 32
);
hex_newtype!(
    /// Hash of a block's header. The genesis hash stands for the block at height 0.
    BlockHash, 32
);
hex_newtype!(
    /// Hash of the genesis description: the name of a network.
    GenesisHash, 32
);
hex_newtype!(
    /// Root of a Merkle tree (H-3).
    MerkleRoot, 32
);
hex_newtype!(
    /// Any other 32-byte commitment.
    Hash, 32
);

impl GenesisHash {
    /// The hash that the block at height 1 names as its parent.
    #[must_use]
    pub const fn as_block(self) -> BlockHash {
        BlockHash(self.0)
    }
}

#[cfg(test)]
mod tests {
    //! Rules: H-1, H-2.

    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn hashing_is_blake3_key_derivation_h_1() {
        let expected = blake3::derive_key("timecoin 1 txid", b"abc");
        assert_eq!(hash_bytes(Domain::Txid, b"abc"), expected);
        assert_eq!(DomainHasher::new(Domain::Txid).update(b"a").update(b"bc").finish(), expected);
        assert_ne!(hash_bytes(Domain::Spend, b"abc"), expected);
    }

    #[test]
    fn extended_output_begins_with_the_hash() {
        let mut out = [0; 64];
        DomainHasher::new(Domain::Utxo).update(b"abc").fill(&mut out);
        assert_eq!(out[..32], hash_bytes(Domain::Utxo, b"abc"));
        assert_ne!(out[32..], [0; 32]);
    }

    #[test]
    fn what_is_signed_depends_on_purpose_network_and_payload_h_2() {
        let digest = |domain, network, payload: u64| signing_digest(domain, &GenesisHash([network; 32]), &payload);
        let all = [
            digest(Domain::Spend, 1, 1),
            digest(Domain::Proposal, 1, 1),
            digest(Domain::Spend, 2, 1),
            digest(Domain::Spend, 1, 2),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one));
        }
        let bytes: Vec<u8> = [1; 32].into_iter().chain(encode(&1_u64)).collect();
        assert_eq!(all[0], hash_bytes(Domain::Spend, &bytes));
    }

    #[test]
    fn the_parent_of_the_first_block_is_the_genesis_hash() {
        assert_eq!(GenesisHash([7; 32]).as_block(), BlockHash([7; 32]));
    }
}

//! The incremental multiset hash of the UTXO set (`SPEC.md` H-4): LtHash16 over BLAKE3.
//!
//! The construction and its parameters (1,024 lanes of 16 bits, more than 200 bits of security)
//! are those of Lewi, Kim, Maykov and Weis, "Securing Update Propagation with Homomorphic
//! Hashing" (2019), with BLAKE3's extended output in the place of BLAKE2's.

use crate::codec::{Decode, Encode, encode};
use crate::hash::{Domain, DomainHasher, Hash, hash_bytes};
use crate::transaction::{OutPoint, Utxo};
use alloc::boxed::Box;

/// Number of sums.
const LANES: usize = 1024;

/// 1,024 sums modulo 2^16, each little-endian. Adding and removing are inverse and commute, so
/// the hash depends on what is in the set and not on how it came to be.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct UtxoSetHash(Box<[[u8; 2]; LANES]>);

impl UtxoSetHash {
    /// The hash of the empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self(Box::new([[0; 2]; LANES]))
    }

    /// Adds one entry.
    pub fn add(&mut self, outpoint: &OutPoint, utxo: &Utxo) {
        self.merge(outpoint, utxo, u16::wrapping_add);
    }

    /// Removes one entry. The caller sees to it that the entry is in the set: otherwise the hash
    /// is that of no set.
    pub fn remove(&mut self, outpoint: &OutPoint, utxo: &Utxo) {
        self.merge(outpoint, utxo, u16::wrapping_sub);
    }

    /// What a header carries.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        Hash(hash_bytes(Domain::UtxoSet, self.0.as_flattened()))
    }

    fn merge(&mut self, outpoint: &OutPoint, utxo: &Utxo, operation: impl Fn(u16, u16) -> u16) {
        let element = element(outpoint, utxo);
        for (sum, lane) in self.0.iter_mut().zip(&element) {
            *sum = operation(u16::from_le_bytes(*sum), u16::from_le_bytes(*lane)).to_le_bytes();
        }
    }
}

/// The lanes are as much as 2,048 bytes, and the commitment says as much.
impl core::fmt::Debug for UtxoSetHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("UtxoSetHash").field(&self.commitment()).finish()
    }
}

/// What stands for one entry of the set. // H-4
fn element(outpoint: &OutPoint, utxo: &Utxo) -> [[u8; 2]; LANES] {
    let mut lanes = [[0; 2]; LANES];
    DomainHasher::new(Domain::Utxo).update(&encode(&(outpoint, utxo))).fill(lanes.as_flattened_mut());
    lanes
}

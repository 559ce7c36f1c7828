//! Keys, signing, and the one rule by which every signature is judged (`SPEC.md` K-1…K-4).
//!
//! Signing is RFC 8032 (ed25519-dalek). Checking is the ZIP-215 equation (ed25519-zebra), single
//! and batch: the only pair of checks known to agree on every input, honest or not. The batch
//! and single checks of ed25519-dalek disagree on small-order and mixed-order points, which
//! would let one crafted signature split the network; they are not used.

mod check;
mod verified;

pub use check::{SignatureCheck, verify, verify_batch, verify_groups};
pub use verified::{NoCache, SignatureCache, Signed, Verified, verify_all};

use crate::hash::hex_newtype;
use ed25519_dalek::Signer;

hex_newtype!(
    /// An ed25519 public key, as its 32 bytes. It may not be a point of the curve; then no
    /// signature of it is valid.
    PublicKey, 32
);
hex_newtype!(
    /// An ed25519 signature, as its 64 bytes.
    Signature, 64
);

/// An ed25519 secret key. Wiped from memory when dropped; never shown.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

impl core::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

impl SecretKey {
    /// The key of a 32-byte RFC 8032 seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The 32-byte seed. Handle with care: whoever has it has the key.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a digest (K-1); deterministic.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> Signature {
        Signature(self.0.sign(digest).to_bytes())
    }
}

#[cfg(test)]
mod tests {
    //! Rules: K-1.

    use super::*;

    /// RFC 8032, section 7.1, test 3, but for the message: here always 32 bytes.
    #[test]
    fn keys_are_those_of_rfc_8032_k_1() {
        let seed = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";
        let public = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
        let key = SecretKey::from_seed(&crate::hash::parse_hex(seed).unwrap());
        assert_eq!(key.public(), public.parse().unwrap());
        assert_eq!(key.seed(), crate::hash::parse_hex(seed).unwrap());
    }

    #[test]
    fn signing_is_deterministic_k_1() {
        assert_eq!(SecretKey::from_seed(&[1; 32]).sign(&[5; 32]), SecretKey::from_seed(&[1; 32]).sign(&[5; 32]));
    }

    #[test]
    fn a_secret_key_is_not_shown() {
        let shown = alloc::format!("{:?}", SecretKey::from_seed(&[1; 32]));
        assert_eq!(shown, alloc::format!("SecretKey(of {})", SecretKey::from_seed(&[1; 32]).public()));
    }
}

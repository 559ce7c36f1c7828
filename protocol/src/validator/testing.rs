//! Validators of the tests of this crate.

use super::{Validator, ValidatorSet, Weight};
use crate::address::Owner;
use crate::keys::SecretKey;
use alloc::vec::Vec;

/// Four keys, in the order of the set.
pub fn keys() -> Vec<SecretKey> {
    let mut keys: Vec<_> = (1..=4).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

/// Their validators, each of weight 10: three are a quorum.
pub fn validators() -> ValidatorSet {
    let member = |key: &SecretKey| Validator { key: key.public(), weight: Weight(10), payout: Owner([0; 20]) };
    ValidatorSet::new(keys().iter().map(member).collect())
}

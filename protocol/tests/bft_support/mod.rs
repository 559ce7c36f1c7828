//! Validator sets for tests of block agreement.

use std::sync::Arc;
use timecoin_protocol::address::Owner;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::validator::{Height, Round, Validator, ValidatorIndex, ValidatorSet, Weight};

/// The height that all tests agree on.
pub const HEIGHT: Height = Height(7);

/// As many validators of equal weight.
pub fn validators(count: u8) -> Arc<ValidatorSet> {
    let member = |n: u8| {
        let key = PublicKey([n; 32]);
        Validator { key, weight: Weight(1), payout: Owner::from(&key) }
    };
    Arc::new(ValidatorSet::new((0..count).map(member).collect()))
}

/// Position of a round's proposer.
pub fn proposer(validators: &ValidatorSet, round: Round) -> ValidatorIndex {
    validators.index_of(&validators.proposer(HEIGHT, round).unwrap().key).unwrap()
}

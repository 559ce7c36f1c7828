//! Validators, their weight, quorums and the proposer rotation (`SPEC.md` V-1…V-3).

mod set;
#[cfg(test)]
pub(crate) mod testing;

pub use set::{ValidatorIndex, ValidatorSet};

use crate::address::Owner;
use crate::amount::UNITS_PER_TIME;
use crate::codec::{Decode, Encode};
use crate::keys::PublicKey;
use core::fmt;

/// Defines a newtype over an integer that counts something.
macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The next one; the last stays the last.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter!(
    /// Height of a block; genesis is 0.
    Height(u64)
);
counter!(
    /// Round of block agreement within a height, from 0.
    Round(u32)
);
counter!(
    /// Epoch: the span of blocks during which validators and locks live.
    Epoch(u64)
);
counter!(
    /// Voting weight: bonded units.
    Weight(u64)
);

/// Class of a validator by collateral.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Follows and relays; no vote.
    Free,
    /// At least 1,000 TIME.
    Bronze,
    /// At least 10,000 TIME.
    Silver,
    /// At least 100,000 TIME.
    Gold,
}

impl Weight {
    /// The tier of this much collateral.
    #[must_use]
    pub const fn tier(self) -> Tier {
        match self.0 / UNITS_PER_TIME {
            0..1_000 => Tier::Free,
            1_000..10_000 => Tier::Bronze,
            10_000..100_000 => Tier::Silver,
            _ => Tier::Gold,
        }
    }
}

/// A member of an epoch's validator set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Validator {
    /// The key that votes.
    pub key: PublicKey,
    /// Its weight.
    pub weight: Weight,
    /// Who is paid.
    pub payout: Owner,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_begin_at_their_collateral() {
        let tier = |time: u64, units: u64| Weight(time * UNITS_PER_TIME + units).tier();
        assert_eq!(tier(0, 0), Tier::Free);
        assert_eq!(tier(999, UNITS_PER_TIME - 1), Tier::Free);
        assert_eq!(tier(1_000, 0), Tier::Bronze);
        assert_eq!(tier(9_999, UNITS_PER_TIME - 1), Tier::Bronze);
        assert_eq!(tier(10_000, 0), Tier::Silver);
        assert_eq!(tier(100_000, 0), Tier::Gold);
        assert_eq!(Weight(u64::MAX).tier(), Tier::Gold);
    }

    #[test]
    fn the_last_height_stays_the_last() {
        assert_eq!(Height(7).next(), Height(8));
        assert_eq!(Round(u32::MAX).next(), Round(u32::MAX));
    }
}

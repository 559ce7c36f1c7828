//! Amounts of money, in whole units (`SPEC.md` L-3).

use crate::codec::{Decode, Encode};
use core::fmt;

/// Units in one TIME.
pub const UNITS_PER_TIME: u64 = 100_000_000;

/// An amount in units; 1 TIME = 10^8 units. Arithmetic is checked, always.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Amount(pub u64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `whole` TIME, or `None` above `u64::MAX` units.
    #[must_use]
    pub const fn from_time(whole: u64) -> Option<Self> {
        match whole.checked_mul(UNITS_PER_TIME) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// The number of units.
    #[must_use]
    pub const fn units(self) -> u64 {
        self.0
    }

    /// The sum, or `None` on overflow.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// The difference, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// The sum of all, or `None` on overflow.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

/// Shows the amount in TIME with eight decimals, for people; programs exchange units.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:08} TIME", self.0 / UNITS_PER_TIME, self.0 % UNITS_PER_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn sums_and_differences_are_checked_l_3() {
        let most = Amount(u64::MAX);
        assert_eq!(most.checked_add(Amount(1)), None);
        assert_eq!(Amount(2).checked_add(Amount(3)), Some(Amount(5)));
        assert_eq!(Amount(2).checked_sub(Amount(3)), None);
        assert_eq!(Amount(3).checked_sub(Amount(3)), Some(Amount::ZERO));
        assert_eq!(Amount::checked_sum([most, Amount(1), Amount(0)]), None);
        assert_eq!(Amount::checked_sum([Amount(1), Amount(2), Amount(4)]), Some(Amount(7)));
        assert_eq!(Amount::checked_sum([]), Some(Amount::ZERO));
    }

    #[test]
    fn whole_time_is_a_hundred_million_units() {
        assert_eq!(Amount::from_time(2), Some(Amount(200_000_000)));
        assert_eq!(Amount::from_time(184_467_440_737), Some(Amount(18_446_744_073_700_000_000)));
        assert_eq!(Amount::from_time(184_467_440_738), None);
    }

    #[test]
    fn people_see_eight_decimals() {
        assert_eq!(Amount(0).to_string(), "0.00000000 TIME");
        assert_eq!(Amount(1).to_string(), "0.00000001 TIME");
        assert_eq!(Amount(150_000_000).to_string(), "1.50000000 TIME");
        assert_eq!(Amount(u64::MAX).to_string(), "184467440737.09551615 TIME");
    }
}

//! Whom to ask: a sample of the validators, drawn by stake (`SPEC.md` S-2).

use crate::validator::{ValidatorIndex, ValidatorSet};
use alloc::vec;
use alloc::vec::Vec;
use rand_core::Rng;

/// Draws `slots` slots by stake, with replacement, from the whole set except the validators that
/// `skip` names; gives each drawn validator once, with the number of its slots, in order of index.
/// Nothing if nobody is left to draw from.
///
/// Each slot falls on each validator with a probability of exactly its share of the weight that
/// is left (S-2), as far as `rng` is uniform. The same `rng` state gives the same sample. Work
/// grows with the size of the set once, and with the logarithm of it for each slot.
#[must_use]
pub fn sample(
    validators: &ValidatorSet,
    slots: u32,
    skip: impl Fn(ValidatorIndex) -> bool,
    rng: &mut impl Rng,
) -> Vec<(ValidatorIndex, u32)> {
    let mut total = 0_u64;
    // The candidates, each with the sum of weights up to and including its own.
    let mut candidates = Vec::with_capacity(validators.len());
    for (index, validator) in (0..=ValidatorIndex::MAX).zip(validators.members()) {
        if !skip(index) {
            total = total.saturating_add(validator.weight.0);
            candidates.push((total, index));
        }
    }
    if total == 0 {
        return Vec::new();
    }
    let mut drawn = vec![0_u32; candidates.len()];
    for _ in 0..slots {
        let point = below(total, rng);
        let at = candidates.partition_point(|(end, _)| *end <= point);
        if let Some(count) = drawn.get_mut(at) {
            *count += 1; // at most `slots`
        }
    }
    candidates
        .into_iter()
        .zip(drawn)
        .filter(|(_, count)| *count > 0)
        .map(|((_, index), count)| (index, count))
        .collect()
}

/// A uniform number below `bound`, which is not 0.
///
/// Source: D. Lemire, "Fast Random Integer Generation in an Interval" (2019): the high half of a
/// product, drawn again where the low half falls into the part that would favour some numbers.
fn below(bound: u64, rng: &mut impl Rng) -> u64 {
    let biased = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        let low = product as u64;
        if low >= biased {
            return (product >> 64) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    //! Rules: S-2.

    use super::*;
    use crate::address::Owner;
    use crate::keys::PublicKey;
    use crate::validator::{Validator, Weight};
    use rand_chacha::ChaCha12Rng;
    use rand_core::SeedableRng;

    fn set(weights: &[u64]) -> ValidatorSet {
        let validator = |(index, weight): (u16, &u64)| {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&index.to_be_bytes());
            Validator { key: PublicKey(key), weight: Weight(*weight), payout: Owner([0; 20]) }
        };
        ValidatorSet::new((0..).zip(weights).map(validator).collect())
    }

    fn rng(seed: u64) -> ChaCha12Rng {
        ChaCha12Rng::seed_from_u64(seed)
    }

    fn slots_of(drawn: &[(ValidatorIndex, u32)]) -> u32 {
        drawn.iter().map(|(_, slots)| slots).sum()
    }

    #[test]
    fn every_slot_is_drawn_and_nobody_is_named_twice_s_2() {
        let validators = set(&[5, 1, 9, 2, 2]);
        for seed in 0..50 {
            let drawn = sample(&validators, 20, |_| false, &mut rng(seed));
            assert_eq!(slots_of(&drawn), 20);
            assert!(drawn.is_sorted_by(|a, b| a.0 < b.0));
            assert!(drawn.iter().all(|(index, slots)| usize::from(*index) < validators.len() && *slots > 0));
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_sample() {
        let validators = set(&[7; 100]);
        let draw = |seed| sample(&validators, 20, |_| false, &mut rng(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn those_to_skip_are_never_drawn() {
        let validators = set(&[1, 1_000_000, 1, 1]);
        let drawn = sample(&validators, 200, |index| index == 1, &mut rng(3));
        assert_eq!(drawn.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 2, 3]);
        assert_eq!(slots_of(&drawn), 200);
    }

    #[test]
    fn with_nobody_to_ask_the_sample_is_empty() {
        assert!(sample(&set(&[]), 20, |_| false, &mut rng(0)).is_empty());
        assert!(sample(&set(&[1, 2]), 20, |_| true, &mut rng(0)).is_empty());
        assert!(sample(&set(&[1, 2]), 0, |_| false, &mut rng(0)).is_empty());
    }

    #[test]
    fn a_single_validator_gets_every_slot() {
        assert_eq!(sample(&set(&[u64::MAX]), 20, |_| false, &mut rng(0)), [(0, 20)]);
    }

    /// Chi-square of 60,000 slots over 8 weights: 7 degrees of freedom, of which 24.3 leaves one
    /// in a thousand. The seed is fixed, so the test does not flicker.
    #[test]
    fn slots_fall_by_stake() {
        let weights = [1, 2, 3, 5, 8, 13, 21, 47];
        let slots = 60_000;
        let drawn = sample(&set(&weights), slots, |_| false, &mut rng(7));
        let total: u64 = weights.iter().sum();
        let chi_square: f64 = drawn
            .iter()
            .map(|(index, count)| {
                let expected = f64::from(slots) * weights[usize::from(*index)] as f64 / total as f64;
                (f64::from(*count) - expected) * (f64::from(*count) - expected) / expected
            })
            .sum();
        assert_eq!(drawn.len(), weights.len());
        assert!(chi_square < 24.3, "chi-square {chi_square}");
    }

    /// Of a bound of 3/4 of the 64-bit range, a plain remainder hits the lower third twice as often.
    #[test]
    fn large_bounds_are_not_biased() {
        let bound = 3 << 62;
        let mut thirds = [0_u32; 3];
        let mut rng = rng(11);
        for _ in 0..30_000 {
            thirds[usize::try_from(below(bound, &mut rng) >> 62).unwrap()] += 1;
        }
        // 10,000 expected in each, with a standard deviation of 82.
        assert!(thirds.iter().all(|count| count.abs_diff(10_000) < 330), "{thirds:?}");
    }
}

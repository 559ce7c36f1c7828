//! How sure sampling is, and why its defaults are what they are (`SPEC.md` S-6).
//!
//! The model. A slot of a sample falls, independently of the others, on a validator that answers
//! for a choice with the probability `share`, the part of the weight that prefers it: a sample of
//! k slots has a binomial number of votes. The worst that Byzantine weight below one third can do
//! is to keep the honest two thirds split in halves and to answer every asker what suits it: then
//! each choice may have up to 1/3 + 1/3 = 2/3 of the answers ([`ADVERSARIAL_SHARE`]) although the
//! network as a whole leans to neither. An error is a run of beta successful polls in that state:
//! a validator becomes certain of what may still lose.
//!
//! Such an error costs time and never money: certainty only decides for what a validator votes,
//! and what is final is decided by quorums of signed votes.

use super::Termination;
use alloc::vec::Vec;

/// Share of the answers that a choice may have at worst while the network is undecided.
pub const ADVERSARIAL_SHARE: f64 = 2.0 / 3.0;

/// The probability that a sample of `k` slots has at least `alpha` votes for a choice that
/// `share` (0 to 1) of the weight prefers: the upper tail of a binomial distribution. Exact to
/// about twelve digits for samples of up to some thousand slots; work grows with `k`.
#[must_use]
pub fn success_probability(k: u32, alpha: u32, share: f64) -> f64 {
    if alpha > k {
        return 0.0;
    }
    if alpha == 0 || share >= 1.0 {
        return 1.0;
    }
    if share <= 0.0 {
        return 0.0;
    }
    let (hit, miss) = (libm::log(share), libm::log1p(-share));
    let sum: f64 = (alpha..=k)
        .map(|votes| libm::exp(ln_choose(k, votes) + f64::from(votes) * hit + f64::from(k - votes) * miss))
        .sum();
    sum.min(1.0)
}

/// The natural logarithm of the number of ways to choose `votes` of `k`; `votes` is at most `k`.
fn ln_choose(k: u32, votes: u32) -> f64 {
    let ln_factorial = |n: u32| libm::lgamma(f64::from(n) + 1.0);
    ln_factorial(k) - ln_factorial(votes) - ln_factorial(k - votes)
}

/// The probability that `beta` polls in a row have at least `alpha` votes of `k` each.
#[must_use]
pub fn run_probability(k: u32, alpha: u32, beta: u32, share: f64) -> f64 {
    libm::pow(success_probability(k, alpha, share), f64::from(beta))
}

/// The fewest polls in a row, with at least `alpha` votes of `k` each, that happen by chance with
/// a probability of at most `error`, at the [`ADVERSARIAL_SHARE`]. `None` if no number of polls
/// is enough: such polls cannot fail, or `error` is not positive.
#[must_use]
pub fn beta_for_error(k: u32, alpha: u32, error: f64) -> Option<u32> {
    let success = success_probability(k, alpha, ADVERSARIAL_SHARE);
    if !(success < 1.0 && error > 0.0) {
        return None;
    }
    // An error just as large as that of a whole number of polls asks for that number.
    const ROUNDING: f64 = 1e-9;
    let polls = libm::ceil(libm::log(error) / libm::log(success) - ROUNDING);
    // A float cast saturates; no success at all (alpha > k) gives 0 polls and then 1.
    Some((polls as u32).max(1))
}

/// The ways to become confident (S-6): `beta` polls of `alpha_confidence` votes, and for each
/// higher alpha up to `k` the fewer polls that are at least as unlikely to be chance. A higher
/// alpha that saves no poll is left out. `alpha_confidence` below `alpha_preference` counts as
/// that: what does not move a preference cannot confirm it.
///
/// An `alpha_confidence` above `k` is never met; sampling then leaves everything to blocks.
#[must_use]
pub fn terminations(k: u32, alpha_preference: u32, alpha_confidence: u32, beta: u32) -> Vec<Termination> {
    let alpha_confidence = alpha_confidence.max(alpha_preference);
    let error = run_probability(k, alpha_confidence, beta, ADVERSARIAL_SHARE);
    let mut found = Vec::new();
    let mut fewest = beta;
    found.push(Termination { alpha_confidence: u64::from(alpha_confidence), beta });
    for alpha in alpha_confidence.saturating_add(1)..=k {
        if let Some(polls) = beta_for_error(k, alpha, error).filter(|polls| *polls < fewest) {
            fewest = polls;
            found.push(Termination { alpha_confidence: u64::from(alpha), beta: polls });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    //! Rules: S-6, S-7.

    use super::*;
    use proptest::prelude::*;

    fn pairs(k: u32, alpha_preference: u32, alpha_confidence: u32, beta: u32) -> Vec<(u64, u32)> {
        let found = terminations(k, alpha_preference, alpha_confidence, beta);
        found.into_iter().map(|termination| (termination.alpha_confidence, termination.beta)).collect()
    }

    fn assert_close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= expected * 1e-12, "{found:e} is not {expected:e}");
    }

    /// Expected values computed with exact fractions in another language.
    #[test]
    fn success_follows_the_binomial_tail() {
        let share = ADVERSARIAL_SHARE;
        assert_close(success_probability(20, 15, share), 115_146_752.0 / 387_420_489.0);
        assert_close(success_probability(20, 16, share), 176_095_232.0 / 1_162_261_467.0);
        assert_close(success_probability(20, 18, share), 6_815_744.0 / 387_420_489.0);
        assert_close(success_probability(20, 20, share), 1_048_576.0 / 3_486_784_401.0);
        assert_close(success_probability(20, 15, 0.5), 0.020694732666015625);
        assert_close(success_probability(10, 7, 1.0 / 3.0), 0.019_661_636_945_587_563);
        assert_close(success_probability(30, 25, 0.75), 0.202_598_074_222_137_83);
        assert_close(success_probability(20, 15, 0.9), 0.988_746_865_835_491);
        assert_close(run_probability(20, 15, 15, share), 1.247_488_662_911_914_1e-8);
    }

    #[test]
    fn success_at_the_edges_is_certain_or_impossible() {
        assert_eq!(success_probability(20, 0, 0.1), 1.0);
        assert_eq!(success_probability(20, 20, 1.0), 1.0);
        assert_eq!(success_probability(20, 1, 0.0), 0.0);
        assert_eq!(success_probability(20, 21, 1.0), 0.0);
        assert_eq!(success_probability(0, 0, 0.5), 1.0);
    }

    #[test]
    fn the_defaults_end_unanimous_polls_after_three_s_7() {
        assert_eq!(pairs(20, 15, 15, 15), [(15, 15), (16, 10), (17, 7), (18, 5), (19, 4), (20, 3)]);
    }

    #[test]
    fn every_pair_is_as_unlikely_to_be_chance_as_the_first_s_6() {
        let error = run_probability(20, 15, 15, ADVERSARIAL_SHARE);
        for (alpha, beta) in pairs(20, 15, 15, 15) {
            let alpha = u32::try_from(alpha).unwrap();
            assert!(run_probability(20, alpha, beta, ADVERSARIAL_SHARE) <= error * (1.0 + 1e-9));
            assert!(
                run_probability(20, alpha, beta - 1, ADVERSARIAL_SHARE) > error,
                "({alpha}, {beta}) is not the least"
            );
        }
    }

    #[test]
    fn confidence_never_takes_fewer_votes_than_preference() {
        assert_eq!(pairs(20, 18, 15, 5)[0], (18, 5));
    }

    #[test]
    fn an_alpha_that_cannot_be_reached_stays_out_of_reach() {
        assert_eq!(pairs(20, 15, 21, 15), [(21, 15)]);
        assert_eq!(pairs(20, 15, u32::MAX, 15), [(u64::from(u32::MAX), 15)]);
    }

    #[test]
    fn no_number_of_polls_that_cannot_fail_is_enough() {
        assert_eq!(beta_for_error(20, 0, 1e-8), None);
        assert_eq!(beta_for_error(20, 15, 0.0), None);
        assert_eq!(beta_for_error(20, 15, f64::NAN), None);
        assert_eq!(beta_for_error(20, 21, 1e-8), Some(1));
    }

    proptest! {
        #[test]
        fn more_votes_and_more_polls_are_less_likely(k in 1_u32..200, alpha in 1_u32..200, beta in 1_u32..40) {
            let alpha = alpha.min(k);
            let (share, rounding) = (ADVERSARIAL_SHARE, 1e-11);
            let success = success_probability(k, alpha, share) + rounding;
            prop_assert!(success >= success_probability(k, alpha + 1, share));
            prop_assert!(success >= success_probability(k, alpha, 0.5));
            prop_assert!(run_probability(k, alpha, beta, share) >= run_probability(k, alpha, beta + 1, share));
        }

        #[test]
        fn a_beta_is_the_least_that_is_enough(k in 2_u32..60, alpha in 1_u32..60, exponent in 2_i32..12) {
            let alpha = (k / 2 + 1).max(alpha).min(k);
            let error = libm::pow(10.0, f64::from(-exponent));
            let beta = beta_for_error(k, alpha, error).unwrap();
            prop_assert!(run_probability(k, alpha, beta, ADVERSARIAL_SHARE) <= error * (1.0 + 1e-6));
            if beta > 1 {
                prop_assert!(run_probability(k, alpha, beta - 1, ADVERSARIAL_SHARE) > error * (1.0 - 1e-6));
            }
        }

        #[test]
        fn terminations_rise_in_alpha_and_fall_in_beta(k in 1_u32..60, alpha in 1_u32..60, beta in 1_u32..40) {
            let found = terminations(k, alpha.min(k), alpha.min(k), beta);
            prop_assert!(found.is_sorted_by(|a, b| a.alpha_confidence < b.alpha_confidence && a.beta > b.beta));
            prop_assert_eq!(found[0].beta, beta);
            prop_assert!(found.iter().all(|termination| termination.beta > 0));
        }
    }
}

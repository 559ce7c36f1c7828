//! Counting successful polls in a row (`SPEC.md` S-3).

use alloc::vec::Vec;

/// One way to become confident: `beta` polls in a row with at least `alpha_confidence` votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termination {
    /// Least votes for a poll to count.
    pub alpha_confidence: u64,
    /// Polls in a row.
    pub beta: u32,
}

/// When a poll moves a preference, and when it is certain enough (S-3). Votes are slots of a
/// sample, or stake where everybody is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    alpha_preference: u64,
    terminations: Vec<Termination>,
}

impl Thresholds {
    /// Thresholds with `terminations` in any order. At least half of the possible votes should be
    /// below `alpha_preference`, or one poll could favour two choices.
    #[must_use]
    pub fn new(alpha_preference: u64, mut terminations: Vec<Termination>) -> Self {
        terminations.sort_by_key(|termination| termination.alpha_confidence);
        Self { alpha_preference, terminations }
    }

    /// Least votes that move the preference.
    #[must_use]
    pub const fn alpha_preference(&self) -> u64 {
        self.alpha_preference
    }

    /// The termination conditions, in rising order of alpha.
    #[must_use]
    pub fn terminations(&self) -> &[Termination] {
        &self.terminations
    }
}

/// Counters of one choice: consecutive successful polls for each [`Termination`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confidence {
    counters: Vec<u32>,
}

impl Confidence {
    /// Counts a poll in which the choice got `votes`; says whether any termination condition is
    /// met. `terminations` are in rising order of alpha and must be the same at each call.
    ///
    /// Counters up to the highest alpha that was reached go up, those above start again (S-3).
    /// The first that is met ends the count: those after it no longer matter.
    pub fn record(&mut self, votes: u64, terminations: &[Termination]) -> bool {
        debug_assert!(terminations.is_sorted_by_key(|termination| termination.alpha_confidence));
        self.counters.resize(terminations.len(), 0);
        let reached = terminations.iter().take_while(|termination| termination.alpha_confidence <= votes).count();
        self.counters.iter_mut().skip(reached).for_each(|counter| *counter = 0);
        self.counters.iter_mut().zip(terminations).take(reached).any(|(counter, termination)| {
            *counter = counter.saturating_add(1);
            *counter >= termination.beta
        })
    }

    /// Forgets all successes (an unsuccessful poll, or another choice won it).
    pub fn reset(&mut self) {
        self.counters.clear();
    }

    /// Consecutive successes for each termination; empty if the last poll was unsuccessful.
    #[must_use]
    pub fn counters(&self) -> &[u32] {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    //! Rules: S-3.

    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    const SEVERAL: [Termination; 3] = [
        Termination { alpha_confidence: 3, beta: 4 },
        Termination { alpha_confidence: 4, beta: 3 },
        Termination { alpha_confidence: 5, beta: 2 },
    ];

    #[test]
    fn several_alphas_count_side_by_side_s_3() {
        let mut confidence = Confidence::default();
        let polls = [(5, [1, 1, 1], false), (4, [2, 2, 0], false), (3, [3, 0, 0], false), (5, [4, 0, 0], true)];
        for (votes, counters, accepted) in polls {
            assert_eq!(confidence.record(votes, &SEVERAL), accepted, "{votes} votes");
            assert_eq!(confidence.counters(), counters, "{votes} votes");
        }
    }

    #[test]
    fn unanimous_polls_end_first() {
        let mut confidence = Confidence::default();
        assert!(!confidence.record(5, &SEVERAL));
        assert!(confidence.record(5, &SEVERAL));
    }

    #[test]
    fn a_poll_below_every_alpha_starts_all_again() {
        let mut confidence = Confidence::default();
        assert!(!confidence.record(5, &SEVERAL));
        assert!(!confidence.record(2, &SEVERAL));
        assert_eq!(confidence.counters(), [0, 0, 0]);
        assert!(!confidence.record(5, &SEVERAL));
    }

    #[test]
    fn a_reset_forgets_all_successes() {
        let mut confidence = Confidence::default();
        assert!(!confidence.record(5, &SEVERAL));
        confidence.reset();
        assert_eq!(confidence, Confidence::default());
        assert!(!confidence.record(5, &SEVERAL));
    }

    #[test]
    fn votes_may_be_stakes_of_any_size() {
        let all = [Termination { alpha_confidence: u64::MAX, beta: 1 }];
        assert!(!Confidence::default().record(u64::MAX - 1, &all));
        assert!(Confidence::default().record(u64::MAX, &all));
    }

    #[test]
    fn without_a_termination_nothing_is_ever_confident() {
        assert!(!Confidence::default().record(u64::MAX, &[]));
    }

    #[test]
    fn thresholds_sort_their_terminations() {
        let thresholds = Thresholds::new(3, vec![SEVERAL[2], SEVERAL[0], SEVERAL[1]]);
        assert_eq!(thresholds.terminations(), SEVERAL);
        assert_eq!(thresholds.alpha_preference(), 3);
    }

    proptest! {
        /// The definition: confident exactly if some termination had its beta successes in the last polls.
        #[test]
        fn confident_exactly_when_a_run_is_long_enough(polls in prop::collection::vec(0_u64..7, 1..40)) {
            let mut confidence = Confidence::default();
            for end in 1..=polls.len() {
                let expected = SEVERAL.iter().any(|termination| {
                    let run = polls[..end].iter().rev().take_while(|votes| **votes >= termination.alpha_confidence);
                    run.count() >= termination.beta as usize
                });
                prop_assert_eq!(confidence.record(polls[end - 1], &SEVERAL), expected);
                if expected {
                    break;
                }
            }
        }
    }
}

//! Snowflake: the last poll that was clear enough decides the preference (`SPEC.md` S-4).

use super::{Confidence, Thresholds};

/// A preference among choices of type `C`, moved by polls until it is certain. Two choices or
/// many make no difference: a poll names the one choice that got most votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snowflake<C> {
    preference: C,
    confidence: Confidence,
    finalized: bool,
}

impl<C: Copy + Eq> Snowflake<C> {
    /// Prefers `first` until a poll says otherwise.
    #[must_use]
    pub fn new(first: C) -> Self {
        Self { preference: first, confidence: Confidence::default(), finalized: false }
    }

    /// What is preferred now.
    #[must_use]
    pub const fn preference(&self) -> C {
        self.preference
    }

    /// Whether the preference is certain. Once it is, it stays.
    #[must_use]
    pub const fn is_finalized(&self) -> bool {
        self.finalized
    }

    /// The consecutive successes of the preference.
    #[must_use]
    pub const fn confidence(&self) -> &Confidence {
        &self.confidence
    }

    /// Takes a poll in which `choice` got most votes, namely `votes` (S-4). `thresholds` must be
    /// the same at each call.
    pub fn record(&mut self, choice: C, votes: u64, thresholds: &Thresholds) {
        if self.finalized {
            return;
        }
        if votes < thresholds.alpha_preference() {
            self.confidence.reset();
            return;
        }
        if choice != self.preference {
            self.preference = choice;
            self.confidence.reset();
        }
        self.finalized = self.confidence.record(votes, thresholds.terminations());
    }

    /// Takes a poll in which no choice got enough votes.
    pub fn record_unsuccessful(&mut self) {
        if !self.finalized {
            self.confidence.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    //! Rules: S-4.

    use super::super::Termination;
    use super::*;
    use alloc::vec;

    fn thresholds(alpha_preference: u64, alpha_confidence: u64, beta: u32) -> Thresholds {
        Thresholds::new(alpha_preference, vec![Termination { alpha_confidence, beta }])
    }

    /// Plays polls `(choice, votes, preference after it, finalized after it)`.
    fn play<C: Copy + Eq + core::fmt::Debug>(first: C, thresholds: &Thresholds, polls: &[(C, u64, C, bool)]) {
        let mut snowflake = Snowflake::new(first);
        for (step, (choice, votes, preference, finalized)) in polls.iter().enumerate() {
            snowflake.record(*choice, *votes, thresholds);
            assert_eq!(snowflake.preference(), *preference, "step {step}");
            assert_eq!(snowflake.is_finalized(), *finalized, "step {step}");
        }
    }

    #[test]
    fn a_binary_snowflake_follows_the_reference_s_4() {
        let polls =
            [(0, 2, 0, false), (1, 2, 1, false), (0, 2, 0, false), (1, 1, 1, false), (0, 2, 0, false), (0, 2, 0, true)];
        play(1, &thresholds(1, 2, 2), &polls);
    }

    #[test]
    fn an_n_ary_snowflake_follows_the_reference_s_4() {
        let polls = [
            ('B', 2, 'B', false),
            ('R', 1, 'R', false),
            ('R', 2, 'R', false),
            ('R', 2, 'R', true),
            ('B', 1, 'R', true),
            ('B', 2, 'R', true),
        ];
        play('R', &thresholds(1, 2, 2), &polls);
    }

    #[test]
    fn a_snowflake_counts_several_alphas_side_by_side() {
        let terminations = [(3, 4), (4, 3), (5, 2)];
        let terminations = terminations.map(|(alpha_confidence, beta)| Termination { alpha_confidence, beta });
        let thresholds = Thresholds::new(3, terminations.to_vec());
        let mut snowflake = Snowflake::new('a');
        for (votes, counters) in [(5, [1, 1, 1]), (4, [2, 2, 0]), (3, [3, 0, 0]), (5, [4, 0, 0])] {
            assert!(!snowflake.is_finalized());
            snowflake.record('a', votes, &thresholds);
            assert_eq!(snowflake.confidence().counters(), counters);
        }
        assert!(snowflake.is_finalized());
    }

    #[test]
    fn a_poll_below_alpha_preference_moves_nothing_but_breaks_the_run() {
        let thresholds = thresholds(3, 3, 2);
        let mut snowflake = Snowflake::new(0);
        snowflake.record(0, 3, &thresholds);
        snowflake.record(1, 2, &thresholds);
        assert_eq!(snowflake.preference(), 0);
        snowflake.record(0, 3, &thresholds);
        assert!(!snowflake.is_finalized(), "the run was broken");
        snowflake.record(0, 3, &thresholds);
        assert!(snowflake.is_finalized());
    }

    #[test]
    fn finalized_is_final() {
        let thresholds = thresholds(1, 2, 1);
        let mut snowflake = Snowflake::new(0);
        snowflake.record(0, 2, &thresholds);
        assert!(snowflake.is_finalized());
        let done = snowflake.clone();
        snowflake.record(1, 2, &thresholds);
        snowflake.record(1, 1, &thresholds);
        snowflake.record(1, 0, &thresholds);
        snowflake.record_unsuccessful();
        assert_eq!(snowflake, done);
    }
}

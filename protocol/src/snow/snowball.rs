//! Snowball: the choice that won most polls so far is the preference (`SPEC.md` S-5).

use super::{Snowflake, Thresholds};
use alloc::collections::BTreeMap;

/// A [`Snowflake`] whose preference has a memory: it moves only when another choice has won more
/// polls, so that one lucky poll does not swing it. It keeps one number for each choice that
/// ever won a poll; whoever names the choices bounds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snowball<C> {
    snowflake: Snowflake<C>,
    preference: C,
    strengths: BTreeMap<C, u32>,
}

impl<C: Copy + Ord> Snowball<C> {
    /// Prefers `first` until polls say otherwise.
    #[must_use]
    pub fn new(first: C) -> Self {
        Self { snowflake: Snowflake::new(first), preference: first, strengths: BTreeMap::new() }
    }

    /// What is preferred now. The inner snowflake may, rarely, finalize a choice that has not won
    /// most polls; then that one counts (S-5).
    #[must_use]
    pub const fn preference(&self) -> C {
        if self.snowflake.is_finalized() { self.snowflake.preference() } else { self.preference }
    }

    /// Whether the preference is certain. Once it is, it stays.
    #[must_use]
    pub const fn is_finalized(&self) -> bool {
        self.snowflake.is_finalized()
    }

    /// Number of polls that `choice` won.
    #[must_use]
    pub fn strength(&self, choice: C) -> u32 {
        self.strengths.get(&choice).copied().unwrap_or(0)
    }

    /// Takes a poll in which `choice` got most votes, namely `votes` (S-5). `thresholds` must be
    /// the same at each call.
    pub fn record(&mut self, choice: C, votes: u64, thresholds: &Thresholds) {
        if self.is_finalized() {
            return;
        }
        if votes >= thresholds.alpha_preference() {
            let strength = self.strength(choice).saturating_add(1);
            // The preference is always a choice of greatest strength: beating it beats all.
            if strength > self.strength(self.preference) {
                self.preference = choice;
            }
            self.strengths.insert(choice, strength);
        }
        self.snowflake.record(choice, votes, thresholds);
    }

    /// Takes a poll in which no choice got enough votes.
    pub fn record_unsuccessful(&mut self) {
        self.snowflake.record_unsuccessful();
    }
}

#[cfg(test)]
mod tests {
    //! Rules: S-5.

    use super::super::Termination;
    use super::*;
    use alloc::vec;

    fn thresholds(alpha_preference: u64, alpha_confidence: u64, beta: u32) -> Thresholds {
        Thresholds::new(alpha_preference, vec![Termination { alpha_confidence, beta }])
    }

    /// Choice and votes, or none if unsuccessful; preference after it; finalized after it.
    type Poll<C> = (Option<(C, u64)>, C, bool);

    fn play<C: Copy + Ord + core::fmt::Debug>(first: C, thresholds: &Thresholds, polls: &[Poll<C>]) -> Snowball<C> {
        let mut snowball = Snowball::new(first);
        assert_eq!(snowball.preference(), first);
        for (step, (poll, preference, finalized)) in polls.iter().enumerate() {
            match poll {
                Some((choice, votes)) => snowball.record(*choice, *votes, thresholds),
                None => snowball.record_unsuccessful(),
            }
            assert_eq!(snowball.preference(), *preference, "step {step}");
            assert_eq!(snowball.is_finalized(), *finalized, "step {step}");
        }
        snowball
    }

    #[test]
    fn a_binary_snowball_follows_the_reference_s_5() {
        let polls =
            [(Some((1, 3)), 1, false), (Some((0, 3)), 1, false), (Some((1, 3)), 1, false), (Some((1, 3)), 1, true)];
        play(0, &thresholds(2, 3, 2), &polls);
    }

    #[test]
    fn polls_that_only_move_the_preference_add_strength() {
        let polls = [
            (Some((1, 2)), 1, false),
            (Some((0, 2)), 1, false),
            (Some((0, 1)), 0, false),
            (Some((0, 2)), 0, false),
            (Some((0, 2)), 0, true),
        ];
        let snowball = play(0, &thresholds(1, 2, 2), &polls);
        assert_eq!((snowball.strength(0), snowball.strength(1)), (4, 1));
    }

    #[test]
    fn an_unsuccessful_poll_breaks_the_run_and_keeps_strengths() {
        let polls = [(Some((1, 2)), 1, false), (None, 1, false), (Some((1, 2)), 1, false), (Some((1, 2)), 1, true)];
        let snowball = play(0, &thresholds(1, 2, 2), &polls);
        assert_eq!((snowball.strength(0), snowball.strength(1)), (0, 3));
    }

    #[test]
    fn finalized_is_final() {
        let polls = [
            (Some((0, 2)), 0, true),
            (Some((1, 2)), 0, true),
            (Some((1, 1)), 0, true),
            (Some((1, 2)), 0, true),
            (None, 0, true),
        ];
        play(0, &thresholds(1, 2, 1), &polls);
    }

    #[test]
    fn an_n_ary_snowball_follows_the_reference_s_5() {
        let polls = [
            (Some(('B', 2)), 'B', false),
            (Some(('R', 2)), 'B', false),
            (Some(('R', 1)), 'R', false),
            (Some(('R', 2)), 'R', false),
            (Some(('B', 1)), 'R', false),
            (Some(('B', 2)), 'R', false),
            (Some(('B', 2)), 'B', true),
        ];
        // The row leaves the first preference open: it makes no difference.
        play('R', &thresholds(1, 2, 2), &polls);
        play('B', &thresholds(1, 2, 2), &polls);
        play('G', &thresholds(1, 2, 2), &polls);
    }

    #[test]
    fn a_run_that_ends_before_the_memory_turns_decides() {
        let thresholds = thresholds(1, 2, 2);
        let mut snowball = Snowball::new(0);
        for _ in 0..5 {
            snowball.record(0, 1, &thresholds);
        }
        snowball.record(1, 2, &thresholds);
        assert_eq!(snowball.preference(), 0, "0 has won more polls");
        snowball.record(1, 2, &thresholds);
        assert!(snowball.is_finalized());
        assert_eq!(snowball.preference(), 1, "what was finalized counts");
    }
}

//! The highest rate that holds: doubles until one does not, then bisects.

use super::report::Report;
use super::sample::PoolSample;
use serde::Serialize;

/// The search ends when the lowest rate that fails is at most this much above the highest that holds.
const PRECISION: f64 = 1.1;
/// Steps of one search at most.
pub const STEPS_MAX: usize = 20;
/// The pool may grow by this share of what is sent meanwhile.
const GROWTH_SHARE_MAX: f64 = 0.1;
/// The generator may be so late, in milliseconds at the 99th percentile; beyond it, it is the limit itself.
const LATENESS_P99_MS_MAX: f64 = 250.0;

/// When a rate counts as held.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Highest 99th percentile of finality, in milliseconds.
    pub p99_ms_max: f64,
}

/// Why a rate does not hold.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Finality is too slow.
    #[error("finality p99 is {p99_ms:.0} ms, above {limit_ms:.0} ms")]
    Slow {
        /// As measured.
        p99_ms: f64,
        /// As allowed.
        limit_ms: f64,
    },
    /// Payments without rival were refused.
    #[error("{0} payments without rival were refused")]
    Refused(u64),
    /// Calls failed.
    #[error("{0} calls failed")]
    Failed(u64),
    /// Accepted payments did not become final.
    #[error("{0} accepted payments did not become final")]
    Unfinished(u64),
    /// The pool grows.
    #[error("the pool grows by {grown:.0} transactions while {sent:.0} are sent")]
    PoolGrows {
        /// From the second third of the time to the last.
        grown: f64,
        /// In a third of the time.
        sent: f64,
    },
    /// The generator does not keep up: the result would say nothing about the nodes.
    #[error("the generator is {0:.0} ms late at the 99th percentile")]
    GeneratorLate(f64),
    /// A check failed.
    #[error("{0} checks failed")]
    Checks(usize),
}

/// What keeps a rate from being held; empty if nothing does.
#[must_use]
pub fn holds(report: &Report, limits: Limits) -> Vec<Hold> {
    let (counts, latencies) = (&report.counts, &report.latencies);
    let finality = latencies.finality;
    let failed: u64 = counts.failed.values().sum();
    let lost = counts.accepted.saturating_sub(counts.finished + counts.rejected.values().sum::<u64>());
    let late = latencies.lateness.p99_ms;
    let slow = finality.p99_ms > limits.p99_ms_max || finality.count == 0;
    [
        (!report.violations.is_empty()).then_some(Hold::Checks(report.violations.len())),
        (late > LATENESS_P99_MS_MAX).then_some(Hold::GeneratorLate(late)),
        slow.then_some(Hold::Slow { p99_ms: finality.p99_ms, limit_ms: limits.p99_ms_max }),
        (counts.rejected_unopposed > 0).then_some(Hold::Refused(counts.rejected_unopposed)),
        (failed > 0).then_some(Hold::Failed(failed)),
        (lost > 0).then_some(Hold::Unfinished(lost)),
        growth(&report.pool_samples, report.rate),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The average pool must not grow from the second third of the time to the last one: it rises and
/// falls with the blocks, and rises at first in any case.
fn growth(samples: &[PoolSample], rate: f64) -> Option<Hold> {
    let end_ms = samples.last()?.at_ms;
    let third_ms = end_ms as f64 / 3.0;
    let mean = |from: f64, to: f64| {
        let within: Vec<f64> = samples
            .iter()
            .filter(|sample| (from..to).contains(&(sample.at_ms as f64)))
            .map(|sample| sample.size as f64)
            .collect();
        within.iter().sum::<f64>() / within.len().max(1) as f64
    };
    let grown = mean(2.0 * third_ms, 3.0 * third_ms) - mean(third_ms, 2.0 * third_ms);
    let sent = rate * third_ms / 1_000.0;
    (grown > GROWTH_SHARE_MAX * sent).then_some(Hold::PoolGrows { grown, sent })
}

/// One rate that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// In transactions per second.
    pub rate: f64,
    /// What kept it from being held.
    pub failed: Vec<Hold>,
    /// What was measured.
    pub report: Report,
}

/// Where a search is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    next: f64,
    highest: f64,
    steps: usize,
    held: Option<f64>,
    failed: Option<f64>,
}

impl Search {
    /// A search from `first` up to `highest`, in transactions per second.
    #[must_use]
    pub const fn new(first: f64, highest: f64) -> Self {
        Self { next: first, highest, steps: 0, held: None, failed: None }
    }

    /// The rate to try next; `None` when the search is over.
    #[must_use]
    pub fn next_rate(&self) -> Option<f64> {
        let narrow = self.held.zip(self.failed).is_some_and(|(held, failed)| failed <= held * PRECISION);
        let top = self.held.is_some_and(|held| held >= self.highest);
        let hopeless = self.failed.is_some_and(|failed| failed <= 1.0);
        (!narrow && !top && !hopeless && self.steps < STEPS_MAX).then_some(self.next)
    }

    /// Says how the rate tried last went.
    pub fn tried(&mut self, held: bool) {
        self.steps += 1;
        let bound = if held { &mut self.held } else { &mut self.failed };
        *bound = Some(self.next);
        self.next = match (self.held, self.failed) {
            // The geometric mean: rates are judged by ratio.
            (Some(held), Some(failed)) => (held * failed).sqrt(),
            (Some(held), None) => (held * 2.0).min(self.highest),
            (None, Some(failed)) => (failed / 2.0).max(1.0),
            (None, None) => self.next,
        };
    }

    /// The highest rate that held.
    #[must_use]
    pub const fn held(&self) -> Option<f64> {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::board::tests::{board, says};
    use crate::load::check::Violation;
    use crate::load::plan::Shape;
    use crate::load::report::Surroundings;
    use crate::load::sample::Samples;
    use crate::rpc::Word;
    use timecoin_protocol::hash::Txid;

    const LIMITS: Limits = Limits { p99_ms_max: 1_000.0 };

    fn search(limit: f64, first: f64) -> (Option<f64>, usize) {
        let mut search = Search::new(first, 100_000.0);
        let mut steps = 0;
        while let Some(rate) = search.next_rate() {
            search.tried(rate <= limit);
            steps += 1;
        }
        (search.held(), steps)
    }

    #[test]
    fn a_search_ends_close_below_the_limit() {
        for (limit, first) in [(3_300.0, 100.0), (90.0, 1_000.0), (1_000.0, 1_000.0), (7.0, 100.0)] {
            let (held, steps) = search(limit, first);
            let held = held.unwrap();
            assert!(held <= limit && held * PRECISION * 1.001 >= limit, "{held} for {limit}");
            assert!(steps < STEPS_MAX);
        }
    }

    #[test]
    fn a_search_ends_at_the_top_and_at_nothing() {
        assert_eq!(search(1e9, 100.0).0, Some(100_000.0));
        assert_eq!(search(0.0, 100.0).0, None);
    }

    fn report(violations: Vec<Violation>, pools: &[u64]) -> Report {
        let shape = Shape { rate: 100.0, seconds: 9, nodes: 1, accounts: 1, double_spends: 0.0, chains: 0.0, seed: 0 };
        let board = board(1, &[0], &[]);
        board.records[0].sent.set(0);
        board.records[0].accepted.set(1);
        board.note(0, &says(0, Word::Final), 90_000);
        let pools =
            (0..).zip(pools).map(|(at, size)| PoolSample { at_ms: at * 1_000, size: *size, undecided: 0 }).collect();
        Report::new(
            &shape,
            &board,
            Surroundings { samples: Samples { pools, usages: vec![] }, blocks: vec![], violations },
        )
    }

    #[test]
    fn a_pool_that_rises_and_falls_with_the_blocks_holds_one_that_grows_does_not() {
        assert_eq!(holds(&report(vec![], &[0, 90, 10, 90, 10, 90, 10, 90, 10, 90]), LIMITS), []);
        let growing = holds(&report(vec![], &[0, 50, 100, 150, 200, 250, 300, 350, 400, 450]), LIMITS);
        assert!(matches!(growing[..], [Hold::PoolGrows { .. }]), "{growing:?}");
    }

    #[test]
    fn slowness_refusals_failures_and_checks_each_break_a_rate() {
        let slow = holds(&report(vec![], &[]), Limits { p99_ms_max: 80.0 });
        assert!(matches!(slow[..], [Hold::Slow { .. }]), "{slow:?}");
        let mut refused = report(vec![], &[]);
        refused.counts.rejected_unopposed = 2;
        assert_eq!(holds(&refused, LIMITS), [Hold::Refused(2)]);
        let mut lost = report(vec![], &[]);
        lost.counts.accepted = 3;
        lost.counts.failed.insert("gone".into(), 1);
        assert_eq!(holds(&lost, LIMITS), [Hold::Failed(1), Hold::Unfinished(2)]);
        let broken = report(vec![Violation::FinalLost(Txid([0; 32]))], &[]);
        assert_eq!(holds(&broken, LIMITS), [Hold::Checks(1)]);
    }

    #[test]
    fn a_late_generator_is_not_taken_for_a_slow_network() {
        let mut late = report(vec![], &[]);
        late.latencies.lateness.p99_ms = 400.0;
        assert_eq!(holds(&late, LIMITS), [Hold::GeneratorLate(400.0)]);
    }
}

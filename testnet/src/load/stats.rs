//! Numbers of a run, out of what the board holds. Latency counts from the planned moment of sending
//! (no coordinated omission), and beside it from the actual one.

use super::board::{Board, Record};
use super::check::SETTLE_MS_MAX;
use super::gather::settled_ms;
use super::plan::Payment;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;

/// Longest latency that is told apart, in microseconds: ten minutes.
const LATENCY_US_MAX: u64 = 600_000_000;

/// A distribution of times, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Half are below.
    pub p50_ms: f64,
    /// 95 of 100 are below.
    pub p95_ms: f64,
    /// 99 of 100 are below.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Latency {
    /// The distribution of times in microseconds.
    pub fn of(times_us: impl IntoIterator<Item = u64>) -> Self {
        // Three digits; bounds that the library accepts.
        let Ok(mut histogram) = Histogram::<u64>::new_with_bounds(1, LATENCY_US_MAX, 3) else { return Self::default() };
        for time_us in times_us {
            histogram.saturating_record(time_us);
        }
        if histogram.is_empty() {
            return Self::default();
        }
        let ms = |us: u64| us as f64 / 1_000.0;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            max_ms: ms(histogram.max()),
        }
    }
}

/// How long things took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// From the planned moment of sending to finality at the node that was sent to.
    pub finality: Latency,
    /// The same from the actual moment of sending.
    pub finality_from_send: Latency,
    /// From the planned moment to finality at another node, of a sample.
    pub remote_finality: Latency,
    /// From the actual moment to the node's answer.
    pub acceptance: Latency,
    /// How late the generator sent.
    pub lateness: Latency,
}

/// Double spends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DoubleSpends {
    /// At least one half was accepted.
    pub pairs: u64,
    /// One half became final at every node.
    pub settled: u64,
    /// Of these, within the time that the check allows.
    pub settled_in_time: u64,
    /// The others.
    pub unsettled: u64,
    /// From the planned moment of sending to finality of one half at every node.
    pub settling: Latency,
}

/// Counts of payments; both halves of a double spend are counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Handed to a node.
    pub sent: u64,
    /// Taken by the node.
    pub accepted: u64,
    /// Final.
    #[serde(rename = "final")]
    pub finished: u64,
    /// In a block.
    pub committed: u64,
    /// Of those sent, spends of an output that was in no block.
    pub chained: u64,
    /// Refused, or rejected later, by reason; losers of double spends are among them.
    pub rejected: BTreeMap<String, u64>,
    /// Of these, payments without rival.
    pub rejected_unopposed: u64,
    /// Calls that failed, by reason.
    pub failed: BTreeMap<String, u64>,
}

/// How long each step took.
#[must_use]
pub fn latencies(board: &Board) -> Latencies {
    let entries = || board.plan.payments.iter().zip(&board.records);
    let unopposed = || entries().filter(|(payment, _)| payment.pair.is_none());
    let since_due = |payment: &Payment, at: Option<u64>| Some(at?.saturating_sub(payment.due_us));
    let since_sent = |record: &Record, at: Option<u64>| Some(at?.saturating_sub(record.sent.at_us()?));
    Latencies {
        finality: Latency::of(unopposed().filter_map(|(payment, record)| since_due(payment, record.finished.at_us()))),
        finality_from_send: Latency::of(
            unopposed().filter_map(|(_, record)| since_sent(record, record.finished.at_us())),
        ),
        remote_finality: Latency::of(
            unopposed().filter_map(|(payment, record)| since_due(payment, record.remote.at_us())),
        ),
        acceptance: Latency::of(entries().filter_map(|(_, record)| since_sent(record, record.accepted.at_us()))),
        lateness: Latency::of(entries().filter_map(|(payment, record)| since_due(payment, record.sent.at_us()))),
    }
}

/// How many came how far.
#[must_use]
pub fn counts(board: &Board) -> Counts {
    let mut counts = Counts::default();
    for (payment, record) in board.plan.payments.iter().zip(&board.records) {
        let sent = record.sent.at_us().is_some();
        counts.sent += u64::from(sent);
        counts.chained += u64::from(sent && matches!(payment.source, super::plan::Source::ChangeOf(_)));
        counts.accepted += u64::from(record.accepted.at_us().is_some());
        counts.finished += u64::from(record.finished.at_us().is_some());
        counts.committed += u64::from(record.committed.at_us().is_some());
        if let Some(reason) = record.refusal.get() {
            *counts.rejected.entry(reason.clone()).or_default() += 1;
            counts.rejected_unopposed += u64::from(payment.pair.is_none());
        }
        if let Some(error) = record.failure.get() {
            *counts.failed.entry(error.to_string()).or_default() += 1;
        }
    }
    counts
}

/// How the double spends ended.
#[must_use]
pub fn double_spends(board: &Board) -> DoubleSpends {
    let accepted = |index: &usize| board.records.get(*index).is_some_and(|record| record.accepted.at_us().is_some());
    let begun = board.plan.pairs.iter().enumerate().filter(|(_, halves)| halves.iter().any(accepted));
    let times_ms: Vec<Option<u64>> = begun.map(|(pair, [first, _])| settled_ms(board, pair, *first)).collect();
    let settled = times_ms.iter().flatten().count() as u64;
    let pairs = times_ms.len() as u64;
    DoubleSpends {
        pairs,
        settled,
        settled_in_time: times_ms.iter().flatten().filter(|ms| **ms <= SETTLE_MS_MAX).count() as u64,
        unsettled: pairs - settled,
        settling: Latency::of(times_ms.iter().flatten().map(|ms| ms.saturating_mul(1_000))),
    }
}

/// Payments that became final while payments were sent, in each second of that time.
#[must_use]
pub fn final_per_second(board: &Board, seconds: u64) -> f64 {
    let end_us = seconds.saturating_mul(1_000_000);
    let times = board.records.iter().filter_map(|record| record.finished.at_us());
    times.filter(|at_us| *at_us <= end_us).count() as f64 / seconds.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::board::tests::{board, says};
    use crate::rpc::{CallError, Word};

    #[test]
    fn quantiles_are_those_of_the_values() {
        let latency = Latency::of((1..=1_000).map(|ms| ms * 1_000));
        assert_eq!(latency.count, 1_000);
        for (found, expected) in
            [(latency.p50_ms, 500.0), (latency.p95_ms, 950.0), (latency.p99_ms, 990.0), (latency.max_ms, 1_000.0)]
        {
            assert!((found - expected).abs() / expected < 0.002, "{found} instead of {expected}");
        }
    }

    #[test]
    fn nothing_measured_is_all_zero_and_too_long_is_not_lost() {
        assert_eq!(Latency::of([]), Latency::default());
        assert_eq!(Latency::of([u64::MAX]).count, 1);
    }

    #[test]
    fn latency_counts_from_the_planned_moment() {
        let board = board(1, &[0, 0], &[]);
        // Payment 1 is due after 1 ms, is sent at 5 ms, accepted at 6 ms and final at 11 ms.
        board.records[1].sent.set(5_000);
        board.records[1].accepted.set(6_000);
        board.note(0, &says(1, Word::Final), 11_000);
        let found = latencies(&board);
        let max = |latency: Latency| (latency.count, latency.max_ms.round());
        assert_eq!(max(found.finality), (1, 10.0));
        assert_eq!(max(found.finality_from_send), (1, 6.0));
        assert_eq!(max(found.lateness), (1, 4.0));
        assert_eq!(max(found.acceptance), (1, 1.0));
    }

    #[test]
    fn payments_are_counted_by_how_far_they_came() {
        let board = board(1, &[0, 0, 0, 0, 0], &[[3, 4]]);
        board.records.iter().for_each(|record| record.sent.set(1));
        [0, 3, 4].iter().for_each(|index| board.records[*index].accepted.set(2));
        board.note(0, &says(0, Word::Committed), 3);
        board.note(0, &says(3, Word::Final), 3);
        board.note(0, &says(4, Word::Rejected), 3);
        board.records[1].refusal.set("busy".into()).unwrap();
        let error = CallError::Unreachable { url: "ws://x".into(), why: "gone".into() };
        board.records[2].failure.set(error).unwrap();
        let found = counts(&board);
        assert_eq!((found.sent, found.accepted, found.finished, found.committed), (5, 3, 2, 1));
        assert_eq!(found.rejected, [("busy".to_owned(), 1), ("rejected".to_owned(), 1)].into());
        assert_eq!((found.rejected_unopposed, found.failed.len()), (1, 1));
        assert_eq!(double_spends(&board).settled, 1);
    }

    #[test]
    fn only_what_became_final_during_the_load_counts_as_throughput() {
        let board = board(1, &[0, 0, 0], &[]);
        board.note(0, &says(0, Word::Final), 500_000);
        board.note(0, &says(1, Word::Final), 2_000_000);
        board.note(0, &says(2, Word::Final), 2_000_001);
        assert!((final_per_second(&board, 2) - 1.0).abs() < 1e-9);
    }
}

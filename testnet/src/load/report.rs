//! What a run is reported as: one JSON object for programs, tables for people.

use super::check::Violation;
use super::plan::Shape;
use super::sample::{PoolSample, Samples};
use super::stats::{Counts, DoubleSpends, Latencies, Latency};
use super::usage::ProcessUsage;
use comfy_table::{Table, presets::UTF8_BORDERS_ONLY};
use serde::Serialize;
use std::fmt;

/// Blocks of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Blocks {
    /// How many.
    pub count: u64,
    /// Payments in the average block.
    pub transactions_mean: f64,
    /// Payments in the fullest block.
    pub transactions_max: u64,
    /// Bytes of the largest block.
    pub bytes_max: u64,
}

impl Blocks {
    /// From the payments and bytes of each.
    #[must_use]
    pub fn of(blocks: &[(u64, u64)]) -> Self {
        let total: u64 = blocks.iter().map(|(transactions, _)| transactions).sum();
        Self {
            count: blocks.len() as u64,
            transactions_mean: total as f64 / blocks.len().max(1) as f64,
            transactions_max: blocks.iter().map(|(transactions, _)| *transactions).max().unwrap_or_default(),
            bytes_max: blocks.iter().map(|(_, bytes)| *bytes).max().unwrap_or_default(),
        }
    }
}

/// The largest pool of all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// When sending began.
    pub start: u64,
    /// At most.
    pub max: u64,
    /// When sending ended.
    pub end: u64,
    /// Transactions in it that were not final, at most.
    pub undecided_max: u64,
}

impl Pool {
    /// From samples in order of time.
    #[must_use]
    pub fn of(samples: &[PoolSample]) -> Self {
        Self {
            start: samples.first().map_or(0, |sample| sample.size),
            max: samples.iter().map(|sample| sample.size).max().unwrap_or_default(),
            end: samples.last().map_or(0, |sample| sample.size),
            undecided_max: samples.iter().map(|sample| sample.undecided).max().unwrap_or_default(),
        }
    }
}

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Transactions per second that were planned.
    pub rate: f64,
    /// Seconds of sending.
    pub seconds: u64,
    /// Nodes.
    pub nodes: usize,
    /// Source of all chance.
    pub seed: u64,
    /// How many payments came how far.
    pub counts: Counts,
    /// Payments per second that became final while payments were sent.
    pub final_per_second: f64,
    /// How long it took.
    pub latencies: Latencies,
    /// Double spends.
    pub double_spends: DoubleSpends,
    /// The pools.
    pub pool: Pool,
    /// Samples of the pools while payments were sent.
    pub pool_samples: Vec<PoolSample>,
    /// Blocks from the first payment until the end.
    pub blocks: Blocks,
    /// Processor and memory of each process while payments were sent.
    pub processes: Vec<ProcessUsage>,
    /// Subscriptions that broke off, so that some times are too long.
    pub subscription_gaps: u64,
    /// What does not hold; empty if all is well.
    pub violations: Vec<String>,
    /// How many of these no rate excuses.
    pub broken: usize,
}

/// The parts of a report that are not on the board.
#[derive(Debug)]
pub struct Surroundings {
    /// Pools and processes.
    pub samples: Samples,
    /// Payments and bytes of each block.
    pub blocks: Vec<(u64, u64)>,
    /// What does not hold.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Puts the parts together.
    #[must_use]
    pub fn new(shape: &Shape, board: &super::board::Board, around: Surroundings) -> Self {
        Self {
            rate: shape.rate,
            seconds: shape.seconds,
            nodes: shape.nodes,
            seed: shape.seed,
            counts: super::stats::counts(board),
            final_per_second: super::stats::final_per_second(board, shape.seconds),
            latencies: super::stats::latencies(board),
            double_spends: super::stats::double_spends(board),
            pool: Pool::of(&around.samples.pools),
            pool_samples: around.samples.pools,
            blocks: Blocks::of(&around.blocks),
            processes: around.samples.usages,
            subscription_gaps: board.gaps.load(std::sync::atomic::Ordering::Relaxed),
            violations: around.violations.iter().map(ToString::to_string).collect(),
            broken: around.violations.iter().filter(|violation| !violation.is_slowness()).count(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", counts_table(self), latency_table(self))?;
        if !self.processes.is_empty() {
            writeln!(f, "{}", process_table(&self.processes))?;
        }
        let reasons = |title: &str, reasons: &std::collections::BTreeMap<String, u64>| -> String {
            reasons.iter().map(|(reason, count)| format!("{title}: {count} × {reason}\n")).collect()
        };
        write!(f, "{}{}", reasons("rejected", &self.counts.rejected), reasons("failed", &self.counts.failed))?;
        if self.subscription_gaps > 0 {
            writeln!(f, "{} subscriptions broke off: some times are too long", self.subscription_gaps)?;
        }
        for violation in &self.violations {
            writeln!(f, "VIOLATION: {violation}")?;
        }
        f.write_str(if self.violations.is_empty() { "checks: all hold" } else { "checks: FAILED" })
    }
}

fn table<const N: usize>(heading: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(heading);
    table
}

fn counts_table(report: &Report) -> Table {
    let (counts, pairs, blocks) = (&report.counts, &report.double_spends, &report.blocks);
    let mut table = table(["load", ""]);
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    let heading =
        format!("{:.0} tx/s for {} s at {} nodes (seed {})", report.rate, report.seconds, report.nodes, report.seed);
    row("planned", heading);
    row("sent", format!("{} ({} spend unconfirmed outputs)", counts.sent, counts.chained));
    row("accepted", counts.accepted.to_string());
    row("final", format!("{} ({:.1} tx/s during the load)", counts.finished, report.final_per_second));
    row("committed", counts.committed.to_string());
    row("rejected", format!("{} ({} without rival)", counts.rejected.values().sum::<u64>(), counts.rejected_unopposed));
    row("failed", counts.failed.values().sum::<u64>().to_string());
    row(
        "double spends",
        format!(
            "{}: {} settled ({} in time, p95 {:.0} ms), {} unsettled",
            pairs.pairs, pairs.settled, pairs.settled_in_time, pairs.settling.p95_ms, pairs.unsettled
        ),
    );
    let pool = report.pool;
    row(
        "pool",
        format!(
            "{} at start, {} at most ({} undecided), {} at end",
            pool.start, pool.max, pool.undecided_max, pool.end
        ),
    );
    row(
        "blocks",
        format!(
            "{}, {:.1} tx in the average, {} in the fullest",
            blocks.count, blocks.transactions_mean, blocks.transactions_max
        ),
    );
    table
}

fn latency_table(report: &Report) -> Table {
    let latencies = &report.latencies;
    let mut table = table(["milliseconds", "count", "p50", "p95", "p99", "max"]);
    let rows: [(&str, &Latency); 6] = [
        ("finality", &latencies.finality),
        ("finality, from actual sending", &latencies.finality_from_send),
        ("finality at another node", &latencies.remote_finality),
        ("double spend settled everywhere", &report.double_spends.settling),
        ("acceptance", &latencies.acceptance),
        ("lateness of the generator", &latencies.lateness),
    ];
    for (name, latency) in rows.into_iter().filter(|(_, latency)| latency.count > 0) {
        let times = [latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms].map(|ms| format!("{ms:.1}"));
        table.add_row([name.to_owned(), latency.count.to_string()].into_iter().chain(times));
    }
    table
}

fn process_table(processes: &[ProcessUsage]) -> Table {
    let mut table = table(["process", "pid", "CPU s", "RSS MiB"]);
    for usage in processes {
        let cpu_s = format!("{:.2}", usage.cpu_ms as f64 / 1_000.0);
        let rss = (usage.rss_bytes_max / (1024 * 1024)).to_string();
        table.add_row([usage.name.clone(), usage.pid.to_string(), cpu_s, rss]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::board::tests::{board, says};
    use crate::rpc::Word;
    use timecoin_protocol::hash::Txid;

    fn shape() -> Shape {
        Shape { rate: 2.0, seconds: 1, nodes: 1, accounts: 1, double_spends: 0.0, chains: 0.0, seed: 0 }
    }

    #[test]
    fn a_report_says_what_failed_in_both_forms() {
        let board = board(1, &[0, 0], &[]);
        board.note(0, &says(0, Word::Final), 9_000);
        let violations = vec![Violation::FinalLost(Txid([0; 32])), Violation::SlowSettling { settled: 1, pairs: 2 }];
        let around = Surroundings { samples: Samples::default(), blocks: vec![(3, 900), (1, 300)], violations };
        let report = Report::new(&shape(), &board, around);
        let text = report.to_string();
        assert!(text.contains("VIOLATION") && text.ends_with("checks: FAILED"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["counts"]["final"], &json["blocks"]["transactions_max"]), (&1.into(), &3.into()));
        assert_eq!(json["violations"].as_array().unwrap().len(), 2);
        assert_eq!(json["broken"], 1, "the other one is only slow");
    }

    #[test]
    fn the_pool_is_summed_up_from_its_samples() {
        let sample = |size, undecided| PoolSample { at_ms: 0, size, undecided };
        let pool = Pool::of(&[sample(1, 1), sample(9, 4), sample(2, 0)]);
        assert_eq!(pool, Pool { start: 1, max: 9, end: 2, undecided_max: 4 });
    }
}

//! What a run found: times to finality, and what each payment cost each node.

use super::Shape;
use super::traffic::{Kind, Traffic};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

/// Some percentiles of a list of times, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Percentiles {
    /// Half of them are not above it.
    pub p50: u32,
    /// 95 of 100.
    pub p95: u32,
    /// All.
    pub max: u32,
}

impl Percentiles {
    /// Of a list of times; zeros if it is empty.
    #[must_use]
    pub fn of(mut times: Vec<u32>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let [p50, p95, max] = [50, 95, 100].map(|percent| at(percent).unwrap_or_default());
        Self { p50, p95, max }
    }
}

/// How long payments without a rival took from being handed in, over all honest validators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stages {
    /// Until a validator had the payment.
    pub known: Percentiles,
    /// Until it voted Prepare.
    pub voted: Percentiles,
    /// Until it had the prepare certificate.
    pub prepared: Percentiles,
    /// Until it had the finality certificate.
    pub finalized: Percentiles,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Outcome {
    /// What was run.
    pub shape: Shape,
    /// Byzantine validators that were silent, and those that lied.
    pub silent: usize,
    /// See `silent`.
    pub lying: usize,
    /// Payments that were handed in, both sides of double spends included.
    pub payments: usize,
    /// Double spends, and how many of them have a winner at all honest validators.
    pub double_spends: usize,
    /// See `double_spends`.
    pub double_spends_settled: usize,
    /// Finality at the node where the payment was handed in: what its sender sees, in milliseconds.
    pub finality: Percentiles,
    /// Every stage at all honest validators.
    pub stages: Stages,
    /// Pairs of payment and validator that a block settled, not sampling.
    pub by_block: usize,
    /// Decided blocks.
    pub blocks: u64,
    /// Length of the run from the first payment on, in milliseconds of simulated time.
    pub length_ms: u64,
    /// Everything that was sent in this time.
    pub traffic: Traffic,
}

impl Outcome {
    /// Messages and bytes of one kind (all, if none is named) that a node sends for each payment; as many
    /// are received.
    #[must_use]
    pub fn each(&self, kind: Option<Kind>) -> (f64, f64) {
        let sum = kind.map_or_else(|| self.traffic.total(), |kind| self.traffic.of(kind));
        let shares = (self.payments * self.shape.validators).max(1) as f64;
        (sum.messages as f64 / shares, sum.bytes as f64 / shares)
    }

    /// Share of the bytes of votes that are ids of payments.
    #[must_use]
    pub fn id_share(&self) -> f64 {
        self.traffic.vote_id_bytes as f64 / self.traffic.of(Kind::Votes).bytes.max(1) as f64
    }

    /// Votes in a batch, on average.
    #[must_use]
    pub fn votes_in_batch(&self) -> f64 {
        self.traffic.votes as f64 / self.traffic.vote_batches.max(1) as f64
    }

    /// Votes of all kinds in a copy of a bundle, on average.
    #[must_use]
    pub fn votes_in_bundle(&self) -> f64 {
        self.traffic.bundle_votes as f64 / self.traffic.bundles.max(1) as f64
    }
}

/// The tables of a series: finality; messages; bytes.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> String {
    let finality = rows(
        &[
            "n",
            "silent",
            "lying",
            "final p50 ms",
            "p95",
            "max",
            "known p50",
            "voted p50",
            "prepared p50",
            "final p50",
            "final p95",
            "by block",
            "double spends",
        ],
        outcomes.iter().map(|one| {
            let stages = &one.stages;
            vec![
                one.shape.validators.to_string(),
                one.silent.to_string(),
                one.lying.to_string(),
                one.finality.p50.to_string(),
                one.finality.p95.to_string(),
                one.finality.max.to_string(),
                stages.known.p50.to_string(),
                stages.voted.p50.to_string(),
                stages.prepared.p50.to_string(),
                stages.finalized.p50.to_string(),
                stages.finalized.p95.to_string(),
                one.by_block.to_string(),
                format!("{} of {}", one.double_spends_settled, one.double_spends),
            ]
        }),
    );
    let mut head = vec!["n", "all"];
    head.extend(Kind::ALL.map(Kind::name));
    let messages = costs(&head, outcomes, |(messages, _)| format!("{messages:.1}"));
    head.extend(["ids of votes", "votes in a batch", "votes in a bundle"]);
    let bytes = rows(
        &head,
        outcomes.iter().map(|one| {
            let mut row = cost_row(one, |(_, bytes)| kilobytes(bytes));
            row.push(format!("{:.0} %", one.id_share() * 100.0));
            row.extend([one.votes_in_batch(), one.votes_in_bundle()].map(|votes| format!("{votes:.1}")));
            row
        }),
    );
    format!(
        "Finality in ms: at the node that the payment was handed to, and stages at all honest validators\n{finality}\n\
         Messages that a node sends for each payment\n{messages}\n\
         Kilobytes that a node sends for each payment\n{bytes}"
    )
}

fn cost_row(one: &Outcome, cell: impl Fn((f64, f64)) -> String) -> Vec<String> {
    let mut row = vec![one.shape.validators.to_string(), cell(one.each(None))];
    row.extend(Kind::ALL.map(|kind| cell(one.each(Some(kind)))));
    row
}

fn costs(head: &[&str], outcomes: &[Outcome], cell: impl Fn((f64, f64)) -> String) -> Table {
    rows(head, outcomes.iter().map(|one| cost_row(one, &cell)))
}

fn rows(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(head.iter().copied());
    rows.for_each(|row| {
        table.add_row(row);
    });
    table.column_iter_mut().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

fn kilobytes(bytes: f64) -> String {
    let kilobytes = bytes / 1_000.0;
    if kilobytes < 10.0 { format!("{kilobytes:.2}") } else { format!("{kilobytes:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let of = |p50, p95, max| Percentiles { p50, p95, max };
        assert_eq!(Percentiles::of((1..=100).rev().collect()), of(50, 95, 100));
        assert_eq!(Percentiles::of(vec![7]), of(7, 7, 7));
        assert_eq!(Percentiles::of(vec![3, 1]), of(1, 3, 3));
        assert_eq!(Percentiles::of(Vec::new()), of(0, 0, 0));
    }
}

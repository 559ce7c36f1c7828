//! What is counted from the news.

use crate::rpc::{path_name, variant_slug};
use crate::view::News;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use timecoin_protocol::engine::{Path, Status, Time};
use timecoin_protocol::ledger::BlockDelta;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Bounds of finality latency, in seconds: 1 ms to 10 s.
const LATENCY_SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bounds of the time between blocks, in seconds.
const INTERVAL_SECONDS: [f64; 10] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 120.0];
/// Bounds of numbers of transactions.
const TRANSACTIONS: [f64; 10] = [0.0, 1.0, 5.0, 20.0, 100.0, 500.0, 1_000.0, 4_000.0, 10_000.0, 20_000.0];

type Labelled = Family<[(&'static str, String); 1], Counter>;

/// Counters and histograms that the news feed.
#[derive(Debug)]
pub struct Events {
    admitted: Counter,
    finalized: Labelled,
    fallback: Labelled,
    rejected: Labelled,
    evidence: Labelled,
    committed: Counter,
    lost: Counter,
    fees: Counter,
    missed: Counter,
    finality: Histogram,
    block_transactions: Histogram,
    block_interval: Histogram,
    poll_transactions: Histogram,
    poll_duration: Histogram,
    last_block_ms: u64,
}

impl Events {
    /// Registers all of them; the next block's interval counts from `last_block_ms`.
    pub fn register(registry: &mut Registry, last_block_ms: u64) -> Self {
        let events = Self {
            admitted: Counter::default(),
            finalized: Family::default(),
            fallback: Family::default(),
            rejected: Family::default(),
            evidence: Family::default(),
            committed: Counter::default(),
            lost: Counter::default(),
            fees: Counter::default(),
            missed: Counter::default(),
            finality: Histogram::new(LATENCY_SECONDS),
            block_transactions: Histogram::new(TRANSACTIONS),
            block_interval: Histogram::new(INTERVAL_SECONDS),
            poll_transactions: Histogram::new(TRANSACTIONS),
            poll_duration: Histogram::new(LATENCY_SECONDS),
            last_block_ms,
        };
        events.register_counters(registry);
        events.register_histograms(registry);
        events
    }

    fn register_counters(&self, registry: &mut Registry) {
        registry.register("transactions_admitted", "Transactions that entered the pool", self.admitted.clone());
        registry.register("transactions_final", "Transactions that became final, by path", self.finalized.clone());
        let about = "Transactions that became final by a block and not by a certificate, by reason";
        registry.register("transactions_final_by_block", about, self.fallback.clone());
        registry.register("transactions_rejected", "Transactions rejected, by reason", self.rejected.clone());
        registry.register(
            "evidence",
            "Validators that contradicted themselves, by what they did",
            self.evidence.clone(),
        );
        registry.register("transactions_committed", "Transfers in blocks", self.committed.clone());
        let about =
            "Final transactions that were in no block when their epoch ended; above 0 a third of the weight is faulty";
        registry.register("finality_lost", about, self.lost.clone());
        registry.register("fees_units", "Fees of the transfers in blocks", self.fees.clone());
        registry.register("news_missed", "News that these metrics missed for being slow", self.missed.clone());
    }

    fn register_histograms(&self, registry: &mut Registry) {
        let seconds = || Unit::Seconds;
        let about = "Time from a transaction's admission to its finality at this node";
        registry.register_with_unit("transaction_finality", about, seconds(), self.finality.clone());
        registry.register("block_transactions", "Transfers in a block", self.block_transactions.clone());
        let about = "Time between the times of two blocks";
        registry.register_with_unit("block_interval", about, seconds(), self.block_interval.clone());
        registry.register("poll_transactions", "Transactions in a sampling poll", self.poll_transactions.clone());
        let about = "Time from a poll's first query to its last answer";
        registry.register_with_unit("poll_duration", about, seconds(), self.poll_duration.clone());
    }

    /// Counts the news until there will be no more.
    pub async fn count(mut self, mut news: Receiver<News>) {
        loop {
            match news.recv().await {
                Ok(news) => self.observe(&news),
                Err(RecvError::Lagged(missed)) => {
                    self.missed.inc_by(missed);
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn observe(&mut self, news: &News) {
        match news {
            News::Admitted(..) => {
                self.admitted.inc();
            }
            News::Status { status: Status::Final(path), at, admitted_at, .. } => {
                self.observe_final(*path, *at, *admitted_at);
            }
            News::Status { status: Status::Rejected(reason), .. } => {
                self.rejected.get_or_create(&[("reason", variant_slug(reason))]).inc();
            }
            News::Status { .. } => {}
            News::Evidence(kind) => {
                self.evidence.get_or_create(&[("kind", kind.name().to_owned())]).inc();
            }
            News::Block(_, delta) => self.observe_block(delta),
            News::FinalityLost => {
                self.lost.inc();
            }
            News::Poll { transactions, micros, .. } => {
                self.poll_transactions.observe(as_f64(*transactions));
                self.poll_duration.observe(seconds(*micros));
            }
        }
    }

    fn observe_final(&self, path: Path, at: Time, admitted_at: Option<Time>) {
        self.finalized.get_or_create(&[("path", path_name(path).to_owned())]).inc();
        if let Path::Block(fallback) = path {
            self.fallback.get_or_create(&[("reason", variant_slug(&fallback))]).inc();
        }
        if let Some(admitted_at) = admitted_at {
            self.finality.observe(seconds(at.micros_since(admitted_at)));
        }
    }

    fn observe_block(&mut self, delta: &BlockDelta) {
        self.committed.inc_by(u64::try_from(delta.txids.len()).unwrap_or(u64::MAX));
        self.fees.inc_by(delta.fees.0);
        self.block_transactions.observe(as_f64(delta.txids.len()));
        let interval_ms = delta.state.time_ms.saturating_sub(self.last_block_ms);
        // The first block's interval would count from genesis, which may be long ago.
        if delta.state.height.0 > 1 {
            self.block_interval.observe(seconds(interval_ms.saturating_mul(1_000)));
        }
        self.last_block_ms = delta.state.time_ms;
    }
}

fn seconds(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}

fn as_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use timecoin_protocol::block::EvidenceKind;
    use timecoin_protocol::engine::{Fallback, RejectReason};
    use timecoin_protocol::hash::Txid;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn finality_is_counted_by_path_and_timed_from_admission() {
        let mut registry = Registry::default();
        let mut events = Events::register(registry.sub_registry_with_prefix("timecoin"), 0);
        let (txid, status) = (Txid([1; 32]), Status::Final(Path::Sampled));
        let admitted_at = Some(Time(1_000_000));
        events.observe(&News::Status { txid, status: status.clone(), at: Time(1_240_000), admitted_at });
        events.observe(&News::Status { txid, status, at: Time(1_240_000), admitted_at: None });
        let text = text(&registry);
        assert!(text.contains("timecoin_transactions_final_total{path=\"sampled\"} 2"), "{text}");
        assert!(text.contains("timecoin_transaction_finality_seconds_bucket{le=\"0.25\"} 1"), "{text}");
        assert!(text.contains("timecoin_transaction_finality_seconds_sum 0.24"), "{text}");
        assert!(text.contains("timecoin_transaction_finality_seconds_count 1"), "{text}");
    }

    #[test]
    fn finality_by_blocks_is_counted_by_reason() {
        let mut registry = Registry::default();
        let mut events = Events::register(&mut registry, 0);
        for fallback in [Fallback::Contested, Fallback::Silent, Fallback::Contested] {
            let status = Status::Final(Path::Block(fallback));
            events.observe(&News::Status { txid: Txid([1; 32]), status, at: Time(0), admitted_at: None });
        }
        let text = text(&registry);
        assert!(text.contains("transactions_final_by_block_total{reason=\"contested\"} 2"), "{text}");
        assert!(text.contains("transactions_final_total{path=\"block\"} 3"), "{text}");
    }

    #[test]
    fn lost_finality_is_counted_e_8() {
        let mut registry = Registry::default();
        let mut events = Events::register(&mut registry, 0);
        assert!(text(&registry).contains("finality_lost_total 0"));
        events.observe(&News::FinalityLost);
        assert!(text(&registry).contains("finality_lost_total 1"));
    }

    #[test]
    fn rejections_are_counted_by_reason() {
        let mut registry = Registry::default();
        let mut events = Events::register(&mut registry, 0);
        let status = Status::Rejected(RejectReason::Conflict(Txid([2; 32])));
        events.observe(&News::Status { txid: Txid([1; 32]), status, at: Time(0), admitted_at: None });
        assert!(text(&registry).contains("transactions_rejected_total{reason=\"conflict\"} 1"));
    }

    #[test]
    fn evidence_is_counted_by_kind() {
        let mut registry = Registry::default();
        let mut events = Events::register(&mut registry, 0);
        events.observe(&News::Evidence(EvidenceKind::DoublePrepare));
        assert!(text(&registry).contains("evidence_total{kind=\"double_prepare\"} 1"));
    }

    #[test]
    fn polls_are_counted_sized_and_timed() {
        let mut registry = Registry::default();
        let mut events = Events::register(&mut registry, 0);
        events.observe(&News::Poll { transactions: 3, successful: 2, micros: 1_500 });
        let text = text(&registry);
        assert!(text.contains("poll_duration_seconds_count 1") && text.contains("poll_transactions_sum 3.0"), "{text}");
    }
}

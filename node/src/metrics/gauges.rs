//! Numbers read from the view each time somebody asks.

use crate::view::View;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use timecoin_protocol::engine::{Reputation, Time, Voice};

/// When the process started, under the name that dashboards expect.
#[derive(Debug)]
pub struct StartTime(pub Time);

impl Collector for StartTime {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let about = "Seconds since 1970 UTC when the process started";
        let seconds = ConstGauge::new(self.0.millis() / 1_000);
        let metric = encoder.encode_descriptor("process_start_time", about, Some(&Unit::Seconds), MetricType::Gauge)?;
        seconds.encode(metric)
    }
}

/// The node's numbers.
#[derive(Debug)]
pub struct Gauges {
    view: Arc<View>,
}

impl Gauges {
    /// Gauges over a view.
    pub const fn new(view: Arc<View>) -> Self {
        Self { view }
    }

    /// Name, meaning and value of each.
    fn values(&self) -> Vec<(&'static str, &'static str, u64)> {
        let (view, state, gauges) = (&self.view, self.view.state.load(), self.view.gauges.load());
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let peers = view.peers.load();
        let silent = u64::from(matches!(gauges.voice, Voice::Silent(_)));
        let listening = u64::from(matches!(gauges.voice, Voice::Listens { .. }));
        vec![
            ("block_height", "Height of the last block", state.height.0),
            ("block_time_milliseconds", "Time of the last block in milliseconds since 1970 UTC", state.time_ms),
            ("round", "Round of the height in progress", u64::from(gauges.round)),
            ("epoch", "Epoch of the next block", state.epoch.0),
            ("epoch_start_height", "Height of the first block of the epoch", state.epoch_start.0),
            (
                "epoch_sealing",
                "1 while the epoch ends and payments wait",
                u64::from(state.is_sealing(&view.genesis.params)),
            ),
            ("silent", "1 while this validator signs nothing for what its vote history lacks", silent),
            ("listening", "1 while this validator asks others before it signs anything", listening),
            ("validators", "Validators of the epoch", count(state.validators.len())),
            ("voting_weight_units", "Voting weight of all validators", state.validators.total().0),
            ("supply_units", "Sum of all unspent outputs", state.supply.0),
            ("unspent_outputs", "Number of unspent outputs", state.utxo_count),
            ("pool_transactions", "Transactions in the pool", count(gauges.pool_transactions)),
            ("pool_bytes", "Bytes of the transactions in the pool", count(gauges.pool_bytes)),
            ("pool_final_transactions", "Final transactions that wait for a block", count(gauges.pool_final)),
            ("pool_contested_transactions", "Pool transactions with a conflict", count(gauges.pool_contested)),
            ("orphan_transactions", "Transactions that wait for unknown inputs", count(gauges.orphans)),
            ("polls_in_progress", "Sampling polls on the way", count(gauges.polls)),
            (
                "validators_benched",
                "Validators that are not asked for a while because they did not answer",
                count(view.reputations.load().iter().filter(|seen| seen.benched).count()),
            ),
            ("offenders", "Validators that lost their vote for contradicting themselves", count(state.offenders.len())),
            ("accused", "Validators with evidence against them that is in no block yet", count(view.accused.len())),
            ("peers", "Connected peers", count(peers.len())),
            ("inbound_peers", "Connected peers that connected to this node", count(inbound(&peers))),
            ("synced", "1 if the node is level with its peers", u64::from(view.synced.load(Ordering::Relaxed))),
        ]
    }
}

/// What was dropped because a queue was full: name, meaning and number of each.
fn dropped(view: &View) -> [(&'static str, &'static str, u64); 5] {
    let overload = &view.overload;
    [
        ("dropped_gossip", "Gossiped messages dropped: no verifier had room", overload.gossip.total()),
        ("dropped_requests", "Peers' requests refused for lack of room", overload.requests.total()),
        ("dropped_answers", "Answers of peers dropped: no verifier had room", overload.answers.total()),
        ("dropped_announcements", "Announcements dropped for lack of room", overload.announcements.total()),
        ("dropped_commands", "Commands that the swarm had no room for", overload.commands.total()),
    ]
}

fn inbound(peers: &[crate::network::PeerInfo]) -> usize {
    peers.iter().filter(|peer| peer.inbound).count()
}

/// The conduct of each validator: name, meaning, unit and how to read it; nothing is shown of what was not seen yet.
type Conduct = (&'static str, &'static str, Option<Unit>, fn(&Reputation) -> Option<f64>);

const CONDUCT: [Conduct; 3] = [
    ("validator_answer_latency", "Usual time in which a validator answers queries", Some(Unit::Seconds), |seen| {
        (seen.answers > 0).then(|| std::time::Duration::from_micros(seen.latency_us).as_secs_f64())
    }),
    ("validator_answered", "Share of queries that a validator answered in time", Some(Unit::Ratios), |seen| {
        ratio(seen.answers, seen.answers + seen.failures)
    }),
    ("validator_participation", "Share of recent blocks that a validator signed", Some(Unit::Ratios), |seen| {
        ratio(seen.signed.into(), seen.blocks.into())
    }),
];

/// The share of `part` in `whole`; none of nothing.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        for (name, about, value) in self.values() {
            let metric = encoder.encode_descriptor(name, about, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        let reputations = self.view.reputations.load();
        for (name, about, unit, value) in CONDUCT {
            let mut metric = encoder.encode_descriptor(name, about, unit.as_ref(), MetricType::Gauge)?;
            for (seen, value) in reputations.iter().filter_map(|seen| Some((seen, value(seen)?))) {
                let labels = [("validator", seen.key.to_string())];
                ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
            }
        }
        for (name, about, total) in dropped(&self.view) {
            let metric = encoder.encode_descriptor(name, about, None, MetricType::Counter)?;
            ConstCounter::new(total).encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timecoin_protocol::keys::PublicKey;

    /// A validator that was never asked, as the own one is, once had a share of 0: as if it never answered.
    #[test]
    fn of_what_was_not_seen_yet_nothing_is_shown() {
        let unseen = Reputation {
            key: PublicKey([1; 32]),
            answers: 0,
            failures: 0,
            latency_us: 0,
            benched: false,
            blocks: 0,
            signed: 0,
        };
        let shown = |seen: &Reputation| CONDUCT.map(|(.., value)| value(seen));
        assert_eq!(shown(&unseen), [None; 3]);
        let failed = Reputation { failures: 2, blocks: 4, signed: 3, ..unseen };
        assert_eq!(shown(&failed), [None, Some(0.0), Some(0.75)]);
        let answered = Reputation { answers: 6, latency_us: 1_500, ..failed };
        assert_eq!(shown(&answered), [Some(0.0015), Some(0.75), Some(0.75)]);
    }
}

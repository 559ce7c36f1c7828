//! What the swarm task had to drop, as metrics.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counters of what was lost at a bound or refused; all start at zero.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Gossiped messages ignored because the queue of events was full.
    pub gossip_dropped: Counter,
    /// Gossiped messages ignored because no verdict came before too many others waited.
    pub verdicts_overdue: Counter,
    /// Requests of peers refused because a queue was full.
    pub requests_dropped: Counter,
    /// Requests of peers refused because they asked too often.
    pub requests_over_quota: Counter,
    /// Answers that became failures because the queue of events was full.
    pub responses_dropped: Counter,
    /// Notices (peers, failures) lost because far too many waited.
    pub notices_lost: Counter,
    /// Messages of this node that reached nobody at once.
    pub publish_failed: Counter,
    /// Peers blocked for their penalties.
    pub bans: Counter,
}

impl Counters {
    /// Counters that are shown under `timecoin_network_`.
    #[must_use]
    pub fn registered(registry: &mut Registry) -> Self {
        let counters = Self::default();
        let registry = registry.sub_registry_with_prefix("timecoin_network");
        let mut add = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        add("gossip_dropped", "Gossiped messages ignored at a full queue", &counters.gossip_dropped);
        add("verdicts_overdue", "Gossiped messages ignored for want of a verdict", &counters.verdicts_overdue);
        add("requests_dropped", "Requests refused at a full queue", &counters.requests_dropped);
        add("requests_over_quota", "Requests refused by quota", &counters.requests_over_quota);
        add("responses_dropped", "Answers lost at a full queue", &counters.responses_dropped);
        add("notices_lost", "Notices lost at a full queue", &counters.notices_lost);
        add("publish_failed", "Own messages that reached no peer at once", &counters.publish_failed);
        add("bans", "Peers blocked for their penalties", &counters.bans);
        counters
    }
}

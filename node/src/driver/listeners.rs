//! How often peers may ask what this node holds of a validator's signatures (`SPEC.md` N-6, N-16, D-18): an answer may have
//! megabytes, where that to any other status request has kilobytes.

use crate::bounds::{PEER_TAGS_MAX, VOTER_REQUESTS_PER_SECOND_MAX};
use crate::network::Bucket;
use libp2p::PeerId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

const PER_SECOND: f64 = VOTER_REQUESTS_PER_SECOND_MAX as f64;
const BURST: f64 = 2.0 * PER_SECOND;

/// The quotas of the peers that asked.
#[derive(Debug, Default)]
pub struct Listeners(Mutex<HashMap<PeerId, Bucket>>);

impl Listeners {
    fn buckets(&self) -> MutexGuard<'_, HashMap<PeerId, Bucket>> {
        // Nothing in this file panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more such request of a peer is within its quota; it is counted then.
    pub fn allow(&self, peer: PeerId, now: Instant) -> bool {
        let mut buckets = self.buckets();
        if buckets.len() >= PEER_TAGS_MAX && !buckets.contains_key(&peer) {
            return false; // more than can be connected
        }
        buckets.entry(peer).or_insert_with(|| Bucket::full(BURST, now)).take(now, PER_SECOND, BURST)
    }

    /// A peer is gone.
    pub fn forget(&self, peer: &PeerId) {
        self.buckets().remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_validator_that_listens_is_always_answered_and_whoever_asks_more_often_is_not_n_16() {
        let (listeners, start) = (Listeners::default(), Instant::now());
        let (honest, greedy) = (PeerId::random(), PeerId::random());
        let mut answered = 0;
        for ms in (0..10_000).step_by(10) {
            let now = start + Duration::from_millis(ms);
            answered += u32::from(listeners.allow(greedy, now));
            // Twice a second, as D-18 has it.
            assert!(ms % 500 != 0 || listeners.allow(honest, now), "{ms}");
        }
        let most = VOTER_REQUESTS_PER_SECOND_MAX * (10 + 2);
        assert!(answered <= most, "{answered} in ten seconds");
    }

    #[test]
    fn a_peer_that_is_gone_costs_nothing() {
        let (listeners, peer) = (Listeners::default(), PeerId::random());
        assert!(listeners.allow(peer, Instant::now()));
        listeners.forget(&peer);
        assert!(listeners.buckets().is_empty());
    }
}

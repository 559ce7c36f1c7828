//! How often a peer may ask (N-16): one token bucket for each peer and protocol. libp2p has no such
//! limit. The numbers are far above what an honest node needs, even one that catches up.

use super::Protocol;
use crate::bounds;
use std::time::Instant;

/// A token bucket: `rate` tokens a second, at most `burst` of them saved up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    refilled: Instant,
}

impl Bucket {
    /// One that nothing was taken from.
    pub(crate) const fn full(burst: f64, now: Instant) -> Self {
        Self { tokens: burst, refilled: now }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant, rate: f64, burst: f64) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * rate).min(burst);
        self.refilled = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// The request quotas of one peer.
#[derive(Clone, Debug)]
pub(super) struct Quotas([Bucket; Protocol::ALL.len()]);

/// Requests a second for one protocol; twice as many at once (N-16).
const fn per_second(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::Query => bounds::QUERIES_PER_SECOND_MAX,
        Protocol::Transactions | Protocol::Certificates => bounds::REPAIRS_PER_SECOND_MAX,
        Protocol::Blocks => bounds::BLOCK_REQUESTS_PER_SECOND_MAX,
        Protocol::Status => bounds::STATUS_REQUESTS_PER_SECOND_MAX,
    }
}

impl Quotas {
    /// Full buckets.
    pub(super) fn new(now: Instant) -> Self {
        Self(Protocol::ALL.map(|protocol| Bucket::full(f64::from(per_second(protocol)) * 2.0, now)))
    }

    /// Whether one more request is within the quota; it is counted then.
    pub(super) fn allow(&mut self, protocol: Protocol, now: Instant) -> bool {
        let rate = f64::from(per_second(protocol));
        let index = Protocol::ALL.iter().position(|each| *each == protocol);
        index.and_then(|index| self.0.get_mut(index)).is_some_and(|bucket| bucket.take(now, rate, rate * 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        // N-16
        let start = Instant::now();
        let mut quotas = Quotas::new(start);
        let burst = bounds::STATUS_REQUESTS_PER_SECOND_MAX * 2;
        assert!((0..burst).all(|_| quotas.allow(Protocol::Status, start)));
        assert!(!quotas.allow(Protocol::Status, start));
        let later = start + Duration::from_secs(1);
        let allowed = (0..burst).filter(|_| quotas.allow(Protocol::Status, later)).count();
        assert_eq!(allowed, bounds::STATUS_REQUESTS_PER_SECOND_MAX as usize);
    }

    #[test]
    fn each_protocol_has_a_quota_of_its_own() {
        // N-16
        let now = Instant::now();
        let mut quotas = Quotas::new(now);
        while quotas.allow(Protocol::Status, now) {}
        assert!(quotas.allow(Protocol::Query, now));
    }
}

//! When votes leave a node: its own at once, together with all that wait; those of others when the last
//! bundle is long enough ago, or when they are many.

use std::rc::Rc;
use timecoin_node::bounds::votes_relay_interval_ms;
use timecoin_protocol::bounds::VOTES_BUNDLE_BYTES_TARGET;

/// Number of a vote in a run.
pub(super) type VoteId = u32;

/// Votes that leave together; the copies for all peers are one list.
pub(super) type Bundle = Rc<[VoteId]>;

/// The votes that wait at a node. Times are in microseconds.
#[derive(Debug)]
pub(super) struct Outgoing {
    interval_us: u64,
    waiting: Vec<VoteId>,
    bytes: usize,
    left_at_us: Option<u64>,
}

impl Outgoing {
    /// Of a node with so many peers.
    pub const fn new(peers: usize) -> Self {
        Self { interval_us: votes_relay_interval_ms(peers) * 1_000, waiting: Vec::new(), bytes: 0, left_at_us: None }
    }

    /// Votes of this node, each with its size in bytes, leave.
    pub fn say(&mut self, votes: impl Iterator<Item = (VoteId, usize)>, now_us: u64) -> Vec<Bundle> {
        let mut bundles = self.add(votes, now_us);
        bundles.extend(self.leave(now_us));
        bundles
    }

    /// Votes of others, each with its size in bytes, wait for company, or leave if it is time.
    pub fn pass_on(&mut self, votes: impl Iterator<Item = (VoteId, usize)>, now_us: u64) -> Vec<Bundle> {
        let mut bundles = self.add(votes, now_us);
        bundles.extend(self.leave_if_due(now_us));
        bundles
    }

    /// When what waits leaves; nothing if nothing waits.
    pub fn due_us(&self) -> Option<u64> {
        let due = self.left_at_us.map_or(0, |left| left + self.interval_us);
        (!self.waiting.is_empty()).then_some(due)
    }

    /// What waits, if its time has come.
    pub fn leave_if_due(&mut self, now_us: u64) -> Option<Bundle> {
        self.due_us().filter(|due| *due <= now_us).and_then(|_| self.leave(now_us))
    }

    /// Takes votes in; what reaches the size of a bundle on the way leaves.
    fn add(&mut self, votes: impl Iterator<Item = (VoteId, usize)>, now_us: u64) -> Vec<Bundle> {
        let mut full = Vec::new();
        for (vote, bytes) in votes {
            self.waiting.push(vote);
            self.bytes += bytes;
            if self.bytes >= VOTES_BUNDLE_BYTES_TARGET {
                full.extend(self.leave(now_us));
            }
        }
        full
    }

    fn leave(&mut self, now_us: u64) -> Option<Bundle> {
        if self.waiting.is_empty() {
            return None;
        }
        self.left_at_us = Some(now_us);
        self.bytes = 0;
        let bundle = self.waiting.as_slice().into();
        self.waiting.clear();
        Some(bundle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timecoin_node::bounds::VOTES_RELAY_FEW_PEERS;

    const VOTE_BYTES: usize = 170;

    fn votes(ids: std::ops::Range<VoteId>) -> impl Iterator<Item = (VoteId, usize)> {
        ids.map(|id| (id, VOTE_BYTES))
    }

    fn lists(bundles: impl IntoIterator<Item = Bundle>) -> Vec<Vec<VoteId>> {
        bundles.into_iter().map(|bundle| bundle.to_vec()).collect()
    }

    /// Has passed votes 0 and 1 on at 5,000 us.
    fn busy() -> Outgoing {
        let mut outgoing = Outgoing::new(VOTES_RELAY_FEW_PEERS + 1);
        assert_eq!(lists(outgoing.pass_on(votes(0..2), 5_000)), [[0, 1]]);
        outgoing
    }

    #[test]
    fn votes_of_others_wait_until_ten_milliseconds_after_the_last_bundle() {
        let mut outgoing = busy();
        assert_eq!(outgoing.due_us(), None, "nothing waits");
        assert!(outgoing.pass_on(votes(2..3), 5_001).is_empty());
        assert!(outgoing.pass_on(votes(3..4), 14_998).is_empty());
        assert_eq!(outgoing.due_us(), Some(15_000), "of the bundle before, not of the votes");
        assert_eq!(outgoing.leave_if_due(14_999), None);
        assert_eq!(lists(outgoing.leave_if_due(15_000)), [[2, 3]]);
        assert_eq!(outgoing.leave_if_due(40_000), None, "nothing leaves twice");
        assert!(lists(outgoing.pass_on(votes(4..5), 24_999)).is_empty());
    }

    #[test]
    fn votes_of_others_wait_longer_where_peers_are_few() {
        let mut outgoing = Outgoing::new(VOTES_RELAY_FEW_PEERS);
        assert_eq!(lists(outgoing.pass_on(votes(0..2), 5_000)), [[0, 1]]);
        assert!(outgoing.pass_on(votes(2..3), 5_001).is_empty());
        assert_eq!(outgoing.due_us(), Some(55_000));
    }

    #[test]
    fn the_first_votes_of_others_after_a_pause_leave_at_once() {
        let mut outgoing = busy();
        assert_eq!(lists(outgoing.pass_on(votes(2..4), 15_000)), [[2, 3]]);
        assert!(outgoing.pass_on(votes(4..5), 24_999).is_empty());
    }

    #[test]
    fn votes_of_its_own_leave_at_once_together_and_take_along_what_waits() {
        let mut outgoing = busy();
        assert!(outgoing.pass_on(votes(2..4), 6_000).is_empty());
        assert_eq!(lists(outgoing.say(votes(4..6), 6_500)), [[2, 3, 4, 5]]);
        assert_eq!(lists(outgoing.say(votes(6..7), 6_500)), [[6]], "also right after another bundle");
        // What comes then waits from this bundle on.
        assert!(outgoing.pass_on(votes(7..8), 15_000).is_empty());
        assert_eq!(outgoing.due_us(), Some(16_500));
    }

    #[test]
    fn a_bundle_leaves_when_it_reaches_its_size() {
        let many = u32::try_from(VOTES_BUNDLE_BYTES_TARGET.div_ceil(VOTE_BYTES)).unwrap();
        let mut outgoing = busy();
        assert!(outgoing.pass_on(votes(2..1 + many), 6_000).is_empty(), "one less than reaches it");
        let full = outgoing.pass_on(votes(1 + many..5 + many), 6_100);
        assert_eq!(full.iter().map(|bundle| bundle.len()).collect::<Vec<_>>(), [many as usize]);
        assert_eq!(outgoing.due_us(), Some(16_100), "the rest waits from then on");
        let large = (9, 2 * VOTES_BUNDLE_BYTES_TARGET);
        assert_eq!(lists(outgoing.pass_on(std::iter::once(large), 6_200)), [[2 + many, 3 + many, 4 + many, 9]]);
        assert_eq!(lists(outgoing.pass_on(std::iter::once(large), 6_300)), [[9]], "one vote may be larger");
    }
}

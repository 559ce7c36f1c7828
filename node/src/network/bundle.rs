//! Votes on their way into gossip (`SPEC.md` N-36): those of this node leave at once and take along what waits, those of
//! others wait a little for company.

use crate::bounds::votes_relay_interval_ms;
use std::time::{Duration, Instant};
use timecoin_protocol::bounds::VOTES_BUNDLE_BYTES_TARGET;
use timecoin_protocol::codec::encode;

/// Encoded votes that wait. Bounded: what reaches [`VOTES_BUNDLE_BYTES_TARGET`] leaves.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    waiting: Vec<Vec<u8>>,
    bytes: usize,
    /// Whether a vote of this node is among them.
    hurries: bool,
    /// When the last one left.
    left_at: Option<Instant>,
    /// How many peers the node has: where they are few, a bundle that most of them need not costs each more than the delay is worth.
    peers: usize,
}

impl Bundle {
    /// How many peers the node has now.
    pub(super) const fn set_peers(&mut self, peers: usize) {
        self.peers = peers;
    }

    /// Adds an encoded vote, `own` if it is one of this node. Gives the encoded message if it is full and leaves now.
    pub(super) fn add(&mut self, vote: Vec<u8>, own: bool, now: Instant) -> Option<Vec<u8>> {
        self.bytes = self.bytes.saturating_add(vote.len());
        self.waiting.push(vote);
        self.hurries |= own;
        (self.bytes >= VOTES_BUNDLE_BYTES_TARGET).then(|| self.take(now))
    }

    /// When what waits is due; none if nothing waits.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let interval = Duration::from_millis(votes_relay_interval_ms(self.peers));
        let free_at = self.left_at.filter(|_| !self.hurries).and_then(|left_at| left_at.checked_add(interval));
        (!self.waiting.is_empty()).then_some(free_at.unwrap_or(now))
    }

    /// The encoded message, if it is due: a `VoteBundle`.
    pub(super) fn due(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.deadline(now).filter(|at| *at <= now).map(|_| self.take(now))
    }

    fn take(&mut self, now: Instant) -> Vec<u8> {
        self.left_at = Some(now);
        self.hurries = false;
        // A list is its length and what is in it (W-1); the votes are encoded already.
        let mut message = encode(&(self.waiting.len() as u64));
        message.reserve(self.bytes);
        self.bytes = 0;
        self.waiting.drain(..).for_each(|vote| message.extend(vote));
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::{VOTES_RELAY_FEW_INTERVAL_MS, VOTES_RELAY_FEW_PEERS, VOTES_RELAY_INTERVAL_MS};
    use std::sync::Arc;
    use timecoin_protocol::bounds::GOSSIP_BYTES_MAX;
    use timecoin_protocol::codec::decode;
    use timecoin_protocol::finality::{Phase, VoteBatch};
    use timecoin_protocol::hash::{GenesisHash, Txid};
    use timecoin_protocol::keys::SecretKey;
    use timecoin_protocol::validator::Epoch;
    use timecoin_protocol::wire::{Vote, VoteBundle};

    const INTERVAL: Duration = Duration::from_millis(VOTES_RELAY_INTERVAL_MS);
    const FEW_INTERVAL: Duration = Duration::from_millis(VOTES_RELAY_FEW_INTERVAL_MS);

    /// Of a node with more than a few peers.
    fn crowded() -> Bundle {
        Bundle { peers: VOTES_RELAY_FEW_PEERS + 1, ..Bundle::default() }
    }

    fn vote(epoch: u64, txids: u8) -> Vote {
        let txids = (0..txids).map(|number| Txid([number; 32])).collect();
        let key = SecretKey::from_seed(&[1; 32]);
        Vote::Finality(Arc::new(VoteBatch::sign(Epoch(epoch), Phase::Prepare, txids, &key, &GenesisHash([0; 32]))))
    }

    fn unpack(message: &[u8]) -> Vec<Vote> {
        decode::<VoteBundle>(message, GOSSIP_BYTES_MAX).unwrap().votes
    }

    #[test]
    fn the_first_vote_of_another_leaves_at_once_and_the_next_ones_together_n_36() {
        let (mut bundle, now) = (crowded(), Instant::now());
        assert_eq!(bundle.add(encode(&vote(1, 1)), false, now), None);
        assert_eq!(unpack(&bundle.due(now).unwrap()), [vote(1, 1)]);
        for epoch in [2, 3] {
            assert_eq!(bundle.add(encode(&vote(epoch, 1)), false, now), None);
        }
        assert_eq!(bundle.due(now + INTERVAL - Duration::from_micros(1)), None);
        assert_eq!(bundle.deadline(now), Some(now + INTERVAL));
        assert_eq!(unpack(&bundle.due(now + INTERVAL).unwrap()), [vote(2, 1), vote(3, 1)]);
        assert_eq!((bundle.deadline(now), bundle.due(now + INTERVAL * 3)), (None, None));
    }

    #[test]
    fn votes_of_others_wait_longer_where_peers_are_few_n_36() {
        let (mut bundle, now) = (crowded(), Instant::now());
        for (peers, interval) in [(VOTES_RELAY_FEW_PEERS, FEW_INTERVAL), (VOTES_RELAY_FEW_PEERS + 1, INTERVAL)] {
            bundle.set_peers(peers);
            assert_eq!(bundle.add(encode(&vote(1, 1)), true, now), None);
            assert!(bundle.due(now).is_some());
            assert_eq!(bundle.add(encode(&vote(2, 1)), false, now), None);
            assert_eq!(bundle.deadline(now), Some(now + interval));
            assert!(bundle.due(now + interval).is_some());
        }
    }

    #[test]
    fn a_vote_of_this_node_waits_for_nothing_and_takes_along_what_waits_n_36() {
        let (mut bundle, now) = (crowded(), Instant::now());
        for (epoch, own) in [(1, true), (2, false), (3, true)] {
            assert_eq!(bundle.add(encode(&vote(epoch, 1)), own, now), None);
            if own {
                let due = unpack(&bundle.due(now).unwrap());
                assert_eq!(due, if epoch == 1 { vec![vote(1, 1)] } else { vec![vote(2, 1), vote(3, 1)] });
            } else {
                assert_eq!(bundle.due(now), None, "the last one has just left");
            }
        }
    }

    #[test]
    fn a_full_bundle_leaves_at_once_n_36() {
        let (mut bundle, now) = (crowded(), Instant::now());
        let (own, many) = (vote(1, 1), vote(1, 200));
        let fill = VOTES_BUNDLE_BYTES_TARGET.div_ceil(encode(&many).len());
        assert_eq!(bundle.add(encode(&own), true, now), None);
        let full: Vec<_> = (0..fill).filter_map(|_| bundle.add(encode(&many), false, now)).collect();
        assert_eq!(full.iter().map(|message| unpack(message).len()).collect::<Vec<_>>(), [fill + 1]);
        assert_eq!(bundle.deadline(now), None, "nothing is left, nor in a hurry");
        assert_eq!(bundle.add(encode(&own), false, now), None);
        assert_eq!(bundle.deadline(now), Some(now + INTERVAL));
    }
}

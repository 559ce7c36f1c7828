//! Gossiped messages that wait for a verdict (N-13).

use super::GossipId;
use crate::bounds::{VERDICT_MS_MAX, VERDICTS_PEER_BYTES_MAX, VERDICTS_PENDING_MAX};
use libp2p::PeerId;
use libp2p::gossipsub::MessageId;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use timecoin_protocol::wire::Topic;

/// A message, whom it came from, and its topic.
pub(super) type Waiting = (MessageId, PeerId, Topic);

/// The messages that wait, by the number given to them.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    next: u64,
    waiting: BTreeMap<u64, Entry>,
    /// Bytes of them that are votes, by whom they came from. Proposals do not count: one that is ignored is taken for known, whoever
    /// sends it again, and each has one signature.
    votes_bytes: HashMap<PeerId, usize>,
}

#[derive(Debug)]
struct Entry {
    message: Waiting,
    counted: usize,
    since: Instant,
}

impl Verdicts {
    /// Whether a message of so many bytes may wait: of the votes of one peer not too many are taken before some are judged.
    pub(super) fn has_room(&self, peer: &PeerId, topic: Topic, bytes: usize) -> bool {
        let waiting = self.votes_bytes.get(peer).copied().unwrap_or_default();
        topic != Topic::Votes || waiting == 0 || waiting.saturating_add(bytes) <= VERDICTS_PEER_BYTES_MAX
    }

    /// Numbers a message of so many bytes.
    pub(super) fn wait_for(&mut self, message: Waiting, bytes: usize, now: Instant) -> GossipId {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let (_, peer, topic) = &message;
        let counted = if *topic == Topic::Votes { bytes } else { 0 };
        if counted > 0 {
            *self.votes_bytes.entry(*peer).or_default() += counted;
        }
        self.waiting.insert(id, Entry { message, counted, since: now });
        GossipId(id)
    }

    /// The message of a verdict; none if it came twice or too late.
    pub(super) fn take(&mut self, id: GossipId) -> Option<Waiting> {
        let entry = self.waiting.remove(&id.0)?;
        Some(self.leaves(entry))
    }

    /// The oldest message when it has waited too long, for a verdict may get lost, or when more wait than there is room for: it
    /// is to be ignored.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Option<Waiting> {
        let is_full = self.waiting.len() > VERDICTS_PENDING_MAX;
        let longest = Duration::from_millis(VERDICT_MS_MAX);
        let first = self.waiting.first_entry()?;
        let is_overdue = is_full || now.saturating_duration_since(first.get().since) >= longest;
        let entry = is_overdue.then(|| first.remove())?;
        Some(self.leaves(entry))
    }

    fn leaves(&mut self, Entry { message, counted, .. }: Entry) -> Waiting {
        if let Some(bytes) = self.votes_bytes.get_mut(&message.1) {
            *bytes = bytes.saturating_sub(counted);
            if *bytes == 0 {
                self.votes_bytes.remove(&message.1);
            }
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: u64, peer: PeerId, topic: Topic) -> Waiting {
        (MessageId::new(&name.to_le_bytes()), peer, topic)
    }

    #[test]
    fn a_verdict_is_taken_once() {
        // N-13
        let mut verdicts = Verdicts::default();
        let id = verdicts.wait_for(message(1, PeerId::random(), Topic::Votes), 1, Instant::now());
        assert!(verdicts.take(id).is_some());
        assert!(verdicts.take(id).is_none());
    }

    #[test]
    fn of_one_peer_only_so_many_bytes_of_votes_wait_n_13() {
        let (mut verdicts, now) = (Verdicts::default(), Instant::now());
        let (peer, other) = (PeerId::random(), PeerId::random());
        let half = VERDICTS_PEER_BYTES_MAX / 2;
        assert!(verdicts.has_room(&peer, Topic::Votes, usize::MAX), "one always fits");
        let ids = [1, 2].map(|name| verdicts.wait_for(message(name, peer, Topic::Votes), half, now));
        assert!(!verdicts.has_room(&peer, Topic::Votes, 1) && verdicts.has_room(&other, Topic::Votes, 1));
        assert!(verdicts.has_room(&peer, Topic::Blocks, 1), "a proposal that is ignored would be lost");
        verdicts.wait_for(message(3, peer, Topic::Blocks), half, now);
        assert!(verdicts.take(ids[0]).is_some());
        assert!(verdicts.has_room(&peer, Topic::Votes, half) && !verdicts.has_room(&peer, Topic::Votes, half + 1));
        assert!(verdicts.take(ids[1]).is_some() && verdicts.votes_bytes.is_empty());
    }

    /// Verdicts are dropped when too many commands wait. Messages without one once took their peer's room for ever.
    #[test]
    fn a_message_whose_verdict_is_lost_takes_no_room_after_seven_seconds_n_13() {
        let (mut verdicts, begin) = (Verdicts::default(), Instant::now());
        let peer = PeerId::random();
        let after = |ms| begin + Duration::from_millis(ms);
        verdicts.wait_for(message(1, peer, Topic::Votes), VERDICTS_PEER_BYTES_MAX, begin);
        verdicts.wait_for(message(2, peer, Topic::Blocks), 1, after(1));
        assert!(verdicts.take_overdue(after(VERDICT_MS_MAX - 1)).is_none());
        assert!(!verdicts.has_room(&peer, Topic::Votes, 1));
        assert_eq!(verdicts.take_overdue(after(VERDICT_MS_MAX)), Some(message(1, peer, Topic::Votes)));
        assert!(verdicts.take_overdue(after(VERDICT_MS_MAX)).is_none(), "the second came later");
        assert!(verdicts.has_room(&peer, Topic::Votes, 1));
    }

    #[test]
    fn the_oldest_message_is_overdue_when_too_many_wait() {
        // N-13
        let (mut verdicts, now) = (Verdicts::default(), Instant::now());
        let peer = PeerId::random();
        for name in (0..).take(VERDICTS_PENDING_MAX) {
            verdicts.wait_for(message(name, peer, Topic::Blocks), 1, now);
        }
        assert!(verdicts.take_overdue(now).is_none());
        verdicts.wait_for(message(u64::MAX, peer, Topic::Blocks), 1, now);
        assert_eq!(verdicts.take_overdue(now), Some(message(0, peer, Topic::Blocks)));
        assert!(verdicts.take_overdue(now).is_none());
    }
}

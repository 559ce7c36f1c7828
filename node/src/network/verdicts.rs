//! Gossiped messages that wait for a verdict (N-13).

use super::GossipId;
use crate::bounds::{VERDICTS_PEER_BYTES_MAX, VERDICTS_PENDING_MAX};
use libp2p::PeerId;
use libp2p::gossipsub::MessageId;
use std::collections::{BTreeMap, HashMap};
use timecoin_protocol::wire::Topic;

/// A message, whom it came from, and its topic.
pub(super) type Waiting = (MessageId, PeerId, Topic);

/// The messages that wait, by the number given to them.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    next: u64,
    waiting: BTreeMap<u64, (Waiting, usize)>,
    /// Bytes of them that are votes and proposals, by whom they came from.
    urgent_bytes: HashMap<PeerId, usize>,
}

impl Verdicts {
    /// Whether a message of so many bytes may wait: of votes and proposals of one peer not too much is judged in advance.
    pub(super) fn has_room(&self, peer: &PeerId, topic: Topic, bytes: usize) -> bool {
        let waiting = self.urgent_bytes.get(peer).copied().unwrap_or_default();
        !is_urgent(topic) || waiting == 0 || waiting.saturating_add(bytes) <= VERDICTS_PEER_BYTES_MAX
    }

    /// Numbers a message of so many bytes.
    pub(super) fn wait_for(&mut self, message: MessageId, peer: PeerId, topic: Topic, bytes: usize) -> GossipId {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let counted = if is_urgent(topic) { bytes } else { 0 };
        if counted > 0 {
            *self.urgent_bytes.entry(peer).or_default() += counted;
        }
        self.waiting.insert(id, ((message, peer, topic), counted));
        GossipId(id)
    }

    /// The message of a verdict; none if it came twice or too late.
    pub(super) fn take(&mut self, id: GossipId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id.0)?;
        Some(self.leaves(waiting))
    }

    fn leaves(&mut self, (message, counted): (Waiting, usize)) -> Waiting {
        if let Some(bytes) = self.urgent_bytes.get_mut(&message.1) {
            *bytes = bytes.saturating_sub(counted);
            if *bytes == 0 {
                self.urgent_bytes.remove(&message.1);
            }
        }
        message
    }

    /// The oldest message when more wait than there is room for: it is to be ignored.
    pub(super) fn take_overdue(&mut self) -> Option<Waiting> {
        if self.waiting.len() <= VERDICTS_PENDING_MAX {
            return None;
        }
        self.waiting.pop_first().map(|(_, waiting)| self.leaves(waiting))
    }
}

const fn is_urgent(topic: Topic) -> bool {
    matches!(topic, Topic::Votes | Topic::Blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_taken_once() {
        // N-13
        let mut verdicts = Verdicts::default();
        let id = verdicts.wait_for(MessageId::new(b"a"), PeerId::random(), Topic::Votes, 1);
        assert!(verdicts.take(id).is_some());
        assert!(verdicts.take(id).is_none());
    }

    #[test]
    fn of_one_peer_only_so_many_bytes_of_votes_wait_n_36() {
        let mut verdicts = Verdicts::default();
        let (peer, other) = (PeerId::random(), PeerId::random());
        let half = VERDICTS_PEER_BYTES_MAX / 2;
        assert!(verdicts.has_room(&peer, Topic::Votes, usize::MAX), "one always fits");
        let ids = [1, 2].map(|name| verdicts.wait_for(MessageId::new(&[name]), peer, Topic::Votes, half));
        assert!(!verdicts.has_room(&peer, Topic::Votes, 1) && !verdicts.has_room(&peer, Topic::Blocks, 1));
        assert!(verdicts.has_room(&peer, Topic::Transactions, 1) && verdicts.has_room(&other, Topic::Votes, 1));
        verdicts.wait_for(MessageId::new(&[3]), peer, Topic::Transactions, half);
        assert!(verdicts.take(ids[0]).is_some());
        assert!(verdicts.has_room(&peer, Topic::Votes, half) && !verdicts.has_room(&peer, Topic::Votes, half + 1));
        assert!(verdicts.take(ids[1]).is_some() && verdicts.urgent_bytes.is_empty());
    }

    #[test]
    fn the_oldest_message_is_overdue_when_too_many_wait() {
        // N-13
        let mut verdicts = Verdicts::default();
        let peer = PeerId::random();
        for index in 0..VERDICTS_PENDING_MAX {
            verdicts.wait_for(MessageId::new(&index.to_le_bytes()), peer, Topic::Blocks, 1);
        }
        assert!(verdicts.take_overdue().is_none());
        verdicts.wait_for(MessageId::new(b"one more"), peer, Topic::Blocks, 1);
        let overdue = verdicts.take_overdue().map(|(message, ..)| message);
        assert_eq!(overdue, Some(MessageId::new(&0_usize.to_le_bytes())));
        assert!(verdicts.take_overdue().is_none());
    }
}

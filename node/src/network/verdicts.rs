//! Gossiped messages that wait for a verdict (N-13).

use super::GossipId;
use crate::bounds::VERDICTS_PENDING_MAX;
use libp2p::PeerId;
use libp2p::gossipsub::MessageId;
use std::collections::BTreeMap;
use timecoin_protocol::wire::Topic;

/// A message, whom it came from, and its topic.
pub(super) type Waiting = (MessageId, PeerId, Topic);

/// The messages that wait, by the number given to them.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

impl Verdicts {
    /// Numbers a message.
    pub(super) fn wait_for(&mut self, message: MessageId, peer: PeerId, topic: Topic) -> GossipId {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(id, (message, peer, topic));
        GossipId(id)
    }

    /// The message of a verdict; none if it came twice or too late.
    pub(super) fn take(&mut self, id: GossipId) -> Option<Waiting> {
        self.waiting.remove(&id.0)
    }

    /// The oldest message when more wait than there is room for: it is to be ignored.
    pub(super) fn take_overdue(&mut self) -> Option<Waiting> {
        if self.waiting.len() <= VERDICTS_PENDING_MAX {
            return None;
        }
        self.waiting.pop_first().map(|(_, message)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_taken_once() {
        // N-13
        let mut verdicts = Verdicts::default();
        let id = verdicts.wait_for(MessageId::new(b"a"), PeerId::random(), Topic::Votes);
        assert!(verdicts.take(id).is_some());
        assert!(verdicts.take(id).is_none());
    }

    #[test]
    fn the_oldest_message_is_overdue_when_too_many_wait() {
        // N-13
        let mut verdicts = Verdicts::default();
        let peer = PeerId::random();
        for index in 0..VERDICTS_PENDING_MAX {
            verdicts.wait_for(MessageId::new(&index.to_le_bytes()), peer, Topic::Blocks);
        }
        assert!(verdicts.take_overdue().is_none());
        verdicts.wait_for(MessageId::new(b"one more"), peer, Topic::Blocks);
        let overdue = verdicts.take_overdue().map(|(message, ..)| message);
        assert_eq!(overdue, Some(MessageId::new(&0_usize.to_le_bytes())));
        assert!(verdicts.take_overdue().is_none());
    }
}

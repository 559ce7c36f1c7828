//! The queue of events out of the swarm task: bounded in number and in bytes, never waited for.

use super::Event;
use crate::bounds::{NETWORK_EVENT_BYTES_MAX, NETWORK_NOTICES_MAX};
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// The sending end. Events with a body are refused when the queue is full; notices (who came, who
/// went, what failed) wait in order, for nobody could do without them.
#[derive(Debug)]
pub(super) struct EventQueue {
    sender: mpsc::Sender<Event>,
    /// Sizes of the events last sent, oldest first; those taken meanwhile are dropped lazily.
    sizes: VecDeque<usize>,
    bytes: usize,
    bytes_max: usize,
    notices: VecDeque<Event>,
}

impl EventQueue {
    /// A queue into `sender`.
    pub(super) fn new(sender: mpsc::Sender<Event>) -> Self {
        Self { sender, sizes: VecDeque::new(), bytes: 0, bytes_max: NETWORK_EVENT_BYTES_MAX, notices: VecDeque::new() }
    }

    /// Sends an event with a body of `size` bytes.
    ///
    /// # Errors
    /// The queue is full: the event comes back.
    pub(super) fn offer(&mut self, event: Event, size: usize) -> Result<(), Box<Event>> {
        self.flush();
        self.forget_taken();
        if !self.notices.is_empty() || self.bytes.saturating_add(size) > self.bytes_max {
            return Err(Box::new(event));
        }
        self.send(event, size).map_err(Box::new)
    }

    /// Sends a notice, now or as soon as there is room; says whether it is on its way.
    pub(super) fn notify(&mut self, notice: Event) -> bool {
        if self.notices.len() >= NETWORK_NOTICES_MAX {
            return false;
        }
        self.notices.push_back(notice);
        self.flush();
        true
    }

    /// Sends notices that wait, as far as there is room.
    pub(super) fn flush(&mut self) {
        while let Some(notice) = self.notices.pop_front() {
            if let Err(notice) = self.send(notice, 0) {
                self.notices.push_front(notice);
                return;
            }
        }
    }

    fn send(&mut self, event: Event, size: usize) -> Result<(), Event> {
        match self.sender.try_send(event) {
            Ok(()) => {
                self.sizes.push_back(size);
                self.bytes = self.bytes.saturating_add(size);
                Ok(())
            }
            // Without a receiver the node is about to stop: nobody misses the event.
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(event)) => Err(event),
        }
    }

    fn forget_taken(&mut self) {
        let queued = self.sender.max_capacity().saturating_sub(self.sender.capacity());
        while self.sizes.len() > queued {
            self.bytes = self.bytes.saturating_sub(self.sizes.pop_front().unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{GossipId, OutboundId, RequestFailure};
    use libp2p::PeerId;
    use timecoin_protocol::wire::Topic;

    fn gossip(id: u64) -> Event {
        Event::Gossip { id: GossipId(id), peer: PeerId::random(), topic: Topic::Votes, bytes: vec![0; 10] }
    }

    fn failed(id: u64) -> Event {
        Event::RequestFailed { id: OutboundId(id), failure: RequestFailure::Busy }
    }

    #[test]
    fn a_full_queue_gives_the_event_back() {
        let (sender, _receiver) = mpsc::channel(2);
        let mut queue = EventQueue::new(sender);
        assert!(queue.offer(gossip(1), 10).is_ok());
        assert!(queue.offer(gossip(2), 10).is_ok());
        assert!(queue.offer(gossip(3), 10).is_err());
    }

    #[test]
    fn bytes_are_bounded_and_freed_as_events_are_taken() {
        let (sender, mut receiver) = mpsc::channel(100);
        let mut queue = EventQueue { bytes_max: 25, ..EventQueue::new(sender) };
        assert!(queue.offer(gossip(1), 10).is_ok());
        assert!(queue.offer(gossip(2), 10).is_ok());
        assert!(queue.offer(gossip(3), 10).is_err());
        assert!(receiver.try_recv().is_ok());
        assert!(queue.offer(gossip(4), 10).is_ok());
    }

    #[test]
    fn notices_wait_for_room_and_keep_their_order() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut queue = EventQueue::new(sender);
        assert!((0..3).all(|id| queue.notify(failed(id))));
        assert!(queue.offer(gossip(9), 1).is_err(), "no event overtakes a notice");
        for expected in 0..3 {
            assert!(matches!(receiver.try_recv(), Ok(Event::RequestFailed { id, .. }) if id.0 == expected));
            queue.flush();
        }
        assert!(queue.offer(gossip(9), 1).is_ok());
    }
}

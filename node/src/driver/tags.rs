//! The engine's names for peers, requests, replies and gossip, and the network's.
//!
//! Only peers need a table. The others are numbers on both sides, so one is computed from the
//! other and nothing has to be remembered, bounded or cleaned up.

use crate::bounds::PEER_TAGS_MAX;
use crate::network::{InboundId, OutboundId, Protocol};
use crate::verify::From;
use libp2p::PeerId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use timecoin_protocol::engine::{PeerTag, ReplyTag, RequestId};

/// The numbers of peers. A peer has the same one from its first message until it is gone.
#[derive(Debug)]
pub struct PeerTags {
    table: Mutex<Table>,
    max: usize,
}

#[derive(Debug, Default)]
struct Table {
    tags: HashMap<PeerId, PeerTag>,
    peers: BTreeMap<PeerTag, PeerId>,
    next: u64,
}

impl Default for PeerTags {
    fn default() -> Self {
        Self { table: Mutex::default(), max: PEER_TAGS_MAX }
    }
}

impl PeerTags {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in this file panics while it holds the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The peer by both names; a peer that has no number gets the next one, which may take away the
    /// oldest number of all.
    pub fn of(&self, peer: PeerId) -> From {
        let mut table = self.table();
        if let Some(tag) = table.tags.get(&peer) {
            return From { peer, tag: *tag };
        }
        let tag = PeerTag(table.next);
        table.next = table.next.wrapping_add(1);
        table.tags.insert(peer, tag);
        table.peers.insert(tag, peer);
        if table.peers.len() > self.max
            && let Some((_, oldest)) = table.peers.pop_first()
        {
            table.tags.remove(&oldest);
        }
        From { peer, tag }
    }

    /// The peer with this number, unless it is gone.
    #[must_use]
    pub fn peer(&self, tag: PeerTag) -> Option<PeerId> {
        self.table().peers.get(&tag).copied()
    }

    /// Takes the number of a peer that is gone away.
    pub fn forget(&self, peer: &PeerId) {
        let mut table = self.table();
        if let Some(tag) = table.tags.remove(peer) {
            table.peers.remove(&tag);
        }
    }
}

/// Bits of an [`OutboundId`] that say by which protocol the request went.
const PROTOCOL_BITS: u32 = 3;

/// The network's name of a request of the engine.
#[must_use]
pub const fn outbound(request: RequestId, protocol: Protocol) -> OutboundId {
    let number = match protocol {
        Protocol::Query => 0,
        Protocol::Transactions => 1,
        Protocol::Certificates => 2,
        Protocol::Blocks => 3,
        Protocol::Status => 4,
    };
    OutboundId(request.0 << PROTOCOL_BITS | number)
}

/// The engine's name of a request, and by which protocol it went.
#[must_use]
pub fn request(id: OutboundId) -> (RequestId, Option<Protocol>) {
    let number = id.0 & ((1 << PROTOCOL_BITS) - 1);
    let protocol = usize::try_from(number).ok().and_then(|at| Protocol::ALL.get(at)).copied();
    (RequestId(id.0 >> PROTOCOL_BITS), protocol)
}

/// Who waits for a reply of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// A peer's request.
    Peer(InboundId),
    /// The local caller with this number.
    Local(u64),
}

impl Waiting {
    /// The engine's name of it.
    #[must_use]
    pub const fn tag(self) -> ReplyTag {
        match self {
            Self::Peer(id) => ReplyTag(id.0 << 1),
            Self::Local(number) => ReplyTag(number << 1 | 1),
        }
    }

    /// Who is meant by the engine's name.
    #[must_use]
    pub const fn of(tag: ReplyTag) -> Self {
        if tag.0 & 1 == 0 { Self::Peer(InboundId(tag.0 >> 1)) } else { Self::Local(tag.0 >> 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_keeps_its_number_until_it_is_gone() {
        let tags = PeerTags::default();
        let peer = PeerId::random();
        let first = tags.of(peer);
        assert_eq!(tags.of(peer), first);
        assert_eq!(tags.peer(first.tag), Some(peer));
        tags.forget(&peer);
        assert_eq!(tags.peer(first.tag), None);
        assert_ne!(tags.of(peer).tag, first.tag, "a number is never used twice");
    }

    #[test]
    fn the_oldest_number_makes_room() {
        let tags = PeerTags { table: Mutex::default(), max: 2 };
        let froms: Vec<From> = (0..3).map(|_| tags.of(PeerId::random())).collect();
        let known: Vec<bool> = froms.iter().map(|from| tags.peer(from.tag).is_some()).collect();
        assert_eq!(known, [false, true, true]);
    }

    #[test]
    fn requests_and_replies_keep_their_names_both_ways() {
        for protocol in Protocol::ALL {
            assert_eq!(request(outbound(RequestId(77), protocol)), (RequestId(77), Some(protocol)));
        }
        assert_eq!(request(OutboundId(7)), (RequestId(0), None));
        for waiting in [Waiting::Peer(InboundId(5)), Waiting::Local(5)] {
            assert_eq!(Waiting::of(waiting.tag()), waiting);
        }
    }
}

//! Requests on the way: ours to peers, and those of peers that wait for an answer.

use super::{InboundId, OutboundId, Protocol, RequestFailure};
use crate::bounds::{INBOUND_REQUESTS_MAX, REQUESTS_PER_PEER_MAX};
use libp2p::PeerId;
use libp2p::request_response::{OutboundFailure, OutboundRequestId, ResponseChannel};
use std::collections::HashMap;

/// Requests of ours that no answer has come to yet.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    waiting: HashMap<(Protocol, OutboundRequestId), (OutboundId, PeerId)>,
    per_peer: HashMap<PeerId, usize>,
}

impl Outbound {
    /// Whether one more request may go to this peer. Its side drops what is too much without a
    /// word, so this side must count.
    pub(super) fn has_room(&self, peer: &PeerId) -> bool {
        self.per_peer.get(peer).copied().unwrap_or(0) < REQUESTS_PER_PEER_MAX
    }

    /// Notes a request that was sent.
    pub(super) fn sent(&mut self, protocol: Protocol, request: OutboundRequestId, id: OutboundId, peer: PeerId) {
        self.waiting.insert((protocol, request), (id, peer));
        let count = self.per_peer.entry(peer).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// The request that is over.
    pub(super) fn done(&mut self, protocol: Protocol, request: OutboundRequestId) -> Option<(OutboundId, PeerId)> {
        let (id, peer) = self.waiting.remove(&(protocol, request))?;
        if let Some(count) = self.per_peer.get_mut(&peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_peer.remove(&peer);
            }
        }
        Some((id, peer))
    }
}

/// What libp2p's failure means for the asker.
pub(super) fn failure(error: &OutboundFailure) -> RequestFailure {
    match error {
        OutboundFailure::DialFailure => RequestFailure::Unreachable,
        OutboundFailure::Timeout => RequestFailure::Timeout,
        OutboundFailure::ConnectionClosed | OutboundFailure::UnsupportedProtocols | OutboundFailure::Io(_) => {
            RequestFailure::Refused
        }
    }
}

/// Requests of peers that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    next: u64,
    waiting: HashMap<InboundId, (Protocol, ResponseChannel<Vec<u8>>)>,
}

impl Inbound {
    /// Numbers a request; none if too many wait: dropping the channel refuses it.
    pub(super) fn wait_for(&mut self, protocol: Protocol, channel: ResponseChannel<Vec<u8>>) -> Option<InboundId> {
        if self.waiting.len() >= INBOUND_REQUESTS_MAX {
            self.forget_closed();
        }
        if self.waiting.len() >= INBOUND_REQUESTS_MAX {
            return None;
        }
        let id = InboundId(self.next);
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(id, (protocol, channel));
        Some(id)
    }

    /// Where the answer goes; none if it was given already or comes too late.
    pub(super) fn take(&mut self, id: InboundId) -> Option<(Protocol, ResponseChannel<Vec<u8>>)> {
        self.waiting.remove(&id)
    }

    /// Forgets requests that timed out or whose connection is gone.
    pub(super) fn forget_closed(&mut self) {
        self.waiting.retain(|_, (_, channel)| channel.is_open());
    }
}

//! What the swarm reports, and what becomes of it.

use super::behaviour::BehaviourEvent;
use super::discovery::Target;
use super::requests::failure;
use super::task::Task;
use super::{Event, Protocol, RequestFailure};
use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, Message, MessageId};
use libp2p::metrics::Recorder;
use libp2p::request_response::{self, OutboundRequestId, ResponseChannel};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{PeerId, identify, ping};
use std::time::Instant;
use timecoin_protocol::engine::Verdict;

/// What a request-response protocol reports.
type Exchange = request_response::Event<Vec<u8>, Vec<u8>>;

impl Task {
    /// Handles one event; never waits.
    pub(super) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        self.metrics.record(&event);
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => self.on_gone(peer_id),
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.on_dial_failed(connection_id, peer_id, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => self.notify(Event::Listening(address)),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::error!(?addresses, ?reason, "no longer listening");
            }
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) | BehaviourEvent::Votes(event) => {
                self.metrics.record(&event);
                self.on_gossip_event(event);
            }
            BehaviourEvent::Query(event) => self.on_exchange(Protocol::Query, event),
            BehaviourEvent::Transactions(event) => self.on_exchange(Protocol::Transactions, event),
            BehaviourEvent::Certificates(event) => self.on_exchange(Protocol::Certificates, event),
            BehaviourEvent::Blocks(event) => self.on_exchange(Protocol::Blocks, event),
            BehaviourEvent::Status(event) => self.on_exchange(Protocol::Status, event),
            BehaviourEvent::Kademlia(event) => self.metrics.record(&event),
            BehaviourEvent::Identify(event) => {
                self.metrics.record(&event);
                if let identify::Event::Received { peer_id, info, .. } = event {
                    self.on_identified(peer_id, info);
                }
            }
            BehaviourEvent::Ping(event) => {
                self.metrics.record(&event);
                self.on_ping(&event);
            }
            BehaviourEvent::Limits(never) | BehaviourEvent::Blocked(never) => match never {},
        }
    }

    fn on_gossip_event(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.on_gossip(propagation_source, message_id, message);
            }
            gossipsub::Event::Subscribed { peer_id, .. } => {
                self.crowd.peers.subscribed(&peer_id);
                self.announce_if_ready(peer_id);
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                // gossipsub scores it down by itself.
                tracing::debug!(peer = %peer_id, "a peer reads too slowly and loses gossip");
            }
            _ => {}
        }
    }

    fn on_gossip(&mut self, peer: PeerId, message_id: MessageId, message: Message) {
        let topic = self.topics.iter().find(|(name, _)| *name == message.topic).map(|(_, topic)| *topic);
        let Some(topic) = topic else {
            // Other topics are not subscribed to.
            return;
        };
        let (size, now) = (message.data.len(), Instant::now());
        self.ignore_overdue(now);
        if !self.verdicts.has_room(&peer, topic, size) {
            self.counters.gossip_dropped.inc();
            self.judge(&(message_id, peer, topic), Verdict::Ignore);
            return;
        }
        let id = self.verdicts.wait_for((message_id, peer, topic), size, now);
        if self.queue.offer(Event::Gossip { id, peer, topic, bytes: message.data }, size).is_err() {
            self.counters.gossip_dropped.inc();
            if let Some(message) = self.verdicts.take(id) {
                self.judge(&message, Verdict::Ignore);
            }
        }
        self.ignore_overdue(now);
    }

    fn ignore_overdue(&mut self, now: Instant) {
        while let Some(message) = self.verdicts.take_overdue(now) {
            self.counters.verdicts_overdue.inc();
            self.judge(&message, Verdict::Ignore);
        }
    }

    fn on_exchange(&mut self, protocol: Protocol, event: Exchange) {
        match event {
            Exchange::Message { peer, message, .. } => match message {
                request_response::Message::Request { request, channel, .. } => {
                    self.on_request(peer, protocol, request, channel);
                }
                request_response::Message::Response { request_id, response } => {
                    self.on_response(protocol, request_id, response);
                }
            },
            Exchange::OutboundFailure { request_id, error, .. } => {
                if let Some((id, _)) = self.outbound.done(protocol, request_id) {
                    self.request_failed(id, failure(&error));
                }
            }
            // The channel is closed now; upkeep forgets it.
            Exchange::InboundFailure { .. } | Exchange::ResponseSent { .. } => {}
        }
    }

    /// Passes a request on. Returning early drops the channel, which refuses the request.
    fn on_request(&mut self, peer: PeerId, protocol: Protocol, body: Vec<u8>, channel: ResponseChannel<Vec<u8>>) {
        let now = Instant::now();
        if !self.crowd.peers.allow_request(&peer, protocol, now) {
            self.counters.requests_over_quota.inc();
            self.penalize_over_quota(peer, now);
            return;
        }
        let Some(id) = self.inbound.wait_for(protocol, channel) else {
            self.counters.requests_dropped.inc();
            return;
        };
        let size = body.len();
        if self.queue.offer(Event::Request { id, peer, protocol, body }, size).is_err() {
            self.counters.requests_dropped.inc();
            drop(self.inbound.take(id));
        }
    }

    fn on_response(&mut self, protocol: Protocol, request: OutboundRequestId, body: Vec<u8>) {
        let Some((id, peer)) = self.outbound.done(protocol, request) else { return };
        let size = body.len();
        if self.queue.offer(Event::Response { id, peer, body }, size).is_err() {
            self.counters.responses_dropped.inc();
            self.request_failed(id, RequestFailure::Busy);
        }
    }

    fn on_connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        if let Some(Target::Address(address)) = self.crowd.dials.remove(&connection) {
            self.crowd.discovery.resolved(&address, peer);
        }
        let now = Instant::now();
        self.crowd.peers.connected(peer, endpoint, now);
        self.prune(now);
    }

    fn on_gone(&mut self, peer: PeerId) {
        let Some(gone) = self.crowd.peers.gone(&peer) else { return };
        let (now, chance) = (Instant::now(), rand::random());
        if gone.ready {
            self.crowd.discovery.lost(peer, now, chance);
            self.notify(Event::PeerGone(peer));
        } else {
            // It never became a peer: of another network, or too busy for us.
            self.crowd.discovery.failed(&Target::Peer(peer), now, chance);
        }
    }

    /// Somebody could not be reached; also for dials that never began.
    pub(super) fn on_dial_failed(&mut self, connection: ConnectionId, peer: Option<PeerId>, error: &DialError) {
        let target = self.crowd.dials.remove(&connection).or(peer.map(Target::Peer));
        // Somebody else's dial to the same peer is on the way: its outcome counts.
        let waits = matches!(error, DialError::DialPeerConditionFalse(_));
        // While this node takes no part in the network, that is nobody's fault.
        if let Some(target) = target.filter(|_| !waits && self.crowd.active) {
            tracing::debug!(?target, %error, "cannot connect");
            self.crowd.discovery.failed(&target, Instant::now(), rand::random());
        }
    }

    /// A peer said who it is (N-10): of this network, it is ready; of another one, it must go.
    fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        if info.protocol_version != self.version {
            tracing::debug!(%peer, version = info.protocol_version, "disconnects a node of another network");
            self.disconnect(peer);
            return;
        }
        self.crowd.peers.identified(&peer, &info.agent_version);
        self.learn_addresses(peer, info.listen_addrs);
        self.announce_if_ready(peer);
    }

    fn announce_if_ready(&mut self, peer: PeerId) {
        if self.crowd.peers.becomes_ready(&peer) {
            self.notify(Event::PeerReady(peer));
        }
    }

    fn on_ping(&mut self, event: &ping::Event) {
        match &event.result {
            Ok(time) => self.crowd.peers.pinged(&event.peer, *time),
            Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                // libp2p keeps a connection whose other end has vanished until TCP gives up.
                tracing::debug!(peer = %event.peer, %error, "closes a connection that does not answer");
                self.swarm.close_connection(event.connection);
            }
        }
    }
}

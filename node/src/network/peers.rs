//! The peers that are connected now.

use super::quota::Quotas;
use super::{PeerInfo, Protocol};
use crate::bounds::{AGENT_CHARS_MAX, IDENTIFY_TIMEOUT_MS, SUBSCRIBE_TIMEOUT_MS};
use libp2p::core::ConnectedPoint;
use libp2p::{Multiaddr, PeerId};
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use timecoin_protocol::wire::Topic;

/// One connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// Address of its first connection.
    pub(super) address: Multiaddr,
    /// Whether it connected to us.
    pub(super) inbound: bool,
    /// Whether it can be used: identified as a node of this network, and taking part in gossip.
    pub(super) ready: bool,
    identified: bool,
    subscriptions: usize,
    agent: String,
    ping: Option<Duration>,
    connected: Instant,
    connected_at: u64,
    quotas: Quotas,
}

/// The connected peers.
#[derive(Debug, Default)]
pub(super) struct Peers(HashMap<PeerId, Peer>);

impl Peers {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many there are of a kind.
    pub(super) fn count(&self, of: impl Fn(&PeerId) -> bool) -> usize {
        self.0.keys().filter(|peer| of(peer)).count()
    }

    /// Whether a peer is connected.
    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        self.0.contains_key(peer)
    }

    /// A connected peer.
    pub(super) fn peer(&self, peer: &PeerId) -> Option<&Peer> {
        self.0.get(peer)
    }

    /// Notes a connection; only the first one of a peer counts.
    pub(super) fn connected(&mut self, peer: PeerId, endpoint: &ConnectedPoint, now: Instant) {
        self.0.entry(peer).or_insert_with(|| Peer {
            address: endpoint.get_remote_address().clone(),
            inbound: endpoint.is_listener(),
            ready: false,
            identified: false,
            subscriptions: 0,
            agent: String::new(),
            ping: None,
            connected: now,
            connected_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs()),
            quotas: Quotas::new(now),
        });
    }

    /// Notes that the last connection is gone; gives what was known of the peer.
    pub(super) fn gone(&mut self, peer: &PeerId) -> Option<Peer> {
        self.0.remove(peer)
    }

    /// Notes who a peer is (N-10).
    pub(super) fn identified(&mut self, peer: &PeerId, agent: &str) {
        let Some(peer) = self.0.get_mut(peer) else { return };
        // What it calls itself is shown to people: no line breaks, nor other control characters.
        peer.agent = agent.chars().filter(|char| !char.is_control()).take(AGENT_CHARS_MAX).collect();
        peer.identified = true;
    }

    /// Notes that a peer subscribed to one more topic.
    pub(super) fn subscribed(&mut self, peer: &PeerId) {
        if let Some(peer) = self.0.get_mut(peer) {
            peer.subscriptions = peer.subscriptions.saturating_add(1);
        }
    }

    /// Whether a peer has just become ready: identified, and subscribed to all topics, so that
    /// what is published now reaches it.
    pub(super) fn becomes_ready(&mut self, peer: &PeerId) -> bool {
        let Some(peer) = self.0.get_mut(peer) else { return false };
        let usable = peer.identified && peer.subscriptions >= Topic::ALL.len();
        usable && !std::mem::replace(&mut peer.ready, true)
    }

    /// Peers that have become ready although they do not subscribe: they can still be asked.
    pub(super) fn ready_without_gossip(&mut self, now: Instant) -> Vec<PeerId> {
        let limit = Duration::from_millis(SUBSCRIBE_TIMEOUT_MS);
        let waits =
            |peer: &Peer| peer.identified && !peer.ready && now.saturating_duration_since(peer.connected) > limit;
        let waiting = self.0.iter_mut().filter(|(_, peer)| waits(peer));
        waiting
            .map(|(id, peer)| {
                peer.ready = true;
                *id
            })
            .collect()
    }

    /// Notes a round-trip time.
    pub(super) fn pinged(&mut self, peer: &PeerId, time: Duration) {
        if let Some(peer) = self.0.get_mut(peer) {
            peer.ping = Some(time);
        }
    }

    /// Whether a peer may send one more request (N-16).
    pub(super) fn allow_request(&mut self, peer: &PeerId, protocol: Protocol, now: Instant) -> bool {
        self.0.get_mut(peer).is_some_and(|peer| peer.quotas.allow(protocol, now))
    }

    /// Peers that have been connected for long without saying who they are.
    pub(super) fn silent(&self, now: Instant) -> Vec<PeerId> {
        let limit = Duration::from_millis(IDENTIFY_TIMEOUT_MS);
        let silent = |peer: &Peer| !peer.identified && now.saturating_duration_since(peer.connected) > limit;
        self.0.iter().filter(|(_, peer)| silent(peer)).map(|(id, _)| *id).collect()
    }

    /// Whom to part with when too many are connected: of those that came by themselves and are
    /// not `kept`, one that is not identified, else the one with the highest penalty, else the
    /// latest.
    pub(super) fn dispensable(
        &self,
        kept: impl Fn(&PeerId) -> bool,
        penalty: impl Fn(&PeerId) -> u32,
    ) -> Option<PeerId> {
        let candidates = self.0.iter().filter(|(id, peer)| peer.inbound && !kept(id));
        candidates.max_by_key(|(id, peer)| (!peer.identified, penalty(id), peer.connected)).map(|(id, _)| *id)
    }

    /// All peers, for RPC.
    pub(super) fn snapshot(&self, penalty: impl Fn(&PeerId) -> u32) -> Vec<PeerInfo> {
        let mut infos: Vec<_> = self.0.iter().map(|(id, peer)| peer.info(id, penalty(id))).collect();
        infos.sort_by(|one, two| one.peer_id.cmp(&two.peer_id));
        infos
    }
}

impl Peer {
    fn info(&self, id: &PeerId, penalty: u32) -> PeerInfo {
        PeerInfo {
            peer_id: id.to_base58(),
            address: self.address.to_string(),
            inbound: self.inbound,
            agent: self.agent.clone(),
            ping_us: self.ping.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
            connected_at: self.connected_at,
            penalty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbound() -> ConnectedPoint {
        let address: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        ConnectedPoint::Listener { local_addr: address.clone(), send_back_addr: address }
    }

    #[test]
    fn a_peer_is_ready_once_when_identified_and_subscribed_to_every_topic() {
        // N-10
        let (mut peers, peer, now) = (Peers::default(), PeerId::random(), Instant::now());
        peers.identified(&peer, "too early");
        peers.connected(peer, &inbound(), now);
        for _ in Topic::ALL {
            assert!(!peers.becomes_ready(&peer));
            peers.subscribed(&peer);
        }
        assert!(!peers.becomes_ready(&peer));
        peers.identified(&peer, "now");
        assert!(peers.becomes_ready(&peer));
        assert!(!peers.becomes_ready(&peer));
    }

    #[test]
    fn a_peer_without_gossip_is_ready_after_a_while() {
        // N-10
        let (mut peers, peer, now) = (Peers::default(), PeerId::random(), Instant::now());
        peers.connected(peer, &inbound(), now);
        let later = now + Duration::from_millis(SUBSCRIBE_TIMEOUT_MS + 1);
        assert!(peers.ready_without_gossip(later).is_empty(), "it has not said who it is");
        peers.identified(&peer, "agent");
        assert!(peers.ready_without_gossip(now).is_empty());
        assert_eq!(peers.ready_without_gossip(later), vec![peer]);
        assert!(peers.ready_without_gossip(later).is_empty());
    }

    #[test]
    fn the_name_of_a_peer_is_cleaned_and_cut_off() {
        let (mut peers, peer) = (Peers::default(), PeerId::random());
        peers.connected(peer, &inbound(), Instant::now());
        peers.identified(&peer, &format!("bad\nname{}", "x".repeat(1_000)));
        let infos = peers.snapshot(|_| 7);
        assert_eq!((infos[0].agent.chars().count(), infos[0].penalty), (AGENT_CHARS_MAX, 7));
        assert!(infos[0].agent.starts_with("badname"));
    }

    #[test]
    fn the_first_to_go_is_who_never_identified_then_who_offended_then_who_came_last() {
        // N-19
        let (mut peers, now) = (Peers::default(), Instant::now());
        let [old, new, silent] = [0, 1, 0].map(|second| {
            let peer = PeerId::random();
            peers.connected(peer, &inbound(), now + Duration::from_secs(second));
            peer
        });
        peers.identified(&old, "old");
        peers.identified(&new, "new");
        assert_eq!(peers.dispensable(|_| false, |_| 0), Some(silent));
        peers.gone(&silent);
        assert_eq!(peers.dispensable(|_| false, |peer| u32::from(*peer == old)), Some(old));
        assert_eq!(peers.dispensable(|_| false, |_| 0), Some(new));
        assert_eq!(peers.dispensable(|_| true, |_| 0), None);
    }

    #[test]
    fn a_peer_that_does_not_say_who_it_is_is_silent_after_a_while() {
        let (mut peers, peer, now) = (Peers::default(), PeerId::random(), Instant::now());
        peers.connected(peer, &inbound(), now);
        assert!(peers.silent(now).is_empty());
        assert_eq!(peers.silent(now + Duration::from_millis(IDENTIFY_TIMEOUT_MS + 1)), vec![peer]);
    }
}

//! Who is connected and who should be: dials, blocks, and what is done as time passes.

use super::addresses::usable;
use super::behaviour::limits;
use super::config::NetworkConfig;
use super::discovery::{Dial, Discovery, Target};
use super::peers::Peers;
use super::penalties::Penalties;
use super::task::Task;
use super::{Event, PeerInfo};
use arc_swap::ArcSwap;
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, PeerId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;
use timecoin_protocol::engine::Offence;

/// What is known of peers, connected or not.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Those connected.
    pub(super) peers: Peers,
    /// Those that did wrong.
    pub(super) penalties: Penalties,
    /// Those to dial.
    pub(super) discovery: Discovery,
    /// Dials on the way.
    pub(super) dials: HashMap<ConnectionId, Target>,
    /// Whether peers are searched in the distributed hash table.
    pub(super) search: bool,
    /// The connected peers as others see them.
    pub(super) snapshot: Arc<ArcSwap<Vec<PeerInfo>>>,
    /// Whether this node takes part in the network.
    pub(super) active: bool,
    /// How many peers may be connected besides nodes of validators (N-19).
    peers_max: usize,
    /// Nodes of validators.
    validators: Arc<ArcSwap<HashSet<PeerId>>>,
}

impl Crowd {
    /// Nobody is connected, and the bootstrap peers are to be dialled.
    pub(super) fn new(config: &NetworkConfig, own: PeerId, now: Instant) -> Self {
        Self {
            peers: Peers::default(),
            penalties: Penalties::new(config.ban),
            discovery: Discovery::new(&config.bootstrap, own, now),
            dials: HashMap::new(),
            search: config.discovery,
            snapshot: Arc::default(),
            active: *config.active.borrow(),
            peers_max: config.peers_max,
            validators: Arc::clone(&config.validators),
        }
    }

    /// Whom to part with, if there are too many besides nodes of validators (N-19).
    fn surplus(&self, now: Instant) -> Option<PeerId> {
        let validators = self.validators.load();
        if self.peers.count(|peer| !validators.contains(peer)) <= self.peers_max {
            return None;
        }
        let kept = |peer: &PeerId| self.discovery.is_bootstrap(peer) || validators.contains(peer);
        self.peers.dispensable(kept, |peer| self.penalties.of(peer, now))
    }
}

impl Task {
    /// Makes the dials that are due.
    pub(super) fn on_dial_tick(&mut self, now: Instant) {
        self.queue.flush();
        if !self.crowd.active {
            return;
        }
        let Crowd { peers, penalties, discovery, .. } = &mut self.crowd;
        // N-18
        for Dial { target, addresses } in discovery.due(now, |peer| peers.contains(peer) || penalties.is_banned(peer)) {
            let options = match &target {
                // Not from the listening port: two nodes that dial each other at the same moment
                // would open one connection from both ends, which neither side can use.
                Target::Peer(peer) => DialOpts::peer_id(*peer)
                    .addresses(addresses)
                    .extend_addresses_through_behaviour()
                    .allocate_new_port()
                    .build(),
                Target::Address(address) => {
                    DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build()
                }
            };
            let connection = options.connection_id();
            self.crowd.dials.insert(connection, target);
            if let Err(error) = self.swarm.dial(options) {
                self.on_dial_failed(connection, None, &error);
            }
        }
    }

    /// Parts with all peers and lets nobody in any more, or takes part again.
    pub(super) fn set_active(&mut self, active: bool, now: Instant) {
        if std::mem::replace(&mut self.crowd.active, active) == active {
            return;
        }
        *self.swarm.behaviour_mut().limits.limits_mut() = limits(active);
        if active {
            tracing::info!("takes part in the network again");
            self.crowd.discovery.awake(now);
            self.on_dial_tick(now);
        } else {
            tracing::warn!("takes no part in the network until it is told to");
            let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
            peers.into_iter().for_each(|peer| self.disconnect(peer));
        }
    }

    /// Everything else that depends on time.
    pub(super) fn on_upkeep_tick(&mut self, now: Instant) {
        for peer in self.crowd.penalties.expire(now) {
            self.swarm.behaviour_mut().blocked.unblock_peer(peer);
        }
        for peer in self.crowd.peers.silent(now) {
            self.disconnect(peer);
        }
        for peer in self.crowd.peers.ready_without_gossip(now) {
            self.notify(Event::PeerReady(peer));
        }
        self.inbound.forget_closed();
        // Whoever is a validator no more takes the place of another peer.
        self.prune(now);
        let Crowd { peers, discovery, .. } = &mut self.crowd;
        discovery.reschedule(peers.len(), now, |peer| peers.contains(peer));
        self.refresh_scores(now);
        let penalties = &self.crowd.penalties;
        let infos = self.crowd.peers.snapshot(|peer| penalties.of(peer, now));
        self.crowd.snapshot.store(Arc::new(infos));
    }

    fn refresh_scores(&mut self, now: Instant) {
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            self.refresh_score(&peer, now);
        }
    }

    fn refresh_score(&mut self, peer: &PeerId, now: Instant) {
        let points = self.crowd.penalties.of(peer, now);
        let behaviour = self.swarm.behaviour_mut();
        for gossip in [&mut behaviour.gossip, &mut behaviour.votes] {
            gossip.set_application_score(peer, -f64::from(points));
        }
    }

    /// Closes all connections with a peer.
    pub(super) fn disconnect(&mut self, peer: PeerId) {
        // An error means that there is none.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    /// Parts with a peer when too many are connected (N-19).
    pub(super) fn prune(&mut self, now: Instant) {
        if let Some(peer) = self.crowd.surplus(now) {
            self.crowd.discovery.forget(&peer);
            self.disconnect(peer);
        }
    }

    /// Keeps where a peer of this network says it can be reached.
    pub(super) fn learn_addresses(&mut self, peer: PeerId, claimed: Vec<Multiaddr>) {
        let remote = self.crowd.peers.peer(&peer).map(|peer| &peer.address);
        let addresses = usable(peer, claimed, remote);
        if self.crowd.search {
            for address in &addresses {
                self.swarm.behaviour_mut().kademlia.add_address(&peer, address.clone());
            }
        }
        self.crowd.discovery.connected(peer, addresses);
    }

    /// Dials a peer unless it is connected, blocked, or this node.
    pub(super) fn dial(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        let own = peer == *self.swarm.local_peer_id();
        if own || self.crowd.peers.contains(&peer) || self.crowd.penalties.is_banned(&peer) {
            return;
        }
        self.crowd.discovery.wanted(peer, addresses, now);
        self.on_dial_tick(now);
    }

    /// Counts an offence (N-17).
    pub(super) fn penalize(&mut self, peer: PeerId, offence: Offence, now: Instant) {
        let too_much = self.crowd.penalties.offend(peer, offence, now);
        tracing::debug!(%peer, ?offence, "a peer did wrong");
        self.after_penalty(peer, too_much, now);
    }

    /// Counts a request above the quota (N-16).
    pub(super) fn penalize_over_quota(&mut self, peer: PeerId, now: Instant) {
        let too_much = self.crowd.penalties.over_quota(peer, now);
        self.after_penalty(peer, too_much, now);
    }

    fn after_penalty(&mut self, peer: PeerId, too_much: bool, now: Instant) {
        self.refresh_score(&peer, now);
        if !too_much {
            return;
        }
        tracing::warn!(%peer, "blocks a peer for a while because of what it did");
        self.counters.bans.inc();
        let lifted = self.crowd.penalties.ban_for_a_while(peer, now);
        self.swarm.behaviour_mut().blocked.block_peer(peer);
        if let Some(lifted) = lifted {
            self.swarm.behaviour_mut().blocked.unblock_peer(lifted);
        }
    }

    /// Blocks a peer until it is unbanned.
    pub(super) fn ban(&mut self, peer: PeerId) {
        self.crowd.penalties.ban(peer);
        self.swarm.behaviour_mut().blocked.block_peer(peer);
    }

    /// Lifts a block and forgets all penalties.
    pub(super) fn unban(&mut self, peer: &PeerId) {
        self.crowd.penalties.forgive(peer);
        self.swarm.behaviour_mut().blocked.unblock_peer(*peer);
        self.refresh_score(peer, Instant::now());
    }
}

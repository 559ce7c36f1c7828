//! The network: what leaves an engine, what it costs, and when it arrives where.

use super::super::regions::{Region, Regions};
use super::ScaleError;
use super::mesh::{Mesh, links};
use super::relay::{Delivery, Relay};
use super::traffic::{Kind, Traffic};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use timecoin_protocol::block::Proposal;
use timecoin_protocol::codec::{Encode, encoded_len};
use timecoin_protocol::engine::{GossipTag, Input, PeerTag, Request, RequestId, Response, Source};
use timecoin_protocol::keys::Verified;
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::wire::{Topic, Vote};

/// From a turn to its messages on the wire: signing and the disk, in milliseconds.
const TURN_MS: u64 = 1;
/// Time between two rounds of offers, and for how many of them a message is offered (the node's settings of
/// gossipsub).
pub(super) const HEARTBEAT_MS: u64 = 700;
const OFFERED_HEARTBEATS: usize = 4;
/// Peers outside of the mesh that get an offer (`gossip_lazy`).
const OFFER_PEERS: usize = 6;
/// Most ids in one offer.
const OFFER_IDS_MAX: u64 = 5_000;
/// After this long a query, or another request, without an answer has failed (N-14).
const QUERY_TIMEOUT_MS: u64 = 2_000;
const REQUEST_TIMEOUT_MS: u64 = 10_000;

/// A gossip message that is forwarded as it is. Votes are not: see `relay`.
#[derive(Debug)]
pub(super) enum Gossip {
    Payments(Vec<Arc<Transaction>>),
    Proposal(Arc<Proposal>),
}

impl Gossip {
    const fn topic(&self) -> Topic {
        match self {
            Self::Payments(_) => Topic::Transactions,
            Self::Proposal(_) => Topic::Blocks,
        }
    }

    /// What a node that it reaches takes in.
    pub fn input(&self, from: usize) -> Input {
        let peer = PeerTag(from as u64);
        match self {
            Self::Payments(payments) => {
                let bodies = payments.iter().map(|body| Verified::by_own_hand(body.as_ref().clone())).collect();
                Input::Transactions(Source::Gossip(peer, GossipTag(0)), bodies)
            }
            Self::Proposal(proposal) => {
                Input::Proposal(peer, Box::new(Verified::by_own_hand(proposal.as_ref().clone())))
            }
        }
    }
}

/// Something that happens at a moment.
#[derive(Debug)]
pub(super) enum Happening {
    /// A gossip message reaches the nodes from number `next` of the list of its origin on.
    Spread { from: usize, sent_ms: u64, next: usize, gossip: Rc<Gossip> },
    /// A request arrives.
    Asked { from: usize, to: usize, id: RequestId, request: Box<Request> },
    /// An answer arrives.
    Answered { from: usize, to: usize, id: RequestId, response: Box<Response> },
    /// A request has failed.
    Failed { node: usize, id: RequestId },
    /// A payment is handed in.
    Submit(usize),
}

/// The network and what is on its way.
#[derive(Debug)]
pub(super) struct Network {
    places: Vec<Region>,
    regions: Regions,
    /// Of the topics whose messages are forwarded.
    meshes: BTreeMap<Topic, Mesh>,
    relay: Relay,
    pending: BTreeMap<u64, Vec<Happening>>,
    /// Messages of each topic that were published in the latest heartbeats.
    published: HashMap<Topic, [u64; OFFERED_HEARTBEATS]>,
    silent: Vec<bool>,
    pub traffic: Traffic,
    pub rng: ChaCha12Rng,
}

impl Network {
    pub fn new(silent: Vec<bool>, regions_used: usize, mut rng: ChaCha12Rng) -> Result<Self, ScaleError> {
        let regions = Regions::measured()?;
        let nodes = silent.len();
        let places: Vec<Region> = (0..nodes).map(|node| regions.of_node(node, regions_used)).collect();
        let forwards: Vec<bool> = silent.iter().map(|silent| !silent).collect();
        let salt = rng.next_u64();
        // The jitter of a link is the same in both directions of a run, and for all its messages.
        let delay = |from: usize, to: usize| {
            let link = crate::sim::chance::mix(salt, (from.min(to) * nodes + from.max(to)) as u64);
            regions.one_way_us(places[from], places[to], link)
        };
        let [payments, votes, blocks] = std::array::from_fn(|_| ChaCha12Rng::seed_from_u64(rng.next_u64()));
        let meshes = [(Topic::Transactions, payments), (Topic::Blocks, blocks)]
            .map(|(topic, mut own)| (topic, Mesh::new(&forwards, &delay, &mut |limit| below(&mut own, limit))));
        let meshes = BTreeMap::from(meshes);
        let mut own = votes;
        let peers = links(nodes, &mut |limit| below(&mut own, limit));
        // Every node is connected with every other one.
        let relay = Relay::new(&peers, silent.len().saturating_sub(1), silent.clone(), &delay);
        let (pending, published, traffic) = (BTreeMap::new(), HashMap::new(), Traffic::default());
        Ok(Self { places, regions, meshes, relay, pending, published, silent, traffic, rng })
    }

    /// What happens at a moment.
    pub fn due(&mut self, now_ms: u64) -> Option<Vec<Happening>> {
        self.pending.first_entry().filter(|first| *first.key() <= now_ms).map(|first| first.remove())
    }

    pub fn at(&mut self, ms: u64, happening: Happening) {
        self.pending.entry(ms).or_default().push(happening);
    }

    /// A node other than `node`, by chance.
    pub fn anybody_but(&mut self, node: usize) -> usize {
        let other = below(&mut self.rng, self.places.len().saturating_sub(1).max(1));
        if other >= node { other + 1 } else { other }
    }

    /// One way between two nodes, in whole milliseconds.
    fn delay_ms(&mut self, from: usize, to: usize) -> u64 {
        let chance = self.rng.next_u64();
        self.regions.one_way_us(self.places[from], self.places[to], chance).div_ceil(1_000)
    }

    /// Publishes a message.
    pub fn publish(&mut self, from: usize, gossip: Gossip, now_ms: u64) {
        let topic = gossip.topic();
        let Some(reach) = self.meshes[&topic].reach(from) else { return };
        match &gossip {
            Gossip::Payments(payments) => {
                let bytes: usize = payments.iter().map(encoded_len).sum();
                self.traffic.gossip(Kind::Payments, topic, bytes as u64 + 1, reach.copies);
            }
            Gossip::Proposal(proposal) => {
                self.traffic.gossip(Kind::Blocks, topic, encoded_len(proposal) as u64, reach.copies);
            }
        }
        self.published.entry(topic).or_default()[0] += 1;
        if let Some((delay, _)) = reach.arrivals.first() {
            let sent_ms = now_ms + TURN_MS;
            let at = sent_ms + u64::from(*delay);
            self.at(at, Happening::Spread { from, sent_ms, next: 0, gossip: Rc::new(gossip) });
        }
    }

    /// Says all votes of a turn of a node.
    pub fn say(&mut self, node: usize, votes: Vec<Vote>, now_ms: u64) {
        self.relay.say(node, votes, (now_ms + TURN_MS) * 1_000, &mut self.traffic);
    }

    /// Votes that nodes take in by now.
    pub fn votes(&mut self, now_ms: u64) -> Vec<Delivery> {
        self.relay.advance(now_ms * 1_000, &mut self.traffic)
    }

    /// All votes on their way reach everybody, and are counted: what a vote costs does not depend on
    /// when a run ends.
    pub fn settle(&mut self) {
        self.relay.advance(u64::MAX, &mut self.traffic);
    }

    /// The nodes that a message reaches by now; what is left of it stays on its way.
    pub fn reached(&mut self, spread: (usize, u64, usize, Rc<Gossip>), now_ms: u64) -> Vec<usize> {
        let (from, sent_ms, next, gossip) = spread;
        let Some(reach) = self.meshes[&gossip.topic()].reach(from) else { return Vec::new() };
        let rest = reach.arrivals.get(next..).unwrap_or_default();
        let reached = rest.partition_point(|(delay, _)| sent_ms + u64::from(*delay) <= now_ms);
        let nodes = rest[..reached].iter().map(|(_, node)| *node as usize).collect();
        if let Some((delay, _)) = rest.get(reached) {
            let at = sent_ms + u64::from(*delay);
            self.at(at, Happening::Spread { from, sent_ms, next: next + reached, gossip });
        }
        nodes
    }

    /// Sends a request, if there is somebody to take it.
    pub fn request(&mut self, (from, to): (usize, Option<usize>), id: RequestId, request: Request, now_ms: u64) {
        let (kind, name, bytes) = match &request {
            Request::Query(query) => (Kind::Sampling, "query", encoded_len(query)),
            Request::Transactions(request) => (Kind::Requests, "transactions", encoded_len(request)),
            Request::Certificates(request) => (Kind::Requests, "certificates", encoded_len(request)),
            Request::Blocks(request) => (Kind::Requests, "blocks", encoded_len(request)),
            Request::Status(request) => (Kind::Requests, "status", encoded_len(request)),
        };
        let Some(to) = to.filter(|to| *to != from) else {
            return self.at(now_ms + TURN_MS, Happening::Failed { node: from, id });
        };
        self.traffic.request(kind, name, bytes as u64);
        if self.silent[to] {
            let timeout = if kind == Kind::Sampling { QUERY_TIMEOUT_MS } else { REQUEST_TIMEOUT_MS };
            return self.at(now_ms + timeout, Happening::Failed { node: from, id });
        }
        let at = now_ms + TURN_MS + self.delay_ms(from, to);
        self.at(at, Happening::Asked { from, to, id, request: Box::new(request) });
    }

    /// Sends an answer; `cost` is its kind, its protocol and its size in bytes.
    pub fn answer(
        &mut self,
        (from, to): (usize, usize),
        id: RequestId,
        response: Response,
        cost: (Kind, &str, usize),
        now_ms: u64,
    ) {
        self.traffic.request(cost.0, cost.1, cost.2 as u64);
        let at = now_ms + TURN_MS + self.delay_ms(from, to);
        self.at(at, Happening::Answered { from, to, id, response: Box::new(response) });
    }

    /// Everybody offers what came lately to some peers outside of the mesh; bundles of votes are not offered.
    pub fn heartbeat(&mut self) {
        let nodes = self.places.len();
        for (topic, mesh) in &self.meshes {
            let windows = self.published.entry(*topic).or_default();
            let ids = windows.iter().sum::<u64>().min(OFFER_IDS_MAX);
            windows.rotate_right(1);
            windows[0] = 0;
            if ids == 0 {
                continue;
            }
            let offers = |node: usize| {
                let outside = (nodes - 1).saturating_sub(mesh.degree(node));
                OFFER_PEERS.min(outside) as u64
            };
            let offers = (0..nodes).filter(|node| !self.silent[*node]).map(offers).sum();
            self.traffic.offers(*topic, offers, ids);
        }
    }
}

/// A number below `limit`, by chance.
pub(super) fn below(rng: &mut ChaCha12Rng, limit: usize) -> usize {
    usize::try_from(rng.next_u64() % (limit.max(1) as u64)).unwrap_or_default()
}

/// Encoded size of a list, in bytes.
pub(super) fn list_len<'a, T: Encode + 'a>(items: impl Iterator<Item = &'a T>) -> usize {
    1 + items.map(encoded_len).sum::<usize>()
}

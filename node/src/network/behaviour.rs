//! All protocols of a node in one `NetworkBehaviour`.

use super::Protocol;
use super::codec::BytesCodec;
use super::config::{NetworkConfig, NetworkError};
use super::gossip::{Channel, Gossip, gossip};
use super::names::{kademlia_protocol, network_name, request_protocol};
use crate::bounds::{
    CONNECTIONS_INCOMING_MAX, CONNECTIONS_MAX, CONNECTIONS_PENDING_MAX, CONNECTIONS_PER_PEER_MAX, QUERY_TIMEOUT_MS,
    REQUEST_TIMEOUT_MS, STREAMS_PER_PROTOCOL_MAX,
};
use libp2p::kad::store::MemoryStore;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{PeerId, StreamProtocol, identify, kad, ping};
use libp2p_allow_block_list as block_list;
use libp2p_connection_limits::{self as connection_limits, ConnectionLimits};
use prometheus_client::registry::Registry;
use std::time::Duration;
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::wire::Topic;

/// One request-response protocol.
pub(super) type Requests = request_response::Behaviour<BytesCodec>;

/// The protocols. Limits and blocks come first: what they refuse costs the others nothing.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: connection_limits::Behaviour,
    pub(super) blocked: block_list::Behaviour<block_list::BlockedPeers>,
    pub(super) gossip: Gossip,
    pub(super) votes: Gossip,
    pub(super) query: Requests,
    pub(super) transactions: Requests,
    pub(super) certificates: Requests,
    pub(super) blocks: Requests,
    pub(super) status: Requests,
    pub(super) kademlia: kad::Behaviour<MemoryStore>,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
}

impl Behaviour {
    /// The protocols of the node that `config` describes.
    pub(super) fn new(config: &NetworkConfig, registry: &mut Registry) -> Result<Self, NetworkError> {
        let genesis = &config.genesis_hash;
        Ok(Self {
            limits: connection_limits::Behaviour::new(limits(*config.active.borrow())),
            blocked: block_list::Behaviour::default(),
            gossip: gossip(genesis, Channel::Main, registry)?,
            votes: gossip(genesis, Channel::Votes, registry)?,
            query: requests(genesis, Protocol::Query),
            transactions: requests(genesis, Protocol::Transactions),
            certificates: requests(genesis, Protocol::Certificates),
            blocks: requests(genesis, Protocol::Blocks),
            status: requests(genesis, Protocol::Status),
            kademlia: kademlia(config),
            identify: identify(config),
            ping: ping::Behaviour::default(),
        })
    }

    /// The gossip of one topic.
    pub(super) fn gossip(&mut self, topic: Topic) -> &mut Gossip {
        match topic {
            Topic::Votes => &mut self.votes,
            Topic::Transactions | Topic::Blocks | Topic::Masternodes => &mut self.gossip,
        }
    }

    /// The behaviour of one request-response protocol.
    pub(super) fn requests(&mut self, protocol: Protocol) -> &mut Requests {
        match protocol {
            Protocol::Query => &mut self.query,
            Protocol::Transactions => &mut self.transactions,
            Protocol::Certificates => &mut self.certificates,
            Protocol::Blocks => &mut self.blocks,
            Protocol::Status => &mut self.status,
        }
    }
}

/// Bounds on connections (N-19); of a node that takes no part in the network, none is allowed.
pub(super) fn limits(active: bool) -> ConnectionLimits {
    let limit = |most: u32| Some(if active { most } else { 0 });
    ConnectionLimits::default()
        .with_max_pending_incoming(limit(CONNECTIONS_PENDING_MAX))
        .with_max_pending_outgoing(limit(CONNECTIONS_PENDING_MAX))
        .with_max_established_incoming(limit(CONNECTIONS_INCOMING_MAX))
        .with_max_established(limit(CONNECTIONS_MAX))
        .with_max_established_per_peer(limit(CONNECTIONS_PER_PEER_MAX))
}

fn timeout(protocol: Protocol) -> Duration {
    Duration::from_millis(match protocol {
        Protocol::Query => QUERY_TIMEOUT_MS,
        _ => REQUEST_TIMEOUT_MS,
    })
}

fn requests(genesis: &GenesisHash, protocol: Protocol) -> Requests {
    let name: StreamProtocol = request_protocol(genesis, protocol);
    let config = request_response::Config::default()
        .with_request_timeout(timeout(protocol))
        .with_max_concurrent_streams(STREAMS_PER_PROTOCOL_MAX);
    Requests::new([(name, ProtocolSupport::Full)], config)
}

/// Only for finding peers: nothing is stored for anybody, and only peers that identified
/// themselves as nodes of this network enter the table.
fn kademlia(config: &NetworkConfig) -> kad::Behaviour<MemoryStore> {
    let peer_id = PeerId::from(config.keypair.public());
    let mut settings = kad::Config::new(kademlia_protocol(&config.genesis_hash));
    settings
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_caching(kad::Caching::Disabled)
        .set_query_timeout(Duration::from_secs(10))
        .set_periodic_bootstrap_interval(config.discovery.then_some(Duration::from_secs(60)));
    let mut behaviour = kad::Behaviour::with_config(peer_id, MemoryStore::new(peer_id), settings);
    // The automatic choice waits for a confirmed external address, which few nodes ever have.
    behaviour.set_mode(Some(kad::Mode::Server));
    behaviour
}

fn identify(config: &NetworkConfig) -> identify::Behaviour {
    let settings = identify::Config::new(network_name(&config.genesis_hash), config.keypair.public())
        .with_agent_version(config.agent.clone())
        .with_hide_listen_addrs(!config.external.is_empty())
        // Addresses of peers are filtered and kept by the redialer.
        .with_cache_size(0);
    identify::Behaviour::new(settings)
}

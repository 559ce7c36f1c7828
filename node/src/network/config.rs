//! What the network is started with, and why it did not start.

use crate::bounds::{BAN_MS, PEERS_MAX};
use arc_swap::ArcSwap;
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use timecoin_protocol::hash::GenesisHash;
use tokio::sync::watch;

/// What the network is started with.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The network to join.
    pub genesis_hash: GenesisHash,
    /// The key behind the peer id. Not the validator key: a peer id reveals the public key.
    pub keypair: Keypair,
    /// Addresses to listen on (TCP and QUIC); port 0 lets the system choose.
    pub listen: Vec<Multiaddr>,
    /// Peers to join through, each ending in `/p2p/<peer id>`. Those that cannot be resolved or
    /// reached are tried again and again and hinder no other.
    pub bootstrap: Vec<Multiaddr>,
    /// Addresses to announce in place of those listened on (behind NAT); usually empty.
    pub external: Vec<Multiaddr>,
    /// What this node calls itself.
    pub agent: String,
    /// Whether peers are searched in the distributed hash table. Off, a node knows only bootstrap
    /// peers and those it is told to dial: for tests of topologies.
    pub discovery: bool,
    /// How long a peer stays blocked for its penalties.
    pub ban: Duration,
    /// How many peers may be connected besides nodes of validators (N-19).
    pub peers_max: usize,
    /// Nodes of validators, which whoever starts the network keeps up to date: they take nobody's place (N-19).
    pub validators: Arc<ArcSwap<HashSet<PeerId>>>,
    /// Whether this node takes part in the network. While it does not, it has no connection, makes
    /// none and takes none; it goes on listening, so that it keeps its ports.
    pub active: watch::Receiver<bool>,
}

impl NetworkConfig {
    /// A node that neither listens nor knows anybody.
    #[must_use]
    pub fn new(genesis_hash: GenesisHash, keypair: Keypair) -> Self {
        Self {
            genesis_hash,
            keypair,
            listen: Vec::new(),
            bootstrap: Vec::new(),
            external: Vec::new(),
            agent: concat!("timed/", env!("CARGO_PKG_VERSION")).to_owned(),
            discovery: true,
            ban: Duration::from_millis(BAN_MS),
            peers_max: PEERS_MAX,
            validators: Arc::default(),
            // Nobody holds the other end, so that it stays as it is.
            active: watch::channel(true).1,
        }
    }
}

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// An address cannot be listened on: in use, not of this machine, or of an unknown kind.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The transport or a protocol could not be set up.
    #[error("the network cannot be set up: {0}")]
    Setup(String),
}

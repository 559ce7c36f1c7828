//! The nodes of a development network: started, joined, stopped together.

use crate::cli::devnet::{Devnet, NodeKeys, keypair, node_directory};
use crate::cli::failure::Failure;
use crate::config::history_beside;
use crate::driver::KnownPeers;
use crate::node::{Node, NodeOptions};
use crate::rpc::RpcOptions;
use futures::future::{join_all, select_all};
use libp2p::Multiaddr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use timecoin_protocol::engine::Tuning;
use timecoin_protocol::genesis::Genesis;

/// Longest that the nodes may take to find one another.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked whether they have.
const READY_PERIOD: Duration = Duration::from_millis(20);
/// Where each node listens: ports are the system's choice.
const LISTEN: [&str; 2] = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"];

/// Nodes of one network in this process.
#[derive(Debug)]
pub struct RunningNetwork {
    /// In order of their numbers, from 1.
    pub nodes: Vec<Node>,
}

/// Ports of one node; 0 lets the system choose.
#[derive(Clone, Copy, Debug, Default)]
struct Ports {
    rpc: u16,
    metrics: u16,
}

impl RunningNetwork {
    /// Starts every node; the others join through node 1. If one fails, all are stopped again.
    pub async fn start(home: &Path, devnet: &Devnet, rpc: u16, metrics: u16) -> Result<Self, Failure> {
        let genesis = Arc::new(devnet.genesis.clone());
        let mut network = Self { nodes: Vec::new() };
        for (keys, number) in devnet.nodes.iter().zip(1..) {
            let ports = if number == 1 { Ports { rpc, metrics } } else { Ports::default() };
            let bootstrap = network.nodes.first().map(|first| first.addresses.clone()).unwrap_or_default();
            let directory = node_directory(home, number);
            KnownPeers::new(&directory.join("data")).forget();
            let started = match options(&directory, &genesis, keys, ports, bootstrap) {
                Ok(options) => Box::pin(Node::start(options)).await.map_err(Failure::from),
                Err(failure) => Err(failure),
            };
            match started {
                Ok(node) => network.nodes.push(node),
                Err(failure) => {
                    network.stop(super::STOP_GRACE).await;
                    return Err(failure);
                }
            }
        }
        Ok(network)
    }

    /// Waits until every node is connected with every other one and level with them.
    pub async fn ready(&self) -> Result<(), Failure> {
        let others = self.nodes.len().saturating_sub(1);
        let is_ready = |node: &Node| {
            node.view.peers.load().len() >= others && (others == 0 || node.view.synced.load(Ordering::Relaxed))
        };
        let wait = async {
            while !self.nodes.iter().all(is_ready) {
                tokio::time::sleep(READY_PERIOD).await;
            }
        };
        tokio::time::timeout(READY_TIMEOUT, wait).await.map_err(|_| Failure::Timeout {
            what: "joining all nodes into one network",
            seconds: READY_TIMEOUT.as_secs(),
        })
    }

    /// Resolves when any node fails, or is asked to stop over RPC.
    pub async fn ended(&self) -> Result<(), Failure> {
        let ends = self.nodes.iter().map(|node| {
            Box::pin(async move {
                tokio::select! {
                    reason = node.failed() => Err(Failure::Stopped(reason)),
                    () = node.stop_requested() => Ok(()),
                }
            })
        });
        select_all(ends).await.0
    }

    /// Stops all nodes at once; says whether all of them stopped cleanly.
    pub async fn stop(self, grace: Duration) -> bool {
        join_all(self.nodes.into_iter().map(|node| node.stop(grace))).await.into_iter().all(|clean| clean)
    }
}

fn options(
    directory: &Path,
    genesis: &Arc<Genesis>,
    keys: &NodeKeys,
    ports: Ports,
    bootstrap: Vec<Multiaddr>,
) -> Result<NodeOptions, Failure> {
    let loopback = |port: u16| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    Ok(NodeOptions {
        genesis: genesis.clone(),
        data_dir: directory.join("data"),
        validator_key: Some(keys.validator.clone()),
        history_file: history_beside(&directory.join("validator.key")),
        node_key: keypair(&keys.node)?,
        listen: LISTEN.iter().filter_map(|text| text.parse().ok()).collect(),
        bootstrap,
        external: Vec::new(),
        // Loopback only and worthless money: no cookie, so that a plain curl line works.
        rpc: Some(RpcOptions {
            listen: loopback(ports.rpc),
            cookie: None,
            unsafe_methods: false,
            allowed_hosts: Vec::new(),
        }),
        metrics: Some(loopback(ports.metrics)),
        tuning: Tuning::default(),
    })
}

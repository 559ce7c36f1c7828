//! Networks of real nodes on loopback, each a process of its own that ends with this one.

mod launch;
mod process;

pub use launch::{NODES_MAX, node_arguments, node_program};
pub use process::{Announcement, NodeProcess};

use crate::endpoints::Endpoints;
use crate::failure::Failure;
use crate::rpc::NodeClient;
use futures::future::{join_all, select_all};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest that the nodes may take to find one another and make a block.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked whether they have.
const READY_PERIOD: Duration = Duration::from_millis(50);
/// Longest that a node may take to end when asked to; then it is killed.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Number of nodes; all of them validate.
    pub nodes: usize,
    /// Directory of the network; a network that is there already goes on.
    pub directory: PathBuf,
    /// First port; none lets the system choose all of them.
    pub base_port: Option<u16>,
    /// The node's program.
    pub program: PathBuf,
    /// Least time between blocks of a new network, in milliseconds.
    pub block_time_ms: u64,
    /// Blocks of an epoch of a new network.
    pub epoch_blocks: u64,
    /// Log level of the nodes.
    pub log_level: String,
    /// Whether the nodes obey methods that do harm, such as `setnetworkactive`.
    pub unsafe_methods: bool,
}

/// A running network. Dropping it kills its processes.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<NodeProcess>,
    endpoints: Endpoints,
}

impl Cluster {
    /// Founds the network if need be, starts its nodes, and waits until all of them are connected
    /// with one another and have a block.
    ///
    /// # Errors
    /// A node ends early or does not become ready; its last words are in the error.
    pub async fn start(options: &ClusterOptions) -> Result<Self, Failure> {
        let (nodes, endpoints) = launch::launch(options).await?;
        let mut cluster = Self { nodes, endpoints };
        match cluster.ready().await {
            Ok(()) => Ok(cluster),
            Err(failure) => {
                cluster.stop().await;
                Err(failure)
            }
        }
    }

    /// Where its nodes are.
    #[must_use]
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Its nodes and where they are, for whoever wants to rule over them. Dropping a node kills it.
    #[must_use]
    pub fn into_nodes(self) -> (Vec<NodeProcess>, Endpoints) {
        (self.nodes, self.endpoints)
    }

    async fn ready(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_TIMEOUT;
        let others = self.nodes.len().saturating_sub(1);
        let sockets: Vec<String> = self.endpoints.sockets().map(str::to_owned).collect();
        for (at, socket) in sockets.iter().enumerate() {
            let client = NodeClient::connect(socket).await?;
            while let Some(missing) = missing(&client, others).await? {
                self.check_running()?;
                if Instant::now() > deadline {
                    return Err(self.nodes.get(at).map_or_else(
                        || Failure::Timeout { what: missing, seconds: READY_TIMEOUT.as_secs() },
                        |node| node.not_ready(missing, READY_TIMEOUT),
                    ));
                }
                tokio::time::sleep(READY_PERIOD).await;
            }
        }
        self.check_running()
    }

    /// Fails if a node has ended.
    ///
    /// # Errors
    /// A node has ended; its last words.
    pub fn check_running(&mut self) -> Result<(), Failure> {
        self.nodes.iter_mut().try_for_each(NodeProcess::check_running)
    }

    /// Resolves when a node ends by itself.
    pub async fn ended(&mut self) -> Failure {
        select_all(self.nodes.iter_mut().map(|node| Box::pin(node.ended()))).await.0
    }

    /// Asks all nodes to end, and kills those that do not. Says whether all ended as asked.
    pub async fn stop(mut self) -> bool {
        join_all(self.nodes.iter_mut().map(|node| node.stop(STOP_GRACE))).await.into_iter().all(|clean| clean)
    }
}

/// What a node still has to do before it is ready.
async fn missing(client: &NodeClient, others: usize) -> Result<Option<&'static str>, Failure> {
    let peers: Vec<Value> = client.call("getpeerinfo", json!([])).await?;
    if peers.len() < others {
        return Ok(Some("has not found all other nodes"));
    }
    let height: u64 = client.call("getblockcount", json!([])).await?;
    Ok((height < 1).then_some("has seen no block"))
}

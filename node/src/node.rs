//! One running node: opens storage, starts network, verifiers, driver, RPC and metrics in the
//! right order, and stops them in the reverse one.

mod start;

use crate::driver::consensus::TurnError;
use crate::failure::Failure;
use crate::network::NetworkError;
use crate::store::StoreError;
use crate::verify::lanes::Lanes;
use crate::verify::{Checked, Job, Verifiers};
use crate::view::View;
use libp2p::Multiaddr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use timecoin_protocol::engine::Tuning;
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::ledger::Unavailable;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The network.
    pub genesis: Arc<Genesis>,
    /// Where its files are.
    pub data_dir: PathBuf,
    /// The validator key; none for a node that only follows.
    pub validator_key: Option<SecretKey>,
    /// File of its vote history, beside the key and not in the data directory; of no use without a key.
    pub history_file: PathBuf,
    /// The key behind the peer id.
    pub node_key: libp2p::identity::Keypair,
    /// Addresses to listen on (TCP and QUIC); port 0 lets the system choose.
    pub listen: Vec<Multiaddr>,
    /// Peers to join through, each ending in `/p2p/<peer id>`.
    pub bootstrap: Vec<Multiaddr>,
    /// Addresses to announce in place of those listened on (behind NAT); usually empty.
    pub external: Vec<Multiaddr>,
    /// JSON-RPC; none switches it off.
    pub rpc: Option<crate::rpc::RpcOptions>,
    /// Where `/metrics`, `/livez` and `/readyz` are served; none switches them off.
    pub metrics: Option<SocketAddr>,
    /// Own choices of the engine.
    pub tuning: Tuning,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Storage.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {purpose}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What for: "peers", "RPC" or "metrics".
        purpose: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The genesis description is unusable.
    #[error("the genesis description is unusable: {0}")]
    Genesis(#[from] timecoin_protocol::ledger::GenesisError),
    /// The journal does not lead to a state to start from.
    #[error("the node cannot go on where it stopped: {0}")]
    Restore(Unavailable),
    /// The system starts no more threads.
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// The network layer could not be set up.
    #[error("the network cannot be set up: {0}")]
    Network(String),
}

impl From<TurnError> for StartError {
    fn from(error: TurnError) -> Self {
        match error {
            TurnError::Store(error) => Self::Store(error),
            TurnError::Ledger(error) => Self::Restore(error),
        }
    }
}

impl From<NetworkError> for StartError {
    fn from(error: NetworkError) -> Self {
        match error {
            NetworkError::Listen { address, source } => {
                Self::Listen { address: address.to_string(), purpose: "peers", source }
            }
            NetworkError::Setup(reason) => Self::Network(reason),
        }
    }
}

/// A running node. Dropping it without [`stop`](Self::stop) tells its tasks and threads to end, and
/// waits for none of them.
#[derive(Debug)]
pub struct Node {
    /// What readers see.
    pub view: Arc<View>,
    /// Where peers can connect: listening addresses with `/p2p/<peer id>`.
    pub addresses: Vec<Multiaddr>,
    /// Where RPC listens.
    pub rpc: Option<SocketAddr>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    failure: Failure,
    stop_requests: CancellationToken,
    running: Running,
}

impl Node {
    /// Starts a node; returns once it listens everywhere it was told to.
    ///
    /// # Errors
    /// [`StartError`]; whatever was started is stopped again.
    pub async fn start(options: NodeOptions) -> Result<Self, StartError> {
        start::start(options).await
    }

    /// Resolves when the node cannot go on (storage failed, or a part of it panicked); says why.
    pub async fn failed(&self) -> String {
        self.failure.reported().await
    }

    /// Resolves when somebody asked the node to stop over RPC.
    pub async fn stop_requested(&self) {
        self.stop_requests.cancelled().await;
    }

    /// Stops everything cleanly: no new work, the turn in progress is committed, files are closed.
    /// Returns whether all tasks ended within `grace` and nothing holds the files any more, so that
    /// the directory can be opened again at once. (Clones of [`view`](Self::view) hold them.)
    pub async fn stop(self, grace: Duration) -> bool {
        let deadline = Instant::now() + grace;
        let chain = Arc::downgrade(&self.view.chain);
        let Self { view, running, .. } = self;
        let ended = running.end(deadline).await;
        drop(view);
        ended && released(&chain, deadline).await
    }
}

/// Waits until nobody holds `chain`, and with it the files; a task that has just ended drops what
/// it held a moment later.
async fn released<T>(chain: &Weak<T>, deadline: Instant) -> bool {
    while chain.strong_count() > 0 {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    true
}

/// Tasks, threads and queues of a node, and how they end.
#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    tasks: TaskTracker,
    jobs: Arc<Lanes<Job>>,
    inputs: Arc<Lanes<Checked>>,
    verifiers: Option<Verifiers>,
    driver: Option<JoinHandle<()>>,
}

impl Running {
    /// Ends what serves others first, then what feeds the driver, then the driver; says whether
    /// all of it ended before `deadline`.
    async fn end(mut self, deadline: Instant) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let tasks = timeout_at(deadline, self.tasks.wait()).await;
        // The driver ends after the turn in progress; verifiers that wait for it wait no more.
        self.inputs.close();
        let (verifiers, driver) = (self.verifiers.take(), self.driver.take());
        let threads = tokio::task::spawn_blocking(move || {
            if let Some(verifiers) = verifiers {
                verifiers.stop();
            }
            driver.is_none_or(|driver| driver.join().is_ok())
        });
        let threads = timeout_at(deadline, threads).await;
        tasks.is_ok() && matches!(threads, Ok(Ok(true)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        self.jobs.close();
        self.inputs.close();
    }
}

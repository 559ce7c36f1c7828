//! Puts the parts of a node together.

use super::{Node, NodeOptions, Running, StartError};
use crate::bounds::{ANNOUNCEMENTS_PENDING_MAX, CALLS_MAX};
use crate::driver::blocks::BlockServer;
use crate::driver::clock::Clock;
use crate::driver::consensus::Consensus;
use crate::driver::directory::Directory;
use crate::driver::intake::Intake;
use crate::driver::presence::{Presence, Tidings};
use crate::driver::release::{Callers, Release};
use crate::driver::tags::PeerTags;
use crate::driver::{self, Driver, Listeners, Outbox, Readers, Rebroadcast};
use crate::failure::Failure;
use crate::network::{self, Network, NetworkConfig};
use crate::store::{ChainReader, HistoryAt, Opened, Store};
use crate::verify::cache::CheckedSignatures;
use crate::verify::seen::SeenVotes;
use crate::verify::{self, Outlets, Verifiers};
use crate::view::{Call, View};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use timecoin_protocol::engine::{Config, Engine, Past};
use timecoin_protocol::keys::SecretKey;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all parts share.
struct Core {
    options: NodeOptions,
    clock: Clock,
    failure: Failure,
    view: Arc<View>,
    directory: Arc<Directory>,
    peers: Arc<PeerTags>,
    running: Running,
}

/// Starts a node. If a part does not start, dropping `Running` ends those that did.
pub(super) async fn start(options: NodeOptions) -> Result<Node, StartError> {
    let clock = Clock::start();
    let (consensus, chain) = open(&options).await?;
    let (calls_sender, calls) = mpsc::channel(CALLS_MAX);
    let view = Arc::new(View::new(
        Arc::clone(&options.genesis),
        options.validator_key.as_ref().map(SecretKey::public),
        options.node_key.public().to_peer_id(),
        consensus.engine().chain_state().clone(),
        chain,
        clock.now(),
        calls_sender,
    ));
    let mut core = Core {
        directory: Arc::new(Directory::new(Arc::clone(&view))),
        peers: Arc::default(),
        failure: Failure::default(),
        running: Running {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            jobs: verify::queue(),
            inputs: driver::queue(),
            verifiers: None,
            driver: None,
        },
        options,
        clock,
        view,
    };
    let mut registry = Registry::default();
    // The swarm is made in there, and is too large for a future that holds it.
    let network = Box::pin(network::start(core.network_config(), &mut registry, core.running.stop.clone())).await?;
    core.view.listening.store(Arc::new(network.listening.clone()));
    let addresses = named(&network.listening, network.peer_id);
    core.start_consensus(consensus, network, calls)?;
    let stop_requests = core.running.stop.child_token();
    let metrics = core.serve_metrics(registry).await?;
    let rpc = core.serve_rpc(stop_requests.clone()).await?;
    let Core { view, failure, running, .. } = core;
    Ok(Node { view, addresses, rpc, metrics, failure, stop_requests, running })
}

/// Opens storage and brings consensus to where it was, on a thread that may block.
async fn open(options: &NodeOptions) -> Result<(Consensus, Arc<ChainReader>), StartError> {
    let history =
        options.validator_key.as_ref().map(|key| HistoryAt { path: options.history_file.clone(), key: key.public() });
    let mut config = Config {
        genesis: Arc::clone(&options.genesis),
        key: options.validator_key.clone(),
        tuning: options.tuning.clone(),
        past: Past::default(),
        seed: rand::random(),
    };
    let dir = options.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let Opened { journal, ledger, reader, state, last_commit, records, past } =
            Store::open_with(&dir, &config.genesis, history.as_ref())?;
        config.past = past;
        let engine = Engine::new(config, state, last_commit, ledger);
        Ok((Consensus::restore(engine, journal, records)?, reader))
    });
    opened.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Addresses as others need them, with the peer id at the end.
fn named(listening: &[Multiaddr], peer: PeerId) -> Vec<Multiaddr> {
    let name = |address: &Multiaddr| match address.iter().last() {
        Some(Protocol::P2p(_)) => address.clone(),
        _ => address.clone().with(Protocol::P2p(peer)),
    };
    listening.iter().map(name).collect()
}

impl Core {
    fn network_config(&self) -> NetworkConfig {
        NetworkConfig {
            listen: self.options.listen.clone(),
            bootstrap: self.options.bootstrap.clone(),
            external: self.options.external.clone(),
            validators: self.directory.nodes(),
            active: self.view.network_active.subscribe(),
            ..NetworkConfig::new(self.view.genesis_hash, self.options.node_key.clone())
        }
    }

    fn start_consensus(
        &mut self,
        consensus: Consensus,
        network: Network,
        calls: mpsc::Receiver<Call>,
    ) -> Result<(), StartError> {
        let Network { commands, events, peers: connected, task, .. } = network;
        let (announcement_sender, announcements) = mpsc::channel(ANNOUNCEMENTS_PENDING_MAX);
        let (arrival_sender, arrivals) = watch::channel(());
        let votes = Arc::new(SeenVotes::new(Instant::now()));
        let outlets = Arc::new(Outlets {
            view: Arc::clone(&self.view),
            signatures: CheckedSignatures::default(),
            votes: Arc::clone(&votes),
            driver: Arc::clone(&self.running.inputs),
            announcements: announcement_sender,
            commands: commands.clone(),
        });
        let jobs = Arc::clone(&self.running.jobs);
        let verifiers = Verifiers::start(jobs, &outlets, &self.failure).map_err(StartError::Thread)?;
        self.running.verifiers = Some(verifiers);
        self.start_driver(consensus, commands.clone(), votes)?;
        let intake = Intake {
            view: Arc::clone(&self.view),
            jobs: Arc::clone(&self.running.jobs),
            driver: Arc::clone(&self.running.inputs),
            commands: commands.clone(),
            peers: Arc::clone(&self.peers),
            directory: Arc::clone(&self.directory),
            blocks: BlockServer::new(Arc::clone(&self.view), commands.clone(), self.running.tasks.clone()),
            listeners: Listeners::default(),
            arrivals: arrival_sender,
        };
        let presence = Presence::new(
            Arc::clone(&self.directory),
            commands,
            self.clock,
            self.options.validator_key.clone(),
            self.options.external.clone(),
            connected,
            &self.options.data_dir,
        );
        let stop = self.running.stop.clone();
        self.spawn("the network", swarm_ended(task, stop.clone(), self.failure.clone()));
        self.spawn("the intake", intake.run(events, calls, stop.clone()));
        self.spawn("the directory", presence.run(Tidings { announcements, arrivals }, stop));
        Ok(())
    }

    fn start_driver(
        &mut self,
        consensus: Consensus,
        commands: mpsc::Sender<network::Command>,
        votes: Arc<SeenVotes>,
    ) -> Result<(), StartError> {
        let release = Release {
            commands,
            peers: Arc::clone(&self.peers),
            directory: Arc::clone(&self.directory),
            readers: Readers::new(Arc::clone(&self.view)),
            view: Arc::clone(&self.view),
            votes,
            callers: Callers::default(),
            outbox: Outbox::default(),
            rebroadcast: Rebroadcast::default(),
        };
        let driver = Driver::new(consensus, Arc::clone(&self.running.inputs), release, self.clock);
        let (failure, inputs) = (self.failure.clone(), Arc::clone(&self.running.inputs));
        let work = move || {
            failure.watch_thread("the driver", || {
                if let Err(error) = driver.run() {
                    failure.report(error.to_string());
                }
            });
            // Nobody takes inputs any more: whoever waits for room or for an answer is let go.
            inputs.close();
        };
        let thread = std::thread::Builder::new().name("driver".to_owned()).spawn(work).map_err(StartError::Thread)?;
        self.running.driver = Some(thread);
        Ok(())
    }

    fn spawn(&self, part: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.running.tasks.spawn(self.failure.clone().watch_task(part, work));
    }

    async fn serve_metrics(&self, mut registry: Registry) -> Result<Option<SocketAddr>, StartError> {
        let Some(listen) = self.options.metrics else { return Ok(None) };
        crate::metrics::register(&mut registry, &self.view);
        let (view, stop) = (Arc::clone(&self.view), self.running.stop.child_token());
        let address = crate::metrics::serve(listen, registry, view, stop).await;
        let failed = |source| StartError::Listen { address: listen.to_string(), purpose: "metrics", source };
        address.map(Some).map_err(failed)
    }

    async fn serve_rpc(&self, stop: CancellationToken) -> Result<Option<SocketAddr>, StartError> {
        let Some(options) = self.options.rpc.clone() else { return Ok(None) };
        let listen = options.listen;
        let server = crate::rpc::serve(options, Arc::clone(&self.view), stop).await;
        let failed = |source| StartError::Listen { address: listen.to_string(), purpose: "RPC", source };
        let server = server.map_err(failed)?;
        let address = server.address;
        // Tracked, so that a clean stop waits until the cookie file is gone.
        self.running.tasks.spawn(server.ended());
        Ok(Some(address))
    }
}

/// Ends with the swarm task; reports it if nobody asked it to end.
async fn swarm_ended(task: tokio::task::JoinHandle<()>, stop: CancellationToken, failure: Failure) {
    match task.await {
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        _ if stop.is_cancelled() => {}
        _ => failure.report("the network task ended by itself".to_owned()),
    }
}

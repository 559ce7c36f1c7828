//! The nodes of a run: processes that are killed, paused, cut off and brought back.

use super::faults::{Fault, Kind};
use super::report::Tally;
use crate::cluster::{Cluster, ClusterOptions, NodeProcess, node_arguments};
use crate::failure::Failure;
use crate::rpc::{CallError, NodeClient};
use futures::future::join_all;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Longest that a node that is back may take until it has all blocks that the others had.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(90);
/// How often it is asked.
const RECOVERY_PERIOD: Duration = Duration::from_millis(20);
/// Longest that a question after a node's height may take; a paused one does not answer.
const HEIGHT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest that a node may take to end when the run is over.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Where each node's RPC is at the moment; nowhere while the node is down.
pub type Doors = Arc<Vec<watch::Sender<Option<Arc<NodeClient>>>>>;

/// All nodes of a run. Dropping it kills them.
#[derive(Debug)]
pub struct Fleet {
    ships: Vec<Ship>,
    doors: Doors,
}

/// One node.
#[derive(Debug)]
struct Ship {
    index: usize,
    process: NodeProcess,
    options: ClusterOptions,
    /// Where each node was last heard to listen.
    addresses: Arc<Mutex<Vec<Vec<String>>>>,
    /// Held by a node that starts, until it has said where it listens.
    starting: Arc<tokio::sync::Mutex<()>>,
    doors: Doors,
}

impl Fleet {
    /// Takes over the nodes of a cluster that was started with `options`.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn new(cluster: Cluster, options: &ClusterOptions) -> Result<Self, Failure> {
        let (processes, endpoints) = cluster.into_nodes();
        let doors: Doors = Arc::new(processes.iter().map(|_| watch::Sender::new(None)).collect());
        for (door, socket) in doors.iter().zip(endpoints.sockets()) {
            door.send_replace(Some(Arc::new(NodeClient::connect(socket).await?)));
        }
        let addresses = Arc::new(Mutex::new(endpoints.nodes.into_iter().map(|node| node.addresses).collect()));
        let starting = Arc::default();
        let ship = |(index, process)| Ship {
            index,
            process,
            options: options.clone(),
            addresses: Arc::clone(&addresses),
            starting: Arc::clone(&starting),
            doors: Arc::clone(&doors),
        };
        Ok(Self { ships: processes.into_iter().enumerate().map(ship).collect(), doors })
    }

    /// Where the nodes are.
    pub fn doors(&self) -> Doors {
        Arc::clone(&self.doors)
    }

    /// Connections with all nodes, which must be up.
    ///
    /// # Errors
    /// One is not.
    pub fn clients(&self) -> Result<Vec<Arc<NodeClient>>, Failure> {
        let client = |door: &watch::Sender<Option<Arc<NodeClient>>>| door.borrow().clone();
        let all: Option<Vec<_>> = self.doors.iter().map(client).collect();
        all.ok_or(Failure::Timeout { what: "every node up", seconds: 0 })
    }

    /// Where their logs are.
    pub fn logs(&self) -> Vec<PathBuf> {
        self.ships.iter().map(|ship| ship.process.log().to_owned()).collect()
    }

    /// Lets faults happen, at the same time, and waits until all nodes are back and level with the
    /// others.
    ///
    /// # Errors
    /// A node does not come back, or ends by itself.
    pub async fn suffer(&mut self, faults: &[Fault], tally: &Tally) -> Result<(), Failure> {
        let work = self.ships.iter_mut().filter_map(|ship| {
            let fault = faults.iter().find(|fault| fault.node == ship.index)?;
            Some(ship.suffer(*fault, tally))
        });
        for outcome in join_all(work).await {
            outcome?;
        }
        self.ships.iter_mut().try_for_each(|ship| ship.process.check_running())
    }

    /// The greatest height that any node answers with.
    pub async fn height(&self) -> u64 {
        greatest_height(&self.doors).await
    }

    /// Asks all nodes to end. Says whether all ended as asked.
    pub async fn stop(mut self) -> bool {
        let ends = self.ships.iter_mut().map(|ship| ship.process.stop(STOP_GRACE));
        join_all(ends).await.into_iter().all(|clean| clean)
    }
}

async fn greatest_height(doors: &Doors) -> u64 {
    let clients: Vec<_> = doors.iter().filter_map(|door| door.borrow().clone()).collect();
    let ask = clients.iter().map(|client| async {
        let height = client.call::<u64>("getblockcount", json!([]));
        tokio::time::timeout(HEIGHT_TIMEOUT, height).await.ok()?.ok()
    });
    join_all(ask).await.into_iter().flatten().max().unwrap_or_default()
}

impl Ship {
    async fn suffer(&mut self, fault: Fault, tally: &Tally) -> Result<(), Failure> {
        let away = Duration::from_millis(fault.away_ms);
        let struck = Instant::now();
        let returned = match fault.kind {
            Kind::Kill { again_ms } => {
                self.kill(tally).await?;
                tokio::time::sleep(away).await;
                if let Some(again_ms) = again_ms {
                    self.process = self.spawn()?;
                    tokio::time::sleep(Duration::from_millis(again_ms)).await;
                    self.kill(tally).await?;
                    tally.again();
                }
                let returned = Instant::now();
                self.start().await?;
                returned
            }
            Kind::Pause => {
                if !self.process.pause() {
                    return Err(self.process.not_ready("cannot be paused", Duration::ZERO));
                }
                tally.pause();
                tokio::time::sleep(away).await;
                let returned = Instant::now();
                if !self.process.resume() {
                    return Err(self.process.not_ready("cannot go on after a pause", Duration::ZERO));
                }
                returned
            }
            Kind::CutOff => {
                self.set_network_active(false).await?;
                tally.cut_off();
                tokio::time::sleep(away).await;
                let returned = Instant::now();
                self.set_network_active(true).await?;
                returned
            }
        };
        self.level().await?;
        tally.recovered(fault.kind, struck.elapsed(), returned.elapsed());
        Ok(())
    }

    async fn kill(&mut self, tally: &Tally) -> Result<(), Failure> {
        self.open_door(None);
        self.process.kill().await?;
        tally.kill();
        Ok(())
    }

    fn spawn(&self) -> Result<NodeProcess, Failure> {
        let directory = &self.process.directory;
        let others: Vec<String> = {
            let all = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let others = all.iter().enumerate().filter(|(index, _)| *index != self.index);
            others.flat_map(|(_, addresses)| addresses.iter().cloned()).collect()
        };
        let arguments = node_arguments(&self.options, directory, &others);
        NodeProcess::spawn(self.process.number, directory, &self.options.program, &arguments)
    }

    /// Ports are new at each start. Once nodes of a storm that came back at one moment were each told the old addresses of
    /// the others, and on a slow machine one was alone for ever: so whoever starts later knows where the earlier ones are.
    async fn start(&mut self) -> Result<(), Failure> {
        let _turn = Arc::clone(&self.starting).lock_owned().await;
        self.process = self.spawn()?;
        let said = self.process.announced().await?;
        if let Some(own) = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).get_mut(self.index) {
            *own = said.peers;
        }
        let rpc = said.rpc.ok_or_else(|| self.process.not_ready("has no RPC", Duration::ZERO))?;
        let client = NodeClient::connect(&rpc.replacen("http", "ws", 1)).await?;
        self.open_door(Some(Arc::new(client)));
        Ok(())
    }

    fn open_door(&self, client: Option<Arc<NodeClient>>) {
        if let Some(door) = self.doors.get(self.index) {
            door.send_replace(client);
        }
    }

    fn client(&self) -> Result<Arc<NodeClient>, Failure> {
        let client = self.doors.get(self.index).and_then(|door| door.borrow().clone());
        client.ok_or_else(|| self.process.not_ready("cannot be asked", Duration::ZERO))
    }

    async fn set_network_active(&self, state: bool) -> Result<(), Failure> {
        Ok(self.client()?.call::<bool>("setnetworkactive", json!([state])).await.map(drop)?)
    }

    /// Waits until this node has a peer, if there are others, and all blocks that any node had when
    /// it came back.
    async fn level(&self) -> Result<(), Failure> {
        let target = greatest_height(&self.doors).await;
        let others = self.doors.len().saturating_sub(1).min(1);
        let client = self.client()?;
        let level = async {
            loop {
                let peers: Vec<Value> = client.call("getpeerinfo", json!([])).await?;
                if client.call::<u64>("getblockcount", json!([])).await? >= target && peers.len() >= others {
                    return Ok::<(), CallError>(());
                }
                tokio::time::sleep(RECOVERY_PERIOD).await;
            }
        };
        match tokio::time::timeout(RECOVERY_TIMEOUT, level).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(self.process.not_ready("is back, but not level with the others,", RECOVERY_TIMEOUT)),
        }
    }
}

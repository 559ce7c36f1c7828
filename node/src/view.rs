//! What readers see of the node: RPC, metrics and status lines. The driver writes, everyone else
//! reads whole values; nobody who reads can make consensus wait.

use crate::bounds::NEWS_MAX;
use crate::network::PeerInfo;
use crate::store::ChainReader;
use arc_swap::ArcSwap;
use dashmap::DashMap;
use libp2p::{Multiaddr, PeerId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use timecoin_protocol::address::NetworkKind;
use timecoin_protocol::block::{CommittedBlock, EvidenceKind};
use timecoin_protocol::engine::{Admitted, Gauges, Path, Refusal, Reputation, Status, Time};
use timecoin_protocol::finality::Certificate;
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::{GenesisHash, Txid};
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::ledger::{BlockDelta, ChainState};
use timecoin_protocol::transaction::Transaction;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// A transaction in the pool.
#[derive(Clone, Debug)]
pub struct PoolEntry {
    /// The transaction.
    pub transaction: Arc<Transaction>,
    /// Fee, size, conflict.
    pub admitted: Admitted,
    /// When it entered the pool.
    pub admitted_at: Time,
    /// Where it stands.
    pub status: Status,
    /// When it became final, if it did.
    pub final_at: Option<Time>,
}

impl PoolEntry {
    /// Where it stands.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::new(self.status.clone());
        (outcome.admitted_at, outcome.final_at) = (Some(self.admitted_at), self.final_at);
        outcome
    }
}

/// The outcome of a transaction that left the pool.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// `Committed` or `Rejected`.
    pub status: Status,
    /// When it entered the pool, if it did here.
    pub admitted_at: Option<Time>,
    /// When it became final here, if it did.
    pub final_at: Option<Time>,
    /// How, if it did here.
    pub path: Option<Path>,
}

impl Outcome {
    /// A status of which no more is known.
    #[must_use]
    pub const fn new(status: Status) -> Self {
        let path = if let Status::Final(path) = &status { Some(*path) } else { None };
        Self { status, admitted_at: None, final_at: None, path }
    }
}

/// News for subscribers, in the order in which things happened. Sent only once durable.
#[derive(Clone, Debug)]
pub enum News {
    /// A transaction entered the pool.
    Admitted(Arc<Transaction>, Admitted),
    /// A transaction's status changed.
    Status {
        /// Which.
        txid: Txid,
        /// Its new status.
        status: Status,
        /// When.
        at: Time,
        /// When it entered the pool, if it did here.
        admitted_at: Option<Time>,
    },
    /// A validator contradicted itself.
    Evidence(EvidenceKind),
    /// A block was committed.
    Block(Arc<CommittedBlock>, Arc<BlockDelta>),
    /// Something final was in no block when its epoch ended: a third of the weight is faulty (E-8).
    FinalityLost,
    /// A sampling poll ended.
    Poll {
        /// Transactions polled about.
        transactions: usize,
        /// How many of them got an alpha majority.
        successful: usize,
        /// From first query to last answer, in microseconds.
        micros: u64,
    },
}

/// A validator's node, as it announced itself.
#[derive(Clone, Debug)]
pub struct MasternodeEntry {
    /// Its peer id.
    pub peer: PeerId,
    /// Its addresses.
    pub addresses: Vec<Multiaddr>,
    /// When it signed the announcement, in milliseconds since 1970 UTC.
    pub announced_ms: u64,
}

/// What RPC asks the driver; the driver answers through the channel inside.
#[derive(Debug)]
pub enum Call {
    /// Admit a transaction and gossip it.
    Submit(Transaction, oneshot::Sender<Result<Admitted, SubmitError>>),
    /// Say whether it would be admitted.
    Test(Transaction, oneshot::Sender<Result<Admitted, SubmitError>>),
    /// The best certificate held for a transaction in the pool: of Commit votes, else of Prepare votes.
    Certificate(Txid, oneshot::Sender<Option<Certificate>>),
}

/// Why a local transaction was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The engine refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A witness signature is invalid.
    #[error("a signature is invalid")]
    Signature,
    /// More calls at once than the node takes.
    #[error("the node is busy; try again")]
    Busy,
}

/// Counts events since the start.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What was dropped because a queue was full.
#[derive(Debug, Default)]
pub struct Overload {
    /// Gossiped transactions, votes and proposals that no verifier had room for.
    pub gossip: Counter,
    /// Peers' requests that the driver or the readers of blocks had no room for.
    pub requests: Counter,
    /// Answers to own requests that no verifier had room for.
    pub answers: Counter,
    /// Announcements that the directory had no room for.
    pub announcements: Counter,
    /// Commands that the swarm had no room for.
    pub commands: Counter,
}

/// Everything readers see.
#[derive(Debug)]
pub struct View {
    /// The network.
    pub genesis: Arc<Genesis>,
    /// Its hash.
    pub genesis_hash: GenesisHash,
    /// This node's validator key, if it has one.
    pub validator: Option<PublicKey>,
    /// This node's peer id.
    pub peer_id: PeerId,
    /// The chain after the last block.
    pub state: ArcSwap<ChainState>,
    /// Blocks, transactions and outputs in storage; sees what `state` says.
    pub chain: Arc<ChainReader>,
    /// The pool, by txid.
    pub pool: DashMap<Txid, PoolEntry>,
    /// Recent outcomes, by txid (bounded by `OUTCOMES_MAX`).
    pub outcomes: DashMap<Txid, Outcome>,
    /// Numbers of the last turn.
    pub gauges: ArcSwap<Gauges>,
    /// What this node has seen of each validator, in order of the set; refreshed each second.
    pub reputations: ArcSwap<Vec<Reputation>>,
    /// Connected peers, refreshed each second.
    pub peers: ArcSwap<Vec<PeerInfo>>,
    /// Validators' nodes.
    pub masternodes: DashMap<PublicKey, MasternodeEntry>,
    /// Validators against whom there is evidence that is in no block yet, and what they did twice.
    pub accused: DashMap<PublicKey, EvidenceKind>,
    /// Where this node listens.
    pub listening: ArcSwap<Vec<Multiaddr>>,
    /// When this node started.
    pub started_at: Time,
    /// Whether the node is level with its peers.
    pub synced: AtomicBool,
    /// What was dropped because a queue was full.
    pub overload: Overload,
    /// Whether this node takes part in the network; the swarm follows it.
    pub network_active: watch::Sender<bool>,
    news: broadcast::Sender<News>,
    calls: mpsc::Sender<Call>,
}

impl View {
    /// A view of a node that is about to start; `calls` leads to the driver.
    #[must_use]
    pub fn new(
        genesis: Arc<Genesis>,
        validator: Option<PublicKey>,
        peer_id: PeerId,
        state: ChainState,
        chain: Arc<ChainReader>,
        started_at: Time,
        calls: mpsc::Sender<Call>,
    ) -> Self {
        Self {
            genesis_hash: genesis.hash(),
            genesis,
            validator,
            peer_id,
            state: ArcSwap::from_pointee(state),
            chain,
            pool: DashMap::new(),
            outcomes: DashMap::new(),
            gauges: ArcSwap::from_pointee(Gauges::default()),
            reputations: ArcSwap::from_pointee(Vec::new()),
            peers: ArcSwap::from_pointee(Vec::new()),
            masternodes: DashMap::new(),
            accused: DashMap::new(),
            listening: ArcSwap::from_pointee(Vec::new()),
            started_at,
            synced: AtomicBool::new(false),
            overload: Overload::default(),
            network_active: watch::Sender::new(true),
            news: broadcast::channel(NEWS_MAX).0,
            calls,
        }
    }

    /// Kind of network, for address texts.
    #[must_use]
    pub fn network(&self) -> NetworkKind {
        self.genesis.network
    }

    /// News from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Tells subscribers; without any, nothing happens.
    pub fn publish(&self, news: News) {
        let _ = self.news.send(news);
    }

    /// Hands a transaction to the driver, to be admitted (`submit`) or only tested.
    ///
    /// # Errors
    /// [`SubmitError`]: refused, badly signed, or too many calls at once.
    pub async fn submit(&self, transaction: Transaction, test_only: bool) -> Result<Admitted, SubmitError> {
        let (reply, answer) = oneshot::channel();
        let call = if test_only { Call::Test(transaction, reply) } else { Call::Submit(transaction, reply) };
        self.calls.try_send(call).map_err(|_| SubmitError::Busy)?;
        answer.await.map_err(|_| SubmitError::Busy)?
    }

    /// The best certificate that the node holds for a transaction in the pool.
    pub async fn certificate(&self, txid: Txid) -> Option<Certificate> {
        let (reply, answer) = oneshot::channel();
        self.calls.send(Call::Certificate(txid, reply)).await.ok()?;
        answer.await.ok()?
    }

    /// Where a transaction stands: in the pool, or finished lately, or in a block.
    #[must_use]
    pub fn outcome(&self, txid: &Txid) -> Option<Outcome> {
        if let Some(entry) = self.pool.get(txid) {
            return Some(entry.outcome());
        }
        if let Some(outcome) = self.outcomes.get(txid) {
            return Some(outcome.clone());
        }
        let height = self.chain.transaction(txid).ok().flatten()?.height;
        Some(Outcome::new(Status::Committed(height)))
    }
}

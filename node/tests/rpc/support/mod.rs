//! A node without a network: real storage with real blocks, a view of it, and an RPC server. The
//! driver's end of the calls is in the test's hands.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub mod http;

use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tempfile::TempDir;
use timecoin_node::rpc::{RpcOptions, RpcServer, serve};
use timecoin_node::store::{JournalFile, LedgerStore, Store};
use timecoin_node::view::{Call, News, PoolEntry, View};
use timecoin_protocol::address::{NetworkKind, Owner, address_text};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::block::{BlockPhase, BlockVote, Commit, CommitSignature, CommittedBlock};
use timecoin_protocol::codec::encode;
use timecoin_protocol::engine::{Admitted, Journal, Ledger, Record, Status, Time};
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::ledger::{BlockParts, build_block};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};
use timecoin_protocol::validator::Round;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub const COIN_UNITS: u64 = 1_000_000;
pub const FEE_UNITS: u64 = 1_000;
/// Coins of the first user at genesis.
pub const COINS: u32 = 5;

pub fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

pub fn owner(number: u8) -> Owner {
    Owner::from(&key(number).public())
}

pub fn address(number: u8) -> String {
    address_text(&owner(number), NetworkKind::Devnet)
}

/// A devnet: key 1 validates, key 2 has five coins.
pub fn genesis() -> Genesis {
    let bond = Output {
        amount: Amount::from_time(1_000).unwrap(),
        lock: Lock::Bond { validator: key(1).public(), owner: owner(1) },
    };
    let coin = Output { amount: Amount(COIN_UNITS), lock: Lock::Address(owner(2)) };
    let mut outputs = vec![bond];
    outputs.extend(vec![coin; COINS as usize]);
    Genesis {
        name: "rpc".to_owned(),
        network: NetworkKind::Devnet,
        time_ms: 1_000,
        params: Params {
            block_interval_ms: 1_000,
            block_reward_units: 100_000,
            unbonding_blocks: 10,
            epoch_blocks: 60,
        },
        outputs,
    }
}

pub struct Node {
    pub view: Arc<View>,
    pub calls: mpsc::Receiver<Call>,
    pub stop: CancellationToken,
    pub dir: TempDir,
    journal: JournalFile,
    ledger: LedgerStore,
    parent_commit: Option<Commit>,
}

impl Node {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let genesis = Arc::new(genesis());
        let opened = Store::open(&dir.path().join("data"), &genesis).unwrap();
        let (sender, calls) = mpsc::channel(64);
        let peer_id = libp2p::identity::Keypair::generate_ed25519().public().to_peer_id();
        let validator = Some(key(1).public());
        let view = View::new(genesis, validator, peer_id, opened.state, opened.reader, Time(0), sender);
        view.synced.store(true, Ordering::Relaxed);
        let (journal, ledger) = (opened.journal, opened.ledger);
        let stop = CancellationToken::new();
        Self { view: Arc::new(view), calls, stop, dir, journal, ledger, parent_commit: None }
    }

    pub fn options(&self) -> RpcOptions {
        RpcOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            cookie: None,
            unsafe_methods: false,
            allowed_hosts: Vec::new(),
        }
    }

    pub async fn serve(&self) -> RpcServer {
        self.serve_with(self.options()).await
    }

    pub async fn serve_with(&self, options: RpcOptions) -> RpcServer {
        serve(options, Arc::clone(&self.view), self.stop.clone()).await.unwrap()
    }

    /// The coin `number` of key 2 at genesis.
    pub fn coin(&self, number: u32) -> OutPoint {
        OutPoint { txid: Txid(self.view.genesis_hash.0), index: number + 1 }
    }

    /// A signed payment of key `from` that spends `coins` of [`COIN_UNITS`] together.
    pub fn payment(&self, from: u8, coins: &[OutPoint], pays: &[(u8, u64)]) -> Transaction {
        let outputs =
            pays.iter().map(|(to, units)| Output { amount: Amount(*units), lock: Lock::Address(owner(*to)) }).collect();
        let body = TransactionBody { inputs: coins.to_vec(), outputs, memo: Vec::new() };
        Transaction::sign(body, &[&key(from)], &self.view.genesis_hash)
    }

    /// Puts a transaction into the pool, as the driver does.
    pub fn admit(&self, transaction: &Transaction, status: Status) -> Txid {
        let (txid, bytes) = (transaction.txid(), encode(transaction).len());
        let conflict = if let Status::Contested(other) = &status { Some(*other) } else { None };
        let admitted = Admitted { txid, fee: Amount(FEE_UNITS), bytes, conflict };
        let transaction = Arc::new(transaction.clone());
        let final_at = matches!(status, Status::Final(_)).then_some(Time(2_250_000));
        let entry = PoolEntry {
            transaction: Arc::clone(&transaction),
            admitted: admitted.clone(),
            admitted_at: Time(2_000_000),
            status,
            final_at,
        };
        self.view.pool.insert(txid, entry);
        self.view.publish(News::Admitted(transaction, admitted));
        txid
    }

    /// Changes a transaction's status, as the driver does: the view first, then the news.
    pub fn set_status(&self, txid: Txid, status: Status) {
        let at = Time(2_250_000);
        if let Some(mut entry) = self.view.pool.get_mut(&txid) {
            entry.status = status.clone();
            entry.final_at = matches!(status, Status::Final(_)).then_some(at);
        }
        self.view.publish(News::Status { txid, status, at, admitted_at: Some(Time(2_000_000)) });
    }

    /// Commits a block with these transfers, durably, and tells readers.
    pub fn commit(&mut self, transactions: &[Transaction]) -> Arc<CommittedBlock> {
        let (genesis, state) = (Arc::clone(&self.view.genesis), self.view.state.load_full());
        let transfers: Vec<_> = transactions.iter().cloned().map(Arc::new).collect();
        let time_ms = state.time_ms + 1_000;
        let parent_commit = self.parent_commit.take();
        let parts = BlockParts { parent_commit, transactions: &transfers, seals: &[], evidence: &[] };
        let (block, delta) =
            build_block(&state, &genesis.params, &self.ledger, time_ms, key(1).public(), parts).unwrap();
        assert_eq!(delta.txids.len(), transactions.len(), "a transfer was left out");
        let (hash, height) = (block.header.hash(), block.header.height);
        let vote = BlockVote::sign(
            state.epoch,
            height,
            Round(0),
            BlockPhase::Precommit,
            Some(hash),
            &key(1),
            &self.view.genesis_hash,
        );
        let signatures = vec![CommitSignature { validator: 0, signature: vote.signature }];
        let commit = Commit { height, round: Round(0), block: hash, signatures };
        self.parent_commit = Some(commit.clone());
        let (block, delta) = (Arc::new(CommittedBlock { block, commit }), Arc::new(delta));
        self.ledger.push(&delta);
        self.journal.append(&[Record::Block(Arc::clone(&block))]).unwrap();
        self.ledger.publish().unwrap();
        self.view.state.store(Arc::new(delta.state.clone()));
        for txid in &delta.txids {
            self.view.pool.remove(txid);
        }
        self.view.publish(News::Block(Arc::clone(&block), Arc::clone(&delta)));
        block
    }
}

/// Where a server can be reached.
pub trait Reachable {
    fn address(&self) -> SocketAddr;
}

impl Reachable for RpcServer {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Reachable for SocketAddr {
    fn address(&self) -> SocketAddr {
        *self
    }
}

/// The result of a call over HTTP, or its error.
pub async fn call(server: &impl Reachable, method: &str, params: Value) -> Result<Value, Value> {
    let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer = http::post(server.address(), &body.to_string()).await.json();
    match answer.get("error") {
        Some(error) => Err(error.clone()),
        None => Ok(answer["result"].clone()),
    }
}

//! A few whole nodes in one process, on loopback and temporary directories.

use libp2p::Multiaddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use timecoin_node::node::{Node, NodeOptions, StartError};
use timecoin_node::store::{HistoryAt, StoreError, create_history};
use timecoin_node::view::Outcome;
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::BOND_UNITS_MIN;
use timecoin_protocol::engine::{Status, Tuning};
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};
use timecoin_protocol::validator::Height;

/// Longest that anything here is waited for; a busy machine is slow, not broken.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What each coin of the user is worth, in units.
pub const COIN: u64 = 1_000_000;

/// What the user has besides, in one output: enough for a bond heavier than four validators.
pub const FORTUNE: u64 = 5 * BOND_UNITS_MIN;
/// Coins that the user has from genesis.
const COINS: usize = 64;

/// A network of validators with equal bonds and one user with coins.
pub struct Cluster {
    pub genesis: Arc<Genesis>,
    pub user: SecretKey,
    validators: usize,
    /// Nodes after these that have a validator key, but no bond from genesis.
    newcomers: usize,
    /// A node that has the validator key of another one.
    twin: Option<(usize, usize)>,
    dirs: Vec<TempDir>,
    /// Where the vote histories are.
    keys: Vec<TempDir>,
    nodes: Vec<Option<Node>>,
}

pub fn validator_key(index: usize) -> SecretKey {
    SecretKey::from_seed(&[u8::try_from(index + 1).unwrap(); 32])
}

fn node_key(index: usize) -> libp2p::identity::Keypair {
    libp2p::identity::Keypair::ed25519_from_bytes([u8::try_from(index + 101).unwrap(); 32]).unwrap()
}

fn genesis(validators: usize, user: &SecretKey, epoch_blocks: u64) -> Genesis {
    let bond = |index| {
        let validator = validator_key(index).public();
        Output { amount: Amount(BOND_UNITS_MIN), lock: Lock::Bond { validator, owner: Owner::from(&validator) } }
    };
    let coin = Output { amount: Amount(COIN), lock: Lock::Address(Owner::from(&user.public())) };
    let fortune = Output { amount: Amount(FORTUNE), ..coin };
    Genesis {
        name: "cluster".into(),
        network: NetworkKind::Devnet,
        time_ms: 1_700_000_000_000,
        params: Params { block_interval_ms: 500, block_reward_units: 100, unbonding_blocks: 10, epoch_blocks },
        outputs: (0..validators).map(bond).chain(std::iter::repeat_n(coin, COINS)).chain([fortune]).collect(),
    }
}

impl Cluster {
    /// Starts `validators` validators; all but the first join through the first.
    pub async fn start(validators: usize) -> Self {
        Self::start_with_epochs(validators, 60).await
    }

    /// The same with epochs of so many blocks.
    pub async fn start_with_epochs(validators: usize, epoch_blocks: u64) -> Self {
        let user = SecretKey::from_seed(&[200; 32]);
        let mut cluster = Self {
            genesis: Arc::new(genesis(validators, &user, epoch_blocks)),
            user,
            validators,
            newcomers: 0,
            twin: None,
            dirs: Vec::new(),
            keys: Vec::new(),
            nodes: Vec::new(),
        };
        for index in 0..validators {
            cluster.add(index).await;
        }
        cluster
    }

    /// Starts one more node that only follows; gives its number.
    pub async fn add_follower(&mut self) -> usize {
        let index = self.nodes.len();
        self.add(index).await;
        index
    }

    /// Starts one more node, with a validator key that has no bond yet; gives its number. Only before any follower.
    pub async fn add_newcomer(&mut self) -> usize {
        self.newcomers += 1;
        self.add_follower().await
    }

    /// Starts one more node with the validator key of node `of`, as an operator does who wants to be twice as safe.
    pub async fn add_twin(&mut self, of: usize) -> usize {
        self.twin = Some((self.nodes.len(), of));
        self.add_follower().await
    }

    /// Where the user's fortune is.
    pub fn fortune(&self) -> OutPoint {
        self.genesis.utxos().nth(self.validators + COINS).unwrap().0
    }

    async fn add(&mut self, index: usize) {
        self.dirs.push(TempDir::new().unwrap());
        self.keys.push(TempDir::new().unwrap());
        self.nodes.push(None);
        if let Some(key) = self.validator_key_of(index) {
            self.create_history(index, &key);
        }
        self.restart(index).await;
    }

    /// Where a node that runs can be reached.
    fn entrance(&self) -> Vec<Multiaddr> {
        self.nodes.iter().flatten().next().map(|node| node.addresses.clone()).unwrap_or_default()
    }

    fn validator_key_of(&self, index: usize) -> Option<SecretKey> {
        match self.twin {
            Some((twin, of)) if twin == index => Some(validator_key(of)),
            _ => (index < self.validators + self.newcomers).then(|| validator_key(index)),
        }
    }

    fn options(&self, index: usize, bootstrap: Vec<Multiaddr>) -> NodeOptions {
        NodeOptions {
            genesis: Arc::clone(&self.genesis),
            data_dir: self.dir(index).to_owned(),
            validator_key: self.validator_key_of(index),
            history_file: self.history_file(index),
            node_key: node_key(index),
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
            bootstrap,
            external: Vec::new(),
            rpc: None,
            metrics: None,
            tuning: Tuning::default(),
        }
    }

    pub fn history_file(&self, index: usize) -> PathBuf {
        self.keys[index].path().join("validator.key.history")
    }

    /// Vouches for a whole history of a validator key.
    fn create_history(&self, index: usize, key: &SecretKey) {
        let at = HistoryAt { path: self.history_file(index), key: key.public() };
        create_history(&at).unwrap();
    }

    pub fn dir(&self, index: usize) -> &Path {
        self.dirs[index].path()
    }

    pub fn node(&self, index: usize) -> &Node {
        self.nodes[index].as_ref().unwrap()
    }

    /// Numbers of the nodes that run.
    pub fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|index| self.nodes[*index].is_some()).collect()
    }

    /// Starts a node again in its directory, waiting until whoever was there before has let go of it.
    pub async fn restart(&mut self, index: usize) {
        self.restart_through(index, self.entrance()).await;
    }

    /// The same with nobody to join through but those in its file of known peers.
    pub async fn restart_on_its_own(&mut self, index: usize) {
        self.restart_through(index, Vec::new()).await;
    }

    async fn restart_through(&mut self, index: usize, bootstrap: Vec<Multiaddr>) {
        let start = async || Box::pin(Node::start(self.options(index, bootstrap.clone()))).await;
        let node = within("the directory to be free", async || match start().await {
            Ok(node) => Some(node),
            Err(StartError::Store(StoreError::InUse { .. } | StoreError::HistoryInUse { .. })) => None,
            Err(error) => panic!("node {index}: {error}"),
        })
        .await;
        self.nodes[index] = Some(node);
    }

    /// Hands a payment to a node, which must take it.
    pub async fn submit(&self, index: usize, payment: Transaction) {
        let admitted = tokio::time::timeout(PATIENCE, self.node(index).view.submit(payment, false)).await;
        admitted.unwrap_or_else(|_| panic!("no answer from node {index} within {PATIENCE:?}")).unwrap();
    }

    pub async fn stop(&mut self, index: usize) {
        let node = self.nodes[index].take().unwrap();
        assert!(node.stop(PATIENCE).await, "node {index} did not end in time");
    }

    /// Lets a node fall without a word.
    pub fn drop_node(&mut self, index: usize) {
        drop(self.nodes[index].take().unwrap());
    }

    pub async fn stop_all(&mut self) {
        for index in self.running() {
            self.stop(index).await;
        }
    }

    /// A payment of the user's coin `coin` to somebody, told from others by `note`.
    pub fn payment(&self, coin: usize, note: &str) -> Transaction {
        let (input, _) = self.genesis.utxos().nth(self.validators + coin).unwrap();
        self.pay(input, COIN, note)
    }

    /// A payment of an output worth `units`, all but the fee, back to the user.
    pub fn pay(&self, input: OutPoint, units: u64, note: &str) -> Transaction {
        let output = Output { amount: Amount(units - 2_000), lock: Lock::Address(Owner::from(&self.user.public())) };
        let body = TransactionBody { inputs: vec![input], outputs: vec![output], memo: note.as_bytes().to_vec() };
        Transaction::sign(body, &[&self.user], &self.genesis.hash())
    }

    /// Waits until every running node says of `txid` what `holds` asks for.
    pub async fn everywhere(&self, txid: Txid, what: &str, holds: impl Fn(&Status) -> bool) {
        for index in self.running() {
            let node = self.node(index);
            within(&format!("{txid} to be {what} on node {index}"), async || {
                outcome(node, txid).await.filter(|outcome| holds(&outcome.status)).map(|_| ())
            })
            .await;
        }
    }

    /// Waits until all running nodes have `txid` in a block, the same one; gives its height.
    pub async fn committed(&self, txid: Txid) -> Height {
        self.everywhere(txid, "committed", |status| matches!(status, Status::Committed(_))).await;
        let mut places = Vec::new();
        for index in self.running() {
            let height = match outcome(self.node(index), txid).await.unwrap().status {
                Status::Committed(height) => height,
                other => panic!("node {index}: {other:?} after it was committed"),
            };
            places.push((height, self.node(index).view.chain.block(height).unwrap().unwrap().block.header.hash()));
        }
        assert!(places.windows(2).all(|pair| pair[0] == pair[1]), "committed in different blocks: {places:?}");
        places[0].0
    }

    /// Waits until a node has at least `height` blocks.
    pub async fn reaches(&self, index: usize, height: Height) {
        let node = self.node(index);
        within(&format!("node {index} to reach {height}"), async || {
            (node.view.state.load().height >= height).then_some(())
        })
        .await;
    }

    /// Waits until each validator that runs knows where all others that run are, and has a mesh to gossip in.
    pub async fn connected(&self) {
        let running = self.running();
        for index in &running {
            let node = self.node(*index);
            within(&format!("node {index} to be connected"), async || {
                (node.view.peers.load().len() + 1 >= running.len()).then_some(())
            })
            .await;
        }
    }
}

/// Where a transaction stands on a node; storage is read on a thread that may block.
pub async fn outcome(node: &Node, txid: Txid) -> Option<Outcome> {
    let view = Arc::clone(&node.view);
    tokio::task::spawn_blocking(move || view.outcome(&txid)).await.unwrap()
}

/// Asks `holds` again and again until it has something.
pub async fn within<T>(what: &str, mut holds: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        let mut again = tokio::time::interval(Duration::from_millis(5));
        loop {
            again.tick().await;
            if let Some(value) = holds().await {
                return value;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

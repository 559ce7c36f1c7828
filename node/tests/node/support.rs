//! A view over fresh storage, for the parts between network and engine.

use std::sync::Arc;
use tempfile::TempDir;
use timecoin_node::store::Store;
use timecoin_node::view::{Call, View};
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::BOND_UNITS_MIN;
use timecoin_protocol::engine::Time;
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};
use tokio::sync::mpsc;

/// A view, and what it lives on.
pub struct Fixture {
    pub view: Arc<View>,
    pub _calls: mpsc::Receiver<Call>,
    pub _dir: TempDir,
}

/// The key of validator `number`, from 0 to 3.
pub fn validator(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number + 1; 32])
}

/// This node's own validator key, which has no bond yet.
pub fn own() -> SecretKey {
    SecretKey::from_seed(&[98; 32])
}

/// A key that is nobody's.
pub fn stranger() -> SecretKey {
    SecretKey::from_seed(&[99; 32])
}

/// A view of a network of four validators at height 0.
pub fn fixture() -> Fixture {
    let bond = |number| {
        let key = validator(number).public();
        Output { amount: Amount(BOND_UNITS_MIN), lock: Lock::Bond { validator: key, owner: Owner::from(&key) } }
    };
    let genesis = Arc::new(Genesis {
        name: "parts".into(),
        network: NetworkKind::Devnet,
        time_ms: 1_700_000_000_000,
        params: Params { block_interval_ms: 1_000, block_reward_units: 100, unbonding_blocks: 10, epoch_blocks: 60 },
        outputs: (0..4).map(bond).collect(),
    });
    let dir = TempDir::new().unwrap();
    let opened = Store::open(dir.path(), &genesis).unwrap();
    let (sender, calls) = mpsc::channel(4);
    let peer = libp2p::PeerId::random();
    let view = View::new(genesis, Some(own().public()), peer, opened.state, opened.reader, Time(0), sender);
    Fixture { view: Arc::new(view), _calls: calls, _dir: dir }
}

/// A transaction with one valid signature; told from others by `note`.
pub fn transaction(view: &View, note: &str) -> Transaction {
    let key = stranger();
    let input = OutPoint { txid: Txid([7; 32]), index: 0 };
    let output = Output { amount: Amount(10_000), lock: Lock::Address(Owner::from(&key.public())) };
    let body = TransactionBody { inputs: vec![input], outputs: vec![output], memo: note.as_bytes().to_vec() };
    Transaction::sign(body, &[&key], &view.genesis_hash)
}

/// The same with a signature that is another transaction's.
pub fn forged(view: &View, note: &str) -> Transaction {
    let witnesses = transaction(view, "another").witnesses;
    Transaction { witnesses, ..transaction(view, note) }
}

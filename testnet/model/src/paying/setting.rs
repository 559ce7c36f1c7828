//! The network of the model: four validators of equal weight, one coin, and two payments that spend it.

use crate::print::Printer;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::engine::{Config, Engine, Journal, MemoryLedger, Record, Time, Tuning};
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::ledger::{Unavailable, genesis_state};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};

/// Number of validators; each counts the same, so three are a quorum.
pub const VALIDATORS: usize = 4;
/// Weight of a quorum, in validators.
pub const QUORUM: usize = 3;
/// Pause between blocks: longer than a payment waits before a block may settle it (B-11), so that blocks do.
pub const BLOCK_INTERVAL_MS: u64 = 2_000;
/// Blocks of an epoch: sealing begins after the first one.
const EPOCH_BLOCKS: u64 = 2;
const START_MS: u64 = 1_700_000_000_000;
const COIN_UNITS: u64 = 1_000_000_000;
const FEE_UNITS: u64 = 20_000;
const BOND_UNITS: u64 = 100_000_000_000;

/// What all nodes know.
#[derive(Debug)]
pub struct Setting {
    /// The network.
    pub genesis: Arc<Genesis>,
    /// Validator keys, in the order of the set.
    pub keys: Vec<SecretKey>,
    /// Two payments that exclude each other.
    pub payments: [Transaction; 2],
}

/// The one network that is checked.
pub static SETTING: LazyLock<Setting> = LazyLock::new(Setting::new);

impl Setting {
    fn new() -> Self {
        let mut keys: Vec<_> = (1..=4_u8).map(|n| SecretKey::from_seed(&[0x60 + n; 32])).collect();
        keys.sort_by_key(SecretKey::public);
        let payer = SecretKey::from_seed(&[0x70; 32]);
        let to_payer = Lock::Address(Owner::from(&payer.public()));
        let bonds = keys.iter().map(|key| {
            let lock = Lock::Bond { validator: key.public(), owner: Owner::from(&key.public()) };
            Output { amount: Amount(BOND_UNITS), lock }
        });
        let genesis = Genesis {
            name: "model".into(),
            network: NetworkKind::Devnet,
            time_ms: START_MS,
            params: Params {
                block_interval_ms: BLOCK_INTERVAL_MS,
                block_reward_units: 10_000_000_000,
                unbonding_blocks: 5,
                epoch_blocks: EPOCH_BLOCKS,
            },
            outputs: bonds.chain([Output { amount: Amount(COIN_UNITS), lock: to_payer }]).collect(),
        };
        let hash = genesis.hash();
        let coin = OutPoint { txid: Txid(hash.0), index: 4 };
        let payment = |memo: u8| {
            let outputs = vec![Output { amount: Amount(COIN_UNITS - FEE_UNITS), lock: to_payer }];
            let body = TransactionBody { inputs: vec![coin], outputs, memo: vec![memo] };
            Transaction::sign(body, &[&payer], &hash)
        };
        Self { genesis: Arc::new(genesis), keys, payments: [payment(1), payment(2)] }
    }

    /// Which of the two payments this is.
    pub fn payment_of(&self, txid: &Txid) -> Option<usize> {
        self.payments.iter().position(|payment| payment.txid() == *txid)
    }

    /// The engine of validator `own` as it is before anything happened.
    ///
    /// # Errors
    /// The genesis is not usable.
    pub fn engine(&self, own: usize) -> Result<Engine<MemoryLedger>, Unavailable> {
        let state = genesis_state(&self.genesis).map_err(|_| Unavailable)?;
        let ledger = MemoryLedger::new(self.genesis.utxos());
        // Votes leave at once, and a payment that three polls do not settle is left to blocks.
        let tuning = Tuning { vote_interval_ms: 0, rounds_max: 3, ..Tuning::default() };
        let config = Config {
            genesis: Arc::clone(&self.genesis),
            key: self.keys.get(own).cloned(),
            tuning,
            past: timecoin_protocol::engine::Past::default(),
            seed: [7; 32],
        };
        Ok(Engine::new(config, state, None, ledger))
    }

    /// When nodes start: before the first height begins.
    pub const fn start() -> Time {
        Time(START_MS * 1_000).plus_ms(100)
    }
}

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// All records, in order.
    pub records: Vec<Record>,
    /// Fingerprint of them.
    print: u128,
}

impl Disk {
    /// Fingerprint of all records.
    pub const fn print(&self) -> u128 {
        self.print
    }
}

impl Journal for Disk {
    type Error = Infallible;

    fn append(&mut self, records: &[Record]) -> Result<(), Infallible> {
        self.records.extend_from_slice(records);
        for record in records {
            self.print = Printer::default().add(self.print).show(record).take();
        }
        Ok(())
    }
}

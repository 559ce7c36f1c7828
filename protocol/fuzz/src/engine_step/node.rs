//! The node under test: an engine, its disk, and what the others have seen of it.

use super::checks::Checks;
use crate::network::{coins_of, genesis_coins, network};
use crate::payments::Coin;
use crate::script::Script;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use timecoin_protocol::block::{Commit, CompactBlock};
use timecoin_protocol::engine::{
    Config, Effect, Engine, Event, Input, Journal, MemoryLedger, Record, Request, RequestId, Time, Tuning, Turn,
};
use timecoin_protocol::finality::Seal;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::{PublicKey, SecretKey};
use timecoin_protocol::transaction::{OutPoint, Transaction};
use timecoin_protocol::wire::Vote;

/// Requests that are left without an answer; of more the oldest fails.
const PENDING_MAX: usize = 32;
/// Blocks and votes that are remembered to be said again.
const REMEMBERED_MAX: usize = 64;
/// Turns at one moment after which the engine must want to sleep.
const TURNS_AT_ONCE_MAX: usize = 100;

/// What survives a restart, and the check of everything that is written.
struct Disk<'a>(&'a mut Vec<Record>, &'a mut Checks);

impl Journal for Disk<'_> {
    type Error = Infallible;

    fn append(&mut self, records: &[Record]) -> Result<(), Infallible> {
        self.1.durable(records);
        self.0.extend_from_slice(records);
        Ok(())
    }
}

/// The node.
pub struct Node {
    config: Config,
    pub now: Time,
    pub engine: Engine<MemoryLedger>,
    pub key: PublicKey,
    disk: Vec<Record>,
    pub checks: Checks,
    /// Inputs of the turn in the making.
    inputs: Vec<Input>,
    pub tags: u64,
    /// Everything that was ever there to be spent, and everything that spends.
    pub coins: Vec<Coin>,
    pub transactions: Vec<Arc<Transaction>>,
    pub blocks: Vec<CompactBlock>,
    /// Seals that the others have, own ones included.
    pub seals: Vec<Arc<Seal>>,
    pub said: Vec<Vote>,
    pub pending: Vec<(RequestId, Request)>,
    /// Of the tip.
    pub commit: Option<Commit>,
}

fn tuning(script: &mut Script<'_>) -> Tuning {
    let mut tuning = Tuning::default();
    let bits = script.byte();
    if bits & 1 != 0 {
        (tuning.pool_transactions_max, tuning.pool_bytes_max) = (6, 2_000);
    }
    if bits & 2 != 0 {
        tuning.backlog_max = 2;
    }
    if bits & 4 != 0 {
        // Four validators are more than twice one slot: samples are drawn (S-16).
        (tuning.sample_size, tuning.alpha_preference, tuning.beta) = (1, 1, 2);
    }
    if bits & 8 != 0 {
        tuning.rounds_max = 3;
    }
    if bits & 16 != 0 {
        tuning.vote_interval_ms = 0;
    }
    tuning
}

fn engine(config: &Config) -> Engine<MemoryLedger> {
    let ledger = MemoryLedger::new(network().utxos.clone());
    Engine::new(config.clone(), network().state.clone(), None, ledger)
}

impl Node {
    /// The validator that the script says, 100 ms after genesis.
    pub fn new(script: &mut Script<'_>) -> Self {
        let network = network();
        let key = network.validators[script.below(4)].clone();
        let tuning = tuning(script);
        let public = key.public();
        let config = Config {
            genesis: Arc::clone(&network.genesis),
            key: Some(key),
            tuning,
            past: timecoin_protocol::engine::Past::default(),
            seed: [7; 32],
        };
        let mut node = Self {
            now: Time(network.genesis.time_ms * 1_000).plus_ms(100),
            engine: engine(&config),
            key: public,
            disk: Vec::new(),
            checks: Checks::new(public, config.tuning.clone()),
            inputs: Vec::new(),
            tags: 0,
            coins: genesis_coins(),
            transactions: Vec::new(),
            blocks: Vec::new(),
            seals: Vec::new(),
            said: Vec::new(),
            pending: Vec::new(),
            commit: None,
            config,
        };
        node.start();
        node
    }

    fn start(&mut self) {
        let mut turn = self.engine.start(self.now).expect("memory does not fail");
        self.engine.finish(self.now, &mut turn).expect("memory does not fail");
        self.commit(turn);
    }

    /// The other validators.
    pub fn others(&self) -> Vec<&'static SecretKey> {
        network().validators.iter().filter(|key| key.public() != self.key).collect()
    }

    /// A transaction that the others know from now on.
    pub fn learn(&mut self, transaction: Transaction) -> Arc<Transaction> {
        let transaction = Arc::new(transaction);
        let txid = transaction.txid();
        self.coins.extend(coins_of(txid, &transaction.body.outputs).take(4));
        self.checks.bodies.insert(txid, Arc::clone(&transaction));
        self.transactions.push(Arc::clone(&transaction));
        transaction
    }

    /// A block that the others know from now on.
    pub fn learn_block(&mut self, block: CompactBlock) {
        if !self.blocks.contains(&block) {
            self.blocks.push(block);
        }
        if self.blocks.len() > REMEMBERED_MAX {
            self.blocks.remove(0);
        }
    }

    /// A seal that the others know from now on.
    pub fn learn_seal(&mut self, seal: Arc<Seal>) {
        if !self.seals.contains(&seal) {
            self.seals.push(seal);
        }
        if self.seals.len() > REMEMBERED_MAX {
            self.seals.remove(0);
        }
    }

    pub fn tag(&mut self) -> u64 {
        self.tags += 1;
        self.tags
    }

    pub fn input(&mut self, input: Input) {
        self.inputs.push(input);
    }

    /// Ends the turn in the making, and further ones until the engine sleeps.
    pub fn end_turn(&mut self) {
        let inputs = core::mem::take(&mut self.inputs);
        self.turn(inputs);
        self.checks.nobody_waits(self.now);
        for _ in 0..TURNS_AT_ONCE_MAX {
            match self.engine.deadline() {
                Some(at) if at <= self.now => self.turn(vec![Input::Wake]),
                _ => return,
            }
        }
        panic!("the engine never sleeps: its deadline is {:?}, now is {:?}", self.engine.deadline(), self.now);
    }

    fn take_turn(&mut self, inputs: Vec<Input>) -> Turn {
        let mut turn = Turn::default();
        for input in inputs {
            self.engine.step(self.now, input, &mut turn).expect("memory does not fail");
        }
        self.engine.finish(self.now, &mut turn).expect("memory does not fail");
        turn
    }

    fn turn(&mut self, inputs: Vec<Input>) {
        let turn = self.take_turn(inputs);
        self.commit(turn);
        self.checks.gauges(&self.engine.gauges());
    }

    fn commit(&mut self, turn: Turn) {
        self.checks.epochs.note(self.engine.chain_state());
        let effects = match turn.commit(&mut Disk(&mut self.disk, &mut self.checks)) {
            Ok(effects) => effects,
            Err(never) => match never {},
        };
        self.checks.effects(&effects);
        effects.into_iter().for_each(|effect| self.see(effect));
        if self.pending.len() > PENDING_MAX {
            let (id, _) = self.pending.remove(0);
            self.input(Input::Failed(id));
        }
    }

    /// What the others learn.
    fn see(&mut self, effect: Effect) {
        match effect {
            Effect::PublishVote(vote) => {
                if let Vote::Seal(seal) = &vote {
                    self.learn_seal(Arc::new(seal.clone()));
                }
                self.said.push(vote);
            }
            Effect::PublishProposal(proposal) => self.learn_block(proposal.block.clone()),
            Effect::Request(id, _, request) => self.pending.push((id, request)),
            Effect::Event(Event::Block { block, delta }) => {
                let total = self.engine.ledger_mut().utxos().map(|(_, utxo)| utxo.output.amount);
                self.checks.epochs.closes(&block.block);
                self.checks.block(&delta, timecoin_protocol::amount::Amount::checked_sum(total));
                let coinbase = coins_of(delta.coinbase, &block.block.coinbase.outputs);
                self.coins.extend(coinbase);
                self.commit = Some(block.commit.clone());
            }
            _ => {}
        }
        if self.said.len() > REMEMBERED_MAX {
            self.said.remove(0);
        }
    }

    /// Time passes until the engine wants to be woken.
    pub fn sleep_until_due(&mut self) {
        if let Some(at) = self.engine.deadline() {
            self.now = self.now.max(at);
        }
        self.input(Input::Wake);
    }

    /// Time passes.
    pub fn pass(&mut self, script: &mut Script<'_>) {
        let millis = [0, 1, 5, 20, 100, 400, 1_000, 2_100, 31_000, 700_000];
        self.now = self.now.plus_ms(millis[script.below(millis.len())]);
        self.input(Input::Wake);
    }

    /// The node dies between two turns and comes back, with a compacted journal (D-4) or the whole.
    pub fn restart(&mut self, compacted: bool) {
        let live = self.engine.live_records();
        let (height, locks) = (self.engine.chain_state().clone(), locks_of(&live));
        if compacted {
            // Votes of others that waited for the next record are durable now (D-12).
            self.checks.durable(&live);
            self.disk.retain(|record| matches!(record, Record::Block(_)));
            self.disk.extend(live);
        }
        self.come_back();
        assert_eq!(self.engine.chain_state(), &height, "the chain is where it was");
        let restored = locks_of(&self.engine.live_records());
        let lost: Vec<_> = locks.iter().filter(|(outpoint, txid)| restored.get(outpoint) != Some(txid)).collect();
        assert!(lost.is_empty(), "locks are gone after a restart (D-13): {lost:?}");
    }

    /// The node dies before what it decided is durable.
    pub fn lose_turn(&mut self) {
        let inputs = core::mem::take(&mut self.inputs);
        drop(self.take_turn(inputs));
        self.come_back();
    }

    fn come_back(&mut self) {
        self.inputs.clear();
        self.pending.clear();
        self.checks.died();
        self.engine = engine(&self.config);
        for record in self.disk.clone() {
            self.engine.restore(record).expect("a journal can be read again");
        }
        self.start();
    }
}

fn locks_of(records: &[Record]) -> BTreeMap<OutPoint, Txid> {
    let locks = records.iter().filter_map(|record| match record {
        Record::Locked { locks, .. } => Some(locks.iter().copied()),
        _ => None,
    });
    locks.flatten().collect()
}

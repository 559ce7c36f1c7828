//! A small chain whose blocks are made by hand, and what storage must say about it. It shares
//! nothing with the code under test but the types.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub mod disk;

use std::collections::BTreeMap;
use std::sync::Arc;
use timecoin_node::store::{ChainReader, LedgerStore};
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::block::{Block, Closing, Commit, CommittedBlock, Header};
use timecoin_protocol::engine::Ledger;
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::{Hash, MerkleRoot, Txid};
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::ledger::{BlockDelta, ChainState, UtxoSet, genesis_state};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody, Utxo};
use timecoin_protocol::validator::{Height, Round};

/// How many owners share the money.
pub const OWNERS: u8 = 6;

pub fn owner(number: u8) -> Owner {
    Owner([number; 20])
}

/// A devnet with one bond, and two outputs for each owner.
pub fn genesis() -> Genesis {
    let bond = Output {
        amount: Amount::from_time(1_000).unwrap(),
        lock: Lock::Bond { validator: PublicKey([7; 32]), owner: owner(0) },
    };
    let coin = |number| Output { amount: Amount(1_000_000), lock: Lock::Address(owner(number)) };
    Genesis {
        name: "storage".to_owned(),
        network: NetworkKind::Devnet,
        time_ms: 1_000,
        params: Params { block_interval_ms: 1_000, block_reward_units: 100, unbonding_blocks: 10, epoch_blocks: 60 },
        outputs: std::iter::once(bond).chain((0..2 * OWNERS).map(|number| coin(number % OWNERS))).collect(),
    }
}

/// Repeatable choices (Steele, Lea, Flood: SplitMix64).
#[derive(Clone, Debug)]
pub struct Choices(pub u64);

impl Choices {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// A decided block and its effect.
#[derive(Clone, Debug)]
pub struct Grown {
    pub block: Arc<CommittedBlock>,
    pub delta: Arc<BlockDelta>,
}

/// The model: plain maps and lists.
#[derive(Clone, Debug)]
pub struct Chain {
    pub genesis: Genesis,
    pub state: ChainState,
    pub utxos: BTreeMap<OutPoint, Utxo>,
    /// Every outpoint that ever was.
    pub outpoints: Vec<OutPoint>,
    pub history: Vec<(Owner, Height, u32, Txid)>,
    pub blocks: Vec<Grown>,
}

impl Chain {
    pub fn new() -> Self {
        let genesis = genesis();
        Self {
            state: genesis_state(&genesis).unwrap(),
            utxos: genesis.utxos().collect(),
            outpoints: genesis.utxos().map(|(outpoint, _)| outpoint).collect(),
            history: Vec::new(),
            blocks: Vec::new(),
            genesis,
        }
    }

    /// One block more, of `payments` transfers that are chosen by height and `seed` alone.
    pub fn grow(&mut self, payments: usize, seed: u64) -> Grown {
        self.grow_keeping(payments, seed, &OutPoint { txid: Txid([0; 32]), index: 0 })
    }

    /// Likewise, but nobody spends `kept`.
    pub fn grow_keeping(&mut self, payments: usize, seed: u64, kept: &OutPoint) -> Grown {
        let height = self.state.height.next();
        let mut choices = Choices(seed ^ height.0.rotate_left(32));
        let mut making = Making::new(height, &self.utxos, *kept);
        let mut transactions = Vec::new();
        for _ in 0..payments {
            let body = making.transfer(&mut choices);
            transactions.push(Transaction { body, witnesses: Vec::new() });
        }
        let coinbase = making.coinbase(&mut choices);
        let header = self.header(height, seed);
        let (closing, listed) = (Closing::default(), Vec::new());
        let block = Block { header, parent_commit: None, coinbase, transactions, closing, listed };
        let hash = block.header.hash();
        let commit = Commit { height, round: Round(0), block: hash, signatures: Vec::new() };
        let (mut history, live) = (making.history, making.live);
        let state = ChainState { height, hash, utxo_count: live.len() as u64, ..self.state.clone() };
        let of = |outpoints: &[OutPoint]| outpoints.iter().map(|outpoint| (*outpoint, making.seen[outpoint])).collect();
        let delta = BlockDelta {
            created: of(&making.made.iter().copied().filter(|made| live.contains_key(made)).collect::<Vec<_>>()),
            spent: of(&making.spent),
            ephemeral: of(&making.made.iter().copied().filter(|made| !live.contains_key(made)).collect::<Vec<_>>()),
            txids: block.transactions.iter().map(Transaction::txid).collect(),
            coinbase: block.coinbase.txid(),
            fees: Amount::ZERO,
            state: state.clone(),
        };
        history.sort();
        history.dedup();
        self.outpoints.extend(&making.made);
        self.history.extend(history);
        (self.utxos, self.state) = (live, state);
        let grown = Grown { block: Arc::new(CommittedBlock { block, commit }), delta: Arc::new(delta) };
        self.blocks.push(grown.clone());
        grown
    }

    fn header(&self, height: Height, seed: u64) -> Header {
        Header {
            parent: self.state.hash,
            height,
            epoch: self.state.epoch,
            time_ms: seed,
            proposer: PublicKey([7; 32]),
            transactions_root: MerkleRoot([0; 32]),
            utxo_set: Hash([0; 32]),
            next_validators: Hash([0; 32]),
            parent_commit: Hash([0; 32]),
            closing: Hash([0; 32]),
        }
    }

    pub fn utxos_of(&self, of: &Owner, after: Option<OutPoint>, limit: usize) -> Vec<(OutPoint, Utxo)> {
        let own = self.utxos.iter().filter(|(_, utxo)| utxo.output.lock.owner() == of);
        own.filter(|(outpoint, _)| Some(**outpoint) > after).map(|(a, b)| (*a, *b)).take(limit).collect()
    }

    pub fn history_of(&self, of: &Owner, before: Option<(Height, u32)>, limit: usize) -> Vec<(Height, u32, Txid)> {
        let mut own: Vec<_> = self.history.iter().filter(|entry| entry.0 == *of).map(|e| (e.1, e.2, e.3)).collect();
        own.retain(|(height, position, _)| before.is_none_or(|before| (*height, *position) < before));
        own.sort();
        own.reverse();
        own.truncate(limit);
        own
    }

    /// Storage says of this chain what the model says, to readers and to consensus.
    pub fn assert_same(&self, reader: &ChainReader, ledger: &LedgerStore) {
        assert_eq!(reader.tip(), self.state.height);
        for outpoint in &self.outpoints {
            let expected = self.utxos.get(outpoint).copied();
            assert_eq!(reader.utxo(outpoint).unwrap(), expected, "{outpoint}");
            assert_eq!(ledger.utxo(outpoint).unwrap(), expected, "{outpoint}");
        }
        for of in (0..=OWNERS).map(owner) {
            assert_eq!(reader.utxos_of(&of, None, usize::MAX).unwrap(), self.utxos_of(&of, None, usize::MAX));
            assert_eq!(reader.history_of(&of, None, usize::MAX).unwrap(), self.history_of(&of, None, usize::MAX));
        }
        for grown in &self.blocks {
            let state = &grown.delta.state;
            assert_eq!(reader.block(state.height).unwrap().as_ref(), Some(&grown.block));
            assert_eq!(reader.height_of(&state.hash).unwrap(), Some(state.height));
            for (position, txid) in (1..).zip(&grown.delta.txids).chain([(0, &grown.delta.coinbase)]) {
                let found = reader.transaction(txid).unwrap().unwrap();
                assert_eq!((found.height, found.position, found.transaction.txid()), (state.height, position, *txid));
                assert_eq!(ledger.committed_at(txid).unwrap(), Some(state.height));
            }
        }
        assert!(reader.block(self.state.height.next()).unwrap().is_none());
    }
}

/// A block in the making.
struct Making<'a> {
    height: Height,
    parent: &'a BTreeMap<OutPoint, Utxo>,
    kept: OutPoint,
    live: BTreeMap<OutPoint, Utxo>,
    /// All that is live or was spent by this block.
    seen: BTreeMap<OutPoint, Utxo>,
    made: Vec<OutPoint>,
    /// Of these, those that were there before.
    spent: Vec<OutPoint>,
    history: Vec<(Owner, Height, u32, Txid)>,
    position: u32,
}

impl<'a> Making<'a> {
    fn new(height: Height, parent: &'a BTreeMap<OutPoint, Utxo>, kept: OutPoint) -> Self {
        Self {
            height,
            parent,
            kept,
            live: parent.clone(),
            seen: parent.clone(),
            made: Vec::new(),
            spent: Vec::new(),
            history: Vec::new(),
            position: 1,
        }
    }

    fn transfer(&mut self, choices: &mut Choices) -> TransactionBody {
        let mut inputs = Vec::new();
        for _ in 0..=choices.below(2) {
            let Some(input) = self.live.keys().nth(choices.below(self.live.len().max(1))).copied() else { break };
            if input == self.kept {
                continue;
            }
            self.live.remove(&input);
            if self.parent.contains_key(&input) {
                self.spent.push(input);
            }
            inputs.push(input);
        }
        let outputs = (0..=choices.below(3)).map(|_| output(choices)).collect();
        let body = TransactionBody { inputs, outputs, memo: self.height.0.to_le_bytes().to_vec() };
        self.take(&body, self.position, false);
        self.position += 1;
        body
    }

    fn coinbase(&mut self, choices: &mut Choices) -> TransactionBody {
        let none = OutPoint { txid: Txid([0; 32]), index: u32::MAX };
        let body = TransactionBody {
            inputs: vec![none],
            outputs: vec![output(choices)],
            memo: self.height.0.to_le_bytes().to_vec(),
        };
        self.take(&body, 0, true);
        body
    }

    fn take(&mut self, body: &TransactionBody, position: u32, coinbase: bool) {
        let txid = body.txid();
        let payers: Vec<Owner> =
            body.inputs.iter().filter_map(|input| Some(*self.seen.get(input)?.output.lock.owner())).collect();
        for (index, output) in (0..).zip(&body.outputs) {
            let outpoint = OutPoint { txid, index };
            let utxo = Utxo { output: *output, height: self.height.0, coinbase };
            self.live.insert(outpoint, utxo);
            self.seen.insert(outpoint, utxo);
            self.made.push(outpoint);
            self.history.push((*output.lock.owner(), self.height, position, txid));
        }
        self.history.extend(payers.into_iter().map(|payer| (payer, self.height, position, txid)));
    }
}

fn output(choices: &mut Choices) -> Output {
    let to = owner(choices.below(usize::from(OWNERS)) as u8);
    let lock = match choices.below(8) {
        0 => Lock::Unbonding(to),
        1 => Lock::Bond { validator: PublicKey([9; 32]), owner: to },
        _ => Lock::Address(to),
    };
    Output { amount: Amount(1_000 + choices.below(1_000_000) as u64), lock }
}

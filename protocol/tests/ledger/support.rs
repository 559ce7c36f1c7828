//! A small network with money, and blocks on top of it, for the tests of the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::{Amount, UNITS_PER_TIME};
use timecoin_protocol::block::{Block, Commit, CommitSignature, Evidence};
use timecoin_protocol::finality::Seal;
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::{PublicKey, SecretKey, Signature};
use timecoin_protocol::ledger::{
    BlockDelta, BlockError, BlockParts, ChainState, TransactionError, Transfer, UtxoSetHash, apply_block, build_block,
    check_transfer, genesis_state,
};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody, Utxo};
use timecoin_protocol::validator::{Height, Round};

/// Blocks that an unbonding output waits in these tests.
pub const UNBONDING_BLOCKS: u64 = 5;
/// What each block mints in these tests.
pub const REWARD: u64 = 100 * UNITS_PER_TIME;
/// Fee that is enough for any transaction of these tests.
pub const FEE: u64 = 20_000;
/// Units of each genesis payment output.
pub const COIN: u64 = 50 * UNITS_PER_TIME;
/// Units of each genesis bond.
pub const BOND: u64 = 1_000 * UNITS_PER_TIME;
/// Number of genesis validators.
pub const VALIDATORS: u8 = 3;
/// Number of genesis payment outputs; coin `n` belongs to `key(n)`.
pub const COINS: u8 = 12;

/// The `n`th key.
pub fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

/// The owner of the `n`th key.
pub fn owner(n: u8) -> Owner {
    Owner::from(&key(n).public())
}

/// The key with which the `n`th genesis validator votes.
pub fn validator_key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[0x80 + n; 32])
}

/// A payment output for `key(n)`.
pub fn pay(n: u8, units: u64) -> Output {
    Output { amount: Amount(units), lock: Lock::Address(owner(n)) }
}

/// A bond of `key(n)` for a validator.
pub fn bond(n: u8, validator: PublicKey, units: u64) -> Output {
    Output { amount: Amount(units), lock: Lock::Bond { validator, owner: owner(n) } }
}

/// An unbonding output of `key(n)`.
pub fn unbonding(n: u8, units: u64) -> Output {
    Output { amount: Amount(units), lock: Lock::Unbonding(owner(n)) }
}

/// Params of these tests.
pub fn params() -> Params {
    Params {
        block_interval_ms: 1_000,
        block_reward_units: REWARD,
        unbonding_blocks: UNBONDING_BLOCKS,
        epoch_blocks: 100,
    }
}

/// `COINS` payment outputs, then `VALIDATORS` bonds: bond `n` is `n + 1` times `BOND`, owned by `key(100 + n)`.
pub fn genesis() -> Genesis {
    let coins = (0..COINS).map(|n| pay(n, COIN));
    let bonds = (0..VALIDATORS).map(|n| bond(100 + n, validator_key(n).public(), BOND * (u64::from(n) + 1)));
    Genesis {
        name: "ledger tests".into(),
        network: NetworkKind::Devnet,
        time_ms: 1_700_000_000_000,
        params: params(),
        outputs: coins.chain(bonds).collect(),
    }
}

/// A chain in memory: its state and its UTXO set.
#[derive(Clone, Debug)]
pub struct Chain {
    pub genesis: Genesis,
    pub state: ChainState,
    pub utxos: BTreeMap<OutPoint, Utxo>,
    /// What the next block may close the epoch with.
    pub seals: Vec<Arc<Seal>>,
    /// What it may take along.
    pub evidence: Vec<Arc<Evidence>>,
}

impl Chain {
    pub fn new() -> Self {
        Self::of(genesis())
    }

    pub fn of(genesis: Genesis) -> Self {
        let state = genesis_state(&genesis).unwrap();
        let utxos = genesis.utxos().collect();
        Self { genesis, state, utxos, seals: Vec::new(), evidence: Vec::new() }
    }

    /// The outpoint of genesis coin `n`.
    pub fn coin(&self, n: u8) -> OutPoint {
        OutPoint { txid: Txid(self.genesis.hash().0), index: u32::from(n) }
    }

    /// The outpoint of genesis bond `n`.
    pub fn bond(&self, n: u8) -> OutPoint {
        self.coin(COINS + n)
    }

    /// Signs a body without a memo.
    pub fn sign(&self, inputs: &[OutPoint], outputs: &[Output], keys: &[&SecretKey]) -> Transaction {
        let body = TransactionBody { inputs: inputs.to_vec(), outputs: outputs.to_vec(), memo: Vec::new() };
        Transaction::sign(body, keys, &self.genesis.hash())
    }

    /// Coin `n` paid to `key(to)` whole, except for the fee.
    pub fn payment(&self, n: u8, to: u8) -> Transaction {
        self.sign(&[self.coin(n)], &[pay(to, COIN - FEE)], &[&key(n)])
    }

    /// Judges one transaction at the next height.
    pub fn check(&self, transaction: &Transaction) -> Result<Transfer, TransactionError> {
        self.check_at(transaction, self.state.height.next())
    }

    /// Judges one transaction at a height.
    pub fn check_at(&self, transaction: &Transaction, next: Height) -> Result<Transfer, TransactionError> {
        let unbonding_blocks = self.genesis.params.unbonding_blocks;
        check_transfer(transaction, next, unbonding_blocks, |outpoint| Ok(self.utxos.get(outpoint).copied())).unwrap()
    }

    /// A commit of the last block by the given validators; none before the first block. The
    /// ledger does not look at signatures.
    pub fn parent_commit(&self, present: &[u16]) -> Option<Commit> {
        let signatures =
            present.iter().map(|&validator| CommitSignature { validator, signature: Signature([0; 64]) }).collect();
        (self.state.height.0 > 0).then_some(Commit {
            height: self.state.height,
            round: Round(0),
            block: self.state.hash,
            signatures,
        })
    }

    /// The next block, with the precommits of all validators below it.
    pub fn build(&self, transactions: &[Transaction]) -> (Block, BlockDelta) {
        self.build_with(transactions, &[0, 1, 2])
    }

    /// The next block, with the precommits of some validators below it.
    pub fn build_with(&self, transactions: &[Transaction], present: &[u16]) -> (Block, BlockDelta) {
        let transactions: Vec<_> = transactions.iter().cloned().map(Arc::new).collect();
        let proposer = self.state.validators.members()[0].key;
        let time_ms = self.state.time_ms + 1_000;
        let parts = BlockParts {
            parent_commit: self.parent_commit(present),
            transactions: &transactions,
            seals: &self.seals,
            evidence: &self.evidence,
        };
        build_block(&self.state, &self.genesis.params, &self.utxos, time_ms, proposer, parts).unwrap()
    }

    /// Judges a block.
    pub fn judge(&self, block: &Block) -> Result<BlockDelta, BlockError> {
        apply_block(&self.state, &self.genesis.params, &self.utxos, block).unwrap()
    }

    /// Puts the effect of a block on top.
    pub fn advance(&mut self, delta: &BlockDelta) {
        for (outpoint, utxo) in &delta.spent {
            assert_eq!(self.utxos.remove(outpoint).as_ref(), Some(utxo));
        }
        for (outpoint, utxo) in &delta.created {
            assert_eq!(self.utxos.insert(*outpoint, *utxo), None);
        }
        self.state = delta.state.clone();
    }

    /// Builds, judges and puts on top the block of these transactions.
    pub fn grow(&mut self, transactions: &[Transaction]) -> BlockDelta {
        let (block, built) = self.build(transactions);
        let judged = self.judge(&block).unwrap();
        assert_eq!(built, judged);
        self.advance(&judged);
        judged
    }

    /// The multiset hash of the whole set, from scratch.
    pub fn utxo_set_from_scratch(&self) -> UtxoSetHash {
        let mut sums = UtxoSetHash::empty();
        self.utxos.iter().for_each(|(outpoint, utxo)| sums.add(outpoint, utxo));
        sums
    }

    /// The sum of the whole set.
    pub fn total(&self) -> Amount {
        Amount::checked_sum(self.utxos.values().map(|utxo| utxo.output.amount)).unwrap()
    }
}

/// The units of each output of the coinbase that a block made.
pub fn rewards(delta: &BlockDelta) -> Vec<u64> {
    let made = delta.created.iter().filter(|(outpoint, _)| outpoint.txid == delta.coinbase);
    made.map(|(_, utxo)| utxo.output.amount.units()).collect()
}

/// Two blocks on top of genesis, and the valid third one.
pub fn third() -> (Chain, Block) {
    let mut chain = Chain::new();
    chain.grow(&[chain.payment(0, 1)]);
    chain.grow(&[chain.payment(1, 2)]);
    let (block, _) = chain.build(&[chain.payment(2, 3), chain.payment(3, 4)]);
    (chain, block)
}

/// What is said of that third block after a change.
pub fn refusal_of_third(change: impl FnOnce(&mut Block)) -> BlockError {
    let (chain, mut block) = third();
    assert!(chain.judge(&block).is_ok());
    change(&mut block);
    chain.judge(&block).unwrap_err()
}

//! How long a block of payments takes to judge, and one entry of the UTXO set to hash.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use std::collections::HashMap;
use std::sync::Arc;
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::{Amount, UNITS_PER_TIME};
use timecoin_protocol::block::Block;
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::{PublicKey, Signature};
use timecoin_protocol::ledger::{
    BlockParts, ChainState, Unavailable, UtxoSet, UtxoSetHash, apply_block, build_block, genesis_state,
};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody, Utxo, Witness};

/// Entries of the UTXO set below the block.
const UTXOS: u32 = 100_000;

fn main() {
    divan::main();
}

struct Memory(HashMap<OutPoint, Utxo>);

impl UtxoSet for Memory {
    fn utxo(&self, outpoint: &OutPoint) -> Result<Option<Utxo>, Unavailable> {
        Ok(self.0.get(outpoint).copied())
    }
}

fn key(n: u32) -> PublicKey {
    let mut key = [0x11; 32];
    key[..4].copy_from_slice(&n.to_be_bytes());
    PublicKey(key)
}

fn pay(n: u32, units: u64) -> Output {
    Output { amount: Amount(units), lock: Lock::Address(Owner::from(&key(n))) }
}

/// A genesis with [`UTXOS`] coins, and its chain.
fn chain() -> (Genesis, ChainState, Memory) {
    let bond = Lock::Bond { validator: key(0), owner: Owner::from(&key(0)) };
    let bond = Output { amount: Amount(1_000 * UNITS_PER_TIME), lock: bond };
    let genesis = Genesis {
        name: "bench".into(),
        network: NetworkKind::Devnet,
        time_ms: 0,
        params: Params {
            block_interval_ms: 1_000,
            block_reward_units: UNITS_PER_TIME,
            unbonding_blocks: 10,
            epoch_blocks: 60,
        },
        outputs: (0..UTXOS).map(|n| pay(n, UNITS_PER_TIME)).chain([bond]).collect(),
    };
    let state = genesis_state(&genesis).unwrap();
    let utxos = Memory(genesis.utxos().collect());
    (genesis, state, utxos)
}

/// A payment with change from each of the first `count` coins. Signatures are checked before a
/// block is judged, so these are blank.
fn payments(genesis: &Genesis, count: u32) -> Vec<Arc<Transaction>> {
    let txid = Txid(genesis.hash().0);
    let payment = |n: u32| {
        let body = TransactionBody {
            inputs: vec![OutPoint { txid, index: n }],
            outputs: vec![pay(n + 1, UNITS_PER_TIME / 2), pay(n, UNITS_PER_TIME / 2 - 1_000)],
            memo: Vec::new(),
        };
        Transaction { body, witnesses: vec![Witness { key: key(n), signature: Signature([0; 64]) }] }
    };
    (0..count).map(payment).map(Arc::new).collect()
}

#[divan::bench(args = [1_000, 5_000], sample_count = 20)]
fn apply_block_of_payments(bencher: Bencher, count: u32) {
    let (genesis, state, utxos) = chain();
    let transactions = payments(&genesis, count);
    let (block, _): (Block, _) = build_block(
        &state,
        &genesis.params,
        &utxos,
        1,
        key(0),
        BlockParts { transactions: &transactions, ..BlockParts::default() },
    )
    .unwrap();
    assert_eq!(block.transactions.len(), transactions.len());
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| apply_block(&state, &genesis.params, &utxos, black_box(&block)).unwrap().unwrap());
}

#[divan::bench(args = [1_000, 5_000], sample_count = 20)]
fn build_block_of_payments(bencher: Bencher, count: u32) {
    let (genesis, state, utxos) = chain();
    let transactions = payments(&genesis, count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        build_block(
            &state,
            &genesis.params,
            &utxos,
            1,
            key(0),
            BlockParts { transactions: black_box(&transactions), ..BlockParts::default() },
        )
        .unwrap()
    });
}

#[divan::bench]
fn add_to_multiset(bencher: Bencher) {
    let mut sums = UtxoSetHash::empty();
    let outpoint = OutPoint { txid: Txid([1; 32]), index: 0 };
    let utxo = Utxo { output: pay(0, UNITS_PER_TIME), height: 1, coinbase: false };
    bencher.bench_local(|| sums.add(black_box(&outpoint), black_box(&utxo)));
}

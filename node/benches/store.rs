//! What storage costs: commits of the journal, checkpoints, lookups. Run on the disk that matters:
//! `TMPDIR=/that/disk cargo bench -p timecoin-node --bench store`.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use divan::Bencher;
use divan::counter::ItemsCount;
use std::cell::RefCell;
use std::sync::Arc;
use timecoin_node::store::{Opened, Store};
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::block::{Block, Closing, Commit, CommittedBlock, Header};
use timecoin_protocol::engine::{Journal, Ledger, Record};
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::{BlockHash, Domain, Hash, MerkleRoot, Txid, hash_bytes};
use timecoin_protocol::keys::{PublicKey, Signature};
use timecoin_protocol::ledger::{BlockDelta, ChainState, UtxoSet};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody, Utxo, Witness};
use timecoin_protocol::validator::{Epoch, Height, Round};

const PAYMENTS: u32 = 1_000;
/// Outputs in the tree before anything is measured.
const UTXOS: u32 = 200_000;

fn main() {
    divan::main();
}

fn random(number: u32) -> [u8; 32] {
    hash_bytes(Domain::Txid, &number.to_le_bytes())
}

fn owner(number: u32) -> Owner {
    Owner(random(number ^ 0x5555_5555)[..20].try_into().unwrap())
}

fn output(number: u32) -> Output {
    Output { amount: Amount(1_000_000), lock: Lock::Address(owner(number)) }
}

fn genesis(utxos: u32) -> Genesis {
    let bond = Output {
        amount: Amount::from_time(1_000).unwrap(),
        lock: Lock::Bond { validator: PublicKey([7; 32]), owner: owner(0) },
    };
    Genesis {
        name: "bench".to_owned(),
        network: NetworkKind::Devnet,
        time_ms: 1_000,
        params: Params { block_interval_ms: 1_000, block_reward_units: 100, unbonding_blocks: 10, epoch_blocks: 60 },
        outputs: std::iter::once(bond).chain((0..utxos).map(output)).collect(),
    }
}

/// A chain of payments with two inputs, spent in the order of genesis, and two outputs each.
struct Chain {
    state: ChainState,
    unspent: std::vec::IntoIter<(OutPoint, Utxo)>,
}

impl Chain {
    fn new(genesis: &Genesis, state: ChainState) -> Self {
        let unspent: Vec<_> = genesis.utxos().skip(1).collect();
        Self { state, unspent: unspent.into_iter() }
    }

    fn grow(&mut self) -> (Arc<CommittedBlock>, Arc<BlockDelta>) {
        let height = self.state.height.next();
        let (mut transactions, mut created, mut spent) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..PAYMENTS {
            let inputs: Vec<_> = self.unspent.by_ref().take(2).collect();
            let transaction = payment(number, &inputs);
            let txid = transaction.txid();
            spent.extend_from_slice(&inputs);
            created.extend((0..).zip(&transaction.body.outputs).map(|(index, output)| {
                (OutPoint { txid, index }, Utxo { output: *output, height: height.0, coinbase: false })
            }));
            transactions.push(transaction);
        }
        let coinbase = TransactionBody { inputs: vec![], outputs: vec![], memo: height.0.to_le_bytes().to_vec() };
        let header = header(height, self.state.hash);
        let (closing, listed) = (Closing::default(), Vec::new());
        let block = Block { header, parent_commit: None, coinbase, transactions, closing, listed };
        let hash = block.header.hash();
        self.state = ChainState { height, hash, ..self.state.clone() };
        let delta = BlockDelta {
            created,
            spent,
            ephemeral: Vec::new(),
            txids: block.transactions.iter().map(Transaction::txid).collect(),
            coinbase: block.coinbase.txid(),
            fees: Amount::ZERO,
            state: self.state.clone(),
        };
        let commit = Commit { height, round: Round(0), block: hash, signatures: Vec::new() };
        (Arc::new(CommittedBlock { block, commit }), Arc::new(delta))
    }
}

fn payment(number: u32, inputs: &[(OutPoint, Utxo)]) -> Transaction {
    let body = TransactionBody {
        inputs: inputs.iter().map(|(outpoint, _)| *outpoint).collect(),
        outputs: vec![output(number), output(number + 1)],
        memo: Vec::new(),
    };
    let witness = Witness { key: PublicKey(random(number)), signature: Signature([3; 64]) };
    Transaction { body, witnesses: vec![witness; 2] }
}

fn header(height: Height, parent: BlockHash) -> Header {
    Header {
        parent,
        height,
        epoch: Epoch(0),
        time_ms: 0,
        proposer: PublicKey([7; 32]),
        transactions_root: MerkleRoot([0; 32]),
        utxo_set: Hash([0; 32]),
        next_validators: Hash([0; 32]),
        parent_commit: Hash([0; 32]),
        closing: Hash([0; 32]),
    }
}

/// An open store with its chain.
struct Bench {
    dir: tempfile::TempDir,
    opened: Opened,
    chain: Chain,
}

impl Bench {
    fn new(utxos: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let genesis = genesis(utxos);
        let opened = Store::open(dir.path(), &genesis).unwrap();
        let chain = Chain::new(&genesis, opened.state.clone());
        Self { dir, opened, chain }
    }

    /// Makes a block durable without showing it.
    fn append(&mut self) -> Arc<BlockDelta> {
        let (block, delta) = self.chain.grow();
        self.opened.journal.append(&[Record::Block(block)]).unwrap();
        delta
    }

    fn show(&mut self, delta: &Arc<BlockDelta>) {
        self.opened.ledger.push(delta);
        self.opened.ledger.publish().unwrap();
    }

    fn decide(&mut self, blocks: u32) {
        for _ in 0..blocks {
            let delta = self.append();
            self.show(&delta);
        }
    }
}

/// One turn with the votes of five validators for 20 payments, in a journal with so many blocks.
#[divan::bench(sample_count = 300, sample_size = 1, args = [0, 2_000])]
fn journal_append_votes(bencher: Bencher, blocks: u32) {
    let mut bench = Bench::new(1);
    for _ in 0..blocks {
        bench.append();
    }
    let vote = |number: u8| VoteBatch {
        epoch: Epoch(1),
        phase: Phase::Prepare,
        voter: PublicKey([number; 32]),
        txids: (0..20).map(|number| Txid(random(number))).collect(),
        signature: Signature([number; 64]),
    };
    let records: Vec<_> = (0..5).map(|number| Record::Votes(Arc::new(vote(number)))).collect();
    bencher.bench_local(|| bench.opened.journal.append(&records).unwrap());
}

#[divan::bench(sample_count = 40, sample_size = 1)]
fn journal_append_block(bencher: Bencher) {
    let Bench { dir: _dir, mut opened, mut chain } = Bench::new(UTXOS);
    bencher
        .counter(ItemsCount::new(PAYMENTS))
        .with_inputs(|| Record::Block(chain.grow().0))
        .bench_local_values(|block| opened.journal.append(&[block]).unwrap());
}

/// From the decision to what readers see, without the journal.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn push_and_publish_block(bencher: Bencher) {
    let bench = RefCell::new(Bench::new(UTXOS));
    bencher
        .counter(ItemsCount::new(PAYMENTS))
        .with_inputs(|| bench.borrow_mut().append())
        .bench_local_values(|delta| bench.borrow_mut().show(&delta));
}

/// Ten blocks into a tree of [`UTXOS`] outputs.
#[divan::bench(sample_count = 8, sample_size = 1)]
fn checkpoint_10_blocks(bencher: Bencher) {
    let bench = RefCell::new(Bench::new(UTXOS));
    bencher
        .counter(ItemsCount::new(10 * PAYMENTS))
        .with_inputs(|| bench.borrow_mut().decide(10))
        .bench_local_values(|()| bench.borrow().opened.ledger.checkpoint().unwrap());
}

/// In the database's cache, below 20 layers that do not have it.
#[divan::bench]
fn lookup_warm(bencher: Bencher) {
    let mut bench = Bench::new(UTXOS);
    bench.decide(20);
    let Bench { dir: _dir, opened, chain } = bench;
    let outpoints: Vec<_> = chain.unspent.take(10_000).map(|(outpoint, _)| outpoint).collect();
    let mut next = outpoints.iter().cycle();
    bencher.bench_local(|| opened.ledger.utxo(next.next().unwrap()).unwrap().unwrap());
}

/// The first lookups after opening; the operating system may have the pages.
#[divan::bench(sample_count = 500, sample_size = 1)]
fn lookup_cold(bencher: Bencher) {
    let Bench { dir, opened, chain } = Bench::new(UTXOS);
    drop(opened);
    let opened = Store::open(dir.path(), &genesis(UTXOS)).unwrap();
    let mut next = chain.unspent.step_by(397);
    bencher.bench_local(|| opened.ledger.utxo(&next.next().unwrap().0).unwrap().unwrap());
}

/// Opening what a killed process left: a copy of the files of an open store.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn open_after_kill(bencher: Bencher) {
    let mut bench = Bench::new(UTXOS);
    bench.decide(1);
    bench.opened.ledger.checkpoint().unwrap();
    let genesis = genesis(UTXOS);
    bencher
        .with_inputs(|| {
            let copy = tempfile::tempdir().unwrap();
            for name in ["LOCK", "journal.redb", "blocks.redb", "ledger.redb"] {
                std::fs::copy(bench.dir.path().join(name), copy.path().join(name)).unwrap();
            }
            copy
        })
        .bench_local_values(|copy| drop(Store::open(copy.path(), &genesis).unwrap()));
}

/// Opening after a clean stop; most of it is hashing the genesis description of [`UTXOS`] outputs.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn open_again(bencher: Bencher) {
    let Bench { dir, opened, .. } = Bench::new(UTXOS);
    drop(opened);
    let genesis = genesis(UTXOS);
    bencher.bench_local(|| drop(Store::open(dir.path(), &genesis).unwrap()));
}

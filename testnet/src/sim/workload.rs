//! Payments and double spends.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::Rng;
use std::collections::VecDeque;
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::{GenesisHash, Txid};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};

const COIN_UNITS: u64 = 1_000_000_000;
const FEE_UNITS: u64 = 2_000;
const BOND_UNITS: u64 = 1_000 * 100_000_000;

/// A key from a number, for tests only.
pub(super) fn key(domain: u8, index: usize) -> SecretKey {
    let mut seed = [domain; 32];
    for (to, from) in seed.iter_mut().zip(u64::try_from(index).unwrap_or_default().to_le_bytes()) {
        *to = from;
    }
    SecretKey::from_seed(&seed)
}

/// The genesis of a simulated network: a bond for each validator, a coin for each payer.
pub(super) fn genesis(validators: usize, coins: usize, start_ms: u64, epoch_blocks: u64) -> Genesis {
    let bonds = (0..validators).map(|index| {
        let validator = key(1, index).public();
        let lock = Lock::Bond { validator, owner: Owner::from(&validator) };
        Output { amount: Amount(BOND_UNITS), lock }
    });
    let coins = (0..coins)
        .map(|index| Output { amount: Amount(COIN_UNITS), lock: Lock::Address(Owner::from(&key(2, index).public())) });
    Genesis {
        name: "simulation".into(),
        network: NetworkKind::Devnet,
        time_ms: start_ms,
        params: Params {
            block_interval_ms: 1_000,
            block_reward_units: 10_000_000_000,
            unbonding_blocks: 10,
            epoch_blocks,
        },
        outputs: bonds.chain(coins).collect(),
    }
}

/// What is submitted, where and when.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    pub at_ms: u64,
    pub node: usize,
    pub transaction: Transaction,
}

/// The payments of a run, and which of them exclude each other.
#[derive(Debug, Default)]
pub(super) struct Workload {
    pub submissions: Vec<Submission>,
    /// Payments that nothing conflicts with: all must become final.
    pub lone: Vec<Txid>,
    /// Of each pair exactly one must become final.
    pub pairs: Vec<(Txid, Txid)>,
}

fn pay(genesis: &GenesisHash, from: &SecretKey, input: OutPoint, amount: u64, to: Owner) -> Transaction {
    let change = amount / 3;
    let outputs = [(amount - change - FEE_UNITS, to), (change, Owner::from(&from.public()))];
    let outputs =
        outputs.iter().map(|(units, owner)| Output { amount: Amount(*units), lock: Lock::Address(*owner) }).collect();
    Transaction::sign(TransactionBody { inputs: vec![input], outputs, memo: Vec::new() }, &[from], genesis)
}

impl Workload {
    /// Draws payments (a third of them spends of the change of an earlier one, before that is in
    /// a block) and double spends.
    pub fn draw(
        genesis: &Genesis,
        validators: usize,
        honest: usize,
        (payments, double_spends): (usize, usize),
        length_ms: u64,
        rng: &mut ChaCha12Rng,
    ) -> Self {
        let hash = genesis.hash();
        let coin = |index: usize| OutPoint {
            txid: Txid(hash.0),
            index: u32::try_from(validators + index).unwrap_or_default(),
        };
        let mut workload = Self::default();
        let mut change: VecDeque<(usize, u64, OutPoint, u64)> = VecDeque::new();
        let mut below = |limit: u64| rng.next_u64() % limit.max(1);
        for index in 0..payments {
            let (payer, at_ms, input, amount) = match change.pop_front() {
                Some((payer, at_ms, input, amount)) if below(3) == 0 => (payer, at_ms + below(50), input, amount),
                _ => (index, below(length_ms), coin(index), COIN_UNITS),
            };
            let transaction = pay(&hash, &key(2, payer), input, amount, Owner::from(&key(3, index).public()));
            let txid = transaction.txid();
            workload.lone.push(txid);
            change.push_back((payer, at_ms, OutPoint { txid, index: 1 }, amount / 3));
            let node = usize::try_from(below(u64::try_from(honest).unwrap_or(1))).unwrap_or_default();
            workload.submissions.push(Submission { at_ms, node, transaction });
        }
        for index in payments..payments + double_spends {
            let at_ms = below(length_ms);
            let side = |to| pay(&hash, &key(2, index), coin(index), COIN_UNITS, Owner::from(&key(4, to).public()));
            let (left, right) = (side(index * 2), side(index * 2 + 1));
            workload.pairs.push((left.txid(), right.txid()));
            let node = usize::try_from(below(u64::try_from(honest).unwrap_or(1))).unwrap_or_default();
            workload.submissions.push(Submission { at_ms, node, transaction: left });
            workload.submissions.push(Submission { at_ms, node: (node + 1) % honest, transaction: right });
        }
        workload
    }
}

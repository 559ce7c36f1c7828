//! Payments, double spends, and bonds that are made and withdrawn.

use super::chance::Chance;
use super::scenario::Scenario;
use std::collections::VecDeque;
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::{GenesisHash, Txid};
use timecoin_protocol::keys::{PublicKey, SecretKey};
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

/// The bond of a validator, which it owns itself.
fn bond(scenario: &Scenario, index: usize) -> Output {
    let validator = key(1, index).public();
    let lock = Lock::Bond { validator, owner: Owner::from(&validator) };
    let weight = scenario.weights.get(index).copied().unwrap_or_default();
    Output { amount: Amount(BOND_UNITS * weight), lock }
}

/// The genesis of a simulated network: a bond for each validator, a coin for each payer, and the money for the
/// bonds that are made later.
pub(super) fn genesis(scenario: &Scenario, start_ms: u64) -> Genesis {
    let coin = |index| Output { amount: Amount(COIN_UNITS), lock: Lock::Address(Owner::from(&key(2, index).public())) };
    let later = |index| {
        let bond = bond(scenario, index);
        Output { amount: Amount(bond.amount.0 + FEE_UNITS), lock: Lock::Address(*bond.lock.owner()) }
    };
    let bonds = (scenario.joiners..scenario.weights.len()).map(|index| bond(scenario, index));
    let coins = (0..scenario.payments + scenario.double_spends).map(coin);
    Genesis {
        name: "simulation".into(),
        network: NetworkKind::Devnet,
        time_ms: start_ms,
        params: Params {
            block_interval_ms: 1_000,
            block_reward_units: 10_000_000_000,
            unbonding_blocks: 10,
            epoch_blocks: scenario.epoch_blocks,
        },
        outputs: bonds.chain(coins).chain((0..scenario.joiners).map(later)).collect(),
    }
}

/// What is submitted, where and when.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    pub at_ms: u64,
    pub node: usize,
    pub transaction: Transaction,
    /// Whether any node was given it.
    pub handed_in: bool,
}

impl Submission {
    const fn new(at_ms: u64, node: usize, transaction: Transaction) -> Self {
        Self { at_ms, node, transaction, handed_in: false }
    }
}

/// A validator that joins or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BondMove {
    pub validator: PublicKey,
    pub joins: bool,
    /// The transaction that makes or withdraws its bond.
    pub txid: Txid,
}

/// The payments of a run, and which of them exclude each other.
#[derive(Debug, Default)]
pub(super) struct Workload {
    pub submissions: Vec<Submission>,
    /// How many of them no node was given yet.
    pub outstanding: usize,
    /// Payments that nothing conflicts with, and bonds: all must become final.
    pub lone: Vec<Txid>,
    /// Bonds that are made and withdrawn.
    pub moves: Vec<BondMove>,
    /// Of each pair exactly one must become final.
    pub pairs: Vec<(Txid, Txid)>,
    /// Payments that spend the change of another one: they end as it does.
    pub chained: Vec<(Txid, Txid)>,
}

impl Workload {
    /// Draws payments (a third of them spends of the change of an earlier one, before that is in
    /// a block) and double spends with chains of payments on top.
    pub fn draw(genesis: &Genesis, scenario: &Scenario, chance: &mut Chance) -> Self {
        let mut workload = Self::default();
        let coins = Coins { genesis: genesis.hash(), bonds: scenario.weights.len() - scenario.joiners };
        let honest = scenario.honest();
        let mut change: VecDeque<(usize, u64, OutPoint, u64)> = VecDeque::new();
        for index in 0..scenario.payments {
            let (payer, at_ms, input, amount) = match change.pop_front() {
                Some((payer, at_ms, input, amount)) if chance.below(3) == 0 => {
                    (payer, at_ms + chance.below(50), input, amount)
                }
                _ => (index, chance.below(scenario.faulty_ms), coins.coin(index), COIN_UNITS),
            };
            let transaction = coins.pay(payer, input, amount, (3, index));
            let txid = transaction.txid();
            workload.lone.push(txid);
            change.push_back((payer, at_ms, OutPoint { txid, index: 1 }, amount / 3));
            let node = chance.index(honest);
            workload.submissions.push(Submission::new(at_ms, node, transaction));
        }
        for index in scenario.payments..scenario.payments + scenario.double_spends {
            let first_ms = chance.below(scenario.faulty_ms);
            let first = chance.index(honest);
            let late_ms = chance.below(2) * chance.below(scenario.late_half_ms);
            let sides = [0, 1].map(|side: usize| {
                let (at_ms, node) =
                    if side == 0 { (first_ms, first) } else { (first_ms + late_ms, (first + 1) % honest) };
                let transaction = coins.pay(index, coins.coin(index), COIN_UNITS, (4, index * 2 + side));
                let txid = transaction.txid();
                workload.submissions.push(Submission::new(at_ms, node, transaction));
                let length = chance.below(scenario.chain_max + 1);
                workload.chain(&coins, (index, txid), length, at_ms, node);
                txid
            });
            workload.pairs.push((sides[0], sides[1]));
        }
        workload.move_bonds(&coins, scenario, chance);
        workload.outstanding = workload.submissions.len();
        workload
    }

    /// Some make a bond; others withdraw theirs, and spend the money as soon as they may.
    fn move_bonds(&mut self, coins: &Coins, scenario: &Scenario, chance: &mut Chance) {
        let honest = scenario.honest();
        for index in 0..scenario.joiners + scenario.leavers {
            let (at_ms, node) = (chance.below(scenario.faulty_ms), chance.index(honest));
            let (validator, bond) = (key(1, index), bond(scenario, index));
            let owner = *bond.lock.owner();
            let joins = index < scenario.joiners;
            let transactions = if joins {
                let input = coins.coin(scenario.payments + scenario.double_spends + index);
                vec![coins.sign(input, bond, &validator)]
            } else {
                let units = |fees: u64| Amount(bond.amount.0 - fees * FEE_UNITS);
                let input = OutPoint { txid: Txid(coins.genesis.0), index: u32_of(index - scenario.joiners) };
                let withdrawn = Output { amount: units(1), lock: Lock::Unbonding(owner) };
                let withdrawn = coins.sign(input, withdrawn, &validator);
                let input = OutPoint { txid: withdrawn.txid(), index: 0 };
                let spent = Output { amount: units(2), lock: Lock::Address(owner) };
                vec![withdrawn, coins.sign(input, spent, &validator)]
            };
            let moves = transactions.first().map(|transaction| (validator.public(), transaction.txid()));
            self.moves.extend(moves.map(|(validator, txid)| BondMove { validator, joins, txid }));
            for transaction in transactions {
                self.lone.push(transaction.txid());
                self.submissions.push(Submission::new(at_ms, node, transaction));
            }
        }
    }

    /// Payments of the change of a payment, each of the one before, handed to the same node at once.
    fn chain(&mut self, coins: &Coins, (payer, first): (usize, Txid), length: u64, at_ms: u64, node: usize) {
        let (mut parent, mut amount) = (first, COIN_UNITS / 3);
        for _ in 0..length {
            let transaction = coins.pay(payer, OutPoint { txid: parent, index: 1 }, amount, (5, payer));
            let txid = transaction.txid();
            self.chained.push((parent, txid));
            self.submissions.push(Submission::new(at_ms, node, transaction));
            (parent, amount) = (txid, amount / 3);
        }
    }
}

/// The coins of the genesis, and payments of them.
#[derive(Clone, Copy, Debug)]
struct Coins {
    genesis: GenesisHash,
    bonds: usize,
}

impl Coins {
    fn coin(&self, index: usize) -> OutPoint {
        OutPoint { txid: Txid(self.genesis.0), index: u32_of(self.bonds + index) }
    }

    /// All that `input` holds, but for the fee, becomes `output`.
    fn sign(&self, input: OutPoint, output: Output, key: &SecretKey) -> Transaction {
        let body = TransactionBody { inputs: vec![input], outputs: vec![output], memo: Vec::new() };
        Transaction::sign(body, &[key], &self.genesis)
    }

    /// A payment to a key of the domain and number `to`; a third is change.
    fn pay(&self, payer: usize, input: OutPoint, amount: u64, to: (u8, usize)) -> Transaction {
        let (from, to) = (key(2, payer), Owner::from(&key(to.0, to.1).public()));
        let change = amount / 3;
        let outputs = [(amount - change - FEE_UNITS, to), (change, Owner::from(&from.public()))];
        let outputs = outputs
            .iter()
            .map(|(units, owner)| Output { amount: Amount(*units), lock: Lock::Address(*owner) })
            .collect();
        Transaction::sign(TransactionBody { inputs: vec![input], outputs, memo: Vec::new() }, &[&from], &self.genesis)
    }
}

fn u32_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
